/* SPDX-License-Identifier: MIT
 * The results folder of a soak:
 *
 *   run.json      machine, build, totals, groups, every round on one line, failures in full
 *   soak.md       the table for people: a row for each set of settings that decide the bits, and
 *                 one for each round that did not pass, with the command that repeats it
 *   junit.xml     a test case for each group of which every round passed, and for each other round
 *   logs/         of rounds that did not pass: what children wrote, stalls, stacks
 */
#ifndef DD_SOAK_REPORT_H
#define DD_SOAK_REPORT_H

#include "report.h"
#include "soak.h"

/* Writes all files for the soak as it is now. A failure is kept in report->failure. */
void dd_soak_report_write(dd_report *report, const dd_soak *soak);

/* The table, the totals, and where the files are. */
void dd_soak_report_print(const dd_report *report, const dd_soak *soak, FILE *out);

#endif
