/* SPDX-License-Identifier: MIT
 * core/sync/plan.c: what plans promise about segments, bundles, edges, controls, the order of nodes
 * and the ends of lists. That following them gives the right root is test_fold's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "counted_alloc.h"
#include "fold_fixture.h"
#include "platform.h"
#include "slices.h"

/* ---- The cases that most tests go through ---- */

typedef void plan_check(const fold_fixture *f);

static void check_one(plan_check *check, uint32_t lane_depth, uint64_t batch, uint32_t depth,
                      uint32_t workers)
{
    dd_hierarchy *h;
    assert_int_equal(dd_hierarchy_open(depth, workers, &h), DD_OK);
    for (int kind = DD_PLAN_FOLDING; kind <= DD_PLAN_APART_STEALING; kind++) {
        const bool apart = kind >= DD_PLAN_APART, stealing = kind % 2;
        fold_fixture f;
        fold_fixture_open(&f, lane_depth, batch, h, apart ? DD_REDUCE_OWNER : DD_REDUCE_TREE,
                          stealing);
        assert_int_equal(f.kind, kind);
        check(&f);
        fold_fixture_close(&f);
    }
    dd_hierarchy_close(h);
}

static void check_all(plan_check *check)
{
    for (uint64_t batch = 1; batch <= 40; batch++)
        for (uint32_t workers = 1; workers <= 12; workers++)
            check_one(check, 1, batch, 1, workers);
    for (uint64_t batch = 1; batch <= 300; batch += 13)
        for (uint32_t workers = 1; workers <= 144; workers += workers < 13 ? 1 : 9)
            check_one(check, 2, batch, workers % 2 && workers <= 12 ? 1 : 2, workers);
    static const uint32_t many[] = {1, 5, 12, 100, 144, 700, 1728};
    for (uint32_t i = 0; i < sizeof many / sizeof many[0]; i++) {
        check_one(check, 3, 1728, 3, many[i]);
        check_one(check, 3, 450, 3, many[i]);
    }
}

/* ---- Ops ---- */

static void check_ops(const fold_fixture *f)
{
    const dd_plan *plan = f->plan;
    const uint32_t most = 3 * f->lane_depth + 1, n_nodes = dd_plan_n_nodes(plan);
    uint32_t segments = 0, lanes = 0, posts = 0;
    bool *one_lane = calloc(dd_plan_n_segments(plan), sizeof *one_lane);
    assert_non_null(one_lane);
    assert_int_equal(dd_plan_n_workers(plan), f->hierarchy->n_workers);
    assert_int_equal(dd_plan_lane_depth(plan), f->lane_depth);
    for (uint32_t w = 0; w < f->hierarchy->n_workers; w++) {
        uint32_t first, n = dd_plan_segments(plan, w, &first), n_ops, n_lanes, previous = 0;
        const uint32_t *list = dd_plan_lanes(plan, w, &n_lanes);
        assert_int_equal(n_lanes, f->share[w].n_lanes);
        if (fold_fixture_apart(f))
            assert_int_equal(n, n_lanes);
        else
            assert_in_range(n, n_lanes ? 1 : 0, f->stealing || n_lanes ? most : 0);
        assert_true(n == 0 || first == segments); /* consecutive, worker after worker */
        segments += n;
        for (uint32_t i = 0; i < n_lanes; i++) {
            assert_true(f->weight[list[i]] > 0 && (i == 0 || list[i] > list[i - 1]));
            assert_in_range(list[i], f->share[w].first, f->share[w].first + f->share[w].count - 1);
            if (f->kind != DD_PLAN_FOLDING)
                assert_int_equal(dd_plan_leaf(plan, list[i]).segment,
                                 fold_fixture_apart(f) ? first + i : DD_NO_SEGMENT);
        }
        const dd_op *ops = dd_plan_ops(plan, w, &n_ops);
        if (f->stealing) {
            assert_true(n == most || fold_fixture_apart(f));
            assert_int_equal(n_ops, 0);
            lanes += n_lanes;
            continue;
        }
        for (const dd_op *op = ops; op < ops + n_ops; op++) {
            switch (op->kind) {
            case DD_OP_RUN_STORE:
            case DD_OP_RUN_FOLD:
                assert_true(previous == 0 || op->lane >= previous);
                previous = op->lane + 1;
                one_lane[op->into] = op->kind == DD_OP_RUN_STORE;
                assert_true(op->kind == DD_OP_RUN_STORE || f->kind == DD_PLAN_FOLDING);
                lanes += op->n_lanes;
                break;
            case DD_OP_FOLD:
                assert_int_equal(f->kind, DD_PLAN_FOLDING);
                assert_false(one_lane[op->from]); /* it should have been a RUN_FOLD */
                one_lane[op->into] = false;
                break;
            case DD_OP_POST:
                posts++;
                break;
            }
        }
    }
    free(one_lane);
    assert_int_equal(dd_plan_n_segments(plan), segments);
    assert_int_equal(dd_plan_n_lanes(plan), lanes);
    assert_true(!fold_fixture_apart(f) || segments == lanes);
    /* every node has two operands: posts or other nodes */
    if (f->kind != DD_PLAN_FOLDING)
        assert_int_equal(n_nodes, lanes - 1);
    if (!f->stealing)
        assert_int_equal(posts + (n_nodes ? n_nodes - 1 : 0), n_nodes ? 2 * n_nodes : 1);
}

