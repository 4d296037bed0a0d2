/* A run of a segment: every core's items are gathered in the form in which the card wants them, the card works, results are put where
 * the host's nodes and the caller want them. */
#include <string.h>

#include "base/size.h"
#include "device/antoum/antoum.h"
#include "op/move.h"

/* Items [first, first + n) of a tensor that lies row-major on the host. in: to the card. */
static void exchange(const struct antoum_port *p, char *host, char *card, int64_t first, int64_t n, bool in) {
  int64_t dim[SUMI_MAX_RANK], host_step[SUMI_MAX_RANK];
  for (int i = 0; i < p->rank; i++) dim[i] = p->dim[i];
  sumi_cells_steps(p->rank, dim, -1, host_step);
  if (p->carries) {
    dim[0] = n;
    host += (size_t)(first * host_step[0]) * (size_t)sumi_dtype_bits(p->dtype) / 8;
  }
  if (in)
    sumi_move(p->dtype, p->rank, dim, card, 0, p->step, host, 0, host_step);
  else
    sumi_move(p->dtype, p->rank, dim, host, 0, host_step, card, 0, p->step);
}

static void exchange_all(const struct antoum_segment *g, const struct antoum_port *p, char *host, char *block,
                         size_t block_bytes, bool in) {
  if (!p->carries) {
    for (size_t r = 0; r < (in ? g->runs : 1); r++)
      exchange(p, host, block + r * block_bytes + p->at, 0, 1, in);
    return;
  }
  int64_t first = 0;
  for (size_t r = 0; r < g->runs; r++)
    for (int core = 0; core < g->cores && first < g->items; core++, first += g->each)
      exchange(p, host, block + r * block_bytes + p->at + (size_t)core * p->core_step, first,
               SUMI_MIN(g->each, g->items - first), in);
}

const char *antoum_node_name(void *segment, uint32_t tag) {
  const struct antoum_segment *g = segment;
  for (size_t k = 0; k < g->n_node; k++)
    if (g->node[k]->id + 1 == tag) return g->node[k]->name;
  return NULL;
}

sumi_status antoum_run_segment(const void *args, const struct sumi_run *run) {
  const struct antoum_segment *g = args;
  for (size_t i = 0; i < g->n_in; i++)
    exchange_all(g, &g->in[i], run->buffer[g->in[i].value->id], (char *)g->in_host, g->in_bytes, true);
  SUMI_TRY(antoum_run_items(g->card->driver, g->item, g->runs, 2, antoum_node_name, (void *)g, run->err));
  for (size_t i = 0; i < g->n_out; i++)
    exchange_all(g, &g->out[i], run->buffer[g->out[i].value->id], (char *)g->out_host, g->out_bytes, false);
  return SUMI_OK;
}
