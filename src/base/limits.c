/* Defaults of struct sumi_limits. */
#include "base/limits.h"

#include <string.h>

#include "base/size.h"

/* n GiB, or all of a smaller address space. */
static size_t gib(size_t n) { return n > SIZE_MAX >> 30 ? SIZE_MAX : n << 30; }

struct sumi_limits sumi_limits_fill(const struct sumi_limits *given) {
  struct sumi_limits l = {0};
  if (given) memcpy(&l, given, SUMI_MIN(given->size, sizeof l));
  l.size = sizeof l;
  if (!l.max_file_bytes) l.max_file_bytes = gib(64);
  if (!l.max_nodes) l.max_nodes = 1000000;
  if (!l.max_values) l.max_values = 4000000;
  if (!l.max_depth) l.max_depth = 32;
  if (!l.max_attr_items) l.max_attr_items = 16777216;
  if (!l.max_name_bytes) l.max_name_bytes = 65536;
  if (!l.max_tensor_bytes) l.max_tensor_bytes = gib(32);
  return l;
}
