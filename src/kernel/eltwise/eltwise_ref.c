/* Family eltwise in portable C. */
#define LEAF ref
#include "kernel/eltwise/eltwise_int.h"
