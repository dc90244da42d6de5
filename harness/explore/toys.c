/* SPDX-License-Identifier: MIT
 * The toys. Explored code; see world.h for its rules. */
#include "toys.h"

#include <assert.h>

#include "platform.h"

uint32_t dd_toy_outcomes;

static void report(uint32_t outcome)
{
    dd_toy_outcomes |= 1u << outcome;
}

/* What two threads and the caller share. */
typedef struct shared {
    dd_atomic_u32 x, y;
    uint32_t plain, seen[2];
} shared;

static void run_two(shared *s, void (*first)(void *), void (*second)(void *))
{
    dd_thread t[2];
    dd_thread_create(&t[0], "first", 0, first, s);
    dd_thread_create(&t[1], "second", 0, second, s);
    dd_thread_join(&t[0]);
    dd_thread_join(&t[1]);
}

static shared *shared_new(void)
{
    shared *s = dd_alloc(sizeof *s);
    dd_u32_init(&s->x, 0);
    dd_u32_init(&s->y, 0);
    return s;
}

/* ---- Interleavings --------------------------------------------------------------------------- */

static void add_twice(void *arg)
{
    shared *s = arg;
    dd_u32_fetch_add(&s->x, 1, DD_RELAXED);
    dd_u32_fetch_add(&s->x, 1, DD_RELAXED);
}

/* The caller creates twice: 2 states. Then it waits for the first thread while the two are anywhere
 * in a grid of 3 x 3 positions: 9. Joining the first comes alone, as it affects nobody; the second
 * may then be in 3 positions. With it joined the caller loads the sum, and ends: 2. In all 16, and
 * C(4, 2) = 6 ways through. */
static void grid(const void *unused)
{
    (void)unused;
    shared *s = shared_new();
    run_two(s, add_twice, add_twice);
    DD_CHECK(dd_u32_load(&s->x, DD_RELAXED) == 4, "an addition was lost", 0, 0);
    dd_free(s);
}

static void store_x_load_y(void *arg)
{
    shared *s = arg;
    dd_u32_store(&s->x, 1, DD_SEQ_CST);
    DD_WRITE(&s->seen[0], sizeof s->seen[0]);
    s->seen[0] = dd_u32_load(&s->y, DD_SEQ_CST);
}

static void store_y_load_x(void *arg)
{
    shared *s = arg;
    dd_u32_store(&s->y, 1, DD_SEQ_CST);
    DD_WRITE(&s->seen[1], sizeof s->seen[1]);
    s->seen[1] = dd_u32_load(&s->x, DD_SEQ_CST);
}

/* Store buffering: under sequential consistency one of the two sees the other's store. */
static void store_buffering(const void *unused)
{
    (void)unused;
    shared *s = shared_new();
    run_two(s, store_x_load_y, store_y_load_x);
    report(2 * s->seen[0] + s->seen[1]);
    dd_free(s);
}

static void add_torn(void *arg)
{
    shared *s = arg;
    dd_u32_store(&s->x, dd_u32_load(&s->x, DD_RELAXED) + 1, DD_RELAXED);
}

static void torn_addition(const void *unused)
{
    (void)unused;
    shared *s = shared_new();
    run_two(s, add_torn, add_torn);
    report(dd_u32_load(&s->x, DD_RELAXED));
    dd_free(s);
}

static void failing_check(const void *unused)
{
    (void)unused;
    shared *s = shared_new();
    run_two(s, add_torn, add_torn);
    DD_CHECK(dd_u32_load(&s->x, DD_RELAXED) == 2, "an addition was lost", 0, 0);
    dd_free(s);
}

static void failing_assertion(const void *unused)
{
    (void)unused;
    shared *s = shared_new();
    run_two(s, add_torn, add_torn);
    assert(dd_u32_load(&s->x, DD_RELAXED) == 2);
    dd_free(s);
}

static void choices(const void *unused)
{
    (void)unused;
    report(DD_CHOOSE(3, "first") + 3 * DD_CHOOSE(2, "second"));
}

/* ---- Races
 * ------------------------------------------------------------------------------------------ */

static void write_plain(void *arg)
{
    shared *s = arg;
    DD_WRITE(&s->plain, sizeof s->plain);
    s->plain++;
}

static void write_and_raise(void *arg)
{
    shared *s = arg;
    write_plain(s);
    dd_u32_store(&s->x, 1, DD_RELEASE);
}

