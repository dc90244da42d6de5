/* SPDX-License-Identifier: MIT
 * Counts the work of a step. Every matrix product, forward, input gradient and weight gradient,
 * takes 2 operations an element of its matrix and token; `owner` makes weight gradients after
 * Point B, in even slices, the other reductions inside the lanes. */
#include "cost_amounts.h"

#include <stdlib.h>

#include "fold.h"
#include "gpt2.h"
#include "hierarchy.h"
#include "plan.h"

enum { FLOAT = 4, CALLS_PER_LAYER = 25, CALLS_PER_RUN = 10 };

/* What one configuration is planned as. */
typedef struct layout {
    const dd_cost_case *c;
    uint64_t *weight; /* (12^lane_depth) tokens of each lane */
    dd_share *share;  /* (workers) */
    dd_hierarchy *hierarchy;
    dd_plan *plan;
} layout;

/* Of the workers: the most of each. */
typedef struct busiest {
    double tokens, runs, stores, own_folds;
    double all_folds; /* own folds of all together */
} busiest;

static const dd_cost_about about[DD_COST_TERMS] = {
    [DD_COST_PRODUCTS] = {"products", "matrix products of the longest worker", DD_COST_GFLOPS},
    [DD_COST_ATTENTION] = {"attention", "attention of the longest worker", DD_COST_GFLOPS},
    [DD_COST_ROWS] = {"rows", "activations it writes and reads", DD_COST_GBS},
    [DD_COST_WEIGHTS] = {"weights", "weights its runs of lanes read", DD_COST_GBS},
    [DD_COST_GRADIENTS] = {"gradients", "gradients its runs of lanes write", DD_COST_GBS},
    [DD_COST_KEPT] = {"kept", "activations kept of the batch by owner", DD_COST_GBS},
    [DD_COST_CALLS] = {"calls", "calls of kernels", DD_COST_NS},
    [DD_COST_FOLDS] = {"folds", "folds one after another", DD_COST_GBS},
    [DD_COST_OWNED] = {"owned", "gradients folded in registers", DD_COST_GBS},
    [DD_COST_UPDATE] = {"update", "norm and update, a worker's slice", DD_COST_GBS},
    [DD_COST_SHARED] = {"shared", "memory all workers share: folds, update", DD_COST_GBS},
    [DD_COST_ALONE] = {"alone", "what one thread lists: sequences, spheres, folds", DD_COST_NS},
    [DD_COST_STEP] = {"step", "a request, its caller woken", DD_COST_US},
    [DD_COST_TREE_LEVELS] = {"levels", "A, B, V, U: a level, tree barrier", DD_COST_US},
    [DD_COST_TREE_SIBLINGS] = {"siblings", "A, B, V, U: one more at a level, tree barrier",
                               DD_COST_US},
    [DD_COST_PTHREAD_LEVELS] = {"p-levels", "A, B, V, U: a level, pthread barrier", DD_COST_US},
    [DD_COST_PTHREAD_SIBLINGS] = {"p-siblings", "A, B, V, U: one more at a level, pthread barrier",
                                  DD_COST_US},
    [DD_COST_WOKEN] = {"woken", "controls woken to fold, a level", DD_COST_US},
};

const dd_cost_about *dd_cost_about_term(dd_cost_term term)
{
    return &about[term];
}

uint32_t dd_cost_lanes(uint32_t batch, uint32_t lane_depth)
{
    const uint32_t lanes = dd_power_of_12(lane_depth);
    return batch < lanes ? batch : lanes;
}

/* ---- Planning ---- */

static void layout_close(layout *l)
{
    dd_plan_close(l->plan);
    dd_hierarchy_close(l->hierarchy);
    free(l->share);
    free(l->weight);
}

static dd_status layout_open(layout *l, const dd_cost_case *c)
{
    const uint64_t lanes = dd_power_of_12(c->lane_depth);
    *l = (layout){.c = c};
    l->weight = calloc(lanes, sizeof *l->weight);
    l->share = calloc(c->workers, sizeof *l->share);
    dd_status st = l->weight && l->share ? DD_OK : DD_ERR_MEMORY;
    for (uint64_t i = 0; st == DD_OK && i < lanes; i++)
        l->weight[i] = ((i + 1) * c->batch / lanes - i * c->batch / lanes) * c->seq;
    if (!st)
        st = dd_hierarchy_open(c->depth, c->workers, &l->hierarchy);
    if (!st)
        st = dd_placement(l->weight, c->lane_depth, c->workers, NULL, l->share);
    if (!st)
        st = dd_plan_open(l->weight, c->lane_depth, l->hierarchy, l->share,
                          dd_reduce_plan(c->reduce, false), &l->plan);
    if (st)
        layout_close(l);
    return st;
}

