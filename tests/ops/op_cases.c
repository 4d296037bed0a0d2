/* Every case of every operator on every device and instruction-set level, against the reference device; once more with
 * all inputs but the first as constants, which kernels may pack; and once more compiled to a file, packed, and loaded from it.
 * The reference itself is held against the ONNX standard's own tests (sumi check) and against another engine.
 *   op_cases [-s SEED] [NAME]     prints one line per failure, and the seed; exit 1 on any */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"
#include "exec/session.h"
#include "op/case_test.h"
#include "op/ops.h"
#include "pass/pass.h"

enum { MAX_PORTS = 64, MAP_SIZE = 5 };

/* A map's keys and values. */
struct pairs {
  struct sumi_view view[2];
  int64_t dim;
  struct sumi_str text[2][MAP_SIZE];
  double number[2][MAP_SIZE];
};

struct inputs {
  size_t n;
  struct sumi_view view[MAX_PORTS];
  int64_t dims[MAX_PORTS][SUMI_MAX_RANK];
  struct pairs map[MAX_PORTS];
};

static uint64_t seed = 1;
static struct sumi_card *card;

/* A map from 3, 0, 4, 1, 2 to numbers; strings spell whole ones. */
static struct sumi_view make_map(struct sumi_random *r, const struct sumi_case *c, const struct sumi_value *v,
                                 struct pairs *p) {
  static const char *const digits[] = {"0", "1", "2", "3", "4"};
  static const int keys[MAP_SIZE] = {3, 0, 4, 1, 2};
  const sumi_dtype types[] = {v->info.key, v->info.dtype};
  p->dim = MAP_SIZE;
  for (int k = 0; k < 2; k++) {
    const bool text = types[k] == SUMI_STRING;
    if (k && !text) case_fill(r, c, types[k], p->number[k], MAP_SIZE);
    for (int i = 0; i < MAP_SIZE; i++) {
      if (!k && !text) sumi_set_i64(types[k], p->number[k], i, keys[i]);
      if (text) p->text[k][i] = (struct sumi_str){digits[k ? i : keys[i]], 1};
    }
    p->view[k] = (struct sumi_view){.size = sizeof p->view[k],
                                    .name = "",
                                    .data = text ? (void *)p->text[k] : p->number[k],
                                    .dtype = types[k],
                                    .rank = 1,
                                    .dims = &p->dim};
  }
  return (struct sumi_view){.size = sizeof p->view[0],
                            .name = v->name,
                            .kind = SUMI_MAP,
                            .dtype = types[1],
                            .items = p->view,
                            .n_items = 2};
}

static bool make_inputs(const struct sumi_graph *g, const struct sumi_case *c, struct inputs *in) {
  struct sumi_random r;
  sumi_random_init(&r, seed);
  in->n = g->n_input;
  for (size_t i = 0; i < g->n_input; i++) {
    const struct sumi_info *info = &g->input[i]->info;
    size_t bytes;
    if (info->kind == SUMI_MAP) {
      in->view[i] = make_map(&r, c, g->input[i], &in->map[i]);
      continue;
    }
    for (int d = 0; d < info->rank; d++) in->dims[i][d] = info->dim[d] >= 0 ? info->dim[d] : 3;
    if (info->rank < 0 || sumi_shape_bytes(info->dtype, in->dims[i], info->rank, &bytes, NULL) != SUMI_OK)
      return false;
    void *data = calloc(1, bytes + 64);
    case_fill(&r, c, info->dtype, data, sumi_dims_count(in->dims[i], 0, info->rank));
    in->view[i] = (struct sumi_view){.size = sizeof in->view[i],
                                     .name = g->input[i]->name,
                                     .data = data,
                                     .dtype = info->dtype,
                                     .rank = info->rank,
                                     .dims = in->dims[i]};
  }
  return true;
}

static sumi_status run(struct sumi_model *model, const char *device, const char *isa, int threads,
                       const struct inputs *in, struct sumi_session **session, struct sumi_view *out,
                       size_t n_out, struct sumi_err *err) {
  const struct sumi_session_options o = {
      .size = sizeof o, .device = device, .isa = isa, .threads = threads, .card = card};
  SUMI_TRY(sumi_session_init(model, &o, session, err));
  for (size_t i = 0; i < n_out; i++)
    out[i] = (struct sumi_view){.size = sizeof *out, .name = model->graph->output[i]->name};
  return sumi_session_execute(*session, in->view, in->n, out, n_out, err);
}

static bool same_text(int64_t n, const struct sumi_str *got, const struct sumi_str *want, char *why,
                      size_t size) {
  for (int64_t i = 0; i < n; i++) {
    if (got[i].size == want[i].size && (!want[i].size || !memcmp(got[i].data, want[i].data, want[i].size)))
      continue;
    snprintf(why, size, "string %" PRId64 " is '%.*s', not '%.*s'", i, (int)SUMI_MIN(got[i].size, (size_t)40),
             got[i].data, (int)SUMI_MIN(want[i].size, (size_t)40), want[i].data);
    return false;
  }
  return true;
}

