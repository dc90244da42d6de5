/* SPDX-License-Identifier: MIT
 * What stands below the speedup table: how each number came about, what marks mean, what was
 * trained on, and why rows have no numbers. */
#include "speedup_page.h"

#include <string.h>

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
        if (!dd_page_began_with_(&p->s->rows[i]))
            continue;
        fprintf(out, "%s4>8: 4 workers at the start, 8 at the end, which the bound is of.\n", item);
        return;
    }
}

/* Whether some row is divided by another. */
static bool compares_rows(const dd_speedup *s)
{
    for (size_t k = 0; k < DD_PAGE_COMPARISONS; k++)
        if (dd_page_compares_(s, dd_page_comparisons_[k].at))
            return true;
    return dd_page_compares_(s, offsetof(dd_speedup_row, oracle));
}

/* Which step of the oracle's, and which row where several would do. */
static void write_oracle(const page *p, const char *item, FILE *out)
{
    const char *next = p->markdown ? " " : "\n    ";
    fprintf(out, "%sx oracle: step of ", item);
    if (!dd_page_by_oracle_row_(p->s))
        fputs("the oracle, run once, / own.", out);
    else if (!dd_page_by_oracle_run_(p->s))
        fputs("the oracle's row / own.", out);
    else
        fprintf(out,
                "the oracle's row that trains the same / own;%s^ where none was timed, of the "
                "oracle's run, made once, that judges the row / own.",
                next);
    if (compares_rows(p->s))
        fprintf(out, "%sWhere several rows would do, the one most alike in what varies.", next);
    fputc('\n', out);
}

