/* SPDX-License-Identifier: MIT
 * Where and how a gate's commands run. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gate.h"
#include "tool.h"
#include "topology.h"

#define LIMIT_S 120.0

/* ---- The work folder ---- */

/* Text of 8 KiB: a sequence of bytes that never changes, so that all revisions train on the same.
 */
static bool data_write(const dd_gate *g)
{
    char path[DD_GATE_PATH + 8];
    (void)snprintf(path, sizeof path, "%s/data", g->work);
    FILE *f = fopen(path, "w");
    if (!f)
        return false;
    uint32_t weyl = 0;
    for (int i = 0; i < 8192; i++) {
        weyl += 0x9e3779b9u;
        fputc('a' + (int)((weyl >> 16) % 26), f);
    }
    return fclose(f) == 0;
}

static void cores_find(dd_gate *g)
{
    dd_topology t = {0};
    g->cores = 1;
    g->cpu[0] = g->cpu[1] = -1;
    if (dd_topology_open(&t) == DD_OK) {
        for (uint32_t i = 0; i < 2 && i < t.n_cpus; i++)
            g->cpu[i] = (int)t.cpu[i];
        /* two hardware threads of one core are no two cores */
        if (t.n_cpus >= 2 && t.n_cpus_cores != 1)
            g->cores = 2;
    }
    dd_topology_close(&t);
}

bool dd_gate_open(dd_gate *g, int stop_fd, FILE *progress, char why[DD_GATE_WHY])
{
    const char *folder = getenv("TMPDIR");
    *g = (dd_gate){.stop_fd = stop_fd, .progress = progress};
    const int n = snprintf(g->work, sizeof g->work, "%s/perf-gate.XXXXXX",
                           folder && *folder == '/' ? folder : "/tmp");
    if (n >= (int)sizeof g->work || !mkdtemp(g->work)) {
        (void)snprintf(why, DD_GATE_WHY, "no temporary folder %.180s: %s", g->work,
                       strerror(n >= (int)sizeof g->work ? ENAMETOOLONG : errno));
        g->work[0] = '\0';
        return false;
    }
    if (!data_write(g)) {
        (void)snprintf(why, DD_GATE_WHY, "cannot write in %.180s", g->work);
        return false;
    }
    cores_find(g);
    return true;
}

void dd_gate_close(dd_gate *g)
{
    static const char *const files[] = {"data", "out0", "err0", "count0", "out1", "err1", "count1"};
    char path[DD_GATE_PATH + 8];
    if (!g->work[0])
        return;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", g->work, files[i]);
        unlink(path);
    }
    rmdir(g->work);
    g->work[0] = '\0';
}

void dd_gate_hold(const dd_gate *g, uint32_t n)
{
    static cpu_set_t all;
    static bool known;
    if (!known)
        known = sched_getaffinity(0, sizeof all, &all) == 0;
    cpu_set_t set = all;
    if (n) {
        CPU_ZERO(&set);
        for (uint32_t i = 0; i < n && i < 2; i++)
            if (g->cpu[i] >= 0)
                CPU_SET((size_t)g->cpu[i], &set);
    }
    if (known && CPU_COUNT(&set))
        (void)sched_setaffinity(0, sizeof set, &set);
}

/* ---- A command ---- */

enum { WORDS_MAX = 48 };

/* The first line that a program wrote to stderr, or "". */
static void first_words(const char *path, char line[128])
{
    line[0] = '\0';
    FILE *f = fopen(path, "r");
    if (!f)
        return;
    if (!fgets(line, 128, f))
        line[0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    fclose(f);
}

static dd_gate_end ending(const dd_tool *tool, dd_tool_end end, const char *program,
                          char why[DD_GATE_WHY])
{
    char line[128];
    if (end.ending == DD_TOOL_ENDED && end.status == 0)
        return DD_GATE_RAN;
    switch (end.ending) {
    case DD_TOOL_STOPPED:
        (void)snprintf(why, DD_GATE_WHY, "stopped");
        return DD_GATE_STOPPED;
    case DD_TOOL_NOT_RUN:
        (void)snprintf(why, DD_GATE_WHY, "%s: %s", program, strerror(end.status));
        return DD_GATE_LACKS;
    case DD_TOOL_LATE:
        (void)snprintf(why, DD_GATE_WHY, "%s took more than %.0f s: a busy machine, or it hangs",
                       program, LIMIT_S);
        return DD_GATE_LATE;
    case DD_TOOL_ENDED:
        break;
    }
    first_words(tool->err, line);
    (void)snprintf(why, DD_GATE_WHY, "%s ended with %d%s%s", program, end.status, *line ? ": " : "",
                   line);
    return end.status == 2 ? DD_GATE_LACKS : end.status == 3 ? DD_GATE_UNABLE : DD_GATE_BROKE;
}

dd_gate_end dd_gate_run(const dd_gate *g, const dd_gate_side *side, const char *under,
                        const char *command, unsigned slot, char why[DD_GATE_WHY])
{
    char words[1024], program[DD_GATE_PATH + 32], out[DD_GATE_PATH + 8], err[DD_GATE_PATH + 8],
        *rest;
    const char *argv[WORDS_MAX + 1] = {0};
    const size_t n_under = strlen(under);
    int n = snprintf(words, sizeof words, "%s %s", under, command);
    if (n < 0 || (size_t)n >= sizeof words) {
        (void)snprintf(why, DD_GATE_WHY, "a command of %d characters is too long", n);
        return DD_GATE_BROKE;
    }
    n = 0;
    const char *name = NULL;
    for (char *w = strtok_r(words, " ", &rest); w && n < WORDS_MAX;
         w = strtok_r(NULL, " ", &rest)) {
        if (!name && (size_t)(w - words) >= n_under) {
            name = w;
            (void)snprintf(program, sizeof program, "%s/%s", side->folder, name);
            w = program;
        }
        argv[n++] = w;
    }
    if (!name || access(program, X_OK) != 0) { /* what runs it would tell this its own way */
        (void)snprintf(why, DD_GATE_WHY, "%s is not there", name ? name : "a command");
        return DD_GATE_LACKS;
    }
    (void)snprintf(out, sizeof out, "%s/out%u", g->work, slot);
    (void)snprintf(err, sizeof err, "%s/err%u", g->work, slot);
    const dd_tool tool = {.argv = argv,
                          .folder = g->work,
                          .out = out,
                          .err = err,
                          .limit_s = LIMIT_S,
                          .stop_fd = g->stop_fd};
    return ending(&tool, dd_tool_run(&tool), name, why);
}
