/* sumi check: ONNX test cases. A case is a folder with model.onnx and test_data_set_N/{input,output}_M.pb, or one
 * with a data.json that names a "light" model, whose inputs are 0, 1/n, 2/n ... and whose outputs lie beside it.
 * Every case runs in a child process: whatever it does, the others are judged. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/compare.h"
#include "common/feed.h"

enum verdict { PASSED, FAILED, REFUSED, N_VERDICTS };
static const char *const verdict_names[N_VERDICTS] = {"passed", "failed", "refused"};

struct case_ {
  char *name, *folder;
  char *model; /* path */
  bool light;  /* made inputs, outputs beside the model */
  double rtol, atol;
};

struct cases {
  struct case_ *item;
  size_t n, cap;
};

struct check_options {
  struct cli_session_options session;
  const char *against; /* device whose outputs are expected; NULL = the files' */
  double rtol, atol, seconds;
  bool verbose, in_process;
};

struct result {
  enum verdict verdict;
  bool drawn; /* an output that is drawn at random was judged as a draw */
  char reason[1000];
};

/* ---- finding cases ---- */

static bool exists(const char *path) { return access(path, R_OK) == 0; }

static bool is_folder(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash && slash[1] ? slash + 1 : path;
}

/* Reads data.json (may be missing): tolerances, and for light cases the model's place. */
static void read_data_json(struct case_ *c) {
  char *path = cli_printf("%s/data.json", c->folder);
  json_t *j = json_load_file(path, 0, NULL);
  free(path);
  if (json_is_number(json_object_get(j, "rtol"))) c->rtol = json_number_value(json_object_get(j, "rtol"));
  if (json_is_number(json_object_get(j, "atol"))) c->atol = json_number_value(json_object_get(j, "atol"));
  const char *url = json_string_value(json_object_get(j, "url"));
  if (!c->model && url) {
    c->light = true;
    c->model = cli_printf("%s/../../light/%s", c->folder, base_name(url));
  }
  json_decref(j);
}

/* Adds the case that lies in folder; false where there is none. */
static bool add_case(struct cases *cases, const char *folder, const struct check_options *o) {
  struct case_ c = {.rtol = o->rtol, .atol = o->atol};
  char *model = cli_printf("%s/model.onnx", folder), *data = cli_printf("%s/data.json", folder);
  const bool found = exists(model), described = exists(data);
  free(data);
  if (!found) free(model), model = NULL;
  if (!found && !described) return false;
  c.folder = cli_strdup(folder);
  size_t n = strlen(c.folder);
  while (n > 1 && c.folder[n - 1] == '/') c.folder[--n] = 0;
  c.name = cli_strdup(base_name(c.folder));
  c.model = model;
  read_data_json(&c);
  if (!c.model) {
    free(c.folder);
    free(c.name);
    return false;
  }
  cases->item = cli_grow(cases->item, &cases->cap, cases->n + 1, sizeof *cases->item);
  cases->item[cases->n++] = c;
  return true;
}

static int visible(const struct dirent *e) { return e->d_name[0] != '.'; }

/* The cases in folder and, up to depth floors below it, in its folders, by name. */
static void find_cases(struct cases *cases, const char *folder, int depth, const struct check_options *o) {
  if (add_case(cases, folder, o) || depth == 0) return;
  struct dirent **entries;
  const int n = scandir(folder, &entries, visible, alphasort);
  for (int i = 0; i < n; i++) {
    char *path = cli_printf("%s/%s", folder, entries[i]->d_name);
    if (is_folder(path)) find_cases(cases, path, depth - 1, o);
    free(path);
    free(entries[i]);
  }
  if (n >= 0) free(entries);
}

/* ---- one case ---- */

static sumi_status load_pb(const char *path, const struct sumi_port_info *port, struct cli_tensor **out,
                           struct sumi_err *err) {
  struct cli_bytes b;
  sumi_status status = cli_bytes_read(path, &b, err);
  if (status != SUMI_OK) return status;
  struct sumi_buffer *buffer = NULL;
  status = sumi_buffer_from_onnx(b.data, b.n, cli_data_kind(port->kind), &buffer, err);
  cli_bytes_fini(&b);
  if (status == SUMI_OK) *out = cli_tensor_from_buffer(port->name, buffer);
  return status;
}

