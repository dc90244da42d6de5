/* SPDX-License-Identifier: MIT
 * core/spheres: hierarchies, opened and changed, and places as text. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "counted_alloc.h"
#include "hierarchy.h"

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % n);
}

/* ---- What every hierarchy must be ---- */

/* Numbers the workers below s depth first, from *next on; returns their count. */
static uint32_t check_workers(const dd_hierarchy *h, uint32_t s, uint32_t *next)
{
    const dd_sphere *it = &h->sphere[s];
    uint32_t n = 0;
    assert_int_equal(it->first_worker, *next);
    if (it->n_children == 0) {
        assert_true(*next < h->n_workers);
        assert_int_equal(h->worker[*next], s);
        ++*next;
        n = 1;
    }
    for (uint32_t c = it->first_child; c < it->first_child + it->n_children; c++)
        n += check_workers(h, c, next);
    assert_int_equal(it->n_workers, n);
    return n;
}

static void check(const dd_hierarchy *h)
{
    uint32_t depth = 0, n_controls = 0, expected_child = 1;
    assert_int_equal(h->sphere[0].parent, DD_NO_SPHERE);
    assert_true(dd_place_equal(h->sphere[0].place, (dd_place){0, 0}));
    assert_true(h->sphere[0].n_children > 0); /* Node Zero never works */
    for (uint32_t s = 0; s < h->n_spheres; s++) {
        const dd_sphere *it = &h->sphere[s];
        depth = it->place.level > depth ? it->place.level : depth;
        assert_true(s == 0 || it->place.level >= h->sphere[s - 1].place.level);
        assert_int_equal(dd_hierarchy_at(h, it->place), s);
        if (it->n_children == 0)
            continue;
        n_controls++;
        assert_true(it->n_children <= DD_POSITIONS);
        /* level by level and side by side: families follow one another without a gap */
        assert_int_equal(it->first_child, expected_child);
        expected_child += it->n_children;
        assert_true(it->first_child > s && expected_child <= h->n_spheres);
        for (uint32_t c = it->first_child; c < expected_child; c++) {
            assert_int_equal(h->sphere[c].parent, s);
            const dd_place place = h->sphere[c].place;
            assert_true(dd_place_equal(dd_place_parent(place), it->place));
            if (c > it->first_child)
                assert_true(dd_place_position(place) > dd_place_position(h->sphere[c - 1].place));
        }
    }
    assert_int_equal(expected_child, h->n_spheres);
    assert_int_equal(depth, h->depth);
    assert_int_equal(n_controls, h->n_controls);
    assert_int_equal(h->n_workers + h->n_controls, h->n_spheres);
    uint32_t next = 0;
    assert_int_equal(check_workers(h, 0, &next), h->n_workers);
    assert_int_equal(next, h->n_workers);
}

static bool same(const dd_hierarchy *a, const dd_hierarchy *b)
{
    return a->depth == b->depth && a->n_spheres == b->n_spheres && a->n_workers == b->n_workers &&
           a->n_controls == b->n_controls &&
           memcmp(a->sphere, b->sphere, a->n_spheres * sizeof *a->sphere) == 0 &&
           memcmp(a->worker, b->worker, a->n_workers * sizeof *a->worker) == 0;
}

/* ---- Opening ---- */

static void check_positions(const dd_hierarchy *h, uint32_t s)
{
    const dd_sphere *it = &h->sphere[s];
    for (uint32_t i = 0; i < it->n_children; i++)
        assert_int_equal(dd_place_position(h->sphere[it->first_child + i].place),
                         12 * i / it->n_children);
}

