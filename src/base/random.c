/* xoshiro256** seeded by splitmix64, and MT19937. */
#include "base/random.h"

#include <math.h>
#include <time.h>
#include <unistd.h>

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

uint64_t sumi_random_entropy(void) {
  uint64_t seed;
  if (getentropy(&seed, sizeof seed) == 0) return seed;
  struct timespec t = {0}; /* a kernel without it: the time, and where this process' stack happens to lie */
  clock_gettime(CLOCK_REALTIME, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec + (uint64_t)(uintptr_t)&t;
}

enum { TWISTER_N = 624, TWISTER_M = 397 };

void sumi_twister_init(struct sumi_twister *t, uint32_t seed) {
  *t = (struct sumi_twister){.at = TWISTER_N};
  t->s[0] = seed;
  for (uint32_t i = 1; i < TWISTER_N; i++) t->s[i] = 1812433253u * (t->s[i - 1] ^ (t->s[i - 1] >> 30)) + i;
}

static uint32_t twister_u32(struct sumi_twister *t) {
  for (int i = 0; t->at == TWISTER_N && i < TWISTER_N; i++) {
    const uint32_t y = (t->s[i] & 0x80000000u) | (t->s[(i + 1) % TWISTER_N] & 0x7fffffffu);
    t->s[i] = t->s[(i + TWISTER_M) % TWISTER_N] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
  }
  t->at %= TWISTER_N;
  uint32_t y = t->s[t->at++];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

double sumi_twister_uniform(struct sumi_twister *t) {
  const double high = twister_u32(t) >> 5, low = twister_u32(t) >> 6;
  return (high * 0x1p26 + low) * 0x1p-53;
}

/* Marsaglia's polar method: a point of the unit disc gives two. */
double sumi_twister_normal(struct sumi_twister *t) {
  if (t->has_spare) {
    t->has_spare = false;
    return t->spare;
  }
  double x, y, r;
  do {
    x = 2 * sumi_twister_uniform(t) - 1;
    y = 2 * sumi_twister_uniform(t) - 1;
    r = x * x + y * y;
  } while (r >= 1 || r == 0);
  const double f = sqrt(-2 * log(r) / r);
  t->has_spare = true;
  t->spare = f * x;
  return f * y;
}
