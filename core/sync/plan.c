/* SPDX-License-Identifier: MIT
 * Builds plans: first the fold tree over the non-empty lanes, pruned as it grows, then each
 * worker's ops: for the subtrees that are its own, or for its lanes in bundles. */
#include "plan.h"

#include <assert.h>

#include "platform.h"

/* A value of the fold tree: a lane's gradient, or the fold of two other terms. */
#define NO_TERM UINT32_MAX
typedef struct term {
    uint32_t left, right;  /* terms, older than this one; NO_TERM: a lane */
    uint32_t lane;         /* the only one, or the first */
    uint32_t low, high;    /* workers of its first and last lane: all its lanes' are between */
    uint32_t parent, node; /* terms and nodes, NO_TERM and DD_NO_NODE for none */
    bool is_right;         /* operand of its parent */
    dd_place owner;        /* a fold's */
    dd_place acting;       /* on whose behalf it is handed to its parent */
} term;

typedef struct plan_worker {
    uint32_t first_op, n_ops;
    uint32_t first_lane, n_lanes; /* in dd_plan.lane */
    uint32_t first_segment, n_segments;
} plan_worker;

struct dd_plan {
    uint32_t lane_depth, n_workers, n_lanes, n_nodes, n_segments;
    uint32_t n_ops;
    dd_op *op;      /* (3 n_lanes) one worker's after the other's */
    uint32_t *lane; /* (n_lanes) non-empty, ascending, hence one worker's after the other's */
    dd_leaf *leaf;  /* (12^lane_depth) */
    dd_node *node;  /* (n_lanes - 1, at most) */
    plan_worker *worker;
};

typedef struct builder {
    dd_plan *plan;
    const dd_hierarchy *hierarchy;
    dd_plan_kind kind;
    const uint64_t *weight;  /* (12^lane_depth) */
    const uint32_t *runs_on; /* (12^lane_depth) a lane's worker, DD_NO_WORKER if it is empty */
    term *term;              /* (2 n_lanes - 1) children before parents */
    uint32_t n_terms;
    uint32_t held; /* bit s: the present worker's s-th segment is in use; posted ones stay so */
} builder;

static bool is_apart(const builder *b)
{
    return b->kind == DD_PLAN_APART || b->kind == DD_PLAN_APART_STEALING;
}

/* ---- The fold tree ---- */

/* A term on its way up, and the place whose value it is by now. */
typedef struct value {
    uint32_t term;
    dd_place acting;
} value;

static value lane_value(builder *b, dd_place place)
{
    const uint32_t lane = place.path, worker = b->runs_on[lane];
    if (worker == DD_NO_WORKER)
        return (value){.term = NO_TERM};
    b->plan->lane[b->plan->worker[worker].first_lane + b->plan->worker[worker].n_lanes++] = lane;
    b->term[b->n_terms] = (term){.left = NO_TERM,
                                 .right = NO_TERM,
                                 .lane = lane,
                                 .low = worker,
                                 .high = worker,
                                 .parent = NO_TERM,
                                 .node = DD_NO_NODE};
    return (value){b->n_terms++, place};
}

/* left + right, at a fold whose words are the owner's and which acts for `acting` from then on. An
 * absent operand leaves the other one unchanged. */
static value joined(builder *b, value left, value right, dd_place owner, dd_place acting)
{
    if (left.term == NO_TERM || right.term == NO_TERM)
        return left.term == NO_TERM ? right : left;
    term *l = &b->term[left.term], *r = &b->term[right.term];
    const bool shared = l->low != r->high;
    l->parent = r->parent = b->n_terms;
    r->is_right = true;
    l->acting = left.acting;
    r->acting = right.acting;
    b->term[b->n_terms] =
        (term){.left = left.term,
               .right = right.term,
               .lane = l->lane,
               .low = l->low,
               .high = r->high,
               .parent = NO_TERM,
               .node = shared || b->kind != DD_PLAN_FOLDING ? b->plan->n_nodes++ : DD_NO_NODE,
               .owner = owner};
    return (value){b->n_terms++, acting};
}

static value place_value(builder *b, dd_place place);

static value triangle_value(builder *b, dd_place sphere, uint32_t triangle)
{
    const dd_place first = dd_place_child(sphere, 3 * triangle);
    value sum = place_value(b, first);
    for (uint32_t p = 3 * triangle + 1; p < 3 * triangle + 3; p++)
        sum = joined(b, sum, place_value(b, dd_place_child(sphere, p)), first, first);
    return sum;
}

