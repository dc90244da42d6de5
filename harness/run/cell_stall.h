/* SPDX-License-Identifier: MIT
 * Looks at a child that stands still: what the kernel says of its threads and what they last showed
 * in the shared page, joined to one dd_stall. */
#ifndef DD_CELL_STALL_H
#define DD_CELL_STALL_H

#include "cell_child.h"
#include "stall.h"

/* CPU time of a process's threads at one moment, to be held against a later one. */
typedef struct dd_stall_before {
    uint64_t at_ns; /* CLOCK_MONOTONIC; 0: nothing is kept */
    size_t n;
    dd_unwind_thread *thread; /* (n) owned */
} dd_stall_before;

void dd_stall_before_take(pid_t pid, dd_stall_before *out);
void dd_stall_before_clear(dd_stall_before *before);

/* steps: done so far; climbs: dd_stall.climbs.
 * owns     *out, explained, released by dd_stall_close                                        */
void dd_stall_take(pid_t pid, const dd_page *page, const dd_stall_before *before, uint64_t steps,
                   bool climbs, dd_stall *out);

#endif
