/* sumi run: one inference; prints what came out, writes it as .npy, or names the likeliest classes. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/feed.h"
#include "common/top.h"

struct run_options {
  struct cli_session_options session;
  struct cli_feed_options feed;
  const char *folder, *labels;
  struct cli_list outputs; /* names, empty = all */
  int64_t top;
};

/* ---- writing ---- */

/* Creates a folder and those above it. */
static bool make_folder(const char *path) {
  char *p = cli_strdup(path);
  for (char *slash = strchr(p + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    mkdir(p, 0777);
    *slash = '/';
  }
  const bool good = mkdir(p, 0777) == 0 || errno == EEXIST;
  free(p);
  return good;
}

/* An output's name as a file's: what is not a letter, digit, '.', '_' or '-' becomes '_'; at most 200 bytes. */
static char *safe_name(const char *name) {
  char *safe = cli_printf("%.200s", *name ? name : "_");
  for (char *p = safe; *p; p++)
    if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
          strchr("._-", *p)))
      *p = '_';
  if (safe[0] == '.') safe[0] = '_';
  return safe;
}

/* File names of the outputs: a number is added where two would be the same. The caller frees all. */
static char **file_names(const struct sumi_view *views, size_t n) {
  char **names = cli_array_alloc(n, sizeof *names);
  for (size_t i = 0; i < n; i++) {
    names[i] = safe_name(views[i].name);
    bool same = false;
    for (size_t k = 0; k < i && !same; k++) same = strcasecmp(names[k], names[i]) == 0;
    if (!same) continue;
    char *longer = cli_printf("%s.%zu", names[i], i);
    free(names[i]);
    names[i] = longer;
  }
  return names;
}

static int write_one(const char *path, const struct sumi_view *v, json_t *report) {
  struct sumi_err err = SUMI_ERR_INIT;
  const sumi_status status = cli_npy_write(path, v, &err);
  if (status != SUMI_OK) {
    cli_refuse(status, "%s", err.text);
    return status == SUMI_E_IO ? CLI_RESOURCE : CLI_REFUSED;
  }
  json_object_set_new(report, "file", cli_json_text(path));
  return CLI_GO_ON;
}

/* Item k to FOLDER/k.npy; a map's items are its keys and its values. */
static int write_items(const char *folder, const struct sumi_view *v, json_t *report) {
  static const char *const map_names[] = {"keys", "values"};
  int status = CLI_GO_ON;
  if (!make_folder(folder))
    status = CLI_RESOURCE, cli_note("'%s' cannot be made: %s", folder, strerror(errno));
  json_object_set_new(report, "folder", cli_json_text(folder));
  for (size_t k = 0; k < v->n_items && status == CLI_GO_ON; k++) {
    const struct sumi_view *item = &v->items[k];
    const char *ending = item->kind == SUMI_MAP ? "" : ".npy";
    char *path = v->kind == SUMI_MAP ? cli_printf("%s/%s%s", folder, map_names[k & 1], ending)
                                     : cli_printf("%s/%zu%s", folder, k, ending);
    json_t *own = json_object();
    status =
        item->kind == SUMI_MAP ? write_items(path, item, own) : write_one(path, item, own); /* no deeper */
    json_decref(own);
    free(path);
  }
  return status;
}

/* A tensor to FOLDER/NAME.npy, a sequence to FOLDER/NAME/0.npy, 1.npy ..., a map to FOLDER/NAME/keys.npy and values.npy, a
 * sequence of maps to FOLDER/NAME/0/keys.npy ...; an absent optional to nothing. */
static int write_output(const char *folder, const char *name, const struct sumi_view *v, json_t *report) {
  if (v->absent) return CLI_GO_ON;
  const bool items = cli_is_sequence(v->kind) || v->kind == SUMI_MAP;
  char *path = cli_printf("%s/%s%s", folder, name, items ? "" : ".npy");
  const int status = items ? write_items(path, v, report) : write_one(path, v, report);
  free(path);
  return status;
}

/* ---- describing ---- */

static bool is_number(sumi_dtype d) {
  return d != SUMI_STRING && d != SUMI_COMPLEX64 && d != SUMI_COMPLEX128;
}

