/* Wrong nodes, made from the descriptors: every case of every operator, in text form, is damaged in one place (an attribute
 * too many, of another type, missing or out of range; an input of another element type, rank, size or kind; inputs and
 * outputs too few or too many; absurd integers in tensors), and whoever looks at it, from the verifier to a run on devices
 * ref and audit (cpu between guard pages), has to take it or to refuse it with a status and a sentence that names node,
 * operator and reason. What no version of the operator allows has to be refused, and the sentence has to name the
 * attribute, the input or the output.
 *   wrong_nodes [--cases N] [--verbose] [OPERATOR]      N cases of an operator (3)
 * Every operator has a process of its own: a crash or a hang says which damage it was. */
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "base/size.h"
#include "exec/session.h"
#include "hostile/damage.h"
#include "op/ops.h"
#include "pass/pass.h"

enum { MAX_PORTS = 64, SECONDS = 20, MAX_FAILURES = 5 };
static const size_t max_bytes = (size_t)1 << 20; /* of all inputs of a run */
static const size_t max_memory = (size_t)8 << 20;

/* What a child tells its parent, in shared memory. */
struct tally {
  long tried, refused, taken, failed, skipped;
  char doing[400];
};

static struct tally *tally;
static bool verbose;

/* ---- memory that ends -------------------------------------------------------------------------------------------- */

struct purse {
  size_t used, most;
};

static void *purse_alloc(void *user, size_t bytes, size_t align) {
  struct purse *p = user;
  void *block = NULL;
  if (bytes > p->most - p->used) return NULL;
  if (posix_memalign(&block, align < sizeof(void *) ? sizeof(void *) : align, bytes ? bytes : 1)) return NULL;
  p->used += bytes;
  return block;
}

static void purse_free(void *user, void *block, size_t bytes) {
  if (block) ((struct purse *)user)->used -= bytes;
  free(block);
}

/* ---- one damaged graph ------------------------------------------------------------------------------------------- */

struct feed {
  size_t n;
  struct sumi_view view[MAX_PORTS];
  int64_t dims[MAX_PORTS][SUMI_MAX_RANK];
};

static void feed_fini(struct feed *f) {
  for (size_t i = 0; i < f->n; i++) free(f->view[i].data);
}

/* Random inputs within the case's range, or all of the damage's integer. False where there is none: unknown ranks, other
 * kinds, strings, too large. */
static bool feed_init(struct feed *f, const struct sumi_graph *g, const struct sumi_case *c,
                      const struct sumi_damage *d) {
  struct sumi_random r;
  size_t total = 0;
  sumi_random_init(&r, 1);
  f->n = 0;
  for (size_t i = 0; i < g->n_input; i++) {
    const struct sumi_info *info = &g->input[i]->info;
    size_t bytes;
    if (i == MAX_PORTS || info->kind != SUMI_TENSOR || info->rank < 0 || info->dtype == SUMI_STRING ||
        info->dtype == SUMI_UNDEFINED)
      return false;
    for (int k = 0; k < info->rank; k++) f->dims[i][k] = info->dim[k] >= 0 ? info->dim[k] : 3;
    if (sumi_shape_bytes(info->dtype, f->dims[i], info->rank, &bytes, NULL) != SUMI_OK ||
        !sumi_size_add(total, bytes, &total) || total > max_bytes)
      return false;
    void *data = calloc(1, bytes + 64);
    const int64_t n = sumi_dims_count(f->dims[i], 0, info->rank);
    const bool complex = sumi_dtype_in(info->dtype, SUMI_COMPLEX);
    for (int64_t k = 0; k < n && !complex; k++) {
      if (d->fills && g->input[i] == d->filled)
        sumi_set_i64(info->dtype, data, k, d->fill);
      else
        sumi_set_f64(info->dtype, data, k, floor(c->low + sumi_random_uniform(&r) * (c->high - c->low + 1)));
    }
    f->view[f->n++] = (struct sumi_view){.size = sizeof *f->view,
                                         .name = g->input[i]->name,
                                         .data = data,
                                         .dtype = info->dtype,
                                         .rank = info->rank,
                                         .dims = f->dims[i]};
  }
  return true;
}

