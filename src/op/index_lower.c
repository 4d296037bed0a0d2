/* Gather, GatherND, ScatterND (without a reduction) of elements of whole bytes:
 *   gather:  for o in [0, outer): for j in [0, n): y[(o * n + j) * block + i] = x[o * span + at(o, j) + i]
 *   scatter: y = x, then for j in [0, n): y[at(0, j) + i] = update[j * block + i], in this order
 * with i in [0, block) and at(o, j) the sum of index * stride over the depth entries of the j-th index (the (o * n + j)-th
 * where every o has its own). Indices are checked before anything is copied.
 *
 * GatherElements, ScatterElements: rows of the index, row r of `len` indices with a base of its own in x:
 *   gather:  y[r * len + j] = x[base(r) + index[r * len + j] * stride + j % inner]
 *   scatter: y = x, then y[the same place] = update[r * len + j], in this order
 * Scatters with a reduction combine float32 and int64 with what is there. */
#include "op/index_lower.h"

#include <stdatomic.h>
#include <string.h>

#include "base/size.h"
#include "op/move.h"
#include "op/op_util.h"

enum {
  TILE_BYTES = 1 << 16, /* starting a tile costs nothing beside moving them */
  CHUNK = 256           /* offsets computed at once */
};

struct args {
  int x, index, update, y; /* buffers; update -1: a gather */
  sumi_dtype index_type;
  int depth;
  int64_t dim[SUMI_MAX_RANK], stride[SUMI_MAX_RANK]; /* [depth]; bytes */
  int64_t outer, n, span_bytes, block, block_bytes, y_bytes;
  bool own; /* every o has indices of its own */

  /* elements: a walk over the dims before the row's gives its base in x, in bytes */
  int rank;
  int64_t rows[SUMI_MAX_RANK], base[SUMI_MAX_RANK]; /* [rank] */
  int64_t len, inner;
  void (*combine)(char *y, const int64_t *at, int64_t n, int64_t block, const void *update);
};

struct state {
  const struct args *a;
  const void *index;
  const char *from;
  char *to;
  atomic_bool *outside; /* elements: set where an index is */
};

/* at[j] = offset in bytes of index j, for j in [0, n); false where one is outside (at is then of no use). Without branches:
 * i and dim - 1 - i are both >= 0 where i is inside. */
#define OFFSETS(name, T)                                                                             \
  static bool name(const struct args *a, const T *restrict index, int64_t n, int64_t *restrict at) { \
    const int64_t depth = a->depth;                                                                  \
    uint64_t signs = 0;                                                                              \
    for (int k = 0; k < depth; k++) {                                                                \
      const uint64_t dim = (uint64_t)a->dim[k], stride = (uint64_t)a->stride[k];                     \
      for (int64_t j = 0; j < n; j++) {                                                              \
        uint64_t i = (uint64_t)index[j * depth + k];                                                 \
        i += dim & -(i >> 63);                                                                       \
        signs |= i | (dim - 1 - i);                                                                  \
        at[j] = (int64_t)((k ? (uint64_t)at[j] : 0) + i * stride); /* wraps where it is outside */   \
      }                                                                                              \
    }                                                                                                \
    return !(signs >> 63);                                                                           \
  }
OFFSETS(offsets_i64, int64_t)
OFFSETS(offsets_i32, int32_t)

static bool offsets(const struct args *a, const void *index, int64_t first, int64_t n, int64_t *at) {
  return a->index_type == SUMI_INT64 ? offsets_i64(a, (const int64_t *)index + first * a->depth, n, at)
                                     : offsets_i32(a, (const int32_t *)index + first * a->depth, n, at);
}

