/* For tests of what compiles cells: words run by all cores of a simulated chip, each on its own data. Bases of DRAM are far apart;
 * a core's inputs and outputs begin core_step behind those of the core before. */
#ifndef SUMI_DEVICE_ANTOUM_ANTOUM_TEST_H
#define SUMI_DEVICE_ANTOUM_ANTOUM_TEST_H

#include "base/size.h"
#include "device/antoum/cells.h"
#include "sim/sim_test.h"

enum {
  ANTOUM_TEST_WORDS = 1 << 27,      /* where the cores' programs lie */
  ANTOUM_TEST_WORDS_STEP = 1 << 22, /* of a core */
  ANTOUM_TEST_BASES = 1 << 28       /* base b lies at (b + 1) times this */
};

struct antoum_rig {
  struct rig rig;
  struct sumi_card_profile profile;
  struct antoum_words w;
  struct sumi_err err;
};

static inline uint64_t antoum_rig_base(enum antoum_base base) {
  return ((uint64_t)base + 1) * ANTOUM_TEST_BASES;
}

/* settings as for rig_open. The areas for weights and scratch are empty. */
static inline bool antoum_rig_open(struct antoum_rig *r, int cores, const struct sumi_sim_options *options,
                                   const char *const *settings) {
  memset(r, 0, sizeof *r);
  if (!rig_open(&r->rig, options, settings)) return false;
  /* the profile as rig_open makes it */
  bool good = sumi_card_profile_find("SparseOne-S4", &r->profile, NULL) == SUMI_OK;
  good = good && sumi_card_profile_set(&r->profile, "sram_bytes", 1 << 18, "a test", NULL) == SUMI_OK;
  good = good && sumi_card_profile_set(&r->profile, "acc_bytes", 1 << 16, "a test", NULL) == SUMI_OK;
  for (; good && settings && *settings; settings++) {
    char name[32] = "";
    const char *is = strchr(*settings, '=');
    memcpy(name, *settings, (size_t)(is - *settings));
    good = sumi_card_profile_set(&r->profile, name, atoll(is + 1), "a test", NULL) == SUMI_OK;
  }
  antoum_words_init(&r->w, &r->profile, cores, sumi_allocator_default(), &r->err);
  return good;
}

static inline void antoum_rig_close(struct antoum_rig *r) {
  antoum_words_fini(&r->w);
  rig_close(&r->rig);
}

/* Any number of bytes into or out of DRAM behind a base; the card's error. */
static inline unsigned antoum_rig_put_at(struct antoum_rig *r, uint64_t at, const void *data, size_t bytes) {
  unsigned error = 0;
  for (size_t i = 0; i < bytes && !error; i += RIG_HOST)
    error = rig_put(&r->rig, at + i, (const char *)data + i, SUMI_MIN(bytes - i, (size_t)RIG_HOST));
  return error;
}
static inline unsigned antoum_rig_put(struct antoum_rig *r, enum antoum_base base, uint64_t at,
                                      const void *data, size_t bytes) {
  return antoum_rig_put_at(r, antoum_rig_base(base) + at, data, bytes);
}
static inline unsigned antoum_rig_get(struct antoum_rig *r, enum antoum_base base, uint64_t at, void *data,
                                      size_t bytes) {
  unsigned error = 0;
  for (size_t i = 0; i < bytes && !error; i += RIG_HOST)
    error = rig_get(&r->rig, antoum_rig_base(base) + at + i, (char *)data + i,
                    SUMI_MIN(bytes - i, (size_t)RIG_HOST));
  return error;
}

/* Copies the image and every core's words to the card and runs them. */
static inline struct sumi_card_completion antoum_rig_run(struct antoum_rig *r) {
  struct sumi_card_completion failed = {.error = 0xffff};
  union sumi_card_word *word = malloc((r->w.n_word + 1) * sizeof *word);
  unsigned error = 0;
  for (size_t i = 0; i < r->w.n_chunk && !error; i++)
    error = antoum_rig_put(r, ANTOUM_BASE_CODE, r->w.chunk[i].at, r->w.chunk[i].data, r->w.chunk[i].used);
  for (int c = 0; c < r->w.cores && !error && word; c++) {
    const size_t n = antoum_core_words(&r->w, c, word);
    const struct sumi_card_program p = {.at = ANTOUM_TEST_WORDS + (uint64_t)c * ANTOUM_TEST_WORDS_STEP,
                                        .words = (uint32_t)n};
    if (n * sizeof *word > ANTOUM_TEST_WORDS_STEP) return free(word), failed;
    error = antoum_rig_put_at(r, p.at, word, n * sizeof *word);
    if (!error) error = rig_put(&r->rig, RIG_TABLE + (uint64_t)c * sizeof p, &p, sizeof p);
  }
  free(word);
  if (error || !word) return failed;
  struct sumi_card_command command = {
      .kind = SUMI_CARD_RUN, .n = (uint16_t)((1u << r->w.cores) - 1), .list = RIG_TABLE};
  for (unsigned b = 0; b < 4; b++) command.base[b] = antoum_rig_base((enum antoum_base)b);
  return rig_do(&r->rig, command);
}

#endif