static void test_ops_and_segments(void **state)
{
    (void)state;
    check_all(check_ops);
}

/* Placements by speed are as unequal as can be: the bound holds for them too. */
static void test_segments_by_speed(void **state)
{
    (void)state;
    uint64_t seed = 5, most[4] = {0};
    for (uint32_t i = 0; i < 600; i++) {
        const uint32_t lane_depth = i % 16 == 0 ? 3 : 1 + i % 2, n = dd_power_of_12(lane_depth);
        const uint32_t workers = 2 + random_below(&seed, i % 3 ? 6 : n < 100 ? 10 : 90);
        uint64_t weight[1728];
        uint32_t speed[128];
        dd_share share[128];
        dd_hierarchy *h;
        dd_plan *plan;
        for (uint32_t l = 0; l < n; l++)
            weight[l] = i % 4 ? 1 : random_below(&seed, 3);
        weight[random_below(&seed, n)] = 1;
        for (uint32_t w = 0; w < workers; w++)
            speed[w] = 1 + random_below(&seed, w % 2 ? 1000 : 10);
        assert_int_equal(dd_hierarchy_open(2, workers, &h), DD_OK);
        assert_int_equal(dd_placement(weight, lane_depth, workers, speed, share), DD_OK);
        for (int kind = DD_PLAN_FOLDING; kind <= DD_PLAN_STEALING; kind++) {
            assert_int_equal(dd_plan_open(weight, lane_depth, h, share, (dd_plan_kind)kind, &plan),
                             DD_OK);
            for (uint32_t w = 0; w < workers; w++) {
                uint32_t first, k = dd_plan_segments(plan, w, &first);
                assert_in_range(k, 0, 3 * lane_depth + 1);
                if (kind == DD_PLAN_FOLDING && k > most[lane_depth])
                    most[lane_depth] = k;
            }
            dd_plan_close(plan);
        }
        dd_hierarchy_close(h);
    }
    for (uint32_t d = 1; d <= 3; d++)
        assert_int_equal(most[d], 3 * d + 1); /* the bound is met, not only kept */
}

/* Worker w has the lanes up to, not including, end[w]. */
static void expect_ops(dd_plan_kind kind, const uint64_t *weight, uint32_t workers,
                       const uint32_t *end, uint32_t worker, const char *expected)
{
    dd_hierarchy *h;
    dd_plan *plan;
    dd_share share[DD_POSITIONS];
    assert_int_equal(dd_hierarchy_open(1, workers, &h), DD_OK);
    for (uint32_t w = 0, first = 0; w < workers; first = end[w++])
        share[w] = (dd_share){.first = first, .count = end[w] - first};
    assert_int_equal(dd_plan_open(weight, 1, h, share, kind, &plan), DD_OK);
    char text[512] = "";
    uint32_t n, first;
    dd_plan_segments(plan, worker, &first);
    const dd_op *ops = dd_plan_ops(plan, worker, &n);
    for (const dd_op *op = ops; op < ops + n; op++) {
        const size_t used = strlen(text), room = sizeof text - used;
        char *to = text + used;
        switch (op->kind) {
        case DD_OP_RUN_STORE:
            (void)snprintf(to, room, op->n_lanes > 1 ? "%u=%ux%u " : "%u=%u ", op->into - first,
                           op->lane, op->n_lanes);
            break;
        case DD_OP_RUN_FOLD:
            (void)snprintf(to, room, "%u+%u ", op->into - first, op->lane);
            break;
        case DD_OP_FOLD:
            (void)snprintf(to, room, "%u+s%u ", op->into - first, op->from - first);
            break;
        case DD_OP_POST:
            (void)snprintf(to, room, "%u>%d%c ", op->from - first, (int)op->node,
                           op->right ? 'r' : 'l');
            break;
        }
    }
    assert_string_equal(text, expected);
    dd_plan_close(plan);
    dd_hierarchy_close(h);
}

