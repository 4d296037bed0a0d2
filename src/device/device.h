/* Devices: who turns the nodes of a graph into steps. One descriptor per device in its own file, listed in devices.def. */
#ifndef SUMI_DEVICE_DEVICE_H
#define SUMI_DEVICE_DEVICE_H

#include "plan/lower.h"
#include "plan/plan.h"

struct sumi_device {
  const char *name, *what;
  bool machine_passes; /* runs on the machine graph (fused nodes) instead of the portable graph */
  bool flushes;        /* subnormal floats are zero: sums over them would take a hundred times as long */
  bool
      guarded; /* every buffer in memory of its own between guard pages, poisoned before and after its life */

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
