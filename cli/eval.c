/* sumi eval: accuracy on labelled data, and agreement with a reference model on the same inputs. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/dataset.h"
#include "common/score.h"
#include "common/top.h"

struct eval_options {
  struct cli_session_options session;
  struct cli_picture_options picture;
  const char *data, *reference, *output, *trim, *labels;
  int64_t limit, batch, show;
};

/* A model under test, and what its runs gave. */
struct subject {
  struct sumi_model *model;
  struct sumi_session *session;
  struct sumi_view out; /* the output that is judged */
  double *row;          /* [samples, width] scores or embeddings of the last batch */
  size_t width, cap;
  size_t top1, top5;
  double *likeness; /* [n], pairs */
  double seconds;   /* in runs */
};

struct agreement {
  size_t same_top1;
  double cosine; /* sum over samples */
  double worst;  /* largest difference over the largest magnitude of the row */
};

static int open_subject(const char *path, const struct eval_options *o, struct subject *s) {
  int status = cli_open_model(path, &s->model);
  if (status == CLI_GO_ON) status = cli_open_session(s->model, &o->session, false, &s->session);
  if (status != CLI_GO_ON) return status;
  s->out = (struct sumi_view){.size = sizeof s->out};
  for (size_t i = 0; i < sumi_model_output_count(s->model) && !s->out.name; i++) {
    const struct sumi_port_info port = cli_output(s->model, i);
    if (!o->output || strcmp(o->output, port.name) == 0) s->out.name = port.name;
  }
  return s->out.name ? CLI_GO_ON
                     : cli_wrong("'%s' has no output '%s'", path, o->output ? o->output : "at all");
}

static void close_subject(struct subject *s) {
  sumi_session_free(s->session);
  sumi_model_unref(s->model);
  free(s->row);
  free(s->likeness);
}

/* Runs a batch of n samples; the judged output's rows go to row[n, width]. */
static int run_batch(struct subject *s, const struct cli_feed *feed, size_t n) {
  struct sumi_err err = SUMI_ERR_INIT;
  s->out.data = NULL;
  const double start = cli_seconds();
  const sumi_status status = sumi_session_run(s->session, feed->view, feed->n, &s->out, 1, &err);
  s->seconds += cli_seconds() - start;
  if (status != SUMI_OK) return cli_refuse(status, "%s", err.text);
  const int64_t count = sumi_view_count(&s->out);
  if (s->out.kind != SUMI_TENSOR || count <= 0 || (size_t)count % n || s->out.dtype == SUMI_STRING)
    return cli_refuse(SUMI_E_SHAPE, "output '%s' is not a row of numbers per sample", s->out.name);
  s->width = (size_t)count / n;
  s->row = cli_grow(s->row, &s->cap, (size_t)count, sizeof *s->row);
  sumi_view_read(&s->out, 0, count, s->row);
  return CLI_GO_ON;
}

static void judge_classes(struct subject *s, const struct cli_dataset *d, const size_t *index, size_t n) {
  for (size_t i = 0; i < n && d->label; i++) {
    const size_t place = cli_rank_of(s->row + i * s->width, s->width, d->label[index[i]]);
    s->top1 += place < 1;
    s->top5 += place < 5;
  }
}

static size_t best_of(const double *x, size_t n) {
  size_t best = 0;
  for (size_t i = 1; i < n; i++)
    if (x[i] > x[best]) best = i;
  return best;
}

static int compare_rows(const struct subject *s, const struct subject *r, size_t n, struct agreement *a) {
  if (s->width != r->width)
    return cli_refuse(SUMI_E_SHAPE, "the models' outputs differ: %zu and %zu numbers per sample", s->width,
                      r->width);
  for (size_t i = 0; i < n; i++) {
    const double *x = s->row + i * s->width, *y = r->row + i * r->width;
    double largest = 0, apart = 0;
    a->same_top1 += best_of(x, s->width) == best_of(y, s->width);
    a->cosine += cli_cosine(x, y, s->width);
    for (size_t k = 0; k < s->width; k++) {
      largest = fmax(largest, fabs(y[k]));
      apart = fmax(apart, fabs(x[k] - y[k]));
    }
    if (largest > 0 && apart / largest > a->worst) a->worst = apart / largest;
  }
  return CLI_GO_ON;
}

static void show_sample(const struct subject *s, const struct cli_dataset *d, const struct cli_labels *labels,
                        size_t index, size_t row) {
  char a[32], b[32];
  struct cli_top top[2];
  const struct cli_labels folders = {d->class_, d->n_classes, 0};
  const struct cli_labels *names = labels->n ? labels : &folders;
  if (cli_wants_json() || d->truth != CLI_CLASSES || !cli_top(s->row + row * s->width, s->width, 1, top))
    return;
  printf("%-44s %-20s %6.2f %%  %s\n", d->path ? d->path[index] : "",
         cli_label(names, top[0].class_, a, sizeof a), 100 * top[0].score,
         top[0].class_ == d->label[index] ? "right" : cli_label(names, d->label[index], b, sizeof b));
}

