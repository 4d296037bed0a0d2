/* Box copies. The box is reduced first: dimensions of 1 are dropped and neighbours that are contiguous in
 * both tensors merged; then the two innermost loops are one of a few tight ones, by element size. Types below
 * a byte go element by element. */
#include "op/move.h"

#include <inttypes.h>
#include <string.h>

#include "base/size.h"

static struct sumi_box reduce(int rank, const int64_t *dim, const int64_t *d, const int64_t *s) {
  struct sumi_box b = {0};
  for (int i = 0; i < rank; i++) {
    if (dim[i] == 1) continue;
    const int last = b.rank - 1;
    if (last >= 0 && b.to[last] == d[i] * dim[i] && b.from[last] == s[i] * dim[i]) {
      b.dim[last] *= dim[i];
      b.to[last] = d[i];
      b.from[last] = s[i];
      continue;
    }
    b.dim[b.rank] = dim[i];
    b.to[b.rank] = d[i];
    b.from[b.rank++] = s[i];
  }
  return b;
}

/* The loop over rows and columns of one plane. */
typedef void (*plane_fn)(char *dst, const char *src, int64_t rows, int64_t cols, int64_t dr, int64_t dc,
                         int64_t sr, int64_t sc);

enum { TILE = 32 }; /* a transposed block of 8-byte elements takes 8 KiB of each tensor */

struct __attribute__((may_alias)) bytes16 {
  uint64_t half[2];
};
typedef uint8_t __attribute__((may_alias)) cell1;
typedef uint16_t __attribute__((may_alias)) cell2;
typedef uint32_t __attribute__((may_alias)) cell4;
typedef uint64_t __attribute__((may_alias)) cell8;
typedef struct bytes16 cell16;

#define PLANE(cell)                                                                                        \
  static void plane_##cell(char *dst, const char *src, int64_t rows, int64_t cols, int64_t dr, int64_t dc, \
                           int64_t sr, int64_t sc) {                                                       \
    cell *restrict d = (cell *)dst;                                                                        \
    const cell *restrict s = (const cell *)src;                                                            \
    if (dc == 1 && sc == 1 && cols * (int64_t)sizeof(cell) >= 64) {                                        \
      for (int64_t r = 0; r < rows; r++) memcpy(d + r * dr, s + r * sr, (size_t)cols * sizeof(cell));      \
    } else if (dc == 1 && sc == 1) {                                                                       \
      for (int64_t r = 0; r < rows; r++)                                                                   \
        for (int64_t c = 0; c < cols; c++) d[r * dr + c] = s[r * sr + c];                                  \
    } else if (dc == 1 && sc == 0) {                                                                       \
      for (int64_t r = 0; r < rows; r++) {                                                                 \
        const cell v = s[r * sr];                                                                          \
        for (int64_t c = 0; c < cols; c++) d[r * dr + c] = v;                                              \
      }                                                                                                    \
    } else if (dc == 1 && sr == 1) {                                                                       \
      for (int64_t r0 = 0; r0 < rows; r0 += TILE)                                                          \
        for (int64_t c0 = 0; c0 < cols; c0 += TILE) {                                                      \
          const int64_t r1 = SUMI_MIN(rows, r0 + TILE), c1 = SUMI_MIN(cols, c0 + TILE);                    \
          for (int64_t r = r0; r < r1; r++)                                                                \
            for (int64_t c = c0; c < c1; c++) d[r * dr + c] = s[r + c * sc];                               \
        }                                                                                                  \
    } else {                                                                                               \
      for (int64_t r = 0; r < rows; r++)                                                                   \
        for (int64_t c = 0; c < cols; c++) d[r * dr + c * dc] = s[r * sr + c * sc];                        \
    }                                                                                                      \
  }
PLANE(cell1)
PLANE(cell2)
PLANE(cell4)
PLANE(cell8)
PLANE(cell16)
#undef PLANE

static plane_fn plane_of(size_t bytes) {
  return bytes == 1   ? plane_cell1
         : bytes == 2 ? plane_cell2
         : bytes == 4 ? plane_cell4
         : bytes == 8 ? plane_cell8
                      : plane_cell16;
}

static bool below_a_byte(sumi_dtype d) { return sumi_dtype_bits(d) < 6; }

static size_t bytes_of(sumi_dtype d) {
  size_t bytes = 0;
  sumi_dtype_bytes(d, 1, &bytes);
  return bytes;
}

/* Makes the dimension along which the source is contiguous the second innermost one, where it is not the
 * innermost: the pair is then a transposition, done in blocks. */
static void pair_up(struct sumi_box *b) {
  const int last = b->rank - 1;
  if (b->from[last] == 1 || b->to[last] != 1) return;
  int k = last - 1;
  while (k >= 0 && b->from[k] != 1) k--;
  if (k < 0) return;
  const int64_t dim = b->dim[k], d = b->to[k], s = b->from[k];
  for (; k < last - 1; k++) b->dim[k] = b->dim[k + 1], b->to[k] = b->to[k + 1], b->from[k] = b->from[k + 1];
  b->dim[k] = dim, b->to[k] = d, b->from[k] = s;
}

struct sumi_box sumi_box_make(int rank, const int64_t *dim, const int64_t *to, const int64_t *from) {
  struct sumi_box b = reduce(rank, dim, to, from);
  if (b.rank >= 2) pair_up(&b);
  return b;
}

