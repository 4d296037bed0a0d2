/* Kernel family spmm, float32: rows of sums over planes. Dense and sparse weights, convolutions of every
 * kind, matrix products: all are this loop with other offsets and strides.
 *
 *   for m in [0, rows): for p in [0, pixels):
 *     b = m / block, i = m % block                                  the row's block and its place in it
 *     v = bias[m] or lane_bias[p] or 0
 *     for e in list(b):                                             start ? [start[b], start[b+1]) : [0,
 * n_list) v = fma(*(float *)((char *)x + off[e] + 4 * p), w[b * w_block + e * w_entry + i * w_row], v) v = v
 * * scale if add: v = v + add[m * add_row + at(p)] if act: v = act(v) if p % pitch < width: y[m * y_row +
 * at(p)] = min(max(v, lo), hi)       NaN stays NaN where at(p) = p / pitch * width + p % pitch: pixels are
 * walked flat over planes of a padded pitch, what falls on the halo is computed and dropped. pitch = width:
 * at(p) = p.
 *
 * Roles. Convolution: x are planes of pixels, w is packed [block][entry][row in block] (w_row = 1, w_entry =
 * block). Matrix product a [m, k] x b [k, n]: the planes are the rows of b (off[e] = 4 * e * n, "pixels" are
 * its columns), the weights are a as it lies (w_row = k, w_entry = 1, w_block = block * k).
 *
 * Windows: with s->window the planes are images [h, w] as they lie, without a halo, and pixel p of entry e is word
 * (p / cols * step + dy[e % taps], p % cols * step + dx[e % taps]) of plane off[e], or 0 where that lies outside the image. One
 * list for all blocks or columns, scratch given, pitch = width; only kernels that say `windows` take it. With step 1 cols is w;
 * with step 2 it is SUMI_SPMM_STEP_COLS at least.
 *
 * Columns: with s->col, lists of their own name entries of one full list off[0, n_list): entry e reads what entry col[e]
 * of that list reads. Scratch given; only kernels that say `windows` take it.
 *
 * Strips: with s->strip, x is no planes but one block of words, [pixels / strip][n_list][strip]: the words that a strip
 * of pixels reads lie in the order in which they are read. The last strip is as wide as what is left, rounded up to
 * lanes. One list for all blocks, no windows, scratch not needed, pitch = width; p0 is a multiple of strip, so is p1
 * unless it is `pixels`. strip is what the kernel says.
 *
 * Exact: every kernel but ref uses fused multiply-adds in the order of the list and so gives the loop's bits;
 * ref rounds products. The result does not depend on how rows and pixels are split into calls. Alignment:
 * none needed; 64 bytes for x and off[e] is fastest. Nothing is read outside the words that the loop reads
 * (rows of the .def table say what they over-read: none so far), and nothing is written outside. y may lie
 * over add (same addresses), over nothing else. */
#ifndef SUMI_KERNEL_SPMM_H
#define SUMI_KERNEL_SPMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/cpu.h"
#include "kernel/eltwise/eltwise.h"

enum {
  SUMI_SPMM_BLOCK = 8,     /* the largest block: rows that share a list and lie together in packed weights */
  SUMI_SPMM_TAPS = 64,     /* the most taps of windows */
  SUMI_SPMM_STEP_COLS = 3, /* the fewest columns of windows with step 2 */
  SUMI_SPMM_F32_SCRATCH =
      128 * 48 + 128 * 4 + 5 * 16 * 8 * 52, /* words: copies of what many rows read, sums */
  SUMI_SPMM_F32_PANEL =
      192 << 10 /* words of a copied panel of lists of their own, where it can be that small */
};

struct sumi_spmm_window {
  int64_t h, w, cols;
  int step; /* 1 or 2 */
  int taps;
  const int32_t *dy, *dx; /* [taps] */
};

struct sumi_spmm_f32 {
  int64_t rows, pixels;
  int block; /* rows of a block, 1..SUMI_SPMM_BLOCK */
  const float *x;
  const int32_t *off;                    /* bytes, multiples of 4 */
  int strip;                             /* 0 = x are planes; else off is not used */
  const struct sumi_spmm_window *window; /* NULL = none */
  const int32_t *start;                  /* [blocks + 1]; NULL = one list for all blocks */
  int64_t n_list;                        /* entries of that list */
  const int32_t *col; /* with start: where in off[n_list]; NULL = lists have offsets of their own */
  const float *w;
  int64_t w_block, w_entry,
      w_row;              /* elements; w_block is 0 where start is given: entries are counted through */
  const float *bias;      /* [rows], NULL = none */
  const float *lane_bias; /* [pixels], NULL = none; not both */
  float scale;            /* 1 = none */
  const float *add;       /* NULL = none */
  int64_t add_row;        /* elements */
  sumi_unary_fn act;      /* NULL = none */
  const float *act_param;
  float lo, hi; /* -INFINITY, INFINITY = none */
  float *y;
  int64_t y_row;        /* elements */
  int64_t pitch, width; /* pixels; width <= pitch */
  float *
      scratch; /* sumi_spmm_f32_scratch words of the calling thread, 64-byte aligned; NULL = none, which is slower */
};

/* Words of scratch for one thread, a multiple of 16. */
int64_t sumi_spmm_f32_scratch(const struct sumi_spmm_f32 *s);

/* Computes blocks [b0, b1) of pixels [p0, p1). Safe for several threads where ranges do not overlap. */
typedef void (*sumi_spmm_f32_fn)(const struct sumi_spmm_f32 *s, int64_t b0, int64_t b1, int64_t p0,
                                 int64_t p1);

struct sumi_spmm_f32_kernel {
  const char *name; /* "spmm_f32/avx512" */
  enum sumi_isa isa;
  int lanes;     /* pixels in a vector: split pixels into multiples of it */
  bool windows;  /* takes windows */
  int strip;     /* pixels of the strips it takes, a multiple of lanes; 0 = takes none */
  int over_read; /* words read beyond the last pixel of a plane */
  float
      gmacs_shared; /* measured 10^9 multiply-adds a second on one core: blocks of 8 rows, one list for all, scratch */
  float gmacs[4]; /* lists of their own, x in second-level cache: blocks of 8, 4, 2, 1 rows */
  float
      panel_gain; /* how many times as fast lists of their own are over a copied panel; 0 = takes no columns */
  const char *what;
  sumi_spmm_f32_fn run;
};

/* All kernels, best first; the last one is portable and takes everything. */
const struct sumi_spmm_f32_kernel *sumi_spmm_f32_kernels(size_t *n);

/* The first kernel that may run at this level. */
const struct sumi_spmm_f32_kernel *sumi_spmm_f32_pick(enum sumi_isa level);

/* Seconds that lists of so many entries together, each for `block` rows, in n_blocks blocks, take over so many pixels;
 * shared: all blocks have the same list. */
double sumi_spmm_f32_predict(const struct sumi_spmm_f32_kernel *kernel, int block, bool shared,
                             double entries, double n_blocks, int64_t pixels);

/* Seconds that lists of their own take over copied panels of so many columns, where they take lists_s over planes. */
double sumi_spmm_f32_panel_s(const struct sumi_spmm_f32_kernel *kernel, double lists_s, int64_t columns,
                             int64_t pixels);

#endif
