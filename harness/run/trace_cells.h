/* SPDX-License-Identifier: MIT
 * Timelines of a sweep's cells: each cell once more, traced, after the last of its repeats. So no
 * run that is timed or counted is traced, and every traced one is checked as they are: against the
 * oracle's bits, too. Owns the folder traces/; what is in a trace is trace_file.h's. */
#ifndef DD_TRACE_CELLS_H
#define DD_TRACE_CELLS_H

#include "sweep.h"

/* Writes dir/traces/cell-N.json, N from 1, for every cell of dodeca itself that passed, in place of
 * what is there; progress and whatever fails to `log`. Stops where stop_fd is readable.
 * returns  an exit code (commands.h): held, failed, environment, interrupted                  */
int dd_trace_cells(const dd_sweep *sweep, const char *dir, int stop_fd, FILE *log);

#endif