/* The case's tolerance against the largest finite magnitude wanted; NaN and infinity must agree. exact: numbers
 * that are no floats must agree as well. */
static bool agree(const struct sumi_case *c, bool exact, const struct sumi_view *got,
                  const struct sumi_view *want, char *why, size_t size) {
  if (got->kind != want->kind || got->dtype != want->dtype || got->rank != want->rank ||
      got->absent != want->absent || got->n_items != want->n_items) {
    snprintf(why, size, "kind, type or rank differ");
    return false;
  }
  for (size_t i = 0; i < got->n_items; i++)
    if (!agree(c, exact, &got->items[i], &want->items[i], why, size)) return false;
  if (got->n_items || got->absent) return true;
  int64_t n = 1;
  for (int d = 0; d < want->rank; d++) {
    if (got->dims[d] != want->dims[d]) {
      snprintf(why, size, "dimension %d is %" PRId64 ", not %" PRId64, d, got->dims[d], want->dims[d]);
      return false;
    }
    n *= want->dims[d];
  }
  if (want->dtype == SUMI_STRING) return same_text(n, got->data, want->data, why, size);
  exact = exact && !sumi_dtype_is_float(sumi_part_dtype(want->dtype));
  return case_agree(exact ? 0 : c->rtol, exact ? 0 : c->atol, want->dtype, n, got->data, want->data, why,
                    size);
}

static struct sumi_model *load(const struct sumi_case *c, struct sumi_err *err) {
  struct sumi_graph *g = NULL;
  struct sumi_model *model = NULL;
  if (sumi_graph_parse(c->text, strlen(c->text), sumi_op_find, sumi_allocator_default(), &g, err) != SUMI_OK)
    return NULL;
  sumi_status status = sumi_graph_verify(g, err);
  if (status == SUMI_OK) status = sumi_pass_infer(g, NULL, NULL, err);
  if (status != SUMI_OK) {
    sumi_graph_free(g);
    return NULL;
  }
  return sumi_model_new(sumi_allocator_default(), g, &model, err) == SUMI_OK ? model : NULL;
}

struct variant {
  const char *device, *isa;
  int threads;
};

/* One variant of a case against the reference's outputs. */
static int check_variant(const struct sumi_op *op, const struct sumi_case *c, struct sumi_model *model,
                         const struct inputs *in, const struct sumi_view *want, const struct variant *v) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_session *s = NULL;
  struct sumi_view got[MAX_PORTS];
  char why[256];
  const bool exact = !strcmp(v->device, "antoum"); /* the card's integers are those of the reference */
  int failed = 0;
  if (run(model, v->device, v->isa, v->threads, in, &s, got, model->graph->n_output, &err) != SUMI_OK) {
    printf("FAIL %s on %s/%s: %s\n  %s\n", op->name, v->device, v->isa, err.text, c->text);
    failed = 1;
  }
  for (size_t i = 0; !failed && i < model->graph->n_output; i++)
    if (!agree(c, exact, &got[i], &want[i], why, sizeof why)) {
      printf("FAIL %s on %s/%s x%d, output '%s': %s\n  %s\n", op->name, v->device, v->isa, v->threads,
             got[i].name, why, c->text);
      failed = 1;
    }
  sumi_session_fini(s);
  return failed;
}

/* The case's model, from a compiled file that was packed for these inputs. */
static int check_reloaded(const struct sumi_op *op, const struct sumi_case *c, struct sumi_model *model,
                          const struct inputs *in, const struct sumi_view *want, const struct variant *v) {
  const struct sumi_compile_options o = {.size = sizeof o, .inputs = in->view, .n_inputs = in->n};
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_model *again = NULL;
  char path[] = "/tmp/op_cases_XXXXXX";
  const int fd = mkstemp(path);
  sumi_status status = fd >= 0 ? sumi_model_compile_file(model, path, &o, &err) : SUMI_E_IO;
  if (status == SUMI_OK) status = sumi_model_load_file(path, NULL, &again, &err);
  if (fd >= 0) close(fd);
  unlink(path);
  if (status != SUMI_OK) {
    printf("FAIL %s compiled: %s\n  %s\n", op->name, err.text, c->text);
    return 1;
  }
  const int failed = check_variant(op, c, again, in, want, v);
  sumi_model_unref(again);
  return failed;
}

/* Gives every input but the first its view's contents as default. */
static bool fix_inputs(struct sumi_graph *g, const struct inputs *in) {
  for (size_t i = 1; i < g->n_input; i++) {
    const struct sumi_view *view = &in->view[i];
    struct sumi_tensor *t = SUMI_NEW(g->arena, struct sumi_tensor);
    size_t bytes;
    if (!t || sumi_shape_bytes(view->dtype, view->dims, view->rank, &bytes, NULL) != SUMI_OK) return false;
    struct sumi_blob *blob = sumi_blob_new(sumi_allocator_default(), bytes + 1);
    if (!blob) return false;
    memcpy(sumi_blob_bytes(blob), view->data, bytes);
    *t = (struct sumi_tensor){.dtype = view->dtype, .rank = view->rank, .data = sumi_blob_bytes(blob)};
    for (int d = 0; d < view->rank; d++) t->dim[d] = view->dims[d];
    g->input[i]->constant = t;
    g->input[i]->blob = blob;
  }
  return true;
}

