/* SPDX-License-Identifier: MIT
 * What the files of core/control share: the parts of a team, and the functions by which its threads
 * go through a step. Nobody else includes this.
 *
 * Every plain field has one writer at a time, and the points order writers and readers: what Node
 * Zero writes before A is read by all after it, what threads write before B by whoever acts for
 * Node Zero between B and V, and before U by Node Zero after it. */
#ifndef DD_INSIDE_H
#define DD_INSIDE_H

#include "mailbox.h"
#include "points.h"
#include "policy.h"
#include "queues.h"
#include "slices.h"
#include "team.h"
#include "timeline.h"

#define DD_NODE_ZERO 0u                  /* thread, and sphere: the root */
#define DD_CPU_OF_MAKER (UINT32_MAX - 1) /* dd_member.cpu of a thread that never asked for one */
/* At least: it makes formations, where the others need stacks for lanes alone. */
#define DD_NODE_ZERO_STACK_BYTES ((size_t)256 * 1024)

/* ---- Membership ---- */

/* A formation: who is where, and everything that depends on it. Made by Node Zero between U and A,
 * before any thread hears of it, and released by Node Zero when all its members have left. */
typedef struct dd_formation {
    /* fixed once made */
    uint32_t generation;     /* that its members join it in; 0: the first */
    dd_hierarchy *hierarchy; /* borrowed: a formation made anew by speed keeps it */
    dd_share *share;         /* (n_workers) */
    dd_plan *plan;
    uint32_t *thread;          /* (n_spheres) */
    bool *joins;               /* (n_spheres) its thread comes from the pool, and must be called */
    uint32_t *sphere_of;       /* (n_slots) by thread; DD_NO_SPHERE: in the pool */
    uint32_t n_threads;        /* that must exist: 1 + the highest number */
    uint32_t spins_a, spins_v; /* polls of a worker at A, and at V and the slices' release */
    /* used by the threads of a step by their own contracts */
    dd_points *points;
    dd_combine *combine;
    dd_queues *queues;  /* stealing only */
    dd_slices slices;   /* Node Zero adapts between U and A; workers read after A */
    uint64_t *slice_ns; /* (n_workers) Node Zero's: what the last ones took */
} dd_formation;

/* Makes a formation of the hierarchy. Threads of spheres that were in `before` (NULL: none) stay
 * where they are, the others get the lowest numbers free. speed as for dd_placement.
 * errors   DD_ERR_MEMORY; nothing is held then                                                  */
dd_status dd_formation_open_(const dd_team *team, dd_hierarchy *hierarchy, const uint32_t *speed,
                             const dd_formation *before, dd_formation **out);
void dd_formation_close_(dd_formation *f); /* NULL and half-made ones allowed */

/* ---- Threads ---- */

/* What a descriptor commands. */
typedef enum dd_doing {
    DD_DOING_STEP = DD_TEAM_STEP,
    DD_DOING_EACH = DD_TEAM_EACH,
    DD_DOING_CHANGE, /* leave this formation, join `next` */
    DD_DOING_END,
} dd_doing;

/* Written by Node Zero before A, read by all others after it. They act on it alone. */
typedef struct dd_descriptor {
    uint32_t generation;
    dd_doing doing;
    dd_formation *next;
} dd_descriptor;

/* The places where a thread waits, by their number in dd_thread_report.wait_ns. */
enum { DD_WAIT_A, DD_WAIT_B, DD_WAIT_V, DD_WAIT_U };

/* For onlookers: each thread its own, on cache lines of its own. */
typedef struct dd_health {
    dd_tally where; /* packed: dd_member_where_ */
    dd_tally at;    /* packed: dd_member_activity_ */
    dd_tally tid, heartbeat;
    dd_tally lanes_done, lanes_cancelled, lanes_as_control, folds, steals, acted;
    dd_tally cpu_ns, wait_ns[4], unpinned;
} dd_health;

