/* Expressions of C as vector programs: an operator's formula is written once, for its reference and for the card. */
#include <string.h>

#include "base/number.h"
#include "base/size.h"
#include "op/vector_cells.h"

enum { MOST_ARGS = 8, MOST_DEPTH = 64 };

struct parser {
  struct sumi_vector *p;
  const char *at;
  const int *in;
  int n_in, depth;
};

static int ternary(struct parser *s);

static void skip(struct parser *s) {
  while (*s->at == ' ' || *s->at == '\n') s->at++;
}

static bool take(struct parser *s, const char *token) {
  skip(s);
  const size_t n = strlen(token);
  if (strncmp(s->at, token, n) != 0) return false;
  s->at += n;
  return true;
}

static int fail(struct parser *s) {
  return sumi_vector_fail(s->p, "a formula that the vector engine cannot compute, from '%.24s' on", s->at);
}

static bool real(const struct parser *s, int v) { return v >= 0 && s->p->value[v].real; }

/* v as float; a literal at once. */
static int as_real(struct parser *s, int v) {
  if (v < 0 || real(s, v)) return v;
  const struct sumi_vector_value x = s->p->value[v];
  return x.op == SUMI_CARD_V_IMM ? sumi_vector_float(s->p, (float)x.c)
                                 : sumi_vector_op(s->p, SUMI_CARD_V_I2F, v, 0, 0);
}

/* ---- functions --------------------------------------------------------------------------------------------------------- */

static const struct {
  const char *name;
  enum sumi_card_vector_op op; /* NONE: text */
  const char *text;            /* in a, b, ... */
} functions[] = {
    {"fabsf", SUMI_CARD_V_ABS},
    {"sqrtf", SUMI_CARD_V_SQRT},
    {"sumi_exp_f32", SUMI_CARD_V_EXP},
    {"sumi_erf_f32", SUMI_CARD_V_ERF},
    {"sumi_tanh_f32", SUMI_CARD_V_TANH},
    {"sumi_sigmoid_f32", SUMI_CARD_V_SIGMOID},
    {"sumi_rint_f32", SUMI_CARD_V_RINT},
    {"sumi_floor_f32", SUMI_CARD_V_FLOOR},
    {"sumi_ceil_f32", SUMI_CARD_V_NONE, "-sumi_floor_f32(-a)"},
    /* e^x - 1 = tanh(x / 2) (e^x + 1): no cancellation */
    {"sumi_expm1_f32", SUMI_CARD_V_NONE, "sumi_tanh_f32(a * 0.5f) * (sumi_exp_f32(a) + 1)"},
    /* n = w (w + 2), w = e^x, see unary.c */
    {"mish_f32", SUMI_CARD_V_NONE, "mish_of(a, sumi_exp_f32(a > 20 ? 20 : a))"},
    {"mish_of", SUMI_CARD_V_NONE, "a * (b * (b + 2) / (b * (b + 2) + 2))"},
};

static int call(struct parser *s, const char *name, size_t length) {
  int arg[MOST_ARGS], n = 0;
  do {
    if (n == MOST_ARGS) return fail(s);
    arg[n++] = as_real(s, ternary(s));
  } while (take(s, ","));
  if (!take(s, ")")) return fail(s);
  for (size_t i = 0; i < SUMI_COUNT(functions); i++) {
    if (strlen(functions[i].name) != length || memcmp(functions[i].name, name, length) != 0) continue;
    if (functions[i].op) return sumi_vector_op(s->p, functions[i].op, arg[0], 0, 0);
    return sumi_vector_formula(s->p, functions[i].text, arg, n);
  }
  return sumi_vector_fail(s->p, "the vector engine has no %.*s", (int)length, name);
}

/* ---- names, literals ----------------------------------------------------------------------------------------------------- */

static bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool digit(char c) { return c >= '0' && c <= '9'; }

static size_t name_length(const char *at) {
  size_t n = 0;
  while (letter(at[n]) || (n && digit(at[n]))) n++;
  return n;
}

static bool is(const char *at, size_t n, const char *name) {
  return strlen(name) == n && !memcmp(at, name, n);
}

