/* SPDX-License-Identifier: MIT
 * The arithmetic of the speedup table. */
#include "speedup.h"
#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NONE ((double)NAN)

static const dd_ratio no_ratio = {NULL, NONE, NONE, {NONE, NONE}};

/* All steps of all repeats: how far they spread. */
static bool spread_row(dd_speedup_row *row)
{
    const dd_sweep_cell *cell = row->cell;
    size_t n = 0, capacity = 1;
    for (uint32_t r = 0; r < cell->n_repeats; r++)
        capacity += cell->repeats[r].run.n_steps;
    double *all = calloc(capacity, sizeof *all);
    if (!all)
        return false;
    for (uint32_t r = 0; r < cell->n_repeats; r++)
        if (cell->repeats[r].run.outcome == DD_RUN_ENDED)
            n += dd_run_step_times(&cell->repeats[r].run, all + n);
    dd_sort(all, n);
    row->p10_ns = dd_quantile(all, n, 0.1);
    row->p90_ns = dd_quantile(all, n, 0.9);
    free(all);
    return true;
}

/* The median of the repeats that were timed. */
static double median_of(const double *repeat_ns, size_t n, uint32_t *n_timed)
{
    double *sorted = calloc(n, sizeof *sorted);
    size_t used = 0;
    for (size_t i = 0; sorted && i < n; i++)
        if (!isnan(repeat_ns[i]))
            sorted[used++] = repeat_ns[i];
    dd_sort(sorted, used);
    const double median = dd_quantile(sorted, used, 0.5);
    free(sorted);
    *n_timed = (uint32_t)used;
    return median;
}

static void time_row(dd_speedup_row *row)
{
    const dd_sweep_cell *cell = row->cell;
    const size_t n = cell->n_repeats;
    row->repeat_ns = calloc(n, sizeof *row->repeat_ns);
    row->outlier = calloc(n, sizeof *row->outlier);
    if (!row->repeat_ns || !row->outlier || !spread_row(row)) {
        row->not_timed = "no memory";
        return;
    }
    dd_cell_step_ns(cell, row->repeat_ns);
    row->step_ns = median_of(row->repeat_ns, n, &row->n_timed);
    row->step = dd_bootstrap_median(row->repeat_ns, n);
    row->n_outliers = dd_outliers(row->repeat_ns, n, row->outlier);
    const dd_config *config = &cell->plan->settings.config;
    double tokens = (double)config->batch * (config->seq ? config->seq : config->shape.T_max);
    if (!dd_speedup_is_plugin(row)) /* whose samples may be anything */
        row->tokens_per_s = tokens / (row->step_ns * 1e-9);
    if (isnan(row->step_ns))
        row->not_timed = "no step";
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
                            .end = dd_cell_end_get(s->sweep, cell),
                            .step_ns = NONE,
                            .step = {NONE, NONE},
                            .p10_ns = NONE,
                            .p90_ns = NONE,
                            .tokens_per_s = NONE,
                            .one = no_ratio,
                            .scalar = no_ratio,
                            .locks = no_ratio,
                            .locks_gradient = no_ratio,
                            .oracle = no_ratio,
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

static dd_ratio ratio_to(const dd_speedup_row *to, const dd_speedup_row *row)
{
    return (dd_ratio){.to = to,
                      .x = to->step_ns / row->step_ns,
                      .to_ns = to->step_ns,
                      .interval = dd_bootstrap_ratio(to->repeat_ns, to->cell->n_repeats,
                                                     row->repeat_ns, row->cell->n_repeats)};
}

/* Whether the settings that a wanted row is told by mean anything to its subject. */
static bool tells_apart(const char *key, dd_subject subject)
{
    return dd_key_concerns(dd_key_named(key), subject);
}

static bool is_wanted(const dd_speedup_row *row, wanted w)
{
    const dd_settings *s = &row->cell->plan->settings;
    return s->subject == w.subject &&
           (row->workers == w.workers || !tells_apart("workers", w.subject)) &&
           (s->config.simd == w.simd || !tells_apart("simd", w.subject));
}

static dd_ratio divide(const dd_speedup *s, const dd_speedup_row *row, wanted w)
{
    const dd_speedup_row *best = NULL;
    size_t best_like = 0;
    for (size_t i = 0; i < s->n_rows; i++) {
        const dd_speedup_row *to = &s->rows[i];
        if (to->not_timed || to->cell->oracle != row->cell->oracle || !is_wanted(to, w))
            continue;
        size_t like = likeness(s->sweep, to->cell, row->cell);
        if (best && like <= best_like)
            continue;
        best = to;
        best_like = like;
    }
    return best ? ratio_to(best, row) : no_ratio;
}

/* Where no row has the oracle, the one run that judges stands for it. */
static dd_ratio divide_by_oracle(const dd_speedup *s, const dd_speedup_row *row)
{
    dd_ratio ratio = divide(s, row, (wanted){.subject = DD_SUBJECT_ORACLE});
    const double oracle_ns = dd_run_step_ns(&s->sweep->oracles[row->cell->oracle].run);
    if (ratio.to || isnan(oracle_ns))
        return ratio;
    ratio.x = oracle_ns / row->step_ns;
    ratio.to_ns = oracle_ns;
    ratio.interval = dd_bootstrap_ratio(&oracle_ns, 1, row->repeat_ns, row->cell->n_repeats);
    return ratio;
}

static void compare_row(const dd_speedup *s, dd_speedup_row *row)
{
    dd_subject own = row->cell->plan->settings.subject;
    dd_simd simd = row->cell->plan->settings.config.simd;
    if (own != DD_SUBJECT_PLUGIN)
        row->oracle = divide_by_oracle(s, row);
    if (tells_apart("workers", own)) {
        row->one = divide(s, row, (wanted){own, simd, 1});
        row->efficiency = row->one.x / (row->workers < s->cores ? row->workers : s->cores);
    }
    if (tells_apart("simd", own))
        row->scalar = divide(s, row, (wanted){own, DD_SIMD_OFF, row->workers});
    if (own == DD_SUBJECT_ORACLE || own == DD_SUBJECT_PLUGIN)
        return; /* the one has no worker that locks could hold up, the other another model */
    row->locks = divide(s, row, (wanted){DD_SUBJECT_LOCKS, simd, row->workers});
    row->locks_gradient = divide(s, row, (wanted){DD_SUBJECT_LOCKS_GRADIENT, simd, row->workers});
}

bool dd_speedup_is_plugin(const dd_speedup_row *row)
{
    return row->cell->plan->settings.subject == DD_SUBJECT_PLUGIN;
}

bool dd_speedup_is_bit_equal(const dd_speedup_row *row)
{
    return row->subject->bit_equal ||
           (dd_speedup_is_plugin(row) && row->cell->plan->settings.tolerance == 0);
}

const char *dd_speedup_reduction(const dd_speedup_row *row)
{
    return row->run ? dd_reduce_name(row->run->end.info.reduce) : NULL;
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
    for (size_t i = 0; i < s->n_rows && s->rows; i++) {
        free(s->rows[i].repeat_ns);
        free(s->rows[i].outlier);
    }
    free(s->rows);
    *s = (dd_speedup){0};
}
