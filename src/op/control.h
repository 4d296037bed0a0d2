/* What If, Loop and Scan share. A control node's last n_captured inputs are what its bodies capture, and
 * stand behind every body's own inputs in the same order. */
#ifndef SUMI_OP_CONTROL_H
#define SUMI_OP_CONTROL_H

#include "graph/op.h"

/* The body, checked: its own inputs (captures left out) are n_own (-1: any number), and its outputs at least
 * n_out. */
sumi_status sumi_control_body(const struct sumi_node *node, const char *attr, int n_own, int n_out,
                              const struct sumi_graph **body, struct sumi_err *err);

/* What holds of a value that is either a or b. Contents are dropped. */
struct sumi_info sumi_info_join(const struct sumi_info *a, const struct sumi_info *b);
bool sumi_info_same(const struct sumi_info *a, const struct sumi_info *b);
/* a without its contents, known or symbolic: for values that change from run to run. */
struct sumi_info sumi_info_shape(const struct sumi_info *a);

/* Infers a body whose first n_state inputs change from run to run, until what is known of them holds for
 * every run: in[body->n_input] starts with what is known of the first run and ends with what holds always;
 * out[body->n_output]; state i comes back as output first_out + i. */
sumi_status sumi_infer_iterated(struct sumi_infer *ctx, const struct sumi_graph *body, struct sumi_info *in,
                                int first_in, int n_state, int first_out, struct sumi_info *out);

/* One scan output at run time: what every run of the body gives, one after the other along a new dim. */
struct sumi_scan_out {
  int64_t room; /* elements along the new dim that output `index` has memory for */
  int index;    /* of the node's output */
};

/* Puts element number t behind those before; grows the output as needed. Strings are copied. */
sumi_status sumi_scan_append(const struct sumi_call *c, struct sumi_scan_out *s, int64_t t,
                             const struct sumi_tensor *element);

/* Copies a tensor's strings to the heap, in place. */
sumi_status sumi_own_strings(const struct sumi_call *c, sumi_dtype dtype, void *data, int64_t first,
                             int64_t n);

/* A scan output of no elements: its shape is what the body declares, unknown dims 0. dim[lead] go before
 * it. */
sumi_status sumi_scan_nothing(const struct sumi_call *c, int index, const struct sumi_value *declared,
                              const int64_t *lead, int n_lead);

#endif
