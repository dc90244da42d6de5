/* SPDX-License-Identifier: MIT
 * Columns of the speedup table. */
#include "speedup_page.h"

#include <math.h>
#include <string.h>

/* What rows are divided by, beside the oracle. */
const dd_comparison dd_page_comparisons_[DD_PAGE_COMPARISONS] = {
    {"x 1 worker", "x 1", "with 1 worker, the same subject and simd",
     offsetof(dd_speedup_row, one)},
    {"x scalar", "x scalar", "with simd off, the same subject and workers",
     offsetof(dd_speedup_row, scalar)},
    {"x locks-gradient", "x gradient", "of subject locks-gradient, the same workers and simd",
     offsetof(dd_speedup_row, locks_gradient)},
    {"x locks", "x locks", "of subject locks, the same workers and simd",
     offsetof(dd_speedup_row, locks)},
};

bool dd_page_compares_(const dd_speedup *s, size_t at)
{
    for (size_t i = 0; i < s->n_rows; i++) {
        dd_ratio ratio;
        memcpy(&ratio, (const char *)&s->rows[i] + at, sizeof ratio);
        if (ratio.to && ratio.to != &s->rows[i])
            return true;
    }
    return false;
}

static bool divides_by_oracle(const dd_speedup *s, bool row)
{
    for (size_t i = 0; i < s->n_rows; i++)
        if (isfinite(s->rows[i].oracle.x) && !s->rows[i].oracle.to != row)
            return true;
    return false;
}

bool dd_page_by_oracle_row_(const dd_speedup *s)
{
    return divides_by_oracle(s, true);
}

bool dd_page_by_oracle_run_(const dd_speedup *s)
{
    return divides_by_oracle(s, false);
}

bool dd_page_has_own_(const dd_speedup *s)
{
    for (size_t i = 0; i < s->n_rows; i++)
        if (!dd_speedup_is_plugin(&s->rows[i]))
            return true;
    return false;
}

bool dd_page_is_wide_(const dd_speedup_row *row)
{
    return row->end == DD_CELL_AT_MOST || row->end == DD_CELL_LATE;
}

/* Begins a column. */
static void add(page *p, const char *heading, int kind)
{
    dd_table_add(&p->table, heading, kind & RIGHT);
    if (!p->table.failed)
        p->table.column[p->table.n_columns - 1].tag = kind;
}

#define PUT(p, row, ...) dd_table_put(&(p)->table, row, __VA_ARGS__)

/* A number, or a dash where there is none. */
static void number(page *p, size_t row, double x, int decimals)
{
    if (isfinite(x))
        PUT(p, row, "%.*f", decimals, x);
    else
        PUT(p, row, "-");
}

/* A loss; one that ran away keeps its column narrow. */
static void loss_number(page *p, size_t row, double loss)
{
    if (fabs(loss) >= 1e6 && isfinite(loss))
        PUT(p, row, "%.3g", loss);
    else
        number(p, row, loss, 3);
}

/* At least three digits, whatever the size. */
static int digits_for(double x)
{
    return x < 10 ? 2 : x < 100 ? 1 : 0;
}

/* ---- Columns: settings ---- */

/* Workers at the start, where the membership that the run ended with has another number; else 0. */
uint32_t dd_page_began_with_(const dd_speedup_row *row)
{
    const uint32_t asked = row->cell->plan->settings.config.workers;
    return row->run && row->run->end.info.n_changes && asked != row->workers ? asked : 0;
}

/* As they were; as asked for, where no run says what became of that. */
static void add_workers(page *p)
{
    add(p, "workers", RIGHT);
    for (size_t i = 0; i < p->s->n_rows; i++) {
        const dd_speedup_row *row = &p->s->rows[i];
        if (dd_page_began_with_(row))
            PUT(p, i, "%u>%u%s", dd_page_began_with_(row), row->workers,
                row->oversubscribed ? "+" : "");
        else if (row->workers)
            PUT(p, i, "%u%s", row->workers, row->oversubscribed ? "+" : "");
        else
            PUT(p, i, "auto");
    }
}

/* A setting: as the file says it, where it varies; auto is told as what it became. Nothing where it
 * means nothing to the subject. */
static void add_key(page *p, const char *name)
{
    const dd_scenario *scenario = p->s->sweep->scenario;
    size_t k = 0;
    while (k < scenario->n_swept && strcmp(scenario->swept[k]->name, name) != 0)
        k++;
    add(p, name, ONCE | LONG);
    for (size_t i = 0; i < p->s->n_rows; i++) {
        char value[DD_SPEC_MAX];
        const dd_speedup_row *row = &p->s->rows[i];
        dd_settings_get(&row->cell->plan->settings, name, value);
        const char *said = k < scenario->n_swept ? row->cell->plan->values[k] : value;
        if (strcmp(name, "reduce") == 0 &&
            row->cell->plan->settings.config.reduce == DD_REDUCE_AUTO)
            said = dd_speedup_reduction(row);
        if (strcmp(name, "micro-batch") == 0 && row->run && row->run->end.info.micro_batch) {
            (void)snprintf(value, sizeof value, "%u", row->run->end.info.micro_batch);
            said = value;
        }
        if (said && dd_key_concerns(dd_key_named(name), row->cell->plan->settings.subject))
            PUT(p, i, "%s", said);
    }
}

