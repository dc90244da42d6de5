/* SPDX-License-Identifier: MIT
 * A stand-in for a model, to be trained by a team under the explorer. Gradients and weights are
 * numbers that depend on everything they were made of, in order, so that a lost, doubled, stale or
 * reordered lane or fold changes them; every access is announced, so that one at the wrong time is
 * a race. */
#ifndef DD_LEDGER_H
#define DD_LEDGER_H

#include "protocols.h"

#define DD_LEDGER_WORKERS 3
#define DD_LEDGER_SEGMENTS 16

typedef struct dd_ledger {
    const dd_team_case *how;
    uint64_t weight[DD_POSITIONS]; /* tokens by lane */
    dd_share share[DD_LEDGER_WORKERS];
    dd_plan *plan;
    uint64_t step;                        /* caller, before the request */
    uint64_t slice[DD_LEDGER_WORKERS];    /* the weights: read by lanes, written by updates */
    uint64_t segment[DD_LEDGER_SEGMENTS]; /* the gradients */
    uint64_t runs[DD_POSITIONS];          /* this step's, by lane */
    uint64_t roots, root;                 /* calls of root, and the value it saw */
    uint64_t verdicts, verdict, accepted; /* calls of verdict, the value it saw, and its answer */
    uint64_t before[DD_LEDGER_WORKERS];   /* the caller's: slices before the step */
    uint64_t expected;                    /* the caller's: the root's serial answer */
} dd_ledger;

/* Fills in plan and shares.  errors   DD_ERR_MEMORY; nothing is then held                        */
dd_status dd_ledger_open_(dd_ledger *l, const dd_team_case *how);
void dd_ledger_close_(dd_ledger *l);

/* The callbacks, for dd_team_open. */
dd_work dd_ledger_work_(dd_ledger *l);

/* Caller, before and after a request: what the step must have done, given how it ended. */
void dd_ledger_begin_(dd_ledger *l);
void dd_ledger_end_(dd_ledger *l, dd_status status);

#endif
