/* StringConcat: string[i] = a[i] followed by b[i], broadcast as arith.c does. */
#include <string.h>

#include "base/size.h"
#include "op/broadcast.h"
#include "op/ops.h"

static sumi_status string_concat_infer(struct sumi_infer *ctx) { return sumi_infer_binary(ctx, SUMI_STRING); }

static sumi_status join(const struct sumi_call *c, struct sumi_str a, struct sumi_str b,
                        struct sumi_str *to) {
  size_t size;
  char *text = NULL;
  if (sumi_size_add(a.size, b.size, &size) && size < SIZE_MAX) text = sumi_arena_alloc(c->heap, size + 1);
  if (!text) SUMI_FAIL_MEMORY(c->err);
  if (a.size) memcpy(text, a.data, a.size);
  if (b.size) memcpy(text + a.size, b.data, b.size);
  *to = (struct sumi_str){text, size};
  return SUMI_OK;
}

static sumi_status string_concat_ref(const struct sumi_call *c) {
  struct sumi_bcast b;
  SUMI_ASSERT(c->err, c->heap);
  sumi_bcast_init(&b, c->out[0]->rank, c->out[0]->dim, c->in, 2);
  const struct sumi_str *p = c->in[0]->data, *q = c->in[1]->data;
  const int64_t n = b.dim[b.rank - 1], step_p = b.stride[0][b.rank - 1], step_q = b.stride[1][b.rank - 1];
  struct sumi_str *y = c->out[0]->data;
  for (struct sumi_walk w = sumi_bcast_rows(&b); !w.done; sumi_walk_next(&w))
    for (int64_t i = 0; i < n; i++)
      SUMI_TRY(join(c, p[w.offset[0] + i * step_p], q[w.offset[1] + i * step_q], y++));
  return SUMI_OK;
}

#define STRING SUMI_BIT(SUMI_STRING)
static const struct sumi_port in[] = {{"X", STRING}, {"Y", STRING}, {NULL}};
static const struct sumi_port out[] = {{"Z", STRING}, {NULL}};
static const struct sumi_case cases[] = {
    {"g (int32[3,1,5] a, int32[4,1] b) => (y) { p = Cast <to = 8> (a) q = Cast <to = 8> (b)"
     " s = StringConcat (p, q) y = Cast <to = 6> (s) }",
     .why = "digits side by side"},
    {"g (int32[0,3] a, int32 b) => (y) { p = Cast <to = 8> (a) q = Cast <to = 8> (b)"
     " s = StringConcat (p, q) y = Cast <to = 6> (s) }"},
    {NULL},
};

const struct sumi_op sumi_op_string_concat = {
    .name = "StringConcat",
    .formula = "a followed by b",
    .known_as = {{"", "StringConcat", {20}}},
    .in = in,
    .out = out,
    .infer = string_concat_infer,
    .ref = string_concat_ref,
    .cases = cases,
};
