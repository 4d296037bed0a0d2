/* A segment's runs again and again, for measuring how a stream of inferences goes. */
#include "base/size.h"
#include "device/antoum/antoum.h"

sumi_status antoum_repeat_segment(const struct antoum_segment *g, size_t inferences,
                                  struct antoum_times *times, struct sumi_err *err) {
  const struct sumi_allocator *a = &g->card->allocator;
  size_t n, bytes;
  if (!sumi_size_mul(g->runs, inferences, &n) ||
      !sumi_size_mul(n, sizeof(struct antoum_item) + 2 * sizeof(struct antoum_piece), &bytes))
    SUMI_FAIL(err, SUMI_E_LIMIT, "card: %zu inferences of %zu runs are too many", inferences, g->runs);
  struct antoum_item *item = bytes ? sumi_alloc(a, bytes) : NULL;
  if (!item) SUMI_FAIL_MEMORY(err);
  struct antoum_piece *piece = (struct antoum_piece *)(void *)(item + n);
  for (size_t i = 0; i < n; i++) item[i] = antoum_item_of(g, i, &piece[2 * i]);
  const sumi_status status =
      antoum_run_items(g->card->driver, item, n, 2, antoum_node_name, (void *)(uintptr_t)g, err);
  antoum_driver_times(g->card->driver, times);
  sumi_free(a, item, bytes);
  return status;
}
