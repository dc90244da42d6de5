/* SPDX-License-Identifier: MIT
 * Limits from getrlimit, /proc and the control groups. */
#define _GNU_SOURCE /* RLIMIT_NPROC */
#include "system_limits.h"

#include "cgroup.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define PATH_BYTES 512

static uint64_t lesser(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t left_of(const dd_limit *limit)
{
    if (limit->most == DD_NO_LIMIT)
        return DD_NO_LIMIT;
    return limit->most > limit->used ? limit->most - limit->used : 0;
}

static uint64_t kernel_number(const char *root, const char *name)
{
    char directory[PATH_BYTES];
    int n = snprintf(directory, sizeof directory, "%s/proc/sys", root);
    return n < 0 || n >= PATH_BYTES ? DD_NO_LIMIT : dd_cgroup_number(directory, name);
}

/* ---- The user's threads ---- */

/* Threads of a process if it is the user's, from its status file. */
static uint64_t threads_of(const char *root, const char *pid, uid_t user)
{
    char path[PATH_BYTES], line[256];
    int n = snprintf(path, sizeof path, "%s/proc/%s/status", root, pid);
    FILE *file = n < 0 || n >= PATH_BYTES ? NULL : fopen(path, "re");
    unsigned long real = (unsigned long)user + 1, threads = 0;
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "Uid: %lu", &real) != 1)
            (void)sscanf(line, "Threads: %lu", &threads);
    if (file)
        fclose(file);
    return real == user ? threads : 0;
}

static uint64_t threads_of_user(const char *root, uid_t user)
{
    char path[PATH_BYTES];
    int n = snprintf(path, sizeof path, "%s/proc", root);
    DIR *proc = n < 0 || n >= PATH_BYTES ? NULL : opendir(path);
    uint64_t threads = 0;
    for (const struct dirent *e; proc && (e = readdir(proc));)
        if (e->d_name[0] >= '0' && e->d_name[0] <= '9')
            threads += threads_of(root, e->d_name, user);
    if (proc)
        closedir(proc);
    return threads;
}

static dd_limit user_limit(const char *root)
{
    struct rlimit limit;
    if (geteuid() == 0 || getrlimit(RLIMIT_NPROC, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return (dd_limit){.most = DD_NO_LIMIT};
    return (dd_limit){.most = limit.rlim_cur, .used = threads_of_user(root, getuid())};
}

/* ---- Control groups and the kernel ---- */

/* The group that leaves least room, and of those the one that allows least. */
static void least_threads(void *user, const char *directory, bool v2)
{
    (void)v2;
    dd_limit *least = user, here = {.most = dd_cgroup_number(directory, "pids.max"),
                                    .used = dd_cgroup_number(directory, "pids.current")};
    if (here.used == UINT64_MAX)
        here.used = 0;
    const uint64_t left = left_of(&here), least_left = left_of(least);
    if (left < least_left || (left == least_left && here.most < least->most))
        *least = here;
}

static void least_memory(void *user, const char *directory, bool v2)
{
    uint64_t *least = user;
    *least =
        lesser(*least, dd_cgroup_number(directory, v2 ? "memory.max" : "memory.limit_in_bytes"));
}

/* The fourth word of loadavg: runnable/all threads. */
static dd_limit system_limit(const char *root)
{
    char directory[PATH_BYTES], line[128];
    unsigned long threads = 0;
    int n = snprintf(directory, sizeof directory, "%s/proc", root);
    if (n > 0 && n < PATH_BYTES && dd_cgroup_line(directory, "loadavg", line, sizeof line))
        (void)sscanf(line, "%*s %*s %*s %*u/%lu", &threads);
    return (dd_limit){.most = lesser(kernel_number(root, "kernel/threads-max"),
                                     kernel_number(root, "kernel/pid_max")),
                      .used = threads};
}

void dd_limits_read(const char *root, dd_limits *out)
{
    const long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    *out = (dd_limits){.user = user_limit(root),
                       .group = {.most = DD_NO_LIMIT},
                       .system = system_limit(root),
                       .maps = kernel_number(root, "vm/max_map_count"),
                       .memory_bytes = UINT64_MAX};
    dd_cgroup_walk(root, "pids", least_threads, &out->group);
    dd_cgroup_walk(root, "memory", least_memory, &out->memory_bytes);
    if (pages > 0 && page_bytes > 0)
        out->memory_bytes = lesser(out->memory_bytes, (uint64_t)pages * (uint64_t)page_bytes);
}

uint64_t dd_limits_threads_left(const dd_limits *limits)
{
    uint64_t left = lesser(left_of(&limits->user), left_of(&limits->group));
    return lesser(lesser(left, left_of(&limits->system)), limits->maps / 2);
}
