/* SPDX-License-Identifier: MIT
 * The page's sections of speed: the speedup table with intervals, and what each number was divided
 * by; curves and gains; where the time of a step goes. */
#include "page.h"
#include "table.h"

#include <math.h>
#include <string.h>

enum { PHASES_MAX = 32 };

static const char *const headings[DD_N_GAINS] = {
    [DD_GAIN_PARALLEL] = "× 1 worker",
    [DD_GAIN_SIMD] = "× SIMD off",
    [DD_GAIN_LOCK_FREE] = "× locks-gradient",
    [DD_GAIN_LOCKS] = "× locks",
    [DD_GAIN_TOTAL] = "× oracle",
};

/* ---- The table ---- */

/* Whether any row has that gain: a column of dashes says nothing. */
static bool has_gain(const dd_page_results *r, size_t gain)
{
    for (size_t i = 0; i < r->n_cells; i++)
        if (dd_page_timed(&r->cell[i]) && isfinite(r->cell[i].row->gain[gain].x))
            return true;
    return false;
}

static bool is_varied(const dd_page_results *r, const char *key)
{
    for (size_t i = 0; i < r->n_cells; i++)
        if (dd_page_value(&r->cell[i], key)[0])
            return true;
    return false;
}

static void write_interval(double low, double high, FILE *out)
{
    if (!isfinite(low) || !isfinite(high))
        return;
    dd_page_number_(low, out);
    fputs("–", out);
    dd_page_number_(high, out);
}

static void write_gain(const dd_gain *gain, FILE *out)
{
    fputs("<td class=\"n\">", out);
    if (isfinite(gain->x)) {
        dd_page_number_(gain->x, out);
        fputs("<small>", out);
        write_interval(gain->low, gain->high, out);
        if (gain->to != DD_NO_ROW)
            fprintf(out, " ÷ <a href=\"#row-%zu\" aria-label=\"divided by row %zu\">%zu</a>",
                    gain->to + 1, gain->to + 1, gain->to + 1);
        else
            fputs(" ÷ judge", out);
        fputs("</small>", out);
    } else {
        fputs("–", out);
    }
    fputs("</td>", out);
}

static size_t count_gains(const dd_page_results *r)
{
    size_t n = 0;
    for (size_t k = 0; k < DD_N_GAINS; k++)
        n += has_gain(r, k);
    return n;
}

static void write_times(const dd_page_results *r, const dd_page_row *row, FILE *out)
{
    fputs("<td class=\"n\">", out);
    dd_page_number_(row->step_ns * 1e-6, out);
    fputs("<small>", out);
    write_interval(row->low_ns * 1e-6, row->high_ns * 1e-6, out);
    fprintf(out, "</small></td><td class=\"n\">%zu", row->n_repeats);
    if (row->n_outliers)
        fprintf(out, "<small>%zu outlying</small>", row->n_outliers);
    if (row->wide)
        fputs("<small>wide</small>", out);
    if (isfinite(row->tokens_per_s))
        fprintf(out, "</td><td class=\"n\">%.0f</td>", row->tokens_per_s);
    else
        fputs("</td><td class=\"n\">–</td>", out);
    for (size_t k = 0; k < DD_N_GAINS; k++)
        if (has_gain(r, k))
            write_gain(&row->gain[k], out);
    fputs("<td class=\"n\">", out);
    if (isfinite(row->efficiency))
        dd_page_number_(row->efficiency, out);
    else
        fputs("–", out);
    fputs("</td>", out);
}

