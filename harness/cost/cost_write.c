/* SPDX-License-Identifier: MIT
 * Text of the cost model. */
#include "cost_write.h"

#include <math.h>

#include "table.h"

/* ---- The model ---- */

/* A coefficient as people say it: a rate for work, a time for what happens once. */
static void put_coefficient(dd_table *t, size_t row, dd_cost_unit unit, double ns)
{
    if (!(ns > 0))
        dd_table_put(t, row, "none");
    else if (unit == DD_COST_GFLOPS || unit == DD_COST_GBS)
        dd_table_put(t, row, "%.3g %s", 1 / ns, unit == DD_COST_GBS ? "GB/s" : "GFLOP/s");
    else
        dd_table_put(t, row, unit == DD_COST_US ? "%.3g us" : "%.3g ns",
                     unit == DD_COST_US ? ns * 1e-3 : ns);
}

static size_t seen_terms(const dd_cost_model *m, dd_cost_term term[DD_COST_TERMS])
{
    size_t n = 0;
    for (int t = 0; t < DD_COST_TERMS; t++)
        if (m->fit.seen[t])
            term[n++] = (dd_cost_term)t;
    return n;
}

static void write_terms(const dd_cost_model *m, FILE *out)
{
    dd_cost_term term[DD_COST_TERMS];
    const size_t n = seen_terms(m, term);
    dd_table t;
    dd_table_open(&t, n);
    dd_table_add(&t, "term", false);
    for (size_t i = 0; i < n; i++)
        dd_table_put(&t, i, "%s", dd_cost_about_term(term[i])->name);
    dd_table_add(&t, "coefficient", true);
    for (size_t i = 0; i < n; i++)
        put_coefficient(&t, i, dd_cost_about_term(term[i])->unit, m->fit.ns_per[term[i]]);
    dd_table_add(&t, "share", true);
    for (size_t i = 0; i < n; i++)
        dd_table_put(&t, i, "%.1f%%", 100 * m->share[term[i]]);
    dd_table_add(&t, "of", false);
    for (size_t i = 0; i < n; i++)
        dd_table_put(&t, i, "%s", dd_cost_about_term(term[i])->what);
    dd_table_plain(&t, out);
    dd_table_close(&t);
}

static void write_errors(const dd_cost_model *m, FILE *out)
{
    const struct {
        const char *of;
        const dd_cost_error *error;
    } rows[] = {{"every fifth cell, in turn", &m->left_out},
                {"all cells of a model shape, in turn", &m->other_shape},
                {"none: the cells it was fitted on", &m->fitted}};
    enum { ROWS = sizeof rows / sizeof rows[0] };
    dd_table t;
    dd_table_open(&t, ROWS);
    dd_table_add(&t, "left out of the fit", false);
    for (size_t i = 0; i < ROWS; i++)
        dd_table_put(&t, i, "%s", rows[i].of);
    static const char *const heads[] = {"cells", "median", "p90", "worst"};
    for (size_t c = 0; c < 4; c++) {
        dd_table_add(&t, heads[c], true);
        for (size_t i = 0; i < ROWS; i++) {
            const dd_cost_error *e = rows[i].error;
            if (c == 0)
                dd_table_put(&t, i, "%zu", e->n);
            else if (e->n)
                dd_table_put(&t, i, "%.1f%%",
                             100 * (c == 1   ? e->median
                                    : c == 2 ? e->p90
                                             : e->worst));
        }
    }
    dd_table_add(&t, "worst cell", false);
    for (size_t i = 0; i < ROWS; i++) {
        if (!rows[i].error->n)
            continue;
        const dd_cost_cell *cell = m->cell[rows[i].error->worst_cell];
        dd_table_put(&t, i, "%s batch %u seq %u, %u worker%s, depth %u, lane depth %u, %s, %s",
                     cell->model, cell->is.batch, cell->is.seq, cell->is.workers,
                     cell->is.workers == 1 ? "" : "s", cell->is.depth, cell->is.lane_depth,
                     dd_reduce_name(cell->is.reduce),
                     cell->is.barrier == DD_BARRIER_TREE ? "tree barrier" : "pthread barrier");
    }
    dd_table_plain(&t, out);
    dd_table_close(&t);
}

