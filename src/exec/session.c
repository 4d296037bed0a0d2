/* Sessions: options, inputs checked and made row-major, runs, outputs, memory and profile. */
#include "exec/session.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"
#include "base/text.h"
#include "exec/slice.h"

enum { DEFAULT_PLANS = 4 };

/* Three quarters of the machine's memory: a file may ask for any shape, and touching more ends the process. */
static size_t default_arena_limit(void) {
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  return pages > 0 && page > 0 ? (size_t)pages / 4 * 3 * (size_t)page : SIZE_MAX;
}

static enum sumi_lists lists_wanted(void) {
  const char *knob = getenv("SUMI_LISTS");
  if (!knob) return SUMI_LISTS_FASTER;
  return strcmp(knob, "dense") == 0    ? SUMI_LISTS_DENSE
         : strcmp(knob, "sparse") == 0 ? SUMI_LISTS_SPARSE
                                       : SUMI_LISTS_FASTER;
}

static sumi_status apply_options(struct sumi_session *s, const struct sumi_session_options *o,
                                 struct sumi_err *err) {
  const char *device = o && o->device ? o->device : "cpu";
  s->device = sumi_device_find(device);
  if (!s->device) SUMI_FAIL(err, SUMI_E_ARG, "there is no device '%s'", device);
  s->isa = sumi_cpu_isa();
  if (o && o->isa) {
    enum sumi_isa isa;
    if (!sumi_isa_from_label(o->isa, &isa))
      SUMI_FAIL(err, SUMI_E_ARG, "there is no instruction-set level '%s'", o->isa);
    s->isa = SUMI_MIN(s->isa, isa);
  }
  const char *precision = o && o->precision ? o->precision : sumi_precision_label(SUMI_PRECISION_FILE);
  if (!sumi_precision_from_label(precision, &s->precision))
    SUMI_FAIL(err, SUMI_E_ARG, "there is no precision '%s'", precision);
  s->card = o ? o->card : NULL;
  if (s->device->begin && !s->card) SUMI_FAIL(err, SUMI_E_ARG, "device '%s' needs a card", device);
  s->threads = o && o->threads ? o->threads : 1;
  if (s->threads < 1 || s->threads > 1024) SUMI_FAIL(err, SUMI_E_ARG, "%d threads", s->threads);
  s->lists = lists_wanted();
  s->max_plans = o && o->max_plans > 0 ? o->max_plans : DEFAULT_PLANS;
  s->profile = o && o->profile;
  s->max_arena_bytes = o && o->max_arena_bytes ? o->max_arena_bytes : default_arena_limit();
  s->max_tensor_bytes =
      s->model->limits.max_tensor_bytes ? s->model->limits.max_tensor_bytes : (size_t)32 << 30;
  return SUMI_OK;
}

/* Takes the graph, and what was planned of it, in which inputs with a default are what is asked for. */
static sumi_status take_form(struct sumi_session *s, enum sumi_defaults defaults, struct sumi_err *err) {
  if (!s->form[defaults]) {
    struct sumi_graph *graph;
    SUMI_TRY(sumi_model_graph_for(s->model, s->device, s->precision, defaults, &graph, err));
    sumi_model_need_defaults(s->model, graph);
    SUMI_TRY(sumi_exec_new(s, graph, &s->form[defaults], err));
  }
  s->execs = s->form[defaults];
  s->graph = s->execs->graph;
  return SUMI_OK;
}

static sumi_status init(struct sumi_session *s, const struct sumi_session_options *o, struct sumi_err *err) {
  const struct sumi_allocator *a = &s->allocator;
  const size_t n_input = s->model->graph->n_input, n_output = s->model->graph->n_output;
  SUMI_TRY(apply_options(s, o, err));
  s->input = sumi_alloc(a, (n_input + 1) * sizeof *s->input);
  s->input_at = sumi_alloc(a, (n_input + 1) * sizeof *s->input_at);
  s->staging = sumi_alloc(a, (n_input + 1) * sizeof *s->staging);
  s->output = sumi_alloc(a, (n_output + 1) * sizeof *s->output);
  s->slice = sumi_alloc(a, (n_input + 1) * sizeof *s->slice);
  s->slice_at = sumi_alloc(a, (n_input + 1) * sizeof *s->slice_at);
  s->whole = sumi_alloc(a, (n_output + 1) * sizeof *s->whole);
  if (!s->input || !s->input_at || !s->staging || !s->output || !s->slice || !s->slice_at || !s->whole)
    SUMI_FAIL_MEMORY(err);
  SUMI_TRY(sumi_par_new(a, s->threads, &s->par, err));
  return take_form(s, SUMI_DEFAULTS_FIXED, err);
}

