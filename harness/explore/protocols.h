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
/* The same, each advance by a thread of its own, all at once. */
void dd_protocol_eventcount_shared_(const void *eventcount_case);

/* A mailbox: each sender posts its mails one after the other, the caller receives. */
typedef struct dd_mailbox_case {
    uint32_t senders, mails, generation;
    bool ring; /* a further thread rings once */
} dd_mailbox_case;
void dd_protocol_mailbox_(const void *mailbox_case);

/* The spread of a hierarchy: workers below the root, or below so many controls, evenly, all but
 * those `beside` the controls. */
typedef struct dd_spread {
    uint32_t workers, controls, beside;
} dd_spread;
/* owns     *out, released by dd_hierarchy_close    errors   DD_ERR_MEMORY                       */
dd_status dd_spread_open_(dd_spread spread, dd_hierarchy **out);

/* Points A, B, V, U, and at the end a leave, with the caller as Node Zero. */
typedef struct dd_points_case {
    dd_spread spread;
    dd_barrier barrier;
    uint32_t rounds, spins, generation;
    uint32_t stages;   /* collections between A and V: with slices two, else one */
    bool climb;        /* the last arriver goes on in its control's place */
    bool neighbours;   /* two workers: at positions 3 and 4, one triangle; else as they come */
    bool without_last; /* leave at once after the last round, instead of after another A */
} dd_points_case;
void dd_protocol_points_(const void *points_case);

/* Lane queues, with nothing around them: each worker fills its own, empties it and then steals. */
typedef struct dd_queues_case {
    uint32_t workers;
    uint32_t lanes; /* non-empty ones, a bit each; all are the first worker's */
    bool full;      /* the caller fills all before: a thief that finds nothing has missed nothing */
} dd_queues_case;
void dd_protocol_queues_(const void *queues_case);

/* A snapshot of an array that writers overwrite. Points are pthread barriers. */
typedef enum dd_album_deed { DD_ALBUM_KEEP, DD_ALBUM_TAKE, DD_ALBUM_DROP } dd_album_deed;
typedef struct dd_snapshot_case {
    uint32_t writers, pages; /* the same number for each, but others in every round */
    uint32_t rounds;
    struct {
        dd_album_deed before; /* the caller's */
        uint32_t written;     /* pages, a bit each */
    } round[3];
    bool onlooker; /* a further thread looks for copies while they are made */
    bool saves;    /* what is wholly copied is read by a thread of its own, and then dropped */
    bool twice;    /* whoever writes asks once more when it has written */
} dd_snapshot_case;
void dd_protocol_snapshot_(const void *snapshot_case);

/* What somebody may ask of a team besides requests. */
typedef enum dd_deed_kind {
    DD_DEED_NONE, /* ends a list */
    DD_DEED_CANCEL,
    DD_DEED_COMMAND,
    DD_DEED_SEE_STATE, /* from outside; nobody starts the team meanwhile */
    DD_DEED_SEE_THREADS,
} dd_deed_kind;

typedef struct dd_deed {
    dd_deed_kind kind;
    dd_command command;
    dd_place place;
    uint32_t n_children;
} dd_deed;

/* A whole team, opened, used and closed by the caller. */
typedef struct dd_team_case {
    dd_spread spread;
    dd_barrier barrier;
    dd_reduce reduce;
    uint32_t steps, generation;
    uint32_t lanes;        /* non-empty ones, a bit each */
    uint32_t heavy;        /* those with twice the weight */
    uint32_t max_workers;  /* 0: those of the spread */
    uint32_t max_segments; /* of gradients; 0: a lane's each */
    bool spins, stealing;
    bool each;       /* DD_TEAM_EACH requests in place of steps */
    bool trace;      /* timelines are kept, and taken after every request */
    bool discard;    /* the verdict may be against the update */
    bool spoils;     /* any lane may leave a value that is not finite, and the verdict sees it */
    bool may_fail;   /* opening may fail, and is then tried again; a command may fail for want of a
                        thread or of memory */
    bool may_refuse; /* a command may come when it is not legal */
    const dd_deed *first;     /* the caller's, before the first request; NULL: none, as below */
    const dd_deed *between;   /* the caller's, after the first request */
    const dd_deed *sender[2]; /* of further threads, at any moment of the requests */
    const dd_deed *last;      /* the caller's, after all that; then a request must succeed */
} dd_team_case;
void dd_protocol_team_(const void *team_case);

#endif
