/* SPDX-License-Identifier: MIT
 * CPUs this process may use: sched_getaffinity and the CPU quota of control groups v1 and v2. */
#define _GNU_SOURCE /* sched_getaffinity, CPU_ALLOC */
#include "cpu.h"

#include "cgroup.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>

/* v2: "max 100000" or "250000 100000". v1: quota -1 means none. */
static void least_quota(void *user, const char *directory, bool v2)
{
    uint64_t quota_us = UINT64_MAX, period_us = UINT64_MAX, *least = user;
    char line[128];
    long long quota, period;
    if (!v2) {
        quota_us = dd_cgroup_number(directory, "cpu.cfs_quota_us");
        period_us = dd_cgroup_number(directory, "cpu.cfs_period_us");
    } else if (dd_cgroup_line(directory, "cpu.max", line, sizeof line) &&
               sscanf(line, "%lld %lld", &quota, &period) == 2 && quota > 0 && period > 0) {
        quota_us = (uint64_t)quota;
        period_us = (uint64_t)period;
    }
    if (quota_us == UINT64_MAX || period_us == UINT64_MAX || quota_us == 0 || period_us == 0)
        return;
    uint64_t cpus = quota_us < period_us ? 1 : quota_us / period_us;
    if (cpus < *least)
        *least = cpus;
}

uint32_t dd_cpu_quota(const char *root)
{
    uint64_t least = UINT32_MAX;
    dd_cgroup_walk(root, "cpu", least_quota, &least);
    return (uint32_t)least;
}

/* The kernel refuses a mask shorter than its own: grow it until it fits. */
static uint32_t affinity_count(void)
{
    for (size_t n = 1024; n <= 1024 * 1024; n *= 2) {
        cpu_set_t *set = CPU_ALLOC(n);
        if (!set)
            break;
        size_t bytes = CPU_ALLOC_SIZE(n);
        bool known = sched_getaffinity(0, bytes, set) == 0, longer = !known && errno == EINVAL;
        int count = known ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (count > 0)
            return (uint32_t)count;
        if (!longer)
            break;
    }
    return 1;
}

uint32_t dd_cpu_available(void)
{
    uint32_t cpus = affinity_count(), quota = dd_cpu_quota("");
    return quota < cpus ? quota : cpus;
}
