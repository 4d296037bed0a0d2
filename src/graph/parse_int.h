/* What parse.c and parse_attr.c share. They call each other: bodies stand among attributes. */
#ifndef SUMI_GRAPH_PARSE_INT_H
#define SUMI_GRAPH_PARSE_INT_H

#include "graph/read.h"

struct sumi_import {
  const char *domain;
  int version;
};

struct sumi_parser {
  struct sumi_reader r;
  struct sumi_list imports; /* of struct sumi_import */
};

#define FAIL_AT(p, at, ...) return sumi_read_fail(&(p)->r, (at), SUMI_E_FORMAT, __VA_ARGS__)

/* The place of the next word. */
static inline const char *sumi_parse_here(struct sumi_parser *p) {
  sumi_read_peek(&p->r);
  return p->r.p;
}

/* (inputs) => (outputs) <constants> { nodes } into an empty graph: what stands behind a graph's name. */
sumi_status sumi_parse_graph(struct sumi_parser *p, struct sumi_graph *g);

/* <name = value, ...>, if that is next, onto a list of struct sumi_attr. Bodies are made inside g; names of attributes
 * lie in temp, all else where g keeps it. */
sumi_status sumi_parse_attrs(struct sumi_parser *p, struct sumi_graph *g, struct sumi_list *attrs);

#endif
