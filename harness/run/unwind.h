/* SPDX-License-Identifier: MIT
 * Stacks of another process, thread by thread, through ptrace and elfutils. */
#ifndef DD_UNWIND_H
#define DD_UNWIND_H

#include <stdio.h>
#include <sys/types.h>

/* Writes every thread of pid: number, name, state, frames with function and source line; where the
 * system denies it, that and why. The process is as before afterwards. */
void dd_unwind_process(pid_t pid, FILE *out);

#endif
