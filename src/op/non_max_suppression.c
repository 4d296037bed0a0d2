/* NonMaxSuppression: boxes [N, B, 4] and scores [N, classes, B]. For every batch and class the boxes are
 * looked at from the best score down (equal ones in the order of their numbers); one is kept unless its
 * intersection over union with a box already kept is above iou_threshold, until max_output_boxes_per_class
 * are kept. Scores not above score_threshold are left out. y lists [batch, class, box]. Boxes are two
 * opposite corners, or centre and size. */
#include <inttypes.h>
#include <math.h>

#include "base/size.h"
#include "op/dims.h"
#include "op/op_util.h"

static sumi_status nms_infer(struct sumi_infer *ctx) {
  const struct sumi_info *boxes = &ctx->in[0], *scores = &ctx->in[1];
  SUMI_TRY(sumi_op_want_rank(ctx, 0, 3));
  SUMI_TRY(sumi_op_want_rank(ctx, 1, 3));
  for (int i = 2; i < 5; i++) {
    bool known;
    int64_t value;
    if (sumi_infer_has(ctx, i)) SUMI_TRY(sumi_op_scalar(ctx, i, &known, &value));
  }
  if (boxes->rank == 3 && boxes->dim[2] >= 0 && boxes->dim[2] != 4)
    SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "a box has %" PRId64 " numbers", boxes->dim[2]);
  if (boxes->rank == 3 && scores->rank == 3) {
    const sumi_dim a[2] = {boxes->dim[0], boxes->dim[1]}, b[2] = {scores->dim[0], scores->dim[2]};
    for (int i = 0; i < 2; i++)
      if (a[i] >= 0 && b[i] >= 0 && a[i] != b[i])
        SUMI_FAIL(ctx->err, SUMI_E_SHAPE, "boxes and scores have %" PRId64 " and %" PRId64 " %s", a[i], b[i],
                  i ? "boxes" : "batches");
  }
  const sumi_dim dim[2] = {SUMI_DIM_UNKNOWN, 3};
  sumi_infer_out(ctx, 0, SUMI_INT64, 2, dim);
  return SUMI_OK;
}

struct box {
  float y0, x0, y1, x1, area;
};

static inline float least(float a, float b) { return a < b ? a : b; }
static inline float most(float a, float b) { return a > b ? a : b; }

static struct box box_at(const float *p, bool centre) {
  struct box b = {fminf(p[0], p[2]), fminf(p[1], p[3]), fmaxf(p[0], p[2]), fmaxf(p[1], p[3]), 0};
  if (centre) b = (struct box){p[1] - p[3] / 2, p[0] - p[2] / 2, p[1] + p[3] / 2, p[0] + p[2] / 2, 0};
  b.area = (b.y1 - b.y0) * (b.x1 - b.x0);
  return b;
}

static bool overlaps(const struct box *a, const struct box *b, float threshold) {
  const float h = least(a->y1, b->y1) - most(a->y0, b->y0), w = least(a->x1, b->x1) - most(a->x0, b->x0);
  if (!(h > 0) || !(w > 0)) return false;
  const float both = h * w, all = a->area + b->area - both;
  return a->area > 0 && b->area > 0 && all > 0 && both / all > threshold;
}

/* What was found: box number index of list (batch * classes + class). */
struct found {
  int64_t list, index;
};

/* Scratch, as much of each as there are boxes: the numbers of those still to look at, as a heap with the best on top; those kept
 * for one list; what was found, as far as it has room. */
struct scratch {
  int64_t *heap;
  struct box *kept;
  struct found *found;
};

static sumi_status nms_scratch(const struct sumi_call *c, size_t *bytes) {
  if (!sumi_size_mul((size_t)c->in[0]->dim[1], sizeof(int64_t) + sizeof(struct box) + sizeof(struct found),
                     bytes))
    SUMI_FAIL(c->err, SUMI_E_LIMIT, "too many boxes");
  return SUMI_OK;
}

static struct scratch split_scratch(void *memory, int64_t n) {
  struct scratch s = {.found = memory};
  s.heap = (int64_t *)(s.found + n);
  s.kept = (struct box *)(s.heap + n);
  return s;
}

static bool better(const float *score, int64_t a, int64_t b) {
  return score[a] != score[b] ? score[a] > score[b] : a < b;
}

static void sift(const float *score, int64_t *heap, int64_t n, int64_t i) {
  const int64_t e = heap[i];
  for (int64_t child; (child = 2 * i + 1) < n; i = child) {
    if (child + 1 < n && better(score, heap[child + 1], heap[child])) child++;
    if (!better(score, heap[child], e)) break;
    heap[i] = heap[child];
  }
  heap[i] = e;
}

struct rules {
  int64_t most;
  float iou, least;
  bool has_least, centre;
};

