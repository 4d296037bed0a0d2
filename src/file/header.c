/* The header of a compiled model. It is printed from its numbers alone, so reading ends by printing again: a file whose
 * header differs from that in any byte is damaged, the checksum among them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "file/compiled.h"
#include "graph/read.h"

static const char magic[] = "sumi model ";

bool sumi_compiled_is(const void *bytes, size_t n) {
  return n >= sizeof magic - 1 && !memcmp(bytes, magic, sizeof magic - 1);
}

/* FNV-1a piece by piece: sumi_hash() starts from its basis with the seed added bit by bit. */
static const uint64_t basis = 14695981039346656037u;

uint64_t sumi_compiled_hash_start(void) { return basis; }

uint64_t sumi_compiled_hash(uint64_t hash, const void *bytes, size_t n) {
  return sumi_hash(bytes, n, hash ^ basis);
}

/* ---- printing ------------------------------------------------------------------------------------------------- */

static int print_section(char *out, size_t size, const char *name, const struct sumi_compiled_section *s) {
  return snprintf(out, size, "%s at %" PRIu64 " bytes %" PRIu64 " hash \"%016" PRIx64 "\"\n", name, s->at,
                  s->bytes, s->hash);
}

void sumi_compiled_print(const struct sumi_compiled *c, char out[SUMI_COMPILED_HEADER]) {
  const struct {
    const char *name;
    const struct sumi_compiled_section *section;
  } section[] = {
      {"graph", &c->graph}, {"weights", &c->weights}, {"packs", &c->packs}, {"packed", &c->packed}};
  const size_t size = SUMI_COMPILED_HEADER; /* more than the longest numbers and words take */
  size_t at = (size_t)snprintf(out, size, "%s%d\nlibrary \"%s\"\nbyte_order \"little\"\n", magic,
                               SUMI_COMPILED_FORMAT, c->library);
  for (size_t i = 0; i < SUMI_COUNT(section); i++)
    at += (size_t)print_section(out + at, size - at, section[i].name, section[i].section);
  at += (size_t)snprintf(out + at, size - at, "packed_for isa \"%s\" graph \"%016" PRIx64 "\"\n", c->isa,
                         c->machine_graph);
  at += (size_t)snprintf(out + at, size - at, "checksum \"%016" PRIx64 "\"\n", sumi_hash(out, at, 0));
  memset(out + at, ' ', size - at);
  out[size - 1] = '\n';
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

static sumi_status expect_word(struct sumi_reader *r, const char *word) {
  struct sumi_str s;
  const char *at = r->p;
  SUMI_TRY(sumi_read_word(r, &s));
  if (sumi_str_is(s, word)) return SUMI_OK;
  return sumi_read_fail(r, at, SUMI_E_FORMAT, "'%s' expected", word);
}

/* A short word in quotes, of characters that need no escape. */
static sumi_status read_short(struct sumi_reader *r, char out[SUMI_COMPILED_WORD]) {
  struct sumi_str s;
  const char *at = r->p;
  SUMI_TRY(sumi_read_string(r, &s));
  if (s.size >= SUMI_COMPILED_WORD || memchr(s.data, 0, s.size))
    return sumi_read_fail(r, at, SUMI_E_FORMAT, "a word of %zu bytes", s.size);
  memcpy(out, s.data, s.size + 1);
  return SUMI_OK;
}

static sumi_status read_hash(struct sumi_reader *r, uint64_t *out) {
  char text[SUMI_COMPILED_WORD];
  SUMI_TRY(read_short(r, text));
  *out = 0;
  for (const char *p = text; *p; p++) {
    static const char digits[] = "0123456789abcdef";
    const char *digit = strchr(digits, *p);
    if (!digit || p - text == 16) return sumi_read_fail(r, r->p, SUMI_E_FORMAT, "a hash expected");
    *out = *out << 4 | (uint64_t)(digit - digits);
  }
  return SUMI_OK;
}

static sumi_status read_count(struct sumi_reader *r, uint64_t *out) {
  int64_t n;
  SUMI_TRY(sumi_read_int(r, &n));
  if (n < 0) return sumi_read_fail(r, r->p, SUMI_E_FORMAT, "%" PRId64 " bytes", n);
  *out = (uint64_t)n;
  return SUMI_OK;
}

static sumi_status read_section(struct sumi_reader *r, const char *name, struct sumi_compiled_section *s) {
  SUMI_TRY(expect_word(r, name));
  SUMI_TRY(expect_word(r, "at"));
  SUMI_TRY(read_count(r, &s->at));
  SUMI_TRY(expect_word(r, "bytes"));
  SUMI_TRY(read_count(r, &s->bytes));
  SUMI_TRY(expect_word(r, "hash"));
  return read_hash(r, &s->hash);
}

static sumi_status read_format(struct sumi_reader *r) {
  int64_t format;
  SUMI_TRY(expect_word(r, "sumi"));
  SUMI_TRY(expect_word(r, "model"));
  SUMI_TRY(sumi_read_int(r, &format));
  if (format != SUMI_COMPILED_FORMAT)
    SUMI_FAIL(r->err, SUMI_E_UNSUPPORTED,
              "a compiled model of format %" PRId64 ", this library reads format %d: compile it again",
              format, SUMI_COMPILED_FORMAT);
  return SUMI_OK;
}

static sumi_status read_words(struct sumi_reader *r, struct sumi_compiled *c) {
  char order[SUMI_COMPILED_WORD];
  SUMI_TRY(read_format(r));
  SUMI_TRY(expect_word(r, "library"));
  SUMI_TRY(read_short(r, c->library));
  SUMI_TRY(expect_word(r, "byte_order"));
  SUMI_TRY(read_short(r, order));
  SUMI_TRY(read_section(r, "graph", &c->graph));
  SUMI_TRY(read_section(r, "weights", &c->weights));
  SUMI_TRY(read_section(r, "packs", &c->packs));
  SUMI_TRY(read_section(r, "packed", &c->packed));
  SUMI_TRY(expect_word(r, "packed_for"));
  SUMI_TRY(expect_word(r, "isa"));
  SUMI_TRY(read_short(r, c->isa));
  SUMI_TRY(expect_word(r, "graph"));
  return read_hash(r, &c->machine_graph);
}

/* Each section where the one before it ends, the last at the file's end. */
static sumi_status check_places(const struct sumi_compiled *c, size_t n, struct sumi_err *err) {
  const struct sumi_compiled_section *section[] = {&c->graph, &c->weights, &c->packs, &c->packed};
  uint64_t end = SUMI_COMPILED_HEADER;
  for (size_t i = 0; i < SUMI_COUNT(section); i++) {
    const uint64_t at = (end + SUMI_ALIGN - 1) / SUMI_ALIGN * SUMI_ALIGN;
    if (section[i]->at != at || at > n || section[i]->bytes > n - at)
      SUMI_FAIL(err, SUMI_E_FORMAT, "a compiled model of %zu bytes is cut off or damaged", n);
    end = at + section[i]->bytes;
  }
  if (end != n)
    SUMI_FAIL(err, SUMI_E_FORMAT, "a compiled model of %zu bytes, but its sections end at %" PRIu64, n, end);
  return SUMI_OK;
}

sumi_status sumi_compiled_read(const void *bytes, size_t n, const struct sumi_allocator *a,
                               struct sumi_compiled *out, struct sumi_err *err) {
  char again[SUMI_COMPILED_HEADER];
  struct sumi_arena temp;
  *out = (struct sumi_compiled){0};
  if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "compiled models are little-endian, this machine is not");
  if (n < SUMI_COMPILED_HEADER) SUMI_FAIL(err, SUMI_E_FORMAT, "a compiled model of %zu bytes is cut off", n);
  sumi_arena_init(&temp, a);
  struct sumi_reader r = {.text = bytes,
                          .p = bytes,
                          .end = (const char *)bytes + SUMI_COMPILED_HEADER,
                          .temp = &temp,
                          .err = err};
  sumi_status status = read_words(&r, out);
  sumi_arena_fini(&temp);
  if (status != SUMI_OK)
    return status == SUMI_E_FORMAT ? sumi_err_prefix(err, status, "the header of a compiled model") : status;
  sumi_compiled_print(out, again);
  if (memcmp(again, bytes, sizeof again) != 0)
    SUMI_FAIL(err, SUMI_E_FORMAT, "the header of a compiled model is damaged: its checksum is wrong");
  return check_places(out, n, err);
}