void dd_cost_write_model(const dd_cost_cells *cells, const dd_cost_model *m, FILE *out)
{
    fprintf(out, "cost model of %s kernels on %s, %u core%s, commit %s\n\n", m->kernels, cells->cpu,
            cells->cores, cells->cores == 1 ? "" : "s", cells->commit);
    fprintf(out, "fitted on %zu of %zu measured cells", m->n, cells->n_read);
    if (cells->n > m->n)
        fprintf(out,
                ", those of the kernel set that most of them have; not used, other kernels: %zu",
                cells->n - m->n);
    for (int left = 0; left < DD_COST_LEFT_REASONS; left++)
        if (cells->left[left])
            fprintf(out, "; not used, %s: %zu", dd_cost_left_why((dd_cost_left)left),
                    cells->left[left]);
    fputs("\n\n", out);
    write_terms(m, out);
    fputs("\nerrors of predicted steps, |predicted / measured - 1|\n\n", out);
    write_errors(m, out);
    const bool held = m->left_out.median <= DD_COST_ERROR_TARGET;
    fprintf(out,
            "\nthe median cell that was left out is predicted within %.1f %%, target %.0f %%: "
            "%s\n",
            100 * m->left_out.median, 100 * DD_COST_ERROR_TARGET,
            held ? "held" : "NOT HELD, do not rely on what follows");
}

/* ---- Predictions ---- */

/* "low to high", three digits each, without exponents. */
static void put_range(dd_table *t, size_t row, double low, double high)
{
    char text[2][32];
    const double x[2] = {low, high};
    for (int i = 0; i < 2; i++)
        (void)snprintf(text[i], sizeof text[i], x[i] >= 99.95 ? "%.0f" : "%.3g", x[i]);
    dd_table_put(t, row, "%s to %s", text[0], text[1]);
}

/* The column's texts for all rows, and the next one. */
static void add_numbers(dd_table *t, const dd_cost_page *page)
{
    const dd_cost_forecast *f = page->forecast;
    dd_table_add(t, "cores", true);
    for (size_t i = 0; i < page->n; i++)
        dd_table_put(t, i, "%u", f[i].is.workers);
    dd_table_add(t, "batch", true);
    for (size_t i = 0; i < page->n; i++)
        dd_table_put(t, i, "%u", f[i].is.batch);
    dd_table_add(t, "depth", true);
    for (size_t i = 0; i < page->n; i++)
        dd_table_put(t, i, "%u", f[i].is.depth);
    dd_table_add(t, "lane depth", true);
    for (size_t i = 0; i < page->n; i++)
        dd_table_put(t, i, "%u", f[i].is.lane_depth);
    dd_table_add(t, "reduce", false);
    for (size_t i = 0; i < page->n; i++)
        dd_table_put(t, i, "%s", dd_reduce_name(f[i].is.reduce));
}

static void add_predictions(dd_table *t, const dd_cost_page *page)
{
    const dd_cost_forecast *f = page->forecast;
    dd_table_add(t, "predicted step ms", true);
    for (size_t i = 0; i < page->n; i++)
        put_range(t, i, f[i].ns.low * 1e-6, f[i].ns.high * 1e-6);
    dd_table_add(t, "predicted x 1", true);
    for (size_t i = 0; i < page->n; i++)
        put_range(t, i, f[i].speedup.low, f[i].speedup.high);
    dd_table_add(t, "bound", true);
    for (size_t i = 0; i < page->n; i++)
        dd_table_put(t, i, "%.4g", f[i].lane_bound);
    dd_table_add(t, "predicted efficiency", true);
    for (size_t i = 0; i < page->n; i++)
        dd_table_put(t, i, "%.2f to %.2f", f[i].speedup.low / f[i].is.workers,
                     f[i].speedup.high / f[i].is.workers);
    dd_table_add(t, "GiB", true);
    for (size_t i = 0; i < page->n; i++)
        dd_table_put(t, i, "%.3g", f[i].bytes / 0x1p30);
}

const dd_cost_forecast *dd_cost_best(const dd_cost_page *page, uint32_t cores)
{
    double least = (double)INFINITY;
    for (size_t i = 0; i < page->n; i++)
        if (page->forecast[i].is.workers == cores && page->forecast[i].ns.high < least)
            least = page->forecast[i].ns.high;
    for (size_t i = 0; i < page->n; i++)
        if (page->forecast[i].is.workers == cores &&
            page->forecast[i].ns.high <= least * DD_COST_ALIKE)
            return &page->forecast[i];
    return NULL;
}

