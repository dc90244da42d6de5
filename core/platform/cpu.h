/* SPDX-License-Identifier: MIT
 * How many CPUs this process may use: its affinity mask, cut by the quota of its control groups. */
#ifndef DD_CPU_H
#define DD_CPU_H

#include <stdint.h>

/* At least 1. A quota of 2.5 CPUs counts as 2: a third thread would only be throttled. */
uint32_t dd_cpu_available(void);

/* The quota alone, cgroup v1 and v2, the least on the way from this process's group to the mount.
 * root     prefix of all paths read ("" is the machine; tests bring their own)
 * returns  whole CPUs, at least 1; UINT32_MAX where there is no limit or none can be read      */
uint32_t dd_cpu_quota(const char *root);

#endif
