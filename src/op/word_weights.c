/* Weights in words: facts, choice, packing. */
#include "op/word_weights.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "kernel/spmm/spmm_bf16.h"
#include "kernel/spmm/spmm_i8.h"

static int64_t words_of_tap(const struct sumi_word_matrix *m) {
  return (m->groups * m->channels + m->v - 1) / m->v;
}

/* n elements of 4 / v bytes, `step` elements apart, side by side. */
static void gather(int v, const void *from, int64_t step, int64_t n, void *to) {
  if (v == 4)
    for (int64_t c = 0; c < n; c++) ((uint8_t *)to)[c] = ((const uint8_t *)from)[c * step];
  else
    for (int64_t c = 0; c < n; c++) ((uint16_t *)to)[c] = ((const uint16_t *)from)[c * step];
}

/* The matrix [rows, cols] of words; NULL when out of memory. Freed by the caller with the same allocator. */
static int32_t *make_words(const struct sumi_word_matrix *m, const struct sumi_allocator *a, size_t *bytes) {
  const int64_t each = words_of_tap(m), cols = each * m->taps, rows_group = m->rows / m->groups;
  const int64_t size = 4 / m->v;
  if (!sumi_size_mul((size_t)(m->rows * 4), (size_t)cols, bytes)) return NULL;
  char *word = sumi_alloc(a, *bytes); /* zeroed */
  for (int64_t r = 0; word && r < m->rows; r++) {
    const int64_t first = r / rows_group * m->channels;
    for (int64_t t = 0; t < m->taps; t++)
      gather(m->v, (const char *)m->data + (r * m->row + t * m->tap) * size, m->channel, m->channels,
             word + (r * cols + t * each) * 4 + first * size);
  }
  return (int32_t *)(void *)word;
}

/* ---- facts ------------------------------------------------------------------------------------------------------ */

static sumi_status make_facts(void *user, const struct sumi_allocator *a, struct sumi_blob **out,
                              struct sumi_err *err) {
  const struct sumi_word_matrix *m = user;
  size_t bytes;
  int32_t *word = make_words(m, a, &bytes);
  struct sumi_blob *blob =
      sumi_blob_new(a, sizeof(struct sumi_word_facts) + (size_t)m->rows * sizeof(int32_t));
  if (!word || !blob) {
    sumi_free(a, word, word ? bytes : 0);
    sumi_blob_unref(blob);
    SUMI_FAIL_MEMORY(err);
  }
  struct sumi_word_facts *f = sumi_blob_bytes(blob);
  const struct sumi_words w = {word, m->rows, words_of_tap(m) * m->taps};
  f->rows = w.rows;
  f->cols = w.cols;
  for (int i = 0; i < SUMI_WORD_FORMS; i++) f->entries[i] = sumi_packed_words_count(w, 1 << i);
  for (int64_t r = 0; m->v == 4 && r < w.rows; r++) {
    const int8_t *from = (const int8_t *)(word + r * w.cols);
    int32_t sum = 0;
    for (int64_t k = 0; k < 4 * w.cols; k++) sum += from[k];
    f->sum[r] = sum;
  }
  sumi_free(a, word, bytes);
  *out = blob;
  return SUMI_OK;
}

static sumi_status check_facts(void *user, const void *data, size_t bytes, struct sumi_err *err) {
  const struct sumi_word_matrix *m = user;
  const struct sumi_word_facts *f = data;
  if (bytes != sizeof *f + (size_t)m->rows * sizeof(int32_t) || f->rows != m->rows ||
      f->cols != words_of_tap(m) * m->taps)
    SUMI_FAIL(err, SUMI_E_FORMAT, "facts about other weights");
  return SUMI_OK;
}

/* ---- choice ----------------------------------------------------------------------------------------------------- */

struct form {
  const struct sumi_word_matrix *m;
  int block;
  bool dense;
  struct sumi_word_offer offer;
};

static struct form judge(const struct sumi_lower *l, const struct sumi_word_family *family,
                         const struct sumi_word_matrix *m, const struct sumi_word_facts *f, int which,
                         bool dense, int64_t pixels) {
  const int block = 1 << which;
  const double n_blocks = (double)((f->rows + block - 1) / block);
  const double entries = dense ? n_blocks * (double)f->cols : (double)f->entries[which];
  return (struct form){m, block, dense, family->offer(l->isa, block, dense, entries, n_blocks, pixels)};
}

