/* Packing of a product's constant weights into the card's groups (docs/card.md, "Sparse weights") and of channel parameters: block by
 * block of as many outputs as the SPU takes at once, each with the least k that its fullest bank needs, into loads of what is
 * brought to SRAM together. Of weights that are computed only the parameters are packed. */
#include <string.h>

#include "base/half.h"
#include "device/antoum/product_int.h"

enum { LEAST_LOAD = 1 << 15, TABLE_BYTES = 256, CHANNEL_BYTES = sizeof(struct sumi_card_channel) };

struct packer {
  const struct product *p;
  const struct sumi_allocator *a;
  struct packed *out;
  int64_t taps, banks, outputs; /* outputs: of a block */
  int64_t cut;                  /* no unit goes beyond a multiple of it */
  int64_t key[SUMI_CELL_OUTER]; /* of the block at hand */
  uint8_t *dense;               /* [outputs, taps, channels] */
  uint32_t *mask;               /* [outputs, taps, banks]: channels with a weight that is kept */
  size_t dense_bytes, mask_bytes;
  /* the open load, number out->n_loads */
  uint8_t *rows;
  struct sumi_card_channel *channel;
  uint32_t limit, n_rows, n_channel; /* most bytes, bytes, entries */
  uint64_t loaded;                   /* bytes of the loads before it */
  size_t first_unit;                 /* of it */
};

static sumi_status memory(const struct packer *k) { SUMI_FAIL_MEMORY(k->p->job->w->err); }

/* ---- dense weights of a block: in the order of the card, joined groups apart --------------------------------------------------- */

/* Element (n, tap 0, channel 0) of the weights. */
static int64_t weight_at(const struct packer *k, int64_t n) {
  const struct product *p = k->p;
  const int64_t each = p->v.outputs / p->join;
  int64_t at = p->v.w.at + n / each * p->join_w + n % each * p->v.w_output;
  for (int d = 0; d < SUMI_CELL_OUTER; d++) at += k->key[d] * p->v.w.step[d];
  return at;
}

#define TRANSFER(type, name)                                                                                  \
  /* to[j * to_step + i] = from[j * from_j + i * from_i], i < ni, j < nj, in pieces that stay in the cache */ \
  static void name(type *to, int64_t to_step, const type *from, int64_t from_i, int64_t from_j, int64_t ni,   \
                   int64_t nj) {                                                                              \
    enum { PIECE = 16 };                                                                                      \
    const int64_t step = from_j < from_i ? PIECE : ni;                                                        \
    for (int64_t i0 = 0; i0 < ni; i0 += step)                                                                 \
      for (int64_t j = 0; j < nj; j++) {                                                                      \
        type *t = to + j * to_step;                                                                           \
        const type *f = from + j * from_j;                                                                    \
        const int64_t end = SUMI_MIN(i0 + step, ni);                                                          \
        if (from_i == 1)                                                                                      \
          memcpy(t + i0, f + i0, (size_t)(end - i0) * sizeof *t);                                             \
        else                                                                                                  \
          for (int64_t i = i0; i < end; i++) t[i] = f[i * from_i];                                            \
      }                                                                                                       \
  }
TRANSFER(uint8_t, transfer_8)
TRANSFER(uint16_t, transfer_16)

/* Outputs [n0, n0 + n) of one group; tap t, channels from `channel` on. */
static void gather_tap(const struct packer *k, int64_t n0, int64_t n, int64_t first, int64_t t) {
  const struct sumi_cell_product *v = &k->p->v;
  const int64_t channels = v->channels / k->p->join, row = k->taps * v->channels;
  const int64_t group = n0 / (v->outputs / k->p->join);
  const int64_t from = weight_at(k, n0) + t / v->kernel_w * v->w_row + t % v->kernel_w * v->w_col;
  const int64_t to = (n0 - first) * row + t * v->channels + group * channels;
  if (k->p->elem == 1)
    transfer_8(k->dense + to, row, (const uint8_t *)k->p->weights + from, v->w_channel, v->w_output, channels,
               n);
  else
    transfer_16((uint16_t *)(void *)k->dense + to, row, (const uint16_t *)k->p->weights + from, v->w_channel,
                v->w_output, channels, n);
}

