/* Taking a chip over, copies, and the pipeline of items. */
#include "device/antoum/driver.h"

#include <string.h>

#include "base/size.h"
#include "device/antoum/driver_int.h"

/* ---- opening and closing */

static sumi_status identify(struct antoum_driver *d, struct sumi_err *err) {
  const uint64_t id = antoum_read(d, SUMI_CARD_REG_ID);
  if (id == UINT64_MAX) SUMI_FAIL(err, SUMI_E_DEVICE, "card: nothing answers at its registers");
  if (id != SUMI_CARD_ID)
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED, "card: the device calls itself 0x%llx, not 0x%llx",
              (unsigned long long)id, (unsigned long long)SUMI_CARD_ID);
  const uint64_t version = antoum_read(d, SUMI_CARD_REG_VERSION);
  if (version >> 16 != SUMI_CARD_MAJOR)
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED,
              "card: the chip keeps version %llu.%llu of the contract, this driver %d",
              (unsigned long long)(version >> 16), (unsigned long long)(version & 0xffff), SUMI_CARD_MAJOR);
  const uint64_t cores = antoum_read(d, SUMI_CARD_REG_CORES);
  d->chip = (struct antoum_chip){.caps = antoum_read(d, SUMI_CARD_REG_CAPS),
                                 .cores = (int)SUMI_MIN(cores, 255),
                                 .clock_hz = antoum_read(d, SUMI_CARD_REG_CLOCK_HZ),
                                 .dram_bytes = antoum_read(d, SUMI_CARD_REG_DRAM_BYTES),
                                 .sram_bytes = antoum_read(d, SUMI_CARD_REG_SRAM_BYTES),
                                 .acc_bytes = antoum_read(d, SUMI_CARD_REG_ACC_BYTES)};
  if (cores < 1 || cores > 14 || d->chip.dram_bytes < ANTOUM_PAGE || d->chip.dram_bytes >> 48 ||
      antoum_read(d, SUMI_CARD_REG_BANK) != 32)
    SUMI_FAIL(err, SUMI_E_UNSUPPORTED,
              "card: %llu cores with %llu bytes of memory are none this driver knows",
              (unsigned long long)cores, (unsigned long long)d->chip.dram_bytes);
  return SUMI_OK;
}

static sumi_status map(struct antoum_driver *d, struct sumi_err *err) {
  d->memory = sumi_alloc(d->a, sizeof *d->shared + ANTOUM_PAGE);
  if (!d->memory) SUMI_FAIL_MEMORY(err);
  d->shared = (struct antoum_shared *)(void *)((uint8_t *)d->memory + -(uintptr_t)d->memory % ANTOUM_PAGE);
  SUMI_TRY(d->bus->map(d->bus->self, d->shared, sizeof *d->shared, &d->shared_bus, err));
  d->mapped = true;
  return SUMI_OK;
}

sumi_status antoum_driver_open(struct sumi_card_bus *bus, const struct sumi_allocator *a,
                               struct antoum_driver **out, struct sumi_err *err) {
  *out = NULL;
  if (!a) a = sumi_allocator_default();
  struct antoum_driver *d = sumi_alloc(a, sizeof *d);
  if (!d) SUMI_FAIL_MEMORY(err);
  d->a = a;
  d->bus = bus;
  sumi_status status = identify(d, err);
  if (status == SUMI_OK) status = map(d, err);
  if (status == SUMI_OK) status = antoum_start(d, err);
  if (status == SUMI_OK)
    *out = d;
  else
    antoum_driver_close(d);
  return status;
}

void antoum_driver_close(struct antoum_driver *d) {
  if (!d) return;
  if (d->mapped) {
    antoum_write(d, SUMI_CARD_REG_CONTROL, SUMI_CARD_CONTROL_RESET); /* it must not write here any more */
    d->bus->unmap(d->bus->self, d->shared_bus);
  }
  if (d->memory) sumi_free(d->a, d->memory, sizeof *d->shared + ANTOUM_PAGE);
  sumi_free(d->a, d->block, d->cap_block * sizeof *d->block);
  sumi_free(d->a, d, sizeof *d);
}

const struct antoum_chip *antoum_driver_chip(const struct antoum_driver *d) { return &d->chip; }

/* ---- copies */

/* How far pieces have been given. */
struct walk {
  const struct antoum_piece *piece;
  size_t n, done_bytes; /* of piece[0] */
};

static bool more(struct walk *w) {
  while (w->n && w->done_bytes == w->piece->bytes) w->piece++, w->n--, w->done_bytes = 0;
  return w->n;
}

/* Cuts off what fits into a stage and a list of descriptors, and copies it there where it goes in. */
static uint16_t stage(struct antoum_driver *d, int way, struct walk *w, struct sumi_card_descriptor *list,
                      struct antoum_task *t) {
  uint8_t *const memory = d->shared->stage[way][d->staged[way] % ANTOUM_STAGES];
  size_t at = 0;
  for (t->n = 0; t->n < ANTOUM_PARTS && at < ANTOUM_STAGE_BYTES && more(w); t->n++) {
    const size_t bytes = SUMI_MIN(w->piece->bytes - w->done_bytes, ANTOUM_STAGE_BYTES - at);
    uint8_t *const host = (uint8_t *)w->piece->host + w->done_bytes;
    if (way == ANTOUM_IN) memcpy(memory + at, host, bytes);
    t->part[t->n].host = host;
    t->part[t->n].staged = memory + at;
    t->part[t->n].bytes = bytes;
    list[t->n] =
        (struct sumi_card_descriptor){.host = d->shared_bus + (uint64_t)(memory + at - (uint8_t *)d->shared),
                                      .card = w->piece->card + w->done_bytes,
                                      .bytes = bytes};
    w->done_bytes += bytes;
    at += (bytes + SUMI_ALIGN - 1) / SUMI_ALIGN * SUMI_ALIGN;
  }
  return (uint16_t)t->n;
}

