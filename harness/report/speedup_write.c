/* SPDX-License-Identifier: MIT
 * The speedup table as Markdown, for a terminal, and as CSV. */
#include "speedup.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A table that grows column by column: the first pass counts, the second writes. */
typedef struct columns {
    dd_table table;
    size_t n;
    bool writing;
} columns;

/* Begins a column. returns  false while only counting */
static bool column(columns *c, const char *heading, bool right)
{
    size_t at = c->n++;
    if (!c->writing)
        return false;
    dd_table_set(&c->table, 0, at, "%s", heading);
    c->table.right[at] = right;
    return true;
}

#define CELL(c, row, ...) dd_table_set(&(c)->table, (row) + 1, (c)->n - 1, __VA_ARGS__)

/* A number, or a dash where there is none. */
static void number(columns *c, size_t row, double x, double scale, int decimals)
{
    if (isfinite(x))
        CELL(c, row, "%.*f", decimals, x * scale);
    else
        CELL(c, row, "-");
}

/* A loss; one that ran away keeps its column narrow. */
static void loss_number(columns *c, size_t row, double loss)
{
    if (fabs(loss) >= 1e6 && isfinite(loss))
        CELL(c, row, "%.3g", loss);
    else
        number(c, row, loss, 1, 3);
}

/* At least three digits, whatever the size. */
static int digits_for(double x)
{
    return x < 10 ? 2 : x < 100 ? 1 : 0;
}

static const char *kernels_of(const dd_speedup_row *row)
{
    return row->run ? row->run->end.kernels : "-";
}

/* ---- For people ---- */

/* As they were; as asked for, where no run says what became of that. */
static void set_workers(columns *c, size_t i, const dd_speedup_row *row)
{
    if (row->workers)
        CELL(c, i, "%u%s", row->workers, row->oversubscribed ? "+" : "");
    else
        CELL(c, i, "auto");
}

static void add_settings(columns *c, const dd_speedup *s)
{
    if (column(c, "workers", true))
        for (size_t i = 0; i < s->n_rows; i++)
            set_workers(c, i, &s->rows[i]);
    for (size_t k = 0; k < s->sweep->scenario->n_swept; k++) {
        const char *name = s->sweep->scenario->swept[k]->name;
        if (strcmp(name, "workers") != 0 && column(c, name, false))
            for (size_t i = 0; i < s->n_rows; i++)
                CELL(c, i, "%s", s->rows[i].cell->plan->values[k]);
    }
    if (column(c, "kernels", false))
        for (size_t i = 0; i < s->n_rows; i++)
            CELL(c, i, "%s", kernels_of(&s->rows[i]));
}

static void add_times(columns *c, const dd_speedup *s, bool markdown)
{
    if (column(c, "step ms", true)) {
        for (size_t i = 0; i < s->n_rows; i++) {
            double ms = s->rows[i].step_ns * 1e-6;
            number(c, i, ms, 1, digits_for(ms));
        }
    }
    if (markdown && column(c, "p10 to p90 ms", true)) {
        for (size_t i = 0; i < s->n_rows; i++) {
            double p10 = s->rows[i].p10_ns * 1e-6, p90 = s->rows[i].p90_ns * 1e-6;
            if (isfinite(p10) && isfinite(p90))
                CELL(c, i, "%.*f to %.*f", digits_for(p10), p10, digits_for(p10), p90);
            else
                CELL(c, i, "-");
        }
    }
    if (!markdown && column(c, "spread", true)) {
        for (size_t i = 0; i < s->n_rows; i++) {
            const dd_speedup_row *row = &s->rows[i];
            double half = 50 * (row->p90_ns - row->p10_ns) / row->step_ns;
            if (isfinite(half))
                CELL(c, i, "%.0f%%", half);
            else
                CELL(c, i, "-");
        }
    }
    if (column(c, "tokens/s", true))
        for (size_t i = 0; i < s->n_rows; i++)
            number(c, i, s->rows[i].tokens_per_s, 1, 0);
    if (column(c, markdown ? "x 1 worker" : "x 1", true))
        for (size_t i = 0; i < s->n_rows; i++)
            number(c, i, s->rows[i].vs_one, 1, 2);
    if (column(c, "x oracle", true))
        for (size_t i = 0; i < s->n_rows; i++)
            number(c, i, s->rows[i].vs_oracle, 1, digits_for(s->rows[i].vs_oracle));
    if (column(c, markdown ? "efficiency" : "eff", true))
        for (size_t i = 0; i < s->n_rows; i++)
            number(c, i, s->rows[i].efficiency, 1, 2);
    if (column(c, markdown ? "lane bound" : "bound", true))
        for (size_t i = 0; i < s->n_rows; i++)
            number(c, i, s->rows[i].run ? s->rows[i].run->end.info.lane_bound : (double)NAN, 1, 2);
}

