/* Packing weights into lists, and back. Sizes are checked; what comes from a file goes through
 * sumi_packed_check. */
#include "sparse/packed.h"

#include <inttypes.h>
#include <string.h>

#include "base/size.h"

enum { MOST_BLOCK = 64 };

/* 0 for both zeros and nothing else, however the processor is told to treat denormals: counting and filling must agree. */
static inline uint32_t magnitude(const float *x) {
  uint32_t u;
  memcpy(&u, x, sizeof u);
  return u << 1;
}

/* A weight counts as zero where it is zero before its row's factor comes to it, or the factor is zero. */
static bool is_empty_row(const struct sumi_matrix *w, int64_t r) {
  return w->row_scale && w->row_scale[r] == 0;
}

static bool any(const struct sumi_matrix *w, int64_t first, int64_t rows, int64_t col) {
  for (int64_t r = first; r < first + rows; r++)
    if (magnitude(w->data + r * w->row_stride + col * w->col_stride) && !is_empty_row(w, r)) return true;
  return false;
}

enum { COLUMNS = 64 };

/* Columns [col, col + COLUMNS) in which any of the rows has a weight, where a row's weights lie side by side. */
static int64_t count_columns(const struct sumi_matrix *w, int64_t first, int64_t rows, int64_t col) {
  uint32_t bits[COLUMNS] = {0}, n = 0;
  for (int64_t r = first; r < first + rows; r++) {
    const float *x = w->data + r * w->row_stride + col;
    if (is_empty_row(w, r)) continue;
    for (int c = 0; c < COLUMNS; c++) bits[c] |= magnitude(x + c);
  }
  for (int c = 0; c < COLUMNS; c++) n += bits[c] != 0;
  return n;
}

int64_t sumi_packed_count(struct sumi_matrix w, int block) {
  int64_t n = 0;
  for (int64_t r = 0; r < w.rows; r += block) {
    const int64_t rows = SUMI_MIN(block, w.rows - r);
    int64_t c = 0;
    for (; w.col_stride == 1 && c + COLUMNS <= w.cols; c += COLUMNS) n += count_columns(&w, r, rows, c);
    for (; c < w.cols; c++) n += any(&w, r, rows, c);
  }
  return n;
}

/* Positions and size of the whole from the counts; false on overflow. */
static bool lay_out(struct sumi_packed *p) {
  size_t at = (sizeof *p + SUMI_ALIGN - 1) / SUMI_ALIGN * SUMI_ALIGN, n;
  p->start_at = at;
  if (!p->dense) {
    if (!sumi_size_add((size_t)p->n_blocks, 1, &n) || !sumi_size_mul(n, 4, &n) ||
        !sumi_size_add(at, n, &at) || !sumi_size_align(at, SUMI_ALIGN, &at))
      return false;
  }
  p->col_at = at;
  if (!p->dense) {
    if (!sumi_size_mul((size_t)p->n_entries, 4, &n) || !sumi_size_add(at, n, &at) ||
        !sumi_size_align(at, SUMI_ALIGN, &at))
      return false;
  }
  p->value_at = at;
  if (!sumi_size_mul((size_t)p->n_entries, 4 * (size_t)p->block, &n) || !sumi_size_add(at, n, &at))
    return false;
  p->bytes = at;
  return true;
}

/* to[i] = w[first + i, col] */
static void take_column(struct sumi_matrix w, int64_t first, int64_t rows, int64_t col, float *to) {
  const float *x = w.data + first * w.row_stride + col * w.col_stride;
  const double *scale = w.row_scale ? w.row_scale + first : NULL;
  if (scale)
    for (int64_t i = 0; i < rows; i++) to[i] = (float)(x[i * w.row_stride] * scale[i]);
  else
    for (int64_t i = 0; i < rows; i++) to[i] = x[i * w.row_stride];
}

static void fill(const struct sumi_packed *p, const struct sumi_matrix *w, int32_t *start, int32_t *col,
                 float *value) {
  int64_t n = 0;
  for (int64_t b = 0; b < p->n_blocks; b++) {
    const int64_t first = b * p->block, rows = SUMI_MIN(p->block, p->rows - first);
    if (!p->dense) start[b] = (int32_t)n;
    for (int64_t c = 0; c < p->cols; c++) {
      if (!p->dense && !any(w, first, rows, c)) continue;
      if (!p->dense) col[n] = (int32_t)c;
      take_column(*w, first, rows, c, value + n * p->block);
      n++;
    }
  }
  if (!p->dense) start[p->n_blocks] = (int32_t)n;
}

