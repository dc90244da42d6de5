/* SPDX-License-Identifier: MIT
 * core/memory/guard: pages by page protection, and who has which protection key, with keys that are
 * pretended. Keys of the CPU: test_keys. */
#define _GNU_SOURCE /* SEGV_ACCERR */
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

/* ---- Protection keys that are pretended ---- */

enum { MOST_PAGES = 64 };

static struct {
    int n_keys; /* that may be had; 0: no pretending */
    int n_open;
    bool may_write[16]; /* the one thread's rights */
    struct {
        void *begin;
        int key;
    } pages[MOST_PAGES];
    int n_pages;
    int n_assigned; /* grows */
    bool refuse;
} pretended;

int __real_dd_key_open(const char **why);
int __wrap_dd_key_open(const char **why);
void __real_dd_key_close(int key);
void __wrap_dd_key_close(int key);
bool __real_dd_key_assign(void *pages, size_t bytes, int key);
bool __wrap_dd_key_assign(void *pages, size_t bytes, int key);
void __real_dd_key_rights(int key, bool write);
void __wrap_dd_key_rights(int key, bool write);

int __wrap_dd_key_open(const char **why)
{
    if (!pretended.n_keys)
        return __real_dd_key_open(why);
    *why = "no more are pretended";
    if (pretended.n_open == pretended.n_keys)
        return DD_NO_KEY;
    return ++pretended.n_open;
}

void __wrap_dd_key_close(int key)
{
    if (!pretended.n_keys)
        __real_dd_key_close(key);
    else
        pretended.n_open--;
}

bool __wrap_dd_key_assign(void *pages, size_t bytes, int key)
{
    if (!pretended.n_keys)
        return __real_dd_key_assign(pages, bytes, key);
    if (pretended.refuse)
        return false;
    int i = 0;
    while (i < pretended.n_pages && pretended.pages[i].begin != pages)
        i++;
    assert_true(i < MOST_PAGES);
    pretended.n_pages += i == pretended.n_pages;
    pretended.pages[i].begin = pages;
    pretended.pages[i].key = key;
    pretended.n_assigned++;
    return true;
}

void __wrap_dd_key_rights(int key, bool write)
{
    if (!pretended.n_keys)
        __real_dd_key_rights(key, write);
    else
        pretended.may_write[key] = write;
}

static int key_of(const void *pages)
{
    for (int i = 0; i < pretended.n_pages; i++)
        if (pretended.pages[i].begin == pages)
            return pretended.pages[i].key;
    return DD_NO_KEY;
}

static int stop_pretending(void **state)
{
    (void)state;
    memset(&pretended, 0, sizeof pretended);
    return 0;
}

/* ---- Guard: which segments have keys ---- */

typedef struct stage {
    dd_guard *guard;
    char *segment[32];
    uint32_t n;
} stage;

static stage set_up(int n_keys, uint32_t n_segments)
{
    stage s = {.n = n_segments};
    const char *why;
    pretended.n_keys = n_keys;
    assert_int_equal(dd_guard_open(true, &s.guard, &why), DD_OK);
    assert_string_equal(why, "");
    assert_int_equal(dd_guard_n_keys(s.guard), n_keys);
    for (uint32_t i = 0; i < n_segments; i++) {
        s.segment[i] = dd_guard_alloc(s.guard, DD_REGION_SEGMENT, i, 5000);
        assert_non_null(s.segment[i]);
    }
    return s;
}

/* Which segments have a key, as bits; no key is there twice. */
static uint32_t keyed(const stage *s)
{
    uint32_t segments = 0, keys = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        const int key = key_of(s->segment[i]);
        if (key == DD_NO_KEY)
            continue;
        assert_int_equal(keys >> key & 1, 0);
        keys |= 1u << key;
        segments |= 1u << i;
    }
    return segments;
}

