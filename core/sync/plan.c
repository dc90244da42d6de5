/* SPDX-License-Identifier: MIT
 * The fold tree of one sphere and the plan by which workers carry it out. Decides before the first
 * step who runs, folds and posts what, and in which segment; nothing here runs during a step. */
#include "fold.h"

#include <assert.h>

#include "platform.h"

/* The canonical tree: terms 0-11 are the positions, 12-22 the folds, children before parents. */
enum { N_FOLDS = DD_POSITIONS - 1, N_TERMS = DD_POSITIONS + N_FOLDS, ROOT = N_TERMS - 1 };
static const struct {
    uint32_t left, right;
} tree[N_FOLDS] = {
    {0, 1},   {12, 2},  /* triangle 0 is term 13 */
    {3, 4},   {14, 5},  /* triangle 1 is term 15 */
    {6, 7},   {16, 8},  /* triangle 2 is term 17 */
    {9, 10},  {18, 11}, /* triangle 3 is term 19 */
    {13, 15}, {17, 19}, {20, 21},
};

/* Runs and folds number at most N_TERMS in all, and each lane causes at most one post. */
enum { MAX_OPS = N_TERMS + DD_POSITIONS };

struct dd_plan {
    uint32_t n_workers, n_nodes, n_segments;
    uint32_t n_ops; /* of all workers, one worker's after the other's */
    dd_op op[MAX_OPS];
    struct {
        uint32_t first_op, n_ops;
        uint32_t first_segment, n_segments;
    } worker[DD_POSITIONS];
    struct {
        uint32_t parent;
        bool right;
    } node[N_FOLDS];
};

/* Whose lanes a term holds, where it is not one worker. */
#define NOBODY UINT32_MAX
#define SEVERAL (UINT32_MAX - 1)

typedef struct builder {
    dd_plan *plan;
    uint32_t owner[N_TERMS]; /* a worker, NOBODY or SEVERAL */
    uint32_t node[N_TERMS];  /* shared nodes: their number */
    uint32_t held;           /* bit s: the worker's s-th segment is in use; posted ones stay so */
} builder;

static uint32_t left_of(uint32_t term)
{
    return tree[term - DD_POSITIONS].left;
}

static uint32_t right_of(uint32_t term)
{
    return tree[term - DD_POSITIONS].right;
}

/* Skips absent operands: the term that holds the same value and is a lane or has two present
 * operands. */
static uint32_t pruned(const builder *b, uint32_t term)
{
    while (term >= DD_POSITIONS) {
        if (b->owner[left_of(term)] == NOBODY)
            term = right_of(term);
        else if (b->owner[right_of(term)] == NOBODY)
            term = left_of(term);
        else
            break;
    }
    return term;
}

static void emit(builder *b, uint32_t worker, dd_op op)
{
    dd_plan *plan = b->plan;
    assert(plan->n_ops < MAX_OPS);
    plan->op[plan->n_ops++] = op;
    plan->worker[worker].n_ops++;
}

/* The worker's lowest free segment, a new one if it must be. */
static uint32_t segment_take(builder *b, uint32_t worker)
{
    uint32_t s = 0;
    while (b->held >> s & 1)
        s++;
    b->held |= UINT32_C(1) << s;
    if (s == b->plan->worker[worker].n_segments) {
        b->plan->worker[worker].n_segments++;
        b->plan->n_segments++;
    }
    return b->plan->worker[worker].first_segment + s;
}

static void segment_give(builder *b, uint32_t worker, uint32_t segment)
{
    b->held &= ~(UINT32_C(1) << (segment - b->plan->worker[worker].first_segment));
}

/* Emits what makes the value of a term that is all the worker's own; returns the segment that holds
 * it. */