void sumi_move(sumi_dtype type, int rank, const int64_t *dim, void *dst, int64_t dst_first,
               const int64_t *dst_stride, const void *src, int64_t src_first, const int64_t *src_stride) {
  const struct sumi_box b = sumi_box_make(rank, dim, dst_stride, src_stride);
  sumi_box_move(type, &b, dst, dst_first, src, src_first);
}

void sumi_box_move(sumi_dtype type, const struct sumi_box *b, void *dst, int64_t dst_first, const void *src,
                   int64_t src_first) {
  for (int i = 0; i < b->rank; i++)
    if (b->dim[i] <= 0) return;
  const bool tiny = below_a_byte(type);
  const size_t bytes = bytes_of(type);
  const plane_fn plane = plane_of(bytes);
  const int inner = SUMI_MIN(b->rank, 2), outer = b->rank - inner;
  const int64_t cols = b->rank ? b->dim[b->rank - 1] : 1, dc = b->rank ? b->to[b->rank - 1] : 1,
                sc = b->rank ? b->from[b->rank - 1] : 1;
  const int64_t rows = inner == 2 ? b->dim[outer] : 1, dr = inner == 2 ? b->to[outer] : 0,
                sr = inner == 2 ? b->from[outer] : 0;
  int64_t index[SUMI_MOVE_RANK] = {0}, to = dst_first, from = src_first;
  for (;;) {
    if (!tiny) {
      plane((char *)dst + to * (int64_t)bytes, (const char *)src + from * (int64_t)bytes, rows, cols, dr, dc,
            sr, sc);
    } else if (dc == 1 && sc == 1) {
      for (int64_t r = 0; r < rows; r++) sumi_copy(type, dst, to + r * dr, src, from + r * sr, cols);
    } else {
      for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
          sumi_copy(type, dst, to + r * dr + c * dc, src, from + r * sr + c * sc, 1);
    }
    int i = outer - 1;
    for (; i >= 0; i--) {
      to += b->to[i];
      from += b->from[i];
      if (++index[i] < b->dim[i]) break;
      to -= b->dim[i] * b->to[i];
      from -= b->dim[i] * b->from[i];
      index[i] = 0;
    }
    if (i < 0) return;
  }
}

void sumi_moves_in(const struct sumi_moves *m, int k, int64_t *stride) {
  const struct sumi_tensor *t = m->call->in[k];
  if (m->in_strides)
    m->in_strides(m, k, stride);
  else
    sumi_strides(t->dim, t->rank, stride);
}

void sumi_moves_out(const struct sumi_moves *m, int k, int64_t *stride) {
  const struct sumi_tensor *t = m->call->out[k];
  if (m->out_strides)
    m->out_strides(m, k, stride);
  else
    sumi_strides(t->dim, t->rank, stride);
}

sumi_status sumi_moves_add(struct sumi_moves *m, int rank, const int64_t *dim, int out, int64_t to_first,
                           const int64_t *to, int in, int64_t from_first, const int64_t *from) {
  const struct sumi_box b = sumi_box_make(rank, dim, to, from);
  return m->add(m, out, to_first, &b, in, from_first);
}

static sumi_status move_now(struct sumi_moves *m, int out, int64_t to_first, const struct sumi_box *box,
                            int in, int64_t from_first) {
  const struct sumi_tensor *x = m->call->in[in], *y = m->call->out[out];
  sumi_box_move(x->dtype, box, y->data, to_first, x->data, from_first);
  return SUMI_OK;
}

sumi_status sumi_moves_run(const struct sumi_call *c, sumi_moves_fn *fn) {
  struct sumi_moves m = {move_now, c};
  return fn(c, &m);
}

void sumi_fill(sumi_dtype type, void *dst, int64_t dst_first, int64_t n, const void *src, int64_t src_first) {
  if (n <= 0) return;
  const int64_t one = 1, zero = 0;
  static const struct bytes16 nothing = {{0, 0}};
  if (below_a_byte(type)) {
    sumi_move(type, 1, &n, dst, dst_first, &one, src ? src : &nothing, src ? src_first : 0, &zero);
    return;
  }
  const size_t bytes = bytes_of(type);
  char *to = (char *)dst + (size_t)dst_first * bytes;
  if (src)
    plane_of(bytes)(to, (const char *)src + (size_t)src_first * bytes, 1, n, 0, 1, 0, 0);
  else
    memset(to, 0, (size_t)n * bytes);
}

sumi_status sumi_ref_view(const struct sumi_call *c) {
  if (!sumi_call_wants(c, 0) || c->out[0]->data == c->in[0]->data) return SUMI_OK;
  sumi_copy(c->in[0]->dtype, c->out[0]->data, 0, c->in[0]->data, 0, sumi_tensor_count(c->in[0]));
  return SUMI_OK;
}

sumi_status sumi_index(int64_t index, int64_t n, int64_t *out, struct sumi_err *err) {
  if (index < -n || index >= n)
    SUMI_FAIL(err, SUMI_E_VALUE, "index %" PRId64 " is outside [-%" PRId64 ", %" PRId64 ")", index, n, n);
  *out = index < 0 ? index + n : index;
  return SUMI_OK;
}