/* 0, 1/n, 2/n ... as the standard's runner feeds light models; open dims are 1. */
static sumi_status make_ramp(const struct sumi_port_info *port, struct cli_tensor **out,
                             struct sumi_err *err) {
  int64_t dims[SUMI_MAX_RANK];
  for (int i = 0; i < port->rank; i++) dims[i] = port->dims[i] < 0 ? 1 : port->dims[i];
  if (port->dtype != SUMI_FLOAT32 || port->rank < 0 ||
      !(*out = cli_tensor_new(port->name, port->dtype, port->rank, dims)))
    return cli_fail(err, SUMI_E_UNSUPPORTED, "input '%s' of a light model is not a float32 tensor",
                    port->name);
  const int64_t n = sumi_view_count(&(*out)->view);
  for (int64_t i = 0; i < n; i++) ((float *)(*out)->memory)[i] = (float)((double)i / (double)n);
  return SUMI_OK;
}

/* Path of the i-th input or output of a data set. */
static char *data_path(const struct case_ *c, const char *set, const char *what, size_t i) {
  if (!c->light) return cli_printf("%s/%s/%s_%zu.pb", c->folder, set, what, i);
  return cli_printf("%.*s_%s_%zu.pb", (int)(strlen(c->model) - strlen(".onnx")), c->model, what, i);
}

static sumi_status load_inputs(const struct case_ *c, const struct sumi_model *model, const char *set,
                               struct cli_feed *feed, struct sumi_err *err) {
  for (size_t i = 0; i < sumi_model_input_count(model); i++) {
    const struct sumi_port_info port = cli_input(model, i);
    struct cli_tensor *t = NULL;
    char *path = data_path(c, set, "input", i);
    const bool wanted = c->light ? !port.has_default : exists(path);
    sumi_status status = SUMI_OK;
    if (wanted) status = c->light ? make_ramp(&port, &t, err) : load_pb(path, &port, &t, err);
    free(path);
    if (status != SUMI_OK) return status;
    if (t) cli_feed_add(feed, t);
  }
  return SUMI_OK;
}

static void judge(struct result *r, enum verdict verdict, const char *format, ...) CLI_PRINTF(3, 4);

static void judge(struct result *r, enum verdict verdict, const char *format, ...) {
  va_list args;
  va_start(args, format);
  r->verdict = verdict;
  vsnprintf(r->reason, sizeof r->reason, format, args);
  va_end(args);
}

/* A failing call: what nobody claims to support is refused, the rest is a mistake. */
static void judge_status(struct result *r, sumi_status status, const char *when, const char *text) {
  judge(r, status == SUMI_E_UNSUPPORTED || status == SUMI_E_LIMIT ? REFUSED : FAILED, "%s: %s", when, text);
}

/* ---- what is drawn at random ---- */

/* The values of the main graph that depend on random numbers, by name. */
struct drawn {
  char **name;
  size_t n, cap;
};

static bool is_drawn(const struct drawn *d, const char *name) {
  for (size_t i = 0; i < d->n; i++)
    if (!strcmp(d->name[i], name)) return true;
  return false;
}

/* Nodes come in running order: what a node makes is drawn where it draws, or reads what is. */
static bool note_drawn(void *user, const struct sumi_node_info *node) {
  struct drawn *d = user;
  bool drawn = node->random;
  for (size_t i = 0; i < node->n_inputs && !drawn; i++) drawn = is_drawn(d, node->inputs[i]);
  for (size_t i = 0; i < node->n_outputs && drawn && node->depth == 0; i++) {
    if (!*node->outputs[i]) continue;
    d->name = cli_grow(d->name, &d->cap, d->n + 1, sizeof *d->name);
    d->name[d->n++] = cli_strdup(node->outputs[i]);
  }
  return true;
}

