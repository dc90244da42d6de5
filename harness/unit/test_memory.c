/* SPDX-License-Identifier: MIT
 * core/memory: segments, and snapshots by copy-on-write. Guarded regions: test_guard. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guard.h"
#include "pages.h"
#include "platform.h"
#include "segment.h"
#include "snapshot.h"

/* Tools that keep memory of their own about every page that is touched. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif
#ifdef __has_include
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef RUNNING_ON_VALGRIND
#define RUNNING_ON_VALGRIND 0
#endif

/* ---- Segments ---- */

static void test_segments(void **state)
{
    (void)state;
    dd_guard *g;
    const char *why;
    dd_segments plain, guarded;
    assert_int_equal(dd_guard_open(false, &g, &why), DD_OK);
    assert_int_equal(dd_segments_open(&plain, NULL, 4, 5000, 7, 16, 64), DD_OK);
    assert_int_equal(dd_segments_open(&guarded, g, 4, 5000, 7, 16, 64), DD_OK);
    assert_true(dd_segments_bytes(&plain, 5000) == dd_segments_bytes(&guarded, 5000));
    assert_true(dd_segments_bytes(&plain, 5000) >= 4 * (5000 * 4 + 7 * 16 * 4));
    for (uint32_t s = 0; s < 4; s++) {
        for (uint32_t i = 0; i < 5000; i++)
            assert_true(plain.at[s].dense[i] == 0 && guarded.at[s].dense[i] == 0);
        dd_region_kind kind;
        uint32_t number;
        int64_t offset;
        bool on_guard_page;
        assert_true(
            dd_guard_find(g, &guarded.at[s].dense[4999], &kind, &number, &offset, &on_guard_page));
        assert_true(kind == DD_REGION_SEGMENT && number == s && offset == 4999 * 4);
        bool fresh;
        float *row = dd_rows_at(&guarded.at[s].lookup, 63, &fresh);
        assert_true(fresh);
        row[15] = 1;
        assert_ptr_equal(dd_rows_at(&guarded.at[s].lookup, 63, &fresh), row);
        assert_false(fresh);
    }
    dd_segments_close(&plain);
    dd_segments_close(&plain);
    dd_segments_close(&guarded);
    dd_guard_close(g);
    assert_int_equal(dd_guard_open(false, &g, &why), DD_OK);
    assert_int_equal(dd_segments_open(&guarded, g, 2, (uint64_t)1 << 62, 1, 1, 1), DD_ERR_MEMORY);
    dd_segments_close(&guarded);
    dd_guard_close(g);
}

/* ---- Snapshots ---- */

enum { PAGE = DD_SNAPSHOT_PAGE_BYTES };

static void fill(unsigned char *bytes, size_t n, unsigned salt)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)((i / PAGE * 31 + i * 7 + salt) & 0xff);
}

static void assert_holds(const dd_snapshot *s, uint32_t i, size_t bytes, unsigned salt)
{
    unsigned char *expected = test_malloc(bytes + 1), *got = test_malloc(bytes + 1);
    fill(expected, bytes, salt);
    dd_snapshot_read(s, i, 0, bytes, got);
    assert_memory_equal(got, expected, bytes);
    /* in pieces that cross pages */
    memset(got, 0, bytes);
    for (size_t at = 0, n = 1; at < bytes; at += n, n = n * 3 % 9001 + 1) {
        n = n < bytes - at ? n : bytes - at;
        dd_snapshot_read(s, i, at, n, got + at);
    }
    assert_memory_equal(got, expected, bytes);
    test_free(expected);
    test_free(got);
}

static void assert_copied(const dd_snapshot *s, uint64_t pages, uint64_t copied)
{
    uint64_t is_copied;
    assert_true(dd_snapshot_pages(s, &is_copied) == pages);
    assert_true(is_copied == copied);
}