static int named(struct parser *s) {
  const char *name = s->at;
  const size_t n = name_length(name);
  s->at += n;
  if (take(s, "(")) return call(s, name, n);
  if (is(name, n, "alpha") || is(name, n, "beta")) {
    const int v = *name == 'a' ? s->p->alpha : s->p->beta;
    return v < 0 ? fail(s) : v;
  }
  const int k = *name - 'a';
  return n == 1 && k >= 0 && k < s->n_in ? s->in[k] : fail(s);
}

static int literal(struct parser *s) {
  size_t n = 0;
  bool whole = true;
  while (digit(s->at[n]) || s->at[n] == '.' || s->at[n] == 'e' ||
         ((s->at[n] == '-' || s->at[n] == '+') && n && s->at[n - 1] == 'e'))
    whole = whole && digit(s->at[n]), n++;
  float x = 0;
  double wide = 0;
  if (!sumi_number_read_f32(s->at, n, &x) || !sumi_number_read_f64(s->at, n, &wide)) return fail(s);
  s->at += n;
  if (whole && *s->at != 'f') return sumi_vector_int(s->p, (int32_t)wide);
  if (*s->at == 'f')
    s->at++;
  else
    x = (float)wide;
  return sumi_vector_float(s->p, x);
}

/* ---- operators ------------------------------------------------------------------------------------------------------------- */

/* 1 where v is not zero. */
static int truth(struct parser *s, int v, bool negated) {
  if (v < 0) return v;
  const int zero = real(s, v) ? sumi_vector_float(s->p, 0) : sumi_vector_int(s->p, 0);
  const int is_zero = sumi_vector_op(s->p, real(s, v) ? SUMI_CARD_V_EQ : SUMI_CARD_V_IEQ, v, zero, 0);
  return negated ? is_zero : sumi_vector_op(s->p, SUMI_CARD_V_IEQ, is_zero, sumi_vector_int(s->p, 0), 0);
}

static int unary(struct parser *s);

/* (type) in front of a value; false: it is no cast. */
static bool cast(struct parser *s, int *out) {
  static const char *const whole[] = {"int32_t", "int64_t", "uint64_t", "uint32_t", "int", "uint8_t"};
  const char *name = s->at + 1;
  const size_t n = name_length(name);
  bool to_whole = false;
  for (size_t i = 0; i < SUMI_COUNT(whole); i++) to_whole = to_whole || is(name, n, whole[i]);
  if (name[n] != ')' || !(to_whole || is(name, n, "float"))) return false;
  s->at = name + n + 1;
  const int v = unary(s);
  *out = !to_whole ? as_real(s, v) : real(s, v) ? fail(s) : v;
  return true;
}

static int negative(struct sumi_vector *p, int v) {
  if (v < 0) return v;
  const struct sumi_vector_value x = p->value[v];
  if (x.real) return sumi_vector_op(p, SUMI_CARD_V_NEG, v, 0, 0);
  if (x.op == SUMI_CARD_V_IMM) return sumi_vector_int(p, (int32_t)(0 - (uint32_t)x.c));
  return sumi_vector_op(p, SUMI_CARD_V_ISUB, sumi_vector_int(p, 0), v, 0);
}

static int unary(struct parser *s) {
  struct sumi_vector *p = s->p;
  int v = -1;
  if (sumi_vector_bad(p) || ++s->depth > MOST_DEPTH) return fail(s);
  if (take(s, "-")) {
    v = negative(p, unary(s));
  } else if (take(s, "+")) {
    v = unary(s);
  } else if (take(s, "!")) {
    v = truth(s, unary(s), true);
  } else if (take(s, "~")) {
    v = unary(s);
    v = real(s, v) ? fail(s) : sumi_vector_op(p, SUMI_CARD_V_XOR, v, sumi_vector_int(p, -1), 0);
  } else if (*s->at == '(') {
    if (!cast(s, &v)) {
      s->at++;
      v = ternary(s);
      if (!take(s, ")")) v = fail(s);
    }
  } else {
    v = letter(*s->at) ? named(s) : literal(s);
  }
  s->depth--;
  return v;
}

enum { SWAP_REAL = 1, SWAP_WHOLE = 2, NOT_REAL = 4, NOT_WHOLE = 8, TRUTHS = 16 };