static void gather(struct packer *k, int64_t n0, int64_t n) {
  const struct product *p = k->p;
  const int64_t each = p->v.outputs / p->join;
  if (p->join > 1) memset(k->dense, (uint8_t)p->v.w_zero, (size_t)(n * k->taps * p->v.channels) * p->elem);
  for (int64_t i = n0; i < n0 + n;) {
    const int64_t one = p->join > 1 ? SUMI_MIN(each - i % each, n0 + n - i) : n;
    const int64_t piece = p->v.w_output < p->v.w_channel ? one : 1; /* near ones first */
    for (int64_t j = i; j < i + one; j += piece)
      for (int64_t t = 0; t < k->taps; t++) gather_tap(k, j, piece, n0, t);
    i += one;
  }
}

/* ---- which weights count -------------------------------------------------------------------------------------------------------- */

static uint32_t mask_of_bytes(const uint8_t *v, int64_t channels, uint8_t zero) {
  uint32_t mask = 0;
  int64_t c = 0;
  for (; c + 8 <= channels; c += 8) {
    uint64_t x;
    memcpy(&x, v + c, 8);
    x ^= zero * UINT64_C(0x0101010101010101);
    x = (((x & UINT64_C(0x7f7f7f7f7f7f7f7f)) + UINT64_C(0x7f7f7f7f7f7f7f7f)) | x) >> 7 &
        UINT64_C(0x0101010101010101);
    mask |= (uint32_t)(x * UINT64_C(0x0102040810204080) >> 56) << c;
  }
  for (; c < channels; c++) mask |= (uint32_t)(v[c] != zero) << c;
  return mask;
}

static uint32_t mask_of_halves(const uint16_t *v, int64_t channels) {
  uint32_t mask = 0;
  for (int64_t c = 0; c < channels; c++) mask |= (uint32_t)((v[c] & 0x7fff) != 0) << c;
  return mask;
}

/* Channels of the `keep` largest keys, all of which differ: bisection of the threshold. */
#define LARGEST(type, name)                                                               \
  static uint32_t name(const type key[SUMI_CARD_BANK], int keep) {                        \
    type low = -1, high = 0;                                                              \
    for (int c = 0; c < SUMI_CARD_BANK; c++) high = SUMI_MAX(high, key[c]);               \
    while (high - low > 1) { /* at least keep are above low, fewer above high */          \
      const type middle = (type)(low + (high - low) / 2);                                 \
      type above = 0;                                                                     \
      for (int c = 0; c < SUMI_CARD_BANK; c++) above = (type)(above + (key[c] > middle)); \
      if (above >= keep)                                                                  \
        low = middle;                                                                     \
      else                                                                                \
        high = middle;                                                                    \
    }                                                                                     \
    uint32_t mask = 0;                                                                    \
    for (int c = 0; c < SUMI_CARD_BANK; c++) mask |= (uint32_t)(key[c] >= high) << c;     \
    return mask;                                                                          \
  }
LARGEST(int16_t, largest_16)
LARGEST(int32_t, largest_32)

/* The `keep` largest magnitudes of a bank, of equal ones the first. */
static uint32_t largest(const struct packer *k, const uint8_t *bank, int64_t channels, int keep) {
  int16_t bytes[SUMI_CARD_BANK] = {0};
  int32_t halves[SUMI_CARD_BANK] = {0};
  for (int c = 0; c < channels; c++) {
    uint16_t half;
    if (k->p->elem == 1) {
      const int w = (k->p->w_type == SUMI_CARD_I8 ? (int8_t)bank[c] : bank[c]) - k->p->v.w_zero;
      bytes[c] = (int16_t)((w < 0 ? -w : w) << 5 | (SUMI_CARD_BANK - 1 - c));
    } else {
      memcpy(&half, bank + 2 * (size_t)c, 2);
      halves[c] = (half & 0x7fff) << 5 | (SUMI_CARD_BANK - 1 - c);
    }
  }
  return k->p->elem == 1 ? largest_16(bytes, keep) : largest_32(halves, keep);
}

struct survey {
  int64_t weights;   /* not zero, kept */
  int fullest, last; /* weights of the fullest bank, of the last bank */
};

