/* For tests of the program sumi: runs SUMI_PROGRAM in a folder of its own, and looks at its exit status and streams. */
#ifndef TESTS_CLI_PROGRAM_H
#define TESTS_CLI_PROGRAM_H

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <math.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MATMUL DATA "/matmul_add.onnx"
#define CIFAR DATA "/cifar10_resnet.onnx"
#define CAT DATA "/images/cat/0010.jpg"

enum { MAX_ARGUMENTS = 24 };

struct outcome {
  int status; /* -1: ended by a signal */
  char *out, *err;
};

static char folder[512]; /* to work in */

static inline char *read_text(const char *path, size_t *n) {
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  char *text = calloc(1, 1 << 22);
  *n = fread(text, 1, (1 << 22) - 1, f);
  fclose(f);
  return text;
}

static inline void write_bytes(const char *name, const void *bytes, size_t n) {
  char path[600];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes, 1, n, f), n);
  fclose(f);
}

/* Runs the program in the folder; a space ends an argument. */
static inline struct outcome run(const char *line) {
  char *words = strdup(line), *rest = NULL, *argv[MAX_ARGUMENTS + 2] = {getenv("SUMI_PROGRAM")};
  int argc = 1;
  assert_non_null(argv[0]);
  for (char *w = strtok_r(words, " ", &rest); w && argc <= MAX_ARGUMENTS; w = strtok_r(NULL, " ", &rest))
    argv[argc++] = w;
  fflush(NULL);
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    if (chdir(folder) != 0) _exit(99);
    dup2(open("stdout", O_CREAT | O_TRUNC | O_WRONLY, 0666), 1);
    dup2(open("stderr", O_CREAT | O_TRUNC | O_WRONLY, 0666), 2);
    execv(argv[0], argv);
    _exit(98);
  }
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  free(words);
  struct outcome o = {.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1};
  char path[600];
  size_t n;
  snprintf(path, sizeof path, "%s/stdout", folder);
  o.out = read_text(path, &n);
  snprintf(path, sizeof path, "%s/stderr", folder);
  o.err = read_text(path, &n);
  return o;
}

static inline void done(struct outcome *o) {
  free(o->out);
  free(o->err);
}

struct expectation {
  const char *line;
  int status;
  const char *says; /* part of stderr for statuses above 0, else of stdout; NULL = anything */
};

static inline void check_all(const struct expectation *e, size_t n) {
  for (size_t i = 0; i < n; i++) {
    struct outcome o = run(e[i].line);
    const char *where = e[i].status ? o.err : o.out;
    if (o.status != e[i].status || (e[i].says && !strstr(where, e[i].says)))
      fail_msg("sumi %s: status %d, not %d, or '%s' is not in:\n%s\n%s", e[i].line, o.status, e[i].status,
               e[i].says ? e[i].says : "", o.out, o.err);
    if (e[i].status >= 2 && *o.out && !strstr(e[i].line, "--json"))
      fail_msg("sumi %s: prints a result although refused:\n%s", e[i].line, o.out);
    done(&o);
  }
}
#define CHECK_ALL(table) check_all(table, sizeof(table) / sizeof((table)[0]))

/* Makes the folder; false, after a line, where there is no program to run. */
static inline bool enter(const char *name) {
  const char *work = getenv("SUMI_TEST_WORK");
  if (!getenv("SUMI_PROGRAM")) {
    puts("SUMI_PROGRAM is not set");
    return false;
  }
  if (work) mkdir(work, 0777);
  snprintf(folder, sizeof folder, "%s/%s", work ? work : "/tmp", name);
  mkdir(folder, 0777);
  return true;
}

#endif