/* Eleven lanes, position 4 empty. s=l: store lane l in segment s; s=lxn: n lanes from l on, in
 * those from s on; s+l: add it; s+st: add segment t; s>nl: hand s to node n as its left operand. */
static void test_ops_as_written(void **state)
{
    (void)state;
    static const uint64_t weight[DD_POSITIONS] = {1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1};
    static const uint32_t one[] = {12}, two[] = {6, 12}, four[] = {2, 4, 10, 12};
    expect_ops(DD_PLAN_FOLDING, weight, 1, one, 0,
               "0=0 0+1 0+2 1=3 1+5 0+s1 1=6 1+7 1+8 2=9 2+10 2+11 1+s2 0+s1 0>-1l ");
    expect_ops(DD_PLAN_FOLDING, weight, 2, two, 0, "0=0 0+1 0+2 1=3 1+5 0+s1 0>0l ");
    expect_ops(DD_PLAN_FOLDING, weight, 2, two, 1, "0=6 0+7 0+8 1=9 1+10 1+11 0+s1 0>0r ");
    /* nodes: ((0+1) + 2), (3 + 5), their sum, ((9 + 10) + 11) in two, with t2, the root */
    expect_ops(DD_PLAN_FOLDING, weight, 4, four, 0, "0=0 0+1 0>0l ");
    expect_ops(DD_PLAN_FOLDING, weight, 4, four, 1, "0=2 0>0r 1=3 1>1l ");
    expect_ops(DD_PLAN_FOLDING, weight, 4, four, 2, "0=5 0>1r 1=6 1+7 1+8 1>5l 2=9 2>3l ");
    expect_ops(DD_PLAN_FOLDING, weight, 4, four, 3, "0=10 0>3r 1=11 1>4r ");
}

/* The same lanes apart; a worker's segments are those of its lanes. */
static void test_ops_apart_as_written(void **state)
{
    (void)state;
    static const uint64_t weight[DD_POSITIONS] = {100, 100, 100, 256, 0,   1,
                                                  128, 128, 1,   257, 200, 56};
    static const uint32_t one[] = {12}, three[] = {2, 4, 12};
    /* nodes: 0 + 1, with 2; 3 + 5, their sum; 6 + 7, with 8; 9 + 10, with 11, their sum, the root
     */
    expect_ops(DD_PLAN_APART, weight, 1, one, 0,
               "0=0x2 0>0l 1>0r 2=2 2>1r 3=3 3>2l 4=5x2 4>2r 5>4l 6=7x2 6>4r 7>5r 8=9 8>6l "
               "9=10x2 9>6r 10>7r ");
    expect_ops(DD_PLAN_APART, weight, 3, three, 0, "0=0x2 0>0l 1>0r ");
    expect_ops(DD_PLAN_APART, weight, 3, three, 1, "0=2 0>1r 1=3 1>2l ");
    expect_ops(DD_PLAN_APART, weight, 3, three, 2,
               "0=5x2 0>2r 1>4l 2=7x2 2>4r 3>5r 4=9 4>6l 5=10x2 5>6r 6>7r ");
    static const uint64_t alone[DD_POSITIONS] = {[7] = 9};
    expect_ops(DD_PLAN_APART, alone, 1, one, 0, "0=7 0>-1l ");
}

/* ---- Bundles ---- */

