/* Names of what the contract counts. */
#include "card/card.h"

#include "base/size.h"
#include "card/word.h"

const char *sumi_card_error_text(unsigned error) {
  static const char *const text[] = {
#define SUMI_CARD_ERROR(name, value, sentence) [value] = sentence,
#include "card/errors.def"
#undef SUMI_CARD_ERROR
  };
  return error < SUMI_COUNT(text) && text[error] ? text[error] : "an unknown error";
}

enum sumi_card_engine sumi_card_engine_of(unsigned opcode) {
  static const uint8_t engine[SUMI_CARD_N_OPCODES] = {
      [0] = SUMI_CARD_ENGINES,
      [SUMI_CARD_OP_LOAD] = SUMI_CARD_ON_LOAD,
      [SUMI_CARD_OP_STORE] = SUMI_CARD_ON_STORE,
      [SUMI_CARD_OP_SPU] = SUMI_CARD_ON_SPU,
      [SUMI_CARD_OP_ACT] = SUMI_CARD_ON_ACT,
      [SUMI_CARD_OP_PROGRAM] = SUMI_CARD_ON_VPU,
      [SUMI_CARD_OP_VPU] = SUMI_CARD_ON_VPU,
      [SUMI_CARD_OP_RESHAPE] = SUMI_CARD_ON_RESHAPE,
      [SUMI_CARD_OP_LOOKUP] = SUMI_CARD_ON_LOOKUP,
      [SUMI_CARD_OP_SYNC] = SUMI_CARD_ON_SYNC,
  };
  return opcode < SUMI_CARD_N_OPCODES ? (enum sumi_card_engine)engine[opcode] : SUMI_CARD_ENGINES;
}

const char *sumi_card_engine_name(unsigned engine) {
  static const char *const name[SUMI_CARD_ENGINES] = {"load", "store",   "spu",    "act",
                                                      "vpu",  "reshape", "lookup", "sync"};
  return engine < SUMI_CARD_ENGINES ? name[engine] : "?";
}

int sumi_card_vector_operands(unsigned op) {
  switch (op) {
    case SUMI_CARD_V_LD:
    case SUMI_CARD_V_IMM:
    case SUMI_CARD_V_PARAM:
    case SUMI_CARD_V_INDEX: return 0;
    case SUMI_CARD_V_FMA:
    case SUMI_CARD_V_SELECT: return 3;
    case SUMI_CARD_V_MOV:
    case SUMI_CARD_V_ABS:
    case SUMI_CARD_V_NEG:
    case SUMI_CARD_V_FLOOR:
    case SUMI_CARD_V_RINT:
    case SUMI_CARD_V_SQRT:
    case SUMI_CARD_V_EXP:
    case SUMI_CARD_V_ERF:
    case SUMI_CARD_V_TANH:
    case SUMI_CARD_V_SIGMOID:
    case SUMI_CARD_V_I2F:
    case SUMI_CARD_V_F2I:
    case SUMI_CARD_V_RSUM:
    case SUMI_CARD_V_RMAX:
    case SUMI_CARD_V_RMIN:
    case SUMI_CARD_V_RISUM: return 1;
    default: return 2;
  }
}

uint32_t sumi_card_vector_cycles(unsigned op) {
  static const uint8_t cycles[] = {
#define SUMI_CARD_VECTOR_OP(name, cost, what) cost,
#include "card/vector_ops.def"
#undef SUMI_CARD_VECTOR_OP
  };
  return cycles[op];
}
