/* The driver of a card's chip behind its contract (card/card.h): rings, copies, runs, errors. Knows nothing of graphs, nor whether
 * a real chip or a simulated one is behind the bus. One thread at a time. */
#ifndef SUMI_DEVICE_ANTOUM_DRIVER_H
#define SUMI_DEVICE_ANTOUM_DRIVER_H

#include "base/mem.h"
#include "card/card.h"

struct antoum_driver;

/* Takes a chip over: checks ID and version, resets it, sets the rings up. bus is the caller's and must live longer.
 * SUMI_E_UNSUPPORTED: another device or version. SUMI_E_DEVICE: it does not answer, or reports an error. */
sumi_status antoum_driver_open(struct sumi_card_bus *bus, const struct sumi_allocator *a,
                               struct antoum_driver **out, struct sumi_err *err);
void antoum_driver_close(struct antoum_driver *d); /* NULL allowed */

/* What the chip's registers said when it was opened. */
struct antoum_chip {
  uint64_t caps; /* SUMI_CARD_CAP_* */
  int cores;
  uint64_t clock_hz, dram_bytes, sram_bytes, acc_bytes; /* SRAM and accumulators of one core */
};
const struct antoum_chip *antoum_driver_chip(const struct antoum_driver *d);

/* Bytes of DRAM, 4096-byte aligned, never at 0. SUMI_E_LIMIT: the card's memory is used up. */
sumi_status antoum_dram_alloc(struct antoum_driver *d, uint64_t bytes, uint64_t *at, struct sumi_err *err);
void antoum_dram_free(struct antoum_driver *d, uint64_t at);

/* Copies between host memory (any alignment, mapped or staged by the driver) and DRAM; ends when done. */
sumi_status antoum_copy_in(struct antoum_driver *d, uint64_t at, const void *from, size_t bytes,
                           struct sumi_err *err);
sumi_status antoum_copy_out(struct antoum_driver *d, void *to, uint64_t at, size_t bytes,
                            struct sumi_err *err);

/* One step of a pipeline: what goes in, runs, comes out. Copies and runs of neighbouring items overlap: the copy in of item i + 1 and
 * the copy out of item i - 1 run beside run i; with `buffers` sets of bases (more than 16 count as 16) item i uses set i % buffers. */
struct antoum_piece {
  void *host;
  uint64_t card;
  size_t bytes;
};
struct antoum_item {
  const struct antoum_piece *in, *out;
  size_t n_in, n_out;
  uint64_t programs; /* DRAM address of struct sumi_card_program [cores] */
  uint16_t cores;    /* mask */
  uint64_t base[4];
};
/* Runs items in order; ends when all are done. The first error ends it: what ran is in the sentence (node by tag through name,
 * which may be NULL), the chip has been reset and is ready for more. SUMI_E_DEVICE: the card failed, or a command did not end.
 * SUMI_E_VALUE: a look-up's id is out of range. SUMI_E_INTERNAL: the chip refused a word or command. */
sumi_status antoum_run_items(struct antoum_driver *d, const struct antoum_item *item, size_t n,
                             size_t buffers, const char *(*name)(void *user, uint32_t tag), void *user,
                             struct sumi_err *err);

/* Of the last antoum_run_items, in cycles of the chip. */
struct antoum_times {
  uint64_t total;          /* from the start of the first command to the end of the last */
  uint64_t first, slowest; /* an item, from the start of its copy in to the end of its copy out */
};
void antoum_driver_times(const struct antoum_driver *d, struct antoum_times *out);

#endif
