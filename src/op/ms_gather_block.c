/* GatherBlockQuantized (com.microsoft): Gather of rows that are quantised in blocks,
 *   y = (q - zero) * scale, q = data[index] along gather_axis; an index outside gives zeros
 * scales and zero_points have one entry for every block_size neighbours along quantize_axis. data of uint8 holds bits of 2,
 * 4 or 8: entries lie side by side along the last dimension, low bits first, as those of zero_points do. A zero point that
 * is not given is 0, for uint8 data 2^(bits - 1). Short floats have none; their scales may broadcast along other axes,
 * and a block_size of 0 is the whole axis. Source: ONNX Runtime, docs/ContribOperators.md. */
#include <inttypes.h>

#include "base/size.h"
#include "op/ms_util.h"

enum { DATA, INDICES, SCALES, ZEROS };

#define SHORT_FLOATS                                                                         \
  (SUMI_BIT(SUMI_FLOAT8E4M3FN) | SUMI_BIT(SUMI_FLOAT8E4M3FNUZ) | SUMI_BIT(SUMI_FLOAT8E5M2) | \
   SUMI_BIT(SUMI_FLOAT8E5M2FNUZ) | SUMI_BIT(SUMI_FLOAT4E2M1))

struct layout {
  int64_t bits;  /* of an entry of uint8 data */
  int64_t per;   /* entries in one element of data: 8 / bits, or 1 */
  int64_t block; /* > 0, or 0: the whole axis */
  int gather, quantize;
};

static sumi_status read_layout(const struct sumi_node *node, sumi_dtype data, int rank, struct layout *l,
                               struct sumi_err *err) {
  l->bits = sumi_attr_int(node, "bits", 4);
  l->block = sumi_attr_int(node, "block_size", 128);
  const bool packed = data == SUMI_UINT8, floats = sumi_dtype_in(data, SHORT_FLOATS);
  if (l->bits != 2 && l->bits != 4 && l->bits != 8)
    SUMI_FAIL(err, SUMI_E_VALUE, "bits is %" PRId64 ", not 2, 4 or 8", l->bits);
  l->per = packed ? 8 / l->bits : 1;
  if (!(floats && l->block == 0) && (l->block < 16 || l->block > INT32_MAX || (l->block & (l->block - 1))))
    SUMI_FAIL(err, SUMI_E_VALUE, "block_size %" PRId64 " is no power of two from 16 on", l->block);
  SUMI_TRY(sumi_axis(sumi_attr_int(node, "gather_axis", 0), rank, &l->gather, err));
  SUMI_TRY(sumi_axis(sumi_attr_int(node, "quantize_axis", 1), rank, &l->quantize, err));
  if (packed && l->gather != 0)
    SUMI_FAIL(err, SUMI_E_VALUE, "gather_axis is %d, uint8 data wants 0", l->gather);
  if (packed && l->bits < 8 && (l->gather == l->quantize || rank < 2))
    SUMI_FAIL(err, SUMI_E_VALUE, "packed entries cannot be gathered along the axis they are quantised along");
  return SUMI_OK;
}

/* The dims of data in entries. */
static void entries(const struct layout *l, struct sumi_symbols *symbols, int rank, const sumi_dim *dim,
                    sumi_dim *out) {
  for (int k = 0; k < rank; k++)
    out[k] = k == rank - 1 && l->per > 1 ? sumi_dim_mul(symbols, dim[k], l->per) : dim[k];
}

/* ceil(n / size) */
static int64_t blocks(int64_t n, int64_t size) { return n / size + (n % size != 0); }

/* Whether scales, and zero_points packed like data, have the dims that the entries' dims want. */
static sumi_status check_scales(const struct sumi_infer *ctx, const struct layout *l, int rank,
                                const sumi_dim *dim) {
  const bool floats = sumi_dtype_in(ctx->in[DATA].dtype, SHORT_FLOATS);
  SUMI_TRY(sumi_ms_want_rank(ctx, SCALES, rank, rank));
  SUMI_TRY(sumi_ms_want_rank(ctx, ZEROS, rank, rank));
  for (int k = 0; k < rank; k++) {
    sumi_dim want = dim[k];
    if (k == l->quantize && want >= 0) want = l->block ? blocks(want, l->block) : 1;
    if (k == l->quantize && want < 0) want = SUMI_DIM_UNKNOWN;
    if (!(floats && k != l->quantize && sumi_ms_dim(ctx, SCALES, k) == 1))
      SUMI_TRY(sumi_ms_want_dim(ctx, SCALES, k, want, "number of scales"));
    if (k == rank - 1 && want >= 0) want = blocks(want, l->per);
    SUMI_TRY(sumi_ms_want_dim(ctx, ZEROS, k, want, "number of zero points"));
  }
  return SUMI_OK;
}

static sumi_status gather_infer(struct sumi_infer *ctx) {
  const struct sumi_info *x = &ctx->in[DATA], *index = &ctx->in[INDICES];
  const sumi_dtype type = ctx->in[SCALES].dtype;
  if (sumi_infer_has(ctx, ZEROS) && sumi_dtype_in(x->dtype, SHORT_FLOATS))
    SUMI_FAIL(ctx->err, SUMI_E_ARG, "'zero_points' is given for data of floats");
  if (x->rank < 0 || index->rank < 0) {
    sumi_infer_out_unknown(ctx, 0, type);
    return SUMI_OK;
  }
  struct layout l;
  sumi_dim dim[SUMI_MAX_RANK], y[SUMI_MAX_RANK];
  SUMI_TRY(read_layout(ctx->node, x->dtype, x->rank, &l, ctx->err));
  entries(&l, ctx->symbols, x->rank, x->dim, dim);
  SUMI_TRY(check_scales(ctx, &l, x->rank, dim));
  const int rank = x->rank + index->rank - 1;
  if (rank > SUMI_MAX_RANK)
    SUMI_FAIL(ctx->err, SUMI_E_LIMIT, "the output's rank is %d; at most %d is supported", rank,
              SUMI_MAX_RANK);
  int n = 0;
  for (int k = 0; k < l.gather; k++) y[n++] = dim[k];
  for (int k = 0; k < index->rank; k++) y[n++] = index->dim[k];
  for (int k = l.gather + 1; k < x->rank; k++) y[n++] = dim[k];
  sumi_infer_out(ctx, 0, type, rank, y);
  return SUMI_OK;
}