sumi_status sumi_packed_make(struct sumi_matrix w, int block, bool dense, const struct sumi_allocator *a,
                             struct sumi_blob **out, struct sumi_err *err) {
  SUMI_ASSERT(err, block >= 1 && block <= MOST_BLOCK && w.rows >= 0 && w.cols >= 0);
  struct sumi_packed p = {.rows = w.rows, .cols = w.cols, .block = block, .dense = dense};
  p.n_blocks = w.rows ? (w.rows - 1) / block + 1 : 0;
  int64_t full;
  const bool fits = sumi_i64_mul(p.n_blocks, w.cols, &full) && p.n_blocks < INT32_MAX && w.cols < INT32_MAX;
  p.n_entries = fits ? dense ? full : sumi_packed_count(w, block) : 0;
  if (!fits || (!dense && p.n_entries > INT32_MAX) || !lay_out(&p))
    SUMI_FAIL(err, SUMI_E_LIMIT, "weights of %" PRId64 " x %" PRId64 " are too many to pack", w.rows, w.cols);
  struct sumi_blob *blob = sumi_blob_new(a, p.bytes);
  if (!blob) SUMI_FAIL_MEMORY(err);
  char *bytes = sumi_blob_bytes(blob);
  memcpy(bytes, &p, sizeof p);
  fill(&p, &w, (int32_t *)(bytes + p.start_at), (int32_t *)(bytes + p.col_at), (float *)(bytes + p.value_at));
  *out = blob;
  return SUMI_OK;
}

sumi_status sumi_packed_check(const void *data, size_t bytes, struct sumi_err *err) {
  struct sumi_packed p, want;
  if (bytes < sizeof p) SUMI_FAIL(err, SUMI_E_FORMAT, "packed weights of %zu bytes are cut off", bytes);
  memcpy(&p, data, sizeof p);
  if (p.rows < 0 || p.cols < 0 || p.cols >= INT32_MAX || p.n_entries < 0 || p.block < 1 ||
      p.block > MOST_BLOCK || p.dense < 0 || p.dense > 1 ||
      p.n_blocks != (p.rows ? (p.rows - 1) / p.block + 1 : 0) || p.n_blocks >= INT32_MAX ||
      (!p.dense && p.n_entries > INT32_MAX))
    SUMI_FAIL(err, SUMI_E_FORMAT, "packed weights with impossible counts");
  int64_t full;
  if (p.dense && (!sumi_i64_mul(p.n_blocks, p.cols, &full) || full != p.n_entries))
    SUMI_FAIL(err, SUMI_E_FORMAT, "dense packed weights with %" PRId64 " entries", p.n_entries);
  want = p;
  if (!lay_out(&want) || memcmp(&p, &want, sizeof p) != 0 || p.bytes != bytes)
    SUMI_FAIL(err, SUMI_E_FORMAT, "packed weights do not fill their %zu bytes as they should", bytes);
  if (p.dense) return SUMI_OK;
  const int32_t *start = (const int32_t *)((const char *)data + p.start_at);
  const int32_t *col = (const int32_t *)((const char *)data + p.col_at);
  if (start[0] != 0 || start[p.n_blocks] != p.n_entries)
    SUMI_FAIL(err, SUMI_E_FORMAT, "the lists of packed weights do not cover their entries");
  for (int64_t b = 0; b < p.n_blocks; b++) {
    if (start[b + 1] < start[b] || start[b + 1] > p.n_entries)
      SUMI_FAIL(err, SUMI_E_FORMAT, "list %" PRId64 " of packed weights ends before it starts", b);
    for (int32_t e = start[b]; e < start[b + 1]; e++)
      if (col[e] < 0 || col[e] >= p.cols || (e > start[b] && col[e] <= col[e - 1]))
        SUMI_FAIL(err, SUMI_E_FORMAT, "list %" PRId64 " of packed weights names column %" PRId32, b, col[e]);
  }
  return SUMI_OK;
}

sumi_status sumi_packed_check_form(const void *data, size_t bytes, int64_t rows, int64_t cols, int block,
                                   bool dense, struct sumi_err *err) {
  SUMI_TRY(sumi_packed_check(data, bytes, err));
  const struct sumi_packed *p = data;
  if (p->rows != rows || p->cols != cols || p->block != block || p->dense != dense)
    SUMI_FAIL(err, SUMI_E_FORMAT,
              "packed weights of %" PRId64 " x %" PRId64 " where %" PRId64 " x %" PRId64 " are wanted",
              p->rows, p->cols, rows, cols);
  return SUMI_OK;
}

void sumi_packed_unpack(const struct sumi_packed *p, float *w) {
  const int32_t *start = sumi_packed_start(p), *col = sumi_packed_col(p);
  const float *value = sumi_packed_value(p);
  for (int64_t i = 0; i < p->rows * p->cols; i++) w[i] = 0;
  for (int64_t b = 0; b < p->n_blocks; b++) {
    const int64_t first = start ? start[b] : b * p->cols, last = start ? start[b + 1] : (b + 1) * p->cols;
    const int64_t rows = SUMI_MIN(p->block, p->rows - b * p->block);
    for (int64_t e = first; e < last; e++)
      for (int64_t i = 0; i < rows; i++)
        w[(b * p->block + i) * p->cols + (col ? col[e] : e - first)] = value[e * p->block + i];
  }
}
