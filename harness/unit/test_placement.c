/* SPDX-License-Identifier: MIT
 * core/spheres: placement of lanes on workers, against exhaustive searches over all cuts and a
 * model of the fold tree that knows nothing of the code's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "counted_alloc.h"
#include "placement.h"

enum { MAX_LANES = 1728 };

/* ---- A model of the fold tree ---- */

/* Non-empty lanes in order. Every boundary between two of them is where exactly one fold adds what
 * is left of it to what is right of it: split[m] folds lanes [a, m) and [m, b). */
typedef struct model {
    uint32_t n, lane[MAX_LANES];
    uint64_t weight[MAX_LANES], before[MAX_LANES + 1];
    struct {
        uint32_t a, b;
    } split[MAX_LANES];
} model;

typedef struct span {
    uint32_t a, b;
} span;

static span model_fold(model *m, span left, span right)
{
    if (left.a == left.b)
        return right;
    if (right.a == right.b)
        return left;
    assert_int_equal(left.b, right.a);
    m->split[left.b].a = left.a;
    m->split[left.b].b = right.b;
    return (span){left.a, right.b};
}

static span model_sphere(model *m, uint32_t levels, uint32_t lane)
{
    if (levels == 0) {
        span s = {m->n, m->n};
        if (m->weight[lane]) {
            m->lane[m->n] = lane;
            m->before[m->n + 1] = m->before[m->n] + m->weight[lane];
            s.b = ++m->n;
        }
        return s;
    }
    span p[12], t[4];
    uint32_t inside = 1;
    for (uint32_t k = 1; k < levels; k++)
        inside *= 12;
    for (uint32_t i = 0; i < 12; i++)
        p[i] = model_sphere(m, levels - 1, lane + i * inside);
    for (uint32_t i = 0; i < 4; i++)
        t[i] = model_fold(m, model_fold(m, p[3 * i], p[3 * i + 1]), p[3 * i + 2]);
    return model_fold(m, model_fold(m, t[0], t[1]), model_fold(m, t[2], t[3]));
}

static uint32_t lanes_of_depth(uint32_t depth)
{
    return depth == 1 ? 12 : depth == 2 ? 144 : 1728;
}

static const model *model_of(const uint64_t *weight, uint32_t depth)
{
    static model m;
    m.n = 0;
    m.before[0] = 0;
    memcpy(m.weight, weight, lanes_of_depth(depth) * sizeof *weight);
    (void)model_sphere(&m, depth, 0);
    return &m;
}

/* Runs lanes i to j - 1 one after another: each is added to the value held last, where it is that
 * value's right operand, or else takes a segment; values that are each other's operands are folded
 * at once. returns the most segments held; *whole: how many there are at the end. */
static uint32_t segments_of(const model *m, uint32_t i, uint32_t j, uint32_t *whole)
{
    static span held[MAX_LANES];
    uint32_t n = 0, most = 0;
    for (uint32_t k = i; k < j; k++) {
        if (n > 0 && m->split[k].a == held[n - 1].a && m->split[k].b == k + 1)
            held[n - 1].b = k + 1;
        else
            held[n++] = (span){k, k + 1};
        most = n > most ? n : most;
        while (n > 1 && m->split[held[n - 1].a].a == held[n - 2].a &&
               m->split[held[n - 1].a].b == held[n - 1].b) {
            held[n - 2].b = held[n - 1].b;
            n--;
        }
    }
    *whole = n;
    return most;
}

/* Pairs of touching children of one sphere with all their lanes inside, from the definition. */
static uint32_t contacts_of(const uint64_t *weight, uint32_t depth, uint32_t first, uint32_t last)
{
    uint32_t n = 0;
    for (uint32_t size = 1; size < lanes_of_depth(depth); size *= 12) {
        for (uint32_t a = 0; a < lanes_of_depth(depth); a += size) {
            for (uint32_t b = a + size; b / (12 * size) == a / (12 * size); b += size) {
                if (!dd_in_contact(a / size % 12, b / size % 12))
                    continue;
                bool any[2] = {false, false}, all = true;
                for (uint32_t l = 0; l < size; l++) {
                    any[0] |= weight[a + l] > 0;
                    any[1] |= weight[b + l] > 0;
                    all &= !weight[a + l] || (a + l >= first && a + l <= last);
                    all &= !weight[b + l] || (b + l >= first && b + l <= last);
                }
                n += any[0] && any[1] && all;
            }
        }
    }
    return n;
}

/* ---- What every placement must be ---- */

static uint64_t load_of(uint64_t tokens, const uint32_t *speed, uint32_t worker)
{
    return speed ? tokens * 65536 / speed[worker] : tokens;
}

/* Shares every lane once, in order, right in all their fields and within the bound on segments.
 * returns the largest load */
