/* Opening models and sessions the way every command does. */
#include "common/session.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { MAX_SHOWN = 50 }; /* refusals printed one by one */

struct refusals {
  size_t n;
  json_t *list;
};

static void take_refusal(void *user, const struct sumi_refusal *r) {
  struct refusals *all = user;
  const bool node = *r->node || *r->op;
  if (++all->n > MAX_SHOWN) return;
  if (node)
    cli_note("node '%s' (%s, version %d): %s", r->node, r->op, r->version, r->reason);
  else
    cli_note("%s", r->reason);
  json_t *j = json_object();
  json_object_set_new(j, "node", cli_json_text(r->node));
  json_object_set_new(j, "op", cli_json_text(r->op));
  json_object_set_new(j, "version", json_integer(r->version));
  json_object_set_new(j, "reason", cli_json_text(r->reason));
  json_array_append_new(all->list, j);
}

int cli_open_model(const char *path, struct sumi_model **model) {
  struct refusals all = {0, json_array()};
  struct sumi_err err = SUMI_ERR_INIT;
  const struct sumi_model_options options = {
      .size = sizeof options, .on_refusal = take_refusal, .user = &all};
  const sumi_status status = sumi_model_load_file(path, &options, model, &err);
  int result = CLI_GO_ON;
  if (status != SUMI_OK && !all.n) {
    result = cli_refuse(status, "'%s': %s", path, err.text);
  } else if (status != SUMI_OK) {
    if (all.n > MAX_SHOWN) cli_note("... and %zu more", all.n - MAX_SHOWN);
    result = cli_refuse_with(status, "refusals", json_incref(all.list), "'%s' was refused for %zu reason%s",
                             path, all.n, all.n > 1 ? "s" : "");
  }
  json_decref(all.list);
  return result;
}

sumi_status cli_try_model(const char *path, struct sumi_model **model, struct sumi_err *err) {
  return sumi_model_load_file(path, NULL, model, err);
}

struct known {
  const char *name;
  bool found;
};

static bool is_device(void *user, const struct sumi_named *info) {
  struct known *k = user;
  k->found = k->found || strcmp(k->name, info->name) == 0;
  return true;
}

int cli_open_session(struct sumi_model *model, const struct cli_session_options *o, bool profile,
                     struct sumi_session **session) {
  if (o->device) {
    struct known k = {o->device, false};
    sumi_visit_devices(is_device, &k);
    if (!k.found) return cli_wrong("there is no device '%s' (sumi knobs lists them)", o->device);
  }
  struct sumi_err err = SUMI_ERR_INIT;
  const struct sumi_session_options options = {.size = sizeof options,
                                               .device = o->device,
                                               .threads = (int)o->threads,
                                               .isa = o->isa,
                                               .precision = o->precision,
                                               .profile = profile};
  const sumi_status status = sumi_session_new(model, &options, session, &err);
  if (status == SUMI_OK) return CLI_GO_ON;
  return status == SUMI_E_ARG ? cli_wrong("%s", err.text) : cli_refuse(status, "%s", err.text);
}

struct sumi_port_info cli_input(const struct sumi_model *model, size_t i) {
  struct sumi_port_info info = {.size = sizeof info};
  sumi_model_input(model, i, &info);
  return info;
}

struct sumi_port_info cli_output(const struct sumi_model *model, size_t i) {
  struct sumi_port_info info = {.size = sizeof info};
  sumi_model_output(model, i, &info);
  return info;
}

bool cli_find_input(const struct sumi_model *model, const char *name, struct sumi_port_info *info) {
  for (size_t i = 0; i < sumi_model_input_count(model); i++) {
    *info = cli_input(model, i);
    if (strcmp(info->name, name) == 0) return true;
  }
  return false;
}

const char *cli_data_kind(sumi_kind kind) {
  static const char *const names[SUMI_N_KINDS] = {"tensor",   "sequence", "optional",
                                                  "optional", "map",      "sequence of maps"};
  return names[kind];
}

char *cli_port_text(const struct sumi_port_info *port, char *buf, size_t size) {
  static const char *const kinds[SUMI_N_KINDS] = {
      "", "sequence of ", "optional ", "optional sequence of ", "map to ", "sequence of maps to "};
  int at = snprintf(buf, size, "%s%s[", (unsigned)port->kind < SUMI_N_KINDS ? kinds[port->kind] : "? ",
                    sumi_dtype_name(port->dtype));
  if (port->rank < 0) at += snprintf(buf + at, size - (size_t)at, "...");
  for (int i = 0; i < port->rank && at > 0 && (size_t)at < size; i++) {
    if (i) at += snprintf(buf + at, size - (size_t)at, ",");
    if ((size_t)at >= size) break;
    const char *name = port->dim_names[i] && *port->dim_names[i] ? port->dim_names[i] : "?";
    if (port->dims[i] >= 0)
      at += snprintf(buf + at, size - (size_t)at, "%lld", (long long)port->dims[i]);
    else
      at += snprintf(buf + at, size - (size_t)at, "%s", name);
  }
  if (at > 0 && (size_t)at < size) snprintf(buf + at, size - (size_t)at, "]");
  return buf;
}

struct sumi_view *cli_output_views(const struct sumi_model *model, size_t *n) {
  *n = sumi_model_output_count(model);
  struct sumi_view *views = cli_array_alloc(*n, sizeof *views);
  for (size_t i = 0; i < *n; i++)
    views[i] = (struct sumi_view){.size = sizeof *views, .name = cli_output(model, i).name};
  return views;
}

/* Linux's VmHWM where there is one: the kernel's ru_maxrss counts what the parent had before exec, too. */
int64_t cli_peak_rss_bytes(void) {
  FILE *status = fopen("/proc/self/status", "r");
  long long kib = -1;
  char line[128];
  while (status && kib < 0 && fgets(line, sizeof line, status))
    if (sscanf(line, "VmHWM: %lld", &kib) != 1) kib = -1;
  if (status) fclose(status);
  if (kib >= 0) return (int64_t)kib * 1024;
  struct rusage usage;
  return getrusage(RUSAGE_SELF, &usage) == 0 ? (int64_t)usage.ru_maxrss * 1024 : 0;
}
