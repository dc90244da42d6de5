/* SPDX-License-Identifier: MIT
 * The spheres as a drawing. Each family, a control and its twelve positions, is projected along
 * (1, 1, 1) into the disc of its parent: there all thirteen are points of a triangular lattice, the
 * control in the middle, three positions in front, six around, three behind. Discs are smaller than
 * the spheres they stand for, so that none hides another; otherwise the picture is to scale. */
#include "spheres_svg.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WIDTH = 1200, HEIGHT = 1380, MARGIN = 30 };

/* Lattice points are LATTICE apart in units of the parent's radius, discs have DISC: the outermost
 * reach 0.96 of it. */
static const double LATTICE = 0.438, DISC = 0.2;

typedef dd_disc disc;

typedef struct drawing {
    FILE *f;
    const dd_spheres_view *view;
} drawing;

dd_disc dd_disc_inside(dd_disc parent, uint32_t position)
{
    disc d = {parent.x, parent.y, DISC * parent.r};
    if (position != DD_CENTRE) {
        /* along (1, -1, 0) and (1, 1, -2); the lattice's points are 2 / sqrt 6 apart */
        const int8_t *p = dd_position[position];
        const double scale = LATTICE * parent.r * sqrt(6.0) / 2;
        d.x += scale * (p[0] - p[1]) / sqrt(2.0);
        d.y -= scale * (p[0] + p[1] - 2 * p[2]) / sqrt(6.0);
    }
    return d;
}

static void draw_style(FILE *f)
{
    fputs("<style>\n"
          ".page{fill:#fbfaf7}.control{fill:#20262e;fill-opacity:.045;stroke:#39424e}\n"
          ".self{fill:#39424e}.empty{fill:none;stroke:#8a93a0;stroke-dasharray:3 3}\n"
          ".idle{fill:#fbfaf7;stroke:#8a93a0}.lane{stroke:#20262e;stroke-opacity:.55}\n"
          ".t0{fill:#2f6fb5}.t1{fill:#c8682a}.t2{fill:#3c8a56}.t3{fill:#8a55a8}\n"
          ".mates{stroke:#39424e}.near{stroke:#8a93a0}.centre{stroke:#8a93a0;stroke-dasharray:2 "
          "5}\n"
          "text{font-family:\"DejaVu Sans\",Verdana,sans-serif;fill:#20262e}\n"
          ".on{fill:#fff;text-anchor:middle}.mid{text-anchor:middle}.soft{fill:#5a6472}\n"
          "@media (prefers-color-scheme:dark){\n"
          ".page{fill:#14181d}.control{fill:#fff;fill-opacity:.05;stroke:#aab4c0}\n"
          ".self{fill:#aab4c0}.idle{fill:#14181d}.lane{stroke:#e6eaef}\n"
          ".t0{fill:#4d8fd6}.t1{fill:#d97f42}.t2{fill:#4fa56c}.t3{fill:#a874c6}\n"
          ".mates{stroke:#aab4c0}.near,.centre{stroke:#66707d}\n"
          "text{fill:#e6eaef}.soft{fill:#a3adb9}.own{fill:#14181d}}\n"
          "</style>\n",
          f);
}

static void draw_line(FILE *f, const char *class, double width, disc a, disc b)
{
    fprintf(f,
            "<line class=\"%s\" stroke-width=\"%.2f\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" "
            "y2=\"%.1f\"/>\n",
            class, width, a.x, a.y, b.x, b.y);
}

/* Text in a disc, `line` lines below its middle. */
static void draw_label(FILE *f, const char *class, disc d, double size, double line,
                       const char *text)
{
    fprintf(f, "<text class=\"%s\" font-size=\"%.1f\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", class,
            size, d.x, d.y + (0.36 + 1.2 * line) * size, text);
}