static uint64_t check_shares(const model *m, uint32_t depth, uint32_t workers,
                             const uint32_t *speed, const dd_share *share)
{
    uint64_t largest = 0;
    uint32_t i = 0;
    for (uint32_t w = 0; w < workers; w++) {
        if (i == m->n) {
            assert_int_equal(share[w].first + share[w].count + share[w].n_lanes, 0);
            assert_int_equal(share[w].tokens, 0);
            continue;
        }
        assert_true(share[w].n_lanes >= 1);
        const uint32_t j = i + share[w].n_lanes;
        assert_true(j <= m->n);
        assert_int_equal(share[w].first, m->lane[i]);
        assert_int_equal(share[w].first + share[w].count - 1, m->lane[j - 1]);
        assert_int_equal(share[w].tokens, m->before[j] - m->before[i]);
        uint32_t whole;
        assert_true(segments_of(m, i, j, &whole) <= 3 * depth + 1);
        assert_true(whole <= 3 * depth + 1);
        const uint64_t load = load_of(share[w].tokens, speed, w);
        largest = load > largest ? load : largest;
        i = j;
    }
    assert_int_equal(i, m->n);
    return largest;
}

/* The least largest load of any cuts into runs, without regard to segments. */
static uint64_t least_load(const model *m, uint32_t workers)
{
    uint64_t low = 0, high = m->before[m->n];
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        uint32_t i = 0;
        for (uint32_t w = 0; w < workers; w++)
            for (uint32_t begin = i; i < m->n && m->before[i + 1] - m->before[begin] <= middle;)
                i++;
        *(i == m->n ? &high : &low) = middle;
    }
    return high;
}

static void weights_of_batch(uint64_t batch, uint32_t depth, uint64_t *weight)
{
    const uint64_t n = lanes_of_depth(depth);
    for (uint64_t l = 0; l < n; l++)
        weight[l] = (l + 1) * batch / n - l * batch / n;
}

/* ---- All cuts, one by one ---- */

typedef struct quality {
    uint64_t largest;
    uint32_t contacts;
} quality;

static bool cuts_next(uint32_t *cut, uint32_t n_shares, uint32_t n)
{
    for (uint32_t i = n_shares; i-- > 1;) {
        if (cut[i] < n - (n_shares - i)) {
            cut[i]++;
            for (uint32_t k = i + 1; k < n_shares; k++)
                cut[k] = cut[k - 1] + 1;
            return true;
        }
    }
    return false;
}

/* The first of the best in lexicographic order. returns whether the bound on segments, if it was
 * `bounded`, shut out any cuts. */
static bool search_all(const model *m, uint32_t depth, uint32_t workers, const uint32_t *speed,
                       bool bounded, uint32_t best[])
{
    static uint32_t contacts[145][145];
    static bool fits[145][145];
    for (uint32_t i = 0; i < m->n; i++) {
        for (uint32_t j = i + 1; j <= m->n; j++) {
            uint32_t whole;
            contacts[i][j] = contacts_of(m->weight, depth, m->lane[i], m->lane[j - 1]);
            fits[i][j] = segments_of(m, i, j, &whole) <= 3 * depth + 1;
        }
    }
    const uint32_t n_shares = workers < m->n ? workers : m->n;
    uint32_t cut[145];
    for (uint32_t i = 0; i < n_shares; i++)
        cut[i] = i;
    cut[n_shares] = m->n;
    quality least = {.largest = UINT64_MAX};
    bool shut_out = false;
    do {
        quality q = {0};
        bool possible = true;
        for (uint32_t s = 0; s < n_shares; s++) {
            uint64_t load = load_of(m->before[cut[s + 1]] - m->before[cut[s]], speed, s);
            q.largest = load > q.largest ? load : q.largest;
            q.contacts += contacts[cut[s]][cut[s + 1]];
            possible &= !bounded || fits[cut[s]][cut[s + 1]];
        }
        shut_out |= !possible;
        if (possible && (q.largest < least.largest ||
                         (q.largest == least.largest && q.contacts > least.contacts))) {
            least = q;
            memcpy(best, cut, (n_shares + 1) * sizeof *cut);
        }
    } while (cuts_next(cut, n_shares, m->n));
    return shut_out;
}

static void check_against_search(const uint64_t *weight, uint32_t depth, uint32_t workers,
                                 const uint32_t *speed, bool bounded)
{
    const model *m = model_of(weight, depth);
    dd_share share[144];
    uint32_t best[145];
    assert_int_equal(dd_placement(weight, depth, workers, speed, share), DD_OK);
    (void)check_shares(m, depth, workers, speed, share);
    (void)search_all(m, depth, workers, speed, bounded, best);
    for (uint32_t w = 0; w < workers && w < m->n; w++) {
        assert_int_equal(share[w].first, m->lane[best[w]]);
        assert_int_equal(share[w].n_lanes, best[w + 1] - best[w]);
    }
}

