/* What dim.c and dim_text.c share. */
#ifndef SUMI_GRAPH_DIM_INT_H
#define SUMI_GRAPH_DIM_INT_H

#include "graph/dim.h"

enum {
  SUMI_DIM_MAX_EXPR = 1 << 20, /* expressions in a table */
  SUMI_DIM_MAX_SIZE =
      512, /* nodes of one expression written out as a tree: bounds recursion, printing, evaluation */
  SUMI_DIM_MAX_NAME = 1024, /* bytes of a symbol's name */
};

/* The expression behind a symbolic handle; NULL for numbers, unknown and handles of other tables. */
const struct sumi_dim_expr *sumi_dim_expr_of(const struct sumi_symbols *s, sumi_dim d);

#endif
