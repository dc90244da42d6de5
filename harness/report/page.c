/* SPDX-License-Identifier: MIT
 * The page's frame: its head, the answer at the top, the machine, the raw files. */
#include "page.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "bootstrap.h"
#include "build_info.h"
#include "table.h"

/* ---- What sections share ---- */

void dd_page_number_(double x, FILE *out)
{
    fprintf(out, "%.*f", x < 9.995 ? 2 : x < 99.95 ? 1 : 0, x);
}

void dd_page_table_(const char *name, const char *caption, FILE *out)
{
    fprintf(out,
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"about-%s\">\n"
            "<table id=\"table-%s\">\n<caption id=\"about-%s\"><span>%s</span></caption>\n",
            name, name, name, caption);
}

void dd_page_table_end_(FILE *out)
{
    fputs("</table>\n</div>\n", out);
}

void dd_page_plots_(const dd_figures *f, dd_figure_kind kind, FILE *out)
{
    if (f->first[kind] == f->first[kind + 1])
        return;
    fputs("<div class=\"plots\">\n", out);
    for (size_t i = f->first[kind]; i < f->first[kind + 1]; i++) {
        const dd_plot *plot = &f->plot[i];
        fprintf(out, "<figure id=\"plot-%s\">\n%s\n<figcaption>", plot->name, plot->svg);
        dd_page_text_(plot->title, out);
        fprintf(out,
                "<span class=\"files\"> · <a href=\"plots/%s.png\" download=\"%s.png\">PNG</a> · "
                "<a href=\"plots/%s.svg\" download=\"%s.svg\">SVG</a></span></figcaption>\n"
                "</figure>\n",
                plot->name, plot->name, plot->name, plot->name);
    }
    fputs("</div>\n", out);
    if (f->left_out[kind])
        fprintf(out, "<p class=\"soft\">%zu more would not fit here; the tables have them.</p>\n",
                f->left_out[kind]);
}

static bool is_own(const dd_page_cell *c)
{
    return dd_page_timed(c) && c->verdict == DD_PASS && strcmp(c->row->subject, "dodeca") == 0;
}

/* Whether the row is compared with another than itself. */
static bool is_compared(const dd_page_results *r, const dd_page_row *row, size_t gain)
{
    return isfinite(row->gain[gain].x) &&
           (row->gain[gain].to == DD_NO_ROW || &r->rows[row->gain[gain].to] != row);
}

/* Whether the first of two rows has more to tell of its speed. */
static bool is_better(const dd_page_results *r, const dd_page_row *a, const dd_page_row *b)
{
    size_t n_a = 0, n_b = 0;
    for (size_t k = 0; k < DD_N_GAINS; k++) {
        n_a += is_compared(r, a, k);
        n_b += is_compared(r, b, k);
    }
    if (n_a != n_b)
        return n_a > n_b;
    if (isfinite(a->gain[DD_GAIN_TOTAL].x) && isfinite(b->gain[DD_GAIN_TOTAL].x))
        return a->gain[DD_GAIN_TOTAL].x > b->gain[DD_GAIN_TOTAL].x;
    return a->tokens_per_s > b->tokens_per_s;
}

size_t dd_page_best_(const dd_page_results *r)
{
    size_t best = DD_NO_ROW;
    for (size_t i = 0; i < r->n_cells; i++)
        if (is_own(&r->cell[i]) &&
            (best == DD_NO_ROW || is_better(r, r->cell[i].row, r->cell[best].row)))
            best = i;
    return best;
}

/* ---- The answer ---- */

static size_t cells_with(const dd_page_results *r, dd_verdict verdict)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_cells; i++)
        n += r->cell[i].verdict == verdict;
    return n;
}

/* Cells that the check held in; *judged: those that it was judged in. */
static size_t cells_held(const dd_page_results *r, const char *check, size_t *judged)
{
    size_t n = 0;
    *judged = 0;
    for (size_t k = 0; k < r->n_checks; k++)
        for (size_t i = 0; strcmp(r->check[k], check) == 0 && i < r->n_cells; i++)
            if (r->cell[i].applies[k] && r->cell[i].check[k] != DD_SKIP) {
                (*judged)++;
                n += r->cell[i].check[k] == DD_PASS;
            }
    return n;
}