/* ---- Counting ---- */

static double greater(double a, double b)
{
    return a > b ? a : b;
}

static busiest count_workers(const layout *l)
{
    busiest b = {0};
    for (uint32_t w = 0; w < l->c->workers; w++) {
        uint32_t n;
        const dd_op *op = dd_plan_ops(l->plan, w, &n);
        double runs = 0, stores = 0, folds = 0;
        for (uint32_t i = 0; i < n; i++) {
            runs += op[i].kind == DD_OP_RUN_STORE || op[i].kind == DD_OP_RUN_FOLD;
            stores += op[i].kind == DD_OP_RUN_STORE;
            folds += op[i].kind == DD_OP_FOLD;
        }
        b.tokens = greater(b.tokens, (double)l->share[w].tokens);
        b.runs = greater(b.runs, runs);
        b.stores = greater(b.stores, stores);
        b.own_folds = greater(b.own_folds, folds);
        b.all_folds += folds;
    }
    return b;
}

/* Shared folds that wait for each other, longest chain: up the fold tree, or, with `control`, all
 * of a control's own and before them those of a control below. */
static dd_status longest_chain(const layout *l, double *out)
{
    const dd_hierarchy *h = l->hierarchy;
    const bool control = l->c->reduce == DD_REDUCE_CONTROL;
    const uint32_t n = dd_plan_n_nodes(l->plan);
    uint32_t *height = calloc((size_t)n + 1, sizeof *height);
    uint32_t *own = calloc((size_t)h->n_spheres + 1, sizeof *own);
    uint32_t *below = calloc((size_t)h->n_spheres + 1, sizeof *below);
    uint32_t most = 0;
    for (uint32_t i = 0; height && own && below && i < n;
         i++) { /* a node stands before its parent */
        const dd_node *node = dd_plan_node(l->plan, i);
        const uint32_t here = height[i] + 1;
        most = here > most ? here : most;
        if (node->parent != DD_NO_NODE && height[node->parent] < here)
            height[node->parent] = here;
        if (node->control != DD_NO_SPHERE)
            own[node->control]++;
    }
    for (uint32_t s = h->n_spheres; height && own && below && s-- > 1;) { /* children first */
        const uint32_t up = h->sphere[s].parent, chain = own[s] + below[s];
        below[up] = chain > below[up] ? chain : below[up];
    }
    const dd_status st = height && own && below ? DD_OK : DD_ERR_MEMORY;
    if (!st)
        *out = control ? own[0] + below[0] : most;
    free(height);
    free(own);
    free(below);
    return st;
}

static void count_meetings(const layout *l, dd_cost_amounts *a)
{
    const dd_hierarchy *h = l->hierarchy;
    uint32_t most[DD_DEPTH_MAX + 1] = {0};
    const bool tree = l->c->barrier == DD_BARRIER_TREE;
    for (uint32_t s = 0; s < h->n_spheres; s++) {
        const uint32_t level = h->sphere[s].place.level, n = h->sphere[s].n_children;
        most[level] = n > most[level] ? n : most[level];
    }
    double siblings = 0;
    for (uint32_t level = 0; level < h->depth; level++) {
        siblings += most[level] ? most[level] - 1 : 0;
        a->fewest_siblings += most[level] > 1;
    }
    a->of[tree ? DD_COST_TREE_LEVELS : DD_COST_PTHREAD_LEVELS] = h->depth;
    a->of[tree ? DD_COST_TREE_SIBLINGS : DD_COST_PTHREAD_SIBLINGS] = siblings;
    a->of[DD_COST_WOKEN] = l->c->reduce == DD_REDUCE_CONTROL ? h->depth : 0;
}

