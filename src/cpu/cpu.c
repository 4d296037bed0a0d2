/* Finding out what the processor can do: CPUID and XGETBV for the levels, the kernel's permission for AMX
 * tiles, CPUID's deterministic cache leaves, on ARM the kernel's auxiliary vector; the affinity mask for the number of
 * cores. Must not fail: unknown = portable. */
#include "cpu/cpu.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(SUMI_X86)
#include <cpuid.h>
#include <sys/syscall.h>
#elif defined(SUMI_ARM64) && defined(__linux__)
#include <sys/auxv.h>
#endif

static const char *const label[SUMI_N_ISA] = {
    [SUMI_ISA_REF] = "ref",
    [SUMI_ISA_NEON] = "neon",
    [SUMI_ISA_DOTPROD] = "dotprod",
    [SUMI_ISA_AVX2] = "avx2",
    [SUMI_ISA_AVXVNNI] = "avxvnni",
    [SUMI_ISA_AVX512] = "avx512",
    [SUMI_ISA_AVX512VNNI] = "avx512vnni",
    [SUMI_ISA_AVX512BF16] = "avx512bf16",
    [SUMI_ISA_AMX] = "amx",
};

/* The CPU table: written once, by find(). in_force is moved by sumi_cpu_limit() alone. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct sumi_cpu info;
static bool has[SUMI_N_ISA];
static enum sumi_isa highest;
static atomic_int in_force;

#if defined(SUMI_X86)

struct regs {
  unsigned a, b, c, d;
};

/* All zero where the processor does not know the leaf. */
static struct regs cpuid(unsigned leaf, unsigned sub) {
  struct regs r = {0, 0, 0, 0};
  if (!__get_cpuid_count(leaf, sub, &r.a, &r.b, &r.c, &r.d)) memset(&r, 0, sizeof r);
  return r;
}

static bool bit(unsigned word, int i) { return word >> i & 1; }