struct evaluation {
  struct cli_dataset data;
  struct cli_labels labels;
  size_t *chosen; /* [n] indices of the samples taken */
  size_t n;
  struct subject subject, reference;
  struct agreement agreement;
  double seconds;
};

/* Both sides of pairs: embeddings of side a are kept until b's are there. */
static int eval_pairs(struct subject *s, const struct cli_feed sides[2], size_t at, size_t n) {
  int status = run_batch(s, &sides[0], n);
  if (status != CLI_GO_ON) return status;
  double *first = cli_array_alloc(n * s->width, sizeof *first);
  const size_t width = s->width;
  memcpy(first, s->row, n * width * sizeof *first);
  status = run_batch(s, &sides[1], n);
  if (status == CLI_GO_ON && s->width != width)
    status =
        cli_refuse(SUMI_E_SHAPE, "output '%s' is of another width for the second of a pair", s->out.name);
  for (size_t i = 0; i < n && status == CLI_GO_ON; i++)
    s->likeness[at + i] = cli_cosine(first + i * width, s->row + i * width, width);
  free(first);
  return status;
}

static int eval_batch(struct evaluation *e, const struct eval_options *o, size_t at, size_t n) {
  const size_t *index = e->chosen + at;
  struct subject *s = &e->subject, *r = e->reference.session ? &e->reference : NULL;
  struct cli_feed sides[2] = {{0}, {0}};
  const bool pairs = e->data.truth == CLI_PAIRS;
  int status = CLI_GO_ON;
  for (int k = 0; k <= pairs && status == CLI_GO_ON; k++)
    status =
        cli_dataset_batch(&e->data, s->model, &o->picture, index, n, (char)('a' + k), o->trim, &sides[k]);
  if (status == CLI_GO_ON && pairs) {
    status = eval_pairs(s, sides, at, n);
    if (status == CLI_GO_ON && r) status = eval_pairs(r, sides, at, n);
  } else if (status == CLI_GO_ON) {
    status = run_batch(s, &sides[0], n);
    if (status == CLI_GO_ON) judge_classes(s, &e->data, index, n);
    if (status == CLI_GO_ON && r) status = run_batch(r, &sides[0], n);
    if (status == CLI_GO_ON && r) judge_classes(r, &e->data, index, n);
  }
  if (status == CLI_GO_ON && r) status = compare_rows(s, r, n, &e->agreement);
  const size_t every = o->show > 0 ? (e->n + (size_t)o->show - 1) / (size_t)o->show : 0;
  for (size_t i = 0; i < n && status == CLI_GO_ON && every; i++)
    if ((at + i) % every == 0) show_sample(s, &e->data, &e->labels, index[i], i);
  cli_feed_fini(&sides[0]);
  cli_feed_fini(&sides[1]);
  return status;
}

static double share(size_t part, size_t whole) { return (double)part / (double)whole; }

static void add_figures(json_t *j, const struct evaluation *e, const struct subject *s) {
  if (e->data.truth == CLI_CLASSES) {
    json_object_set_new(j, "correct", json_integer((json_int_t)s->top1));
    json_object_set_new(j, "top1", cli_json_number(share(s->top1, e->n)));
    json_object_set_new(j, "top5", cli_json_number(share(s->top5, e->n)));
  }
  if (e->data.truth == CLI_PAIRS) {
    double *truth = cli_array_alloc(e->n, sizeof *truth);
    for (size_t i = 0; i < e->n; i++) truth[i] = e->data.score[e->chosen[i]];
    json_object_set_new(j, "spearman", cli_json_number(cli_spearman(s->likeness, truth, e->n)));
    free(truth);
  }
  const double samples = (double)e->n * (e->data.truth == CLI_PAIRS ? 2 : 1);
  json_object_set_new(j, "images_per_s", cli_json_number(s->seconds > 0 ? samples / s->seconds : 0));
}

static void print_figures(const char *who, const json_t *j) {
  printf("%s", who);
  if (json_object_get(j, "top1"))
    printf("top-1 %.2f %%, top-5 %.2f %%, ", 100 * json_number_value(json_object_get(j, "top1")),
           100 * json_number_value(json_object_get(j, "top5")));
  if (json_object_get(j, "spearman"))
    printf("Spearman %.4f, ", json_number_value(json_object_get(j, "spearman")));
  printf("%.1f samples/s\n", json_number_value(json_object_get(j, "images_per_s")));
}