static void write_row(const dd_page_results *r, size_t i, bool subjects, FILE *out)
{
    const dd_page_cell *c = &r->cell[i];
    fprintf(out, "<tr id=\"row-%zu\"><td class=\"n\">%zu</td><th scope=\"row\">", i + 1, i + 1);
    dd_page_text_(dd_page_label(r, c), out);
    fputs("</th>", out);
    if (subjects) {
        fputs("<td>", out);
        dd_page_text_(c->row ? c->row->subject : "", out);
        fputs("</td>", out);
    }
    if (c->row)
        fprintf(out, "<td class=\"n\">%u%s</td>", c->row->workers,
                c->row->oversubscribed ? "+" : "");
    else
        fputs("<td></td>", out);
    fprintf(out, "<td%s>%s</td>", c->verdict > DD_SKIP ? " class=\"fail\"" : "",
            dd_verdict_name(c->verdict));
    if (dd_page_timed(c)) {
        write_times(r, c->row, out);
    } else {
        fprintf(out, "<td colspan=\"%zu\" class=\"soft\">not timed: ", 4 + count_gains(r));
        dd_page_text_(c->row && c->row->not_timed ? c->row->not_timed : "it has not been run", out);
        fputs("</td>", out);
    }
    fputs("<td class=\"n\">", out);
    if (c->row && isfinite(c->row->loss))
        fprintf(out, "%.4g", c->row->loss);
    fputs("</td><td><code>", out);
    if (c->row && c->row->hash) {
        char begin[9];
        (void)snprintf(begin, sizeof begin, "%s", c->row->hash);
        dd_page_text_(begin, out);
    }
    fputs("</code></td></tr>\n", out);
}

static void write_table(const dd_page_results *r, FILE *out)
{
    const bool subjects = is_varied(r, "subject");
    dd_page_table_("speedup",
                   "Step: median over repeats of each repeat’s median step, and the interval that "
                   "holds the median of such repeats in 95 of 100 cases (with five repeats or "
                   "fewer: their range). × something: its step "
                   "divided by this row’s; ÷ names the row that it is of; ÷ judge: the oracle’s "
                   "run, made once, that the row was judged by. Efficiency: × 1 worker, divided by "
                   "the workers or by the cores, whichever are fewer. + more workers "
                   "than cores. Outlying repeats are counted, not left out; wide: the interval did "
                   "not get as narrow as the scenario asks. Hash: of the weights, its beginning.",
                   out);
    fprintf(out,
            "<thead><tr><th scope=\"col\" class=\"n\">row</th><th scope=\"col\">cell</th>%s"
            "<th scope=\"col\" class=\"n\">workers</th><th scope=\"col\">verdict</th>"
            "<th scope=\"col\" class=\"n\">step, ms</th><th scope=\"col\" class=\"n\">repeats</th>"
            "<th scope=\"col\" class=\"n\">tokens/s</th>",
            subjects ? "<th scope=\"col\">subject</th>" : "");
    for (size_t k = 0; k < DD_N_GAINS; k++)
        if (has_gain(r, k))
            fprintf(out, "<th scope=\"col\" class=\"n\">%s</th>", headings[k]);
    fputs("<th scope=\"col\" class=\"n\">efficiency</th><th scope=\"col\" class=\"n\">last "
          "loss</th><th scope=\"col\">hash</th></tr></thead>\n<tbody>\n",
          out);
    for (size_t i = 0; i < r->n_cells; i++)
        write_row(r, i, subjects, out);
    fputs("</tbody>\n", out);
    dd_page_table_end_(out);
}

/* ---- Plots ---- */

static bool has_plots(const dd_figures *f, dd_figure_kind kind)
{
    return f->first[kind] < f->first[kind + 1];
}

/* A section of plots, or a sentence that says what a sweep would need to have it. */
static void write_gains(const dd_figures *f, dd_figure_kind kind, const char *id,
                        const char *heading, const char *about, const char *absent, FILE *out)
{
    fprintf(out, "<section id=\"%s\">\n<h2>%s</h2>\n<p>%s</p>\n", id, heading,
            has_plots(f, kind) ? about : absent);
    dd_page_plots_(f, kind, out);
    fputs("</section>\n", out);
}

/* ---- Phases ---- */

static size_t list_phases(const dd_page_results *r, const char *name[PHASES_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_cells; i++)
        for (size_t p = 0; p < r->cell[i].n_phases; p++) {
            bool told = n == PHASES_MAX;
            for (size_t k = 0; k < n && !told; k++)
                told = strcmp(name[k], r->cell[i].phase[p].name) == 0;
            if (!told)
                name[n++] = r->cell[i].phase[p].name;
        }
    return n;
}

