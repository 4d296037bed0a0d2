/* sumi.QAttention on device cpu: family attention_i8, a task for each head and block of queries. In lanes along the last axis
 * heads are groups of planes, so that splitting and joining them moves nothing. */
#include "base/size.h"
#include "kernel/attention_i8/attention_i8.h"
#include "op/lane_lower.h"
#include "op/qattention.h"

enum { Q = SUMI_QATTENTION_Q, K = SUMI_QATTENTION_K, V = SUMI_QATTENTION_V, MASK = SUMI_QATTENTION_MASK };

/* The result's and q's, k's, v's last axis are the heads' features side by side, the others their tokens. */
static bool is_split(const struct sumi_qattention *a, int rank, const int64_t *dim, int64_t tokens) {
  return rank >= 2 && dim[rank - 1] == a->heads * a->features &&
         sumi_dims_count(dim, 0, rank - 1) == a->batch * tokens;
}

static const char *cannot(const struct sumi_node *node, const struct sumi_tensor *const *in, int n_in,
                          struct sumi_qattention *a) {
  for (int i = 0; i < n_in; i++)
    if (i != Q && i != K && i != V && i != MASK && in[i] && !in[i]->data)
      return "a parameter is not constant";
  if (sumi_qattention_resolve(node, in, n_in, a, NULL) != SUMI_OK) return "shapes do not fit";
  if (!sumi_tensor_count(in[Q]) || !sumi_tensor_count(in[K])) return "an empty tensor";
  if (a->features % 4) return "features of a head are no multiple of 4";
  if (a->features > SUMI_ATTENTION_I8_MOST || a->keys > SUMI_ATTENTION_I8_MOST) return "sums beyond 32 bits";
  if (!is_split(a, in[Q]->rank, in[Q]->dim, a->queries) || !is_split(a, in[K]->rank, in[K]->dim, a->keys) ||
      !is_split(a, in[V]->rank, in[V]->dim, a->keys) || !is_split(a, a->rank, a->dim, a->queries))
    return "heads do not lie side by side on the last axis";
  return NULL;
}

static struct sumi_lane_wish wish_of(int rank) {
  return (struct sumi_lane_wish){
      .lanes = true, .any = true, .axis = rank - 1, .halo = {.step_y = 1, .step_x = 1}};
}

