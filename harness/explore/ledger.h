/* SPDX-License-Identifier: MIT
 * A stand-in for a model, to be trained by a team under the explorer. Gradients and weights are
 * numbers that depend on everything they were made of, in order, so that a lost, doubled, stale or
 * reordered lane or fold changes them; every access is announced, so that one at the wrong time is
 * a race. */
#ifndef DD_LEDGER_H
#define DD_LEDGER_H

#include "protocols.h"

#define DD_LEDGER_BLOCKS 2    /* of the parameter vector */
#define DD_LEDGER_SEGMENTS 12 /* where the case asks for no more */
#define DD_LEDGER_MOST 48
#define DD_LEDGER_TOKENS 100u /* of a lane that is not heavy: two may run together */

typedef struct dd_ledger {
    const dd_team_case *how;
    uint64_t weight[DD_POSITIONS]; /* tokens by lane */
    /* Node Zero before A, and `ended` after U */
    uint64_t begun, ended;               /* generations so far */
    uint64_t before[DD_LEDGER_BLOCKS];   /* the model as it was */
    uint64_t expected[DD_LEDGER_BLOCKS]; /* the gradient's serial answer */
    /* between A and U */
    uint64_t runs[DD_POSITIONS];         /* this step's, by lane */
    uint64_t spoilt[DD_POSITIONS];       /* the same: its gradient was not finite */
    uint64_t roots, verdicts, accepted;  /* calls of root and verdict, and the verdict */
    uint64_t gradient[DD_LEDGER_BLOCKS]; /* what the verdict saw */
    uint64_t owned[DD_LEDGER_BLOCKS]; /* `owner`: the gradient, each block by its slice's worker */
    uint64_t model[DD_LEDGER_BLOCKS]; /* the weights: read by lanes, written by updates */
    uint64_t segment[][DD_LEDGER_BLOCKS]; /* gradients */
} dd_ledger;

uint32_t dd_ledger_segments_(const dd_team_case *how);
size_t dd_ledger_bytes_(const dd_team_case *how);
void dd_ledger_open_(dd_ledger *l, const dd_team_case *how);

/* The callbacks, for dd_team_open. */
dd_work dd_ledger_work_(dd_ledger *l);

/* Caller, before and after a request: what it must have done, given how it ended. Returns what end
 * is to be told: the generations begun before.                                                  */
uint64_t dd_ledger_begin_(const dd_ledger *l);
void dd_ledger_end_(dd_ledger *l, uint64_t begun_before, dd_status status);

#endif