/* What a thread tells the others: written by it between A and U. */
typedef struct dd_report {
    uint32_t fp_env;   /* this generation's */
    bool cancelled;    /* this generation: a cancel was found before a lane */
    uint64_t slice_ns; /* time its slices took in this step; 0: there was none */
    double speed;      /* of lanes, in tokens per ns, smoothed; 0: not known */
} dd_report;

/* A thread of the team. Its number is its slot, which it keeps until close. */
typedef struct dd_member {
    _Alignas(DD_CACHE_LINE) dd_health health;
    _Alignas(DD_CACHE_LINE) dd_report report;

    /* its own */
    _Alignas(DD_CACHE_LINE) dd_team *team; /* fixed, as is number */
    uint32_t number;
    dd_formation *formation; /* NULL: in the pool */
    uint32_t sphere, worker; /* in the formation; worker: of a worker */
    dd_folder folder;
    dd_timeline timeline;
    uint64_t clock_ns; /* when what it does now began */
    dd_part part;      /* of the step it is in, to be shown at B, V and where a control relays */
    uint32_t cpu;      /* runs on it alone; UINT32_MAX: on any; DD_CPU_OF_MAKER: on its maker's */
    uint32_t calls_seen;
    /* stealing: the own segments that are free */
    uint32_t n_free, free_segment[3 * DD_TEAM_DEPTH_MAX + 1];

    /* A thread in the pool sleeps on `called`. Its new control writes `join`, or whoever closes the
     * team `quit`, and then advances it. */
    _Alignas(DD_CACHE_LINE) dd_eventcount called;
    dd_formation *join;
    bool quit;
    dd_thread thread;
} dd_member;

/* A request or a command on its way. The sender writes all but the reply before the post. */
typedef enum dd_mail_kind { DD_MAIL_REQUEST, DD_MAIL_COMMAND, DD_MAIL_CLOSE } dd_mail_kind;

typedef struct dd_order_mail {
    dd_mail mail; /* first: the mailbox hands out its address */
    dd_mail_kind kind;
    dd_request request;
    dd_command command;
    dd_place place;
    uint32_t n_children;
    struct { /* Node Zero, before the answer */
        dd_status status;
        uint32_t culprit, fp_env;
        dd_error error;
    } reply;
} dd_order_mail;

/* The word that lanes are cancelled by: 1 if a cancel is asked for, and 2 for each stop that is
 * asked for and not yet carried out. Orders nothing but in dd_team_state. */
#define DD_CANCEL_ASKED 1u
#define DD_STOP_ASKED 2u

struct dd_team {
    /* fixed after open */
    dd_work work;
    dd_team_options options;
    uint32_t *cpu;           /* options' copy; NULL: none */
    dd_hierarchy *hierarchy; /* the first; later the formation's */
    uint32_t lane_depth, n_lanes, n_non_empty;
    const uint64_t *weight; /* (n_lanes) borrowed */
    uint32_t n_slots;       /* the most threads that max_workers can need */
    bool climb;        /* the last arriver goes on in the control's place: no control collects */
    bool slices;       /* dd_reduce_slices: what is left after B is folded by all workers */
    dd_member *member; /* (n_slots) */

    dd_atomic_u32 n_threads; /* atomic: the thread that makes one stores release after it is
                                complete, onlookers load acquire */
    bool begun;              /* caller of open: Node Zero was called */

    dd_mailbox mailbox;
    _Alignas(DD_CACHE_LINE) dd_atomic_u32 cancel; /* atomic */
    _Alignas(DD_CACHE_LINE) dd_atomic_u32 state; /* atomic: Node Zero stores release, onlookers load
                                                    acquire; DD_STATE_STOPPING is never in it */

    /* Node Zero before A, all others after it */
    _Alignas(DD_CACHE_LINE) dd_descriptor descriptor;
    /* Node Zero or who acts for it, before V or the slices' release; workers after it */
    bool update;
    const dd_fold_pair *fold_list;
    uint32_t n_fold_list;
    /* whoever completes it, before B; then as the above */
    _Alignas(DD_CACHE_LINE) uint32_t root;
    /* who acts for Node Zero, before V; Node Zero after U */
    dd_status status;
    uint32_t culprit, fp_env;
    /* lanes' times, for the policy: whoever runs the lane, before B; Node Zero after U */
    uint64_t *lane_ns; /* (2 * n_lanes) by lane, and room for Node Zero to sort them */

