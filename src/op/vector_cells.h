/* Vector programs of cells (plan/cell.h), written as values instead of registers: what every operator that is vector work is made
 * of on the card.
 *
 * A value is the number of an operation's result, float32 or int32. Equal operations are one value, constants are folded,
 * what no store needs is left out, and registers are given at the end. Errors stick: a negative value goes through
 * everything, sumi_vector_end reports it.
 *
 *   struct sumi_vector p;
 *   sumi_vector_start(&p, c);
 *   sumi_vector_over(&p, y, 0);                         a loop for each dimension of operand y
 *   const int a = sumi_vector_load(&p, sumi_vector_view(&p, x));
 *   sumi_vector_store(&p, sumi_vector_view(&p, y), SUMI_VECTOR(&p, "a * (1 + b)", a, a));
 *   return sumi_vector_end(&p);
 */
#ifndef SUMI_OP_VECTOR_CELLS_H
#define SUMI_OP_VECTOR_CELLS_H

#include "plan/cell.h"

enum { SUMI_VECTOR_LOOPS = 2 * SUMI_MAX_RANK, SUMI_VECTOR_VALUES = 320 };

/* An operand seen with other dimensions than its own (split, broadcast: step 0). */
struct sumi_seen {
  int operand; /* -1: none */
  int rank;
  int64_t dim[SUMI_VECTOR_LOOPS], step[SUMI_VECTOR_LOOPS];
};

struct sumi_vector_value {
  uint8_t op;  /* enum sumi_card_vector_op */
  bool real;   /* float32; else int32 */
  int a, b, c; /* values; of LD, ST and GATHER a is a view, of LD and ST c a distance; of IMM c the bits */
};

struct sumi_vector {
  struct sumi_cells *c;
  int rank, inner; /* loops; the first of those a tail runs after */
  int64_t n[SUMI_VECTOR_LOOPS];
  int loop[SUMI_VECTOR_LOOPS]; /* of each dimension of what sumi_vector_over was given */
  int dims;
  struct {
    int operand;
    bool gather; /* of GATHER: the last loop does not walk it, an index does, in steps of `by` */
    int64_t at, by, step[SUMI_VECTOR_LOOPS];
  } view[SUMI_CARD_VPU_VIEWS];
  int views;
  struct sumi_vector_value value[SUMI_VECTOR_VALUES];
  int values, tail; /* tail: the first value of the tail; -1 = none yet */
  int alpha, beta;  /* values of these names in formulas */
  bool memory;      /* out of it: c->err is set */
  bool failed;
  char why[120]; /* the first failure */
};

/* ---- loops and views ---------------------------------------------------------------------------------------------- */

void sumi_vector_start(struct sumi_vector *p, struct sumi_cells *c);
/* One more loop, inside the others; its number. */
int sumi_vector_loop(struct sumi_vector *p, int64_t n);
/* A loop for each dimension of an operand, in the order in which it lies in memory; those of the set `inner` (bit i: dimension i)
 * behind the others: over these a reduction runs, as one loop. */
void sumi_vector_over(struct sumi_vector *p, int operand, unsigned inner);
/* A view of an operand that broadcasts to the dimensions of sumi_vector_over, the last ones to the last ones; or its dimension 0
 * to dimension `first`. */
int sumi_vector_view(struct sumi_vector *p, int operand);
int sumi_vector_view_at(struct sumi_vector *p, int operand, int first);
/* The same for operands seen with the dimensions of what sumi_vector_over_seen was given. */
void sumi_vector_over_seen(struct sumi_vector *p, const struct sumi_seen *s, unsigned inner);
int sumi_vector_see(struct sumi_vector *p, const struct sumi_seen *s);
/* A view with all steps 0; set them by p->view[v].step[loop]. */
int sumi_vector_view_plain(struct sumi_vector *p, int operand);
/* A table for SUMI_CARD_V_GATHER: operand of rank 1. */
int sumi_vector_table(struct sumi_vector *p, int operand);
/* Elements of dimension axis by index, for SUMI_CARD_V_GATHER; the loops walk the other dimensions. axis is that of the last loop
 * (inner = its bit in sumi_vector_over_seen). */