static uint64_t enabled_states(void) {
  unsigned low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

/* Linux hands out the tile registers on request only (arch_prctl ARCH_REQ_XCOMP_PERM, state 18). */
static bool tiles_permitted(void) {
#if defined(__linux__) && defined(SYS_arch_prctl)
  enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
  return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
  return false;
#endif
}

static void find_levels(void) {
  const struct regs l1 = cpuid(1, 0), l7 = cpuid(7, 0),
                    l7_1 = l7.a >= 1 ? cpuid(7, 1) : (struct regs){0, 0, 0, 0};
  if (!bit(l1.c, 27)) return; /* OSXSAVE: without it XGETBV does not exist */
  const uint64_t states = enabled_states();
  const bool ymm = (states & 0x6) == 0x6, zmm = (states & 0xe6) == 0xe6, tile = (states & 0x60000) == 0x60000;
  has[SUMI_ISA_AVX2] = ymm && bit(l7.b, 5) && bit(l1.c, 12) && bit(l1.c, 29);
  has[SUMI_ISA_AVXVNNI] = has[SUMI_ISA_AVX2] && bit(l7_1.a, 4);
  has[SUMI_ISA_AVX512] =
      has[SUMI_ISA_AVX2] && zmm && bit(l7.b, 16) && bit(l7.b, 17) && bit(l7.b, 30) && bit(l7.b, 31);
  has[SUMI_ISA_AVX512VNNI] = has[SUMI_ISA_AVX512] && bit(l7.c, 11);
  has[SUMI_ISA_AVX512BF16] = has[SUMI_ISA_AVX512VNNI] && bit(l7_1.a, 5);
  has[SUMI_ISA_AMX] = has[SUMI_ISA_AVX512BF16] && tile && bit(l7.d, 22) && bit(l7.d, 24) && bit(l7.d, 25) &&
                      tiles_permitted();
}

/* Leaf 4 (Intel) or 0x8000001d (AMD): one cache a sub-leaf. */
static void find_caches(void) {
  const unsigned leaf = bit(cpuid(0x80000001, 0).c, 22) ? 0x8000001d : 4;
  for (unsigned i = 0; i < 8; i++) {
    const struct regs r = cpuid(leaf, i);
    const unsigned type = r.a & 31, level = r.a >> 5 & 7;
    if (type == 0) break;
    const size_t bytes =
        ((size_t)(r.b >> 22) + 1) * ((r.b >> 12 & 0x3ff) + 1) * ((r.b & 0xfff) + 1) * ((size_t)r.c + 1);
    if (level == 1 && type == 1) info.l1d_bytes = bytes;
    if (level == 2) info.l2_bytes = bytes;
    if (level == 3) info.l3_bytes = bytes;
  }
}

static void find_name(void) {
  char brand[49] = {0};
  for (unsigned i = 0; i < 3; i++) {
    const struct regs r = cpuid(0x80000002 + i, 0);
    memcpy(brand + 16 * i, &r, 16);
  }
  const char *from = brand;
  while (*from == ' ') from++;
  if (*from) strncpy(info.name, from, sizeof info.name - 1);
}

#elif defined(SUMI_ARM64)

static void find_levels(void) {
  has[SUMI_ISA_NEON] = true;
#if defined(__linux__)
  enum { ASIMDDP = 1 << 20 }; /* HWCAP_ASIMDDP of the kernel's arm64 interface */
  has[SUMI_ISA_DOTPROD] = (getauxval(AT_HWCAP) & ASIMDDP) != 0;
#endif
}
static void find_caches(void) {}
static void find_name(void) { strncpy(info.name, "64-bit ARM processor", sizeof info.name - 1); }

#else

static void find_levels(void) {}
static void find_caches(void) {}
static void find_name(void) {}

#endif

static void find_rest(void) {
#if defined(_SC_LEVEL1_DCACHE_SIZE)
  const struct {
    size_t *bytes;
    int name;
  } cache[] = {{&info.l1d_bytes, _SC_LEVEL1_DCACHE_SIZE},
               {&info.l2_bytes, _SC_LEVEL2_CACHE_SIZE},
               {&info.l3_bytes, _SC_LEVEL3_CACHE_SIZE}};
  for (int i = 0; i < 3; i++) {
    const long n = *cache[i].bytes ? 0 : sysconf(cache[i].name);
    if (n > 0) *cache[i].bytes = (size_t)n;
  }
#endif
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) info.cores = CPU_COUNT(&set);
#endif
  if (info.cores <= 0) {
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    info.cores = n > 0 ? (int)n : 1;
  }
}

static void find(void) {
  strncpy(info.name, "unknown processor", sizeof info.name - 1);
  has[SUMI_ISA_REF] = true;
  find_name();
  find_levels();
  find_caches();
  find_rest();
  for (int i = 0; i < SUMI_N_ISA; i++)
    if (has[i]) highest = (enum sumi_isa)i;
  const char *knob = getenv("SUMI_ISA");
  enum sumi_isa wanted;
  if (knob && sumi_isa_from_label(knob, &wanted) && wanted < highest) highest = wanted;
  while (highest > SUMI_ISA_REF && !has[highest]) highest--;
  atomic_store(&in_force, (int)highest);
}

enum sumi_isa sumi_cpu_isa(void) {
  pthread_once(&once, find);
  return (enum sumi_isa)atomic_load_explicit(&in_force, memory_order_relaxed);
}

bool sumi_cpu_has(enum sumi_isa isa) {
  pthread_once(&once, find);
  return (unsigned)isa < SUMI_N_ISA && has[isa];
}

const struct sumi_cpu *sumi_cpu_info(void) {
  pthread_once(&once, find);
  return &info;
}

const char *sumi_isa_label(enum sumi_isa isa) { return (unsigned)isa < SUMI_N_ISA ? label[isa] : "?"; }

bool sumi_isa_from_label(const char *name, enum sumi_isa *out) {
  for (int i = 0; i < SUMI_N_ISA; i++)
    if (strcmp(name, label[i]) == 0) {
      *out = (enum sumi_isa)i;
      return true;
    }
  return false;
}

enum sumi_isa sumi_cpu_limit(enum sumi_isa isa) {
  pthread_once(&once, find);
  enum sumi_isa level = isa < highest ? isa : highest;
  while (level > SUMI_ISA_REF && !has[level]) level--;
  atomic_store(&in_force, (int)level);
  return level;
}
