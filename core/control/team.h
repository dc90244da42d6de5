/* SPDX-License-Identifier: MIT
 * The team: Node Zero and its workers, and the step protocol they follow.
 *
 *   caller     request ------------------------- sleep ---------------------------> reply
 *   Node Zero  descriptor  A  asleep             B  (fold)  verdict  V  asleep   U  complete
 *   workers    wait        A  lanes, own folds   B                   V  update   U
 *
 * Owns the threads, the request hand-over, the descriptor, the lanes' order and the counters. Calls
 * back for everything that concerns a model; knows none itself. No lock is held or taken between A
 * and U. */
#ifndef DD_TEAM_H
#define DD_TEAM_H

#include "fold.h"
#include "points.h"

#define DD_NODE_ZERO UINT32_MAX /* as a thread number; workers are 0 .. n-1 */

/* What the team calls. `thread` is a worker's number or DD_NODE_ZERO. Whatever a worker did before
 * Point B happens-before verdict, and verdict happens-before every update. */
typedef struct dd_work {
    void *user;
    /* worker, between A and B: run the lane; store its gradient into the segment or, with `fold`,
     * add it to the segment's value (DD_STORE, DD_FOLD of kernels.h) */
    void (*lane)(void *user, uint32_t worker, uint32_t lane, uint32_t segment, bool fold);
    /* into = into + from; before B by workers, after B by Node Zero */
    dd_fold_fn *fold;
    /* the whole gradient is in `segment`; once a step, by the thread that completed it; not at all
     * when a lane was cancelled */
    void (*root)(void *user, uint32_t thread, uint32_t segment);
    /* Node Zero between B and V; DD_NO_SEGMENT: the request will not return DD_OK
     * returns  whether the update takes place; never with DD_NO_SEGMENT */
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
    uint32_t generation; /* where the words count from, any value: tests of the wrap choose it */
} dd_team_options;

typedef struct dd_team dd_team;

/* Starts Node Zero and the plan's workers; they sleep until the first request.
 * owns     *out, released by dd_team_close; borrows plan and copies work, options and share
 * errors   DD_ERR_MEMORY, DD_ERR_THREAD: no thread is left running                              */
dd_status dd_team_open(const dd_plan *plan, const dd_share *share, const dd_work *work,
                       const dd_team_options *options, dd_team **out);
/* Ends and joins all threads. NULL allowed.  requires no request in progress                    */
void dd_team_close(dd_team *team);

/* Posts a request to Node Zero and sleeps until it is complete (after U).
 * errors   DD_ERR_CANCELLED: lanes were cancelled, no update took place
 *          DD_ERR_FP_ENV: thread *culprit (the lowest, DD_NODE_ZERO last) found its floating-point
 *          environment to be *fp_env, at Point A, where it then ran no lane, or on arriving at
 *          Point B; no update took place. Both may be NULL, and are written on this error only
 * threads  one caller at a time                                                                 */
dd_status dd_team_request(dd_team *team, dd_request request, uint32_t *culprit, uint32_t *fp_env);

/* Asks for DD_ERR_CANCELLED: lanes that are not begun when it comes are cancelled. It stays asked
 * until a request has returned DD_ERR_CANCELLED, which answers everything asked before. So the
 * request in progress is cancelled if any of its lanes was still to begin; one whose lanes were
 * all begun goes through, and the next request is cancelled before its first lane.
 * threads  any, any time until close; async-signal-safe                                         */
void dd_team_cancel(dd_team *team);

typedef struct dd_worker_counters {
    uint64_t lanes_done, lanes_cancelled, folds, cpu_ns;
} dd_worker_counters;

/* cpu_ns: of its thread, as of the last request. Node Zero's lanes are 0, always.
 * Between requests only. worker: a number or DD_NODE_ZERO.                                      */
void dd_team_counters(const dd_team *team, uint32_t worker, dd_worker_counters *out);
/* CPU time of Node Zero between A and B, and the wall time it slept there, over all requests.
 * Between requests only, as is dd_team_requests: those completed.                               */
void dd_team_idle(const dd_team *team, uint64_t *cpu_ns, uint64_t *wall_ns);
uint64_t dd_team_requests(const dd_team *team);
/* Grows with every lane and point; any thread, any time. */
uint64_t dd_team_heartbeat(const dd_team *team);

#endif
