/* SPDX-License-Identifier: MIT
 * The cell runner, with planted children: each misbehaves in one way, and the verdict must say
 * so. */
#include "cell.h"
#include "cell_child.h"
#include "checks.h"
#include "child_fixture.h"
#include "eventcount.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- Planted children ---- */

/* A process that is traced already cannot be attached to. */
static void body_denies(const dd_settings *s, dd_child *child)
{
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    body_spins(s, child);
}

static pthread_mutex_t never_unlocked = PTHREAD_MUTEX_INITIALIZER;

static void *blocked_worker(void *arg)
{
    pthread_mutex_lock(&never_unlocked);
    return arg;
}

static void body_blocks(const dd_settings *s, dd_child *child)
{
    (void)s;
    pthread_t thread;
    pthread_mutex_lock(&never_unlocked);
    pthread_create(&thread, NULL, blocked_worker, NULL);
    dd_child_phase(child, DD_PHASE_CLOSE);
    pthread_join(thread, NULL);
}

static _Atomic uint64_t slow_beats;

static uint64_t read_slow_beats(const void *source)
{
    (void)source;
    return atomic_load(&slow_beats);
}

/* One step of several stall limits, in which something moves all the time. */
static void body_is_slow(const dd_settings *s, dd_child *child)
{
    dd_child_phase(child, DD_PHASE_STEP);
    dd_child_watch(child, read_slow_beats, NULL, NULL);
    for (int i = 0; i < 24; i++) {
        usleep((useconds_t)(s->stall_limit_s * 1e6 / 12));
        atomic_fetch_add(&slow_beats, 1);
    }
    dd_child_watch(child, NULL, NULL, NULL);
    body_good(s, child);
}

/* Three spheres and a thread in the pool: all wait as trainers' threads do, but one, which is in a
 * lane that never ends. */
#define N_WAITERS 4
static _Atomic uint32_t waiter_tid[N_WAITERS];
static dd_eventcount never_advanced;

static void *waiter(void *arg)
{
    size_t i = (size_t)(uintptr_t)arg;
    atomic_store(&waiter_tid[i], (uint32_t)gettid());
    if (i == 2)
        spin_forever();
    dd_eventcount_await(&never_advanced, 0, 0);
    return NULL;
}

static uint64_t no_beat(const void *self)
{
    (void)self;
    return 1;
}

static bool tell_waiter(const void *self, uint32_t i, bool between_steps, dd_sphere_info *out)
{
    static const char *const spheres[N_WAITERS] = {"zero", "3.0", "3.11", "5"};
    (void)self, (void)between_steps;
    if (i >= N_WAITERS)
        return false;
    *out = (dd_sphere_info){.thread = i,
                            .at = DD_ACTIVITIES,
                            .tid = atomic_load(&waiter_tid[i]),
                            .control = i == 0,
                            .parked = i == 3,
                            .heartbeat = 50 + i,
                            .lanes_done = 10 + i};
    strcpy(out->sphere, spheres[i]);
    return true;
}

static void body_stalls(const dd_settings *s, dd_child *child)
{
    (void)s;
    pthread_t thread[N_WAITERS];
    dd_eventcount_init(&never_advanced, 0);
    for (size_t i = 0; i < N_WAITERS; i++)
        pthread_create(&thread[i], NULL, waiter, (void *)(uintptr_t)i);
    for (size_t i = 0; i < N_WAITERS; i++)
        while (!atomic_load(&waiter_tid[i]))
            continue;
    dd_child_phase(child, DD_PHASE_STEP);
    good_steps(child, 2);
    dd_child_watch(child, no_beat, tell_waiter, &forever);
    pthread_join(thread[0], NULL);
}

/* The same, but the lane has ended: a bell that nobody rings. */
static void body_deadlocks(const dd_settings *s, dd_child *child)
{
    atomic_store(&forever, 1);
    body_stalls(s, child);
}

/* No heartbeat and no step, but work: allowed while opening. */
static void body_opens_slowly(const dd_settings *s, dd_child *child)
{
    dd_child_phase(child, DD_PHASE_OPEN);
    clock_t end = clock() + (clock_t)(3 * s->stall_limit_s * CLOCKS_PER_SEC);
    while (clock() < end)
        continue;
    body_good(s, child);
}

static void body_aborts(const dd_settings *s, dd_child *child)
{
    (void)s;
    good_steps(child, 1);
    fprintf(stderr, "planted: an assertion failed\n");
    abort();
}

/* As somebody with a shell would. */
static void body_is_sent_a_fault(const dd_settings *s, dd_child *child)
{
    (void)s;
    good_steps(child, 1);
    const pid_t victim = getpid();
    if (fork() == 0) {
        kill(victim, SIGSEGV);
        _exit(0);
    }
    for (;;)
        pause();
}

static void body_is_killed(const dd_settings *s, dd_child *child)
{
    (void)s, (void)child;
    raise(SIGKILL);
}

