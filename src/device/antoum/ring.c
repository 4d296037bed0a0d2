/* The two rings: commands out, completions back, and what to do when none comes. */
#include <string.h>

#include "base/size.h"
#include "device/antoum/driver_int.h"

enum {
  SLICE_NS = 20000000, /* between two looks into the ring where no interrupt comes */
  PATIENCE = 500,      /* slices without a completion are a hang: ten seconds of the chip's time */
  RESET_TRIES = 1000,
  MOST_NUMBERS = 1 << 30 /* commands after which the numbers begin anew, long before they wrap */
};

static uint64_t bus_of(const struct antoum_driver *d, const void *p) {
  return d->shared_bus + (uint64_t)((const uint8_t *)p - (const uint8_t *)d->shared);
}

/* ---- starting */

static sumi_status reset(struct antoum_driver *d, struct sumi_err *err) {
  antoum_write(d, SUMI_CARD_REG_CONTROL, SUMI_CARD_CONTROL_RESET);
  for (int i = 0; i < RESET_TRIES; i++) {
    const uint64_t control = antoum_read(d, SUMI_CARD_REG_CONTROL);
    if (control == UINT64_MAX) break; /* nobody there */
    if (!(control & SUMI_CARD_CONTROL_RESET)) return SUMI_OK;
  }
  SUMI_FAIL(err, SUMI_E_DEVICE, "card: the chip does not come out of its reset");
}

static void forget(struct antoum_driver *d) {
  for (int i = 0; i < ANTOUM_RING; i++) d->task[i].busy = false;
  memset(d->shared->completion, 0, sizeof d->shared->completion); /* phases of the first lap */
  d->sent = d->seen = 0;
  memset(d->staged, 0, sizeof d->staged);
  memset(d->unstaged, 0, sizeof d->unstaged);
}

sumi_status antoum_start(struct antoum_driver *d, struct sumi_err *err) {
  d->is_up = false;
  SUMI_TRY(reset(d, err));
  forget(d);
  antoum_write(d, SUMI_CARD_REG_CQ_BASE, bus_of(d, d->shared->command));
  antoum_write(d, SUMI_CARD_REG_CQ_SIZE, ANTOUM_RING);
  antoum_write(d, SUMI_CARD_REG_RQ_BASE, bus_of(d, d->shared->completion));
  antoum_write(d, SUMI_CARD_REG_RQ_SIZE, ANTOUM_RING);
  antoum_write(d, SUMI_CARD_REG_IRQ_STATUS, UINT64_MAX);
  antoum_write(d, SUMI_CARD_REG_IRQ_ENABLE, SUMI_CARD_IRQ_DONE | SUMI_CARD_IRQ_ERROR);
  antoum_write(d, SUMI_CARD_REG_CONTROL, SUMI_CARD_CONTROL_ENABLE);
  const uint64_t status = antoum_read(d, SUMI_CARD_REG_STATUS);
  if (status == UINT64_MAX || !(status & SUMI_CARD_STATUS_ENABLED))
    SUMI_FAIL(err, SUMI_E_DEVICE, "card: the chip does not take its rings: %s",
              sumi_card_error_text((unsigned)antoum_read(d, SUMI_CARD_REG_ERROR)));
  d->is_up = true;
  return SUMI_OK;
}

sumi_status antoum_begin(struct antoum_driver *d, struct sumi_err *err) {
  return d->is_up && d->sent < MOST_NUMBERS ? SUMI_OK : antoum_start(d, err);
}

sumi_status antoum_end(struct antoum_driver *d, sumi_status status) {
  if (status != SUMI_OK) antoum_start(d, NULL); /* where it fails, the next call tries again */
  return status;
}

/* ---- completions */

static void unstage(struct antoum_driver *d, const struct antoum_task *t) {
  if (t->kind == SUMI_CARD_COPY_IN) d->unstaged[ANTOUM_IN]++;
  if (t->kind != SUMI_CARD_COPY_OUT) return;
  d->unstaged[ANTOUM_OUT]++;
  for (int i = 0; i < t->n; i++) memcpy(t->part[i].host, t->part[i].staged, t->part[i].bytes);
}

