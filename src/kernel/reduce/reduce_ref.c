/* Family reduce in portable C. The algorithms stand in reduce_int.h. */
#include "kernel/simd/ref.h"

#define LEAF ref
#include "kernel/reduce/reduce_int.h"
