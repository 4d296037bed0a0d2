/* Damaged networks: truncated and bit-flipped variants, made in memory from a seed. Each must be taken or
 * refused with a status and a sentence; a crash, a leak or a hang is for the sanitizers and the clock to
 * find.
 *   mutate [--variants N] [--seed S] [--only V] [--run] [--compile FILE] NETWORK...
 * Variant V belongs to network V modulo their number and depends on nothing but S and V. --only repeats
 * one and tells what became of it. --run also runs what was taken, with zeros as inputs.
 * Half of the flips are aimed at what is no tensor data: names, shapes, attributes, lengths. --compile: each network is
 * first compiled, by way of FILE, and that is damaged; most variants then get checksums that are right, so that damage
 * comes further. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/random.h"
#include "file/file_test.h"
#include "onnx/schema.h"
#include "sumi/sumi.h"

enum { MAX_NETWORKS = 256, MAX_PORTS = 64, MAX_STATUS = 16 };

struct range {
  size_t at, n;
};

struct network {
  const char *path;
  struct sumi_blob *file;
  struct range *structure; /* what is no tensor data */
  size_t n_structure, cap_structure, structure_bytes;
  size_t aimed; /* all but one in so many flips are aimed there */
};

struct totals {
  size_t taken, refused[MAX_STATUS], ran, silent;
  double slowest_s;
  size_t slowest;
};

/* ---- what is structure --------------------------------------------------------------------------------- */

static void add_structure(struct network *net, const uint8_t *from, const uint8_t *to) {
  if (from >= to) return;
  if (net->n_structure == net->cap_structure) {
    net->cap_structure = net->cap_structure ? 2 * net->cap_structure : 64;
    net->structure = realloc(net->structure, net->cap_structure * sizeof *net->structure);
    if (!net->structure) exit(4);
  }
  const size_t at = (size_t)(from - (const uint8_t *)net->file->data);
  net->structure[net->n_structure++] = (struct range){at, (size_t)(to - from)};
  net->structure_bytes += (size_t)(to - from);
}

/* Walks a message by its table; long fields that hold no message are data. */
static void walk(struct network *net, const struct sumi_onnx_message *m, struct sumi_wire w, int depth) {
  const uint8_t *from = w.at;
  struct sumi_wire_field f;
  while (sumi_wire_next(&w, &f, NULL) == SUMI_OK && f.number) {
    if (f.type != SUMI_WIRE_BYTES || sumi_wire_size(&f.bytes) <= 64) continue;
    const struct sumi_onnx_message *child = NULL;
    for (size_t i = 0; i < m->n_fields; i++)
      if (m->field[i].number == f.number && m->field[i].child->name) child = m->field[i].child;
    add_structure(net, from, f.bytes.at);
    if (child && depth < 64) walk(net, child, f.bytes, depth + 1);
    from = f.bytes.end;
  }
  add_structure(net, from, w.end);
}

/* A compiled file: everything but the weights, and but the header, where any change is one. */
static void add_compiled(struct network *net) {
  const uint8_t *bytes = net->file->data;
  struct sumi_compiled c;
  struct sumi_test_section s[SUMI_TEST_SECTIONS];
  if (!sumi_test_take_apart(bytes, net->file->bytes, &c, s)) return;
  add_structure(net, s[0].bytes, s[1].bytes);
  add_structure(net, s[2].bytes, bytes + net->file->bytes);
}

/* Hashes and checksum anew, where the header still reads. */
static void seal(uint8_t *bytes, size_t n) {
  struct sumi_compiled c;
  struct sumi_test_section s[SUMI_TEST_SECTIONS];
  size_t again;
  if (!sumi_test_take_apart(bytes, n, &c, s)) return;
  uint8_t *sealed = sumi_test_put_together(&c, s, &again);
  if (!sealed || again != n) exit(4);
  memcpy(bytes, sealed, n);
  free(sealed);
}

/* ---- variants ------------------------------------------------------------------------------------------ */

static size_t pick(struct sumi_random *r, size_t n) { return n ? (size_t)(sumi_random_u64(r) % n) : 0; }

static size_t pick_byte(struct sumi_random *r, const struct network *net) {
  if (pick(r, net->aimed) == 0 || !net->structure_bytes) return pick(r, net->file->bytes);
  size_t at = pick(r, net->structure_bytes);
  for (size_t i = 0; i < net->n_structure; i++) {
    if (at < net->structure[i].n) return net->structure[i].at + at;
    at -= net->structure[i].n;
  }
  return 0;
}