static bool output_is_drawn(const struct sumi_model *model, const char *name) {
  struct drawn d = {0};
  struct sumi_err err = SUMI_ERR_INIT;
  const bool drawn =
      sumi_model_visit_nodes(model, NULL, 0, note_drawn, &d, &err) == SUMI_OK && is_drawn(&d, name);
  for (size_t i = 0; i < d.n; i++) free(d.name[i]);
  free(d.name);
  return drawn;
}

/* ---- comparing ---- */

/* By value; what is drawn at random and has other values, as a draw. */
static void compare_output(const struct case_ *c, const struct sumi_model *model, const char *name,
                           const struct sumi_view *got, const struct sumi_view *want, struct result *r) {
  char reason[600];
  if (cli_compare(got, want, c->rtol, c->atol, reason, sizeof reason)) return;
  if (output_is_drawn(model, name)) {
    r->drawn = true;
    if (cli_compare_draws(got, want, reason, sizeof reason)) return;
  }
  judge(r, FAILED, "output '%s': %s", name, reason);
}

static void compare_outputs(const struct case_ *c, const struct sumi_model *model, const char *set,
                            const struct sumi_view *got, size_t n, struct result *r) {
  size_t compared = 0;
  for (size_t i = 0; i < n && r->verdict == PASSED; i++) {
    struct sumi_err err = SUMI_ERR_INIT;
    const struct sumi_port_info port = cli_output(model, i);
    struct cli_tensor *want = NULL;
    char *path = data_path(c, set, "output", i);
    if (exists(path)) {
      if (load_pb(path, &port, &want, &err) != SUMI_OK) {
        judge_status(r, err.status, "expected output", err.text);
      } else {
        compared++;
        compare_output(c, model, port.name, &got[i], &want->view, r);
      }
    }
    cli_tensor_free(want);
    free(path);
  }
  if (r->verdict == PASSED && !compared) judge(r, FAILED, "there is no expected output to compare with");
}

/* The outputs against those of another device for the same inputs. */
static void compare_devices(const struct case_ *c, const struct sumi_model *model, struct sumi_session *other,
                            const struct cli_feed *feed, const struct sumi_view *got, struct result *r) {
  struct sumi_err err = SUMI_ERR_INIT;
  char reason[600];
  size_t n;
  struct sumi_view *want = cli_output_views(model, &n);
  const sumi_status status = sumi_session_run(other, feed->view, feed->n, want, n, &err);
  if (status != SUMI_OK) judge_status(r, status, "run on the other device", err.text);
  for (size_t i = 0; i < n && r->verdict == PASSED; i++)
    if (!cli_compare(&got[i], &want[i], c->rtol, c->atol, reason, sizeof reason))
      judge(r, FAILED, "output '%s': %s", cli_output(model, i).name, reason);
  free(want);
}

/* other: the session whose outputs are expected; NULL = the data set's. */
static void run_set(const struct case_ *c, const struct sumi_model *model, struct sumi_session *session,
                    struct sumi_session *other, const char *set, struct result *r) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct cli_feed feed = {0};
  size_t n;
  struct sumi_view *out = cli_output_views(model, &n);
  sumi_status status = load_inputs(c, model, set, &feed, &err);
  if (status != SUMI_OK) judge_status(r, status, "input", err.text);
  if (status == SUMI_OK) {
    status = sumi_session_run(session, feed.view, feed.n, out, n, &err);
    if (status != SUMI_OK)
      judge_status(r, status, "run", err.text);
    else if (other)
      compare_devices(c, model, other, &feed, out, r);
    else
      compare_outputs(c, model, set, out, n, r);
  }
  cli_feed_fini(&feed);
  free(out);
}

