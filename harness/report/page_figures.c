/* SPDX-License-Identifier: MIT
 * From results to commands for gnuplot. */
#include "page_figures.h"
#include "page_choice.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    NAMES_MAX = 32, /* of phases; the trainer has fewer */
    PHASES_MAX = 7, /* named in a bar */
    GREY = 7        /* of dd_colours */
};

/* Point types of gnuplot that differ in form. */
static const int forms[DD_SERIES_MAX] = {7, 5, 9, 13, 11, 4};

/* ---- Plots by kind ---- */

/* Heights in points: a line of the key, what an axis with its title takes, a row. */
enum { KEY_LINE = 18, AXIS = 48, ROW = 24, CURVES = 250 };

/* Puts the key at the top and the axes below it, where both have room; `axis` is what x is.
 * returns  the plot's height */
static uint32_t lay_out(size_t keys, size_t inside, const char *axis, FILE *out)
{
    const size_t top = keys ? keys * KEY_LINE + 20 : 6, height = top + inside + AXIS;
    fprintf(out,
            "set tmargin at screen %.4f\nset bmargin at screen %.4f\nset rmargin 2\n"
            "set xlabel '%s' offset 0,0.6\n",
            1 - (double)top / (double)height, (double)AXIS / (double)height, axis);
    if (keys)
        fprintf(out,
                "set key at screen 0.02, screen %.4f left top horizontal maxcols 1 samplen 2 "
                "reverse Left\n",
                1 - 6 / (double)height);
    else
        fputs("unset key\n", out);
    return (uint32_t)height;
}

static double end_of(double bound, double x)
{
    return isfinite(bound) ? bound : x;
}

/* Data of curve or mark `number`: x, y and the interval of y. */
static void write_gain(const dd_gain *gain, double at, FILE *out)
{
    fprintf(out, "%.9g %.9g %.9g %.9g\n", at, gain->x, end_of(gain->low, gain->x),
            end_of(gain->high, gain->x));
}

/* From one worker to the most of the plot that cell `first` is in. */
static void range_of(const dd_choice *c, size_t first, double *least, double *most)
{
    *least = 1; /* what everything is divided by */
    *most = 1;
    for (size_t i = 0; i < c->n_cells; i++)
        if (dd_choice_agree_(c, first, i, 0, c->n_panel))
            *most = fmax(*most, dd_choice_cell_(c, i)->row->workers);
}

/* Tics where there are cells, and at one worker. */
static void write_worker_tics(const dd_choice *c, size_t first, FILE *out)
{
    fputs("set xtics (1", out);
    for (size_t i = 0; i < c->n_cells; i++) {
        const uint32_t workers = dd_choice_cell_(c, i)->row->workers;
        bool told = workers == 1 || !dd_choice_agree_(c, first, i, 0, c->n_panel);
        for (size_t j = 0; j < i && !told; j++)
            told = dd_choice_cell_(c, j)->row->workers == workers &&
                   dd_choice_agree_(c, first, j, 0, c->n_panel);
        if (!told)
            fprintf(out, ", %u", workers);
    }
    fputs(")\n", out);
}

