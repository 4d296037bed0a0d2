/* BeamSearch over models with an encoder: bodies and results that have to be refused (tests/contrib/search.py holds what
 * it gives against ONNX Runtime). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/size.h"
#include "exec/session.h"
#include "op/ops.h"
#include "pass/pass.h"

/* The parts of a model of one layer; NULL: as it should be. */
struct parts {
  const char *start;       /* attribute */
  const char *encoder_in;  /* its inputs */
  const char *encoder_out; /* its outputs: k, v are made of the ids, so they have rank 2 */
  const char *ids;         /* the decoder's inputs */
  const char *hidden;
  const char *past;
  const char *says;
};

static const struct parts rows[] = {
    {.says = NULL}, /* nothing is wrong before it runs */
    {.start = "decoder_start_token_id = -1,", .says = "decoder_start_token_id is -1, no token"},
    {.start = "", .says = "decoder_start_token_id is -1, no token"},
    {.start = "decoder_start_token_id = 1, model_type = 2,", .says = "attribute 'model_type' twice"},
    {.encoder_in = "int32[b,s] i", .says = "body 'encoder' takes 1 inputs and gives 2 values, 2 or 3 and 2"},
    {.encoder_in = "int64[b,s] i, int32[b,s] m", .says = "input 0 of body 'encoder' is int64, not int32"},
    {.encoder_out = "k", .says = "body 'encoder' takes 2 inputs and gives 1 values, 2 or 3 and 2"},
    {.ids = "int32[b,t] i, int32[b,s] m,", .says = "one token a row: whole sequences are not fed"},
    {.ids = "int32[b,1] i, float[b,s] m,", .says = "input 1 of body 'decoder' is float32, not int32"},
    {.ids = "int32[b,1] i,", .says = "body 'decoder' takes 5 inputs"},
    {.hidden = "float[b,s,4] h,", .says = "wants hidden states, which 'encoder' does not give"},
    {.hidden = "int32[1] x, int32[1] z,", .says = "buffers shared by past and present are not known"},
    {.past = "float[b,h,p,2] a, float[b,1,p,2] c, float[b,1,s,2] e, float[b,1,s,2] f",
     .says = "how many heads"},
    {.past = "float[b,1,p,2] a, float[b,1,p,2] c, float[b,1,s,2] e, float[b,1,s] f",
     .says = "how many heads"},
    {.past = "float[b,1,p,2] a, float[b,1,p,2] c, double[b,1,s,2] e, float[b,1,s,2] f",
     .says = "how many heads"},
};

static const char * or (const char *given, const char *otherwise) { return given ? given : otherwise; }

static sumi_status make(const struct parts *p, struct sumi_graph **g, struct sumi_err *err) {
  char text[2000];
  snprintf(
      text, sizeof text,
      "g (int32[2,3] ids, int32[1] most, int32[1] n) => (y) {\n"
      "  y = com.microsoft.BeamSearch <eos_token_id = 0, pad_token_id = 0, model_type = 1, %s\n"
      "    encoder = e (%s) => (%s) { k = Cast <to = 1> (i) v = Cast <to = 1> (i) },\n"
      "    decoder = d (%s %s %s) => (l, b, q) { l = Cast <to = 1> (i) b = Identity (a) q = Identity (c) }>"
      " (ids, most, , n, n)\n}\n",
      or (p->start, "decoder_start_token_id = 1,"), or (p->encoder_in, "int32[b,s] i, int32[b,s] m"),
      or (p->encoder_out, "k, v"), or (p->ids, "int32[b,1] i, int32[b,s] m,"), or (p->hidden, ""),
      or (p->past, "float[b,1,p,2] a, float[b,1,p,2] c, float[b,1,s,2] e, float[b,1,s,2] f"));
  SUMI_TRY(sumi_graph_parse(text, strlen(text), sumi_op_find, sumi_allocator_default(), g, err));
  const sumi_status status = sumi_pass_infer(*g, NULL, NULL, err);
  if (status != SUMI_OK) sumi_graph_free(*g);
  return status;
}

static void wrong_bodies(void **state) {
  (void)state;
  for (size_t i = 0; i < SUMI_COUNT(rows); i++) {
    struct sumi_graph *g = NULL;
    struct sumi_err err = SUMI_ERR_INIT;
    const sumi_status status = make(&rows[i], &g, &err);
    if ((status != SUMI_OK) != (rows[i].says != NULL) || (rows[i].says && !strstr(err.text, rows[i].says)))
      fail_msg("row %zu: status %d, '%s'", i, status, err.text);
    if (status == SUMI_OK) sumi_graph_free(g);
  }
}

/* What the encoder gives is checked when it runs: here it has rank 2. */
static void wrong_results(void **state) {
  (void)state;
  static int32_t ids[] = {1, 2, 3, 4, 5, 6}, most[] = {5}, n[] = {2};
  static const int64_t two[] = {2, 3}, one[] = {1};
  const struct sumi_view in[] = {
      {.size = sizeof *in, .name = "ids", .data = ids, .dtype = SUMI_INT32, .rank = 2, .dims = two},
      {.size = sizeof *in, .name = "most", .data = most, .dtype = SUMI_INT32, .rank = 1, .dims = one},
      {.size = sizeof *in, .name = "n", .data = n, .dtype = SUMI_INT32, .rank = 1, .dims = one}};
  const struct sumi_session_options o = {.size = sizeof o, .device = "cpu"};
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *g = NULL;
  struct sumi_model *model = NULL;
  struct sumi_session *s = NULL;
  if (make(&rows[0], &g, &err) != SUMI_OK) fail_msg("%s", err.text);
  assert_int_equal(sumi_model_new(sumi_allocator_default(), g, &model, &err), SUMI_OK);
  assert_int_equal(sumi_session_init(model, &o, &s, &err), SUMI_OK);
  assert_int_equal(sumi_session_execute(s, in, 3, NULL, 0, &err), SUMI_E_SHAPE);
  assert_non_null(strstr(err.text, "the encoder gives float32 [2,3] for input 4 of the decoder"));
  sumi_session_fini(s);
  sumi_model_unref(model);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(wrong_bodies), cmocka_unit_test(wrong_results)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
