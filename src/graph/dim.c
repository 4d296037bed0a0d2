/* Symbolic dimensions: a table of hash-consed expressions in a normal form.
 *
 * An expression is a polynomial with integer coefficients over atoms: symbols, and the quotients, maxima and
 * minima that do not simplify. Terms stand by falling degree, then by their atoms' names, so the form does
 * not depend on the order of creation; subtracted terms follow added ones, the constant comes last. Equal
 * polynomials are one handle. Quotients are floors. A divisor is taken to be positive, a symbol not to be
 * negative. */
#include "graph/dim.h"

#include <string.h>

#include "base/size.h"
#include "graph/dim_int.h"

enum { MAX_TERMS = 24, MAX_DEGREE = 8 };

struct term {
  int64_t coef;
  int degree;
  sumi_dim atom[MAX_DEGREE]; /* sorted */
};

struct poly {
  int n;
  struct term t[MAX_TERMS]; /* sorted, no zero coefficients */
};

/* ---- the table
 * ------------------------------------------------------------------------------------------------ */

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
  to->salt = from->salt;
  return true;
}

const struct sumi_dim_expr *sumi_dim_expr_of(const struct sumi_symbols *s, sumi_dim d) {
  return s && d <= -2 && (uint64_t)(-2 - d) < s->n ? &s->expr[-2 - d] : NULL;
}

static uint64_t mix(uint64_t h) {
  h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
  return h ^ h >> 32;
}

/* Salted, so that a file cannot be written to collide. */
static uint64_t hash_expr(const struct sumi_symbols *s, const struct sumi_dim_expr *e) {
  if (e->op == SUMI_DIM_SYMBOL) return mix(sumi_hash(e->symbol, strlen(e->symbol), s->salt));
  return mix(mix((uint64_t)e->a + s->salt) + 3 * (uint64_t)e->b + (uint64_t)e->op);
}

static bool same_expr(const struct sumi_dim_expr *x, const struct sumi_dim_expr *y) {
  if (x->op != y->op) return false;
  return x->op == SUMI_DIM_SYMBOL ? sumi_streq(x->symbol, y->symbol) : x->a == y->a && x->b == y->b;
}

/* Room for one more expression. Arrays that were outgrown stay in the arena: at most as much again. */
static bool reserve(struct sumi_symbols *s) {
  if (s->n < s->cap) return true;
  if (s->n >= SUMI_DIM_MAX_EXPR) return false;
  const size_t cap = s->cap ? s->cap * 2 : 16, cap_slot = cap * 2;
  struct sumi_dim_expr *expr = SUMI_NEW_ARRAY(s->arena, cap, struct sumi_dim_expr);
  uint32_t *slot = SUMI_NEW_ARRAY(s->arena, cap_slot, uint32_t);
  if (!expr || !slot) return false;
  if (!s->cap) s->salt = mix((uint64_t)(uintptr_t)s);
  if (s->n) memcpy(expr, s->expr, s->n * sizeof *expr);
  for (size_t i = 0; i < s->n; i++) {
    size_t at = hash_expr(s, &expr[i]) & (cap_slot - 1);
    while (slot[at]) at = (at + 1) & (cap_slot - 1);
    slot[at] = (uint32_t)i + 1;
  }
  s->expr = expr;
  s->cap = cap;
  s->slot = slot;
  s->cap_slot = cap_slot;
  return true;
}

static sumi_dim intern(struct sumi_symbols *s, struct sumi_dim_expr e) {
  const struct sumi_dim_expr *x = sumi_dim_expr_of(s, e.a), *y = sumi_dim_expr_of(s, e.b);
  e.size = 1;
  if (e.op != SUMI_DIM_SYMBOL) e.size += (x ? x->size : 1) + (y ? y->size : 1);
  if (e.size > SUMI_DIM_MAX_SIZE || !reserve(s)) return SUMI_DIM_UNKNOWN;
  size_t at = hash_expr(s, &e) & (s->cap_slot - 1);
  for (; s->slot[at]; at = (at + 1) & (s->cap_slot - 1))
    if (same_expr(&s->expr[s->slot[at] - 1], &e)) return -2 - (sumi_dim)(s->slot[at] - 1);
  if (e.op == SUMI_DIM_SYMBOL) {
    e.symbol = sumi_arena_strdup(s->arena, e.symbol);
    if (!e.symbol) return SUMI_DIM_UNKNOWN;
  }
  s->slot[at] = (uint32_t)s->n + 1;
  s->expr[s->n] = e;
  return -2 - (sumi_dim)s->n++;
}

