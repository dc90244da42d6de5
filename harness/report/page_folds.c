/* SPDX-License-Identifier: MIT
 * The drawing of a fold tree: lanes, triangles, centres, as DESIGN has them, two levels of spheres
 * at most; what lies below is drawn as one leaf. */
#include "page.h"
#include "page_spheres.h"
#include "table.h"

#include <math.h>

enum {
    WIDTH = 1200,
    LEAF_Y = 330,
    TEXT_Y = 372,
    HEIGHT = 385,
    LARGE = 12,  /* the radius of a mark with a number in it */
    NOBODY = -1, /* an empty subtree has no owner, … */
    SEVERAL = -2 /* … and one of several workers no single one */
};

/* A subtree: its lanes' owner, the least wait at B among owners, and where it is drawn. */
typedef struct fold {
    double x, y, r, wait;
    int owner;
    uint32_t first, n; /* lanes */
} fold;

typedef struct drawing {
    const dd_page_cell *c;
    FILE *out;
    uint32_t leaf_lanes; /* of a leaf */
    double step;         /* from leaf to leaf */
    double r;            /* of a leaf */
    bool named;          /* leaves have room for their numbers */
} drawing;

/* Lanes with a sequence before this one: below one sequence a lane, each of them has one. */
static uint64_t rank_of(const dd_page_cell *c, uint32_t lane)
{
    return c->batch < c->n_lanes ? (uint64_t)lane * c->batch / c->n_lanes : lane;
}

/* Who runs the lane at the end of the run, being dealt lanes with a sequence; NOBODY for one
 * without. */
static int owner_of(const dd_page_cell *c, uint32_t lane)
{
    const uint64_t rank = rank_of(c, lane);
    for (size_t i = 0; i < c->n_spheres && rank_of(c, lane + 1) > rank; i++) {
        const dd_page_sphere *s = &c->sphere[i];
        if (!s->control && lane >= s->first_lane && rank - rank_of(c, s->first_lane) < s->n_lanes)
            return (int)i;
    }
    return NOBODY;
}

/* Takes another subtree in. */
static void join(fold *into, const fold *other)
{
    into->n += other->n;
    if (other->owner == NOBODY)
        return;
    if (into->owner == NOBODY) {
        into->owner = other->owner;
        into->wait = other->wait;
        return;
    }
    into->owner = into->owner == other->owner ? into->owner : SEVERAL;
    into->wait = fmin(into->wait, other->wait);
}

static void tell(const drawing *g, const fold *f)
{
    fprintf(g->out, "<title>lane%s %u", f->n > 1 ? "s" : "", f->first);
    if (f->n > 1)
        fprintf(g->out, "–%u", f->first + f->n - 1);
    if (f->owner == NOBODY) {
        fputs(": no sequence, left out</title>", g->out);
        return;
    }
    fputs(f->owner == SEVERAL ? ": of several workers; the last to arrive waits " : ": sphere ",
          g->out);
    if (f->owner != SEVERAL) {
        dd_page_text_(g->c->sphere[f->owner].path, g->out);
        fputs(", which waits ", g->out);
    }
    fprintf(g->out, "%.1f %% of a step at B</title>", 100 * f->wait);
}

/* Marks that have room say in percent what their shade says. */
static void draw_mark(const drawing *g, const fold *f, double r)
{
    const int shade = dd_page_shade_(f->wait);
    fputs("<g>", g->out);
    tell(g, f);
    if (f->owner == NOBODY)
        fprintf(g->out, "<circle class=\"none\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/>", f->x, f->y,
                r * 0.6);
    else if (f->owner == SEVERAL)
        fprintf(g->out,
                "<path class=\"w%d disc\" d=\"M%.1f,%.1f l%.1f,%.1f l%.1f,%.1f l%.1f,%.1f z\"/>",
                shade, f->x - 1.3 * r, f->y, 1.3 * r, -1.3 * r, 1.3 * r, 1.3 * r, -1.3 * r,
                1.3 * r);
    else
        fprintf(g->out, "<circle class=\"w%d disc\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/>", shade,
                f->x, f->y, r);
    if (f->owner != NOBODY && r >= LARGE)
        fprintf(g->out, "<text class=\"on%d\" font-size=\"%.0f\" x=\"%.1f\" y=\"%.1f\">%.0f</text>",
                shade, r * 0.95, f->x, f->y + r * 0.34, 100 * f->wait);
    fputs("</g>\n", g->out);
}

/* The fold of n subtrees, drawn above them at height y, with its lines. One alone passes through:
 * there is nothing to add. */
