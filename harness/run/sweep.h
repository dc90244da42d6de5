/* SPDX-License-Identifier: MIT
 * A sweep: every cell of a scenario, every repeat, each in a child, each judged beside the oracle.
 * Owns the order and the results; knows nothing of files.
 *
 * Repeats are the outer loop: the first of all cells, then the second of all, …, so that a machine
 * that drifts, drifts under all cells alike. Within each the order is another, drawn from the
 * scenario's `shuffle`, so that no cell always runs behind the same neighbour. The oracle runs once
 * for each distinct set of bit-deciding settings, before the first cell that needs it. In its place
 * a plug-in has its own run with one worker, its reference: once for each library, its options and
 * what else it is told.
 *
 * With `interval`, a cell gets more repeats than `repeats` until its median step is known well
 * enough or a cap is reached (sweep_times.h); which of the two is for its row to say. */
#ifndef DD_SWEEP_H
#define DD_SWEEP_H

#include "cell.h"
#include "checks.h"
#include "scenario.h"

#include <stdio.h>
#include <time.h>

typedef struct dd_sweep_run {
    dd_run run;
    dd_check_row check[DD_CHECKS_MAX]; /* as dd_checks() */
    dd_verdict verdict;
} dd_sweep_run;

typedef struct dd_sweep_cell {
    const dd_scenario_cell *plan;
    dd_sweep_run *repeats; /* n_repeats of them, NOT_RUN until they are done; room for all that
                              there may be, so that they stay where they are */
    uint32_t n_repeats;    /* as far as is known now */
    size_t oracle;         /* index */
    dd_verdict verdict;    /* the worst of the repeats done */
} dd_sweep_cell;

typedef struct dd_sweep_oracle {
    char *key; /* the bit-deciding settings as text */
    dd_settings settings;
    dd_run run;
    dd_weights_store *weights; /* of a reference whose cells have a tolerance, once it has run */
} dd_sweep_oracle;

typedef struct dd_sweep {
    const dd_scenario *scenario;
    dd_sweep_cell *cells; /* scenario->n_cells of them */
    dd_sweep_oracle *oracles;
    size_t n_oracles;
    bool untimeable; /* the caller's: times of this build are no measurements, and no repeat is run
                        for their sake */
    time_t started;  /* the first time; 0: not yet */
    uint64_t wall_ns;
    uint64_t runs_done, runs_due; /* oracles included */
    bool interrupted;
} dd_sweep;

/* One run of a sweep. */
typedef struct dd_sweep_place {
    bool oracle;
    size_t at;       /* of cells, or of oracles */
    uint32_t repeat; /* of a cell */
} dd_sweep_place;

typedef struct dd_sweep_options {
    int stop_fd;          /* as in dd_cell_job */
    dd_cell_body *train;  /* NULL: the product's */
    dd_cell_body *serial; /* NULL: the product's */
    FILE *log;            /* progress; NULL: none */
    bool terminal;        /* log is one: a line that changes, instead of a line a run */
    /* after every run, which `done` names, and at the end, with NULL; may be NULL */
    void (*on_run)(void *user, const dd_sweep *sweep, const dd_sweep_place *done);
    void *user;
} dd_sweep_options;

/* Lays out what is to run. The scenario must outlive the sweep.
 * returns  NULL when there is no memory                                                   */
dd_sweep *dd_sweep_open(const dd_scenario *scenario);
void dd_sweep_close(dd_sweep *sweep); /* NULL allowed */

/* Opens every cell's data and checks every cell's settings; trains nothing. A plug-in is loaded, in
 * a child. Data that is not what the cell's recorded runs trained on is refused.
 * returns  DD_OK, or what the first bad cell gave; the message names file and cell          */
dd_status dd_sweep_validate(const dd_sweep *sweep, char message[DD_SCENARIO_MESSAGE_MAX]);

/* Runs everything that has not been run, or what can be until stop_fd is readable. */
void dd_sweep_run_all(dd_sweep *sweep, const dd_sweep_options *options);

/* The worst of the cells' verdicts; SKIP only if no cell was judged. */
dd_verdict dd_sweep_verdict(const dd_sweep *sweep);

/* Judges one repeat, which was run, beside its oracle and the repeats before it. */
void dd_sweep_judge_repeat(const dd_sweep *sweep, dd_sweep_cell *cell, uint32_t repeat);

/* All of them, which makes the cell's verdict. */
void dd_sweep_judge_cell(const dd_sweep *sweep, dd_sweep_cell *cell);

/* ---- For what was run before ---- */

/* One more repeat, not run.  requires  room: fewer than the settings' repeats_max               */
void dd_sweep_add_repeat(dd_sweep_cell *cell);
/* Judges and counts anew, after runs were filled in. */
void dd_sweep_judge(dd_sweep *sweep);
/* A cell's runs are as if they had never been; so is its oracle's where it did not end. */
void dd_sweep_forget(dd_sweep *sweep, size_t cell);

#endif
