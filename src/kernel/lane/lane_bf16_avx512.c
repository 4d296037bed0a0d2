/* Family lane_bf16: the compiler makes the vectors. */
#define LEAF avx512
#include "kernel/lane/lane_bf16_int.h"