static void test_keys_stay_where_all_fit(void **state)
{
    (void)state;
    stage s = set_up(15, 12);
    const uint32_t owner[12] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2};
    int first[12];
    assert_true(dd_guard_turn(s.guard, owner, 12, 3) == 1);
    assert_int_equal(keyed(&s), 0xfff);
    for (uint32_t i = 0; i < 12; i++)
        first[i] = key_of(s.segment[i]);
    for (int step = 0; step < 5; step++)
        assert_true(dd_guard_turn(s.guard, owner, 12, 3) == 1);
    for (uint32_t i = 0; i < 12; i++)
        assert_int_equal(key_of(s.segment[i]), first[i]);
    assert_int_equal(pretended.n_assigned, 12);
    dd_guard_close(s.guard);
    assert_int_equal(pretended.n_open, 0);
}

static void test_workers_take_turns(void **state)
{
    (void)state;
    stage s = set_up(5, 8);
    const uint32_t owner[8] = {0, 0, 1, 1, 2, 2, 3, 3};
    /* whole workers, as many as fit, from where the turn before stopped */
    static const uint32_t turns[] = {0x0f, 0xf0, 0x0f, 0xf0};
    for (int i = 0; i < 4; i++) {
        assert_true(dd_guard_turn(s.guard, owner, 8, 4) == 0.5);
        assert_int_equal(keyed(&s), turns[i]);
    }
    /* uneven workers, one that has no segment, and one segment that nobody uses */
    const uint32_t uneven[8] = {0, 0, 0, 2, 2, 3, 3, 9};
    static const uint32_t more[] = {0x1f, 0x67, 0x78, 0x1f};
    static const double share[] = {5.0 / 7, 5.0 / 7, 4.0 / 7, 5.0 / 7};
    for (int i = 0; i < 4; i++) {
        assert_true(dd_guard_turn(s.guard, uneven, 8, 4) == share[i]);
        assert_int_equal(keyed(&s), more[i]);
    }
    /* fewer segments in use than before: the others lose their keys */
    assert_true(dd_guard_turn(s.guard, owner, 3, 2) == 1);
    assert_int_equal(keyed(&s), 0x07);
    dd_guard_close(s.guard);
}

static void test_more_segments_than_keys_on_one_worker(void **state)
{
    (void)state;
    stage s = set_up(3, 6);
    const uint32_t owner[6] = {0, 0, 0, 0, 0, 1};
    static const uint32_t turns[] = {0x07, 0x20, 0x07, 0x20};
    static const double share[] = {0.5, 1.0 / 6, 0.5, 1.0 / 6};
    for (int i = 0; i < 4; i++) {
        assert_true(dd_guard_turn(s.guard, owner, 6, 2) == share[i]);
        assert_int_equal(keyed(&s), turns[i]);
    }
    dd_guard_close(s.guard);
}

/* Every worker is covered, whatever their number, within a round. */
static void test_nobody_is_passed_over(void **state)
{
    (void)state;
    for (uint32_t n = 2; n <= 32; n++) {
        memset(&pretended, 0, sizeof pretended);
        stage s = set_up(4, n);
        uint32_t owner[32], seen = 0;
        for (uint32_t i = 0; i < n; i++)
            owner[i] = i / 2;
        for (uint32_t turn = 0; turn < (n / 2 + 2) / 2; turn++) {
            assert_true(dd_guard_turn(s.guard, owner, n, (n + 1) / 2) > 0);
            seen |= keyed(&s);
        }
        assert_int_equal(seen, n == 32 ? UINT32_MAX : (1u << n) - 1);
        dd_guard_close(s.guard);
    }
}

static void test_rights_are_gained_and_let_go(void **state)
{
    (void)state;
    stage s = set_up(3, 4);
    const uint32_t owner[4] = {0, 0, 0, 1};
    dd_guard_turn(s.guard, owner, 4, 2);
    int key[3];
    for (uint32_t i = 0; i < 3; i++) {
        key[i] = key_of(s.segment[i]);
        assert_false(pretended.may_write[key[i]]);
    }
    dd_guard_gain(s.guard, 1);
    assert_true(pretended.may_write[key[1]]);
    dd_guard_gain(s.guard, 2);
    dd_guard_let_go(s.guard, 1);
    assert_false(pretended.may_write[key[1]]);
    assert_true(pretended.may_write[key[2]]);
    dd_guard_gain(s.guard, 3); /* has no key: nothing to gain */
    for (uint32_t i = 0; i < 2; i++)
        assert_false(pretended.may_write[key[i]]);
    /* what is left over from this turn is gone with the first gain of the next */
    dd_guard_turn(s.guard, owner, 4, 2);
    const int moved = key_of(s.segment[3]);
    assert_int_not_equal(moved, DD_NO_KEY);
    dd_guard_gain(s.guard, 0);
    for (int k = 1; k <= 3; k++)
        assert_false(pretended.may_write[k]);
    dd_guard_gain_all(s.guard);
    for (int k = 1; k <= 3; k++)
        assert_true(pretended.may_write[k]);
    dd_guard_close(s.guard);
}

