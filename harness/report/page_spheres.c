/* SPDX-License-Identifier: MIT
 * The page's sections of waiting: a table of all cells, the spheres of some of them as a drawing,
 * and the tree in which gradients fold, all by the share of a step that a worker waits inside it.
 */
#include "page_spheres.h"
#include "page.h"
#include "spheres.h"
#include "spheres_svg.h"
#include "table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 600 };

/* ---- Waiting ---- */

double dd_page_wait_(const dd_page_cell *c, const dd_page_sphere *s, unsigned points)
{
    double ns = 0;
    for (unsigned p = 0; p < 4; p++)
        ns += points >> p & 1 ? s->wait_ns[p] : 0;
    return c->steps_ns > 0 ? ns / c->steps_ns : (double)NAN;
}

static const double bounds[] = {0.05, 0.15, 0.30, 0.50};

int dd_page_shade_(double share)
{
    int shade = 0;
    while (shade < 4 && share >= bounds[shade])
        shade++;
    return shade;
}

static void write_legend(FILE *out)
{
    static const char *const names[] = {"under 5 %", "5 to 15 %", "15 to 30 %", "30 to 50 %",
                                        "50 % and more"};
    fputs("<ul class=\"legend\">\n", out);
    for (int i = 0; i < 5; i++)
        fprintf(out,
                "<li><svg viewBox=\"0 0 20 20\" aria-hidden=\"true\"><circle class=\"w%d disc\" "
                "cx=\"10\" cy=\"10\" r=\"8\"/></svg>%s</li>\n",
                i, names[i]);
    fputs("</ul>\n", out);
}

static bool has_workers(const dd_page_cell *c)
{
    for (size_t i = 0; i < c->n_spheres; i++)
        if (!c->sphere[i].control)
            return c->steps_ns > 0;
    return false;
}

/* Mean over the workers; NaN for a cell without. */
static double mean_wait(const dd_page_cell *c, unsigned points)
{
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < c->n_spheres; i++) {
        if (c->sphere[i].control)
            continue;
        sum += dd_page_wait_(c, &c->sphere[i], points);
        n++;
    }
    return n ? sum / (double)n : (double)NAN;
}

static const dd_page_sphere *longest(const dd_page_cell *c)
{
    const dd_page_sphere *most = NULL;
    for (size_t i = 0; i < c->n_spheres; i++) {
        const dd_page_sphere *s = &c->sphere[i];
        if (!s->control &&
            (!most || dd_page_wait_(c, s, DD_PAGE_INSIDE) > dd_page_wait_(c, most, DD_PAGE_INSIDE)))
            most = s;
    }
    return most;
}

static void write_waits(const dd_page_results *r, FILE *out)
{
    static const char *const heads[] = {"at B", "at V", "at U"};
    dd_page_table_("waits",
                   "What workers wait inside a step, in percent of its time: the mean of the "
                   "workers at each point, and the worker that waits most. B: for the others’ "
                   "lanes; V: for the verdict; U: for the others’ updates.",
                   out);
    fputs("<thead><tr><th scope=\"col\" class=\"n\">row</th><th scope=\"col\">cell</th>", out);
    for (size_t k = 0; k < 3; k++)
        fprintf(out, "<th scope=\"col\" class=\"n\">%s</th>", heads[k]);
    fputs("<th scope=\"col\" class=\"n\">together</th><th scope=\"col\">the worker that waits "
          "most</th></tr></thead>\n<tbody>\n",
          out);
    for (size_t i = 0; i < r->n_cells; i++) {
        const dd_page_cell *c = &r->cell[i];
        if (!has_workers(c))
            continue;
        fprintf(out, "<tr><td class=\"n\">%zu</td><th scope=\"row\">", i + 1);
        dd_page_text_(dd_page_label(r, c), out);
        fputs("</th>", out);
        for (unsigned p = 1; p < 4; p++)
            fprintf(out, "<td class=\"n\">%.1f</td>", 100 * mean_wait(c, 1u << p));
        fprintf(out, "<td class=\"n\">%.1f</td><td>sphere ", 100 * mean_wait(c, DD_PAGE_INSIDE));
        dd_page_text_(longest(c)->path, out);
        fprintf(out, ", %.1f</td></tr>\n", 100 * dd_page_wait_(c, longest(c), DD_PAGE_INSIDE));
    }
    fputs("</tbody>\n", out);
    dd_page_table_end_(out);
}

