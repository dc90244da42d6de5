/* SPDX-License-Identifier: MIT
 * Finds the process's control groups through /proc/self/mountinfo and /proc/self/cgroup. */
#define _GNU_SOURCE /* strsep */
#include "cgroup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 4096
#define LINE_BYTES 8192

bool dd_cgroup_line(const char *directory, const char *name, char *line, int line_bytes)
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

uint64_t dd_cgroup_number(const char *directory, const char *name)
{
    char line[64], *end;
    if (!dd_cgroup_line(directory, name, line, sizeof line))
        return UINT64_MAX;
    long long number = strtoll(line, &end, 10);
    return end == line || number < 0 ? UINT64_MAX : (uint64_t)number;
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
 * proc/self/cgroup, with id 0 for v2 and the controller listed for v1. */
static bool own_group(const char *root, const char *controller, bool v2, char *group,
                      size_t group_bytes)
{
    char line[LINE_BYTES];
    snprintf(line, sizeof line, "%s/proc/self/cgroup", root);
    FILE *file = fopen(line, "re");
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file)) {
        char *rest = line;
        const char *id = strsep(&rest, ":"), *controllers = strsep(&rest, ":");
        if (!rest || (v2 ? strcmp(id, "0") != 0 : !listed(controllers, controller)))
            continue;
        rest[strcspn(rest, "\n")] = '\0';
        found = snprintf(group, group_bytes, "%s", rest) < (int)group_bytes;
    }
    if (file)
        fclose(file);
    return found;
}

/* A mount of control groups: where, of which group, and which version. */
typedef struct mount {
    char group[PATH_BYTES], path[PATH_BYTES];
    bool v2;
} mount;

/* The group and its ancestors, as far as this mount shows them. */
static void walk_up(const char *root, const mount *m, const char *controller,
                    void (*visit)(void *user, const char *directory, bool v2), void *user)
{
    char group[PATH_BYTES], directory[PATH_BYTES];
    if (!own_group(root, controller, m->v2, group, sizeof group))
        return;
    size_t hidden = strcmp(m->group, "/") == 0 ? 0 : strlen(m->group);
    const char *below = strncmp(group, m->group, hidden) == 0 ? group + hidden : "";
    int top = snprintf(directory, sizeof directory, "%s%s", root, m->path);
    if (top < 0 || (size_t)top + strlen(below) >= sizeof directory)
        return;
    strcat(directory, below);
    for (char *end = directory + strlen(directory); end; end = strrchr(directory + top, '/')) {
        *end = '\0';
        visit(user, directory, m->v2);
    }
}

/* A line of mountinfo: id parent device root mount options [tags] - type source options */
static bool read_mount(char *line, const char *controller, mount *m)
{
    char *tail = strstr(line, " - "), type[32], options[512];
    if (!tail)
        return false;
    *tail = '\0';
    if (sscanf(tail + 3, "%31s %*s %511s", type, options) != 2 ||
        sscanf(line, "%*s %*s %*s %4095s %4095s", m->group, m->path) != 2)
        return false;
    m->v2 = strcmp(type, "cgroup2") == 0;
    return m->v2 || (strcmp(type, "cgroup") == 0 && listed(options, controller));
}

void dd_cgroup_walk(const char *root, const char *controller,
                    void (*visit)(void *user, const char *directory, bool v2), void *user)
{
    char line[LINE_BYTES];
    int n = snprintf(line, sizeof line, "%s/proc/self/mountinfo", root);
    FILE *file = n < 0 || n >= PATH_BYTES ? NULL : fopen(line, "re");
    mount m;
    while (file && fgets(line, sizeof line, file))
        if (read_mount(line, controller, &m))
            walk_up(root, &m, controller, visit, user);
    if (file)
        fclose(file);
}
