/* Words and their tokens. Every space of addresses keeps who touched what last; a new word depends on the last words of the other
 * engines that conflict with it. Engines take their words in order, so the newest of each engine is enough, and pairs of
 * (signalling word, waiting word) of two engines follow each other in both: the n-th signal is the n-th wait's.
 *
 * Cores of different kinds have different words, so their tokens are worked out apart. */
#include "device/antoum/words.h"

#include <string.h>

#include "base/size.h"

void antoum_words_init(struct antoum_words *w, const struct sumi_card_profile *profile, int cores,
                       const struct sumi_allocator *a, struct sumi_err *err) {
  *w = (struct antoum_words){.profile = profile, .cores = cores, .allocator = a, .only = -1, .err = err};
}

static size_t kinds_of(const struct antoum_words *w) {
  return (size_t)(w->split ? w->cores : SUMI_MIN(w->cores, 2));
}

void antoum_words_fini(struct antoum_words *w) {
  for (int s = 0; s < ANTOUM_N_SPACES; s++)
    sumi_free(w->allocator, w->access[s].item, w->access[s].cap * sizeof *w->access[s].item);
  sumi_free(w->allocator, w->word, w->cap_word * sizeof *w->word);
  sumi_free(w->allocator, w->turn, w->cap_turn * sizeof *w->turn);
  if (w->kind) sumi_free(w->allocator, w->kind, kinds_of(w) * sizeof *w->kind);
  for (size_t i = 0; i < w->n_chunk; i++) sumi_free(w->allocator, w->chunk[i].data, w->chunk[i].bytes);
  sumi_free(w->allocator, w->chunk, w->cap_chunk * sizeof *w->chunk);
  *w = (struct antoum_words){0};
}

/* ---- who touched what ------------------------------------------------------------------------------------------- */

static bool conflict(const struct antoum_touch *a, const struct antoum_touch *b) {
  return (a->write || b->write) && a->lo < b->hi && b->lo < a->hi;
}

typedef size_t needs[ANTOUM_MOST_CORES][SUMI_CARD_ENGINES];

/* need[kind][engine] = index + 1 of its newest word that touch has to wait for, of the words that cores of the kind have. */
static void need_access(const struct antoum_access *a, const struct antoum_touch *touch, needs need) {
  if (!conflict(&a->touch, touch)) return;
  for (unsigned kinds = a->kinds; kinds; kinds &= kinds - 1) {
    size_t *to = &need[__builtin_ctz(kinds)][a->engine];
    *to = SUMI_MAX(*to, a->word + 1);
  }
}

static void find_needs(const struct antoum_words *w, const struct antoum_touch *touch, needs need) {
  const struct antoum_access *old = &w->access[touch->space].old[0][0][0];
  const size_t n_old = (1 + kinds_of(w)) * (sizeof w->access->old[0] / sizeof *old);
  for (size_t i = 0; i < w->access[touch->space].n; i++)
    need_access(&w->access[touch->space].item[i], touch, need);
  for (size_t i = 0; i < n_old; i++)
    need_access(&old[i], touch, need); /* an empty range conflicts with nothing */
}

static void merge_old(struct antoum_access *to, const struct antoum_access *a) {
  const struct antoum_touch before = to->touch;
  const bool empty = before.lo == before.hi;
  to->engine = a->engine;
  to->kinds = a->kinds;
  to->word = SUMI_MAX(to->word, a->word);
  to->touch = a->touch;
  if (empty) return;
  to->touch.lo = SUMI_MIN(before.lo, a->touch.lo);
  to->touch.hi = SUMI_MAX(before.hi, a->touch.hi);
}

static struct antoum_access *old_of(struct antoum_words *w, int space, const struct antoum_access *a) {
  const bool one = !(a->kinds & (a->kinds - 1));
  return &w->access[space].old[one ? 1 + __builtin_ctz(a->kinds) : 0][a->engine][a->touch.write];
}

static void forget_detail(struct antoum_words *w, int space) {
  struct antoum_access *item = w->access[space].item;
  size_t n = 0;
  for (size_t i = 0; i < w->access[space].n; i++) {
    const struct antoum_access *a = &item[i];
    if (a->word + ANTOUM_RECENT >= w->n_word)
      item[n++] = *a;
    else
      merge_old(old_of(w, space, a), a);
  }
  w->access[space].n = n;
}

static sumi_status add_access(struct antoum_words *w, const struct antoum_access *a) {
  void *p = w->access[a->touch.space].item;
  if (!sumi_grow(w->allocator, &p, &w->access[a->touch.space].cap, w->access[a->touch.space].n + 1,
                 sizeof *a))
    SUMI_FAIL_MEMORY(w->err);
  w->access[a->touch.space].item = p;
  w->access[a->touch.space].item[w->access[a->touch.space].n++] = *a;
  return SUMI_OK;
}

