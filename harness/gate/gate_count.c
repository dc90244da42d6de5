/* SPDX-License-Identifier: MIT
 * Instructions by the CPU's own counter, read through perf_event_open, or by valgrind's callgrind,
 * which carries the program out on a CPU of its own making, about fifty times slower. Refuses
 * counts that were not taken all the time. */
#include <errno.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gate.h"
#include "tool.h"

/* ---- perf_event_open ---- */

int dd_perf_open_(uint32_t type, uint64_t config)
{
    /* The thread's own event stays off; what it starts gets a copy that exec turns on. */
    struct perf_event_attr attr = {.type = type,
                                   .size = sizeof attr,
                                   .config = config,
                                   .disabled = 1,
                                   .inherit = 1,
                                   .enable_on_exec = 1,
                                   .exclude_kernel = 1,
                                   .exclude_hv = 1,
                                   .read_format = PERF_FORMAT_TOTAL_TIME_ENABLED |
                                                  PERF_FORMAT_TOTAL_TIME_RUNNING};
    return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

bool dd_perf_close_(int fd, double *count)
{
    struct {
        uint64_t value, enabled_ns, running_ns;
    } got;
    const bool whole = read(fd, &got, sizeof got) == sizeof got && got.enabled_ns > 0 &&
                       got.running_ns == got.enabled_ns;
    *count = (double)got.value;
    close(fd);
    return whole;
}

static dd_gate_end count_by_perf(const dd_gate *g, const dd_gate_side *side, const char *command,
                                 unsigned slot, double *instructions, char why[DD_GATE_WHY])
{
    const int fd = dd_perf_open_(PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS);
    if (fd < 0) {
        (void)snprintf(why, DD_GATE_WHY, "perf_event_open: %s", strerror(errno));
        return DD_GATE_UNCOUNTED;
    }
    const dd_gate_end end = dd_gate_run(g, side, "", command, slot, why);
    const bool whole = dd_perf_close_(fd, instructions);
    if (end == DD_GATE_RAN && !whole) {
        (void)snprintf(why, DD_GATE_WHY, "the CPU's counter was shared with others");
        return DD_GATE_UNCOUNTED;
    }
    return end;
}

/* ---- callgrind ---- */

static bool callgrind_total(const char *path, double *instructions)
{
    char line[256];
    uint64_t n = 0;
    bool found = false;
    FILE *f = fopen(path, "r");
    while (f && !found && fgets(line, sizeof line, f))
        found =
            sscanf(line, "summary: %" SCNu64, &n) == 1 || sscanf(line, "totals: %" SCNu64, &n) == 1;
    if (f)
        fclose(f);
    *instructions = (double)n;
    return found && n > 0;
}

static dd_gate_end count_by_callgrind(const dd_gate *g, const dd_gate_side *side,
                                      const char *command, unsigned slot, double *instructions,
                                      char why[DD_GATE_WHY])
{
    char under[96], file[DD_GATE_PATH + 8];
    (void)snprintf(file, sizeof file, "%s/count%u", g->work, slot);
    (void)snprintf(under, sizeof under, "valgrind -q --tool=callgrind --callgrind-out-file=count%u",
                   slot);
    unlink(file);
    const dd_gate_end end = dd_gate_run(g, side, under, command, slot, why);
    if (end == DD_GATE_RAN && !callgrind_total(file, instructions)) {
        (void)snprintf(why, DD_GATE_WHY, "callgrind wrote no total");
        return DD_GATE_UNCOUNTED;
    }
    return end;
}

/* ---- Either ---- */

const char *dd_counter_name(dd_counter counter)
{
    static const char *const names[] = {"none", "perf_event_open", "callgrind"};
    return names[counter];
}

dd_counter dd_counter_choose(const char *wanted, char why[DD_GATE_WHY])
{
    why[0] = '\0';
    if (strcmp(wanted, "callgrind") != 0) {
        const int fd = dd_perf_open_(PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS);
        if (fd >= 0) {
            close(fd);
            return DD_COUNTER_PERF;
        }
        (void)snprintf(why, DD_GATE_WHY, "perf_event_open: %s%s", strerror(errno),
                       errno == EACCES || errno == EPERM
                           ? " (kernel.perf_event_paranoid of 2 or less would do)"
                           : "");
    }
    if (strcmp(wanted, "perf") != 0) {
        if (dd_tool_there("valgrind"))
            return DD_COUNTER_CALLGRIND;
        const size_t n = strlen(why);
        (void)snprintf(why + n, DD_GATE_WHY - n, "%svalgrind is not installed", n ? "; " : "");
    }
    return DD_COUNTER_NONE;
}

dd_gate_end dd_count(const dd_gate *g, dd_counter counter, const dd_gate_side *side,
                     const char *command, unsigned slot, double *instructions,
                     char why[DD_GATE_WHY])
{
    return (counter == DD_COUNTER_PERF ? count_by_perf : count_by_callgrind)(g, side, command, slot,
                                                                             instructions, why);
}
