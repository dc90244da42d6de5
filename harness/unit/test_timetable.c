/* SPDX-License-Identifier: MIT
 * Timetables: what they hand out and when, what is refused and with which words, and that the
 * random ones are possible, bounded and the same every time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "timetable.h"

static const dd_timetable_frame plain = {.depth = 1, .workers = 4, .lanes = 12, .steps = 20};

static dd_timetable *open_or_fail(const char *text, const dd_timetable_frame *frame)
{
    dd_timetable *t = NULL;
    char message[DD_MESSAGE_MAX];
    if (!dd_timetable_open(text, frame, &t, message))
        fail_msg("\"%s\" is refused: %s", text, message);
    assert_string_equal(message, "");
    return t;
}

static void test_hands_out_what_is_due(void **state)
{
    (void)state;
    /* 4 workers stand at 0, 3, 6, 9 */
    dd_timetable *t = open_or_fail("0 checkpoint; 5 spawn 3 4; 5  spawn\t3.9 2;12 terminate 3 ; "
                                   "19 rebalance;",
                                   &plain);
    assert_int_equal(t->n, 5);
    assert_int_equal(t->most_workers, 8); /* 4 - 1 + 4, then - 1 + 2 */
    assert_int_equal(t->most_depth, 3);
    const dd_timed *c = dd_timetable_next(t, 0);
    assert_non_null(c);
    assert_int_equal(c->command, DD_COMMAND_CHECKPOINT);
    for (uint64_t step = 0; step < 5; step++)
        assert_null(dd_timetable_next(t, step));
    c = dd_timetable_next(t, 5);
    assert_int_equal(c->command, DD_COMMAND_SPAWN);
    assert_int_equal(c->n_children, 4);
    assert_true(dd_place_equal(c->place, (dd_place){1, 3}));
    c = dd_timetable_next(t, 5);
    assert_int_equal(c->n_children, 2);
    assert_true(dd_place_equal(c->place, (dd_place){2, 3 * 12 + 9}));
    assert_null(dd_timetable_next(t, 5));
    c = dd_timetable_next(t, 15); /* one that is overdue is not lost */
    assert_int_equal(c->command, DD_COMMAND_TERMINATE);
    assert_int_equal(c->step, 12);
    assert_int_equal(dd_timetable_next(t, 19)->command, DD_COMMAND_REBALANCE);
    assert_null(dd_timetable_next(t, 1000));
    dd_timetable_close(t);

    t = open_or_fail("", &plain);
    assert_int_equal(t->n, 0);
    assert_int_equal(t->most_workers, 4);
    assert_null(dd_timetable_next(t, 0));
    dd_timetable_close(t);
    dd_timetable_close(NULL);
}

static void test_form(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"soon spawn 0 4", "begins with the number of a step"},
        {"-1 spawn 0 4", "begins with the number of a step"},
        {"spawn 0 4", "begins with the number of a step"},
        {";", "begins with the number of a step"},
        {"5 spawn 0 4;; 6 rebalance", "begins with the number of a step"},
        {"5", "one of spawn, terminate, rebalance, checkpoint"},
        {"5 pause", "one of spawn, terminate, rebalance, checkpoint"},
        {"5 stop", "one of spawn, terminate, rebalance, checkpoint"},
        {"5 Spawn 0 4", "one of spawn, terminate, rebalance, checkpoint"},
        {"5 spawn", "followed by a sphere"},
        {"5 spawn 12 4", "followed by a sphere"},
        {"5 spawn 1..2 4", "followed by a sphere"},
        {"5 terminate", "followed by a sphere"},
        {"5 spawn 0", "number of children, 1 to 12"},
        {"5 spawn 0 0", "number of children, 1 to 12"},
        {"5 spawn 0 13", "number of children, 1 to 12"},
        {"", "there is no entry"},
        {" ", "there is no entry"},
        {"5 spawn 0 4 4", "more than the command takes"},
        {"5 terminate 0 1", "more than the command takes"},
        {"5 rebalance 0", "more than the command takes"},
        {"5 rebalance; 4 rebalance", "before that of the entry before"},
        {"random", "number of changes"},
        {"random 0 in 500 seed 7", "number of changes"},
        {"random 200", "a number of steps"},
        {"random 200 in 1 seed 7", "a number of steps"},
        {"random 200 of 500 seed 7", "a number of steps"},
        {"random 200 in 500", "\"seed\" and a whole number"},
        {"random 200 in 500 seed x", "\"seed\" and a whole number"},
        {"random 200 in 500 seed 7 8", "more than a random entry has"},
        {"random 200 in 500 seed 7; 5 rebalance", "random stands alone"},
        {"5 rebalance; random 200 in 500 seed 7", "random stands alone"},
        {"random 2 in 5 seed 7; random 2 in 5 seed 8", "random stands alone"},
    };
    char message[DD_MESSAGE_MAX];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (dd_timetable_check(bad[i][0], message))
            fail_msg("\"%s\" was accepted", bad[i][0]);
        if (strncmp(message, "timetable: ", 11) != 0 || !strstr(message, bad[i][1]) ||
            !strstr(message, "such as"))
            fail_msg("\"%s\" gives \"%s\", not \"%s\"", bad[i][0], message, bad[i][1]);
    }
    assert_true(dd_timetable_check("5 spawn 11.11 12; 5 terminate 11.11", message)); /* in form */
    assert_true(dd_timetable_check("random 200 in 500 seed 7;", message));
    char *text = malloc(4000);
    assert_non_null(text);
    memset(text, ' ', 3999);
    text[3999] = '\0';
    assert_false(dd_timetable_check(text, message));
    assert_non_null(strstr(message, "at most 511"));
    free(text);
}

