/* The library's tables for tools: operators, kernels, passes, devices, knobs; and the machine in words. */
#include <stdlib.h>

#include "api/api_int.h"
#include "kernel/kernels.h"
#include "op/ops.h"
#include "pass/pass.h"

enum { MAX_PORTS = 64 };

static const char *kind_of(const struct sumi_port *port) {
  static const char *const plain[] = {"tensor", "sequence", "map", "sequence of maps"};
  if (port->flags & SUMI_PORT_ANY_KIND) return "any";
  return plain[(port->flags & SUMI_PORT_SEQUENCE ? 1 : 0) + (port->flags & SUMI_PORT_MAP ? 2 : 0)];
}

/* The ports of a list, at most MAX_PORTS; returns how many. */
static size_t list_ports(const struct sumi_port *port, struct sumi_op_port_info *out) {
  size_t n = 0;
  for (; port && port->name && n < MAX_PORTS; port++)
    out[n++] = (struct sumi_op_port_info){.size = sizeof *out,
                                          .name = port->name,
                                          .kind = kind_of(port),
                                          .dtypes = port->dtypes,
                                          .var = port->var,
                                          .optional = (port->flags & SUMI_PORT_OPTIONAL) != 0,
                                          .variadic = (port->flags & SUMI_PORT_VARIADIC) != 0};
  return n;
}

static bool visit_op(const struct sumi_op *op, const struct sumi_op_name *name,
                     bool (*visit)(void *, const struct sumi_op_info *), void *user) {
  struct sumi_op_port_info in[MAX_PORTS], out[MAX_PORTS];
  const struct sumi_op_info info = {.size = sizeof info,
                                    .name = name->name,
                                    .domain = name->domain,
                                    .formula = op->formula ? op->formula : "",
                                    .versions = name->version,
                                    .inputs = in,
                                    .outputs = out,
                                    .n_inputs = list_ports(op->in, in),
                                    .n_outputs = list_ports(op->out, out),
                                    .on_cpu = op->lower != NULL};
  return visit(user, &info);
}

void sumi_visit_ops(bool (*visit)(void *user, const struct sumi_op_info *info), void *user) {
  size_t n;
  const struct sumi_op *const *ops = sumi_ops(&n);
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < SUMI_COUNT(ops[i]->known_as) && ops[i]->known_as[k].name; k++)
      if (!visit_op(ops[i], &ops[i]->known_as[k], visit, user)) return;
}

void sumi_visit_kernels(bool (*visit)(void *user, const struct sumi_kernel_info *info), void *user) {
  struct sumi_kernel_row rows[SUMI_MAX_KERNEL_ROWS];
  const size_t n = SUMI_MIN(sumi_kernel_rows(rows, SUMI_MAX_KERNEL_ROWS), (size_t)SUMI_MAX_KERNEL_ROWS);
  for (size_t i = 0; i < n; i++) {
    const struct sumi_kernel_info info = {.size = sizeof info,
                                          .family = rows[i].family,
                                          .name = rows[i].name,
                                          .isa = sumi_isa_label(rows[i].isa),
                                          .what = rows[i].what,
                                          .runs_here = sumi_cpu_allows(sumi_cpu_isa(), rows[i].isa)};
    if (!visit(user, &info)) return;
  }
}

void sumi_visit_knobs(bool (*visit)(void *user, const struct sumi_named *info), void *user) {
  static const struct {
    const char *name, *what;
  } knobs[] = {
#define SUMI_KNOB(name, what) {name, what},
#include "base/knobs.def"
#undef SUMI_KNOB
  };
  for (size_t i = 0; i < SUMI_COUNT(knobs); i++) {
    const char *value = getenv(knobs[i].name);
    const struct sumi_named info = {
        .size = sizeof info, .name = knobs[i].name, .what = knobs[i].what, .value = value ? value : ""};
    if (!visit(user, &info)) return;
  }
}

void sumi_visit_passes(bool (*visit)(void *user, const struct sumi_named *info), void *user) {
  size_t n;
  const struct sumi_pass *const *passes = sumi_passes(&n);
  for (size_t i = 0; i < n; i++) {
    const struct sumi_named info = {.size = sizeof info,
                                    .name = passes[i]->name,
                                    .what = passes[i]->what,
                                    .value = passes[i]->stage == SUMI_PASS_PORTABLE ? "portable" : "machine"};
    if (!visit(user, &info)) return;
  }
}

void sumi_visit_devices(bool (*visit)(void *user, const struct sumi_named *info), void *user) {
  size_t n;
  const struct sumi_device *const *devices = sumi_devices(&n);
  for (size_t i = 0; i < n; i++) {
    const struct sumi_named info = {
        .size = sizeof info, .name = devices[i]->name, .what = devices[i]->what, .value = i ? "" : "default"};
    if (!visit(user, &info)) return;
  }
}

const char *sumi_isa_name(void) { return sumi_isa_label(sumi_cpu_isa()); }

const char *sumi_machine(void) { return sumi_cpu_info()->name; }
