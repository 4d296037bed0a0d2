/* Family lane with AVX-512. The algorithm stands in lane_frame.h. */
#include "kernel/simd/words_avx512.h"

#include "kernel/lane/lane_frame.h"

LANE_LEAF(avx512)
