/* Words of all cores of a program, written as if one ran after the other; what may run side by side follows from the bytes
 * they touch: a word waits, by a token, for the last word of another engine that wrote what it touches or read what it writes.
 *
 * All cores run the same words, each on its own items: addresses of DRAM may differ by a step a core. What all need alike
 * (weights) the first core loads once for all between two SYNCs: antoum_load_shared.
 *
 * Split: all cores work on the same item. Every core holds every value, at the same place; what a cell makes is made in pieces, each
 * by one core, which copies it to the others over the ring, between two SYNCs: antoum_share_begin to antoum_share_end. What is not
 * worth that every core makes for itself. */
#ifndef SUMI_DEVICE_ANTOUM_WORDS_H
#define SUMI_DEVICE_ANTOUM_WORDS_H

#include "base/mem.h"
#include "card/profile.h"
#include "card/word.h"

/* What words touch, as far as order matters. */
enum antoum_space {
  ANTOUM_SRAM, /* of a core */
  ANTOUM_ACC,
  ANTOUM_DRAM, /* by word.base: lo = 0 of each base is its own; told apart by the upper bits, see antoum_dram */
  ANTOUM_N_SPACES
};

struct antoum_touch {
  uint8_t space; /* enum antoum_space */
  bool write;
  uint64_t lo, hi; /* bytes [lo, hi) */
};

/* DRAM of a base as one space of addresses for touches. */
static inline uint64_t antoum_dram(unsigned base, uint64_t at) { return (uint64_t)base << 60 | at; }

/* The bases that words add to DRAM addresses, struct sumi_card_command.base. */
enum antoum_base {
  ANTOUM_BASE_CODE, /* weights, tables, programs: one image for all runs */
  ANTOUM_BASE_IN,   /* inputs of the segment */
  ANTOUM_BASE_OUT,  /* its outputs */
  ANTOUM_BASE_SPILL /* values that do not fit into SRAM */
};

enum { ANTOUM_MOST_TOUCHES = 8, ANTOUM_MOST_CORES = 14, ANTOUM_MOST_OPEN = 32 };

/* Kinds of cores: those of one kind have the same words. Broadcast: the first core, and the others, who lack some words; split:
 * every core. */
struct antoum_word {
  union sumi_card_word word;
  uint64_t core_step; /* LOAD, STORE: core c adds c * core_step to its DRAM address */
  uint16_t kinds;     /* bit k: cores of kind k have it */
};

/* The tokens of a word in cores of one kind. */
struct antoum_turn {
  uint8_t wait, signal;
  uint32_t
      behind[SUMI_CARD_ENGINES]; /* index + 1 of the last word of each engine that has started before it */
};

/* Tokens of one engine for another that may lie there at once. */
enum { ANTOUM_TOKENS = SUMI_CARD_TOKENS / 2 };
struct antoum_tokens {
  uint32_t taker[ANTOUM_TOKENS + 1]; /* round and round: words that take them, the oldest at first */
  unsigned first, n;
};

/* Who touched bytes [lo, hi) last, as reader or writer; pieces that were overwritten since are cut out. */
struct antoum_access {
  struct antoum_touch touch;
  uint8_t engine;
  uint16_t kinds;
  size_t word;
};

/* What is known of the cores of one kind. */
struct antoum_kind {
  /* [by][of]: index + 1 of the last word of engine `of` that `by` waited for */
  size_t known[SUMI_CARD_ENGINES][SUMI_CARD_ENGINES];
  size_t newest[SUMI_CARD_ENGINES];                  /* index + 1 of an engine's last word */
  size_t must[SUMI_CARD_ENGINES][SUMI_CARD_ENGINES]; /* [by][of]: its next word waits for that one */
  struct antoum_tokens tokens[SUMI_CARD_ENGINES][SUMI_CARD_ENGINES]; /* [of][by] */
};

/* Of more than ANTOUM_MOST_ACCESSES the ones of the last ANTOUM_RECENT words are told apart; those before are one range an engine. Who
 * waits for the newest of them waits longer than it has to, but for a word that is long done. */
enum { ANTOUM_RECENT = 512, ANTOUM_MOST_ACCESSES = 4 * ANTOUM_RECENT };

