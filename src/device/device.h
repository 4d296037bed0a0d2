/* Devices: who turns the nodes of a graph into steps. One descriptor per device in its own file, listed in devices.def. */
#ifndef SUMI_DEVICE_DEVICE_H
#define SUMI_DEVICE_DEVICE_H

#include "plan/lower.h"
#include "plan/plan.h"

struct sumi_card; /* device/antoum */

/* A stage that is about to be lowered, for devices that look at more than one node at a time. */
struct sumi_device_stage {
  const struct sumi_graph *graph;
  const bool *planned;          /* [n_node] nodes this stage plans */
  const struct sumi_info *info; /* [n_value] */
  struct sumi_card *card;       /* the session's; NULL: it has none */
  struct sumi_arena *arena;     /* of the plan */
  const struct sumi_allocator *allocator;
  bool narrow;   /* products of float32 may be taken on bfloat16 */
  int64_t items; /* of the batch; 1 where it cannot be taken item by item */
  /* Infos where the batch has only so many items, 1 <= each <= items, and which values carry items as dimension 0. False: it
   * must stay whole. In the arena. */
  bool (*part)(void *self, int64_t each, const struct sumi_info **info, const bool **carries);
  void *self;
  struct sumi_err *err;
};

/* What a device made of a stage, the first member of a struct of its own. */
struct sumi_device_code {
  const size_t *order; /* [n_node] ids of nodes, in the order to lower them in */
  const bool *taken;   /* [n_node] nodes that exchange values among each other in ways of the device's own */
  const bool *inside;  /* [n_value] known among such nodes only: no buffer */
};

struct sumi_device {
  const char *name, *what;
  bool machine_passes; /* runs on the machine graph (fused nodes) instead of the portable graph */
  bool flushes;        /* subnormal floats are zero: sums over them would take a hundred times as long */
  bool
      guarded; /* every buffer in memory of its own between guard pages, poisoned before and after its life */

  /* Called before the nodes of a stage are lowered; lower sees what it made (l->code), end gets it back when the plan goes. NULL =
   * node by node. */
  sumi_status (*begin)(const struct sumi_device_stage *s, struct sumi_device_code **out);
  void (*end)(struct sumi_device_code *code);

  /* Emits the steps of one node whose shapes are all numbers. SUMI_E_UNSUPPORTED after refusals = nobody here can. */
  sumi_status (*lower)(struct sumi_lower *l);
};

#define SUMI_DEVICE(symbol) extern const struct sumi_device sumi_device_##symbol;
#include "device/devices.def"
#undef SUMI_DEVICE

/* All devices in the order of devices.def; the first is the default. */
const struct sumi_device *const *sumi_devices(size_t *n);
const struct sumi_device *sumi_device_find(const char *name); /* NULL = unknown */

/* Emits one step that calls the operator's reference function. */
sumi_status sumi_ref_lower(struct sumi_lower *l);

/* Kernels of this processor where the operator has them, else its reference function. */
sumi_status sumi_cpu_lower(struct sumi_lower *l);

/* Memory between guard pages: data ends at a page that faults, up to 63 bytes of canary before it for alignment. */
struct sumi_guard {
  unsigned char *map, *data;
  size_t map_bytes, bytes;
};
sumi_status sumi_guard_init(struct sumi_guard *g, size_t bytes, struct sumi_err *err);
void sumi_guard_fini(struct sumi_guard *g);
void sumi_guard_poison(const struct sumi_guard
                           *g); /* fills data with 0xff (NaN in every float format) and renews the canaries */
bool sumi_guard_intact(const struct sumi_guard *g); /* nothing was written around data */

#endif