static sumi_status run_on(struct sumi_model *model, const char *device, const struct feed *f,
                          struct sumi_err *err) {
  const struct sumi_session_options o = {.size = sizeof o, .device = device, .threads = 1};
  struct sumi_session *session = NULL;
  sumi_status status = sumi_session_init(model, &o, &session, err);
  if (status == SUMI_OK) status = sumi_session_execute(session, f->view, f->n, NULL, 0, err);
  sumi_session_fini(session);
  return status;
}

/* The stages of a graph's life, until one refuses it. Takes the graph over. */
static sumi_status live(struct sumi_graph *take_graph, const struct sumi_allocator *a,
                        const struct sumi_case *c, const struct sumi_damage *d, struct sumi_err *err) {
  struct sumi_model *model = NULL;
  struct feed feed = {0};
  sumi_status status = sumi_graph_verify(take_graph, err);
  if (status == SUMI_OK) status = sumi_pass_infer(take_graph, NULL, NULL, err);
  if (status != SUMI_OK || !c) {
    sumi_graph_free(take_graph);
    return status;
  }
  const bool fed = feed_init(&feed, take_graph, c, d);
  status = sumi_model_new(a, take_graph, &model, err);
  if (model) model->limits.max_tensor_bytes = max_memory;
  if (status == SUMI_OK && fed) status = run_on(model, "ref", &feed, err);
  const bool ran = status == SUMI_OK;
  if (fed && model) {
    struct sumi_err other = SUMI_ERR_INIT;
    const sumi_status fast = run_on(model, "audit", &feed, &other);
    if (ran && fast != SUMI_OK) {
      *err = other;
      status = fast;
    }
  }
  feed_fini(&feed);
  sumi_model_unref(model);
  return status;
}

/* ---- what is a good refusal ---------------------------------------------------------------------------------------- */

/* "node 'NAME' (OPERATOR): a reason": of the damaged node where that is certain. NULL, or what is missing. */
static const char *fault(const char *text, const char *node, const char *op, const struct sumi_damage *d) {
  const char *at = strstr(text, "node '"), *reason = at ? strstr(at, "): ") : NULL;
  if (!at) return "names no node";
  if (!reason || !strstr(at, "' (")) return "names no operator";
  if (strlen(reason) < 10) return "gives no reason";
  if (strchr(text, '\n')) return "has several lines";
  if (!d->must) return NULL;
  char head[400];
  snprintf(head, sizeof head, "node '%s' (%s): ", node, op);
  if (!strstr(text, head)) return "does not name the node";
  return *d->word && !strstr(reason, d->word) && !(*d->or_word && strstr(reason, d->or_word))
             ? "does not name what is wrong"
             : NULL;
}

static void fail(const char *what, const char *text, const struct sumi_case *c) {
  static int told; /* by this process */
  tally->failed++;
  if (told++ < MAX_FAILURES)
    printf("FAIL %s: %s%s%s\n  %s\n", tally->doing, what, *text ? ": " : "", text, c ? c->text : "");
}

static struct sumi_node *find(const struct sumi_graph *g, const struct sumi_op *op) {
  for (size_t i = 0; i < g->n_node; i++)
    if (g->node[i]->op == op) return g->node[i];
  return NULL;
}

/* The graph of a case and its node of the operator; NULL where a body holds it. */
static struct sumi_graph *parse(const struct sumi_op *op, const struct sumi_case *c,
                                const struct sumi_allocator *a, struct sumi_node **node) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *g = NULL;
  if (sumi_graph_parse(c->text, strlen(c->text), sumi_op_find, a, &g, &err) != SUMI_OK) return NULL;
  *node = find(g, op);
  if (*node) return g;
  sumi_graph_free(g);
  return NULL;
}

