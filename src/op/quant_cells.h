/* Quantised values in vector programs. */
#ifndef SUMI_OP_QUANT_CELLS_H
#define SUMI_OP_QUANT_CELLS_H

#include "op/rows_cells.h"

/* Whether inputs scale and zero hold one constant each (zero that is not given is 0). */
bool sumi_quant_constants(const struct sumi_cells *c, int scale, int zero, double *s, int32_t *z);

/* Input i of QuantizeLinear and DequantizeLinear, a scale or zero point: one value, or one for each entry of the axis. */
int sumi_quant_operand(struct sumi_vector *p, const struct sumi_cells *c, int i);

/* round(x) + zero, ties to even, NaN as 0: an integer that a store holds to 8 bits. x: float; zero: integer. */
int sumi_quant_round(struct sumi_vector *p, int x, int zero);

/* q - zero as float. */
int sumi_quant_centred(struct sumi_vector *p, int q, int32_t zero);

/* y = table[x], where the bits of the 8-bit x count as 0..255; y may begin at element y_at of its operand. */
sumi_status sumi_table_cells(struct sumi_cells *c, const struct sumi_seen *x, const struct sumi_seen *y,
                             int64_t y_at, int table);

/* to (float32) = (x - zero) * scale, and back, for whole operands of one shape. */
sumi_status sumi_dequantise_cells(struct sumi_cells *c, const struct sumi_seen *x, double scale, int32_t zero,
                                  const struct sumi_seen *to);
sumi_status sumi_quantise_cells(struct sumi_cells *c, const struct sumi_seen *x, double scale, int32_t zero,
                                const struct sumi_seen *to);

#endif
