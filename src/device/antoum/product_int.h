/* The parts of compiling a product: product.c resolves a cell and joins its groups, weights.c packs constant weights, strip.c brings
 * operands out of DRAM, multiply.c writes the words of what lies in SRAM. */
#ifndef SUMI_DEVICE_ANTOUM_PRODUCT_INT_H
#define SUMI_DEVICE_ANTOUM_PRODUCT_INT_H

#include "base/size.h"
#include "device/antoum/cells.h"

/* Loops of a product: outer ones first. */
enum { PRODUCT_IMAGE = SUMI_CELL_OUTER, PRODUCT_ROW, PRODUCT_COL, PRODUCT_OUT, PRODUCT_LOOPS };
enum { PRODUCT_PARTS = 4096 }; /* most SPU words that one sum is made of */

/* A cell as it is compiled. v has all outer loops (of 1 step where the cell has fewer). x, w, y and residual of the cell lie in SRAM
 * from byte *_at on, or in DRAM where place says so. */
struct product {
  const struct antoum_cell_job *job;
  struct sumi_cell_product v;
  uint8_t x_type, w_type, y_type, r_type;                           /* enum sumi_card_dtype */
  uint32_t elem, y_elem, r_elem;                                    /* bytes of x and w; y; residual */
  const struct antoum_place *x_place, *w_place, *y_place, *r_place; /* r: NULL = none; w: NULL = constant */
  uint64_t x_at, w_at, y_at, r_at;
  const void *weights; /* constant; NULL = an operand like x */
  /* Groups joined into one outer step: output n is output n % (outputs / join) of group n / (outputs / join), whose channels are
   * alone in having weights. join_w, join_p: steps of a group in weights and channel parameters. */
  int64_t join, join_w, join_p;
  int64_t p_at, p_step[SUMI_CELL_OUTER]; /* channel parameters: of outer step 0, by outer loop */
  bool own[SUMI_CELL_OUTER];             /* weights or parameters differ from step to step of an outer loop */
  bool rows_whole; /* w not constant: a row of output n is ky, kx, channel without gaps */
};

/* Some steps of every loop. */
struct box {
  int64_t at[PRODUCT_LOOPS], n[PRODUCT_LOOPS];
};

/* ---- packed weights */

/* Taps that one SPU word multiplies: kernel rows, columns, banks. Rows of outputs lie step_bytes apart, from byte `at` of a load on
 * (where weights are constant). */
struct part {
  int ky, kx, n_ky, n_kx;
  int64_t bank, banks;
  uint8_t k, last;
  uint32_t step_bytes, load, at;
};

/* Outputs [n0, n0 + n) of the outer steps whose own loops stand at `outer`: all have the same parts. */
struct unit {
  int64_t outer[SUMI_CELL_OUTER], n0, n;
  size_t part, n_parts;    /* of packed.part */
  uint32_t load, param_at; /* channel parameters */
};

/* What is brought into the weights area together. */
struct load {
  uint64_t image_at;
  uint32_t bytes, table_at;
  uint32_t sram; /* where it lies while resident */
  bool resident;
};

struct packed {
  struct unit *unit;
  struct part *part;
  struct load *load;
  size_t n_units, n_parts, n_loads, cap_units, cap_parts, cap_loads;
};

/* Packs the weights and channel parameters of p into the image, outputs cut at multiples of `cut`. Fills in the facts about weights.
 * product_packed_fini frees what out holds, after a failure too. */
sumi_status product_pack(const struct product *p, int64_t cut, struct packed *out);
void product_packed_fini(const struct product *p, struct packed *packed);

/* Banks of a product; channels of the bank-th. */
static inline int64_t product_banks(const struct product *p) {
  return (p->v.channels + SUMI_CARD_BANK - 1) / SUMI_CARD_BANK;
}
static inline int64_t product_bank_channels(const struct product *p, int64_t bank) {
  return SUMI_MIN(SUMI_CARD_BANK, p->v.channels - bank * SUMI_CARD_BANK);
}
static inline int64_t product_div_up(int64_t n, int64_t d) { return n / d + (n % d != 0); }

/* ---- operands in DRAM */

/* Runs the product piece by piece: operands in DRAM pass through scratch. */
sumi_status product_strips(const struct product *p, const struct box *size, struct packed *packed);
/* Steps of every loop that scratch has room for; all of them where nothing lies in DRAM. Refuses where one step is too much. */
sumi_status product_box(const struct product *p, struct box *size);

/* Input pixels that n outputs from `at` on see along one axis: n of them from `first` on, with `pad` missing before them. At least one
 * is named even where all they see is padding. */
struct window {
  int64_t first, n, pad;
};
struct window product_window(int64_t at, int64_t n, int stride, int dilation, int kernel, int64_t pad,
                             int64_t limit);

/* ---- words */

/* Words of a product all of whose operands lie in SRAM: the steps `box` of the whole cell, to which v has been narrowed. more: other
 * boxes follow. */
sumi_status product_multiply(const struct product *p, const struct box *box, struct packed *packed,
                             bool more);

#endif