static uint32_t write_curves(const dd_choice *c, size_t first, FILE *out)
{
    double least, most;
    char label[DD_CHOICE_TEXT_BYTES];
    size_t n = 0;
    const double cores = c->r->cores ? c->r->cores : 1;
    range_of(c, first, &least, &most);
    for (size_t i = 0; i < c->n_cells; i++) {
        if (!dd_choice_agree_(c, first, i, 0, c->n_panel) || !dd_choice_first_(c, i, true))
            continue;
        /* beside each other, where intervals would hide one another */
        const double aside = pow(1.02, (double)n - 1);
        fprintf(out, "$curve%zu << EOD\n", ++n);
        for (size_t j = i; j < c->n_cells; j++)
            if (dd_choice_agree_(c, i, j, 0, c->n_keys))
                write_gain(&dd_choice_cell_(c, j)->row->gain[DD_GAIN_PARALLEL],
                           dd_choice_cell_(c, j)->row->workers * aside, out);
        fputs("EOD\n", out);
    }
    fputs("$ideal << EOD\n", out);
    for (int i = 0; i <= 48; i++) {
        const double at = least * pow(most / least, i / 48.0);
        fprintf(out, "%.9g %.9g\n", at, fmin(at, cores));
    }
    fputs("EOD\n", out);
    fprintf(out,
            "set logscale x 2\nset xrange [%.9g:%.9g]\nset yrange [0:*]\n"
            "set ylabel 'times the speed of 1 worker'\n",
            least * 0.9, most * 1.12);
    write_worker_tics(c, first, out);
    const uint32_t height = lay_out(n + 1, CURVES, "workers", out);
    fprintf(out, "plot $ideal with lines dt 2 lw 1.5 lc rgb 'black' title 'ideal: %g core%s here'",
            cores, cores > 1 ? "s" : "");
    n = 0;
    for (size_t i = 0; i < c->n_cells; i++) {
        if (!dd_choice_agree_(c, first, i, 0, c->n_panel) || !dd_choice_first_(c, i, true))
            continue;
        if (!dd_choice_describe_(c, i, c->n_panel, c->n_keys, label, sizeof label))
            strcpy(label, "measured");
        fprintf(out, ", $curve%zu with yerrorlines lw 2 pt %d ps 0.8 lc rgb '%s' title ", n + 1,
                forms[n % DD_SERIES_MAX], dd_colours[n % DD_N_COLOURS].light);
        dd_plot_text(label, false, out);
        n++;
    }
    fputc('\n', out);
    return height;
}

/* Rows of a plot from the top, with their labels; n: how many. */
static size_t write_rows(const dd_choice *c, size_t first, FILE *out)
{
    size_t n = 0;
    fputs("set ytics scale 0 (", out);
    for (size_t i = 0; i < c->n_cells; i++) {
        if (!dd_choice_agree_(c, first, i, 0, c->n_panel))
            continue;
        fputs(n++ ? ", " : "", out);
        dd_choice_label_(c, i, out);
        fprintf(out, " %zu", n);
    }
    fprintf(out, ")\nset yrange [%zu.6:0.4]\n", n);
    return n;
}

/* below: how far below the middle of their rows, of which each is 1 high. */
static void write_marks(const dd_choice *c, size_t first, dd_gain_kind gain, double below,
                        FILE *out)
{
    size_t row = 0;
    fprintf(out, "$marks%d << EOD\n", (int)gain);
    for (size_t i = 0; i < c->n_cells; i++) {
        if (!dd_choice_agree_(c, first, i, 0, c->n_panel))
            continue;
        row++;
        if (isfinite(dd_choice_cell_(c, i)->row->gain[gain].x))
            write_gain(&dd_choice_cell_(c, i)->row->gain[gain], (double)row + below, out);
    }
    fputs("EOD\n", out);
}

/* Whether the plot has a mark of that kind. */
static bool has_marks(const dd_choice *c, size_t first, dd_gain_kind gain)
{
    for (size_t i = 0; i < c->n_cells; i++)
        if (dd_choice_agree_(c, first, i, 0, c->n_panel) &&
            isfinite(dd_choice_cell_(c, i)->row->gain[gain].x))
            return true;
    return false;
}

static uint32_t write_dots(const dd_choice *c, size_t first, FILE *out)
{
    static const struct {
        const char *axis;
        dd_gain_kind gain[2];
    } of[DD_N_FIGURES] = {
        [DD_FIGURE_SIMD] = {"times the speed with SIMD off", {DD_GAIN_SIMD, DD_N_GAINS}},
        [DD_FIGURE_LOCK_FREE] = {"times the speed of a trainer with locks",
                                 {DD_GAIN_LOCK_FREE, DD_GAIN_LOCKS}},
        [DD_FIGURE_TOTAL] = {"times the speed of the oracle", {DD_GAIN_TOTAL, DD_N_GAINS}},
    };
    static const char *const titles[2] = {"against locks-gradient", "against locks"};
    const bool two = c->kind == DD_FIGURE_LOCK_FREE;
    const char *between = "plot ";
    const size_t n = write_rows(c, first, out);
    for (size_t k = 0; k < 1 + (size_t)two; k++)
        write_marks(c, first, of[c->kind].gain[k], !two ? 0 : k ? 0.15 : -0.15, out);
    fprintf(out,
            "set xrange [0:*]\nset grid noytics xtics lt 1 lw 0.5 lc rgb '%s'\n"
            "set arrow 1 from first 1, graph 0 to first 1, graph 1 nohead dt 2 lc rgb 'black'\n",
            dd_colours[GREY].light);
    const uint32_t height = lay_out(two ? 2 : 0, ROW * n, of[c->kind].axis, out);
    for (size_t k = 0; k < 1 + (size_t)two; k++) {
        const dd_gain_kind gain = of[c->kind].gain[k];
        if (!has_marks(c, first, gain))
            continue; /* gnuplot takes no empty data */
        fprintf(out,
                "%s$marks%d using 2:1:3:4 with xerrorbars lw 2 pt %d ps 0.8 lc rgb '%s' title '%s'",
                between, (int)gain, k ? 4 : 7, dd_colours[k].light, two ? titles[k] : "");
        between = ", ";
    }
    fputc('\n', out);
    return height;
}

