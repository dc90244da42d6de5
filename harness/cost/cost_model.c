/* SPDX-License-Identifier: MIT
 * Fit, check and prediction. */
#include "cost_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "spheres.h"
#include "stats.h"
#include "text.h"

enum { CELLS_A_TERM = 3 };

void dd_cost_model_close(dd_cost_model *m)
{
    free(m->cell);
    free(m->error);
    *m = (dd_cost_model){0};
}

/* ---- Fit and check ---- */

/* |error| of those that have one. */
static bool summarise(const double *error, size_t n, dd_cost_error *out)
{
    double *sorted = calloc(n + 1, sizeof *sorted);
    *out = (dd_cost_error){0};
    if (!sorted)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (isnan(error[i]))
            continue;
        const double e = fabs(error[i]);
        if (!out->n || e > out->worst) {
            out->worst = e;
            out->worst_cell = i;
        }
        sorted[out->n++] = e;
    }
    dd_sort(sorted, out->n);
    out->median = dd_quantile(sorted, out->n, 0.5);
    out->p90 = dd_quantile(sorted, out->n, 0.9);
    free(sorted);
    return true;
}

static bool fit_and_check(dd_cost_model *m, const dd_cost_row *row)
{
    double *error = m->error = calloc(m->n, sizeof *error), *other = calloc(m->n, sizeof *other);
    bool good = error && other;
    dd_cost_fit_rows(row, m->n, NULL, &m->fit);
    for (size_t i = 0; good && i < m->n; i++) {
        const double ns = dd_cost_time(&m->fit, row[i].amount);
        error[i] = ns / row[i].ns - 1;
        for (size_t t = 0; t < DD_COST_TERMS; t++)
            m->share[t] += m->fit.ns_per[t] * row[i].amount[t] / ns / (double)m->n;
    }
    good = good && summarise(error, m->n, &m->fitted);
    good = good && dd_cost_check(row, m->n, error, other);
    good = good && summarise(error, m->n, &m->left_out) && summarise(other, m->n, &m->other_shape);
    free(other);
    return good;
}

/* Whether the cells can tell the terms apart. */
static bool enough(const dd_cost_model *m, const dd_cost_row *row, char message[DD_MESSAGE_MAX])
{
    size_t terms = 0, shapes = 0;
    bool several = false, one = false;
    for (size_t t = 0; t < DD_COST_TERMS; t++) {
        bool seen = false;
        for (size_t i = 0; i < m->n; i++)
            seen = seen || row[i].amount[t] > 0;
        terms += seen;
    }
    for (size_t i = 0; i < m->n; i++) {
        bool first = true;
        for (size_t k = 0; k < i; k++)
            first = first && row[k].group != row[i].group;
        shapes += first;
        one = one || m->cell[i]->is.workers == 1;
        several = several || m->cell[i]->is.workers > 1;
    }
    if (m->n >= CELLS_A_TERM * terms && m->n > 0 && one && several && shapes > 1)
        return true;
    return dd_text_refuse(
        message,
        "%zu cells with %s kernels can be fitted on, of %zu model shapes%s%s: "
        "needed are %zu, three for each of %zu terms, of two shapes or more, with "
        "1 and with more workers; `dodeca run scenarios/calibrate.yaml --out DIR` "
        "measures enough",
        m->n, m->kernels, shapes, one ? "" : ", none with 1 worker",
        several ? "" : ", none with more than 1 worker", CELLS_A_TERM * terms, terms);
}

bool dd_cost_model_open(dd_cost_model *m, const dd_cost_cells *cells, const char *kernels,
                        char message[DD_MESSAGE_MAX])
{
    *m = (dd_cost_model){.cores = cells->cores};
    snprintf(m->kernels, sizeof m->kernels, "%s", kernels);
    m->cell = calloc(cells->n + 1, sizeof *m->cell);
    dd_cost_row *row = calloc(cells->n + 1, sizeof *row);
    bool good = m->cell && row;
    for (size_t i = 0; good && i < cells->n; i++) {
        const dd_cost_cell *cell = &cells->cell[i];
        if (strcmp(cell->kernels, kernels) != 0)
            continue;
        row[m->n] = (dd_cost_row){.ns = cell->ns, .group = cell->group};
        memcpy(row[m->n].amount, cell->amounts.of, sizeof cell->amounts.of);
        m->tree = m->tree || cell->is.barrier == DD_BARRIER_TREE;
        m->cell[m->n++] = cell;
    }
    if (!good)
        (void)dd_text_refuse(message, "out of memory");
    good = good && enough(m, row, message);
    if (good && !fit_and_check(m, row))
        good = dd_text_refuse(message, "out of memory");
    free(row);
    return good;
}

/* ---- Prediction ---- */

/* At the faster or the slower end of what is assumed of a machine with more cores; of no more cores
 * than were measured nothing is assumed. */
typedef enum end { AS_MEASURED, FASTER, SLOWER } end;

