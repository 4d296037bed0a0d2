/* Packing weights in words into lists, and back. Sizes are checked; what comes from a file goes through
 * sumi_packed_words_check. */
#include "sparse/packed_words.h"

#include <inttypes.h>
#include <string.h>

#include "base/size.h"

enum { MOST_BLOCK = 32 };

static bool any(struct sumi_words w, int64_t first, int64_t rows, int64_t col) {
  for (int64_t r = first; r < SUMI_MIN(first + rows, w.rows); r++)
    if (w.word[r * w.cols + col]) return true;
  return false;
}

static int64_t count_list(struct sumi_words w, int64_t b, int block) {
  int64_t n = 0;
  for (int64_t c = 0; c < w.cols; c++) n += any(w, b * block, block, c);
  return sumi_packed_words_filled(n, block);
}

static int64_t blocks_of(int64_t rows, int block) { return rows ? (rows - 1) / block + 1 : 0; }

int64_t sumi_packed_words_count(struct sumi_words w, int block) {
  int64_t n = 0;
  for (int64_t b = 0; b < blocks_of(w.rows, block); b++) n += count_list(w, b, block);
  return n;
}

/* Positions and size of the whole from the counts; false on overflow. */
static bool lay_out(struct sumi_packed_words *p) {
  size_t at = (sizeof *p + SUMI_ALIGN - 1) / SUMI_ALIGN * SUMI_ALIGN, n;
  p->start_at = at;
  if (!p->dense && (!sumi_size_mul((size_t)p->n_blocks + 1, 4, &n) || !sumi_size_add(at, n, &at) ||
                    !sumi_size_align(at, SUMI_ALIGN, &at)))
    return false;
  p->col_at = at;
  if (!sumi_size_mul((size_t)p->n_entries, 4, &n) || !sumi_size_add(at, n, &at) ||
      !sumi_size_align(at, SUMI_ALIGN, &at))
    return false;
  p->value_at = at;
  size_t lists = p->dense ? (size_t)p->n_blocks : 1;
  if (!sumi_size_mul((size_t)p->n_entries, lists, &n) || !sumi_size_mul(n, 4 * (size_t)p->block, &n) ||
      !sumi_size_add(at, n, &at))
    return false;
  p->bytes = at;
  return true;
}

static void fill_list(const struct sumi_packed_words *p, struct sumi_words w, int64_t b, int64_t first,
                      const int32_t *col, int64_t n, int32_t *value) {
  const int64_t row = b * p->block, rows = SUMI_MIN(p->block, w.rows - row);
  for (int64_t i = 0; i < rows; i++)
    for (int64_t e = 0; e < n; e++)
      if (e == 0 || col[e] != col[e - 1])
        value[sumi_packed_words_place(p->block, first, i, e)] = w.word[(row + i) * w.cols + col[e]];
}

static int64_t list_columns(const struct sumi_packed_words *p, struct sumi_words w, int64_t b, int32_t *col) {
  int64_t n = 0;
  for (int64_t c = 0; c < w.cols; c++)
    if (p->dense || any(w, b * p->block, p->block, c)) col[n++] = (int32_t)c;
  for (const int64_t full = sumi_packed_words_filled(n, p->block); n && n < full; n++) col[n] = col[n - 1];
  return n;
}

static void fill(const struct sumi_packed_words *p, struct sumi_words w, char *bytes) {
  int32_t *start = (int32_t *)(bytes + p->start_at), *col = (int32_t *)(bytes + p->col_at),
          *value = (int32_t *)(bytes + p->value_at);
  int64_t n = 0;
  if (p->dense) n = list_columns(p, w, 0, col);
  for (int64_t b = 0, first = 0; b < p->n_blocks; b++) {
    int32_t *list = p->dense ? col : col + first;
    const int64_t entries = p->dense ? n : list_columns(p, w, b, list);
    if (!p->dense) start[b] = (int32_t)first;
    fill_list(p, w, b, first, list, entries, value);
    first += entries;
    if (!p->dense) start[b + 1] = (int32_t)first;
  }
}

