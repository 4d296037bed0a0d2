/* Opening models and sessions the way every command does: the same options, the same refusals. */
#ifndef CLI_COMMON_SESSION_H
#define CLI_COMMON_SESSION_H

#include <sumi/inspect.h>

#include "common/option.h"

struct cli_session_options {
  const char *device, *isa, *precision;
  int64_t threads;
};

/* Rows of an option table; s is a struct cli_session_options. */
#define CLI_SESSION_OPTIONS(s)                                                                               \
  {"device", 'd', CLI_TEXT, &(s).device, "D", "cpu (the default), ref, ref-machine, audit or antoum", 0, 0}, \
      {"threads", 't', CLI_WHOLE, &(s).threads, "N", "threads of a run (1)", 1, 1024},                       \
      {"isa", 0, CLI_TEXT, &(s).isa, "LEVEL", "the highest instruction set to use, \"avx2\"", 0, 0}, {       \
    "precision", 0, CLI_TEXT, &(s).precision, "P", "file (as it says, the default), int8-dynamic or bf16",   \
        0, 0                                                                                                 \
  }

/* Loads a model; every refusal is a line on stderr. CLI_GO_ON, or the exit status after cli_refuse(). */
int cli_open_model(const char *path, struct sumi_model **model);
/* The same without saying anything: refusals stand in err. */
sumi_status cli_try_model(const char *path, struct sumi_model **model, struct sumi_err *err);

/* CLI_GO_ON, CLI_WRONG where there is no such device, or another exit status. */
int cli_open_session(struct sumi_model *model, const struct cli_session_options *options, bool profile,
                     struct sumi_session **session);

/* The model's input or output of that name; false where there is none. */
bool cli_find_input(const struct sumi_model *model, const char *name, struct sumi_port_info *info);
/* The i-th input or output. */
struct sumi_port_info cli_input(const struct sumi_model *model, size_t i);
struct sumi_port_info cli_output(const struct sumi_model *model, size_t i);

/* What sumi_buffer_from_onnx() calls test data of a kind. */
const char *cli_data_kind(sumi_kind kind);

/* "float32[batch,3,224,224]" (kind in front where it is no tensor). */
char *cli_port_text(const struct sumi_port_info *port, char *buf, size_t size);

/* All outputs of a model as empty views, to be filled by a run; the caller frees the array. */
struct sumi_view *cli_output_views(const struct sumi_model *model, size_t *n);

/* Largest resident memory of this process so far, bytes. */
int64_t cli_peak_rss_bytes(void);

#endif
