/* SPDX-License-Identifier: MIT
 * The benchmarks of `dodeca bench`, run by Google Benchmark. Names are stable, for filters and for
 * comparisons of one output with another:
 *
 *   barrier/SIDE/threads:N                 one barrier among N threads
 *   reduce/WAY/workers:N                   twelve lanes' gradients added up
 *   empty_step/BARRIER/workers:N           a step in which nothing is computed, caller to caller
 *   step/MODEL/REDUCE/BARRIER/workers:N    a step of training
 *   decode/MODEL/SET                       a sampled text's next logits, on one thread
 *   kernel/NAME/SET/MODEL/SHAPE            one kernel on one thread
 *
 * and the library adds what clock was read, /real_time or /manual_time. */
#ifndef DD_SUITE_H
#define DD_SUITE_H

#include "gbench.h"

/* Runs what the flags that gb_init took ask for, and tells the exit code: 0; 1 if a result was not
 * what it has to be, bit for bit; 2 if the filter leaves nothing or the file cannot be written; 3
 * if memory, a thread or a process could not be had.
 * requires gb_init, once in a process                                                         */
int dd_suite_run(void);

/* ---- For the parts ---- */

/* Ends the run as failed (exit 1), or as not to be had here (exit 3). */
void dd_suite_differs(gb_state *state, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void dd_suite_lacks(gb_state *state, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Something that is not registered, and why: for the head of the report. */
void dd_suite_left_out(const char *name, const char *why);

/* Each registers its benchmarks. */
void dd_suite_barriers_(void);
void dd_suite_reduce_(void);
void dd_suite_steps_(void);
void dd_suite_decode_(void);
void dd_suite_decode_close_(void);  /* after the run */
bool dd_suite_kernels_(void);       /* returns  false: no memory */
void dd_suite_kernels_close_(void); /* after the run */

#endif
