/* What the library reads in ONNX files, as text that tests/onnx/compare.py writes as well with another
 * reader.
 *   dump schema              every field that is read: message.field, number, kind
 *   dump file FILE           every field of the file, as the declared messages say
 *   dump graph FILE          the imported graph: inputs, outputs, constants, nodes
 * Long contents are told by size and CRC-32. Exit status 3: refused, with the reasons on stderr. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/half.h"
#include "onnx/import.h"
#include "onnx/schema.h"

static uint32_t crc32_add(uint32_t crc, const void *bytes, size_t n) {
  const unsigned char *p = bytes;
  static uint32_t table[256];
  if (!table[1])
    for (uint32_t i = 0; i < 256; i++) {
      uint32_t c = i;
      for (int k = 0; k < 8; k++) c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
      table[i] = c;
    }
  crc = ~crc;
  for (size_t i = 0; i < n; i++) crc = table[(crc ^ p[i]) & 255] ^ crc >> 8;
  return ~crc;
}

static void print_bytes(const void *bytes, size_t n) {
  const unsigned char *p = bytes;
  if (n > 64) {
    printf("%zu bytes %08" PRIx32, n, crc32_add(0, bytes, n));
    return;
  }
  putchar('"');
  for (size_t i = 0; i < n; i++)
    if (p[i] < 33 || p[i] > 126 || p[i] == '"' || p[i] == '\\')
      printf("\\x%02x", p[i]);
    else
      putchar(p[i]);
  putchar('"');
}

/* ---- the file, field by field -------------------------------------------------------------------------- */

static const struct sumi_onnx_message *const messages[] = {
#define SUMI_ONNX_MESSAGE(message, proto_name) &sumi_onnx_##message##_message,
#define SUMI_ONNX_FIELD(message, number, kind, name, child)
#define SUMI_ONNX_END(message)
#include "onnx/schema.def"
#undef SUMI_ONNX_MESSAGE
#undef SUMI_ONNX_FIELD
#undef SUMI_ONNX_END
};

static const char *const kinds[] = {"integer",  "float32",  "text",  "message", "integers",
                                    "float32s", "float64s", "texts", "messages"};

static void print_schema(void) {
  for (size_t i = 0; i < sizeof messages / sizeof *messages; i++)
    for (size_t k = 0; k < messages[i]->n_fields; k++) {
      const struct sumi_onnx_field *f = &messages[i]->field[k];
      printf("%s %s %u %s %s\n", messages[i]->name, f->name, f->number, kinds[f->kind],
             f->child->name ? f->child->name : "-");
    }
}

static void print_numbers(struct sumi_wire_list list) {
  uint64_t v;
  uint32_t crc = 0;
  const size_t n = list.n, each = list.item == SUMI_WIRE_FIXED32 ? 4 : 8;
  while (sumi_wire_list_number(&list, &v)) crc = crc32_add(crc, &v, each); /* little-endian hosts */
  printf("%zu numbers %08" PRIx32, n, crc);
}

static int print_message(const struct sumi_onnx_message *m, struct sumi_wire bytes, int depth);

static int print_field(const struct sumi_onnx_field *f, const void *slot, int depth) {
  const struct sumi_onnx_integer *integer = slot;
  const struct sumi_onnx_float32 *number = slot;
  const struct sumi_str *text = slot;
  const struct sumi_wire *message = slot;
  struct sumi_wire_list list = {0};
  struct sumi_wire item;
  if (f->kind >= SUMI_ONNX_integers) list = *(const struct sumi_wire_list *)slot;
  switch (f->kind) {
    case SUMI_ONNX_integer:
      if (integer->has) printf("%*s%s: %" PRId64 "\n", depth, "", f->name, integer->v);
      return 0;
    case SUMI_ONNX_float32:
      if (number->has) printf("%*s%s: %08" PRIx32 "\n", depth, "", f->name, sumi_f32_bits(number->v));
      return 0;
    case SUMI_ONNX_text:
      if (!text->data) return 0;
      printf("%*s%s: ", depth, "", f->name);
      print_bytes(text->data, text->size);
      putchar('\n');
      return 0;
    case SUMI_ONNX_message:
      if (!message->at) return 0;
      printf("%*s%s:\n", depth, "", f->name);
      return print_message(f->child, *message, depth + 1);
    case SUMI_ONNX_texts:
      while (sumi_wire_list_bytes(&list, &item)) {
        printf("%*s%s: ", depth, "", f->name);
        print_bytes(item.at, sumi_wire_size(&item));
        putchar('\n');
      }
      return 0;
    case SUMI_ONNX_messages:
      while (sumi_wire_list_bytes(&list, &item)) {
        printf("%*s%s:\n", depth, "", f->name);
        if (print_message(f->child, item, depth + 1)) return 3;
      }
      return 0;
    default:
      if (!list.n) return 0;
      printf("%*s%s: ", depth, "", f->name);
      print_numbers(list);
      putchar('\n');
      return 0;
  }
}

static int print_message(const struct sumi_onnx_message *m, struct sumi_wire bytes, int depth) {
  union {
    struct sumi_onnx_model model;
    struct sumi_onnx_tensor tensor;
    struct sumi_onnx_attribute attribute;
    char room[2048];
  } message;
  struct sumi_err err = SUMI_ERR_INIT;
  if (m->bytes > sizeof message || depth > 60 || sumi_onnx_read(m, bytes, &message, &err) != SUMI_OK) {
    fprintf(stderr, "%s\n", err.text);
    return 3;
  }
  for (size_t i = 0; i < m->n_fields; i++)
    if (print_field(&m->field[i], (const char *)&message + m->field[i].offset, depth)) return 3;
  return 0;
}

