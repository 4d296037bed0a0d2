/* Whether and how a batch is sliced. */
#include "exec/slice.h"

#include <string.h>

#include "base/size.h"
#include "cpu/cpu.h"

/* The largest values between two steps that a run of a slice may touch: some second-level caches' worth. More spills into
 * memory that other cores share; less reads the weights again for fewer items. docs/kernels.md has the measurement. */
enum { CACHES = 8, CACHE_BYTES = 1 << 20 };

struct finder {
  struct sumi_session *s;
  const struct sumi_graph *g;
  struct sumi_arena arena;
  struct sumi_info *info; /* [n_value] with the whole batch */
  struct sumi_info *part; /* [n_value] with some of its items */
  int64_t items, each;
  bool *carries;
  bool *differs; /* [n_value] known contents that depend on the number of items */
};

static bool is_batch(const struct sumi_value *v, sumi_dim dim) {
  return !v->constant && v->info.kind == SUMI_TENSOR && v->info.rank > 0 && v->info.dim[0] == dim &&
         v->info.dtype != SUMI_STRING && sumi_dtype_bits(v->info.dtype) >= 8;
}

/* Dimension 0 of the inputs that are the batch: the first one's symbol; without any, where a number will do, the first number. */
static sumi_dim batch_dim(const struct sumi_graph *g, bool number) {
  for (int turn = 0; turn < (number ? 2 : 1); turn++)
    for (size_t i = 0; i < g->n_input; i++) {
      const struct sumi_value *v = g->input[i];
      if (v->info.kind != SUMI_TENSOR || v->info.rank <= 0 || v->constant) continue;
      if (turn ? v->info.dim[0] > 0 : v->info.dim[0] < 0 && v->info.dim[0] != SUMI_DIM_UNKNOWN)
        return v->info.dim[0];
    }
  return SUMI_DIM_UNKNOWN;
}

/* Infos of all values where the batch has so many items; false: it cannot have so few. */
static bool infer(struct finder *f, int64_t items, struct sumi_arena *arena, struct sumi_info **out) {
  struct sumi_info *in = SUMI_NEW_ARRAY(arena, f->g->n_input, struct sumi_info);
  *out = SUMI_NEW_ARRAY(arena, f->g->n_value, struct sumi_info);
  if (!in || !*out) return false;
  for (size_t i = 0; i < f->g->n_input; i++) {
    const struct sumi_value *v = f->g->input[i];
    const struct sumi_tensor *t = f->s->input_at[i];
    in[i] =
        (struct sumi_info){.kind = t->kind, .dtype = t->dtype, .rank = t->kind == SUMI_TENSOR ? t->rank : -1};
    for (int d = 0; d < in[i].rank; d++) in[i].dim[d] = d == 0 && f->carries[v->id] ? items : t->dim[d];
    if (v->constant && t->data == v->constant->data) in[i].data = v->constant;
  }
  const struct sumi_infer_job job = {
      .graph = f->g, .in = in, .arena = arena, .fold_bytes = 64 << 10, .info = *out};
  return sumi_graph_infer(&job, NULL) == SUMI_OK;
}

static bool is_tensor(const struct sumi_info *info) {
  if (info->kind != SUMI_TENSOR || info->rank < 0 || info->dtype == SUMI_UNDEFINED) return false;
  for (int i = 0; i < info->rank; i++)
    if (info->dim[i] < 0) return false;
  return true;
}

static bool same_contents(const struct sumi_info *a, const struct sumi_info *b) {
  if (a->data == b->data) return true;
  if (!a->data || !b->data || a->rank != b->rank || a->dtype != b->dtype || a->dtype == SUMI_STRING)
    return false;
  size_t bytes;
  for (int i = 0; i < a->rank; i++)
    if (a->dim[i] != b->dim[i]) return false;
  return sumi_shape_bytes(a->dtype, a->dim, a->rank, &bytes, NULL) == SUMI_OK &&
         memcmp(a->data->data, b->data->data, bytes) == 0;
}

/* Whether the node takes its inputs item by item; asks its operator. */
static bool asks(const struct finder *f, const struct sumi_node *node) {
  enum { MOST = 64 };
  struct sumi_tensor t[MOST], *at[MOST];
  bool carries[MOST];
  const int n = node->n_in + node->n_out;
  if (!node->op->by_item || n > MOST) return false;
  for (int i = 0; i < n; i++) {
    const struct sumi_value *v = i < node->n_in ? node->in[i] : node->out[i - node->n_in];
    at[i] = v ? &t[i] : NULL;
    carries[i] = v && i < node->n_in && f->carries[v->id];
    if (!v) continue;
    if (i < node->n_in && f->differs[v->id] && !(node->op->flags & SUMI_OP_VIEW)) return false;
    if (!is_tensor(&f->info[v->id])) return false;
    t[i] = sumi_info_tensor(&f->info[v->id]);
  }
  const struct sumi_call call = {.node = node,
                                 .n_in = node->n_in,
                                 .n_out = node->n_out,
                                 .in = (const struct sumi_tensor *const *)at,
                                 .out = at + node->n_in};
  return node->op->by_item(&call, carries);
}

