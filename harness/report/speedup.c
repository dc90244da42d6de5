/* SPDX-License-Identifier: MIT
 * The arithmetic of the speedup table. */
#include "speedup.h"
#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NONE ((double)NAN)

/* Step times of a run as they are counted: the first step warms caches and touches memory for the
 * first time, so it is left out where there is another. */
static size_t timed_steps(const dd_run *run, double *ns)
{
    size_t first = run->n_steps > 1, n = 0;
    for (size_t i = first; i < run->n_steps; i++)
        ns[n++] = (double)run->steps[i].wall_ns;
    return n;
}

/* Median step of one run; NaN for a run without steps or memory. */
static double run_median(const dd_run *run)
{
    double *ns = calloc(run->n_steps + 1, sizeof *ns);
    if (!ns)
        return NONE;
    size_t n = timed_steps(run, ns);
    dd_sort(ns, n);
    double median = dd_quantile(ns, n, 0.5);
    free(ns);
    return median;
}

static void time_row(dd_speedup_row *row)
{
    const dd_sweep_cell *cell = row->cell;
    size_t n_all = 0, n_medians = 0, capacity = 1;
    for (uint32_t r = 0; r < cell->n_repeats; r++)
        capacity += cell->repeats[r].run.n_steps;
    double *all = calloc(capacity, sizeof *all);
    double *medians = calloc(cell->n_repeats, sizeof *medians);
    if (!all || !medians) {
        row->not_timed = "no memory";
        goto out;
    }
    for (uint32_t r = 0; r < cell->n_repeats; r++) {
        const dd_run *run = &cell->repeats[r].run;
        if (run->outcome != DD_RUN_ENDED || !run->n_steps)
            continue;
        n_all += timed_steps(run, all + n_all);
        medians[n_medians++] = run_median(run);
    }
    dd_sort(all, n_all);
    dd_sort(medians, n_medians);
    row->n_timed = (uint32_t)n_medians;
    row->step_ns = dd_quantile(medians, n_medians, 0.5);
    row->p10_ns = dd_quantile(all, n_all, 0.1);
    row->p90_ns = dd_quantile(all, n_all, 0.9);
    const dd_config *config = &cell->plan->settings.config;
    double tokens = (double)config->batch * (config->seq ? config->seq : config->shape.T_max);
    row->tokens_per_s = tokens / (row->step_ns * 1e-9);
    if (isnan(row->step_ns))
        row->not_timed = "no step";
out:
    free(all);
    free(medians);
}

static void sum_checks(dd_speedup_row *row)
{
    size_t n, n_shown = 0;
    const dd_check *checks = dd_checks(&n);
    dd_verdict worst_shown = DD_PASS;
    for (size_t i = 0; i < n; i++) {
        dd_verdict verdict = DD_SKIP;
        if (!row->cell->repeats[0].check[i].applies)
            continue;
        for (uint32_t r = 0; r < row->cell->n_repeats; r++) {
            const dd_sweep_run *run = &row->cell->repeats[r];
            const dd_check_row *c = &run->check[i];
            /* of a run that did not end the reason says how, which is no check's finding */
            bool found = c->verdict == DD_FAIL && run->run.outcome == DD_RUN_ENDED;
            verdict = dd_verdict_join(verdict, c->verdict);
            /* A SKIP needs its reason only where there is nothing worse and no PASS to show. */
            bool tell = c->verdict > worst_shown &&
                        (c->verdict != DD_SKIP || row->cell->verdict == DD_SKIP);
            /* what a planted defect was caught by is worth telling */
            tell = tell || (c->verdict == DD_PASS && !row->reason[0] &&
                            row->cell->plan->settings.plant != DD_PLANT_NONE);
            if (tell) {
                worst_shown = c->verdict;
                snprintf(row->reason, sizeof row->reason, "%s%s%s", found ? checks[i].name : "",
                         found ? ": " : "", c->reason);
            }
        }
        row->checks[n_shown++] = verdict == DD_PASS   ? checks[i].letter
                                 : verdict == DD_SKIP ? '-'
                                                      : '!';
    }
}

static const char *why_not_timed(const dd_speedup_row *row, const char *untimeable)
{
    if (untimeable)
        return untimeable;
    if (row->cell->verdict != DD_PASS)
        return "a check did not hold";
    return row->run ? NULL : "no run ended";
}