static struct survey survey(struct packer *k, int64_t n) {
  const struct product *p = k->p;
  const int keep = p->job->options->k;
  struct survey s = {0};
  for (int64_t i = 0; i < n * k->taps; i++)
    for (int64_t b = 0; b < k->banks; b++) {
      const uint8_t *bank = k->dense + (i * p->v.channels + b * SUMI_CARD_BANK) * p->elem;
      const int64_t channels = product_bank_channels(p, b);
      uint32_t mask = p->elem == 1 ? mask_of_bytes(bank, channels, (uint8_t)p->v.w_zero)
                                   : mask_of_halves((const uint16_t *)(const void *)bank, channels);
      if (keep && __builtin_popcount(mask) > keep) mask &= largest(k, bank, channels, keep);
      const int weights = __builtin_popcount(mask);
      k->mask[i * k->banks + b] = mask;
      s.weights += weights;
      if (b + 1 < k->banks)
        s.fullest = SUMI_MAX(s.fullest, weights);
      else
        s.last = SUMI_MAX(s.last, weights);
    }
  return s;
}

/* ---- groups --------------------------------------------------------------------------------------------------------------------- */

/* A bank's group of k pairs, k < 32: those of mask, and zeros at other channels. Returns its end. */
static uint8_t *write_group(const struct packer *p, uint8_t *to, const uint8_t *bank, uint32_t kept, int k) {
  const uint32_t e = p->p->elem;
  uint32_t mask = kept;
  for (int n = __builtin_popcount(mask); n < k; n++) mask |= ~mask & (mask + 1);
  uint8_t *index = to + (size_t)k * e;
  uint64_t bits = 0;
  for (int i = 0; i < k; i++, mask &= mask - 1) {
    const int c = __builtin_ctz(mask);
    const bool real = kept >> c & 1;
    if (e == 1) {
      to[i] = real ? bank[c] : (uint8_t)p->p->v.w_zero;
    } else {
      memcpy(to + 2 * i, bank + 2 * c, 2);
      if (!real) memset(to + 2 * i, 0, 2);
    }
    bits |= (uint64_t)c << (i & 7) * 5;
    if ((i & 7) != 7 && i + 1 != k) continue;
    for (int n = 0; n < ((i & 7) * 5 + 12) / 8; n++) *index++ = (uint8_t)(bits >> 8 * n);
    bits = 0;
  }
  return index;
}

/* Row n of a block, the taps of one part. */
static uint8_t *write_row(const struct packer *k, uint8_t *to, int64_t n, const struct part *part) {
  const struct product *p = k->p;
  for (int ky = part->ky; ky < part->ky + part->n_ky; ky++)
    for (int kx = part->kx; kx < part->kx + part->n_kx; kx++) {
      const int64_t tap = n * k->taps + (int64_t)ky * p->v.kernel_w + kx;
      const uint8_t *row = k->dense + tap * p->v.channels * p->elem;
      if (part->k == SUMI_CARD_BANK) {
        const size_t bytes = (size_t)((part->banks - 1) * SUMI_CARD_BANK + part->last) * p->elem;
        memcpy(to, row + part->bank * SUMI_CARD_BANK * p->elem, bytes);
        to += bytes;
        continue;
      }
      for (int64_t b = part->bank; b < part->bank + part->banks; b++)
        to = write_group(k, to, row + b * SUMI_CARD_BANK * p->elem, k->mask[tap * k->banks + b], part->k);
    }
  return to;
}

/* ---- parts ---------------------------------------------------------------------------------------------------------------------- */

static int64_t row_bytes(const struct product *p, const struct part *t) {
  if (!p->weights) return 0;
  const int64_t full = sumi_card_group_bytes(t->k, p->elem, SUMI_CARD_BANK);
  return (int64_t)t->n_ky * t->n_kx * ((t->banks - 1) * full + sumi_card_group_bytes(t->k, p->elem, t->last));
}

static bool one_word(const struct product *p, const struct part *t, int64_t most_bytes) {
  return t->n_ky <= UINT8_MAX && t->n_kx <= UINT8_MAX && (t->n_ky == 1 || p->v.dilation_h <= UINT8_MAX) &&
         (t->n_kx == 1 || p->v.dilation_w <= UINT8_MAX) &&
         (p->weights || p->rows_whole || (t->n_ky == 1 && t->n_kx == 1)) &&
         (int64_t)t->n_ky * t->n_kx * t->banks <= SUMI_CARD_MOST_TAPS && row_bytes(p, t) <= most_bytes;
}