static void draw_worker(const drawing *g, uint32_t sphere, disc d)
{
    const dd_sphere *it = &g->view->hierarchy->sphere[sphere];
    const dd_share *share = &g->view->share[it->first_worker];
    char place[DD_PLACE_TEXT], lanes[32] = "idle", name[16], tokens[32];
    dd_place_write(it->place, place);
    if (share->count > 1)
        (void)snprintf(lanes, sizeof lanes, "%u–%u", share->first, share->first + share->count - 1);
    else if (share->count == 1)
        (void)snprintf(lanes, sizeof lanes, "%u", share->first);
    (void)snprintf(name, sizeof name, "w%u", it->first_worker);
    (void)snprintf(tokens, sizeof tokens, "%" PRIu64 " tokens", share->tokens);

    const uint32_t triangle = dd_place_position(it->place) / 3;
    const double load = share->count ? (double)share->tokens / (double)g->view->most : 0;
    fprintf(g->f, "<g><title>sphere %s: worker %u, thread %u, %s%s, %s</title>\n", place,
            it->first_worker, sphere, share->count ? "lanes " : "", lanes, tokens);
    if (share->count) /* the page below, so that lines do not shine through */
        fprintf(g->f, "<circle class=\"page\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/>\n", d.x, d.y,
                d.r);
    fprintf(g->f,
            "<circle class=\"%s t%u\" fill-opacity=\"%.2f\" stroke-width=\"%.2f\" cx=\"%.1f\" "
            "cy=\"%.1f\" r=\"%.1f\"/>\n",
            share->count ? "lane" : "empty", triangle, share->count ? 0.3 + 0.7 * load : 0.0,
            0.4 + d.r / 90, d.x, d.y, d.r);
    const char *ink = load >= 0.6 ? "on" : "mid";
    if (d.r >= 50) {
        char described[48];
        (void)snprintf(described, sizeof described, "%s%s",
                       !share->count       ? ""
                       : share->count == 1 ? "lane "
                                           : "lanes ",
                       lanes);
        draw_label(g->f, ink, d, d.r / 2.8, -0.5, name);
        draw_label(g->f, ink, d, d.r / 5, 0.7, described);
        draw_label(g->f, ink, d, d.r / 6, 2.1, tokens);
    } else if (d.r >= 15) { /* room for two short lines */
        draw_label(g->f, ink, d, d.r / 2.4, -0.35, name);
        draw_label(g->f, ink, d, d.r / 2.9, 0.8, lanes);
    }
    fputs("</g>\n", g->f);
}

/* A control's sphere: lines of contact below, then its children, then itself in the middle. */
static void draw_control(const drawing *g, uint32_t sphere, disc d)
{
    const dd_hierarchy *h = g->view->hierarchy;
    const dd_sphere *it = &h->sphere[sphere];
    char place[DD_PLACE_TEXT];
    dd_place_write(it->place, place);
    fprintf(g->f,
            "<g><title>sphere %s: %s, thread %u, %u children, %u workers, %" PRIu64
            " tokens</title>\n"
            "<circle class=\"control\" stroke-width=\"%.2f\" cx=\"%.1f\" cy=\"%.1f\" "
            "r=\"%.1f\"/></g>\n",
            place, sphere ? "control" : "Node Zero", sphere, it->n_children, it->n_workers,
            g->view->below[sphere], 0.5 + d.r / 300, d.x, d.y, d.r);

    const disc centre = dd_disc_inside(d, DD_CENTRE);
    uint32_t at[DD_POSITIONS];
    for (uint32_t p = 0; p < DD_POSITIONS; p++)
        at[p] = dd_hierarchy_at(h, dd_place_child(it->place, p));
    for (uint32_t a = 0; a < DD_POSITIONS; a++) {
        if (at[a] == DD_NO_SPHERE)
            continue;
        draw_line(g->f, "centre", d.r / 500, centre, dd_disc_inside(d, a));
        for (uint32_t b = a + 1; b < DD_POSITIONS; b++)
            if (at[b] != DD_NO_SPHERE && dd_in_contact(a, b))
                draw_line(g->f, a / 3 == b / 3 ? "mates" : "near",
                          d.r / (a / 3 == b / 3 ? 170 : 400), dd_disc_inside(d, a),
                          dd_disc_inside(d, b));
    }
    /* from behind to the front */
    for (int depth = -2; depth <= 2; depth += 2) {
        for (uint32_t p = 0; p < DD_POSITIONS; p++) {
            if (dd_position[p][0] + dd_position[p][1] + dd_position[p][2] != depth)
                continue;
            const disc child = dd_disc_inside(d, p);
            if (at[p] == DD_NO_SPHERE)
                fprintf(g->f,
                        "<circle class=\"empty\" stroke-width=\"%.2f\" cx=\"%.1f\" cy=\"%.1f\" "
                        "r=\"%.1f\"><title>position %u: empty</title></circle>\n",
                        0.3 + child.r / 150, child.x, child.y, child.r * 0.5, p);
            else if (h->sphere[at[p]].n_children == 0)
                draw_worker(g, at[p], child);
            else {
                fprintf(g->f, "<circle class=\"page\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/>\n",
                        child.x, child.y, child.r);
                draw_control(g, at[p], child);
            }
        }
    }
    fprintf(g->f, "<circle class=\"self\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/>\n", centre.x,
            centre.y, centre.r * (sphere ? 0.8 : 1));
    if (sphere == 0) {
        draw_label(g->f, "on own", centre, centre.r / 3.4, -0.4, "Node");
        draw_label(g->f, "on own", centre, centre.r / 3.4, 0.8, "Zero");
    } else if (centre.r >= 10) {
        draw_label(g->f, "on own", centre, centre.r / (1.2 + 0.5 * it->place.level), 0, place);
    }
}

static void legend_text(const drawing *g, const char *class, double x, double y, double size,
                        const char *text)
{
    fprintf(g->f, "<text class=\"%s\" font-size=\"%.0f\" x=\"%.0f\" y=\"%.0f\">%s</text>\n", class,
            size, x, y, text);
}