static void test_refused_keys_are_not_counted(void **state)
{
    (void)state;
    stage s = set_up(4, 4);
    const uint32_t owner[4] = {0, 0, 1, 1}, none[4] = {7, 7, 7, 7};
    pretended.refuse = true;
    assert_true(dd_guard_turn(s.guard, owner, 4, 2) == 0);
    assert_int_equal(keyed(&s), 0);
    pretended.refuse = false;
    assert_true(dd_guard_turn(s.guard, owner, 4, 2) == 1);
    assert_true(dd_guard_turn(s.guard, none, 4, 2) == 0); /* nobody uses any */
    assert_int_equal(keyed(&s), 0);
    dd_guard_close(s.guard);
}

/* ---- Guard: pages ---- */

static void test_guard_without_keys(void **state)
{
    (void)state;
    dd_guard *g;
    const char *why = NULL;
    const uint32_t owner[1] = {0};
    assert_int_equal(dd_guard_open(false, &g, &why), DD_OK);
    assert_string_equal(why, "");
    assert_int_equal(dd_guard_n_keys(g), 0);
    char *segment = dd_guard_alloc(g, DD_REGION_SEGMENT, 0, 100);
    assert_true(dd_guard_turn(g, owner, 1, 1) == 0);
    segment[99] = 1;
    dd_guard_gain(g, 0);
    dd_guard_let_go(g, 0);
    dd_guard_gain_all(g);
    segment[99] = 2;
    dd_guard_close(g);
    dd_guard_close(NULL);
}

static void test_weights_and_batch_are_read_only(void **state)
{
    (void)state;
    dd_guard *g;
    const char *why;
    const size_t bytes = 3 * dd_page_bytes() + 4;
    assert_int_equal(dd_guard_open(false, &g, &why), DD_OK);
    char *weights = dd_guard_alloc(g, DD_REGION_WEIGHTS, 0, bytes);
    char *segment = dd_guard_alloc(g, DD_REGION_SEGMENT, 0, bytes);
    char *batch = dd_guard_alloc(g, DD_REGION_BATCH, 0, bytes);
    char *locked = dd_guard_alloc(g, DD_REGION_LOCKED, 0, bytes);
    for (size_t i = 0; i < bytes; i++)
        assert_int_equal(weights[i] | segment[i] | batch[i] | locked[i], 0);
    memset(weights, 3, bytes);
    assert_int_equal(dd_guard_protect(g), DD_OK);
    assert_int_equal(weights[bytes - 1], 3);
    assert_dies(write_byte, weights);
    assert_dies(write_byte, weights + bytes - 1);
    assert_dies(write_byte, batch + 4097);
    assert_lives(read_byte, weights);
    assert_lives(read_byte, batch + bytes - 1);
    assert_lives(write_byte, segment);
    assert_int_equal(dd_guard_unprotect(g), DD_OK);
    assert_lives(write_byte, weights);
    assert_lives(write_byte, batch + bytes - 1);

    /* what is locked comes and goes with neither of them, and is not opened again */
    assert_lives(write_byte, locked);
    assert_int_equal(dd_guard_lock(g), DD_OK);
    assert_int_equal(dd_guard_unprotect(g), DD_OK);
    assert_dies(write_byte, locked);
    assert_dies(write_byte, locked + bytes - 1);
    assert_lives(read_byte, locked + bytes - 1);
    assert_lives(write_byte, weights);
    assert_lives(write_byte, segment);
    dd_guard_close(g);
}

