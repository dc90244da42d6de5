/* SPDX-License-Identifier: MIT
 * Runs of lanes: tokens, contacts and segments, measured once for all runs. */
#include "runs.h"

#include <assert.h>

#include "platform.h"
#include "spheres.h"

#define NONE UINT32_MAX

/* A node of the fold tree (NUMERICS 7) without its absent operands; nodes below n are the lanes. */
typedef struct node {
    uint32_t left, right;
    uint32_t first, n_lanes;
    uint32_t need; /* segments that making its value takes: one for a lane, and none more for a lane
                      that is a right operand, which is added to the left one as it is run */
} node;

typedef struct tree {
    const uint64_t *weight;
    uint32_t n_lanes, n_nodes; /* made so far */
    node *node;                /* (2 n) lanes, then folds */
    uint32_t *largest;         /* (n) the largest node whose first lane is i */
    uint32_t n;
} tree;

static uint32_t tree_lane(tree *t)
{
    const uint32_t lane = t->n_lanes++;
    t->node[lane] = (node){.left = NONE, .right = NONE, .first = lane, .n_lanes = 1, .need = 1};
    t->largest[lane] = lane;
    return lane;
}

static uint32_t tree_fold(tree *t, uint32_t left, uint32_t right)
{
    if (left == NONE || right == NONE)
        return left == NONE ? right : left;
    const node *a = &t->node[left], *b = &t->node[right];
    const uint32_t beside = b->n_lanes > 1 ? 1 + b->need : 1;
    const uint32_t fold = t->n_nodes++;
    t->node[fold] = (node){.left = left,
                           .right = right,
                           .first = a->first,
                           .n_lanes = a->n_lanes + b->n_lanes,
                           .need = a->need > beside ? a->need : beside};
    t->largest[a->first] = fold;
    return fold;
}

/* The sphere whose 12^levels lanes begin at `lane`. */
static uint32_t tree_sphere(tree *t, uint32_t levels, uint32_t lane)
{
    if (levels == 0)
        return t->weight[lane] ? tree_lane(t) : NONE;
    const uint32_t n_inside = dd_power_of_12(levels - 1);
    uint32_t triangle[4];
    for (uint32_t p = 0; p < DD_POSITIONS; p++) {
        uint32_t value = tree_sphere(t, levels - 1, lane + p * n_inside);
        triangle[p / 3] = p % 3 == 0 ? value : tree_fold(t, triangle[p / 3], value);
    }
    const uint32_t left = tree_fold(t, triangle[0], triangle[1]);
    return tree_fold(t, left, tree_fold(t, triangle[2], triangle[3]));
}

/* How many of a node's lanes, from its first on, can be run with `free` segments. */
static uint32_t lanes_within(const tree *t, uint32_t at, uint32_t free)
{
    uint32_t n = 0;
    while (free > 0 && t->node[at].need > free) {
        const uint32_t left = t->node[at].left;
        if (t->node[left].need > free) {
            at = left;
        } else { /* the left value stays in a segment */
            n += t->node[left].n_lanes;
            at = t->node[at].right;
            free--;
        }
    }
    return free > 0 ? n + t->node[at].n_lanes : n;
}

/* A run from lane i on is a row of largest nodes. None of them can be folded with the one before:
 * the left operand of each has lanes before i. So each that is complete keeps a segment. */
static uint32_t reach_of(const tree *t, uint32_t i, uint32_t n_segments)
{
    uint32_t at = i, free = n_segments;
    while (at < t->n) {
        const uint32_t largest = t->largest[at];
        if (t->node[largest].need > free)
            return at + lanes_within(t, largest, free);
        at += t->node[largest].n_lanes;
        free--;
    }
    return at;
}

