/* Element-wise loops over any element type: four computing types ("lanes"), conversion to and from them in
 * chunks, and one driver that broadcasts. Elements whose type is the lane's are read and written where they
 * lie. */
#ifndef SUMI_OP_LANE_H
#define SUMI_OP_LANE_H

#include "op/broadcast.h"

/* Integers are computed modulo 2^64 and cut to their type when stored; float16, bfloat16 and shorter in
 * float32. */
enum sumi_lane { SUMI_LANE_F32, SUMI_LANE_F64, SUMI_LANE_I64, SUMI_LANE_U64, SUMI_N_LANES };
enum { SUMI_LANE_CHUNK = 256 };

/* The lane an element type is computed in; bool counts as unsigned. */
enum sumi_lane sumi_lane_of(sumi_dtype d);
/* Whether elements of d are the lane's type as they lie in memory. */
bool sumi_lane_direct(enum sumi_lane lane, sumi_dtype d);
static inline size_t sumi_lane_bytes(enum sumi_lane lane) { return lane == SUMI_LANE_F32 ? 4 : 8; }

/* n elements of any numeric type as lane values, and back (floats to integers truncate, see sumi_set_f64). */
void sumi_lane_load(enum sumi_lane lane, sumi_dtype d, const void *data, int64_t first, int64_t n, void *to);
void sumi_lane_store(enum sumi_lane lane, sumi_dtype d, void *data, int64_t first, int64_t n,
                     const void *from);

/* y[i] = f(in[0][i * step[0]], in[1][i * step[1]], ...) for i in 0..n, steps 0 or 1, everything of the
 * lane's type (y of bytes where the map says so). y may lie exactly over in[0]. */
typedef void (*sumi_loop)(const void *const *in, const int64_t *step, void *y, int64_t n, const void *param);

struct sumi_map {
  int n_in;
  const struct sumi_tensor *in[SUMI_BCAST_MAX]; /* each broadcasts to out's shape */
  const struct sumi_tensor *out;
  enum sumi_lane lane;
  bool to_bool; /* the loop writes bytes, 0 or 1 */
  sumi_loop loop;
  const void *param; /* handed to the loop */
  /* Where inputs and output are all of element type own, own_loop is called in loop's place, with elements of that type as
   * they lie, and gives the same. SUMI_UNDEFINED = there is none. */
  sumi_dtype own;
  sumi_loop own_loop;
};

void sumi_map_run(const struct sumi_map *map);

/* Output 0 has the shape of input 0 and, where dtype is SUMI_UNDEFINED, its type. */
sumi_status sumi_infer_same(struct sumi_infer *ctx);

/* Defines loop `name` over lane type T, output type O: expr is in a. */
#define SUMI_UNARY_LOOP(name, T, O, expr)                                                                  \
  static void name(const void *const *from, const int64_t *step, void *to, int64_t n, const void *param) { \
    (void)step, (void)param;                                                                               \
    const T *x = from[0];                                                                                  \
    O *y = to;                                                                                             \
    SUMI_IVDEP for (int64_t i = 0; i < n; i++) {                                                           \
      const T a = x[i];                                                                                    \
      y[i] = (O)(expr);                                                                                    \
    }                                                                                                      \
  }

/* The same with two inputs: expr is in a and b. */
#define SUMI_BINARY_LOOP(name, T, O, expr)                                                                 \
  static void name(const void *const *from, const int64_t *step, void *to, int64_t n, const void *param) { \
    (void)param;                                                                                           \
    const T *p = from[0], *q = from[1];                                                                    \
    O *y = to;                                                                                             \
    if (step[0] && step[1]) {                                                                              \
      SUMI_IVDEP for (int64_t i = 0; i < n; i++) {                                                         \
        const T a = p[i], b = q[i];                                                                        \
        y[i] = (O)(expr);                                                                                  \
      }                                                                                                    \
    } else if (step[0]) {                                                                                  \
      const T b = *q;                                                                                      \
      SUMI_IVDEP for (int64_t i = 0; i < n; i++) {                                                         \
        const T a = p[i];                                                                                  \
        y[i] = (O)(expr);                                                                                  \
      }                                                                                                    \
    } else if (step[1]) {                                                                                  \
      const T a = *p;                                                                                      \
      SUMI_IVDEP for (int64_t i = 0; i < n; i++) {                                                         \
        const T b = q[i];                                                                                  \
        y[i] = (O)(expr);                                                                                  \
      }                                                                                                    \
    } else if (n) {                                                                                        \
      const T a = *p, b = *q;                                                                              \
      const O value = (O)(expr);                                                                           \
      for (int64_t i = 0; i < n; i++) y[i] = value;                                                        \
    }                                                                                                      \
  }

#endif