static void body_leaves_early(const dd_settings *s, dd_child *child)
{
    (void)s;
    good_steps(child, 2);
    exit(0);
}

static void body_fails_late(const dd_settings *s, dd_child *child)
{
    body_good(s, child);
    exit(66);
}

static void *sleeps(void *arg)
{
    for (;;)
        pause();
    return arg;
}

static void body_leaks_thread(const dd_settings *s, dd_child *child)
{
    pthread_t thread;
    pthread_create(&thread, NULL, sleeps, NULL);
    pthread_setname_np(thread, "planted");
    body_good(s, child);
}

static void body_leaks_fd(const dd_settings *s, dd_child *child)
{
    (void)dup(STDERR_FILENO);
    body_good(s, child);
}

static void body_leaks_process(const dd_settings *s, dd_child *child)
{
    if (fork() == 0)
        for (;;)
            pause();
    body_good(s, child);
}

static void say(dd_child *child, const char *text)
{
    assert_int_equal(write(dd_child_results_fd(child), text, strlen(text)), strlen(text));
}

static void body_garbage(const dd_settings *s, dd_child *child)
{
    good_steps(child, 1);
    say(child, "{\"step\": [\x80\n");
    body_good(s, child);
}

/* Never ends its line, never stops, reports nothing. */
static void body_floods(const dd_settings *s, dd_child *child)
{
    (void)s;
    for (;;)
        say(child, "never ends ");
}

static void body_skips_a_step(const dd_settings *s, dd_child *child)
{
    (void)s;
    dd_child_step(child, &(dd_step){.step = 1, .loss = 1, .norm = 1});
}

static void body_wrong_loss(const dd_settings *s, dd_child *child)
{
    (void)s;
    for (unsigned i = 0; i < STEPS; i++) {
        double loss = 4 - 0.1 * i;
        dd_step step = {.step = i, .loss = i == 2 ? nextafter(loss, 9) : loss, .norm = 1};
        dd_child_step(child, &step);
    }
    dd_run_end end = good_end();
    dd_child_end(child, &end);
}

/* ---- Running them ---- */

static void run_body(dd_cell_body *body, double stall_limit_s, dd_run *run)
{
    drop_handlers();
    dd_settings s = settings_of(stall_limit_s);
    dd_cell_job job = {.settings = &s, .body = body, .stop_fd = -1};
    dd_cell_run(&job, run);
}

static void must_end(dd_cell_body *body, double stall_limit_s, dd_outcome outcome,
                     const char *reason, const char *log)
{
    dd_run run;
    run_body(body, stall_limit_s, &run);
    if (run.outcome != outcome || !strstr(run.reason, reason) ||
        (log && (!run.log || !strstr(run.log, log))))
        fail_msg("%s (\"%s\"), expected %s (\"%s\"); log, which should hold \"%s\":\n%s",
                 dd_outcome_name(run.outcome), run.reason, dd_outcome_name(outcome), reason,
                 log ? log : "", run.log ? run.log : "");
    dd_run_clear(&run);
}

static void test_good(void **state)
{
    (void)state;
    dd_run run;
    run_body(body_good, 5, &run);
    assert_string_equal(run.reason, "");
    assert_int_equal(run.outcome, DD_RUN_ENDED);
    assert_int_equal(run.n_steps, STEPS);
    assert_true(run.steps[3].loss == 4 - 0.1 * 3);
    assert_int_equal(run.steps[3].wall_ns, 1003);
    assert_string_equal(run.end.hash, GOOD_HASH);
    assert_int_equal(run.end.threads_left, 0);
    assert_int_equal(run.end.fds_left, 0);
    assert_int_equal(run.processes_left, 0);
    assert_null(run.log);
    dd_run_clear(&run);
}

static void test_hangs(void **state)
{
    (void)state;
    must_end(body_spins, LIMIT, DD_RUN_HANG, "no progress for 1 s in a step, after 2 steps",
             "spin_forever");
    must_end(body_denies, LIMIT, DD_RUN_HANG, "in a step", "stack denied: Operation not permitted");
    must_end(body_blocks, LIMIT, DD_RUN_HANG, "closing the trainer", "blocked_worker");
}