sumi_status sumi_session_init(struct sumi_model *model, const struct sumi_session_options *o,
                              struct sumi_session **out, struct sumi_err *err) {
  const struct sumi_allocator *a = o && o->allocator ? o->allocator : &model->allocator;
  struct sumi_session *s = sumi_alloc(a, sizeof *s);
  if (!s) SUMI_FAIL_MEMORY(err);
  s->allocator = *a;
  s->model = sumi_model_ref(model);
  sumi_random_init(&s->random, sumi_random_entropy());
  sumi_arena_init(&s->views, &s->allocator);
  const sumi_status status = init(s, o, err);
  if (status != SUMI_OK)
    sumi_session_fini(s);
  else
    *out = s;
  return status;
}

void sumi_session_fini(struct sumi_session *s) {
  if (!s) return;
  const struct sumi_allocator a = s->allocator;
  const size_t n_input = s->model->graph->n_input, n_output = s->model->graph->n_output;
  for (int i = 0; i < SUMI_N_DEFAULTS; i++)
    for (struct sumi_exec *e = s->form[i], *next; e; e = next) {
      next = e->next;
      sumi_exec_free(e);
    }
  sumi_par_free(s->par);
  for (size_t i = 0; s->staging && i < n_input; i++) sumi_free(&a, s->staging[i].data, s->staging[i].bytes);
  sumi_free(&a, s->input, (n_input + 1) * sizeof *s->input);
  sumi_free(&a, (void *)s->input_at, (n_input + 1) * sizeof *s->input_at);
  sumi_free(&a, s->staging, (n_input + 1) * sizeof *s->staging);
  sumi_free(&a, s->output, (n_output + 1) * sizeof *s->output);
  sumi_free(&a, s->slice, (n_input + 1) * sizeof *s->slice);
  sumi_free(&a, (void *)s->slice_at, (n_input + 1) * sizeof *s->slice_at);
  for (size_t i = 0; s->whole && i < n_output; i++)
    sumi_free(&a, s->whole[i].block.data, s->whole[i].block.bytes);
  sumi_free(&a, s->whole, (n_output + 1) * sizeof *s->whole);
  sumi_arena_fini(&s->views);
  sumi_model_unref(s->model);
  sumi_free(&a, s, sizeof *s);
}

/* ---- inputs --------------------------------------------------------------------------------------------------- */

/* A short list of names for error sentences. */
static const char *names_of(struct sumi_value *const *v, size_t n, char *buf, size_t size) {
  size_t at = 0;
  buf[0] = 0;
  for (size_t i = 0; i < n && at < size; i++)
    at += (size_t)snprintf(buf + at, size - at, "%s'%s'", i ? ", " : "", v[i]->name);
  return buf;
}

static sumi_status check_dims(const struct sumi_view *view, const struct sumi_info *want,
                              struct sumi_err *err) {
  char got[160];
  if (view->rank < 0 || view->rank > SUMI_MAX_RANK)
    SUMI_FAIL(err, SUMI_E_SHAPE, "input '%s' has rank %d, the limit is %d", view->name, view->rank,
              SUMI_MAX_RANK);
  if (view->rank && !view->dims) SUMI_FAIL(err, SUMI_E_ARG, "input '%s' has no dims", view->name);
  if (want->rank >= 0 && view->rank != want->rank)
    SUMI_FAIL(err, SUMI_E_SHAPE, "input '%s' has shape %s, rank %d is wanted", view->name,
              sumi_shape_print(view->dims, view->rank, got, sizeof got), want->rank);
  for (int i = 0; i < want->rank; i++)
    if (want->dim[i] >= 0 && view->dims[i] != want->dim[i])
      SUMI_FAIL(err, SUMI_E_SHAPE, "input '%s' has shape %s: dimension %d must be %" PRId64, view->name,
                sumi_shape_print(view->dims, view->rank, got, sizeof got), i, want->dim[i]);
  return SUMI_OK;
}