/* Follows the items through the graph; false where they mix. */
static bool follow(struct finder *f) {
  for (size_t i = 0; i < f->g->n_node; i++) {
    const struct sumi_node *node = f->g->node[i];
    bool any = false;
    if (sumi_node_known(node, f->info)) {
      for (int k = 0; k < node->n_out; k++)
        if (node->out[k])
          f->differs[node->out[k]->id] =
              !same_contents(&f->info[node->out[k]->id], &f->part[node->out[k]->id]);
      continue;
    }
    for (int k = 0; k < node->n_in; k++) any = any || (node->in[k] && f->carries[node->in[k]->id]);
    if (node->op->flags & (SUMI_OP_DYNAMIC | SUMI_OP_CONTROL | SUMI_OP_RANDOM)) return false;
    if (any && !asks(f, node)) return false;
    for (int k = 0; any && k < node->n_out; k++) {
      const struct sumi_value *v = node->out[k];
      if (!v) continue;
      const struct sumi_info *whole = &f->info[v->id], *part = &f->part[v->id];
      if (whole->rank < 1 || part->rank != whole->rank || whole->dim[0] != f->items ||
          part->dim[0] != f->each)
        return false;
      f->carries[v->id] = true;
    }
  }
  for (size_t i = 0; i < f->g->n_output; i++)
    if (!f->carries[f->g->output[i]->id]) return false;
  return true;
}

/* The bytes of an item that one node reads and writes, of the node with most. */
static double bytes_of_item(const struct finder *f) {
  double most = 0;
  for (size_t i = 0; i < f->g->n_node; i++) {
    const struct sumi_node *node = f->g->node[i];
    double sum = 0;
    for (int k = 0; k < node->n_in + node->n_out; k++) {
      const struct sumi_value *v = k < node->n_in ? node->in[k] : node->out[k - node->n_in];
      size_t bytes;
      if (!v || !is_tensor(&f->info[v->id]) || f->info[v->id].rank < 1 || f->info[v->id].dim[0] != f->items)
        continue;
      if (sumi_shape_bytes(f->info[v->id].dtype, f->info[v->id].dim, f->info[v->id].rank, &bytes, NULL) ==
          SUMI_OK)
        sum += (double)bytes / (double)f->items;
    }
    most = SUMI_MAX(most, sum);
  }
  return most;
}

/* The largest divisor of the number of items whose items fit the caches. */
static int64_t choose(const struct finder *f) {
  const size_t l2 = sumi_cpu_info()->l2_bytes;
  const double room = (double)CACHES * (double)(l2 ? l2 : CACHE_BYTES), item = bytes_of_item(f);
  int64_t each = f->items;
  while (each > 1 && (f->items % each || (double)each * item > room)) each--;
  return each;
}

/* The number of items of the batch, whose inputs carry them; 1 = none, or they differ. number: as for batch_dim. */
static int64_t find_items(const struct sumi_session *s, bool number, bool *carries) {
  const struct sumi_graph *g = s->graph;
  const sumi_dim dim = batch_dim(g, number);
  if (dim == SUMI_DIM_UNKNOWN) return 1;
  int64_t items = -1;
  for (size_t i = 0; i < g->n_input; i++) {
    const struct sumi_value *v = g->input[i];
    if (!is_batch(v, dim)) continue;
    if (items >= 0 && items != s->input_at[i]->dim[0]) return 1;
    items = s->input_at[i]->dim[0];
    if (carries) carries[v->id] = true;
  }
  return SUMI_MAX(items, 1);
}

/* The number of items, and how many a run takes; the same where the batch stays whole. */
static void decide(struct finder *f) {
  f->items = f->each = 1;
  if (!f->s->device->machine_passes || f->s->device->begin) return;
  const int64_t items = find_items(f->s, false, f->carries);
  if (items < 2) return;
  f->items = f->each = items;
  if (!infer(f, items, &f->arena, &f->info)) return;
  const int64_t each = choose(f);
  if (each == items || !infer(f, each, &f->arena, &f->part)) return;
  f->each = each;
  if (!follow(f)) f->each = items;
}