sumi_dim sumi_dim_symbol(struct sumi_symbols *s, const char *name) {
  if (!s || !*name || strnlen(name, SUMI_DIM_MAX_NAME + 1) > SUMI_DIM_MAX_NAME) return SUMI_DIM_UNKNOWN;
  return intern(s, (struct sumi_dim_expr){SUMI_DIM_SYMBOL, name, 0, 0, 1});
}

/* ---- order
 * ---------------------------------------------------------------------------------------------------- */

/* A total order by structure. Equal handles are equal, so only the first difference is followed. */
static int compare(const struct sumi_symbols *s, sumi_dim a, sumi_dim b) {
  if (a == b) return 0;
  const struct sumi_dim_expr *x = sumi_dim_expr_of(s, a), *y = sumi_dim_expr_of(s, b);
  if (!x || !y) return !x && !y ? (a < b ? -1 : 1) : !x ? -1 : 1;
  if (x->op != y->op) return x->op < y->op ? -1 : 1;
  if (x->op == SUMI_DIM_SYMBOL) return strcmp(x->symbol, y->symbol);
  const int c = compare(s, x->a, y->a);
  return c ? c : compare(s, x->b, y->b);
}

/* By falling degree, then by atoms: a monomial order, products keep it. */
static int compare_terms(const struct sumi_symbols *s, const struct term *x, const struct term *y) {
  if (x->degree != y->degree) return x->degree > y->degree ? -1 : 1;
  for (int i = 0; i < x->degree; i++) {
    const int c = compare(s, x->atom[i], y->atom[i]);
    if (c) return c;
  }
  return 0;
}

/* ---- polynomials: each function is false where a result is too large or overflows
 * ------------------------------- */

static bool add_term(const struct sumi_symbols *s, struct poly *p, const struct term *t) {
  if (t->coef == 0) return true;
  if (t->coef == INT64_MIN) return false; /* so that every coefficient has a negative */
  int i = 0, c = 1;
  while (i < p->n && (c = compare_terms(s, &p->t[i], t)) < 0) i++;
  if (i < p->n && c == 0) {
    if (!sumi_i64_add(p->t[i].coef, t->coef, &p->t[i].coef) || p->t[i].coef == INT64_MIN) return false;
    if (p->t[i].coef == 0) memmove(&p->t[i], &p->t[i + 1], (size_t)(--p->n - i) * sizeof *t);
    return true;
  }
  if (p->n == MAX_TERMS) return false;
  memmove(&p->t[i + 1], &p->t[i], (size_t)(p->n++ - i) * sizeof *t);
  p->t[i] = *t;
  return true;
}

static bool add_number(const struct sumi_symbols *s, struct poly *p, int64_t c) {
  return add_term(s, p, &(struct term){.coef = c});
}

static bool multiply_terms(const struct sumi_symbols *s, const struct term *x, const struct term *y,
                           struct term *out) {
  if (!sumi_i64_mul(x->coef, y->coef, &out->coef) || x->degree + y->degree > MAX_DEGREE) return false;
  out->degree = x->degree + y->degree;
  int i = 0, j = 0;
  for (int k = 0; k < out->degree; k++) {
    const bool first = j == y->degree || (i < x->degree && compare(s, x->atom[i], y->atom[j]) <= 0);
    out->atom[k] = first ? x->atom[i++] : y->atom[j++];
  }
  return true;
}

/* p += t * q */
static bool add_scaled(const struct sumi_symbols *s, struct poly *p, const struct term *t,
                       const struct poly *q) {
  for (int i = 0; i < q->n; i++) {
    struct term product;
    if (!multiply_terms(s, t, &q->t[i], &product) || !add_term(s, p, &product)) return false;
  }
  return true;
}

/* p += coef * d. Recursion follows sums only, at most MAX_TERMS deep in a normal form. */
static bool add_dim(const struct sumi_symbols *s, struct poly *p, int64_t coef, sumi_dim d) {
  const struct sumi_dim_expr *e = sumi_dim_expr_of(s, d);
  if (!e) return d >= 0 && sumi_i64_mul(coef, d, &coef) && add_number(s, p, coef);
  if (e->op == SUMI_DIM_ADD) return add_dim(s, p, coef, e->a) && add_dim(s, p, coef, e->b);
  if (e->op == SUMI_DIM_SUB) return add_dim(s, p, coef, e->a) && add_dim(s, p, -coef, e->b);
  struct term t = {.coef = coef};
  for (; e && e->op == SUMI_DIM_MUL; d = e->b, e = sumi_dim_expr_of(s, d)) {
    struct term factor = {.coef = 1, .degree = 1, .atom = {e->a}};
    if (e->a >= 0) factor = (struct term){.coef = e->a};
    const struct term before = t;
    if (!multiply_terms(s, &before, &factor, &t)) return false;
  }
  const struct term last = {.coef = 1, .degree = 1, .atom = {d}}, before = t;
  return multiply_terms(s, &before, &last, &t) && add_term(s, p, &t);
}

