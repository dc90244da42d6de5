/* SPDX-License-Identifier: MIT
 * Measured cells, read from the run.json of results folders: which of them a cost model may be
 * fitted on, and what their steps took. */
#ifndef DD_COST_CELLS_H
#define DD_COST_CELLS_H

#include "cost_amounts.h"
#include "settings.h"

/* Why a cell is not fitted on. */
typedef enum dd_cost_left {
    DD_COST_LEFT_SUBJECT, /* another trainer */
    DD_COST_LEFT_FAILED,  /* a check did not hold, or was not made */
    DD_COST_LEFT_CROWDED, /* more workers than cores: they wait for each other's cores */
    DD_COST_LEFT_OTHER,   /* stealing, guard, pinning, disturbed on purpose, changed in mid-run */
    DD_COST_LEFT_SHORT,   /* too few steps that could be timed */
    DD_COST_LEFT_REASONS
} dd_cost_left;
const char *dd_cost_left_why(dd_cost_left left);

enum { DD_COST_STEPS_LEAST = 3 }; /* of a repeat, step 0 not counted */

typedef struct dd_cost_cell {
    dd_cost_case is;
    char model[DD_SPEC_MAX], kernels[64];
    double ns; /* median over repeats of each repeat's median step, step 0 left out */
    dd_cost_amounts amounts;
    uint32_t group; /* cells of one shape and one seq are one group */
} dd_cost_cell;

/* A repeat that was read, by its settings and times: no two measurements agree in every one. */
typedef struct dd_cost_mark {
    uint8_t hash[16];
    const char *folder; /* the caller's */
    size_t cell;
} dd_cost_mark;

typedef struct dd_cost_cells {
    dd_cost_cell *cell; /* (n) owned */
    size_t n, n_read;
    dd_cost_mark *mark; /* (n_marks) owned */
    size_t n_marks;
    size_t left[DD_COST_LEFT_REASONS];
    uint32_t n_groups;
    char cpu[128], commit[64]; /* of all folders; commit "several" where they differ */
    uint32_t cores;
} dd_cost_cells;

/* Adds the cells of <folder>/run.json. A zeroed dd_cost_cells is empty.
 * owns     *c, released by dd_cost_cells_close, whatever became of it; borrows `folder` until then
 * returns  false, message filled: no such file, not of a sweep, a build that is not timed, another
 *          machine than that of the folders before, times that one of these holds, too        */
bool dd_cost_cells_read(dd_cost_cells *c, const char *folder, char message[DD_MESSAGE_MAX]);
void dd_cost_cells_close(dd_cost_cells *c);
/* Where none of them can be fitted on: says so, how many for which reason, and what would be right.
 * returns  false, message filled: there are none */
bool dd_cost_cells_any(const dd_cost_cells *c, char message[DD_MESSAGE_MAX]);

#endif
