/* SPDX-License-Identifier: MIT
 * A sweep with its results folder, from the first run to the last or on from where it was broken
 * off. Joins scenario, sweep, journal and report. */
#ifndef DD_SWEEP_JOB_H
#define DD_SWEEP_JOB_H

#include "report.h"
#include "sweep.h"
#include "sweep_journal.h"

typedef struct dd_sweep_job {
    dd_scenario *scenario; /* owned, as all of this */
    dd_sweep *sweep;
    dd_journal *journal; /* NULL: not begun */
    dd_report report;
    bool trace; /* the caller's: every cell is run once more for its timeline (trace_cells.h) */
    uint64_t written_ns, writing_ns; /* when the report was last written, and how long that took */
} dd_sweep_job;

/* Lays the scenario out, which the job then owns; opens its data unless only_list.
 * returns  DD_EXIT_HELD, or the exit code and a message                                         */
int dd_sweep_job_prepare(dd_sweep_job *job, dd_scenario *scenario, bool only_list,
                         char message[DD_JOURNAL_MESSAGE_MAX]);
/* Makes the results folder (as dd_report_open_folder) and begins its journal. replace: what results
 * there are in it go.
 * returns  false, message filled, and nothing new is left. job->journal is the caller's to leave
 * and to close in any case                                                             */
bool dd_sweep_job_begin(dd_sweep_job *job, const char *out, bool replace, const char *const *sets,
                        size_t n_sets, char message[DD_JOURNAL_MESSAGE_MAX]);
/* Takes the folder that the report opened, for what is no sweep: with an empty journal, until
 * dd_journal_leave and dd_journal_close. replace: what results there are in it go.
 * returns  false, message filled, and nothing new is left; *out, if there is one, the caller's  */
bool dd_sweep_job_hold(dd_report *report, bool replace, dd_journal **out,
                       char message[DD_JOURNAL_MESSAGE_MAX]);
/* In place of the two: what was begun in the folder goes on. again: the number of a cell whose
 * runs are to be made again, from 1; 0: none.
 * returns  as dd_sweep_job_prepare                                                              */
int dd_sweep_job_resume(dd_sweep_job *job, const char *dir, uint64_t again,
                        char message[DD_JOURNAL_MESSAGE_MAX]);

/* Runs what is missing; tables to stdout, progress and troubles to stderr.  returns  exit code   */
int dd_sweep_job_run(dd_sweep_job *job, int stop_fd);

void dd_sweep_job_close(dd_sweep_job *job); /* a zeroed one is allowed */

#endif
