#include "op/zero_behind.h"

#include "base/size.h"

sumi_status sumi_zero_behind_plan(struct sumi_lower *l, const char *kernel, int64_t planes, int64_t pixels,
                                  struct sumi_zero_behind *z) {
  size_t bytes;
  *z = (struct sumi_zero_behind){.copy = sumi_copy_pick(l->isa), .planes = planes};
  z->halo =
      (struct sumi_copy_halo){.h = 1, .w = pixels, .rows = 1, .step_y = 1, .step_x = 1, .n_y = 1, .n_x = 1};
  z->halo.pitch = z->halo.plane = pixels + 1;
  if (!sumi_size_mul((size_t)planes, (size_t)z->halo.plane, &bytes) ||
      !sumi_size_mul(bytes, sizeof(float), &bytes)) {
    sumi_lower_refuse(l, kernel, "the scratch memory would be too large");
    return SUMI_E_UNSUPPORTED;
  }
  z->buffer = sumi_lower_scratch(l, bytes);
  if (z->buffer < 0) SUMI_FAIL_MEMORY(l->err);
  return SUMI_OK;
}

struct state {
  const struct sumi_zero_behind *z;
  const float *x;
  float *to;
};

static void copy_planes(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *s = user;
  const struct sumi_copy_halo *h = &s->z->halo;
  for (int64_t i = begin; i < end; i++) s->z->copy->halo(h, s->x + i * h->w, s->to + i * h->plane);
}

void sumi_zero_behind_copy(const struct sumi_zero_behind *z, struct sumi_par *par, const float *x,
                           float *to) {
  struct state s = {z, x, to};
  sumi_par_for(par, z->planes, 4, copy_planes, &s);
}
