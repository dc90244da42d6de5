/* SPDX-License-Identifier: MIT
 * Stacks of another process, thread by thread, through ptrace and elfutils. */
#ifndef DD_UNWIND_H
#define DD_UNWIND_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

/* What the caller knows of a thread, and what its stack says. */
typedef struct dd_unwind_note {
    pid_t tid;
    bool parked;    /* waits for nothing in particular, and is not to blame */
    char about[96]; /* told beside the thread's name */
    bool found;     /* filled in: the process has this thread */
    bool waits;     /* filled in: it is inside a wait for other threads (or, where the system denies
                       its stack, asleep) */
} dd_unwind_note;

/* Writes every thread of pid: number, name, state, frames with function and source line; where the
 * system denies it, that and why. Threads with a note that do not wait come first: when nothing
 * moves, the others wait for them. The process is as before afterwards. */
void dd_unwind_process(pid_t pid, dd_unwind_note *notes, size_t n_notes, FILE *out);

#endif