/* One damage; false: there is none of this kind and these numbers any more. */
static enum sumi_damage_done attempt(const struct sumi_op *op, const struct sumi_case *c,
                                     const struct sumi_damage_kind *kind, int i, int j) {
  static const struct itimerval limit = {.it_value = {.tv_sec = SECONDS}}, none; /* processor time */
  struct purse purse = {.most = max_memory};
  const struct sumi_allocator a = {&purse, purse_alloc, purse_free};
  struct sumi_damage d = {0};
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_node *node = NULL;
  struct sumi_graph *g = parse(op, c, &a, &node);
  if (!g) return SUMI_DAMAGE_NO_MORE;
  char name[200], op_name[100];
  snprintf(name, sizeof name, "%s", node->name);
  snprintf(op_name, sizeof op_name, "%s", node->op_name);
  const enum sumi_damage_done done = kind->apply(g, node, i, j, &d);
  if (done != SUMI_DAMAGE_DONE) {
    sumi_graph_free(g);
    return done;
  }
  snprintf(tally->doing, sizeof tally->doing, "%s, %s %d/%d (%s)", op->name, kind->name, i, j, d.text);
  setitimer(ITIMER_PROF, &limit, NULL);
  const sumi_status status = live(g, &a, c, &d, &err);
  setitimer(ITIMER_PROF, &none, NULL);
  tally->tried++;
  tally->refused += status != SUMI_OK;
  tally->taken += status == SUMI_OK;
  if (verbose) printf("%s: %s %s\n", tally->doing, sumi_status_name(status), err.text);
  const char *why = status == SUMI_OK         ? (d.must ? "is taken" : NULL)
                    : status == SUMI_E_MEMORY ? NULL
                                              : fault(err.text, name, op_name, &d);
  if (status == SUMI_E_INTERNAL) why = "is called a mistake of the library";
  if (!why && purse.used) why = "leaks";
  if (why) fail(why, err.text, c);
  return done;
}

static void try_case(const struct sumi_op *op, const struct sumi_case *c) {
  size_t n;
  const struct sumi_damage_kind *kinds = sumi_damage_kinds(&n);
  for (size_t k = 0; k < n; k++) {
    enum sumi_damage_done done = SUMI_DAMAGE_DONE;
    for (int i = 0; done != SUMI_DAMAGE_NO_MORE; i++)
      for (int j = 0; (done = attempt(op, c, &kinds[k], i, j)) < SUMI_DAMAGE_NEXT; j++) {
      }
  }
}

static void try_operator(const struct sumi_op *op, int n_cases) {
  int n = 0;
  for (const struct sumi_case *c = op->cases; c && c->text && n < n_cases; c++) {
    struct sumi_node *node;
    struct sumi_graph *g = parse(op, c, sumi_allocator_default(), &node);
    if (!g) continue;
    sumi_graph_free(g);
    try_case(op, c);
    n++;
  }
  tally->skipped += n == 0;
  if (!n && verbose) printf("%s: no case has it outside a body\n", op->name);
}

/* One operator in a child; true where nothing is wrong. */
static bool in_child(const struct sumi_op *op, int n_cases) {
  const long failed = tally->failed;
  int status = 0;
  *tally->doing = 0;
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    try_operator(op, n_cases);
    fflush(stdout);
    _exit(0);
  }
  if (child < 0 || waitpid(child, &status, 0) != child) return false;
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF)
    printf("FAIL %s: takes more than %d s of processor time\n", tally->doing, SECONDS);
  else if (status)
    printf("FAIL %s: ends the process (%s)\n", tally->doing,
           WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "exit");
  return !status && tally->failed == failed;
}

int main(int argc, char **argv) {
  const char *only = NULL;
  int n_cases = 3;
  for (int i = 1; i < argc; i++)
    if (!strcmp(argv[i], "--cases") && i + 1 < argc)
      n_cases = atoi(argv[++i]);
    else if (!strcmp(argv[i], "--verbose"))
      verbose = true;
    else
      only = argv[i];
  setvbuf(stdout, NULL, _IOLBF, 0);
  tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (tally == MAP_FAILED) return 4;
  size_t n;
  const struct sumi_op *const *ops = sumi_ops(&n);
  int wrong = 0;
  for (size_t i = 0; i < n; i++)
    if (!only || !strcmp(only, ops[i]->name)) wrong += !in_child(ops[i], n_cases);
  printf("%zu operators (%ld without a case of their own), %ld damaged nodes: %ld refused, %ld taken; %d "
         "operators wrong\n",
         n, tally->skipped, tally->tried, tally->refused, tally->taken, wrong);
  return wrong != 0 || tally->tried == 0;
}
