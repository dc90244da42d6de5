/* SPDX-License-Identifier: MIT
 * Progress of a sweep for people: on a terminal one line that changes, elsewhere one line a run. */
#ifndef DD_PROGRESS_H
#define DD_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct dd_progress {
    FILE *out; /* NULL: silent */
    bool terminal;
    uint64_t shown_ns; /* when the changing line was last written */
    bool open;         /* it stands there without a newline */
} dd_progress;

/* The changing line; nothing elsewhere, and at most ten times a second.
 * runs    in all, 0: not known
 * left_s  seconds until the end, NaN if not known yet                                     */
void dd_progress_show(dd_progress *p, uint64_t run, uint64_t runs, const char *label, uint64_t step,
                      uint64_t steps, double left_s);
/* A line that stays. */
__attribute__((format(printf, 2, 3))) void dd_progress_say(dd_progress *p, const char *format, ...);
/* Removes the changing line. */
void dd_progress_clear(dd_progress *p);

/* Of the terminal, 80 where that is not known. */
int dd_progress_columns(FILE *out);

/* "1:02:03", "2:03" or "0:03". */
void dd_progress_clock(double seconds, char text[32]);

#endif
