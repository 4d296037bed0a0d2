/* The training graph of a part of a network: what is trained becomes inputs, the loss and the gradients become the outputs. */
#include "base/size.h"
#include "compress/layer.h"
#include "compress/tune_int.h"
#include "op/grad.h"
#include "pass/gradient.h"
#include "pass/pass.h"

bool sumi_tune_is_kl(const struct sumi_tune *t) {
  return t->loss ? sumi_streq(t->loss, "kl") : t->labels != NULL;
}

static sumi_status find(const struct sumi_graph *g, const char *name, struct sumi_value **out,
                        struct sumi_err *err) {
  *out = sumi_graph_find_value(g, name);
  if (!*out) SUMI_FAIL(err, SUMI_E_ARG, "there is no value '%.128s'", name);
  return SUMI_OK;
}

static sumi_status set_outputs(struct sumi_graph *g, const char *const *names, size_t n,
                               struct sumi_err *err) {
  sumi_graph_clear_outputs(g);
  for (size_t i = 0; i < n; i++) {
    struct sumi_value *v;
    SUMI_TRY(find(g, names[i], &v, err));
    if (!v->is_output && !sumi_graph_add_output(g, v)) SUMI_FAIL_MEMORY(err);
  }
  return sumi_passes_run(g, SUMI_PASS_PORTABLE, SUMI_PRECISION_FILE, NULL, err);
}

sumi_status sumi_tune_cut(const struct sumi_graph *from, const char *const *names, size_t n,
                          struct sumi_graph **out, struct sumi_err *err) {
  struct sumi_graph *g = sumi_graph_clone(from, err);
  if (!g) return err ? err->status : SUMI_E_MEMORY;
  const sumi_status status = set_outputs(g, names, n, err);
  if (status != SUMI_OK)
    sumi_graph_free(g);
  else
    *out = g;
  return status;
}

/* ---- what is trained -------------------------------------------------------------------------------------------- */

struct making {
  const struct sumi_tune *t;
  struct sumi_graph *g;
  struct sumi_arena *arena;
  struct sumi_tune_graph *out;
  struct sumi_value **param; /* [n_param] the inputs that stand for them */
  bool *needed;              /* [n_node] on the way to `to` */
  struct sumi_err *err;
};

/* A new input in the place of v. */
static sumi_status make_input(struct making *m, struct sumi_value *v, struct sumi_value **out) {
  struct sumi_info info = v->info;
  if (v->constant) {
    info =
        (struct sumi_info){.kind = v->constant->kind, .dtype = v->constant->dtype, .rank = v->constant->rank};
    for (int i = 0; i < info.rank; i++) info.dim[i] = v->constant->dim[i];
  }
  info.data = NULL;
  info.content = NULL;
  struct sumi_value *input = sumi_graph_add_input(m->g, NULL, &info);
  if (!input) SUMI_FAIL_MEMORY(m->err);
  if (!sumi_graph_replace_uses(m->g, v, input))
    SUMI_FAIL(m->err, SUMI_E_ARG, "the part begins and ends at '%s'", v->name);
  *out = input;
  return SUMI_OK;
}

/* The values the part begins with become inputs; what made them is not needed any more. */
static sumi_status cut_begin(struct making *m) {
  m->out->from = SUMI_NEW_ARRAY(m->arena, m->t->n_from, const char *);
  if (!m->out->from) SUMI_FAIL_MEMORY(m->err);
  for (size_t i = 0; i < m->t->n_from; i++) {
    struct sumi_value *v, *input;
    SUMI_TRY(find(m->g, m->t->from[i], &v, m->err));
    m->out->from[i] = v->name;
    if (v->is_input) continue;
    if (v->constant) SUMI_FAIL(m->err, SUMI_E_ARG, "'%s', where the part begins, is a constant", v->name);
    SUMI_TRY(make_input(m, v, &input));
    m->out->from[i] = input->name;
  }
  return SUMI_OK;
}

static void mark_needed(struct making *m, const struct sumi_value *to) {
  const struct sumi_graph *g = m->g;
  for (size_t i = g->n_node; i-- > 0;) {
    const struct sumi_node *node = g->node[i];
    bool needed = false;
    for (int k = 0; k < node->n_out && !needed; k++) {
      const struct sumi_value *v = node->out[k];
      needed = v && v == to;
      for (const struct sumi_use *u = v ? v->first_use : NULL; u && !needed; u = u->next)
        needed = u->node && m->needed[u->node->id];
    }
    m->needed[i] = needed;
  }
}

