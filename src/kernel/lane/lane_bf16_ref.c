/* Family lane_bf16: the compiler makes the vectors. */
#define LEAF ref
#include "kernel/lane/lane_bf16_int.h"