static void describe_numbers(const struct sumi_view *v, int64_t n, json_t *j) {
  enum { CHUNK = 4096, FIRST = 8 };
  double x[CHUNK], low = INFINITY, high = -INFINITY, sum = 0;
  int64_t bad = 0;
  json_t *first = json_array();
  for (int64_t at = 0; at < n; at += CHUNK) {
    const int64_t m = n - at < CHUNK ? n - at : CHUNK;
    sumi_view_read(v, at, m, x);
    for (int64_t i = 0; i < m; i++) {
      if (at + i < FIRST) json_array_append_new(first, cli_json_number(x[i]));
      if (!isfinite(x[i])) {
        bad++;
        continue;
      }
      if (x[i] < low) low = x[i];
      if (x[i] > high) high = x[i];
      sum += x[i];
    }
  }
  if (!cli_wants_json()) {
    printf("  least %.6g, greatest %.6g, mean %.6g", low, high, sum / (double)(n - bad));
    if (bad) printf(", %lld not finite", (long long)bad);
    printf("\n ");
    for (size_t i = 0; i < json_array_size(first); i++) {
      const json_t *item = json_array_get(first, i);
      printf(" %.6g", json_is_number(item) ? json_number_value(item) : NAN);
    }
    printf(n > FIRST ? " ...\n" : "\n");
  }
  json_object_set_new(j, "min", cli_json_number(low));
  json_object_set_new(j, "max", cli_json_number(high));
  json_object_set_new(j, "mean", cli_json_number(sum / (double)(n - bad)));
  json_object_set_new(j, "not_finite", json_integer(bad));
  json_object_set_new(j, "first", first);
}

static void describe_strings(const struct sumi_view *v, int64_t n, json_t *j) {
  json_t *first = json_array();
  const struct sumi_str *s = v->data;
  for (int64_t i = 0; i < n && i < 8; i++) {
    if (!cli_wants_json())
      printf("  \"%.*s\"\n", (int)(s[i].size < 200 ? s[i].size : 200), s[i].data ? s[i].data : "");
    json_array_append_new(first, cli_json_text_n(s[i].data ? s[i].data : "", s[i].size));
  }
  json_object_set_new(j, "first", first);
}

/* Key i of a map as text. */
static char *key_text(const struct sumi_view *keys, int64_t i) {
  const struct sumi_str *s = keys->data;
  if (keys->dtype == SUMI_STRING)
    return cli_printf("%.*s", (int)(s[i].size < 200 ? s[i].size : 200), s[i].data ? s[i].data : "");
  return cli_printf("%lld", (long long)((const int64_t *)keys->data)[i]);
}

/* A map as a JSON object, its keys as text; and its first pairs as a line. */
static json_t *describe_map(const struct sumi_view *map) {
  enum { FIRST = 8 };
  json_t *j = json_object();
  const struct sumi_view *keys = &map->items[0], *values = &map->items[1];
  const int64_t n = sumi_view_count(keys);
  for (int64_t i = 0; i < n; i++) {
    double x = 0;
    const struct sumi_str *s = values->data;
    const bool number = is_number(values->dtype);
    if (number) sumi_view_read(values, i, 1, &x);
    char *key = key_text(keys, i);
    json_object_set_new(j, key,
                        number ? cli_json_number(x) : cli_json_text_n(s[i].data ? s[i].data : "", s[i].size));
    if (!cli_wants_json() && i < FIRST) {
      printf("  %s: ", key);
      if (number)
        printf("%.6g", x);
      else
        printf("\"%.*s\"", (int)(s[i].size < 200 ? s[i].size : 200), s[i].data ? s[i].data : "");
    }
    free(key);
  }
  if (!cli_wants_json()) printf(n > FIRST ? " ...\n" : "\n");
  return j;
}

/* A map, or the first maps of a sequence. */
static void describe_maps(const struct sumi_view *v, json_t *j) {
  enum { FIRST = 8 };
  if (v->kind == SUMI_MAP) {
    if (!cli_wants_json()) printf("%s: a map to %s\n", v->name, sumi_dtype_name(v->dtype));
    json_object_set_new(j, "map", describe_map(v));
    return;
  }
  if (!cli_wants_json())
    printf("%s: a sequence of %zu maps to %s\n", v->name, v->n_items, sumi_dtype_name(v->dtype));
  json_object_set_new(j, "items", json_integer((json_int_t)v->n_items));
  json_t *list = json_array();
  for (size_t k = 0; k < v->n_items && k < FIRST; k++)
    json_array_append_new(list, describe_map(&v->items[k]));
  json_object_set_new(j, "first", list);
}

