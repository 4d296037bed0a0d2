/* Sessions as room api hands them out: arguments from callers are checked here, one sentence each. */
#ifndef SUMI_EXEC_SESSION_H
#define SUMI_EXEC_SESSION_H

#include <stdio.h>

#include "exec/exec.h"

/* As the functions of sumi.h with like names; options and views are of this library's size. */
sumi_status sumi_session_init(struct sumi_model *model, const struct sumi_session_options *options,
                              struct sumi_session **out, struct sumi_err *err);
void sumi_session_fini(struct sumi_session *session);
sumi_status sumi_session_plan(struct sumi_session *session, const struct sumi_view *inputs, size_t n_inputs,
                              struct sumi_stage **stage, struct sumi_err *err);
sumi_status sumi_session_execute(struct sumi_session *session, const struct sumi_view *inputs,
                                 size_t n_inputs, struct sumi_view *outputs, size_t n_outputs,
                                 struct sumi_err *err);

#endif
