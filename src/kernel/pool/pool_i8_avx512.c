/* Family pool_i8 with AVX-512. The algorithm stands in pool_i8_frame.h. */
#include "kernel/simd/words_avx512.h"

#include "kernel/pool/pool_i8_frame.h"

POOL_I8_LEAF(avx512)
