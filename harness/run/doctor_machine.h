/* SPDX-License-Identifier: MIT
 * What `dodeca doctor` looks at without measuring: the machine, what of it this process may use,
 * and the limits that the system sets. Nothing is judged here. */
#ifndef DD_DOCTOR_MACHINE_H
#define DD_DOCTOR_MACHINE_H

#include <jansson.h>
#include <stdio.h>

#include "system_limits.h"
#include "topology.h"

typedef struct dd_found {
    char cpu[128], isa[64];
    uint32_t cpus;        /* affinity, cut by a control group's quota */
    dd_topology topology; /* zeroed where hwloc cannot read the machine */
    double memory_gib;
    uint32_t keys;        /* protection keys that a process can have */
    const char *keys_why; /* none: why; else "" */
    dd_limits limits;
    uint64_t threads_left;
    uint32_t most_workers; /* that these are enough for, controls and Node Zero included */
} dd_found;

/* owns     found's topology, released by dd_found_close */
void dd_found_look(dd_found *found);
void dd_found_close(dd_found *found);

void dd_found_print(const dd_found *found, FILE *out);
/* returns  a new object; null where something is not told; NULL: no memory */
json_t *dd_found_json(const dd_found *found);

/* The most workers that so many threads allow: with a worker each, the controls of the hierarchy
 * that is just deep enough, all of them there, and Node Zero. */
uint32_t dd_workers_of_threads(uint64_t threads);

#endif