static void check_open(uint32_t depth, uint32_t n_workers)
{
    dd_hierarchy *h;
    assert_int_equal(dd_hierarchy_open(depth, n_workers, &h), DD_OK);
    check(h);
    assert_int_equal(h->n_workers, n_workers);
    assert_int_equal(h->depth, depth);
    for (uint32_t s = 0; s < h->n_spheres; s++) {
        const dd_sphere *it = &h->sphere[s];
        const uint32_t k = depth - it->place.level, W = it->n_workers;
        if (k == 0) {
            assert_int_equal(it->n_children, 0);
            continue;
        }
        uint32_t root = 1, room = 1; /* in doubles, unlike the code's own root */
        while (pow(root + 1, k) <= W + 0.5)
            root++;
        for (uint32_t i = 1; i < k; i++)
            room *= 12;
        const uint32_t needed = (W + room - 1) / room;
        assert_int_equal(it->n_children, root > needed ? root : needed);
        check_positions(h, s);
        for (uint32_t c = it->first_child; c < it->first_child + it->n_children; c++) {
            assert_true(h->sphere[c].n_workers >= W / it->n_children);
            assert_true(h->sphere[c].n_workers <= (W + it->n_children - 1) / it->n_children);
        }
    }
    dd_hierarchy_close(h);
}

static void test_open(void **state)
{
    (void)state;
    for (uint32_t workers = 1; workers <= 12; workers++)
        check_open(1, workers);
    for (uint32_t workers = 1; workers <= 144; workers++)
        check_open(2, workers);
    for (uint32_t workers = 1; workers <= 1728; workers += 1 + workers / 20)
        check_open(3, workers);
    static const uint32_t some[] = {1, 7, 8, 26, 27, 144, 145, 1727, 1728};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        for (uint32_t depth = 3; depth <= DD_DEPTH_MAX; depth++)
            check_open(depth, some[i]);
    check_open(4, 20736);
    assert_int_equal(n_live, 0);
}

static void test_full_hierarchies(void **state)
{
    (void)state;
    static const uint32_t spheres[] = {0, 13, 157, 1885, 22621};
    for (uint32_t depth = 1; depth <= DD_DEPTH_MAX; depth++) {
        dd_hierarchy *h;
        assert_int_equal(dd_hierarchy_open(depth, dd_power_of_12(depth), &h), DD_OK);
        assert_int_equal(h->n_spheres, spheres[depth]);
        assert_int_equal(h->n_controls, spheres[depth - 1] + (depth == 1));
        for (uint32_t w = 0; w < h->n_workers; w++) /* every place of the lowest level, in order */
            assert_int_equal(h->sphere[h->worker[w]].place.path, w);
        dd_hierarchy_close(h);
    }
}

/* ---- Changes ---- */

static void test_expand_and_collapse_are_inverse(void **state)
{
    (void)state;
    for (uint32_t workers = 1; workers <= 30; workers++) {
        dd_hierarchy *h;
        assert_int_equal(dd_hierarchy_open(1 + workers / 13, workers, &h), DD_OK);
        for (uint32_t w = 0; w < workers; w++) {
            for (uint32_t n = 1; n <= 12; n++) {
                const dd_place place = h->sphere[h->worker[w]].place;
                dd_hierarchy *more, *back;
                assert_int_equal(dd_hierarchy_expand(h, place, n, &more, NULL), DD_OK);
                check(more);
                const uint32_t s = dd_hierarchy_at(more, place);
                assert_int_equal(more->sphere[s].n_children, n);
                assert_int_equal(more->n_workers, workers - 1 + n);
                check_positions(more, s);
                assert_int_equal(dd_hierarchy_collapse(more, place, &back, NULL), DD_OK);
                assert_true(same(back, h));
                dd_hierarchy_close(more);
                dd_hierarchy_close(back);
            }
        }
        dd_hierarchy_close(h);
    }
    assert_int_equal(n_live, 0);
}

/* Which places have a sphere, and which of them is a control: kept beside the hierarchy. */
static bool stands[DD_DEPTH_MAX + 1][20736], controls[DD_DEPTH_MAX + 1][20736];

static void forget_below(dd_place place)
{
    for (uint32_t p = 0; p < DD_POSITIONS && place.level < DD_DEPTH_MAX; p++) {
        dd_place child = dd_place_child(place, p);
        stands[child.level][child.path] = controls[child.level][child.path] = false;
        forget_below(child);
    }
}

