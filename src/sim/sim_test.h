/* For tests: a small host around a simulated chip. Programs are arrays of words, run to their end; what went wrong is in the completion. */
#ifndef SUMI_SIM_SIM_TEST_H
#define SUMI_SIM_SIM_TEST_H

#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

enum { RIG_RING = 8, RIG_TABLE = 0x1000, RIG_WORDS = 0x10000, RIG_DATA = 1 << 20, RIG_HOST = 1 << 20 };

struct rig {
  struct sumi_sim *sim;
  struct sumi_card_bus bus;
  struct {
    _Alignas(64) struct sumi_card_command command[RIG_RING];
    struct sumi_card_completion completion[RIG_RING];
    struct sumi_card_descriptor descriptor[RIG_RING];
    uint8_t data[RIG_HOST];
  } * host;
  uint64_t at; /* bus address of *host */
  uint32_t sent, seen;
};

static inline uint64_t rig_bus(const struct rig *r, const void *p) {
  return r->at + (uint64_t)((const uint8_t *)p - (const uint8_t *)r->host);
}

/* Resets the chip and sets the rings up. */
static inline void rig_start(struct rig *r) {
  struct sumi_card_bus *b = &r->bus;
  memset(r->host, 0, offsetof(__typeof__(*r->host), data));
  b->write(b->self, SUMI_CARD_REG_CONTROL, SUMI_CARD_CONTROL_RESET);
  b->write(b->self, SUMI_CARD_REG_CQ_BASE, rig_bus(r, r->host->command));
  b->write(b->self, SUMI_CARD_REG_CQ_SIZE, RIG_RING);
  b->write(b->self, SUMI_CARD_REG_RQ_BASE, rig_bus(r, r->host->completion));
  b->write(b->self, SUMI_CARD_REG_RQ_SIZE, RIG_RING);
  b->write(b->self, SUMI_CARD_REG_IRQ_ENABLE, SUMI_CARD_IRQ_DONE | SUMI_CARD_IRQ_ERROR);
  b->write(b->self, SUMI_CARD_REG_CONTROL, SUMI_CARD_CONTROL_ENABLE);
  r->sent = r->seen = 0;
}

/* settings: "name=value" pairs end with NULL, on top of SparseOne-S4 with 256 KB SRAM and 64 KB accumulators. */
static inline bool rig_open(struct rig *r, const struct sumi_sim_options *options,
                            const char *const *settings) {
  struct sumi_card_profile p;
  memset(r, 0, sizeof *r);
  bool good = sumi_card_profile_find("SparseOne-S4", &p, NULL) == SUMI_OK;
  good = good && sumi_card_profile_set(&p, "sram_bytes", 1 << 18, "a test", NULL) == SUMI_OK;
  good = good && sumi_card_profile_set(&p, "acc_bytes", 1 << 16, "a test", NULL) == SUMI_OK;
  for (; good && settings && *settings; settings++) {
    char name[32] = "";
    const char *is = strchr(*settings, '=');
    memcpy(name, *settings, (size_t)(is - *settings));
    good = sumi_card_profile_set(&p, name, atoll(is + 1), "a test", NULL) == SUMI_OK;
  }
  r->host = aligned_alloc(4096, (sizeof *r->host + 4095) / 4096 * 4096);
  good = good && r->host && sumi_sim_open(&p, options, NULL, &r->sim, &r->bus, NULL) == SUMI_OK;
  good = good && r->bus.map(r->bus.self, r->host, sizeof *r->host, &r->at, NULL) == SUMI_OK;
  if (good) rig_start(r);
  return good;
}

static inline void rig_close(struct rig *r) {
  sumi_sim_close(r->sim);
  free(r->host);
}

/* Puts a command into the ring; number is filled in. */
static inline void rig_send(struct rig *r, struct sumi_card_command c) {
  c.number = r->sent + 1;
  r->host->command[r->sent++ % RIG_RING] = c;
  r->bus.write(r->bus.self, SUMI_CARD_REG_CQ_TAIL, r->sent);
}

