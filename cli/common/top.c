/* Largest scores and class names. */
#include "common/top.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/npy.h"

size_t cli_top(const double *scores, size_t n, size_t k, struct cli_top *out) {
  size_t found = 0;
  double sum = 0, largest = -INFINITY;
  bool probabilities = true;
  for (size_t i = 0; i < n; i++) {
    if (scores[i] > largest) largest = scores[i];
    if (!(scores[i] >= 0 && scores[i] <= 1)) probabilities = false;
    sum += scores[i];
  }
  probabilities = probabilities && fabs(sum - 1) < 1e-2;
  double total = 0;
  for (size_t i = 0; i < n; i++) {
    const double s = isnan(scores[i]) ? -INFINITY : scores[i];
    if (!probabilities) total += exp(s - largest);
    size_t at = found;
    while (at > 0 && out[at - 1].score < s) at--;
    if (at >= k) continue;
    if (found < k) found++;
    memmove(out + at + 1, out + at, (found - at - 1) * sizeof *out);
    out[at] = (struct cli_top){.class_ = (int64_t)i, .score = s};
  }
  for (size_t i = 0; i < found && !probabilities; i++) out[i].score = exp(out[i].score - largest) / total;
  return found;
}

int cli_labels_read(const char *path, struct cli_labels *labels) {
  *labels = (struct cli_labels){0};
  if (!path) return CLI_GO_ON;
  struct cli_bytes b;
  struct sumi_err err = SUMI_ERR_INIT;
  const sumi_status status = cli_bytes_read(path, &b, &err);
  if (status != SUMI_OK) return cli_refuse(status, "%s", err.text);
  for (size_t at = 0; at < b.n;) {
    const uint8_t *newline = memchr(b.data + at, '\n', b.n - at);
    size_t end = newline ? (size_t)(newline - b.data) : b.n;
    const size_t next = end + 1;
    if (end > at && b.data[end - 1] == '\r') end--;
    labels->line = cli_grow(labels->line, &labels->cap, labels->n + 1, sizeof *labels->line);
    labels->line[labels->n++] =
        cli_printf("%.*s", (int)(end - at < 4096 ? end - at : 4096), (char *)b.data + at);
    at = next;
  }
  cli_bytes_fini(&b);
  return CLI_GO_ON;
}

const char *cli_label(const struct cli_labels *labels, int64_t class_, char *buf, size_t size) {
  if (class_ >= 0 && (size_t)class_ < labels->n) return labels->line[class_];
  snprintf(buf, size, "%lld", (long long)class_);
  return buf;
}

void cli_labels_fini(struct cli_labels *labels) {
  for (size_t i = 0; i < labels->n; i++) free(labels->line[i]);
  free(labels->line);
  *labels = (struct cli_labels){0};
}