static void check_against_notes(const dd_hierarchy *h)
{
    uint32_t n = 0;
    for (uint32_t level = 0; level <= DD_DEPTH_MAX; level++) {
        for (uint32_t path = 0; path < dd_power_of_12(level); path++) {
            if (!stands[level][path])
                continue;
            n++;
            const uint32_t s = dd_hierarchy_at(h, (dd_place){level, path});
            assert_int_not_equal(s, DD_NO_SPHERE);
            assert_int_equal(h->sphere[s].n_children > 0, controls[level][path]);
        }
    }
    assert_int_equal(h->n_spheres, n);
}

static void test_random_changes(void **state)
{
    (void)state;
    dd_hierarchy *h;
    assert_int_equal(dd_hierarchy_open(1, 5, &h), DD_OK);
    for (uint32_t s = 0; s < h->n_spheres; s++)
        stands[h->sphere[s].place.level][h->sphere[s].place.path] = true;
    controls[0][0] = true;
    uint32_t expansions = 0, collapses = 0, refused = 0, deepest = 0;
    while (expansions + collapses < 200) {
        dd_hierarchy *next;
        const uint32_t s = random_below(h->n_spheres);
        const dd_place place = h->sphere[s].place;
        if (h->sphere[s].n_children > 0) {
            /* seldom a large branch, so that it grows deep */
            if (s == 0 || (h->sphere[s].n_workers > 12 && random_below(20)))
                continue;
            assert_int_equal(dd_hierarchy_collapse(h, place, &next, NULL), DD_OK);
            forget_below(place);
            controls[place.level][place.path] = false;
            collapses++;
        } else if (place.level == DD_DEPTH_MAX) {
            assert_int_equal(dd_hierarchy_expand(h, place, 3, &next, NULL), DD_ERR_ARGUMENT);
            refused++;
            continue;
        } else if (random_below(3) == 0) {
            const uint32_t n = 1 + random_below(12);
            assert_int_equal(dd_hierarchy_expand(h, place, n, &next, NULL), DD_OK);
            controls[place.level][place.path] = true;
            for (uint32_t i = 0; i < n; i++) {
                dd_place child = dd_place_child(place, 12 * i / n);
                stands[child.level][child.path] = true;
            }
            expansions++;
        } else {
            continue;
        }
        check(next);
        check_against_notes(next);
        dd_hierarchy_close(h);
        h = next;
        deepest = h->depth > deepest ? h->depth : deepest;
    }
    assert_true(refused > 0 && deepest == DD_DEPTH_MAX);
    assert_true(expansions > 20 && collapses > 20);
    dd_hierarchy_close(h);
    assert_int_equal(n_live, 0);
}

/* ---- Refusals ---- */

static dd_place place_of(const char *text)
{
    dd_place place;
    assert_true(dd_place_read(text, &place));
    return place;
}

static void refuse(const dd_hierarchy *h, const char *place, int n_children, const char *message)
{
    dd_hierarchy *out = NULL;
    dd_error error = {""};
    dd_status st = n_children < 0 ? dd_hierarchy_collapse(h, place_of(place), &out, &error)
                                  : dd_hierarchy_expand(h, place_of(place), (uint32_t)n_children,
                                                        &out, &error);
    assert_int_equal(st, DD_ERR_ARGUMENT);
    assert_null(out);
    assert_string_equal(error.message, message);
}

