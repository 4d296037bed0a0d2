/* The contract between driver and chip: registers, doorbells, command and completion rings, DMA descriptors. The picture is
 * docs/card.md; instruction words are in word.h. A card is one to four chips, each with a window of registers of its own.
 *
 * Everything in memory is little-endian and naturally aligned; reserved fields are 0 (else FIELD or COMMAND). A minor version
 * adds registers, opcodes and flags; a major one may change what is here. */
#ifndef SUMI_CARD_CARD_H
#define SUMI_CARD_CARD_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the card's memory is little-endian");

#define SUMI_CARD_ID 0x00316d756f746e41ull /* "Antoum1" */
enum {
  SUMI_CARD_MAJOR = 1,
  SUMI_CARD_MINOR = 0,
  SUMI_CARD_VERSION = SUMI_CARD_MAJOR << 16 | SUMI_CARD_MINOR
};

enum sumi_card_register {
#define SUMI_CARD_REGISTER(name, offset, access, what) SUMI_CARD_REG_##name = offset,
#include "card/registers.def"
#undef SUMI_CARD_REGISTER
  SUMI_CARD_REG_BYTES = 0x1000 /* the window; what is not listed reads as all ones and ignores writes */
};

enum sumi_card_error {
#define SUMI_CARD_ERROR(name, value, sentence) SUMI_CARD_ERROR_##name = value,
#include "card/errors.def"
#undef SUMI_CARD_ERROR
  SUMI_CARD_N_ERRORS
};

/* The sentence of an error code, "an unknown error" for others. */
const char *sumi_card_error_text(unsigned error);

enum { /* CAPS */
       SUMI_CARD_CAP_INT8 = 1 << 0,
       SUMI_CARD_CAP_BF16 = 1 << 1,
       SUMI_CARD_CAP_DUAL = 1 << 2, /* zeros among activations are skipped where an instruction asks for it */
       SUMI_CARD_CAP_TIMING = 1 << 3 /* timing only: time and errors of form are right, no byte is computed */
};
enum { SUMI_CARD_CONTROL_RESET = 1, SUMI_CARD_CONTROL_ENABLE = 2 };
enum { SUMI_CARD_STATUS_ENABLED = 1, SUMI_CARD_STATUS_BUSY = 2 };
enum {
  SUMI_CARD_IRQ_DONE = 1, /* completions were written */
  SUMI_CARD_IRQ_ERROR = 2 /* a completion with an error, or register ERROR, was written */
};

/* What a command asks for. */
enum sumi_card_command_kind {
  SUMI_CARD_NOP = 1,      /* completes when what it waits for has */
  SUMI_CARD_COPY_IN = 2,  /* host memory to DRAM */
  SUMI_CARD_COPY_OUT = 3, /* DRAM to host memory */
  SUMI_CARD_RUN = 4       /* the programs of the cores */
};

/* An entry of the command ring. Commands are taken in the order of the ring into three units (copy in, copy out, run; a
 * NOP is the run unit's) that work side by side, each in order. A unit starts a command once every command up to and
 * including sequence after has completed. Commands that failed have completed. */
struct sumi_card_command {
  uint8_t kind;    /* enum sumi_card_command_kind */
  uint8_t quiet;   /* 1: completes without an interrupt, unless it fails */
  uint16_t n;      /* COPY: descriptors, 1..65535. RUN: bit c = core c runs */
  uint32_t number; /* sequence number: that of the command before plus 1; the first after a reset is 1 */
  uint32_t after;  /* 0 = starts as soon as its unit is free; else < number */
  uint32_t zero;
  uint64_t list;    /* COPY: bus address of the descriptors, 32-byte aligned. RUN: DRAM address of
                     * struct sumi_card_program [cores], 64-byte aligned. NOP: 0 */
  uint64_t base[4]; /* RUN: what instruction words may add to their DRAM addresses. Else 0 */
  uint64_t zero2;
};

/* One contiguous piece of a copy. */
struct sumi_card_descriptor {
  uint64_t host;  /* bus address */
  uint64_t card;  /* DRAM address */
  uint64_t bytes; /* 1 .. 2^32 */
  uint64_t zero;
};

/* Where the words of one core lie. */
struct sumi_card_program {
  uint64_t at;    /* DRAM address, 128-byte aligned */
  uint32_t words; /* 0 for a core that does not run */
  uint32_t zero;
};

/* An entry of the completion ring, in the order in which commands completed. The chip writes it before it moves RQ_TAIL; phase
 * is 1 on the first lap, 0 on the second, and so on, so that a host can wait in its own memory. When the ring is full the chip
 * waits for RQ_HEAD. The second half says where and why a command failed; where error is NONE it is 0. */
struct sumi_card_completion {
  uint32_t number; /* of the command; 0 = of no command */
  uint16_t phase;
  uint16_t error;             /* enum sumi_card_error */
  uint64_t started, finished; /* register CYCLES */
  uint8_t core, engine;       /* 255 = none; enum sumi_card_engine */
  uint16_t opcode;
  uint32_t word;    /* index in the core's program */
  uint32_t tag;     /* of that word */
  uint32_t zero;    /*                                    0 */
  uint64_t address; /* that was refused, where it was one */
  uint64_t detail;  /* the offending value; ECC: the count of lost words; else 0 */
  uint64_t zero2;
};

#define SUMI_CARD_ASSERT(type, size, field, at)                                         \
  _Static_assert(sizeof(struct type) == (size) && offsetof(struct type, field) == (at), \
                 #type ": size or place of " #field)
SUMI_CARD_ASSERT(sumi_card_command, 64, list, 16);
SUMI_CARD_ASSERT(sumi_card_command, 64, base, 24);
SUMI_CARD_ASSERT(sumi_card_descriptor, 32, bytes, 16);
SUMI_CARD_ASSERT(sumi_card_program, 16, words, 8);
SUMI_CARD_ASSERT(sumi_card_completion, 64, started, 8);
SUMI_CARD_ASSERT(sumi_card_completion, 64, core, 24);
SUMI_CARD_ASSERT(sumi_card_completion, 64, address, 40);

/* One chip as the driver reaches it: a PCIe function through the operating system, or a simulator. One thread at a time. */
struct sumi_card_bus {
  void *self;
  uint64_t (*read)(void *self, uint32_t reg); /* reg: enum sumi_card_register */
  void (*write)(void *self, uint32_t reg, uint64_t value);
  /* Lets the chip reach bytes of host memory until unmap; *bus is the address to give it, 4096-byte aligned. The memory
   * stays the caller's and must live until then. */
  sumi_status (*map)(void *self, void *host, size_t bytes, uint64_t *bus, struct sumi_err *err);
  void (*unmap)(void *self, uint64_t bus);
  /* Sleeps until an enabled interrupt is raised or so much time of the chip has passed; returns IRQ_STATUS & IRQ_ENABLE, 0
   * after the time. An interrupt can be lost: a careful driver looks into the completion ring after a 0. */
  uint64_t (*wait)(void *self, uint64_t timeout_ns);
  void (*close)(void *self);
};

#endif
