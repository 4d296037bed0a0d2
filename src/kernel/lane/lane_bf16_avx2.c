/* Family lane_bf16: the compiler makes the vectors. */
#define LEAF avx2
#include "kernel/lane/lane_bf16_int.h"