int64_t sumi_items(const struct sumi_session *s) { return find_items(s, true, NULL); }

bool sumi_items_part(struct sumi_session *s, int64_t each, struct sumi_arena *arena,
                     const struct sumi_info **info, const bool **carries) {
  struct finder f = {.s = s, .g = s->graph, .each = each};
  sumi_arena_init(&f.arena, &s->allocator);
  f.carries = SUMI_NEW_ARRAY(arena, s->graph->n_value, bool);
  f.differs = SUMI_NEW_ARRAY(&f.arena, s->graph->n_value, bool);
  bool good = f.carries && f.differs;
  if (good) f.items = find_items(s, true, f.carries);
  good = good && infer(&f, f.items, &f.arena, &f.info) && infer(&f, each, arena, &f.part) && follow(&f);
  sumi_arena_fini(&f.arena);
  *info = f.part;
  *carries = f.carries;
  return good;
}

/* ---- what is remembered ------------------------------------------------------------------------------------------- */

static void free_slicing(const struct sumi_exec *exec, struct sumi_slicing *p) {
  const struct sumi_allocator *a = &exec->session->allocator;
  if (!p) return;
  sumi_free(a, p->key, SUMI_MAX(p->n_key, (size_t)1) * sizeof *p->key);
  sumi_free(a, p->carries, (exec->graph->n_value + 1) * sizeof *p->carries);
  sumi_free(a, p, sizeof *p);
}

void sumi_slicing_free_all(struct sumi_exec *exec) {
  for (struct sumi_slicing *p = exec->slicings, *next; p; p = next) {
    next = p->next;
    free_slicing(exec, p);
  }
  exec->slicings = NULL;
}

/* The least recently used one goes where there are more than plans are kept. */
static void limit(struct sumi_exec *exec) {
  struct sumi_slicing **at = &exec->slicings;
  for (int i = 0; *at && i < exec->session->max_plans; i++) at = &(*at)->next;
  free_slicing(exec, *at);
  *at = NULL;
}

static sumi_status make(struct sumi_session *s, struct sumi_slicing **out, struct sumi_err *err) {
  const struct sumi_allocator *a = &s->allocator;
  const struct sumi_exec *exec = s->execs;
  struct sumi_slicing *p = *out = sumi_alloc(a, sizeof *p);
  if (!p) SUMI_FAIL_MEMORY(err);
  p->n_key = exec->n_key;
  p->key = sumi_alloc(a, SUMI_MAX(p->n_key, (size_t)1) * sizeof *p->key);
  p->carries = sumi_alloc(a, (s->graph->n_value + 1) * sizeof *p->carries);
  if (!p->key || !p->carries) SUMI_FAIL_MEMORY(err);
  if (p->n_key) memcpy(p->key, exec->key, p->n_key * sizeof *p->key);
  struct finder f = {.s = s, .g = s->graph, .carries = p->carries};
  sumi_arena_init(&f.arena, a);
  f.differs = SUMI_NEW_ARRAY(&f.arena, s->graph->n_value, bool);
  if (f.differs) decide(&f);
  p->items = f.items;
  p->each = f.each;
  sumi_arena_fini(&f.arena);
  if (!f.differs) SUMI_FAIL_MEMORY(err);
  return SUMI_OK;
}

sumi_status sumi_slicing_find(struct sumi_session *s, const struct sumi_slicing **out, struct sumi_err *err) {
  struct sumi_exec *exec = s->execs;
  struct sumi_slicing *p;
  SUMI_TRY(sumi_exec_key(exec, s->input_at, err));
  for (struct sumi_slicing **at = &exec->slicings; (p = *at); at = &p->next)
    if (p->n_key == exec->n_key && memcmp(p->key, exec->key, p->n_key * sizeof *p->key) == 0) {
      *at = p->next;
      break;
    }
  if (!p) {
    const sumi_status status = make(s, &p, err);
    if (status != SUMI_OK) {
      free_slicing(exec, p);
      return status;
    }
  }
  p->next = exec->slicings;
  exec->slicings = p;
  limit(exec);
  *out = p;
  return SUMI_OK;
}

struct sumi_tensor sumi_slice_of(const struct sumi_slicing *slicing, const struct sumi_value *v,
                                 const struct sumi_tensor *whole, int64_t first) {
  struct sumi_tensor t = *whole;
  if (!slicing->carries[v->id]) return t;
  t.dim[0] = slicing->each;
  const int64_t each = sumi_dims_count(t.dim, 1, t.rank);
  if (t.data) t.data = (char *)t.data + (size_t)(first * each) * (size_t)sumi_dtype_bits(t.dtype) / 8;
  return t;
}