/* |coef| * atoms: coefficient first, then atoms nested to the right. */
static sumi_dim dim_of_term(struct sumi_symbols *s, const struct term *t) {
  const int64_t coef = t->coef < 0 ? -t->coef : t->coef;
  if (t->degree == 0) return coef;
  sumi_dim d = t->atom[t->degree - 1];
  for (int i = t->degree - 2; i >= 0 && d != SUMI_DIM_UNKNOWN; i--)
    d = intern(s, (struct sumi_dim_expr){SUMI_DIM_MUL, NULL, t->atom[i], d, 0});
  if (coef != 1 && d != SUMI_DIM_UNKNOWN)
    d = intern(s, (struct sumi_dim_expr){SUMI_DIM_MUL, NULL, coef, d, 0});
  return d;
}

/* Added terms, then subtracted ones, a constant last unless it alone is positive. */
static sumi_dim dim_of(struct sumi_symbols *s, const struct poly *p) {
  if (p->n == 0) return 0;
  if (p->n == 1 && p->t[0].degree == 0) return p->t[0].coef < 0 ? SUMI_DIM_UNKNOWN : p->t[0].coef;
  const struct term *order[MAX_TERMS];
  const struct term *constant = p->t[p->n - 1].degree == 0 ? &p->t[p->n - 1] : NULL;
  int n = 0;
  for (int i = 0; i < p->n; i++)
    if (p->t[i].coef > 0 && &p->t[i] != constant) order[n++] = &p->t[i];
  const bool leads = n == 0 && constant && constant->coef > 0;
  if (leads) order[n++] = constant;
  sumi_dim sum = n ? dim_of_term(s, order[0]) : 0;
  const int start = n ? 1 : 0;
  for (int i = 0; i < p->n; i++)
    if (p->t[i].coef < 0 && &p->t[i] != constant) order[n++] = &p->t[i];
  if (constant && !leads) order[n++] = constant;
  for (int i = start; i < n && sum != SUMI_DIM_UNKNOWN; i++) {
    const sumi_dim d = dim_of_term(s, order[i]);
    if (d == SUMI_DIM_UNKNOWN) return d;
    sum =
        intern(s, (struct sumi_dim_expr){order[i]->coef > 0 ? SUMI_DIM_ADD : SUMI_DIM_SUB, NULL, sum, d, 0});
  }
  return sum;
}

/* ---- division
 * ------------------------------------------------------------------------------------------------- */

static int64_t gcd(int64_t a, int64_t b) {
  while (b) {
    const int64_t r = a % b;
    a = b;
    b = r;
  }
  return a < 0 ? -a : a;
}

/* x / y as a term, if that is one. */
static bool divide_terms(const struct term *x, const struct term *y, struct term *out) {
  if (x->coef % y->coef) return false;
  *out = (struct term){.coef = x->coef / y->coef};
  int j = 0;
  for (int i = 0; i < x->degree; i++)
    if (j < y->degree && x->atom[i] == y->atom[j])
      j++;
    else
      out->atom[out->degree++] = x->atom[i];
  return j == y->degree;
}

/* q = p / d where that leaves no rest. The first terms are the leading ones of a monomial order. */
static bool divide_exactly(const struct sumi_symbols *s, const struct poly *p, const struct poly *d,
                           struct poly *q) {
  struct poly rest = *p;
  *q = (struct poly){0};
  for (int steps = 0; rest.n; steps++) {
    struct term t;
    if (steps == MAX_TERMS || !divide_terms(&rest.t[0], &d->t[0], &t) || !add_term(s, q, &t)) return false;
    t.coef = -t.coef;
    if (!add_scaled(s, &rest, &t, d)) return false;
  }
  return true;
}

static void remove_atom(struct term *t, int i) {
  memmove(&t->atom[i], &t->atom[i + 1], (size_t)(--t->degree - i) * sizeof t->atom[0]);
}

static int find_atom(const struct term *t, sumi_dim atom) {
  for (int i = 0; i < t->degree; i++)
    if (t->atom[i] == atom) return i;
  return -1;
}

