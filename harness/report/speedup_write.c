/* SPDX-License-Identifier: MIT
 * The speedup table for people, as Markdown or for a terminal. A column that says the same in every
 * row is told once above the table instead, so that a table holds what varies. What is too long for
 * a column gets a number there, and stands in full below. Where one table would be wider than
 * people read, each block of the sweep has its own. */
#include "speedup.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct page {
    const dd_speedup *s;     /* the rows of this table */
    const dd_speedup *whole; /* of all tables */
    bool markdown;
    dd_table table;
} page;

/* A column's tag: told above the table where it never varies; numbers; left to files where it
 * varies; texts of any length. */
enum { ONCE = 1, RIGHT = 2, FILES = 4, LONG = 8 };
enum {
    LINE = 100,    /* characters of a line of text on a terminal */
    WIDEST = 160,  /* of a table's */
    LONG_TEXT = 24 /* a column of texts up to this is shown as it is */
};

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
static uint32_t began_with(const dd_speedup_row *row)
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
        if (began_with(row))
            PUT(p, i, "%u>%u%s", began_with(row), row->workers, row->oversubscribed ? "+" : "");
        else if (row->workers)
            PUT(p, i, "%u%s", row->workers, row->oversubscribed ? "+" : "");
        else
            PUT(p, i, "auto");
    }
}

/* Keys that shape the hierarchy say nothing of a subject that has none. */
static const char *const of_spheres[] = {"depth", "reduce", "barrier", "steal"};

static bool is_of_spheres(const char *name)
{
    for (size_t i = 0; i < sizeof of_spheres / sizeof *of_spheres; i++)
        if (strcmp(of_spheres[i], name) == 0)
            return true;
    return false;
}

/* What auto became; NULL where no run says so. */
static const char *chosen_reduction(const dd_speedup_row *row)
{
    return row->run ? dd_reduce_name(row->run->end.info.reduce) : NULL;
}

/* A setting: as the file says it, where it varies; auto is told as what it became. */
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
            said = chosen_reduction(row);
        if (said && (row->subject->spheres || !is_of_spheres(name)))
            PUT(p, i, "%s", said);
    }
}

static bool is_shown(const char *name)
{
    static const char *const shown[] = {"subject", "workers", "lane-depth", "simd"};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        if (strcmp(shown[i], name) == 0)
            return true;
    return is_of_spheres(name);
}

