/* What this processor can do: one level out of few, lowered by the knob SUMI_ISA. Never fails: unknown = portable. */
#ifndef SUMI_CPU_CPU_H
#define SUMI_CPU_CPU_H

#include <stdbool.h>
#include <stddef.h>

/* Each level has everything of its architecture's levels before it, but for AVXVNNI, which machines with AVX-512 may
 * lack; no processor has a level of another architecture. So ask sumi_cpu_allows() before calling a kernel. Kernel files
 * carry the level's name as their suffix. */
enum sumi_isa {
  SUMI_ISA_REF = 0,    /* portable C */
  SUMI_ISA_NEON,       /* 64-bit ARM: Advanced SIMD, which all of them have */
  SUMI_ISA_DOTPROD,    /* + SDOT and UDOT */
  SUMI_ISA_AVX2,       /* x86-64: AVX2, FMA, F16C */
  SUMI_ISA_AVXVNNI,    /* + AVX-VNNI */
  SUMI_ISA_AVX512,     /* AVX-512 F, BW, DQ, VL */
  SUMI_ISA_AVX512VNNI, /* + VNNI */
  SUMI_ISA_AVX512BF16, /* + BF16 */
  SUMI_ISA_AMX,        /* + AMX int8 and bf16, with the kernel's permission */
  SUMI_N_ISA
};

struct sumi_cpu {
  char name[64];
  size_t l1d_bytes, l2_bytes, l3_bytes; /* 0 = unknown */
  int cores;                            /* this process may run on */
};

/* The highest level that both the processor and SUMI_ISA allow; found once, the same on every call. */
enum sumi_isa sumi_cpu_isa(void);
/* Whether the processor itself has a level's instructions, whatever SUMI_ISA says. */
bool sumi_cpu_has(enum sumi_isa isa);
/* Whether a kernel written for isa may run where the level in force is level. */
static inline bool sumi_cpu_allows(enum sumi_isa level, enum sumi_isa isa) {
  return isa <= level && sumi_cpu_has(isa);
}
const struct sumi_cpu *sumi_cpu_info(void);

const char *sumi_isa_label(enum sumi_isa isa); /* "avx512vnni" */
bool sumi_isa_from_label(const char *label, enum sumi_isa *out);

/* Lowers (or restores) the level for tests; returns the level now in force. Not for threads. */
enum sumi_isa sumi_cpu_limit(enum sumi_isa isa);

#endif