/* SUMI_OK where every index is inside, else what sumi_index() says of the first that is not. */
static sumi_status check(const struct args *a, const void *index, struct sumi_err *err) {
  const int64_t total = a->own ? a->outer * a->n : a->n;
  int64_t at[CHUNK];
  for (int64_t j = 0; j < total; j += CHUNK) {
    const int64_t n = SUMI_MIN(total - j, CHUNK);
    if (offsets(a, index, j, n, at)) continue;
    for (int64_t i = j * a->depth; i < (j + n) * a->depth; i++) {
      int64_t unused;
      SUMI_TRY(sumi_index(sumi_get_i64(a->index_type, index, i), a->dim[i % a->depth], &unused, err));
    }
  }
  return SUMI_OK;
}

/* ---- gather ---------------------------------------------------------------------------------------------------------- */

#define COPY_WORDS(T)                                                                               \
  for (int64_t j = 0; j < n; j++) {                                                                 \
    memcpy(to + j * (int64_t)sizeof(T), from + at[j], sizeof(T)); /* from may lie at any address */ \
  }

static void gather_some(const char *from, const int64_t *at, int64_t n, int64_t bytes, char *to) {
  if (bytes == 4) {
    COPY_WORDS(uint32_t)
  } else if (bytes == 8) {
    COPY_WORDS(uint64_t)
  } else {
    for (int64_t j = 0; j < n; j++) memcpy(to + j * bytes, from + at[j], (size_t)bytes);
  }
}

/* Runs [begin, end) of y. */
static void gather_tile(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *s = user;
  const struct args *a = s->a;
  int64_t at[CHUNK];
  while (begin < end) {
    const int64_t o = begin / a->n, j = begin % a->n, n = SUMI_MIN(SUMI_MIN(end - begin, a->n - j), CHUNK);
    offsets(a, s->index, a->own ? begin : j, n, at);
    gather_some(s->from + o * a->span_bytes, at, n, a->block_bytes, s->to + begin * a->block_bytes);
    begin += n;
  }
}

/* The same for few indices that every o shares: they are looked up once for as many o as a chunk has room for. begin
 * and end are multiples of a->n. */
static void gather_shared_tile(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *s = user;
  const struct args *a = s->a;
  const int64_t chunk = SUMI_MIN(CHUNK / a->n * a->n, end - begin);
  int64_t at[CHUNK];
  offsets(a, s->index, 0, a->n, at);
  for (int64_t j = a->n; j < chunk; j++) at[j] = at[j - a->n] + a->span_bytes;
  for (int64_t r = begin; r < end; r += chunk)
    gather_some(s->from + r / a->n * a->span_bytes, at, SUMI_MIN(end - r, chunk), a->block_bytes,
                s->to + r * a->block_bytes);
}

static sumi_status run_gather(const void *args, const struct sumi_run *run) {
  const struct args *a = args;
  struct state s = {a, run->buffer[a->index], run->buffer[a->x], run->buffer[a->y], NULL};
  SUMI_TRY(check(a, s.index, run->err));
  const int64_t tile = SUMI_MAX(TILE_BYTES / a->block_bytes, 1);
  if (!a->own && a->n <= CHUNK / 2)
    sumi_par_for(run->par, a->outer * a->n, (tile + a->n - 1) / a->n * a->n, gather_shared_tile, &s);
  else
    sumi_par_for(run->par, a->outer * a->n, tile, gather_tile, &s);
  return SUMI_OK;
}

/* ---- scatter --------------------------------------------------------------------------------------------------------- */

/* The block elements at at[j] are combined with those of update, for j in [0, n) in this order. */
#define COMBINE(name, T, expr)                                                                 \
  static void name(char *y, const int64_t *at, int64_t n, int64_t block, const void *update) { \
    const T *u = update;                                                                       \
    for (int64_t j = 0; j < n; j++, u += block)                                                \
      for (int64_t i = 0; i < block; i++) {                                                    \
        T *p = (T *)(y + at[j]) + i;                                                           \
        const T a = *p, b = u[i];                                                              \
        *p = (T)(expr);                                                                        \
      }                                                                                        \
  }