static int check_variants(const struct sumi_op *op, const struct sumi_case *c, struct sumi_model *model,
                          const struct inputs *in, const struct sumi_view *want, int *n) {
  int failed = 0;
  for (int isa = 0; !failed && isa < SUMI_N_ISA; isa++) {
    if (!sumi_cpu_has((enum sumi_isa)isa)) continue;
    const char *label = sumi_isa_label((enum sumi_isa)isa);
    const struct variant variants[] = {
        {"cpu", label, 1}, {"audit", label, 1}, {"cpu", label, 3}, {"antoum", label, 1}};
    for (size_t k = 0; k < SUMI_COUNT(variants); k++, ++*n)
      failed += check_variant(op, c, model, in, want, &variants[k]);
  }
  return failed;
}

/* The case with inputs that do not change. */
static int check_fixed(const struct sumi_op *op, const struct sumi_case *c, struct inputs *in,
                       const struct sumi_view *want, int *n) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_model *model = load(c, &err);
  const size_t n_in = in->n;
  int failed = 1;
  if (model && fix_inputs(model->graph, in)) {
    in->n = 1;
    failed = check_variants(op, c, model, in, want, n);
    in->n = n_in;
  } else {
    printf("FAIL %s with fixed inputs: %s\n  %s\n", op->name, err.text, c->text);
  }
  sumi_model_unref(model);
  return failed;
}

static int check_case(const struct sumi_op *op, const struct sumi_case *c, int *n) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_model *model = load(c, &err);
  static struct inputs in;
  struct sumi_session *ref = NULL;
  struct sumi_view want[MAX_PORTS];
  int failed = 0;
  if (!model || model->graph->n_input > MAX_PORTS || model->graph->n_output > MAX_PORTS ||
      !make_inputs(model->graph, c, &in)) {
    printf("FAIL %s: %s\n  %s\n", op->name, err.text, c->text);
    sumi_model_unref(model);
    return 1;
  }
  if (run(model, "ref", NULL, 1, &in, &ref, want, model->graph->n_output, &err) != SUMI_OK) {
    printf("FAIL %s on ref: %s\n  %s\n", op->name, err.text, c->text);
    failed = 1;
  }
  if (!failed) failed = check_variants(op, c, model, &in, want, n);
  if (!failed && in.n > 1) failed = check_fixed(op, c, &in, want, n);
  const struct variant reloaded = {"cpu", sumi_isa_label(sumi_cpu_isa()), 1};
  if (!failed) failed = check_reloaded(op, c, model, &in, want, &reloaded);
  ++*n;
  sumi_session_fini(ref);
  for (size_t i = 0; i < in.n; i++)
    if (in.view[i].kind != SUMI_MAP) free(in.view[i].data);
  sumi_model_unref(model);
  return failed;
}

#include "device/antoum/antoum.h"
#include "sim/sim.h"
static bool open_card(void) {
  static struct sumi_card c;
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_sim *sim;
  c.allocator = *sumi_allocator_default();
  if (sumi_card_profile_find("SparseOne-S4", &c.profile, &err) != SUMI_OK ||
      sumi_sim_open(&c.profile, NULL, NULL, &sim, &c.bus, &err) != SUMI_OK ||
      antoum_driver_open(&c.bus, &c.allocator, &c.driver, &err) != SUMI_OK)
    return printf("%s\n", err.text), false;
  card = &c;
  return true;
}

int main(int argc, char **argv) {
  const char *only = NULL;
  for (int i = 1; i < argc; i++)
    if (!strcmp(argv[i], "-s") && i + 1 < argc)
      seed = strtoull(argv[++i], NULL, 0);
    else
      only = argv[i];
  if (!open_card()) return 1;
  size_t n_ops;
  const struct sumi_op *const *ops = sumi_ops(&n_ops);
  int failed = 0, n = 0, without = 0;
  for (size_t i = 0; i < n_ops; i++) {
    if (only && strcmp(only, ops[i]->name)) continue;
    if (!ops[i]->cases)
      printf("%s%s", without++ ? ", " : "no cases (the operator's file says why): ", ops[i]->name);
    for (const struct sumi_case *c = ops[i]->cases; c && c->text; c++) failed += check_case(ops[i], c, &n);
  }
  if (without) printf("\n");
  printf("%zu operators (%d without cases), %d runs, %d failed, seed %" PRIu64 "\n", n_ops, without, n,
         failed, seed);
  return failed != 0;
}
