/* SPDX-License-Identifier: MIT
 * Topology where hwloc is not to be had: the CPUs this process may use, in the kernel's order.
 * Knows neither cores nor caches and says so by zeros; refuses to describe other machines. */
#define _GNU_SOURCE /* sched_getaffinity, CPU_ALLOC */
#include "topology.h"

#include "platform.h"

#include <errno.h>
#include <sched.h>

static dd_status list_cpus(const cpu_set_t *set, size_t bytes, dd_topology *out)
{
    out->n_cpus = (uint32_t)CPU_COUNT_S(bytes, set);
    out->n_threads = out->n_cpus;
    if (out->n_cpus == 0)
        return DD_ERR_CPU;
    out->cpu = dd_alloc(out->n_cpus * sizeof *out->cpu);
    if (!out->cpu)
        return DD_ERR_MEMORY;
    uint32_t n = 0;
    for (uint32_t cpu = 0; cpu < 8 * bytes; cpu++)
        if (CPU_ISSET_S(cpu, bytes, set))
            out->cpu[n++] = cpu;
    return DD_OK;
}

/* The kernel refuses a mask shorter than its own: grow it until it fits. */
dd_status dd_topology_open(dd_topology *out)
{
    dd_status st = DD_ERR_CPU;
    bool longer = true;
    *out = (dd_topology){0};
    for (size_t n = 1024; longer && n <= 1024 * 1024; n *= 2) {
        const size_t bytes = CPU_ALLOC_SIZE(n);
        cpu_set_t *set = CPU_ALLOC(n);
        if (!set)
            return DD_ERR_MEMORY;
        const bool known = sched_getaffinity(0, bytes, set) == 0;
        longer = !known && errno == EINVAL;
        if (known)
            st = list_cpus(set, bytes, out);
        CPU_FREE(set);
    }
    if (st != DD_OK)
        dd_topology_close(out);
    return st;
}

dd_status dd_topology_describe(const char *machine, const char *cpus, dd_topology *out)
{
    (void)machine, (void)cpus;
    *out = (dd_topology){0};
    return DD_ERR_ARGUMENT;
}

void dd_topology_close(dd_topology *t)
{
    dd_free(t->cpu);
    *t = (dd_topology){0};
}
