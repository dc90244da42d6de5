/* SPDX-License-Identifier: MIT
 * What partial-order reduction must know of the execution at hand: which of its steps happen before
 * which by dependence (dependence.h), and so in which earlier states another thread has to be
 * tried. Follows the search down and back up; decides nothing. */
#ifndef DD_HAPPENS_BEFORE_H
#define DD_HAPPENS_BEFORE_H

#include "dependence.h"

typedef struct dd_order_log dd_order_log;

dd_order_log *dd_order_open(void);
void dd_order_close(dd_order_log *o); /* NULL allowed */

/* Step number `at` is about to be taken, in the world as it is. All from `at` on is forgotten.
 * asleep   fibres whose next steps need not be taken first, a bit each                        */
void dd_order_before(dd_order_log *o, uint64_t at, dd_choice choice, uint32_t asleep);
/* It was taken. returns those of `asleep` that need not be taken next either                 */
uint32_t dd_order_after(dd_order_log *o, const dd_step *taken);

/* Because of the step just taken: one of these fibres, as many of them as can move there, must be
 * tried in the state before step number `at`, unless one of them is already. */
typedef struct dd_reversal {
    uint64_t at;
    uint32_t fibres; /* a bit each; 0 ends a list */
} dd_reversal;
const dd_reversal *dd_order_reversals(dd_order_log *o);

/* Plain accesses that the step just taken has in conflict with earlier ones and that are not
 * ordered: steps, by number, of an execution in which they come together. NULL: no (further) ones.
 */
const uint64_t *dd_order_race(dd_order_log *o, uint64_t *n);

#endif
