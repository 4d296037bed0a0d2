/* What the leaves of family attention_i8 share: their declarations, and how scratch is divided. */
#ifndef SUMI_KERNEL_ATTENTION_I8_INT_H
#define SUMI_KERNEL_ATTENTION_I8_INT_H

#include "kernel/attention_i8/attention_i8.h"

#define ATTENTION_I8(level, suffix, ...) \
  void sumi_attention_i8_##suffix(const struct sumi_attention_i8 *a, int64_t q0, int64_t q1, void *scratch);
#include "kernel/attention_i8/attention_i8.def"
#undef ATTENTION_I8

/* Words from the start of scratch, each a multiple of 16:
 *   query  [groups][queries]        words of the queries, bytes signed
 *   k_sum  [keys up to 16]          sums of the keys' bytes
 *   value  [groups][quads][4]       words of four keys for one feature, bytes signed, quad by quad
 *   v_sum  [4 * groups]             sums of v - v_zero
 *   score  [keys][queries]          float32
 *   weight [quads][queries]         words of four keys */
struct attention_room {
  int64_t quads, query, k_sum, value, v_sum, score, weight, words;
};

static inline struct attention_room attention_room(int64_t keys, int64_t groups, int64_t queries) {
  const int64_t blocks = (keys + 15) / 16;
  struct attention_room r = {.quads = 4 * blocks};
  r.k_sum = r.query + groups * queries;
  r.value = r.k_sum + 16 * blocks;
  r.v_sum = r.value + groups * r.quads * 4;
  r.score = r.v_sum + (4 * groups + 15) / 16 * 16;
  r.weight = r.score + keys * queries;
  r.words = r.weight + r.quads * queries;
  return r;
}

#endif