/* The value of a place in lane space (NUMERICS 7). Left operands are made first, so that nodes come
 * in depth-first order. */
static value place_value(builder *b, dd_place place)
{
    if (place.level == b->plan->lane_depth)
        return lane_value(b, place);
    value half[2];
    for (uint32_t i = 0; i < 2; i++) {
        half[i] = triangle_value(b, place, 2 * i);
        half[i] = joined(b, half[i], triangle_value(b, place, 2 * i + 1), place, place);
    }
    value sum = joined(b, half[0], half[1], place, place);
    sum.acting = place; /* even a lone lane's is the sphere's now */
    return sum;
}

/* ---- Nodes ---- */

/* The lowest control above two workers. */
static uint32_t control_above(const dd_hierarchy *h, uint32_t a, uint32_t b)
{
    uint32_t x = h->sphere[h->worker[a]].parent, y = h->sphere[h->worker[b]].parent;
    while (x != y) {
        if (h->sphere[x].place.level >= h->sphere[y].place.level)
            x = h->sphere[x].parent;
        else
            y = h->sphere[y].parent;
    }
    return x;
}

static void nodes_fill(builder *b)
{
    dd_plan *plan = b->plan;
    uint32_t segment = 0;
    for (const term *t = b->term; t < b->term + b->n_terms; t++) {
        const uint32_t parent = t->parent == NO_TERM ? DD_NO_NODE : b->term[t->parent].node;
        if (t->left == NO_TERM) /* lanes come up in ascending order */
            plan->leaf[t->lane] =
                (dd_leaf){parent, t->is_right, t->acting, is_apart(b) ? segment++ : DD_NO_SEGMENT};
        if (t->node == DD_NO_NODE)
            continue;
        const bool shared = t->low != t->high || is_apart(b);
        plan->node[t->node] = (dd_node){
            .parent = parent,
            .right = t->is_right,
            .worker = shared ? DD_NO_WORKER : t->low,
            .control = shared ? control_above(b->hierarchy, t->low, t->high) : DD_NO_SPHERE,
            .owner = t->owner,
            .acting = t->acting};
    }
}

/* ---- Ops: subtrees folded by their worker ---- */

static void emit(builder *b, uint32_t worker, dd_op op)
{
    assert(b->plan->n_ops < 3 * b->plan->n_lanes);
    b->plan->op[b->plan->n_ops++] = op;
    b->plan->worker[worker].n_ops++;
}

/* The worker's lowest free segment, a new one if it must be. */
static uint32_t segment_take(builder *b, uint32_t worker)
{
    plan_worker *w = &b->plan->worker[worker];
    uint32_t s = 0;
    while (b->held >> s & 1)
        s++;
    b->held |= UINT32_C(1) << s;
    if (s == w->n_segments) {
        assert(s < DD_PLAN_SEGMENTS(b->plan->lane_depth)); /* dd_placement sees to it */
        w->n_segments++;
        b->plan->n_segments++;
    }
    return w->first_segment + s;
}

static void segment_give(builder *b, uint32_t worker, uint32_t segment)
{
    b->held &= ~(UINT32_C(1) << (segment - b->plan->worker[worker].first_segment));
}

/* Emits what makes the value of a term that is all the worker's own; returns the segment that holds
 * it. */
static uint32_t own_value(builder *b, uint32_t worker, const term *t)
{
    if (t->left == NO_TERM) {
        uint32_t into = segment_take(b, worker);
        emit(b, worker,
             (dd_op){.kind = DD_OP_RUN_STORE, .lane = t->lane, .n_lanes = 1, .into = into});
        return into;
    }
    uint32_t into = own_value(b, worker, &b->term[t->left]);
    const term *right = &b->term[t->right];
    if (right->left == NO_TERM) {
        emit(b, worker,
             (dd_op){.kind = DD_OP_RUN_FOLD, .lane = right->lane, .n_lanes = 1, .into = into});
    } else {
        uint32_t from = own_value(b, worker, right);
        emit(b, worker, (dd_op){.kind = DD_OP_FOLD, .into = into, .from = from});
        segment_give(b, worker, from);
    }
    return into;
}

/* Emits what makes the term's value and hands it to its node; workers come up in ascending order.
 */