static fold draw_fold(const drawing *g, const fold *part, size_t n, double y, double r)
{
    fold whole = {.y = y, .owner = NOBODY, .first = part[0].first};
    const fold *only = NULL;
    size_t present = 0;
    for (size_t i = 0; i < n; i++) {
        join(&whole, &part[i]);
        if (part[i].owner == NOBODY)
            continue;
        only = &part[i];
        whole.x += part[i].x;
        present++;
    }
    if (present < 2)
        return present ? *only : whole;
    whole.x /= (double)present;
    for (size_t i = 0; i < n; i++)
        if (part[i].owner != NOBODY)
            fprintf(g->out,
                    "<path class=\"edge\" stroke-width=\"%s\" d=\"M%.1f,%.1f L%.1f,%.1f\"/>\n",
                    whole.owner == SEVERAL ? "3" : "1", part[i].x, part[i].y, whole.x, y);
    /* above the lines: those that were drawn end in it, the one to come begins in it */
    for (size_t i = 0; i < n; i++)
        if (part[i].owner != NOBODY)
            draw_mark(g, &part[i], part[i].r);
    whole.r = r;
    return whole;
}

static fold draw_leaf(const drawing *g, uint32_t leaf)
{
    fold f = {.x = g->step * (leaf + 0.5),
              .y = LEAF_Y,
              .r = g->r,
              .owner = NOBODY,
              .first = leaf * g->leaf_lanes};
    for (uint32_t l = 0; l < g->leaf_lanes; l++) {
        const int owner = owner_of(g->c, f.first + l);
        const fold lane = {
            .owner = owner,
            .n = 1,
            .wait = owner >= 0 ? dd_page_wait_(g->c, &g->c->sphere[owner], DD_PAGE_AT_B) : 0};
        join(&f, &lane);
    }
    if (f.owner == NOBODY && g->r < LARGE)
        return f; /* no room for what is left out */
    if (f.owner == NOBODY)
        draw_mark(g, &f, f.r);
    if (g->named)
        fprintf(g->out, "<text class=\"ink\" font-size=\"20\" x=\"%.1f\" y=\"%d\">%u</text>\n", f.x,
                TEXT_Y, f.first);
    return f;
}

/* A sphere's twelve positions fold into one value; levels: of spheres below, itself included. */
static fold draw_sphere(const drawing *g, uint32_t first_leaf, uint32_t levels, double top,
                        double bottom)
{
    fold position[12], triangle[4], pair[2];
    const double rise = (bottom - top) / 3, r = bottom < LEAF_Y || g->r >= LARGE ? 18 : g->r;
    for (uint32_t p = 0; p < 12; p++)
        position[p] = levels > 1 ? draw_sphere(g, first_leaf + 12 * p, 1, bottom, LEAF_Y)
                                 : draw_leaf(g, first_leaf + p);
    for (size_t t = 0; t < 4; t++)
        triangle[t] = draw_fold(g, &position[3 * t], 3, bottom - rise, r);
    for (size_t h = 0; h < 2; h++)
        pair[h] = draw_fold(g, &triangle[2 * h], 2, bottom - 2 * rise, r);
    return draw_fold(g, pair, 2, top, r);
}

void dd_page_fold_tree_(const dd_page_results *r, const dd_page_cell *c, FILE *out)
{
    const uint32_t n_leaves = c->n_lanes > 12 ? 144 : 12;
    if (c->n_lanes < n_leaves || c->n_lanes % n_leaves)
        return; /* a subject without lanes */
    const drawing g = {.c = c,
                       .out = out,
                       .leaf_lanes = c->n_lanes / n_leaves,
                       .step = (double)WIDTH / n_leaves,
                       .r = n_leaves > 12 ? 4 : 18,
                       .named = n_leaves == 12 || c->batch <= 36};
    fputs("<figure class=\"wide\">\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
          "aria-label=\"Fold tree, scrolls sideways\">\n",
          out);
    fprintf(out,
            "<svg class=\"tree\" viewBox=\"-15 0 %d %d\" role=\"img\" aria-label=\"Fold tree of ",
            WIDTH + 30, HEIGHT);
    dd_page_text_(dd_page_label(r, c), out);
    fputs("\">\n", out);
    const fold root = draw_sphere(&g, 0, n_leaves > 12 ? 2 : 1, 30, n_leaves > 12 ? 210 : LEAF_Y);
    if (root.owner != NOBODY)
        draw_mark(&g, &root, root.r);
    fputs("</svg>\n</div>\n<figcaption>", out);
    dd_page_text_(dd_page_label(r, c), out);
    fprintf(out, "; %u of %u lanes have a sequence", c->batch < c->n_lanes ? c->batch : c->n_lanes,
            c->n_lanes);
    if (g.leaf_lanes > 1)
        fprintf(out, ", %u to a leaf", g.leaf_lanes);
    fputs("</figcaption>\n</figure>\n", out);
}
