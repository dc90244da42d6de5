/* SPDX-License-Identifier: MIT
 * Steps of folding, played. */
#include "fold_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOBODY UINT32_MAX

struct fold_player {
    dd_folder folder;
    uint32_t next_op;
    bool cancelled; /* runs nothing more in this step */
    bool slow;
    /* stealing */
    uint32_t free;          /* bit s: its s-th segment is free */
    const uint32_t *stolen; /* lanes still to run */
    uint32_t n_stolen;
    bool has_run, fused; /* a lane that is still to be handed in, added to the left operand */
    uint32_t lane, segment;
};

uint32_t random_below(uint64_t *seed, uint32_t n)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((*seed >> 33) % n);
}

/* ---- Values ---- */

/* Neither commutative nor associative; never 0. */
static uint64_t joined(uint64_t left, uint64_t right)
{
    uint64_t h = left * UINT64_C(0x9e3779b97f4a7c15) + (right << 23 | right >> 41);
    h = (h ^ h >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    return (h ^ h >> 32) | 1;
}

static uint64_t lane_value(uint32_t lane)
{
    return joined(lane + 1, 77);
}

static uint64_t present(uint64_t left, uint64_t right)
{
    return left && right ? joined(left, right) : left ? left : right;
}

/* NUMERICS 7: the position that stands for n lanes from `lane` on; 0 if all are empty. */
static uint64_t canonical(const uint64_t *weight, uint32_t lane, uint32_t n)
{
    if (n == 1)
        return weight[lane] ? lane_value(lane) : 0;
    const uint32_t m = n / DD_POSITIONS;
    uint64_t p[DD_POSITIONS], tri[4];
    for (uint32_t i = 0; i < DD_POSITIONS; i++)
        p[i] = canonical(weight, lane + i * m, m);
    for (uint32_t i = 0; i < 4; i++)
        tri[i] = present(present(p[3 * i], p[3 * i + 1]), p[3 * i + 2]);
    return present(present(tri[0], tri[1]), present(tri[2], tri[3]));
}

/* ---- Opening ---- */

bool fold_fixture_apart(const fold_fixture *f)
{
    return f->kind == DD_PLAN_APART || f->kind == DD_PLAN_APART_STEALING;
}

static void *zeroed(size_t n, size_t bytes)
{
    void *p = calloc(n ? n : 1, bytes);
    assert_non_null(p);
    return p;
}

void fold_fixture_open(fold_fixture *f, uint32_t lane_depth, uint64_t batch, const dd_hierarchy *h,
                       dd_reduce reduce, bool stealing)
{
    *f = (fold_fixture){.lane_depth = lane_depth,
                        .n_places = dd_power_of_12(lane_depth),
                        .hierarchy = h,
                        .reduce = reduce,
                        .stealing = stealing,
                        .kind = dd_reduce_plan(reduce, stealing)};
    f->weight = zeroed(f->n_places, sizeof *f->weight);
    for (uint64_t l = 0; l < f->n_places; l++)
        f->weight[l] = ((l + 1) * batch / f->n_places - l * batch / f->n_places) * FIXTURE_TOKENS;
    f->share = zeroed(h->n_workers, sizeof *f->share);
    assert_int_equal(dd_placement(f->weight, lane_depth, h->n_workers, NULL, f->share), DD_OK);
    assert_int_equal(dd_plan_open(f->weight, lane_depth, h, f->share, f->kind, &f->plan), DD_OK);
    assert_int_equal(dd_combine_open(f->plan, reduce, &f->combine), DD_OK);
    if (stealing)
        assert_int_equal(dd_queues_open(f->plan, h, &f->queues), DD_OK);
    f->expected = canonical(f->weight, 0, f->n_places);

    const uint32_t n_segments = dd_plan_n_segments(f->plan);
    f->player = zeroed(h->n_workers, sizeof *f->player);
    f->value = zeroed(n_segments, sizeof *f->value);
    f->holder = zeroed(n_segments, sizeof *f->holder);
    f->lane_runs = zeroed(f->n_places, sizeof *f->lane_runs);
}

void fold_fixture_close(fold_fixture *f)
{
    dd_queues_close(f->queues);
    dd_combine_close(f->combine);
    dd_plan_close(f->plan);
    free(f->weight);
    free(f->share);
    free(f->player);
    free(f->value);
    free(f->holder);
    free(f->lane_runs);
}

/* ---- What threads do to segments, and with what right ---- */

static void gain(fold_fixture *f, uint32_t thread, uint32_t segment)
{
    assert_in_range(segment, 0, dd_plan_n_segments(f->plan) - 1);
    assert_true(f->holder[segment] == NOBODY || f->holder[segment] == thread);
    f->holder[segment] = thread;
}

static void let_go(void *user, uint32_t thread, uint32_t segment)
{
    fold_fixture *f = user;
    assert_int_equal(f->holder[segment], thread);
    f->holder[segment] = NOBODY;
}

static void fold(void *user, uint32_t thread, uint32_t into, uint32_t from)
{
    fold_fixture *f = user;
    gain(f, thread, into);
    assert_true(f->holder[from] == NOBODY || f->holder[from] == thread);
    assert_true(f->value[into] && f->value[from]);
    f->value[into] = joined(f->value[into], f->value[from]);
    f->value[from] = 0;
    f->holder[from] = NOBODY;
}

static void run_lane(fold_fixture *f, uint32_t worker, uint32_t lane, uint32_t segment, bool fused)
{
    assert_true(lane < f->n_places && f->weight[lane]);
    f->lane_runs[lane]++;
    gain(f, worker, segment);
    /* to store it takes a segment whose value nobody misses, to add one that holds something */
    assert_int_equal(fused, f->value[segment] != 0);
    f->value[segment] = fused ? joined(f->value[segment], lane_value(lane)) : lane_value(lane);
    f->n_folds += fused;
    f->n_fused += fused;
}

static void completed(fold_fixture *f, bool root_came, uint32_t root)
{
    if (root_came) {
        f->n_roots++;
        f->root = root;
    }
}

/* ---- A move without stealing: one op ---- */

/* n_lanes lanes, or where the worker has cancelled, none of them. */
static void run_op(fold_fixture *f, uint32_t w, const dd_op *op)
{
    uint32_t lane = op->lane;
    assert_true(op->n_lanes == 1 || f->kind == DD_PLAN_APART);
    for (uint32_t i = 0; i < op->n_lanes; lane++) {
        assert_in_range(lane, f->share[w].first, f->share[w].first + f->share[w].count - 1);
        if (!f->weight[lane])
            continue;
        if (f->player[w].cancelled)
            f->lane_runs[lane]++;
        else
            run_lane(f, w, lane, op->into + i, op->kind == DD_OP_RUN_FOLD);
        i++;
    }
}

static bool move_op(fold_fixture *f, uint32_t w)
{
    fold_player *p = &f->player[w];
    uint32_t n_ops, first, n = dd_plan_segments(f->plan, w, &first);
    uint32_t root = DD_NO_SEGMENT;
    bool came;
    const dd_op *ops = dd_plan_ops(f->plan, w, &n_ops);
    if (p->next_op == n_ops)
        return false;
    const dd_op *op = &ops[p->next_op++];
    switch (op->kind) {
    case DD_OP_RUN_STORE:
    case DD_OP_RUN_FOLD:
        assert_in_range(op->into, first, first + n - op->n_lanes);
        run_op(f, w, op);
        break;
    case DD_OP_FOLD:
        assert_in_range(op->into, first, first + n - 1);
        assert_in_range(op->from, first, first + n - 1);
        if (!p->cancelled) {
            fold(f, w, op->into, op->from);
            f->n_folds++;
        }
        break;
    case DD_OP_POST:
        assert_in_range(op->from, first, first + n - 1);
        f->n_cancelled += p->cancelled;
        came = dd_combine_arrive(f->combine, op->node, op->right, op->acting,
                                 p->cancelled ? DD_NO_SEGMENT : op->from, &p->folder, NULL, NULL,
                                 &root);
        completed(f, came, root);
        break;
    }
    return true;
}

/* ---- A move with stealing: a lane run, or handed in ---- */

static void freed(void *arg, uint32_t segment)
{
    fold_fixture *f = ((void **)arg)[0];
    fold_player *p = ((void **)arg)[1];
    uint32_t first, n = dd_plan_segments(f->plan, (uint32_t)(p - f->player), &first);
    f->value[segment] = 0;
    f->holder[segment] = NOBODY;
    if (segment >= first && segment < first + n) {
        assert_int_equal(p->free >> (segment - first) & 1, 0);
        p->free |= UINT32_C(1) << (segment - first);
    }
}

static void hand_in(fold_fixture *f, fold_player *p)
{
    void *arg[2] = {f, p};
    uint32_t root = DD_NO_SEGMENT;
    bool came;
    const dd_leaf leaf = dd_plan_leaf(f->plan, p->lane);
    p->has_run = false;
    if (p->fused)
        came = dd_combine_resume(f->combine, leaf.node, p->segment, &p->folder, freed, arg, &root);
    else
        came = dd_combine_arrive(f->combine, leaf.node, leaf.right, leaf.acting, p->segment,
                                 &p->folder, freed, arg, &root);
    completed(f, came, root);
}

static bool next_lane(fold_fixture *f, uint32_t w)
{
    fold_player *p = &f->player[w];
    uint32_t victim;
    if (p->n_stolen == 0 && dd_queues_take(f->queues, w, &p->lane))
        return true;
    if (p->n_stolen == 0 && (p->free || p->cancelled || fold_fixture_apart(f))) {
        p->n_stolen = dd_queues_steal(f->queues, w, &p->stolen, &victim);
        f->n_stolen += p->n_stolen;
        for (uint32_t i = 0; i < p->n_stolen; i++)
            assert_in_range(p->stolen[i], f->share[victim].first,
                            f->share[victim].first + f->share[victim].count - 1);
    }
    if (p->n_stolen == 0)
        return false;
    p->lane = *p->stolen++;
    p->n_stolen--;
    return true;
}

static bool move_stealing(fold_fixture *f, uint32_t w)
{
    fold_player *p = &f->player[w];
    if (p->has_run) {
        hand_in(f, p);
        return true;
    }
    if (!next_lane(f, w))
        return false;
    const dd_leaf leaf = dd_plan_leaf(f->plan, p->lane);
    p->has_run = true;
    p->fused = leaf.node != DD_NO_NODE && leaf.right && leaf.node == p->folder.waits_at;
    if (p->cancelled) {
        f->lane_runs[p->lane]++;
        f->n_cancelled++;
        p->segment = DD_NO_SEGMENT;
        p->fused = p->fused && random_below(&f->seed, 2); /* either will do */
        return true;
    }
    if (p->fused) {
        p->segment = p->folder.waiting;
    } else if (fold_fixture_apart(f)) {
        p->segment = leaf.segment;
    } else {
        uint32_t first, n = dd_plan_segments(f->plan, w, &first), s = 0;
        assert_int_not_equal(p->free, 0);
        while (!(p->free >> s & 1))
            s++;
        assert_true(s < n);
        p->free &= ~(UINT32_C(1) << s);
        p->segment = first + s;
    }
    run_lane(f, w, p->lane, p->segment, p->fused);
    return true;
}

/* ---- A step ---- */

static void begin(fold_fixture *f, const fold_order *order)
{
    const uint32_t n_segments = dd_plan_n_segments(f->plan);
    memset(f->value, 0, n_segments * sizeof *f->value);
    for (uint32_t s = 0; s < n_segments; s++)
        f->holder[s] = NOBODY;
    memset(f->lane_runs, 0, f->n_places * sizeof *f->lane_runs);
    f->seed = order->seed;
    f->n_folds = f->n_roots = f->n_stolen = f->n_fused = f->n_cancelled = 0;
    for (uint32_t w = 0; w < f->hierarchy->n_workers; w++) {
        uint32_t first, n = dd_plan_segments(f->plan, w, &first);
        f->player[w] = (fold_player){.folder = {.user = f,
                                                .thread = w,
                                                .fold = fold,
                                                .let_go = let_go,
                                                .waits_at = DD_NO_NODE},
                                     .free = fold_fixture_apart(f) ? 0 : (UINT32_C(1) << n) - 1,
                                     .slow = random_below(&f->seed, 8) < order->slow};
        if (f->stealing)
            dd_queues_fill(f->queues, w);
    }
}

/* All those that are slow, or all others, until none can move. */
static void play(fold_fixture *f, const fold_order *order, bool slow)
{
    uint32_t *active = zeroed(f->hierarchy->n_workers, sizeof *active), n = 0;
    for (uint32_t w = 0; w < f->hierarchy->n_workers; w++)
        if (f->player[w].slow == slow)
            active[n++] = w;
    while (n) {
        const uint32_t i = random_below(&f->seed, n), w = active[i];
        for (uint32_t b = random_below(&f->seed, order->burst) + 1; b > 0; b--) {
            if (order->cancelled && random_below(&f->seed, 64) < order->cancelled)
                f->player[w].cancelled = true;
            if (!(f->stealing ? move_stealing(f, w) : move_op(f, w))) {
                active[i] = active[--n];
                break;
            }
        }
    }
    free(active);
}

/* `owner`: the list is the whole tree, depth first. Each fold is of the two topmost values of a
 * stack, onto which the lanes' segments come in order, and comes as soon as it can. */
static void check_whole_tree(fold_fixture *f, const dd_fold_pair *list, uint32_t n)
{
    const uint32_t n_lanes = dd_plan_n_lanes(f->plan);
    uint32_t stack[10], height = 0, next = 0;
    assert_int_equal(n, n_lanes - 1);
    f->highest = 0;
    for (const dd_fold_pair *p = list; p < list + n; p++) {
        if (height < 2 || stack[height - 1] != p->from || stack[height - 2] != p->into) {
            do {
                assert_true(next < n_lanes && height < 3 * f->lane_depth + 1);
                stack[height++] = next++;
                f->highest = height > f->highest ? height : f->highest;
            } while (stack[height - 1] != p->from);
            assert_true(height >= 2 && stack[height - 2] == p->into);
        }
        height--;
    }
    assert_int_equal(next, n ? n_lanes : 0);
}

static void after_b(fold_fixture *f)
{
    const dd_hierarchy *h = f->hierarchy;
    if (f->reduce == DD_REDUCE_CONTROL) {
        dd_folder folder = {.user = f, .fold = fold, .let_go = let_go};
        for (uint32_t s = h->n_spheres; s-- > 0;) {
            uint32_t root = DD_NO_SEGMENT;
            folder.thread = h->n_workers + s;
            const bool came = dd_combine_fold_control(f->combine, s, &folder, &root);
            completed(f, came, root);
        }
        f->n_folds += folder.n_folds;
    }
    if (f->reduce == DD_REDUCE_OWNER)
        for (uint32_t w = 0; w < h->n_workers; w++) /* nothing was folded so far */
            assert_int_equal(f->player[w].folder.n_folds, 0);
    if (dd_reduce_slices(f->reduce)) {
        const dd_fold_pair *list;
        const uint32_t n = dd_combine_list(f->combine, &list, &f->root);
        if (n == 0)
            assert_int_equal(f->n_roots--, 1); /* it came on arrival */
        if (f->reduce == DD_REDUCE_OWNER && f->root != DD_NO_SEGMENT)
            check_whole_tree(f, list, n);
        for (uint32_t i = 0; i < n && f->root != DD_NO_SEGMENT; i++) {
            fold(f, NOBODY - 1, list[i].into, list[i].from);
            f->n_folds++;
        }
        f->n_roots++;
    }
}

void fold_fixture_step(fold_fixture *f, const fold_order *order)
{
    begin(f, order);
    play(f, order, false);
    play(f, order, true);
    for (uint32_t w = 0; w < f->hierarchy->n_workers; w++)
        f->n_folds += f->player[w].folder.n_folds;
    after_b(f);

    assert_int_equal(f->n_roots, 1);
    for (uint32_t l = 0; l < f->n_places; l++)
        assert_int_equal(f->lane_runs[l], f->weight[l] > 0);
    assert_int_equal(f->root == DD_NO_SEGMENT, f->n_cancelled > 0);
    if (f->n_cancelled == 0) {
        assert_true(f->value[f->root] == f->expected);
        assert_int_equal(f->n_folds, dd_plan_n_lanes(f->plan) - 1);
    }
}