static void test_refusals(void **state)
{
    (void)state;
    const int collapse = -1;
    dd_hierarchy *one, *h;
    assert_int_equal(dd_hierarchy_open(1, 4, &one), DD_OK);
    assert_int_equal(dd_hierarchy_expand(one, place_of("3"), 2, &h, NULL), DD_OK);
    refuse(h, "4", 2, "there is no sphere 4: the children of zero are at positions 0 3 6 9");
    refuse(h, "3.1", 2, "there is no sphere 3.1: the children of 3 are at positions 0 6");
    refuse(h, "0.5.1", 2, "there is no sphere 0.5.1: 0 is a worker and has no children");
    refuse(h, "4", collapse, "there is no sphere 4: the children of zero are at positions 0 3 6 9");
    refuse(h, "3", 2, "sphere 3 is a control already, of 2 children: only a worker can become one");
    refuse(h, "zero", 2,
           "sphere zero is a control already, of 4 children: only a worker can become one");
    refuse(h, "0", 0, "sphere 0 cannot have 0 children: a control has 1 to 12");
    refuse(h, "0", 13, "sphere 0 cannot have 13 children: a control has 1 to 12");
    refuse(h, "zero", collapse, "sphere zero cannot collapse: Node Zero is never a worker");
    refuse(h, "3.6", collapse, "sphere 3.6 is a worker already: only a control can become one");
    dd_hierarchy_close(one);
    dd_hierarchy_close(h);

    assert_int_equal(dd_hierarchy_open(DD_DEPTH_MAX, 1, &h), DD_OK);
    refuse(h, "0.0.0.0", 1, "sphere 0.0.0.0 cannot have children: it is at level 4, the deepest");
    dd_hierarchy_close(h);
    dd_hierarchy_close(NULL);
    assert_int_equal(n_live, 0);
}

static void test_failing_allocations(void **state)
{
    (void)state;
    dd_hierarchy *h = NULL, *other = NULL;
    dd_status st;
    for (fail_at = 0; n_allocations = 0, st = dd_hierarchy_open(2, 20, &h), st != DD_OK; fail_at++)
        assert_true(st == DD_ERR_MEMORY && n_live == 0);
    assert_int_equal(fail_at, 3);
    const long live = n_live;
    dd_error error = {""};
    for (fail_at = 0; n_allocations = 0,
        st = dd_hierarchy_expand(h, h->sphere[h->worker[0]].place, 5, &other, &error), st != DD_OK;
         fail_at++) {
        assert_true(st == DD_ERR_MEMORY && n_live == live);
        assert_string_equal(error.message, "no memory for a hierarchy of 24 workers");
    }
    assert_int_equal(fail_at, 4);
    dd_hierarchy_close(other);
    for (fail_at = 0; n_allocations = 0,
        st = dd_hierarchy_collapse(h, h->sphere[1].place, &other, NULL), st != DD_OK;
         fail_at++)
        assert_true(st == DD_ERR_MEMORY && n_live == live);
    assert_int_equal(fail_at, 4);
    fail_at = -1;
    dd_hierarchy_close(other);
    dd_hierarchy_close(h);
    assert_int_equal(n_live, 0);
}

/* ---- Places as text ---- */

static void test_places_as_text(void **state)
{
    (void)state;
    char text[DD_PLACE_TEXT];
    for (uint32_t level = 0; level <= DD_DEPTH_MAX; level++) {
        for (uint32_t path = 0; path < dd_power_of_12(level); path++) {
            const dd_place place = {level, path};
            dd_place back;
            assert_ptr_equal(dd_place_write(place, text), text);
            assert_true(dd_place_read(text, &back));
            assert_true(dd_place_equal(place, back));
        }
    }
    assert_string_equal(dd_place_write((dd_place){0, 0}, text), "zero");
    assert_string_equal(dd_place_write((dd_place){3, (11 * 12 + 0) * 12 + 5}, text), "11.0.5");
    assert_string_equal(dd_place_write((dd_place){4, 20735}, text), "11.11.11.11");
    static const char *const none[] = {"",   "12",  "-1",  "00",   "03",        "3.",    ".3",
                                       "3 ", " 3",  "3,0", "3..0", "1.2.3.4.5", "0x3",   "Zero",
                                       "13", "111", "a",   "3.12", "zero.1",    "3.0.+1"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        dd_place untouched = {7, 7};
        assert_false(dd_place_read(none[i], &untouched));
        assert_true(untouched.level == 7 && untouched.path == 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_full_hierarchies),
        cmocka_unit_test(test_expand_and_collapse_are_inverse),
        cmocka_unit_test(test_random_changes),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_places_as_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