static sumi_status add_param(struct making *m, struct sumi_value *v, const struct sumi_node *node) {
  struct sumi_tune_graph *out = m->out;
  if (!v || !v->constant || v->is_input || !m->needed[node->id]) return SUMI_OK;
  if (v->constant->dtype != SUMI_FLOAT32)
    SUMI_FAIL(m->err, SUMI_E_UNSUPPORTED, "'%s' of node '%s' is of %s; only float32 can be tuned", v->name,
              node->name, sumi_dtype_label(v->constant->dtype));
  for (size_t i = 0; i < out->n_param; i++)
    if (sumi_streq(out->param[i].name, v->name)) return SUMI_OK;
  struct sumi_tune_param *p = &out->param[out->n_param];
  p->name = sumi_arena_strdup(m->arena, v->name);
  p->shape = *v->constant;
  if (!p->name) SUMI_FAIL_MEMORY(m->err);
  SUMI_TRY(make_input(m, v, &m->param[out->n_param]));
  p->input = m->param[out->n_param]->name;
  out->n_param++;
  return SUMI_OK;
}

/* Weights and biases of layers, scales and biases of normalisations. */
static sumi_status find_params(struct making *m) {
  static const struct sumi_op *const norms[] = {&sumi_op_layer_normalization, &sumi_op_batch_normalization};
  struct sumi_layer *layer;
  size_t n;
  SUMI_TRY(sumi_layers_find(m->g, m->arena, &layer, &n, m->err));
  m->out->param = SUMI_NEW_ARRAY(m->arena, 2 * (n + m->g->n_node), struct sumi_tune_param);
  m->param = SUMI_NEW_ARRAY(m->arena, 2 * (n + m->g->n_node), struct sumi_value *);
  if (!m->out->param || !m->param) SUMI_FAIL_MEMORY(m->err);
  for (size_t i = 0; i < n; i++) {
    SUMI_TRY(add_param(m, layer[i].weight, layer[i].node));
    SUMI_TRY(add_param(m, layer[i].bias, layer[i].node));
  }
  for (size_t i = 0; i < m->g->n_node; i++) {
    const struct sumi_node *node = m->g->node[i];
    for (size_t k = 0; k < SUMI_COUNT(norms); k++)
      for (int j = 1; node->op == norms[k] && j < 3 && j < node->n_in; j++)
        SUMI_TRY(add_param(m, node->in[j], node));
  }
  if (!m->out->n_param) SUMI_FAIL(m->err, SUMI_E_VALUE, "there is nothing to train in this part");
  return SUMI_OK;
}

/* ---- the loss --------------------------------------------------------------------------------------------------- */

static struct sumi_value *target(struct making *m, int i, const struct sumi_info *info, struct sumi_grad *e) {
  struct sumi_value *v = e->status == SUMI_OK ? sumi_graph_add_input(m->g, NULL, info) : NULL;
  if (!v && e->status == SUMI_OK) e->status = sumi_err_set(m->err, SUMI_E_MEMORY, "out of memory");
  m->out->target[i] = v ? v->name : NULL;
  return v;
}

/* The sum of all elements of v. */
static struct sumi_value *sum_all(struct sumi_grad *e, struct sumi_value *v, int rank) {
  int64_t axes[SUMI_MAX_RANK];
  for (int i = 0; i < rank; i++) axes[i] = i;
  return sumi_grad_sum(e, v, axes, rank, false);
}

/* sum(share * log_softmax(y / temperature)) */
static struct sumi_value *class_term(struct sumi_grad *e, struct sumi_value *y, struct sumi_value *share,
                                     double temperature) {
  if (e->status != SUMI_OK) return NULL;
  struct sumi_value *scaled =
      temperature == 1 ? y : sumi_grad_mul(e, y, sumi_grad_scalar(e, y, 1 / temperature));
  return sum_all(e, sumi_grad_mul(e, share, sumi_grad_op(e, &sumi_op_log_softmax, 1, &scaled)), y->info.rank);
}