static void test_snapshot(void **state)
{
    (void)state;
    /* an unaligned array with a last page that is not whole, an empty one, and a single byte */
    enum { BYTES = 10 * PAGE + 100 };
    unsigned char *whole = test_malloc(BYTES + 3), *live = whole + 3, single = 9;
    const void *array[] = {live, NULL, &single};
    const size_t bytes[] = {BYTES, 0, 1};
    dd_snapshot *s;
    fill(live, BYTES, 1);
    assert_int_equal(dd_snapshot_open(array, bytes, 3, &s), DD_OK);
    assert_false(dd_snapshot_held(s));
    dd_snapshot_before_write(s, 0, 0, BYTES); /* nothing is held: nothing to do */
    assert_copied(s, 12, 0);
    assert_null(dd_snapshot_copied_page(s, 0, 0));

    dd_snapshot_take(s);
    assert_true(dd_snapshot_held(s));
    assert_holds(s, 0, BYTES, 1);
    assert_copied(s, 12, 0);

    /* one byte: one page */
    dd_snapshot_before_write(s, 0, 3 * PAGE + 5, 3 * PAGE + 6);
    live[3 * PAGE + 5] ^= 0xff;
    assert_copied(s, 12, 1);
    assert_null(dd_snapshot_copied_page(s, 0, 2));
    assert_non_null(dd_snapshot_copied_page(s, 0, 3));
    assert_null(dd_snapshot_copied_page(s, 0, 4));
    assert_holds(s, 0, BYTES, 1);
    /* once more, the page is copied already; and an empty range */
    dd_snapshot_before_write(s, 0, 3 * PAGE, 4 * PAGE);
    dd_snapshot_before_write(s, 0, 7 * PAGE, 7 * PAGE);
    assert_copied(s, 12, 1);
    /* across pages: 5 to 7 */
    dd_snapshot_before_write(s, 0, 6 * PAGE - 1, 7 * PAGE + 1);
    memset(live + 6 * PAGE - 1, 0xee, PAGE + 2);
    assert_copied(s, 12, 4);
    assert_holds(s, 0, BYTES, 1);
    /* everything; the tail too */
    dd_snapshot_before_write(s, 0, 0, BYTES);
    dd_snapshot_before_write(s, 2, 0, 1);
    fill(live, BYTES, 2);
    single = 8;
    assert_copied(s, 12, 12);
    assert_holds(s, 0, BYTES, 1);
    unsigned char was;
    dd_snapshot_read(s, 2, 0, 1, &was);
    assert_int_equal(was, 9);

    /* a later one takes its place */
    dd_snapshot_take(s);
    assert_copied(s, 12, 0);
    assert_null(dd_snapshot_copied_page(s, 0, 3));
    assert_holds(s, 0, BYTES, 2);
    dd_snapshot_before_write(s, 0, BYTES - 1, BYTES);
    live[BYTES - 1] ^= 0xff;
    assert_copied(s, 12, 1);
    assert_holds(s, 0, BYTES, 2);
    fill(live, BYTES, 2);

    dd_snapshot_drop(s);
    assert_false(dd_snapshot_held(s));
    dd_snapshot_before_write(s, 0, 0, BYTES);
    assert_copied(s, 12, 0);
    assert_null(dd_snapshot_copied_page(s, 0, 10));
    fill(live, BYTES, 3);
    dd_snapshot_take(s);
    dd_snapshot_before_write(s, 0, 0, 2 * PAGE);
    memset(live, 0, 2 * PAGE);
    assert_holds(s, 0, BYTES, 3);
    assert_copied(s, 12, 2);
    dd_snapshot_close(s);
    dd_snapshot_close(NULL);
    test_free(whole);
}

static long resident_kib(void)
{
    long total, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%ld %ld", &total, &resident), 2);
    fclose(f);
    return resident * (long)(dd_page_bytes() / 1024);
}

