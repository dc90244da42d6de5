/* SPDX-License-Identifier: MIT
 * The nodes of the fold tree at run time.
 *
 * Protocol of nodes that are folded on arrival. A thread writes its segment's number into its
 * operand's place, then adds itself to the node's counter. The first to arrive leaves; the second
 * has, by that addition, everything the first wrote: it resets the counter, folds left + right into
 * the left segment and takes that on to the parent node. Who is second decides who folds, never
 * what is folded. To resume at a node is to be second as well, after one's own first.
 *
 * A parked operand's number is written and left there. Whoever folds the node comes after Point B,
 * which its writer crossed before: the control itself, or the one caller of dd_combine_list.
 *
 * A counter's reset, and the reading of a place, happen-before the next step's use of either: those
 * who did it crossed Point V or U, which Node Zero's next A follows, and every worker that one. */
#include "fold.h"

#include <assert.h>

#include "edges.h"
#include "platform.h"

typedef struct fold_node {
    _Alignas(DD_CACHE_LINE) dd_atomic_u32 arrived; /* atomic: protocol above */
    uint32_t operand[2]; /* segments, left and right: written before the addition, read after it */
} fold_node;

struct dd_combine {
    const dd_plan *plan; /* fixed after open, as is all but the nodes' words, list and root */
    dd_reduce reduce;
    uint32_t n_nodes, n_shared, n_controls;
    uint32_t *shared;   /* (n_shared) shared nodes by control, each control's children first */
    uint32_t *control;  /* (n_controls + 1) control s folds shared[control[s]] up to the next's */
    uint32_t root;      /* written by who completed the root on arrival, before Point B */
    dd_fold_pair *list; /* (n_shared) of the one caller of dd_combine_list */
    fold_node *node;
};

dd_plan_kind dd_reduce_plan(dd_reduce reduce, bool stealing)
{
    assert(reduce != DD_REDUCE_AUTO);
    if (reduce == DD_REDUCE_OWNER)
        return stealing ? DD_PLAN_APART_STEALING : DD_PLAN_APART;
    return stealing ? DD_PLAN_STEALING : DD_PLAN_FOLDING;
}

bool dd_reduce_slices(dd_reduce reduce)
{
    return reduce == DD_REDUCE_SLICED || reduce == DD_REDUCE_OWNER;
}

/* ---- Opening ---- */

/* Counting sort of the shared nodes by their control; stable, so that children stay first. */
static dd_status sort_by_control(dd_combine *c)
{
    for (uint32_t n = 0; n < c->n_nodes; n++) {
        const dd_node *node = dd_plan_node(c->plan, n);
        if (node->worker != DD_NO_WORKER)
            continue;
        c->n_shared++;
        if (c->n_controls <= node->control)
            c->n_controls = node->control + 1;
    }
    c->control = dd_alloc((c->n_controls + 1) * sizeof *c->control);
    c->shared = dd_alloc((c->n_shared + 1) * sizeof *c->shared);
    c->list = dd_alloc((c->n_shared + 1) * sizeof *c->list);
    if (!c->control || !c->shared || !c->list)
        return DD_ERR_MEMORY;
    for (uint32_t n = 0; n < c->n_nodes; n++)
        if (dd_plan_node(c->plan, n)->worker == DD_NO_WORKER)
            c->control[dd_plan_node(c->plan, n)->control]++;
    /* counts become ends, and ends move down to begins as the nodes are put in from the last on */
    for (uint32_t s = 1; s <= c->n_controls; s++)
        c->control[s] += c->control[s - 1];
    for (uint32_t n = c->n_nodes; n-- > 0;)
        if (dd_plan_node(c->plan, n)->worker == DD_NO_WORKER)
            c->shared[--c->control[dd_plan_node(c->plan, n)->control]] = n;
    return DD_OK;
}

dd_status dd_combine_open(const dd_plan *plan, dd_reduce reduce, dd_combine **out)
{
    dd_combine *c = dd_alloc(sizeof *c);
    if (!c)
        return DD_ERR_MEMORY;
    c->plan = plan;
    c->reduce = reduce;
    c->n_nodes = dd_plan_n_nodes(plan);
    c->root = DD_NO_SEGMENT;
    c->node = dd_alloc((c->n_nodes + 1) * sizeof *c->node);
    dd_status st = c->node ? sort_by_control(c) : DD_ERR_MEMORY;
    for (uint32_t n = 0; c->node && n < c->n_nodes; n++)
        dd_u32_init(&c->node[n].arrived, 0);
    if (st != DD_OK) {
        dd_combine_close(c);
        return st;
    }
    *out = c;
    return DD_OK;
}

void dd_combine_close(dd_combine *c)
{
    if (!c)
        return;
    for (uint32_t n = 0; c->node && n < c->n_nodes; n++)
        dd_u32_forget(&c->node[n].arrived);
    dd_free(c->node);
    dd_free(c->list);
    dd_free(c->control);
    dd_free(c->shared);
    dd_free(c);
}

/* ---- On arrival ---- */

static bool folds_on_arrival(const dd_combine *c, uint32_t at)
{
    return c->reduce == DD_REDUCE_TREE || dd_plan_node(c->plan, at)->worker != DD_NO_WORKER;
}

static void operand_put(dd_combine *c, uint32_t at, bool right, dd_place acting, uint32_t segment)
{
    fold_node *node = &c->node[at];
    DD_EDGE(DD_EDGE_FOLD, acting, dd_plan_node(c->plan, at)->owner);
    DD_WRITE(&node->operand[right], sizeof node->operand[right]);
    node->operand[right] = segment;
}