static void write_advice(const dd_cost_page *page, FILE *out)
{
    uint32_t before = 0;
    fputs("\nto take, by these predictions\n\n", out);
    for (size_t i = 0; i < page->n; i++) {
        const uint32_t cores = page->forecast[i].is.workers;
        if (cores == before)
            continue;
        const dd_cost_forecast *f = dd_cost_best(page, cores);
        before = cores;
        fprintf(out,
                "  %4u cores: --workers %u --depth %u --lane-depth %u --reduce %s --batch %u: "
                "predicted %.0f to %.0f x one worker\n",
                cores, cores, f->is.depth, f->is.lane_depth, dd_reduce_name(f->is.reduce),
                f->is.batch, f->speedup.low, f->speedup.high);
    }
}

/* What has no row, and why. */
static void write_refusals(const dd_cost_page *page, FILE *out)
{
    bool any = false;
    for (size_t i = 0; i < page->n_cores; i++)
        for (uint32_t depth = 1; depth <= DD_SETTINGS_DEPTH_MAX; depth++) {
            const dd_cost_refusal why = dd_cost_refuses(&page->wanted, page->cores[i], depth);
            if (why == DD_COST_MAY)
                continue;
            fputs(any ? "" : "\nnot predicted\n\n", out);
            any = true;
            fprintf(out, "  %4u cores at depth %u: %s\n", page->cores[i], depth,
                    dd_cost_refusal_why(why));
        }
}

void dd_cost_write_page(const dd_cost_model *m, const dd_cost_page *page, FILE *out)
{
    dd_table t;
    fprintf(out,
            "PREDICTED, nothing here is measured: %s, seq %u, one worker a core, %s kernels%s\n\n",
            page->wanted.model, page->wanted.seq, m->kernels,
            page->wanted.measured ? "" : " (no cell of this shape was measured)");
    dd_table_open(&t, page->n);
    add_numbers(&t, page);
    add_predictions(&t, page);
    dd_table_plain(&t, out);
    dd_table_close(&t);
    write_refusals(page, out);
    write_advice(page, out);
}

/* ---- What is assumed ---- */

static const char *const assumptions[] = {
    "A core of the larger machine computes as fast as one here does while all are busy: the same "
    "clock, vector sets and caches. There are no slower cores and no stragglers.",
    "Lanes, hierarchy and folds are counted by the trainer's own placement and fold plan: bound is "
    "tokens / most tokens on one worker.",
    "Memory, faster end: every core reads and writes at the rate fitted here, and what cores here "
    "take from each other stays the same share: memory grows with the cores.",
    "Memory, slower end: of what a worker does not share, gradients, folds, update, no core gets "
    "more "
    "than 3 GB/s while all are busy, as in a server of 64 cores with eight channels of DDR4-3200. "
    "Weights are read by all and stay in shared caches. Near and far memory are alike.",
    "Meetings at A, B, V and U, faster end: a level of twelve costs what a level of two does here. "
    "Slower end: every further sibling costs as much as the second.",
    "Lane depth is the one of 1, 2 and 3 with the fastest slower end; it decides the bits. x 1: "
    "the "
    "step of one worker on this machine, predicted too, the same batch, lanes and reduction.",
    "GiB: gradients, activations and workspaces of all workers, without weights and moments.",
};
enum { N_ASSUMPTIONS = sizeof assumptions / sizeof assumptions[0] };

void dd_cost_write_assumptions(const dd_cost_model *m, FILE *out)
{
    fputs("what is assumed\n\n", out);
    for (size_t i = 0; i < N_ASSUMPTIONS; i++)
        fprintf(out, "  - %s\n", assumptions[i]);
    if (!(m->fit.ns_per[DD_COST_SHARED] > 0))
        fprintf(
            out,
            "  - The %u core%s here took nothing from each other's memory that could be seen.\n",
            m->cores, m->cores == 1 ? "" : "s");
}

/* ---- JSON ---- */

static json_t *error_json(const dd_cost_error *e)
{
    return e->n ? json_pack("{s:i, s:f, s:f, s:f}", "cells", (int)e->n, "median", e->median, "p90",
                            e->p90, "worst", e->worst)
                : json_null();
}