static void run_case(const struct case_ *c, const struct check_options *o, struct result *r) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_model *model = NULL;
  struct sumi_session *session = NULL, *other = NULL;
  *r = (struct result){.verdict = PASSED};
  struct sumi_session_options options = {.size = sizeof options,
                                         .device = o->session.device,
                                         .threads = (int)o->session.threads,
                                         .isa = o->session.isa};
  sumi_status status = cli_try_model(c->model, &model, &err);
  if (status == SUMI_OK) status = sumi_session_new(model, &options, &session, &err);
  options.device = o->against;
  if (status == SUMI_OK && o->against) status = sumi_session_new(model, &options, &other, &err);
  if (status != SUMI_OK) judge_status(r, status, "load", err.text);
  if (status == SUMI_OK && c->light) run_set(c, model, session, other, "", r);
  size_t sets = 0;
  while (status == SUMI_OK && !c->light && r->verdict == PASSED) {
    char set[40];
    snprintf(set, sizeof set, "test_data_set_%zu", sets);
    char *path = cli_printf("%s/%s", c->folder, set);
    const bool there = is_folder(path);
    free(path);
    if (!there) break;
    sets++;
    run_set(c, model, session, other, set, r);
  }
  if (status == SUMI_OK && !c->light && !sets) judge(r, FAILED, "there is no test_data_set_0");
  sumi_session_free(other);
  sumi_session_free(session);
  sumi_model_unref(model);
}

/* ---- in a child process ---- */

/* Reads what the child says until it closes the pipe or time is up; false: time is up. */
static bool listen_to(int fd, double seconds, struct result *r, size_t *got) {
  const double end = cli_seconds() + seconds;
  for (*got = 0; *got < sizeof *r;) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    const double left = end - cli_seconds();
    if (left <= 0) return false;
    const int ready = poll(&p, 1, left > 3600 ? 3600000 : (int)(left * 1000) + 1);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) continue;
    const ssize_t n = read(fd, (char *)r + *got, sizeof *r - *got);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    *got += (size_t)n;
  }
  return true;
}

static void run_child(const struct case_ *c, const struct check_options *o, struct result *r) {
  int ends[2];
  fflush(NULL);
  if (pipe(ends) < 0) {
    judge(r, FAILED, "no pipe: %s", strerror(errno));
    return;
  }
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    run_case(c, o, r);
    const ssize_t n = write(ends[1], r, sizeof *r);
    _exit(n == (ssize_t)sizeof *r ? 0 : 1);
  }
  close(ends[1]);
  size_t got = 0;
  int status = 0;
  const bool in_time = child > 0 && listen_to(ends[0], o->seconds, r, &got);
  close(ends[0]);
  if (child > 0) {
    if (!in_time) kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
  }
  if (child < 0)
    judge(r, FAILED, "no process: %s", strerror(errno));
  else if (!in_time)
    judge(r, FAILED, "not done after %g s", o->seconds);
  else if (WIFSIGNALED(status))
    judge(r, FAILED, "it ended the process: %s", strsignal(WTERMSIG(status)));
  else if (got != sizeof *r)
    judge(r, FAILED, "it ended the process with status %d", WEXITSTATUS(status));
  r->reason[sizeof r->reason - 1] = 0;
}