struct antoum_words {
  const struct sumi_card_profile *profile;
  const struct sumi_allocator *allocator;
  int cores; /* that run this program, the first ones of the chip: 1..profile cores */
  bool split;
  int only; /* split: words are for this core alone; -1 = all */
  struct antoum_word *word;
  struct antoum_turn *turn; /* [n_word][kinds] */
  size_t n_word, cap_word, cap_turn;
  uint32_t tag; /* given to every word from now on */
  /* Bytes behind ANTOUM_BASE_CODE, in pieces that stay where they are: weights, channel parameters, tables. */
  struct antoum_chunk {
    uint8_t *data;
    uint64_t at; /* its place behind the base */
    size_t used, bytes;
  } * chunk;
  size_t image_bytes, n_chunk, cap_chunk;
  struct {
    uint64_t at;
    size_t bytes;
  } shared[64]; /* the last pieces that antoum_image_share has seen; a ring */
  unsigned n_shared;
  /* Free for cells while they are compiled; what is longer than half of weights is cut. Bytes [lo, hi) of SRAM. */
  struct {
    uint32_t lo, hi;
  } weights, scratch;
  uint32_t weights_turn; /* where the next load goes, from weights.lo; it wraps where a load does not fit */
  uint32_t scratch_turn; /* half used last */
  uint32_t acc_turn[ANTOUM_MOST_CORES]; /* where the next sums of a core go, likewise; all cores alike: [0] */
  uint32_t sync;                        /* id of the last SYNC */
  /* private to words.c */
  struct {
    struct antoum_access *item;
    size_t n, cap;
    /* [all kinds, or one of them][engine][write] bytes of them all, the newest word */
    struct antoum_access old[1 + ANTOUM_MOST_CORES][SUMI_CARD_ENGINES][2];
  } access[ANTOUM_N_SPACES];
  struct antoum_kind *kind;                    /* [kinds], made for the first word */
  struct sumi_card_vop vpu[SUMI_CARD_VPU_OPS]; /* what program memory holds */
  uint16_t program_at;                         /* where the next program goes */
  struct antoum_program {
    uint16_t at, n;
  } program[SUMI_CARD_VPU_OPS / 2];
  int n_program;
  /* private to share.c: what cores have made or loaded for each other, and have not met about since */
  struct antoum_touch open[ANTOUM_MOST_OPEN];
  int n_open, last_core;
  uint64_t sharing_lo, sharing_hi;
  double alone, taken; /* expected cycles of cells that can be shared: by one core; as they are done */
  struct sumi_err *err;
};

void antoum_words_init(struct antoum_words *w, const struct sumi_card_profile *profile, int cores,
                       const struct sumi_allocator *a, struct sumi_err *err);
void antoum_words_fini(struct antoum_words *w);

/* Appends a word (opcode set; version, tag, wait and signal are filled in) that touches what touch says. core_step: see above. */
sumi_status antoum_emit(struct antoum_words *w, const union sumi_card_word *word,
                        const struct antoum_touch *touch, int n_touch, uint64_t core_step);

/* Zeroed room for bytes in the image, aligned as words are; *at is their place behind ANTOUM_BASE_CODE. */
sumi_status antoum_image(struct antoum_words *w, size_t bytes, uint8_t **p, uint64_t *at);
/* Those bytes again. */
uint8_t *antoum_image_at(const struct antoum_words *w, uint64_t at);

/* The piece of `bytes` at *at, the last one that antoum_image gave, will not change any more: where one of the last that were so
 * declared holds the same, it is taken back and *at is that one's. */
void antoum_image_share(struct antoum_words *w, size_t bytes, uint64_t *at);

/* A SYNC of all cores: behind all that conflicts with what touch says, before all that comes later and does. */
sumi_status antoum_sync(struct antoum_words *w, const struct antoum_touch *touch, int n_touch);

/* Contiguous bytes of the image, or of inputs that all cores need alike, into SRAM of every core: one read of DRAM for all. */
sumi_status antoum_load_shared(struct antoum_words *w, enum antoum_base base, uint64_t at, uint32_t sram,
                               uint32_t bytes);

/* Contiguous bytes between DRAM and each core's own SRAM. */
sumi_status antoum_move(struct antoum_words *w, enum sumi_card_opcode load_or_store, enum antoum_base base,
                        uint64_t dram, uint64_t core_step, uint32_t sram, uint32_t bytes);

/* The VPU program op[n], n <= 256, in program memory; *at is its first operation. Loaded unless it is there. */
sumi_status antoum_program(struct antoum_words *w, const struct sumi_card_vop *op, int n, uint16_t *at);

/* ---- share.c */

/* The words up to antoum_share_end make bytes [lo, hi) of SRAM, and read none of them, in pieces: antoum_share_turn, the words of a piece,
 * antoum_share_copy of all that they made. What all cores shall do meanwhile is between antoum_share_all and the next turn. */
sumi_status antoum_share_begin(struct antoum_words *w, uint64_t lo, uint64_t hi);
void antoum_share_turn(struct antoum_words *w); /* the next words are another core's */
void antoum_share_all(struct antoum_words *w);
sumi_status antoum_share_end(struct antoum_words *w);

/* Part of a piece: rows of row_bytes at at + sum of i[d] * step[d], i[d] < n[d], bytes. elem: the element's, of which all of them are
 * multiples: 1, 2, 4, 8. */
struct antoum_share {
  uint32_t elem;
  int64_t at, row_bytes, n[3], step[3];
};
sumi_status antoum_share_copy(struct antoum_words *w, const struct antoum_share *share);
/* Cycles of the slower of ring and copying engine until all cores have every core's such part. */
double antoum_share_cycles(const struct antoum_words *w, const struct antoum_share *share);
/* Whether so many cycles until all cores have what one of them has after `alone` are less, with both SYNCs. Adds up both. */
bool antoum_share_worth(struct antoum_words *w, double alone, double shared);
/* The cores meet before the next word that touches these bytes. */
sumi_status antoum_share_open(struct antoum_words *w, const struct antoum_touch *touch);
/* For antoum_emit: before a word that touches what cores have made for each other, they wait for each other. */
sumi_status antoum_share_settle(struct antoum_words *w, const struct antoum_touch *touch, int n_touch);

/* The words of one core of w->cores into to[w->n_word]; how many there are. */
size_t antoum_core_words(const struct antoum_words *w, int core, union sumi_card_word *to);

#endif