/* Calls `each` for every pair of touching children of one sphere, at every level. */
static void contacts_visit(uint32_t lane_depth, const uint32_t *index, dd_runs *r,
                           void (*each)(dd_runs *r, uint32_t first, uint32_t last))
{
    for (uint32_t level = 1; level <= lane_depth; level++) {
        const uint32_t n_inside = dd_power_of_12(lane_depth - level);
        const uint32_t n_parents = dd_power_of_12(level - 1);
        for (uint32_t parent = 0; parent < n_parents; parent++) {
            const uint32_t *child = &index[parent * DD_POSITIONS * n_inside];
            for (uint32_t a = 0; a < DD_POSITIONS; a++) {
                for (uint32_t b = a + 1; b < DD_POSITIONS; b++) {
                    uint32_t first = child[a * n_inside], end = child[(b + 1) * n_inside];
                    bool empty = first == child[(a + 1) * n_inside] || child[b * n_inside] == end;
                    if (!empty && dd_in_contact(a, b))
                        each(r, first, end - 1);
                }
            }
        }
    }
}

static void contact_count(dd_runs *r, uint32_t first, uint32_t last)
{
    (void)first;
    r->ends[last + 1]++;
}

/* ends[last] is where the next one goes: it ends up as where the one after begins. */
static void contact_enter(dd_runs *r, uint32_t first, uint32_t last)
{
    r->start[r->ends[last]++] = first;
}

static void measure_contacts(dd_runs *r, uint32_t lane_depth, const uint32_t *index)
{
    contacts_visit(lane_depth, index, r, contact_count);
    for (uint32_t e = 0; e < r->n; e++)
        r->ends[e + 1] += r->ends[e];
    contacts_visit(lane_depth, index, r, contact_enter);
    for (uint32_t e = r->n; e > 0; e--)
        r->ends[e] = r->ends[e - 1];
    r->ends[0] = 0;
}

dd_status dd_runs_open(const uint64_t *weight, uint32_t lane_depth, dd_runs *out)
{
    const uint32_t n_lanes = dd_power_of_12(lane_depth);
    uint32_t n = 0, n_spheres = 0;
    for (uint32_t l = 0; l < n_lanes; l++)
        n += weight[l] > 0;
    for (uint32_t level = 0; level < lane_depth; level++)
        n_spheres += dd_power_of_12(level);
    const uint32_t max_contacts = 24 * n_spheres;

    const size_t words = 4 * ((size_t)n + 1) + max_contacts + n_lanes + 1;
    char *memory = dd_alloc((n + 1) * sizeof(uint64_t) + 2 * (n + 1) * sizeof(node) +
                            words * sizeof(uint32_t));
    if (!memory)
        return DD_ERR_MEMORY;
    dd_runs r = {.n = n, .memory = memory};
    r.before = (uint64_t *)(void *)memory;
    node *nodes = (node *)(void *)(r.before + n + 1);
    r.lane = (uint32_t *)(void *)(nodes + 2 * (n + 1));
    r.ends = r.lane + n + 1;
    r.reach = r.ends + n + 1;
    uint32_t *largest = r.reach + n + 1;
    r.start = largest + n + 1;
    uint32_t *index = r.start + max_contacts; /* (n_lanes + 1) non-empty lanes before a lane */

    for (uint32_t l = 0, i = 0; l < n_lanes; l++) {
        if (weight[l]) {
            r.lane[i] = l;
            r.before[i + 1] = r.before[i] + weight[l];
            i++;
        }
        index[l + 1] = i;
    }
    measure_contacts(&r, lane_depth, index);

    tree t = {.weight = weight, .n = n, .n_nodes = n, .node = nodes, .largest = largest};
    (void)tree_sphere(&t, lane_depth, 0);
    for (uint32_t i = 0; i < n; i++)
        r.reach[i] = reach_of(&t, i, 3 * lane_depth + 1);
    *out = r;
    return DD_OK;
}

void dd_runs_close(dd_runs *r)
{
    dd_free(r->memory);
    *r = (dd_runs){0};
}
