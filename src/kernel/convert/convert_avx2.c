/* Family convert for AVX2: the compiler makes the vectors. */
#define LEAF avx2
#include "kernel/convert/convert_int.h"