/* Appends t, cut to what words can take and to rows of most_bytes. */
static sumi_status add_parts(struct packer *k, struct part t, int64_t most_bytes) {
  const struct product *p = k->p;
  if (one_word(p, &t, most_bytes)) {
    void *array = k->out->part;
    t.step_bytes = (uint32_t)row_bytes(p, &t);
    if (!sumi_grow(k->a, &array, &k->out->cap_parts, k->out->n_parts + 1, sizeof t)) return memory(k);
    k->out->part = array;
    k->out->part[k->out->n_parts++] = t;
    return SUMI_OK;
  }
  struct part a = t, b = t;
  if (t.n_ky > 1) {
    a.n_ky = t.n_ky / 2;
    b.ky += a.n_ky;
    b.n_ky -= a.n_ky;
  } else if (t.n_kx > 1) {
    a.n_kx = t.n_kx / 2;
    b.kx += a.n_kx;
    b.n_kx -= a.n_kx;
  } else if (t.banks > 1) {
    a.banks = t.banks / 2;
    a.last = SUMI_CARD_BANK;
    b.bank += a.banks;
    b.banks -= a.banks;
  } else {
    return antoum_refuse(p->job, "the area for weights is too small for a bank");
  }
  SUMI_TRY(add_parts(k, a, most_bytes));
  return add_parts(k, b, most_bytes);
}

/* The least k of so many weights in banks of so many channels; a single bank may as well be dense where it is not larger. */
static uint8_t least_k(int weights, int64_t channels, bool single) {
  int k = 1;
  while (k < weights) k *= 2;
  return (uint8_t)(single && k >= channels ? SUMI_CARD_BANK : k);
}

/* The parts of a block: all banks alike, or the last one by itself where it has fewer channels than the others have pairs or needs
 * a larger k. */
static sumi_status block_parts(struct packer *k, const struct survey *s, int64_t most_bytes) {
  const struct product *p = k->p;
  const int64_t last = product_bank_channels(p, k->banks - 1);
  struct part t = {.n_ky = p->v.kernel_h, .n_kx = p->v.kernel_w, .banks = k->banks, .last = (uint8_t)last};
  const uint8_t alone = least_k(s->last, last, true), others = least_k(s->fullest, SUMI_CARD_BANK, false);
  t.k = least_k(SUMI_MAX(s->fullest, s->last), last, k->banks == 1);
  if (k->banks == 1 || (t.k == others && (t.k == SUMI_CARD_BANK || t.k <= last)))
    return add_parts(k, t, most_bytes);
  t.banks--;
  t.last = SUMI_CARD_BANK;
  t.k = others;
  SUMI_TRY(add_parts(k, t, most_bytes));
  t.bank = k->banks - 1;
  t.banks = 1;
  t.last = (uint8_t)last;
  t.k = alone;
  return add_parts(k, t, most_bytes);
}

/* ---- loads ---------------------------------------------------------------------------------------------------------------------- */

static uint32_t load_bytes(uint32_t rows, uint32_t channels) {
  return (rows + 15) / 16 * 16 + channels * CHANNEL_BYTES + TABLE_BYTES;
}

static sumi_status close_load(struct packer *k) {
  struct packed *out = k->out;
  const struct sumi_cell_product *v = &k->p->v;
  if (!k->n_rows && !k->n_channel) return SUMI_OK;
  const uint32_t channel_at = (k->n_rows + 15) / 16 * 16;
  struct load load = {.table_at = channel_at + k->n_channel * CHANNEL_BYTES};
  load.bytes = load.table_at + (v->table ? TABLE_BYTES : 0);
  uint8_t *image;
  SUMI_TRY(antoum_image(k->p->job->w, load.bytes, &image, &load.image_at));
  memcpy(image, k->rows, k->n_rows);
  memcpy(image + channel_at, k->channel, k->n_channel * CHANNEL_BYTES);
  if (v->table) memcpy(image + load.table_at, v->table, TABLE_BYTES);
  antoum_image_share(k->p->job->w, load.bytes, &load.image_at);
  for (size_t u = k->first_unit; u < out->n_units; u++) out->unit[u].param_at += channel_at;
  void *array = out->load;
  if (!sumi_grow(k->a, &array, &out->cap_loads, out->n_loads + 1, sizeof load)) return memory(k);
  out->load = array;
  out->load[out->n_loads++] = load;
  k->loaded += load.bytes;
  k->n_rows = k->n_channel = 0;
  k->first_unit = out->n_units;
  return SUMI_OK;
}