/* ---- the graph ----------------------------------------------------------------------------------------- */

static void print_info(const struct sumi_graph *g, const char *what, const struct sumi_value *v) {
  struct sumi_text dims;
  sumi_text_init(&dims, NULL);
  for (int i = 0; i < v->info.rank; i++) {
    if (i) sumi_text_add_bytes(&dims, ",", 1);
    sumi_dim_print(g->symbols, v->info.dim[i], &dims);
  }
  printf("%s\t%s\t%d\t%s\t%s%s\n", what, v->name, (int)v->info.kind, sumi_dtype_label(v->info.dtype),
         v->info.rank < 0 ? "?" : sumi_text_str(&dims), v->constant ? "\tdefault" : "");
  sumi_text_fini(&dims);
}

static void print_constant(const char *what, const struct sumi_tensor *t) {
  char shape[256];
  size_t bytes = 0;
  uint32_t crc = 0;
  const int64_t n = sumi_tensor_count(t);
  sumi_dtype_bytes(t->dtype, n, &bytes);
  if (t->dtype == SUMI_STRING)
    for (int64_t i = 0; i < n; i++)
      crc = crc32_add(crc, ((const struct sumi_str *)t->data)[i].data,
                      ((const struct sumi_str *)t->data)[i].size);
  else
    crc = crc32_add(0, t->data, bytes);
  printf("constant\t%s\t%s\t%s\t%08" PRIx32 "\n", what, sumi_dtype_label(t->dtype),
         sumi_shape_print(t->dim, t->rank, shape, sizeof shape), crc);
}

static void print_attr(const struct sumi_attr *a) {
  printf(" %s=", a->name);
  switch (a->type) {
    case SUMI_ATTR_INT: printf("%" PRId64, a->u.i); break;
    case SUMI_ATTR_FLOAT: printf("%08" PRIx32, sumi_f32_bits(a->u.f)); break;
    case SUMI_ATTR_STRING: print_bytes(a->u.s.data, a->u.s.size); break;
    case SUMI_ATTR_INTS: printf("%zu:%08" PRIx32, a->n, crc32_add(0, a->u.ints, a->n * 8)); break;
    case SUMI_ATTR_FLOATS: printf("%zu:%08" PRIx32, a->n, crc32_add(0, a->u.floats, a->n * 4)); break;
    case SUMI_ATTR_STRINGS:
      for (size_t i = 0; i < a->n; i++) print_bytes(a->u.strings[i].data, a->u.strings[i].size);
      break;
    case SUMI_ATTR_GRAPH: printf("graph"); break;
    default: printf("other"); break;
  }
}

static void print_graph(const struct sumi_graph *g) {
  printf("graph\t%s\n", g->parent ? "body" : "root");
  for (size_t i = 0; i < g->n_input; i++) print_info(g, "input", g->input[i]);
  for (size_t i = 0; i < g->n_output; i++) printf("output\t%s\n", g->output[i]->name);
  for (size_t i = 0; i < g->n_value; i++)
    if (g->value[i]->constant) print_constant(g->value[i]->name, g->value[i]->constant);
  for (size_t i = 0; i < g->n_node; i++) {
    const struct sumi_node *n = g->node[i];
    printf("node\t%s\t%d\t", n->op_name, n->version);
    for (int k = 0; k < n->n_in - n->n_captured; k++)
      printf("%s%s", k ? "," : "", n->in[k] ? n->in[k]->name : "");
    printf("\t");
    for (int k = 0; k < n->n_out; k++) printf("%s%s", k ? "," : "", n->out[k] ? n->out[k]->name : "");
    printf("\t");
    for (int k = 0; k < n->n_attr; k++) print_attr(&n->attr[k]);
    printf("\n");
    for (int k = 0; k < n->n_attr; k++)
      if (n->attr[k].type == SUMI_ATTR_TENSOR) print_constant(n->attr[k].name, n->attr[k].u.t);
  }
}

static int import_and_print(struct sumi_blob *file, const char *path) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *g;
  char folder[4096];
  snprintf(folder, sizeof folder, "%s", path);
  char *slash = strrchr(folder, '/');
  if (slash)
    *slash = 0;
  else
    snprintf(folder, sizeof folder, ".");
  const struct sumi_onnx_source src = {.file = file, .folder = folder};
  if (sumi_onnx_import(&src, NULL, &g, &err) != SUMI_OK) {
    fprintf(stderr, "%s\n", err.text);
    return 3;
  }
  print_graph(g);
  for (struct sumi_graph *b = g->first_body; b; b = b->next_body) print_graph(b);
  sumi_graph_free(g);
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 2 && !strcmp(argv[1], "schema")) {
    print_schema();
    return 0;
  }
  if (argc != 3) {
    fprintf(stderr, "usage: dump schema | file FILE | graph FILE\n");
    return 2;
  }
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_blob *file;
  if (sumi_file_map(NULL, argv[2], SIZE_MAX, &file, &err) != SUMI_OK) {
    fprintf(stderr, "%s\n", err.text);
    return 3;
  }
  const int status = strcmp(argv[1], "graph")
                         ? print_message(&sumi_onnx_model_message, sumi_wire_over(file->data, file->bytes), 0)
                         : import_and_print(file, argv[2]);
  sumi_blob_unref(file);
  return status;
}
