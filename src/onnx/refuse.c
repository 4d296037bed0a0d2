/* Reasons against a model, collected and told all at once. */
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "base/text.h"
#include "onnx/import_int.h"

enum { NAME_BYTES = 200 }; /* of a name in a sentence */

void sumi_onnx_printable(char *to, size_t size, struct sumi_str s) {
  const size_t n = SUMI_MIN(s.size, size - 1);
  for (size_t i = 0; i < n; i++) {
    const unsigned char c = (unsigned char)s.data[i];
    to[i] = c < 32 || c == 127 ? '?' : (char)c;
  }
  to[n] = 0;
}

static void print_op(char *to, size_t size, const struct sumi_onnx_place *p) {
  char domain[NAME_BYTES] = "ai.onnx", op[NAME_BYTES];
  if (p->domain.size) sumi_onnx_printable(domain, sizeof domain, p->domain);
  sumi_onnx_printable(op, sizeof op, p->op);
  snprintf(to, size, "%s.%s", domain, op);
}

/* "and 12345 more" must find room behind the last reason that is shown. */
enum { TAIL_BYTES = 48 };

static void add_line(struct sumi_onnx_refusals *r, const char *line) {
  const size_t n = strlen(line), want = n + (r->size != 0);
  const bool all_shown = r->n_shown == r->n - 1;
  if (!all_shown || want > sizeof r->text - TAIL_BYTES - r->size) return;
  if (r->size) r->text[r->size++] = '\n';
  memcpy(r->text + r->size, line, n + 1);
  r->size += n;
  r->n_shown++;
}

sumi_status sumi_onnx_refuse(struct sumi_onnx_importer *im, const struct sumi_onnx_place *place,
                             const struct sumi_err *why, struct sumi_err *err) {
  if (im->refusals.fatal)
    return sumi_err_set(err, why->status, "%s", why->text); /* the innermost place was told */
  char node[NAME_BYTES] = "", op[2 * NAME_BYTES + 2] = "", reason[SUMI_ERR_TEXT], line[SUMI_ERR_TEXT];
  sumi_onnx_printable(reason, sizeof reason, (struct sumi_str){why->text, strlen(why->text)});
  snprintf(line, sizeof line, "%s", reason);
  if (place->op.data) {
    struct sumi_str name = place->node;
    char full[2 * NAME_BYTES];
    if (place->prefix && *place->prefix) {
      const int n = snprintf(full, sizeof full, "%.*s%.*s", NAME_BYTES - 1, place->prefix,
                             (int)SUMI_MIN(name.size, (size_t)NAME_BYTES - 1), name.data ? name.data : "");
      name = (struct sumi_str){full, (size_t)n};
    }
    sumi_onnx_printable(node, sizeof node, name);
    print_op(op, sizeof op, place);
    if (snprintf(line, sizeof line, "node '%s' (%s, version %d): %s", node, op, place->version, reason) < 0)
      line[0] = 0;
  }
  if (why->status == SUMI_E_MEMORY || why->status == SUMI_E_LIMIT || why->status == SUMI_E_INTERNAL) {
    im->refusals.fatal = true;
    return sumi_err_set(err, why->status, "%s", line);
  }
  struct sumi_onnx_refusals *r = &im->refusals;
  r->n++;
  if (r->status == SUMI_OK || r->status == SUMI_E_UNSUPPORTED) r->status = why->status;
  add_line(r, line);
  if (r->on_refusal) {
    const struct sumi_refusal refusal = {node, op, place->version, reason};
    r->on_refusal(r->user, &refusal);
  }
  return SUMI_OK;
}

sumi_status sumi_onnx_refusals_end(const struct sumi_onnx_importer *im, struct sumi_err *err) {
  const struct sumi_onnx_refusals *r = &im->refusals;
  if (!r->n) return SUMI_OK;
  if (r->n == r->n_shown) return sumi_err_set(err, r->status, "%s", r->text);
  return sumi_err_set(err, r->status, "%s%sand %zu more", r->text, r->n_shown ? "\n" : "", r->n - r->n_shown);
}
