/* SPDX-License-Identifier: MIT
 * core/memory/guard with the CPU's protection keys: rights are a thread's own. Where the machine
 * has no keys every test is skipped with the reason; with --required that fails. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dying.h"
#include "guard.h"
#include "pages.h"
#include "platform.h"

#ifndef SEGV_PKUERR
#define SEGV_PKUERR 4
#endif

enum { SEGMENTS = 12, BYTES = 10000 };

static bool required;
static dd_guard *guard;
static char *segment[SEGMENTS];
static const char *why;

static int set_up(void **state)
{
    (void)state;
    if (dd_guard_open(true, &guard, &why))
        return -1;
    for (uint32_t s = 0; s < SEGMENTS; s++)
        segment[s] = dd_guard_alloc(guard, DD_REGION_SEGMENT, s, BYTES);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    dd_guard_close(guard);
    return 0;
}

static void needs_keys(uint32_t n)
{
    if (dd_guard_n_keys(guard) >= n)
        return;
    if (required)
        fail_msg("%u protection keys, %u needed: %s", dd_guard_n_keys(guard), n, why);
    print_message("SKIP (optional): %s\n", why);
    skip();
}

/* Four workers, three segments each. */
static void deal(void)
{
    uint32_t owner[SEGMENTS];
    for (uint32_t s = 0; s < SEGMENTS; s++)
        owner[s] = s / 3;
    assert_true(dd_guard_turn(guard, owner, SEGMENTS, 4) == 1);
}

/* A thread without rights: what comes of its reads and writes of every segment. */
static void probe(void *arg)
{
    int(*fate)[2] = arg;
    for (int s = 0; s < SEGMENTS; s++) {
        fate[s][0] = fate_of(read_byte, segment[s] + BYTES - 1);
        fate[s][1] = fate_of(write_byte, segment[s] + 4096);
    }
}

static void look_from_another_thread(int fate[SEGMENTS][2])
{
    dd_thread thread;
    assert_int_equal(dd_thread_create(&thread, "other", 0, probe, fate), 0);
    dd_thread_join(&thread);
}

static void test_only_who_gained_may_write(void **state)
{
    (void)state;
    needs_keys(SEGMENTS);
    deal();
    for (int s = 0; s < SEGMENTS; s++) {
        assert_int_equal(fate_of(write_byte, segment[s]), SEGV_PKUERR);
        assert_lives(read_byte, segment[s]);
    }
    dd_guard_gain(guard, 4);
    assert_lives(write_byte, segment[4]);
    assert_lives(write_byte, segment[4] + BYTES - 1);
    assert_int_equal(fate_of(write_byte, segment[5]), SEGV_PKUERR);
    dd_guard_gain(guard, 5);
    assert_lives(write_byte, segment[5]);
    memset(segment[5], 1, BYTES); /* here, not in a child */
    dd_guard_let_go(guard, 5);
    assert_lives(write_byte, segment[4]);
    assert_int_equal(fate_of(write_byte, segment[5] + 77), SEGV_PKUERR);
    assert_int_equal(segment[5][77], 1);
    dd_guard_gain_all(guard);
    for (int s = 0; s < SEGMENTS; s++)
        assert_lives(write_byte, segment[s]);
}

static void test_a_new_thread_has_its_makers_rights(void **state)
{
    (void)state;
    needs_keys(SEGMENTS);
    int fate[SEGMENTS][2];
    deal();
    look_from_another_thread(fate);
    for (int s = 0; s < SEGMENTS; s++) {
        assert_int_equal(fate[s][0], 0);
        assert_int_equal(fate[s][1], SEGV_PKUERR);
    }
    dd_guard_gain(guard, 7);
    look_from_another_thread(fate);
    for (int s = 0; s < SEGMENTS; s++)
        assert_int_equal(fate[s][1], s == 7 ? 0 : SEGV_PKUERR);
}

/* Two threads at once, a segment handed from one to the other. */
static struct {
    dd_pbarrier *barrier;
    int owner[3], other[3]; /* fates: owner has it; handed over; given back */
} hand;

static void meet(void)
{
    dd_pbarrier_wait(hand.barrier);
}

static void receive(void *arg)
{
    (void)arg;
    meet();
    hand.other[0] = fate_of(write_byte, segment[2]);
    meet(); /* the owner lets go */
    dd_guard_gain(guard, 2);
    meet();
    hand.other[1] = fate_of(write_byte, segment[2]);
    segment[2][1] = 42;
    meet();
    dd_guard_let_go(guard, 2);
    meet();
    hand.other[2] = fate_of(write_byte, segment[2]);
}