void sumi_qattention_lanes(const struct sumi_call *c, struct sumi_lane_wish *in, struct sumi_lane_wish *out) {
  struct sumi_qattention a;
  if (cannot(c->node, c->in, c->n_in, &a)) return;
  in[Q] = wish_of(c->in[Q]->rank);
  in[K] = wish_of(c->in[K]->rank);
  in[V] = wish_of(c->in[V]->rank);
  out[0] = (struct sumi_lane_wish){.lanes = true, .axis = a.rank - 1};
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

struct args {
  const struct sumi_attention_i8_kernel *kernel;
  struct sumi_attention_i8 head;                /* pointers are set while running */
  int64_t batch, heads, queries, blocks, block; /* block: queries of a task */
  int64_t mask_batch, mask_head;
  size_t scratch_bytes;          /* of one worker */
  int q, k, v, y, mask, scratch; /* buffers; mask -1 = none */
};

struct state {
  const struct args *a;
  const uint32_t *q, *k, *v;
  const float *mask;
  uint32_t *y;
  char *scratch;
};

static void run_tasks(void *user, int64_t begin, int64_t end, int worker) {
  const struct state *s = user;
  const struct args *a = s->a;
  for (int64_t i = begin; i < end; i++) {
    const int64_t block = i % a->blocks, h = i / a->blocks % a->heads, b = i / a->blocks / a->heads;
    struct sumi_attention_i8 head = a->head;
    const int64_t plane = h * head.groups, first = block * a->block;
    head.q = s->q + plane * head.q_group + b * a->queries;
    head.k = s->k + plane * head.k_group + b * head.keys;
    head.v = s->v + plane * head.v_group + b * head.keys;
    head.y = s->y + plane * head.y_group + b * a->queries;
    if (s->mask) head.mask = s->mask + b * a->mask_batch + h * a->mask_head;
    a->kernel->run(&head, first, SUMI_MIN(first + a->block, a->queries),
                   s->scratch + (size_t)worker * a->scratch_bytes);
  }
}

static sumi_status run_attention(const void *args, const struct sumi_run *run) {
  const struct args *a = args;
  struct state s = {a,    run->buffer[a->q], run->buffer[a->k],      run->buffer[a->v],
                    NULL, run->buffer[a->y], run->buffer[a->scratch]};
  if (a->mask >= 0) s.mask = run->buffer[a->mask];
  sumi_par_for(run->par, a->batch * a->heads * a->blocks, 1, run_tasks, &s);
  return SUMI_OK;
}

/* ---- lowering ---------------------------------------------------------------------------------------------------- */

static float scale_of(const struct sumi_lower *l, int i) { return *(const float *)l->in[i]->data; }

/* As stored: int8 plus 128. */
static int32_t zero_of(const struct sumi_lower *l, int i) {
  const uint8_t bits = *(const uint8_t *)l->in[i]->data;
  return l->in[i]->dtype == SUMI_INT8 ? bits ^ 0x80 : bits;
}

static void set_numbers(const struct sumi_lower *l, const struct sumi_qattention *q, struct args *a) {
  struct sumi_attention_i8 *h = &a->head;
  const float p_scale = scale_of(l, SUMI_QATTENTION_P_SCALE), factor = q->divide ? 1 / q->factor : q->factor;
  *h = (struct sumi_attention_i8){
      .keys = q->keys,
      .groups = q->features / 4,
      .q_zero = zero_of(l, SUMI_QATTENTION_Q_ZERO),
      .k_zero = zero_of(l, SUMI_QATTENTION_K_ZERO),
      .p_zero = zero_of(l, SUMI_QATTENTION_P_ZERO),
      .v_zero = zero_of(l, SUMI_QATTENTION_V_ZERO),
      .dot_mul = scale_of(l, SUMI_QATTENTION_Q_SCALE) * scale_of(l, SUMI_QATTENTION_K_SCALE),
      .quantised = q->quantised,
      .mask_query = q->mask_stride[2],
      .mask_key = q->mask_stride[3],
      .p_mul = 1 / p_scale,
      .y_mul = p_scale * scale_of(l, SUMI_QATTENTION_V_SCALE) / scale_of(l, SUMI_QATTENTION_Y_SCALE),
      .y_zero = (float)zero_of(l, SUMI_QATTENTION_Y_ZERO)};
  if (q->quantised) {
    const float s_scale = scale_of(l, SUMI_QATTENTION_S_SCALE);
    h->dot_mul /= s_scale;
    h->s_mul = s_scale * factor;
    h->s_zero = (float)zero_of(l, SUMI_QATTENTION_S_ZERO);
  } else {
    h->dot_mul *= factor;
  }
  a->batch = q->batch, a->heads = q->heads, a->queries = q->queries;
  a->mask_batch = q->mask_stride[0], a->mask_head = q->mask_stride[1];
}

/* Heads are cut into blocks of queries only where there are fewer of them than threads want. */
static void set_blocks(struct args *a, int threads) {
  const int64_t heads = a->batch * a->heads, want = threads > 1 ? (2 * threads + heads - 1) / heads : 1;
  const int64_t tile = a->kernel->queries, each = (a->queries + want - 1) / want;
  a->block = (each + tile - 1) / tile * tile;
  a->blocks = (a->queries + a->block - 1) / a->block;
}

static sumi_status set_scratch(struct sumi_lower *l, struct args *a) {
  size_t bytes;
  a->scratch_bytes = sumi_attention_i8_scratch(a->kernel, a->head.keys, a->head.groups);
  if (!sumi_size_mul(a->scratch_bytes, (size_t)l->threads, &bytes))
    SUMI_FAIL(l->err, SUMI_E_LIMIT, "scratch of attention is too large");
  a->scratch = sumi_lower_scratch(l, bytes);
  if (a->scratch < 0) SUMI_FAIL_MEMORY(l->err);
  return SUMI_OK;
}

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "attention_i8", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

static sumi_status take_operand(struct sumi_lower *l, int i, int *buffer, int64_t *group, bool *flat) {
  struct sumi_lane_operand o;
  const struct sumi_lane_wish wish = wish_of(l->in[i]->rank);
  SUMI_TRY(sumi_lower_lanes_in(l, i, &wish, &o));
  *buffer = o.buffer;
  *group = o.layout.group;
  *flat = *flat && sumi_layout_is_flat(&o.layout);
  return SUMI_OK;
}

sumi_status sumi_qattention_lower(struct sumi_lower *l) {
  struct sumi_qattention q;
  struct sumi_lane_operand y;
  const char *why = cannot(l->node, l->in, l->n_in, &q);
  bool flat = true;
  if (why) return refuse(l, why);
  struct args *a = SUMI_NEW(l->arena, struct args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  set_numbers(l, &q, a);
  a->kernel = sumi_attention_i8_pick(l->isa);
  set_blocks(a, l->threads);
  SUMI_TRY(take_operand(l, Q, &a->q, &a->head.q_group, &flat));
  SUMI_TRY(take_operand(l, K, &a->k, &a->head.k_group, &flat));
  SUMI_TRY(take_operand(l, V, &a->v, &a->head.v_group, &flat));
  SUMI_TRY(sumi_lower_lanes_out(l, 0, q.rank - 1, &y));
  if (!flat || !sumi_layout_is_flat(&y.layout)) return refuse(l, "planes with a halo");
  a->y = y.buffer;
  a->head.y_group = y.layout.group;
  a->mask = -1;
  if (q.masked) SUMI_TRY(sumi_lower_rows_in(l, MASK, &a->mask));
  SUMI_TRY(set_scratch(l, a));
  SUMI_TRY(sumi_lower_emit(l, run_attention, a, a->kernel->name, (const int[]){a->q, a->k, a->v, a->mask},
                           q.masked ? 4 : 3, (const int[]){a->y, a->scratch}, 2));
  return sumi_lower_lanes_done(l, 0, &y);
}