/* What bars are made of: the phases that take most over all cells, so that each has its colour in
 * every plot, all waiting together, and the rest. */
typedef struct parts {
    const char *name[PHASES_MAX];
    size_t n; /* named ones */
} parts;

static double share_of(const dd_page_cell *cell, const char *phase)
{
    for (size_t p = 0; p < cell->n_phases; p++)
        if (strcmp(cell->phase[p].name, phase) == 0 && isfinite(cell->phase[p].share))
            return fmax(0, cell->phase[p].share);
    return 0;
}

static bool is_wait(const char *phase)
{
    return strncmp(phase, "wait ", 5) == 0;
}

/* Over all cells of the figure. */
static double total_of(const dd_choice *c, const char *phase)
{
    double sum = 0;
    for (size_t i = 0; i < c->n_cells; i++)
        sum += share_of(dd_choice_cell_(c, i), phase);
    return sum;
}

/* Names of the cells' phases, without waits and "other".  returns  how many */
static size_t list_names(const dd_choice *c, const char *name[NAMES_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < c->n_cells; i++) {
        const dd_page_cell *cell = dd_choice_cell_(c, i);
        for (size_t p = 0; p < cell->n_phases; p++) {
            const char *phase = cell->phase[p].name;
            bool told = n == NAMES_MAX || is_wait(phase) || strcmp(phase, "other") == 0;
            for (size_t k = 0; k < n && !told; k++)
                told = strcmp(name[k], phase) == 0;
            if (!told)
                name[n++] = phase;
        }
    }
    return n;
}

/* The phases that take most, the most first. */
static void list_parts(const dd_choice *c, parts *out)
{
    const char *name[NAMES_MAX];
    double total[NAMES_MAX];
    const size_t n = list_names(c, name);
    for (size_t k = 0; k < n; k++)
        total[k] = total_of(c, name[k]);
    for (out->n = 0; out->n < PHASES_MAX && out->n < n; out->n++) {
        size_t most = 0;
        for (size_t k = 1; k < n; k++)
            most = total[k] > total[most] ? k : most;
        out->name[out->n] = name[most];
        total[most] = -1;
    }
}

/* Part k of the cell's bar, in percent; the last two are waiting and the rest. */
static double part_of_bar(const parts *p, const dd_page_cell *cell, size_t k)
{
    double named = 0, waiting = 0;
    if (k < p->n)
        return 100 * share_of(cell, p->name[k]);
    for (size_t i = 0; i < p->n; i++)
        named += share_of(cell, p->name[i]);
    for (size_t i = 0; i < cell->n_phases; i++)
        waiting += is_wait(cell->phase[i].name) ? fmax(0, cell->phase[i].share) : 0;
    return 100 * (k == p->n ? waiting : fmax(0, 1 - named - waiting));
}

