/* The inputs of a run. Everything said about them on the command line or in a file is checked against the model here,
 * as far as a better sentence than the library's can be given. */
#include "common/feed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sumi/image.h>

void cli_feed_add(struct cli_feed *feed, struct cli_tensor *take_tensor) {
  size_t cap = feed->cap;
  feed->tensor = cli_grow(feed->tensor, &cap, feed->n + 1, sizeof *feed->tensor);
  feed->view = cli_grow(feed->view, &feed->cap, feed->n + 1, sizeof *feed->view);
  feed->view[feed->n] = take_tensor->view;
  feed->tensor[feed->n++] = take_tensor;
}

const struct cli_tensor *cli_feed_find(const struct cli_feed *feed, const char *name) {
  for (size_t i = 0; i < feed->n; i++)
    if (strcmp(feed->tensor[i]->name, name) == 0) return feed->tensor[i];
  return NULL;
}

void cli_feed_fini(struct cli_feed *feed) {
  for (size_t i = 0; i < feed->n; i++) cli_tensor_free(feed->tensor[i]);
  free(feed->tensor);
  free(feed->view);
  *feed = (struct cli_feed){0};
}

void cli_feed_options_fini(struct cli_feed_options *o) {
  cli_list_fini(&o->inputs);
  cli_list_fini(&o->shapes);
  cli_list_fini(&o->ranges);
}

/* ---- "NAME=VALUE", where names may contain '=' ---- */

/* The input that the text names, and what follows its '='; false where no input's name fits. */
static bool split(const struct sumi_model *model, const char *text, struct sumi_port_info *port,
                  const char **value) {
  for (const char *equals = strchr(text, '='); equals; equals = strchr(equals + 1, '=')) {
    char *name = cli_printf("%.*s", (int)(equals - text), text);
    const bool found = cli_find_input(model, name, port);
    free(name);
    *value = equals + 1;
    if (found) return true;
  }
  return false;
}

static int no_such_input(const struct sumi_model *model, const char *text) {
  char *names = cli_strdup("");
  for (size_t i = 0; i < sumi_model_input_count(model); i++) {
    char *longer = cli_printf("%s%s'%s'", names, i ? ", " : "", cli_input(model, i).name);
    free(names);
    names = longer;
  }
  const int status = cli_wrong("'%s' names no input of the model; it has %s", text, *names ? names : "none");
  free(names);
  return status;
}

/* ---- files ---- */

static bool begins(const struct cli_bytes *b, const char *magic, size_t n) {
  return b->n >= n && memcmp(b->data, magic, n) == 0;
}

static bool is_picture(const struct cli_bytes *b) { return sumi_image_format(b->data, b->n) != NULL; }

static int refuse(const char *path, sumi_status status, const struct sumi_err *err) {
  return cli_refuse(status, "'%s': %s", path, err->text);
}

static int adopt(const struct sumi_port_info *port, const char *path, struct cli_tensor *take_tensor,
                 struct cli_feed *feed) {
  if (!cli_tensor_adopt(take_tensor, port->dtype)) {
    const int status =
        cli_refuse(SUMI_E_TYPE, "'%s' holds %s, input '%s' takes %s", path,
                   take_tensor->opaque_bytes ? "raw bytes" : sumi_dtype_name(take_tensor->view.dtype),
                   port->name, sumi_dtype_name(port->dtype));
    cli_tensor_free(take_tensor);
    return status;
  }
  cli_tensor_rename(take_tensor, port->name);
  cli_feed_add(feed, take_tensor);
  return CLI_GO_ON;
}

/* port NULL: all arrays go to the inputs of their names. */
static int take_npz(const struct sumi_model *model, const struct sumi_port_info *port, const char *path,
                    const struct cli_bytes *b, struct cli_feed *feed) {
  struct cli_tensor **arrays;
  size_t n;
  struct sumi_err err = SUMI_ERR_INIT;
  const sumi_status status = cli_npz_parse(b->data, b->n, &arrays, &n, &err);
  int result = status == SUMI_OK ? CLI_GO_ON : refuse(path, status, &err);
  bool found = false;
  for (size_t i = 0; i < n; i++) {
    struct cli_tensor *t = arrays[i];
    struct sumi_port_info own;
    const bool wanted =
        port ? n == 1 || strcmp(t->name, port->name) == 0 : cli_find_input(model, t->name, &own);
    if (result == CLI_GO_ON && wanted) {
      found = true;
      result = adopt(port ? port : &own, path, t, feed);
    } else {
      if (result == CLI_GO_ON && !port)
        result = cli_refuse(SUMI_E_ARG, "'%s': array '%s' is no input of the model", path, t->name);
      cli_tensor_free(t);
    }
  }
  free(arrays);
  if (result == CLI_GO_ON && !found)
    result = cli_refuse(SUMI_E_ARG, "'%s' has no array '%s'", path, port ? port->name : "of the model's");
  return result;
}

