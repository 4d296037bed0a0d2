/* The kernel harness: every kernel of every family against its plain loop. A family is one file here and a
 * line in families.def. Read this header first.
 *
 * Buffers lie between pages that fault; what is left of their own pages is poisoned and checked. A case that
 * fails prints family, kernel, case and seed; `kernels --seed N` runs the same numbers again. */
#ifndef SUMI_TESTS_KERNELS_CHECK_H
#define SUMI_TESTS_KERNELS_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "cpu/cpu.h"

enum side { AT_END, AT_START }; /* which guard page a buffer touches */

struct guarded {
  float *data;
  size_t n;           /* floats */
  unsigned char *map; /* the mapping: guard, pages, guard */
  size_t map_bytes, inner_bytes;
};

struct check {
  struct sumi_random random;
  enum side side;
  bool bench;
  double peak,
      peak_i8; /* measured multiply-adds a second for --bench: float32, bytes (0 = no such instruction) */
  const char *family, *kernel;
  char what[400]; /* the case that runs */
  long cases, failures;
};

/* n floats between guard pages, poisoned; released by let_go(), which checks the poison beside them. */
struct guarded guard(struct check *c, size_t n);
void let_go(struct check *c, struct guarded *g);
void fill_random(struct check *c, struct guarded *g, float low, float high);
bool is_poison(float v); /* nobody wrote this word */

int pick(struct check *c, int low, int high); /* uniform, both ends included */
void begin_case(struct check *c, const char *kernel, const char *format, ...);
void fail(struct check *c, const char *format, ...);
/* Fails unless |got - want| <= tolerance or both are equal or NaN. False: failed. */
bool same(struct check *c, const char *where, int64_t i, float got, float want, float tolerance);
bool same_bits(struct check *c, const char *where, int64_t i, float got, float want);

double now_s(void);
/* Prints one line of --bench: macs multiply-adds (0 = none) and bytes in seconds; _i8: measured by peak_i8.
 * */
void report(struct check *c, const char *kernel, const char *shape, double seconds, double macs,
            double bytes);
void report_i8(struct check *c, const char *kernel, const char *shape, double seconds, double macs);

#define FAMILY(name) void check_##name(struct check *c);
#include "families.def"
#undef FAMILY

#endif
