/* TfIdfVectorizer: how often each n-gram of a pool occurs in each row of X, [C] or [N, C]; y is [M] or [N, M], where M is
 * one more than the greatest of ngram_indexes. For every distance d = 1..max_skip_count + 1 between its tokens and every
 * length n = min_gram_length..max_gram_length:
 *
 *   for i with i + d (n - 1) < C:  y[ngram_indexes[k]] += 1, if the k-th n-gram of the pool is x[i], x[i + d], ...
 *
 * but single tokens are counted at d = 1 only. Mode IDF makes every count above 1 a 1; IDF and TFIDF multiply y[j] by
 * weights[j]: by place in the output, as the standard's reference implementation and ONNX Runtime do, where the
 * standard's text numbers weights like n-grams (the same where ngram_indexes counts up). Of equal n-grams the last one
 * counts. */
#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "base/text.h"
#include "op/ops.h"

struct pool {
  const struct sumi_attr *token; /* pool_int64s or pool_strings */
  const int64_t *start, *index;
  int n_start, n_index;
  int64_t min, max, skips; /* lengths of n-grams */
  int64_t width;           /* M */
};

static const char *const modes[] = {"TF", "IDF", "TFIDF"};
enum { TF, IDF, TFIDF };

static int mode_of(const struct sumi_node *node) {
  for (int i = 0; i < (int)SUMI_COUNT(modes); i++)
    if (sumi_attr_is(node, "mode", "", modes[i])) return i;
  return -1;
}

/* Where the n-grams of length n start and end in the pool. */
static int64_t start_of(const struct pool *p, int64_t n) {
  return n <= p->n_start ? p->start[n - 1] : (int64_t)p->token->n;
}

static sumi_status check_starts(const struct pool *p, struct sumi_err *err) {
  int64_t grams = 0;
  for (int n = 1; n <= p->n_start; n++) {
    const int64_t from = start_of(p, n), to = start_of(p, n + 1);
    if (from < 0 || to < from || to > (int64_t)p->token->n)
      SUMI_FAIL(err, SUMI_E_VALUE,
                "ngram_counts says that the %d-grams lie at %" PRId64 "..%" PRId64 " of a pool of %zu", n,
                from, to, p->token->n);
    if ((to - from) % n)
      SUMI_FAIL(err, SUMI_E_VALUE, "%" PRId64 " tokens are no whole number of %d-grams", to - from, n);
    grams += (to - from) / n;
  }
  if (grams > p->n_index)
    SUMI_FAIL(err, SUMI_E_VALUE, "ngram_indexes has %d entries for %" PRId64 " n-grams", p->n_index, grams);
  return SUMI_OK;
}

static sumi_status pool_of(const struct sumi_node *node, struct pool *p, struct sumi_err *err) {
  const struct sumi_attr *whole = sumi_node_attr(node, "pool_int64s"),
                         *text = sumi_node_attr(node, "pool_strings");
  if (!whole == !text) SUMI_FAIL(err, SUMI_E_VALUE, "one of pool_int64s and pool_strings must be there");
  *p = (struct pool){.token = whole ? whole : text};
  p->start = sumi_attr_ints(node, "ngram_counts", &p->n_start);
  p->index = sumi_attr_ints(node, "ngram_indexes", &p->n_index);
  p->min = sumi_attr_int(node, "min_gram_length", 1);
  p->max = sumi_attr_int(node, "max_gram_length", 1);
  p->skips = sumi_attr_int(node, "max_skip_count", 0);
  if (p->min < 1 || p->max < p->min || p->max > p->n_start || p->skips < 0)
    SUMI_FAIL(err, SUMI_E_VALUE,
              "n-grams of %" PRId64 " to %" PRId64 " tokens with %" PRId64
              " skips are asked for, and ngram_counts has %d entries",
              p->min, p->max, p->skips, p->n_start);
  for (int i = 0; i < p->n_index; i++) {
    if (p->index[i] < 0 || p->index[i] > INT32_MAX)
      SUMI_FAIL(err, SUMI_E_VALUE, "ngram_indexes[%d] is %" PRId64, i, p->index[i]);
    p->width = SUMI_MAX(p->width, p->index[i] + 1);
  }
  return check_starts(p, err);
}

