/* SPDX-License-Identifier: MIT
 * Times of cells, and the rule by which their repeats end. */
#include "sweep_times.h"
#include "stats.h"

#include <math.h>
#include <stdlib.h>

size_t dd_run_step_times(const dd_run *run, double *ns)
{
    size_t first = run->n_steps > 1, n = 0;
    for (size_t i = first; i < run->n_steps; i++)
        ns[n++] = (double)run->steps[i].wall_ns;
    return n;
}

double dd_run_step_ns(const dd_run *run)
{
    double *ns = calloc(run->n_steps + 1, sizeof *ns), median = (double)NAN;
    if (ns && run->outcome == DD_RUN_ENDED) {
        size_t n = dd_run_step_times(run, ns);
        dd_sort(ns, n);
        median = dd_quantile(ns, n, 0.5);
    }
    free(ns);
    return median;
}

void dd_cell_step_ns(const dd_sweep_cell *cell, double *ns)
{
    for (uint32_t r = 0; r < cell->n_repeats; r++)
        ns[r] = dd_run_step_ns(&cell->repeats[r].run);
}

static bool is_narrow(const dd_sweep_cell *cell)
{
    double *ns = calloc(cell->n_repeats, sizeof *ns);
    if (!ns)
        return false;
    dd_cell_step_ns(cell, ns);
    const dd_interval interval = dd_bootstrap_median(ns, cell->n_repeats);
    dd_sort(ns, cell->n_repeats); /* every repeat passed: there is no NaN */
    const double median = dd_quantile(ns, cell->n_repeats, 0.5);
    free(ns);
    return (interval.high - interval.low) / 2 <= cell->plan->settings.interval * median;
}

double dd_sweep_spent_s(const dd_sweep *sweep)
{
    uint64_t ns = 0;
    for (size_t i = 0; i < sweep->n_oracles; i++)
        ns += sweep->oracles[i].run.wall_ns;
    for (size_t i = 0; i < sweep->scenario->n_cells; i++)
        for (uint32_t r = 0; r < sweep->cells[i].n_repeats; r++)
            ns += sweep->cells[i].repeats[r].run.wall_ns;
    return (double)ns * 1e-9;
}

const char *dd_cell_end_name(dd_cell_end end)
{
    static const char *const names[] = {"open",        "repeats",     "narrow",
                                        "repeats-max", "minutes-max", "failed"};
    return names[end];
}

dd_cell_end dd_cell_end_get(const dd_sweep *sweep, const dd_sweep_cell *cell)
{
    const dd_settings *s = &cell->plan->settings;
    uint32_t passed = 0;
    for (uint32_t r = 0; r < cell->n_repeats; r++) {
        if (cell->repeats[r].run.outcome == DD_RUN_NOT_RUN)
            return DD_CELL_OPEN;
        passed += cell->repeats[r].verdict == DD_PASS;
    }
    if (passed < cell->n_repeats) /* a SKIP among them is none that could be timed */
        return DD_CELL_FAILED;
    if (!(s->interval > 0) || sweep->untimeable)
        return DD_CELL_REPEATS;
    if (is_narrow(cell))
        return DD_CELL_NARROW;
    if (cell->n_repeats >= s->repeats_max)
        return DD_CELL_AT_MOST;
    if (s->minutes_max > 0 && dd_sweep_spent_s(sweep) >= 60 * s->minutes_max)
        return DD_CELL_LATE;
    return DD_CELL_OPEN;
}

bool dd_sweep_is_complete(const dd_sweep *sweep)
{
    for (size_t i = 0; i < sweep->scenario->n_cells; i++)
        if (dd_cell_end_get(sweep, &sweep->cells[i]) == DD_CELL_OPEN)
            return false;
    return sweep->runs_done == sweep->runs_due;
}
