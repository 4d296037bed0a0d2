/* Kernel family spmm, 8 bits: the loop of spmm.h on planes of words of four unsigned bytes (tensor/layout.h), weights
 * of four signed bytes, exact 32-bit sums, and an epilogue that ends in bytes again.
 *
 *   for p in [p0, p1): for m in rows of blocks [b0, b1):                  b = m / block, i = m % block
 *     sum = bias[m] + sum over e in list(b), c < 4 of x[off[e] + 4 * p + c] * w(b, e, i)[c]       modulo 2^32
 *     v = fma((float)sum, scale[m], shift ? shift[m] : 0); if act: v = act(v)
 *     f32 output:  y_f32[m * y_row + at(p)] = v
 *     8-bit:       q = round(clamp(v * post, lo - zero, hi - zero)) + zero
 *                  for each stage t:  v = t.add ? t.add[m] : (float)(r(m, p) - t.r_zero) * t.r_mul
 *                                     v = fma((float)(q - zero before), t.mul, v); if t.act: v = t.act(v) * t.post
 *                                     q = round(clamp(v, t.lo - t.zero, t.hi - t.zero)) + t.zero
 *                  if table: q = table[q]
 *                  byte m % 4 of y[m / 4 * y_group + at(p)] = q
 *
 * round is to nearest even; clamp(v, a, b) = min(max(v, a), b), where a NaN becomes a. at(p): the map's pieces; r(m, p)
 * is byte m % 4 of r[m / 4 * r_group + the place that r_map gives p]. lo, hi, zero and r_zero are whole numbers 0..255.
 * rows is a multiple of 4 (packing adds rows of zeros); list(b) = start ? [start[b], start[b + 1]) : [0, n_list).
 *
 * Weights come in two forms. By rows (block 1, 2, 4, 8): w(b, e, i) is the word w[b * w_block + e * w_entry + i * w_row],
 * with w_block = 0 and e counted through where start is given. In tiles (block 16, 32): lists are filled up to multiples of
 * 16 entries with zero weights whose offsets repeat one of the list; word (row i, entry e) of block b lies at
 *   first(b) * block + ((e / 16 * (block / 16) + i / 16) * 16 + i % 16) * 16 + e % 16,    first(b) = start ? start[b] : b * n_list.
 *
 * Blocks [b0, b1) make whole words: where block is 1 or 2, b0 and b1 are multiples of 4 / block. Pixels [p0, p1): p0 is a
 * multiple of 16, p1 too or the end of the walk. Vectors without pieces may be left out. Kernels read up to
 * SUMI_LANE_OVER_WORDS words beyond a plane's pixels (off[e] + 4 * pixels), and write nothing outside the pieces. y may lie over
 * r where both maps are the same. The result is exact: it does not depend on kernel, split or threads. */
#ifndef SUMI_KERNEL_SPMM_I8_H
#define SUMI_KERNEL_SPMM_I8_H

#include <stddef.h>
#include <stdint.h>

#include "cpu/cpu.h"
#include "kernel/eltwise/eltwise.h"
#include "tensor/layout.h"

enum { SUMI_SPMM_I8_STAGES = 2 };

struct sumi_spmm_i8_stage {
  const float *add;  /* [rows]; NULL: the residual r */
  const uint32_t *r; /* planes of words */
  int64_t r_group;   /* words from plane to plane */
  float r_zero, r_mul;
  float mul, zero, lo, hi;
  sumi_unary_fn act; /* NULL = none; called for the words of a tile together */
  const float *act_param;
  float post;
};

struct sumi_spmm_i8 {
  int64_t rows;
  int block;
  const uint8_t *x;
  const int32_t *off;   /* bytes, multiples of 4 */
  const int32_t *start; /* [blocks + 1]; NULL = one list for all blocks */
  int64_t n_list;
  const int32_t *w;
  int64_t w_block, w_entry, w_row; /* words; rows form only */
  const int32_t *bias;             /* [rows] */
  const float *scale;              /* [rows] */
  const float *shift;              /* [rows]; NULL = none */
  sumi_unary_fn act;               /* NULL = none; called for the words of a tile together */
  const float *act_param;
  float post, zero, lo, hi; /* 8-bit output only, as the stages and the table */
  int n_stage;
  struct sumi_spmm_i8_stage stage[SUMI_SPMM_I8_STAGES];
  const uint8_t *table;                    /* [256], 64-byte aligned; NULL = none */
  const struct sumi_lane_map *map, *r_map; /* same length of walk */
  uint32_t *y;                             /* planes of words, or */
  int64_t y_group;                         /* words from plane to plane */
  float *y_f32;                            /* planes of float32 (NULL = 8-bit output) */
  int64_t y_row;                           /* elements from row to row */
};

typedef void (*sumi_spmm_i8_fn)(const struct sumi_spmm_i8 *s, int64_t b0, int64_t b1, int64_t p0, int64_t p1);

struct sumi_spmm_i8_kernel {
  const char *name; /* "spmm_i8/avx512vnni" */
  enum sumi_isa isa;
  unsigned blocks; /* bit log2(block) is set for every size of block it takes: 1, 2, 4, 8, 16, 32 */
  int pixels;      /* of a tile: split walks into multiples of it */
  float gmacs[6]; /* measured 10^9 multiply-adds a second on one core, dense, by log2(block); 0 = not taken */
  float entry_ns; /* what one entry of a list of its own costs beside that, per tile */
  float tile_ns;  /* what starting and finishing a tile of `pixels` costs, per row */
  const char *what;
  sumi_spmm_i8_fn run;
  int64_t most_pixels; /* picked for walks of so many at most; it works beyond that */
};

/* All kernels, best first; the last one is portable and takes every block. */
const struct sumi_spmm_i8_kernel *sumi_spmm_i8_kernels(size_t *n);

/* The first kernel that may run at this level, for blocks of so many rows and walks of so many pixels. */
const struct sumi_spmm_i8_kernel *sumi_spmm_i8_pick(enum sumi_isa level, int block, int64_t pixels);

/* Seconds that lists of so many entries together, in n_blocks blocks, take over so many pixels; dense: the lists are one. */
double sumi_spmm_i8_predict(const struct sumi_spmm_i8_kernel *kernel, int block, bool dense, double entries,
                            double n_blocks, int64_t pixels);

#endif
