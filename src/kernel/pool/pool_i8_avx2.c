/* Family pool_i8 with AVX2. The algorithm stands in pool_i8_frame.h. */
#include "kernel/simd/words_avx2.h"

#include "kernel/pool/pool_i8_frame.h"

POOL_I8_LEAF(avx2)