int sumi_vector_see_by_index(struct sumi_vector *p, const struct sumi_seen *s, int axis);

/* ---- operations ---------------------------------------------------------------------------------------------------- */

int sumi_vector_load(struct sumi_vector *p, int view);
int sumi_vector_load_at(struct sumi_vector *p, int view, int64_t distance);
/* Integers stored as floats are converted, the other way is refused; 8-bit integers are held to the type. */
void sumi_vector_store(struct sumi_vector *p, int view, int value);
void sumi_vector_store_at(struct sumi_vector *p, int view, int64_t distance, int value);
/* 8-bit integers keep their lowest bits instead. */
void sumi_vector_store_wrapped(struct sumi_vector *p, int view, int value);
/* table[index], index < n. */
int sumi_vector_gather(struct sumi_vector *p, int table, int index, uint32_t n);
int sumi_vector_float(struct sumi_vector *p, float x);
int sumi_vector_int(struct sumi_vector *p, int32_t x);
/* An operation of registers; operands it does not have are 0. */
int sumi_vector_op(struct sumi_vector *p, enum sumi_card_vector_op op, int a, int b, int c);
/* SUMI_CARD_V_RSUM and its relatives: the result is a value of the tail. Begin the tail after the last. */
int sumi_vector_reduce(struct sumi_vector *p, enum sumi_card_vector_op op, int a);
void sumi_vector_tail(struct sumi_vector *p);

/* The value of an expression in C's grammar and meaning for float and int32_t: literals, + - * / unary + - ! ~, comparisons, & | ^ && ||,
 * ?:, casts (to float and integers of any width, which change nothing beyond float or not), calls of the functions in
 * vector_formula.c. a, b, ... h are in[0], in[1], ...; alpha and beta those of p. So an operator's own formula is what the
 * card computes. Refused: what the card has no operation for. */
int sumi_vector_formula(struct sumi_vector *p, const char *text, const int *in, int n_in);
#define SUMI_VECTOR(p, text, ...)                          \
  sumi_vector_formula(p, text, (const int[]){__VA_ARGS__}, \
                      (int)(sizeof((const int[]){__VA_ARGS__}) / sizeof(int)))

/* Adds the cell. SUMI_E_UNSUPPORTED, with a refusal, where something above could not be done. */
sumi_status sumi_vector_end(struct sumi_vector *p);
/* The reason sticks, unless something failed before; returns -1. */
int sumi_vector_fail(struct sumi_vector *p, const char *format, ...) SUMI_PRINTF(2, 3);
static inline bool sumi_vector_bad(const struct sumi_vector *p) { return p->failed || p->memory; }

/* ---- whole operators ------------------------------------------------------------------------------------------------ */

/* Begins an element-wise program: output 0 takes the form of the first of n_in inputs that has its shape, p gets a loop for each
 * of its dimensions. Returns the operand. */
int sumi_eltwise_begin(struct sumi_vector *p, struct sumi_cells *c, int n_in);

/* Output 0 = formula of the inputs a, b, c, broadcast. */
struct sumi_eltwise_formula {
  const char *real;  /* where the last input is a float */
  const char *whole; /* where it is an integer or bool; NULL = refused */
  float alpha, beta;
  int second; /* > 0: the second input's dimensions begin at the output's dimension second - 1 */
};
sumi_status sumi_eltwise_cells(struct sumi_cells *c, const struct sumi_eltwise_formula *f);
/* The same for two inputs, by the rules of the node's version (sumi_infer_binary). */
sumi_status sumi_binary_cells(struct sumi_cells *c, const char *real, const char *whole);

/* A copy of all elements of an operand to one of the same shape; an output that nothing has written takes its form. */
sumi_status sumi_copy_cells(struct sumi_cells *c, int to, int from);

#define SUMI_FORMULA_TEXT_(x) #x
#define SUMI_FORMULA_TEXT(x) SUMI_FORMULA_TEXT_(x) /* of an expression, its macros expanded */

#endif
