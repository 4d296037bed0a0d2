/* Family reduce with AVX2. The algorithms stand in reduce_int.h. */
#include "kernel/simd/avx2.h"

#define LEAF avx2
#include "kernel/reduce/reduce_int.h"
