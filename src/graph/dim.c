/* Symbolic dimensions. */
#include "graph/dim.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"

bool sumi_symbols_copy(struct sumi_symbols *to, const struct sumi_symbols *from) {
  struct sumi_dim_expr *expr = SUMI_NEW_ARRAY(to->arena, from->cap, struct sumi_dim_expr);
  uint32_t *slot = SUMI_NEW_ARRAY(to->arena, from->cap_slot, uint32_t);
  if (!expr || !slot) return false;
  if (from->n) memcpy(expr, from->expr, from->n * sizeof *expr);
  if (from->cap_slot) memcpy(slot, from->slot, from->cap_slot * sizeof *slot);
  to->expr = expr;
  to->n = from->n;
  to->cap = from->cap;
  to->slot = slot;
  to->cap_slot = from->cap_slot;
  return true;
}

sumi_dim sumi_dim_symbol(struct sumi_symbols *s, const char *name) {
  (void)s, (void)name;
  return SUMI_DIM_UNKNOWN;
}

sumi_dim sumi_dim_apply(struct sumi_symbols *s, enum sumi_dim_op op, sumi_dim a, sumi_dim b) {
  (void)s;
  int64_t r = SUMI_DIM_UNKNOWN;
  if (a < 0 || b < 0) return r;
  if (op == SUMI_DIM_ADD) sumi_i64_add(a, b, &r);
  if (op == SUMI_DIM_MUL) sumi_i64_mul(a, b, &r);
  if (op == SUMI_DIM_SUB) r = a - b;
  if (op == SUMI_DIM_DIV && b) r = a / b;
  if (op == SUMI_DIM_MAX) r = SUMI_MAX(a, b);
  if (op == SUMI_DIM_MIN) r = SUMI_MIN(a, b);
  return r < 0 ? SUMI_DIM_UNKNOWN : r;
}

sumi_dim sumi_dim_eval(const struct sumi_symbols *s, sumi_dim d, const char *const *name,
                       const int64_t *value, size_t n) {
  (void)s, (void)name, (void)value, (void)n;
  return d < 0 ? SUMI_DIM_UNKNOWN : d;
}

void sumi_dim_print(const struct sumi_symbols *s, sumi_dim d, struct sumi_text *out) {
  (void)s;
  if (d < 0)
    sumi_text_add_bytes(out, "?", 1);
  else
    sumi_text_add(out, "%lld", (long long)d);
}

sumi_dim sumi_dim_parse(struct sumi_symbols *s, const char *text, size_t n) {
  (void)s, (void)text, (void)n;
  return SUMI_DIM_UNKNOWN;
}
