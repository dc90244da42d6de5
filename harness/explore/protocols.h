/* SPDX-License-Identifier: MIT
 * The parameters of the explored programs, shared by the table (protocols.c) and the programs
 * themselves. Everything here is explored code: see world.h for its rules. */
#ifndef DD_PROTOCOLS_H
#define DD_PROTOCOLS_H

#include "explore.h"
#include "platform.h"
#include "points.h"
#include "team.h"

/* An eventcount: the caller advances, two listeners wait for every advance in turn. */
typedef struct dd_eventcount_case {
    uint32_t advances, from, spins;
} dd_eventcount_case;
void dd_protocol_eventcount_(const void *eventcount_case);

/* Points A, B, V, U with the caller as Node Zero. */
typedef struct dd_points_case {
    dd_barrier barrier;
    uint32_t workers, rounds, spins, generation;
    uint32_t position[3];
} dd_points_case;
void dd_protocol_points_(const void *points_case);

/* A whole team, opened, used and closed by the caller. */
typedef struct dd_team_case {
    dd_barrier barrier;
    dd_reduce reduce;
    uint32_t workers, steps, generation;
    uint32_t lanes; /* non-empty ones, a bit each */
    bool may_spin;
    bool cancel;       /* a further thread cancels, at any moment */
    bool each;         /* DD_TEAM_EACH requests in place of steps */
    bool discard;      /* the verdict may be against the update */
    bool may_not_open; /* opening may fail; it is then tried again */
} dd_team_case;
void dd_protocol_team_(const void *team_case);

#endif
