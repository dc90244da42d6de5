/* SPDX-License-Identifier: MIT
 * A sweep with results that was never run, for tests of what is written of sweeps. */
#ifndef DD_REPORT_FIXTURE_H
#define DD_REPORT_FIXTURE_H

#include "sweep.h"

#define N_CELLS 4
#define STEPS 5

/* Cells: 1, 2 and 6 workers, and one that hung with a nasty label and reason. */
typedef struct fixture {
    dd_scenario scenario;
    dd_scenario_cell cells[N_CELLS];
    const char *values[N_CELLS][2];
    const dd_key *swept[2];
    dd_sweep *sweep;
} fixture;

extern const char *const nasty; /* what no format takes as it is */

/* Of a cmocka test. */
int set_up(void **state);
int tear_down(void **state);

/* A run that ended, with STEPS steps of about step_ns; the verdict on one of cell i's. */
void end_run(dd_run *run, uint32_t workers, uint64_t step_ns);
void judge(fixture *f, size_t i, uint32_t repeat);

/* Fails the test unless a is b within rounding. */
void near(double a, double b);

#endif