static void write_verdict(const dd_page_results *r, FILE *out)
{
    const size_t held = cells_with(r, DD_PASS), skipped = cells_with(r, DD_SKIP);
    const bool all = r->complete && r->n_cells > 0 && held == r->n_cells;
    size_t runs = 0, equal, judged;
    for (size_t i = 0; i < r->n_cells; i++)
        runs += json_array_size(r->cell[i].repeats);
    fprintf(out, "<p class=\"verdict %s\"><strong>", all ? "held" : "broken");
    if (all)
        fprintf(out, "✓ All held: %zu cell%s, %zu run%s.", held, held == 1 ? "" : "s", runs,
                runs == 1 ? "" : "s");
    else
        fprintf(out, "%s %zu of %zu cells held.", held + skipped == r->n_cells ? "–" : "✗", held,
                r->n_cells);
    fputs("</strong>", out);
    for (int v = DD_FAIL; v <= DD_CRASH; v++)
        if (cells_with(r, (dd_verdict)v))
            fprintf(out, " %zu %s.", cells_with(r, (dd_verdict)v), dd_verdict_name((dd_verdict)v));
    if (skipped)
        fprintf(out, " %zu could not be judged here.", skipped);
    if (!r->complete)
        fprintf(out, " The sweep is not complete%s.", r->interrupted ? ": it was interrupted" : "");
    equal = cells_held(r, "serial-equivalence", &judged);
    if (judged)
        fprintf(out,
                " Losses, norms and weights were those of the serial oracle, <em>bit for bit</em>, "
                "in %zu of the %zu cells that promise it.",
                equal, judged);
    fputs(" <a href=\"#verdicts\">What was checked</a></p>\n", out);
}

static void write_card(const dd_page_results *r, const dd_page_row *row, size_t kind,
                       const char *against, FILE *out)
{
    const dd_gain *gain = &row->gain[kind];
    if (!is_compared(r, row, kind))
        return;
    fprintf(out, "<div><dt>%s</dt><dd class=\"big\">", against);
    dd_page_number_(gain->x, out);
    fputs(" ×</dd>", out);
    if (isfinite(gain->low) && isfinite(gain->high)) {
        if (row->n_repeats > DD_BOOTSTRAP_FEW)
            fputs("<dd>95 % interval ", out);
        else
            fprintf(out, "<dd>in %zu repeats ", row->n_repeats);
        dd_page_number_(gain->low, out);
        fputs("–", out);
        dd_page_number_(gain->high, out);
        fputs("</dd>", out);
    }
    if (gain->to != DD_NO_ROW) {
        fprintf(out, "<dd class=\"soft\">of <a href=\"#row-%zu\">row %zu</a>, ", gain->to + 1,
                gain->to + 1);
        dd_page_text_(dd_page_label(r, &r->cell[gain->to]), out);
        fputs("</dd>", out);
    } else {
        fputs("<dd class=\"soft\">of its run that judges, made once</dd>", out);
    }
    fputs("</div>\n", out);
}

/* The least and the most of a gain, over dodeca's timed cells. */
static void write_range(const dd_page_results *r, FILE *out)
{
    double least = HUGE_VAL, most = 0;
    size_t n = 0;
    for (size_t i = 0; i < r->n_cells; i++) {
        const dd_page_cell *c = &r->cell[i];
        if (!is_own(c) || !isfinite(c->row->gain[DD_GAIN_TOTAL].x))
            continue;
        n++;
        least = fmin(least, c->row->gain[DD_GAIN_TOTAL].x);
        most = fmax(most, c->row->gain[DD_GAIN_TOTAL].x);
    }
    if (n < 2)
        return;
    fprintf(out, "<p>The %zu timed cells of dodeca ran from ", n);
    dd_page_number_(least, out);
    fputs(" to ", out);
    dd_page_number_(most, out);
    fputs(" × the oracle's speed. <a href=\"#speed\">Every cell, and what it was divided "
          "by</a></p>\n",
          out);
}

