/* Other engines by name: what sim/arrays.h computes, for products of a network. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/card_int.h"
#include "sim/arrays.h"

static bool is_whole(double x) { return x >= 1 && x < 0x1p53 && x == floor(x); }

/* Batches that cores do not divide evenly count as whole pixels. */
static bool product_of(const struct sumi_card_product *p, struct sumi_sim_product *out) {
  if (!is_whole(ceil(p->m)) || !is_whole(p->k) || !is_whole(p->n)) return false;
  *out = (struct sumi_sim_product){(uint64_t)ceil(p->m), (uint64_t)p->k, (uint64_t)p->n};
  return true;
}

/* A whole number of at least 1 at *text, which moves behind it; 0 where there is none. */
static uint64_t number(const char **text) {
  uint64_t v = 0;
  for (; **text >= '0' && **text <= '9' && v < 1u << 24; ++*text) v = v * 10 + (uint64_t)(**text - '0');
  return v < 1u << 24 ? v : 0;
}

/* "128x64" to the end of text. */
static bool size_of(const char *text, uint64_t *rows, uint64_t *cols) {
  *rows = number(&text);
  if (*text++ != 'x') return false;
  *cols = number(&text);
  return *rows && *cols && !*text;
}

static double cycles_of(uint64_t cycles, const struct sumi_card_product *p) {
  return cycles == UINT64_MAX ? INFINITY : (double)cycles * p->count;
}

static bool systolic(const char *text, const struct sumi_card_product *p, struct sumi_sim_product q,
                     double *cycles) {
  static const struct {
    const char *name;
    enum sumi_sim_dataflow flow;
  } flows[] = {{"os:", SUMI_SIM_OUTPUT_STATIONARY},
               {"ws:", SUMI_SIM_WEIGHT_STATIONARY},
               {"is:", SUMI_SIM_INPUT_STATIONARY}};
  uint64_t rows, cols;
  for (size_t i = 0; i < SUMI_COUNT(flows); i++) {
    if (strncmp(text, flows[i].name, 3) != 0 || !size_of(text + 3, &rows, &cols)) continue;
    *cycles = cycles_of(sumi_sim_systolic(q, rows, cols, flows[i].flow), p);
    return true;
  }
  return false;
}

static bool n_of_m(const char *text, const struct sumi_card_product *p, struct sumi_sim_product q,
                   double *cycles) {
  uint64_t rows, cols;
  const uint64_t n = number(&text);
  if (!n || *text++ != ':') return false;
  const uint64_t m = number(&text);
  if (m < n || *text++ != ':' || !size_of(text, &rows, &cols)) return false;
  *cycles = cycles_of(sumi_sim_n_of_m(q, rows, cols, n, m), p);
  return true;
}

/* Every pair of a channel's non-zeros; channels are taken as equally dense. */
static bool dual(const char *text, const struct sumi_card_product *p, double x_density, double *cycles) {
  const uint64_t multipliers = number(&text);
  if (!multipliers || *text) return false;
  *cycles = ceil(p->n * p->k * p->nonzero * p->x * x_density / (double)multipliers) * p->count;
  return true;
}

sumi_status sumi_card_engine_cycles(const char *engine, const struct sumi_card_product *product,
                                    double x_density, double *cycles, struct sumi_err *err) {
  struct sumi_card_product p;
  struct sumi_sim_product q;
  if (!engine || !product || !cycles) SUMI_FAIL(err, SUMI_E_ARG, "no engine, product or place is given");
  SUMI_TAKE(p, product);
  if (!product_of(&p, &q) ||
      !(p.count >= 0 && p.nonzero >= 0 && p.x >= 0 && x_density >= 0 && x_density <= 1))
    SUMI_FAIL(err, SUMI_E_ARG, "a product of %g x %g by %g is none", p.m, p.k, p.n);
  if (!strncmp(engine, "systolic:", 9) && systolic(engine + 9, &p, q, cycles)) return SUMI_OK;
  if (!strncmp(engine, "nm:", 3) && n_of_m(engine + 3, &p, q, cycles)) return SUMI_OK;
  if (!strncmp(engine, "dual:", 5) && dual(engine + 5, &p, x_density, cycles)) return SUMI_OK;
  SUMI_FAIL(err, SUMI_E_VALUE,
            "engine '%.60s' is not known; there are systolic:os:RxC, systolic:ws:RxC, systolic:is:RxC, "
            "nm:N:M:RxC and dual:MULTIPLIERS",
            engine);
}
