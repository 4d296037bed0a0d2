/* sumi plan: where every buffer of a prepared session lies and how long it lives, with a map of the arena. */
#include <stdlib.h>
#include <string.h>

#include "common/feed.h"

struct buffer {
  char *name, *kind;
  size_t offset, bytes;
  int first, last;
};

struct buffers {
  struct buffer *item;
  size_t n, cap;
  size_t end; /* of the arena, bytes */
  int steps;
};

static bool in_arena(const struct buffer *b) {
  return strcmp(b->kind, "arena") == 0 || strcmp(b->kind, "scratch") == 0;
}

static bool gather(void *user, const struct sumi_buffer_info *info) {
  struct buffers *all = user;
  all->item = cli_grow(all->item, &all->cap, all->n + 1, sizeof *all->item);
  struct buffer *b = &all->item[all->n++];
  *b = (struct buffer){cli_strdup(info->name), cli_strdup(info->kind), info->offset_bytes, info->bytes,
                       info->first_step,       info->last_step};
  if (info->last_step + 1 > all->steps) all->steps = info->last_step + 1;
  if (in_arena(b) && b->offset + b->bytes > all->end) all->end = b->offset + b->bytes;
  return true;
}

/* Steps from left to right, addresses from top to bottom; a letter stands for one buffer, '.' for free memory. */
static void print_map(const struct buffers *all) {
  enum { ROWS = 24, COLUMNS = 96 };
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  if (!all->end || all->steps < 1) return;
  const int columns = all->steps < COLUMNS ? all->steps : COLUMNS;
  char row[COLUMNS + 1];
  printf("arena map: %zu bytes down, %d steps across\n", all->end, all->steps);
  for (int r = 0; r < ROWS; r++) {
    const double low = (double)all->end * r / ROWS, high = (double)all->end * (r + 1) / ROWS;
    memset(row, '.', sizeof row);
    size_t letter = 0;
    for (size_t i = 0; i < all->n; i++) {
      const struct buffer *b = &all->item[i];
      if (!in_arena(b)) continue;
      const char mark = letters[letter++ % (sizeof letters - 1)];
      if ((double)b->offset >= high || (double)(b->offset + b->bytes) <= low) continue;
      for (int c = 0; c < columns; c++) {
        const int from = c * all->steps / columns, to = (c + 1) * all->steps / columns;
        if (b->first < to && b->last >= from) row[c] = mark;
      }
    }
    row[columns] = 0;
    printf("%12.0f %s\n", low, row);
  }
}

static int show(const struct buffers *all, const struct sumi_memory_info *memory) {
  json_t *list = json_array();
  if (!cli_wants_json()) printf("%-9s %12s %12s  %-11s %s\n", "kind", "offset", "bytes", "steps", "name");
  for (size_t i = 0; i < all->n; i++) {
    const struct buffer *b = &all->item[i];
    if (!cli_wants_json()) {
      printf("%-9s %12zu %12zu  %4d..%-5d %s\n", b->kind, b->offset, b->bytes, b->first, b->last, b->name);
      continue;
    }
    json_t *j = json_object();
    json_object_set_new(j, "name", cli_json_text(b->name));
    json_object_set_new(j, "kind", cli_json_text(b->kind));
    json_object_set_new(j, "offset_bytes", json_integer((json_int_t)b->offset));
    json_object_set_new(j, "bytes", json_integer((json_int_t)b->bytes));
    json_object_set_new(j, "first_step", json_integer(b->first));
    json_object_set_new(j, "last_step", json_integer(b->last));
    json_array_append_new(list, j);
  }
  if (!cli_wants_json()) {
    char a[32], w[32], p[32];
    json_decref(list);
    print_map(all);
    printf("arena %sB, weights %sB, packed %sB; %s\n", cli_quantity((double)memory->arena_bytes, a, sizeof a),
           cli_quantity((double)memory->weight_bytes, w, sizeof w),
           cli_quantity((double)memory->packed_bytes, p, sizeof p),
           memory->is_static ? "a run allocates nothing" : "some shapes depend on data: a run allocates");
    return CLI_DONE;
  }
  json_t *j = json_object();
  json_object_set_new(j, "arena_bytes", json_integer((json_int_t)memory->arena_bytes));
  json_object_set_new(j, "weight_bytes", json_integer((json_int_t)memory->weight_bytes));
  json_object_set_new(j, "packed_bytes", json_integer((json_int_t)memory->packed_bytes));
  json_object_set_new(j, "static", json_boolean(memory->is_static));
  json_object_set_new(j, "steps", json_integer(all->steps));
  json_object_set_new(j, "buffers", list);
  return cli_print_json(j);
}

static int plan(const char *path, const struct cli_session_options *so, const struct cli_feed_options *fo) {
  struct sumi_model *model = NULL;
  struct sumi_session *session = NULL;
  struct sumi_err err = SUMI_ERR_INIT;
  struct cli_feed feed = {0};
  struct buffers all = {0};
  int status = cli_open_model(path, &model);
  if (status == CLI_GO_ON) status = cli_feed_make(model, fo, &feed);
  if (status == CLI_GO_ON) status = cli_open_session(model, so, false, &session);
  if (status == CLI_GO_ON) {
    struct sumi_memory_info memory = {.size = sizeof memory};
    sumi_status s = sumi_session_prepare(session, feed.view, feed.n, &err);
    if (s == SUMI_OK) s = sumi_session_visit_buffers(session, gather, &all, &err);
    if (s == SUMI_OK) s = sumi_session_memory(session, &memory);
    status = s == SUMI_OK ? show(&all, &memory) : cli_refuse(s, "%s", err.text);
  }
  for (size_t i = 0; i < all.n; i++) {
    free(all.item[i].name);
    free(all.item[i].kind);
  }
  free(all.item);
  cli_feed_fini(&feed);
  sumi_session_free(session);
  sumi_model_unref(model);
  return status;
}

int cli_plan(int argc, char **argv) {
  struct cli_session_options session = {0};
  struct cli_feed_options feed = {.random = "1"};
  struct cli_list arguments = {0};
  const struct cli_option options[] = {CLI_SESSION_OPTIONS(session),
                                       CLI_SHAPE_OPTIONS(feed),
                                       {"batch", 'b', CLI_WHOLE, &feed.batch, "N",
                                        "first dim of the inputs, where the model leaves it open", 1, 1e6},
                                       {NULL, 0, CLI_FLAG, NULL, NULL, NULL, 0, 0}};
  const struct cli_usage usage = {
      .command = "plan",
      .arguments = "MODEL",
      .min_arguments = 1,
      .max_arguments = 1,
      .summary =
          "Plans the memory for a set of input shapes and prints every buffer, with a map of the arena.",
      .example = "  sumi plan model.onnx --shape image=1x3x224x224",
      .options = options};
  int status = cli_parse(&usage, argc, argv, &arguments);
  if (status == CLI_GO_ON) status = plan(arguments.item[0], &session, &feed);
  cli_list_fini(&arguments);
  cli_feed_options_fini(&feed);
  return status;
}