static sumi_status tf_idf_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[0];
  struct pool p;
  int n_weights;
  SUMI_TRY(pool_of(ctx->node, &p, ctx->err));
  if (mode_of(ctx->node) < 0)
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "mode is '%s', none of TF, IDF, TFIDF",
              sumi_attr_string(ctx->node, "mode", ""));
  if (sumi_attr_floats(ctx->node, "weights", &n_weights) && n_weights && n_weights < p.width)
    SUMI_FAIL(ctx->err, SUMI_E_VALUE, "weights has %d entries, a row of Y %" PRId64, n_weights, p.width);
  if ((x->dtype == SUMI_STRING) != (p.token->type == SUMI_ATTR_STRINGS))
    SUMI_FAIL(ctx->err, SUMI_E_TYPE, "X is %s and the pool is not",
              x->dtype == SUMI_STRING ? "text" : "of integers");
  if (x->rank == 0 || x->rank > 2)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "X has rank %d, neither 1 nor 2", x->rank);
  const sumi_dim dim[] = {x->rank == 2 ? x->dim[0] : p.width, p.width};
  if (x->rank < 0)
    sumi_infer_out_unknown(ctx, 0, SUMI_FLOAT32);
  else
    sumi_infer_out(ctx, 0, SUMI_FLOAT32, x->rank, dim);
  return SUMI_OK;
}

/* ---- finding n-grams --------------------------------------------------------------------------------------------- */

struct token {
  int64_t whole;
  struct sumi_str text;
};

struct finder {
  const struct pool *pool;
  const struct sumi_tensor *x;
  int64_t *slot; /* [mask + 1] where an n-gram starts in the pool, plus 1; 0 = free */
  uint64_t mask;
  bool text;
};

static struct token pool_token(const struct finder *f, int64_t i) {
  const struct sumi_attr *a = f->pool->token;
  return f->text ? (struct token){.text = a->u.strings[i]} : (struct token){.whole = a->u.ints[i]};
}

static struct token x_token(const struct finder *f, int64_t i) {
  return f->text ? (struct token){.text = ((const struct sumi_str *)f->x->data)[i]}
                 : (struct token){.whole = sumi_get_i64(f->x->dtype, f->x->data, i)};
}

static uint64_t hash_token(const struct finder *f, struct token t, uint64_t seed) {
  return f->text ? sumi_hash(t.text.data, t.text.size, seed) : sumi_hash(&t.whole, sizeof t.whole, seed);
}

static bool same_token(const struct finder *f, struct token a, struct token b) {
  if (!f->text) return a.whole == b.whole;
  return a.text.size == b.text.size && (!a.text.size || !memcmp(a.text.data, b.text.data, a.text.size));
}

/* n tokens of the pool or of X, the first at `at`. */
struct gram {
  struct token (*token)(const struct finder *f, int64_t i);
  int64_t at, step, n;
};

/* The slot of g: where it is, or where it would be. All n-grams share the table, so lengths are compared as well. */
static int64_t *find(const struct finder *f, const struct gram *g) {
  uint64_t h = (uint64_t)g->n;
  for (int64_t k = 0; k < g->n; k++) h = hash_token(f, g->token(f, g->at + k * g->step), h);
  h ^= h >> 32;
  for (;; h++) {
    int64_t *slot = &f->slot[h & f->mask];
    if (!*slot) return slot;
    const int64_t at = *slot - 1;
    if (at < start_of(f->pool, g->n) || at >= start_of(f->pool, g->n + 1)) continue;
    int64_t k = 0;
    while (k < g->n && same_token(f, pool_token(f, at + k), g->token(f, g->at + k * g->step))) k++;
    if (k == g->n) return slot;
  }
}

static void fill(struct finder *f) {
  for (int64_t n = f->pool->min; n <= f->pool->max; n++)
    for (int64_t at = start_of(f->pool, n); at < start_of(f->pool, n + 1); at += n)
      *find(f, &(struct gram){pool_token, at, 1, n}) = at + 1;
}

/* Which n-gram it is that starts at `at` in the pool. */
static int64_t number_of(const struct pool *p, int64_t n, int64_t at) {
  int64_t before = 0;
  for (int64_t i = 1; i < n; i++) before += (start_of(p, i + 1) - start_of(p, i)) / i;
  return before + (at - start_of(p, n)) / n;
}

