/* Instruction words: what a core's engines are told, 128 bytes each, in the order of one program per core. docs/card.md has
 * the engines and the formulas of time.
 *
 * A core fetches its words in order and appends each to the queue of its engine (a full queue stops the fetching). An engine
 * works on one word after the other. A word starts when its engine holds a token from every engine in `wait` (one of each is
 * taken), and gives a token to every engine in `signal` when it has ended: engines of the same core, counted for every ordered
 * pair, at most SUMI_CARD_TOKENS each. Between two engines nothing else orders memory.
 *
 * Addresses. SRAM: bits 31..28 say whose, bits 27..0 the byte; SUMI_CARD_HERE is the core's own, SUMI_CARD_ACC the core's own
 * accumulators (read by ACT and VPU, written by SPU only). What lies in another core goes over the ring.
 * DRAM: base[word.base] of the RUN command plus the field.
 * Strides and counts are elements where there is an element type, bytes (named so) where there is none. Strides are unsigned
 * unless signed. */
#ifndef SUMI_CARD_WORD_H
#define SUMI_CARD_WORD_H

#include "card/card.h"

enum {
  SUMI_CARD_WORD_BYTES = 128,
  SUMI_CARD_BANK = 32,               /* channels */
  SUMI_CARD_TOKENS = 255,            /* of one kind an engine can hold */
  SUMI_CARD_QUEUE = 32,              /* words an engine's queue holds */
  SUMI_CARD_VPU_OPS = 256,           /* program memory of a VPU */
  SUMI_CARD_VPU_REGS = 16,           /* of 32 bits a lane */
  SUMI_CARD_VPU_VIEWS = 4,           /* operands of a vector program */
  SUMI_CARD_MOST_BYTES = 1 << 28,    /* a LOAD, STORE, LOOKUP or RESHAPE may move */
  SUMI_CARD_MOST_ELEMENTS = 1 << 24, /* n[0] * n[1] * n[2] of a VPU word */
  SUMI_CARD_MOST_TAPS = 65535,       /* kernel_h * kernel_w * banks of an SPU word */
  SUMI_CARD_SUM_LANES = 16,          /* partial results of a reduction, see SUMI_CARD_V_RSUM */
  SUMI_CARD_HERE = 15,
  SUMI_CARD_ACC = 14
};
#define SUMI_CARD_AT(whose, byte) ((uint32_t)(whose) << 28 | (uint32_t)(byte))

enum sumi_card_engine {
  SUMI_CARD_ON_LOAD,    /* DRAM to SRAM */
  SUMI_CARD_ON_STORE,   /* SRAM to DRAM */
  SUMI_CARD_ON_SPU,     /* sparse convolution and matrix product */
  SUMI_CARD_ON_ACT,     /* accumulators to SRAM: requantisation, residual, activation */
  SUMI_CARD_ON_VPU,     /* vector programs */
  SUMI_CARD_ON_RESHAPE, /* SRAM to SRAM: transposition, padding, concatenation */
  SUMI_CARD_ON_LOOKUP,  /* rows of a table in DRAM by ids in SRAM */
  SUMI_CARD_ON_SYNC,    /* between cores */
  SUMI_CARD_ENGINES
};

/* Opcodes, each of one engine. */
enum sumi_card_opcode {
  SUMI_CARD_OP_LOAD = 1,
  SUMI_CARD_OP_STORE = 2,
  SUMI_CARD_OP_SPU = 3,
  SUMI_CARD_OP_ACT = 4,
  SUMI_CARD_OP_PROGRAM = 5, /* VPU: operations into program memory */
  SUMI_CARD_OP_VPU = 6,
  SUMI_CARD_OP_RESHAPE = 7,
  SUMI_CARD_OP_LOOKUP = 8,
  SUMI_CARD_OP_SYNC = 9,
  SUMI_CARD_N_OPCODES
};

/* Element types. A float is rounded to BF16 to nearest even. */
enum sumi_card_dtype {
  SUMI_CARD_I8,
  SUMI_CARD_U8,
  SUMI_CARD_I32,
  SUMI_CARD_BF16,
  SUMI_CARD_F32,
  SUMI_CARD_I64, /* ids of LOOKUP only */
  SUMI_CARD_N_DTYPES
};

/* How every word begins. */
struct sumi_card_header {
  uint8_t opcode;  /* enum sumi_card_opcode */
  uint8_t version; /* SUMI_CARD_MAJOR */
  uint8_t wait;    /* bit e: take a token from engine e */
  uint8_t signal;  /* bit e: give a token to engine e */
  uint8_t base;    /* 0..3: of the command's base, for DRAM addresses */
  uint8_t zero;
  uint16_t flags; /* of the opcode */
  uint32_t tag;   /* the caller's: counters and errors are kept by it */
  uint32_t zero2;
};