static struct sumi_value *make_loss(struct making *m, struct sumi_value *y, struct sumi_grad *e) {
  const struct sumi_info *info = &y->info;
  if (sumi_tune_is_kl(m->t)) {
    const double temperature = m->t->temperature > 0 ? m->t->temperature : 1;
    struct sumi_value *soft = class_term(e, y, target(m, 0, info, e), temperature);
    return sumi_grad_neg(e, sumi_grad_add(e, soft, class_term(e, y, target(m, 1, info, e), 1)));
  }
  const struct sumi_info number = {.kind = SUMI_TENSOR, .dtype = SUMI_FLOAT32, .rank = 0};
  struct sumi_value *apart = sumi_grad_sub(e, y, target(m, 0, info, e));
  return sumi_grad_mul(e, sum_all(e, sumi_grad_mul(e, apart, apart), info->rank), target(m, 1, &number, e));
}

/* v as an output of its own. */
static sumi_status add_output(struct making *m, struct sumi_value *v, const char **name) {
  struct sumi_value *out = sumi_graph_add_value(m->g, NULL);
  if (!out ||
      !sumi_graph_add_node(m->g, NULL, &sumi_op_identity, "Identity", SUMI_NEWEST_OPSET, &v, 1, &out, 1) ||
      !sumi_graph_add_output(m->g, out) || !(*name = sumi_arena_strdup(m->arena, out->name)))
    SUMI_FAIL_MEMORY(m->err);
  return SUMI_OK;
}

static sumi_status add_gradients(struct making *m, struct sumi_value *y) {
  struct sumi_grad e = {.graph = m->g, .err = m->err};
  struct sumi_value **dx = SUMI_NEW_ARRAY(m->arena, m->out->n_param, struct sumi_value *);
  if (!dx) SUMI_FAIL_MEMORY(m->err);
  struct sumi_value *loss = make_loss(m, y, &e);
  if (loss) sumi_grad_info(&e, loss);
  SUMI_TRY(e.status);
  SUMI_TRY(sumi_graph_tidy(m->g, m->err));
  SUMI_TRY(sumi_gradient(m->g, loss, NULL, m->param, m->out->n_param, dx, m->err));
  SUMI_TRY(add_output(m, loss, &m->out->loss));
  for (size_t i = 0; i < m->out->n_param; i++) SUMI_TRY(add_output(m, dx[i], &m->out->param[i].output));
  SUMI_TRY(sumi_graph_tidy(m->g, m->err));
  return sumi_passes_run(m->g, SUMI_PASS_PORTABLE, SUMI_PRECISION_FILE, NULL, m->err);
}

static sumi_status make(struct making *m) {
  struct sumi_graph *g = m->g;
  struct sumi_value *to;
  if (!m->t->to && !g->n_output) SUMI_FAIL(m->err, SUMI_E_ARG, "the network has no output");
  SUMI_TRY(find(g, m->t->to ? m->t->to : g->output[0]->name, &to, m->err));
  SUMI_TRY(sumi_pass_infer(g, NULL, NULL, m->err));
  if (to->info.kind != SUMI_TENSOR || to->info.dtype != SUMI_FLOAT32 || to->info.rank < 1)
    SUMI_FAIL(m->err, SUMI_E_TYPE, "'%s', where the part ends, is no tensor of float32 of known rank",
              to->name);
  sumi_graph_clear_outputs(g);
  SUMI_TRY(cut_begin(m));
  SUMI_TRY(sumi_graph_tidy(g, m->err));
  if (!(m->needed = SUMI_NEW_ARRAY(m->arena, g->n_node, bool))) SUMI_FAIL_MEMORY(m->err);
  mark_needed(m, to);
  SUMI_TRY(find_params(m));
  return add_gradients(m, to);
}

sumi_status sumi_tune_graph_make(const struct sumi_tune *t, struct sumi_arena *arena,
                                 struct sumi_tune_graph *out, struct sumi_err *err) {
  *out = (struct sumi_tune_graph){.graph = sumi_graph_clone(t->graph, err)};
  if (!out->graph) return err ? err->status : SUMI_E_MEMORY;
  struct making m = {.t = t, .g = out->graph, .arena = arena, .out = out, .err = err};
  const sumi_status status = make(&m);
  if (status == SUMI_OK) return SUMI_OK;
  sumi_graph_free(out->graph);
  out->graph = NULL;
  return status;
}