/* Counts n-grams whose tokens are d apart in the row of c tokens that starts at first. */
static void count(const struct finder *f, int64_t first, int64_t c, int64_t n, int64_t d, int64_t *counts) {
  if (n > 1 && d > (c - 1) / (n - 1)) return;
  for (int64_t i = 0; i < c - d * (n - 1); i++) {
    const int64_t slot = *find(f, &(struct gram){x_token, first + i, d, n});
    if (slot) counts[f->pool->index[number_of(f->pool, n, slot - 1)]]++;
  }
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

/* Slots of the table: a power of two at least twice as large as the number of n-grams can be. */
static bool slots_of(const struct pool *p, size_t *n) {
  size_t most;
  if (!sumi_size_mul(p->token->n, 2, &most)) return false;
  for (*n = 2; *n < most;)
    if (!sumi_size_mul(*n, 2, n)) return false;
  return true;
}

static sumi_status tf_idf_scratch(const struct sumi_call *c, size_t *bytes) {
  struct pool p;
  size_t n;
  SUMI_TRY(pool_of(c->node, &p, c->err));
  if (!slots_of(&p, &n) || !sumi_size_add(n, (size_t)p.width, &n) ||
      !sumi_size_mul(n, sizeof(int64_t), bytes))
    SUMI_FAIL(c->err, SUMI_E_LIMIT, "the pool is too large");
  return SUMI_OK;
}

static sumi_status tf_idf_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[0];
  const int64_t rows = x->rank == 2 ? x->dim[0] : 1, columns = x->dim[x->rank - 1];
  const int mode = mode_of(c->node);
  struct pool p;
  size_t slots;
  int n_weights;
  SUMI_TRY(pool_of(c->node, &p, c->err));
  SUMI_ASSERT(c->err, slots_of(&p, &slots));
  struct finder f = {&p, x, c->scratch, slots - 1, x->dtype == SUMI_STRING};
  int64_t *counts = f.slot + slots;
  const float *weights = sumi_attr_floats(c->node, "weights", &n_weights);
  float *y = c->out[0]->data;
  memset(f.slot, 0, slots * sizeof *f.slot);
  fill(&f);
  for (int64_t r = 0; r < rows; r++, y += p.width) {
    memset(counts, 0, (size_t)p.width * sizeof *counts);
    for (int64_t n = p.min; n <= p.max; n++)
      for (int64_t d = 1; d <= (n == 1 ? 1 : SUMI_MIN(p.skips, columns) + 1); d++)
        count(&f, r * columns, columns, n, d, counts);
    for (int64_t j = 0; j < p.width; j++) {
      const float weight = mode == TF || !n_weights ? 1 : weights[j];
      y[j] = weight * (float)(mode == IDF ? counts[j] > 0 : counts[j]);
    }
  }
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {{"mode", SUMI_ATTR_STRING, true},
                                              {"min_gram_length", SUMI_ATTR_INT, true},
                                              {"max_gram_length", SUMI_ATTR_INT, true},
                                              {"max_skip_count", SUMI_ATTR_INT, true},
                                              {"ngram_counts", SUMI_ATTR_INTS, true},
                                              {"ngram_indexes", SUMI_ATTR_INTS, true},
                                              {"pool_int64s", SUMI_ATTR_INTS},
                                              {"pool_strings", SUMI_ATTR_STRINGS},
                                              {"weights", SUMI_ATTR_FLOATS},
                                              {NULL}};
static const struct sumi_port in[] = {
    {"X", SUMI_BIT(SUMI_STRING) | SUMI_BIT(SUMI_INT32) | SUMI_BIT(SUMI_INT64)}, {NULL}};
static const struct sumi_port out[] = {{"Y", SUMI_BIT(SUMI_FLOAT32)}, {NULL}};
#define GRAMS                                                                               \
  "min_gram_length = 1, max_gram_length = 3, max_skip_count = 2, ngram_counts = [0, 3, 9]," \
  " ngram_indexes = [5, 0, 1, 2, 3, 7, 4]"
static const struct sumi_case cases[] = {
    {"g (int64[40] x) => (y) { y = TfIdfVectorizer <mode = \"TF\", " GRAMS
     ", pool_int64s = [1, 2, 3, 1, 2, 2, 2, 0, 5, 4, 4, 1]> (x) }"},
    {"g (int32[7,25] x) => (y) { y = TfIdfVectorizer <mode = \"TFIDF\", " GRAMS
     ", weights = [1.5, 2.0, 0.5, 3.0, 1.0, 0.25, 7.0, 2.5], pool_int64s = [1, 2, 3, 1, 2, 2, 2, 0, 5, 4, 4, "
     "1]> (x) }"},
    {"g (int32[7,25] x) => (y) { s = Cast <to = 8> (x) y = TfIdfVectorizer <mode = \"IDF\", " GRAMS
     ", weights = [1.5, 2.0, 0.5, 3.0, 1.0, 0.25, 7.0, 2.5], pool_strings = "
     "[\"1\", \"2\", \"3\", \"1\", \"2\", \"2\", \"2\", \"0\", \"5\", \"4\", \"4\", \"1\"]> (s) }"},
    {NULL},
};

const struct sumi_op sumi_op_tf_idf_vectorizer = {
    .name = "TfIdfVectorizer",
    .formula = "weighted counts of n-grams",
    .known_as = {{"", "TfIdfVectorizer", {9}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = tf_idf_infer,
    .ref = tf_idf_ref,
    .scratch = tf_idf_scratch,
    .cases = cases,
};
