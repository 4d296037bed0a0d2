/* A convolution on family spmm as it was lowered (conv_lower.c), and how it runs. */
#ifndef SUMI_OP_CONV_RUN_H
#define SUMI_OP_CONV_RUN_H

#include "kernel/copy/copy.h"
#include "op/conv_lower_int.h"
#include "op/spmm_lower.h"

struct spmm_args {
  struct sumi_spmm_f32 s; /* pointers to buffers are set while running */
  const struct sumi_spmm_f32_kernel *kernel;
  const struct sumi_copy_kernel *copy; /* NULL = x is read as it lies */
  struct sumi_copy_halo halo;
  struct sumi_spmm_window window;     /* s.window points here where it is used */
  struct sumi_spmm_tiles tiles;       /* of one group and slice */
  int x, w, b, z, y, scratch, panels; /* buffers; w: -1 = packed */
  int64_t batch, c_in, c_out, group, blocks_group, in_pixels, out_pixels;
  int64_t group_words; /* from one group's first plane to the next one's, in what spmm reads */
  int64_t slices, slice_step,
      slice_pixels; /* output slices; words from one's input to the next one's; pixels of one */
  int64_t front, in_slices,
      halo_slices;     /* the copy's third dimension: padding, slices of x, slices of the copy */
  int64_t slice_words; /* words of one slice of the copy, all phases */
  int64_t image_words; /* of the copy of one image */
  bool whole;          /* a thread takes whole images and copies them for itself, else all share one */
  const struct sumi_conv_space *unfold; /* the copy has a plane for every tap; NULL = one for every phase */
};

/* Step functions over struct spmm_args; the second as struct sumi_planes has it, for one image that is read as it lies, without
 * groups, slices or a residual. */
sumi_status sumi_conv_run_spmm(const void *args, const struct sumi_run *run);
void sumi_conv_run_planes(const void *args, const struct sumi_run *run, int64_t p0, int64_t p1, void *some,
                          int worker);

#endif