static void add_results(columns *c, const dd_speedup *s, bool markdown)
{
    if (column(c, markdown ? "last loss" : "loss", true))
        for (size_t i = 0; i < s->n_rows; i++)
            loss_number(c, i, s->rows[i].loss_last);
    if (markdown && column(c, "floor", true))
        for (size_t i = 0; i < s->n_rows; i++)
            number(c, i, s->rows[i].run ? s->rows[i].run->end.floor_nats : (double)NAN, 1, 3);
    if (column(c, "verdict", false))
        for (size_t i = 0; i < s->n_rows; i++)
            CELL(c, i, "%s", dd_verdict_name(s->rows[i].cell->verdict));
    if (column(c, "checks", false))
        for (size_t i = 0; i < s->n_rows; i++)
            CELL(c, i, "%s", s->rows[i].checks);
    if (column(c, markdown ? "weights hash" : "hash", false))
        for (size_t i = 0; i < s->n_rows; i++)
            CELL(c, i, "%.*s", markdown ? 16 : 8, s->rows[i].run ? s->rows[i].run->end.hash : "-");
}

/* The checks' letters, broken into lines that a terminal holds. */
static void write_letters(const char *item, FILE *out)
{
    size_t n;
    const dd_check *checks = dd_checks(&n);
    int used = fprintf(out, "%schecks:", item);
    for (size_t i = 0; i < n; i++) {
        if (used > 80)
            used = fprintf(out, "\n   ") - 1;
        used += fprintf(out, " %c %s,", checks[i].letter, checks[i].name);
    }
    fputs(" - skipped, ! did not hold.\n", out);
}

static void write_legend(const dd_speedup *s, bool markdown, FILE *out)
{
    const char *item = markdown ? "- " : "  ";
    fprintf(out, "%sstep: median over repeats of each repeat's median step, step 0 left out.\n",
            item);
    fprintf(out, "%s%s of all those steps%s.\n", item,
            markdown ? "p10, p90:" : "spread: half of p90 - p10", markdown ? "" : ", / step");
    fprintf(
        out,
        "%sx %s: step of the row with 1 worker and the same other settings / own. x oracle: step "
        "of the oracle / own.\n",
        item, markdown ? "1 worker" : "1");
    fprintf(out, "%s%s: x %s / min(workers, %u cores). %s: tokens / most tokens on one worker.\n",
            item, markdown ? "efficiency" : "eff", markdown ? "1 worker" : "1", s->cores,
            markdown ? "lane bound" : "bound");
    if (s->oversubscribed)
        fprintf(out, "%s+ oversubscribed: more workers than the %u cores usable here.\n", item,
                s->cores);
    write_letters(item, out);
}

static void write_floor(const dd_speedup *s, FILE *out)
{
    for (size_t i = 0; i < s->n_rows; i++) {
        if (s->rows[i].run && isfinite(s->rows[i].run->end.floor_nats)) {
            fprintf(out, "  loss: of the last step, nats per token; the data's floor is %.3f.\n",
                    s->rows[i].run->end.floor_nats);
            return;
        }
    }
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
        if (row->cell->verdict == DD_PASS)
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
    columns c = {0};
    for (int pass = 0; pass < 2; pass++) {
        c.writing = pass == 1;
        if (c.writing && !dd_table_open(&c.table, c.n, s->n_rows)) {
            fputs("no memory for the table\n", out);
            return;
        }
        c.n = 0;
        add_settings(&c, s);
        add_times(&c, s, markdown);
        add_results(&c, s, markdown);
    }
    if (markdown)
        dd_table_markdown(&c.table, out);
    else
        dd_table_plain(&c.table, out);
    dd_table_close(&c.table);
    fputc('\n', out);
    if (all_not_timed(s))
        fprintf(out, "%snot timed: %s\n", markdown ? "- " : "  ", all_not_timed(s));
    write_legend(s, markdown, out);
    write_data(s, markdown, out);
    if (!markdown)
        write_floor(s, out);
    write_reasons(s, markdown, out);
}

/* ---- For programs ---- */

/* Full precision; empty where there is no number. */
static void exact(columns *c, size_t row, double x)
{
    if (isfinite(x))
        CELL(c, row, "%.17g", x);
    else
        CELL(c, row, "%s", "");
}

static void add_exact(columns *c, const dd_speedup *s, const char *name, size_t offset)
{
    if (!column(c, name, true))
        return;
    for (size_t i = 0; i < s->n_rows; i++) {
        double x;
        memcpy(&x, (const char *)&s->rows[i] + offset, sizeof x);
        exact(c, i, x);
    }
}

