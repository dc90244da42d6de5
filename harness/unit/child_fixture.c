/* SPDX-License-Identifier: MIT
 * Children of the cell runner that end well, or in one of the ways that verdicts tell apart. */
#include "child_fixture.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

void good_steps(dd_child *child, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        dd_step step = {.step = i, .loss = 4 - 0.1 * i, .norm = 1, .wall_ns = 1000 + i};
        dd_child_step(child, &step);
    }
}

static dd_sphere_info planted_spheres[] = {
    {.sphere = "zero", .control = true},
    {.sphere = "0", .thread = 1, .segments = 3, .lanes_done = STEPS * 6, .wait_ns = {1, 2, 3, 4}},
    {.sphere = "6", .thread = 2, .segments = 1, .lanes_done = STEPS * 6},
};

dd_run_end good_end(void)
{
    dd_run_end end = {.hash = GOOD_HASH,
                      .kernels = "reference",
                      .data = "builtin",
                      .data_hash = GOOD_HASH,
                      .floor_nats = (double)NAN};
    end.info.workers = 2;
    end.info.non_empty_lanes = 12;
    end.info.requests = STEPS;
    end.info.lanes_done = STEPS * 12;
    end.info.n_segments = end.info.most_segments = 4;
    end.info.n_threads = 3; /* as the spheres below */
    end.sphere = planted_spheres;
    return end;
}

void body_good(const dd_settings *s, dd_child *child)
{
    (void)s;
    good_steps(child, STEPS);
    dd_run_end end = good_end();
    dd_child_end(child, &end);
}

atomic_int forever;

__attribute__((noinline)) void spin_forever(void)
{
    while (!atomic_load_explicit(&forever, memory_order_relaxed))
        continue;
}

void body_spins(const dd_settings *s, dd_child *child)
{
    (void)s;
    dd_child_phase(child, DD_PHASE_STEP);
    good_steps(child, 2);
    spin_forever();
}

__attribute__((noinline)) static void write_through(int *p)
{
    *p = 1;
}

static int *_Atomic bad_pointer = (int *)16;

static void *faulty_worker(void *arg)
{
    write_through(atomic_load(&bad_pointer));
    return arg;
}

void body_faults(const dd_settings *s, dd_child *child)
{
    (void)s;
    dd_child_phase(child, DD_PHASE_STEP);
    pthread_t thread;
    pthread_create(&thread, NULL, faulty_worker, NULL);
    pthread_join(thread, NULL);
}

void body_refuses(const dd_settings *s, dd_child *child)
{
    (void)s;
    dd_child_refuse(child, DD_ERR_CPU, "this CPU has no AVX2");
}

void body_wrong_hash(const dd_settings *s, dd_child *child)
{
    (void)s;
    good_steps(child, STEPS);
    dd_run_end end = good_end();
    end.hash[31] = '0';
    dd_child_end(child, &end);
}

dd_settings settings_of(double stall_limit_s)
{
    dd_settings s;
    dd_settings_default(&s);
    s.steps = STEPS;
    s.stall_limit_s = stall_limit_s;
    return s;
}

void drop_handlers(void)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        signal(faults[i], SIG_DFL);
}
