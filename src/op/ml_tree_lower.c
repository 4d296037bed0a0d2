/* Tree ensembles on device cpu: the nodes are made once a model, for all its sessions; rows go to threads in tiles. */
#include "base/size.h"
#include "op/ml_tree.h"
#include "plan/lower.h"

struct args {
  struct sumi_trees trees;
  struct sumi_forest forest; /* points into the pack */
  struct sumi_tensor x, out[2];
  int x_buffer, out_buffer[2]; /* -1: not wanted */
  int room;                    /* scratch: room_bytes for every thread */
  size_t room_bytes;
};

struct work {
  const struct args *a;
  struct sumi_tensor x;
  struct sumi_tensor *out[2];
  char *room;
};

static void run_rows(void *user, int64_t begin, int64_t end, int worker) {
  const struct work *w = user;
  sumi_trees_run(&w->a->trees, &w->a->forest, &w->x, w->out, begin, end,
                 w->room + (size_t)worker * w->a->room_bytes);
}

static sumi_status run_trees(const void *p, const struct sumi_run *run) {
  const struct args *a = p;
  struct sumi_tensor out[2] = {a->out[0], a->out[1]};
  struct work w = {.a = a, .x = a->x, .room = run->buffer[a->room]};
  w.x.data = run->buffer[a->x_buffer];
  for (int i = 0; i < 2; i++) {
    if (a->out_buffer[i] < 0) continue;
    out[i].data = run->buffer[a->out_buffer[i]];
    w.out[i] = &out[i];
  }
  sumi_par_for(run->par, sumi_ml_rows_of(&w.x).n, SUMI_TREE_TILE, run_rows, &w);
  return SUMI_OK;
}

/* ---- the pack -------------------------------------------------------------------------------------------- */

/* The bytes of sumi_forest_init behind a header that says what they hold; pointers are made anew where they are used. */
struct request {
  const struct sumi_node *node;
  const struct sumi_trees *trees;
};
enum { HEADER = 256 };
_Static_assert(sizeof(struct sumi_forest) <= HEADER, "the header takes the forest");

static sumi_status make(void *user, const struct sumi_allocator *a, struct sumi_blob **out,
                        struct sumi_err *err) {
  const struct request *r = user;
  size_t bytes;
  SUMI_TRY(sumi_forest_bytes(r->node, r->trees->form, &bytes, err));
  struct sumi_blob *blob = sumi_blob_new(a, HEADER + bytes);
  if (!blob) SUMI_FAIL_MEMORY(err);
  char *memory = sumi_blob_bytes(blob);
  const sumi_status status = sumi_forest_init((struct sumi_forest *)memory, r->node, r->trees->form,
                                              r->trees->targets, memory + HEADER, err);
  if (status != SUMI_OK)
    sumi_blob_unref(blob);
  else
    *out = blob;
  return status;
}

/* ---- lowering -------------------------------------------------------------------------------------------- */

sumi_status sumi_trees_lower(struct sumi_lower *l) {
  struct args *a = SUMI_NEW(l->arena, struct args);
  size_t bytes;
  const void *pack = NULL;
  if (!a) SUMI_FAIL_MEMORY(l->err);
  *a = (struct args){.x = *l->in[0], .x_buffer = l->in_buffer[0], .out_buffer = {-1, -1}};
  SUMI_TRY(sumi_trees_of(l->node, &a->trees, l->err));
  struct request request = {l->node, &a->trees};
  SUMI_TRY(l->packs->get(l->packs->self, l->node, "trees", make, &request, &pack, l->err));
  a->forest = *(const struct sumi_forest *)pack;
  SUMI_TRY(sumi_trees_room_bytes(&a->trees, &a->room_bytes, l->err));
  if (!sumi_size_mul(a->room_bytes, (size_t)l->threads, &bytes))
    SUMI_FAIL(l->err, SUMI_E_LIMIT, "%d threads need too much scratch", l->threads);
  a->room = sumi_lower_scratch(l, bytes);
  if (a->room < 0) SUMI_FAIL_MEMORY(l->err);
  int writes[3] = {a->room}, n_writes = 1;
  for (int i = 0; i < l->n_out; i++) {
    if (!l->out[i]) continue;
    a->out[i] = *l->out[i];
    a->out_buffer[i] = writes[n_writes++] = l->out_buffer[i];
  }
  return sumi_lower_emit(l, run_trees, a, "trees", &a->x_buffer, 1, writes, n_writes);
}