/* ---- The drawing ---- */

/* Positions from Node Zero down to the sphere; false: no path of a sphere. */
static bool read_path(const char *path, uint32_t position[4], size_t *n)
{
    *n = 0;
    if (strcmp(path, "zero") == 0)
        return true;
    for (const char *p = path;; p++) {
        char *end;
        const unsigned long at = strtoul(p, &end, 10);
        if (end == p || at >= DD_POSITIONS || *n == 4 || (*end && *end != '.'))
            return false;
        position[(*n)++] = (uint32_t)at;
        p = end;
        if (!*end)
            return true;
    }
}

static bool disc_at(const dd_page_sphere *s, dd_disc *d, size_t *level)
{
    uint32_t position[4];
    *d = (dd_disc){SIDE / 2.0, SIDE / 2.0, SIDE / 2.0 - 4};
    if (!read_path(s->path, position, level))
        return false;
    for (size_t i = 0; i < *level; i++)
        *d = dd_disc_inside(*d, position[i]);
    return true;
}

static void draw_control(const dd_page_sphere *s, dd_disc d, FILE *out)
{
    const dd_disc centre = dd_disc_inside(d, DD_CENTRE);
    fputs("<g><title>sphere ", out);
    dd_page_text_(s->path, out);
    fprintf(out,
            ": control, asleep while lanes run</title><circle class=\"control\" cx=\"%.1f\" "
            "cy=\"%.1f\" r=\"%.1f\"/><circle class=\"self\" cx=\"%.1f\" cy=\"%.1f\" "
            "r=\"%.1f\"/></g>\n",
            d.x, d.y, d.r, centre.x, centre.y, centre.r * 0.75);
    if (centre.r >= 40)
        fprintf(out,
                "<text class=\"own\" font-size=\"13\" x=\"%.1f\" y=\"%.1f\">Node "
                "Zero</text>\n",
                centre.x, centre.y + 4);
    for (uint32_t p = 0; p < DD_POSITIONS; p++) {
        const dd_disc child = dd_disc_inside(d, p);
        if (child.r >= 3)
            fprintf(out, "<circle class=\"none\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/>\n", child.x,
                    child.y, child.r * 0.5);
    }
}

static void draw_worker(const dd_page_cell *c, const dd_page_sphere *s, dd_disc d, FILE *out)
{
    const double share = dd_page_wait_(c, s, DD_PAGE_INSIDE);
    const int shade = dd_page_shade_(share);
    fputs("<g><title>sphere ", out);
    dd_page_text_(s->path, out);
    fprintf(out,
            ": worker with %u lane%s, %llu folds; waits %.1f %% of a step: %.1f at B, %.1f at "
            "V, %.1f at U</title>",
            s->n_lanes, s->n_lanes == 1 ? "" : "s", (unsigned long long)s->folds, 100 * share,
            100 * dd_page_wait_(c, s, 2), 100 * dd_page_wait_(c, s, 4),
            100 * dd_page_wait_(c, s, 8));
    fprintf(out, "<circle class=\"w%d disc\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/>", shade, d.x, d.y,
            d.r);
    if (d.r >= 30) {
        fprintf(out, "<text class=\"on%d\" font-size=\"15\" x=\"%.1f\" y=\"%.1f\">", shade, d.x,
                d.y - 4);
        dd_page_text_(s->path, out);
        fprintf(out,
                "</text><text class=\"on%d\" font-size=\"17\" x=\"%.1f\" y=\"%.1f\">%.0f "
                "%%</text>",
                shade, d.x, d.y + 16, 100 * share);
    } else if (d.r >= 8) {
        fprintf(out, "<text class=\"on%d\" font-size=\"%.1f\" x=\"%.1f\" y=\"%.1f\">%.0f</text>",
                shade, d.r * 0.9, d.x, d.y + d.r * 0.32, 100 * share);
    }
    fputs("</g>\n", out);
}

/* From the outermost in, so that what is inside is drawn above; spheres hide the mark of an empty
 * position. */