static void test_snapshot_takes_memory_as_it_copies(void **state)
{
    (void)state;
    if (SANITIZED || RUNNING_ON_VALGRIND) {
        print_message("SKIP: this tool takes memory of its own for every page\n");
        skip();
    }
    const size_t bytes = (size_t)512 << 20, part = (size_t)32 << 20;
    void *live = dd_pages_map(bytes, DD_PAGES_READ); /* reads as zeros, takes no memory */
    const void *array[] = {live};
    dd_snapshot *s;
    assert_non_null(live);
    const long before = resident_kib();
    assert_int_equal(dd_snapshot_open(array, &bytes, 1, &s), DD_OK);
    dd_snapshot_take(s);
    const long taken = resident_kib();
    assert_in_range(taken - before, 0, 8 << 10);
    dd_snapshot_before_write(s, 0, 100 * PAGE, 100 * PAGE + part);
    const long copied = resident_kib();
    assert_in_range(copied - taken, 30 << 10, 48 << 10);
    dd_snapshot_drop(s);
    assert_in_range(copied - resident_kib(), 30 << 10, 48 << 10);
    dd_snapshot_close(s);
    dd_pages_unmap(live, bytes);
}

/* Writers of disjoint pages, a reader of copies beside them, one snapshot a round. */
enum { WRITERS = 4, ROUNDS = 20, N_PAGES = 64 };

static struct {
    uint64_t live[N_PAGES * PAGE / 8];
    dd_snapshot *snapshot;
    dd_pbarrier *barrier; /* writers, reader and the test */
    uint64_t round;       /* written by the test between two barriers */
    /* atomic, relaxed, so that they order nothing: rounds that the reader is in, writers that are
     * through, of all rounds. Half of what is written is written while the reader reads. */
    dd_atomic_u32 reading, through;
    uint32_t wrong, seen_under_way; /* the reader's */
} arena;

static uint64_t word(uint64_t round, size_t i)
{
    return round << 32 | i;
}

static void write_pages(void *arg)
{
    const size_t w = (size_t)(uintptr_t)arg, page_words = PAGE / 8;
    for (int r = 0; r < ROUNDS; r++) {
        dd_pbarrier_wait(arena.barrier);
        for (size_t i = 0; i < N_PAGES / WRITERS; i++) {
            while (i == N_PAGES / WRITERS / 2 &&
                   dd_u32_load(&arena.reading, DD_RELAXED) <= (uint32_t)r)
                sched_yield();
            /* every writer has pages everywhere, and leaves out some */
            const size_t page = i * WRITERS + w, first = page * page_words;
            if ((page + (size_t)r) % 5 == 0)
                continue;
            dd_snapshot_before_write(arena.snapshot, 0, page * PAGE + 8, (page + 1) * PAGE);
            for (size_t k = 1; k < page_words; k++)
                arena.live[first + k] = word(arena.round + 1, first + k);
        }
        dd_u32_fetch_add(&arena.through, 1, DD_RELAXED);
        dd_pbarrier_wait(arena.barrier);
    }
}

/* returns how many pages there are copies of */
static uint32_t sweep(const uint64_t *before)
{
    uint32_t seen = 0;
    for (size_t page = 0; page < N_PAGES; page++) {
        const void *copy = dd_snapshot_copied_page(arena.snapshot, 0, page);
        seen += copy != NULL;
        arena.wrong += copy && memcmp(copy, before + page * (PAGE / 8), PAGE) != 0;
    }
    return seen;
}

static void read_copies(void *arg)
{
    (void)arg;
    uint64_t *before = dd_alloc(sizeof arena.live);
    for (uint32_t r = 0; r < ROUNDS; r++) {
        memcpy(before, arena.live, sizeof arena.live);
        dd_pbarrier_wait(arena.barrier);
        bool all_through;
        do {
            const uint32_t seen = sweep(before);
            dd_u32_store(&arena.reading, r + 1, DD_RELAXED);
            all_through = dd_u32_load(&arena.through, DD_RELAXED) == WRITERS * (r + 1);
            arena.seen_under_way += all_through ? 0 : seen;
        } while (!all_through);
        dd_pbarrier_wait(arena.barrier);
    }
    dd_free(before);
}