static void read_plain(void *arg)
{
    shared *s = arg;
    DD_READ(&s->plain, sizeof s->plain);
    report(s->plain);
}

static void read_if_raised(void *arg)
{
    shared *s = arg;
    if (dd_u32_load(&s->x, DD_ACQUIRE))
        read_plain(s);
}

/* The flag is looked at, but only after the data. */
static void read_then_look(void *arg)
{
    shared *s = arg;
    dd_u32_load(&s->y, DD_ACQUIRE);
    DD_READ(&s->plain, sizeof s->plain);
    s->seen[1] = s->plain + dd_u32_load(&s->x, DD_ACQUIRE);
}

static void write_both_words(void *arg)
{
    shared *s = arg;
    dd_u32_fetch_add(&s->y, 1, DD_RELAXED);
    DD_WRITE(&s->x, sizeof s->x);
}

#define TWO(name, first, second)                                                                   \
    static void name(const void *unused)                                                           \
    {                                                                                              \
        (void)unused;                                                                              \
        shared *s = shared_new();                                                                  \
        run_two(s, first, second);                                                                 \
        dd_free(s);                                                                                \
    }

TWO(message, write_and_raise, read_if_raised)
TWO(race_write_write, write_plain, write_plain)
TWO(race_write_read, write_and_raise, read_then_look)
TWO(read_read, read_plain, read_plain)
TWO(race_plain_atomic, write_both_words, add_twice)

/* ---- Waiting
 * ------------------------------------------------------------------------------------------ */

static void raise_and_wake(void *arg)
{
    shared *s = arg;
    dd_u32_store(&s->x, 1, DD_SEQ_CST);
    dd_futex_wake(&s->x, 1);
}

static void sleep_until_raised(void *arg)
{
    shared *s = arg;
    while (dd_u32_load(&s->x, DD_SEQ_CST) == 0)
        dd_futex_wait(&s->x, 0);
}

/* Sleeps on a word that the other does not change: between look and sleep the wake-up goes by. */
static void sleep_on_other_word(void *arg)
{
    shared *s = arg;
    if (dd_u32_load(&s->x, DD_SEQ_CST) == 0)
        dd_futex_wait(&s->y, 0);
}

static void raise_and_wake_other(void *arg)
{
    shared *s = arg;
    dd_u32_store(&s->x, 1, DD_SEQ_CST);
    dd_futex_wake(&s->y, 1);
}

static void sleep_once(void *arg)
{
    shared *s = arg;
    dd_futex_wait(&s->x, 0);
    DD_CHECK(dd_u32_load(&s->x, DD_SEQ_CST) == 1, "woken for no reason", 0, 0);
}

static void poll(void *arg)
{
    shared *s = arg;
    while (dd_u32_load(&s->x, DD_SEQ_CST) == 0)
        continue;
}

static void await(void *arg)
{
    shared *s = arg;
    DD_AWAIT(dd_u32_load(&s->x, DD_SEQ_CST) == 1, DD_FOREVER);
}

static void await_what_never_comes(void *arg)
{
    shared *s = arg;
    DD_AWAIT(dd_u32_load(&s->x, DD_SEQ_CST) == 2, DD_FOREVER);
}

static void await_a_while(void *arg)
{
    shared *s = arg;
    report(DD_AWAIT(dd_u32_load(&s->x, DD_SEQ_CST) == 1, 100));
}

TWO(sleeper, sleep_until_raised, raise_and_wake)
TWO(lost_wake_up, sleep_on_other_word, raise_and_wake_other)
TWO(one_sleep, sleep_once, raise_and_wake)
TWO(polling, poll, raise_and_wake)
TWO(awaiting, await, raise_and_wake)
TWO(awaiting_in_vain, await_what_never_comes, raise_and_wake)
TWO(awaiting_a_while, await_a_while, raise_and_wake)

static void sleep_first(void *arg)
{
    shared *s = arg;
    dd_futex_wait(&s->x, 0);
    if (dd_u32_fetch_add(&s->y, 1, DD_SEQ_CST) == 0)
        report(0);
}

static void sleep_second(void *arg)
{
    shared *s = arg;
    dd_futex_wait(&s->x, 0);
    if (dd_u32_fetch_add(&s->y, 1, DD_SEQ_CST) == 0)
        report(1);
}

