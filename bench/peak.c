/* The most multiply-adds one core does per second, by precision and instruction set, as one JSON object:
 *   {"float32": {"portable": G, "avx2": G, ...}, "bfloat16": {...}, "int8": {...}}  G in 10^9
 * Registers only: independent accumulators, no loads. What the processor lacks is left out. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { TRIES = 100, CHAINS = 12 };
static const double TRY_SECONDS = 0.001; /* short, so that some of them are not interrupted */

struct unit {
  const char *precision, *isa;
  bool (*here)(void);
  double (*run)(long rounds); /* does rounds * CHAINS instructions; returns multiply-adds an instruction */
};

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool always(void) { return true; }

/* Four lanes by hand: what a compiler makes of plain C for any processor. */
static double run_portable_f32(long rounds) {
  float acc[CHAINS][4] = {{0}}, x[4] = {1, 1, 1, 1}, w = 0.5f;
  __asm__ volatile("" : "+m"(x), "+m"(w));
  for (long r = 0; r < rounds; r++)
    for (int c = 0; c < CHAINS; c++)
      for (int i = 0; i < 4; i++) acc[c][i] = acc[c][i] + x[i] * w;
  __asm__ volatile("" : "+m"(acc));
  return 4;
}

#ifdef __x86_64__
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };

static bool bit(unsigned leaf, unsigned subleaf, int reg, int at) {
  unsigned r[4];
  return __get_cpuid_count(leaf, subleaf, &r[0], &r[1], &r[2], &r[3]) && (r[reg] >> at & 1);
}

static bool system_saves(unsigned mask) {
  unsigned low, high;
  if (!bit(1, 0, 2, 27)) return false;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & mask) == mask;
}

static bool has_avx2(void) { return system_saves(6) && bit(7, 0, 1, 5) && bit(1, 0, 2, 12); }

static bool has_avxvnni(void) { return has_avx2() && bit(7, 1, 0, 4); }

static bool has_avx512(void) { return system_saves(0xe6) && bit(7, 0, 1, 16) && bit(7, 0, 1, 30); }

static bool has_avx512vnni(void) { return has_avx512() && bit(7, 0, 2, 11); }

static bool has_avx512bf16(void) { return has_avx512() && bit(7, 1, 0, 5); }