static int report(const struct evaluation *e, const struct eval_options *o) {
  json_t *j = json_object();
  json_object_set_new(j, "n", json_integer((json_int_t)e->n));
  add_figures(j, e, &e->subject);
  json_object_set_new(j, "seconds", cli_json_number(e->seconds));
  json_object_set_new(j, "device", json_string(o->session.device ? o->session.device : "cpu"));
  json_object_set_new(j, "isa", json_string(o->session.isa ? o->session.isa : sumi_isa_name()));
  json_object_set_new(j, "threads", json_integer(o->session.threads ? o->session.threads : 1));
  json_t *r = NULL;
  if (e->reference.session) {
    r = json_object();
    add_figures(r, e, &e->reference);
    json_object_set_new(r, "agreement", cli_json_number(share(e->agreement.same_top1, e->n)));
    json_object_set_new(r, "cosine", cli_json_number(e->agreement.cosine / (double)e->n));
    json_object_set_new(r, "worst_difference", cli_json_number(e->agreement.worst));
    json_object_set_new(j, "reference", r);
  }
  if (cli_wants_json()) return cli_print_json(j);
  printf("%zu samples in %.2f s; %s\n", e->n, e->seconds, sumi_machine());
  print_figures("", j);
  if (r) {
    print_figures("reference: ", r);
    printf("same top-1 as the reference %.2f %%, mean cosine %.6f, largest difference %.3g of the largest "
           "output\n",
           100 * share(e->agreement.same_top1, e->n), e->agreement.cosine / (double)e->n, e->agreement.worst);
  }
  json_decref(j);
  return CLI_DONE;
}

static int eval(const char *path, const struct eval_options *o) {
  struct evaluation e = {0};
  int status = o->data ? cli_picture_check(&o->picture) : cli_wrong("--data is missing");
  if (status == CLI_GO_ON) status = open_subject(path, o, &e.subject);
  if (status == CLI_GO_ON && o->reference) status = open_subject(o->reference, o, &e.reference);
  if (status == CLI_GO_ON) status = cli_labels_read(o->labels, &e.labels);
  if (status == CLI_GO_ON) status = cli_dataset_open(o->data, e.subject.model, &e.data);
  if (status == CLI_GO_ON && e.data.truth == CLI_NONE && !o->reference)
    status =
        cli_refuse(SUMI_E_ARG, "'%s' has neither labels nor scores, and there is no --reference", o->data);
  if (status == CLI_GO_ON) {
    e.chosen = cli_dataset_spread(&e.data, o->limit, &e.n);
    e.subject.likeness = cli_array_alloc(e.n, sizeof(double));
    e.reference.likeness = cli_array_alloc(e.n, sizeof(double));
    struct cli_progress progress = cli_progress_start("samples", e.n);
    const double start = cli_seconds();
    const size_t batch = o->batch > 0 ? (size_t)o->batch : 1;
    for (size_t at = 0; at < e.n && status == CLI_GO_ON; at += batch) {
      status = eval_batch(&e, o, at, e.n - at < batch ? e.n - at : batch);
      cli_progress_step(&progress, at + batch < e.n ? at + batch : e.n);
    }
    cli_progress_end(&progress);
    e.seconds = cli_seconds() - start;
  }
  if (status == CLI_GO_ON) status = report(&e, o);
  free(e.chosen);
  cli_dataset_fini(&e.data);
  cli_labels_fini(&e.labels);
  close_subject(&e.subject);
  close_subject(&e.reference);
  return status;
}

int cli_eval(int argc, char **argv) {
  struct eval_options o = {0};
  struct cli_list arguments = {0};
  const struct cli_option options[] = {
      {"data", 0, CLI_TEXT, &o.data, "DATA", "a folder or an .npz file, see above", 0, 0},
      {"reference", 0, CLI_TEXT, &o.reference, "MODEL", "also run this model, and say how far both agree", 0,
       0},
      {"limit", 'n', CLI_WHOLE, &o.limit, "N", "so many samples, spread evenly (all)", 1, 1e12},
      {"batch", 'b', CLI_WHOLE, &o.batch, "N", "samples per run (1)", 1, 65536},
      {"output", 0, CLI_TEXT, &o.output, "NAME", "the output that is judged (the first)", 0, 0},
      {"trim", 0, CLI_TEXT, &o.trim, "MASK", "leave out columns in which input MASK is zero in a whole batch",
       0, 0},
      {"show", 0, CLI_WHOLE, &o.show, "N", "print class and confidence of N samples", 1, 1e9},
      {"labels", 0, CLI_TEXT, &o.labels, "FILE", "names of the classes, one a line", 0, 0},
      CLI_PICTURE_OPTIONS(o.picture),
      CLI_SESSION_OPTIONS(o.session),
      {NULL, 0, CLI_FLAG, NULL, NULL, NULL, 0, 0}};
  const struct cli_usage usage = {
      .command = "eval",
      .arguments = "MODEL",
      .min_arguments = 1,
      .max_arguments = 1,
      .summary =
          "Measures accuracy. DATA is a folder with a folder of pictures per class (classes in the order of "
          "names),\n"
          "a folder of pictures (the n-th by name is class n), an .npz with an array per input and "
          "\"labels\", or\n"
          "one with NAME_a and NAME_b per input and \"score\" (Spearman correlation of cosine and score).",
      .example = "  sumi eval model.onnx --data images/ --crop 224 --mean 127,127,127 --std 128,128,128\n"
                 "  sumi eval pruned.onnx --data images/ --reference model.onnx --limit 500 --json",
      .options = options};
  int status = cli_parse(&usage, argc, argv, &arguments);
  if (status == CLI_GO_ON) status = eval(arguments.item[0], &o);
  cli_list_fini(&arguments);
  return status;
}
