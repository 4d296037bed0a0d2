/* What the API's files share: structs that start with their size. */
#ifndef SUMI_API_API_INT_H
#define SUMI_API_API_INT_H

#include <string.h>
#include <sumi/inspect.h>

#include "base/size.h"
#include "exec/session.h"
#include "graph/change.h"

/* Copies a caller's struct that may be older or newer than ours; what it lacks stays zero. */
#define SUMI_TAKE(to, from)                                              \
  do {                                                                   \
    memset(&(to), 0, sizeof(to));                                        \
    if (from) memcpy(&(to), (from), SUMI_MIN((from)->size, sizeof(to))); \
  } while (0)

/* Gives our struct to a caller's that may be smaller; its size field stays the caller's. */
#define SUMI_GIVE(to, from)                                       \
  do {                                                            \
    const size_t sumi_size_ = SUMI_MIN((to)->size, sizeof(from)); \
    (from).size = (to)->size;                                     \
    memcpy((to), &(from), sumi_size_);                            \
  } while (0)

/* SUMI_E_ARG unless every view has this library's size. */
sumi_status sumi_views_check(const struct sumi_view *views, size_t n, const char *what, struct sumi_err *err);

/* The cost of a node whose inputs and outputs all have numbers for shapes in info; false, and nothing, where not. arena
 * is working space. */
bool sumi_cost_of_node(const struct sumi_node *node, const struct sumi_info *info, struct sumi_arena *arena,
                       struct sumi_cost *cost);

/* The graph before the passes, read again from the model's source; the caller frees it. */
sumi_status sumi_model_import_again(const struct sumi_model *model, struct sumi_graph **out,
                                    struct sumi_err *err);

/* Writes the model's ONNX file with changes made to it at path; onnx/rewrite.h says how. SUMI_E_UNSUPPORTED where the
 * model was loaded from a compiled file. */
sumi_status sumi_model_rewrite(const struct sumi_model *model, const struct sumi_changes *changes,
                               const char *path, struct sumi_err *err);

#endif
