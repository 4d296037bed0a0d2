/* Compiled models, in. The text of the graph and the list of packed blobs come from a file that nobody vouches for: every
 * place is checked against its section, every count against the limits. */
#include <inttypes.h>
#include <string.h>

#include "base/size.h"
#include "cpu/cpu.h"
#include "file/compiled.h"
#include "graph/read.h"
#include "op/ops.h"

static const char *start_of(const struct sumi_blob *file, const struct sumi_compiled_section *s) {
  return (const char *)file->data + s->at;
}

static sumi_status check_hash(const struct sumi_blob *file, const struct sumi_compiled_section *s,
                              const char *what, struct sumi_err *err) {
  if (sumi_compiled_hash(sumi_compiled_hash_start(), start_of(file, s), s->bytes) == s->hash) return SUMI_OK;
  SUMI_FAIL(err, SUMI_E_FORMAT, "the %s of a compiled model are not what was written", what);
}

sumi_status sumi_compiled_open(const struct sumi_blob *file, struct sumi_compiled *out,
                               struct sumi_err *err) {
  SUMI_TRY(sumi_compiled_read(file->data, file->bytes, file->allocator, out, err));
  SUMI_TRY(check_hash(file, &out->graph, "graph's bytes", err));
  return check_hash(file, &out->packs, "list of packed weights' bytes", err);
}

sumi_status sumi_compiled_verify(const struct sumi_compiled *c, const struct sumi_blob *file,
                                 struct sumi_err *err) {
  SUMI_TRY(check_hash(file, &c->weights, "weights", err));
  return check_hash(file, &c->packed, "packed weights", err);
}

/* ---- the graph ------------------------------------------------------------------------------------------------ */

struct placed {
  const struct sumi_compiled *c;
  struct sumi_blob *file;
  const struct sumi_limits *limits;
};

/* bytes at an offset of a section, aligned. */
static bool lies_in(const struct sumi_compiled_section *s, uint64_t offset, uint64_t bytes) {
  return offset % SUMI_ALIGN == 0 && offset <= s->bytes && bytes <= s->bytes - offset;
}

static bool all_at_most(const void *data, size_t n, unsigned char most) {
  const unsigned char *p = data;
  unsigned char above = 0;
  for (size_t i = 0; i < n; i++) above |= p[i] > most;
  return !above;
}

/* Types whose bytes can be wrong: code that reads them relies on what they hold. */
static bool holds_values(sumi_dtype d, const void *data, size_t bytes) {
  if (d == SUMI_BOOL) return all_at_most(data, bytes, 1);
  return sumi_dtype_bits(d) != 6 || all_at_most(data, bytes, 63);
}

static sumi_status find_weights(void *user, const struct sumi_outside *where, struct sumi_tensor *t,
                                struct sumi_blob **blob, struct sumi_err *err) {
  const struct placed *p = user;
  size_t bytes;
  if (strcmp(where->location, "weights") != 0 || t->dtype == SUMI_STRING)
    SUMI_FAIL(err, SUMI_E_FORMAT, "a tensor that lies where no weights are");
  SUMI_TRY(sumi_shape_bytes(t->dtype, t->dim, t->rank, &bytes, err));
  if (bytes > p->limits->max_tensor_bytes)
    SUMI_FAIL(err, SUMI_E_LIMIT, "a tensor of %zu bytes, the limit is %zu", bytes,
              p->limits->max_tensor_bytes);
  if (where->bytes != bytes || !lies_in(&p->c->weights, where->offset, bytes))
    SUMI_FAIL(err, SUMI_E_FORMAT, "a tensor of %zu bytes where the weights have no room for it", bytes);
  const char *data = start_of(p->file, &p->c->weights) + where->offset;
  if (!holds_values(t->dtype, data, bytes))
    SUMI_FAIL(err, SUMI_E_FORMAT, "a tensor of type %s with impossible elements", sumi_dtype_label(t->dtype));
  t->data = (void *)(uintptr_t)data; /* a constant is never written through */
  *blob = sumi_blob_ref(p->file);
  return SUMI_OK;
}

static sumi_status check_names(const struct sumi_graph *g, const struct sumi_limits *limits,
                               struct sumi_err *err) {
  for (size_t i = 0; i < g->n_value; i++)
    if (strlen(g->value[i]->name) > limits->max_name_bytes)
      SUMI_FAIL(err, SUMI_E_LIMIT, "a name has more than %zu bytes", limits->max_name_bytes);
  for (size_t i = 0; i < g->n_node; i++) {
    const struct sumi_node *node = g->node[i];
    if (strlen(node->name) > limits->max_name_bytes)
      SUMI_FAIL(err, SUMI_E_LIMIT, "a name has more than %zu bytes", limits->max_name_bytes);
    for (int k = 0; k < node->n_attr; k++)
      if (node->attr[k].n > limits->max_attr_items)
        SUMI_FAIL(err, SUMI_E_LIMIT, "attribute '%s' has %zu items, the limit is %zu", node->attr[k].name,
                  node->attr[k].n, limits->max_attr_items);
  }
  return SUMI_OK;
}

static sumi_status check_limits(const struct sumi_graph *root, const struct sumi_limits *limits,
                                struct sumi_err *err) {
  size_t nodes = 0, values = 0;
  for (const struct sumi_graph *g = root; g; g = g == root ? root->first_body : g->next_body) {
    nodes += g->n_node;
    values += g->n_value;
    if ((size_t)g->depth > limits->max_depth)
      SUMI_FAIL(err, SUMI_E_LIMIT, "bodies nest deeper than %zu", limits->max_depth);
    SUMI_TRY(check_names(g, limits, err));
  }
  if (nodes > limits->max_nodes)
    SUMI_FAIL(err, SUMI_E_LIMIT, "the model has %zu nodes, the limit is %zu", nodes, limits->max_nodes);
  if (values > limits->max_values)
    SUMI_FAIL(err, SUMI_E_LIMIT, "the model has %zu values, the limit is %zu", values, limits->max_values);
  return SUMI_OK;
}