/* Divides both by what all their terms have in common. */
static void cancel(struct poly *p, struct poly *d) {
  struct poly *both[2] = {p, d};
  int64_t common = 0;
  for (int k = 0; k < 2; k++)
    for (int i = 0; i < both[k]->n; i++) common = gcd(both[k]->t[i].coef, common);
  for (int k = 0; k < 2 && common > 1; k++)
    for (int i = 0; i < both[k]->n; i++) both[k]->t[i].coef /= common;
  const struct term first = p->t[0];
  for (int a = 0; a < first.degree; a++) {
    bool everywhere = true;
    for (int k = 0; k < 2; k++)
      for (int i = 0; i < both[k]->n; i++) everywhere &= find_atom(&both[k]->t[i], first.atom[a]) >= 0;
    for (int k = 0; k < 2 && everywhere; k++)
      for (int i = 0; i < both[k]->n; i++)
        remove_atom(&both[k]->t[i], find_atom(&both[k]->t[i], first.atom[a]));
  }
}

static bool add_quotient(struct sumi_symbols *s, struct poly *q, const struct poly *p, sumi_dim divisor) {
  const sumi_dim top = dim_of(s, p);
  if (top == SUMI_DIM_UNKNOWN || divisor == SUMI_DIM_UNKNOWN) return false;
  const sumi_dim d = intern(s, (struct sumi_dim_expr){SUMI_DIM_DIV, NULL, top, divisor, 0});
  return d != SUMI_DIM_UNKNOWN && add_term(s, q, &(struct term){.coef = 1, .degree = 1, .atom = {d}});
}

/* rest is "x / m" or "x / m + r": floor((floor(x / m) + r) / c) = floor((x + r m) / (m c)). */
static bool unnest(const struct sumi_symbols *s, struct poly *rest, int64_t *c) {
  const struct term *t = &rest->t[0];
  if (t->coef != 1 || t->degree != 1 || rest->n > 2 || (rest->n == 2 && rest->t[1].degree)) return false;
  const struct sumi_dim_expr *e = sumi_dim_expr_of(s, t->atom[0]);
  if (!e || e->op != SUMI_DIM_DIV || e->b < 0) return false;
  int64_t offset = rest->n == 2 ? rest->t[1].coef : 0, divisor;
  struct poly x = {0};
  if (!sumi_i64_mul(offset, e->b, &offset) || !sumi_i64_mul(*c, e->b, &divisor) || !add_dim(s, &x, 1, e->a) ||
      !add_number(s, &x, offset))
    return false;
  *rest = x;
  *c = divisor;
  return true;
}

/* q = floor(p / c), c > 0: what c divides comes out, of the constant its whole part. */
static bool divide_by_number(struct sumi_symbols *s, struct poly *p, int64_t c, struct poly *q) {
  *q = (struct poly){0};
  do {
    struct poly rest = {0};
    int64_t common = c, r = 0;
    for (int i = 0; i < p->n; i++) {
      struct term t = p->t[i];
      if (t.degree == 0) {
        r = t.coef % c + (t.coef % c < 0 ? c : 0);
        if (!add_number(s, q, t.coef / c - (t.coef % c < 0))) return false;
      } else if (t.coef % c == 0) {
        t.coef /= c;
        if (!add_term(s, q, &t)) return false;
      } else {
        common = gcd(common, t.coef);
        if (!add_term(s, &rest, &t)) return false;
      }
    }
    if (rest.n == 0) return true;
    for (int i = 0; i < rest.n; i++) rest.t[i].coef /= common;
    c /= common;
    if (!add_number(s, &rest, r / common)) return false;
    *p = rest;
  } while (unnest(s, p, &c));
  return add_quotient(s, q, p, c);
}

static bool divide(struct sumi_symbols *s, struct poly *p, struct poly *d, struct poly *q) {
  if (d->n == 0) return false;
  *q = (struct poly){0};
  if (p->n == 0) return true;
  if (d->n > 1 || d->t[0].degree) {
    if (divide_exactly(s, p, d, q)) return true;
    *q = (struct poly){0};
    cancel(p, d);
    if (d->n > 1 || d->t[0].degree) return add_quotient(s, q, p, dim_of(s, d));
  }
  return d->t[0].coef > 0 && divide_by_number(s, p, d->t[0].coef, q);
}

/* ---- the operations
 * ------------------------------------------------------------------------------------------- */

/* Never negative, whatever the symbols are. */
static bool never_negative(const struct sumi_symbols *s, sumi_dim d) {
  const struct sumi_dim_expr *e = sumi_dim_expr_of(s, d);
  if (!e || e->op == SUMI_DIM_SYMBOL) return true;
  if (e->op == SUMI_DIM_SUB) return false;
  if (e->op == SUMI_DIM_MAX) return never_negative(s, e->a) || never_negative(s, e->b);
  return never_negative(s, e->a) && never_negative(s, e->b);
}