/* Gives the copies of an item. *first: whether its first command is still to come. */
static sumi_status copy(struct antoum_driver *d, int way, const struct antoum_piece *piece, size_t n,
                        uint32_t after, uint64_t item, bool *first, struct sumi_err *err) {
  struct walk w = {piece, n, 0};
  while (more(&w)) {
    struct antoum_task t = {.first = *first, .item = item};
    struct sumi_card_command c = {.kind = way == ANTOUM_IN ? SUMI_CARD_COPY_IN : SUMI_CARD_COPY_OUT,
                                  .after = after};
    unsigned slot;
    while (d->staged[way] - d->unstaged[way] == ANTOUM_STAGES) SUMI_TRY(antoum_pump(d, err));
    SUMI_TRY(antoum_reserve(d, &slot, err));
    c.n = stage(d, way, &w, d->shared->descriptor[slot], &t);
    t.last = way == ANTOUM_OUT && !more(&w);
    SUMI_TRY(antoum_submit(d, &c, &t, err));
    d->staged[way]++;
    *first = false;
  }
  return SUMI_OK;
}

static sumi_status copy_all(struct antoum_driver *d, int way, const struct antoum_piece *piece,
                            struct sumi_err *err) {
  bool first = false;
  SUMI_TRY(copy(d, way, piece, 1, 0, ANTOUM_NO_ITEM, &first, err));
  return antoum_drain(d, err);
}

sumi_status antoum_copy_in(struct antoum_driver *d, uint64_t at, const void *from, size_t bytes,
                           struct sumi_err *err) {
  SUMI_TRY(antoum_begin(d, err));
  const struct antoum_piece piece = {(void *)(uintptr_t)from, at, bytes}; /* copies in only read it */
  return antoum_end(d, copy_all(d, ANTOUM_IN, &piece, err));
}

sumi_status antoum_copy_out(struct antoum_driver *d, void *to, uint64_t at, size_t bytes,
                            struct sumi_err *err) {
  SUMI_TRY(antoum_begin(d, err));
  const struct antoum_piece piece = {to, at, bytes};
  return antoum_end(d, copy_all(d, ANTOUM_OUT, &piece, err));
}

/* ---- items */

static bool has_bytes(const struct antoum_piece *piece, size_t n) {
  return more(&(struct walk){piece, n, 0});
}

/* Gives the copies in and the run of an item. */
static sumi_status feed(struct antoum_driver *d, const struct antoum_item *item, uint64_t i, uint32_t after,
                        struct sumi_err *err) {
  bool first = true;
  SUMI_TRY(copy(d, ANTOUM_IN, item->in, item->n_in, after, i, &first, err));
  const struct antoum_task t = {.first = first, .last = !has_bytes(item->out, item->n_out), .item = i};
  struct sumi_card_command c = {
      .kind = SUMI_CARD_RUN, .n = item->cores, .after = d->sent, .list = item->programs};
  memcpy(c.base, item->base, sizeof c.base);
  return antoum_submit(d, &c, &t, err);
}

/* The order of the ring, for two sets of buffers: IN 0, RUN 0, IN 1, RUN 1, OUT 0, IN 2, RUN 2, OUT 1, IN 3, RUN 3 ... A command
 * starts when all up to `after` have completed; in this order that makes every command wait for what it needs and, units being in
 * order anyway, for nothing else:
 *   OUT k after RUN k;   IN k + sets after RUN k (it overwrites k's input);   RUN k + sets after IN k + sets and OUT k. */
static sumi_status run_items(struct antoum_driver *d, const struct antoum_item *item, size_t n, size_t sets,
                             struct sumi_err *err) {
  uint32_t ran[ANTOUM_SETS];
  for (size_t k = 0; k < SUMI_MIN(sets, n); k++) {
    SUMI_TRY(feed(d, &item[k], k, 0, err));
    ran[k] = d->sent;
  }
  for (size_t k = 0; k < n; k++) {
    bool first = false;
    uint32_t *const after = &ran[k % sets];
    SUMI_TRY(copy(d, ANTOUM_OUT, item[k].out, item[k].n_out, *after, k, &first, err));
    if (n - k <= sets) continue;
    SUMI_TRY(feed(d, &item[k + sets], k + sets, *after, err));
    *after = d->sent;
  }
  return antoum_drain(d, err);
}

sumi_status antoum_run_items(struct antoum_driver *d, const struct antoum_item *item, size_t n,
                             size_t buffers, const char *(*name)(void *user, uint32_t tag), void *user,
                             struct sumi_err *err) {
  SUMI_TRY(antoum_begin(d, err));
  d->name = name;
  d->user = user;
  d->times = (struct antoum_times){0};
  d->begun = UINT64_MAX;
  d->ended = 0;
  const sumi_status status = run_items(d, item, n, SUMI_MAX(1, SUMI_MIN(buffers, ANTOUM_SETS)), err);
  if (status == SUMI_OK && n) d->times.total = d->ended - d->begun;
  d->name = NULL;
  return antoum_end(d, status);
}

void antoum_driver_times(const struct antoum_driver *d, struct antoum_times *out) { *out = d->times; }
