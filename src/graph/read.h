/* The words of the ONNX text syntax, and the types and tensors written in it. What parse.c stands on. */
#ifndef SUMI_GRAPH_READ_H
#define SUMI_GRAPH_READ_H

#include "graph/graph.h"

struct sumi_reader {
  const char *text, *p, *end;
  struct sumi_arena *temp; /* names and lists until the text is read */
  struct sumi_err *err;
  const struct sumi_parse_options *options; /* NULL: no tensor lies outside the text */
};

/* "line 3, column 7: ..." for the place at. Returns status. */
sumi_status sumi_read_fail(struct sumi_reader *r, const char *at, sumi_status status, const char *format, ...)
    SUMI_PRINTF(4, 5);

/* The next byte that is no space or comment; 0 at the end. */
char sumi_read_peek(struct sumi_reader *r);
/* Takes c if it is next. */
bool sumi_read_take(struct sumi_reader *r, char c);
sumi_status sumi_read_expect(struct sumi_reader *r, char c);

bool sumi_read_is_word_start(char c);
/* The identifier that is next, not taken; n = 0: none. */
struct sumi_str sumi_read_peek_word(struct sumi_reader *r);
bool sumi_str_is(struct sumi_str s, const char *word);

sumi_status sumi_read_word(struct sumi_reader *r, struct sumi_str *out);   /* an identifier */
sumi_status sumi_read_string(struct sumi_reader *r, struct sumi_str *out); /* "...", terminated, in temp */
/* An identifier or a quoted name (maybe empty, no zero bytes), terminated, in temp. */
sumi_status sumi_read_name(struct sumi_reader *r, const char **out);
bool sumi_read_at_name(struct sumi_reader *r);

/* A number as it stands; whole: no point, no exponent, neither inf nor nan. */
struct sumi_literal {
  struct sumi_str s;
  bool whole;
};
bool sumi_read_at_number(struct sumi_reader *r); /* inf and nan included */
sumi_status sumi_read_literal(struct sumi_reader *r, struct sumi_literal *out);
sumi_status sumi_read_int(struct sumi_reader *r, int64_t *out);
sumi_status sumi_literal_int(struct sumi_reader *r, struct sumi_literal l, int64_t *out);
sumi_status sumi_literal_float(struct sumi_reader *r, struct sumi_literal l, float *out);

/* A word that begins a type is next. */
bool sumi_read_at_type(struct sumi_reader *r);
bool sumi_word_is_type(const char *s, size_t n); /* a name that must be quoted where a type may stand */
sumi_status sumi_read_type(struct sumi_reader *r, struct sumi_symbols *symbols, struct sumi_info *out);

/* {...}, or ["location": ...] for external data, for a tensor of that type, which must be a tensor's with known shape.
 * Strings lie in arena, everything else in *blob, a new reference. */
sumi_status sumi_read_tensor(struct sumi_reader *r, const struct sumi_info *type, struct sumi_arena *arena,
                             struct sumi_tensor *out, struct sumi_blob **blob);

/* A list in temp, grown by doubling. Room for one more item, zeroed; NULL: out of memory. */
struct sumi_list {
  void *items;
  size_t n, cap;
};
void *sumi_list_push(struct sumi_reader *r, struct sumi_list *list, size_t item_bytes);

#endif