/* A worker's ops are bundles, each with its posts behind it. Returns the number of its lanes. */
static uint32_t check_bundles(const dd_plan *plan, uint32_t w, const uint64_t *weight,
                              uint32_t *most)
{
    uint32_t n_ops, n, first, done = 0;
    const dd_op *op = dd_plan_ops(plan, w, &n_ops), *end = op + n_ops;
    const uint32_t *list = dd_plan_lanes(plan, w, &n);
    (void)dd_plan_segments(plan, w, &first);
    while (op < end) {
        const uint32_t k = op->n_lanes;
        uint64_t tokens = 0;
        assert_int_equal(op->kind, DD_OP_RUN_STORE);
        assert_true(k >= 1 && done + k <= n && op + k < end);
        assert_int_equal(op->lane, list[done]);
        assert_int_equal(op->into, first + done);
        for (uint32_t i = 0; i < k; i++) {
            const dd_leaf leaf = dd_plan_leaf(plan, list[done + i]);
            const dd_op *post = op + 1 + i;
            tokens += weight[list[done + i]];
            assert_int_equal(post->kind, DD_OP_POST);
            assert_int_equal(post->from, first + done + i);
            assert_true(post->node == leaf.node && post->right == leaf.right);
            assert_true(dd_place_equal(post->acting, leaf.acting));
        }
        assert_true(k == 1 || tokens <= DD_PLAN_BUNDLE_TOKENS);
        done += k;
        if (done < n) /* and one more would be too many */
            assert_true(tokens + weight[list[done]] > DD_PLAN_BUNDLE_TOKENS);
        *most = k > *most ? k : *most;
        op += 1 + k;
    }
    assert_int_equal(done, n);
    return done;
}

static void test_bundles(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {0, 1, 64, 85, 100, 128, 256, 257, UINT64_C(1) << 40};
    uint64_t seed = 9;
    uint32_t most = 0;
    for (uint32_t i = 0; i < 300; i++) {
        const uint32_t lane_depth = i % 16 == 0 ? 3 : 1 + i % 2, n = dd_power_of_12(lane_depth);
        const uint32_t workers = 1 + random_below(&seed, n < 100 ? 12 : 40);
        const uint32_t kinds = 1 + random_below(&seed, sizeof sizes / sizeof sizes[0] - 1);
        uint64_t weight[1728];
        dd_share share[40];
        dd_hierarchy *h;
        dd_plan *plan;
        uint32_t n_lanes = 0, done = 0;
        for (uint32_t l = 0; l < n; l++)
            weight[l] = sizes[random_below(&seed, kinds + 1)];
        weight[random_below(&seed, n)] = 64;
        for (uint32_t l = 0; l < n; l++)
            n_lanes += weight[l] > 0;
        assert_int_equal(dd_hierarchy_open(2, workers, &h), DD_OK);
        assert_int_equal(dd_placement(weight, lane_depth, workers, NULL, share), DD_OK);
        assert_int_equal(dd_plan_open(weight, lane_depth, h, share, DD_PLAN_APART, &plan), DD_OK);
        for (uint32_t w = 0; w < workers; w++)
            done += check_bundles(plan, w, weight, &most);
        assert_int_equal(done, n_lanes);
        assert_int_equal(dd_plan_n_segments(plan), n_lanes);
        dd_plan_close(plan);
        dd_hierarchy_close(h);
    }
    assert_true(most > 12);
}

/* ---- Nodes ---- */

/* Who hands what to which node: true for every operand of the plan, in any order. */
typedef struct operand {
    uint32_t node;
    bool right;
    dd_place acting;
    uint32_t low, high; /* workers */
} operand;

static operand *operands_of(const fold_fixture *f, uint32_t *n)
{
    const dd_plan *plan = f->plan;
    operand *list = calloc(2 * dd_plan_n_lanes(plan) + 1, sizeof *list);
    assert_non_null(list);
    *n = 0;
    for (uint32_t w = 0; w < f->hierarchy->n_workers; w++) {
        uint32_t n_ops, n_lanes;
        const dd_op *ops = dd_plan_ops(plan, w, &n_ops);
        const uint32_t *lanes = dd_plan_lanes(plan, w, &n_lanes);
        for (uint32_t i = 0; f->stealing && i < n_lanes; i++) {
            const dd_leaf leaf = dd_plan_leaf(plan, lanes[i]);
            list[(*n)++] = (operand){leaf.node, leaf.right, leaf.acting, w, w};
        }
        for (uint32_t i = 0; i < n_ops; i++)
            if (ops[i].kind == DD_OP_POST)
                list[(*n)++] = (operand){ops[i].node, ops[i].right, ops[i].acting, w, w};
    }
    const uint32_t n_first = *n, n_nodes = dd_plan_n_nodes(plan);
    for (uint32_t at = 0; at < n_nodes; at++) {
        const dd_node *node = dd_plan_node(plan, at);
        operand o = {node->parent, node->right, node->acting, UINT32_MAX, 0};
        for (uint32_t i = 0; i < n_first + at; i++)
            if (list[i].node == at) {
                o.low = list[i].low < o.low ? list[i].low : o.low;
                o.high = list[i].high > o.high ? list[i].high : o.high;
            }
        list[(*n)++] = o;
    }
    return list;
}

