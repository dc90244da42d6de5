/* SPDX-License-Identifier: MIT
 * What is counted of a cell's times, and when it has been run often enough. */
#ifndef DD_SWEEP_TIMES_H
#define DD_SWEEP_TIMES_H

#include "bootstrap.h"
#include "sweep.h"

/* Step times of a run as they are counted: the first step warms caches and touches memory for the
 * first time, so it is left out where there is another. ns has room for run->n_steps.
 * returns  how many                                                                              */
size_t dd_run_step_times(const dd_run *run, double *ns);
/* Their median; NaN for a run that did not end, without steps, or without memory. */
double dd_run_step_ns(const dd_run *run);

/* Every repeat's median step, in order; NaN for one that has none. ns has room for
 * cell->n_repeats. */
void dd_cell_step_ns(const dd_sweep_cell *cell, double *ns);

/* Why a cell is not run again. */
typedef enum dd_cell_end {
    DD_CELL_OPEN,    /* it will be, or would have been: the sweep was interrupted */
    DD_CELL_REPEATS, /* as often as was asked for, and no interval was */
    DD_CELL_NARROW,  /* half the interval of its median step is small enough */
    DD_CELL_AT_MOST, /* it is not, but repeats-max is reached */
    DD_CELL_LATE,    /* it is not, but minutes-max is over */
    DD_CELL_FAILED   /* its verdict is not PASS: there is nothing to time */
} dd_cell_end;

/* "open", "repeats", "narrow", "repeats-max", "minutes-max", "failed". */
const char *dd_cell_end_name(dd_cell_end end);
dd_cell_end dd_cell_end_get(const dd_sweep *sweep, const dd_sweep_cell *cell);
/* No run is left to do: none is due, and no cell is open. */
bool dd_sweep_is_complete(const dd_sweep *sweep);

/* What all runs so far took together, oracles included: what minutes-max is compared with, and so
 * the same after an interruption. */
double dd_sweep_spent_s(const dd_sweep *sweep);

#endif
