/* SPDX-License-Identifier: MIT
 * Limits of the control groups that this process is in, versions 1 and 2. */
#ifndef DD_CGROUP_H
#define DD_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

/* Visits the groups that have `controller` ("cpu", "pids", "memory"), from this process's own up to
 * the mount: each group's directory, and whether it is of version 2.
 * root     prefix of all paths read ("" is the machine; tests bring their own)               */
void dd_cgroup_walk(const char *root, const char *controller,
                    void (*visit)(void *user, const char *directory, bool v2), void *user);

/* The first line of <directory>/<name>; false if there is none. */
bool dd_cgroup_line(const char *directory, const char *name, char *line, int line_bytes);
/* The number on that line; UINT64_MAX for "max", a negative one, or no such file. */
uint64_t dd_cgroup_number(const char *directory, const char *name);

#endif
