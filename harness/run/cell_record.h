/* SPDX-License-Identifier: MIT
 * The records of a run as JSON, one a line: {"step": …}, then {"end": …} or {"refused": …}.
 * Floating point travels as hexadecimal text, so that not a bit is lost. The reader believes
 * nothing. */
#ifndef DD_CELL_RECORD_H
#define DD_CELL_RECORD_H

#include "cell.h"

/* A full hierarchy of depth 3 has 1 + 12 + 144 + 1728 spheres, each with a thread. */
#define DD_RECORD_MAX_THREADS 1885
#define DD_RECORD_MAX_BYTES (2u << 20)

/* The record as one line with its newline. NULL: no memory. Freed by the caller. */
char *dd_record_step(const dd_step *step);
char *dd_record_refused(dd_status status, const char *message);
char *dd_record_end(const dd_run_end *end);

typedef enum dd_record {
    DD_RECORD_BAD,
    DD_RECORD_STEP,
    DD_RECORD_REFUSED,
    DD_RECORD_END
} dd_record;

/* Reads one line, without its newline, into the run: appends the step, or fills run->end.
 * returns  DD_RECORD_BAD and why, if it is no record or not one that may follow        */
dd_record dd_record_read(const char *line, size_t bytes, dd_run *run, char why[128]);

#endif