static void test_the_impossible_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        dd_timetable_frame frame;
        const char *message;
    } bad[] = {
        {"5 spawn 1 4",
         {1, 4, 0, 12, 20},
         "step 5, spawn 1 4: there is no such sphere then; the workers there: 0, 3, 6, 9"},
        {"5 terminate 3.0",
         {1, 4, 0, 12, 20},
         "step 5, terminate 3.0: there is no such sphere then; the controls there: none"},
        {"5 terminate 3", {1, 4, 0, 12, 20}, "it is a worker then; the controls there: none"},
        {"1 spawn 3 2; 2 spawn 3 2",
         {1, 4, 0, 12, 20},
         "step 2, spawn 3 2: it is a control then; the workers there: 0, 6, 9, 3.0, 3.6"},
        {"1 spawn 3 2; 2 terminate 3; 3 terminate 3",
         {1, 4, 0, 12, 20},
         "step 3, terminate 3: it is a worker then"},
        {"5 terminate zero", {1, 4, 0, 12, 20}, "Node Zero stays"},
        {"5 spawn zero 3", {1, 4, 0, 12, 20}, "Node Zero is a control already"},
        {"1 spawn 0 1; 2 spawn 0.0 1; 3 spawn 0.0.0 1",
         {1, 4, 0, 12, 20},
         "would be deeper than depth 3; the workers above: 3, 6, 9"},
        {"5 spawn 0 10", {1, 4, 0, 12, 20}, "makes 13 workers, only 12 lanes are filled"},
        {"5 spawn 0 10", {1, 4, 0, 12, 20}, "at most 9 children"},
        {"5 spawn 0 4",
         {1, 4, 6, 12, 20},
         "makes 7 workers, max-workers is 6; take at most 3 children"},
        {"20 rebalance", {1, 4, 0, 12, 20}, "step 20, rebalance: the run's last step is 19"},
        {"5 spawn 0 4", {0, 4, 0, 12, 20}, "depth auto"},
        {"5 spawn 0 4", {1, 0, 0, 12, 20}, "needs `workers`"},
        {"random 5 in 21 seed 1", {1, 4, 0, 12, 20}, "the run has 20"},
        {"random 5 in 20 seed 1", {1, 0, 0, 12, 20}, "needs `workers`"},
        {"random 5 in 20 seed 1", {0, 4, 0, 12, 20}, "random: depth auto changes"},
        {"0 rebalance", {1, 4, 0, 12, 20}, "step 0, rebalance: no step has been measured"},
        {"5 spawn 0 4", {1, 4, 4, 12, 20}, "take at most 1 child"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        dd_timetable *t = NULL;
        char message[DD_MESSAGE_MAX];
        if (dd_timetable_open(bad[i].text, &bad[i].frame, &t, message))
            fail_msg("\"%s\" was accepted", bad[i].text);
        assert_null(t);
        if (strncmp(message, "timetable: ", 11) != 0 || !strstr(message, bad[i].message))
            fail_msg("\"%s\" gives \"%s\", not \"%s\"", bad[i].text, message, bad[i].message);
    }
    /* what the messages say would be right is right */
    dd_timetable_frame more = {1, 4, 0, UINT32_MAX, 20};
    dd_timetable_close(open_or_fail("5 spawn 0 9", &plain));
    dd_timetable_close(open_or_fail("5 spawn 0 10", &more));
    dd_timetable *t = open_or_fail("19 rebalance", &(dd_timetable_frame){0, 0, 0, 12, 20});
    assert_int_equal(t->n, 1); /* where no sphere changes, auto and workers 0 will do */
    dd_timetable_close(t);
}