static void write_speed(const dd_page_results *r, FILE *out)
{
    static const char *const against[DD_N_GAINS] = {
        [DD_GAIN_PARALLEL] = "against one worker",
        [DD_GAIN_SIMD] = "against SIMD off",
        [DD_GAIN_LOCK_FREE] = "against locks around gradients",
        [DD_GAIN_LOCKS] = "against one lock around the model",
        [DD_GAIN_TOTAL] = "against the serial oracle",
    };
    static const dd_gain_kind order[] = {DD_GAIN_PARALLEL, DD_GAIN_TOTAL, DD_GAIN_SIMD,
                                         DD_GAIN_LOCK_FREE, DD_GAIN_LOCKS};
    const size_t best = dd_page_best_(r);
    if (best == DD_NO_ROW) {
        fputs("<p>No cell of dodeca was timed, so that nothing can be said of speed", out);
        for (size_t i = 0; i < r->n_cells; i++)
            if (r->cell[i].row && r->cell[i].row->not_timed) {
                fputs(": ", out);
                dd_page_text_(r->cell[i].row->not_timed, out);
                break;
            }
        fputs(".</p>\n", out);
        return;
    }
    const dd_page_cell *c = &r->cell[best];
    fprintf(out,
            "<p>The fastest of the cells that are compared with most others, <a "
            "href=\"#row-%zu\">row %zu</a> (",
            best + 1, best + 1);
    dd_page_text_(dd_page_label(r, c), out);
    fputs("), takes ", out);
    dd_page_number_(c->row->step_ns * 1e-6, out);
    fprintf(out, " ms a step, %.0f tokens a second. Its speed is</p>\n<dl class=\"cards\">\n",
            c->row->tokens_per_s);
    for (size_t k = 0; k < DD_N_GAINS; k++)
        write_card(r, c->row, order[k], against[order[k]], out);
    fputs("</dl>\n", out);
    write_range(r, out);
}

static void write_answer(const dd_page_results *r, FILE *out)
{
    const json_t *machine = json_object_get(r->run, "machine");
    const char *cpu = json_string_value(json_object_get(machine, "cpu"));
    fputs("<section id=\"answer\">\n<h2>Did it hold, and how fast was it?</h2>\n", out);
    write_verdict(r, out);
    write_speed(r, out);
    fputs("<p class=\"soft\">Measured on ", out);
    dd_page_text_(cpu ? cpu : "an unnamed CPU", out);
    fprintf(out, ", %u core%s usable. <a href=\"#machine\">Machine and build</a></p>\n</section>\n",
            r->cores, r->cores == 1 ? "" : "s");
}

/* ---- Machine and build ---- */

static void write_fact(const char *name, const json_t *object, const char *key, FILE *out)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value) && !json_is_integer(value) && !json_is_boolean(value))
        return;
    if (json_is_string(value) && !json_string_value(value)[0])
        return;
    fprintf(out, "<tr><th scope=\"row\">%s</th><td>", name);
    if (json_is_string(value))
        dd_page_text_(json_string_value(value), out);
    else if (json_is_boolean(value))
        fputs(json_is_true(value) ? "yes" : "no", out);
    else if (strcmp(key, "memory_bytes") == 0)
        fprintf(out, "%.1f GiB", (double)json_integer_value(value) / (1 << 30));
    else if (strcmp(key, "wall_ns") == 0)
        fprintf(out, "%.0f s", (double)json_integer_value(value) * 1e-9);
    else
        fprintf(out, "%lld", (long long)json_integer_value(value));
    fputs("</td></tr>\n", out);
}

/* What the first run that ended trained on. */
static const json_t *first_effective(const dd_page_results *r)
{
    for (size_t i = 0; i < r->n_cells; i++)
        for (size_t k = 0; k < json_array_size(r->cell[i].repeats); k++) {
            const json_t *effective =
                json_object_get(json_array_get(r->cell[i].repeats, k), "effective");
            if (effective)
                return effective;
        }
    return NULL;
}