static int take_bytes(const struct sumi_model *model, const struct cli_feed_options *o,
                      const struct sumi_port_info *port, const char *path, const struct cli_bytes *b,
                      struct cli_feed *feed) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct cli_tensor *t = NULL;
  sumi_status status;
  if (begins(b, "PK\x03\x04", 4) || begins(b, "PK\x05\x06", 4)) return take_npz(model, port, path, b, feed);
  if (!port) return cli_wrong("'%s': which input is it for? say NAME=%s", path, path);
  if (begins(b, "\x93NUMPY", 6)) {
    status = cli_npy_parse(port->name, b->data, b->n, &t, &err);
  } else if (is_picture(b) && port->dtype == SUMI_UINT8 && port->rank == 1) {
    const int64_t n = (int64_t)b->n; /* the network decodes pictures itself */
    t = cli_tensor_new(port->name, SUMI_UINT8, 1, &n);
    memcpy(t->memory, b->data, b->n);
    status = SUMI_OK;
  } else if (is_picture(b)) {
    status = cli_picture_parse(port, &o->picture, b->data, b->n, &t, &err);
  } else {
    const size_t n = strlen(path);
    if (n < 3 || strcmp(path + n - 3, ".pb"))
      return cli_refuse(SUMI_E_FORMAT, "'%s' is neither .npy, .npz, .pb nor a picture", path);
    struct sumi_buffer *buffer = NULL;
    status = sumi_buffer_from_onnx(b->data, b->n, cli_data_kind(port->kind), &buffer, &err);
    if (status == SUMI_OK) t = cli_tensor_from_buffer(port->name, buffer);
  }
  if (status != SUMI_OK) return refuse(path, status, &err);
  if (port->kind == SUMI_TENSOR) return adopt(port, path, t, feed);
  cli_feed_add(feed, t);
  return CLI_GO_ON;
}

static int take_file(const struct sumi_model *model, const struct cli_feed_options *o, const char *text,
                     struct cli_feed *feed) {
  struct sumi_port_info port;
  const char *path = text;
  const bool named = split(model, text, &port, &path);
  bool single = false;
  if (!named) {
    path = text;
    size_t wanted = 0;
    for (size_t i = sumi_model_input_count(model); i-- > 0;)
      if (!cli_input(model, i).has_default) port = cli_input(model, i), wanted++;
    single = wanted == 1;
  }
  struct cli_bytes b;
  struct sumi_err err = SUMI_ERR_INIT;
  const sumi_status status = cli_bytes_read(path, &b, &err);
  if (status != SUMI_OK) {
    if (!named && strchr(text, '=')) return no_such_input(model, text);
    return cli_refuse(status, "%s", err.text);
  }
  const int result = take_bytes(model, o, named || single ? &port : NULL, path, &b, feed);
  cli_bytes_fini(&b);
  return result;
}

