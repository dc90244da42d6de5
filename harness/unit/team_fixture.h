/* SPDX-License-Identifier: MIT
 * A team with real threads and work that is none: gradients are hashes of the expressions that made
 * them, every call is counted, and all its memory is plain, so that a missing order is a race for
 * the detectors. */
#ifndef TEAM_FIXTURE_H
#define TEAM_FIXTURE_H

#include "team.h"

enum {
    FIXTURE_BLOCKS = 37,  /* of the parameter vector */
    FIXTURE_TOKENS = 100, /* of a sequence: two of them may run together */
};

typedef struct team_fixture team_fixture;
struct team_fixture {
    uint32_t lane_depth, n_places, n_lanes; /* places: 12^lane_depth; lanes: non-empty */
    uint64_t *weight;                       /* (n_places) */
    dd_team_options options;
    dd_team *team;
    uint64_t expected; /* the gradient's hash by NUMERICS 7 */
    bool accept;       /* what verdict says */
    bool epoch_ends;   /* what epoch_ended says */
    uint32_t n_keeps, n_backs;

    /* written by the work, in the order of the protocol */
    uint32_t n_segments;              /* max_segments; `owner`: n_lanes */
    uint64_t *segment;                /* (n_segments) 0: nothing */
    uint32_t *lane_runs, *each_runs;  /* (n_places) */
    uint32_t updates[FIXTURE_BLOCKS]; /* by block; 1000 more for one without a verdict */
    uint64_t slice[FIXTURE_BLOCKS];   /* `sliced`, `owner`: the gradient by block */
    uint32_t slices[FIXTURE_BLOCKS];  /* and how often it was made */
    uint32_t begins, each_begins, ends, roots, verdicts, root_thread;
    dd_request request; /* begun last */
    uint64_t root;      /* at root() */
    uint64_t decided;   /* at verdict(); 0: cancelled */

    /* called, if set, inside callbacks */
    void (*in_lane)(team_fixture *f, uint32_t worker, uint32_t lane);
    void (*in_verdict)(team_fixture *f);
    void (*in_update)(team_fixture *f, uint32_t worker, uint64_t n_blocks);
    void (*in_keep)(team_fixture *f);
    void *arg;
};

/* With argument n of a test program: repetitions divided by n, for the detectors. 1 otherwise. */
extern uint32_t divisor;

/* A plain team: options as given but for room, of which there is enough for max_workers (0: as many
 * as h has) and n_blocks; cores 0: two. Takes over h. batch: sequences of FIXTURE_TOKENS, dealt as
 * in NUMERICS 1. */
dd_status team_fixture_start(team_fixture *f, uint32_t lane_depth, uint64_t batch, dd_hierarchy *h,
                             dd_team_options options);
/* The same, which must succeed, with n_workers at level `depth`. */
void team_fixture_open(team_fixture *f, uint32_t lane_depth, uint64_t batch, uint32_t depth,
                       uint32_t n_workers, dd_team_options options);
void team_fixture_close(team_fixture *f);

dd_status team_step(team_fixture *f);
/* A step that goes through and an EACH request that does, each checked whole. */
void team_good_step(team_fixture *f);
void team_good_each(team_fixture *f);

/* Sums over all threads, of which none may have run a lane as a control. */
dd_thread_report team_totals(const team_fixture *f);
dd_status team_command(team_fixture *f, dd_command command);
dd_place team_place(const char *text);

/* Thread creation that fails when so many more have succeeded. UINT32_MAX: never. */
extern uint32_t creations_left;
/* Threads of this process, once that is n or ten seconds have passed. */
void assert_threads(uint32_t n);
uint32_t entries(const char *directory);

#endif