void dd_page_machine_(const dd_page_results *r, FILE *out)
{
    static const struct {
        const char *name, *part, *key;
    } facts[] = {
        {"CPU", "machine", "cpu"},
        {"architecture", "machine", "isa"},
        {"cores usable", "machine", "cores_usable"},
        {"memory", "machine", "memory_bytes"},
        {"kernel", "machine", "kernel"},
        {"dodeca", "build", "version"},
        {"commit", "build", "commit"},
        {"changes not committed", "build", "dirty"},
        {"compiler", "build", "compiler"},
        {"flags", "build", "flags"},
        {"build type", "build", "type"},
        {"sanitizer", "build", "sanitizer"},
        {"scenario file", NULL, "file"},
        {"started (UTC)", NULL, "started"},
        {"took", NULL, "wall_ns"},
    };
    fputs("<section id=\"machine\">\n<h2>Machine and build</h2>\n", out);
    dd_page_table_("machine", "What the numbers depend on; bits do not.", out);
    fputs("<tbody class=\"facts\">\n", out);
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        write_fact(facts[i].name, facts[i].part ? json_object_get(r->run, facts[i].part) : r->run,
                   facts[i].key, out);
    write_fact("data", first_effective(r), "data", out);
    write_fact("note on the data", first_effective(r), "data_note", out);
    write_fact("tokens in the data", first_effective(r), "data_tokens", out);
    write_fact("parameters", first_effective(r), "parameters", out);
    fputs("</tbody>\n", out);
    dd_page_table_end_(out);
    fputs("</section>\n", out);
}

/* ---- Raw files ---- */

static void write_files(const dd_page_results *r, FILE *out)
{
    static const struct {
        const char *name, *about;
    } files[] = {
        {"run.json", "every cell with its settings, every repeat, step and check"},
        {"speedup.json", "the rows of the speedup table, with repeats and intervals"},
        {"speedup.csv", "the same for spreadsheets"},
        {"speedup.md", "the speedup table for people"},
        {"runs.jsonl", "every run as it ended, from which an interrupted sweep goes on"},
        {"junit.xml", "every check of every cell as a test case"},
        {"logs/", "what runs wrote, and stacks of those that hung or crashed"},
        {"traces/", "timelines of the threads, for Perfetto or chrome://tracing"},
        {"plots/", "the plots of this page as SVG and PNG, and plots.gp, which draws them"},
    };
    fputs("<section id=\"files\">\n<h2>Raw files</h2>\n<ul>\n", out);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[4096];
        struct stat about;
        const int n = snprintf(path, sizeof path, "%s/%s", r->dir, files[i].name);
        if (n < 0 || (size_t)n >= sizeof path || stat(path, &about) != 0)
            continue;
        fprintf(out, "<li><a href=\"%s\">%s</a>: %s</li>\n", files[i].name, files[i].name,
                files[i].about);
    }
    fputs("</ul>\n</section>\n", out);
}

/* ---- The frame ---- */

static void write_head(const dd_page_results *r, FILE *out)
{
    static const struct {
        const char *id, *name;
    } parts[] = {
        {"answer", "Answer"},   {"verdicts", "Verdicts"},   {"speed", "Speed"},
        {"simd", "SIMD"},       {"lock-free", "Lock-free"}, {"phases", "Phases"},
        {"spheres", "Spheres"}, {"folds", "Folds"},         {"machine", "Machine and build"},
        {"files", "Raw files"},
    };
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
          /* the page asks for nothing, and no browser will let it */
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
          "style-src 'unsafe-inline'\"/>\n<title>",
          out);
    dd_page_text_(r->scenario, out);
    fputs(": dodeca report</title>\n<style>\n", out);
    dd_page_style_(out);
    fputs("</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#answer\">Skip to the answer</a>\n"
          "<header>\n<h1>",
          out);
    dd_page_text_(r->scenario, out);
    fputs("</h1>\n", out);
    if (r->about[0]) {
        fputs("<p>", out);
        dd_page_text_(r->about, out);
        fputs("</p>\n", out);
    }
    fputs("<nav aria-label=\"Sections\"><ul>\n", out);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        fprintf(out, "<li><a href=\"#%s\">%s</a></li>\n", parts[i].id, parts[i].name);
    fputs("</ul></nav>\n</header>\n<main>\n", out);
}

bool dd_page_write(const dd_page_results *r, const dd_figures *figures, FILE *out)
{
    write_head(r, out);
    write_answer(r, out);
    dd_page_verdicts_(r, out);
    dd_page_speed_(r, figures, out);
    dd_page_spheres_(r, out);
    dd_page_machine_(r, out);
    write_files(r, out);
    fprintf(out,
            "</main>\n<footer><p class=\"soft\">Written by <code>dodeca report</code> %s from ",
            dd_build.version);
    dd_page_text_(r->started[0] ? r->started : "results", out);
    fputs(", run.json and speedup.json beside this page.</p></footer>\n</body>\n</html>\n", out);
    return !ferror(out);
}
