/* SPDX-License-Identifier: MIT
 * What a stray access in guard mode touched: one line that names the thread, its sphere, the kind
 * of access, the region, segment, owner and offset. Owns the handler of SIGSEGV and SIGBUS while a
 * trainer is watched; never saves the process.
 *
 * Everything here runs in a signal handler, on the faulting thread's own stack (a handler's frame
 * is some 12 KiB with the widest registers; threads' stacks are 64 KiB at least), where the thread
 * has no right to pages with a key: it touches unguarded memory alone. */
#ifndef DD_FAULT_H
#define DD_FAULT_H

#include "dodeca.h"

#include <signal.h>

enum { DD_FAULT_LINE_MAX = 320 };

/* Says in one line, without a newline, what the signal caught:
 *   thread 4183 "dd-worker-2" (thread 5, sphere 3.0) wrote to segment 7 of worker 2 at byte 81920,
 *   address 0x7f…: its protection key forbids it
 * trainer may be NULL. Async-signal-safe.
 * returns  false: the address is in no guarded region; the line then tells the rest            */
bool dd_fault_describe(const dd_trainer *trainer, int signal, const siginfo_t *info,
                       const void *context, char line[DD_FAULT_LINE_MAX]);

/* From now on a fault writes its line, behind "dodeca: " and with a newline, to `fd` (-1: stderr);
 * then the handler that stood before has it, or the default action, which ends the process. A
 * trainer of NULL ends the watch and puts the old handlers back: call that before the trainer is
 * closed. In a cell's child: after dd_trainer_open, with -1, whose output goes into the cell's log;
 * its own handler then reports the crash to the parent as ever.
 * threads  one at a time; one trainer at a time                                             */
void dd_fault_watch(const dd_trainer *trainer, int fd);

#endif