/* Bytes that a load should have: few at first, so that multiplication begins soon, then more, so that fewer have to be waited for. */
static uint64_t wanted(const struct packer *k) {
  return SUMI_MIN(SUMI_MAX(k->loaded / 4, (uint64_t)LEAST_LOAD), k->limit);
}

/* Makes room for so much more, in a new load where the open one has enough. */
static sumi_status reserve(struct packer *k, int64_t rows, int64_t channels) {
  const uint64_t more = (uint64_t)(rows + channels * CHANNEL_BYTES + 16);
  if (load_bytes(k->n_rows, k->n_channel) + more > wanted(k)) SUMI_TRY(close_load(k));
  SUMI_ASSERT(k->p->job->w->err, load_bytes(0, 0) + more <= k->limit);
  return SUMI_OK;
}

static void add_channels(struct packer *k, int64_t n0, int64_t n) {
  const struct product *p = k->p;
  const struct sumi_cell_product *v = &p->v;
  const int64_t each = v->outputs / p->join;
  int64_t first = p->p_at;
  for (int d = 0; d < SUMI_CELL_OUTER; d++) first += k->key[d] * p->p_step[d];
  for (int64_t i = n0; i < n0 + n; i++) {
    const int64_t at = first + i / each * p->join_p + i % each;
    k->channel[k->n_channel++] = (struct sumi_card_channel){.bias = v->bias ? v->bias[at] : 0,
                                                            .scale = v->scale ? v->scale[at] : 1,
                                                            .add = v->add ? v->add[at] : 0};
  }
}

/* Whether the block behind unit u, of parts [part, n_parts), can be more of u: in the open load, of the same form. */
static bool extends(const struct packer *k, const struct unit *u, int64_t n0, int64_t n, size_t part) {
  const struct packed *out = k->out;
  if (u->n0 + u->n != n0 || n0 % k->cut == 0 || u->n + n > UINT16_MAX || u->n_parts != out->n_parts - part)
    return false;
  if (memcmp(u->outer, k->key, sizeof k->key) != 0) return false;
  for (size_t i = 0; i < u->n_parts; i++) {
    const struct part *a = &out->part[u->part + i], *b = &out->part[part + i];
    if (a->ky != b->ky || a->kx != b->kx || a->n_ky != b->n_ky || a->n_kx != b->n_kx || a->bank != b->bank ||
        a->banks != b->banks || a->k != b->k || a->load != (uint32_t)out->n_loads)
      return false;
  }
  return true;
}

static sumi_status add_unit(struct packer *k, int64_t n0, int64_t n, size_t part) {
  struct packed *out = k->out;
  void *array = out->unit;
  if (!sumi_grow(k->a, &array, &out->cap_units, out->n_units + 1, sizeof *out->unit)) return memory(k);
  out->unit = array;
  struct unit *u = &out->unit[out->n_units++];
  *u = (struct unit){.n0 = n0, .n = n, .part = part, .n_parts = out->n_parts - part};
  memcpy(u->outer, k->key, sizeof u->outer);
  return SUMI_OK;
}

/* A block whose rows fit into a load: row by row, all parts of an output together. */
static sumi_status place_rows(struct packer *k, int64_t n0, int64_t n, size_t part, int64_t row) {
  struct packed *out = k->out;
  SUMI_TRY(reserve(k, n * row, n));
  struct unit *u = out->n_units > k->first_unit ? &out->unit[out->n_units - 1] : NULL;
  uint8_t *to = k->rows + k->n_rows;
  for (int64_t i = 0; i < n && row; i++)
    for (size_t t = part; t < out->n_parts; t++) to = write_row(k, to, i, &out->part[t]);
  if (u && extends(k, u, n0, n, part)) {
    u->n += n;
    out->n_parts = part;
  } else {
    SUMI_TRY(add_unit(k, n0, n, part));
    u = &out->unit[out->n_units - 1];
    u->load = (uint32_t)out->n_loads;
    u->param_at = k->n_channel * CHANNEL_BYTES;
    uint32_t at = k->n_rows;
    for (size_t t = part; t < out->n_parts; t++) {
      out->part[t].at = at;
      out->part[t].load = u->load;
      at += out->part[t].step_bytes;
      out->part[t].step_bytes = (uint32_t)row;
    }
  }
  k->n_rows += (uint32_t)(n * row);
  add_channels(k, n0, n);
  return SUMI_OK;
}

