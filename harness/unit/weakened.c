/* SPDX-License-Identifier: MIT
 * The barrier's own sources with one memory order weakened, to be linked before the library's:
 * scripts/race_check.sh wants a race reported in each test that uses it. DD_WEAKENED says which: 1
 * the release of an eventcount's advance, 2 the acquire of its await, 3 the release of an arrival,
 * 4 the acquire of the last one's. Refuses to be part of anything that trains. */
#include "platform.h"

#if DD_WEAKENED == 1
#define DD_RELEASE DD_RELAXED
#elif DD_WEAKENED == 2
#define DD_ACQUIRE DD_RELAXED
#elif DD_WEAKENED == 3
#define DD_ACQ_REL DD_ACQUIRE
#elif DD_WEAKENED == 4
#define DD_ACQ_REL DD_RELEASE
#else
#error "DD_WEAKENED is 1, 2, 3 or 4"
#endif

#include "eventcount.c"
#include "points.c"
