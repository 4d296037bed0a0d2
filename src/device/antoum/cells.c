/* Cells to words, whatever their kind, and what the kinds share. */
#include "device/antoum/cells.h"

#include "base/text.h"

sumi_status antoum_refuse(const struct antoum_cell_job *job, const char *format, ...) {
  if (!job->refusals) return SUMI_E_UNSUPPORTED;
  va_list args;
  va_start(args, format);
  sumi_text_add_reason(job->refusals, "card", format, args);
  va_end(args);
  return SUMI_E_UNSUPPORTED;
}

sumi_status antoum_cell(const struct antoum_cell_job *job, const struct sumi_cell *cell) {
  switch (cell->kind) {
    case SUMI_CELL_VECTOR: return antoum_vector_cell(job, &cell->u.vector);
    case SUMI_CELL_COPY: return antoum_copy_cell(job, &cell->u.copy);
    case SUMI_CELL_LOOKUP: return antoum_lookup_cell(job, &cell->u.lookup);
    case SUMI_CELL_PRODUCT: return antoum_product_cell(job, &cell->u.product);
  }
  SUMI_FAIL(job->w->err, SUMI_E_INTERNAL, "a cell of kind %d", (int)cell->kind);
}