/* Whether everything that waits for the new word is later than the old one too. */
static bool replaces(const struct antoum_access *now, const struct antoum_access *old) {
  if (old->kinds & ~now->kinds) return false;
  return now->touch.write || (!old->touch.write && old->engine == now->engine);
}

static sumi_status note(struct antoum_words *w, const struct antoum_access *now) {
  for (size_t i = 0; i < w->access[now->touch.space].n; i++) {
    struct antoum_access *old = &w->access[now->touch.space].item[i];
    const uint64_t lo = now->touch.lo, hi = now->touch.hi;
    if (old->touch.lo >= hi || lo >= old->touch.hi || !replaces(now, old)) continue;
    const bool before = old->touch.lo<lo, behind = old->touch.hi> hi;
    if (before && behind) {
      struct antoum_access rest = *old;
      rest.touch.lo = hi;
      old->touch.hi = lo;
      SUMI_TRY(add_access(w, &rest));
    } else if (before) {
      old->touch.hi = lo;
    } else if (behind) {
      old->touch.lo = hi;
    } else {
      *old = w->access[now->touch.space].item[--w->access[now->touch.space].n];
      i--;
    }
  }
  return add_access(w, now);
}

/* ---- words ------------------------------------------------------------------------------------------------------ */

static struct antoum_turn *turn_of(const struct antoum_words *w, size_t word, size_t kind) {
  return &w->turn[word * kinds_of(w) + kind];
}

/* Tokens of->by that may lie there when word `from` (index + 1) of engine `of` has ended. */
static unsigned count_tokens(struct antoum_words *w, size_t kind, unsigned of, unsigned by, size_t from) {
  struct antoum_tokens *t = &w->kind[kind].tokens[of][by];
  while (t->n && t->taker[t->first] < turn_of(w, from - 1, kind)->behind[by]) {
    t->first = (t->first + 1) % SUMI_COUNT(t->taker);
    t->n--;
  }
  return t->n;
}

/* The new word waits for one of engine `of`. An engine holds so many tokens only: where they may become too many, for all that
 * `of` has, so that nothing before its next word gives another; if they may be too many still, that one waits for this. */
static void take_token(struct antoum_words *w, size_t kind, unsigned of, unsigned by, size_t from) {
  struct antoum_kind *k = &w->kind[kind];
  struct antoum_tokens *t = &k->tokens[of][by];
  if (count_tokens(w, kind, of, by, from) >= ANTOUM_TOKENS) {
    from = k->newest[of];
    if (count_tokens(w, kind, of, by, from) >= ANTOUM_TOKENS) k->must[of][by] = w->n_word + 1;
  }
  t->taker[(t->first + t->n++) % SUMI_COUNT(t->taker)] = (uint32_t)w->n_word;
  turn_of(w, from - 1, kind)->signal |= (uint8_t)(1u << by);
  k->known[by][of] = from;
}

static void wait_for(struct antoum_words *w, size_t kind, unsigned by, size_t need[SUMI_CARD_ENGINES]) {
  struct antoum_kind *k = &w->kind[kind];
  struct antoum_turn *turn = turn_of(w, w->n_word, kind);
  for (unsigned of = 0; of < SUMI_CARD_ENGINES; of++) {
    need[of] = SUMI_MAX(need[of], k->must[by][of]);
    if (of != by && need[of] > k->known[by][of]) {
      take_token(w, kind, of, by, need[of]);
      turn->wait |= (uint8_t)(1u << of);
    }
    turn->behind[of] = (uint32_t)k->known[by][of];
  }
}

/* Room for one more word. */
static sumi_status grow(struct antoum_words *w) {
  void *word = w->word, *turn = w->turn;
  const size_t kinds = kinds_of(w);
  if (w->n_word == UINT32_MAX - 1) SUMI_FAIL(w->err, SUMI_E_LIMIT, "a program of too many words");
  if (!w->kind && !(w->kind = sumi_alloc(w->allocator, kinds * sizeof *w->kind))) SUMI_FAIL_MEMORY(w->err);
  if (!sumi_grow(w->allocator, &word, &w->cap_word, w->n_word + 1, sizeof *w->word)) SUMI_FAIL_MEMORY(w->err);
  w->word = word;
  if (!sumi_grow(w->allocator, &turn, &w->cap_turn, (w->n_word + 1) * kinds, sizeof *w->turn))
    SUMI_FAIL_MEMORY(w->err);
  w->turn = turn;
  return SUMI_OK;
}

