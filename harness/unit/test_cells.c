/* SPDX-License-Identifier: MIT
 * The cell runner and the sweep, with planted children: each misbehaves in one way,
 * and the verdict must say so. */
#include "cell.h"
#include "cell_body.h"
#include "cell_child.h"
#include "checks.h"
#include "eventcount.h"
#include "platform.h"
#include "sweep_times.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include <cmocka.h>

#define STEPS 4
#define GOOD_HASH "0123456789abcdef0123456789abcdef"

/* ---- Planted children ---- */

static void good_steps(dd_child *child, unsigned n)
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

static dd_run_end good_end(void)
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

static void body_good(const dd_settings *s, dd_child *child)
{
    (void)s;
    good_steps(child, STEPS);
    dd_run_end end = good_end();
    dd_child_end(child, &end);
}

static atomic_int forever;

__attribute__((noinline)) static void spin_forever(void)
{
    while (!atomic_load_explicit(&forever, memory_order_relaxed))
        continue;
}

static void body_spins(const dd_settings *s, dd_child *child)
{
    (void)s;
    dd_child_phase(child, DD_PHASE_STEP);
    good_steps(child, 2);
    spin_forever();
}

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

static void body_faults(const dd_settings *s, dd_child *child)
{
    (void)s;
    dd_child_phase(child, DD_PHASE_STEP);
    pthread_t thread;
    pthread_create(&thread, NULL, faulty_worker, NULL);
    pthread_join(thread, NULL);
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

static void body_refuses(const dd_settings *s, dd_child *child)
{
    (void)s;
    dd_child_refuse(child, DD_ERR_CPU, "this CPU has no AVX2");
}

static void body_wrong_hash(const dd_settings *s, dd_child *child)
{
    (void)s;
    good_steps(child, STEPS);
    dd_run_end end = good_end();
    end.hash[31] = '0';
    dd_child_end(child, &end);
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

/* Seconds: what a child that is well may be kept from its core on a loaded machine. */
#define LIMIT 1.0

static dd_settings settings_of(double stall_limit_s)
{
    dd_settings s;
    dd_settings_default(&s);
    s.steps = STEPS;
    s.stall_limit_s = stall_limit_s;
    return s;
}

/* cmocka catches faults; a child of the product inherits no such handler. */
static void drop_handlers(void)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        signal(faults[i], SIG_DFL);
}

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

/* ---- Sweep ---- */

/* Chooses its part by the number of workers, which no check needs here. */
static void body_mixed(const dd_settings *s, dd_child *child)
{
    static dd_cell_body *const parts[] = {body_good,    body_spins,  body_wrong_hash,
                                          body_refuses, body_faults, body_good};
    parts[s->config.workers](s, child);
}

#define N_CELLS 6

static void make_scenario(dd_scenario *scenario, dd_scenario_cell *cells, uint32_t repeats)
{
    static char label[] = "planted";
    for (uint32_t i = 0; i < N_CELLS; i++) {
        cells[i] = (dd_scenario_cell){.settings = settings_of(LIMIT), .label = label};
        cells[i].settings.config.workers = i;
        cells[i].settings.repeats = repeats;
        cells[i].settings.shuffle = 0;
    }
    *scenario = (dd_scenario){
        .file = "planted", .name = "planted", .about = "", .n_cells = N_CELLS, .cells = cells};
}

static void test_sweep_goes_on(void **state)
{
    (void)state;
    static const dd_verdict expected[N_CELLS] = {DD_PASS, DD_HANG,  DD_FAIL,
                                                 DD_SKIP, DD_CRASH, DD_PASS};
    drop_handlers();
    dd_scenario scenario;
    dd_scenario_cell cells[N_CELLS];
    make_scenario(&scenario, cells, 2);
    dd_sweep *sweep = dd_sweep_open(&scenario);
    assert_non_null(sweep);
    assert_int_equal(sweep->n_oracles, 1);
    dd_sweep_options options = {.stop_fd = -1, .train = body_mixed, .serial = body_good};
    dd_sweep_run_all(sweep, &options);
    for (size_t i = 0; i < N_CELLS; i++) {
        if (sweep->cells[i].verdict != expected[i])
            fail_msg("cell %zu: %s", i, dd_verdict_name(sweep->cells[i].verdict));
        for (uint32_t r = 0; r < 2; r++)
            assert_int_equal(sweep->cells[i].repeats[r].verdict, expected[i]);
    }
    assert_false(sweep->interrupted);
    assert_int_equal(sweep->runs_done, sweep->runs_due);
    assert_int_equal(dd_sweep_verdict(sweep), DD_CRASH);
    dd_sweep_close(sweep);
}

/* What the first cell suffers on purpose, the oracle that it shares does not. */
static void test_oracle_is_left_alone(void **state)
{
    (void)state;
    dd_scenario scenario;
    dd_scenario_cell cells[N_CELLS];
    make_scenario(&scenario, cells, 1);
    cells[0].settings.plant = DD_PLANT_STRAY_WRITE;
    cells[0].settings.hog = 2;
    dd_sweep *sweep = dd_sweep_open(&scenario);
    assert_non_null(sweep);
    assert_int_equal(sweep->n_oracles, 1);
    assert_int_equal(sweep->oracles[0].settings.plant, DD_PLANT_NONE);
    assert_int_equal(sweep->oracles[0].settings.hog, 0);
    dd_sweep_close(sweep);
}

/* ---- Repeats ---- */

/* The runs of a sweep, in the order in which they ended. */
typedef struct diary {
    size_t n;
    dd_sweep_place place[256];
    int stop_fd;       /* raised after `stop_after` runs */
    size_t stop_after; /* 0: never */
} diary;

static void note(void *user, const dd_sweep *sweep, const dd_sweep_place *done)
{
    diary *d = user;
    const uint64_t one = 1;
    (void)sweep;
    if (!done)
        return;
    assert_true(d->n < 256);
    d->place[d->n++] = *done;
    if (d->n == d->stop_after)
        assert_int_equal(write(d->stop_fd, &one, sizeof one), sizeof one);
}

/* Children count themselves here. */
static _Atomic unsigned *n_children;

/* Steps of one worker take the same time in every run; of two, each run takes another time, half as
 * long again as the one before. */
static void body_timed(const dd_settings *s, dd_child *child)
{
    uint64_t ns = 1000;
    for (unsigned i = atomic_fetch_add(n_children, 1) % 16; i > 0 && s->config.workers == 2; i--)
        ns += ns / 2;
    for (unsigned i = 0; i < STEPS; i++) {
        dd_step step = {.step = i, .loss = 4 - 0.1 * i, .norm = 1, .wall_ns = ns};
        dd_child_step(child, &step);
    }
    dd_run_end end = good_end();
    dd_child_end(child, &end);
}

static void make_timed(dd_scenario *scenario, dd_scenario_cell *cells, size_t n)
{
    static char label[] = "timed";
    for (size_t i = 0; i < n; i++) {
        cells[i] = (dd_scenario_cell){.settings = settings_of(30), .label = label};
        cells[i].settings.config.workers = i % 2 ? 2 : 1;
        cells[i].settings.repeats = 3;
        cells[i].settings.interval = 0.01;
        cells[i].settings.repeats_max = 5;
    }
    *scenario = (dd_scenario){
        .file = "planted", .name = "planted", .about = "", .n_cells = n, .cells = cells};
}

static dd_sweep *run_timed(const dd_scenario *scenario, diary *d, bool untimeable)
{
    dd_sweep *sweep = dd_sweep_open(scenario);
    assert_non_null(sweep);
    sweep->untimeable = untimeable;
    dd_sweep_options options = {
        .stop_fd = -1, .train = body_timed, .serial = body_good, .on_run = note, .user = d};
    dd_sweep_run_all(sweep, &options);
    return sweep;
}

/* A steady cell is run no more than asked for, an unsteady one until its cap. */
static void test_repeats_until_narrow(void **state)
{
    (void)state;
    dd_scenario scenario;
    dd_scenario_cell cells[2];
    diary d = {0};
    make_timed(&scenario, cells, 2);
    dd_sweep *sweep = run_timed(&scenario, &d, false);
    assert_int_equal(sweep->cells[0].n_repeats, 3);
    assert_int_equal(dd_cell_end_get(sweep, &sweep->cells[0]), DD_CELL_NARROW);
    assert_int_equal(sweep->cells[1].n_repeats, 5);
    assert_int_equal(dd_cell_end_get(sweep, &sweep->cells[1]), DD_CELL_AT_MOST);
    assert_int_equal(sweep->runs_done, sweep->runs_due);
    assert_int_equal(sweep->runs_done, d.n);
    dd_sweep_close(sweep);

    cells[0].settings.minutes_max = cells[1].settings.minutes_max = 1e-9; /* over at once */
    d.n = 0;
    sweep = run_timed(&scenario, &d, false);
    assert_int_equal(sweep->cells[1].n_repeats, 3);
    assert_int_equal(dd_cell_end_get(sweep, &sweep->cells[1]), DD_CELL_LATE);
    assert_int_equal(dd_cell_end_get(sweep, &sweep->cells[0]), DD_CELL_NARROW);
    dd_sweep_close(sweep);

    cells[1].settings.minutes_max = 0; /* nor is a build timed whose times mean nothing */
    d.n = 0;
    sweep = run_timed(&scenario, &d, true);
    assert_int_equal(sweep->cells[1].n_repeats, 3);
    assert_int_equal(dd_cell_end_get(sweep, &sweep->cells[1]), DD_CELL_REPEATS);
    dd_sweep_close(sweep);
}

/* The k-th run of that round that is a cell's. */
static size_t cell_in_round(const diary *d, uint32_t repeat, size_t k)
{
    for (size_t i = 0; i < d->n; i++)
        if (!d->place[i].oracle && d->place[i].repeat == repeat && k-- == 0)
            return d->place[i].at;
    fail_msg("round %u has no such run", repeat);
    return 0;
}

/* Every round has every cell once, in an order of its own; the seed tells it; 0 is the file's. */
static void test_rounds_are_shuffled(void **state)
{
    (void)state;
    enum { N = 8 };
    dd_scenario scenario;
    dd_scenario_cell cells[N];
    diary d[3] = {0};
    make_timed(&scenario, cells, N);
    for (int way = 0; way < 3; way++) {
        for (size_t i = 0; i < N; i++) {
            cells[i].settings.shuffle = way == 2 ? 0 : 7;
            cells[i].settings.interval = 0;
        }
        dd_sweep_close(run_timed(&scenario, &d[way], false));
        assert_int_equal(d[way].n, 1 + 3 * N);
    }
    size_t alike = 0;
    for (uint32_t r = 0; r < 3; r++) {
        bool seen[N] = {false};
        for (size_t k = 0; k < N; k++) {
            const size_t at = cell_in_round(&d[0], r, k);
            assert_false(seen[at]);
            seen[at] = true;
            alike += at == k;
            assert_int_equal(cell_in_round(&d[1], r, k), at);
            assert_int_equal(cell_in_round(&d[2], r, k), k);
        }
        /* no round begins before the last has ended */
        assert_int_equal(d[0].place[1 + r * N].repeat, r);
    }
    assert_true(alike < N);
    assert_true(cell_in_round(&d[0], 0, 0) != cell_in_round(&d[0], 1, 0) ||
                cell_in_round(&d[0], 0, 1) != cell_in_round(&d[0], 1, 1));
}

/* Stopped after any run and gone on with, the same runs are made in the same order. */
static void test_goes_on(void **state)
{
    (void)state;
    dd_scenario scenario;
    dd_scenario_cell cells[4];
    make_timed(&scenario, cells, 4);
    for (size_t i = 0; i < 4; i++)
        cells[i].settings.config.workers = 1;
    diary whole = {0};
    dd_sweep_close(run_timed(&scenario, &whole, false));
    assert_int_equal(whole.n, 13);
    for (size_t stop = 1; stop < whole.n; stop++) {
        diary d = {.stop_fd = eventfd(0, EFD_CLOEXEC), .stop_after = stop};
        dd_sweep *sweep = dd_sweep_open(&scenario);
        assert_non_null(sweep);
        dd_sweep_options options = {.stop_fd = d.stop_fd,
                                    .train = body_timed,
                                    .serial = body_good,
                                    .on_run = note,
                                    .user = &d};
        dd_sweep_run_all(sweep, &options);
        assert_true(sweep->interrupted);
        assert_int_equal(d.n, stop);
        dd_sweep_judge(sweep); /* as a restored one is */
        options.stop_fd = -1;
        dd_sweep_run_all(sweep, &options);
        assert_int_equal(d.n, whole.n);
        for (size_t i = 0; i < whole.n; i++) {
            const dd_sweep_place *a = &d.place[i], *b = &whole.place[i];
            if (a->oracle != b->oracle || a->at != b->at || a->repeat != b->repeat)
                fail_msg("stopped after run %zu, run %zu is another", stop, i);
        }
        assert_false(sweep->interrupted);
        assert_int_equal(dd_sweep_verdict(sweep), DD_PASS);
        dd_sweep_close(sweep);
        close(d.stop_fd);
    }
}

static void raise_flag(void *user, const dd_sweep *sweep, const dd_sweep_place *done)
{
    (void)done;
    uint64_t one = 1;
    if (sweep->runs_done == 2) /* the oracle and the first cell */
        assert_int_equal(write(*(int *)user, &one, sizeof one), sizeof one);
}

static void test_sweep_interrupted(void **state)
{
    (void)state;
    dd_scenario scenario;
    dd_scenario_cell cells[N_CELLS];
    make_scenario(&scenario, cells, 1);
    dd_sweep *sweep = dd_sweep_open(&scenario);
    assert_non_null(sweep);
    int fd = eventfd(0, EFD_CLOEXEC);
    dd_sweep_options options = {
        .stop_fd = fd, .train = body_mixed, .serial = body_good, .on_run = raise_flag, .user = &fd};
    dd_sweep_run_all(sweep, &options);
    assert_true(sweep->interrupted);
    assert_int_equal(sweep->cells[0].verdict, DD_PASS);
    for (size_t i = 1; i < N_CELLS; i++) {
        assert_int_equal(sweep->cells[i].verdict, DD_SKIP);
        assert_string_equal(sweep->cells[i].repeats[0].check[0].reason, "interrupted");
    }
    dd_sweep_close(sweep);
    close(fd);
}

int main(void)
{
    n_children =
        mmap(NULL, sizeof *n_children, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (n_children == MAP_FAILED)
        return EXIT_FAILURE;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_hangs),
        cmocka_unit_test(test_stalled_is_named),
        cmocka_unit_test(test_slow_is_no_hang),
        cmocka_unit_test(test_crashes),
        cmocka_unit_test(test_liars),
        cmocka_unit_test(test_checks_fail),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_sweep_goes_on),
        cmocka_unit_test(test_oracle_is_left_alone),
        cmocka_unit_test(test_sweep_interrupted),
        cmocka_unit_test(test_repeats_until_narrow),
        cmocka_unit_test(test_rounds_are_shuffled),
        cmocka_unit_test(test_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
