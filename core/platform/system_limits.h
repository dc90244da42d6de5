/* SPDX-License-Identifier: MIT
 * How many threads and how much memory the system grants this process: what of it is used changes
 * at any time, so these numbers tell in advance what will hardly go, not what is sure to. */
#ifndef DD_SYSTEM_LIMITS_H
#define DD_SYSTEM_LIMITS_H

#include <stdint.h>

#define DD_NO_LIMIT UINT64_MAX

/* Threads that may exist, and those that exist, of one authority. */
typedef struct dd_limit {
    uint64_t most; /* DD_NO_LIMIT: any number */
    uint64_t used; /* 0 where it cannot be told */
} dd_limit;

typedef struct dd_limits {
    dd_limit user;   /* RLIMIT_NPROC (ulimit -u); none for the superuser, whom it does not bind */
    dd_limit group;  /* pids.max of the control group that leaves least room */
    dd_limit system; /* kernel.threads-max and kernel.pid_max, the lesser */
    uint64_t maps;   /* vm.max_map_count: a thread's stack takes two */
    uint64_t memory_bytes; /* of control groups, the least; the machine's memory if that is less */
} dd_limits;

/* root: prefix of the files read, for tests; "" is the machine. */
void dd_limits_read(const char *root, dd_limits *out);

/* More threads that this process could have, by these numbers. */
uint64_t dd_limits_threads_left(const dd_limits *limits);

#endif