/* Replays the changes on a hierarchy of its own. */
static void replay(const dd_timetable *t, const dd_timetable_frame *frame, uint32_t limit)
{
    dd_hierarchy *h = NULL, *after = NULL;
    uint32_t spawned = 0, deepest = 0;
    assert_int_equal(dd_hierarchy_open(frame->depth, frame->workers, &h), DD_OK);
    for (uint64_t i = 0; i < t->n; i++) {
        const dd_timed *c = &t->change[i];
        dd_error error;
        bool spawn = c->command == DD_COMMAND_SPAWN;
        assert_true(spawn || c->command == DD_COMMAND_TERMINATE);
        assert_true(c->step > 0 && c->step < frame->steps);
        assert_true(i == 0 || t->change[i - 1].step <= c->step);
        dd_status st = spawn ? dd_hierarchy_expand(h, c->place, c->n_children, &after, &error)
                             : dd_hierarchy_collapse(h, c->place, &after, &error);
        if (st != DD_OK)
            fail_msg("change %llu: %s", (unsigned long long)i, error.message);
        dd_hierarchy_close(h);
        h = after;
        spawned += spawn;
        deepest = h->depth > deepest ? h->depth : deepest;
        assert_in_range(h->n_workers, 1, limit);
        assert_in_range(h->depth, 1, 3);
    }
    assert_true(spawned > 0 && spawned < t->n); /* both kinds occur */
    assert_true(deepest > frame->depth || frame->depth == 3);
    assert_int_equal(t->most_workers, limit);
    dd_hierarchy_close(h);
}

static void test_random_changes_are_possible(void **state)
{
    (void)state;
    static const struct {
        dd_timetable_frame frame;
        uint32_t limit;
    } cases[] = {
        {{1, 4, 0, 12, 500}, 12},         {{1, 12, 0, 12, 500}, 12},
        {{1, 1, 0, 1, 500}, 1},           {{1, 4, 20, 144, 500}, 20},
        {{2, 13, 0, 144, 500}, 144},      {{3, 5, 0, 144, 500}, 144},
        {{2, 144, 0, 1728, 500}, 144},    {{1, 4, 1728, UINT32_MAX, 500}, 1728},
        {{1, 4, 0, UINT32_MAX, 500}, 12},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (unsigned seed = 0; seed < 5; seed++) {
            char text[64];
            (void)snprintf(text, sizeof text, "random 200 in 500 seed %u", seed);
            dd_timetable *t = open_or_fail(text, &cases[i].frame);
            assert_int_equal(t->n, 200);
            assert_int_equal(t->change[0].step, 1);
            assert_true(t->change[199].step > 490);
            replay(t, &cases[i].frame, cases[i].limit);

            /* held against what it reached, it is the same again */
            dd_timetable_frame frame = cases[i].frame;
            frame.max_workers = t->most_workers;
            dd_timetable *again = open_or_fail(text, &frame);
            assert_memory_equal(t->change, again->change, t->n * sizeof *t->change);
            dd_timetable_close(again);
            dd_timetable_close(t);
        }
    dd_timetable *a = open_or_fail("random 20 in 20 seed 1", &plain);
    dd_timetable *b = open_or_fail("random 20 in 20 seed 2", &plain);
    assert_memory_not_equal(a->change, b->change, 20 * sizeof *a->change);
    dd_timetable_close(a);
    dd_timetable_close(b);
}

static void test_settings_hold_what_it_reaches(void **state)
{
    (void)state;
    static const struct {
        const char *timetable, *max_workers;
        uint32_t holds;
    } cases[] = {
        {"5 spawn 3 4; 9 spawn 0 3; 12 terminate 3", NULL, 9},
        {"5 spawn 3 4", "11", 11},
        {"5 rebalance", NULL, 0},
        {"random 9 in 20 seed 3", NULL, 12},
        {"random 9 in 20 seed 3", "8", 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dd_settings s;
        char message[DD_MESSAGE_MAX];
        dd_settings_default(&s);
        assert_true(dd_settings_set(&s, "steps", "20", message));
        assert_true(dd_settings_set(&s, "workers", "4", message));
        assert_true(dd_settings_set(&s, "timetable", cases[i].timetable, message));
        if (cases[i].max_workers)
            assert_true(dd_settings_set(&s, "max-workers", cases[i].max_workers, message));
        if (!dd_settings_finish(&s, message))
            fail_msg("\"%s\": %s", cases[i].timetable, message);
        assert_int_equal(s.config.max_workers, cases[i].holds);
        dd_timetable *t = NULL; /* finished settings give the same timetable again */
        assert_true(dd_timetable_of(&s, &t, message));
        dd_timetable_close(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hands_out_what_is_due),
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_the_impossible_is_refused),
        cmocka_unit_test(test_random_changes_are_possible),
        cmocka_unit_test(test_settings_hold_what_it_reaches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
