/* Steps of kernel family lane: 8-bit values between row-major memory and lanes, and from lanes to lanes. Halos are not written:
 * sumi_lower_blank() does that. Every buffer is whole; layouts say which pixels of it are meant. */
#ifndef SUMI_OP_LANE_STEPS_H
#define SUMI_OP_LANE_STEPS_H

#include "kernel/lane/lane.h"
#include "op/lane_lower.h"

/* The map from the pixels of an image, row by row, to where those of the first image lie; *out NULL: side by side. */
sumi_status sumi_lower_lane_image(struct sumi_lower *l, const struct sumi_layout *lanes,
                                  const struct sumi_lane_map **out);

/* Row-major float32 to lanes and back; t has the shape of both. scale and zero (stored) live as long as the plan: one of
 * each, or with step 1 one for each channel. */
struct sumi_lane_scales {
  const float *scale, *zero;
  int step;
};
sumi_status sumi_lower_lane_quantize(struct sumi_lower *l, const struct sumi_tensor *t, int rows,
                                     const struct sumi_lane_scales *s, const struct sumi_lane_operand *to);
sumi_status sumi_lower_lane_dequantize(struct sumi_lower *l, const struct sumi_tensor *t,
                                       const struct sumi_lane_operand *from, const struct sumi_lane_scales *s,
                                       int rows);

/* Row-major bytes of t to lanes and back; those of int8 are stored plus 128. */
sumi_status sumi_lower_lane_pack(struct sumi_lower *l, const struct sumi_tensor *t, int rows,
                                 const struct sumi_lane_operand *to);
sumi_status sumi_lower_lane_unpack(struct sumi_lower *l, const struct sumi_tensor *t,
                                   const struct sumi_lane_operand *from, int rows);

/* Row-major float32 to lanes of bfloat16 and back (family lane_bf16); t is the float32 one, of the shape of both. */
sumi_status sumi_lower_lane_narrow(struct sumi_lower *l, const struct sumi_tensor *t, int rows,
                                   const struct sumi_lane_operand *to);
sumi_status sumi_lower_lane_widen(struct sumi_lower *l, const struct sumi_tensor *t,
                                  const struct sumi_lane_operand *from, int rows);

/* Planes [from_group, from_group + groups) of one to planes [to_group, ..) of the other, whose pixels are as many: every
 * byte b becomes table[b] (NULL: stays). table lives as long as the plan. */
sumi_status sumi_lower_lane_table(struct sumi_lower *l, const struct sumi_lane_operand *from,
                                  int64_t from_group, const struct sumi_lane_operand *to, int64_t to_group,
                                  int64_t groups, const uint8_t *table);

/* The same for n row-major bytes; the buffers may be one. */
sumi_status sumi_lower_lane_table_rows(struct sumi_lower *l, int from, int to, int64_t n,
                                       const uint8_t *table);

/* y = a + b or a * b as lane.h has it; the figures are those of `figures`. b_word (as many as planes, as long as the plan)
 * or b, of which step says whether it has a word for every pixel or one a plane. */
sumi_status sumi_lower_lane_binary(struct sumi_lower *l, bool add, const struct sumi_lane_binary *figures,
                                   const struct sumi_lane_operand *a, const struct sumi_lane_operand *b,
                                   uint32_t *b_word, const struct sumi_lane_operand *y);

#endif