static void keep_time(struct antoum_driver *d, const struct antoum_task *t,
                      const struct sumi_card_completion *c) {
  if (t->item == ANTOUM_NO_ITEM) return;
  uint64_t *const started = &d->item_started[t->item % ANTOUM_ITEMS];
  d->begun = SUMI_MIN(d->begun, c->started);
  d->ended = SUMI_MAX(d->ended, c->finished);
  if (t->first) *started = c->started;
  if (!t->last) return;
  const uint64_t took = c->finished - *started;
  if (!t->item) d->times.first = took;
  d->times.slowest = SUMI_MAX(d->times.slowest, took);
}

static sumi_status take(struct antoum_driver *d, const struct sumi_card_completion *c, struct sumi_err *err) {
  const uint32_t age = d->sent - c->number; /* 0: the last one that was given */
  struct antoum_task *t = &d->task[(c->number - 1) % ANTOUM_RING];
  if (!c->number || age >= ANTOUM_RING || !t->busy)
    SUMI_FAIL(err, SUMI_E_DEVICE, "card: the chip reports the end of command %u, which is not under way",
              c->number);
  t->busy = false;
  if (c->error) return antoum_report_failure(d, t, c, err);
  unstage(d, t);
  keep_time(d, t, c);
  return SUMI_OK;
}

/* Takes what is in the ring. */
static sumi_status take_all(struct antoum_driver *d, bool *any, struct sumi_err *err) {
  *any = false;
  for (;;) {
    const struct sumi_card_completion *at = &d->shared->completion[d->seen % ANTOUM_RING];
    const uint16_t phase = !(d->seen / ANTOUM_RING & 1);
    if (__atomic_load_n(&at->phase, __ATOMIC_ACQUIRE) != phase) return SUMI_OK;
    const struct sumi_card_completion c = *at;
    antoum_write(d, SUMI_CARD_REG_RQ_HEAD, ++d->seen);
    *any = true;
    SUMI_TRY(take(d, &c, err));
  }
}

/* An interrupt can be lost, so the ring is looked into after every wait; and it can come for what has been taken already, so it is
 * cleared before that. */
sumi_status antoum_pump(struct antoum_driver *d, struct sumi_err *err) {
  bool any;
  SUMI_TRY(take_all(d, &any, err));
  for (int i = 0; !any && i < PATIENCE; i++) {
    const uint64_t irq = d->bus->wait(d->bus->self, SLICE_NS);
    if (irq) antoum_write(d, SUMI_CARD_REG_IRQ_STATUS, irq);
    SUMI_TRY(take_all(d, &any, err));
    if (any || !(irq & SUMI_CARD_IRQ_ERROR)) continue;
    const uint64_t error = antoum_read(d, SUMI_CARD_REG_ERROR);
    if (error)
      SUMI_FAIL(err, SUMI_E_DEVICE, "card: the chip stopped: %s", sumi_card_error_text((unsigned)error));
  }
  return any ? SUMI_OK : antoum_report_silence(d, err);
}

sumi_status antoum_drain(struct antoum_driver *d, struct sumi_err *err) {
  while (d->seen != d->sent) SUMI_TRY(antoum_pump(d, err));
  return SUMI_OK;
}

/* ---- commands */

sumi_status antoum_reserve(struct antoum_driver *d, unsigned *slot, struct sumi_err *err) {
  *slot = d->sent % ANTOUM_RING;
  while (d->task[*slot].busy) SUMI_TRY(antoum_pump(d, err));
  return SUMI_OK;
}

sumi_status antoum_submit(struct antoum_driver *d, struct sumi_card_command *command,
                          const struct antoum_task *task, struct sumi_err *err) {
  unsigned slot;
  SUMI_TRY(antoum_reserve(d, &slot, err));
  command->number = ++d->sent;
  if (command->kind != SUMI_CARD_RUN) command->list = bus_of(d, d->shared->descriptor[slot]);
  d->task[slot] = *task;
  d->task[slot].busy = true;
  d->task[slot].kind = command->kind;
  d->shared->command[slot] = *command;
  __atomic_thread_fence(__ATOMIC_RELEASE); /* the command is in memory before the doorbell rings */
  antoum_write(d, SUMI_CARD_REG_CQ_TAIL, d->sent);
  return SUMI_OK;
}
