/* Family eltwise for AVX-512: the compiler makes the vectors. */
#define LEAF avx512
#include "kernel/eltwise/eltwise_int.h"
