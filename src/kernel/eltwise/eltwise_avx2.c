/* Family eltwise for AVX2 and FMA: the compiler makes the vectors. */
#define LEAF avx2
#include "kernel/eltwise/eltwise_int.h"