static bool is_row_major(const struct sumi_tensor *t, const struct sumi_view *view) {
  int64_t expected = 1;
  for (int i = t->rank - 1; view->strides && i >= 0; i--) {
    if (t->dim[i] != 1 && view->strides[i] != expected) return false;
    expected *= t->dim[i];
  }
  return true;
}

static size_t natural_align(sumi_dtype d) {
  const int bits = sumi_dtype_bits(d);
  return d == SUMI_STRING || bits == 128 ? 8 : bits <= 8 ? 1 : (size_t)bits / 8;
}

/* Copies a strided or misaligned view into memory of the session. */
static sumi_status stage_input(struct sumi_session *s, size_t i, const struct sumi_view *view, size_t bytes,
                               struct sumi_err *err) {
  struct sumi_tensor *t = &s->input[i];
  struct sumi_block *b = &s->staging[i];
  if (b->bytes < bytes) {
    sumi_free(&s->allocator, b->data, b->bytes);
    *b = (struct sumi_block){0};
    if (!(b->data = sumi_alloc(&s->allocator, bytes))) SUMI_FAIL_MEMORY(err);
    b->bytes = bytes;
  }
  t->data = b->data;
  if (!view->data) return SUMI_OK;
  if (is_row_major(t, view)) {
    if (bytes) memcpy(b->data, view->data, bytes);
    return SUMI_OK;
  }
  if (sumi_dtype_bits(t->dtype) < 8)
    SUMI_FAIL(err, SUMI_E_ARG, "input '%s' is packed %s and must be row-major", view->name,
              sumi_dtype_label(t->dtype));
  const size_t each = (size_t)sumi_dtype_bits(t->dtype) / 8;
  char *to = b->data;
  for (struct sumi_walk w = sumi_walk_start(t->rank, t->dim, view->strides, NULL, NULL, NULL); !w.done;
       sumi_walk_next(&w), to += each)
    memcpy(to, (const char *)view->data + w.offset[0] * (int64_t)each, each);
  return SUMI_OK;
}

/* An item that is a tensor, of the given type unless that is SUMI_UNDEFINED. */
static sumi_status set_item(const char *name, size_t k, const struct sumi_view *item, sumi_dtype dtype,
                            struct sumi_tensor *to, struct sumi_err *err) {
  if (item->rank < 0 || item->rank > SUMI_MAX_RANK || item->strides || (dtype && item->dtype != dtype))
    SUMI_FAIL(err, SUMI_E_ARG, "input '%s': item %zu must be row-major %s of rank up to %d", name, k,
              sumi_dtype_label(dtype), SUMI_MAX_RANK);
  if (item->rank && !item->dims) SUMI_FAIL(err, SUMI_E_ARG, "input '%s': item %zu has no dims", name, k);
  *to = (struct sumi_tensor){.dtype = item->dtype, .rank = item->rank, .data = item->data};
  for (int d = 0; d < item->rank; d++) to->dim[d] = item->dims[d];
  size_t bytes;
  SUMI_TRY(sumi_shape_bytes(to->dtype, to->dim, to->rank, &bytes, err));
  if (bytes && !item->data) SUMI_FAIL(err, SUMI_E_ARG, "input '%s': item %zu has no data", name, k);
  return SUMI_OK;
}

