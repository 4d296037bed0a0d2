/* One dimension of a shape before the input shapes are known: a number, a symbolic expression, or unknown.
 * sumi_dim >= 0 is the number itself; SUMI_DIM_UNKNOWN says nothing; other negatives name an expression in a
 * table of symbols. Equal expressions have equal handles. */
#ifndef SUMI_GRAPH_DIM_H
#define SUMI_GRAPH_DIM_H

#include "base/mem.h"
#include "base/text.h"

typedef int64_t sumi_dim;
#define SUMI_DIM_UNKNOWN ((sumi_dim)-1)

enum sumi_dim_op {
  SUMI_DIM_SYMBOL,
  SUMI_DIM_ADD,
  SUMI_DIM_SUB,
  SUMI_DIM_MUL,
  SUMI_DIM_DIV /* floor */,
  SUMI_DIM_MAX,
  SUMI_DIM_MIN
};

struct sumi_dim_expr {
  enum sumi_dim_op op;
  const char *symbol; /* SUMI_DIM_SYMBOL */
  sumi_dim a, b;      /* the others */
  uint32_t size;      /* nodes of the expression written out as a tree */
};

/* The expressions of one graph and its bodies. */
struct sumi_symbols {
  struct sumi_arena *arena;
  struct sumi_dim_expr *expr;
  size_t n, cap;
  uint32_t *slot; /* hash table of indices + 1 */
  size_t cap_slot;
  uint64_t salt;
};

/* Fills an empty table with what another holds: equal handles mean equal things in both. Names are shared.
 * False: out of memory. */
bool sumi_symbols_copy(struct sumi_symbols *to, const struct sumi_symbols *from);

static inline bool sumi_dim_known(sumi_dim d) { return d >= 0; }

/* Each simplifies (constants fold, x + 0, x * 1, x - x, (x * c) / c ...). With s NULL, out of memory, a
 * negative or overflowing result, or division by zero the result is SUMI_DIM_UNKNOWN: never a failure. */
sumi_dim sumi_dim_symbol(struct sumi_symbols *s, const char *name);
sumi_dim sumi_dim_apply(struct sumi_symbols *s, enum sumi_dim_op op, sumi_dim a, sumi_dim b);
static inline sumi_dim sumi_dim_add(struct sumi_symbols *s, sumi_dim a, sumi_dim b) {
  return sumi_dim_apply(s, SUMI_DIM_ADD, a, b);
}
static inline sumi_dim sumi_dim_sub(struct sumi_symbols *s, sumi_dim a, sumi_dim b) {
  return sumi_dim_apply(s, SUMI_DIM_SUB, a, b);
}
static inline sumi_dim sumi_dim_mul(struct sumi_symbols *s, sumi_dim a, sumi_dim b) {
  return sumi_dim_apply(s, SUMI_DIM_MUL, a, b);
}
static inline sumi_dim sumi_dim_div(struct sumi_symbols *s, sumi_dim a, sumi_dim b) {
  return sumi_dim_apply(s, SUMI_DIM_DIV, a, b);
}

/* The number d has when symbol name i has value[i]; SUMI_DIM_UNKNOWN if a symbol is not among them. */
sumi_dim sumi_dim_eval(const struct sumi_symbols *s, sumi_dim d, const char *const *name,
                       const int64_t *value, size_t n);

/* "3", "batch", "past + seq", "(2*x + 1)/2", "max(a, b)", "?". A symbol that would read as something else
 * stands in single quotes: "'3'", "'batch size' + 1". */
void sumi_dim_print(const struct sumi_symbols *s, sumi_dim d, struct sumi_text *out);

/* Parses what sumi_dim_print writes, and "//" and "floor(x / 2)" as well. Text that is no expression is a
 * symbol of that name ("batch size"), as ONNX has it; "?", "" and whole numbers that are no dimension are
 * SUMI_DIM_UNKNOWN. */
sumi_dim sumi_dim_parse(struct sumi_symbols *s, const char *text, size_t n);

#endif