static bool is_above(const dd_hierarchy *h, uint32_t control, uint32_t worker)
{
    return worker >= h->sphere[control].first_worker &&
           worker < h->sphere[control].first_worker + h->sphere[control].n_workers;
}

static void check_node(const fold_fixture *f, uint32_t at, const operand *value)
{
    const dd_hierarchy *h = f->hierarchy;
    const dd_node *node = dd_plan_node(f->plan, at);
    assert_true(at + 1 == dd_plan_n_nodes(f->plan) ? node->parent == DD_NO_NODE
                                                   : node->parent > at);
    if (value->low == value->high && !fold_fixture_apart(f)) {
        assert_true(f->stealing);
        assert_int_equal(node->worker, value->low);
        return;
    }
    assert_int_equal(node->worker, DD_NO_WORKER);
    assert_true(is_above(h, node->control, value->low) && is_above(h, node->control, value->high));
    const dd_sphere *control = &h->sphere[node->control];
    if (value->low == value->high)
        assert_int_equal(node->control, h->sphere[h->worker[value->low]].parent);
    for (uint32_t c = control->first_child; c < control->first_child + control->n_children; c++)
        assert_false(h->sphere[c].n_children > 0 && is_above(h, c, value->low) &&
                     is_above(h, c, value->high));
}

static void check_nodes(const fold_fixture *f)
{
    const uint32_t n_nodes = dd_plan_n_nodes(f->plan);
    uint32_t n, *of_node = calloc(2 * n_nodes + 1, sizeof *of_node);
    assert_non_null(of_node);
    operand *list = operands_of(f, &n);
    for (uint32_t i = 0; i < n; i++) {
        if (list[i].node == DD_NO_NODE) {
            assert_int_equal(list[i].acting.level, 0); /* the root's value is the root's */
            continue;
        }
        of_node[2 * list[i].node + list[i].right]++;
        assert_true(dd_places_touch(list[i].acting, dd_plan_node(f->plan, list[i].node)->owner));
    }
    for (uint32_t i = 0; i < 2 * n_nodes; i++)
        assert_int_equal(of_node[i], 1);
    for (uint32_t at = 0; at < n_nodes; at++)
        check_node(f, at, &list[n - n_nodes + at]);
    free(list);
    free(of_node);
}

static void test_nodes(void **state)
{
    (void)state;
    check_all(check_nodes);
}

/* Depth first: with a pile of values, a node takes its operands from the top and puts its value
 * there; operands that are no nodes come when they are needed. */
static void check_order(const fold_fixture *f)
{
    uint32_t pile[64], height = 0, highest = 0;
    for (uint32_t at = 0; at < dd_plan_n_nodes(f->plan); at++) {
        if (height && dd_plan_node(f->plan, pile[height - 1])->parent == at)
            height--;
        if (height && dd_plan_node(f->plan, pile[height - 1])->parent == at)
            height--;
        for (uint32_t i = 0; i < height; i++)
            assert_int_not_equal(dd_plan_node(f->plan, pile[i])->parent, at);
        assert_true(height < 64);
        pile[height++] = at;
        highest = height > highest ? height : highest;
    }
    assert_in_range(highest, 0, 3 * f->lane_depth + 1);
}

static void test_nodes_depth_first(void **state)
{
    (void)state;
    check_all(check_order);
}

/* ---- Ends of lists ---- */

/* Lanes below each node, and whether all right operands there are lanes. */
static uint32_t subtree_end(const fold_fixture *f, const uint32_t *list, uint32_t n, uint32_t most)
{
    const uint32_t n_nodes = dd_plan_n_nodes(f->plan);
    uint32_t best = 1;
    for (uint32_t at = 0; at < n_nodes; at++) {
        uint32_t lanes = 0, inside = 0;
        bool right_lanes = true;
        for (uint32_t l = 0; l < f->n_places; l++) {
            if (!f->weight[l])
                continue;
            uint32_t up = dd_plan_leaf(f->plan, l).node;
            bool through_right_node = false;
            while (up != DD_NO_NODE && up < at) {
                through_right_node |= dd_plan_node(f->plan, up)->right;
                up = dd_plan_node(f->plan, up)->parent;
            }
            if (up != at)
                continue;
            lanes++;
            right_lanes &= !through_right_node;
            for (uint32_t i = 1; i <= n && i <= most; i++)
                inside += list[n - i] == l;
        }
        if (right_lanes && inside == lanes && lanes <= most && lanes > best) {
            /* consecutive, and at the end */
            uint32_t up = dd_plan_leaf(f->plan, list[n - 1]).node;
            while (up != DD_NO_NODE && up < at)
                up = dd_plan_node(f->plan, up)->parent;
            best = up == at ? lanes : best;
        }
    }
    return best;
}