/* A map: its keys and its values. t's dtype and key are set. */
static sumi_status set_map(struct sumi_session *s, const char *name, const struct sumi_view *view,
                           struct sumi_tensor *t, struct sumi_err *err) {
  if (view->n_items != 2 || !view->items)
    SUMI_FAIL(err, SUMI_E_ARG, "input '%s': a map has two items, keys and values, not %zu", name,
              view->items ? view->n_items : 0);
  t->items = SUMI_NEW_ARRAY(&s->views, 2, struct sumi_tensor *);
  struct sumi_tensor *pair = SUMI_NEW_ARRAY(&s->views, 2, struct sumi_tensor);
  if (!t->items || !pair) SUMI_FAIL_MEMORY(err);
  for (size_t k = 0; k < 2; k++) {
    SUMI_TRY(set_item(name, k, &view->items[k], k ? t->dtype : t->key, &pair[k], err));
    t->items[k] = &pair[k];
  }
  if (pair[0].rank != 1 || pair[1].rank != 1 || pair[0].dim[0] != pair[1].dim[0])
    SUMI_FAIL(err, SUMI_E_SHAPE, "input '%s': a map's keys and values are not two lists of one length", name);
  t->n_items = 2;
  return SUMI_OK;
}

static sumi_status set_items(struct sumi_session *s, size_t i, const struct sumi_view *view,
                             struct sumi_err *err) {
  struct sumi_tensor *t = &s->input[i];
  if (view->kind == SUMI_MAP) return set_map(s, view->name, view, t, err);
  if (view->n_items > 1 << 20)
    SUMI_FAIL(err, SUMI_E_LIMIT, "input '%s' is a sequence of %zu", view->name, view->n_items);
  t->items = SUMI_NEW_ARRAY(&s->views, view->n_items, struct sumi_tensor *);
  if (!t->items) SUMI_FAIL_MEMORY(err);
  t->n_items = (int64_t)view->n_items;
  for (size_t k = 0; k < view->n_items; k++) {
    struct sumi_tensor *to = t->items[k] = SUMI_NEW(&s->views, struct sumi_tensor);
    if (!to) SUMI_FAIL_MEMORY(err);
    *to = (struct sumi_tensor){.kind = SUMI_MAP, .dtype = t->dtype, .key = t->key};
    SUMI_TRY(view->kind == SUMI_MAP_SEQUENCE ? set_map(s, view->name, &view->items[k], to, err)
                                             : set_item(view->name, k, &view->items[k], t->dtype, to, err));
  }
  return SUMI_OK;
}

static sumi_status set_input(struct sumi_session *s, size_t i, const struct sumi_view *view, bool need_data,
                             struct sumi_err *err) {
  const struct sumi_value *v = s->model->graph->input[i];
  struct sumi_tensor *t = &s->input[i];
  if (view->kind != v->info.kind)
    SUMI_FAIL(err, SUMI_E_TYPE,
              "input '%s' is not of the kind (tensor, sequence, optional, map) that the model wants",
              v->name);
  const bool empty = view->kind != SUMI_TENSOR && (view->absent || !view->n_items) &&
                     view->dtype == SUMI_UNDEFINED; /* nothing in it has a type */
  if (v->info.dtype != SUMI_UNDEFINED && view->dtype != v->info.dtype && !empty)
    SUMI_FAIL(err, SUMI_E_TYPE, "input '%s' is %s, %s is wanted", v->name, sumi_dtype_label(view->dtype),
              sumi_dtype_label(v->info.dtype));
  *t = (struct sumi_tensor){.kind = view->kind,
                            .dtype = empty ? v->info.dtype : view->dtype,
                            .absent = view->absent,
                            .key = v->info.key};
  if (view->absent && (view->kind == SUMI_OPTIONAL || view->kind == SUMI_OPTIONAL_SEQUENCE)) return SUMI_OK;
  if (sumi_kind_has_items(view->kind)) return set_items(s, i, view, err);
  SUMI_TRY(check_dims(view, &v->info, err));
  t->rank = view->rank;
  for (int d = 0; d < t->rank; d++) t->dim[d] = view->dims[d];
  size_t bytes;
  sumi_status status = sumi_shape_bytes(t->dtype, t->dim, t->rank, &bytes, err);
  if (status != SUMI_OK) return sumi_err_prefix(err, status, "input '%s'", v->name);
  if (bytes > s->max_tensor_bytes)
    SUMI_FAIL(err, SUMI_E_LIMIT, "input '%s' takes %zu bytes, more than max_tensor_bytes", v->name, bytes);
  if (need_data && bytes && !view->data) SUMI_FAIL(err, SUMI_E_ARG, "input '%s' has no data", v->name);
  t->data = view->data;
  if (v->is_output || !is_row_major(t, view) || (uintptr_t)view->data % natural_align(t->dtype))
    return stage_input(s, i, view, bytes, err);
  return SUMI_OK;
}