static void test_a_segment_changes_hands(void **state)
{
    (void)state;
    needs_keys(SEGMENTS);
    dd_thread thread;
    hand.barrier = dd_pbarrier_open(2);
    assert_non_null(hand.barrier);
    deal();
    assert_int_equal(dd_thread_create(&thread, "receiver", 0, receive, NULL), 0);
    dd_guard_gain(guard, 2);
    segment[2][0] = 41;
    meet();
    hand.owner[0] = fate_of(write_byte, segment[2]);
    dd_guard_let_go(guard, 2);
    meet();
    meet();
    hand.owner[1] = fate_of(write_byte, segment[2]);
    meet();
    meet();
    hand.owner[2] = fate_of(write_byte, segment[2]);
    dd_thread_join(&thread);
    dd_pbarrier_close(hand.barrier);
    assert_int_equal(hand.owner[0], 0);
    assert_int_equal(hand.other[0], SEGV_PKUERR);
    assert_int_equal(hand.owner[1], SEGV_PKUERR);
    assert_int_equal(hand.other[1], 0);
    assert_int_equal(hand.owner[2], SEGV_PKUERR);
    assert_int_equal(hand.other[2], SEGV_PKUERR);
    assert_int_equal(segment[2][0], 41);
    assert_int_equal(segment[2][1], 42);
}

static void test_rights_end_with_the_turn(void **state)
{
    (void)state;
    needs_keys(SEGMENTS);
    deal();
    dd_guard_gain(guard, 0);
    deal();
    dd_guard_gain(guard, 1);
    assert_lives(write_byte, segment[1]);
    assert_int_equal(fate_of(write_byte, segment[0]), SEGV_PKUERR);
    /* a segment that lost its key is anybody's, one that got it is not */
    const uint32_t owner[SEGMENTS] = {1, 1, 1, 1, 1, 1, 9, 9, 9, 9, 9, 9};
    assert_true(dd_guard_turn(guard, owner, SEGMENTS, 2) == 1);
    assert_lives(write_byte, segment[6]);
    dd_guard_gain(guard, 5);
    assert_int_equal(fate_of(write_byte, segment[0]), SEGV_PKUERR);
    assert_int_equal(fate_of(write_byte, segment[1]), SEGV_PKUERR);
    assert_lives(write_byte, segment[5]);
}

/* A thread older than the keys is as any other once it has gained. */
static void grow_old(void *arg)
{
    int *fate = arg;
    meet();
    meet(); /* the guard is there */
    dd_guard_gain(guard, 1);
    fate[0] = fate_of(read_byte, segment[0]);
    fate[1] = fate_of(write_byte, segment[0]);
    fate[2] = fate_of(write_byte, segment[1]);
}

static void test_an_older_thread(void **state)
{
    needs_keys(SEGMENTS);
    tear_down(state);
    int fate[3];
    dd_thread thread;
    hand.barrier = dd_pbarrier_open(2);
    assert_non_null(hand.barrier);
    assert_int_equal(dd_thread_create(&thread, "older", 0, grow_old, fate), 0);
    meet();
    assert_int_equal(set_up(state), 0);
    deal();
    meet();
    dd_thread_join(&thread);
    dd_pbarrier_close(hand.barrier);
    assert_int_equal(fate[0], 0);
    assert_int_equal(fate[1], SEGV_PKUERR);
    assert_int_equal(fate[2], 0);
}

static void test_keys_are_given_back(void **state)
{
    (void)state;
    needs_keys(1);
    const uint32_t n = dd_guard_n_keys(guard);
    dd_guard *second;
    const char *none;
    assert_int_equal(dd_guard_open(true, &second, &none), DD_OK);
    assert_int_equal(dd_guard_n_keys(second), 0); /* the first has them all */
    assert_string_not_equal(none, "");
    dd_guard_close(second);
    dd_guard_close(guard);
    assert_int_equal(dd_guard_open(true, &guard, &none), DD_OK);
    assert_int_equal(dd_guard_n_keys(guard), n);
    assert_string_equal(none, "");
}

int main(int argc, char **argv)
{
    required = argc == 2 && strcmp(argv[1], "--required") == 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_only_who_gained_may_write, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_new_thread_has_its_makers_rights, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_segment_changes_hands, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rights_end_with_the_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_older_thread, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_keys_are_given_back, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
