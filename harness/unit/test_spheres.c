/* SPDX-License-Identifier: MIT
 * core/spheres: the kissing configuration, and what becomes of it when every sphere is the parent
 * of twelve, at every depth to 4. Checked against the definition, never against the code's own
 * tables.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "spheres.h"

/* ---- Twelve around one ---- */

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

/* The 48 symmetries of the cube are the signed permutations of the axes: coordinate k of the image
 * is sign * coordinate `axis` of the point. */
static int image_axis(int symmetry, int k, int *sign)
{
    static const int axes[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                   {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    *sign = symmetry >> k & 1 ? -1 : 1;
    return axes[symmetry / 8][k];
}

/* The position that each position goes to. */
static void images_of(int symmetry, uint32_t image[DD_POSITIONS])
{
    for (uint32_t p = 0; p < DD_POSITIONS; p++) {
        int moved[3], sign;
        for (int k = 0; k < 3; k++) {
            int axis = image_axis(symmetry, k, &sign);
            moved[k] = dd_position[p][axis] * sign;
        }
        for (image[p] = 0; image[p] < DD_POSITIONS; image[p]++) {
            const int8_t *q = dd_position[image[p]];
            if (q[0] == moved[0] && q[1] == moved[1] && q[2] == moved[2])
                break;
        }
        assert_true(image[p] < DD_POSITIONS);
    }
}

static void test_symmetries_permute_positions(void **state)
{
    (void)state;
    for (int symmetry = 0; symmetry < 48; symmetry++) {
        uint32_t image[DD_POSITIONS], hit[DD_POSITIONS] = {0};
        images_of(symmetry, image);
        for (uint32_t p = 0; p < DD_POSITIONS; p++)
            assert_int_equal(hit[image[p]]++, 0);
        for (uint32_t p = 0; p < DD_POSITIONS; p++)
            for (uint32_t q = 0; q < p; q++)
                assert_int_equal(dd_in_contact(p, q), dd_in_contact(image[p], image[q]));
    }
}

/* ---- Spheres in spheres, to depth 4 ---- */

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % n);
}

static double apart(dd_ball a, dd_ball b)
{
    double squared = 0;
    for (int axis = 0; axis < 3; axis++)
        squared += (a.centre[axis] - b.centre[axis]) * (a.centre[axis] - b.centre[axis]);
    return sqrt(squared);
}

/* Calls `each` for every place from `place` down to level DD_DEPTH_MAX. */
static void descend(dd_place place, void (*each)(dd_place place))
{
    each(place);
    for (uint32_t p = 0; p < DD_POSITIONS && place.level < DD_DEPTH_MAX; p++)
        descend(dd_place_child(place, p), each);
}

static uint32_t n_at_level[DD_DEPTH_MAX + 1];
static bool seen[DD_DEPTH_MAX + 1][20736];

static void count_place(dd_place place)
{
    assert_true(place.level <= DD_DEPTH_MAX && place.path < 20736);
    assert_false(seen[place.level][place.path]);
    seen[place.level][place.path] = true;
    n_at_level[place.level]++;
    for (uint32_t p = 0; p < DD_POSITIONS; p++) {
        dd_place child = dd_place_child(place, p);
        assert_true(dd_place_equal(dd_place_parent(child), place));
        assert_int_equal(dd_place_position(child), p);
        assert_false(dd_place_equal(child, place));
    }
}

static void test_counts(void **state)
{
    (void)state;
    descend((dd_place){0, 0}, count_place);
    static const uint32_t expected[] = {1, 12, 144, 1728, 20736};
    uint32_t all = 0;
    for (uint32_t level = 0; level <= DD_DEPTH_MAX; level++) {
        assert_int_equal(n_at_level[level], expected[level]);
        assert_int_equal(dd_power_of_12(level), expected[level]);
        all += n_at_level[level];
    }
    assert_int_equal(all, 22621);
    assert_int_equal(dd_power_of_12(8), 429981696);
}

/* A parent, its twelve children, and the ball of their size in the middle. As children lie inside
 * their parent and do not overlap, no two spheres anywhere overlap unless one holds the other. */
