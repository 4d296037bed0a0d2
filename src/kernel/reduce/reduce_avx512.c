/* Family reduce with AVX-512. The algorithms stand in reduce_int.h. */
#include "kernel/simd/avx512.h"

#define LEAF avx512
#include "kernel/reduce/reduce_int.h"
