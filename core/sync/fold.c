/* SPDX-License-Identifier: MIT
 * The shared nodes of the fold tree at run time.
 *
 * Protocol of `tree`. A worker writes its segment's number into its operand's place, then adds
 * itself to the node's counter. The first to arrive leaves; the second has, by that addition,
 * everything the first wrote: it resets the counter, folds left + right into the left segment and
 * takes that on to the parent node. Who is second decides who folds, never what is folded. A
 * triangle's nodes belong to its positions, the three above them to the centre.
 *
 * A counter's reset happens-before the next step's additions: its writer crosses Point B, Node Zero
 * Points V and A, and every worker the latter. */
#include "fold.h"

#include <assert.h>

#include "platform.h"

typedef struct fold_node {
    _Alignas(DD_CACHE_LINE) dd_atomic_u32 arrived; /* atomic: protocol above */
    uint32_t operand[2]; /* segments, left and right: written before the addition, read after it */
} fold_node;

struct dd_combine {
    const dd_plan *plan; /* fixed after open */
    uint32_t n_nodes;    /* fixed after open */
    fold_node node[DD_POSITIONS - 1];
};

dd_status dd_combine_open(const dd_plan *plan, dd_combine **out)
{
    dd_combine *c = dd_alloc(sizeof *c);
    if (!c)
        return DD_ERR_MEMORY;
    c->plan = plan;
    c->n_nodes = dd_plan_n_nodes(plan);
    for (uint32_t n = 0; n < c->n_nodes; n++)
        dd_u32_init(&c->node[n].arrived, 0);
    *out = c;
    return DD_OK;
}

void dd_combine_close(dd_combine *c)
{
    if (!c)
        return;
    for (uint32_t n = 0; n < c->n_nodes; n++)
        dd_u32_forget(&c->node[n].arrived);
    dd_free(c);
}

static void operand_put(fold_node *node, bool right, uint32_t segment)
{
    DD_WRITE(&node->operand[right], sizeof node->operand[right]);
    node->operand[right] = segment;
}

/* The node's value, in its left operand's segment; cancelled if either operand is. */
static uint32_t node_fold(fold_node *node, uint32_t thread, dd_fold_fn *fold, void *user,
                          uint64_t *n_folds)
{
    DD_READ(node->operand, sizeof node->operand);
    const uint32_t left = node->operand[0], right = node->operand[1];
    if (left == DD_NO_SEGMENT || right == DD_NO_SEGMENT)
        return DD_NO_SEGMENT;
    fold(user, thread, left, right);
    ++*n_folds;
    return left;
}

bool dd_combine_arrive(dd_combine *c, const dd_op *op, uint32_t from, uint32_t thread,
                       dd_fold_fn *fold, void *user, uint64_t *n_folds, uint32_t *root)
{
    assert(op->kind == DD_OP_POST);
    uint32_t segment = from, at = op->node;
    bool right = op->right;
    while (at != DD_NO_NODE) {
        fold_node *node = &c->node[at];
        operand_put(node, right, segment);
        /* Release: the first arriver's operand and segment, for the second, who acquires them. */
        if (dd_u32_fetch_add(&node->arrived, 1, DD_ACQ_REL) == 0)
            return false;
        dd_u32_store(&node->arrived, 0, DD_RELAXED); /* next additions happen-after: see above */
        segment = node_fold(node, thread, fold, user, n_folds);
        at = dd_plan_parent(c->plan, at, &right);
    }
    *root = segment;
    return true;
}

void dd_combine_park(dd_combine *c, const dd_op *op, uint32_t from)
{
    assert(op->kind == DD_OP_POST && op->node < c->n_nodes);
    operand_put(&c->node[op->node], op->right, from);
}

uint32_t dd_combine_fold_parked(dd_combine *c, uint32_t thread, dd_fold_fn *fold, void *user,
                                uint64_t *n_folds)
{
    assert(c->n_nodes > 0);
    uint32_t segment = DD_NO_SEGMENT;
    for (uint32_t n = 0; n < c->n_nodes; n++) {
        segment = node_fold(&c->node[n], thread, fold, user, n_folds);
        bool right;
        uint32_t parent = dd_plan_parent(c->plan, n, &right);
        if (parent != DD_NO_NODE)
            operand_put(&c->node[parent], right, segment);
    }
    return segment; /* the last node's: children come before parents, so it is the root */
}
