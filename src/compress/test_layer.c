/* Layers found in graphs, their weights in the order of room sparse, their columns and Gram matrices on small networks whose
 * figures are computed here by plain loops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compress/calibrate.h"
#include "op/ops.h"
#include "pass/pass.h"

static const char *const text = "g (float[N,4,5,5] x) => (y) "
                                "<float[6,2,3,3] w, float[6] b, float[150,3] m, float[3] c> {\n"
                                "  t = Conv <group = 2, pads = [1, 1, 1, 1], strides = [1, 2]> (x, w, b)\n"
                                "  f = Flatten (t)\n"
                                "  p = MatMul (f, m)\n"
                                "  y = Add (c, p)\n"
                                "}";
