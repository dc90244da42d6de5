/* SPDX-License-Identifier: MIT
 * The membership of a trainer: spheres come and go, from the caller, from other threads and by
 * policy. Whatever happens, the weights are those of the oracle at the same step. */
#include "cpu.h"
#include "elastic_fixture.h"
#include "hierarchy.h"
#include "platform.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- Allocations and threads that fail when told to (linked with --wrap) ---- */

static dd_atomic_u32 allocations_left, threads_left; /* UINT32_MAX: none fails */

void *__real_dd_alloc(size_t bytes);
void *__wrap_dd_alloc(size_t bytes);
int __real_dd_thread_create(dd_thread *t, const char *name, size_t stack_bytes, void (*run)(void *),
                            void *arg);
int __wrap_dd_thread_create(dd_thread *t, const char *name, size_t stack_bytes, void (*run)(void *),
                            void *arg);

static bool fails(dd_atomic_u32 *left)
{
    if (dd_u32_load(left, DD_RELAXED) == UINT32_MAX)
        return false;
    if (dd_u32_load(left, DD_RELAXED) == 0)
        return true;
    dd_u32_fetch_add(left, UINT32_MAX, DD_RELAXED);
    return false;
}

void *__wrap_dd_alloc(size_t bytes)
{
    return fails(&allocations_left) ? NULL : __real_dd_alloc(bytes);
}

int __wrap_dd_thread_create(dd_thread *t, const char *name, size_t stack_bytes, void (*run)(void *),
                            void *arg)
{
    return fails(&threads_left) ? 11 : __real_dd_thread_create(t, name, stack_bytes, run, arg);
}

static int open_group(void **state)
{
    dd_u32_init(&allocations_left, UINT32_MAX);
    dd_u32_init(&threads_left, UINT32_MAX);
    return open_data(state);
}

/* ---- Membership ---- */

/* A random change, tried on a hierarchy of our own and on the trainer: both say the same. */
static uint32_t change_at_random(dd_trainer *t, dd_hierarchy **h, uint32_t max_workers)
{
    char text[DD_PLACE_TEXT];
    const dd_sphere *sphere = &(*h)->sphere[pick((*h)->n_spheres)];
    const dd_place place = sphere->place;
    const uint32_t n_children = 1 + pick(12);
    const bool expand = pick(8) ? sphere->n_children == 0 : pick(2); /* the impossible too */
    dd_hierarchy *next = NULL;
    dd_error error;
    dd_place_write(place, text);
    dd_status want = expand ? dd_hierarchy_expand(*h, place, n_children, &next, NULL)
                            : dd_hierarchy_collapse(*h, place, &next, NULL);
    bool legal = !want && next->n_workers <= max_workers && next->depth <= 3;
    dd_status st = expand ? dd_trainer_spawn(t, text, n_children, &error)
                          : dd_trainer_terminate(t, text, &error);
    if (st != (legal ? DD_OK : DD_ERR_REFUSED))
        fail_msg("%s %s %u: %s, %s", expand ? "spawn" : "terminate", text, n_children,
                 dd_status_name(st), st ? error.message : "");
    if (legal) {
        dd_hierarchy_close(*h);
        *h = next;
    } else if (!want) {
        dd_hierarchy_close(next);
    }
    return legal;
}

/* Threads of spheres that were there before and after a change are the same threads. */
static void assert_threads_stay(dd_trainer *t, const dd_sphere_info *before, uint32_t n)
{
    dd_sphere_info now;
    for (uint32_t i = 0; i < n; i++) {
        assert_true(dd_trainer_sphere_get(t, i, true, &now));
        if (before[i].tid) /* 0: it had not begun to run yet */
            assert_int_equal(now.tid, before[i].tid);
        assert_true(now.lanes_done >= before[i].lanes_done);
        if (!before[i].parked && !now.parked)
            assert_true(!strcmp(now.sphere, before[i].sphere));
    }
}

static uint32_t look(dd_trainer *t, dd_sphere_info *spheres, uint32_t room)
{
    uint32_t n = 0;
    while (n < room && dd_trainer_sphere_get(t, n, true, &spheres[n]))
        n++;
    return n;
}

