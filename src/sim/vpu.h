/* Operations of the vector engine over up to VPU_CHUNK lanes. */
#ifndef SUMI_SIM_VPU_H
#define SUMI_SIM_VPU_H

#include "cpu/cpu.h"
#include "sim/sim_int.h"

enum { VPU_CHUNK = 64 }; /* lanes computed together: a multiple of SUMI_CARD_SUM_LANES */

union vpu_lane {
  float f;
  int32_t i;
  uint32_t u;
};

struct vpu;
/* Runs one operation on all lanes, those behind the last up to a multiple of SUMI_CARD_SUM_LANES included, whose registers mean
 * nothing; false: GATHER's place is out of range (then *bad is it). */
typedef bool vpu_operation(struct vpu *v, const struct sumi_card_vop *op, uint32_t *bad);

struct vpu {
  const struct sumi_card_vector *w;
  const struct sumi_card_vop *body, *tail;
  vpu_operation *run;
  uint8_t *view[SUMI_CARD_VPU_VIEWS]; /* element (0, 0, 0) */
  unsigned zero_body, zero_tail;      /* bit r: register r is read there before something sets it */
  uint32_t i0, i1, i2;                /* the first lane's */
  int lanes;
  union vpu_lane reg[SUMI_CARD_VPU_REGS][VPU_CHUNK];
  union vpu_lane part[SUMI_CARD_VPU_REGS][SUMI_CARD_SUM_LANES]; /* of R* */
};

vpu_operation *vpu_operation_for(enum sumi_isa level);
/* Of a word whose operations are op[body + tail]; what is left is where views lie and which row it is. */
void vpu_init(struct vpu *v, const struct sumi_card_vector *w, const struct sumi_card_vop *op);
/* Body and tail of one (i0, i1); false: as vpu_operation, in *f. */
bool vpu_row(struct vpu *v, struct sim_failure *f);
/* What an R* operation begins with, and how two partial results become one. */
union vpu_lane vpu_reduce_start(uint8_t op);
union vpu_lane vpu_reduce(uint8_t op, union vpu_lane a, union vpu_lane b);
static inline bool vpu_is_reduction(uint8_t op) { return op >= SUMI_CARD_V_RSUM && op <= SUMI_CARD_V_RISUM; }

#endif
