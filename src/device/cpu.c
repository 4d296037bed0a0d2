/* Device cpu: kernel families where an operator lowers to them, its reference function elsewhere. */
#include "device/device.h"

sumi_status sumi_cpu_lower(struct sumi_lower *l) {
  if (!l->node->op->lower) return sumi_ref_lower(l);
  const size_t n_step = l->plan->n_step, n_buffer = l->plan->n_buffer;
  struct sumi_err own = SUMI_ERR_INIT, *outer = l->err;
  l->err = &own;
  const sumi_status status = l->node->op->lower(l);
  l->err = outer;
  if (status == SUMI_OK) return SUMI_OK;
  if (status != SUMI_E_UNSUPPORTED) SUMI_FAIL(l->err, status, "%s", own.text);
  l->plan->n_step = n_step; /* what was emitted before it found out is taken back */
  l->plan->n_buffer = n_buffer;
  for (int i = 0; i < l->n_in; i++) l->spent[i] = false;
  return sumi_ref_lower(l);
}

const struct sumi_device sumi_device_cpu = {
    .name = "cpu",
    .what = "kernels for this processor on the machine graph",
    .machine_passes = true,
    .flushes = true,
    .lower = sumi_cpu_lower,
};

const struct sumi_device sumi_device_audit = {
    .name = "audit",
    .what = "as cpu, every buffer between guard pages, poisoned before and after its life",
    .machine_passes = true,
    .flushes = true,
    .guarded = true,
    .lower = sumi_cpu_lower,
};
