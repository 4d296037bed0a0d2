/* A large batch run in parts: where every item of the outputs follows from the same item of the inputs (dimension 0), runs of
 * a few items at a time compute the same and keep what lies between two steps near the processor and the arena small. */
#ifndef SUMI_EXEC_SLICE_H
#define SUMI_EXEC_SLICE_H

#include "exec/exec.h"

/* What is known of one set of input shapes. */
struct sumi_slicing {
  struct sumi_slicing *next;
  int64_t *key; /* of the executor */
  size_t n_key;
  int64_t items; /* of the whole batch */
  int64_t each;  /* of one run; == items: the batch is not sliced */
  bool *
      carries; /* [graph->n_value] dimension 0 is the items; inputs and outputs are looked at after planning */
};

/* For devices that take items apart themselves: how many items the session's inputs of the call under way have (those whose
 * dimension 0 has the first symbol or, without any, the first one's number; 1 where they do not say), and the infos of all
 * values where there are `each` of them, with who carries items. False: items depend on each other, or the graph's shapes on
 * data. */
int64_t sumi_items(const struct sumi_session *s);
bool sumi_items_part(struct sumi_session *s, int64_t each, struct sumi_arena *arena,
                     const struct sumi_info **info, const bool **carries);

/* How the session's inputs of the call under way are run, decided once for their shapes and remembered. */
sumi_status sumi_slicing_find(struct sumi_session *s, const struct sumi_slicing **out, struct sumi_err *err);
void sumi_slicing_free_all(struct sumi_exec *exec);

/* Input i of the run that begins at an item. */
struct sumi_tensor sumi_slice_of(const struct sumi_slicing *slicing, const struct sumi_value *v,
                                 const struct sumi_tensor *whole, int64_t first);

#endif
