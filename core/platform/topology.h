/* SPDX-License-Identifier: MIT
 * The machine as hwloc sees it: packages, caches and cores, and which of them this process may use.
 * Asked when a trainer opens and by `dodeca doctor`, never in a step. */
#ifndef DD_TOPOLOGY_H
#define DD_TOPOLOGY_H

#include "dodeca.h"

typedef struct dd_topology {
    uint32_t n_packages, n_numa_nodes, n_cores,
        n_threads;                          /* of the machine; threads: logical CPUs */
    uint32_t n_l1d, n_l2, n_l3;             /* caches of each kind; 0: not known */
    uint64_t l1d_bytes, l2_bytes, l3_bytes; /* of one cache each; 0: not known */
    uint32_t n_cpus;       /* this process may use: the calling thread's affinity */
    uint32_t n_cpus_cores; /* cores among these; 0: not known */
    uint32_t *cpu; /* (n_cpus) as the kernel numbers them, near ones side by side: one hardware
                      thread of every core first, cores of a shared cache together */
} dd_topology;

/* owns     *out's array, released by dd_topology_close, which accepts a zeroed one
 * errors   DD_ERR_MEMORY; DD_ERR_CPU: hwloc cannot read this machine                           */
dd_status dd_topology_open(dd_topology *out);
void dd_topology_close(dd_topology *t);

/* The same of a machine in hwloc's synthetic notation, "package:2 l3:1 core:4 pu:2", of which the
 * process may use `cpus`, "0-3,8" (NULL: all): how another machine would be used, and for tests.
 * errors   DD_ERR_ARGUMENT: hwloc cannot read that, or no CPU is left                          */
dd_status dd_topology_describe(const char *machine, const char *cpus, dd_topology *out);

#endif