static void fill_row(dd_speedup *s, dd_speedup_row *row, const dd_sweep_cell *cell,
                     const char *untimeable)
{
    const dd_settings *settings = &cell->plan->settings;
    *row = (dd_speedup_row){.cell = cell,
                            .subject = dd_subject_get(settings->subject, settings->plant),
                            .workers = settings->config.workers,
                            .step_ns = NONE,
                            .p10_ns = NONE,
                            .p90_ns = NONE,
                            .tokens_per_s = NONE,
                            .one = {.x = NONE},
                            .scalar = {.x = NONE},
                            .locks = {.x = NONE},
                            .locks_gradient = {.x = NONE},
                            .vs_oracle = NONE,
                            .efficiency = NONE,
                            .loss_last = NONE};
    for (uint32_t r = 0; r < cell->n_repeats && !row->run; r++)
        if (cell->repeats[r].run.outcome == DD_RUN_ENDED)
            row->run = &cell->repeats[r].run;
    sum_checks(row);
    if (row->run) {
        row->workers = row->run->end.info.workers;
        if (row->run->n_steps)
            row->loss_last = row->run->steps[row->run->n_steps - 1].loss;
    }
    row->oversubscribed = row->workers > s->cores;
    row->not_timed = why_not_timed(row, untimeable);
    if (!row->not_timed)
        time_row(row);
}

/* What a row to divide by must have. */
typedef struct wanted {
    dd_subject subject;
    dd_simd simd;
    uint32_t workers;
} wanted;

/* In how many of the things that vary two cells agree. */
static size_t likeness(const dd_sweep *sweep, const dd_sweep_cell *a, const dd_sweep_cell *b)
{
    size_t n = 0;
    for (size_t k = 0; k < sweep->scenario->n_swept; k++)
        n += strcmp(a->plan->values[k], b->plan->values[k]) == 0;
    return n;
}

static dd_ratio divide(const dd_speedup *s, const dd_speedup_row *row, wanted w)
{
    dd_ratio ratio = {.x = NONE};
    size_t best = 0;
    for (size_t i = 0; i < s->n_rows; i++) {
        const dd_speedup_row *to = &s->rows[i];
        const dd_settings *settings = &to->cell->plan->settings;
        if (to->not_timed || to->cell->oracle != row->cell->oracle || to->workers != w.workers ||
            settings->subject != w.subject || settings->config.simd != w.simd)
            continue;
        size_t like = likeness(s->sweep, to->cell, row->cell);
        if (ratio.to && like <= best)
            continue;
        best = like;
        ratio = (dd_ratio){.to = to, .x = to->step_ns / row->step_ns};
    }
    return ratio;
}

static void compare_row(const dd_speedup *s, dd_speedup_row *row)
{
    const dd_sweep_oracle *oracle = &s->sweep->oracles[row->cell->oracle];
    dd_subject own = row->cell->plan->settings.subject;
    dd_simd simd = row->cell->plan->settings.config.simd;
    if (oracle->run.outcome == DD_RUN_ENDED)
        row->vs_oracle = run_median(&oracle->run) / row->step_ns;
    row->one = divide(s, row, (wanted){own, simd, 1});
    row->scalar = divide(s, row, (wanted){own, DD_SIMD_OFF, row->workers});
    row->locks = divide(s, row, (wanted){DD_SUBJECT_LOCKS, simd, row->workers});
    row->locks_gradient = divide(s, row, (wanted){DD_SUBJECT_LOCKS_GRADIENT, simd, row->workers});
    row->efficiency = row->one.x / (row->workers < s->cores ? row->workers : s->cores);
}

bool dd_speedup_open(dd_speedup *s, const dd_sweep *sweep, uint32_t cores, const char *untimeable)
{
    *s = (dd_speedup){.sweep = sweep, .cores = cores, .n_rows = sweep->scenario->n_cells};
    s->rows = calloc(s->n_rows, sizeof *s->rows);
    if (!s->rows)
        return false;
    for (size_t i = 0; i < s->n_rows; i++)
        fill_row(s, &s->rows[i], &sweep->cells[i], untimeable);
    for (size_t i = 0; i < s->n_rows; i++)
        if (!s->rows[i].not_timed)
            compare_row(s, &s->rows[i]);
    return true;
}

void dd_speedup_close(dd_speedup *s)
{
    free(s->rows);
    *s = (dd_speedup){0};
}
