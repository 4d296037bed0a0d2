/* What the cells that are loop nests share (VECTOR, COPY, LOOKUP): nests in bytes, tidied, and cut into parts whose operands lie in
 * SRAM. What lies in DRAM goes through
 * scratch: two halves in turn, so that one part is moved while another is worked on. */
#ifndef SUMI_DEVICE_ANTOUM_STREAM_H
#define SUMI_DEVICE_ANTOUM_STREAM_H

#include "device/antoum/cells.h"

enum { ANTOUM_MOST_STEPS = 1 << 16 }; /* words or parts that one cell may become */

/* Iteration (i, j, ...) touches bytes [place + lo, place + hi) of an operand, place = at + i * step[0] + j * step[1] + ...,
 * counted from the operand's first; in a part, from the first of SRAM. */
struct antoum_view {
  int operand;
  uint32_t elem_bytes;
  bool read, write;
  bool solid; /* an iteration writes all of [lo, hi) */
  int64_t at, step[SUMI_CELL_LOOPS], lo, hi;
};

/* n[0] is the outermost of `rank` loops. The last `fixed` of them keep their order and are not merged with others; bit j of `whole`:
 * loop rank - 1 - j, one of them, is not cut. */
struct antoum_nest {
  int rank, n_views, fixed;
  unsigned whole;
  int64_t n[SUMI_CELL_LOOPS];
  struct antoum_view view[SUMI_CARD_VPU_VIEWS];
};

/* Adds a cell's view, of elements that touch elements [lo, hi) around them. */
sumi_status antoum_nest_view(const struct antoum_cell_job *job, struct antoum_nest *nest,
                             const struct sumi_cell_view *view, int64_t lo, int64_t hi);

/* Drops loops of 1, sorts the others that are not fixed by the steps of what is written, merges neighbours that are one loop in all
 * views, and puts those with the longest steps in DRAM outside. Refuses what reaches beyond an operand. */
sumi_status antoum_nest_tidy(const struct antoum_cell_job *job, struct antoum_nest *nest);

/* Emits the words of a part: `part` is the nest with the part's counts and with views in SRAM; first[rank]: its first iteration. */
typedef sumi_status antoum_part(const struct antoum_cell_job *job, const struct antoum_nest *part,
                                const int64_t *first, void *user);

/* Calls emit for all parts of a tidied nest, the moves of what lies in DRAM around it. */
sumi_status antoum_stream(const struct antoum_cell_job *job, const struct antoum_nest *nest,
                          antoum_part *emit, void *user);

/* LOAD or STORE of rows of neighbouring bytes in loops whose steps rise; the first at byte dram of the operand and at sram. One read
 * for all cores where it is one row of a constant. */
struct antoum_rows {
  int rank;
  int64_t row_bytes, dram, sram, n[SUMI_CELL_LOOPS], dram_step[SUMI_CELL_LOOPS], sram_step[SUMI_CELL_LOOPS];
};
sumi_status antoum_rows(const struct antoum_cell_job *job, enum sumi_card_opcode opcode,
                        const struct antoum_place *place, const struct antoum_rows *rows);

/* A walk over boxes of block[] iterations of a nest: first and n of each box. Begin with antoum_boxes_begin; false after the last. */
struct antoum_boxes {
  int rank;
  int64_t all[SUMI_CELL_LOOPS], block[SUMI_CELL_LOOPS], first[SUMI_CELL_LOOPS], n[SUMI_CELL_LOOPS];
};
void antoum_boxes_begin(struct antoum_boxes *b, int rank, const int64_t *n, const int64_t *block);
bool antoum_boxes_next(struct antoum_boxes *b);
int64_t antoum_boxes_count(int rank, const int64_t *n, const int64_t *block);

/* Where iteration first[] of a view lies, and what n[] iterations from there on touch. */
int64_t antoum_view_place(const struct antoum_nest *nest, const struct antoum_view *view,
                          const int64_t *first);
struct antoum_touch antoum_view_touch(const struct antoum_nest *nest, const struct antoum_view *view,
                                      int64_t at, const int64_t *n);

#endif
