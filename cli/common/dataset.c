/* Labelled data. Order is by name, so that equal folders give equal samples everywhere. */
#include "common/dataset.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* ---- folders of pictures ---- */

static bool is_picture(const char *name) {
  const char *dot = strrchr(name, '.');
  return dot &&
         (strcasecmp(dot, ".jpg") == 0 || strcasecmp(dot, ".jpeg") == 0 || strcasecmp(dot, ".png") == 0);
}

static bool is_folder(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int by_bytes(const struct dirent **a, const struct dirent **b) {
  return strcmp((*a)->d_name, (*b)->d_name);
}

static int visible(const struct dirent *e) { return e->d_name[0] != '.'; }

struct paths {
  size_t path_cap, label_cap, class_cap;
};

static void add_picture(struct cli_dataset *d, struct paths *caps, char *take_path, int64_t label) {
  d->path = cli_grow(d->path, &caps->path_cap, d->n + 1, sizeof *d->path);
  d->label = cli_grow(d->label, &caps->label_cap, d->n + 1, sizeof *d->label);
  d->path[d->n] = take_path;
  d->label[d->n++] = label;
}

/* label < 0: every picture is a class of its own. */
static void add_folder(struct cli_dataset *d, struct paths *caps, const char *folder, int64_t label) {
  struct dirent **entries;
  const int n = scandir(folder, &entries, visible, by_bytes);
  for (int i = 0; i < n; i++) {
    if (is_picture(entries[i]->d_name))
      add_picture(d, caps, cli_printf("%s/%s", folder, entries[i]->d_name),
                  label < 0 ? (int64_t)d->n : label);
    free(entries[i]);
  }
  if (n >= 0) free(entries);
}

static void open_folder(const char *folder, struct cli_dataset *d) {
  struct paths caps = {0};
  struct dirent **entries;
  const int n = scandir(folder, &entries, visible, by_bytes);
  d->truth = CLI_CLASSES;
  for (int i = 0; i < n; i++) {
    char *sub = cli_printf("%s/%s", folder, entries[i]->d_name);
    if (is_folder(sub)) {
      add_folder(d, &caps, sub, (int64_t)d->n_classes);
      d->class_ = cli_grow(d->class_, &caps.class_cap, d->n_classes + 1, sizeof *d->class_);
      d->class_[d->n_classes++] = cli_strdup(entries[i]->d_name);
    }
    free(sub);
    free(entries[i]);
  }
  if (n >= 0) free(entries);
  if (!d->n_classes) add_folder(d, &caps, folder, -1);
}

/* ---- arrays ---- */

static const struct cli_tensor *find(const struct cli_dataset *d, const char *name) {
  for (size_t i = 0; i < d->n_arrays; i++)
    if (strcmp(d->array[i]->name, name) == 0) return d->array[i];
  return NULL;
}

static const struct cli_tensor *find_side(const struct cli_dataset *d, const char *name, char side) {
  char *full = cli_printf("%s_%c", name, side);
  const struct cli_tensor *t = find(d, d->truth == CLI_PAIRS ? full : name);
  free(full);
  return t;
}

static int check_array(const char *path, const struct sumi_port_info *port, const struct cli_tensor *t,
                       size_t *n) {
  if (!t) return cli_refuse(SUMI_E_ARG, "'%s' has no array for input '%s'", path, port->name);
  if (!cli_tensor_adopt((struct cli_tensor *)t, port->dtype))
    return cli_refuse(SUMI_E_TYPE, "'%s': '%s' is %s, the model takes %s", path, t->name,
                      sumi_dtype_name(t->view.dtype), sumi_dtype_name(port->dtype));
  if (t->view.rank < 1 || t->view.strides || sumi_dtype_size_bits(t->view.dtype) < 8)
    return cli_refuse(SUMI_E_SHAPE, "'%s': '%s' has to be row-major, samples along the first dim", path,
                      t->name);
  if (*n == SIZE_MAX) *n = (size_t)t->dims[0];
  if (*n != (size_t)t->dims[0])
    return cli_refuse(SUMI_E_SHAPE, "'%s': '%s' has %lld samples, others have %zu", path, t->name,
                      (long long)t->dims[0], *n);
  return CLI_GO_ON;
}

static int open_arrays(const char *path, const struct sumi_model *model, struct cli_dataset *d) {
  struct cli_bytes b;
  struct sumi_err err = SUMI_ERR_INIT;
  sumi_status s = cli_bytes_read(path, &b, &err);
  if (s != SUMI_OK) return cli_refuse(s, "%s", err.text);
  s = cli_npz_parse(b.data, b.n, &d->array, &d->n_arrays, &err);
  cli_bytes_fini(&b);
  if (s != SUMI_OK) return cli_refuse(s, "'%s': %s", path, err.text);
  const struct cli_tensor *labels = find(d, "labels"), *score = find(d, "score");
  d->truth = score ? CLI_PAIRS : labels ? CLI_CLASSES : CLI_NONE;
  size_t n = SIZE_MAX;
  int status = CLI_GO_ON;
  for (size_t i = 0; i < sumi_model_input_count(model) && status == CLI_GO_ON; i++) {
    const struct sumi_port_info port = cli_input(model, i);
    if (port.has_default) continue;
    status = check_array(path, &port, find_side(d, port.name, 'a'), &n);
    if (status == CLI_GO_ON && d->truth == CLI_PAIRS)
      status = check_array(path, &port, find_side(d, port.name, 'b'), &n);
  }
  const struct cli_tensor *truth = score ? score : labels;
  if (status == CLI_GO_ON && truth &&
      (sumi_view_count(&truth->view) != (int64_t)n || truth->view.dtype == SUMI_STRING))
    status = cli_refuse(SUMI_E_SHAPE, "'%s': '%s' is not one number for each of %zu samples", path,
                        truth->name, n);
  if (status != CLI_GO_ON) return status;
  d->n = n == SIZE_MAX ? 0 : n;
  if (labels) d->label = cli_array_alloc(d->n, sizeof *d->label);
  if (score) d->score = cli_array_alloc(d->n, sizeof *d->score);
  for (size_t i = 0; i < d->n && truth; i++) {
    const double x = sumi_view_get(&truth->view, (int64_t)i);
    if (score)
      d->score[i] = x;
    else
      d->label[i] = x >= 0 && x < 1e15 ? (int64_t)x : -1;
  }
  return CLI_GO_ON;
}

int cli_dataset_open(const char *path, const struct sumi_model *model, struct cli_dataset *d) {
  *d = (struct cli_dataset){0};
  int status = CLI_GO_ON;
  if (is_folder(path))
    open_folder(path, d);
  else
    status = open_arrays(path, model, d);
  if (status == CLI_GO_ON && !d->n) status = cli_refuse(SUMI_E_ARG, "'%s' holds no samples", path);
  if (status != CLI_GO_ON) cli_dataset_fini(d);
  return status;
}

void cli_dataset_fini(struct cli_dataset *d) {
  for (size_t i = 0; i < d->n && d->path; i++) free(d->path[i]);
  for (size_t i = 0; i < d->n_classes; i++) free(d->class_[i]);
  for (size_t i = 0; i < d->n_arrays; i++) cli_tensor_free(d->array[i]);
  free(d->path);
  free(d->label);
  free(d->score);
  free(d->class_);
  free(d->array);
  *d = (struct cli_dataset){0};
}

size_t *cli_dataset_spread(const struct cli_dataset *d, int64_t limit, size_t *n) {
  *n = limit > 0 && (uint64_t)limit < d->n ? (size_t)limit : d->n;
  size_t *index = cli_array_alloc(*n, sizeof *index);
  for (size_t i = 0; i < *n; i++) index[i] = (size_t)((double)i * (double)d->n / (double)*n);
  return index;
}

/* ---- batches ---- */

/* The model's input for pictures: the only one with four dims. */
static bool picture_input(const struct sumi_model *model, struct sumi_port_info *port) {
  size_t found = 0;
  for (size_t i = 0; i < sumi_model_input_count(model); i++) {
    const struct sumi_port_info p = cli_input(model, i);
    if (p.rank == 4 && !p.has_default) *port = p, found++;
  }
  return found == 1;
}

static int load_picture(const struct sumi_port_info *port, const struct cli_picture_options *o,
                        const char *path, struct cli_tensor **out) {
  struct cli_bytes b;
  struct sumi_err err = SUMI_ERR_INIT;
  sumi_status s = cli_bytes_read(path, &b, &err);
  if (s != SUMI_OK) return cli_refuse(s, "%s", err.text);
  s = cli_picture_parse(port, o, b.data, b.n, out, &err);
  cli_bytes_fini(&b);
  return s == SUMI_OK ? CLI_GO_ON : cli_refuse(s, "'%s': %s", path, err.text);
}

static int picture_batch(const struct cli_dataset *d, const struct sumi_model *model,
                         const struct cli_picture_options *o, const size_t *index, size_t n,
                         struct cli_feed *feed) {
  struct sumi_port_info port;
  struct cli_tensor *batch = NULL;
  size_t bytes = 0;
  if (!picture_input(model, &port))
    return cli_refuse(SUMI_E_ARG, "the model has not exactly one input with four dims for pictures");
  for (size_t i = 0; i < n; i++) {
    struct cli_tensor *one = NULL;
    int status = load_picture(&port, o, d->path[index[i]], &one);
    if (status == CLI_GO_ON && !batch) {
      int64_t dims[SUMI_MAX_RANK];
      memcpy(dims, one->dims, sizeof dims);
      dims[0] = (int64_t)n;
      batch = cli_tensor_new(port.name, one->view.dtype, one->view.rank, dims);
      cli_tensor_bytes(one->view.dtype, sumi_view_count(&one->view), &bytes);
    }
    if (status == CLI_GO_ON && memcmp(batch->dims + 1, one->dims + 1, 3 * sizeof *one->dims))
      status = cli_refuse(SUMI_E_SHAPE, "'%s' differs in size from others of its batch: say --size or --crop",
                          d->path[index[i]]);
    if (status == CLI_GO_ON) memcpy((char *)batch->memory + i * bytes, one->memory, bytes);
    cli_tensor_free(one);
    if (status == CLI_GO_ON) continue;
    cli_tensor_free(batch);
    return status;
  }
  cli_feed_add(feed, batch);
  return CLI_GO_ON;
}

/* Length of the longest row of a mask [N, S] among the samples. */
static int64_t longest_row(const struct cli_tensor *mask, const size_t *index, size_t n) {
  const int64_t width = mask->dims[1];
  int64_t longest = 1;
  for (size_t i = 0; i < n; i++)
    for (int64_t k = width; k > longest; k--)
      if (sumi_view_get(&mask->view, (int64_t)index[i] * width + k - 1) != 0) {
        longest = k;
        break;
      }
  return longest;
}

int64_t cli_dataset_row_length(const struct cli_dataset *d, const char *name, size_t index, char side) {
  const struct cli_tensor *mask = find_side(d, name, side);
  return mask && mask->view.rank == 2 ? longest_row(mask, &index, 1) : -1;
}

/* Rows index[n] of an array, cut to columns where its second dim is width (0 = never). */
static struct cli_tensor *take_rows(const struct cli_tensor *from, const char *name, const size_t *index,
                                    size_t n, int64_t width, int64_t columns) {
  const struct sumi_view *v = &from->view;
  int64_t dims[SUMI_MAX_RANK], per_row = 1;
  memcpy(dims, from->dims, sizeof dims);
  dims[0] = (int64_t)n;
  const bool cut = width > 0 && v->rank == 2 && dims[1] == width;
  for (int i = 1; i < v->rank; i++) per_row *= dims[i];
  if (cut) dims[1] = columns;
  struct cli_tensor *t = cli_tensor_new(name, v->dtype, v->rank, dims);
  const size_t each = sumi_dtype_size_bits(v->dtype) / 8;
  const size_t take = (size_t)(cut ? columns : per_row) * each;
  for (size_t i = 0; i < n; i++)
    memcpy((char *)t->memory + i * take, (const char *)from->memory + index[i] * (size_t)per_row * each,
           take);
  return t;
}

int cli_dataset_batch(const struct cli_dataset *d, const struct sumi_model *model,
                      const struct cli_picture_options *picture, const size_t *index, size_t n, char side,
                      const char *trim, struct cli_feed *feed) {
  *feed = (struct cli_feed){0};
  if (d->path) return picture_batch(d, model, picture, index, n, feed);
  int64_t width = 0, columns = 0;
  if (trim) {
    const struct cli_tensor *mask = find_side(d, trim, side);
    if (!mask || mask->view.rank != 2) return cli_wrong("--trim '%s': there is no such array of rows", trim);
    width = mask->dims[1];
    columns = longest_row(mask, index, n);
    if (d->multiple) columns = (columns + d->multiple - 1) / d->multiple * d->multiple;
    if (columns > mask->view.dims[1]) columns = mask->view.dims[1];
  }
  for (size_t i = 0; i < sumi_model_input_count(model); i++) {
    const struct sumi_port_info port = cli_input(model, i);
    if (port.has_default) continue;
    const struct cli_tensor *from = find_side(d, port.name, side);
    if (!from || from->view.dtype != port.dtype)
      return cli_refuse(SUMI_E_TYPE, "the data has no %s array for input '%s'", sumi_dtype_name(port.dtype),
                        port.name);
    cli_feed_add(feed, take_rows(from, port.name, index, n, width, columns));
  }
  return CLI_GO_ON;
}
