/* Kernel family spmm, bfloat16: the loop of spmm.h on planes of words of two bfloat16 (tensor/layout.h), float32 sums, and an
 * epilogue that ends in bfloat16 again, or in float32.
 *
 *   for p in [p0, p1): for m in rows of blocks [b0, b1):                  b = m / block, i = m % block
 *     sum = sum over e in list(b), c < 2 of x[off[e] / 2 + 2 * p + c] * w(b, e, i)[c]
 *     v = sum + bias[m]; if r: v = v + r(m, p); if act: v = act(v); v = min(max(lo, v), hi), where a NaN stays
 *     f32 output:  y_f32[m * y_row + at(p)] = v
 *     bfloat16:    half m % 2 of y[m / 2 * y_group + at(p)] = v rounded to nearest even
 *
 * Products of two bfloat16 are exact in float32. They are added, each rounded to nearest, in an order of the kernel's own:
 * rows and ref one after the other (avx512bf16: the second half of a word first), amx the first halves of 16 entries, the second
 * halves, then both to the sum. Instructions for bfloat16 take and give denormal numbers as 0. So a sum of n products is off
 * by at most n * 2^-24 of the sum of their magnitudes, plus n * 2^-126; it does not depend on the split or the threads.
 *
 * at(p): the map's pieces; r(m, p) is half m % 2 of r[m / 2 * r_group + the place that r_map gives p]. Where rows is odd, the other
 * half of the last word becomes 0. Weights: the two forms of spmm_i8.h, words of two bfloat16; packing fills blocks up.
 *
 * Blocks [b0, b1) make whole words: where block is 1, b0 is even, b1 too or the number of blocks, which is even then. Pixels [p0, p1): p0 is
 * a multiple of 16, p1 too or the end of the walk. Vectors without pieces may be left out. Kernels read up to
 * SUMI_LANE_OVER_WORDS words beyond a plane's pixels (off[e] + 4 * pixels), and write nothing outside the pieces. y may lie over
 * r where both maps are the same. */
#ifndef SUMI_KERNEL_SPMM_BF16_H
#define SUMI_KERNEL_SPMM_BF16_H

#include <stddef.h>
#include <stdint.h>

#include "cpu/cpu.h"
#include "kernel/eltwise/eltwise.h"
#include "tensor/layout.h"

struct sumi_spmm_bf16 {
  int64_t rows;
  int block;
  const uint8_t *x;     /* planes of words */
  const int32_t *off;   /* bytes, multiples of 4 */
  const int32_t *start; /* [blocks + 1]; NULL = one list for all blocks */
  int64_t n_list;
  const int32_t *w;
  int64_t w_block, w_entry, w_row; /* words; rows form only */
  const float *bias;               /* [rows, filled up to an even number] */
  const uint32_t *r;               /* planes of words; NULL = no residual */
  int64_t r_group;                 /* words from plane to plane */
  sumi_unary_fn act;               /* NULL = none */
  const float *act_param;
  float lo, hi;
  const struct sumi_lane_map *map, *r_map; /* same length of walk */
  uint32_t *y;                             /* planes of words, or */
  int64_t y_group;                         /* words from plane to plane */
  float *y_f32;                            /* planes of float32 (NULL = bfloat16 output) */
  int64_t y_row;                           /* elements from row to row */
};

typedef void (*sumi_spmm_bf16_fn)(const struct sumi_spmm_bf16 *s, int64_t b0, int64_t b1, int64_t p0,
                                  int64_t p1);

struct sumi_spmm_bf16_kernel {
  const char *name; /* "spmm_bf16/amx" */
  enum sumi_isa isa;
  unsigned blocks; /* bit log2(block) is set for every size of block it takes: 1, 2, 4, 8, 16, 32 */
  int pixels;      /* of a tile: split walks into multiples of it */
  float gmacs[6]; /* measured 10^9 multiply-adds a second on one core, dense, by log2(block); 0 = not taken */
  float entry_ns; /* what one entry of a list of its own costs beside that, per tile */
  float tile_ns;  /* what starting and finishing a tile of `pixels` costs, per row */
  const char *what;
  sumi_spmm_bf16_fn run;
};

/* All kernels, best first; the last one is portable and takes every block. */
const struct sumi_spmm_bf16_kernel *sumi_spmm_bf16_kernels(size_t *n);

/* Of the kernels that may run at this level and take blocks of so many rows, the one with the most multiply-adds a
 * second. */
const struct sumi_spmm_bf16_kernel *sumi_spmm_bf16_pick(enum sumi_isa level, int block);

/* Seconds that lists of so many entries together, in n_blocks blocks, take over so many pixels; dense: the lists are one. */
double sumi_spmm_bf16_predict(const struct sumi_spmm_bf16_kernel *kernel, int block, bool dense,
                              double entries, double n_blocks, int64_t pixels);

#endif