/* A heap copy of exactly the variant's size, so that one byte too many is seen. */
static uint8_t *make_variant(const struct network *net, uint64_t seed, size_t variant, size_t *n) {
  struct sumi_random r;
  sumi_random_init(&r, seed * 0x9e3779b97f4a7c15u + variant);
  *n = net->file->bytes;
  const bool cut = pick(&r, 3) == 0;
  if (cut) *n = pick_byte(&r, net);
  uint8_t *copy = aligned_alloc(SUMI_ALIGN, sumi_test_aligned(*n ? *n : 1));
  if (!copy) exit(4);
  memcpy(copy, net->file->data, *n);
  if (cut && pick(&r, 2)) return copy;
  const size_t flips = 1 + pick(&r, pick(&r, 8) ? 2 : 32);
  for (size_t i = 0; i < flips; i++) {
    const size_t at = pick_byte(&r, net);
    if (at >= *n) continue;
    if (pick(&r, 4))
      copy[at] ^= (uint8_t)(1u << pick(&r, 8));
    else
      copy[at] = pick(&r, 2) ? (uint8_t)pick(&r, 256) : 0xff;
  }
  if (sumi_compiled_is(copy, *n) && pick(&r, 8)) seal(copy, *n);
  return copy;
}

/* ---- loading and running ------------------------------------------------------------------------------- */

struct inputs {
  size_t n;
  struct sumi_view view[MAX_PORTS];
  int64_t dims[MAX_PORTS][SUMI_MAX_RANK];
};

/* Zeros of the shapes that the model declares; false where the test cannot make them. */
static bool make_inputs(const struct sumi_model *model, struct inputs *in) {
  static double zeros[1 << 16];
  in->n = sumi_model_input_count(model);
  if (in->n > MAX_PORTS) return false;
  for (size_t i = 0; i < in->n; i++) {
    struct sumi_port_info p = {.size = sizeof p};
    if (sumi_model_input(model, i, &p) != SUMI_OK || p.kind != SUMI_TENSOR || p.dtype == SUMI_STRING ||
        p.rank < 0)
      return false;
    for (int d = 0; d < p.rank; d++) in->dims[i][d] = p.dims[d] >= 0 ? p.dims[d] : d < 2 ? 1 : 4;
    in->view[i] = (struct sumi_view){.size = sizeof in->view[i],
                                     .name = p.name,
                                     .data = zeros,
                                     .dtype = p.dtype,
                                     .rank = p.rank,
                                     .dims = in->dims[i]};
    const int64_t count = sumi_view_count(&in->view[i]);
    if (count < 0 || count > (int64_t)(sizeof zeros / 16)) return false;
  }
  return true;
}

static sumi_status run(struct sumi_model *model, struct sumi_err *err) {
  const struct sumi_session_options options = {.size = sizeof options, .max_arena_bytes = 64 << 20};
  struct sumi_session *session = NULL;
  static struct inputs in;
  if (!make_inputs(model, &in)) return SUMI_OK;
  sumi_status status = sumi_session_new(model, &options, &session, err);
  if (status == SUMI_OK) status = sumi_session_run(session, in.view, in.n, NULL, 0, err);
  sumi_session_free(session);
  return status;
}

/* What a file's name stands for, compiled by way of another file where there is one. */
static sumi_status read_network(struct network *net, const char *compiled, struct sumi_err *err) {
  const char *path = net->path;
  if (compiled) {
    static struct inputs in;
    struct sumi_model *model;
    SUMI_TRY(sumi_model_load_file(path, NULL, &model, err));
    const bool known = make_inputs(model, &in);
    const struct sumi_compile_options options = {.size = sizeof options, .inputs = in.view, .n_inputs = in.n};
    sumi_status status = sumi_model_compile_file(model, compiled, known ? &options : NULL, NULL);
    if (status != SUMI_OK) status = sumi_model_compile_file(model, compiled, NULL, err); /* other shapes */
    sumi_model_unref(model);
    SUMI_TRY(status);
    path = compiled;
  }
  SUMI_TRY(sumi_file_map(NULL, path, SIZE_MAX, &net->file, err));
  if (compiled) remove(compiled);
  net->aimed = compiled ? 16 : 2;
  if (compiled)
    add_compiled(net);
  else
    walk(net, &sumi_onnx_model_message, sumi_wire_over(net->file->data, net->file->bytes), 0);
  return SUMI_OK;
}

