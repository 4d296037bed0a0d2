/* StringSplit: the pieces of every string between delimiters, in one new last dimension that is as long as the most
 * pieces of any string (shorter ones are filled up with empty strings), and the number of pieces of each. Without a
 * delimiter, runs of white space delimit, and none is left at either end. At most maxsplit cuts are made, from the
 * left; the last piece is what is left then. A negative maxsplit is none.
 * White space is Unicode's, as in the standard's reference implementation, which however leaves white space at the end
 * of what is left after maxsplit cuts: the standard's text does not. */
#include <string.h>

#include "op/ops.h"
#include "op/utf8.h"

struct cutter {
  struct sumi_str delimiter; /* empty: white space */
  int64_t most;              /* cuts; -1 = any number */
};

static struct cutter cutter_of(const struct sumi_node *node) {
  const struct sumi_attr *d = sumi_node_attr(node, "delimiter");
  struct cutter cut = {.most = sumi_attr_int(node, "maxsplit", -1)};
  if (d) cut.delimiter = d->u.s;
  if (cut.most < 0) cut.most = -1;
  return cut;
}

static bool is_space(int32_t c) {
  return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
         c == 0x3000;
}

/* Bytes of s before the first white space (before: true) or of white space at its start. */
static size_t span(struct sumi_str s, bool before) {
  size_t at = 0, length;
  for (; at < s.size; at += length)
    if (is_space(sumi_utf8_get(s.data + at, s.size - at, &length)) == before) break;
  return at;
}

static void skip(struct sumi_str *s, size_t n) {
  s->data += n;
  s->size -= n;
}

/* s without the white space at its end. */
static struct sumi_str trimmed(struct sumi_str s) {
  size_t end = 0, length;
  for (size_t at = 0; at < s.size; at += length)
    if (!is_space(sumi_utf8_get(s.data + at, s.size - at, &length))) end = at + length;
  return (struct sumi_str){s.data, end};
}

/* The first piece of *rest, which receives what is behind its delimiter; false where there is none. first: no cut
 * was made yet. */
static bool next_word(struct sumi_str *rest, bool last, struct sumi_str *piece) {
  skip(rest, span(*rest, false));
  if (!rest->size) return false;
  *piece = last ? trimmed(*rest) : (struct sumi_str){rest->data, span(*rest, true)};
  skip(rest, last ? rest->size : piece->size);
  return true;
}

/* The same with a delimiter; *rest.data is NULL behind the last piece. */
static bool next_field(const struct cutter *cut, struct sumi_str *rest, bool last, struct sumi_str *piece) {
  if (!rest->data) return false;
  const char *at =
      last || !rest->size ? NULL : memmem(rest->data, rest->size, cut->delimiter.data, cut->delimiter.size);
  *piece = *rest;
  if (at) {
    piece->size = (size_t)(at - rest->data);
    skip(rest, piece->size + cut->delimiter.size);
  } else {
    *rest = (struct sumi_str){NULL, 0};
  }
  return true;
}

/* The number of pieces of s; piece[] receives them unless it is NULL. */
static int64_t split(const struct cutter *cut, struct sumi_str s, struct sumi_str *piece) {
  struct sumi_str rest = {s.data ? s.data : "", s.size}, one;
  for (int64_t n = 0;; n++) {
    const bool last = n == cut->most;
    if (!(cut->delimiter.size ? next_field(cut, &rest, last, &one) : next_word(&rest, last, &one))) return n;
    if (piece) piece[n] = one;
  }
}

static sumi_status string_split_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0];
  sumi_dim dim[SUMI_MAX_RANK];
  sumi_infer_out_like(ctx, 1, x, SUMI_INT64);
  if (x->rank < 0) {
    sumi_infer_out_unknown(ctx, 0, SUMI_STRING);
    return SUMI_OK;
  }
  if (x->rank == SUMI_MAX_RANK)
    SUMI_FAIL(ctx->err, SUMI_E_LIMIT, "X has rank %d: there is no room for one dimension more", x->rank);
  for (int i = 0; i < x->rank; i++) dim[i] = x->dim[i];
  dim[x->rank] = SUMI_DIM_UNKNOWN;
  sumi_infer_out(ctx, 0, SUMI_STRING, x->rank + 1, dim);
  return SUMI_OK;
}

static sumi_status string_split_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0];
  const struct sumi_str *s = x->data;
  const struct cutter cut = cutter_of(c->node);
  const int64_t n = sumi_tensor_count(x);
  int64_t dim[SUMI_MAX_RANK], most = 0;
  SUMI_TRY(sumi_call_output(c, 1, SUMI_INT64, x->rank, x->dim));
  for (int64_t i = 0; i < n; i++) {
    const int64_t pieces = split(&cut, s[i], NULL);
    if (sumi_call_wants(c, 1)) ((int64_t *)c->out[1]->data)[i] = pieces;
    if (pieces > most) most = pieces;
  }
  for (int i = 0; i < x->rank; i++) dim[i] = x->dim[i];
  dim[x->rank] = most;
  SUMI_TRY(sumi_call_output(c, 0, SUMI_STRING, x->rank + 1, dim));
  if (!sumi_call_wants(c, 0)) return SUMI_OK;
  struct sumi_str *y = c->out[0]->data;
  for (int64_t i = 0; i < n; i++, y += most) {
    const int64_t pieces = split(&cut, s[i], y);
    for (int64_t k = 0; k < most; k++) {
      y[k].data = k < pieces ? sumi_arena_strndup(c->heap, y[k].data, y[k].size) : "";
      if (!y[k].data) SUMI_FAIL_MEMORY(c->err);
    }
  }
  return SUMI_OK;
}

#define STRING SUMI_BIT(SUMI_STRING)
static const struct sumi_attr_spec attrs[] = {
    {"delimiter", SUMI_ATTR_STRING}, {"maxsplit", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {{"X", STRING}, {NULL}};
static const struct sumi_port out[] = {
    {"Y", STRING}, {"Z", SUMI_BIT(SUMI_INT64), 0, SUMI_PORT_OPTIONAL}, {NULL}};
static const struct sumi_case cases[] = {
    {"g (float[3,5] x) => (n, d) { s = Cast <to = 8> (x) y, n = StringSplit <delimiter = \".\"> (s) d = "
     "Shape (y) }",
     .why = "digits before and behind the point"},
    {NULL},
};

const struct sumi_op sumi_op_string_split = {
    .name = "StringSplit",
    .formula = "pieces between delimiters",
    .known_as = {{"", "StringSplit", {20}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_DYNAMIC,
    .infer = string_split_infer,
    .ref = string_split_ref,
    .cases = cases,
};
