/* Compiled models, out. The file is written without packed weights and opened as anybody would open it; a session of that
 * model packs, so that nodes are called what they will be called; then the packed weights are written behind and the header
 * anew. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/file_write.h"
#include "base/limits.h"
#include "base/size.h"
#include "exec/session.h"
#include "exec/stored.h"
#include "file/compiled.h"

enum { INLINE_ELEMENTS = 8 }; /* tensors of so few stand in the text */

/* Bytes that wait for their section, at offsets that are already printed. */
struct waiting {
  const void *data;
  size_t bytes;
};

struct writer {
  struct sumi_file_writer file;
  const struct sumi_allocator *allocator;
  struct sumi_compiled c;
  struct waiting *waiting; /* [n], each at the next multiple of SUMI_ALIGN of its section */
  size_t n, cap;
  uint64_t next; /* offset in the section behind the last of them */
  struct sumi_text text;
  struct sumi_err *err;
};

/* ---- sections ------------------------------------------------------------------------------------------------- */

static sumi_status begin(struct writer *w, struct sumi_compiled_section *s) {
  SUMI_TRY(sumi_file_write_align(&w->file, SUMI_ALIGN, w->err));
  *s = (struct sumi_compiled_section){w->file.at, 0, sumi_compiled_hash_start()};
  return SUMI_OK;
}

static sumi_status append(struct writer *w, struct sumi_compiled_section *s, const void *bytes, size_t n) {
  SUMI_TRY(sumi_file_write(&w->file, bytes, n, w->err));
  s->bytes += n;
  s->hash = sumi_compiled_hash(s->hash, bytes, n);
  return SUMI_OK;
}

static sumi_status write_text(struct writer *w, struct sumi_compiled_section *s) {
  if (w->text.failed) SUMI_FAIL_MEMORY(w->err);
  SUMI_TRY(begin(w, s));
  SUMI_TRY(append(w, s, sumi_text_str(&w->text), w->text.size));
  w->text.size = 0;
  return SUMI_OK;
}

/* The place of so many bytes in the section to come; false: out of memory. */
static bool wait_for(struct writer *w, const void *data, size_t bytes, uint64_t *offset) {
  void *grown = w->waiting;
  if (!sumi_grow(w->allocator, &grown, &w->cap, w->n + 1, sizeof *w->waiting)) return false;
  w->waiting = grown;
  w->waiting[w->n++] = (struct waiting){data, bytes};
  *offset = (w->next + SUMI_ALIGN - 1) / SUMI_ALIGN * SUMI_ALIGN;
  w->next = *offset + bytes;
  return true;
}

static sumi_status write_waiting(struct writer *w, struct sumi_compiled_section *s) {
  static const char zeros[SUMI_ALIGN];
  SUMI_TRY(begin(w, s));
  for (size_t i = 0; i < w->n; i++) {
    SUMI_TRY(append(w, s, zeros, (size_t)(-s->bytes % SUMI_ALIGN)));
    SUMI_TRY(append(w, s, w->waiting[i].data, w->waiting[i].bytes));
  }
  w->n = 0;
  w->next = 0;
  return SUMI_OK;
}

static sumi_status write_header(struct writer *w) {
  char header[SUMI_COMPILED_HEADER];
  sumi_compiled_print(&w->c, header);
  return sumi_file_rewrite(&w->file, 0, header, sizeof header, w->err);
}

/* ---- the graph and its weights -------------------------------------------------------------------------------- */

/* A NaN's bits do not survive as text. */
static bool has_nan(const struct sumi_tensor *t) {
  const bool is_complex = sumi_dtype_class(t->dtype) == 'C';
  const sumi_dtype d = t->dtype == SUMI_COMPLEX64    ? SUMI_FLOAT32
                       : t->dtype == SUMI_COMPLEX128 ? SUMI_FLOAT64
                                                     : t->dtype;
  if (d != SUMI_FLOAT32 && d != SUMI_FLOAT64) return false;
  for (int64_t i = 0; i < sumi_tensor_count(t) * (1 + is_complex); i++)
    if (isnan(sumi_get_f64(d, t->data, i))) return true;
  return false;
}

static bool place_tensor(void *user, const struct sumi_tensor *t, struct sumi_outside *where) {
  struct writer *w = user;
  size_t bytes = 0;
  if (t->dtype == SUMI_STRING || (sumi_tensor_count(t) <= INLINE_ELEMENTS && !has_nan(t))) return false;
  where->location = "weights";
  w->text.failed |= !sumi_dtype_bytes(t->dtype, sumi_tensor_count(t), &bytes);
  w->text.failed |= !wait_for(w, t->data, bytes, &where->offset);
  where->bytes = bytes;
  return true;
}

