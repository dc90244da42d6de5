/* SPDX-License-Identifier: MIT
 * What cores reach alone and all together: clock, multiply-adds, memory. One thread a core, pinned
 * as a trainer pins its workers. Measures; judges nothing. */
#ifndef DD_DOCTOR_TEAM_H
#define DD_DOCTOR_TEAM_H

#include "kernels.h"
#include "topology.h"

/* Of all threads together, but for the clock, which is the slowest thread's. */
typedef struct dd_reached {
    uint32_t threads;
    double mhz;    /* NaN where no chain of additions is known: one takes a cycle */
    double gflops; /* multiply-adds counted twice */
    double read_bytes_per_s, copy_bytes_per_s; /* larger than the caches; copied bytes count twice:
                                                  read and written */
} dd_reached;

/* Measures with n threads on the first n of the topology's CPUs, at most all of them. They read
 * and write four times the last caches, 256 MiB at least, most_bytes at most.
 * returns  0, or why not: ENOMEM, or what a thread could not be created or pinned for           */
int dd_measure_team(const dd_topology *topology, uint32_t n, const dd_kernels *set,
                    uint64_t most_bytes, dd_reached *out);

/* The multiply-adds alone, which is a matter of milliseconds: cores that all multiply may run at a
 * lower clock than one alone.
 * returns  operations per second of one of the threads, on the average; 0: they cannot be had   */
double dd_measure_peak_together(const dd_topology *topology, uint32_t n, const dd_kernels *set);

#endif
