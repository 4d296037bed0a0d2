/* Weights in words that are known only while running: packed dense, in every run, by a step of its own. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "op/word_weights.h"

enum { ROWS_EACH = 4 }; /* rows done together; blocks are multiples */

struct args {
  struct sumi_word_matrix m;
  int block, from, to; /* buffers */
  int64_t n_blocks, n_entries, each;
};

struct state {
  const struct args *a;
  const char *from;
  int32_t *to;
};

/* Channels of one group and tap, v to a word: the last word's rest is 0. */
static int32_t word_of(const struct sumi_word_matrix *m, const char *from, int64_t c) {
  const int64_t n = SUMI_MIN(m->channels - c, m->v), size = 4 / m->v;
  int32_t word = 0;
  for (int64_t k = 0; k < n; k++)
    memcpy((char *)&word + k * size, from + (c + k) * m->channel * size, (size_t)size);
  return word;
}

/* As word_of for whole words of two. */
static int32_t pair_of(const struct sumi_word_matrix *m, const char *from, int64_t c) {
  const uint16_t *half = (const uint16_t *)(const void *)from + c * m->channel;
  return (int32_t)(half[0] | (uint32_t)half[m->channel] << 16);
}

/* Row r of the blocks, all of it. */
static void gather_row(const struct state *st, int64_t r) {
  const struct args *a = st->a;
  const struct sumi_word_matrix *m = &a->m;
  const int64_t first = r / a->block * a->n_entries, i = r % a->block, size = 4 / m->v;
  int64_t e = 0;
  for (int64_t t = 0; r < m->rows && t < m->taps; t++) {
    const char *from = st->from + (r * m->row + t * m->tap) * size;
    for (int64_t c = 0; c < m->channels; c += m->v)
      st->to[sumi_packed_words_place(a->block, first, i, e++)] =
          m->v == 2 && c + 2 <= m->channels ? pair_of(m, from, c) : word_of(m, from, c);
  }
  for (; e < a->n_entries; e++) st->to[sumi_packed_words_place(a->block, first, i, e)] = 0;
}

/* n rows from r on, of one block, that are side by side in memory: entry by entry. */
static void gather_columns(const struct state *st, int64_t r, int64_t n) {
  const struct args *a = st->a;
  const struct sumi_word_matrix *m = &a->m;
  const int64_t first = r / a->block * a->n_entries;
  int64_t e = 0;
  for (int64_t t = 0; t < m->taps; t++)
    for (int64_t c = 0; c < m->channels; c += m->v, e++)
      for (int64_t i = 0; i < n; i++) {
        const char *from = st->from + (r + i + t * m->tap) * (4 / m->v);
        st->to[sumi_packed_words_place(a->block, first, r % a->block + i, e)] =
            m->v == 2 && c + 2 <= m->channels ? pair_of(m, from, c) : word_of(m, from, c);
      }
  for (; e < a->n_entries; e++)
    for (int64_t i = 0; i < n; i++) st->to[sumi_packed_words_place(a->block, first, r % a->block + i, e)] = 0;
}

/* Groups of ROWS_EACH rows. */
static void gather_rows(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *st = user;
  for (int64_t r = begin * ROWS_EACH; r < end * ROWS_EACH; r += ROWS_EACH) {
    const int64_t n = st->a->m.row == 1 ? SUMI_MAX(SUMI_MIN(st->a->m.rows - r, ROWS_EACH), 0) : 0;
    if (n) gather_columns(st, r, n);
    for (int64_t i = n; i < ROWS_EACH; i++) gather_row(st, r + i);
  }
}

static sumi_status run(const void *args, const struct sumi_run *run) {
  const struct args *a = args;
  struct state st = {a, run->buffer[a->from], run->buffer[a->to]};
  sumi_par_for(run->par, a->n_blocks * a->block / ROWS_EACH, 1, gather_rows, &st);
  return SUMI_OK;
}

/* The size of block, of those with tiles or at least 4 rows, that is predicted to be fastest. */
static void choose(const struct sumi_lower *l, const struct sumi_word_family *family, int64_t rows,
                   int64_t cols, int64_t pixels, struct sumi_word_gathered *out) {
  out->predicted_s = INFINITY;
  for (int block = 4; block < 1 << SUMI_WORD_FORMS; block *= 2) {
    const int64_t n_blocks = (rows + block - 1) / block;
    const struct sumi_word_offer offer =
        family->offer(l->isa, block, true, (double)(n_blocks * cols), (double)n_blocks, pixels);
    if (!(offer.seconds < out->predicted_s)) continue;
    out->kernel = offer.kernel;
    out->block = block;
    out->n_blocks = n_blocks;
    out->predicted_s = offer.seconds;
  }
}

sumi_status sumi_word_gather(struct sumi_lower *l, const struct sumi_word_family *family,
                             const struct sumi_word_matrix *m, int w, int64_t pixels,
                             struct sumi_word_gathered *out) {
  SUMI_ASSERT(l->err, m->groups == 1 && m->rows > 0 && m->channels > 0 && m->taps > 0);
  const int64_t each = (m->channels + m->v - 1) / m->v;
  int64_t cols, words;
  size_t bytes;
  if (!sumi_i64_mul(each, m->taps, &cols) || cols > INT32_MAX - SUMI_WORD_TILE)
    SUMI_FAIL(l->err, SUMI_E_LIMIT, "weights of %" PRId64 " x %" PRId64 " words are too many", m->rows, each);
  choose(l, family, m->rows, cols, pixels, out);
  out->n_entries = sumi_packed_words_filled(cols, out->block);
  if (!sumi_i64_mul(out->n_blocks * out->block, out->n_entries, &words) ||
      !sumi_size_mul((size_t)words, 4, &bytes))
    SUMI_FAIL(l->err, SUMI_E_LIMIT, "weights of %" PRId64 " x %" PRId64 " words are too many", m->rows, cols);
  struct args *a = SUMI_NEW(l->arena, struct args);
  if (!a || (out->buffer = sumi_lower_scratch(l, bytes)) < 0) SUMI_FAIL_MEMORY(l->err);
  *a = (struct args){*m, out->block, w, out->buffer, out->n_blocks, out->n_entries, each};
  return sumi_lower_emit(l, run, a, "weights gathered", &w, 1, &a->to, 1);
}

sumi_status sumi_word_all_offsets(struct sumi_lower *l, const int32_t *column, int64_t cols, int64_t n,
                                  const int32_t **off) {
  int32_t *to = SUMI_NEW_ARRAY(l->arena, (size_t)n, int32_t);
  if (!to) SUMI_FAIL_MEMORY(l->err);
  for (int64_t e = 0; e < n; e++) to[e] = column[SUMI_MIN(e, cols - 1)];
  *off = to;
  return SUMI_OK;
}