static sumi_status write_portable(struct writer *w, const struct sumi_graph *g) {
  const struct sumi_print_options options = {.max_elements = SIZE_MAX, .outside = place_tensor, .user = w};
  static const char blank[SUMI_COMPILED_HEADER];
  SUMI_TRY(sumi_file_write(&w->file, blank, sizeof blank, w->err));
  sumi_graph_print_with(g, &options, &w->text);
  SUMI_TRY(write_text(w, &w->c.graph));
  return write_waiting(w, &w->c.weights);
}

/* ---- packed weights ------------------------------------------------------------------------------------------- */

/* As sumi_read_string() takes it: a backslash before quotes and backslashes. */
static void add_quoted(struct sumi_text *t, const char *s) {
  sumi_text_add_bytes(t, "\"", 1);
  for (; *s; s++) {
    if (*s == '"' || *s == '\\') sumi_text_add_bytes(t, "\\", 1);
    sumi_text_add_bytes(t, s, 1);
  }
  sumi_text_add_bytes(t, "\" ", 2);
}

static sumi_status list_pack(void *user, const char *path, const struct sumi_pack *pack,
                             struct sumi_err *err) {
  struct writer *w = user;
  const char *const words[] = {path, pack->key, pack->kind};
  uint64_t offset;
  if (!wait_for(w, pack->blob->data, pack->blob->bytes, &offset)) SUMI_FAIL_MEMORY(err);
  for (size_t i = 0; i < SUMI_COUNT(words); i++) {
    add_quoted(&w->text, words[i]);
  }
  sumi_text_add(&w->text, "at %" PRIu64 " bytes %zu\n", offset, pack->blob->bytes);
  return SUMI_OK;
}

static sumi_status write_packs(struct writer *w, struct sumi_model *model) {
  if (model) {
    SUMI_TRY(sumi_stored_visit(model, list_pack, w, w->err));
    const struct sumi_graph *machine = model->machine[SUMI_PRECISION_FILE][SUMI_DEFAULTS_FIXED];
    w->c.machine_graph = machine ? sumi_stored_hash(machine) : 0;
  }
  SUMI_TRY(write_text(w, &w->c.packs));
  SUMI_TRY(write_waiting(w, &w->c.packed));
  return write_header(w);
}

/* Opens what was written so far, lets a session of it pack, and writes that behind. */
static sumi_status pack(struct writer *w, const struct sumi_limits *limits, const struct sumi_compile *job) {
  struct sumi_blob *file;
  struct sumi_model *model = NULL;
  struct sumi_session *session = NULL;
  struct sumi_stage *stage;
  SUMI_TRY(sumi_file_map(w->allocator, w->file.temp, SIZE_MAX, &file, w->err));
  sumi_status status = sumi_compiled_load(file, limits, false, w->allocator, &model, w->err);
  if (status == SUMI_OK) status = sumi_session_init(model, NULL, &session, w->err);
  if (status == SUMI_OK) status = sumi_session_plan(session, job->inputs, job->n_inputs, &stage, w->err);
  sumi_session_fini(session);
  if (status == SUMI_OK) status = write_packs(w, model);
  sumi_model_unref(model);
  return status;
}

/* ---- all of it ------------------------------------------------------------------------------------------------ */

static sumi_status write_file(struct writer *w, const struct sumi_model *model,
                              const struct sumi_compile *job) {
  snprintf(w->c.library, sizeof w->c.library, "%s", SUMI_VERSION);
  snprintf(w->c.isa, sizeof w->c.isa, "%s", sumi_isa_label(sumi_cpu_isa()));
  SUMI_TRY(write_portable(w, model->graph));
  SUMI_TRY(write_packs(w, NULL));
  if (!job->pack) return SUMI_OK;
  struct sumi_limits limits = sumi_limits_fill(&model->limits);
  limits.max_file_bytes = SIZE_MAX; /* the file is our own */
  return pack(w, &limits, job);
}

sumi_status sumi_compiled_write(const struct sumi_model *model, const char *path,
                                const struct sumi_compile *job, struct sumi_err *err) {
  struct writer w = {.allocator = &model->allocator, .err = err};
  sumi_model_need_all(model);
  SUMI_TRY(sumi_file_writer_open(&w.file, w.allocator, path, err));
  sumi_text_init(&w.text, w.allocator);
  sumi_status status = write_file(&w, model, job);
  if (status == SUMI_OK) status = sumi_file_writer_end(&w.file, err);
  sumi_file_writer_drop(&w.file);
  sumi_text_fini(&w.text);
  sumi_free(w.allocator, w.waiting, w.cap * sizeof *w.waiting);
  return status;
}
