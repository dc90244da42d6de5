/* SPDX-License-Identifier: MIT
 * Which steps of the world can matter to each other. Executions that differ only in the order of
 * steps that cannot are the same to every thread; partial-order reduction visits one of them.
 *
 * Two steps of different threads, one directly after the other, are DEPENDENT iff
 *
 *   - both access one word and one of them writes it. Loads, stores and read-modify-writes access
 *     their word; a compare-exchange that fails only reads; a futex wait reads its word, whether it
 *     falls asleep or not; a DD_AWAIT reads every word that its expression read. So a store is
 *     dependent with the await that it lets go on, and with a futex wait whose comparison it
 *     changes;
 *   - one is a futex wait that falls asleep, the other a wake of its word: the wake finds it or
 * not;
 *   - both are wakes of one word and one of them woke somebody: the other could have;
 *   - one is a sleeper's return for no reason, the other a wake of the word it slept on;
 *   - both arrive at one barrier and the first completes a round. (Arrivals of one round commute:
 *     whoever comes last, the same threads leave, with nothing to tell them apart.)
 *
 * All other pairs commute, and neither lets the other happen or prevents it: choices are private,
 * a thread's creation and a join concern nobody but that thread, and a step's plain accesses
 * conflict with nobody's, or there is a race, which is looked for separately (happens_before.c: as
 * the world itself sees a race only where nothing lies between the accesses, and under C11 where
 * one frees what another only wakes).
 *
 * Under C11 the same holds word by word: what a load may read depends on the stores to its word and
 * on what its own thread knows, and knowledge spreads only through words, creations, joins and
 * barriers. Where an operation has several outcomes (stale reads, sleepers to wake, choices,
 * faults), the search takes all of them, so outcomes are no matter of dependence.
 *
 * Two steps are also ordered where one LETS the other happen: the steps of one thread; a creation
 * and the new thread's first step; a thread's last step and its join; a wake and the next step of
 * whom it woke; all arrivals of a barrier's round and the next step of each who left it. */
#ifndef DD_DEPENDENCE_H
#define DD_DEPENDENCE_H

#include "search.h"

typedef enum dd_notice {
    DD_NOTICE_NONE,   /* nobody else can notice: choose, create, join */
    DD_NOTICE_ACCESS, /* of words */
    DD_NOTICE_SLEEP,  /* an access that falls asleep on its word */
    DD_NOTICE_WAKE,
    DD_NOTICE_RETURN, /* a sleeper returns for no reason */
    DD_NOTICE_ARRIVE, /* at a barrier */
} dd_notice;

/* What others can notice of a step. */
typedef struct dd_label {
    uint32_t fibre;
    uint32_t n_words;
    const void *word[DD_READS];
    dd_notice notice;
    bool writes; /* ACCESS */
    bool acts;   /* WAKE: it woke somebody; ARRIVE: it completed a round */
} dd_label;

/* The fibre's next step, in the world as it is: whatever it may turn out to do. */
dd_label dd_label_next(uint32_t fibre);
/* The same step after it was taken: what it did do. */
void dd_label_taken(dd_label *l, const dd_step *taken);

/* Whether two steps of different fibres, in this order, are dependent. */
bool dd_label_depends(const dd_label *first, const dd_label *second);

#endif