static json_t *describe(const struct sumi_view *v) {
  json_t *j = json_object();
  char text[300];
  json_object_set_new(j, "name", cli_json_text(v->name));
  json_object_set_new(j, "dtype", json_string(sumi_dtype_name(v->dtype)));
  if (v->absent) {
    json_object_set_new(j, "absent", json_true());
    if (!cli_wants_json()) printf("%s: nothing\n", v->name);
    return j;
  }
  if (v->kind == SUMI_MAP || v->kind == SUMI_MAP_SEQUENCE) {
    describe_maps(v, j);
    return j;
  }
  if (cli_is_sequence(v->kind)) {
    json_object_set_new(j, "items", json_integer((json_int_t)v->n_items));
    if (!cli_wants_json()) printf("%s: a sequence of %zu\n", v->name, v->n_items);
    return j;
  }
  json_object_set_new(j, "shape", cli_json_shape(v->rank, v->dims));
  if (!cli_wants_json())
    printf("%s: %s\n", v->name, cli_shape_text(v->dtype, v->rank, v->dims, text, sizeof text));
  const int64_t n = sumi_view_count(v);
  if (n > 0 && is_number(v->dtype)) describe_numbers(v, n, j);
  if (n > 0 && v->dtype == SUMI_STRING) describe_strings(v, n, j);
  return j;
}

/* The k likeliest classes of every row (last dim) of an output, to stdout or into the report. */
static int print_top(const struct sumi_view *v, size_t k, const struct cli_labels *labels, json_t *report) {
  const int64_t count = sumi_view_count(v), classes = v->rank > 0 ? v->dims[v->rank - 1] : 0;
  if (v->kind != SUMI_TENSOR || count <= 0 || classes < 1 || !is_number(v->dtype))
    return cli_wrong("--top: output '%s' is not a tensor of scores", v->name);
  double *row = cli_array_alloc((size_t)classes, sizeof *row);
  struct cli_top *top = cli_array_alloc(k + 1, sizeof *top);
  json_t *rows = json_array();
  for (int64_t r = 0; r < count / classes && r < 1000; r++) {
    sumi_view_read(v, r * classes, classes, row);
    const size_t n = cli_top(row, (size_t)classes, k, top);
    json_t *list = json_array();
    if (count > classes && !cli_wants_json()) printf("row %lld\n", (long long)r);
    for (size_t i = 0; i < n; i++) {
      char buf[32];
      const char *label = cli_label(labels, top[i].class_, buf, sizeof buf);
      if (!cli_wants_json()) printf("%6.2f %%  %s\n", 100 * top[i].score, label);
      json_t *j = json_object();
      json_object_set_new(j, "class", json_integer(top[i].class_));
      json_object_set_new(j, "label", cli_json_text(label));
      json_object_set_new(j, "score", cli_json_number(top[i].score));
      json_array_append_new(list, j);
    }
    json_array_append_new(rows, list);
  }
  json_object_set_new(report, "top", rows);
  free(row);
  free(top);
  return CLI_GO_ON;
}

static int report(const struct run_options *o, const struct sumi_view *out, size_t n, double seconds) {
  struct cli_labels labels;
  int status = cli_labels_read(o->labels, &labels);
  json_t *list = json_array();
  char **names = file_names(out, n);
  if (status == CLI_GO_ON && o->folder && !make_folder(o->folder)) {
    status = CLI_RESOURCE;
    cli_note("'%s' cannot be made: %s", o->folder, strerror(errno));
  }
  for (size_t i = 0; i < n && status == CLI_GO_ON; i++) {
    json_t *j;
    if (o->top > 0) {
      j = json_object();
      json_object_set_new(j, "name", cli_json_text(out[i].name));
      if (i == 0) status = print_top(&out[i], (size_t)o->top, &labels, j);
    } else {
      j = describe(&out[i]);
    }
    if (o->folder && status == CLI_GO_ON) status = write_output(o->folder, names[i], &out[i], j);
    json_array_append_new(list, j);
  }
  for (size_t i = 0; i < n; i++) free(names[i]);
  free(names);
  cli_labels_fini(&labels);
  json_t *j = json_object();
  json_object_set_new(j, "outputs", list);
  json_object_set_new(j, "seconds", cli_json_number(seconds));
  if (status == CLI_GO_ON && cli_wants_json()) return cli_print_json(j);
  json_decref(j);
  return status == CLI_GO_ON ? CLI_DONE : status;
}