static void add_csv_settings(columns *c, const dd_speedup *s)
{
    size_t n_keys;
    const dd_key *keys = dd_keys(&n_keys);
    for (size_t k = 0; k < n_keys; k++) {
        if (!column(c, keys[k].name, false))
            continue;
        for (size_t i = 0; i < s->n_rows; i++) {
            char value[DD_SPEC_MAX];
            dd_settings_get(&s->rows[i].cell->plan->settings, keys[k].name, value);
            CELL(c, i, "%s", value);
        }
    }
    if (column(c, "data_used", false))
        for (size_t i = 0; i < s->n_rows; i++)
            CELL(c, i, "%s", s->rows[i].run ? s->rows[i].run->end.data : "");
    if (column(c, "data_hash", false))
        for (size_t i = 0; i < s->n_rows; i++)
            CELL(c, i, "%s", s->rows[i].run ? s->rows[i].run->end.data_hash : "");
    if (column(c, "workers_effective", true))
        for (size_t i = 0; i < s->n_rows; i++)
            CELL(c, i, "%u", s->rows[i].workers);
    if (column(c, "oversubscribed", false))
        for (size_t i = 0; i < s->n_rows; i++)
            CELL(c, i, "%s", s->rows[i].oversubscribed ? "true" : "false");
    if (column(c, "kernels", false))
        for (size_t i = 0; i < s->n_rows; i++)
            CELL(c, i, "%s", s->rows[i].run ? s->rows[i].run->end.kernels : "");
}

static void add_csv_results(columns *c, const dd_speedup *s)
{
    size_t n;
    const dd_check *checks = dd_checks(&n);
    if (column(c, "lane_bound", true))
        for (size_t i = 0; i < s->n_rows; i++)
            exact(c, i, s->rows[i].run ? s->rows[i].run->end.info.lane_bound : (double)NAN);
    add_exact(c, s, "loss_last", offsetof(dd_speedup_row, loss_last));
    if (column(c, "loss_floor", true))
        for (size_t i = 0; i < s->n_rows; i++)
            exact(c, i, s->rows[i].run ? s->rows[i].run->end.floor_nats : (double)NAN);
    if (column(c, "verdict", false))
        for (size_t i = 0; i < s->n_rows; i++)
            CELL(c, i, "%s", dd_verdict_name(s->rows[i].cell->verdict));
    for (size_t k = 0; k < n; k++) {
        if (!column(c, checks[k].name, false))
            continue;
        for (size_t i = 0; i < s->n_rows; i++) {
            dd_verdict verdict = DD_SKIP;
            for (uint32_t r = 0; r < s->rows[i].cell->n_repeats; r++)
                verdict = dd_verdict_join(verdict, s->rows[i].cell->repeats[r].check[k].verdict);
            CELL(c, i, "%s", dd_verdict_name(verdict));
        }
    }
    if (column(c, "reason", false))
        for (size_t i = 0; i < s->n_rows; i++)
            CELL(c, i, "%s", s->rows[i].reason);
    if (column(c, "not_timed", false))
        for (size_t i = 0; i < s->n_rows; i++)
            CELL(c, i, "%s", s->rows[i].not_timed ? s->rows[i].not_timed : "");
    if (column(c, "weights_hash", false))
        for (size_t i = 0; i < s->n_rows; i++)
            CELL(c, i, "%s", s->rows[i].run ? s->rows[i].run->end.hash : "");
}

void dd_speedup_csv(const dd_speedup *s, FILE *out)
{
    columns c = {0};
    for (int pass = 0; pass < 2; pass++) {
        c.writing = pass == 1;
        if (c.writing && !dd_table_open(&c.table, c.n, s->n_rows))
            return;
        c.n = 0;
        add_csv_settings(&c, s);
        if (column(&c, "repeats_timed", true))
            for (size_t i = 0; i < s->n_rows; i++)
                CELL(&c, i, "%u", s->rows[i].n_timed);
        if (column(&c, "cores", true))
            for (size_t i = 0; i < s->n_rows; i++)
                CELL(&c, i, "%u", s->cores);
        add_exact(&c, s, "step_ns_median", offsetof(dd_speedup_row, step_ns));
        add_exact(&c, s, "step_ns_p10", offsetof(dd_speedup_row, p10_ns));
        add_exact(&c, s, "step_ns_p90", offsetof(dd_speedup_row, p90_ns));
        add_exact(&c, s, "tokens_per_s", offsetof(dd_speedup_row, tokens_per_s));
        add_exact(&c, s, "speedup_vs_one_worker", offsetof(dd_speedup_row, vs_one));
        add_exact(&c, s, "speedup_vs_oracle", offsetof(dd_speedup_row, vs_oracle));
        add_exact(&c, s, "efficiency", offsetof(dd_speedup_row, efficiency));
        add_csv_results(&c, s);
    }
    dd_table_csv(&c.table, out);
    dd_table_close(&c.table);
}
