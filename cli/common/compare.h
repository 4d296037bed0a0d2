/* Is a result what was expected? The standard's test tolerance, element by element. */
#ifndef CLI_COMMON_COMPARE_H
#define CLI_COMMON_COMPARE_H

#include <sumi/inspect.h>

#include "common/cli.h"

/* |got - want| <= atol + rtol |want| for floating-point elements (NaN equals NaN, infinities must agree; bfloat16 is
 * given 2^-6, two of its last places); everything else must be equal. On false, reason says where and how far. */
bool cli_compare(const struct sumi_view *got, const struct sumi_view *want, double rtol, double atol,
                 char *reason, size_t size);

/* Could two tensors be draws from one distribution? They have one type and shape, the elements got are whole numbers where
 * all those wanted are, none lies further than the span of those wanted beyond them, and the means differ by at most four
 * standard errors of their difference. On false, reason says what is not so. */
bool cli_compare_draws(const struct sumi_view *got, const struct sumi_view *want, char *reason, size_t size);

#endif