/* One wake for two sleepers takes either. */
static void wake_either(const void *unused)
{
    (void)unused;
    shared *s = shared_new();
    dd_thread t[2];
    dd_thread_create(&t[0], "first", 0, sleep_first, s);
    dd_thread_create(&t[1], "second", 0, sleep_second, s);
    dd_futex_wake(&s->x, 1);
    dd_u32_store(&s->x, 1, DD_SEQ_CST);
    dd_futex_wake(&s->x, UINT32_MAX);
    dd_thread_join(&t[0]);
    dd_thread_join(&t[1]);
    dd_free(s);
}

static void lock(dd_atomic_u32 *fork)
{
    while (dd_u32_exchange(fork, 1, DD_ACQUIRE))
        dd_futex_wait(fork, 1);
}

static void unlock(dd_atomic_u32 *fork)
{
    dd_u32_store(fork, 0, DD_RELEASE);
    dd_futex_wake(fork, 1);
}

static void dine(shared *s, dd_atomic_u32 *one, dd_atomic_u32 *other)
{
    lock(one);
    lock(other);
    write_plain(s);
    unlock(other);
    unlock(one);
}

static void dine_xy(void *arg)
{
    shared *s = arg;
    dine(s, &s->x, &s->y);
}

static void dine_yx(void *arg)
{
    shared *s = arg;
    dine(s, &s->y, &s->x);
}

TWO(dining_in_order, dine_xy, dine_xy)
TWO(dining_crosswise, dine_xy, dine_yx)

static void cross(void *arg)
{
    dd_pbarrier_wait(arg);
}

static void barrier_of(uint32_t n)
{
    dd_pbarrier *b = dd_pbarrier_open(n);
    dd_thread t;
    dd_thread_create(&t, "first", 0, cross, b);
    dd_pbarrier_wait(b);
    dd_thread_join(&t);
    dd_pbarrier_close(b);
}

static void barrier(const void *unused)
{
    (void)unused;
    barrier_of(2);
}

typedef struct crossing {
    dd_pbarrier *barrier;
    dd_atomic_u32 x;
} crossing;

static void store_and_cross(void *arg)
{
    crossing *c = arg;
    dd_u32_store(&c->x, 1, DD_RELAXED);
    dd_pbarrier_wait(c->barrier);
}

static void cross_and_load(void *arg)
{
    crossing *c = arg;
    dd_pbarrier_wait(c->barrier);
    report(dd_u32_load(&c->x, DD_RELAXED));
}

/* The barrier orders the store before the load, whoever comes last. */
static void across_barrier(const void *unused)
{
    (void)unused;
    crossing *c = dd_alloc(sizeof *c);
    dd_u32_init(&c->x, 0);
    c->barrier = dd_pbarrier_open(3);
    dd_thread t[2];
    dd_thread_create(&t[0], "first", 0, store_and_cross, c);
    dd_thread_create(&t[1], "second", 0, cross_and_load, c);
    dd_pbarrier_wait(c->barrier);
    dd_thread_join(&t[0]);
    dd_thread_join(&t[1]);
    dd_pbarrier_close(c->barrier);
    dd_free(c);
}

static void barrier_too_wide(const void *unused)
{
    (void)unused;
    barrier_of(3);
}

/* ---- Memory, threads, faults
 * ----------------------------------------------------------------------------- */

static void leak(const void *unused)
{
    (void)unused;
    shared_new();
}

static void free_twice(const void *unused)
{
    (void)unused;
    shared *s = shared_new();
    dd_free(s);
    dd_free(s);
}

static void free_too_early(const void *unused)
{
    (void)unused;
    shared *s = shared_new();
    dd_thread t;
    dd_thread_create(&t, "first", 0, raise_and_wake, s);
    DD_AWAIT(dd_u32_load(&s->x, DD_SEQ_CST) == 1, DD_FOREVER);
    dd_free(s); /* the thread may not have woken yet */
    dd_thread_join(&t);
}

static void past_the_end(const void *unused)
{
    (void)unused;
    shared *s = shared_new();
    DD_READ(s, sizeof *s + 1);
    dd_free(s);
}

static void not_joined(const void *unused)
{
    (void)unused;
    shared *s = shared_new();
    dd_thread t;
    dd_thread_create(&t, "first", 0, raise_and_wake, s);
    DD_AWAIT(dd_u32_load(&s->x, DD_SEQ_CST) == 1, DD_FOREVER);
}

