/* SPDX-License-Identifier: MIT
 * The team: the threads of a hierarchy, Node Zero's among them, and the step protocol they follow.
 *
 *   caller     request ------------------------- sleep ------------------------------> reply
 *   Node Zero  descriptor  A  asleep             B  (fold)  verdict  V  asleep    U  complete
 *   controls   relay       A  asleep             B  (fold)           V  asleep    U
 *   workers    wait        A  lanes, own folds   B  (slices)         V  update    U
 *
 * With the tree barrier and all reductions but `control`, controls and Node Zero sleep from A to U:
 * the last to arrive at B gives the verdict, workers let each other through V, and the last at U
 * wakes Node Zero. Else controls collect their children, arrive for themselves and relay V.
 *
 * To the team `owner` is `sliced` without own folds: a lane's "segment" is whatever the caller
 * keeps of it, a number of its own (DD_PLAN_APART), and the slices' list is the whole fold tree.
 *
 * Owns the threads and their pool, the request hand-over, commands and states, the descriptor, the
 * lanes' order, membership and the counters. Calls back for everything that concerns a model; knows
 * none itself. No lock is held or taken between A and U. Membership changes between U and A only.
 */
#ifndef DD_TEAM_H
#define DD_TEAM_H

#include "fold.h"
#include "hierarchy.h"

#define DD_TEAM_DEPTH_MAX 3 /* levels of spheres below the root */

typedef enum dd_request {
    DD_TEAM_STEP, /* lanes, folds, root or slices, verdict, update */
    DD_TEAM_EACH, /* every worker runs `each` on its lanes; no folds, no verdict, no update */
} dd_request;

/* What the team calls. `worker` is a worker's number in the present hierarchy, `thread` the number
 * of a thread, which stays its own until close (0: Node Zero's). Whatever a worker did before Point
 * B happens-before every slice and verdict, and verdict happens-before every update. Whatever
 * anybody did until U happens-before `end`, and that, with everything up to the next request,
 * before the next `begin`.
 */
typedef struct dd_work {
    void *user;
    /* Node Zero, before A and after U of every request that it does not refuse; may be NULL */
    void (*begin)(void *user, dd_request request);
    void (*end)(void *user, dd_request request);
    /* worker, between A and B: run n_lanes lanes, `lane` and the next that are not empty; store
     * lane i's gradient into segment + i or, with `fold`, add it to the segment's value (DD_STORE,
     * DD_FOLD of kernels.h). Several lanes come in `owner` only, `fold` only in the others */
    void (*lane)(void *user, uint32_t worker, uint32_t lane, uint32_t n_lanes, uint32_t segment,
                 bool fold);
    /* into = into + from; before B by workers, after B by controls; not in `owner` */
    void (*fold)(void *user, uint32_t thread, uint32_t into, uint32_t from);
    /* the thread hands the segment on and will not write it again this step; may be NULL */
    void (*let_go)(void *user, uint32_t thread, uint32_t segment);
    /* the whole gradient is in `segment`; once a step, by the thread that completed it; not at all
     * when a lane was cancelled; not in `sliced` and `owner` */
    void (*root)(void *user, uint32_t thread, uint32_t segment);
    /* `sliced` and `owner`, worker between B and V: blocks [first, last) of all folds of the list,
     * in its order; the gradient is then in `root` there, and is to be completed and measured
     * there; n may be 0 */
    void (*slice)(void *user, uint32_t worker, const dd_fold_pair *list, uint32_t n, uint32_t root,
                  uint64_t first, uint64_t last);
    /* once between B and V; DD_NO_SEGMENT: the request will not return DD_OK
     * returns  whether the update takes place; never with DD_NO_SEGMENT */
    bool (*verdict)(void *user, uint32_t segment);
    /* worker, between V and U: update blocks [first, last) */
    void (*update)(void *user, uint32_t worker, uint64_t first, uint64_t last);
    /* worker, in a DD_TEAM_EACH request: run the lane by itself; `segment` is the worker's first */
    void (*each)(void *user, uint32_t worker, uint32_t lane, uint32_t segment);
    /* Node Zero between U and A, for the commands of these names; NULL: the command is refused.
     * keep: what the trainer is now; back: as it was when last kept, or an error */
    dd_status (*keep)(void *user, dd_error *error);
    dd_status (*back)(void *user, dd_error *error);
    /* Node Zero after a step's U: whether that step was the last of an epoch; may be NULL: never */
    bool (*epoch_ended)(void *user);
} dd_work;

typedef struct dd_team_options {
    dd_barrier barrier;
    dd_reduce reduce; /* not DD_REDUCE_AUTO */
    bool stealing;
    bool automatic;        /* the policy of policy.h decides on membership after each step */
    uint32_t cores;        /* threads that can run at once: decides on spinning, and the policy */
    uint32_t max_workers;  /* a membership with more is refused; at least the first one's */
    uint32_t max_segments; /* likewise; not asked in `owner`, where every membership has the same */
    uint64_t n_blocks;     /* of the parameter vector, for slices */
    const uint32_t *cpu;   /* (n_cpu) worker w runs on cpu[w mod n_cpu] only, controls on any that
                              the process may use; NULL: no pinning */
    uint32_t n_cpu;
    size_t stack_bytes;  /* per thread; 0: the platform's default */
    uint32_t trace;      /* moments that each thread's timeline has room for; 0: it has none */
    uint32_t generation; /* where the words count from, any value: tests of the wrap choose it */
} dd_team_options;

typedef struct dd_team dd_team;

