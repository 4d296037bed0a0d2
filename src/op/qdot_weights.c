/* Weights of 8-bit products: facts, choice, packing. */
#include "op/qdot_weights.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"

static int64_t words_of_tap(const struct sumi_qdot_matrix *m) { return (m->groups * m->channels + 3) / 4; }

/* The matrix [rows, cols] of words; NULL when out of memory. Freed by the caller with the same allocator. */
static int32_t *make_words(const struct sumi_qdot_matrix *m, const struct sumi_allocator *a, size_t *bytes) {
  const int64_t each = words_of_tap(m), cols = each * m->taps, rows_group = m->rows / m->groups;
  if (!sumi_size_mul((size_t)(m->rows * 4), (size_t)cols, bytes)) return NULL;
  int8_t *word = sumi_alloc(a, *bytes); /* zeroed */
  for (int64_t r = 0; word && r < m->rows; r++) {
    const int64_t first = r / rows_group * m->channels;
    for (int64_t t = 0; t < m->taps; t++) {
      const int8_t *from = m->data + r * m->row + t * m->tap;
      int8_t *to = word + (r * cols + t * each) * 4 + first;
      for (int64_t c = 0; c < m->channels; c++) to[c] = from[c * m->channel];
    }
  }
  return (int32_t *)word;
}

/* ---- facts ------------------------------------------------------------------------------------------------------ */