static void count_lanes(const dd_cost_case *c, const busiest *b, double matrices, double P,
                        dd_cost_amounts *a)
{
    const dd_shape *s = &c->shape;
    const double C = s->C, T = c->seq, L = s->L, W = c->workers;
    const double all_tokens = (double)c->batch * T, sequences = b->tokens / T;
    const bool owner = c->reduce == DD_REDUCE_OWNER;
    a->of[DD_COST_PRODUCTS] =
        matrices * (owner ? 4 * b->tokens + 2 * all_tokens / W : 6 * b->tokens);
    /* two products forward, four backward, over the pairs that causality leaves */
    a->of[DD_COST_ATTENTION] = sequences * L * C * T * (T + 1) / 2 * 12;
    a->of[DD_COST_ROWS] = b->tokens * (L * (16 * C + s->NH * T / 2) + s->V) * FLOAT * 2;
    a->of[DD_COST_WEIGHTS] = b->runs * 2 * FLOAT * matrices;
    a->of[DD_COST_GRADIENTS] =
        FLOAT * (owner ? matrices / W : b->runs * P + (b->runs - b->stores) * P);
    a->of[DD_COST_KEPT] = owner ? all_tokens / W * (L * 16 * C + s->V + C) * FLOAT : 0;
    a->of[DD_COST_CALLS] =
        b->runs * (CALLS_PER_LAYER * L + CALLS_PER_RUN) + sequences * s->NH * L * 2;
}

/* A fold reads two gradients and writes one; `sliced` reads each gradient once, a slice at a time,
 * and writes the root. */
static void count_memory(const layout *l, const busiest *b, double matrices, double P, double chain,
                         dd_cost_amounts *a)
{
    const double W = l->c->workers, n = dd_plan_n_nodes(l->plan), fold = 3 * FLOAT * P;
    double folds = b->own_folds * fold, all = b->all_folds * fold;
    switch (l->c->reduce) {
    case DD_REDUCE_OWNER:
        a->of[DD_COST_OWNED] = n * FLOAT * matrices / W;
        break;
    case DD_REDUCE_SLICED:
        if (n > 0) {
            folds += (n + 2) * FLOAT * P / W;
            all += (n + 2) * FLOAT * P;
        }
        break;
    default:
        folds += chain * fold;
        all += n * fold;
    }
    a->of[DD_COST_FOLDS] = folds;
    /* gradient read for the norm; weights and moments read and written, gradient read, packed
     * matrices written twice */
    a->of[DD_COST_UPDATE] = (FLOAT * P + 7 * FLOAT * P + 2 * FLOAT * matrices) / W;
    a->of[DD_COST_SHARED] = all + 7 * FLOAT * P + 2 * FLOAT * matrices;
    const bool listed = dd_reduce_slices(l->c->reduce);
    a->of[DD_COST_ALONE] = (listed ? n : 0) + l->c->batch + l->hierarchy->n_spheres;
}

static double memory_of(const layout *l, double P)
{
    const dd_cost_case *c = l->c;
    const uint32_t lanes = dd_cost_lanes(c->batch, c->lane_depth);
    const uint32_t longest =
        (c->batch + dd_power_of_12(c->lane_depth) - 1) / dd_power_of_12(c->lane_depth);
    dd_model m = {.kernels = dd_kernels_select(DD_SIMD_OFF, NULL), .T = c->seq};
    dd_layout_make(&c->shape, &m.layout);
    if (c->reduce != DD_REDUCE_OWNER)
        return dd_plan_n_segments(l->plan) * FLOAT * P +
               c->workers * (double)dd_workspace_size(&m, longest, false);
    uint32_t at_once = DD_PLAN_BUNDLE_TOKENS / c->seq;
    at_once = at_once < longest ? longest : at_once > c->batch ? c->batch : at_once;
    dd_layout vectors;
    dd_layout_make_vectors(&c->shape, c->seq, &vectors);
    return FLOAT * P + (double)dd_acts_size(&m, c->batch, true) +
           (double)lanes * FLOAT * (double)dd_layout_size(&vectors) +
           c->workers * (double)dd_workspace_size(&m, at_once, true);
}

dd_status dd_cost_count(const dd_cost_case *c, dd_cost_amounts *out)
{
    layout l;
    dd_status st = layout_open(&l, c);
    if (st)
        return st;
    const dd_shape *s = &c->shape;
    const double matrices = 12.0 * s->L * s->C * s->C + (double)s->V * s->C;
    const double P = (double)dd_shape_n_parameters(s);
    double chain = 0;
    *out = (dd_cost_amounts){.of[DD_COST_STEP] = 1};
    st = longest_chain(&l, &chain);
    if (!st) {
        const busiest b = count_workers(&l);
        count_lanes(c, &b, matrices, P, out);
        count_memory(&l, &b, matrices, P, chain, out);
        count_meetings(&l, out);
        out->lane_bound = (double)c->batch * c->seq / b.tokens;
        out->bytes = memory_of(&l, P);
    }
    layout_close(&l);
    return st;
}