/* Whether a key has its own place among the columns. */
static bool is_shown(const char *name)
{
    static const char *const shown[] = {"subject", "subject-options", "workers",
                                        "depth",   "lane-depth",      "reduce",
                                        "barrier", "steal",           "simd"};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        if (strcmp(shown[i], name) == 0)
            return true;
    return false;
}

static void add_settings(page *p)
{
    const dd_scenario *scenario = p->s->sweep->scenario;
    add_key(p, "subject");
    add_key(p, "subject-options");
    add_workers(p);
    add_key(p, "depth");
    add_key(p, "lane-depth");
    for (size_t k = 0; k < scenario->n_swept; k++)
        if (!is_shown(scenario->swept[k]->name))
            add_key(p, scenario->swept[k]->name);
    add_key(p, "reduce");
    add_key(p, "barrier");
    add_key(p, "steal");
    add_key(p, "simd");
    add(p, "kernels", ONCE);
    for (size_t i = 0; i < p->s->n_rows; i++)
        if (p->s->rows[i].run)
            PUT(p, i, "%s", p->s->rows[i].run->end.kernels);
}

/* ---- Columns: what became of it; empty where it has no meaning ---- */

static void add_spheres(page *p)
{
    add(p, "spheres", RIGHT | ONCE | FILES);
    for (size_t i = 0; i < p->s->n_rows; i++) {
        const dd_run *run = p->s->rows[i].run;
        if (run && run->end.info.n_spheres)
            PUT(p, i, "%u", run->end.info.n_spheres);
    }
    add(p, "segments (most)", RIGHT | ONCE | FILES);
    for (size_t i = 0; i < p->s->n_rows; i++) {
        const dd_run *run = p->s->rows[i].run;
        if (run && run->end.info.n_segments)
            PUT(p, i, "%u (%u)", run->end.info.n_segments, run->end.info.most_segments);
    }
}

static void add_happenings(page *p)
{
    add(p, p->markdown ? "steals a step" : "steals", RIGHT | ONCE);
    for (size_t i = 0; i < p->s->n_rows; i++) {
        const dd_run *run = p->s->rows[i].run;
        if (run && run->n_steps && p->s->rows[i].cell->plan->settings.config.steal)
            PUT(p, i, "%.2f", (double)run->end.info.steals / (double)run->n_steps);
    }
    add(p, "changes", RIGHT | ONCE);
    for (size_t i = 0; i < p->s->n_rows; i++) {
        const dd_run *run = p->s->rows[i].run;
        const dd_settings *s = &p->s->rows[i].cell->plan->settings;
        if (run && (s->timetable[0] || s->config.depth == DD_DEPTH_AUTO))
            PUT(p, i, "%llu", (unsigned long long)run->end.info.n_changes);
    }
    add(p, "pages copied", RIGHT | ONCE | FILES);
    for (size_t i = 0; i < p->s->n_rows; i++) {
        const dd_run *run = p->s->rows[i].run;
        if (run && run->end.info.snapshot_pages)
            PUT(p, i, "%llu of %llu", (unsigned long long)run->end.info.snapshot_pages_copied,
                (unsigned long long)run->end.info.snapshot_pages);
    }
    add(p, "guarded", RIGHT | ONCE);
    for (size_t i = 0; i < p->s->n_rows; i++) {
        const dd_run *run = p->s->rows[i].run;
        if (run && p->s->rows[i].cell->plan->settings.config.guard)
            PUT(p, i, "%.0f%%", 100 * run->end.info.guard_share);
    }
}

/* ---- Columns: times ---- */

/* Repeats that were timed, with a mark for each that lies far off, and one where the interval did
 * not become as narrow as was asked for. */
static void add_repeats(page *p)
{
    add(p, "repeats", RIGHT | ONCE);
    for (size_t i = 0; i < p->s->n_rows; i++) {
        const dd_speedup_row *row = &p->s->rows[i];
        char marks[DD_REPEATS_MAX + 1] = "";
        memset(marks, '*', row->n_outliers);
        if (!row->not_timed)
            PUT(p, i, "%u%s%s", row->n_timed, dd_page_is_wide_(row) ? "~" : "", marks);
    }
}

/* The interval of the step: its ends in a file, half its width on a terminal. */
static void add_interval(page *p)
{
    add(p, p->markdown ? "interval" : "±", RIGHT | ONCE);
    for (size_t i = 0; i < p->s->n_rows; i++) {
        const dd_speedup_row *row = &p->s->rows[i];
        double low = row->step.low * 1e-6, high = row->step.high * 1e-6;
        double half = 50 * (row->step.high - row->step.low) / row->step_ns;
        if (!isfinite(half))
            PUT(p, i, "-");
        else if (p->markdown)
            PUT(p, i, "%.*f to %.*f", digits_for(low), low, digits_for(high), high);
        else
            PUT(p, i, "%.*f%%", half < 9.95, half);
    }
}

