/* SPDX-License-Identifier: MIT
 * core/control: where threads run. A worker on the CPU it is given, a control on any that the
 * process may use, whatever made its thread and whatever it was before; what the system refuses is
 * counted. */
#define _GNU_SOURCE /* sched_getaffinity */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "platform.h"
#include "team_fixture.h"

/* ---- CPUs that are refused on demand (linked with --wrap) ---- */

bool __real_dd_thread_pin(uint32_t cpu);
bool __wrap_dd_thread_pin(uint32_t cpu);
static dd_atomic_u32 refused; /* atomic: threads pin themselves; REFUSE_… or 0 */
enum { REFUSE_ONE = 1, REFUSE_ANY = 2 };

bool __wrap_dd_thread_pin(uint32_t cpu)
{
    const uint32_t kind = cpu == UINT32_MAX ? REFUSE_ANY : REFUSE_ONE;
    return !(dd_u32_load(&refused, DD_RELAXED) & kind) && __real_dd_thread_pin(cpu);
}

/* ---- Tests ---- */

static dd_status spawn(team_fixture *f, const char *at, uint32_t n_children)
{
    return dd_team_command(f->team, DD_COMMAND_SPAWN, team_place(at), n_children, NULL);
}

static dd_status terminate(team_fixture *f, const char *at)
{
    return dd_team_command(f->team, DD_COMMAND_TERMINATE, team_place(at), 0, NULL);
}

static void check_core(team_fixture *f, uint32_t worker, uint32_t lane)
{
    (void)lane;
    cpu_set_t set;
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    const uint32_t cpu = f->options.cpu[worker % f->options.n_cpu];
    assert_true(CPU_COUNT(&set) == 1 && CPU_ISSET(cpu, &set));
}

/* What this process may use: at most 64. */
static uint32_t usable_cpus(cpu_set_t *allowed, uint32_t cpu[64])
{
    uint32_t n_cpu = 0;
    assert_int_equal(sched_getaffinity(0, sizeof *allowed, allowed), 0);
    for (uint32_t c = 0; c < CPU_SETSIZE && n_cpu < 64; c++)
        if (CPU_ISSET(c, allowed))
            cpu[n_cpu++] = c;
    return n_cpu;
}

static void test_workers_are_pinned(void **state)
{
    (void)state;
    cpu_set_t allowed;
    uint32_t cpu[64];
    const uint32_t n_cpu = usable_cpus(&allowed, cpu);
    team_fixture f;
    team_fixture_open(&f, 1, 12, 1, 3,
                      (dd_team_options){.max_workers = 12, .cpu = cpu, .n_cpu = n_cpu});
    f.in_lane = check_core;
    team_good_step(&f);
    assert_int_equal(spawn(&f, "0", 4), DD_OK);
    team_good_step(&f);
    assert_int_equal(terminate(&f, "0"), DD_OK);
    team_good_step(&f);
    team_fixture_close(&f);
}

typedef struct opening {
    team_fixture *f;
    dd_team_options options;
} opening;

/* By a thread that may use a single CPU, as all that it makes may then. */
static void open_on_one_cpu(void *arg)
{
    const opening *o = arg;
    if (__real_dd_thread_pin(o->options.cpu[0]))
        team_fixture_open(o->f, 1, 12, 1, 3, o->options);
}

static void check_masks(const team_fixture *f, const cpu_set_t *allowed)
{
    for (uint32_t t = 0; t < dd_team_n_threads(f->team); t++) {
        dd_thread_report r;
        cpu_set_t set;
        dd_team_report(f->team, t, &r);
        assert_int_equal(sched_getaffinity((pid_t)r.tid, sizeof set, &set), 0);
        assert_true(r.parked || (r.control ? CPU_EQUAL(&set, allowed) : CPU_COUNT(&set) == 1));
        assert_false(r.unpinned);
    }
}

static void test_controls_run_on_any_cpu(void **state)
{
    (void)state;
    cpu_set_t allowed;
    uint32_t cpu[64];
    const uint32_t n_cpu = usable_cpus(&allowed, cpu);
    team_fixture f = {0};
    opening o = {&f, {.max_workers = 12, .cpu = cpu, .n_cpu = n_cpu}};
    dd_thread opener;
    assert_int_equal(dd_thread_create(&opener, "opener", 0, open_on_one_cpu, &o), 0);
    dd_thread_join(&opener);
    assert_non_null(f.team);
    team_good_step(&f);
    check_masks(&f, &allowed);
    assert_int_equal(spawn(&f, "0", 4), DD_OK); /* one that was pinned, and stays a control */
    team_good_step(&f);
    check_masks(&f, &allowed);
    assert_int_equal(terminate(&f, "0"), DD_OK);
    assert_int_equal(spawn(&f, "0", 2), DD_OK); /* from the pool */
    team_good_step(&f);
    check_masks(&f, &allowed);
    team_fixture_close(&f);
}

static uint32_t n_unpinned(const team_fixture *f)
{
    uint32_t n = 0;
    for (uint32_t t = 0; t < dd_team_n_threads(f->team); t++) {
        dd_thread_report r;
        dd_team_report(f->team, t, &r);
        n += r.unpinned;
    }
    return n;
}

/* A refusal is counted as long as it stands; every change of membership asks again. */
static void test_refused_cpus_are_counted(void **state)
{
    (void)state;
    cpu_set_t allowed;
    uint32_t cpu[64];
    const uint32_t n_cpu = usable_cpus(&allowed, cpu);
    team_fixture f;
    dd_u32_store(&refused, REFUSE_ONE, DD_RELAXED);
    team_fixture_open(&f, 1, 12, 1, 3,
                      (dd_team_options){.max_workers = 12, .cpu = cpu, .n_cpu = n_cpu});
    team_good_step(&f);
    assert_int_equal(n_unpinned(&f), 3); /* not Node Zero */
    assert_int_equal(spawn(&f, "0", 4), DD_OK);
    team_good_step(&f);
    assert_int_equal(n_unpinned(&f), 6); /* nor the control */
    dd_u32_store(&refused, 0, DD_RELAXED);
    assert_int_equal(terminate(&f, "0"), DD_OK);
    team_good_step(&f);
    assert_int_equal(n_unpinned(&f), 0);
    dd_u32_store(&refused, REFUSE_ANY, DD_RELAXED);
    assert_int_equal(spawn(&f, "0", 4), DD_OK);
    team_good_step(&f);
    assert_int_equal(n_unpinned(&f), 1); /* the new control stays on the worker's */
    dd_u32_store(&refused, 0, DD_RELAXED);
    team_fixture_close(&f);

    team_fixture_open(&f, 1, 12, 1, 3, (dd_team_options){0}); /* nothing asked, nothing refused */
    dd_u32_store(&refused, REFUSE_ONE | REFUSE_ANY, DD_RELAXED);
    team_good_step(&f);
    assert_int_equal(n_unpinned(&f), 0);
    dd_u32_store(&refused, 0, DD_RELAXED);
    team_fixture_close(&f);
}

int main(void)
{
    dd_u32_init(&refused, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_workers_are_pinned),
        cmocka_unit_test(test_controls_run_on_any_cpu),
        cmocka_unit_test(test_refused_cpus_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