/* input_at has what is given, [model->graph->n_input]: takes the form for that, and moves it to where its graph has inputs. */
static sumi_status place_inputs(struct sumi_session *s, struct sumi_err *err) {
  const struct sumi_graph *all = s->model->graph;
  bool open = false;
  size_t k = 0;
  for (size_t i = 0; i < all->n_input; i++) open |= s->input_at[i] && all->input[i]->constant;
  open = open && s->form[SUMI_DEFAULTS_FIXED]->graph->n_input < all->n_input;
  SUMI_TRY(take_form(s, open ? SUMI_DEFAULTS_OPEN : SUMI_DEFAULTS_FIXED, err));
  const bool fixed = s->graph->n_input < all->n_input;
  for (size_t i = 0; i < all->n_input; i++) {
    if (fixed && all->input[i]->constant) continue;
    SUMI_ASSERT(err, k < s->graph->n_input);
    s->input_at[k] = s->input_at[i] ? s->input_at[i] : s->graph->input[k]->constant;
    k++;
  }
  return SUMI_OK;
}

static sumi_status set_inputs(struct sumi_session *s, const struct sumi_view *views, size_t n, bool need_data,
                              struct sumi_err *err) {
  const struct sumi_graph *g = s->model->graph;
  char names[512];
  sumi_arena_reset(&s->views);
  for (size_t i = 0; i < g->n_input; i++) s->input_at[i] = NULL;
  for (size_t k = 0; k < n; k++) {
    size_t i = 0;
    if (!views[k].name) SUMI_FAIL(err, SUMI_E_ARG, "an input has no name");
    while (i < g->n_input && !sumi_streq(g->input[i]->name, views[k].name)) i++;
    if (i == g->n_input)
      SUMI_FAIL(err, SUMI_E_ARG, "the model has no input '%s'; it has %s", views[k].name,
                names_of(g->input, g->n_input, names, sizeof names));
    if (s->input_at[i]) SUMI_FAIL(err, SUMI_E_ARG, "input '%s' is given twice", views[k].name);
    SUMI_TRY(set_input(s, i, &views[k], need_data, err));
    s->input_at[i] = &s->input[i];
  }
  for (size_t i = 0; i < g->n_input; i++)
    if (!s->input_at[i] && !g->input[i]->constant)
      SUMI_FAIL(err, SUMI_E_ARG, "input '%s' is missing", g->input[i]->name);
  return place_inputs(s, err);
}

/* ---- outputs -------------------------------------------------------------------------------------------------- */

/* Views of a sequence's tensors or maps, or of a map's keys and values. */
static sumi_status lend_items(struct sumi_session *s, const struct sumi_tensor *t, struct sumi_view *view,
                              struct sumi_err *err) {
  view->items = SUMI_NEW_ARRAY(&s->views, (size_t)t->n_items, struct sumi_view);
  if (!view->items) SUMI_FAIL_MEMORY(err);
  view->n_items = (size_t)t->n_items;
  for (int64_t k = 0; k < t->n_items; k++) {
    const struct sumi_tensor *item = t->items[k];
    view->items[k] = (struct sumi_view){.size = sizeof *view,
                                        .name = view->name,
                                        .data = item->data,
                                        .dtype = item->dtype,
                                        .rank = item->rank,
                                        .dims = item->dim,
                                        .kind = item->kind};
    if (item->kind == SUMI_MAP) SUMI_TRY(lend_items(s, item, &view->items[k], err)); /* not deeper */
  }
  return SUMI_OK;
}