/* kinds: which cores have the word. */
static sumi_status append(struct antoum_words *w, const union sumi_card_word *word,
                          const struct antoum_touch *touch, int n_touch, uint64_t core_step, unsigned kinds) {
  const unsigned by = sumi_card_engine_of(word->h.opcode);
  needs need = {{0}};
  SUMI_TRY(grow(w));
  struct antoum_word *to = &w->word[w->n_word];
  *to = (struct antoum_word){.word = *word, .core_step = core_step, .kinds = (uint16_t)kinds};
  to->word.h.version = SUMI_CARD_MAJOR;
  to->word.h.tag = w->tag;
  memset(turn_of(w, w->n_word, 0), 0, kinds_of(w) * sizeof *w->turn);
  for (int i = 0; i < n_touch; i++) find_needs(w, &touch[i], need);
  for (size_t k = 0; k < kinds_of(w); k++) {
    if (!(kinds >> k & 1)) continue;
    wait_for(w, k, by, need[k]);
    w->kind[k].newest[by] = w->n_word + 1;
  }
  const size_t index = w->n_word++;
  for (int i = 0; i < n_touch; i++)
    if (touch[i].lo < touch[i].hi)
      SUMI_TRY(note(w, &(struct antoum_access){touch[i], (uint8_t)by, (uint16_t)kinds, index}));
  for (int s = 0; s < ANTOUM_N_SPACES; s++)
    if (w->access[s].n > ANTOUM_MOST_ACCESSES) forget_detail(w, s);
  return SUMI_OK;
}

static unsigned all_kinds(const struct antoum_words *w) { return (1u << kinds_of(w)) - 1; }

sumi_status antoum_emit(struct antoum_words *w, const union sumi_card_word *word,
                        const struct antoum_touch *touch, int n_touch, uint64_t core_step) {
  if (w->n_open) SUMI_TRY(antoum_share_settle(w, touch, n_touch));
  return append(w, word, touch, n_touch, core_step, w->only < 0 ? all_kinds(w) : 1u << w->only);
}

sumi_status antoum_move(struct antoum_words *w, enum sumi_card_opcode load_or_store, enum antoum_base base,
                        uint64_t dram, uint64_t core_step, uint32_t sram, uint32_t bytes) {
  const bool load = load_or_store == SUMI_CARD_OP_LOAD;
  const union sumi_card_word word = {.move = {.h = {.opcode = (uint8_t)load_or_store, .base = (uint8_t)base},
                                              .dram = dram,
                                              .sram = SUMI_CARD_AT(SUMI_CARD_HERE, sram),
                                              .row_bytes = bytes,
                                              .n = {1, 1}}};
  const struct antoum_touch touch[2] = {
      {ANTOUM_SRAM, load, sram, (uint64_t)sram + bytes},
      {ANTOUM_DRAM, !load, antoum_dram(base, dram), antoum_dram(base, dram) + bytes}};
  return antoum_emit(w, &word, touch, base == ANTOUM_BASE_CODE ? 1 : 2, core_step);
}

sumi_status antoum_sync(struct antoum_words *w, const struct antoum_touch *touch, int n_touch) {
  const union sumi_card_word word = {
      .sync = {.h = {.opcode = SUMI_CARD_OP_SYNC}, .cores = (1u << w->cores) - 1, .id = ++w->sync}};
  return append(w, &word, touch, n_touch, 0, all_kinds(w));
}

sumi_status antoum_load_shared(struct antoum_words *w, enum antoum_base base, uint64_t at, uint32_t sram,
                               uint32_t bytes) {
  if (w->cores == 1) return antoum_move(w, SUMI_CARD_OP_LOAD, base, at, 0, sram, bytes);
  const struct antoum_touch touch = {ANTOUM_SRAM, true, sram, (uint64_t)sram + bytes};
  const union sumi_card_word word = {.move = {.h = {.opcode = SUMI_CARD_OP_LOAD, .base = (uint8_t)base},
                                              .dram = at,
                                              .sram = SUMI_CARD_AT(SUMI_CARD_HERE, sram),
                                              .cores = (1u << w->cores) - 1,
                                              .row_bytes = bytes,
                                              .n = {1, 1}}};
  if (w->n_open) SUMI_TRY(antoum_share_settle(w, &touch, 1));
  SUMI_TRY(antoum_sync(w, &touch, 1)); /* nobody needs what lay there */
  SUMI_TRY(append(w, &word, &touch, 1, 0, 1));
  return antoum_share_open(w, &touch); /* it is there before somebody needs it */
}

