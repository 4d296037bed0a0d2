/* The program sumi: finds the command and leaves the rest to it. */
#include <stdio.h>
#include <string.h>

#include "common/cli.h"

struct command {
  const char *name, *help;
  int (*main)(int argc, char **argv);
};

static const struct command commands[] = {
#define COMMAND(name, help) {#name, help, cli_##name},
#include "commands.def"
#undef COMMAND
};

static void print_help(FILE *to) {
  fputs("usage: sumi COMMAND [options] [arguments]\n\nSumi runs sparse neural networks in ONNX "
        "form.\n\ncommands:\n",
        to);
  for (size_t i = 0; i < CLI_COUNT(commands); i++)
    fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].help);
  fputs("\nsumi COMMAND --help says more, with an example. Exit status: 0 done, 1 ran but the answer is no,\n"
        "2 wrong usage, 3 the input was refused, 4 out of memory or disk, or a card failed.\n\n"
        "example:\n  sumi run model.onnx --random 1 --json\n",
        to);
}

int main(int argc, char **argv) {
  cli_begin("", false);
  if (argc < 2) {
    print_help(stderr);
    return CLI_WRONG;
  }
  const char *name = argv[1];
  if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) name = "version";
  const bool help = strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0;
  if (help && argc < 3) {
    print_help(stdout);
    return CLI_DONE;
  }
  char flag[] = "--help";
  char *asked[] = {argv[1], flag, NULL};
  for (size_t i = 0; i < CLI_COUNT(commands); i++) {
    if (help && strcmp(argv[2], commands[i].name) == 0) return commands[i].main(2, asked);
    if (!help && strcmp(name, commands[i].name) == 0) return commands[i].main(argc - 1, argv + 1);
  }
  return cli_wrong("there is no command '%s'", help ? argv[2] : name);
}
