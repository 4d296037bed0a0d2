/* From cells to words: cells are cut to what the engines, their memories and the limits of a word can take. */
#ifndef SUMI_DEVICE_ANTOUM_CELLS_H
#define SUMI_DEVICE_ANTOUM_CELLS_H

#include "device/antoum/words.h"
#include "plan/cell.h"

/* Where an operand lies while its cell is compiled: in SRAM of every core at `at`, or in DRAM behind a base. Constants are in the
 * image (base CODE, core_step 0); the others are each core's own. */
struct antoum_place {
  bool dram;
  enum antoum_base base;
  uint64_t at, core_step;
};

struct antoum_options {
  int k; /* products with constant weights keep the k largest of every bank of 32 channels; 0 = all, as dense as they are */
  bool dual;        /* skip activations that are zero (zero points), where the card can */
  int x_top;        /* keep only so many activations of a bank; 0 = all */
  double x_density; /* timing only: expected share of activations that are not zero; 0 = 1 */
};

/* What compiling a cell found, added up over a node's cells. */
struct antoum_facts {
  double dense_macs;  /* if nothing were skipped */
  double macs;        /* of non-zero weights */
  double padded_macs; /* executed: banks filled up to their k */
  uint64_t weight_bytes, dense_weight_bytes;
  int k_least, k_most; /* of the products' banks; 0 = no product with constant weights */
  bool streamed;       /* operands in DRAM passed through scratch */
  bool shared;         /* cores made parts of the results for each other */
};

struct antoum_cell_job {
  struct antoum_words *w;
  const struct antoum_options *options;
  const struct sumi_cell_operand *operand; /* of the node */
  const struct antoum_place *place;        /* of each operand */
  struct antoum_facts *facts;
  struct sumi_text *refusals;
};

/* Appends the words of a cell. SUMI_E_UNSUPPORTED with a refusal where the card cannot: words may have been appended, the
 * program is good for nothing then and is made again without the node. */
sumi_status antoum_cell(const struct antoum_cell_job *job, const struct sumi_cell *cell);

/* One kind each. */
sumi_status antoum_vector_cell(const struct antoum_cell_job *job, const struct sumi_cell_vector *v);
sumi_status antoum_copy_cell(const struct antoum_cell_job *job, const struct sumi_cell_copy *v);
sumi_status antoum_lookup_cell(const struct antoum_cell_job *job, const struct sumi_cell_lookup *v);
sumi_status antoum_product_cell(const struct antoum_cell_job *job, const struct sumi_cell_product *v);

sumi_status antoum_refuse(const struct antoum_cell_job *job, const char *format, ...) SUMI_PRINTF(2, 3);

#endif