static void check_family(dd_place parent)
{
    if (parent.level == DD_DEPTH_MAX)
        return;
    const dd_ball outer = dd_place_ball(parent);
    dd_ball ball[DD_POSITIONS + 1];
    dd_place place[DD_POSITIONS];
    for (uint32_t p = 0; p < DD_POSITIONS; p++) {
        place[p] = dd_place_child(parent, p);
        ball[p] = dd_place_ball(place[p]);
        assert_true(fabs(ball[p].radius * 3 - outer.radius) <= 1e-12 * outer.radius);
        /* inside, and touching the parent from within */
        assert_true(fabs(apart(ball[p], outer) + ball[p].radius - outer.radius) <=
                    1e-12 * outer.radius);
    }
    ball[DD_CENTRE] = outer;
    ball[DD_CENTRE].radius = outer.radius / 3;
    const double r = ball[0].radius;
    uint32_t with_centre = 0, among_twelve = 0;
    for (uint32_t a = 0; a < DD_POSITIONS; a++) {
        uint32_t touched = 0, mates = 0;
        for (uint32_t b = 0; b <= DD_CENTRE; b++) {
            if (b == a)
                continue;
            const double distance = apart(ball[a], ball[b]);
            const bool tangent = fabs(distance - 2 * r) <= 1e-12 * r;
            assert_true(tangent || distance > 2.8 * r); /* no overlap */
            if (b == DD_CENTRE) {
                assert_true(tangent && dd_places_touch(place[a], parent));
                with_centre++;
                continue;
            }
            assert_int_equal(dd_places_touch(place[a], place[b]), tangent);
            touched += tangent;
            mates += tangent && a / 3 == b / 3;
            among_twelve += tangent && a < b;
        }
        assert_int_equal(touched, 4);
        assert_int_equal(mates, 2);
    }
    assert_int_equal(with_centre, 12);
    assert_int_equal(among_twelve, 24);
}

static void test_families(void **state)
{
    (void)state;
    const dd_ball root = dd_place_ball((dd_place){0, 0});
    assert_true(root.radius == 1 && root.centre[0] == 0 && root.centre[1] == 0 &&
                root.centre[2] == 0);
    descend((dd_place){0, 0}, check_family);
}

/* Is a inside b, by its place? */
static bool holds(dd_place b, dd_place a)
{
    while (a.level > b.level)
        a = dd_place_parent(a);
    return dd_place_equal(a, b);
}

static void test_spheres_of_different_parents(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 200000; round++) {
        dd_place place[2];
        dd_ball ball[2];
        for (uint32_t i = 0; i < 2; i++) {
            uint32_t level = 1 + random_below(DD_DEPTH_MAX);
            place[i] = (dd_place){level, random_below(dd_power_of_12(level))};
            ball[i] = dd_place_ball(place[i]);
        }
        const double distance = apart(ball[0], ball[1]);
        if (holds(place[0], place[1]) || holds(place[1], place[0])) {
            const double difference = fabs(ball[0].radius - ball[1].radius);
            assert_true(distance <= difference + 1e-12);
        } else {
            assert_true(distance >= ball[0].radius + ball[1].radius - 1e-12);
        }
        if (!dd_place_equal(dd_place_parent(place[0]), dd_place_parent(place[1])) &&
            !dd_place_equal(dd_place_parent(place[0]), place[1]) &&
            !dd_place_equal(dd_place_parent(place[1]), place[0]))
            assert_false(dd_places_touch(place[0], place[1]));
        assert_int_equal(dd_places_touch(place[0], place[1]), dd_places_touch(place[1], place[0]));
        assert_true(dd_places_touch(place[0], place[0]));
    }
}

/* A symmetry moves every sphere onto the sphere at the image of each of its steps. */
static int symmetry;
static uint32_t image[DD_POSITIONS];

static void check_image(dd_place place)
{
    dd_place there = {0, 0};
    for (uint32_t up = place.level; up-- > 0;)
        there = dd_place_child(there, image[place.path / dd_power_of_12(up) % DD_POSITIONS]);
    const dd_ball from = dd_place_ball(place), to = dd_place_ball(there);
    for (int k = 0; k < 3; k++) {
        int sign, axis = image_axis(symmetry, k, &sign);
        assert_true(fabs(to.centre[k] - sign * from.centre[axis]) <= 1e-12 * from.radius);
    }
    assert_true(to.radius == from.radius);
}

static void test_symmetries_of_the_whole(void **state)
{
    (void)state;
    for (symmetry = 0; symmetry < 48; symmetry++) {
        images_of(symmetry, image);
        descend((dd_place){0, 0}, check_image);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_positions_are_a_cuboctahedron),
        cmocka_unit_test(test_contacts_are_tangencies),
        cmocka_unit_test(test_triangles),
        cmocka_unit_test(test_symmetries_permute_positions),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_spheres_of_different_parents),
        cmocka_unit_test(test_symmetries_of_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
