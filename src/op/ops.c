/* The operator table and its lookup. */
#include "op/ops.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"

static const struct sumi_op *const table[] = {
#define SUMI_OP(symbol) &sumi_op_##symbol,
#include "op/ops.def"
#undef SUMI_OP
};

const struct sumi_op *const *sumi_ops(size_t *n) {
  *n = SUMI_COUNT(table);
  return table;
}

static const char *plain(const char *domain) { return sumi_streq(domain, "ai.onnx") ? "" : domain; }

const struct sumi_op *sumi_op_find(const char *domain, const char *name, int opset, char *why,
                                   size_t why_size) {
  domain = plain(domain);
  const struct sumi_op *later = NULL;
  int first = 0;
  for (size_t i = 0; i < SUMI_COUNT(table); i++)
    for (const struct sumi_op_name *n = table[i]->known_as;
         n < table[i]->known_as + SUMI_COUNT(table[i]->known_as) && n->name; n++) {
      if (!sumi_streq(n->name, name) || !sumi_streq(n->domain, domain)) continue;
      if (opset >= n->version[0]) return table[i];
      later = table[i];
      first = n->version[0];
    }
  if (later)
    snprintf(why, why_size, "operator set %d of '%s' has no %s yet (it came with %d)", opset,
             *domain ? domain : "ai.onnx", name, first);
  else
    snprintf(why, why_size, "there is no operator '%s%s%s'", domain, *domain ? "." : "", name);
  return NULL;
}

const struct sumi_op *sumi_op_by_name(const char *name) {
  for (size_t i = 0; i < SUMI_COUNT(table); i++)
    if (sumi_streq(table[i]->name, name)) return table[i];
  return NULL;
}
