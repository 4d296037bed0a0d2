/* kernels [--bench] [--seed N] [--family NAME]: checks or measures the kernel families. */
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "kernel/kernels.h"

static struct check state;
static const uint32_t poison = 0x7fa5a5a5; /* a signalling NaN that no kernel makes */
enum { PAGE = 4096 };

bool is_poison(float v) { return memcmp(&v, &poison, sizeof v) == 0; }

struct guarded guard(struct check *c, size_t n) {
  struct guarded g = {.n = n};
  g.inner_bytes = (n * sizeof(float) + PAGE - 1) / PAGE * PAGE + (n == 0 ? PAGE : 0);
  g.map_bytes = g.inner_bytes + 2 * PAGE;
  g.map = mmap(NULL, g.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (g.map == MAP_FAILED) {
    fprintf(stderr, "no memory for %zu floats\n", n);
    exit(4);
  }
  for (size_t i = 0; i < g.inner_bytes; i += sizeof poison) memcpy(g.map + PAGE + i, &poison, sizeof poison);
  mprotect(g.map, PAGE, PROT_NONE);
  mprotect(g.map + PAGE + g.inner_bytes, PAGE, PROT_NONE);
  g.data = (float *)(g.map + PAGE + (c->side == AT_END ? g.inner_bytes - n * sizeof(float) : 0));
  return g;
}

void let_go(struct check *c, struct guarded *g) {
  const float *from = (const float *)(g->map + PAGE), *to = from + g->inner_bytes / sizeof(float);
  for (const float *p = from; p < to; p++)
    if ((p < g->data || p >= g->data + g->n) && !is_poison(*p)) {
      fail(c, "a word was written %ld words from the start of a buffer of %zu", (long)(p - g->data), g->n);
      break;
    }
  munmap(g->map, g->map_bytes);
}

void fill_random(struct check *c, struct guarded *g, float low, float high) {
  for (size_t i = 0; i < g->n; i++) g->data[i] = low + (high - low) * (float)sumi_random_uniform(&c->random);
}

int pick(struct check *c, int low, int high) {
  return low + (int)(sumi_random_u64(&c->random) % (uint64_t)(high - low + 1));
}

void begin_case(struct check *c, const char *kernel, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(c->what, sizeof c->what, format, args);
  va_end(args);
  c->kernel = kernel;
  c->cases++;
}

void fail(struct check *c, const char *format, ...) {
  va_list args;
  va_start(args, format);
  if (c->failures++ < 20) {
    printf("FAILED %s, %s: ", c->kernel, c->what);
    vprintf(format, args);
    printf("\n");
  }
  va_end(args);
}

bool same(struct check *c, const char *where, int64_t i, float got, float want, float tolerance) {
  if (is_poison(got)) {
    fail(c, "%s[%ld] was not written", where, (long)i);
    return false;
  }
  if (got == want || (isnan(got) && isnan(want)) || fabsf(got - want) <= tolerance) return true;
  fail(c, "%s[%ld] is %.9g, not %.9g (tolerance %.3g)", where, (long)i, (double)got, (double)want,
       (double)tolerance);
  return false;
}

bool same_bits(struct check *c, const char *where, int64_t i, float got, float want) {
  if (memcmp(&got, &want, sizeof got) == 0 || (isnan(got) && isnan(want) && !is_poison(got))) return true;
  fail(c, "%s[%ld] is %.9g, not %.9g to the bit", where, (long)i, (double)got, (double)want);
  return false;
}

double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void print_line(const char *kernel, const char *shape, double seconds, double macs, double bytes,
                       double peak) {
  printf("%-22s %-52s %9.1f us", kernel, shape, seconds * 1e6);
  if (macs > 0) printf("  %7.2f GMAC/s", macs / seconds / 1e9);
  if (macs > 0 && peak > 0) printf(" %5.1f %%", 100 * macs / seconds / peak);
  if (bytes > 0) printf("  %7.2f GB/s", bytes / seconds / 1e9);
  printf("\n");
  fflush(stdout);
}

void report(struct check *c, const char *kernel, const char *shape, double seconds, double macs,
            double bytes) {
  print_line(kernel, shape, seconds, macs, bytes, c->peak);
}

void report_i8(struct check *c, const char *kernel, const char *shape, double seconds, double macs) {
  print_line(kernel, shape, seconds, macs, 0, c->peak_i8);
}

static void on_fault(int signal) {
  char line[700];
  const int n = snprintf(line, sizeof line, "FAILED %s, %s: signal %d: memory outside a buffer was touched\n",
                         state.kernel ? state.kernel : "?", state.what, signal);
  if (n > 0 && write(STDOUT_FILENO, line, (size_t)n) < 0) _exit(1);
  _exit(1);
}

/* ---- the yardstick: independent multiply-adds on registers
 * --------------------------------------------------- */

#if defined(SUMI_X86)
#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9)
#define PEAK(name, bits, type, suffix)                                              \
  __attribute__((target(name))) static double macs_##suffix(long n) {               \
    const type b = _mm##bits##_set1_ps(1.0000001f), d = _mm##bits##_set1_ps(1e-3f); \
    type a0, a1, a2, a3, a4, a5, a6, a7, a8, a9;                                    \
    a0 = a1 = a2 = a3 = a4 = a5 = a6 = a7 = a8 = a9 = d;                            \
    for (long i = 0; i < n; i++) {                                                  \
      CHAINS(STEP##bits)                                                            \
    }                                                                               \
    volatile float keep = 0;                                                        \
    CHAINS(KEEP)                                                                    \
    (void)keep;                                                                     \
    return 10.0 * (sizeof(type) / 4) * (double)n;                                   \
  }
#define STEP512(i) __asm__ volatile("vfmadd213ps %1, %2, %0" : "+v"(a##i) : "v"(d), "v"(b));
#define STEP256(i) __asm__ volatile("vfmadd213ps %1, %2, %0" : "+x"(a##i) : "x"(d), "x"(b));
#define KEEP(i) keep = keep + a##i[0];
#include <immintrin.h>
PEAK("avx512f", 512, __m512, avx512)
#define _mm256_set1_ps_ _mm256_set1_ps
PEAK("avx2,fma", 256, __m256, avx2)

/* The same of four bytes a lane. */
#define PEAK_I8(name, bits, suffix)                                      \
  __attribute__((target(name))) static double macs_i8_##suffix(long n) { \
    const __m##bits##i b = _mm##bits##_set1_epi32(0x01020304);           \
    __m##bits##i a0, a1, a2, a3, a4, a5, a6, a7, a8, a9;                 \
    a0 = a1 = a2 = a3 = a4 = a5 = a6 = a7 = a8 = a9 = b;                 \
    for (long i = 0; i < n; i++) {                                       \
      CHAINS(STEP_I8_##bits)                                             \
    }                                                                    \
    volatile long long keep = 0;                                         \
    CHAINS(KEEP)                                                         \
    (void)keep;                                                          \
    return 10.0 * sizeof(__m##bits##i) * (double)n;                      \
  }
#define STEP_I8_512(i) __asm__ volatile("vpdpbusd %1, %1, %0" : "+v"(a##i) : "v"(b));
#define STEP_I8_256(i) __asm__ volatile("%{vex%} vpdpbusd %1, %1, %0" : "+x"(a##i) : "x"(b));
PEAK_I8("avx512f", 512, avx512)
PEAK_I8("avx2", 256, avx2)
#endif

/* The best of several measurements; 0 = nothing to measure. */
static double measure(double (*run)(long)) {
  double best = 0;
  for (int i = 0; run && i < 20; i++) {
    const double t = now_s(), macs = run(300000), rate = macs / (now_s() - t);
    if (rate > best) best = rate;
  }
  return best;
}

static void measure_peaks(struct check *c) {
  double (*f32)(long) = NULL, (*i8)(long) = NULL;
#if defined(SUMI_X86)
  f32 = sumi_cpu_has(SUMI_ISA_AVX512) ? macs_avx512 : sumi_cpu_has(SUMI_ISA_AVX2) ? macs_avx2 : NULL;
  i8 = sumi_cpu_has(SUMI_ISA_AVX512VNNI) ? macs_i8_avx512
       : sumi_cpu_has(SUMI_ISA_AVXVNNI)  ? macs_i8_avx2
                                         : NULL;
#endif
  c->peak = f32 ? measure(f32) : 1e9;
  c->peak_i8 = measure(i8);
}

/* Whether a family has a kernel written for just this level. */
static bool has_row(const char *family, enum sumi_isa isa) {
  static struct sumi_kernel_row row[SUMI_MAX_KERNEL_ROWS];
  const size_t n = sumi_kernel_rows(row, SUMI_MAX_KERNEL_ROWS);
  for (size_t i = 0; i < n; i++)
    if (row[i].isa == isa && strcmp(row[i].family, family) == 0) return true;
  return false;
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*check)(struct check *);
  } family[] = {
#define FAMILY(name) {#name, check_##name},
#include "families.def"
#undef FAMILY
  };
  uint64_t seed = (uint64_t)time(NULL);
  const char *only = NULL;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--bench") == 0)
      state.bench = true;
    else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
      seed = strtoull(argv[++i], NULL, 10);
    else if (strcmp(argv[i], "--family") == 0 && i + 1 < argc)
      only = argv[++i];
    else {
      fprintf(stderr, "kernels [--bench] [--seed N] [--family NAME]\n");
      return 2;
    }
  }
  signal(SIGSEGV, on_fault);
  signal(SIGBUS, on_fault);
  signal(SIGILL, on_fault);
  if (state.bench) {
    measure_peaks(&state);
    printf("%s, %s, one core, peak %.1f GMAC/s float32, %.1f of bytes (VPDPBUSD)\n", sumi_cpu_info()->name,
           sumi_isa_label(sumi_cpu_isa()), state.peak / 1e9, state.peak_i8 / 1e9);
  } else {
    printf("seed %llu\n", (unsigned long long)seed);
  }
  const enum sumi_isa top = sumi_cpu_isa();
  for (size_t f = 0; f < sizeof family / sizeof *family; f++) {
    if (only && strcmp(only, family[f].name) != 0) continue;
    state.family = family[f].name;
    const long before = state.cases;
    for (int level = top; level >= SUMI_ISA_REF; level--) { /* the mask, lowered level by level */
      if (sumi_cpu_limit((enum sumi_isa)level) != (enum sumi_isa)level) continue;
      for (int side = AT_END; side <= AT_START; side++) {
        if (state.bench && (side == AT_START || !has_row(family[f].name, (enum sumi_isa)level))) continue;
        state.side = (enum side)side;
        sumi_random_init(&state.random, seed + 2 * (uint64_t)level + (uint64_t)side);
        family[f].check(&state);
      }
    }
    sumi_cpu_limit(top);
    if (!state.bench) printf("%-12s %6ld cases\n", state.family, state.cases - before);
  }
  if (!state.bench) printf("%ld cases, %ld failures\n", state.cases, state.failures);
  return state.failures > 0;
}