/* LOAD: for i < n[1], j < n[0]:   sram[i * sram_step[1] + j * sram_step[0] + b] = dram[i * dram_step[1] + j * dram_step[0] + b]
 * for b < row_bytes. To every core of `cores` at the same byte of its SRAM: one read of DRAM, a copy over the ring for each
 * other core. STORE: the other way, cores = 0. */
struct sumi_card_move {
  struct sumi_card_header h;
  uint64_t dram;
  uint32_t sram;      /* LOAD: SUMI_CARD_HERE */
  uint32_t cores;     /* LOAD: bit c = into core c; 0 = this one */
  uint32_t row_bytes; /* >= 1 */
  uint32_t n[2];      /* >= 1 */
  uint32_t sram_step_bytes[2];
  uint32_t zero;
  uint64_t dram_step_bytes[2];
  uint8_t zero2[56];
};

/* SPU, with P = images * rows * cols pixels and N outputs:
 *   acc[n * P + p] (+)= sum over ky, kx, bank, entry e of (x[i, oy * stride_h + ky * dilation_h - pad_top,
 *                       ox * stride_w + kx * dilation_w - pad_left, bank * 32 + index] - x_zero) * (value - w_zero)
 * Pixels outside in_rows x in_cols add nothing. The last bank has last_bank channels, those before 32.
 * Weights of output n begin at w + n * w_step_bytes: for ky, for kx, for each bank one group of k values followed, unless k is
 * 32, by their k indices in 5 bits each, rising, from the low bits of the first byte on, filled up to whole bytes (sumi_card_group_bytes).
 * k = 32 is dense: a group is the bank's channels, 32 or last_bank of them, so a row is ky, kx, channel. With k < 32 indices
 * lie in the bank, so last_bank >= k.
 *
 * I8/U8: int32 modulo 2^32. BF16: float32, started with what acc holds (or 0), product by product in the order ky, kx, bank,
 * entry: each product rounded to float32, then added, both to nearest even. x_zero and w_zero are 0 then. */
struct sumi_card_spu {
  struct sumi_card_header h; /* flags: SUMI_CARD_SPU_* */
  uint32_t x, w;
  uint32_t acc;                             /* SUMI_CARD_ACC, 4-byte aligned */
  uint32_t x_image, x_row, x_pixel, x_bank; /* strides of x; channels of a bank are neighbours */
  uint32_t w_step_bytes;
  uint16_t images, in_rows, in_cols, banks;
  uint16_t rows, cols, outputs, zero;
  uint8_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w; /* 1..255 */
  uint8_t x_dtype, w_dtype;                                               /* both of I8/U8, or both BF16 */
  int16_t pad_top, pad_left;
  int16_t x_zero, w_zero; /* within the type */
  uint8_t k;              /* 1, 2, 4, 8, 16 or 32 */
  uint8_t last_bank;      /* 1..32 */
  uint8_t
      x_top; /* 1..31: only the x_top largest |x - x_zero| of a bank count, of equal ones the first; 0 = all */
  uint8_t zero2;
  uint16_t x_density; /* DUAL in timing-only mode: expected share of non-zero x in 1/65536; 0 = all */
  uint8_t zero3[42];
};
enum {
  SUMI_CARD_SPU_ADD = 1, /* add to what acc holds; otherwise start from 0 */
  SUMI_CARD_SPU_DUAL = 2 /* skip pairs whose x is x_zero: same result, less time (CAPS has DUAL) */
};

/* ACT: for channel n, pixel p = (i, y, x) of acc[n * P + p], as a quantised network rounds. All float32, every operation
 * rounded to nearest even; fma rounds once; round(v) is to nearest even; clamp(v, a, b) = min(max(v, a), b), NaN gives a.
 *   dot = acc + channel[n].bias                                    (I32: modulo 2^32; F32: float addition)
 *   FIRST:     q = round(clamp((float)dot * channel[n].scale, lo - zero, hi - zero)) + zero     of `first`
 *   CHANNEL:   v = FIRST ? fma((float)(q - zero before), c.mul, channel[n].add)
 *                        : fma((float)dot, channel[n].scale, channel[n].add); then `finish` with c
 *   RESIDUAL:  v = fma((float)(q - zero before), r.mul, (float)(residual - r_zero) * r_mul); then `finish` with r
 *   finish:    v = f(v) * out_mul, f the function in the last stage that is set and nothing in one before;
 *              q = round(clamp(v, lo - zero, hi - zero)) + zero
 * Without CHANNEL and RESIDUAL: FIRST's q is the result and function NONE; without FIRST too, CHANNEL must be set.
 * zero, lo, hi are whole numbers. The result is q as I8 or U8, held to the type; TABLE: table[q & 255] instead.
 * REAL (out is BF16 or F32; FIRST and TABLE are not set): nothing is quantised; "q - zero before" is v, v is the result. */
