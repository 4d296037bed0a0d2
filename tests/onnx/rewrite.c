/* Writes a model's file anew with the changes that standard input lists: rewrite FILE OUT. A line is a change, its parts
 * parted by tabs ("" before or axis: none):
 *   constant NAME FILE              a TensorProto's bytes
 *   node OP OUTPUT BEFORE AXIS INPUT...
 *   input NODE INDEX NAME    output NODE INDEX NAME    drop-node NODE    drop NAME    metadata KEY TEXT
 * Exit status 3 and a sentence on standard error: refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "onnx/rewrite.h"

enum { MAX_PARTS = 64 };

static void fail(const struct sumi_err *err) {
  fprintf(stderr, "%s\n", err->text);
  exit(3);
}

static const struct sumi_tensor *read_tensor(struct sumi_arena *arena, const char *path) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_blob *blob;
  struct sumi_tensor *t;
  if (sumi_file_map(NULL, path, SIZE_MAX, &blob, &err) != SUMI_OK ||
      sumi_onnx_value_read(blob->data, blob->bytes, SUMI_TENSOR, NULL, arena, &t, &err) != SUMI_OK)
    fail(&err);
  return t; /* the file stays mapped until the end */
}

static bool read_change(char *const *part, int n, struct sumi_arena *arena, struct sumi_change *c) {
  *c = (struct sumi_change){.axis = INT64_MIN};
  const char *kind = part[0];
  if (!strcmp(kind, "constant") && n == 3) {
    *c = (struct sumi_change){SUMI_CHANGE_CONSTANT, .name = part[1], .tensor = read_tensor(arena, part[2])};
  } else if (!strcmp(kind, "node") && n >= 5) {
    *c = (struct sumi_change){SUMI_CHANGE_NODE, .op = part[1], .output = part[2]};
    c->before = *part[3] ? part[3] : NULL;
    c->axis = *part[4] ? atoll(part[4]) : INT64_MIN;
    c->inputs = (const char *const *)(part + 5);
    c->n_inputs = n - 5;
  } else if ((!strcmp(kind, "input") || !strcmp(kind, "output")) && n == 4) {
    c->kind = *kind == 'i' ? SUMI_CHANGE_INPUT : SUMI_CHANGE_OUTPUT;
    c->node = part[1];
    c->index = atoi(part[2]);
    c->name = part[3];
  } else if (!strncmp(kind, "drop", 4) && n == 2) {
    c->kind = SUMI_CHANGE_DROP;
    *(strcmp(kind, "drop") ? &c->node : &c->name) = part[1];
  } else if (!strcmp(kind, "metadata") && n == 3) {
    *c = (struct sumi_change){SUMI_CHANGE_METADATA, .name = part[1], .text = part[2]};
  } else {
    return false;
  }
  return true;
}

static void read_changes(struct sumi_changes *changes) {
  struct sumi_err err = SUMI_ERR_INIT;
  char *line = NULL, *part[MAX_PARTS];
  size_t cap = 0;
  while (getline(&line, &cap, stdin) > 0) {
    struct sumi_change c;
    int n = 0;
    line[strcspn(line, "\n")] = 0;
    for (char *at = line; at && n < MAX_PARTS;) part[n++] = strsep(&at, "\t");
    if (!read_change(part, n, &changes->arena, &c)) {
      fprintf(stderr, "no change: '%s'\n", line);
      exit(2);
    }
    if (sumi_changes_add(changes, &c, &err) != SUMI_OK) fail(&err);
  }
  free(line);
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: rewrite FILE OUT < CHANGES\n");
    return 2;
  }
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_changes changes;
  char folder[4096];
  snprintf(folder, sizeof folder, "%s", argv[1]);
  char *slash = strrchr(folder, '/');
  if (slash)
    *slash = 0;
  else
    snprintf(folder, sizeof folder, ".");
  struct sumi_onnx_source src = {.folder = folder};
  sumi_changes_init(&changes, NULL);
  read_changes(&changes);
  if (sumi_file_map(NULL, argv[1], SIZE_MAX, &src.file, &err) != SUMI_OK ||
      sumi_onnx_rewrite(&src, &changes, argv[2], NULL, &err) != SUMI_OK)
    fail(&err);
  sumi_blob_unref(src.file);
  sumi_changes_fini(&changes);
  return 0;
}
