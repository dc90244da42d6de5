/* SPDX-License-Identifier: MIT
 * core/sync: an advance wakes all who sleep, whichever of the two it is. The advance comes when the
 * kernel shows every waiter asleep; one that is not woken hangs the test until the alarm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "eventcount.h"

enum { SLEEPERS = 3, ROUNDS = 20, LIMIT_S = 60 };

typedef struct dormitory {
    dd_eventcount gate;
    dd_atomic_u32 tid[SLEEPERS]; /* 0: not there yet */
    dd_atomic_u32 woken;         /* in all rounds */
} dormitory;

typedef struct sleeper {
    dormitory *in;
    uint32_t number;
} sleeper;

static void sleep_and_wake(void *arg)
{
    const sleeper *self = arg;
    dd_u32_store(&self->in->tid[self->number], dd_thread_id(), DD_RELEASE);
    for (uint32_t r = 0; r < ROUNDS; r++) {
        dd_eventcount_await(&self->in->gate, r, 0);
        dd_u32_fetch_add(&self->in->woken, 1, DD_ACQ_REL);
    }
}

/* By /proc: S, sleeping, and there is but one thing to sleep on. */
static bool is_asleep(uint32_t tid)
{
    char path[64], text[256] = "";
    (void)snprintf(path, sizeof path, "/proc/self/task/%u/stat", tid);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    const char *state = fgets(text, sizeof text, file) ? strrchr(text, ')') : NULL;
    (void)fclose(file);
    return state && state[1] && state[2] == 'S';
}

static void wait_until_all_sleep(dormitory *d)
{
    for (uint32_t s = 0; s < SLEEPERS; s++)
        while (!is_asleep(dd_u32_load(&d->tid[s], DD_ACQUIRE)))
            dd_yield_();
}

static void wake_rounds(void (*advance)(dd_eventcount *))
{
    dormitory d;
    dd_thread thread[SLEEPERS];
    sleeper sleepers[SLEEPERS];
    dd_eventcount_init(&d.gate, 0);
    dd_u32_init(&d.woken, 0);
    for (uint32_t s = 0; s < SLEEPERS; s++) {
        dd_u32_init(&d.tid[s], 0);
        sleepers[s] = (sleeper){&d, s};
        assert_int_equal(dd_thread_create(&thread[s], "sleeper", 0, sleep_and_wake, &sleepers[s]),
                         0);
    }
    alarm(LIMIT_S);
    for (uint32_t r = 0; r < ROUNDS; r++) {
        wait_until_all_sleep(&d);
        advance(&d.gate);
        while (dd_u32_load(&d.woken, DD_ACQUIRE) != SLEEPERS * (r + 1))
            dd_yield_();
    }
    alarm(0);
    for (uint32_t s = 0; s < SLEEPERS; s++)
        dd_thread_join(&thread[s]);
    for (uint32_t s = 0; s < SLEEPERS; s++)
        dd_u32_forget(&d.tid[s]);
    dd_u32_forget(&d.woken);
    dd_eventcount_forget(&d.gate);
}

static void an_advance_wakes_all(void **state)
{
    (void)state;
    wake_rounds(dd_eventcount_advance);
}

static void a_shared_advance_wakes_all(void **state)
{
    (void)state;
    wake_rounds(dd_eventcount_advance_shared);
}

/* Nobody is asleep after an advance but who came since. */
static void the_count_is_what_was_advanced(void **state)
{
    (void)state;
    dd_eventcount e;
    dd_eventcount_init(&e, UINT32_MAX);
    dd_eventcount_advance(&e);
    dd_eventcount_advance_shared(&e);
    assert_int_equal(dd_eventcount_now(&e), 1);
    dd_eventcount_await(&e, 0, 0);
    dd_eventcount_await(&e, UINT32_MAX, 0);
    dd_eventcount_forget(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_advance_wakes_all),
        cmocka_unit_test(a_shared_advance_wakes_all),
        cmocka_unit_test(the_count_is_what_was_advanced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