/* For whole batches the bound on segments never decides anything at lane depth 1. */
static void test_every_batch_against_all_cuts(void **state)
{
    (void)state;
    for (uint64_t batch = 1; batch <= 200; batch++) {
        uint64_t weight[12];
        weights_of_batch(batch, 1, weight);
        for (uint32_t workers = 1; workers <= 12; workers++)
            check_against_search(weight, 1, workers, NULL, false);
    }
}

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % n);
}

/* Weights of any kind, up to `most` non-empty lanes, and speeds of any kind. */
static void test_uneven_weights_against_all_cuts(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 600; round++) {
        const uint32_t depth = 1 + round % 3, n_lanes = lanes_of_depth(depth);
        const uint32_t range = round % 5 == 0 ? 1000 : 4, most = depth == 1 ? 12 : 11;
        static uint64_t weight[MAX_LANES];
        memset(weight, 0, sizeof weight);
        uint32_t near = random_below(n_lanes); /* half of the rounds: lanes side by side */
        for (uint32_t k = 0; k < most; k++) {
            uint32_t l = round % 2 ? random_below(n_lanes) : (near + k) % n_lanes;
            weight[l] = random_below(range);
        }
        weight[near] = round % 7 == 0 ? 50 : 1;
        uint32_t speed[12];
        for (uint32_t w = 0; w < 12; w++)
            speed[w] = round % 4 == 0 ? 1 + random_below(100000) : 60000 + random_below(10000);
        const uint32_t workers = 1 + random_below(12);
        check_against_search(weight, depth, workers, round % 3 ? speed : NULL, true);
    }
}

/* 144 lanes on two or three workers, and 30 or so of them on four. */
static void test_more_lanes_against_all_cuts(void **state)
{
    (void)state;
    uint64_t weight[144];
    for (uint64_t batch = 20; batch <= 330; batch += 31) {
        weights_of_batch(batch, 2, weight);
        for (uint32_t workers = 2; workers <= (batch < 100 ? 4 : 3); workers++) {
            uint32_t speed[4] = {70000, 50000, 90000, 65536};
            check_against_search(weight, 2, workers, NULL, true);
            check_against_search(weight, 2, workers, speed, true);
        }
    }
}

/* A worker with all lanes but the first would have to hold five values at once: the bound gives
 * another lane to the first worker. */