COMBINE(add_f32, float, a + b)
COMBINE(mul_f32, float, a *b)
COMBINE(max_f32, float, a != a || b != b ? a + b : a > b ? a : b)
COMBINE(min_f32, float, a != a || b != b ? a + b : a < b ? a : b)
COMBINE(add_i64, int64_t, (uint64_t)a + (uint64_t)b)
COMBINE(mul_i64, int64_t, (uint64_t)a *(uint64_t)b)
COMBINE(max_i64, int64_t, a > b ? a : b)
COMBINE(min_i64, int64_t, a < b ? a : b)

static void scatter_some(const struct args *a, char *y, const int64_t *at, int64_t n, const char *update) {
  const int64_t bytes = a->block_bytes;
  if (a->combine)
    a->combine(y, at, n, a->block, update);
  else if (bytes == 4)
    for (int64_t i = 0; i < n; i++) memcpy(y + at[i], update + i * 4, 4);
  else
    for (int64_t i = 0; i < n; i++) memcpy(y + at[i], update + i * bytes, (size_t)bytes);
}

/* The output as it is before anything is scattered. */
static char *copy_whole(const struct args *a, const struct sumi_run *run) {
  char *y = run->buffer[a->y];
  if (y != run->buffer[a->x]) memcpy(y, run->buffer[a->x], (size_t)a->y_bytes);
  return y;
}

static sumi_status run_scatter(const void *args, const struct sumi_run *run) {
  const struct args *a = args;
  const void *index = run->buffer[a->index];
  const char *update = run->buffer[a->update];
  int64_t at[CHUNK];
  SUMI_TRY(check(a, index, run->err));
  char *y = copy_whole(a, run);
  for (int64_t j = 0; j < a->n; j += CHUNK, update += CHUNK * a->block_bytes) {
    const int64_t n = SUMI_MIN(a->n - j, CHUNK);
    offsets(a, index, j, n, at);
    scatter_some(a, y, at, n, update);
  }
  return SUMI_OK;
}

/* ---- elements -------------------------------------------------------------------------------------------------------- */

/* How many indices from `first` on, at most `most`, are one chunk of one row. */
static int64_t element_chunk(const struct args *a, int64_t first, int64_t most) {
  return SUMI_MIN(SUMI_MIN(a->len - first % a->len, most), CHUNK);
}

/* Where they lead, in bytes behind the row's base; false where one is outside. */
static bool element_offsets(const struct args *a, const void *index, int64_t first, int64_t n, int64_t *at) {
  if (!offsets(a, index, first, n, at)) return false;
  if (a->inner == 1) return true;
  for (int64_t j = 0, k = first % a->len % a->inner; j < n; j++) {
    at[j] += k * a->block_bytes;
    if (++k == a->inner) k = 0;
  }
  return true;
}

static struct sumi_walk walk_rows(const struct args *a, int64_t row) {
  struct sumi_walk w = sumi_walk_start(a->rank, a->rows, a->base, NULL, NULL, NULL);
  sumi_walk_seek(&w, row);
  return w;
}

/* Indices [begin, end), checked on the way: they are read once. */
static void gather_elements_tile(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *s = user;
  const struct args *a = s->a;
  int64_t at[CHUNK];
  struct sumi_walk w = walk_rows(a, begin / a->len);
  while (begin < end) {
    const int64_t n = element_chunk(a, begin, end - begin);
    if (!element_offsets(a, s->index, begin, n, at)) {
      atomic_store_explicit(s->outside, true, memory_order_relaxed);
      return;
    }
    gather_some(s->from + w.offset[0], at, n, a->block_bytes, s->to + begin * a->block_bytes);
    begin += n;
    if (begin % a->len == 0) sumi_walk_next(&w);
  }
}

static sumi_status run_gather_elements(const void *args, const struct sumi_run *run) {
  const struct args *a = args;
  atomic_bool outside = false;
  struct state s = {a, run->buffer[a->index], run->buffer[a->x], run->buffer[a->y], &outside};
  sumi_par_for(run->par, a->n, TILE_BYTES / a->block_bytes, gather_elements_tile, &s);
  return outside ? check(a, s.index, run->err) : SUMI_OK;
}

