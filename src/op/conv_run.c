/* Convolutions on family spmm running: copies, tiles, images; or a few planes of one image. */
#include "op/conv_run.h"

#include "base/size.h"

struct spmm_run {
  const struct spmm_args *a;
  const struct sumi_run *run;
  const float *x; /* one image */
  float *planes;  /* the copy of it */
  float *panels;
  struct sumi_spmm_f32 s;
};

/* to[ky, kx, oy, ox] = x[oy * stride + ky * dilation - begin, ox ... ], 0 outside of it. */
static void unfold(const struct sumi_conv_space *s, const float *x, float *to) {
  for (int64_t ky = 0; ky < s->kernel[H]; ky++)
    for (int64_t kx = 0; kx < s->kernel[WIDTH]; kx++)
      for (int64_t oy = 0; oy < s->out[H]; oy++, to += s->out[WIDTH]) {
        const int64_t i = oy * s->stride[H] + ky * s->dilation[H] - s->begin[H];
        for (int64_t ox = 0; ox < s->out[WIDTH]; ox++) {
          const int64_t j = ox * s->stride[WIDTH] + kx * s->dilation[WIDTH] - s->begin[WIDTH];
          const bool inside = i >= 0 && i < s->in[H] && j >= 0 && j < s->in[WIDTH];
          to[ox] = inside ? x[i * s->in[WIDTH] + j] : 0;
        }
      }
}

static void copy_slices(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct spmm_run *r = user;
  const struct spmm_args *a = r->a;
  const int64_t in_slice = a->in_pixels / a->in_slices;
  for (int64_t i = begin; i < end; i++) {
    const int64_t channel = i / a->halo_slices, d = i % a->halo_slices - a->front;
    float *to = r->planes + i * a->slice_words;
    if (a->unfold)
      unfold(a->unfold, r->x + channel * a->in_pixels, to);
    else if (d >= 0 && d < a->in_slices)
      a->copy->halo(&a->halo, r->x + channel * a->in_pixels + d * in_slice, to);
    else
      for (int64_t k = 0; k < a->slice_words; k++) to[k] = 0;
  }
}

static void sum_tiles(void *user, int64_t begin, int64_t end, int worker) {
  const struct spmm_run *r = user;
  const struct spmm_args *a = r->a;
  for (int64_t i = begin; i < end; i++) {
    const int64_t tile = i % a->tiles.count, slice = i / a->tiles.count % a->slices;
    const int64_t group = i / a->tiles.count / a->slices, first = group * a->blocks_group;
    struct sumi_spmm_f32 s = r->s;
    s.x += group * a->group_words + slice * a->slice_step;
    s.y += slice * a->slice_pixels + first * s.block * s.y_row;
    if (s.add) s.add += slice * a->slice_pixels + first * s.block * s.add_row;
    if (s.bias) s.bias += first * s.block;
    s.rows = SUMI_MIN(s.rows - first * s.block, a->blocks_group * s.block);
    s.w += first * s.w_block;
    if (s.start) s.start += first;
    sumi_spmm_run_tile(a->kernel, &s, &a->tiles, tile, r->panels, worker);
  }
}

/* Image b, with the threads of par. */
static void run_image(struct spmm_run *r, int64_t b, struct sumi_par *par) {
  const struct spmm_args *a = r->a;
  r->x = (const float *)r->run->buffer[a->x] + b * a->c_in * a->in_pixels;
  r->s.x = r->x;
  if (a->copy) {
    sumi_par_for(par, a->c_in * a->halo_slices, 1, copy_slices, r);
    r->s.x = r->planes;
  }
  r->s.y = (float *)r->run->buffer[a->y] + b * a->c_out * a->out_pixels;
  if (a->z >= 0) r->s.add = (const float *)r->run->buffer[a->z] + b * a->c_out * a->out_pixels;
  sumi_par_for(par, a->group * a->slices * a->tiles.count, 1, sum_tiles, r);
}

static void run_images(void *user, int64_t begin, int64_t end, int worker) {
  struct spmm_run r = *(const struct spmm_run *)user;
  if (r.planes) r.planes += worker * r.a->image_words;
  if (r.panels) r.panels += worker * sumi_spmm_f32_scratch(&r.s);
  for (int64_t b = begin; b < end; b++) run_image(&r, b, NULL);
}

static struct spmm_run make_run(const struct spmm_args *a, const struct sumi_run *run) {
  struct spmm_run r = {.a = a, .run = run, .s = a->s};
  if (a->scratch >= 0) r.planes = run->buffer[a->scratch];
  if (a->panels >= 0) r.panels = run->buffer[a->panels];
  if (a->b >= 0) r.s.bias = run->buffer[a->b];
  if (a->w >= 0) r.s.w = run->buffer[a->w];
  return r;
}

void sumi_conv_run_planes(const void *args, const struct sumi_run *run, int64_t p0, int64_t p1, void *some,
                          int worker) {
  const struct spmm_args *a = args;
  struct sumi_spmm_f32 s = make_run(a, run).s;
  const int64_t b0 = p0 / s.block, b1 = (p1 + s.block - 1) / s.block;
  s.x = run->buffer[a->x];
  s.y = some;
  if (s.bias) s.bias += p0;
  if (a->panels >= 0) s.scratch = (float *)run->buffer[a->panels] + worker * sumi_spmm_f32_scratch(&s);
  s.w += b0 * s.w_block;
  if (s.start) s.start += b0;
  s.rows = p1 - p0;
  a->kernel->run(&s, 0, b1 - b0, 0, s.pixels);
}

sumi_status sumi_conv_run_spmm(const void *args, const struct sumi_run *run) {
  const struct spmm_args *a = args;
  struct spmm_run r = make_run(a, run);
  if (a->whole)
    sumi_par_for(run->par, a->batch, 1, run_images, &r);
  else
    for (int64_t b = 0; b < a->batch; b++) run_image(&r, b, run->par);
  return SUMI_OK;
}
