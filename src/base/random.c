/* xoshiro256** seeded by splitmix64. */
#include "base/random.h"

#include <math.h>

void sumi_random_init(struct sumi_random *r, uint64_t seed) {
  for (int i = 0; i < 4; i++) {
    uint64_t z = (seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    r->s[i] = z ^ (z >> 31);
  }
}

static uint64_t rotl(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

uint64_t sumi_random_u64(struct sumi_random *r) {
  uint64_t *s = r->s;
  const uint64_t result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotl(s[3], 45);
  return result;
}

double sumi_random_uniform(struct sumi_random *r) { return (double)(sumi_random_u64(r) >> 11) * 0x1p-53; }

double sumi_random_normal(struct sumi_random *r) {
  const double u = 1 - sumi_random_uniform(r), v = sumi_random_uniform(r);
  return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}