    /* Node Zero's own; read by callers while nothing is asked */
    _Alignas(DD_CACHE_LINE) dd_formation *formation;
    uint64_t n_changes, n_requests, idle_cpu_ns, idle_most_cpu_ns, idle_wall_ns;
    dd_order_mail *held;  /* a request taken and not yet answered */
    bool until_epoch_end; /* to be paused there */
    bool at_epoch_end;    /* the last step ended an epoch, and none was begun since */
    dd_policy policy;
    uint64_t n_failed; /* changes that the policy wanted and could not have; the last one: */
    dd_status failed;
    dd_error failed_why;
    /* A change is over when the last member has left. */
    dd_eventcount settled; /* advanced by the last to leave, if that is not Node Zero */
    uint32_t settled_seen; /* Node Zero's own */
};

/* members.c: makes threads until there are n, each asleep in the pool.
 * errors   DD_ERR_THREAD, DD_ERR_MEMORY: those made stay                                        */
dd_status dd_members_start_(dd_team *team, uint32_t n);
/* By the closer, when Node Zero has ended: sends a thread home from the pool; joins any. */
void dd_member_quit_(dd_member *m);
void dd_member_join_(dd_member *m);
/* The thread of a sphere of formation f is called to it: by its control, or by the opener. */
void dd_member_call_(dd_team *team, uint32_t thread, dd_formation *join);
/* The thread takes its sphere in f, and a control calls the children that join.
 * returns  false: it has none, and belongs in the pool                                          */
bool dd_member_take_place_(dd_member *self, dd_formation *f);
/* Reads the packed tally. */
void dd_member_where_(const dd_member *m, dd_place *place, bool *control, bool *parked);
/* Shows what the thread is at from now on, in the generation it is in. which: the lane of
 * DD_AT_LANE, the dd_part of DD_AT_B, DD_AT_V and DD_AT_RELAY. */
void dd_member_at_(dd_member *self, dd_activity at, uint32_t which);
/* The same, in a generation that it enters now. */
void dd_member_enters_(dd_member *self, uint32_t generation, dd_activity at);
dd_activity dd_member_activity_(const dd_member *m, uint32_t *lane, dd_part *part,
                                uint32_t *generation);
/* The time since the last call, which it counts as waiting at a point, or returns as work. */
void dd_member_waited_(dd_member *self, uint32_t point);
uint64_t dd_member_worked_(dd_member *self);

/* node_zero.c: the life of thread 0. */
void dd_node_zero_main_(dd_member *self);
/* Writes the next descriptor and releases A. */
void dd_node_zero_publish_(dd_member *self, dd_doing doing, dd_formation *next);

/* membership.c, Node Zero between U and A: commands, as in dd_team_command, and the policy. */
dd_status dd_membership_spawn_(dd_member *self, dd_place place, uint32_t n_children,
                               dd_error *error);
dd_status dd_membership_terminate_(dd_member *self, dd_place place, dd_error *error);
dd_status dd_membership_rebalance_(dd_member *self, dd_error *error);
void dd_membership_decide_(dd_member *self);

/* lanes.c: a worker's lanes of a step, with its folds; of an EACH request. skipping: run none. */
void dd_lanes_step_(dd_member *self, bool skipping);
/* Stealing, between V and U: its queue for the next step, so that others find its lanes even if it
 * wakes late. */
void dd_lanes_refill_(dd_member *self);
void dd_lanes_each_(dd_member *self, bool skipping);

/* acting.c: by Node Zero or whoever acts for it, and between controls and workers. */
/* The whole gradient of the step is in `segment`, or cancelled. */
void dd_act_root_(dd_member *self, uint32_t segment);
/* After B, with slices: makes the list of folds, before the slices' release. */
void dd_act_slices_(dd_member *self);
/* Before V: judges the generation, and in a step gives the verdict. */
void dd_act_verdict_(dd_member *self, dd_doing doing);

#endif
