/* Three named inputs from plain arrays, and an output written into the caller's memory: y = a b + c. */
#include <stdio.h>
#include <sumi/sumi.h>

static struct sumi_view view(const char *name, float *data, int rank, const int64_t *dims) {
  return (struct sumi_view){.size = sizeof(struct sumi_view),
                            .name = name,
                            .data = data,
                            .dtype = SUMI_FLOAT32,
                            .rank = rank,
                            .dims = dims};
}

int main(int argc, char **argv) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_model *model = NULL;
  struct sumi_session *session = NULL;
  float a[] = {1, 2, 3, 4, 5, 6};   /* [2, 3] */
  float b[] = {1, 0, 0, 1, 1, 1};   /* [3, 2] */
  float c[] = {100, 200}, y[2 * 2]; /* [2], [2, 2] */
  const int64_t a_dims[] = {2, 3}, b_dims[] = {3, 2}, c_dims[] = {2}, y_dims[] = {2, 2};
  /* a is given column by column: strides say so, nothing is copied by the caller */
  float a_columns[] = {1, 4, 2, 5, 3, 6};
  const int64_t a_strides[] = {1, 2};
  struct sumi_view in[] = {view("c", c, 1, c_dims), view("a", a, 2, a_dims), view("b", b, 2, b_dims)};
  struct sumi_view out = view("y", y, 2, y_dims);

  sumi_status status = sumi_model_load_file(argc > 1 ? argv[1] : "data/matmul_add.onnx", NULL, &model, &err);
  if (status == SUMI_OK) status = sumi_session_new(model, NULL, &session, &err);
  if (status == SUMI_OK) status = sumi_session_run(session, in, 3, &out, 1, &err);
  if (status == SUMI_OK) printf("%g %g\n%g %g\n", y[0], y[1], y[2], y[3]);
  in[1].data = a_columns;
  in[1].strides = a_strides;
  if (status == SUMI_OK) status = sumi_session_run(session, in, 3, &out, 1, &err);
  if (status == SUMI_OK) printf("the same by columns: %g %g %g %g\n", y[0], y[1], y[2], y[3]);
  in[0].name = "d"; /* what is wrong is said in words */
  if (status == SUMI_OK) printf("refused: %d\n", sumi_session_run(session, in, 3, &out, 1, &err) != SUMI_OK);
  fprintf(stderr, "%s\n", err.text);
  sumi_session_free(session);
  sumi_model_unref(model);
  return status != SUMI_OK;
}