static void add_settings(page *p)
{
    const dd_scenario *scenario = p->s->sweep->scenario;
    add_key(p, "subject");
    add_workers(p);
    add_key(p, "depth");
    add_key(p, "lane-depth");
    for (size_t k = 0; k < scenario->n_swept; k++)
        if (!is_shown(scenario->swept[k]->name) && strcmp(scenario->swept[k]->name, "serial") != 0)
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

static void add_spread(page *p)
{
    add(p, p->markdown ? "p10 to p90 ms" : "spread", RIGHT);
    for (size_t i = 0; i < p->s->n_rows; i++) {
        const dd_speedup_row *row = &p->s->rows[i];
        double p10 = row->p10_ns * 1e-6, p90 = row->p90_ns * 1e-6;
        double half = 50 * (row->p90_ns - row->p10_ns) / row->step_ns;
        if (!isfinite(half))
            PUT(p, i, "-");
        else if (p->markdown)
            PUT(p, i, "%.*f to %.*f", digits_for(p10), p10, digits_for(p10), p90);
        else
            PUT(p, i, "%.0f%%", half);
    }
}

static void add_ratio(page *p, const char *heading, size_t at, int kind)
{
    add(p, heading, RIGHT | kind);
    for (size_t i = 0; i < p->s->n_rows; i++) {
        double x;
        memcpy(&x, (const char *)&p->s->rows[i] + at, sizeof x);
        number(p, i, x, digits_for(x));
    }
}

/* Whether the sweep compares rows by this ratio: some row is divided by another than itself. */
static bool compares(const dd_speedup *s, size_t at)
{
    for (size_t i = 0; i < s->n_rows; i++) {
        dd_ratio ratio;
        memcpy(&ratio, (const char *)&s->rows[i] + at, sizeof ratio);
        if (ratio.to && ratio.to != &s->rows[i])
            return true;
    }
    return false;
}

typedef struct comparison {
    const char *heading, *terminal; /* in a file, on a terminal */
    const char *by;                 /* the row divided by, for the legend */
    size_t at;
} comparison;

static const comparison comparisons[] = {
    {"x 1 worker", "x 1", "with 1 worker, the same subject and simd",
     offsetof(dd_speedup_row, one)},
    {"x scalar", "x scalar", "with simd off, the same subject and workers",
     offsetof(dd_speedup_row, scalar)},
    {"x locks-gradient", "x gradient", "of subject locks-gradient, the same workers and simd",
     offsetof(dd_speedup_row, locks_gradient)},
    {"x locks", "x locks", "of subject locks, the same workers and simd",
     offsetof(dd_speedup_row, locks)},
};
#define N_COMPARISONS (sizeof comparisons / sizeof *comparisons)

static void add_times(page *p)
{
    add(p, "step ms", RIGHT);
    for (size_t i = 0; i < p->s->n_rows; i++) {
        double ms = p->s->rows[i].step_ns * 1e-6;
        number(p, i, ms, digits_for(ms));
    }
    add_spread(p);
    add(p, "tokens/s", RIGHT);
    for (size_t i = 0; i < p->s->n_rows; i++)
        number(p, i, p->s->rows[i].tokens_per_s, 0);
    for (size_t k = 0; k < N_COMPARISONS; k++) {
        const comparison *c = &comparisons[k];
        if (compares(p->whole, c->at))
            add_ratio(p, p->markdown ? c->heading : c->terminal, c->at + offsetof(dd_ratio, x), 0);
    }
    add_ratio(p, "x oracle", offsetof(dd_speedup_row, vs_oracle), 0);
    if (!compares(p->whole, offsetof(dd_speedup_row, one)))
        return;
    add_ratio(p, p->markdown ? "efficiency" : "eff", offsetof(dd_speedup_row, efficiency), 0);
}

/* ---- Columns: results ---- */

static void add_results(page *p)
{
    const dd_speedup *s = p->s;
    add(p, p->markdown ? "lane bound" : "bound", RIGHT | ONCE);
    for (size_t i = 0; i < s->n_rows; i++)
        if (s->rows[i].run)
            number(p, i, s->rows[i].run->end.info.lane_bound, 2);
    add(p, p->markdown ? "last loss" : "loss", RIGHT | ONCE);
    for (size_t i = 0; i < s->n_rows; i++)
        if (s->rows[i].run)
            loss_number(p, i, s->rows[i].loss_last);
    add(p, "floor", RIGHT | ONCE);
    for (size_t i = 0; i < s->n_rows; i++)
        if (s->rows[i].run)
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
        if (row->run && row->subject->bit_equal)
            PUT(p, i, "%.*s", p->markdown ? 16 : 8, row->run->end.hash);
        else if (row->run)
            PUT(p, i, "not bit-equal");
    }
}

/* ---- Tables ---- */

/* All columns; the same ones for some rows as for all. */
static void open_page(page *p)
{
    dd_table_open(&p->table, p->s->n_rows);
    add_settings(p);
    add_spheres(p);
    add_happenings(p);
    add_times(p);
    add_results(p);
}

/* A column of dashes, or of nothing, tells nothing. */
static bool tells(const char *value)
{
    return *value && strcmp(value, "-") != 0;
}

/* Whether a column is told once for all its rows, and how. */
static const char *told_once(const dd_table *t, size_t c)
{
    return t->column[c].tag & ONCE ? dd_table_constant(t, c) : NULL;
}

/* Hides what never varies. above: the page of all rows, whose line tells what never varies there;
 * NULL: this is it. */