/* The views of the outputs asked for. */
static int choose_outputs(const struct sumi_model *model, const struct cli_list *names,
                          struct sumi_view **out, size_t *n) {
  *out = cli_output_views(model, n);
  if (!names->n) return CLI_GO_ON;
  struct sumi_view *chosen = cli_array_alloc(names->n, sizeof *chosen);
  for (size_t i = 0; i < names->n; i++) {
    size_t k = 0;
    while (k < *n && strcmp((*out)[k].name, names->item[i])) k++;
    if (k < *n) {
      chosen[i] = (*out)[k];
      continue;
    }
    free(chosen);
    return cli_wrong("the model has no output '%s' (sumi info lists them)", names->item[i]);
  }
  free(*out);
  *out = chosen;
  *n = names->n;
  return CLI_GO_ON;
}

static int run(const char *path, const struct run_options *o) {
  struct sumi_model *model = NULL;
  struct sumi_session *session = NULL;
  struct sumi_err err = SUMI_ERR_INIT;
  struct cli_feed feed = {0};
  struct sumi_view *out = NULL;
  size_t n = 0;
  int status = cli_picture_check(&o->feed.picture);
  if (status == CLI_GO_ON) status = cli_open_model(path, &model);
  if (status == CLI_GO_ON) status = choose_outputs(model, &o->outputs, &out, &n);
  if (status == CLI_GO_ON) status = cli_feed_make(model, &o->feed, &feed);
  if (status == CLI_GO_ON) status = cli_open_session(model, &o->session, false, &session);
  if (status == CLI_GO_ON) {
    sumi_status s = sumi_session_prepare(session, feed.view, feed.n, &err);
    const double start = cli_seconds();
    if (s == SUMI_OK) s = sumi_session_run(session, feed.view, feed.n, out, n, &err);
    status = s == SUMI_OK ? report(o, out, n, cli_seconds() - start) : cli_refuse(s, "%s", err.text);
  }
  free(out);
  cli_feed_fini(&feed);
  sumi_session_free(session);
  sumi_model_unref(model);
  return status;
}

int cli_run(int argc, char **argv) {
  struct run_options o = {0};
  struct cli_list arguments = {0};
  const struct cli_option options[] = {
      CLI_INPUT_OPTIONS(o.feed),
      {"random", 'r', CLI_TEXT, &o.feed.random, "SEED", "random numbers for inputs without a file", 0, 0},
      {"batch", 'b', CLI_WHOLE, &o.feed.batch, "N",
       "first dim of random inputs, where the model leaves it open", 1, 1e6},
      {"output", 0, CLI_LIST, &o.outputs, "NAME", "only this output (may be given many times)", 0, 0},
      {"out", 'o', CLI_TEXT, &o.folder, "DIR", "write every output to DIR/NAME.npy", 0, 0},
      {"top", 'k', CLI_WHOLE, &o.top, "K", "print the K likeliest classes of the first output", 1, 1e6},
      {"labels", 0, CLI_TEXT, &o.labels, "FILE", "names of the classes, one a line", 0, 0},
      CLI_PICTURE_OPTIONS(o.feed.picture),
      CLI_SESSION_OPTIONS(o.session),
      {NULL, 0, CLI_FLAG, NULL, NULL, NULL, 0, 0}};
  const struct cli_usage usage = {
      .command = "run",
      .arguments = "MODEL",
      .min_arguments = 1,
      .max_arguments = 1,
      .summary = "Runs a model once. Inputs come from files; a missing one is an error unless --random SEED "
                 "is given.",
      .example = "  sumi run model.onnx -i image=cat.jpg --scale 0.0078125 --mean 0.992,0.992,0.992 --top 5\n"
                 "  sumi run model.onnx -i tokens=ids.npy -i mask=mask.npy -o results\n"
                 "  sumi run model.onnx --random 1 --shape tokens=1x16 --range tokens=0:999 --json",
      .options = options};
  int status = cli_parse(&usage, argc, argv, &arguments);
  if (status == CLI_GO_ON) status = run(arguments.item[0], &o);
  cli_list_fini(&arguments);
  cli_list_fini(&o.outputs);
  cli_feed_options_fini(&o.feed);
  return status;
}