static void draw_spheres(const dd_page_results *r, const dd_page_cell *c, FILE *out)
{
    fprintf(out,
            "<figure class=\"tall\">\n<svg class=\"tree\" viewBox=\"0 0 %d %d\" role=\"img\" "
            "aria-label=\"Spheres of ",
            SIDE, SIDE);
    dd_page_text_(dd_page_label(r, c), out);
    fputs(", each with the share of a step that it waits\">\n", out);
    for (size_t level = 0; level < 4; level++)
        for (size_t i = 0; i < c->n_spheres; i++) {
            dd_disc d;
            size_t own;
            if (!disc_at(&c->sphere[i], &d, &own) || own != level)
                continue;
            if (c->sphere[i].control)
                draw_control(&c->sphere[i], d, out);
            else
                draw_worker(c, &c->sphere[i], d, out);
        }
    fputs("</svg>\n<figcaption>", out);
    dd_page_text_(dd_page_label(r, c), out);
    if (c->spheres_changed)
        fprintf(out, "; after %llu change%s of membership", (unsigned long long)c->spheres_changed,
                c->spheres_changed == 1 ? "" : "s");
    fputs("</figcaption>\n</figure>\n", out);
}

/* ---- Which cells are drawn ---- */

/* The fastest; that with most spheres; that in which workers wait most; each once. */
static size_t pick(const dd_page_results *r, size_t picked[3])
{
    size_t best = dd_page_best_(r), largest = DD_NO_ROW, waiting = DD_NO_ROW, n = 0;
    for (size_t i = 0; i < r->n_cells; i++) {
        const dd_page_cell *c = &r->cell[i];
        if (!has_workers(c))
            continue;
        if (largest == DD_NO_ROW || c->n_spheres > r->cell[largest].n_spheres)
            largest = i;
        if (waiting == DD_NO_ROW ||
            mean_wait(c, DD_PAGE_INSIDE) > mean_wait(&r->cell[waiting], DD_PAGE_INSIDE))
            waiting = i;
    }
    const size_t wanted[3] = {best, largest, waiting};
    for (size_t k = 0; k < 3; k++) {
        bool told = wanted[k] == DD_NO_ROW || !has_workers(&r->cell[wanted[k]]);
        for (size_t j = 0; j < n && !told; j++)
            told = picked[j] == wanted[k];
        if (!told)
            picked[n++] = wanted[k];
    }
    return n;
}

void dd_page_spheres_(const dd_page_results *r, FILE *out)
{
    size_t picked[3];
    const size_t n = pick(r, picked);
    fputs("<section id=\"spheres\">\n<h2>Spheres, and how long they wait</h2>\n", out);
    if (n == 0) {
        fputs("<p>No run with workers in spheres has ended, so that there is nothing to draw.</p>\n"
              "</section>\n<section id=\"folds\">\n<h2>The fold tree</h2>\n<p>Nor are there folds "
              "to show.</p>\n</section>\n",
              out);
        return;
    }
    fputs("<p>Each disc is a thread; the number in it is the share of a step that it waits inside "
          "it, in percent: the darker (on a dark page: the brighter), the longer. Controls, drawn "
          "as rings around their children, sleep while lanes run. Drawn are the fastest cell, the "
          "one with most spheres and the one whose workers wait most, where they are not the "
          "same.</p>\n",
          out);
    write_legend(out);
    fputs("<div class=\"plots\">\n", out);
    for (size_t k = 0; k < n; k++)
        draw_spheres(r, &r->cell[picked[k]], out);
    fputs("</div>\n", out);
    write_waits(r, out);
    fputs(
        "</section>\n<section id=\"folds\">\n<h2>The fold tree</h2>\n"
        "<p>Gradients add up in one order, fixed by geometry, whoever adds them: in each triangle "
        "(p0 + p1) + p2, then (t0 + t1) + (t2 + t3). A leaf is shaded by what its worker waits "
        "at B. A fold of lanes of several workers, drawn as a diamond, is shaded by the least of "
        "theirs, since the last to arrive waits least: what is light there held up the rest. "
        "Thick lines lead from one worker to another, thin ones stay with one; dashed leaves are "
        "lanes without a sequence, which are left out.</p>\n",
        out);
    for (size_t k = 0; k < n; k++)
        dd_page_fold_tree_(r, &r->cell[picked[k]], out);
    fputs("</section>\n", out);
}