static void test_snapshot_under_writers(void **state)
{
    (void)state;
    const void *array[] = {arena.live};
    const size_t bytes = sizeof arena.live;
    uint64_t *before = test_malloc(bytes), *got = test_malloc(bytes);
    assert_int_equal(dd_snapshot_open(array, &bytes, 1, &arena.snapshot), DD_OK);
    arena.barrier = dd_pbarrier_open(WRITERS + 2);
    assert_non_null(arena.barrier);
    dd_thread thread[WRITERS + 1];
    dd_u32_init(&arena.reading, 0);
    dd_u32_init(&arena.through, 0);
    dd_snapshot_take(arena.snapshot);
    for (uintptr_t w = 0; w < WRITERS; w++)
        assert_int_equal(dd_thread_create(&thread[w], "writer", 0, write_pages, (void *)w), 0);
    assert_int_equal(dd_thread_create(&thread[WRITERS], "reader", 0, read_copies, NULL), 0);
    for (uint64_t r = 0; r < ROUNDS; r++) {
        uint64_t copied, expected = 0;
        memcpy(before, arena.live, bytes);
        dd_pbarrier_wait(arena.barrier); /* writers go */
        dd_pbarrier_wait(arena.barrier); /* all are through */
        dd_snapshot_read(arena.snapshot, 0, 0, bytes, got);
        assert_memory_equal(got, before, bytes);
        assert_memory_not_equal(arena.live, before, bytes);
        for (uint64_t page = 0; page < N_PAGES; page++)
            expected += (page + r) % 5 != 0;
        assert_true(dd_snapshot_pages(arena.snapshot, &copied) == N_PAGES);
        assert_true(copied == expected);
        arena.round++;
        dd_snapshot_take(arena.snapshot);
    }
    for (int t = 0; t <= WRITERS; t++)
        dd_thread_join(&thread[t]);
    assert_int_equal(arena.wrong, 0);
    assert_true(arena.seen_under_way > 0);
    dd_pbarrier_close(arena.barrier);
    dd_snapshot_close(arena.snapshot);
    test_free(before);
    test_free(got);
}

/* Writers that copy page after page at the same time: the count loses none. */
enum { COUNTED = 4096, COUNTED_ROUNDS = 20, COUNTED_WRITERS = 2 };

static struct {
    dd_snapshot *snapshot;
    dd_pbarrier *barrier; /* writers and the test */
} counted;

static void touch_pages(void *arg)
{
    for (int r = 0; r < COUNTED_ROUNDS; r++) {
        dd_pbarrier_wait(counted.barrier);
        for (size_t page = (uintptr_t)arg; page < COUNTED; page += COUNTED_WRITERS)
            dd_snapshot_before_write(counted.snapshot, 0, page * PAGE, page * PAGE + 1);
        dd_pbarrier_wait(counted.barrier);
    }
}

static void test_snapshot_counts_what_is_copied_at_once(void **state)
{
    (void)state;
    const size_t bytes = (size_t)COUNTED * PAGE;
    void *live = dd_pages_map(bytes, DD_PAGES_READ);
    const void *array[] = {live};
    dd_thread thread[COUNTED_WRITERS];
    bool all = true;
    assert_non_null(live);
    assert_int_equal(dd_snapshot_open(array, &bytes, 1, &counted.snapshot), DD_OK);
    counted.barrier = dd_pbarrier_open(COUNTED_WRITERS + 1);
    assert_non_null(counted.barrier);
    for (uintptr_t w = 0; w < COUNTED_WRITERS; w++)
        assert_int_equal(dd_thread_create(&thread[w], "writer", 0, touch_pages, (void *)w), 0);
    for (int r = 0; r < COUNTED_ROUNDS; r++) {
        uint64_t copied;
        dd_snapshot_take(counted.snapshot);
        dd_pbarrier_wait(counted.barrier);
        dd_pbarrier_wait(counted.barrier);
        (void)dd_snapshot_pages(counted.snapshot, &copied);
        all &= copied == COUNTED;
    }
    for (int w = 0; w < COUNTED_WRITERS; w++)
        dd_thread_join(&thread[w]);
    assert_true(all);
    dd_pbarrier_close(counted.barrier);
    dd_snapshot_close(counted.snapshot);
    dd_pages_unmap(live, bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_snapshot_takes_memory_as_it_copies),
        cmocka_unit_test(test_snapshot_under_writers),
        cmocka_unit_test(test_snapshot_counts_what_is_copied_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
