/* SPDX-License-Identifier: MIT
 * The results folder of a sweep:
 *
 *   run.json      machine, build, every cell with its settings, every repeat, step and check
 *   speedup.md    the speedup table for people      speedup.csv, speedup.json  for programs
 *   junit.xml     every check of every cell as a test case
 *   logs/         what children wrote and stacks of those that hung or crashed, where there was any
 *
 * Others add to it: runs.jsonl (sweep_journal.h), traces/ (trace_cells.h), soak.md (soak_report.h),
 * report.html and plots/ (page.h). A folder that holds any of these files is not written to, unless
 * it is asked for; then all of them go, so that nothing of one sweep stands beside another's.
 *
 * Each file is written under a temporary name and renamed: a reader, a kill -9 or a full disk finds
 * the old or the new one whole. What a sweep can be resumed from is another file (sweep_journal.h).
 *
 * speedup.json, from which pages and gates are made:
 *
 *   {"schema": 1, "scenario": NAME, "machine": {…}, "build": {…}, "cores": usable here, "rows": [
 *     {"index": 0,                    the row's number; the cell that --list prints as 1
 *      "settings": {KEY: TEXT, …},    every key that varies or decides the bits; null: it means
 *                                     nothing to the subject
 *      "subject", "workers",          as it was: effective workers
 *      "oversubscribed",              more workers than cores
 *      "verdict", "checks", "reason", PASS, …; a letter a check, - skipped, ! did not hold; or ""
 *      "not_timed": null,             or why every number below is null and every list empty
 *      "hash": 32 digits, "loss",     of the weights, of the last step; null where no run ended
 *      "repeats": [ns, …],            each one's median step; null for one that was not timed
 *      "outliers": [index, …],        of repeats; marked, never left out (bootstrap.h)
 *      "step_ns": {"median", "low", "high"},    95 %; low and high are null with one repeat
 *      "tokens_per_s", "efficiency",  the last is null where there is no row with 1 worker
 *      "narrow": true,                the interval is as narrow as the scenario asks
 *      "repeats_ended_by":            "narrow", "repeats-max", "minutes-max"; "repeats" where no
 *                                     interval is asked for; "failed"; "open": there is more to run
 *      "ratio": {"parallel", "simd", "lock_free", "locks", "total"}}]}
 *
 * A ratio is null or {"x", "low", "high", "of_ns": that step, "divided_by": index of the row whose
 * it is}; x is of_ns / the row's own median. Against one worker, simd off, locks-gradient, locks.
 * The total's divided_by is "oracle", and its "row" that of the subject oracle, or null where the
 * run that every cell is judged by had to do. */
#ifndef DD_REPORT_H
#define DD_REPORT_H

#include "machine.h"
#include "page_files.h"
#include "speedup.h"

#define DD_PATH_MAX 4096

typedef struct dd_report {
    char dir[DD_PATH_MAX - 256];
    size_t made; /* characters of dir up to the first folder that was not there before; 0: all were
                  */
    dd_machine machine;
    char command[1024]; /* what makes the same sweep again, for the table's head; "": not told */
    char failure[512];  /* the first file that could not be written, and why; "" */
} dd_report;

/* Makes the folder: out, or results/runs/<UTC time>-<scenario of that name> if out is NULL, with
 * its parents. replace: it may hold results, which stay for now. returns  false, failure filled;
 * what was there before is as it was, and nothing else is left */
bool dd_report_open_folder(dd_report *report, const char *name, const char *out, bool replace);
/* For whoever has its journal (sweep_journal.h) and may not replace: whether there are still no
 * results, or another has come and gone meanwhile.  returns  false, failure filled */
bool dd_report_is_free(dd_report *report);
/* For whoever has not: removes the folders that dd_report_open_folder made, as far as they are
 * empty. */
void dd_report_leave(const dd_report *report);
/* Writes the files of a sweep that has not run, which proves that they can be.
 * returns  as dd_report_open_folder */
bool dd_report_begin(dd_report *report, const dd_sweep *sweep);
/* Removes what results are there, the page among them, but the journal, which is the caller's;
 * but_begun: nor the files of dd_report_begin. A symbolic link goes, and not what it leads to.
 * page: open */
void dd_report_clear(const dd_report *report, const dd_page_files *page, bool but_begun);

/* Writes one file, under a temporary name first. A failure is kept in report->failure. */
bool dd_report_file(dd_report *report, const char *name, bool (*write)(const void *from, FILE *out),
                    const void *from);

/* For a sweep that goes on in its folder: nothing is made or removed there. */
void dd_report_open_again(dd_report *report, const char *dir);
/* A cell is to be run again: what its children wrote before goes. */
void dd_report_forget_logs(const dd_report *report, const dd_sweep *sweep, size_t cell);

/* For a sweep that will not run after all, and has the folder's journal: removes the folders that
 * dd_report_open_folder made, and the files in them. */
void dd_report_discard(const dd_report *report);

/* Writes all files for the sweep as it is now. A failure is kept in report->failure.       */
void dd_report_write(dd_report *report, const dd_sweep *sweep);

/* The table, and where the files are. */
void dd_report_print(const dd_report *report, const dd_sweep *sweep, FILE *out);

/* Why this build's times are no measurements, or NULL. */
const char *dd_report_untimeable(void);

/* The head of a page in Markdown: the scenario, the machine and the build; `also` ends its line. */
void dd_report_markdown_head(const dd_report *report, const dd_scenario *scenario, const char *also,
                             FILE *out);

/* The contents of run.json, junit.xml and speedup.json.
 * returns  false: no memory, or the stream failed                                          */
bool dd_report_json(const dd_report *report, const dd_sweep *sweep, FILE *out);
bool dd_report_junit(const dd_sweep *sweep, FILE *out);
bool dd_speedup_json(const dd_report *report, const dd_speedup *speedup, FILE *out);

/* The log file of a run inside the folder: "logs/cell-3-repeat-1.log", counted from 1. */
void dd_report_log_name(char name[64], size_t cell, uint32_t repeat);
void dd_report_oracle_log_name(char name[64], size_t oracle);

#endif
