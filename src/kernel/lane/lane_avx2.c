/* Family lane with AVX2. The algorithm stands in lane_frame.h. */
#include "kernel/simd/words_avx2.h"

#include "kernel/lane/lane_frame.h"

LANE_LEAF(avx2)
