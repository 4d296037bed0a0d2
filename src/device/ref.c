/* Device ref: every node by its operator's reference function, on the portable graph. What the others are tested
 * against; slow and plain. Also the step that other devices use where they have nothing faster. Device ref-machine: the same
 * on the machine graph, so that what a fused operator rounds once is rounded once; device antoum gives its integers. */
#include "device/device.h"
#include "op/call_lower.h"

static sumi_status run_ref(const struct sumi_call *call, const struct sumi_call_tools *tools) {
  (void)tools;
  return call->node->op->ref(call);
}

sumi_status sumi_ref_lower(struct sumi_lower *l) { return sumi_call_lower(l, run_ref, NULL, 0, -1, "ref"); }

const struct sumi_device sumi_device_ref = {
    .name = "ref",
    .what = "reference functions on the portable graph",
    .lower = sumi_ref_lower,
};

const struct sumi_device sumi_device_ref_machine = {
    .name = "ref-machine",
    .what = "reference functions on the machine graph: the integers of device antoum",
    .machine_passes = true,
    .lower = sumi_ref_lower,
};
