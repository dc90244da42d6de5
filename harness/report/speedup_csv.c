/* SPDX-License-Identifier: MIT
 * The speedup table for programs: every setting as it was asked for, what became of it, and every
 * number in full precision. */
#include "speedup.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A column whose cells are printed from row number i, *row and, where one ended, its end. */
#define COLUMN(t, s, heading, right, ...)                                                          \
    do {                                                                                           \
        dd_table_add(t, heading, right);                                                           \
        for (size_t i = 0; i < (s)->n_rows; i++) {                                                 \
            const dd_speedup_row *row = &(s)->rows[i];                                             \
            dd_table_put(t, i, __VA_ARGS__);                                                       \
        }                                                                                          \
    } while (0)
#define END(member) (row->run ? row->run->end.member : "")
#define COUNT(t, s, heading, member)                                                               \
    count(t, s, heading, offsetof(dd_trainer_info, member), sizeof((dd_trainer_info *)0)->member)

/* A whole number of the trainer's own account; empty where no run ended. */
static void count(dd_table *t, const dd_speedup *s, const char *heading, size_t at, size_t size)
{
    dd_table_add(t, heading, true);
    for (size_t i = 0; i < s->n_rows; i++) {
        const dd_run *run = s->rows[i].run;
        uint64_t wide = 0;
        uint32_t narrow = 0;
        if (!run)
            continue;
        if (size == sizeof wide)
            memcpy(&wide, (const char *)&run->end.info + at, sizeof wide);
        else
            memcpy(&narrow, (const char *)&run->end.info + at, sizeof narrow);
        dd_table_put(t, i, "%llu",
                     (unsigned long long)(size == sizeof wide ? wide : (uint64_t)narrow));
    }
}

/* Full precision; empty where there is no number. */
static void exact(dd_table *t, size_t row, double x)
{
    if (isfinite(x))
        dd_table_put(t, row, "%.17g", x);
}

static void add_exact(dd_table *t, const dd_speedup *s, const char *heading, size_t at)
{
    dd_table_add(t, heading, true);
    for (size_t i = 0; i < s->n_rows; i++) {
        double x;
        memcpy(&x, (const char *)&s->rows[i] + at, sizeof x);
        exact(t, i, x);
    }
}

/* A ratio, its interval, the step that was divided by the row's own, and the number of the row
 * whose it is, from 1; empty where it is no row's but of the run that cells are judged by. */
static void add_ratio(dd_table *t, const dd_speedup *s, const char *what, size_t at)
{
    char heading[64];
    const size_t interval = at + offsetof(dd_ratio, interval);
    snprintf(heading, sizeof heading, "speedup_vs_%s", what);
    add_exact(t, s, heading, at + offsetof(dd_ratio, x));
    snprintf(heading, sizeof heading, "speedup_vs_%s_low", what);
    add_exact(t, s, heading, interval + offsetof(dd_interval, low));
    snprintf(heading, sizeof heading, "speedup_vs_%s_high", what);
    add_exact(t, s, heading, interval + offsetof(dd_interval, high));
    snprintf(heading, sizeof heading, "step_ns_of_%s", what);
    add_exact(t, s, heading, at + offsetof(dd_ratio, to_ns));
    snprintf(heading, sizeof heading, "row_of_%s", what);
    dd_table_add(t, heading, true);
    for (size_t i = 0; i < s->n_rows; i++) {
        dd_ratio ratio;
        memcpy(&ratio, (const char *)&s->rows[i] + at, sizeof ratio);
        if (ratio.to)
            dd_table_put(t, i, "%zu", (size_t)(ratio.to - s->rows) + 1);
    }
}

/* Every repeat's median step, and the numbers, from 1, of those that lie far off. */
static void add_repeats(dd_table *t, const dd_speedup *s)
{
    for (int outliers = 0; outliers < 2; outliers++) {
        dd_table_add(t, outliers ? "outliers" : "repeats_ns", false);
        for (size_t i = 0; i < s->n_rows; i++) {
            const dd_speedup_row *row = &s->rows[i];
            char *list = NULL;
            size_t size;
            FILE *out = open_memstream(&list, &size);
            if (!out) {
                t->failed = true;
                return;
            }
            for (uint32_t r = 0; !row->not_timed && r < row->cell->n_repeats; r++) {
                if (outliers && row->outlier[r])
                    fprintf(out, "%s%u", ftell(out) ? " " : "", r + 1);
                else if (!outliers && !isnan(row->repeat_ns[r]))
                    fprintf(out, "%s%.17g", ftell(out) ? " " : "", row->repeat_ns[r]);
            }
            fclose(out);
            dd_table_put(t, i, "%s", list);
            free(list);
        }
    }
}

static void add_settings(dd_table *t, const dd_speedup *s)
{
    size_t n;
    const dd_key *keys = dd_keys(&n);
    for (size_t k = 0; k < n; k++) {
        dd_table_add(t, keys[k].name, false);
        for (size_t i = 0; i < s->n_rows; i++) {
            char value[DD_SPEC_MAX];
            dd_settings_get(&s->rows[i].cell->plan->settings, keys[k].name, value);
            dd_table_put(t, i, "%s", value);
        }
    }
}

/* Subjects without spheres have none. */
static bool has_reduction(const dd_speedup_row *row)
{
    return row->run && row->run->end.info.n_spheres;
}