static sumi_status lend(struct sumi_session *s, size_t i, const struct sumi_tensor *t, struct sumi_view *view,
                        struct sumi_err *err) {
  struct sumi_output_view *o = &s->output[i];
  for (int d = 0; d < t->rank; d++) o->dims[d] = t->dim[d];
  view->data = t->data;
  view->dtype = t->dtype;
  view->rank = t->rank;
  view->dims = o->dims;
  view->strides = NULL;
  view->kind = t->kind;
  view->absent = t->absent;
  view->items = NULL;
  view->n_items = 0;
  return t->absent || !sumi_kind_has_items(t->kind) ? SUMI_OK : lend_items(s, t, view, err);
}

/* Copies an output into the caller's memory. */
static sumi_status deliver(const struct sumi_tensor *t, const struct sumi_view *view, struct sumi_err *err) {
  char got[160], have[160];
  if (t->kind != SUMI_TENSOR)
    SUMI_FAIL(err, SUMI_E_ARG, "output '%s' is no tensor: it can only be borrowed", view->name);
  if (view->dtype != t->dtype)
    SUMI_FAIL(err, SUMI_E_TYPE, "output '%s' is %s, the given memory is for %s", view->name,
              sumi_dtype_label(t->dtype), sumi_dtype_label(view->dtype));
  bool same = view->rank == t->rank && (!t->rank || view->dims);
  for (int d = 0; same && d < t->rank; d++) same = view->dims[d] == t->dim[d];
  if (!same)
    SUMI_FAIL(err, SUMI_E_SHAPE, "output '%s' has shape %s, the given memory is for %s", view->name,
              sumi_shape_print(t->dim, t->rank, have, sizeof have),
              view->dims && view->rank >= 0 && view->rank <= SUMI_MAX_RANK
                  ? sumi_shape_print(view->dims, view->rank, got, sizeof got)
                  : "another rank");
  if (is_row_major(t, view)) {
    sumi_copy(t->dtype, view->data, 0, t->data, 0, sumi_tensor_count(t));
    return SUMI_OK;
  }
  if (sumi_dtype_bits(t->dtype) < 8)
    SUMI_FAIL(err, SUMI_E_ARG, "output '%s' is packed %s and must be row-major", view->name,
              sumi_dtype_label(t->dtype));
  const size_t each = (size_t)sumi_dtype_bits(t->dtype) / 8;
  const char *from = t->data;
  for (struct sumi_walk w = sumi_walk_start(t->rank, t->dim, view->strides, NULL, NULL, NULL); !w.done;
       sumi_walk_next(&w), from += each)
    memcpy((char *)view->data + w.offset[0] * (int64_t)each, from, each);
  return SUMI_OK;
}

static sumi_status find_output(const struct sumi_graph *g, const char *name, size_t *out,
                               struct sumi_err *err) {
  char names[512];
  if (!name) SUMI_FAIL(err, SUMI_E_ARG, "an output has no name");
  for (*out = 0; *out < g->n_output; ++*out)
    if (sumi_streq(g->output[*out]->name, name)) return SUMI_OK;
  SUMI_FAIL(err, SUMI_E_ARG, "the model has no output '%s'; it has %s", name,
            names_of(g->output, g->n_output, names, sizeof names));
}

/* ---- runs --------------------------------------------------------------------------------------------------- */

/* The inputs of the run that begins at an item; all of them where the batch is not sliced. */
static const struct sumi_tensor *const *inputs_from(struct sumi_session *s,
                                                    const struct sumi_slicing *slicing, int64_t first) {
  if (slicing->each == slicing->items) return s->input_at;
  for (size_t i = 0; i < s->graph->n_input; i++) {
    s->slice[i] = sumi_slice_of(slicing, s->graph->input[i], s->input_at[i], first);
    const bool same = s->slice[i].data == s->input_at[i]->data && !slicing->carries[s->graph->input[i]->id];
    s->slice_at[i] = same ? s->input_at[i] : &s->slice[i];
  }
  return s->slice_at;
}