/* The boxes kept for one batch and class: their number; index[room] receives the first of them. */
static int64_t suppress(const struct rules *r, const float *boxes, const float *score, int64_t n,
                        const struct scratch *s, int64_t list, struct found *found, int64_t room) {
  int64_t left = 0, count = 0, *heap = s->heap;
  for (int64_t i = 0; i < n; i++)
    if (!isnan(score[i]) && (!r->has_least || score[i] > r->least)) heap[left++] = i;
  for (int64_t i = left / 2; i >= 0 && left; i--) sift(score, heap, left, i);
  while (left && count < r->most) {
    const int64_t best = heap[0];
    heap[0] = heap[--left];
    if (left) sift(score, heap, left, 0);
    const struct box b = box_at(boxes + 4 * best, r->centre);
    bool keep = true;
    for (int64_t k = 0; k < count && keep; k++) keep = !overlaps(&b, &s->kept[k], r->iou);
    if (!keep) continue;
    if (count < room) found[count] = (struct found){list, best};
    s->kept[count++] = b;
  }
  return count;
}

/* The boxes kept of all batches and classes: their number; found[room] receives the first of them. */
static int64_t suppress_all(const struct sumi_call *c, const struct rules *r, const struct scratch *s,
                            struct found *found, int64_t room) {
  const struct sumi_tensor *boxes = c->in[0], *scores = c->in[1];
  const int64_t n = boxes->dim[1], classes = scores->dim[1], lists = n ? boxes->dim[0] * classes : 0;
  int64_t total = 0;
  for (int64_t list = 0; list < lists; list++) {
    const int64_t used = SUMI_MIN(total, room);
    total += suppress(r, (const float *)boxes->data + list / classes * n * 4,
                      (const float *)scores->data + list * n, n, s, list, found + used, room - used);
  }
  return total;
}

static sumi_status nms_ref(const struct sumi_call *c) {
  const int64_t n = c->in[0]->dim[1], classes = c->in[1]->dim[1];
  struct rules r = {.centre = sumi_attr_int(c->node, "center_point_box", 0) != 0};
  if (sumi_call_has(c, 2)) r.most = sumi_get_i64(SUMI_INT64, c->in[2]->data, 0);
  if (sumi_call_has(c, 3)) r.iou = *(const float *)c->in[3]->data;
  if (sumi_call_has(c, 4)) r.least = *(const float *)c->in[4]->data;
  r.has_least = sumi_call_has(c, 4);
  if (!(r.iou >= 0 && r.iou <= 1)) SUMI_FAIL(c->err, SUMI_E_VALUE, "iou_threshold is %g", (double)r.iou);
  const struct scratch s = split_scratch(c->scratch, n);
  const int64_t total = suppress_all(c, &r, &s, s.found, n);
  SUMI_TRY(sumi_call_output(c, 0, SUMI_INT64, 2, (const int64_t[]){total, 3}));
  if (!sumi_call_wants(c, 0)) return SUMI_OK;
  int64_t *y = c->out[0]->data;
  struct found *found = s.found;
  if (total > n) { /* once more, into the end of y: row i reaches as far as what was found of rows up to i */
    found = (struct found *)(y + total);
    suppress_all(c, &r, &s, found, total);
  }
  for (int64_t i = 0; i < total; i++) {
    const struct found f = found[i];
    y[3 * i] = f.list / classes, y[3 * i + 1] = f.list % classes, y[3 * i + 2] = f.index;
  }
  return SUMI_OK;
}

static const struct sumi_attr_spec attrs[] = {{"center_point_box", SUMI_ATTR_INT}, {NULL}};
static const struct sumi_port in[] = {
    {"boxes", SUMI_BIT(SUMI_FLOAT32)},
    {"scores", SUMI_BIT(SUMI_FLOAT32)},
    {"max_output_boxes_per_class", SUMI_BIT(SUMI_INT64), 0, SUMI_PORT_OPTIONAL},
    {"iou_threshold", SUMI_BIT(SUMI_FLOAT32), 0, SUMI_PORT_OPTIONAL},
    {"score_threshold", SUMI_BIT(SUMI_FLOAT32), 0, SUMI_PORT_OPTIONAL},
    {NULL},
};
static const struct sumi_port out[] = {{"selected_indices", SUMI_BIT(SUMI_INT64)}, {NULL}};
static const struct sumi_case cases[] = {
    {"g (float[2,23,4] b, float[2,3,23] s) => (y) <int64[1] m = {4}, float[1] t = {0.3}> { y = "
     "NonMaxSuppression (b, s, m, t) }"},
    {"g (float[1,23,4] b, float[1,1,23] s) => (y) <int64[1] m = {9}, float[1] t = {0.1}, float[1] l = {0}>"
     " { y = NonMaxSuppression <center_point_box = 1> (b, s, m, t, l) }"},
    {"g (float[2,5,4] b, float[2,9,5] s) => (y) <int64[1] m = {4}, float[1] t = {0.9}> { y = "
     "NonMaxSuppression (b, s, m, t) }",
     .why = "more are kept than there are boxes"},
    {"g (float[2,0,4] b, float[2,9,0] s) => (y) <int64[1] m = {4}> { y = NonMaxSuppression (b, s, m) }",
     .why = "no boxes"},
    {NULL},
};

const struct sumi_op sumi_op_non_max_suppression = {
    .name = "NonMaxSuppression",
    .formula = "the best boxes that overlap no better one",
    .known_as = {{"", "NonMaxSuppression", {10, 11}}},
    .attrs = attrs,
    .in = in,
    .out = out,
    .flags = SUMI_OP_DYNAMIC,
    .infer = nms_infer,
    .ref = nms_ref,
    .scratch = nms_scratch,
    .cases = cases,
};
