/* SPDX-License-Identifier: MIT
 * CPUs this process may use: sched_getaffinity and the CPU quota of control groups v1 and v2. */
#define _GNU_SOURCE /* sched_getaffinity, CPU_ALLOC, strsep */
#include "cpu.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 4096
#define LINE_BYTES 8192

static uint32_t whole_cpus(uint64_t quota_us, uint64_t period_us)
{
    uint64_t cpus = period_us ? quota_us / period_us : UINT32_MAX;
    if (cpus > UINT32_MAX)
        return UINT32_MAX;
    return cpus ? (uint32_t)cpus : 1;
}

/* The first line of <directory>/<name>; false if there is none. */
static bool first_line(const char *directory, const char *name, char *line, int line_bytes)
{
    char path[PATH_BYTES];
    int n = snprintf(path, sizeof path, "%s/%s", directory, name);
    if (n < 0 || n >= PATH_BYTES)
        return false;
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool read = fgets(line, line_bytes, file) != NULL;
    fclose(file);
    return read;
}

/* v2: "max 100000" or "250000 100000". v1: quota -1 means none. */
static uint32_t group_quota(const char *directory, bool v2)
{
    char quota[128], period[128];
    long long quota_us, period_us;
    if (v2) {
        if (!first_line(directory, "cpu.max", quota, sizeof quota) ||
            sscanf(quota, "%lld %lld", &quota_us, &period_us) != 2)
            return UINT32_MAX;
    } else if (!first_line(directory, "cpu.cfs_quota_us", quota, sizeof quota) ||
               !first_line(directory, "cpu.cfs_period_us", period, sizeof period) ||
               sscanf(quota, "%lld", &quota_us) != 1 || sscanf(period, "%lld", &period_us) != 1) {
        return UINT32_MAX;
    }
    if (quota_us <= 0 || period_us <= 0)
        return UINT32_MAX;
    return whole_cpus((uint64_t)quota_us, (uint64_t)period_us);
}

/* Whether `item` stands in a comma-separated list. */
static bool listed(const char *list, const char *item)
{
    size_t n = strlen(item);
    for (const char *at = list; (at = strstr(at, item)) != NULL; at += n)
        if ((at == list || at[-1] == ',') && (at[n] == '\0' || at[n] == ','))
            return true;
    return false;
}

/* This process's group in the hierarchy asked for: a line "id:controllers:path" of
 * proc/self/cgroup, with id 0 for v2 and "cpu" among the controllers for v1. */
static bool own_group(const char *root, bool v2, char *group, size_t group_bytes)
{
    char line[LINE_BYTES];
    snprintf(line, sizeof line, "%s/proc/self/cgroup", root);
    FILE *file = fopen(line, "re");
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file)) {
        char *rest = line;
        const char *id = strsep(&rest, ":"), *controllers = strsep(&rest, ":");
        if (!rest || (v2 ? strcmp(id, "0") != 0 : !listed(controllers, "cpu")))
            continue;
        rest[strcspn(rest, "\n")] = '\0';
        found = snprintf(group, group_bytes, "%s", rest) < (int)group_bytes;
    }
    if (file)
        fclose(file);
    return found;
}

/* Least quota of the group and its ancestors, as far as this mount shows them. */
static uint32_t mount_quota(const char *root, const char *mount_root, const char *mount, bool v2)
{
    char group[PATH_BYTES], directory[PATH_BYTES];
    if (!own_group(root, v2, group, sizeof group))
        return UINT32_MAX;
    size_t hidden = strcmp(mount_root, "/") == 0 ? 0 : strlen(mount_root);
    const char *below = strncmp(group, mount_root, hidden) == 0 ? group + hidden : "";
    int top = snprintf(directory, sizeof directory, "%s%s", root, mount);
    if (top < 0 || (size_t)top + strlen(below) >= sizeof directory)
        return UINT32_MAX;
    strcat(directory, below);

    uint32_t least = UINT32_MAX;
    for (char *end = directory + strlen(directory); end; end = strrchr(directory + top, '/')) {
        *end = '\0';
        uint32_t here = group_quota(directory, v2);
        if (here < least)
            least = here;
    }
    return least;
}

uint32_t dd_cpu_quota(const char *root)
{
    char line[LINE_BYTES];
    int n = snprintf(line, sizeof line, "%s/proc/self/mountinfo", root);
    if (n < 0 || n >= PATH_BYTES)
        return UINT32_MAX;
    FILE *file = fopen(line, "re");
    uint32_t least = UINT32_MAX;
    while (file && fgets(line, sizeof line, file)) {
        /* id parent device root mount options [tags] - type source options */
        char *tail = strstr(line, " - "), *head = line;
        if (!tail)
            continue;
        char type[32], options[512], mount_root[PATH_BYTES], mount[PATH_BYTES];
        *tail = '\0';
        if (sscanf(tail + 3, "%31s %*s %511s", type, options) != 2 ||
            sscanf(head, "%*s %*s %*s %4095s %4095s", mount_root, mount) != 2)
            continue;
        bool v2 = strcmp(type, "cgroup2") == 0;
        if (!v2 && (strcmp(type, "cgroup") != 0 || !listed(options, "cpu")))
            continue;
        uint32_t here = mount_quota(root, mount_root, mount, v2);
        if (here < least)
            least = here;
    }
    if (file)
        fclose(file);
    return least;
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