/* A block that is too much for one load: every part by itself. */
static sumi_status place_parts(struct packer *k, int64_t n0, int64_t n, size_t part) {
  struct packed *out = k->out;
  for (size_t t = part; t < out->n_parts; t++) {
    struct part *to = &out->part[t];
    const bool last = t + 1 == out->n_parts;
    SUMI_TRY(reserve(k, n * to->step_bytes, last ? n : 0));
    to->load = (uint32_t)out->n_loads;
    to->at = k->n_rows;
    uint8_t *end = k->rows + k->n_rows;
    for (int64_t i = 0; i < n; i++) end = write_row(k, end, i, to);
    k->n_rows += (uint32_t)n * to->step_bytes;
  }
  SUMI_TRY(add_unit(k, n0, n, part));
  out->unit[out->n_units - 1].load = (uint32_t)out->n_loads;
  out->unit[out->n_units - 1].param_at = k->n_channel * CHANNEL_BYTES;
  add_channels(k, n0, n);
  return SUMI_OK;
}

/* ---- blocks --------------------------------------------------------------------------------------------------------------------- */

static double steps(const struct product *p, bool own) {
  double n = (double)p->v.images * (double)p->v.rows * (double)p->v.cols;
  for (int d = 0; d < SUMI_CELL_OUTER; d++)
    if (own || !p->own[d]) n *= (double)p->v.outer[d];
  return n;
}

static void count_block(struct packer *k, const struct survey *s, int64_t n, size_t part, int64_t row) {
  const struct product *p = k->p;
  struct antoum_facts *f = p->job->facts;
  const double pixels = steps(p, false);
  const int64_t channels = p->v.channels / p->join;
  for (size_t t = part; t < k->out->n_parts; t++) {
    const struct part *a = &k->out->part[t];
    const int64_t pairs =
        a->k == SUMI_CARD_BANK ? (a->banks - 1) * SUMI_CARD_BANK + a->last : a->banks * a->k;
    f->padded_macs += pixels * (double)(n * a->n_ky * a->n_kx * pairs);
    if (!p->weights) continue;
    if (t > part && a->k == SUMI_CARD_BANK && a->last < SUMI_CARD_BANK)
      continue; /* a few channels, all of them */
    f->k_least = f->k_least ? SUMI_MIN(f->k_least, a->k) : a->k;
    f->k_most = SUMI_MAX(f->k_most, a->k);
  }
  f->dense_macs += pixels * (double)(n * k->taps * channels);
  f->macs += pixels * (double)(p->weights ? s->weights : n * k->taps * channels);
  f->weight_bytes += (uint64_t)(n * row);
  f->dense_weight_bytes += p->weights ? (uint64_t)(n * k->taps * channels) * p->elem : 0;
}

static sumi_status pack_block(struct packer *k, int64_t n0, int64_t n) {
  const size_t part = k->out->n_parts;
  const int64_t room = k->limit - load_bytes(0, (uint32_t)n) - 16;
  struct survey s = {.fullest = SUMI_CARD_BANK, .last = SUMI_CARD_BANK};
  if (k->p->weights) {
    gather(k, n0, n);
    s = survey(k, n);
  }
  SUMI_TRY(block_parts(k, &s, room / n));
  int64_t row = 0;
  for (size_t t = part; t < k->out->n_parts; t++) row += k->out->part[t].step_bytes;
  count_block(k, &s, n, part, row);
  return n * row <= room ? place_rows(k, n0, n, part, row) : place_parts(k, n0, n, part);
}

/* All blocks of one step of the loops that have weights or parameters of their own. */
static sumi_status pack_step(struct packer *k) {
  const int64_t outputs = k->p->v.outputs, cut = k->cut;
  for (int64_t c = 0; c < outputs; c += cut)
    for (int64_t end = SUMI_MIN(c + cut, outputs), n = c; n < end; n += k->outputs)
      SUMI_TRY(pack_block(k, n, SUMI_MIN(k->outputs, end - n)));
  return SUMI_OK;
}