static int report(const struct cases *cases, const struct check_options *o) {
  size_t count[N_VERDICTS] = {0}, drawn = 0;
  json_t *list = json_array();
  struct cli_progress progress = cli_progress_start("cases", cases->n);
  for (size_t i = 0; i < cases->n; i++) {
    const struct case_ *c = &cases->item[i];
    struct result r = {0};
    const double start = cli_seconds();
    if (o->in_process)
      run_case(c, o, &r);
    else
      run_child(c, o, &r);
    if ((unsigned)r.verdict >= N_VERDICTS) r.verdict = FAILED;
    count[r.verdict]++;
    drawn += r.drawn && r.verdict == PASSED;
    if (cli_wants_json()) {
      json_t *j = json_object();
      json_object_set_new(j, "case", cli_json_text(c->name));
      json_object_set_new(j, "verdict", json_string(verdict_names[r.verdict]));
      json_object_set_new(j, "reason", cli_json_text(r.reason));
      json_object_set_new(j, "drawn", json_boolean(r.drawn));
      json_object_set_new(j, "seconds", cli_json_number(cli_seconds() - start));
      json_array_append_new(list, j);
    } else if (o->verbose || r.verdict != PASSED) {
      printf("%s %s%s%s\n", verdict_names[r.verdict], c->name, *r.reason ? ": " : "", r.reason);
    }
    cli_progress_step(&progress, i + 1);
  }
  cli_progress_end(&progress);
  const int status = count[FAILED] ? CLI_NO : CLI_DONE;
  if (!cli_wants_json()) {
    json_decref(list);
    if (drawn) printf("%zu passed as draws: by shape, type, range and mean\n", drawn);
    printf("%zu passed, %zu failed, %zu refused\n", count[PASSED], count[FAILED], count[REFUSED]);
    return status;
  }
  json_t *j = json_object();
  for (int v = 0; v < N_VERDICTS; v++)
    json_object_set_new(j, verdict_names[v], json_integer((json_int_t)count[v]));
  json_object_set_new(j, "drawn", json_integer((json_int_t)drawn));
  json_object_set_new(j, "cases", list);
  const int printed = cli_print_json(j);
  return printed == CLI_DONE ? status : printed;
}

int cli_check(int argc, char **argv) {
  struct check_options o = {.rtol = 1e-3, .atol = 1e-7, .seconds = 120};
  struct cli_list folders = {0};
  const struct cli_option options[] = {
      CLI_SESSION_OPTIONS(o.session),
      {"against", 0, CLI_TEXT, &o.against, "DEVICE", "what this device gives is expected, not the files", 0,
       0},
      {"rtol", 0, CLI_NUMBER, &o.rtol, "R", "|got - want| <= A + R |want| (1e-3; data.json goes before)", 0,
       1e9},
      {"atol", 0, CLI_NUMBER, &o.atol, "A", "(1e-7)", 0, 1e30},
      {"seconds", 's', CLI_NUMBER, &o.seconds, "S", "a case that takes longer has failed (120)", 0.001, 1e6},
      {"verbose", 'v', CLI_FLAG, &o.verbose, NULL, "name the cases that passed, too", 0, 0},
      {"in-process", 0, CLI_FLAG, &o.in_process, NULL, "no child process per case: for debuggers", 0, 0},
      {NULL, 0, CLI_FLAG, NULL, NULL, NULL, 0, 0}};
  const struct cli_usage usage = {
      .command = "check",
      .arguments = "DIR...",
      .min_arguments = 1,
      .max_arguments = SIZE_MAX,
      .summary =
          "Runs ONNX test cases (model.onnx with test_data_set_N/{input,output}_M.pb) and compares with the\n"
          "expected outputs. DIR is a case, or a folder of cases, or a folder of such folders. A case that\n"
          "needs what Sumi does not have is refused, with the reason. An output that is drawn at random and "
          "has\n"
          "other values is judged by shape, type, range and mean; such cases are counted apart, too. Exit\n"
          "status 1 where a case failed.",
      .example =
          "  sumi check onnx/backend/test/data/node/test_abs\n  sumi check onnx/backend/test/data --json",
      .options = options};
  int status = cli_parse(&usage, argc, argv, &folders);
  struct cases cases = {0};
  for (size_t i = 0; i < folders.n && status == CLI_GO_ON; i++) {
    const size_t before = cases.n;
    if (!is_folder(folders.item[i]))
      status = cli_refuse(SUMI_E_IO, "'%s' is no folder", folders.item[i]);
    else
      find_cases(&cases, folders.item[i], 2, &o);
    if (status == CLI_GO_ON && cases.n == before)
      status = cli_refuse(SUMI_E_IO, "'%s' holds no test case", folders.item[i]);
  }
  if (status == CLI_GO_ON) status = report(&cases, &o);
  for (size_t i = 0; i < cases.n; i++) {
    free(cases.item[i].name);
    free(cases.item[i].folder);
    free(cases.item[i].model);
  }
  free(cases.item);
  cli_list_fini(&folders);
  return status;
}