/* The node's value, in its left operand's segment; cancelled if either operand is. */
static uint32_t node_fold(dd_combine *c, uint32_t at, dd_folder *folder, dd_freed *freed, void *arg)
{
    fold_node *node = &c->node[at];
    DD_READ(node->operand, sizeof node->operand);
    const uint32_t left = node->operand[0], right = node->operand[1];
    const bool cancelled = left == DD_NO_SEGMENT || right == DD_NO_SEGMENT;
    if (!cancelled) {
        const uint64_t begin = dd_timeline_begin(folder->timeline);
        folder->fold(folder->user, folder->thread, left, right);
        dd_timeline_end(folder->timeline, DD_TRACE_FOLD, 0, begin, at, left, right);
        folder->n_folds++;
    }
    if (freed && right != DD_NO_SEGMENT)
        freed(arg, right);
    if (freed && cancelled && left != DD_NO_SEGMENT)
        freed(arg, left);
    return cancelled ? DD_NO_SEGMENT : left;
}

/* Takes a value from `at` on upwards. */
static bool climb(dd_combine *c, uint32_t at, bool right, dd_place acting, uint32_t segment,
                  dd_folder *folder, dd_freed *freed, void *arg, uint32_t *root)
{
    folder->waits_at = DD_NO_NODE;
    while (at != DD_NO_NODE) {
        fold_node *node = &c->node[at];
        if (folder->let_go && segment != DD_NO_SEGMENT)
            folder->let_go(folder->user, folder->thread, segment);
        operand_put(c, at, right, acting, segment);
        if (!folds_on_arrival(c, at))
            return false;
        /* Release: the first arriver's operand and segment, for the second, who acquires them. */
        if (dd_u32_fetch_add(&node->arrived, 1, DD_ACQ_REL) == 0) {
            folder->waits_at = right || segment == DD_NO_SEGMENT ? DD_NO_NODE : at;
            folder->waiting = segment;
            return false;
        }
        dd_u32_store(&node->arrived, 0, DD_RELAXED); /* next additions happen-after: see above */
        segment = node_fold(c, at, folder, freed, arg);
        const dd_node *planned = dd_plan_node(c->plan, at);
        right = planned->right;
        acting = planned->acting;
        at = planned->parent;
    }
    DD_WRITE(&c->root, sizeof c->root);
    c->root = segment;
    *root = segment;
    return true;
}

bool dd_combine_arrive(dd_combine *c, uint32_t node, bool right, dd_place acting, uint32_t from,
                       dd_folder *folder, dd_freed *freed, void *arg, uint32_t *root)
{
    assert(node == DD_NO_NODE || node < c->n_nodes);
    return climb(c, node, right, acting, from, folder, freed, arg, root);
}

bool dd_combine_resume(dd_combine *c, uint32_t node, uint32_t segment, dd_folder *folder,
                       dd_freed *freed, void *arg, uint32_t *root)
{
    assert(node == folder->waits_at && folds_on_arrival(c, node));
    const dd_node *planned = dd_plan_node(c->plan, node);
    if (freed && segment == DD_NO_SEGMENT)
        freed(arg, folder->waiting);
    /* The first arrival was the caller's own and the second is its too: nobody else comes here. */
    dd_u32_store(&c->node[node].arrived, 0, DD_RELAXED);
    return climb(c, planned->parent, planned->right, planned->acting, segment, folder, freed, arg,
                 root);
}

/* ---- After Point B ---- */

/* Hands a shared node's value to its parent. returns  whether it was the root's */
static bool hand_on(dd_combine *c, uint32_t at, uint32_t segment, uint32_t *root)
{
    const dd_node *planned = dd_plan_node(c->plan, at);
    if (planned->parent == DD_NO_NODE) {
        *root = segment;
        return true;
    }
    operand_put(c, planned->parent, planned->right, planned->acting, segment);
    return false;
}

bool dd_combine_fold_control(dd_combine *c, uint32_t control, dd_folder *folder, uint32_t *root)
{
    assert(c->reduce == DD_REDUCE_CONTROL);
    if (control >= c->n_controls)
        return false;
    for (uint32_t i = c->control[control]; i < c->control[control + 1]; i++) {
        const uint32_t at = c->shared[i];
        const uint32_t segment = node_fold(c, at, folder, NULL, NULL);
        const uint32_t parent = dd_plan_node(c->plan, at)->parent;
        if (folder->let_go && segment != DD_NO_SEGMENT && parent != DD_NO_NODE &&
            dd_plan_node(c->plan, parent)->control != control)
            folder->let_go(folder->user, folder->thread, segment);
        if (hand_on(c, at, segment, root))
            return true;
    }
    return false;
}

/* In the order of the nodes, which is depth first. */
uint32_t dd_combine_list(dd_combine *c, const dd_fold_pair **list, uint32_t *root)
{
    assert(dd_reduce_slices(c->reduce));
    *list = c->list;
    if (c->n_shared == 0) {
        DD_READ(&c->root, sizeof c->root);
        *root = c->root;
        return 0;
    }
    uint32_t n = 0;
    bool cancelled = false;
    DD_WRITE(c->list, c->n_shared * sizeof *c->list);
    for (uint32_t at = 0; at < c->n_nodes; at++) {
        if (dd_plan_node(c->plan, at)->worker != DD_NO_WORKER)
            continue;
        fold_node *node = &c->node[at];
        DD_READ(node->operand, sizeof node->operand);
        c->list[n++] = (dd_fold_pair){.into = node->operand[0], .from = node->operand[1]};
        cancelled |= node->operand[0] == DD_NO_SEGMENT || node->operand[1] == DD_NO_SEGMENT;
        (void)hand_on(c, at, node->operand[0], root);
    }
    if (cancelled)
        *root = DD_NO_SEGMENT;
    return n;
}
