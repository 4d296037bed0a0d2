/* Boxes of elements as a step: the outermost dim of each is cut into stretches for threads. Planes whose source is
 * contiguous along the rows are transposed by family copy where elements are 32 bits. */
#include "op/move_lower.h"

#include "base/size.h"
#include "kernel/copy/copy.h"

enum {
  TILE_BYTES = 1 << 16, /* starting a tile costs nothing beside moving them */
  TURN_ROWS = 64        /* whole lines of x: a transposition's rows are its columns */
};

struct part {
  struct sumi_box box;
  int64_t to_first, from_first;
  int64_t each, end; /* entries of dim 0 in a tile; the number of the first tile that is not this part's */
  int to, from;      /* buffers */
  bool turns;
};

struct args {
  const struct sumi_copy_kernel *copy;
  sumi_dtype dtype;
  const struct part *part;
  int64_t tiles;
};

struct state {
  const struct args *a;
  void *const *buffer;
};

/* The last two dims: y[i * to_row + j] = x[i + j * from_col]. */
static bool turns(const struct sumi_box *b) {
  const int r = b->rank - 2, c = b->rank - 1;
  return r >= 0 && b->to[c] == 1 && b->from[r] == 1 && b->from[c] != 1;
}

static void turn(const struct sumi_copy_kernel *copy, const struct sumi_box *b, float *y, const float *x) {
  const int r = b->rank - 2, c = b->rank - 1;
  for (struct sumi_walk w = sumi_walk_start(r, b->dim, b->to, b->from, NULL, NULL); !w.done;
       sumi_walk_next(&w))
    copy->transpose(x + w.offset[1], b->from[c], b->dim[c], b->dim[r], y + w.offset[0], b->to[r]);
}

static void run_tiles(void *user, int64_t begin, int64_t end, int worker) {
  (void)worker;
  const struct state *s = user;
  const struct part *p = s->a->part;
  int64_t before = 0; /* tiles of earlier parts */
  for (int64_t i = begin; i < end; i++) {
    for (; i >= p->end; p++) before = p->end;
    struct sumi_box box = p->box;
    int64_t to = p->to_first, from = p->from_first;
    if (box.rank) {
      const int64_t first = (i - before) * p->each;
      box.dim[0] = SUMI_MIN(p->each, box.dim[0] - first);
      to += first * box.to[0];
      from += first * box.from[0];
    }
    if (p->turns)
      turn(s->a->copy, &box, (float *)s->buffer[p->to] + to, (const float *)s->buffer[p->from] + from);
    else
      sumi_box_move(s->a->dtype, &box, s->buffer[p->to], to, s->buffer[p->from], from);
  }
}

static sumi_status run(const void *args, const struct sumi_run *r) {
  struct state s = {args, r->buffer};
  sumi_par_for(r->par, s.a->tiles, 1, run_tiles, &s);
  return SUMI_OK;
}

/* ---- lowering ------------------------------------------------------------------------------------------------------ */

/* Receives the boxes; part NULL: counts them only. */
struct recorder {
  struct sumi_moves moves;
  const struct sumi_lower *l;
  struct part *part;
  int n;
  int64_t tiles, bytes;
};

static sumi_status record(struct sumi_moves *m, int out, int64_t to_first, const struct sumi_box *box, int in,
                          int64_t from_first) {
  struct recorder *r = (struct recorder *)m;
  int64_t rest = r->bytes;
  for (int i = 0; i < box->rank; i++) {
    if (box->dim[i] <= 0) return SUMI_OK;
    if (i) rest *= box->dim[i];
  }
  const bool turned = r->bytes == 4 && turns(box);
  const int64_t outer = box->rank ? box->dim[0] : 1;
  int64_t each = SUMI_MAX(TILE_BYTES / rest, 1);
  if (turned && box->rank == 2) each = (each + TURN_ROWS - 1) / TURN_ROWS * TURN_ROWS;
  r->tiles += (outer + each - 1) / each;
  if (r->part)
    r->part[r->n] = (struct part){
        *box, to_first, from_first, each, r->tiles, r->l->out_buffer[out], r->l->in_buffer[in], turned};
  r->n++;
  return SUMI_OK;
}

static sumi_status refuse(struct sumi_lower *l, const char *why) {
  sumi_lower_refuse(l, "copy", "%s", why);
  return SUMI_E_UNSUPPORTED;
}

static sumi_status emit(struct sumi_lower *l, struct args *a, int n_data) {
  int *used = SUMI_NEW_ARRAY(l->arena, (size_t)(n_data + l->n_out), int), n_reads = 0, n_writes = 0;
  if (!used) SUMI_FAIL_MEMORY(l->err);
  for (int i = 0; i < n_data && i < l->n_in; i++)
    if (l->in[i]) used[n_reads++] = l->in_buffer[i];
  for (int i = 0; i < l->n_out; i++)
    if (l->out[i]) used[n_reads + n_writes++] = l->out_buffer[i];
  return sumi_lower_emit(l, run, a, a->copy->name, used, n_reads, used + n_reads, n_writes);
}

sumi_status sumi_moves_lower(struct sumi_lower *l, sumi_moves_fn *fn, int n_data) {
  const sumi_dtype dtype = l->in[0]->dtype;
  if (sumi_dtype_bits(dtype) < 8 || dtype == SUMI_STRING) return refuse(l, "elements are not whole bytes");
  for (int i = n_data; i < l->n_in; i++)
    if (l->in[i] && !l->in[i]->data) return refuse(l, "what to move is not constant");
  const struct sumi_call call = {.node = l->node,
                                 .n_in = l->n_in,
                                 .n_out = l->n_out,
                                 .in = l->in,
                                 .out = (struct sumi_tensor *const *)l->out,
                                 .err = l->err};
  struct recorder r = {.moves = {record, &call}, .l = l, .bytes = sumi_dtype_bits(dtype) / 8};
  SUMI_TRY(fn(&call, &r.moves));
  if (!r.n) return refuse(l, "an empty tensor");
  struct args *a = SUMI_NEW(l->arena, struct args);
  r.part = SUMI_NEW_ARRAY(l->arena, (size_t)r.n, struct part);
  if (!a || !r.part) SUMI_FAIL_MEMORY(l->err);
  r.n = 0;
  r.tiles = 0;
  SUMI_TRY(fn(&call, &r.moves));
  *a = (struct args){sumi_copy_pick(l->isa), dtype, r.part, r.tiles};
  return emit(l, a, n_data);
}