static void ops_fill(builder *b, const term *t)
{
    if (t->low != t->high) {
        ops_fill(b, &b->term[t->left]);
        ops_fill(b, &b->term[t->right]);
        return;
    }
    plan_worker *w = &b->plan->worker[t->low];
    if (w->n_ops == 0) {
        w->first_op = b->plan->n_ops;
        w->first_segment = b->plan->n_segments;
        b->held = 0;
    }
    uint32_t from = own_value(b, t->low, t);
    emit(b, t->low,
         (dd_op){.kind = DD_OP_POST,
                 .from = from,
                 .node = t->parent == NO_TERM ? DD_NO_NODE : b->term[t->parent].node,
                 .right = t->is_right,
                 .acting = t->acting});
}

/* Segments of a worker that takes lanes as they come. Its own need no more than they would by ops:
 * what it has in hand or parked of them is at any moment what it would have then, or less, when
 * others took away what was at the end. */
static void segments_for_stealing(dd_plan *plan)
{
    for (uint32_t w = 0; w < plan->n_workers; w++) {
        plan_worker *worker = &plan->worker[w];
        worker->n_segments = DD_PLAN_SEGMENTS(plan->lane_depth);
        worker->first_segment = w * worker->n_segments;
    }
    plan->n_segments = plan->n_workers * DD_PLAN_SEGMENTS(plan->lane_depth);
}

/* ---- Ops: lanes apart ---- */

/* How many of the lanes list[0 .. n) run together. */
static uint32_t bundle_of(const uint64_t *weight, const uint32_t *list, uint32_t n)
{
    uint32_t k = 1;
    for (uint64_t tokens = weight[list[0]]; k < n; k++)
        if ((tokens += weight[list[k]]) > DD_PLAN_BUNDLE_TOKENS)
            break;
    return k;
}

/* A worker's lanes in bundles, each lane into its own segment and posted by itself. */
static void bundles_fill(builder *b, uint32_t worker)
{
    const dd_plan *plan = b->plan;
    plan_worker *w = &b->plan->worker[worker];
    w->first_op = plan->n_ops;
    for (uint32_t i = 0; i < w->n_lanes;) {
        const uint32_t *lane = &plan->lane[w->first_lane + i];
        const uint32_t n = bundle_of(b->weight, lane, w->n_lanes - i);
        emit(b, worker,
             (dd_op){.kind = DD_OP_RUN_STORE,
                     .lane = lane[0],
                     .n_lanes = n,
                     .into = plan->leaf[lane[0]].segment});
        for (uint32_t k = 0; k < n; k++) {
            const dd_leaf leaf = plan->leaf[lane[k]];
            emit(b, worker,
                 (dd_op){.kind = DD_OP_POST,
                         .from = leaf.segment,
                         .node = leaf.node,
                         .right = leaf.right,
                         .acting = leaf.acting});
        }
        i += n;
    }
}

/* A segment for each lane: a worker's are numbered as its lanes are. */
static void segments_for_lanes(dd_plan *plan)
{
    for (uint32_t w = 0; w < plan->n_workers; w++) {
        plan->worker[w].first_segment = plan->worker[w].first_lane;
        plan->worker[w].n_segments = plan->worker[w].n_lanes;
    }
    plan->n_segments = plan->n_lanes;
}

/* ---- Opening ---- */

/* Says of each lane who runs it, counts the non-empty ones and gives each worker its place in the
 * list of them. */
static void lanes_share_out(dd_plan *plan, const uint64_t *weight, const dd_share *share,
                            uint32_t *runs_on)
{
    const uint32_t n = dd_power_of_12(plan->lane_depth);
    for (uint32_t l = 0; l < n; l++)
        runs_on[l] = DD_NO_WORKER;
    uint32_t end = 0;
    for (uint32_t w = 0; w < plan->n_workers; w++) {
        plan->worker[w].first_lane = plan->n_lanes;
        if (share[w].count == 0)
            continue;
        assert(share[w].first >= end && share[w].count <= n - share[w].first);
        end = share[w].first + share[w].count;
        for (uint32_t l = share[w].first; l < end; l++)
            if (weight[l]) {
                runs_on[l] = w;
                plan->n_lanes++;
            }
    }
    for (uint32_t l = 0; l < n; l++)
        assert(!weight[l] || runs_on[l] != DD_NO_WORKER);
}

