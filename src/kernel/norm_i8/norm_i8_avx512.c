/* Family norm_i8 with AVX-512. The algorithm stands in norm_i8_frame_int.h. */
#include "kernel/simd/words_avx512.h"

enum { NORM_VECTORS = 4 };

#include "kernel/norm_i8/norm_i8_frame_int.h"

void sumi_norm_i8_avx512(const struct sumi_norm_i8 *s, int64_t p0, int64_t p1) { norm_run(s, p0, p1); }