static void hide(page *p, const page *above)
{
    dd_table *t = &p->table;
    for (size_t c = 0; c < t->n_columns; c++) {
        const char *value = dd_table_constant(t, c);
        bool empty = above && value && !tells(value);
        bool left_to_files = !value && (t->column[c].tag & FILES) && !p->markdown;
        t->column[c].hidden = told_once(t, c) || empty || left_to_files;
    }
}

/* What is hidden because it never varies, in one line, broken where a terminal ends. */
static void write_once(const page *p, const page *above, FILE *out)
{
    const dd_table *t = &p->table;
    size_t used = 0;
    for (size_t c = 0; c < t->n_columns; c++) {
        const char *value = told_once(t, c), *heading = dd_table_text(t, c, 0);
        if (!value || !tells(value) || (above && told_once(&above->table, c)))
            continue;
        size_t wide = strlen(heading) + strlen(value) + 3;
        bool broken = !p->markdown && used && used + wide > LINE;
        if (!used && above)
            used = p->s->n_rows == 1 ? (size_t)fprintf(out, "in the next row: ")
                                     : (size_t)fprintf(out, "in the next %zu rows: ", p->s->n_rows);
        else if (!used)
            used = (size_t)fprintf(out, "in all rows that have it: ");
        else
            fputs(broken ? ",\n  " : ", ", out);
        used = (broken ? 2 : used) + wide;
        fprintf(out, "%s ", heading);
        if (p->markdown)
            dd_text_markdown(value, out);
        else
            fputs(value, out);
    }
    if (used)
        fputs("\n\n", out);
}

/* Numbers in place of what is long; what they stand for goes to the legend. */
static void shorten(page *p, FILE *legend)
{
    for (size_t c = 0; c < p->table.n_columns; c++) {
        const dd_column *column = &p->table.column[c];
        if (!column->hidden && (column->tag & LONG) && column->width > LONG_TEXT)
            dd_table_number(&p->table, c, p->markdown, p->markdown ? "- " : "  ", legend);
    }
}

/* A table with what belongs to it. above: as for hide. returns  false: there was no memory */
static bool write_table(page *p, const page *above, FILE *out)
{
    char *legend = NULL;
    size_t size = 0;
    FILE *to_legend = open_memstream(&legend, &size);
    if (!to_legend)
        return false;
    hide(p, above);
    write_once(p, above, out);
    shorten(p, to_legend);
    if (fclose(to_legend) != 0 || p->table.failed) {
        free(legend);
        return false;
    }
    if (p->markdown)
        dd_table_markdown(&p->table, out);
    else
        dd_table_plain(&p->table, out);
    fprintf(out, "%s%s\n", size ? "\n" : "", legend);
    free(legend);
    return true;
}

/* The rows that begin with `first` and are of one block. */
static dd_speedup block_of(const dd_speedup *s, size_t first)
{
    size_t end = first + 1;
    while (end < s->n_rows && s->rows[end].cell->plan->block == s->rows[first].cell->plan->block)
        end++;
    return (dd_speedup){
        .sweep = s->sweep, .cores = s->cores, .n_rows = end - first, .rows = s->rows + first};
}

/* Whether one table for all rows is one that people read: judged as it is on a terminal. */
static bool fits(const dd_speedup *s)
{
    page p = {.s = s, .whole = s};
    char *legend = NULL;
    size_t size;
    open_page(&p);
    FILE *nowhere = open_memstream(&legend, &size);
    hide(&p, NULL);
    if (nowhere && !p.table.failed)
        shorten(&p, nowhere);
    if (nowhere)
        (void)fclose(nowhere);
    free(legend);
    bool narrow = dd_table_width(&p.table) <= WIDEST;
    dd_table_close(&p.table);
    return narrow;
}

/* One table, or one for each block below what all have in common. returns  false: no memory */
static bool write_tables(const dd_speedup *s, bool markdown, FILE *out)
{
    page all = {.s = s, .whole = s, .markdown = markdown};
    open_page(&all);
    bool one = fits(s) || block_of(s, 0).n_rows == s->n_rows, ok = !all.table.failed;
    if (ok && one)
        ok = write_table(&all, NULL, out);
    else if (ok)
        write_once(&all, NULL, out);
    for (size_t first = 0; ok && !one && first < s->n_rows;) {
        dd_speedup block = block_of(s, first);
        page p = {.s = &block, .whole = s, .markdown = markdown};
        open_page(&p);
        ok = !p.table.failed && write_table(&p, &all, out);
        dd_table_close(&p.table);
        first += block.n_rows;
    }
    dd_table_close(&all.table);
    return ok;
}

