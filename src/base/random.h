/* A small seeded generator (xoshiro256**, Blackman and Vigna 2018): equal seeds give equal numbers everywhere. */
#ifndef SUMI_BASE_RANDOM_H
#define SUMI_BASE_RANDOM_H

#include <stdint.h>

struct sumi_random {
  uint64_t s[4];
};

void sumi_random_init(struct sumi_random *r, uint64_t seed);
uint64_t sumi_random_u64(struct sumi_random *r);
double sumi_random_uniform(struct sumi_random *r); /* [0, 1) */
double sumi_random_normal(struct sumi_random *r);  /* mean 0, deviation 1 */

#endif