/* ---- random numbers ---- */

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next(uint64_t *state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

static double uniform(uint64_t *state) { return (double)(next(state) >> 11) * 0x1p-53; }

static double normal(uint64_t *state) {
  const double u = 1 - uniform(state), v = uniform(state);
  return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

void cli_fill_random(struct cli_tensor *t, uint64_t seed, double low, double high) {
  const sumi_dtype d = t->view.dtype;
  const bool floats = d == SUMI_FLOAT32 || d == SUMI_FLOAT64 || d == SUMI_FLOAT16 || d == SUMI_BFLOAT16;
  const bool given = low != 0 || high != 0;
  if (!given) high = d == SUMI_BOOL ? 1 : 7;
  const int64_t n = sumi_view_count(&t->view);
  for (int64_t i = 0; i < n; i++) {
    if (floats)
      cli_tensor_put(t, i, given ? low + (high - low) * uniform(&seed) : normal(&seed));
    else
      cli_tensor_put(t, i, floor(low + (high - low + 1) * uniform(&seed)));
  }
}

/* What --range says of an input. CLI_GO_ON, or CLI_WRONG. */
static int find_range(const struct sumi_model *model, const struct cli_feed_options *o, const char *name,
                      double *low, double *high) {
  for (size_t i = 0; i < o->ranges.n; i++) {
    struct sumi_port_info port;
    const char *value;
    if (!split(model, o->ranges.item[i], &port, &value)) return no_such_input(model, o->ranges.item[i]);
    int used = 0;
    double a, b;
    if (sscanf(value, "%lf:%lf%n", &a, &b, &used) != 2 || value[used] || !(a <= b) || !(fabs(a) < 1e18) ||
        !(fabs(b) < 1e18))
      return cli_wrong("--range wants NAME=LOW:HIGH, not '%s'", o->ranges.item[i]);
    if (strcmp(port.name, name) == 0) *low = a, *high = b;
  }
  return CLI_GO_ON;
}

static int find_shape(const struct sumi_model *model, const struct cli_feed_options *o,
                      struct sumi_port_info *port) {
  bool given = false;
  for (size_t i = 0; i < o->shapes.n; i++) {
    struct sumi_port_info named;
    const char *value;
    int64_t dims[SUMI_MAX_RANK];
    int rank;
    if (!split(model, o->shapes.item[i], &named, &value)) return no_such_input(model, o->shapes.item[i]);
    if (!cli_parse_shape(value, dims, &rank)) return cli_wrong("'%s' is no shape (as in 1x3x224x224)", value);
    if (strcmp(named.name, port->name)) continue;
    given = true;
    port->rank = rank;
    memcpy(port->dims, dims, sizeof dims);
  }
  if (port->rank < 0)
    return cli_wrong("the model leaves the shape of '%s' open: say --shape '%s=DxD'", port->name, port->name);
  for (int i = 0; !given && i < port->rank; i++) {
    if (port->dims[i] >= 0) continue;
    port->dims[i] = i == 0 && o->batch > 0 ? o->batch : 1;
  }
  if (o->batch > 0 && !given && port->rank > 0 && port->dims[0] != o->batch)
    return cli_refuse(SUMI_E_SHAPE, "input '%s': its first dim is fixed at %lld, not %lld", port->name,
                      (long long)port->dims[0], (long long)o->batch);
  return CLI_GO_ON;
}

static int make_random(const struct sumi_model *model, const struct cli_feed_options *o, size_t i,
                       struct cli_feed *feed) {
  struct sumi_port_info port = cli_input(model, i);
  if (!o->random)
    return cli_wrong("input '%s' is missing: give -i '%s=FILE', or --random SEED", port.name, port.name);
  if (port.kind != SUMI_TENSOR || port.dtype == SUMI_STRING)
    return cli_wrong("input '%s' cannot be random: give -i '%s=FILE.pb'", port.name, port.name);
  int64_t seed;
  if (!cli_parse_whole(o->random, &seed))
    return cli_wrong("--random takes a whole number, not '%s'", o->random);
  double low = 0, high = 0;
  int status = find_range(model, o, port.name, &low, &high);
  if (status == CLI_GO_ON) status = find_shape(model, o, &port);
  if (status != CLI_GO_ON) return status;
  struct cli_tensor *t = cli_tensor_new(port.name, port.dtype, port.rank, port.dims);
  if (!t) return cli_refuse(SUMI_E_LIMIT, "input '%s': its shape is too large", port.name);
  cli_fill_random(t, (uint64_t)seed * 1000003u + i, low, high);
  cli_feed_add(feed, t);
  return CLI_GO_ON;
}

int cli_feed_make(const struct sumi_model *model, const struct cli_feed_options *o, struct cli_feed *feed) {
  *feed = (struct cli_feed){0};
  int status = CLI_GO_ON;
  for (size_t i = 0; i < o->inputs.n && status == CLI_GO_ON; i++)
    status = take_file(model, o, o->inputs.item[i], feed);
  for (size_t i = 0; i < feed->n && status == CLI_GO_ON; i++)
    for (size_t k = 0; k < i && status == CLI_GO_ON; k++)
      if (strcmp(feed->tensor[i]->name, feed->tensor[k]->name) == 0)
        status = cli_wrong("input '%s' is given twice", feed->tensor[i]->name);
  for (size_t i = 0; i < sumi_model_input_count(model) && status == CLI_GO_ON; i++) {
    const struct sumi_port_info port = cli_input(model, i);
    if (!port.has_default && !cli_feed_find(feed, port.name)) status = make_random(model, o, i, feed);
  }
  if (status != CLI_GO_ON) cli_feed_fini(feed);
  return status;
}