static json_t *terms_json(const dd_cost_model *m)
{
    json_t *terms = json_array();
    for (int t = 0; t < DD_COST_TERMS; t++)
        if (m->fit.seen[t])
            (void)json_array_append_new(
                terms,
                json_pack("{s:s, s:s, s:f, s:f}", "term", dd_cost_about_term((dd_cost_term)t)->name,
                          "of", dd_cost_about_term((dd_cost_term)t)->what, "ns_per_unit",
                          m->fit.ns_per[t], "share", m->share[t]));
    return terms;
}

/* Of each cell the error of a fit that had not seen it. */
static json_t *check_json(const dd_cost_model *m)
{
    json_t *cells = json_array();
    for (size_t i = 0; i < m->n; i++) {
        const dd_cost_case *c = &m->cell[i]->is;
        (void)json_array_append_new(
            cells,
            json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:s, s:s, s:f}", "model", m->cell[i]->model,
                      "batch", (int)c->batch, "seq", (int)c->seq, "workers", (int)c->workers,
                      "depth", (int)c->depth, "lane_depth", (int)c->lane_depth, "reduce",
                      dd_reduce_name(c->reduce), "barrier",
                      c->barrier == DD_BARRIER_TREE ? "tree" : "pthread", "error", m->error[i]));
    }
    return cells;
}

static json_t *forecast_json(const dd_cost_forecast *f)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "cores",
                     (int)f->is.workers, "depth", (int)f->is.depth, "lane_depth",
                     (int)f->is.lane_depth, "batch", (int)f->is.batch, "reduce",
                     dd_reduce_name(f->is.reduce), "predicted_step_ns_low", f->ns.low,
                     "predicted_step_ns_high", f->ns.high, "predicted_one_worker_ns", f->one_ns,
                     "predicted_speedup_low", f->speedup.low, "predicted_speedup_high",
                     f->speedup.high, "lane_bound", f->lane_bound, "bytes", f->bytes);
}

static json_t *page_json(const dd_cost_page *page)
{
    json_t *predicted = json_array(), *advice = json_array(), *refused = json_array();
    uint32_t before = 0;
    for (size_t i = 0; i < page->n; i++) {
        (void)json_array_append_new(predicted, forecast_json(&page->forecast[i]));
        if (page->forecast[i].is.workers != before)
            (void)json_array_append_new(
                advice, forecast_json(dd_cost_best(page, page->forecast[i].is.workers)));
        before = page->forecast[i].is.workers;
    }
    for (size_t i = 0; i < page->n_cores; i++)
        for (uint32_t depth = 1; depth <= DD_SETTINGS_DEPTH_MAX; depth++) {
            const dd_cost_refusal why = dd_cost_refuses(&page->wanted, page->cores[i], depth);
            if (why != DD_COST_MAY)
                (void)json_array_append_new(
                    refused, json_pack("{s:i, s:i, s:s}", "cores", (int)page->cores[i], "depth",
                                       (int)depth, "why", dd_cost_refusal_why(why)));
        }
    return json_pack("{s:s, s:i, s:b, s:o, s:o, s:o}", "model", page->wanted.model, "seq",
                     (int)page->wanted.seq, "shape_measured", (int)page->wanted.measured,
                     "predicted", predicted, "not_predicted", refused, "advice", advice);
}

json_t *dd_cost_json(const dd_cost_cells *cells, const dd_cost_model *m, const dd_cost_page *page,
                     size_t n_pages)
{
    json_t *models = json_array(), *assumed = json_array();
    for (size_t i = 0; i < n_pages; i++)
        (void)json_array_append_new(models, page_json(&page[i]));
    for (size_t i = 0; i < N_ASSUMPTIONS; i++)
        (void)json_array_append_new(assumed, json_string(assumptions[i]));
    return json_pack(
        "{s:i, s:s, s:s, s:i, s:s, s:s, s:i, s:i, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o}",
        "format", 1, "kind", "predicted", "cpu", cells->cpu, "cores", (int)cells->cores, "commit",
        cells->commit, "kernels", m->kernels, "cells_read", (int)cells->n_read, "cells_fitted",
        (int)m->n, "terms", terms_json(m), "error_left_out", error_json(&m->left_out),
        "error_other_shape", error_json(&m->other_shape), "error_fitted", error_json(&m->fitted),
        "error_held", (int)(m->left_out.median <= DD_COST_ERROR_TARGET), "check", check_json(m),
        "models", models, "assumptions", assumed);
}