static sumi_status run_scatter_elements(const void *args, const struct sumi_run *run) {
  const struct args *a = args;
  const void *index = run->buffer[a->index];
  const char *update = run->buffer[a->update];
  int64_t at[CHUNK];
  SUMI_TRY(check(a, index, run->err));
  char *y = copy_whole(a, run);
  struct sumi_walk w = walk_rows(a, 0);
  for (int64_t first = 0; first < a->n;) {
    const int64_t n = element_chunk(a, first, a->n - first);
    element_offsets(a, index, first, n, at);
    scatter_some(a, y + w.offset[0], at, n, update + first * a->block_bytes);
    first += n;
    if (first % a->len == 0) sumi_walk_next(&w);
  }
  return SUMI_OK;
}

/* ---- lowering -------------------------------------------------------------------------------------------------------- */

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "copy", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

static bool whole_bytes(sumi_dtype d) { return sumi_dtype_bits(d) >= 8 && d != SUMI_STRING; }

/* The step; block: elements. Sizes fit: the tensors' own bytes do. */
static sumi_status emit(struct sumi_lower *l, const struct args *args, int64_t block, int64_t span,
                        sumi_step_fn fn) {
  const struct sumi_tensor *y = l->out[0];
  const int64_t bytes = sumi_dtype_bits(y->dtype) / 8;
  if (!sumi_tensor_count(y) || !args->n) return refuse(l, "an empty tensor");
  struct args *a = SUMI_NEW(l->arena, struct args);
  if (!a) SUMI_FAIL_MEMORY(l->err);
  *a = *args;
  a->x = l->in_buffer[0], a->index = l->in_buffer[1], a->y = l->out_buffer[0];
  const bool gathers = fn == run_gather || fn == run_gather_elements;
  a->update = gathers ? -1 : l->in_buffer[2];
  a->index_type = l->in[1]->dtype;
  a->block = block, a->block_bytes = block * bytes, a->span_bytes = span * bytes,
  a->y_bytes = sumi_tensor_count(y) * bytes;
  for (int k = 0; k < a->depth; k++) a->stride[k] *= bytes;
  const int reads[] = {a->x, a->index, a->update};
  return sumi_lower_emit(l, fn, a, gathers ? "copy rows by index" : "copy rows to indices", reads,
                         gathers ? 2 : 3, &a->y, 1);
}

sumi_status sumi_gather_lower(struct sumi_lower *l) {
  const struct sumi_tensor *x = l->in[0];
  int axis;
  if (!whole_bytes(x->dtype)) return refuse(l, "elements are not whole bytes");
  SUMI_TRY(sumi_op_axis(l->node, 0, x->rank, &axis, l->err));
  const int64_t inner = sumi_dims_count(x->dim, axis + 1, x->rank);
  const struct args a = {.depth = 1,
                         .dim = {x->dim[axis]},
                         .stride = {inner},
                         .outer = sumi_dims_count(x->dim, 0, axis),
                         .n = sumi_tensor_count(l->in[1])};
  return emit(l, &a, inner, x->dim[axis] * inner, run_gather);
}

/* The dims that an index of the given depth names, from dim first on. */
static void take_dims(struct args *a, const struct sumi_tensor *t, int first, int depth) {
  int64_t stride[SUMI_MAX_RANK];
  sumi_strides(t->dim, t->rank, stride);
  a->depth = depth;
  for (int k = 0; k < depth; k++) {
    a->dim[k] = t->dim[first + k];
    a->stride[k] = stride[first + k];
  }
}

sumi_status sumi_gather_nd_lower(struct sumi_lower *l) {
  const struct sumi_tensor *x = l->in[0], *index = l->in[1];
  const int batch = (int)sumi_attr_int(l->node, "batch_dims", 0), depth = (int)index->dim[index->rank - 1];
  if (!whole_bytes(x->dtype)) return refuse(l, "elements are not whole bytes");
  if (!depth) return refuse(l, "an index of no entries");
  struct args a = {.outer = sumi_dims_count(index->dim, 0, batch),
                   .n = sumi_dims_count(index->dim, batch, index->rank - 1),
                   .own = true};
  take_dims(&a, x, batch, depth);
  return emit(l, &a, sumi_dims_count(x->dim, batch + depth, x->rank), sumi_dims_count(x->dim, batch, x->rank),
              run_gather);
}

