/* LOOKUP cells: rows of a table in DRAM by ids in SRAM. */
#include "base/size.h"
#include "device/antoum/stream.h"

enum { OUT = 0, IDS = 1 };

static sumi_status emit_part(const struct antoum_cell_job *job, const struct antoum_nest *t,
                             const int64_t *first, void *user) {
  (void)first;
  const struct sumi_cell_lookup *cell = user;
  const struct antoum_place *table = &job->place[cell->table];
  const int64_t row_bytes = t->view[OUT].hi;
  struct antoum_words *w = job->w;
  const int64_t n = t->rank ? t->n[0] : 1;
  const bool shared = w->split && n > 1 && !job->place[cell->out].dram; /* each row is read once */
  const int64_t most = SUMI_MIN(SUMI_CARD_MOST_BYTES / row_bytes, shared ? (n + w->cores - 1) / w->cores : n);
  const int64_t to = t->view[OUT].at;
  job->facts->shared |= shared;
  if (shared) SUMI_TRY(antoum_share_begin(w, (uint64_t)to, (uint64_t)(to + n * row_bytes)));
  for (int64_t i = 0; i < n; i += most) {
    const int64_t part = SUMI_MIN(most, n - i);
    if (shared) antoum_share_turn(w);
    const union sumi_card_word word = {
        .lookup = {.h = {.opcode = SUMI_CARD_OP_LOOKUP, .base = (uint8_t)table->base},
                   .table = table->at,
                   .rows = (uint32_t)cell->rows,
                   .row_bytes = (uint32_t)row_bytes,
                   .ids = SUMI_CARD_AT(SUMI_CARD_HERE, t->view[IDS].at + i * t->view[IDS].elem_bytes),
                   .out = SUMI_CARD_AT(SUMI_CARD_HERE, t->view[OUT].at + i * row_bytes),
                   .n = (uint32_t)part,
                   .out_step_bytes = (uint32_t)row_bytes,
                   .id_dtype = t->view[IDS].elem_bytes == 8 ? SUMI_CARD_I64 : SUMI_CARD_I32}};
    const uint64_t at = antoum_dram(table->base, table->at);
    const struct antoum_touch touch[] = {
        antoum_view_touch(t, &t->view[OUT], t->view[OUT].at + i * row_bytes, &part),
        antoum_view_touch(t, &t->view[IDS], t->view[IDS].at + i * t->view[IDS].elem_bytes, &part),
        {ANTOUM_DRAM, false, at, at + (uint64_t)(cell->rows * row_bytes)}};
    SUMI_TRY(antoum_emit(w, &word, touch, table->base == ANTOUM_BASE_CODE ? 2 : 3, 0));
    const struct antoum_share share = {
        .elem = 1, .at = to + i * row_bytes, .row_bytes = part * row_bytes, .n = {1, 1, 1}};
    if (shared) SUMI_TRY(antoum_share_copy(w, &share));
  }
  return shared ? antoum_share_end(w) : SUMI_OK;
}

sumi_status antoum_lookup_cell(const struct antoum_cell_job *job, const struct sumi_cell_lookup *cell) {
  const struct sumi_cell_operand *table = &job->operand[cell->table], *ids = &job->operand[cell->ids];
  if (!cell->n || !cell->row) return SUMI_OK;
  if (ids->dtype != SUMI_INT32 && ids->dtype != SUMI_INT64)
    return antoum_refuse(job, "ids are neither int32 nor int64");
  if (!job->place[cell->table].dram || job->place[cell->table].core_step)
    return antoum_refuse(job, "rows are looked up in a table that all cores share in DRAM");
  int64_t row_bytes, bytes;
  if (!sumi_i64_mul(cell->row, sumi_dtype_bits(table->dtype) / 8, &row_bytes) ||
      !sumi_i64_mul(row_bytes, cell->rows, &bytes) || (size_t)bytes > table->bytes || cell->rows < 1 ||
      cell->rows > UINT32_MAX || row_bytes < 1 || row_bytes > SUMI_CARD_MOST_BYTES)
    return antoum_refuse(job, "a table of %lld rows of %lld elements", (long long)cell->rows,
                         (long long)cell->row);
  struct antoum_nest nest = {.rank = 1, .n = {cell->n}};
  const struct sumi_cell_view out = {.operand = cell->out, .step = {cell->row}};
  const struct sumi_cell_view id = {.operand = cell->ids, .step = {1}};
  SUMI_TRY(antoum_nest_view(job, &nest, &out, 0, cell->row));
  SUMI_TRY(antoum_nest_view(job, &nest, &id, 0, 1));
  nest.view[OUT].write = nest.view[OUT].solid = nest.view[IDS].read = true;
  SUMI_TRY(antoum_nest_tidy(job, &nest));
  return antoum_stream(job, &nest, emit_part, (void *)(uintptr_t)cell);
}