static struct form choose(struct sumi_lower *l, const struct sumi_word_family *family,
                          const struct sumi_word_matrix *m, const struct sumi_word_facts *f, int64_t pixels) {
  struct form best = {.offer.seconds = INFINITY}, other = best; /* other: of the other kind */
  for (int i = 0; i < 2 * SUMI_WORD_FORMS; i++) {
    const bool dense = i < SUMI_WORD_FORMS;
    const int which = i % SUMI_WORD_FORMS;
    const int64_t n_blocks = (f->rows + (1 << which) - 1) >> which;
    if (l->lists == (dense ? SUMI_LISTS_SPARSE : SUMI_LISTS_DENSE)) continue;
    const bool all = f->entries[which] >= n_blocks * f->cols;
    if (dense ? which < 2 : all && l->lists == SUMI_LISTS_FASTER) continue; /* nothing to skip */
    const struct form form = judge(l, family, m, f, which, dense, pixels);
    if (form.offer.seconds < best.offer.seconds) {
      if (best.dense != form.dense) other = best;
      best = form;
    } else if (form.dense != best.dense && form.offer.seconds < other.offer.seconds) {
      other = form;
    }
  }
  if (other.offer.kernel)
    sumi_lower_refuse(l, other.offer.name,
                      "%s lists of %d rows are predicted to take %.3g ms, %s lists of %d rows %.3g ms",
                      other.dense ? "dense" : "sparse", other.block, other.offer.seconds * 1e3,
                      best.dense ? "dense" : "sparse", best.block, best.offer.seconds * 1e3);
  return best;
}

static sumi_status make_packed(void *user, const struct sumi_allocator *a, struct sumi_blob **out,
                               struct sumi_err *err) {
  const struct form *f = user;
  size_t bytes;
  int32_t *word = make_words(f->m, a, &bytes);
  if (!word) SUMI_FAIL_MEMORY(err);
  const struct sumi_words w = {word, f->m->rows, words_of_tap(f->m) * f->m->taps};
  const sumi_status status = sumi_packed_words_make(w, f->block, f->dense, a, out, err);
  sumi_free(a, word, bytes);
  return status;
}

static sumi_status check_packed(void *user, const void *data, size_t bytes, struct sumi_err *err) {
  const struct form *f = user;
  const struct sumi_packed_words *p = data;
  SUMI_TRY(sumi_packed_words_check(data, bytes, err));
  if (p->rows != (f->m->rows + 3) / 4 * 4 || p->cols != words_of_tap(f->m) * f->m->taps ||
      p->block != f->block || p->dense != f->dense)
    SUMI_FAIL(err, SUMI_E_FORMAT, "packed words of weights of another form");
  return SUMI_OK;
}

/* ---- families --------------------------------------------------------------------------------------------------- */

static struct sumi_word_offer offer_i8(enum sumi_isa level, int block, bool dense, double entries,
                                       double n_blocks, int64_t pixels) {
  const struct sumi_spmm_i8_kernel *k = sumi_spmm_i8_pick(level, block, pixels);
  return (struct sumi_word_offer){k, k->name,
                                  sumi_spmm_i8_predict(k, block, dense, entries, n_blocks, pixels)};
}

static struct sumi_word_offer offer_bf16(enum sumi_isa level, int block, bool dense, double entries,
                                         double n_blocks, int64_t pixels) {
  const struct sumi_spmm_bf16_kernel *k = sumi_spmm_bf16_pick(level, block);
  return (struct sumi_word_offer){k, k->name,
                                  sumi_spmm_bf16_predict(k, block, dense, entries, n_blocks, pixels)};
}

const struct sumi_word_family sumi_words_i8 = {
    .label = "i8",
    .facts = {"i8_facts.1", make_facts, check_facts},
    .packed = {"i8_lists.1", make_packed, check_packed},
    .offer = offer_i8,
};

const struct sumi_word_family sumi_words_bf16 = {
    .label = "bf16",
    .facts = {"bf16_facts.1", make_facts, check_facts},
    .packed = {"bf16_lists.1", make_packed, check_packed},
    .offer = offer_bf16,
};

/* ---- packing ---------------------------------------------------------------------------------------------------- */

sumi_status sumi_word_pack(struct sumi_lower *l, const struct sumi_word_family *family,
                           const struct sumi_word_matrix *m, int64_t pixels, struct sumi_word_weights *out) {
  const void *data = NULL;
  char key[32];
  snprintf(key, sizeof key, "%s facts", family->label);
  SUMI_TRY(l->packs->get_kind(l->packs->self, l->node, key, &family->facts, (void *)m, &data, l->err));
  out->facts = data;
  struct form form = choose(l, family, m, out->facts, pixels);
  snprintf(key, sizeof key, "%s %s%d", family->label, form.dense ? "dense" : "sparse", form.block);
  SUMI_TRY(l->packs->get_kind(l->packs->self, l->node, key, &family->packed, &form, &data, l->err));
  out->packed = data;
  out->kernel = form.offer.kernel;
  out->predicted_s = form.offer.seconds;
  return SUMI_OK;
}

sumi_status sumi_word_offsets(struct sumi_lower *l, const struct sumi_packed_words *p, const int32_t *column,
                              const int32_t **off) {
  int32_t *to = SUMI_NEW_ARRAY(l->arena, (size_t)p->n_entries, int32_t);
  if (!to) SUMI_FAIL_MEMORY(l->err);
  const int32_t *col = sumi_packed_words_col(p);
  for (int64_t e = 0; e < p->n_entries; e++) to[e] = column[col[e]];
  *off = to;
  return SUMI_OK;
}