static uint32_t own_value(builder *b, uint32_t worker, uint32_t term)
{
    term = pruned(b, term);
    if (term < DD_POSITIONS) {
        uint32_t into = segment_take(b, worker);
        emit(b, worker, (dd_op){.kind = DD_OP_RUN_STORE, .lane = term, .into = into});
        return into;
    }
    uint32_t into = own_value(b, worker, left_of(term));
    uint32_t right = pruned(b, right_of(term));
    if (right < DD_POSITIONS) {
        emit(b, worker, (dd_op){.kind = DD_OP_RUN_FOLD, .lane = right, .into = into});
    } else {
        uint32_t from = own_value(b, worker, right);
        emit(b, worker, (dd_op){.kind = DD_OP_FOLD, .into = into, .from = from});
        segment_give(b, worker, from);
    }
    return into;
}

/* Emits what makes the term's value and hands it to its node; workers come up in ascending order.
 */
static void plan_term(builder *b, uint32_t term, uint32_t parent, bool right)
{
    dd_plan *plan = b->plan;
    term = pruned(b, term);
    const uint32_t owner = b->owner[term];
    if (owner == SEVERAL) {
        const uint32_t node = b->node[term];
        plan->node[node].parent = parent;
        plan->node[node].right = right;
        plan_term(b, left_of(term), node, false);
        plan_term(b, right_of(term), node, true);
        return;
    }
    if (plan->worker[owner].n_ops == 0) {
        plan->worker[owner].first_op = plan->n_ops;
        plan->worker[owner].first_segment = plan->n_segments;
        b->held = 0;
    }
    uint32_t from = own_value(b, owner, term);
    emit(b, owner, (dd_op){.kind = DD_OP_POST, .from = from, .node = parent, .right = right});
}

dd_status dd_plan_open(const uint64_t weight[DD_POSITIONS], uint32_t n_workers,
                       const dd_share *share, dd_plan **out)
{
    assert(n_workers >= 1 && n_workers <= DD_POSITIONS);
    dd_plan *plan = dd_alloc(sizeof *plan);
    if (!plan)
        return DD_ERR_MEMORY;
    plan->n_workers = n_workers;

    builder b = {.plan = plan};
    for (uint32_t l = 0; l < DD_POSITIONS; l++)
        b.owner[l] = NOBODY;
    for (uint32_t w = 0; w < n_workers; w++) {
        for (uint32_t l = share[w].first; l < share[w].first + share[w].count; l++) {
            assert(l < DD_POSITIONS && b.owner[l] == NOBODY);
            if (weight[l])
                b.owner[l] = w;
        }
    }
    for (uint32_t t = DD_POSITIONS; t < N_TERMS; t++) {
        uint32_t left = b.owner[left_of(t)], right = b.owner[right_of(t)];
        bool shared = left != NOBODY && right != NOBODY && (left != right || left == SEVERAL);
        b.owner[t] = shared ? SEVERAL : left == NOBODY ? right : left;
        if (shared)
            b.node[t] = plan->n_nodes++;
    }
    assert(b.owner[ROOT] != NOBODY);
    plan_term(&b, ROOT, DD_NO_NODE, false);

    *out = plan;
    return DD_OK;
}

void dd_plan_close(dd_plan *plan)
{
    dd_free(plan);
}

uint32_t dd_plan_n_workers(const dd_plan *plan)
{
    return plan->n_workers;
}

const dd_op *dd_plan_ops(const dd_plan *plan, uint32_t worker, uint32_t *n)
{
    assert(worker < plan->n_workers);
    *n = plan->worker[worker].n_ops;
    return &plan->op[plan->worker[worker].first_op];
}

uint32_t dd_plan_segments(const dd_plan *plan, uint32_t worker, uint32_t *first)
{
    assert(worker < plan->n_workers);
    *first = plan->worker[worker].first_segment;
    return plan->worker[worker].n_segments;
}

uint32_t dd_plan_n_segments(const dd_plan *plan)
{
    return plan->n_segments;
}

uint32_t dd_plan_n_nodes(const dd_plan *plan)
{
    return plan->n_nodes;
}

uint32_t dd_plan_parent(const dd_plan *plan, uint32_t node, bool *right)
{
    assert(node < plan->n_nodes);
    *right = plan->node[node].right;
    return plan->node[node].parent;
}
