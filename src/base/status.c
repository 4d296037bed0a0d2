/* Status codes and error text. The first failure wins: later ones are usually its echo. */
#include "base/status.h"

#include <stdio.h>
#include <string.h>

static const struct {
  sumi_status code;
  const char *name, *sentence;
} codes[] = {
#define SUMI_STATUS(code, name, sentence) {code, name, sentence},
#include "base/status.def"
#undef SUMI_STATUS
};

_Static_assert(sizeof codes / sizeof codes[0] == SUMI_E_DEVICE + 1, "status.def has a row for every code");

sumi_status sumi_err_set(struct sumi_err *err, sumi_status status, const char *format, ...) {
  if (err && err->status == SUMI_OK) {
    va_list args;
    va_start(args, format);
    err->status = status;
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
  }
  return status;
}

sumi_status sumi_err_prefix(struct sumi_err *err, sumi_status status, const char *format, ...) {
  if (!err || err->status == SUMI_OK) return status;
  char old[SUMI_ERR_TEXT];
  memcpy(old, err->text, sizeof old);
  va_list args;
  va_start(args, format);
  const int n = vsnprintf(err->text, sizeof err->text, format, args);
  va_end(args);
  const size_t at = n < 0 ? 0 : (size_t)n < sizeof err->text ? (size_t)n : sizeof err->text - 1;
  snprintf(err->text + at, sizeof err->text - at, ": %s", old);
  return err->status;
}

void sumi_err_clear(struct sumi_err *err) {
  if (!err) return;
  err->status = SUMI_OK;
  err->text[0] = 0;
}

const char *sumi_status_label(sumi_status status) {
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
    if (codes[i].code == status) return codes[i].name;
  return "?";
}

const char *sumi_status_sentence(sumi_status status) {
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
    if (codes[i].code == status) return codes[i].sentence;
  return "an unknown status code";
}