/* The next completion within a second of the chip's time; error 0xffff = none came. */
static inline struct sumi_card_completion rig_next(struct rig *r) {
  const struct sumi_card_completion *c = &r->host->completion[r->seen % RIG_RING];
  const uint16_t phase = !(r->seen / RIG_RING & 1);
  for (int i = 0; i < 4 && c->phase != phase; i++) {
    r->bus.write(r->bus.self, SUMI_CARD_REG_IRQ_STATUS, UINT64_MAX);
    r->bus.wait(r->bus.self, 250000000);
  }
  if (c->phase != phase) return (struct sumi_card_completion){.error = 0xffff};
  r->bus.write(r->bus.self, SUMI_CARD_REG_RQ_HEAD, ++r->seen);
  return *c;
}

static inline struct sumi_card_completion rig_do(struct rig *r, struct sumi_card_command c) {
  rig_send(r, c);
  return rig_next(r);
}

static inline struct sumi_card_completion rig_copy(struct rig *r, uint8_t kind, uint64_t card,
                                                   uint64_t bytes) {
  r->host->descriptor[0] =
      (struct sumi_card_descriptor){.host = rig_bus(r, r->host->data), .card = card, .bytes = bytes};
  return rig_do(r, (struct sumi_card_command){.kind = kind, .n = 1, .list = rig_bus(r, r->host->descriptor)});
}

static inline unsigned rig_put(struct rig *r, uint64_t card, const void *data, size_t bytes) {
  memcpy(r->host->data, data, bytes);
  return rig_copy(r, SUMI_CARD_COPY_IN, card, bytes).error;
}

static inline unsigned rig_get(struct rig *r, uint64_t card, void *data, size_t bytes) {
  const unsigned error = rig_copy(r, SUMI_CARD_COPY_OUT, card, bytes).error;
  memcpy(data, r->host->data, bytes);
  return error;
}

/* Sets core's program. */
static inline unsigned rig_program(struct rig *r, int core, const union sumi_card_word *word, size_t n) {
  const struct sumi_card_program p = {.at = RIG_WORDS + (uint64_t)core * 0x10000, .words = (uint32_t)n};
  const unsigned error = n ? rig_put(r, p.at, word, n * sizeof *word) : 0;
  return error ? error : rig_put(r, RIG_TABLE + (uint64_t)core * sizeof p, &p, sizeof p);
}

static inline struct sumi_card_completion rig_go(struct rig *r, uint16_t cores) {
  return rig_do(r, (struct sumi_card_command){.kind = SUMI_CARD_RUN, .n = cores, .list = RIG_TABLE});
}

/* Runs one program on core 0. */
static inline struct sumi_card_completion rig_run(struct rig *r, const union sumi_card_word *word, size_t n) {
  const unsigned error = rig_program(r, 0, word, n);
  return error ? (struct sumi_card_completion){.error = (uint16_t)error} : rig_go(r, 1);
}

/* ---- words */

#define RIG_BIT(engine) (1u << SUMI_CARD_ON_##engine)

static inline struct sumi_card_header rig_header(unsigned opcode, unsigned wait, unsigned signal) {
  return (struct sumi_card_header){.opcode = (uint8_t)opcode,
                                   .version = SUMI_CARD_MAJOR,
                                   .wait = (uint8_t)wait,
                                   .signal = (uint8_t)signal};
}

/* Contiguous bytes between DRAM and the core's SRAM. */
static inline union sumi_card_word rig_move(unsigned opcode, uint64_t dram, uint32_t sram, uint32_t bytes,
                                            unsigned wait, unsigned signal) {
  return (union sumi_card_word){.move = {.h = rig_header(opcode, wait, signal),
                                         .dram = dram,
                                         .sram = SUMI_CARD_AT(SUMI_CARD_HERE, sram),
                                         .row_bytes = bytes,
                                         .n = {1, 1}}};
}

#endif
