/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"

/* splitmix64 */
uint64_t rng_next (struct rng *rng)
{
  uint64_t z = rng->state += 0x9e3779b97f4a7c15ULL;

  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

unsigned rng_below (struct rng *rng, unsigned below)
{
  return (unsigned) ((rng_next (rng) >> 32) * below >> 32);
}

bool rng_chance (struct rng *rng, unsigned percent)
{
  return rng_below (rng, 100) < percent;
}
