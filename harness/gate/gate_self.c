/* SPDX-License-Identifier: MIT
 * The gate's test of itself: two builds of one revision must raise no alarm, however often they are
 * compared, and a slowdown of 5 % must be found every time. What it publishes is its own rate of
 * false alarms. Refuses to leave out a run. */
#include <math.h>
#include <string.h>

#include "build_info.h"
#include "gate.h"
#include "machine.h"

/* All runs of one pair of builds. */
typedef struct series {
    unsigned runs, alarms; /* alarms: runs with a row that failed */
    double seconds;
    size_t n_rows;
    struct {
        dd_gate_kind kind;
        char name[80];
        double least, most; /* ratio over the runs */
        unsigned compared, failed, unconfirmed;
    } row[DD_GATE_ROWS];
} series;

static void series_add(series *s, const dd_gate_result *r)
{
    s->runs++;
    s->alarms += dd_gate_exit_code(r) == 1;
    s->seconds += r->seconds;
    if (r->n_rows > s->n_rows) /* the same rows in every run, or the first of them */
        s->n_rows = r->n_rows;
    for (size_t i = 0; i < r->n_rows; i++) {
        const dd_gate_row *row = &r->row[i];
        s->row[i].kind = row->kind;
        memcpy(s->row[i].name, row->name, sizeof row->name);
        if (row->verdict == DD_GATE_SKIP || row->verdict == DD_GATE_NEW)
            continue;
        s->row[i].failed += row->verdict == DD_GATE_FAIL;
        s->row[i].unconfirmed += row->repeated && row->verdict == DD_GATE_PASS;
        if (!s->row[i].compared++)
            s->row[i].least = s->row[i].most = row->ratio;
        s->row[i].least = fmin(s->row[i].least, row->ratio);
        s->row[i].most = fmax(s->row[i].most, row->ratio);
    }
}

static bool series_run(dd_gate *g, const dd_gate_trials *t, const char *what,
                       const dd_gate_side *head, unsigned parts, unsigned runs, series *s)
{
    static dd_gate_result r;
    *s = (series){0};
    for (unsigned i = 0; i < runs; i++) {
        if (g->progress)
            fprintf(g->progress, "%s, run %u of %u\n", what, i + 1, runs);
        dd_gate_compare(g, &t->same[0], head, t->counter, parts, &r);
        if (g->stopped)
            return false;
        series_add(s, &r);
    }
    return true;
}

/* ---- The page ---- */

static void write_series(const series *s, FILE *out)
{
    fprintf(out, "| what | name | comparisons | ratios | above the limit once | failed |\n"
                 "|---|---|---:|---:|---:|---:|\n");
    for (size_t i = 0; i < s->n_rows; i++) {
        fprintf(out, "| %s | %s | %u | ", dd_gate_kind_name(s->row[i].kind), s->row[i].name,
                s->row[i].compared);
        if (s->row[i].compared)
            fprintf(out, "%.4f to %.4f", s->row[i].least, s->row[i].most);
        fprintf(out, " | %u | %u |\n", s->row[i].unconfirmed + s->row[i].failed, s->row[i].failed);
    }
    fputc('\n', out);
}

/* No alarm in n runs: with probability 95 % the rate is below 1 - 0.05^(1/n). */
static void write_rate(const series *same, FILE *out)
{
    unsigned compared = 0, failed = 0;
    for (size_t i = 0; i < same->n_rows; i++) {
        compared += same->row[i].compared;
        failed += same->row[i].failed;
    }
    fprintf(out, "**%u of %u runs raised an alarm** (%u of %u comparisons), %.0f s a run.",
            same->alarms, same->runs, failed, compared, same->seconds / same->runs);
    if (!same->alarms)
        fprintf(out, " With 95 %% confidence the rate of false alarms is below %.0f %% of runs.",
                100 * (1 - pow(0.05, 1.0 / same->runs)));
    fprintf(out, "\n\n");
}

static void write_head(const dd_gate *g, const dd_gate_trials *t, FILE *out)
{
    dd_machine m;
    dd_machine_get(&m);
    fprintf(out,
            "# The performance gate's test of itself\n\n"
            "`scripts/perf_gate.sh --self-test`: two builds of %s against each other, then against "
            "two copies that were made slower.\n\n"
            "%s, %u core%s usable, timed on %u, %s. %s, `%s`. Instructions by %s.\n\n",
            t->same[0].name, m.cpu, m.cores, m.cores == 1 ? "" : "s", g->cores, m.kernel,
            dd_build.compiler, dd_build.flags, dd_counter_name(t->counter));
}

int dd_gate_self_test(dd_gate *g, const dd_gate_trials *t, FILE *out)
{
    static series same, kernel, step;
    static dd_gate_result floors;
    const unsigned both = DD_GATE_COUNTS | DD_GATE_TIMES;
    if (!series_run(g, t, "two builds of the same", &t->same[1], both, t->same_runs, &same) ||
        !series_run(g, t, "a kernel does 5 % more", &t->slow_kernel, DD_GATE_COUNTS, t->slow_runs,
                    &kernel) ||
        !series_run(g, t, "a step takes 5 % longer", &t->slow_step,
                    DD_GATE_TIMES | DD_GATE_TO_FIRST, t->slow_runs, &step))
        return 1;
    dd_gate_compare(g, &t->same[0], &t->same[1], t->counter, DD_GATE_FLOORS, &floors);
    if (g->stopped)
        return 1;
    write_head(g, t, out);
    fprintf(out, "## The same, %u times\n\n", same.runs);
    write_rate(&same, out);
    write_series(&same, out);
    fprintf(out,
            "## 5 %% more work in GELU\n\n**Caught by its instructions in %u of %u runs.**\n\n",
            kernel.alarms, kernel.runs);
    write_series(&kernel, out);
    fprintf(out,
            "## 5 %% longer steps: more work in lanes, slices and updates\n\n"
            "**Caught by its time in %u of %u runs.** A run ends with the first row that catches "
            "it.\n\n",
            step.alarms, step.runs);
    write_series(&step, out);
    fprintf(out, "## Floors\n\n");
    dd_gate_print(&floors, &t->same[0], &t->same[1], true, out);
    if (same.alarms || kernel.alarms < kernel.runs || step.alarms < step.runs)
        return 1;
    return dd_gate_exit_code(&floors);
}