static void test_the_bound_on_segments_comes_first(void **state)
{
    (void)state;
    const uint64_t weight[12] = {20, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const model *m = model_of(weight, 1);
    uint32_t whole, best[13];
    assert_int_equal(segments_of(m, 1, 12, &whole), 5);
    assert_int_equal(segments_of(m, 2, 12, &whole), 4);
    assert_true(search_all(m, 1, 2, NULL, true, best));
    dd_share share[2];
    assert_int_equal(dd_placement(weight, 1, 2, NULL, share), DD_OK);
    assert_int_equal(check_shares(m, 1, 2, NULL, share), 21);
    assert_int_equal(share[0].n_lanes, 2);
}

/* ---- Batches at every depth ---- */

static void check_batch(uint64_t batch, uint32_t depth, uint32_t workers)
{
    static uint64_t weight[MAX_LANES];
    static dd_share share[MAX_LANES];
    weights_of_batch(batch, depth, weight);
    const model *m = model_of(weight, depth);
    assert_int_equal(dd_placement(weight, depth, workers, NULL, share), DD_OK);
    uint64_t largest = check_shares(m, depth, workers, NULL, share);
    /* what the bound on segments costs: nothing, but at depth 3 */
    const uint64_t least = least_load(m, workers);
    assert_true(depth < 3 ? largest == least : largest * 100 <= least * 101);
}

static void test_batches(void **state)
{
    (void)state;
    for (uint32_t workers = 1; workers <= 12; workers++)
        for (uint64_t batch = 1; batch <= 60; batch++)
            check_batch(batch, 1, workers);
    for (uint32_t workers = 1; workers <= 144; workers += workers < 30 ? 1 : 7)
        for (uint64_t batch = 1; batch <= 300; batch += batch < 30 ? 3 : 19)
            check_batch(batch, 2, workers);
    static const uint32_t some[] = {1, 2, 3, 7, 11, 12, 13, 100, 143, 144, 145, 865, 1728};
    static const uint64_t batches[] = {1, 12, 144, 145, 500, 864, 1000, 1727, 1728, 1729, 3000};
    for (size_t w = 0; w < sizeof some / sizeof *some; w++)
        for (size_t b = 0; b < sizeof batches / sizeof *batches; b++)
            check_batch(batches[b], 3, some[w]);
}

static void test_placement_follows_triangles_and_spheres(void **state)
{
    (void)state;
    static uint64_t weight[MAX_LANES];
    static dd_share share[MAX_LANES];
    static const uint32_t workers[] = {1, 2, 4, 12, 24, 48, 144, 288, 576, 1728};
    for (uint32_t depth = 1; depth <= 3; depth++) {
        const uint32_t n = lanes_of_depth(depth);
        weights_of_batch(n, depth, weight);
        for (size_t i = 0; i < sizeof workers / sizeof *workers && workers[i] <= n; i++) {
            assert_int_equal(dd_placement(weight, depth, workers[i], NULL, share), DD_OK);
            for (uint32_t w = 0; w < workers[i]; w++) {
                assert_int_equal(share[w].first, w * n / workers[i]);
                assert_int_equal(share[w].count, n / workers[i]);
            }
        }
    }
}

static void test_uneven_weights_by_hand(void **state)
{
    (void)state;
    /* the one heavy lane stands alone; lanes without weight belong to nobody */
    static const uint64_t weight[12] = {0, 1, 1, 0, 0, 9, 0, 1, 1, 1, 0, 0};
    dd_share share[3];
    assert_int_equal(dd_placement(weight, 1, 3, NULL, share), DD_OK);
    assert_int_equal(share[0].first, 1);
    assert_int_equal(share[0].count, 2);
    assert_int_equal(share[1].first, 5);
    assert_int_equal(share[1].count, 1);
    assert_int_equal(share[2].first, 7);
    assert_int_equal(share[2].count, 3);
    assert_int_equal(share[2].tokens, 3);
}

static void test_a_slow_worker_gets_less(void **state)
{
    (void)state;
    uint64_t weight[144];
    weights_of_batch(144, 2, weight);
    const uint32_t speed[3] = {60000, 30000, 90000};
    dd_share share[3];
    assert_int_equal(dd_placement(weight, 2, 3, speed, share), DD_OK);
    assert_int_equal(share[0].tokens, 48);
    assert_int_equal(share[1].tokens, 24);
    assert_int_equal(share[2].tokens, 72);
}

static void test_placement_of_nothing(void **state)
{
    (void)state;
    static const uint64_t weight[12] = {0};
    dd_share share[2];
    assert_int_equal(dd_placement(weight, 1, 2, NULL, share), DD_OK);
    assert_int_equal(share[0].count + share[1].count, 0);
}

static void test_contacts_inside(void **state)
{
    (void)state;
    static uint64_t weight[144];
    for (uint32_t l = 0; l < 144; l++)
        weight[l] = 1;
    assert_int_equal(dd_contacts_inside(0, 3, weight, 1), 3);
    assert_int_equal(dd_contacts_inside(0, 12, weight, 1), 24);
    assert_int_equal(dd_contacts_inside(0, 144, weight, 2), 24 + 12 * 24);
    assert_int_equal(dd_contacts_inside(5, 0, weight, 2), 0);
    for (uint32_t round = 0; round < 300; round++) {
        for (uint32_t l = 0; l < 144; l++)
            weight[l] = random_below(round % 4 + 1) > 0 || round % 4 == 0;
        uint32_t first = random_below(144), last = first + random_below(144 - first);
        assert_int_equal(dd_contacts_inside(first, last + 1 - first, weight, 2),
                         contacts_of(weight, 2, first, last));
    }
}

static void test_failing_allocations(void **state)
{
    (void)state;
    uint64_t weight[144];
    weights_of_batch(100, 2, weight);
    dd_share share[7], untouched[7];
    memset(share, 0x5a, sizeof share);
    memcpy(untouched, share, sizeof share);
    for (fail_at = 0;; fail_at++) {
        n_allocations = 0;
        dd_status st = dd_placement(weight, 2, 7, NULL, share);
        assert_int_equal(n_live, 0);
        if (st == DD_OK)
            break;
        assert_int_equal(st, DD_ERR_MEMORY);
        assert_memory_equal(share, untouched, sizeof share);
    }
    assert_true(fail_at >= 1 && n_allocations == fail_at);
    fail_at = -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_batch_against_all_cuts),
        cmocka_unit_test(test_uneven_weights_against_all_cuts),
        cmocka_unit_test(test_more_lanes_against_all_cuts),
        cmocka_unit_test(test_the_bound_on_segments_comes_first),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_placement_follows_triangles_and_spheres),
        cmocka_unit_test(test_uneven_weights_by_hand),
        cmocka_unit_test(test_a_slow_worker_gets_less),
        cmocka_unit_test(test_placement_of_nothing),
        cmocka_unit_test(test_contacts_inside),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