static void try_variant(const struct network *net, uint64_t seed, size_t v, bool runs, bool tell,
                        struct totals *t) {
  const struct sumi_limits limits = {.size = sizeof limits,
                                     .max_file_bytes = 256 << 20,
                                     .max_nodes = 100000,
                                     .max_values = 400000,
                                     .max_tensor_bytes = 64 << 20};
  const struct sumi_model_options options = {.size = sizeof options, .limits = &limits};
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_model *model = NULL;
  struct timespec a, b;
  size_t n;
  uint8_t *bytes = make_variant(net, seed, v, &n);
  clock_gettime(CLOCK_MONOTONIC, &a);
  sumi_status status = sumi_model_load_memory(bytes, n, &options, &model, &err);
  const bool taken = status == SUMI_OK;
  if (taken && runs) t->ran += (status = run(model, &err)) == SUMI_OK;
  sumi_model_unref(model);
  clock_gettime(CLOCK_MONOTONIC, &b);
  free(bytes);
  const double s = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
  if (s > t->slowest_s) {
    t->slowest_s = s;
    t->slowest = v;
  }
  if (taken)
    t->taken++;
  else
    t->refused[(size_t)status < MAX_STATUS ? (size_t)status : 0]++;
  if (status != SUMI_OK && (err.status != status || !err.text[0] || status == SUMI_E_INTERNAL)) {
    t->silent++;
    printf("variant %zu of %s: status %d says '%s'\n", v, net->path, (int)status, err.text);
  }
  if (tell) printf("%s, %zu bytes: %s: %s\n", net->path, n, sumi_status_name(status), err.text);
}

int main(int argc, char **argv) {
  static struct network net[MAX_NETWORKS];
  size_t n_net = 0, variants = 10000, only = SIZE_MAX;
  uint64_t seed = 1;
  const char *compiled = NULL;
  bool runs = false;
  for (int i = 1; i < argc; i++) {
    const bool more = i + 1 < argc;
    if (!strcmp(argv[i], "--variants") && more)
      variants = strtoull(argv[++i], NULL, 10);
    else if (!strcmp(argv[i], "--seed") && more)
      seed = strtoull(argv[++i], NULL, 10);
    else if (!strcmp(argv[i], "--only") && more)
      only = strtoull(argv[++i], NULL, 10);
    else if (!strcmp(argv[i], "--compile") && more)
      compiled = argv[++i];
    else if (!strcmp(argv[i], "--run"))
      runs = true;
    else if (n_net < MAX_NETWORKS)
      net[n_net++].path = argv[i];
  }
  if (!n_net) {
    fprintf(stderr,
            "usage: mutate [--variants N] [--seed S] [--only V] [--run] [--compile FILE] NETWORK...\n");
    return 2;
  }
  size_t n_read = 0;
  for (size_t i = 0; i < n_net; i++) {
    struct sumi_err err = SUMI_ERR_INIT;
    const struct network found = {.path = net[i].path};
    net[n_read] = found;
    if (read_network(&net[n_read], compiled, &err) == SUMI_OK) {
      n_read++;
      continue;
    }
    fprintf(stderr, "%s: %s\n", found.path, err.text);
    if (!compiled) return 3; /* a network that is refused cannot be compiled; the others can */
  }
  if (!(n_net = n_read)) return 3;
  struct totals t = {0};
  for (size_t v = only != SIZE_MAX ? only : 0; v < variants || v == only; v++) {
    try_variant(&net[v % n_net], seed, v, runs, only != SIZE_MAX, &t);
    if (v == only) break;
  }
  size_t refused = 0;
  for (int s = 0; s < MAX_STATUS; s++) refused += t.refused[s];
  printf("%zu variants of %zu networks, seed %llu: %zu taken (%zu ran), %zu refused", t.taken + refused,
         n_net, (unsigned long long)seed, t.taken, t.ran, refused);
  for (int s = 0; s < MAX_STATUS; s++)
    if (t.refused[s]) printf(", %zu %s", t.refused[s], sumi_status_name((sumi_status)s));
  printf("; slowest %.2f s (variant %zu)\n", t.slowest_s, t.slowest);
  for (size_t i = 0; i < n_net; i++) {
    sumi_blob_unref(net[i].file);
    free(net[i].structure);
  }
  return t.silent != 0;
}