static void test_last_subtree(void **state)
{
    (void)state;
    uint64_t seed = 3;
    uint32_t found[8] = {0};
    for (uint32_t i = 0; i < 400; i++) {
        dd_hierarchy *h;
        fold_fixture f;
        const uint32_t lane_depth = i % 8 ? 1 : 2, workers = 1 + random_below(&seed, 6);
        assert_int_equal(dd_hierarchy_open(1, workers, &h), DD_OK);
        fold_fixture_open(&f, lane_depth, 1 + random_below(&seed, lane_depth == 1 ? 12 : 160), h,
                          i % 3 ? DD_REDUCE_TREE : DD_REDUCE_OWNER, true);
        for (uint32_t w = 0; w < workers; w++) {
            uint32_t n;
            const uint32_t *list = dd_plan_lanes(f.plan, w, &n);
            for (uint32_t k = 1; k <= n; k += lane_depth == 1 ? 1 : 7)
                for (uint32_t most = 1; most <= 5; most++) {
                    const uint32_t end = dd_plan_last_subtree(f.plan, list, k, most);
                    assert_int_equal(end, subtree_end(&f, list, k, most));
                    found[end]++;
                }
        }
        fold_fixture_close(&f);
        dd_hierarchy_close(h);
    }
    for (uint32_t end = 1; end <= 3; end++)
        assert_true(found[end] > 0);
}

/* ---- Memory ---- */

static dd_status open_everything(const fold_fixture *f, dd_reduce reduce, bool stealing)
{
    dd_plan *plan = NULL;
    dd_combine *combine = NULL;
    dd_queues *queues = NULL;
    dd_slices slices = {0};
    dd_status st = dd_plan_open(f->weight, f->lane_depth, f->hierarchy, f->share,
                                dd_reduce_plan(reduce, stealing), &plan);
    if (st == DD_OK)
        st = dd_combine_open(plan, reduce, &combine);
    if (st == DD_OK)
        st = dd_queues_open(plan, f->hierarchy, &queues);
    if (st == DD_OK)
        st = dd_slices_open(&slices, f->hierarchy->n_workers, 100);
    dd_slices_close(&slices);
    dd_queues_close(queues);
    dd_combine_close(combine);
    dd_plan_close(plan);
    return st;
}

/* Every allocation of core/sync fails in turn: one error, nothing left behind. */
static void test_no_memory(void **state)
{
    (void)state;
    dd_hierarchy *h;
    fold_fixture f;
    assert_int_equal(dd_hierarchy_open(2, 20, &h), DD_OK);
    fold_fixture_open(&f, 2, 100, h, DD_REDUCE_SLICED, true);
    const long live = n_live;
    for (int how = 0; how < 4; how++) {
        const dd_reduce reduce = how / 2 ? DD_REDUCE_OWNER : DD_REDUCE_SLICED;
        n_allocations = 0;
        assert_int_equal(open_everything(&f, reduce, how % 2), DD_OK);
        const long n = n_allocations;
        assert_true(n > 10);
        for (long i = 0; i < n; i++) {
            n_allocations = 0;
            fail_at = i;
            assert_int_equal(open_everything(&f, reduce, how % 2), DD_ERR_MEMORY);
            assert_int_equal(n_live, live);
        }
        fail_at = -1;
    }
    fold_fixture_close(&f);
    dd_hierarchy_close(h);
    assert_int_equal(n_live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ops_and_segments),  cmocka_unit_test(test_segments_by_speed),
        cmocka_unit_test(test_ops_as_written),    cmocka_unit_test(test_ops_apart_as_written),
        cmocka_unit_test(test_bundles),           cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_nodes_depth_first), cmocka_unit_test(test_last_subtree),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