static void draw_legend(const drawing *g)
{
    const dd_spheres_view *v = g->view;
    const dd_hierarchy *h = v->hierarchy;
    char text[256];
    const double left = MARGIN + 10;
    double y = WIDTH + 10;
    (void)snprintf(text, sizeof text,
                   "%u worker%s at depth %u, %u control%s; batch %u × %u tokens in %u lane%s",
                   h->n_workers, h->n_workers == 1 ? "" : "s", h->depth, h->n_controls,
                   h->n_controls == 1 ? "" : "s", v->batch, v->seq, v->non_empty,
                   v->non_empty == 1 ? "" : "s");
    legend_text(g, "", left, y, 22, text);
    static const char *const positions[4] = {"0 1 2", "3 4 5", "6 7 8", "9 10 11"};
    y += 36;
    for (uint32_t t = 0; t < 4; t++) {
        const double x = left + 285 * t;
        fprintf(g->f, "<circle class=\"t%u\" cx=\"%.0f\" cy=\"%.0f\" r=\"9\"/>\n", t, x + 9, y - 5);
        (void)snprintf(text, sizeof text, "triangle %u: positions %s", t, positions[t]);
        legend_text(g, "", x + 25, y, 15, text);
    }
    y += 32;
    for (uint32_t i = 0; i < 3; i++)
        fprintf(g->f,
                "<circle class=\"t0\" fill-opacity=\"%.2f\" cx=\"%.0f\" cy=\"%.0f\" r=\"9\"/>\n",
                0.3 + 0.35 * i, left + 9 + 22 * i, y - 5);
    (void)snprintf(text, sizeof text, "deeper: more tokens (at most %" PRIu64 ")", v->most);
    legend_text(g, "", left + 70, y, 15, text);
    fprintf(g->f,
            "<circle class=\"control\" stroke-width=\"1.5\" cx=\"%.0f\" cy=\"%.0f\" r=\"11\"/>"
            "<circle class=\"self\" cx=\"%.0f\" cy=\"%.0f\" r=\"4\"/>\n",
            left + 400, y - 5, left + 400, y - 5);
    legend_text(g, "", left + 418, y, 15, "control, itself in the middle: runs no lane");
    fprintf(g->f, "<circle class=\"empty\" stroke-width=\"1\" cx=\"%.0f\" cy=\"%.0f\" r=\"9\"/>\n",
            left + 865, y - 5);
    legend_text(g, "", left + 883, y, 15, "empty position, idle worker");
    y += 30;
    static const struct {
        const char *class, *what;
        double width, x;
    } line[3] = {{"mates", "contact in a triangle", 3, 0},
                 {"near", "other contact of neighbours", 1.4, 285},
                 {"centre", "contact with the control", 1.4, 600}};
    for (uint32_t i = 0; i < 3; i++) {
        const double x = left + line[i].x;
        draw_line(g->f, line[i].class, line[i].width, (disc){x, y - 5, 0},
                  (disc){x + 40, y - 5, 0});
        legend_text(g, "", x + 52, y, 15, line[i].what);
    }
    y += 30;
    legend_text(
        g, "soft", left, y, 13,
        "Every family of spheres is seen along (1, 1, 1) in its parent: three in front, six "
        "around, three behind. Discs are drawn smaller than the");
    legend_text(g, "soft", left, y + 18, 13,
                "spheres they stand for, which would touch, so that none hides another. Below a "
                "worker's number: its lanes.");
}

static void draw(const drawing *g)
{
    const dd_spheres_view *v = g->view;
    fprintf(g->f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
            "height=\"%d\">\n<title>dodeca: %u workers, depth %u</title>\n",
            WIDTH, HEIGHT, WIDTH, HEIGHT, v->hierarchy->n_workers, v->hierarchy->depth);
    draw_style(g->f);
    fprintf(g->f, "<rect class=\"page\" width=\"%d\" height=\"%d\"/>\n", WIDTH, HEIGHT);
    draw_control(g, 0, (disc){WIDTH / 2.0, WIDTH / 2.0 - 5, WIDTH / 2.0 - MARGIN});
    draw_legend(g);
    fputs("</svg>\n", g->f);
}

/* A device or a pipe, such as /dev/stdout: renaming would put a file in its place. */
static bool is_special(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && !S_ISREG(about.st_mode);
}

const char *dd_spheres_svg(const dd_spheres_view *view, const char *path)
{
    const bool special = is_special(path);
    char *temporary = special ? strdup(path) : NULL;
    if (special ? !temporary : asprintf(&temporary, "%s.%ld.tmp", path, (long)getpid()) < 0)
        return "open";
    const char *failed = NULL;
    drawing g = {.f = fopen(temporary, special ? "we" : "wxe"), .view = view};
    if (!g.f) {
        failed = "open";
        goto done;
    }
    draw(&g);
    const bool written = !ferror(g.f);
    if (fclose(g.f) || !written)
        failed = "write";
    else if (!special && rename(temporary, path))
        failed = "rename";
    if (failed && !special) {
        const int why = errno;
        (void)unlink(temporary);
        errno = why;
    }
done:
    free(temporary);
    return failed;
}