static dd_status plan_build(builder *b)
{
    dd_plan *plan = b->plan;
    const uint32_t n = plan->n_lanes;
    assert(n > 0);
    plan->op = dd_alloc(3 * n * sizeof *plan->op);
    plan->lane = dd_alloc(n * sizeof *plan->lane);
    plan->leaf = dd_alloc(dd_power_of_12(plan->lane_depth) * sizeof *plan->leaf);
    plan->node = dd_alloc(n * sizeof *plan->node);
    b->term = dd_alloc(2 * n * sizeof *b->term);
    dd_status st = DD_ERR_MEMORY;
    if (!plan->op || !plan->lane || !plan->leaf || !plan->node || !b->term)
        goto done;
    for (uint32_t l = 0; l < dd_power_of_12(plan->lane_depth); l++)
        plan->leaf[l].node = DD_NO_NODE;

    value root = place_value(b, (dd_place){0});
    b->term[root.term].acting = root.acting;
    nodes_fill(b);
    if (b->kind == DD_PLAN_FOLDING)
        ops_fill(b, &b->term[root.term]);
    else if (b->kind == DD_PLAN_STEALING)
        segments_for_stealing(plan);
    else
        segments_for_lanes(plan);
    for (uint32_t w = 0; b->kind == DD_PLAN_APART && w < plan->n_workers; w++)
        bundles_fill(b, w);
    st = DD_OK;
done:
    dd_free(b->term);
    return st;
}

dd_status dd_plan_open(const uint64_t *weight, uint32_t lane_depth, const dd_hierarchy *hierarchy,
                       const dd_share *share, dd_plan_kind kind, dd_plan **out)
{
    assert(lane_depth >= 1 && lane_depth <= 3);
    dd_plan *plan = dd_alloc(sizeof *plan);
    uint32_t *runs_on = dd_alloc(dd_power_of_12(lane_depth) * sizeof *runs_on);
    dd_status st = DD_ERR_MEMORY;
    if (!plan || !runs_on)
        goto done;
    plan->lane_depth = lane_depth;
    plan->n_workers = hierarchy->n_workers;
    plan->worker = dd_alloc(plan->n_workers * sizeof *plan->worker);
    if (!plan->worker)
        goto done;

    lanes_share_out(plan, weight, share, runs_on);
    builder b = {
        .plan = plan, .hierarchy = hierarchy, .kind = kind, .weight = weight, .runs_on = runs_on};
    st = plan_build(&b);
done:
    dd_free(runs_on);
    if (st != DD_OK) {
        dd_plan_close(plan);
        return st;
    }
    *out = plan;
    return DD_OK;
}

void dd_plan_close(dd_plan *plan)
{
    if (!plan)
        return;
    dd_free(plan->op);
    dd_free(plan->lane);
    dd_free(plan->leaf);
    dd_free(plan->node);
    dd_free(plan->worker);
    dd_free(plan);
}

/* ---- Questions ---- */

uint32_t dd_plan_n_workers(const dd_plan *plan)
{
    return plan->n_workers;
}

uint32_t dd_plan_n_lanes(const dd_plan *plan)
{
    return plan->n_lanes;
}

uint32_t dd_plan_lane_depth(const dd_plan *plan)
{
    return plan->lane_depth;
}

const dd_op *dd_plan_ops(const dd_plan *plan, uint32_t worker, uint32_t *n)
{
    assert(worker < plan->n_workers);
    *n = plan->worker[worker].n_ops;
    return &plan->op[plan->worker[worker].first_op];
}

const uint32_t *dd_plan_lanes(const dd_plan *plan, uint32_t worker, uint32_t *n)
{
    assert(worker < plan->n_workers);
    *n = plan->worker[worker].n_lanes;
    return &plan->lane[plan->worker[worker].first_lane];
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

const dd_node *dd_plan_node(const dd_plan *plan, uint32_t node)
{
    assert(node < plan->n_nodes);
    return &plan->node[node];
}

dd_leaf dd_plan_leaf(const dd_plan *plan, uint32_t lane)
{
    assert(lane < dd_power_of_12(plan->lane_depth));
    return plan->leaf[lane];
}

/* A subtree whose right operands are lanes ends with a right operand, and is the right operand of
 * nothing that is one too; so there is one candidate besides the last lane alone. */
uint32_t dd_plan_last_subtree(const dd_plan *plan, const uint32_t *list, uint32_t n, uint32_t most)
{
    assert(n >= 1 && most >= 1);
    dd_leaf leaf = dd_plan_leaf(plan, list[n - 1]);
    for (uint32_t k = 1; leaf.right && k < n && k < most; k++) {
        const dd_leaf before = dd_plan_leaf(plan, list[n - 1 - k]);
        if (before.node == leaf.node)
            return k + 1;
        /* it is the last of what makes the left operand: the right one of that, or deeper? */
        if (plan->node[before.node].parent != leaf.node)
            break;
        leaf = before;
    }
    return 1;
}
