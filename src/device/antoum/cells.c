/* What the kinds of cells share. */
#include "device/antoum/cells.h"

#include <stdio.h>

#include "base/text.h"

sumi_status antoum_refuse(const struct antoum_cell_job *job, const char *format, ...) {
  if (!job->refusals) return SUMI_E_UNSUPPORTED;
  char reason[256];
  va_list args;
  va_start(args, format);
  vsnprintf(reason, sizeof reason, format, args);
  va_end(args);
  sumi_text_add(job->refusals, "%scard: %s", job->refusals->size ? "\n" : "", reason);
  return SUMI_E_UNSUPPORTED;
}