/* Longer ones first where one begins another. Operations of floats and of integers, NONE = there is none. SWAP: of b, a;
 * NOT: the opposite of what the operation says; TRUTHS: of whether a and b are not 0. */
static const struct {
  const char *token;
  int strength;
  enum sumi_card_vector_op real, whole;
  int how;
} binaries[] = {
    {"||", 1, SUMI_CARD_V_OR, SUMI_CARD_V_OR, TRUTHS},
    {"&&", 2, SUMI_CARD_V_AND, SUMI_CARD_V_AND, TRUTHS},
    {"|", 3, SUMI_CARD_V_NONE, SUMI_CARD_V_OR, 0},
    {"^", 4, SUMI_CARD_V_NONE, SUMI_CARD_V_XOR, 0},
    {"&", 5, SUMI_CARD_V_NONE, SUMI_CARD_V_AND, 0},
    {"==", 6, SUMI_CARD_V_EQ, SUMI_CARD_V_IEQ, 0},
    {"!=", 6, SUMI_CARD_V_EQ, SUMI_CARD_V_IEQ, NOT_REAL | NOT_WHOLE},
    {"<=", 7, SUMI_CARD_V_LE, SUMI_CARD_V_ILT, SWAP_WHOLE | NOT_WHOLE},
    {">=", 7, SUMI_CARD_V_LE, SUMI_CARD_V_ILT, SWAP_REAL | NOT_WHOLE},
    {"<", 7, SUMI_CARD_V_LT, SUMI_CARD_V_ILT, 0},
    {">", 7, SUMI_CARD_V_LT, SUMI_CARD_V_ILT, SWAP_REAL | SWAP_WHOLE},
    {"+", 8, SUMI_CARD_V_ADD, SUMI_CARD_V_IADD, 0},
    {"-", 8, SUMI_CARD_V_SUB, SUMI_CARD_V_ISUB, 0},
    {"*", 9, SUMI_CARD_V_MUL, SUMI_CARD_V_IMUL, 0},
    {"/", 9, SUMI_CARD_V_DIV, SUMI_CARD_V_NONE, 0},
};

static int combine(struct parser *s, size_t k, int a, int b) {
  const int how = binaries[k].how;
  if (how & TRUTHS) {
    a = truth(s, a, false);
    b = truth(s, b, false);
  }
  const bool reals = real(s, a) || real(s, b);
  if (reals) a = as_real(s, a), b = as_real(s, b);
  const enum sumi_card_vector_op op = reals ? binaries[k].real : binaries[k].whole;
  if (op == SUMI_CARD_V_NONE) return fail(s);
  const bool swap = how & (reals ? SWAP_REAL : SWAP_WHOLE);
  const int v = sumi_vector_op(s->p, op, swap ? b : a, swap ? a : b, 0);
  return how & (reals ? NOT_REAL : NOT_WHOLE) ? truth(s, v, true) : v;
}

/* Operators of at least this strength. */
static int binary(struct parser *s, int least) {
  int v = unary(s);
  while (!sumi_vector_bad(s->p)) {
    size_t k = 0;
    skip(s);
    while (k < SUMI_COUNT(binaries) && strncmp(s->at, binaries[k].token, strlen(binaries[k].token)) != 0) k++;
    if (k == SUMI_COUNT(binaries) || binaries[k].strength < least) return v;
    s->at += strlen(binaries[k].token);
    v = combine(s, k, v, binary(s, binaries[k].strength + 1));
  }
  return -1;
}

static int ternary(struct parser *s) {
  if (++s->depth > MOST_DEPTH) return fail(s);
  int v = binary(s, 1);
  if (take(s, "?")) {
    const int condition = real(s, v) ? truth(s, v, false) : v;
    int a = ternary(s);
    if (!take(s, ":")) return fail(s);
    int b = ternary(s);
    if (real(s, a) || real(s, b)) a = as_real(s, a), b = as_real(s, b);
    v = sumi_vector_op(s->p, SUMI_CARD_V_SELECT, condition, a, b);
  }
  s->depth--;
  return v;
}

int sumi_vector_formula(struct sumi_vector *p, const char *text, const int *in, int n_in) {
  struct parser s = {p, text, in, n_in, 0};
  const int v = ternary(&s);
  skip(&s);
  return *s.at ? fail(&s) : v;
}