/* Starts a thread for every sphere; they sleep. State: DD_STATE_INITIALISING.
 * owns     *out, released by dd_team_close; takes over `hierarchy`, on failure too; copies work,
 *          options and cpu; borrows weight
 * errors   DD_ERR_MEMORY, DD_ERR_THREAD: no thread is left running                              */
dd_status dd_team_open(dd_hierarchy *hierarchy, const uint64_t *weight, uint32_t lane_depth,
                       const dd_work *work, const dd_team_options *options, dd_team **out);
/* Ends and joins all threads, parked ones too. NULL allowed.  requires no request, no command in
 * progress                                                                                       */
void dd_team_close(dd_team *team);

/* Posts a request to Node Zero and sleeps until it is complete (after U). The first starts the
 * team, if it is initialising. While paused it waits for resume, stop or cancel.
 * errors   DD_ERR_CANCELLED: lanes were cancelled, no update took place
 *          DD_ERR_STOPPED: stopped, before or during it; no update took place
 *          DD_ERR_FP_ENV: thread *culprit (the lowest) found its floating-point environment to be
 *          *fp_env, at Point A, where it then ran no lane, or on arriving at Point B; no update
 *          took place. Both may be NULL, and are written on this error only
 * threads  one caller at a time                                                               */
dd_status dd_team_request(dd_team *team, dd_request request, uint32_t *culprit, uint32_t *fp_env);

/* Asks for DD_ERR_CANCELLED: lanes that are not begun when it comes are cancelled; lanes that run
 * together begin together. It stays asked
 * until a request has returned DD_ERR_CANCELLED, which answers everything asked before. So the
 * request in progress is cancelled if any of its lanes was still to begin; one whose lanes were
 * all begun goes through, and the next request is cancelled before its first lane.
 * threads  any, any time until close; async-signal-safe                                         */
void dd_team_cancel(dd_team *team);

/* Carries a command out, by Node Zero, between U and A, and returns when that is done. Commands
 * take effect in the order they came. A stop also cancels, at once, the lanes not yet begun.
 *   spawn      the worker at `place` becomes a control of `n_children` workers
 *   terminate  the control at `place` becomes a worker; the threads below it are parked in the
 *              pool, from which the next spawn takes them; all are joined at close
 *   rebalance  lanes are placed anew by the workers' measured speed, as far as there are segments
 *              for that; the hierarchy stays
 * The threads that a change does not touch go on; on failure the old membership stays.
 * errors   DD_ERR_REFUSED: not legal in this state, or no such thing; *error says why
 *          DD_ERR_MEMORY, DD_ERR_THREAD, and those of `keep` and `back`
 * threads  any, any time until close; not from inside the callbacks                           */
dd_status dd_team_command(dd_team *team, dd_command command, dd_place place, uint32_t n_children,
                          dd_error *error);
dd_state dd_team_state(const dd_team *team); /* any thread, any time */

/* The present membership. Valid between requests, until the next command or request. */
typedef struct dd_membership {
    const dd_hierarchy *hierarchy;
    const dd_plan *plan;
    const dd_share *share;  /* (n_workers) */
    const uint32_t *thread; /* (n_spheres) the thread of each sphere */
    uint64_t n_changes;     /* of membership so far, failed ones not counted */
    /* automatic: changes that the policy wanted and could not have, and why the last was not to be
     * had: DD_OK and "" if there was none. The old membership stayed each time. */
    uint64_t n_failed;
    dd_status failed;
    const char *failed_why;
} dd_membership;
void dd_team_membership(const dd_team *team, dd_membership *out);

/* What a thread has done. Any thread may ask at any time; numbers of one moment need not agree. */
typedef struct dd_thread_report {
    dd_place place;       /* of the sphere it has, or had last */
    bool parked, control; /* in the pool; has children */
    dd_activity at;
    uint32_t lane, generation; /* as in dd_sphere_info */
    dd_part part;              /* the same */
    bool unpinned;      /* the system refused it the CPU that it is to run on; parked: false */
    uint32_t tid;       /* as the kernel names it; 0: not known */
    uint64_t heartbeat; /* grows with every lane and point */
    uint64_t lanes_done, lanes_cancelled, lanes_as_control; /* the last is 0, always */
    uint64_t folds, steals;                                 /* steals: lanes it took from others */
    uint64_t acted;      /* times it acted for Node Zero as the last to arrive */
    uint64_t cpu_ns;     /* as of its last U */
    uint64_t wait_ns[4]; /* asleep or polling at A, B, V, U */
} dd_thread_report;
uint32_t dd_team_n_threads(const dd_team *team); /* made so far; any thread, any time */
void dd_team_report(const dd_team *team, uint32_t thread, dd_thread_report *out);
uint64_t dd_team_heartbeat(const dd_team *team); /* sum over all threads */

/* CPU time of Node Zero while lanes ran, over all requests and the most in one, and the wall time
 * of them all. Between requests only, as is dd_team_requests: those completed.                  */
void dd_team_idle(const dd_team *team, uint64_t *cpu_ns, uint64_t *most_cpu_ns, uint64_t *wall_ns);
uint64_t dd_team_requests(const dd_team *team);

/* options.trace: what a thread did when. Callbacks add to their own thread's, and the caller takes
 * from any (dd_timeline_take) while nothing is asked. */
dd_timeline *dd_team_timeline(dd_team *team, uint32_t thread);
/* The thread that is `worker` in this request; callbacks, and the caller while nothing is asked. */
uint32_t dd_team_worker_thread(const dd_team *team, uint32_t worker);

#endif