/* a >= b, whatever the symbols are. */
static bool always_at_least(const struct sumi_symbols *s, sumi_dim a, sumi_dim b) {
  struct poly p = {0};
  if (!add_dim(s, &p, 1, a) || !add_dim(s, &p, -1, b)) return false;
  for (int i = 0; i < p.n; i++) {
    if (p.t[i].coef < 0) return false;
    for (int k = 0; k < p.t[i].degree; k++)
      if (!never_negative(s, p.t[i].atom[k])) return false;
  }
  return true;
}

static sumi_dim extreme(struct sumi_symbols *s, enum sumi_dim_op op, sumi_dim a, sumi_dim b) {
  if (always_at_least(s, a, b)) return op == SUMI_DIM_MAX ? a : b;
  if (always_at_least(s, b, a)) return op == SUMI_DIM_MAX ? b : a;
  const struct sumi_dim_expr *x = sumi_dim_expr_of(s, a), *y = sumi_dim_expr_of(s, b);
  if (x && x->op == op && (x->a == b || x->b == b)) return a;
  if (y && y->op == op && (y->a == a || y->b == a)) return b;
  const bool swap = compare(s, a, b) > 0;
  return intern(s, (struct sumi_dim_expr){op, NULL, swap ? b : a, swap ? a : b, 0});
}

/* Numbers only: false on overflow or division by zero. */
static bool compute(enum sumi_dim_op op, int64_t a, int64_t b, int64_t *out) {
  switch (op) {
    case SUMI_DIM_ADD: return sumi_i64_add(a, b, out);
    case SUMI_DIM_SUB: return !__builtin_sub_overflow(a, b, out);
    case SUMI_DIM_MUL: return sumi_i64_mul(a, b, out);
    case SUMI_DIM_DIV:
      if (b <= 0) return false;
      *out = a / b - (a % b < 0);
      return true;
    case SUMI_DIM_MAX: *out = SUMI_MAX(a, b); return true;
    case SUMI_DIM_MIN: *out = SUMI_MIN(a, b); return true;
    default: return false;
  }
}

sumi_dim sumi_dim_apply(struct sumi_symbols *s, enum sumi_dim_op op, sumi_dim a, sumi_dim b) {
  if (op == SUMI_DIM_MUL && (a == 0 || b == 0)) return 0;
  if (a >= 0 && b >= 0) {
    int64_t r;
    return compute(op, a, b, &r) && r >= 0 ? r : SUMI_DIM_UNKNOWN;
  }
  if ((a < 0 && !sumi_dim_expr_of(s, a)) || (b < 0 && !sumi_dim_expr_of(s, b))) return SUMI_DIM_UNKNOWN;
  if (op == SUMI_DIM_MAX || op == SUMI_DIM_MIN) return extreme(s, op, a, b);
  struct poly p = {0}, q = {0}, r = {0};
  if (!add_dim(s, &p, 1, a)) return SUMI_DIM_UNKNOWN;
  bool ok = false;
  if (op == SUMI_DIM_ADD || op == SUMI_DIM_SUB) {
    ok = add_dim(s, &p, op == SUMI_DIM_ADD ? 1 : -1, b);
    r = p;
  } else if (op == SUMI_DIM_MUL) {
    ok = add_dim(s, &q, 1, b);
    for (int i = 0; i < p.n && ok; i++) ok = add_scaled(s, &r, &p.t[i], &q);
  } else if (op == SUMI_DIM_DIV) {
    ok = add_dim(s, &q, 1, b) && divide(s, &p, &q, &r);
  }
  return ok ? dim_of(s, &r) : SUMI_DIM_UNKNOWN;
}

static bool eval(const struct sumi_symbols *s, sumi_dim d, const char *const *name, const int64_t *value,
                 size_t n, int64_t *out) {
  const struct sumi_dim_expr *e = sumi_dim_expr_of(s, d);
  *out = d;
  if (!e) return d >= 0;
  if (e->op == SUMI_DIM_SYMBOL) {
    for (size_t i = 0; i < n; i++)
      if (sumi_streq(name[i], e->symbol)) {
        *out = value[i];
        return true;
      }
    return false;
  }
  int64_t a, b;
  return eval(s, e->a, name, value, n, &a) && eval(s, e->b, name, value, n, &b) && compute(e->op, a, b, out);
}

sumi_dim sumi_dim_eval(const struct sumi_symbols *s, sumi_dim d, const char *const *name,
                       const int64_t *value, size_t n) {
  int64_t out;
  return eval(s, d, name, value, n, &out) && out >= 0 ? out : SUMI_DIM_UNKNOWN;
}
