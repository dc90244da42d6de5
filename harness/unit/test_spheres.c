/* SPDX-License-Identifier: MIT
 * core/spheres: the kissing configuration and the placement of lanes. Everything is checked against
 * the definition, never against the code's own tables. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "spheres.h"

/* ---- Geometry ---- */

/* The centre of position p for children of radius 1. */
static void centre_of(uint32_t p, double out[3])
{
    for (int axis = 0; axis < 3; axis++)
        out[axis] = p == DD_CENTRE ? 0 : dd_position[p][axis] * sqrt(2.0);
}

static double distance(uint32_t a, uint32_t b)
{
    double x[3], y[3], squared = 0;
    centre_of(a, x);
    centre_of(b, y);
    for (int axis = 0; axis < 3; axis++)
        squared += (x[axis] - y[axis]) * (x[axis] - y[axis]);
    return sqrt(squared);
}

static void test_positions_are_a_cuboctahedron(void **state)
{
    (void)state;
    for (uint32_t p = 0; p < DD_POSITIONS; p++) {
        int zeros = 0, ones = 0;
        for (int axis = 0; axis < 3; axis++) {
            zeros += dd_position[p][axis] == 0;
            ones += abs(dd_position[p][axis]) == 1;
        }
        assert_int_equal(zeros, 1);
        assert_int_equal(ones, 2);
        for (uint32_t q = p + 1; q < DD_POSITIONS; q++)
            assert_true(distance(p, q) > 1);
    }
}

static void test_contacts_are_tangencies(void **state)
{
    (void)state;
    uint32_t with_centre = 0, among_twelve = 0;
    for (uint32_t a = 0; a <= DD_CENTRE; a++) {
        for (uint32_t b = 0; b <= DD_CENTRE; b++) {
            if (a == b)
                continue;
            assert_int_equal(dd_in_contact(a, b), dd_in_contact(b, a));
            if (dd_in_contact(a, b))
                assert_true(fabs(distance(a, b) - 2) <= 1e-12);
            else
                assert_true(distance(a, b) >= 2.8); /* no overlap: the next distance is 2 sqrt 2 */
            if (a < b && dd_in_contact(a, b))
                ++*(b == DD_CENTRE ? &with_centre : &among_twelve);
        }
        /* all thirteen inside the parent of radius 3 */
        assert_true(a == DD_CENTRE || distance(a, DD_CENTRE) + 1 <= 3 + 1e-12);
    }
    assert_int_equal(with_centre, 12);
    assert_int_equal(among_twelve, 24);
}

static void test_triangles(void **state)
{
    (void)state;
    static const int sign[4][3] = {{1, 1, 1}, {1, -1, -1}, {-1, 1, -1}, {-1, -1, 1}};
    for (uint32_t p = 0; p < DD_POSITIONS; p++) {
        for (int axis = 0; axis < 3; axis++)
            assert_true(dd_position[p][axis] == 0 || dd_position[p][axis] == sign[p / 3][axis]);
        uint32_t in_triangle[4] = {0}, others_touched = 0;
        for (uint32_t q = 0; q < DD_POSITIONS; q++)
            in_triangle[q / 3] += q != p && dd_in_contact(p, q);
        assert_int_equal(in_triangle[p / 3], 2);
        for (uint32_t t = 0; t < 4; t++) {
            assert_true(t == p / 3 || in_triangle[t] <= 1);
            others_touched += t != p / 3 && in_triangle[t] == 1;
        }
        assert_int_equal(others_touched, 2);
    }
}