static bool tiles(void) {
  return system_saves(0x60000) && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

static bool has_amx_int8(void) { return bit(7, 0, 3, 25) && tiles(); }

static bool has_amx_bf16(void) { return bit(7, 0, 3, 22) && tiles(); }

/* An instruction into each of twelve accumulators, registers 0 to 11; operands in 12, 13; 14, 15 are free. */
#define EACH(X) X("0") X("1") X("2") X("3") X("4") X("5") X("6") X("7") X("8") X("9") X("10") X("11")
#define LOOP(rounds, ZERO, BODY)                                                                             \
  __asm__ volatile(EACH(ZERO) ZERO("12") ZERO("13") ZERO("14")                                               \
                       ZERO("15") "1:\n" EACH(BODY) "dec %0\n jnz 1b\n vzeroupper\n"                         \
                   : "+r"(rounds)                                                                            \
                   :                                                                                         \
                   : "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
                     "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15")
#define ZERO256(n) "vpxor %%ymm" n ", %%ymm" n ", %%ymm" n "\n"
#define ZERO512(n) "vpxorq %%zmm" n ", %%zmm" n ", %%zmm" n "\n"
#define THREE256(op, n) op " %%ymm12, %%ymm13, %%ymm" n "\n"
#define THREE512(op, n) op " %%zmm12, %%zmm13, %%zmm" n "\n"
#define FMA256(n) THREE256("vfmadd231ps", n)
#define FMA512(n) THREE512("vfmadd231ps", n)
#define MADD256(n)                                                                                      \
  "vpmaddubsw %%ymm12, %%ymm13, %%ymm14\n vpmaddwd %%ymm12, %%ymm14, %%ymm15\n vpaddd %%ymm15, %%ymm" n \
  ", %%ymm" n "\n"
#define VNNI256(n) THREE256("%{vex%} vpdpbusd", n)
#define VNNI512(n) THREE512("vpdpbusd", n)
#define BF512(n) THREE512("vdpbf16ps", n)

static double run_avx2_f32(long rounds) {
  LOOP(rounds, ZERO256, FMA256);
  return 8;
}

static double run_avx512_f32(long rounds) {
  LOOP(rounds, ZERO512, FMA512);
  return 16;
}

static double run_avx2_int8(long rounds) {
  LOOP(rounds, ZERO256, MADD256);
  return 32;
}

static double run_avxvnni_int8(long rounds) {
  LOOP(rounds, ZERO256, VNNI256);
  return 32;
}

static double run_avx512vnni_int8(long rounds) {
  LOOP(rounds, ZERO512, VNNI512);
  return 64;
}

static double run_avx512bf16_bf16(long rounds) {
  LOOP(rounds, ZERO512, BF512);
  return 32;
}

/* Tiles 0 to 5 are accumulators of 16 x 16, 6 and 7 operands of 16 rows of 64 bytes. */
struct tile_config {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
};

#define TILES(op)                                                                                 \
  op " %%tmm6, %%tmm7, %%tmm0\n" op " %%tmm6, %%tmm7, %%tmm1\n" op " %%tmm6, %%tmm7, %%tmm2\n" op \
     " %%tmm6, %%tmm7, %%tmm3\n" op " %%tmm6, %%tmm7, %%tmm4\n" op " %%tmm6, %%tmm7, %%tmm5\n"
#define TILE_LOOP(rounds, op)                                                                               \
  __asm__ volatile("ldtilecfg %1\n tilezero %%tmm0\n tilezero %%tmm1\n tilezero %%tmm2\n tilezero %%tmm3\n" \
                   "tilezero %%tmm4\n tilezero %%tmm5\n tilezero %%tmm6\n tilezero %%tmm7\n"                \
                   "1:\n" TILES(op) TILES(op) "dec %0\n jnz 1b\n tilerelease\n"                             \
                   : "+r"(rounds)                                                                           \
                   : "m"(config)                                                                            \
                   : "cc", "memory")

static struct tile_config full_tiles(void) {
  struct tile_config c = {.palette = 1};
  for (int t = 0; t < 8; t++) c.row_bytes[t] = 64, c.rows[t] = 16;
  return c;
}

static double run_amx_int8(long rounds) {
  const struct tile_config config = full_tiles();
  TILE_LOOP(rounds, "tdpbusd");
  return 16 * 16 * 64;
}

static double run_amx_bf16(long rounds) {
  const struct tile_config config = full_tiles();
  TILE_LOOP(rounds, "tdpbf16ps");
  return 16 * 16 * 32;
}
#endif

static const struct unit UNITS[] = {
    {"float32", "portable", always, run_portable_f32},
#ifdef __x86_64__
    {"float32", "avx2", has_avx2, run_avx2_f32},
    {"float32", "avx512", has_avx512, run_avx512_f32},
    {"bfloat16", "avx512bf16", has_avx512bf16, run_avx512bf16_bf16},
    {"bfloat16", "amx", has_amx_bf16, run_amx_bf16},
    {"int8", "avx2", has_avx2, run_avx2_int8},
    {"int8", "avxvnni", has_avxvnni, run_avxvnni_int8},
    {"int8", "avx512vnni", has_avx512vnni, run_avx512vnni_int8},
    {"int8", "amx", has_amx_int8, run_amx_int8},
#endif
};

/* The best of a few tries of TRY_SECONDS each, in 10^9 multiply-adds a second. */
static double peak(const struct unit *u) {
  double best = 0;
  long rounds = 1000;
  for (int t = 0; t < TRIES;) {
    const double start = seconds();
    const double macs = u->run(rounds) * CHAINS * (double)rounds;
    const double took = seconds() - start;
    if (took < TRY_SECONDS) {
      rounds *= 2;
      continue;
    }
    if (macs / took > best) best = macs / took;
    t++;
  }
  return best * 1e-9;
}

int main(void) {
  const char *open = "";
  printf("{");
  for (size_t i = 0; i < sizeof UNITS / sizeof *UNITS; i++) {
    const struct unit *u = &UNITS[i];
    if (!u->here()) continue;
    if (strcmp(open, u->precision) == 0)
      printf(", ");
    else
      printf("%s\"%s\": {", *open ? "}, " : "", u->precision);
    printf("\"%s\": %.1f", u->isa, peak(u));
    open = u->precision;
  }
  printf("}}\n");
  return 0;
}