sumi_status sumi_compiled_graph(const struct sumi_compiled *c, struct sumi_blob *file,
                                const struct sumi_limits *limits, const struct sumi_allocator *a,
                                struct sumi_graph **out, struct sumi_err *err) {
  struct placed placed = {c, file, limits};
  const struct sumi_parse_options options = {sumi_op_find, find_weights, &placed};
  *out = NULL;
  const sumi_status status =
      sumi_graph_parse_with(start_of(file, &c->graph), c->graph.bytes, &options, a, out, err);
  if (status != SUMI_OK) return sumi_err_prefix(err, status, "the graph of a compiled model");
  sumi_status checked = check_limits(*out, limits, err);
  if (checked == SUMI_OK) checked = sumi_graph_verify(*out, err);
  if (checked == SUMI_OK) return SUMI_OK;
  sumi_graph_free(*out);
  *out = NULL;
  return checked;
}

/* ---- packed weights ------------------------------------------------------------------------------------------- */

static sumi_status read_text(struct sumi_reader *r, struct sumi_arena *arena, const char **out) {
  struct sumi_str s;
  const char *at = r->p;
  SUMI_TRY(sumi_read_string(r, &s));
  if (memchr(s.data, 0, s.size)) return sumi_read_fail(r, at, SUMI_E_FORMAT, "a name with a zero byte");
  *out = sumi_arena_strndup(arena, s.data, s.size);
  if (!*out) SUMI_FAIL_MEMORY(r->err);
  return SUMI_OK;
}

static sumi_status read_place(struct sumi_reader *r, const char *word, uint64_t *out) {
  struct sumi_str s;
  int64_t n;
  const char *at = r->p;
  SUMI_TRY(sumi_read_word(r, &s));
  SUMI_TRY(sumi_read_int(r, &n));
  if (!sumi_str_is(s, word) || n < 0) return sumi_read_fail(r, at, SUMI_E_FORMAT, "'%s N' expected", word);
  *out = (uint64_t)n;
  return SUMI_OK;
}

/* "node" "key" "kind" at OFFSET bytes BYTES */
static sumi_status read_pack(struct sumi_reader *r, const struct sumi_compiled_section *packed,
                             const char *first, struct sumi_arena *arena, struct sumi_stored_pack *out) {
  uint64_t offset, bytes;
  const char *at = r->p;
  SUMI_TRY(read_text(r, arena, &out->node));
  SUMI_TRY(read_text(r, arena, &out->key));
  SUMI_TRY(read_text(r, arena, &out->kind));
  SUMI_TRY(read_place(r, "at", &offset));
  SUMI_TRY(read_place(r, "bytes", &bytes));
  if (!lies_in(packed, offset, bytes))
    return sumi_read_fail(r, at, SUMI_E_FORMAT, "packed weights that lie outside");
  out->data = first + offset;
  out->bytes = (size_t)bytes;
  return SUMI_OK;
}

static sumi_status read_packs(struct sumi_reader *r, const struct sumi_compiled *c,
                              const struct sumi_blob *file, struct sumi_arena *arena,
                              struct sumi_stored *out) {
  struct sumi_list list = {0};
  while (sumi_read_peek(r)) {
    struct sumi_stored_pack *p = sumi_list_push(r, &list, sizeof *p);
    if (!p) SUMI_FAIL_MEMORY(r->err);
    SUMI_TRY(read_pack(r, &c->packed, start_of(file, &c->packed), arena, p));
  }
  out->pack = SUMI_NEW_ARRAY(arena, list.n, struct sumi_stored_pack);
  if (!out->pack) SUMI_FAIL_MEMORY(r->err);
  if (list.n) memcpy(out->pack, list.items, list.n * sizeof *out->pack);
  out->n = list.n;
  return SUMI_OK;
}

sumi_status sumi_compiled_packs(const struct sumi_compiled *c, const struct sumi_blob *file,
                                struct sumi_arena *arena, struct sumi_stored *out, struct sumi_err *err) {
  *out = (struct sumi_stored){.library = sumi_arena_strdup(arena, c->library),
                              .isa = sumi_arena_strdup(arena, c->isa),
                              .graph_bytes = c->graph.bytes,
                              .weight_bytes = c->weights.bytes,
                              .packed_bytes = c->packed.bytes,
                              .machine_graph = c->machine_graph};
  if (!out->library || !out->isa) SUMI_FAIL_MEMORY(err);
  out->is_for_here = !strcmp(c->library, SUMI_VERSION) && !strcmp(c->isa, sumi_isa_label(sumi_cpu_isa()));
  if (!out->is_for_here) return SUMI_OK;
  const char *text = start_of(file, &c->packs);
  struct sumi_arena temp;
  sumi_arena_init(&temp, arena->allocator);
  struct sumi_reader r = {.text = text, .p = text, .end = text + c->packs.bytes, .temp = &temp, .err = err};
  sumi_status status = read_packs(&r, c, file, arena, out);
  sumi_arena_fini(&temp);
  return status == SUMI_OK ? SUMI_OK : sumi_err_prefix(err, status, "the packed weights of a compiled model");
}
