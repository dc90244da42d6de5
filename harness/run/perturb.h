/* SPDX-License-Identifier: MIT
 * Perturbation of a process's schedule from outside, by a process of its own: its threads are moved
 * to single cores and back at random, the cores are crowded by short busy loops, and now and then
 * all of it is stopped for a moment. Nothing in the perturbed process knows of it. It makes
 * interleavings that a quiet machine does not show more likely; it covers nothing by itself. */
#ifndef DD_PERTURB_H
#define DD_PERTURB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Shared with the perturbing process. */
typedef struct dd_perturb_page {
    _Atomic uint64_t n_actions; /* atomic, relaxed: it counts, the other reads at the end */
} dd_perturb_page;

typedef struct dd_perturb {
    pid_t pid;             /* of the perturbing process; 0: none */
    pid_t victim;          /* and of the perturbed */
    dd_perturb_page *page; /* NULL: none */
} dd_perturb;

/* Starts to perturb `victim`, by random numbers of the seed.
 * returns  false: no process could be started                                                 */
bool dd_perturb_open(pid_t victim, uint64_t seed, dd_perturb *out);
/* Ends it; the victim, if it is still there, runs on. A zeroed one is none.
 * returns  how often it moved a thread, crowded a core or stopped the process                 */
uint64_t dd_perturb_close(dd_perturb *p);

#endif