/* Each row a bar of the parts one after another. */
static uint32_t write_bars(const dd_choice *c, size_t first, FILE *out)
{
    parts p;
    list_parts(c, &p);
    const size_t n = write_rows(c, first, out), n_parts = p.n + 2;
    for (size_t k = 0; k < n_parts; k++) {
        size_t row = 0;
        fprintf(out, "$part%zu << EOD\n", k + 1);
        for (size_t i = 0; i < c->n_cells; i++) {
            double from = 0;
            if (!dd_choice_agree_(c, first, i, 0, c->n_panel))
                continue;
            for (size_t before = 0; before < k; before++)
                from += part_of_bar(&p, dd_choice_cell_(c, i), before);
            const double to = from + part_of_bar(&p, dd_choice_cell_(c, i), k);
            row++;
            fprintf(out, "%.6g %zu %.6g %.6g %.6g %.6g\n", (from + to) / 2, row, from, to,
                    (double)row - 0.36, (double)row + 0.36);
        }
        fputs("EOD\n", out);
    }
    fputs("set xrange [0:100]\nset style fill solid 1 noborder\n", out);
    const uint32_t height = lay_out(n_parts, ROW * n, "percent of the time of the workers", out);
    for (size_t k = 0; k < n_parts; k++) {
        fprintf(out, "%s$part%zu with boxxyerror lc rgb '%s' title ", k ? ", " : "plot ", k + 1,
                dd_colours[k < p.n    ? k
                           : k == p.n ? GREY
                                      : DD_N_COLOURS - 1]
                    .light);
        dd_plot_text(k < p.n ? p.name[k] : k == p.n ? "waiting" : "the rest", false, out);
    }
    fputc('\n', out);
    return height;
}

/* ---- Plots ---- */

/* One worker count is no curve; the tables have it. */
static bool is_worth_while(const dd_choice *c, size_t first)
{
    double least, most;
    if (c->kind != DD_FIGURE_SPEEDUP)
        return true;
    for (size_t i = 0; i < c->n_cells; i++)
        if (dd_choice_agree_(c, first, i, 0, c->n_panel) &&
            dd_choice_cell_(c, i)->row->workers != dd_choice_cell_(c, first)->row->workers) {
            range_of(c, first, &least, &most);
            return most > least;
        }
    return false;
}

static bool add_plot(dd_figures *f, const dd_choice *c, size_t first)
{
    static const struct {
        const char *name;
        uint32_t (*write)(const dd_choice *c, size_t first, FILE *out);
    } of[DD_N_FIGURES] = {
        [DD_FIGURE_SPEEDUP] = {"speedup", write_curves},
        [DD_FIGURE_SIMD] = {"simd", write_dots},
        [DD_FIGURE_LOCK_FREE] = {"lock-free", write_dots},
        [DD_FIGURE_TOTAL] = {"total", write_dots},
        [DD_FIGURE_PHASES] = {"phases", write_bars},
    };
    dd_plot *plot = &f->plot[f->n];
    char title[DD_CHOICE_TEXT_BYTES];
    size_t size;
    (void)snprintf(plot->name, sizeof plot->name, "%s-%zu", of[c->kind].name,
                   f->n - f->first[c->kind] + 1);
    if (!dd_choice_describe_(c, first, 0, c->n_panel, title, sizeof title))
        (void)snprintf(title, sizeof title, "%.200s", c->r->scenario);
    FILE *out = open_memstream(&plot->commands, &size);
    if (!out)
        return false;
    f->n++; /* owned from here on */
    plot->title = strdup(title);
    fputs("set border 3\nset tics nomirror\n", out);
    plot->height = of[c->kind].write(c, first, out);
    const bool written = !ferror(out);
    return fclose(out) == 0 && written && plot->title;
}

bool dd_figures_open(dd_figures *f, const dd_page_results *r)
{
    bool whole = true;
    *f = (dd_figures){0};
    for (int kind = 0; kind < DD_N_FIGURES && whole; kind++) {
        dd_choice c;
        f->first[kind] = f->n;
        whole = dd_choice_open_(&c, r, (dd_figure_kind)kind);
        for (size_t i = 0; i < c.n_cells && whole; i++) {
            if (!dd_choice_first_(&c, i, false) || !is_worth_while(&c, i))
                continue;
            if (f->n - f->first[kind] < DD_FIGURES_MAX)
                whole = add_plot(f, &c, i);
            else
                f->left_out[kind]++;
        }
        free(c.cell);
    }
    f->first[DD_N_FIGURES] = f->n;
    return whole;
}

void dd_figures_close(dd_figures *f)
{
    dd_plots_close(f->plot, f->n);
    *f = (dd_figures){0};
}
