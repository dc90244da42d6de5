/* SPDX-License-Identifier: MIT
 * How much of its stack a thread of a trainer uses: each is painted before the thread's work begins
 * and looked at when it ends. */
#define _GNU_SOURCE /* pthread_getattr_np */
#include "dodeca.h"
#include "platform.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAINT 0xa5

typedef struct painted {
    void (*run)(void *);
    void *arg;
} painted;

static dd_atomic_u64 deepest, smallest; /* bytes: a thread used, and could have used */

int __real_dd_thread_create(dd_thread *t, const char *name, size_t stack_bytes, void (*run)(void *),
                            void *arg);
int __wrap_dd_thread_create(dd_thread *t, const char *name, size_t stack_bytes, void (*run)(void *),
                            void *arg);

static void note(uint64_t used, uint64_t all)
{
    uint64_t seen = dd_u64_load(&deepest, DD_RELAXED);
    while (used > seen && !dd_u64_compare_exchange(&deepest, &seen, used, DD_RELAXED, DD_RELAXED))
        continue;
    seen = dd_u64_load(&smallest, DD_RELAXED);
    while (all < seen && !dd_u64_compare_exchange(&smallest, &seen, all, DD_RELAXED, DD_RELAXED))
        continue;
}

/* Some way below the frame of the caller, which goes on to use it. */
static __attribute__((noinline)) unsigned char *here(void)
{
    unsigned char *frame = __builtin_frame_address(0);
    return frame - 1024;
}

static __attribute__((noinline, no_sanitize("address"))) void paint(unsigned char *low,
                                                                    const unsigned char *end)
{
    for (unsigned char *at = low; at < end; at++)
        *at = PAINT;
}

static __attribute__((noinline, no_sanitize("address"))) size_t untouched(const unsigned char *low,
                                                                          const unsigned char *end)
{
    const unsigned char *at = low;
    while (at < end && *at == PAINT)
        at++;
    return (size_t)(at - low);
}

static void run_painted(void *arg)
{
    painted job = *(painted *)arg;
    free(arg);
    pthread_attr_t attributes;
    void *low = NULL;
    size_t bytes = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) ||
        pthread_attr_getstack(&attributes, &low, &bytes))
        abort();
    pthread_attr_destroy(&attributes);
    unsigned char *end = here();
    const size_t all = (size_t)((unsigned char *)__builtin_frame_address(0) - (unsigned char *)low);
    paint(low, end);
    job.run(job.arg);
    note(all - untouched(low, end), all);
}

int __wrap_dd_thread_create(dd_thread *t, const char *name, size_t stack_bytes, void (*run)(void *),
                            void *arg)
{
    painted *job = malloc(sizeof *job);
    if (!job)
        return -1;
    *job = (painted){run, arg};
    return __real_dd_thread_create(t, name, stack_bytes, run_painted, job);
}

static void train(dd_config config, uint32_t batch)
{
    dd_error error;
    dd_data *data;
    dd_trainer *t;
    double loss;
    config.batch = batch;
    assert_int_equal(dd_data_open("builtin", 3, &data, NULL), DD_OK);
    dd_status st = dd_trainer_open(&config, data, &t, &error);
    if (st)
        fail_msg("%s", error.message);
    for (int i = 0; i < 2; i++)
        assert_int_equal(dd_trainer_step(t, NULL, NULL), DD_OK);
    if (config.max_workers > config.workers) {
        assert_int_equal(dd_trainer_spawn(t, "0.0", 3, NULL), DD_OK);
        assert_int_equal(dd_trainer_command(t, DD_COMMAND_CHECKPOINT, NULL), DD_OK);
        assert_int_equal(dd_trainer_step(t, NULL, NULL), DD_OK);
        assert_int_equal(dd_trainer_command(t, DD_COMMAND_RESTORE, NULL), DD_OK);
        assert_int_equal(dd_trainer_terminate(t, "0.0", NULL), DD_OK);
    }
    assert_int_equal(dd_trainer_validate(t, 1, &loss, NULL), DD_OK);
    dd_trainer_close(t);
    dd_data_close(data);
}

static void stacks_are_used_little(void **state)
{
    (void)state;
    dd_config config;
    dd_config_default(&config);
    config.seq = 16;
    config.workers = 3;
    config.max_workers = 8;
    config.depth = 2;
    dd_u64_init(&deepest, 0);
    dd_u64_init(&smallest, UINT64_MAX);
    for (int way = 0; way < 12; way++) {
        config.reduce = (dd_reduce)(way % 3);
        config.simd = way / 3 % 2 ? DD_SIMD_OFF : DD_SIMD_AUTO;
        config.steal = config.guard = way / 6;
        train(config, 12);
    }
    const unsigned long used = (unsigned long)dd_u64_load(&deepest, DD_RELAXED);
    const unsigned long all = (unsigned long)dd_u64_load(&smallest, DD_RELAXED);
    print_message("a thread used at most %lu bytes of stack; the smallest has room for %lu\n", used,
                  all);
    assert_true(used > 0 && 4 * used < all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(stacks_are_used_little)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