size_t antoum_core_words(const struct antoum_words *w, int core, union sumi_card_word *to) {
  const size_t kind = w->split ? (size_t)core : core != 0;
  size_t n = 0;
  for (size_t i = 0; i < w->n_word; i++) {
    const struct antoum_word *from = &w->word[i];
    if (!(from->kinds >> kind & 1)) continue;
    const struct antoum_turn *turn = turn_of(w, i, kind);
    to[n] = from->word;
    to[n].h.wait = turn->wait;
    to[n].h.signal = turn->signal;
    if (from->core_step) to[n].move.dram += (uint64_t)core * from->core_step;
    n++;
  }
  return n;
}

/* ---- image and programs ----------------------------------------------------------------------------------------- */

enum { CHUNK = 4 << 20 };

/* A new piece of the image, from `at` on, with room for at least so many bytes. */
static sumi_status add_chunk(struct antoum_words *w, uint64_t at, size_t bytes) {
  void *array = w->chunk;
  if (!sumi_grow(w->allocator, &array, &w->cap_chunk, w->n_chunk + 1, sizeof *w->chunk))
    SUMI_FAIL_MEMORY(w->err);
  w->chunk = array;
  struct antoum_chunk *c = &w->chunk[w->n_chunk];
  *c = (struct antoum_chunk){.at = at, .bytes = SUMI_MAX(bytes, (size_t)CHUNK)};
  c->data = sumi_alloc(w->allocator, c->bytes);
  if (!c->data) SUMI_FAIL_MEMORY(w->err);
  w->n_chunk++;
  return SUMI_OK;
}

sumi_status antoum_image(struct antoum_words *w, size_t bytes, uint8_t **p, uint64_t *at) {
  size_t start, end;
  if (!sumi_size_align(w->image_bytes, SUMI_CARD_WORD_BYTES, &start) || !sumi_size_add(start, bytes, &end))
    SUMI_FAIL(w->err, SUMI_E_LIMIT, "the weights take more than memory can hold");
  const struct antoum_chunk *last = w->n_chunk ? &w->chunk[w->n_chunk - 1] : NULL;
  if (!last || end - last->at > last->bytes) SUMI_TRY(add_chunk(w, start, bytes));
  struct antoum_chunk *c = &w->chunk[w->n_chunk - 1];
  c->used = end - c->at;
  w->image_bytes = end;
  *p = c->data + (start - c->at);
  *at = start;
  return SUMI_OK;
}

uint8_t *antoum_image_at(const struct antoum_words *w, uint64_t at) {
  const struct antoum_chunk *c = w->chunk;
  while (at >= c->at + c->used) c++;
  return c->data + (at - c->at);
}

void antoum_image_share(struct antoum_words *w, size_t bytes, uint64_t *at) {
  for (size_t i = 0; i < SUMI_COUNT(w->shared); i++) {
    const uint64_t other = w->shared[i].at;
    if (w->shared[i].bytes != bytes || other + bytes > *at ||
        memcmp(antoum_image_at(w, other), antoum_image_at(w, *at), bytes) != 0)
      continue;
    memset(antoum_image_at(w, *at), 0, bytes);
    w->chunk[w->n_chunk - 1].used = (size_t)(*at - w->chunk[w->n_chunk - 1].at);
    w->image_bytes = *at;
    *at = other;
    return;
  }
  const unsigned next = w->n_shared++ % SUMI_COUNT(w->shared);
  w->shared[next].at = *at;
  w->shared[next].bytes = bytes;
}

sumi_status antoum_program(struct antoum_words *w, const struct sumi_card_vop *op, int n, uint16_t *at) {
  for (int i = 0; i < w->n_program; i++)
    if (w->program[i].n == n && !memcmp(w->vpu + w->program[i].at, op, (size_t)n * sizeof *op)) {
      *at = w->program[i].at;
      return SUMI_OK;
    }
  if (w->program_at + n > SUMI_CARD_VPU_OPS || w->n_program == (int)SUMI_COUNT(w->program)) {
    w->program_at = 0; /* full: begins anew */
    w->n_program = 0;
  }
  const int most = (int)SUMI_COUNT(((struct sumi_card_vector_program *)0)->op);
  /* program memory is the same in all cores */
  for (int i = 0; i < n; i += most) {
    union sumi_card_word word = {.program = {.h = {.opcode = SUMI_CARD_OP_PROGRAM},
                                             .at = (uint16_t)(w->program_at + i),
                                             .n = (uint16_t)SUMI_MIN(n - i, most)}};
    memcpy(word.program.op, op + i, word.program.n * sizeof *op);
    SUMI_TRY(append(w, &word, NULL, 0, 0, all_kinds(w)));
  }
  *at = w->program_at;
  memcpy(w->vpu + w->program_at, op, (size_t)n * sizeof *op);
  w->program[w->n_program++] = (struct antoum_program){w->program_at, (uint16_t)n};
  w->program_at = (uint16_t)(w->program_at + n);
  return SUMI_OK;
}
