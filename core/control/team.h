/* SPDX-License-Identifier: MIT
 * The team: Node Zero and its workers, and the step protocol they follow.
 *
 *   caller     request ------------------------- sleep ---------------------------> reply
 *   Node Zero  descriptor  A  asleep             B  (fold)  verdict  V  asleep   U  complete
 *   workers    wait        A  lanes, own folds   B                   V  update   U
 *
 * Owns the threads, the request hand-over, the descriptor, the lanes' order and the counters. Calls back
 * for everything that concerns a model; knows none itself. No lock is held or taken between A and U. */
#ifndef DD_TEAM_H
#define DD_TEAM_H

#include "fold.h"
#include "points.h"

#define DD_NODE_ZERO UINT32_MAX /* as a thread number; workers are 0 .. n-1 */

/* What the team calls. `thread` is a worker's number or DD_NODE_ZERO.                         */
typedef struct dd_work {
    void *user;
    /* worker, between A and B: run the lane; store or fold its gradient into the segment (DD_STORE, DD_FOLD
     * as in kernels.h: fold = false, true) */
    void (*lane)(void *user, uint32_t worker, uint32_t lane, uint32_t segment, bool fold);
    /* into = into + from; before B by workers, after B by Node Zero */
    dd_fold_fn *fold;
    /* the whole gradient is in `segment`; called once a step by the thread that completed it, unless cancelled */
    void (*root)(void *user, uint32_t thread, uint32_t segment);
    /* Node Zero between B and V; segment is DD_NO_SEGMENT when lanes were cancelled.
     * returns  whether the update takes place */
    bool (*verdict)(void *user, uint32_t segment);
    /* worker, between V and U: update the worker's own slice */
    void (*update)(void *user, uint32_t worker);
    /* worker, in a DD_TEAM_EACH request: run the lane by itself; `segment` is the worker's first */
    void (*each)(void *user, uint32_t worker, uint32_t lane, uint32_t segment);
} dd_work;

typedef enum dd_request {
    DD_TEAM_STEP, /* lanes, folds, root, verdict, update */
    DD_TEAM_EACH, /* every worker runs `each` on its lanes; no folds, no verdict, no update */
} dd_request;

typedef struct dd_team_options {
    dd_barrier barrier;
    dd_reduce reduce;
    bool may_spin;       /* workers have a core each and Node Zero one beside them */
    size_t stack_bytes;  /* per thread; 0: the platform's default */
} dd_team_options;

typedef struct dd_team dd_team;

/* Starts Node Zero and the plan's workers; they sleep until the first request.
 * owns     *out, released by dd_team_close; borrows plan and copies work
 * errors   DD_ERR_MEMORY, DD_ERR_THREAD: no thread is left running                              */
dd_status dd_team_open(const dd_plan *plan, const dd_share *share, const dd_work *work,
                       const dd_team_options *options, dd_team **out);
/* Ends and joins all threads. NULL allowed.  requires no request in progress                    */
void dd_team_close(dd_team *team);

/* Posts a request to Node Zero and sleeps until it is complete (after U).
 * errors   DD_ERR_CANCELLED: dd_team_cancel came in time, lanes were cancelled, no update took place
 *          DD_ERR_FP_ENV: worker *culprit found its floating-point environment to be *fp_env at
 *          Point A; it ran no lane, no update took place. Both may be NULL.
 * threads  one caller at a time                                                                 */
dd_status dd_team_request(dd_team *team, dd_request request, uint32_t *culprit, uint32_t *fp_env);

/* The request in progress, else the next one, cancels the lanes it has not yet begun. Async-signal-safe. */
void dd_team_cancel(dd_team *team);

typedef struct dd_worker_counters {
    uint64_t lanes_done, lanes_cancelled, folds, cpu_ns;
} dd_worker_counters;

/* Between requests only. worker: a number or DD_NODE_ZERO. */
void dd_team_counters(const dd_team *team, uint32_t worker, dd_worker_counters *out);
/* CPU time of Node Zero between A and B, and the wall time it slept there, over all requests. */
void dd_team_idle(const dd_team *team, uint64_t *cpu_ns, uint64_t *wall_ns);
uint64_t dd_team_requests(const dd_team *team);
/* Grows with every lane and point; any thread, any time. */
uint64_t dd_team_heartbeat(const dd_team *team);

#endif