static sumi_status pack_all(struct packer *k) {
  const struct product *p = k->p;
  for (;;) {
    SUMI_TRY(pack_step(k));
    int d = SUMI_CELL_OUTER - 1;
    for (; d >= 0; d--) {
      if (p->own[d] && ++k->key[d] < p->v.outer[d]) break;
      k->key[d] = 0;
    }
    if (d < 0) return close_load(k);
  }
}

/* A load takes half of the area at most: one is read while the next one comes. */
static sumi_status set_limit(struct packer *k) {
  const struct antoum_words *w = k->p->job->w;
  k->limit = (w->weights.hi - w->weights.lo) / 2 / SUMI_ALIGN * SUMI_ALIGN;
  if (k->limit < 16 * TABLE_BYTES) return antoum_refuse(k->p->job, "the area for weights is too small");
  k->outputs = SUMI_MIN(SUMI_CARD_VALUE(w->profile, spu_outputs), k->limit / (4 * CHANNEL_BYTES));
  return SUMI_OK;
}

/* Bytes that all weights and parameters take at most: a load is never larger. */
static uint32_t most_bytes(const struct packer *k) {
  const struct product *p = k->p;
  int64_t row = 0, blocks = p->v.outputs, bytes;
  bool fits = !p->weights || (sumi_i64_mul(k->taps, k->banks * SUMI_CARD_BANK * (int64_t)p->elem, &row));
  for (int d = 0; d < SUMI_CELL_OUTER && fits; d++)
    fits = !p->own[d] || sumi_i64_mul(blocks, p->v.outer[d], &blocks);
  fits = fits && row < UINT32_MAX && sumi_i64_mul(blocks, row + CHANNEL_BYTES + 16, &bytes);
  return fits && bytes < k->limit ? (uint32_t)bytes + 64 + TABLE_BYTES : k->limit;
}

static sumi_status make_room(struct packer *k) {
  const size_t outputs = (size_t)SUMI_MIN(k->outputs, k->p->v.outputs);
  size_t row, banks;
  k->limit = SUMI_MIN(k->limit, most_bytes(k));
  if (!sumi_size_mul((size_t)k->taps, (size_t)k->p->v.channels * k->p->elem, &row) ||
      !sumi_size_mul(row, outputs, &k->dense_bytes) ||
      !sumi_size_mul((size_t)k->taps, (size_t)k->banks, &banks) ||
      !sumi_size_mul(banks, outputs * sizeof *k->mask, &k->mask_bytes))
    return antoum_refuse(k->p->job, "weights of one output are too many");
  if (k->p->weights) {
    k->dense = sumi_alloc(k->a, k->dense_bytes);
    k->mask = sumi_alloc(k->a, k->mask_bytes);
  }
  k->rows = sumi_alloc(k->a, k->limit);
  k->channel = sumi_alloc(k->a, k->limit);
  if (!k->rows || !k->channel || (k->p->weights && (!k->dense || !k->mask))) return memory(k);
  return SUMI_OK;
}

sumi_status product_pack(const struct product *p, int64_t cut, struct packed *out) {
  struct packer k = {.p = p, .a = p->job->w->allocator, .out = out, .cut = cut, .banks = product_banks(p)};
  k.taps = (int64_t)p->v.kernel_h * p->v.kernel_w;
  sumi_status status = set_limit(&k);
  if (status == SUMI_OK) status = make_room(&k);
  if (status == SUMI_OK) status = pack_all(&k);
  sumi_free(k.a, k.dense, k.dense_bytes);
  sumi_free(k.a, k.mask, k.mask_bytes);
  sumi_free(k.a, k.rows, k.limit);
  sumi_free(k.a, k.channel, k.limit);
  return status;
}

void product_packed_fini(const struct product *p, struct packed *packed) {
  const struct sumi_allocator *a = p->job->w->allocator;
  sumi_free(a, packed->unit, packed->cap_units * sizeof *packed->unit);
  sumi_free(a, packed->part, packed->cap_parts * sizeof *packed->part);
  sumi_free(a, packed->load, packed->cap_loads * sizeof *packed->load);
  *packed = (struct packed){0};
}