/* Any one of four allocations and of two thread creations fails, or none. */
static void fails_somewhere(const void *unused)
{
    (void)unused;
    uint32_t failed = 5;
    void *p[3];
    shared *s;
    dd_thread t[2];
    bool started[2];
    for (uint32_t i = 0; i < 3; i++)
        if (!(p[i] = dd_alloc(64)))
            failed = i;
    while (!(s = dd_alloc(sizeof *s)))
        failed = 6;
    dd_u32_init(&s->x, 0);
    for (uint32_t i = 0; i < 2; i++) {
        started[i] = dd_thread_create(&t[i], "first", 0, raise_and_wake, s) == 0;
        if (!started[i])
            failed = 3 + i;
    }
    for (uint32_t i = 0; i < 2; i++)
        if (started[i])
            dd_thread_join(&t[i]);
    for (uint32_t i = 0; i < 3; i++)
        dd_free(p[i]);
    dd_free(s);
    report(failed);
}

#define TOY(f) .program = {.name = #f, .about = "toy", .run = f}
#define SPURIOUS(f) .program = {.name = #f, .about = "toy", .run = f, .spurious = true}
#define FAULTS(f, threads, allocations)                                                            \
    .program = {.name = #f,                                                                        \
                .about = "toy",                                                                    \
                .run = f,                                                                          \
                .thread_failures = threads,                                                        \
                .alloc_failures = allocations}

const dd_toy dd_toys[] = {
    {TOY(grid), .states = 16, .executions = 6},
    {TOY(store_buffering), .outcomes = 1 << 1 | 1 << 2 | 1 << 3},
    {TOY(torn_addition), .outcomes = 1 << 1 | 1 << 2, .executions = 6},
    {TOY(failing_check), .verdict = DD_EXPLORE_CHECK},
    {TOY(failing_assertion), .verdict = DD_EXPLORE_CHECK},
    {TOY(choices), .outcomes = 0x3f, .executions = 6},
    {TOY(message), .outcomes = 1 << 1},
    {TOY(race_write_write), .verdict = DD_EXPLORE_RACE},
    {TOY(race_write_read), .verdict = DD_EXPLORE_RACE},
    {TOY(read_read), .outcomes = 1 << 0},
    {TOY(race_plain_atomic), .verdict = DD_EXPLORE_RACE},
    {SPURIOUS(sleeper), .verdict = DD_EXPLORE_PASS},
    {TOY(lost_wake_up), .verdict = DD_EXPLORE_DEADLOCK},
    {SPURIOUS(lost_wake_up), .verdict = DD_EXPLORE_DEADLOCK},
    {TOY(one_sleep), .verdict = DD_EXPLORE_PASS},
    {SPURIOUS(one_sleep), .verdict = DD_EXPLORE_CHECK},
    {TOY(polling), .verdict = DD_EXPLORE_LIVELOCK},
    {TOY(awaiting), .verdict = DD_EXPLORE_PASS},
    {TOY(awaiting_in_vain), .verdict = DD_EXPLORE_DEADLOCK},
    {TOY(awaiting_a_while), .outcomes = 1 << 0 | 1 << 1},
    {TOY(wake_either), .outcomes = 1 << 0 | 1 << 1},
    {TOY(dining_in_order), .verdict = DD_EXPLORE_PASS},
    {TOY(dining_crosswise), .verdict = DD_EXPLORE_DEADLOCK},
    {TOY(barrier), .verdict = DD_EXPLORE_PASS},
    {TOY(across_barrier), .outcomes = 1 << 1},
    {TOY(barrier_too_wide), .verdict = DD_EXPLORE_DEADLOCK},
    {TOY(leak), .verdict = DD_EXPLORE_MEMORY},
    {TOY(free_twice), .verdict = DD_EXPLORE_MEMORY},
    {TOY(free_too_early), .verdict = DD_EXPLORE_MEMORY},
    {TOY(past_the_end), .verdict = DD_EXPLORE_MEMORY},
    {TOY(not_joined), .verdict = DD_EXPLORE_MEMORY},
    {FAULTS(fails_somewhere, 0, 0), .outcomes = 1 << 5},
    {FAULTS(fails_somewhere, 0, 1), .outcomes = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 5 | 1 << 6},
    {FAULTS(fails_somewhere, 1, 0), .outcomes = 1 << 3 | 1 << 4 | 1 << 5},
    {.program = {.name = NULL}},
};