/* Bytes that a worker reads and writes alone, gradients, folds, update: at the slower end at most
 * at the rate that a core of a large machine is sure to get. */
static double memory_ns(double ns_per_byte, double bytes, end at)
{
    const double least = 1 / DD_COST_LEAST_GBS;
    return bytes * (at == SLOWER && ns_per_byte < least ? least : ns_per_byte);
}

static double step_ns(const dd_cost_model *m, const dd_cost_amounts *a, uint32_t cores, end at)
{
    double amount[DD_COST_TERMS];
    memcpy(amount, a->of, sizeof amount);
    double ns = 0;
    static const dd_cost_term memory[] = {DD_COST_GRADIENTS, DD_COST_KEPT, DD_COST_FOLDS,
                                          DD_COST_UPDATE};
    for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++) {
        ns += memory_ns(m->fit.ns_per[memory[i]], amount[memory[i]], at);
        amount[memory[i]] = 0;
    }
    if (at != AS_MEASURED) /* more cores come with more memory, in proportion */
        amount[DD_COST_SHARED] *= (double)m->cores / cores;
    if (at == FASTER) {
        const dd_cost_term siblings = m->tree ? DD_COST_TREE_SIBLINGS : DD_COST_PTHREAD_SIBLINGS;
        amount[siblings] = a->fewest_siblings;
    }
    return ns + dd_cost_time(&m->fit, amount);
}

static dd_status predict_at(const dd_cost_model *m, const dd_cost_case *c, dd_cost_forecast *out)
{
    dd_cost_case one = *c;
    dd_cost_amounts a, alone;
    const bool more = c->workers > m->cores;
    one.workers = one.depth = 1;
    dd_status st = dd_cost_count(c, &a);
    if (!st)
        st = dd_cost_count(&one, &alone);
    if (st)
        return st;
    *out = (dd_cost_forecast){.is = *c,
                              .one_ns = dd_cost_time(&m->fit, alone.of),
                              .ns = {step_ns(m, &a, c->workers, more ? FASTER : AS_MEASURED),
                                     step_ns(m, &a, c->workers, more ? SLOWER : AS_MEASURED)},
                              .lane_bound = a.lane_bound,
                              .bytes = a.bytes};
    out->speedup = (dd_cost_range){out->one_ns / out->ns.high, out->one_ns / out->ns.low};
    return DD_OK;
}

static uint32_t batch_of(const dd_cost_wanted *wanted, uint32_t cores)
{
    return wanted->batch ? wanted->batch : DD_COST_SEQUENCES_A_CORE * cores;
}

dd_cost_refusal dd_cost_refuses(const dd_cost_wanted *wanted, uint32_t cores, uint32_t depth)
{
    const uint32_t batch = batch_of(wanted, cores);
    if (cores > dd_power_of_12(depth))
        return DD_COST_TOO_MANY;
    if ((uint64_t)batch * wanted->seq > DD_SETTINGS_TOKENS_MAX)
        return DD_COST_TOO_LARGE;
    return dd_cost_lanes(batch, DD_TRAINER_DEPTH_MAX) < cores ? DD_COST_TOO_FEW : DD_COST_MAY;
}

const char *dd_cost_refusal_why(dd_cost_refusal refusal)
{
    static const char *const why[] = {
        [DD_COST_MAY] = "",
        [DD_COST_TOO_MANY] = "depths 1, 2 and 3 hold up to 12, 144 and 1728 workers",
        [DD_COST_TOO_LARGE] = "the batch has more than 2^24 tokens: a smaller --batch or --seq",
        [DD_COST_TOO_FEW] = "the batch has fewer sequences than cores: a larger --batch"};
    return why[refusal];
}

dd_status dd_cost_predict(const dd_cost_model *m, const dd_cost_wanted *wanted, uint32_t cores,
                          uint32_t depth, dd_reduce reduce, dd_cost_forecast *out)
{
    dd_cost_case c = {.shape = wanted->shape,
                      .batch = batch_of(wanted, cores),
                      .seq = wanted->seq,
                      .depth = depth,
                      .workers = cores,
                      .reduce = reduce,
                      .barrier = m->tree ? DD_BARRIER_TREE : DD_BARRIER_PTHREAD};
    bool found = false;
    if (dd_cost_refuses(wanted, cores, depth) != DD_COST_MAY)
        return DD_ERR_REFUSED;
    for (c.lane_depth = 1; c.lane_depth <= DD_TRAINER_DEPTH_MAX; c.lane_depth++) {
        dd_cost_forecast f;
        if (dd_cost_lanes(c.batch, c.lane_depth) < cores)
            continue;
        const dd_status st = predict_at(m, &c, &f);
        if (st)
            return st;
        if (!found || f.ns.high * DD_COST_ALIKE < out->ns.high)
            *out = f;
        found = true;
    }
    return found ? DD_OK : DD_ERR_REFUSED;
}
