/* SPDX-License-Identifier: MIT
 * A results folder as the page needs it: run.json and speedup.json of one sweep, read and checked.
 * Texts belong to the JSON documents that are kept behind them. */
#ifndef DD_PAGE_RESULTS_H
#define DD_PAGE_RESULTS_H

#include "checks.h"

#include <jansson.h>

#define DD_PAGE_MESSAGE_MAX 512

/* What a step is compared with. */
typedef enum dd_gain_kind {
    DD_GAIN_PARALLEL,
    DD_GAIN_SIMD,
    DD_GAIN_LOCK_FREE,
    DD_GAIN_LOCKS,
    DD_GAIN_TOTAL,
    DD_N_GAINS
} dd_gain_kind;

#define DD_NO_ROW ((size_t)-1)

typedef struct dd_gain {
    double x, low, high; /* the other's step / own, and its interval; NaN: not compared */
    size_t to;           /* the row divided by, from 0; DD_NO_ROW: the oracle's run that judges */
} dd_gain;

/* A row of speedup.json. */
typedef struct dd_page_row {
    const char *subject, *reason, *hash;
    const char *not_timed; /* why there are no times; NULL: there are */
    uint32_t workers;
    bool oversubscribed;
    bool wide; /* the interval did not get as narrow as the sweep asks */
    size_t n_repeats, n_outliers;
    double step_ns, low_ns, high_ns, tokens_per_s, efficiency, loss; /* NaN: none */
    dd_gain gain[DD_N_GAINS];
} dd_page_row;

/* A thread's sphere at the end of a run. */
typedef struct dd_page_sphere {
    const char *path; /* "zero", "3", "3.11" */
    bool control;
    uint32_t first_lane, n_lanes; /* n_lanes that have a sequence, ascending from the first */
    uint64_t folds;
    double wait_ns[4]; /* at A, B, V, U */
} dd_page_sphere;

/* Where the time of a run went. */
typedef struct dd_page_phase {
    const char *name;
    double seconds, share;
} dd_page_phase;

typedef struct dd_page_cell {
    const char *label;
    dd_verdict verdict;
    dd_verdict check[DD_CHECKS_MAX]; /* by dd_page_results.check; of all repeats */
    bool applies[DD_CHECKS_MAX];
    json_t *varies, *repeats; /* an object of texts; an array */
    dd_page_row *row;         /* NULL: it has none */

    /* Of the first repeat that ended. */
    uint32_t n_lanes, batch;
    uint64_t spheres_changed; /* membership changes: then the spheres are those of the end */
    double steps_ns;          /* of all steps */
    size_t n_spheres, n_phases;
    dd_page_sphere *sphere; /* without those that are parked; the first is Node Zero */
    dd_page_phase *phase;
} dd_page_cell;

typedef struct dd_page_results {
    const char *dir;
    json_t *run, *speedup; /* the documents */
    const char *scenario, *about, *started;
    bool complete, interrupted;
    dd_verdict verdict;
    uint32_t cores;
    size_t n_checks;
    const char *check[DD_CHECKS_MAX]; /* names */
    size_t n_cells;
    dd_page_cell *cell;
    dd_page_row *rows; /* (n_cells) those of the cells, in their order */
} dd_page_results;

/* Reads DIR/run.json and DIR/speedup.json. To be closed, whatever became of it.
 * returns  false: one line of message says which file, where in it, and what would be right */
bool dd_page_results_open(dd_page_results *r, const char *dir, char message[DD_PAGE_MESSAGE_MAX]);
void dd_page_results_close(dd_page_results *r);

/* A key's value in a cell, of what the sweep varies; "" where it has none. */
const char *dd_page_value(const dd_page_cell *cell, const char *key);
/* The cell's label; the scenario's name where there is but one. */
const char *dd_page_label(const dd_page_results *r, const dd_page_cell *cell);
/* Whether the row has times. */
bool dd_page_timed(const dd_page_cell *cell);

#endif