static sumi_status make_facts(void *user, const struct sumi_allocator *a, struct sumi_blob **out,
                              struct sumi_err *err) {
  const struct sumi_qdot_matrix *m = user;
  size_t bytes;
  int32_t *word = make_words(m, a, &bytes);
  struct sumi_blob *blob =
      sumi_blob_new(a, sizeof(struct sumi_qdot_facts) + (size_t)m->rows * sizeof(int32_t));
  if (!word || !blob) {
    sumi_free(a, word, word ? bytes : 0);
    sumi_blob_unref(blob);
    SUMI_FAIL_MEMORY(err);
  }
  struct sumi_qdot_facts *f = sumi_blob_bytes(blob);
  const struct sumi_words w = {word, m->rows, words_of_tap(m) * m->taps};
  f->rows = w.rows;
  f->cols = w.cols;
  for (int i = 0; i < SUMI_QDOT_FORMS; i++) f->entries[i] = sumi_packed_i8_count(w, 1 << i);
  for (int64_t r = 0; r < w.rows; r++) {
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
  const struct sumi_qdot_matrix *m = user;
  const struct sumi_qdot_facts *f = data;
  if (bytes != sizeof *f + (size_t)m->rows * sizeof(int32_t) || f->rows != m->rows ||
      f->cols != words_of_tap(m) * m->taps)
    SUMI_FAIL(err, SUMI_E_FORMAT, "facts about other weights");
  return SUMI_OK;
}

static const struct sumi_pack_kind facts_kind = {"i8_facts.1", make_facts, check_facts};

/* ---- choice ----------------------------------------------------------------------------------------------------- */

struct form {
  const struct sumi_qdot_matrix *m;
  const struct sumi_spmm_i8_kernel *kernel;
  int block;
  bool dense;
  double seconds;
};

static struct form judge(const struct sumi_lower *l, const struct sumi_qdot_matrix *m,
                         const struct sumi_qdot_facts *f, int which, bool dense, int64_t pixels) {
  struct form form = {.m = m, .block = 1 << which, .dense = dense};
  const double n_blocks = (double)((f->rows + form.block - 1) / form.block);
  form.kernel = sumi_spmm_i8_pick(l->isa, form.block, pixels);
  form.seconds =
      sumi_spmm_i8_predict(form.kernel, form.block, dense,
                           dense ? n_blocks * (double)f->cols : (double)f->entries[which], n_blocks, pixels);
  return form;
}

static struct form choose(struct sumi_lower *l, const struct sumi_qdot_matrix *m,
                          const struct sumi_qdot_facts *f, int64_t pixels) {
  struct form best = {.seconds = INFINITY}, other = {.seconds = INFINITY}; /* other: of the other kind */
  for (int i = 0; i < 2 * SUMI_QDOT_FORMS; i++) {
    const bool dense = i < SUMI_QDOT_FORMS;
    const int which = i % SUMI_QDOT_FORMS;
    const int64_t n_blocks = (f->rows + (1 << which) - 1) >> which;
    if (dense ? which < 2 : f->entries[which] >= n_blocks * f->cols) continue; /* nothing to skip */
    const struct form form = judge(l, m, f, which, dense, pixels);
    if (form.seconds < best.seconds) {
      if (best.dense != form.dense) other = best;
      best = form;
    } else if (form.dense != best.dense && form.seconds < other.seconds) {
      other = form;
    }
  }
  if (other.kernel)
    sumi_lower_refuse(l, other.kernel->name,
                      "%s lists of %d rows are predicted to take %.3g ms, %s lists of %d rows %.3g ms",
                      other.dense ? "dense" : "sparse", other.block, other.seconds * 1e3,
                      best.dense ? "dense" : "sparse", best.block, best.seconds * 1e3);
  return best;
}

static sumi_status make_packed(void *user, const struct sumi_allocator *a, struct sumi_blob **out,
                               struct sumi_err *err) {
  const struct form *f = user;
  size_t bytes;
  int32_t *word = make_words(f->m, a, &bytes);
  if (!word) SUMI_FAIL_MEMORY(err);
  const struct sumi_words w = {word, f->m->rows, words_of_tap(f->m) * f->m->taps};
  const sumi_status status = sumi_packed_i8_make(w, f->block, f->dense, a, out, err);
  sumi_free(a, word, bytes);
  return status;
}

static sumi_status check_packed(void *user, const void *data, size_t bytes, struct sumi_err *err) {
  const struct form *f = user;
  const struct sumi_packed_i8 *p = data;
  SUMI_TRY(sumi_packed_i8_check(data, bytes, err));
  if (p->rows != (f->m->rows + 3) / 4 * 4 || p->cols != words_of_tap(f->m) * f->m->taps ||
      p->block != f->block || p->dense != f->dense)
    SUMI_FAIL(err, SUMI_E_FORMAT, "packed 8-bit weights of another form");
  return SUMI_OK;
}

static const struct sumi_pack_kind packed_kind = {"i8_lists.1", make_packed, check_packed};

sumi_status sumi_qdot_pack(struct sumi_lower *l, const struct sumi_qdot_matrix *m, int64_t pixels,
                           struct sumi_qdot_weights *out) {
  const void *data = NULL;
  SUMI_TRY(l->packs->get_kind(l->packs->self, l->node, "i8 facts", &facts_kind, (void *)m, &data, l->err));
  out->facts = data;
  struct form form = choose(l, m, out->facts, pixels);
  char key[32];
  snprintf(key, sizeof key, "i8 %s%d", form.dense ? "dense" : "sparse", form.block);
  SUMI_TRY(l->packs->get_kind(l->packs->self, l->node, key, &packed_kind, &form, &data, l->err));
  out->packed = data;
  out->kernel = form.kernel;
  out->predicted_s = form.seconds;
  return SUMI_OK;
}

sumi_status sumi_qdot_set_weights(struct sumi_lower *l, const struct sumi_qdot_weights *w,
                                  const int32_t *column, struct sumi_spmm_i8 *s) {
  const struct sumi_packed_i8 *p = w->packed;
  int32_t *off = SUMI_NEW_ARRAY(l->arena, (size_t)p->n_entries, int32_t);
  if (!off) SUMI_FAIL_MEMORY(l->err);
  const int32_t *col = sumi_packed_i8_col(p);
  for (int64_t e = 0; e < p->n_entries; e++) off[e] = column[col[e]];
  s->rows = p->rows;
  s->block = p->block;
  s->off = off;
  s->start = sumi_packed_i8_start(p);
  s->n_list = p->dense ? p->n_entries : 0;
  s->w = sumi_packed_i8_value(p);
  s->w_block = p->dense ? p->n_entries * p->block : 0;
  s->w_entry = p->block;
  s->w_row = 1;
  return SUMI_OK;
}