/* The 48 symmetries of the cube are the signed permutations of the axes. */
static void test_symmetries_permute_positions(void **state)
{
    (void)state;
    static const int axes[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                   {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int symmetry = 0; symmetry < 48; symmetry++) {
        const int *axis = axes[symmetry / 8];
        uint32_t image[DD_POSITIONS], hit[DD_POSITIONS] = {0};
        for (uint32_t p = 0; p < DD_POSITIONS; p++) {
            int moved[3];
            for (int k = 0; k < 3; k++)
                moved[k] = dd_position[p][axis[k]] * (symmetry >> k & 1 ? -1 : 1);
            for (image[p] = 0; image[p] < DD_POSITIONS; image[p]++) {
                const int8_t *q = dd_position[image[p]];
                if (q[0] == moved[0] && q[1] == moved[1] && q[2] == moved[2])
                    break;
            }
            assert_true(image[p] < DD_POSITIONS);
            assert_int_equal(hit[image[p]]++, 0);
        }
        for (uint32_t p = 0; p < DD_POSITIONS; p++)
            for (uint32_t q = 0; q < p; q++)
                assert_int_equal(dd_in_contact(p, q), dd_in_contact(image[p], image[q]));
    }
}

/* ---- Placement ---- */

static void weights_of_batch(uint64_t batch, uint64_t weight[DD_POSITIONS])
{
    for (uint64_t l = 0; l < DD_POSITIONS; l++)
        weight[l] = (l + 1) * batch / DD_POSITIONS - l * batch / DD_POSITIONS;
}

static uint32_t non_empty(const uint64_t weight[DD_POSITIONS])
{
    uint32_t n = 0;
    for (uint32_t l = 0; l < DD_POSITIONS; l++)
        n += weight[l] > 0;
    return n;
}

/* What dd_placement optimises, by plain recursion: over all ways to deal the lanes from `first` on
 * to n shares, the best (largest share, contacts inside). */
typedef struct quality {
    uint64_t largest;
    uint32_t contacts;
} quality;

static bool better(quality a, quality b)
{
    return a.largest != b.largest ? a.largest < b.largest : a.contacts > b.contacts;
}

static quality best_deal(const uint64_t weight[DD_POSITIONS], uint32_t first, uint32_t n,
                         quality so_far)
{
    quality best = {.largest = UINT64_MAX};
    uint64_t tokens = 0;
    for (uint32_t end = first + 1; end <= DD_POSITIONS; end++) {
        tokens += weight[end - 1];
        if (!weight[end - 1] || (n == 1 && end < DD_POSITIONS))
            continue;
        quality q = {.largest = tokens > so_far.largest ? tokens : so_far.largest,
                     .contacts = so_far.contacts};
        for (uint32_t a = first; a < end; a++)
            for (uint32_t b = first; b < a; b++)
                q.contacts += weight[a] && weight[b] && dd_in_contact(a, b);
        if (n > 1)
            q = best_deal(weight, end, n - 1, q);
        if (better(q, best))
            best = q;
    }
    return best;
}

static void check_placement(uint64_t batch, uint32_t n_workers)
{
    uint64_t weight[DD_POSITIONS];
    dd_share share[DD_POSITIONS];
    weights_of_batch(batch, weight);
    dd_placement(weight, n_workers, share);

    quality got = {0};
    uint64_t tokens = 0;
    uint32_t lanes = 0, end = 0, busy = 0;
    for (uint32_t w = 0; w < n_workers; w++) {
        if (!share[w].count) {
            assert_int_equal(share[w].n_lanes, 0);
            assert_int_equal(share[w].tokens, 0);
            continue;
        }
        assert_int_equal(busy++, w); /* idle workers come last */
        assert_true(share[w].first >= end);
        end = share[w].first + share[w].count;
        assert_true(end <= DD_POSITIONS);
        assert_true(weight[share[w].first] && weight[end - 1]);
        uint64_t inside = 0;
        uint32_t n = 0;
        for (uint32_t l = share[w].first; l < end; l++) {
            inside += weight[l];
            n += weight[l] > 0;
        }
        assert_int_equal(share[w].tokens, inside);
        assert_int_equal(share[w].n_lanes, n);
        tokens += inside;
        lanes += n;
        got.largest = inside > got.largest ? inside : got.largest;
        got.contacts += dd_contacts_inside(share[w].first, share[w].count, weight);
    }
    assert_int_equal(tokens, batch);
    assert_int_equal(lanes, non_empty(weight));
    assert_int_equal(busy, n_workers < lanes ? n_workers : lanes);
    quality best = best_deal(weight, 0, busy, (quality){0});
    assert_int_equal(got.largest, best.largest);
    assert_int_equal(got.contacts, best.contacts);
}

static void test_placement_of_every_batch(void **state)
{
    (void)state;
    for (uint64_t batch = 1; batch <= 200; batch++)
        for (uint32_t workers = 1; workers <= DD_POSITIONS; workers++)
            check_placement(batch, workers);
}

static void test_placement_follows_triangles(void **state)
{
    (void)state;
    for (uint64_t batch = 12; batch <= 192; batch += 12) {
        uint64_t weight[DD_POSITIONS];
        dd_share share[DD_POSITIONS];
        weights_of_batch(batch, weight);
        for (uint32_t workers = 2; workers <= 4; workers += 2) {
            dd_placement(weight, workers, share);
            for (uint32_t w = 0; w < workers; w++) {
                assert_int_equal(share[w].first, w * DD_POSITIONS / workers);
                assert_int_equal(share[w].count, DD_POSITIONS / workers);
            }
        }
    }
}

static void test_placement_of_uneven_weights(void **state)
{
    (void)state;
    /* the one heavy lane stands alone; lanes without weight belong to nobody */
    static const uint64_t weight[DD_POSITIONS] = {0, 1, 1, 0, 0, 9, 0, 1, 1, 1, 0, 0};
    dd_share share[3];
    dd_placement(weight, 3, share);
    assert_int_equal(share[0].first, 1);
    assert_int_equal(share[0].count, 2);
    assert_int_equal(share[1].first, 5);
    assert_int_equal(share[1].count, 1);
    assert_int_equal(share[2].first, 7);
    assert_int_equal(share[2].count, 3);
    assert_int_equal(share[2].tokens, 3);
}

static void test_placement_of_nothing(void **state)
{
    (void)state;
    static const uint64_t weight[DD_POSITIONS] = {0};
    dd_share share[2];
    dd_placement(weight, 2, share);
    assert_int_equal(share[0].count + share[1].count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_positions_are_a_cuboctahedron),
        cmocka_unit_test(test_contacts_are_tangencies),
        cmocka_unit_test(test_triangles),
        cmocka_unit_test(test_symmetries_permute_positions),
        cmocka_unit_test(test_placement_of_every_batch),
        cmocka_unit_test(test_placement_follows_triangles),
        cmocka_unit_test(test_placement_of_uneven_weights),
        cmocka_unit_test(test_placement_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