/* ---- Below the tables ---- */

/* Whether a check is one of some row's. */
static bool applies(const dd_speedup *s, size_t check)
{
    for (size_t i = 0; i < s->n_rows; i++)
        if (s->rows[i].cell->repeats[0].check[check].applies)
            return true;
    return false;
}

/* The checks' letters, broken into lines that a terminal holds. */
static void write_letters(const dd_speedup *s, const char *item, FILE *out)
{
    size_t n;
    const dd_check *checks = dd_checks(&n);
    int used = fprintf(out, "%schecks:", item);
    for (size_t i = 0; i < n; i++) {
        if (!applies(s, i))
            continue;
        if (used > 80)
            used = fprintf(out, "\n   ") - 1;
        used += fprintf(out, " %c %s,", checks[i].letter, checks[i].name);
    }
    fputs(" - skipped, ! did not hold.\n", out);
}

static bool has_subject(const dd_speedup *s, dd_subject subject)
{
    for (size_t i = 0; i < s->n_rows; i++)
        if (s->rows[i].cell->plan->settings.subject == subject)
            return true;
    return false;
}

static bool is_oversubscribed(const dd_speedup *s)
{
    for (size_t i = 0; i < s->n_rows; i++)
        if (s->rows[i].oversubscribed)
            return true;
    return false;
}

static void write_began(const page *p, const char *item, FILE *out)
{
    for (size_t i = 0; i < p->s->n_rows; i++) {
        if (!began_with(&p->s->rows[i]))
            continue;
        fprintf(out, "%s4>8: 4 workers at the start, 8 at the end, which the bound is of.\n", item);
        return;
    }
}

static void write_comparisons(const page *p, const char *item, FILE *out)
{
    for (size_t k = 0; k < N_COMPARISONS; k++) {
        const comparison *c = &comparisons[k];
        if (compares(p->s, c->at))
            fprintf(out, "%s%s: step of the row %s / own.\n", item,
                    p->markdown ? c->heading : c->terminal, c->by);
    }
    fprintf(out, "%sx oracle: step of the oracle / own.", item);
    fprintf(out, " Where several rows would do, the one most alike in what varies.\n");
    if (compares(p->s, offsetof(dd_speedup_row, one)))
        fprintf(out, "%s%s: x %s / min(workers, %u cores).\n", item,
                p->markdown ? "efficiency" : "eff", p->markdown ? "1 worker" : "1", p->s->cores);
}

static void write_guard(const page *p, const char *item, FILE *out)
{
    for (size_t i = 0; i < p->s->n_rows; i++) {
        const dd_run *run = p->s->rows[i].run;
        if (!run || !p->s->rows[i].cell->plan->settings.config.guard)
            continue;
        fprintf(out,
                "%sguarded: share of the segments in flight that a protection key guards%s%s.\n",
                item, run->end.guard_why[0] ? ";\n    none here: " : "", run->end.guard_why);
        return;
    }
}