sumi_status sumi_packed_words_make(struct sumi_words w, int block, bool dense, const struct sumi_allocator *a,
                                   struct sumi_blob **out, struct sumi_err *err) {
  SUMI_ASSERT(err, block >= 1 && block <= MOST_BLOCK && !(block & (block - 1)) && w.rows > 0 && w.cols > 0);
  struct sumi_packed_words p = {.rows = (w.rows + 3) / 4 * 4, .cols = w.cols, .block = block, .dense = dense};
  p.n_blocks = blocks_of(p.rows, block);
  int64_t full;
  const bool fits = sumi_i64_mul(p.n_blocks, w.cols + SUMI_WORD_TILE, &full) && full < INT32_MAX / MOST_BLOCK;
  p.n_entries = !fits   ? 0
                : dense ? sumi_packed_words_filled(w.cols, block)
                        : sumi_packed_words_count(w, block);
  if (!fits || !lay_out(&p))
    SUMI_FAIL(err, SUMI_E_LIMIT, "weights of %" PRId64 " x %" PRId64 " words are too many to pack", w.rows,
              w.cols);
  struct sumi_blob *blob = sumi_blob_new(a, p.bytes);
  if (!blob) SUMI_FAIL_MEMORY(err);
  char *bytes = sumi_blob_bytes(blob);
  memset(bytes, 0, p.bytes);
  memcpy(bytes, &p, sizeof p);
  fill(&p, w, bytes);
  *out = blob;
  return SUMI_OK;
}

static sumi_status check_counts(const struct sumi_packed_words *p, size_t bytes, struct sumi_err *err) {
  int64_t full;
  if (p->rows <= 0 || p->rows % 4 || p->rows > INT32_MAX || p->cols <= 0 || p->cols > INT32_MAX ||
      p->n_entries < 0 || p->n_entries > INT32_MAX || p->block < 1 || p->block > MOST_BLOCK ||
      (p->block & (p->block - 1)) || p->dense < 0 || p->dense > 1 ||
      p->n_blocks != blocks_of(p->rows, p->block) ||
      p->n_entries != sumi_packed_words_filled(p->n_entries, p->block) ||
      (p->dense && p->n_entries != sumi_packed_words_filled(p->cols, p->block)) ||
      !sumi_i64_mul(p->n_blocks, p->n_entries, &full))
    SUMI_FAIL(err, SUMI_E_FORMAT, "packed words of weights with impossible counts");
  struct sumi_packed_words want = *p;
  if (!lay_out(&want) || memcmp(p, &want, sizeof want) != 0 || p->bytes != bytes)
    SUMI_FAIL(err, SUMI_E_FORMAT, "packed words of weights do not fill their %zu bytes as they should",
              bytes);
  return SUMI_OK;
}

sumi_status sumi_packed_words_check(const void *data, size_t bytes, struct sumi_err *err) {
  struct sumi_packed_words p;
  if (bytes < sizeof p)
    SUMI_FAIL(err, SUMI_E_FORMAT, "packed words of weights of %zu bytes are cut off", bytes);
  memcpy(&p, data, sizeof p);
  SUMI_TRY(check_counts(&p, bytes, err));
  const int32_t *start = (const int32_t *)((const char *)data + p.start_at),
                *col = (const int32_t *)((const char *)data + p.col_at);
  for (int64_t e = 0; e < p.n_entries; e++)
    if (col[e] < 0 || col[e] >= p.cols)
      SUMI_FAIL(err, SUMI_E_FORMAT, "packed words of weights name column %" PRId32 " of %" PRId64, col[e],
                p.cols);
  if (p.dense) return SUMI_OK;
  if (start[0] != 0 || start[p.n_blocks] != p.n_entries)
    SUMI_FAIL(err, SUMI_E_FORMAT, "the lists of packed words of weights do not cover their entries");
  for (int64_t b = 0; b < p.n_blocks; b++)
    if (start[b + 1] < start[b] || start[b + 1] > p.n_entries ||
        start[b] != sumi_packed_words_filled(start[b], p.block))
      SUMI_FAIL(err, SUMI_E_FORMAT, "list %" PRId64 " of packed words of weights ends where none may", b);
  return SUMI_OK;
}

void sumi_packed_words_unpack(const struct sumi_packed_words *p, int32_t *word) {
  const int32_t *start = sumi_packed_words_start(p), *col = sumi_packed_words_col(p),
                *value = sumi_packed_words_value(p);
  memset(word, 0, (size_t)(p->rows * p->cols) * sizeof *word);
  for (int64_t b = 0; b < p->n_blocks; b++) {
    const int64_t first = start ? start[b] : b * p->n_entries,
                  n = start ? start[b + 1] - first : p->n_entries;
    const int32_t *list = start ? col + first : col;
    for (int64_t i = 0; i < SUMI_MIN(p->block, p->rows - b * p->block); i++)
      for (int64_t e = 0; e < n; e++)
        word[(b * p->block + i) * p->cols + list[e]] |= value[sumi_packed_words_place(p->block, first, i, e)];
  }
}