struct sumi_card_stage {
  float mul, out_mul, zero, lo, hi;
};
struct sumi_card_channel { /* in SRAM, 16 bytes a channel */
  int32_t bias;            /* acc of F32: the bits of a float */
  float scale, add;
  uint32_t zero;
};
struct sumi_card_act {
  struct sumi_card_header h;                   /* flags: SUMI_CARD_ACT_* */
  uint32_t acc, channel, out, residual, table; /* out may lie in another core; table: 256 bytes */
  uint32_t out_image, out_row, out_pixel,
      out_bank; /* strides, of the residual too; channels of a bank are neighbours */
  uint16_t images, rows, cols, channels;
  uint8_t acc_dtype, out_dtype, residual_dtype;
  uint8_t function; /* enum sumi_card_function */
  float first_zero, first_lo, first_hi;
  struct sumi_card_stage c, r;
  float r_zero, r_mul;
  float alpha; /* of the function */
};
enum {
  SUMI_CARD_ACT_FIRST = 1,
  SUMI_CARD_ACT_CHANNEL = 2,
  SUMI_CARD_ACT_RESIDUAL = 4,
  SUMI_CARD_ACT_REAL = 8,
  SUMI_CARD_ACT_TABLE = 16
};
/* exp, erf, tanh, sigmoid are those of base/fmath.h, bit for bit. */
enum sumi_card_function {
  SUMI_CARD_F_NONE,
  SUMI_CARD_F_RELU,       /* max(v, 0), NaN stays */
  SUMI_CARD_F_LEAKY_RELU, /* v < 0 ? alpha * v : v */
  SUMI_CARD_F_SIGMOID,
  SUMI_CARD_F_TANH,
  SUMI_CARD_F_SWISH, /* v * sigmoid(alpha * v) */
  SUMI_CARD_F_GELU,  /* 0.5 * v * (1 + erf(v * sqrt(1/2))), from the left */
  SUMI_CARD_F_EXP,
  SUMI_CARD_N_FUNCTIONS
};

/* PROGRAM: op[0..n) into the VPU's program memory from `at` on. */
struct sumi_card_vop {
  uint8_t op;      /* enum sumi_card_vector_op */
  uint8_t d, a, b; /* registers, or as the operation says */
  uint32_t c;      /* register c, the bits of an immediate, or a distance in elements */
};
struct sumi_card_vector_program {
  struct sumi_card_header h;
  uint16_t at, n; /* n: 1..13 */
  uint32_t zero;
  struct sumi_card_vop op[13];
};

/* VPU: runs operations [start, start + body) for every (i0, i1, i2), and [start + body, start + body + tail) once for every (i0, i1)
 * after its last i2. Element (i0, i1, i2) of view v is at + i0 * step[0] + i1 * step[1] + i2 * step[2] (tail: i2 = 0).
 * Every i2 has registers of its own, 0 at first. R* operations (body only) leave registers as they are; the tail begins with
 * their results in rd and 0 in the other registers. */
struct sumi_card_view {
  uint32_t at;
  int32_t step[3];
  uint8_t dtype; /* any but I64 */
  uint8_t zero[3];
};
struct sumi_card_vector {
  struct sumi_card_header h;
  uint16_t start;
  uint8_t body, tail; /* body >= 1 */
  uint32_t n[3];      /* >= 1 */
  float param[3];
  uint32_t zero;
  struct sumi_card_view view[SUMI_CARD_VPU_VIEWS]; /* those that no operation uses may be 0 */
};

/* Operations; rd, ra, rb, rc are registers d, a, b, c. Floats are float32, rounded to nearest even; integers int32 modulo
 * 2^32. A true comparison gives the integer 1, a false one 0. */
enum sumi_card_vector_op {
#define SUMI_CARD_VECTOR_OP(name, cost, what) SUMI_CARD_V_##name,
#include "card/vector_ops.def"
#undef SUMI_CARD_VECTOR_OP
  SUMI_CARD_N_VECTOR_OPS
};

/* RESHAPE: for i[0] < n[0] .. i[3] < n[3]:   to[sum of i * to_step] = from[sum of i * from_step], elements of elem_bytes.
 * FILL: = fill (its low bytes), from unused. from and to must not overlap. */
