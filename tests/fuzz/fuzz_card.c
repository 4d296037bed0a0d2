/* libFuzzer target: any bytes as instruction words of two cores of a small simulated chip. A run must end, in an error or not; the chip must
 * still work afterwards. The first byte chooses with data or timing only. */
#include "base/size.h"
#include "sim/sim_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(bool good) {
  if (!good) __builtin_trap();
}

/* Words a fuzzer can hardly reach otherwise: version and reserved fields of the header are right. */
static void head(union sumi_card_word *w) {
  w->h.opcode = (uint8_t)(1 + w->h.opcode % SUMI_CARD_N_OPCODES);
  w->h.version = SUMI_CARD_MAJOR;
  w->h.base %= 4, w->h.zero = 0, w->h.zero2 = 0, w->h.flags %= 64;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  static const char *const small[] = {"sram_bytes=65536", "acc_bytes=4096", "dram_bytes=4194304", "cores=2",
                                      NULL};
  enum { MOST = 16 };
  struct rig r;
  union sumi_card_word w[MOST];
  if (n < 1 + sizeof *w) return 0;
  const struct sumi_sim_options options = {.timing_only = data[0] & 1};
  const size_t words = SUMI_MIN((n - 1) / sizeof *w, MOST);
  memcpy(w, data + 1, words * sizeof *w);
  for (size_t i = 0; i < words; i++) head(&w[i]);
  check(rig_open(&r, &options, small));
  check(rig_program(&r, 0, w, words) == 0 && rig_program(&r, 1, w, words / 2) == 0);
  check(rig_go(&r, 3).error != 0xffff);
  check(rig_do(&r, (struct sumi_card_command){.kind = SUMI_CARD_NOP}).error == 0);
  rig_close(&r);
  return 0;
}
