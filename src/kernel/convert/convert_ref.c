/* Family convert in portable C. */
#define LEAF ref
#include "kernel/convert/convert_int.h"