static void test_pages_around_a_region(void **state)
{
    (void)state;
    dd_guard *g;
    const char *why;
    const size_t page = dd_page_bytes();
    assert_int_equal(dd_guard_open(false, &g, &why), DD_OK);
    char *s = dd_guard_alloc(g, DD_REGION_SEGMENT, 3, 2 * page);
    assert_int_equal((uintptr_t)s % page, 0);
    assert_lives(write_byte, s);
    assert_lives(write_byte, s + 2 * page - 1);
    assert_int_equal(fate_of(write_byte, s - 1), SEGV_ACCERR);
    assert_int_equal(fate_of(read_byte, s - page), SEGV_ACCERR);
    assert_int_equal(fate_of(write_byte, s + 2 * page), SEGV_ACCERR);
    assert_int_equal(fate_of(read_byte, s + 3 * page - 1), SEGV_ACCERR);
    dd_guard_close(g);
}

static void find(const dd_guard *g, const char *address, dd_region_kind kind, uint32_t number,
                 int64_t offset, bool on_guard_page)
{
    dd_region_kind is_kind;
    uint32_t is_number;
    int64_t is_offset;
    bool is_on;
    assert_true(dd_guard_find(g, address, &is_kind, &is_number, &is_offset, &is_on));
    assert_int_equal(is_kind, kind);
    assert_int_equal(is_number, number);
    assert_true(is_offset == offset);
    assert_int_equal(is_on, on_guard_page);
}

static void test_find(void **state)
{
    (void)state;
    dd_guard *g;
    const char *why;
    const size_t page = dd_page_bytes();
    assert_int_equal(dd_guard_open(false, &g, &why), DD_OK);
    char *segment[100], *weights = dd_guard_alloc(g, DD_REGION_WEIGHTS, 0, 10 * page);
    for (uint32_t s = 0; s < 100; s++) /* numbers need not come in order */
        segment[s] = dd_guard_alloc(g, DD_REGION_SEGMENT, (s * 7) % 100, 1 + s * 100);
    for (uint32_t s = 0; s < 100; s++) {
        const size_t bytes = (1 + s * 100 + page - 1) / page * page;
        find(g, segment[s], DD_REGION_SEGMENT, (s * 7) % 100, 0, false);
        find(g, segment[s] + s * 100, DD_REGION_SEGMENT, (s * 7) % 100, s * 100, false);
        find(g, segment[s] - 8, DD_REGION_SEGMENT, (s * 7) % 100, -8, true);
        find(g, segment[s] + bytes, DD_REGION_SEGMENT, (s * 7) % 100, (int64_t)bytes, true);
    }
    find(g, weights + 81920 % (10 * page), DD_REGION_WEIGHTS, 0, 81920 % (10 * (int)page), false);
    dd_region_kind kind;
    uint32_t number;
    int64_t offset;
    bool on;
    assert_false(dd_guard_find(g, &kind, &kind, &number, &offset, &on));
    assert_false(dd_guard_find(g, NULL, &kind, &number, &offset, &on));
    assert_null(dd_guard_alloc(g, DD_REGION_BATCH, 0, SIZE_MAX));
    assert_null(dd_guard_alloc(g, DD_REGION_BATCH, 0, (size_t)1 << 60));
    dd_guard_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_keys_stay_where_all_fit, stop_pretending),
        cmocka_unit_test_teardown(test_workers_take_turns, stop_pretending),
        cmocka_unit_test_teardown(test_more_segments_than_keys_on_one_worker, stop_pretending),
        cmocka_unit_test_teardown(test_nobody_is_passed_over, stop_pretending),
        cmocka_unit_test_teardown(test_rights_are_gained_and_let_go, stop_pretending),
        cmocka_unit_test_teardown(test_refused_keys_are_not_counted, stop_pretending),
        cmocka_unit_test(test_guard_without_keys),
        cmocka_unit_test(test_weights_and_batch_are_read_only),
        cmocka_unit_test(test_pages_around_a_region),
        cmocka_unit_test(test_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