static void write_comparisons(const page *p, const char *item, FILE *out)
{
    for (size_t k = 0; k < DD_PAGE_COMPARISONS; k++) {
        const dd_comparison *c = &dd_page_comparisons_[k];
        if (dd_page_compares_(p->s, c->at))
            fprintf(out, "%s%s: step of the row %s / own.\n", item,
                    p->markdown ? c->heading : c->terminal, c->by);
    }
    if (dd_page_has_own_(p->s))
        write_oracle(p, item, out);
    if (dd_page_compares_(p->s, offsetof(dd_speedup_row, one)))
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

static bool has_end(const dd_speedup *s, dd_cell_end end)
{
    for (size_t i = 0; i < s->n_rows; i++)
        if (!s->rows[i].not_timed && s->rows[i].end == end)
            return true;
    return false;
}

/* What the interval is made of, and what the marks beside the number of repeats say. */
static void write_repeats(const page *p, const char *item, FILE *out)
{
    const dd_settings *settings = &p->s->sweep->cells[0].plan->settings;
    uint32_t least = UINT32_MAX;
    size_t outliers = 0;
    for (size_t i = 0; i < p->s->n_rows; i++) {
        const dd_speedup_row *row = &p->s->rows[i];
        outliers += row->n_outliers;
        if (!row->not_timed && row->n_timed > 1 && row->n_timed < least)
            least = row->n_timed;
    }
    if (least == UINT32_MAX) /* one repeat each: no interval has been shown */
        return;
    fprintf(out, "%s%s: %s95 %% interval of the step, by bootstrap over repeats", item,
            p->markdown ? "interval" : "±", p->markdown ? "" : "half the ");
    if (least <= DD_BOOTSTRAP_FEW)
        fprintf(out,
                ";\n%sup to %d repeats are too few for that: it is their range, which holds the "
                "median\n%s%g %% of the time with %u",
                p->markdown ? "  " : "    ", DD_BOOTSTRAP_FEW, p->markdown ? "  " : "    ",
                100 - 100 / (double)(1u << (least - 1)), least);
    fputs(".\n", out);
    if (settings->shuffle && p->s->n_rows > 1)
        fprintf(out, "%srepeats: the cells' order in each is another, drawn from shuffle %llu.\n",
                item, (unsigned long long)settings->shuffle);
    if (settings->interval > 0)
        fprintf(out,
                "%s%u repeats or more, until half the interval is at most %g %% of the step%s.\n",
                item, settings->repeats, 100 * settings->interval,
                has_end(p->s, DD_CELL_OPEN) ? ", not reached yet" : "");
    if (has_end(p->s, DD_CELL_AT_MOST))
        fprintf(out, "%s~ the interval is wider than that after %u repeats, the most allowed.\n",
                item, settings->repeats_max);
    if (has_end(p->s, DD_CELL_LATE))
        fprintf(out, "%s~ the interval is wider than that, and the %g minutes were over.\n", item,
                settings->minutes_max);
    if (outliers)
        fprintf(out,
                "%s%s for each repeat further from their median than 3 x 1.4826 x the median of "
                "all such\n%sdistances; it counts like the others.\n",
                item, p->markdown ? "\\*" : "*", p->markdown ? "  " : "    ");
}

/* What plug-ins are held against. */
static void write_plugins(const page *p, const char *item, FILE *out)
{
    fprintf(
        out,
        "%splug-ins: each is held against its own run with one worker, made once beside these.\n",
        item);
    for (size_t i = 0; i < p->s->n_rows; i++) {
        if (!dd_speedup_is_plugin(&p->s->rows[i]) || dd_speedup_is_bit_equal(&p->s->rows[i]))
            continue;
        fprintf(out,
                "%swithin X: losses |a - b| / |b|, weights |a - b| / max(|b|, root mean square of "
                "b's piece).\n",
                item);
        return;
    }
}

/* Of step 0: it is left out of runs that have others. */
static const char *left_out(const dd_speedup *s)
{
    size_t n_timed = 0, n_one = 0;
    for (size_t i = 0; i < s->n_rows; i++) {
        n_timed += !s->rows[i].not_timed;
        n_one += !s->rows[i].not_timed && s->rows[i].run->n_steps == 1;
    }
    return n_one == 0        ? "step 0 left out"
           : n_one < n_timed ? "step 0 left out where there are others"
                             : "step 0 here, the only one";
}

static void write_legend(const page *p, const char *item, FILE *out)
{
    const dd_speedup *s = p->s;
    fprintf(out, "%sstep: median over repeats of each repeat's median step, %s.\n", item,
            left_out(s));
    write_repeats(p, item, out);
    write_comparisons(p, item, out);
    if (dd_page_has_own_(s))
        fprintf(
            out,
            "%s%s: tokens / most tokens on one worker. segments: gradients in memory%s.\n"
            "%slast loss: of the last step, nats per token. floor: the lowest the data allows.\n",
            item, p->markdown ? "lane bound" : "bound", p->markdown ? " (most of one worker)" : "",
            item);
    if (has_subject(s, DD_SUBJECT_PLUGIN))
        write_plugins(p, item, out);
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
                "within %g,\n%severy norm within %g, relative.\n",
                item, DD_CLOSE_LOSS, p->markdown ? "  " : "    ", DD_CLOSE_NORM);
    write_guard(p, item, out);
    write_letters(s, item, out);
}

/* What was trained on, where it is one for all rows. */
static void write_data(const dd_speedup *s, bool markdown, FILE *out)
{
    const dd_speedup_row *first = NULL;
    for (size_t i = 0; i < s->n_rows; i++) {
        const dd_speedup_row *row = &s->rows[i];
        if (!row->run || !row->run->end.data[0])
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
        const char *label =
            row->cell->plan->label[0] ? row->cell->plan->label : s->sweep->scenario->name;
        fprintf(out, "%s%s ", markdown ? "- " : "  ", dd_verdict_name(row->cell->verdict));
        if (markdown)
            dd_text_markdown(label, out);
        else
            fputs(label, out);
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

void dd_page_write_below_(const page *p, FILE *out)
{
    write_legend(p, p->markdown ? "- " : "  ", out);
    write_data(p->s, p->markdown, out);
    write_reasons(p->s, p->markdown, out);
}
