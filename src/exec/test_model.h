/* A model from a graph's text, for tests of this room. */
#ifndef SUMI_EXEC_TEST_MODEL_H
#define SUMI_EXEC_TEST_MODEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exec/exec.h"
#include "exec/session.h"
#include "op/ops.h"
#include "pass/pass.h"

static struct sumi_model *model_of(const char *text) {
  struct sumi_err err = SUMI_ERR_INIT;
  struct sumi_graph *g = NULL;
  struct sumi_model *model = NULL;
  if (sumi_graph_parse(text, strlen(text), sumi_op_find, sumi_allocator_default(), &g, &err) != SUMI_OK ||
      sumi_passes_run(g, SUMI_PASS_PORTABLE, SUMI_PRECISION_FILE, NULL, &err) != SUMI_OK ||
      sumi_model_new(sumi_allocator_default(), g, &model, &err) != SUMI_OK)
    fail_msg("%s", err.text);
  return model;
}

#endif