/* What combines the updates with what is there; NULL = nothing. */
static sumi_status find_combine(struct sumi_lower *l, struct args *a) {
  static const struct {
    const char *name;
    void (*f32)(char *, const int64_t *, int64_t, int64_t, const void *);
    void (*i64)(char *, const int64_t *, int64_t, int64_t, const void *);
  } known[] = {{"none", NULL, NULL},
               {"add", add_f32, add_i64},
               {"mul", mul_f32, mul_i64},
               {"max", max_f32, max_i64},
               {"min", min_f32, min_i64}};
  const char *name = sumi_attr_string(l->node, "reduction", "none");
  const sumi_dtype d = l->in[0]->dtype;
  size_t i = 0;
  while (i < SUMI_COUNT(known) && !sumi_streq(name, known[i].name)) i++;
  if (i == SUMI_COUNT(known) || (i && d != SUMI_FLOAT32 && d != SUMI_INT64))
    return refuse(l, "a reduction of elements that are neither float32 nor int64");
  a->combine = d == SUMI_INT64 ? known[i].i64 : known[i].f32;
  return SUMI_OK;
}

sumi_status sumi_scatter_nd_lower(struct sumi_lower *l) {
  const struct sumi_tensor *x = l->in[0], *index = l->in[1];
  const int depth = (int)index->dim[index->rank - 1];
  if (!whole_bytes(x->dtype)) return refuse(l, "elements are not whole bytes");
  if (!depth) return refuse(l, "an index of no entries");
  struct args a = {.outer = 1, .n = sumi_dims_count(index->dim, 0, index->rank - 1)};
  SUMI_TRY(find_combine(l, &a));
  take_dims(&a, x, 0, depth);
  return emit(l, &a, sumi_dims_count(x->dim, depth, x->rank), 0, run_scatter);
}

/* Rows are as long as the dims of index behind the axis allow: those of x, or the last one alone. */
static sumi_status lower_elements(struct sumi_lower *l, struct args *a, sumi_step_fn fn) {
  const struct sumi_tensor *x = l->in[0], *index = l->in[1];
  int axis;
  int64_t stride[SUMI_MAX_RANK];
  if (!whole_bytes(x->dtype)) return refuse(l, "elements are not whole bytes");
  if (!x->rank) return refuse(l, "a scalar");
  SUMI_TRY(sumi_axis(sumi_attr_int(l->node, "axis", 0), x->rank, &axis, l->err));
  sumi_strides(x->dim, x->rank, stride);
  bool same = true; /* the dims behind the axis */
  for (int i = axis + 1; i < x->rank; i++) same &= index->dim[i] == x->dim[i];
  a->rank = same ? axis : x->rank - 1;
  a->len = sumi_dims_count(index->dim, a->rank, x->rank);
  a->inner = same ? stride[axis] : a->len;
  a->outer = 1, a->depth = 1, a->dim[0] = x->dim[axis], a->stride[0] = stride[axis];
  a->n = sumi_tensor_count(index);
  for (int i = 0; i < a->rank; i++) {
    a->rows[i] = index->dim[i];
    a->base[i] = i == axis ? 0 : stride[i] * sumi_dtype_bits(x->dtype) / 8;
  }
  return emit(l, a, 1, 0, fn);
}

sumi_status sumi_gather_elements_lower(struct sumi_lower *l) {
  struct args a = {0};
  return lower_elements(l, &a, run_gather_elements);
}

sumi_status sumi_scatter_elements_lower(struct sumi_lower *l) {
  struct args a = {0};
  SUMI_TRY(find_combine(l, &a));
  return lower_elements(l, &a, run_scatter_elements);
}