static void write_legend(const page *p, const char *item, FILE *out)
{
    const dd_speedup *s = p->s;
    fprintf(out, "%sstep: median over repeats of each repeat's median step, step 0 left out.\n",
            item);
    fprintf(out, "%s%s of all those steps%s.\n", item,
            p->markdown ? "p10, p90:" : "spread: half of p90 - p10", p->markdown ? "" : ", / step");
    write_comparisons(p, item, out);
    fprintf(out, "%s%s: tokens / most tokens on one worker. segments: gradients in memory%s.\n",
            item, p->markdown ? "lane bound" : "bound", p->markdown ? " (most of one worker)" : "");
    fprintf(out,
            "%slast loss: of the last step, nats per token. floor: the lowest the data allows.\n",
            item);
    if (is_oversubscribed(s))
        fprintf(out, "%s+ oversubscribed: more workers than the %u cores usable here.\n", item,
                s->cores);
    write_began(p, item, out);
    if (has_subject(s, DD_SUBJECT_LOCKS))
        fprintf(out,
                "%slocks: one lock around the model, so that one thread computes at a time: "
                "serial by construction.\n",
                item);
    if (has_subject(s, DD_SUBJECT_LOCKS) || has_subject(s, DD_SUBJECT_LOCKS_GRADIENT))
        fprintf(out,
                "%snot bit-equal: sums follow the order of arrival; every loss is the oracle's "
                "within %g, every norm within %g, relative.\n",
                item, DD_CLOSE_LOSS, DD_CLOSE_NORM);
    write_guard(p, item, out);
    write_letters(s, item, out);
}

/* What was trained on, where it is one for all rows. */
static void write_data(const dd_speedup *s, bool markdown, FILE *out)
{
    const dd_speedup_row *first = NULL;
    for (size_t i = 0; i < s->n_rows; i++) {
        const dd_speedup_row *row = &s->rows[i];
        if (!row->run)
            continue;
        if (first && strcmp(row->run->end.data, first->run->end.data) != 0)
            return;
        first = first ? first : row;
    }
    if (!first)
        return;
    const dd_run_end *end = &first->run->end;
    bool king_james = strcmp(first->cell->plan->settings.data, "kjv") == 0 && !end->data_note[0];
    fprintf(out, "%sdata: %s", markdown ? "- " : "  ", king_james ? "the King James text, " : "");
    if (markdown)
        dd_text_markdown(end->data, out);
    else
        fputs(end->data, out);
    fprintf(out, ", %llu tokens%s", (unsigned long long)end->data_tokens,
            end->data_note[0] ? "; " : "");
    if (markdown)
        dd_text_markdown(end->data_note, out);
    else
        fputs(end->data_note, out);
    fputc('\n', out);
}

/* Equal reasons are told once, with the number of rows they stand for. */
static void write_reasons(const dd_speedup *s, bool markdown, FILE *out)
{
    for (size_t i = 0; i < s->n_rows; i++) {
        const dd_speedup_row *row = &s->rows[i];
        if (!row->reason[0])
            continue;
        size_t same = 0, before = 0;
        for (size_t j = 0; j < s->n_rows; j++) {
            if (s->rows[j].cell->verdict != row->cell->verdict ||
                strcmp(s->rows[j].reason, row->reason) != 0)
                continue;
            same++;
            before += j < i;
        }
        if (before)
            continue;
        fprintf(out, "%s%s %s", markdown ? "- " : "  ", dd_verdict_name(row->cell->verdict),
                row->cell->plan->label[0] ? row->cell->plan->label : s->sweep->scenario->name);
        if (same > 1)
            fprintf(out, " and %zu more", same - 1);
        fputs(": ", out);
        if (markdown)
            dd_text_markdown(row->reason, out);
        else
            fputs(row->reason, out);
        fputc('\n', out);
    }
}

/* The reason why nothing at all was timed, if there is one for all. */
static const char *all_not_timed(const dd_speedup *s)
{
    for (size_t i = 0; i < s->n_rows; i++)
        if (!s->rows[i].not_timed || strcmp(s->rows[i].not_timed, s->rows[0].not_timed) != 0)
            return NULL;
    return s->n_rows ? s->rows[0].not_timed : NULL;
}

void dd_speedup_write(const dd_speedup *s, bool markdown, FILE *out)
{
    const char *item = markdown ? "- " : "  ";
    const page p = {.s = s, .whole = s, .markdown = markdown};
    if (!write_tables(s, markdown, out)) {
        fputs("no memory for the table\n", out);
        return;
    }
    if (all_not_timed(s))
        fprintf(out, "%snot timed: %s\n", item, all_not_timed(s));
    write_legend(&p, item, out);
    write_data(s, markdown, out);
    write_reasons(s, markdown, out);
}
