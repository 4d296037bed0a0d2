/* Family convert for AVX-512: the compiler makes the vectors. */
#define LEAF avx512
#include "kernel/convert/convert_int.h"
