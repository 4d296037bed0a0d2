/* The inside of the driver: what the chip reaches of the host's memory, commands under way, the chip's memory. */
#ifndef SUMI_DEVICE_ANTOUM_DRIVER_INT_H
#define SUMI_DEVICE_ANTOUM_DRIVER_INT_H

#include "device/antoum/driver.h"

enum {
  ANTOUM_RING = 64,               /* entries of both rings: commands under way, so no ring overflows */
  ANTOUM_ITEMS = 2 * ANTOUM_RING, /* items of which a command is under way or still to come, at most */
  ANTOUM_SETS = 16,               /* sets of buffers that a pipeline uses, at most */
  ANTOUM_PARTS = 32,              /* descriptors of one copy */
  ANTOUM_STAGES = 3,              /* copies a direction that can be under way */
  ANTOUM_STAGE_BYTES = 2 << 20,
  ANTOUM_PAGE = 4096
};

/* Host memory that is mapped as long as the driver lives. */
struct antoum_shared {
  _Alignas(64) struct sumi_card_command command[ANTOUM_RING];
  struct sumi_card_completion completion[ANTOUM_RING];
  struct sumi_card_descriptor descriptor[ANTOUM_RING][ANTOUM_PARTS];
  uint8_t stage[2][ANTOUM_STAGES][ANTOUM_STAGE_BYTES]; /* [0]: copies in, [1]: copies out */
};

enum { ANTOUM_IN, ANTOUM_OUT };

#define ANTOUM_NO_ITEM UINT64_MAX

/* A command under way. */
struct antoum_task {
  bool busy, first, last; /* first, last: of its item */
  uint8_t kind;           /* enum sumi_card_command_kind */
  uint64_t item;
  int n; /* COPY_OUT: parts that are staged, and where they go */
  struct {
    void *host;
    const void *staged;
    size_t bytes;
  } part[ANTOUM_PARTS];
};

struct antoum_block {
  uint64_t at, bytes;
};

struct antoum_driver {
  const struct sumi_allocator *a;
  struct sumi_card_bus *bus;
  struct antoum_chip chip;
  void *memory; /* of shared, which begins at a page */
  struct antoum_shared *shared;
  uint64_t shared_bus;
  bool mapped, is_up; /* is_up: rings stand and nothing has failed since */
  uint32_t sent;      /* commands since the last reset: the number of the last one */
  uint32_t seen;      /* completions read since */
  struct antoum_task task[ANTOUM_RING];
  uint32_t staged[2], unstaged[2]; /* copies a direction begun and ended since the last reset */
  /* the run at work */
  const char *(*name)(void *user, uint32_t tag);
  void *user;
  uint64_t item_started[ANTOUM_ITEMS], begun, ended;
  struct antoum_times times;
  /* memory in use, by address */
  struct antoum_block *block;
  size_t n_block, cap_block;
};

static inline uint64_t antoum_read(const struct antoum_driver *d, uint32_t reg) {
  return d->bus->read(d->bus->self, reg);
}
static inline void antoum_write(const struct antoum_driver *d, uint32_t reg, uint64_t value) {
  d->bus->write(d->bus->self, reg, value);
}

/* ---- ring.c */
/* Resets the chip, forgets what was under way, sets the rings up. */
sumi_status antoum_start(struct antoum_driver *d, struct sumi_err *err);
/* Every call that gives commands begins and ends with these: a chip that could not be started is started again, and one that failed
 * is reset. */
sumi_status antoum_begin(struct antoum_driver *d, struct sumi_err *err);
sumi_status antoum_end(struct antoum_driver *d, sumi_status status);

/* Gives a command; number is filled in. Waits where as many as fit are under way. task is copied. */
sumi_status antoum_submit(struct antoum_driver *d, struct sumi_card_command *command,
                          const struct antoum_task *task, struct sumi_err *err);
/* The entry of descriptors that the next command may use; waits until there is one. */
sumi_status antoum_reserve(struct antoum_driver *d, unsigned *slot, struct sumi_err *err);
/* Waits until a completion comes and takes all that are there. The first that failed is the error. */
sumi_status antoum_pump(struct antoum_driver *d, struct sumi_err *err);
/* Waits until nothing is under way. */
sumi_status antoum_drain(struct antoum_driver *d, struct sumi_err *err);

/* ---- report.c: what happened, as a sentence. */
sumi_status antoum_report_failure(const struct antoum_driver *d, const struct antoum_task *task,
                                  const struct sumi_card_completion *c, struct sumi_err *err);
sumi_status antoum_report_silence(const struct antoum_driver *d, struct sumi_err *err);

#endif
