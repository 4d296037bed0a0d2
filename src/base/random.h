/* Seeded generators: equal seeds give equal numbers everywhere. */
#ifndef SUMI_BASE_RANDOM_H
#define SUMI_BASE_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

/* A small one (xoshiro256**, Blackman and Vigna 2018). */
struct sumi_random {
  uint64_t s[4];
};

void sumi_random_init(struct sumi_random *r, uint64_t seed);
uint64_t sumi_random_u64(struct sumi_random *r);
double sumi_random_uniform(struct sumi_random *r); /* [0, 1) */
double sumi_random_normal(struct sumi_random *r);  /* mean 0, deviation 1 */

/* A seed that differs from call to call and from process to process. */
uint64_t sumi_random_entropy(void);

/* MT19937 (Matsumoto and Nishimura 1998), with the numbers of NumPy's RandomState(seed), rand() and randn(): what the
 * reference implementation of the ONNX standard draws with. */
struct sumi_twister {
  uint32_t s[624];
  int at;
  bool has_spare; /* normal numbers come in pairs */
  double spare;
};

void sumi_twister_init(struct sumi_twister *t, uint32_t seed);
double sumi_twister_uniform(struct sumi_twister *t); /* [0, 1), 53 bits */
double sumi_twister_normal(struct sumi_twister *t);  /* mean 0, deviation 1 */

#endif
