/* SPDX-License-Identifier: MIT
 * Eventcount: count and sleeper flag in one word.
 *
 * Protocol. The word is 2 * count + flag. A waiter that is about to sleep first sets the flag with
 * a compare exchange from a value that still shows the old count, then sleeps only while the word
 * is exactly that value. The advancer exchanges the whole word, flag cleared, and so learns in the
 * same operation whether anybody may sleep. All of this is in the modification order of a single
 * word, hence no wake-up is lost without any fence or store-load ordering: a flag set before the
 * exchange is seen by it; after the exchange the compare exchange fails, and a futex wait on the
 * old value returns at once. A wake that comes when the waiter has found the new count by itself is
 * a spurious one for whoever sleeps there next; every waiter looks again. */
#include "eventcount.h"

#define SLEEPER 1u

static bool moved_on(uint32_t word, uint32_t seen)
{
    return (word | SLEEPER) != (seen << 1 | SLEEPER);
}

void dd_eventcount_init(dd_eventcount *e, uint32_t count)
{
    dd_u32_init(&e->word, count << 1);
}

void dd_eventcount_forget(dd_eventcount *e)
{
    dd_u32_forget(&e->word);
}

void dd_eventcount_advance(dd_eventcount *e)
{
    /* Relaxed: the advance before this one happens-before it, so the count read is the latest; the
     * flag may be old. */
    uint32_t next = (dd_u32_load(&e->word, DD_RELAXED) | SLEEPER) + 1;
    /* Release: partner of the acquire loads in await. Nothing is read on the strength of the flag.
     */
    if (dd_u32_exchange(&e->word, next, DD_RELEASE) & SLEEPER)
        dd_futex_wake(&e->word, UINT32_MAX);
}

void dd_eventcount_advance_shared(dd_eventcount *e)
{
    uint32_t word = dd_u32_load(&e->word, DD_RELAXED);
    /* Release: as in advance; an await that sees a later advance acquires from this one too, for
     * the operations on the word between them are one release sequence. */
    while (!dd_u32_compare_exchange(&e->word, &word, (word | SLEEPER) + 1, DD_RELEASE, DD_RELAXED))
        continue;
    if (word & SLEEPER)
        dd_futex_wake(&e->word, UINT32_MAX);
}

uint32_t dd_eventcount_now(const dd_eventcount *e)
{
    /* Acquire: whoever looks on the strength of this count sees what was announced by it. */
    return dd_u32_load(&e->word, DD_ACQUIRE) >> 1;
}

void dd_eventcount_await(dd_eventcount *e, uint32_t seen, uint32_t spins)
{
    uint32_t word;
    /* Acquire, here and below: partner of the release in advance. */
    if (DD_AWAIT((word = dd_u32_load(&e->word, DD_ACQUIRE), moved_on(word, seen)), spins))
        return;
    while (!moved_on(word, seen)) {
        /* No release: setting the flag publishes nothing, and as a read-modify-write it prolongs
         * the release sequence of the advance before. On failure `word` is the new value, acquired.
         */
        if (word & SLEEPER ||
            dd_u32_compare_exchange(&e->word, &word, word | SLEEPER, DD_ACQUIRE, DD_ACQUIRE)) {
            dd_futex_wait(&e->word, word | SLEEPER);
            word = dd_u32_load(&e->word, DD_ACQUIRE);
        }
    }
}