/* Room for the whole outputs of a sliced batch, whose parts are planned. */
static sumi_status make_whole(struct sumi_session *s, const struct sumi_slicing *slicing,
                              const struct sumi_stage *stage, struct sumi_err *err) {
  for (size_t i = 0; i < s->graph->n_output; i++) {
    struct sumi_tensor t = sumi_info_tensor(&stage->info[s->graph->output[i]->id]);
    struct sumi_block *b = &s->whole[i].block;
    size_t bytes;
    t.dim[0] = slicing->items;
    SUMI_TRY(sumi_shape_bytes(t.dtype, t.dim, t.rank, &bytes, err));
    if (b->bytes < bytes) {
      sumi_free(&s->allocator, b->data, b->bytes);
      *b = (struct sumi_block){0};
      if (!(b->data = sumi_alloc(&s->allocator, bytes))) SUMI_FAIL_MEMORY(err);
      b->bytes = bytes;
    }
    t.data = b->data;
    s->whole[i].tensor = t;
  }
  return SUMI_OK;
}

/* Plans for the inputs as they are going to be run. */
static sumi_status prepare(struct sumi_session *s, const struct sumi_slicing *slicing,
                           struct sumi_stage **stage, struct sumi_err *err) {
  SUMI_TRY(sumi_exec_prepare(s->execs, inputs_from(s, slicing, 0), stage, err));
  s->is_static = (*stage)->last && !(*stage)->n_dynamic;
  return slicing->each == slicing->items ? SUMI_OK : make_whole(s, slicing, *stage, err);
}

static const struct sumi_tensor *output_of(const struct sumi_session *s, const struct sumi_slicing *slicing,
                                           size_t i) {
  return slicing->each == slicing->items ? &s->execs->value[s->graph->output[i]->id] : &s->whole[i].tensor;
}

static sumi_status run_slices(struct sumi_session *s, const struct sumi_slicing *slicing,
                              struct sumi_err *err) {
  for (int64_t first = 0; first < slicing->items; first += slicing->each) {
    SUMI_TRY(sumi_exec_run(s->execs, inputs_from(s, slicing, first), err));
    for (size_t i = 0; i < s->graph->n_output; i++) {
      const struct sumi_tensor *from = &s->execs->value[s->graph->output[i]->id];
      const struct sumi_tensor *to = &s->whole[i].tensor;
      const int64_t item = sumi_dims_count(to->dim, 1, to->rank);
      sumi_copy(to->dtype, to->data, first * item, from->data, 0, slicing->each * item);
    }
  }
  return SUMI_OK;
}

sumi_status sumi_session_plan(struct sumi_session *s, const struct sumi_view *inputs, size_t n_inputs,
                              struct sumi_stage **stage, struct sumi_err *err) {
  const struct sumi_slicing *slicing;
  SUMI_TRY(set_inputs(s, inputs, n_inputs, false, err));
  SUMI_TRY(sumi_slicing_find(s, &slicing, err));
  return prepare(s, slicing, stage, err);
}

sumi_status sumi_session_execute(struct sumi_session *s, const struct sumi_view *inputs, size_t n_inputs,
                                 struct sumi_view *outputs, size_t n_outputs, struct sumi_err *err) {
  size_t at;
  for (size_t k = 0; k < n_outputs; k++) SUMI_TRY(find_output(s->graph, outputs[k].name, &at, err));
  SUMI_TRY(set_inputs(s, inputs, n_inputs, true, err));
  const struct sumi_slicing *slicing;
  struct sumi_stage *stage;
  SUMI_TRY(sumi_slicing_find(s, &slicing, err));
  if (slicing->each == slicing->items) {
    SUMI_TRY(sumi_exec_run(s->execs, s->input_at, err));
    s->is_static = s->execs->stages->last && !s->execs->stages->n_dynamic;
  } else {
    SUMI_TRY(prepare(s, slicing, &stage, err));
    SUMI_TRY(run_slices(s, slicing, err));
  }
  for (size_t k = 0; k < n_outputs; k++) {
    SUMI_TRY(find_output(s->graph, outputs[k].name, &at, err));
    const struct sumi_tensor *t = output_of(s, slicing, at);
    if (outputs[k].data)
      SUMI_TRY(deliver(t, &outputs[k], err));
    else
      SUMI_TRY(lend(s, at, t, &outputs[k], err));
  }
  return SUMI_OK;
}