static void random_changes_leave_the_bits_alone(void **state)
{
    (void)state;
    enum { STEPS = 500, CHANGES = 200, ROOM = 200 };
    dd_config config = elastic();
    hash *want = oracle_hashes(&config, data, STEPS);
    for (int way = 0; way <= DD_REDUCE_OWNER; way++) {
        config.reduce = (dd_reduce)way;
        config.barrier = way == 1 ? DD_BARRIER_PTHREAD : DD_BARRIER_TREE;
        config.steal = way == 2;
        dd_trainer *t = open_trainer(&config);
        dd_hierarchy *h;
        assert_int_equal(dd_hierarchy_open(1, config.workers, &h), DD_OK);
        uint32_t changes = 0, refused = 0;
        dd_sphere_info before[ROOM];
        for (uint32_t i = 0; i < STEPS; i++) {
            uint32_t n = look(t, before, ROOM);
            bool due = pick(STEPS - i) < CHANGES - changes;
            if (due) {
                while (!change_at_random(t, &h, config.max_workers))
                    refused++;
                changes++;
                assert_threads_stay(t, before, n);
            }
            step_ok(t);
            if (due || i == STEPS - 1)
                assert_hash(t, &want[i + 1]);
        }
        dd_trainer_info info;
        dd_trainer_info_get(t, &info);
        assert_int_equal(changes, CHANGES);
        assert_int_equal(info.n_changes, changes);
        assert_int_equal(info.workers, h->n_workers);
        assert_int_equal(info.n_spheres, h->n_spheres);
        assert_int_equal(info.control_lanes, 0);
        assert_int_equal(info.lanes_done, (uint64_t)STEPS * 144);
        assert_int_equal(info.folds, (uint64_t)STEPS * 143);
        print_message("%u changes, %u refused; %u threads made\n", changes, refused,
                      info.n_threads);
        dd_hierarchy_close(h);
        dd_trainer_close(t);
    }
    free(want);
}

/* The other thread of a test: goes on until told to end. */
typedef struct meddler {
    dd_trainer *trainer;
    dd_atomic_u32 end;
    uint32_t done, refused;
    uint32_t kept;   /* checkpoints */
    uint32_t failed; /* commands that should not have */
} meddler;

static void *spawn_and_terminate(void *arg)
{
    meddler *m = arg;
    while (!dd_u32_load(&m->end, DD_ACQUIRE)) {
        char sphere[8];
        snprintf(sphere, sizeof sphere, "%u", 4 * pick(3));
        dd_status st = pick(2) ? dd_trainer_spawn(m->trainer, sphere, 1 + pick(12), NULL)
                               : dd_trainer_terminate(m->trainer, sphere, NULL);
        m->done += st == DD_OK;
        m->refused += st == DD_ERR_REFUSED;
        if (pick(4) == 0)
            (void)dd_trainer_command(m->trainer, DD_COMMAND_REBALANCE, NULL);
        if (pick(4) == 0) {
            m->kept++;
            m->failed += dd_trainer_command(m->trainer, DD_COMMAND_CHECKPOINT, NULL) != DD_OK;
            m->failed += dd_trainer_command(m->trainer, DD_COMMAND_PAUSE, NULL) != DD_OK;
            m->failed += dd_trainer_command(m->trainer, DD_COMMAND_RESUME, NULL) != DD_OK;
        }
    }
    return NULL;
}

static void changes_may_come_from_another_thread(void **state)
{
    (void)state;
    enum { STEPS = 300 };
    dd_config config = elastic();
    hash *want = oracle_hashes(&config, data, STEPS);
    for (int way = 0; way <= DD_REDUCE_OWNER; way++) {
        config.reduce = (dd_reduce)way;
        config.steal = way == 0;
        dd_trainer *t = open_trainer(&config);
        meddler m = {.trainer = t};
        pthread_t thread;
        dd_u32_init(&m.end, 0);
        command_ok(t, DD_COMMAND_START);
        assert_int_equal(pthread_create(&thread, NULL, spawn_and_terminate, &m), 0);
        for (uint32_t i = 0; i < STEPS; i++)
            step_ok(t);
        dd_u32_store(&m.end, 1, DD_RELEASE);
        pthread_join(thread, NULL);
        assert_hash(t, &want[STEPS]);
        assert_true(m.done > 0 && m.kept > 0);
        assert_int_equal(m.failed, 0);
        print_message("%u changes of membership while training, %u refused, %u checkpoints\n",
                      m.done, m.refused, m.kept);
        dd_trainer_close(t);
    }
    free(want);
}