struct sumi_card_reshape {
  struct sumi_card_header h; /* flags: SUMI_CARD_RESHAPE_FILL */
  uint32_t from, to;
  uint32_t n[4]; /* >= 1 */
  int32_t from_step[4], to_step[4];
  uint32_t elem_bytes; /* 1, 2, 4 or 8 */
  uint32_t fill;
  uint8_t zero[48];
};
enum { SUMI_CARD_RESHAPE_FILL = 1 };

/* LOOKUP: for i < n:   out[i * out_step_bytes + b] = table[id[i] * row_bytes + b], b < row_bytes; a negative id counts from
 * the end of the table's `rows`. */
struct sumi_card_lookup {
  struct sumi_card_header h;
  uint64_t table; /* DRAM */
  uint32_t rows, row_bytes;
  uint32_t ids, out;
  uint32_t n, out_step_bytes;
  uint8_t id_dtype; /* I32 or I64 */
  uint8_t zero[79];
};

/* SYNC: ends when every core of `cores` (this one among them) has reached a SYNC word with the same mask and id. */
struct sumi_card_sync {
  struct sumi_card_header h;
  uint32_t cores, id;
  uint8_t zero[104];
};

union sumi_card_word {
  struct sumi_card_header h;
  struct sumi_card_move move;
  struct sumi_card_spu spu;
  struct sumi_card_act act;
  struct sumi_card_vector_program program;
  struct sumi_card_vector vector;
  struct sumi_card_reshape reshape;
  struct sumi_card_lookup lookup;
  struct sumi_card_sync sync;
};

SUMI_CARD_ASSERT(sumi_card_header, 16, tag, 8);
SUMI_CARD_ASSERT(sumi_card_move, SUMI_CARD_WORD_BYTES, dram_step_bytes, 56);
SUMI_CARD_ASSERT(sumi_card_spu, SUMI_CARD_WORD_BYTES, images, 48);
SUMI_CARD_ASSERT(sumi_card_spu, SUMI_CARD_WORD_BYTES, pad_top, 72);
SUMI_CARD_ASSERT(sumi_card_channel, 16, scale, 4);
SUMI_CARD_ASSERT(sumi_card_act, SUMI_CARD_WORD_BYTES, images, 52);
SUMI_CARD_ASSERT(sumi_card_act, SUMI_CARD_WORD_BYTES, c, 76);
SUMI_CARD_ASSERT(sumi_card_vop, 8, c, 4);
SUMI_CARD_ASSERT(sumi_card_vector_program, SUMI_CARD_WORD_BYTES, op, 24);
SUMI_CARD_ASSERT(sumi_card_view, 20, dtype, 16);
SUMI_CARD_ASSERT(sumi_card_vector, SUMI_CARD_WORD_BYTES, view, 48);
SUMI_CARD_ASSERT(sumi_card_reshape, SUMI_CARD_WORD_BYTES, elem_bytes, 72);
SUMI_CARD_ASSERT(sumi_card_lookup, SUMI_CARD_WORD_BYTES, id_dtype, 48);
SUMI_CARD_ASSERT(sumi_card_sync, SUMI_CARD_WORD_BYTES, id, 20);
_Static_assert(sizeof(union sumi_card_word) == SUMI_CARD_WORD_BYTES, "a word");

/* Bytes of one element; 0 for what is no type. */
static inline uint32_t sumi_card_elem_bytes(unsigned dtype) {
  return dtype <= SUMI_CARD_U8                              ? 1
         : dtype == SUMI_CARD_BF16                          ? 2
         : dtype == SUMI_CARD_I32 || dtype == SUMI_CARD_F32 ? 4
         : dtype == SUMI_CARD_I64                           ? 8
                                                            : 0;
}

/* Bytes of a group of k pairs with values of elem_bytes; channels: those of its bank (for k = 32). */
static inline uint32_t sumi_card_group_bytes(uint32_t k, uint32_t elem_bytes, uint32_t channels) {
  return k == SUMI_CARD_BANK ? channels * elem_bytes : k * elem_bytes + (k * 5 + 7) / 8;
}

/* Values that a vector operation computes with: none (LD, IMM, PARAM, INDEX: their fields say what is brought), ra, ra and rb, or
 * all three registers; 2 for ST and GATHER, a view and a register. */
int sumi_card_vector_operands(unsigned op);
/* Its cycles for one vector of lanes; 0 = the profile's vpu_special. op < SUMI_CARD_N_VECTOR_OPS. */
uint32_t sumi_card_vector_cycles(unsigned op);

/* The engine of an opcode; SUMI_CARD_ENGINES for what is none. */
enum sumi_card_engine sumi_card_engine_of(unsigned opcode);
const char *sumi_card_engine_name(unsigned engine); /* "load"; "?" for what is none */

#endif