/* One entry of data by its coordinates, dequantised. */
static double entry(const struct sumi_call *c, const struct layout *l, const int64_t *dim,
                    const int64_t *at) {
  const struct sumi_tensor *x = c->in[DATA], *scales = c->in[SCALES],
                           *zeros = sumi_call_has(c, ZEROS) ? c->in[ZEROS] : NULL;
  int64_t i = 0, s = 0, z = 0;
  for (int k = 0; k < x->rank; k++) {
    int64_t j = k == l->quantize ? (l->block ? at[k] / l->block : 0) : at[k];
    i = i * dim[k] + at[k];
    s = s * scales->dim[k] + SUMI_MIN(j, scales->dim[k] - 1); /* a dim of 1 broadcasts */
    if (zeros) z = z * zeros->dim[k] * (k == x->rank - 1 ? l->per : 1) + j;
  }
  const bool packed = x->dtype == SUMI_UINT8;
  const double q = packed ? sumi_ms_unpack(x->data, i, l->bits) : sumi_get_f64(x->dtype, x->data, i);
  double zero = packed ? 1 << (l->bits - 1) : 0;
  if (zeros)
    zero = packed ? sumi_ms_unpack(zeros->data, z, l->bits) : sumi_get_f64(zeros->dtype, zeros->data, z);
  return (q - zero) * sumi_get_f64(scales->dtype, scales->data, s);
}

static sumi_status gather_ref(const struct sumi_call *c) {
  const struct sumi_tensor *x = c->in[DATA], *index = c->in[INDICES], *y = c->out[0];
  struct layout l;
  int64_t dim[SUMI_MAX_RANK], box[SUMI_MAX_RANK], at[SUMI_MAX_RANK], o = 0;
  SUMI_TRY(read_layout(c->node, x->dtype, x->rank, &l, c->err));
  entries(&l, NULL, x->rank, x->dim, dim);
  /* the output seen with the rank of data: all indices are one dimension */
  for (int k = 0; k < x->rank; k++) box[k] = k == l.gather ? sumi_tensor_count(index) : dim[k];
  for (struct sumi_walk w = sumi_walk_start(x->rank, box, NULL, NULL, NULL, NULL); !w.done;
       sumi_walk_next(&w)) {
    for (int k = 0; k < x->rank; k++) at[k] = w.index[k];
    int64_t i = sumi_get_i64(index->dtype, index->data, w.index[l.gather]);
    if (i < 0) i += dim[l.gather];
    at[l.gather] = i;
    sumi_set_f64(y->dtype, y->data, o++, i < 0 || i >= dim[l.gather] ? 0 : entry(c, &l, dim, at));
  }
  return SUMI_OK;
}

#define TYPES (SUMI_BIT(SUMI_INT4) | SUMI_BIT(SUMI_UINT4) | SUMI_BIT(SUMI_UINT8) | SHORT_FLOATS)
static const struct sumi_attr_spec attrs[] = {{"bits", SUMI_ATTR_INT},
                                              {"block_size", SUMI_ATTR_INT},
                                              {"gather_axis", SUMI_ATTR_INT},
                                              {"quantize_axis", SUMI_ATTR_INT},
                                              {NULL}};
static const struct sumi_port in[] = {{"data", TYPES, 'D'},
                                      {"indices", SUMI_INDICES},
                                      {"scales", SUMI_MS_T, 'T'},
                                      {"zero_points", TYPES, 'D', SUMI_PORT_OPTIONAL},
                                      {NULL}};
static const struct sumi_port out[] = {{"output", SUMI_MS_T, 'T'}, {NULL}};

#define GATHER(attributes, inputs) " y = com.microsoft.GatherBlockQuantized <" attributes "> (" inputs ") }"
static const struct sumi_case cases[] = {
    {"g (uint8[5,20] x, float[5,3] s) => (y) <int64[2,2] i = {0, 4, -5, 7}> {" GATHER("block_size = 16",
                                                                                      "x, i, s"),
     .low = 0, .high = 255, .why = "a last block that is not full; an index outside"},
    {"g (uint8[3,9] x, float[3,3] s, uint8[3,1] z) => (y) <int32[2] i = {2, -2}> {" GATHER(
         "block_size = 16, bits = 2", "x, i, s, z"),
     .low = 0, .high = 255},
    {"g (int4[2,33,3] x, float16[2,3,3] s, int4[2,3,3] z) => (y) <int64[3] i = {1, 0, -1}> {" GATHER(
         "block_size = 16, gather_axis = 2", "x, i, s, z"),
     .why = "along another axis than the blocks"},
    {NULL},
};

const struct sumi_op sumi_op_ms_gather_block_quantized = {
    .name = "com.microsoft.GatherBlockQuantized",
    .formula = "(data[index] - zero) * scale, scales in blocks along an axis",
    .known_as = {{"com.microsoft", "GatherBlockQuantized", {1}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .infer = gather_infer,
    .ref = gather_ref,
    .cases = cases,
};
