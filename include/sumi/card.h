/* Sumi's experimental API for the Antoum accelerator cards: a simulated card, sessions on it, and what a network would take of a
 * real one. It may change between versions.
 *
 *   struct sumi_card_options o = {.size = sizeof o, .card = "SparseOne-S4", .timing_only = true};
 *   struct sumi_session_options s = {.size = sizeof s, .device = "antoum"};
 *   struct sumi_card_total t = {.size = sizeof t};
 *   if (sumi_card_open(&o, &s.card, &err) == SUMI_OK && sumi_session_new(model, &s, &session, &err) == SUMI_OK &&
 *       sumi_session_prepare(session, inputs, n_inputs, &err) == SUMI_OK &&
 *       sumi_card_measure(session, NULL, &t, &err) == SUMI_OK)
 *     printf("%g items a second at %g W\n", t.throughput, t.power_w);
 *   sumi_session_free(session);
 *   sumi_card_close(s.card); */
#ifndef SUMI_CARD_H
#define SUMI_CARD_H

#include <sumi/sumi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- cards ------------------------------------------------------------------------------------------------------ */

struct sumi_card;

/* Names of the known cards, the first the default; NULL from their number on. */
SUMI_API const char *sumi_card_known(size_t i);

struct sumi_card_options {
  size_t size;
  const struct sumi_allocator *allocator; /* NULL = the C library's; must outlive the card */
  const char *card;                       /* a known card; NULL = the first */
  const char *
      parameters; /* instead of card: text of parameter_bytes, lines "parameter = value", "card = NAME" ahead */
  size_t parameter_bytes;
  const char *const *settings; /* [n_settings] "parameter=value" on top of either */
  size_t n_settings;
  const char *energy; /* per event: "conservative" (NULL) or "optimistic" */
  bool timing_only;   /* no byte is computed: times are right, outputs of runs are not */
  int k;            /* products with constant weights keep the k (1, 2, 4, 8, 16, 32) largest of every bank of
                       * 32 channels: another network. 0 = all weights stay */
  bool dual;        /* skip activations that are zero */
  int x_top;        /* keep only so many activations of a bank, 1..31: another network; 0 = all */
  double x_density; /* timing only: expected share of activations that are not zero; 0 = 1 */
};

/* A chip of a simulated card; all chips of a card are alike and take inferences of their own. options may be NULL. One session's
 * thread at a time. SUMI_E_VALUE: unknown card, parameter or value; SUMI_E_FORMAT: damaged parameters. */
SUMI_API sumi_status sumi_card_open(const struct sumi_card_options *options, struct sumi_card **card,
                                    struct sumi_err *err);
/* After the sessions that use it. NULL allowed. */
SUMI_API void sumi_card_close(struct sumi_card *card);

struct sumi_card_parameter {
  size_t size;
  const char *name, *unit, *source;
  char letter; /* K = documented by the maker, D = derived from what is, A = assumed */
  int64_t value;
};
/* The i-th parameter; false from their number on. */
SUMI_API bool sumi_card_parameter(const struct sumi_card *card, size_t i, struct sumi_card_parameter *out);

/* ---- measuring -------------------------------------------------------------------------------------------------- */

/* The engines of a core: "load", "store", "spu" ...; NULL from SUMI_CARD_N_ENGINES on. */
enum { SUMI_CARD_N_ENGINES = 8 };
SUMI_API const char *sumi_card_engine_label(size_t i);

/* count products of m x k by k x n (a convolution: m output pixels, k inputs of a window, n filters), of the whole batch. */
struct sumi_card_product {
  size_t size;
  double m, k, n, count;
  double x;       /* elements of the left operand that one of its channels has */
  double nonzero; /* share of the weights that are not zero; 1 where both operands vary */
};

/* Bytes that went over each path. */
struct sumi_card_traffic {
  double dram, ring, link, sram;
};