static void write_phase_row(const dd_page_results *r, size_t i, const char *const *name, size_t n,
                            FILE *out)
{
    const dd_page_cell *c = &r->cell[i];
    fprintf(out, "<tr><td class=\"n\">%zu</td><th scope=\"row\">", i + 1);
    dd_page_text_(dd_page_label(r, c), out);
    fputs("</th>", out);
    for (size_t k = 0; k < n; k++) {
        const dd_page_phase *phase = NULL;
        for (size_t p = 0; p < c->n_phases && !phase; p++)
            phase = strcmp(c->phase[p].name, name[k]) == 0 ? &c->phase[p] : NULL;
        if (phase && isfinite(phase->share) && isfinite(phase->seconds)) {
            fprintf(out, "<td class=\"n\">%.1f %%<small>", 100 * phase->share);
            dd_page_number_(1e3 * phase->seconds, out);
            fputs(" ms</small></td>", out);
        } else {
            fputs("<td class=\"n\">–</td>", out);
        }
    }
    fputs("</tr>\n", out);
}

static void write_phases(const dd_page_results *r, const dd_figures *f, FILE *out)
{
    const char *name[PHASES_MAX];
    const size_t n = list_phases(r, name);
    fputs("<section id=\"phases\">\n<h2>Time per phase</h2>\n", out);
    if (n == 0) {
        fputs("<p>This folder says nothing of phases: it has no cell in whose run.json there is a "
              "“time”.</p>\n</section>\n",
              out);
        return;
    }
    fputs(
        "<p>What workers spend their time on, of one run of each cell: the phases that take most, "
        "all waiting together, and the rest; the table has each.</p>\n",
        out);
    dd_page_plots_(f, DD_FIGURE_PHASES, out);
    dd_page_table_(
        "phases",
        "Share of the workers’ time, and milliseconds of all threads together. What controls "
        "do while workers wait has a share of 0.",
        out);
    fputs("<thead><tr><th scope=\"col\" class=\"n\">row</th><th scope=\"col\">cell</th>", out);
    for (size_t k = 0; k < n; k++) {
        fputs("<th scope=\"col\" class=\"n\">", out);
        dd_page_text_(name[k], out);
        fputs("</th>", out);
    }
    fputs("</tr></thead>\n<tbody>\n", out);
    for (size_t i = 0; i < r->n_cells; i++)
        if (r->cell[i].n_phases)
            write_phase_row(r, i, name, n, out);
    fputs("</tbody>\n", out);
    dd_page_table_end_(out);
    fputs("</section>\n", out);
}

void dd_page_speed_(const dd_page_results *r, const dd_figures *f, FILE *out)
{
    fputs("<section id=\"speed\">\n<h2>Speed</h2>\n", out);
    if (has_plots(f, DD_FIGURE_SPEEDUP)) {
        fputs("<p>Speedup over one worker with the same settings; bars are the intervals. The "
              "dashed line is the ideal: as many times as there are workers, up to the cores of "
              "this machine.</p>\n",
              out);
        dd_page_plots_(f, DD_FIGURE_SPEEDUP, out);
    } else {
        fputs("<p>No curve: no two cells were timed that differ in nothing but their workers and "
              "have one with 1 worker beside them.</p>\n",
              out);
    }
    if (has_plots(f, DD_FIGURE_TOTAL)) {
        fputs("<h3>Against the serial oracle</h3>\n<p>How many times the speed of the plain "
              "single-threaded trainer whose answer every cell must match. The dashed line is "
              "its speed.</p>\n",
              out);
        dd_page_plots_(f, DD_FIGURE_TOTAL, out);
    }
    fputs("<h3>Every cell</h3>\n", out);
    write_table(r, out);
    fputs("</section>\n", out);
    write_gains(f, DD_FIGURE_SIMD, "simd", "What SIMD gains",
                "How many times the speed of the scalar kernels with as many workers. The dashed "
                "line is no gain.",
                "Nothing to compare: no timed cell has one with <code>simd: off</code> beside it.",
                out);
    write_gains(f, DD_FIGURE_LOCK_FREE, "lock-free", "What doing without locks gains",
                "How many times the speed of the same kernels under locks, with as many workers: "
                "<code>locks-gradient</code> takes a lock to add up gradients, <code>locks</code> "
                "one around the model, so that one thread computes at a time. The dashed line is "
                "no gain.",
                "Nothing to compare: no timed cell has one with the subject <code>locks</code> or "
                "<code>locks-gradient</code> beside it.",
                out);
    write_phases(r, f, out);
}
