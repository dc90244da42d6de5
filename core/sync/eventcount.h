/* SPDX-License-Identifier: MIT
 * Eventcount: a counter that one thread advances and others sleep on. The one way in which threads
 * of core/ wait for each other, barriers of the C library apart.
 * source   Reed, Kanodia, Synchronization with Eventcounts and Sequencers, CACM 22(2), 1979 */
#ifndef DD_EVENTCOUNT_H
#define DD_EVENTCOUNT_H

#include "platform.h"

typedef struct dd_eventcount {
    dd_atomic_u32 word; /* atomic: 2 * count + 1 if somebody may sleep; protocol in eventcount.c */
} dd_eventcount;

/* count is taken modulo 2^31: counters of users may wrap at UINT32_MAX. */
void dd_eventcount_init(dd_eventcount *e, uint32_t count);
/* After the last use, before the memory goes. */
void dd_eventcount_forget(dd_eventcount *e);

/* Adds one and wakes all who wait. What the caller did before happens-before the return of every
 * await that saw this advance or a later one.
 * threads  one advance at a time, each happening-after the one before                        */
void dd_eventcount_advance(dd_eventcount *e);
/* The same for any number of threads at once. Async-signal-safe. */
void dd_eventcount_advance_shared(dd_eventcount *e);

/* The count, to be awaited after a look at what it announces: an advance that the look missed lets
 * the await return at once. */
uint32_t dd_eventcount_now(const dd_eventcount *e);

/* Returns once the count has moved on from `seen`: polls up to `spins` times, then sleeps.
 * threads  any number. The count may run at most 2^31 - 1 ahead of seen                        */
void dd_eventcount_await(dd_eventcount *e, uint32_t seen, uint32_t spins);

#endif
