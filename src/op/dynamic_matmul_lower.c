/* y[p, m] = scale * b_scale[m] * sum of (q[p, k] - zero) * b[k, m] + bias[m], with q, scale and zero from a's range in this run.
 * a [pixels, k] is quantised into lanes, family spmm_i8 sums and gives float32 planes, which are turned round into y. */
#include "op/dynamic_matmul_lower.h"

#include <math.h>

#include "base/size.h"
#include "kernel/copy/copy.h"
#include "kernel/lane/lane.h"
#include "kernel/reduce/reduce.h"
#include "op/lane_lower.h"
#include "op/qdot_weights.h"
#include "op/spmm_lower.h"

enum { A, B, B_SCALE, B_ZERO, BIAS };

struct args {
  struct sumi_spmm_i8 s; /* pointers to buffers are set while running */
  struct sumi_lane_map map;
  struct sumi_lane_convert quantize;
  const struct sumi_spmm_i8_kernel *kernel;
  const struct sumi_lane_kernel *lane;
  const struct sumi_reduce_kernel *reduce;
  const struct sumi_copy_kernel *copy;
  struct sumi_spmm_tiles tiles;
  const float *b_scale; /* [columns] */
  const int32_t *b_sum; /* [columns] of all weights of a column */
  int64_t pixels, columns, groups;
  int a, y, words, planes, figures; /* buffers: of a in lanes, of y in planes, of bias and scale */
};

struct state {
  const struct args *a;
  struct sumi_spmm_i8 s;
  struct sumi_lane_convert quantize;
  float *y;
};

static void quantize_groups(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *st = user;
  st->a->lane->quantize(&st->quantize, begin, end, 0, st->a->pixels);
}

static void sum_tiles(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *st = user;
  for (int64_t i = begin; i < end; i++) {
    const struct sumi_spmm_part part = sumi_spmm_tile_part(&st->a->tiles, i);
    st->a->kernel->run(&st->s, part.b0, part.b1, part.p0, part.p1);
  }
}

static void turn_pixels(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *st = user;
  const struct args *a = st->a;
  a->copy->transpose(st->s.y_f32 + begin, st->s.y_row, a->columns, end - begin, st->y + begin * a->columns,
                     a->columns);
}

/* Scale and zero point over the range of x, 0 included, as DynamicQuantizeLinear. */
static void find_range(const struct args *a, const float *x, int64_t n, float *scale, float *zero) {
  float low, high;
  a->reduce->row[SUMI_REDUCE_min](x, n, &low);
  a->reduce->row[SUMI_REDUCE_max](x, n, &high);
  low = low < 0 ? low : 0;
  high = high > 0 ? high : 0;
  *scale = high == low ? 1 : (high - low) / 255;
  *zero = fminf(255, fmaxf(0, rintf(-low / *scale)));
}

static sumi_status run_matmul(const void *args, const struct sumi_run *run) {
  const struct args *a = args;
  struct state st = {.a = a, .s = a->s, .quantize = a->quantize, .y = run->buffer[a->y]};
  float scale, zero, *row_scale = run->buffer[a->figures];
  int32_t *bias = (int32_t *)(row_scale + a->s.rows);
  find_range(a, run->buffer[a->a], a->pixels * a->quantize.channels, &scale, &zero);
  for (int64_t m = 0; m < a->s.rows; m++) {
    row_scale[m] = m < a->columns ? scale * a->b_scale[m] : 0;
    bias[m] = m < a->columns ? (int32_t)(0u - (uint32_t)zero * (uint32_t)a->b_sum[m]) : 0;
  }
  st.quantize.data = run->buffer[a->a];
  st.quantize.words.word = run->buffer[a->words];
  st.quantize.scale = &scale;
  st.quantize.zero = &zero;
  st.s.x = run->buffer[a->words];
  st.s.bias = bias;
  st.s.scale = row_scale;
  st.s.y_f32 = run->buffer[a->planes];
  sumi_par_for(run->par, a->groups, 32, quantize_groups, &st);
  sumi_par_for(run->par, a->tiles.count, 1, sum_tiles, &st);
  sumi_par_for(run->par, a->pixels, 32, turn_pixels, &st);
  return SUMI_OK;
}

/* ---- lowering --------------------------------------------------------------------------------------------------- */

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "spmm_i8", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

static bool has(const struct sumi_lower *l, int i) { return i < l->n_in && l->in[i]; }

static const char *cannot(const struct sumi_lower *l) {
  if (!sumi_lower_is_constant(l, B) || !l->in[B_SCALE]->data || (has(l, BIAS) && !l->in[BIAS]->data))
    return "the weights, their scales or the bias are not constant";
  if (l->in[B]->dtype != SUMI_INT8 || l->in[B]->rank != 2) return "weights that are no matrix of int8";
  if (l->in[A]->rank < 2 || !sumi_tensor_count(l->in[A]) || !sumi_tensor_count(l->in[B]))
    return "a vector, or nothing";
  for (int64_t j = 0; has(l, B_ZERO) && j < sumi_tensor_count(l->in[B_ZERO]); j++)
    if (!l->in[B_ZERO]->data || ((const int8_t *)l->in[B_ZERO]->data)[j])
      return "a zero point of the weights";
  return NULL;
}

