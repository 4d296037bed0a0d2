/* Where the time goes: every step of a model with its kernel, over ten runs on random input. */
#include <stdio.h>
#include <stdlib.h>
#include <sumi/sumi.h>

static bool print_step(void *user, const struct sumi_profile_entry *e) {
  double *total = user;
  *total += e->total_s;
  printf("%9.1f us  %-20s %-24s %s\n", e->total_s / (double)e->runs * 1e6, e->op, e->kernel, e->node);
  return true;
}

int main(int argc, char **argv) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_model *model = NULL;
  struct sumi_session *session = NULL;
  struct sumi_port_info port = {.size = sizeof port};
  const struct sumi_session_options options = {.size = sizeof options, .threads = 2, .profile = true};
  struct sumi_view in = {.size = sizeof in, .dtype = SUMI_FLOAT32}, out = {.size = sizeof out};
  double total = 0;

  sumi_status status =
      sumi_model_load_file(argc > 1 ? argv[1] : "data/cifar10_resnet.onnx", NULL, &model, &err);
  if (status == SUMI_OK) status = sumi_model_output(model, 0, &port), out.name = port.name;
  if (status == SUMI_OK) status = sumi_model_input(model, 0, &port);
  if (status == SUMI_OK) {
    for (int i = 0; i < port.rank; i++)
      if (port.dims[i] < 0) port.dims[i] = 1; /* batch */
    in.name = port.name;
    in.rank = port.rank;
    in.dims = port.dims;
    const int64_t n = sumi_view_count(&in);
    float *x = malloc((size_t)n * sizeof *x);
    for (int64_t i = 0; x && i < n; i++) x[i] = (float)(rand() % 256);
    in.data = x;
    status = sumi_session_new(model, &options, &session, &err);
  }
  for (int i = 0; i < 10 && status == SUMI_OK; i++) {
    out.data = NULL;
    status = sumi_session_run(session, &in, 1, &out, 1, &err);
  }
  if (status == SUMI_OK) status = sumi_session_profile(session, print_step, &total, &err);
  if (status == SUMI_OK)
    printf("%9.1f us  in all\n", total / 10 * 1e6);
  else
    fprintf(stderr, "%s\n", err.text);
  free(in.data);
  sumi_session_free(session);
  sumi_model_unref(model);
  return status != SUMI_OK;
}