static void add_effective(dd_table *t, const dd_speedup *s)
{
    COLUMN(t, s, "data_used", false, "%s", END(data));
    COLUMN(t, s, "data_hash", false, "%s", END(data_hash));
    COLUMN(t, s, "workers_effective", true, "%u", row->workers);
    COLUMN(t, s, "oversubscribed", false, "%s", row->oversubscribed ? "true" : "false");
    COLUMN(t, s, "bit_equal", false, "%s", dd_speedup_is_bit_equal(row) ? "true" : "false");
    COLUMN(t, s, "kernels", false, "%s", END(kernels));
    COLUMN(t, s, "reduce_effective", false, "%s",
           has_reduction(row) ? dd_reduce_name(row->run->end.info.reduce) : "");
    COUNT(t, s, "micro_batch_effective", micro_batch);
    COUNT(t, s, "depth_effective", depth);
    COUNT(t, s, "spheres", n_spheres);
    COUNT(t, s, "controls", n_controls);
    COUNT(t, s, "threads", n_threads);
    COUNT(t, s, "changes", n_changes);
    COUNT(t, s, "changes_failed", n_changes_failed);
    COUNT(t, s, "weights_bytes", weights_bytes);
    COUNT(t, s, "packed_weights_bytes", packed_weights_bytes);
    COUNT(t, s, "moments_bytes", moments_bytes);
    COUNT(t, s, "segments", n_segments);
    COUNT(t, s, "segments_most", most_segments);
    COUNT(t, s, "segments_bytes", segments_bytes);
    COUNT(t, s, "workspaces_bytes", workspaces_bytes);
    COUNT(t, s, "lanes_bytes", lanes_bytes);
    COUNT(t, s, "scratch_bytes", scratch_bytes);
    COUNT(t, s, "stacks_bytes", stacks_bytes);
    COUNT(t, s, "folds", folds);
    COUNT(t, s, "steals", steals);
    COUNT(t, s, "snapshot_pages", snapshot_pages);
    COUNT(t, s, "snapshot_pages_copied", snapshot_pages_copied);
    COUNT(t, s, "guard_keys", guard_keys);
    dd_table_add(t, "guard_share", true);
    for (size_t i = 0; i < s->n_rows; i++)
        exact(t, i, s->rows[i].run ? s->rows[i].run->end.info.guard_share : (double)NAN);
}

static void add_times(dd_table *t, const dd_speedup *s)
{
    COLUMN(t, s, "repeats_timed", true, "%u", row->n_timed);
    COLUMN(t, s, "repeats_ended_by", false, "%s", dd_cell_end_name(row->end));
    add_repeats(t, s);
    dd_table_add(t, "cores", true);
    for (size_t i = 0; i < s->n_rows; i++)
        dd_table_put(t, i, "%u", s->cores);
    add_exact(t, s, "step_ns_median", offsetof(dd_speedup_row, step_ns));
    add_exact(t, s, "step_ns_low", offsetof(dd_speedup_row, step.low));
    add_exact(t, s, "step_ns_high", offsetof(dd_speedup_row, step.high));
    add_exact(t, s, "step_ns_p10", offsetof(dd_speedup_row, p10_ns));
    add_exact(t, s, "step_ns_p90", offsetof(dd_speedup_row, p90_ns));
    add_exact(t, s, "tokens_per_s", offsetof(dd_speedup_row, tokens_per_s));
    add_ratio(t, s, "one_worker", offsetof(dd_speedup_row, one));
    add_ratio(t, s, "scalar", offsetof(dd_speedup_row, scalar));
    add_ratio(t, s, "locks", offsetof(dd_speedup_row, locks));
    add_ratio(t, s, "locks_gradient", offsetof(dd_speedup_row, locks_gradient));
    add_ratio(t, s, "oracle", offsetof(dd_speedup_row, oracle));
    add_exact(t, s, "efficiency", offsetof(dd_speedup_row, efficiency));
}

/* One column a check; empty where it does not apply. */
static void add_checks(dd_table *t, const dd_speedup *s)
{
    size_t n;
    const dd_check *checks = dd_checks(&n);
    for (size_t k = 0; k < n; k++) {
        dd_table_add(t, checks[k].name, false);
        for (size_t i = 0; i < s->n_rows; i++) {
            const dd_sweep_cell *cell = s->rows[i].cell;
            dd_verdict verdict = DD_SKIP;
            for (uint32_t r = 0; r < cell->n_repeats; r++)
                verdict = dd_verdict_join(verdict, cell->repeats[r].check[k].verdict);
            if (cell->repeats[0].check[k].applies)
                dd_table_put(t, i, "%s", dd_verdict_name(verdict));
        }
    }
}

static void add_results(dd_table *t, const dd_speedup *s)
{
    dd_table_add(t, "lane_bound", true);
    for (size_t i = 0; i < s->n_rows; i++)
        exact(t, i, s->rows[i].run ? s->rows[i].run->end.info.lane_bound : (double)NAN);
    add_exact(t, s, "loss_last", offsetof(dd_speedup_row, loss_last));
    dd_table_add(t, "loss_floor", true);
    for (size_t i = 0; i < s->n_rows; i++)
        exact(t, i, s->rows[i].run ? s->rows[i].run->end.floor_nats : (double)NAN);
    COLUMN(t, s, "verdict", false, "%s", dd_verdict_name(row->cell->verdict));
    add_checks(t, s);
    COLUMN(t, s, "reason", false, "%s", row->reason);
    COLUMN(t, s, "not_timed", false, "%s", row->not_timed ? row->not_timed : "");
    COLUMN(t, s, "weights_hash", false, "%s", END(hash));
}

void dd_speedup_csv(const dd_speedup *s, FILE *out)
{
    dd_table t;
    dd_table_open(&t, s->n_rows);
    dd_table_add(&t, "row", true);
    for (size_t i = 0; i < s->n_rows; i++)
        dd_table_put(&t, i, "%zu", i + 1);
    add_settings(&t, s);
    add_effective(&t, s);
    add_times(&t, s);
    add_results(&t, s);
    if (!t.failed)
        dd_table_csv(&t, out);
    dd_table_close(&t);
}
