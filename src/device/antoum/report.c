/* What a chip reports, as a status and a sentence. */
#include <stdio.h>

#include "card/word.h"
#include "device/antoum/driver_int.h"

/* Whose mistake an error is: the card's unless it stands here. A look-up's ids are the caller's data; what the chip refuses of words
 * and commands, the compiler or this driver got wrong. */
static sumi_status status_of(unsigned error) {
  static const sumi_status status[SUMI_CARD_N_ERRORS] = {
      [SUMI_CARD_ERROR_RING] = SUMI_E_INTERNAL,   [SUMI_CARD_ERROR_COMMAND] = SUMI_E_INTERNAL,
      [SUMI_CARD_ERROR_SRAM] = SUMI_E_INTERNAL,   [SUMI_CARD_ERROR_ACC] = SUMI_E_INTERNAL,
      [SUMI_CARD_ERROR_OPCODE] = SUMI_E_INTERNAL, [SUMI_CARD_ERROR_FIELD] = SUMI_E_INTERNAL,
      [SUMI_CARD_ERROR_BANK] = SUMI_E_INTERNAL,   [SUMI_CARD_ERROR_INDEX] = SUMI_E_INTERNAL,
      [SUMI_CARD_ERROR_TOKEN] = SUMI_E_INTERNAL,  [SUMI_CARD_ERROR_DEADLOCK] = SUMI_E_INTERNAL,
      [SUMI_CARD_ERROR_VECTOR] = SUMI_E_INTERNAL, [SUMI_CARD_ERROR_ID] = SUMI_E_VALUE};
  return error < SUMI_CARD_N_ERRORS && status[error] ? status[error] : SUMI_E_DEVICE;
}

/* "copy in", "run of item 3". */
static const char *what_of(const struct antoum_task *t, char buf[64]) {
  const char *kind = t->kind == SUMI_CARD_COPY_IN    ? "copy in"
                     : t->kind == SUMI_CARD_COPY_OUT ? "copy out"
                                                     : "run";
  if (t->item == ANTOUM_NO_ITEM) return kind;
  snprintf(buf, 64, "%s of item %llu", kind, (unsigned long long)t->item);
  return buf;
}

/* ": core 1, engine act, word 17 (opcode 4) of 'conv1'". */
static void where_of(const struct antoum_driver *d, const struct sumi_card_completion *c, char *buf,
                     size_t size) {
  const char *name = d->name ? d->name(d->user, c->tag) : NULL;
  char tag[32];
  snprintf(tag, sizeof tag, "tag %u", c->tag);
  snprintf(buf, size, ": core %u, engine %s, word %u (opcode %u) of '%.200s'", c->core,
           sumi_card_engine_name(c->engine), c->word, c->opcode, name ? name : tag);
}

sumi_status antoum_report_failure(const struct antoum_driver *d, const struct antoum_task *task,
                                  const struct sumi_card_completion *c, struct sumi_err *err) {
  char what[64], where[320] = "", address[40] = "", detail[40] = "";
  if (task->kind == SUMI_CARD_RUN && c->core < d->chip.cores) where_of(d, c, where, sizeof where);
  if (c->address) snprintf(address, sizeof address, ", address 0x%llx", (unsigned long long)c->address);
  if (c->detail) snprintf(detail, sizeof detail, ", value %llu", (unsigned long long)c->detail);
  SUMI_FAIL(err, status_of(c->error), "card: %s%s: %s%s%s", what_of(task, what), where,
            sumi_card_error_text(c->error), address, detail);
}

sumi_status antoum_report_silence(const struct antoum_driver *d, struct sumi_err *err) {
  char what[64];
  const struct antoum_task *oldest = NULL;
  for (uint32_t number = d->sent - ANTOUM_RING + 1; !oldest && number != d->sent + 1; number++)
    if (d->task[(number - 1) % ANTOUM_RING].busy) oldest = &d->task[(number - 1) % ANTOUM_RING];
  if (antoum_read(d, SUMI_CARD_REG_ID) != SUMI_CARD_ID)
    SUMI_FAIL(err, SUMI_E_DEVICE, "card: the chip does not answer any more, nor end its %s",
              oldest ? what_of(oldest, what) : "commands");
  SUMI_FAIL(err, SUMI_E_DEVICE, "card: %s hangs: it did not end in ten seconds; the chip is reset",
            oldest ? what_of(oldest, what) : "nothing is under way, and the chip");
}
