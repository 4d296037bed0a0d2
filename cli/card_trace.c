/* A Chrome trace: the chip is a process, every engine of every core a thread. */
#include <errno.h>
#include <string.h>

#include "card_int.h"

enum { ENGINES = 16, CHIP = 15, MOST = 16 };

int cli_card_trace_open(struct cli_card_trace *t, const char *path) {
  *t = (struct cli_card_trace){.path = path, .file = fopen(path, "w")};
  if (t->file) {
    fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n", t->file);
    fputs("{\"ph\":\"M\",\"pid\":0,\"name\":\"process_name\",\"args\":{\"name\":\"chip\"}}", t->file);
    return CLI_GO_ON;
  }
  cli_refuse(SUMI_E_IO, "'%s' cannot be written: %s", path, strerror(errno));
  return CLI_RESOURCE;
}

/* Place of an engine among the threads of its core. */
static int place_of(const char *engine) {
  static const char *const others[] = {"copy in", "copy out", "fetch"};
  for (int i = 0; i < SUMI_CARD_N_ENGINES; i++)
    if (!strcmp(engine, sumi_card_engine_label((size_t)i))) return 3 + i;
  for (int i = 0; i < (int)CLI_COUNT(others); i++)
    if (!strcmp(engine, others[i])) return i;
  return ENGINES - 1;
}

static void put_text(FILE *f, const char *text) {
  json_t *string = cli_json_text(text);
  json_dumpf(string, f, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
  json_decref(string);
}

void cli_card_trace_add(void *trace, const struct sumi_card_event *e) {
  struct cli_card_trace *t = trace;
  const int core = e->core < 0 ? CHIP : e->core, place = place_of(e->engine), thread = core * ENGINES + place;
  if (core < MOST && !t->named[core][place]) {
    t->named[core][place] = true;
    fprintf(t->file, ",\n{\"ph\":\"M\",\"pid\":0,\"tid\":%d,\"name\":\"thread_name\",\"args\":{\"name\":\"",
            thread);
    if (e->core < 0)
      fprintf(t->file, "%s\"}}", e->engine);
    else
      fprintf(t->file, "core %d %s\"}}", e->core, e->engine);
    fprintf(
        t->file,
        ",\n{\"ph\":\"M\",\"pid\":0,\"tid\":%d,\"name\":\"thread_sort_index\",\"args\":{\"sort_index\":%d}}",
        thread, thread);
  }
  fprintf(t->file, ",\n{\"ph\":\"X\",\"pid\":0,\"tid\":%d,\"ts\":%.4f,\"dur\":%.4f,\"name\":", thread,
          e->started_s * 1e6, (e->finished_s - e->started_s) * 1e6);
  put_text(t->file, *e->node ? e->node : e->engine);
  fputs("}", t->file);
}

int cli_card_trace_close(struct cli_card_trace *t) {
  if (!t->file) return CLI_GO_ON;
  fputs("\n]}\n", t->file);
  bool good = !ferror(t->file);
  good = fclose(t->file) == 0 && good;
  t->file = NULL;
  if (good) return CLI_GO_ON;
  cli_refuse(SUMI_E_IO, "'%s' cannot be written: %s", t->path, strerror(errno));
  return CLI_RESOURCE;
}
