/* SPDX-License-Identifier: MIT
 * Ctrl-C for sweeps: SIGINT, SIGTERM and SIGHUP become a descriptor to poll, so that no handler
 * interrupts anything. Children unblock the signals for themselves. */
#ifndef DD_SWEEP_STOP_H
#define DD_SWEEP_STOP_H

#include <stdbool.h>

/* returns  a descriptor that is readable once a signal came, -1 where that cannot be had    */
int dd_stop_open(void);
/* Whether one came; never with fd -1. */
bool dd_stop_asked(int fd);
/* Gives the signals their usual effect back, without those that came.
 * returns  the first of them, 0 if none came                                                */
int dd_stop_close(int fd);

#endif