/* A node of the network; everything is of one inference on one chip. Texts and arrays live during the call. */
struct sumi_card_layer {
  size_t size;
  const char *node, *op;
  bool on_card;
  const char *why;   /* on the card: how; on the host: why */
  const char *bound; /* the engine or path that alone would take longest; "" = it has no words of its own */
  double cycles;     /* the busiest engine worked, mean over the cores that run the program */
  double busy[SUMI_CARD_N_ENGINES]; /* summed over the cores */
  double dense_macs, executed_macs; /* without any zero skipped; by the multipliers */
  double utilisation;               /* executed_macs / (cycles x cores x multipliers) */
  struct sumi_card_traffic bytes;
  double energy_j; /* without what is charged for time */
  const struct sumi_card_product *products;
  size_t n_products;
};

/* Where energy goes. */
struct sumi_card_cost {
  size_t size;
  const char *name, *unit, *source;
  double count, energy_j;
  bool of_time; /* charged whether anything works or not */
};

/* A network on a card, where inferences follow each other without a pause. What the host computes between two programs takes
 * time that is not in here. */
struct sumi_card_total {
  size_t size;
  const char *card;
  int chips, cores, multipliers; /* cores of a chip; multipliers of a core */
  double clock_hz, limit_w, dram_bytes_s,
      peak_macs;     /* a chip; peak_macs: multipliers of a chip x clock, none skipped */
  double items;      /* the batch of one inference on one chip */
  double cycles;     /* of a chip from one inference's end to the next one's */
  double latency_s;  /* from the first byte in to the last byte out of an inference that comes alone */
  double throughput; /* items a second, all chips */
  double dense_macs, executed_macs, utilisation, busy[SUMI_CARD_N_ENGINES];
  struct sumi_card_traffic bytes;
  const char *bound;
  double energy_j; /* of one inference on one chip, time's part and its share of the board included */
  double power_w;  /* of the card */
  double compile_s;
  double host_share;                       /* of the network's dense MACs that the host does */
  size_t card_nodes, host_nodes, programs; /* programs: with the host's nodes between them */
  uint64_t simulated_cycles,
      hazards; /* hazards: words that met on the same bytes; 0 unless the compiler is wrong */
  const struct sumi_card_cost
      *costs; /* [n_costs] of energy_j; live until the next measuring or the card's end */
  size_t n_costs;
};

/* Something ended. Texts live during the call. */
struct sumi_card_event {
  size_t size;
  const char *node;   /* "" = a copy, or the fetching of words */
  const char *engine; /* "copy in", "copy out", "fetch", else an engine */
  int core;           /* -1: the chip's */
  double started_s, finished_s;
};

struct sumi_card_measure_options {
  size_t size;
  int inferences; /* in a stream; 0 = as many as show how it goes on */
  void (*on_layer)(void *user, const struct sumi_card_layer *layer);
  void (*on_event)(void *user, const struct sumi_card_event *event);
  void *user;
};

/* Runs what a prepared session of device "antoum" has compiled, in a stream: the programs, not the host's nodes between them. Inputs are
 * those of the session's last run, zeros where it had none (which matters for options.dual only). options NULL: defaults.
 * SUMI_E_STATE: not prepared. SUMI_E_DEVICE: the card failed. */
SUMI_API sumi_status sumi_card_measure(struct sumi_session *session,
                                       const struct sumi_card_measure_options *options,
                                       struct sumi_card_total *total, struct sumi_err *err);

/* ---- other engines ---------------------------------------------------------------------------------------------- */

/* Cycles of a product on another engine, by closed formulas without memory or stalls:
 *   "systolic:os:RxC", "systolic:ws:RxC", "systolic:is:RxC"   a dense array, output, weight or input stationary
 *   "nm:N:M:RxC"                                              output stationary, N of M inputs stored
 *   "dual:MULTIPLIERS"                                        every pair of non-zeros is one product (activations: x_density)
 * SUMI_E_VALUE: no such engine. Infinity where a number of 64 bits does not hold it. */
SUMI_API sumi_status sumi_card_engine_cycles(const char *engine, const struct sumi_card_product *product,
                                             double x_density, double *cycles, struct sumi_err *err);

#ifdef __cplusplus
}
#endif
#endif