/* What fails while a membership is made leaves the old one, and training goes on. */
static void failed_changes_change_nothing(void **state)
{
    (void)state;
    dd_config config = elastic();
    config.steal = true;
    hash *want = oracle_hashes(&config, data, 100);
    uint32_t steps = 0;
    for (int kind = 0; kind < 2; kind++) {
        dd_atomic_u32 *left = kind ? &threads_left : &allocations_left;
        dd_trainer *t = open_trainer(&config);
        dd_trainer_info info;
        dd_error error = {""};
        steps = 0;
        uint32_t failures = 0;
        for (dd_status st = DD_ERR_REFUSED; st;) {
            dd_u32_store(left, failures, DD_RELAXED);
            st = dd_trainer_spawn(t, "4", 12, &error);
            dd_u32_store(left, UINT32_MAX, DD_RELAXED);
            dd_trainer_info_get(t, &info);
            if (st) {
                assert_int_equal(st, kind ? DD_ERR_THREAD : DD_ERR_MEMORY);
                assert_non_null(strstr(error.message, kind ? "threads" : "memory"));
                assert_int_equal(info.workers, 3);
                assert_int_equal(info.n_changes, 0);
                failures++;
                if (kind) /* those made before stay in the pool */
                    assert_true(info.n_threads >= 4);
            }
            step_ok(t);
            assert_true(++steps < 100);
        }
        assert_int_equal(info.workers, 14);
        assert_true(kind ? failures >= 1 : failures > 10);
        assert_hash(t, &want[steps]);
        dd_trainer_close(t);
    }
    free(want);
}

static void depth_may_be_automatic(void **state)
{
    (void)state;
    enum { STEPS = 60 };
    dd_config config = elastic();
    config.shape = (dd_shape){.L = 2, .NH = 2, .C = 32, .V = 64, .T_max = 16}; /* lanes of a ms */
    config.lane_depth = 1;
    config.batch = 24;
    config.workers = 1;
    config.max_workers = 0;
    config.depth = DD_DEPTH_AUTO;
    hash *want = oracle_hashes(&config, data, STEPS);
    dd_trainer *t = open_trainer(&config);
    for (uint32_t i = 0; i < STEPS; i++)
        step_ok(t);
    assert_hash(t, &want[STEPS]);
    dd_trainer_info info;
    dd_trainer_info_get(t, &info);
    print_message("automatic: %u workers at depth %u after %lu changes\n", info.workers, info.depth,
                  (unsigned long)info.n_changes);
    assert_true(info.workers >= 1 && info.workers <= 12);
    assert_int_equal(info.control_lanes, 0);
    dd_trainer_close(t);
    free(want);
}

/* A change that the policy wants and cannot have is told and counted; training goes on, and has it
 * when it can be had. */
