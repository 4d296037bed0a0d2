/* Weights of 8-bit products. */
#include "op/qdot_weights.h"

sumi_status sumi_qdot_set_weights(struct sumi_lower *l, const struct sumi_word_weights *w,
                                  const int32_t *column, struct sumi_spmm_i8 *s) {
  const struct sumi_packed_words *p = w->packed;
  SUMI_TRY(sumi_word_offsets(l, p, column, &s->off));
  s->rows = p->rows;
  s->block = p->block;
  s->start = sumi_packed_words_start(p);
  s->n_list = p->dense ? p->n_entries : 0;
  s->w = sumi_packed_words_value(p);
  s->w_block = p->dense ? p->n_entries * p->block : 0;
  s->w_entry = p->block;
  s->w_row = 1;
  return SUMI_OK;
}