/* A stall's reason names the thread that the others wait for; its stack comes first. */
static void test_stalled_is_named(void **state)
{
    (void)state;
    dd_run run;
    run_body(body_stalls, LIMIT, &run);
    assert_int_equal(run.outcome, DD_RUN_HANG);
    const char *named =
        strstr(run.reason, "after 2 steps: standing still: worker 3.11 (thread 2, tid ");
    if (!named || !strstr(named, "running, ") || strstr(named, " 5 (") || strstr(named, "3.0") ||
        strstr(named, "zero"))
        fail_msg("not named: %s", run.reason);
    const char *first = strstr(run.log, "\nthread ");
    const char *second = first ? strstr(first + 1, "\nthread ") : NULL;
    const char *lane = strstr(run.log, "spin_forever");
    if (!second || !lane || lane < first || lane > second ||
        !strstr(first, "12 lanes done, heartbeat 52"))
        fail_msg("its stack does not come first:\n%s", run.log);
    assert_non_null(strstr(run.log, "control zero (thread 0, tid "));
    assert_non_null(strstr(run.log, "parked thread, last at 5 (thread 3, tid "));
    dd_run_clear(&run);
    must_end(body_deadlocks, LIMIT, DD_RUN_HANG, "after 2 steps: every thread waits for others",
             "dd_eventcount_");
}

static void test_slow_is_no_hang(void **state)
{
    (void)state;
    must_end(body_is_slow, LIMIT, DD_RUN_ENDED, "", NULL);
    must_end(body_opens_slowly, 0.5, DD_RUN_ENDED, "", NULL);
}

static void test_crashes(void **state)
{
    (void)state;
    must_end(body_faults, 10, DD_RUN_CRASH, "SIGSEGV at address 0x10", "write_through");
    must_end(body_aborts, 10, DD_RUN_CRASH, "SIGABRT", "planted: an assertion failed");
    must_end(body_aborts, 10, DD_RUN_CRASH, "SIGABRT", "body_aborts");
    must_end(body_is_sent_a_fault, 10, DD_RUN_CRASH, "SIGSEGV sent by process", "sent_a_fault");
    must_end(body_is_killed, 10, DD_RUN_CRASH, "killed by SIGKILL", NULL);
    must_end(body_leaves_early, 10, DD_RUN_CRASH, "left without its final record", NULL);
    must_end(body_fails_late, 10, DD_RUN_CRASH, "exit status 66 after its final record", NULL);
}

static void test_liars(void **state)
{
    (void)state;
    must_end(body_garbage, 10, DD_RUN_CRASH,
             "line 2 of its results cannot be believed: not a record", NULL);
    must_end(body_floods, 10, DD_RUN_CRASH, "no end in", NULL);
    must_end(body_skips_a_step, 10, DD_RUN_CRASH, "step 1 reported where step 0 was due", NULL);
}

static void must_judge(dd_cell_body *body, const char *name, dd_verdict verdict, const char *reason)
{
    dd_run run, oracle;
    dd_check_row row[DD_CHECKS_MAX];
    dd_settings s = settings_of(5);
    run_body(body, 5, &run);
    run_body(body_good, 5, &oracle);
    dd_verdict worst = dd_checks_judge(&s, &run, &oracle, NULL, row);
    size_t i = (size_t)(dd_check_named(name) - dd_checks(&(size_t){0}));
    if (row[i].verdict != verdict || worst != verdict || !strstr(row[i].reason, reason))
        fail_msg("%s: %s (\"%s\"), expected %s (\"%s\")", name, dd_verdict_name(row[i].verdict),
                 row[i].reason, dd_verdict_name(verdict), reason);
    dd_run_clear(&run);
    dd_run_clear(&oracle);
}

static void test_checks_fail(void **state)
{
    (void)state;
    must_judge(body_good, "serial-equivalence", DD_PASS, "");
    must_judge(body_leaks_thread, "clean-shutdown", DD_FAIL, "1 threads, 0 descriptors");
    must_judge(body_leaks_thread, "clean-shutdown", DD_FAIL, "thread \"planted\"");
    must_judge(body_leaks_fd, "clean-shutdown", DD_FAIL, "1 descriptors, 0 processes: fd ");
    must_judge(body_leaks_process, "clean-shutdown", DD_FAIL, "1 processes");
    must_judge(body_wrong_hash, "serial-equivalence", DD_FAIL, "all 4 losses agree");
    must_judge(body_wrong_loss, "serial-equivalence", DD_FAIL, "differs first at step 2");
    must_judge(body_refuses, "no-hang", DD_SKIP, "this CPU has no AVX2");
    must_judge(body_is_killed, "no-hang", DD_CRASH, "killed by SIGKILL");
}

static void test_interrupt(void **state)
{
    (void)state;
    dd_settings s = settings_of(30);
    int fd = eventfd(1, EFD_CLOEXEC);
    dd_run run;
    dd_cell_job job = {.settings = &s, .body = body_blocks, .stop_fd = fd};
    dd_cell_run(&job, &run);
    assert_int_equal(run.outcome, DD_RUN_NOT_RUN);
    assert_string_equal(run.reason, "interrupted");
    dd_run_clear(&run);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_hangs),
        cmocka_unit_test(test_stalled_is_named),
        cmocka_unit_test(test_slow_is_no_hang),
        cmocka_unit_test(test_crashes),
        cmocka_unit_test(test_liars),
        cmocka_unit_test(test_checks_fail),
        cmocka_unit_test(test_interrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