/* Where some are of a row and others are not, the others are marked. */
static void add_ratio(page *p, const char *heading, size_t at)
{
    const bool marked = at == offsetof(dd_speedup_row, oracle) && dd_page_by_oracle_row_(p->whole);
    add(p, heading, RIGHT);
    for (size_t i = 0; i < p->s->n_rows; i++) {
        dd_ratio ratio;
        memcpy(&ratio, (const char *)&p->s->rows[i] + at, sizeof ratio);
        const dd_interval *range = &ratio.interval;
        const char *mark = marked && !ratio.to ? "^" : "";
        if (!isfinite(ratio.x))
            PUT(p, i, "-");
        else if (p->markdown && isfinite(range->low) && ratio.to != &p->s->rows[i])
            PUT(p, i, "%.*f%s (%.*f to %.*f)", digits_for(ratio.x), ratio.x, mark,
                digits_for(range->low), range->low, digits_for(range->high), range->high);
        else
            PUT(p, i, "%.*f%s", digits_for(ratio.x), ratio.x, mark);
    }
}

static void add_times(page *p)
{
    add(p, "step ms", RIGHT);
    for (size_t i = 0; i < p->s->n_rows; i++) {
        double ms = p->s->rows[i].step_ns * 1e-6;
        number(p, i, ms, digits_for(ms));
    }
    add_interval(p);
    add_repeats(p);
    if (dd_page_has_own_(p->whole))
        add(p, "tokens/s", RIGHT);
    for (size_t i = 0; i < p->s->n_rows; i++)
        if (!dd_speedup_is_plugin(&p->s->rows[i]))
            number(p, i, p->s->rows[i].tokens_per_s, 0);
    for (size_t k = 0; k < DD_PAGE_COMPARISONS; k++) {
        const dd_comparison *c = &dd_page_comparisons_[k];
        if (dd_page_compares_(p->whole, c->at))
            add_ratio(p, p->markdown ? c->heading : c->terminal, c->at);
    }
    if (dd_page_has_own_(p->whole))
        add_ratio(p, "x oracle", offsetof(dd_speedup_row, oracle));
    if (!dd_page_compares_(p->whole, offsetof(dd_speedup_row, one)))
        return;
    add(p, p->markdown ? "efficiency" : "eff", RIGHT);
    for (size_t i = 0; i < p->s->n_rows; i++)
        number(p, i, p->s->rows[i].efficiency, 2);
}

/* ---- Columns: results ---- */

static void add_results(page *p)
{
    const dd_speedup *s = p->s;
    add(p, p->markdown ? "lane bound" : "bound", RIGHT | ONCE);
    for (size_t i = 0; i < s->n_rows; i++)
        if (s->rows[i].run && !dd_speedup_is_plugin(&s->rows[i]))
            number(p, i, s->rows[i].run->end.info.lane_bound, 2);
    add(p, p->markdown ? "last loss" : "loss", RIGHT | ONCE);
    for (size_t i = 0; i < s->n_rows; i++)
        if (s->rows[i].run)
            loss_number(p, i, s->rows[i].loss_last);
    add(p, "floor", RIGHT | ONCE);
    for (size_t i = 0; i < s->n_rows; i++)
        if (s->rows[i].run && !dd_speedup_is_plugin(&s->rows[i]))
            number(p, i, s->rows[i].run->end.floor_nats, 3);
    add(p, "verdict", 0);
    for (size_t i = 0; i < s->n_rows; i++)
        PUT(p, i, "%s", dd_verdict_name(s->rows[i].cell->verdict));
    add(p, "checks", ONCE);
    for (size_t i = 0; i < s->n_rows; i++)
        PUT(p, i, "%s", s->rows[i].checks);
    add(p, p->markdown ? "weights hash" : "hash", ONCE);
    for (size_t i = 0; i < s->n_rows; i++) {
        const dd_speedup_row *row = &s->rows[i];
        if (row->run && dd_speedup_is_bit_equal(row))
            PUT(p, i, "%.*s", p->markdown ? 16 : 8, row->run->end.hash);
        else if (row->run && dd_speedup_is_plugin(row))
            PUT(p, i, "within %g", row->cell->plan->settings.tolerance);
        else if (row->run)
            PUT(p, i, "not bit-equal");
    }
}

/* ---- All of them ---- */

/* All columns; the same ones for some rows as for all. */
void dd_page_open_(page *p)
{
    dd_table_open(&p->table, p->s->n_rows);
    add_settings(p);
    add_spheres(p);
    add_happenings(p);
    add_times(p);
    add_results(p);
}
