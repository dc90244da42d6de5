/* SPDX-License-Identifier: MIT
 * Lane queues: for work stealing, each worker's lanes of a step in one word, from which the owner
 * takes at the front and touching neighbours at the back. Nobody looks into a queue after its own
 * arrival at Point B, so that the next step's filling meets nobody. */
#ifndef DD_QUEUES_H
#define DD_QUEUES_H

#include "plan.h"

typedef struct dd_queues dd_queues;

/* Borrows plan and hierarchy. All queues are empty.
 * owns     *out, released by dd_queues_close
 * errors   DD_ERR_MEMORY                                                                   */
dd_status dd_queues_open(const dd_plan *plan, const dd_hierarchy *h, dd_queues **out);
void dd_queues_close(dd_queues *q); /* NULL allowed */

/* All lanes of the worker's share are in its queue.
 * requires the queue is empty, as it is at Point B
 * threads  whoever opened it, before the first Point A; then the owner, once a step. If it does so
 *          between V and U, for the step to come, others find its lanes while it still sleeps; at
 *          the beginning of its step will do too                                             */
void dd_queues_fill(dd_queues *q, uint32_t worker);
/* The owner: its next lane, ascending.
 * returns  false: nothing is left, of what was stolen neither                               */
bool dd_queues_take(dd_queues *q, uint32_t worker, uint32_t *lane);
/* Looks at the siblings of `worker` that are workers, those in contact first, in order of position,
 * then, through the centre, the others; and takes from the first with lanes left what
 * dd_plan_last_subtree gives of at most three lanes and at most half of what is left (one lane at
 * least). A lane is taken by exactly one thread.
 * returns  the number of lanes, 0: no sibling has any; *lanes: they, ascending; *victim: whose */
uint32_t dd_queues_steal(dd_queues *q, uint32_t worker, const uint32_t **lanes, uint32_t *victim);

#endif