static void failed_changes_of_the_policy_are_told(void **state)
{
    (void)state;
    enum { STEPS = 80 };
    if (dd_cpu_available() < 2) { /* the policy wants no more than there is */
        print_message("SKIP: needs two cores\n");
        skip();
    }
    dd_config config = elastic();
    config.shape = (dd_shape){.L = 2, .NH = 2, .C = 64, .V = 64, .T_max = 32}; /* worth threads */
    config.lane_depth = 1;
    config.batch = 24;
    config.workers = 1;
    config.max_workers = 0;
    config.depth = DD_DEPTH_AUTO;
    hash *want = oracle_hashes(&config, data, STEPS);
    dd_trainer *t = open_trainer(&config);
    dd_trainer_info info;
    dd_trainer_info_get(t, &info);
    assert_int_equal(info.n_changes_failed, 0);
    assert_int_equal(info.change_failed, DD_OK);
    assert_string_equal(info.change_why, "");
    for (int kind = 0; kind < 2; kind++) {
        dd_u32_store(kind ? &threads_left : &allocations_left, 0, DD_RELAXED);
        const uint64_t before = info.n_changes_failed;
        for (uint32_t i = 0; i < STEPS / 4; i++)
            step_ok(t);
        dd_u32_store(kind ? &threads_left : &allocations_left, UINT32_MAX, DD_RELAXED);
        dd_trainer_info_get(t, &info);
        assert_int_equal(info.workers, 1);
        assert_int_equal(info.n_changes, 0);
        /* asked for again after each rest, and no more often */
        assert_in_range(info.n_changes_failed - before, 1, 1 + STEPS / 4 / 8);
        assert_int_equal(info.change_failed, kind ? DD_ERR_THREAD : DD_ERR_MEMORY);
        assert_non_null(strstr(info.change_why, kind ? "threads" : "memory"));
    }
    for (uint32_t i = 0; i < STEPS / 2; i++)
        step_ok(t);
    const uint64_t failed = info.n_changes_failed;
    dd_trainer_info_get(t, &info);
    assert_true(info.n_changes >= 1);
    assert_int_equal(info.n_changes_failed, failed);
    assert_hash(t, &want[STEPS]);
    dd_trainer_close(t);
    free(want);
}

/* ---- The largest ---- */

static uint64_t resident_bytes(void)
{
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld", &pages, &resident), 2);
    fclose(file);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* 1,728 workers and 157 controls, a lane for each worker. */
static void three_levels_are_filled(void **state)
{
    (void)state;
    enum { STEPS = 3 };
    dd_config config = elastic();
    config.shape = (dd_shape){.L = 1, .NH = 1, .C = 16, .V = 64, .T_max = 4};
    config.batch = 1728;
    config.lane_depth = config.depth = 3;
    config.workers = config.max_workers = 1728;
    hash *want = oracle_hashes(&config, data, STEPS);
    static const dd_reduce reduces[] = {DD_REDUCE_TREE, DD_REDUCE_SLICED, DD_REDUCE_OWNER};
    for (size_t way = 0; way < sizeof reduces / sizeof *reduces; way++) {
        config.reduce = reduces[way];
        dd_trainer *t;
        dd_error error;
        const uint64_t before = resident_bytes();
        dd_status st = dd_trainer_open(&config, data, &t, &error);
        if (st == DD_ERR_THREAD) {
            print_message("SKIP: %s\n", error.message);
            free(want);
            skip();
        }
        if (st)
            fail_msg("%s", error.message);
        for (int i = 0; i < STEPS; i++)
            step_ok(t);
        assert_hash(t, &want[STEPS]);
        dd_trainer_info info;
        dd_trainer_info_get(t, &info);
        assert_int_equal(info.n_spheres, 1 + 12 + 144 + 1728);
        assert_int_equal(info.n_threads, info.n_spheres);
        assert_int_equal(info.control_lanes, 0);
        assert_int_equal(info.lanes_done, STEPS * 1728);
        assert_int_equal(info.most_segments, config.reduce != DD_REDUCE_OWNER);
        const double mib = 1024.0 * 1024.0;
        print_message("1,728 workers, reduction %d: %.0f MiB resident; segments %.0f, workspaces "
                      "%.0f, stacks (reserved) %.0f MiB\n",
                      (int)config.reduce, (double)(resident_bytes() - before) / mib,
                      (double)info.segments_bytes / mib, (double)info.workspaces_bytes / mib,
                      (double)info.stacks_bytes / mib);
        dd_trainer_close(t);
    }
    free(want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_changes_leave_the_bits_alone),
        cmocka_unit_test(changes_may_come_from_another_thread),
        cmocka_unit_test(failed_changes_change_nothing),
        cmocka_unit_test(depth_may_be_automatic),
        cmocka_unit_test(failed_changes_of_the_policy_are_told),
        cmocka_unit_test(three_levels_are_filled),
    };
    return cmocka_run_group_tests(tests, open_group, close_data);
}