static sumi_status scratch(struct sumi_lower *l, size_t bytes, int *buffer) {
  *buffer = sumi_lower_scratch(l, bytes);
  if (*buffer < 0) SUMI_FAIL_MEMORY(l->err);
  return SUMI_OK;
}

static sumi_status set_columns(struct sumi_lower *l, struct args *a) {
  float *scale = SUMI_NEW_ARRAY(l->arena, (size_t)a->columns, float), *shift = NULL;
  if (has(l, BIAS)) shift = SUMI_NEW_ARRAY(l->arena, (size_t)a->s.rows, float);
  if (!scale || (has(l, BIAS) && !shift)) SUMI_FAIL_MEMORY(l->err);
  const bool one = sumi_tensor_count(l->in[B_SCALE]) == 1;
  for (int64_t m = 0; m < a->columns; m++) {
    scale[m] = ((const float *)l->in[B_SCALE]->data)[one ? 0 : m];
    if (shift) shift[m] = ((const float *)l->in[BIAS]->data)[m];
  }
  a->b_scale = scale;
  a->s.shift = shift;
  return SUMI_OK;
}

/* a in lanes: one row of pixels. */
static sumi_status set_input(struct sumi_lower *l, struct args *a, struct sumi_layout *x) {
  struct sumi_tensor bytes = *l->in[A];
  bytes.dtype = SUMI_UINT8;
  const struct sumi_halo none = {0, 0, 0, 0, 1, 1};
  SUMI_TRY(sumi_layout_lanes(&bytes, bytes.rank - 1, none, 0, x, l->err));
  a->pixels = x->w;
  a->groups = x->groups;
  a->quantize = (struct sumi_lane_convert){
      .channel = 1, .pixel = x->channels, .channels = x->channels, .words = {.group = x->group}};
  SUMI_TRY(sumi_lower_map_same(l, x, x, &a->map));
  return scratch(l, x->bytes, &a->words);
}

static sumi_status set_product(struct sumi_lower *l, struct args *a, const struct sumi_layout *x,
                               double *predicted_s) {
  const int64_t k = l->in[B]->dim[0], n = l->in[B]->dim[1];
  const struct sumi_word_matrix matrix = {l->in[B]->data, 4, n, 1, k, 1, 1, n, 0};
  struct sumi_word_weights w;
  SUMI_TRY(sumi_word_pack(l, &sumi_words_i8, &matrix, a->pixels, &w));
  int32_t *column = SUMI_NEW_ARRAY(l->arena, (size_t)x->groups, int32_t);
  if (!column) SUMI_FAIL_MEMORY(l->err);
  for (int64_t g = 0; g < x->groups; g++) column[g] = (int32_t)(4 * g * x->group);
  SUMI_TRY(sumi_qdot_set_weights(l, &w, column, &a->s));
  a->kernel = w.kernel;
  a->columns = n;
  a->b_sum = w.facts->sum;
  a->s.map = a->s.r_map = &a->map;
  a->s.y_row = (a->pixels + 15) / 16 * 16;
  const int64_t entries = w.packed->n_entries * (w.packed->dense ? w.packed->n_blocks : 1);
  a->tiles = sumi_spmm_tile(SUMI_MAX(4 / a->s.block, 1), a->kernel->pixels, l->threads, w.packed->n_blocks,
                            a->pixels, entries * a->s.block, x->groups * x->group);
  *predicted_s = w.predicted_s;
  SUMI_TRY(scratch(l, (size_t)(a->s.rows * a->s.y_row) * sizeof(float), &a->planes));
  return scratch(l, (size_t)a->s.rows * (sizeof(float) + sizeof(int32_t)), &a->figures);
}

sumi_status sumi_dynamic_matmul_lower(struct sumi_lower *l) {
  const char *why = cannot(l);
  if (why) return refuse(l, why);
  struct args *a = SUMI_NEW(l->arena, struct args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  struct sumi_layout x;
  double predicted_s = 0;
  a->lane = sumi_lane_pick(l->isa);
  a->reduce = sumi_reduce_pick(l->isa);
  a->copy = sumi_copy_pick(l->isa);
  a->a = l->in_buffer[A];
  a->y = l->out_buffer[0];
  SUMI_TRY(set_input(l, a, &x));
  if (x.bytes >= INT32_MAX) return refuse(l, "the planes of the input take more than 2 GiB");
  SUMI_TRY(set_product(l, a, &x, &predicted_s));
  SUMI_TRY(set_columns(l, a));
  const char *name = sumi_arena_printf(l->arena, "%s + %s", a->lane->name, a->kernel->name);
  if (!name) SUMI_FAIL_MEMORY(l->err);
  const int writes[] = {a->y, a->words, a->planes, a->figures};
  SUMI_TRY(sumi_lower_emit(l, run_matmul, a, name, &a->a, 1, writes, 4));
  sumi_lower_predict(l, predicted_s / l->threads);
  return SUMI_OK;
}
