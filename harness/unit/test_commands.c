/* SPDX-License-Identifier: MIT
 * core/control: the control process. The table of states and commands as such, every pair of it on
 * a live team, and commands from other threads at any moment of a step. An argument divides the
 * repetitions, for detectors. */
#define _GNU_SOURCE /* sched_yield, nanosleep, process clock */
#include "command_table.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "inside.h"
#include "platform.h"
#include "team_fixture.h"

/* ---- The table ---- */

static void test_table_is_whole(void **state)
{
    (void)state;
    for (int s = 0; s < DD_STATES; s++)
        for (int c = 0; c < DD_COMMANDS; c++) {
            const dd_rule rule = dd_command_rule((dd_state)s, (dd_command)c);
            assert_true(rule.legal == !rule.why);
            assert_true(rule.legal || strlen(rule.why) > 5);
            assert_true(strcmp(dd_state_name((dd_state)s), dd_command_name((dd_command)c)) != 0);
        }
}

/* What the words of the public header ask for, pair by pair: the state after it, or '-'. */
static void test_table_says_what_it_should(void **state)
{
    (void)state;
    static const char *const expected[DD_STATES] = {
        /* start stop pause resume start-epoch end-epoch checkpoint restore rebalance spawn
           terminate; i r p g(stopping) s */
        [DD_STATE_INITIALISING] = "rs--r-ii-ii", [DD_STATE_RUNNING] = "-sp-rrrrrrr",
        [DD_STATE_PAUSED] = "-s-rr-ppppp",       [DD_STATE_STOPPING] = "-s----g----",
        [DD_STATE_STOPPED] = "rs----sssss",
    };
    for (int s = 0; s < DD_STATES; s++)
        for (int c = 0; c < DD_COMMANDS; c++) {
            const dd_rule rule = dd_command_rule((dd_state)s, (dd_command)c);
            assert_int_equal(rule.legal ? "irpgs"[rule.next] : '-', expected[s][c]);
        }
}

/* ---- Threads that call ---- */

/* A call from another thread. */
typedef struct call {
    team_fixture *f;
    bool is_step;
    dd_command command;
    dd_place place;
    uint32_t n_children;
    dd_thread thread;
    dd_status status; /* when joined */
    dd_error error;
    uint64_t done_ns;
} call;

static void call_main(void *arg)
{
    call *c = arg;
    c->status = c->is_step
                    ? team_step(c->f)
                    : dd_team_command(c->f->team, c->command, c->place, c->n_children, &c->error);
    c->done_ns = dd_now_ns();
}

static void call_start(call *c)
{
    assert_int_equal(dd_thread_create(&c->thread, "caller", 0, call_main, c), 0);
}

/* ---- Every pair, on a live team ---- */

/* Two controls of two workers each. */
static void pair_open(team_fixture *f)
{
    team_fixture_open(f, 1, 12, 2, 4, (dd_team_options){.max_workers = 12});
    f->n_keeps = 1; /* there is something to go back to */
}

static call pair_call(team_fixture *f, dd_command command)
{
    call c = {.f = f, .command = command};
    c.place = team_place(command == DD_COMMAND_SPAWN ? "6.6" : "0");
    c.n_children = 3;
    return c;
}

static void assert_ruled(const call *c, dd_state state)
{
    const dd_rule rule = dd_command_rule(state, c->command);
    assert_int_equal(c->status, rule.legal ? DD_OK : DD_ERR_REFUSED);
    if (!rule.legal) {
        char expected[512];
        snprintf(expected, sizeof expected, "%s refused: %s", dd_command_name(c->command),
                 rule.why);
        assert_string_equal(c->error.message, expected);
    }
}

static void test_every_pair_but_stopping(void **state)
{
    (void)state;
    for (int s = 0; s < DD_STATES; s++)
        for (int c = 0; s != DD_STATE_STOPPING && c < DD_COMMANDS; c++) {
            team_fixture f;
            pair_open(&f);
            assert_int_equal(dd_team_state(f.team), DD_STATE_INITIALISING);
            if (s != DD_STATE_INITIALISING)
                team_good_step(&f);
            if (s == DD_STATE_PAUSED)
                assert_int_equal(team_command(&f, DD_COMMAND_PAUSE), DD_OK);
            if (s == DD_STATE_STOPPED)
                assert_int_equal(team_command(&f, DD_COMMAND_STOP), DD_OK);
            assert_int_equal(dd_team_state(f.team), s);

            call it = pair_call(&f, (dd_command)c);
            call_main(&it);
            assert_ruled(&it, (dd_state)s);
            const dd_rule rule = dd_command_rule((dd_state)s, (dd_command)c);
            const dd_state after = rule.legal ? rule.next : (dd_state)s;
            assert_int_equal(dd_team_state(f.team), after);

            dd_membership m;
            dd_team_membership(f.team, &m);
            const bool spawns = rule.legal && c == DD_COMMAND_SPAWN;
            const bool terminates = rule.legal && c == DD_COMMAND_TERMINATE;
            assert_int_equal(m.n_changes, spawns || terminates);
            assert_int_equal(m.hierarchy->n_workers, spawns ? 6 : terminates ? 3 : 4);
            assert_int_equal(f.n_keeps, 1 + (rule.legal && c == DD_COMMAND_CHECKPOINT));
            assert_int_equal(f.n_backs, rule.legal && c == DD_COMMAND_RESTORE);
            /* what a step makes of it */
            if (after == DD_STATE_PAUSED)
                assert_int_equal(team_command(&f, DD_COMMAND_RESUME), DD_OK);
            if (after == DD_STATE_STOPPED) {
                assert_int_equal(team_step(&f), DD_ERR_STOPPED);
                assert_int_equal(team_command(&f, DD_COMMAND_START), DD_OK);
            }
            team_good_step(&f);
            team_fixture_close(&f);
        }
}

/* Holds its lane until told to go on. */
typedef struct gate {
    dd_atomic_u32 inside, open;
} gate;

static void wait_in_lane_0(team_fixture *f, uint32_t worker, uint32_t lane)
{
    gate *g = f->arg;
    (void)worker;
    if (lane != 0)
        return;
    dd_u32_store(&g->inside, 1, DD_RELEASE);
    while (!dd_u32_load(&g->open, DD_ACQUIRE))
        sched_yield();
}

static void gate_init(gate *g, team_fixture *f)
{
    dd_u32_init(&g->inside, 0);
    dd_u32_init(&g->open, 0);
    f->arg = g;
    f->in_lane = wait_in_lane_0;
}

static void wait_for_mail(const team_fixture *f)
{
    while (!dd_u64_load(&f->team->mailbox.newest, DD_ACQUIRE))
        sched_yield();
}

static void test_every_pair_while_stopping(void **state)
{
    (void)state;
    for (int c = 0; c < DD_COMMANDS; c++) {
        team_fixture f;
        pair_open(&f);
        gate g;
        gate_init(&g, &f);
        /* the command comes during a step, before the stop */
        call step = {.f = &f, .is_step = true};
        call it = pair_call(&f, (dd_command)c), stop = pair_call(&f, DD_COMMAND_STOP);
        call_start(&step);
        while (!dd_u32_load(&g.inside, DD_ACQUIRE))
            sched_yield();
        call_start(&it);
        wait_for_mail(&f);
        call_start(&stop);
        while (dd_u32_load(&f.team->cancel, DD_RELAXED) / DD_STOP_ASKED <
               1 + (c == DD_COMMAND_STOP))
            sched_yield();
        assert_int_equal(dd_team_state(f.team), DD_STATE_STOPPING);
        dd_u32_store(&g.open, 1, DD_RELEASE);
        dd_thread_join(&step.thread);
        dd_thread_join(&it.thread);
        dd_thread_join(&stop.thread);
        assert_ruled(&it, DD_STATE_STOPPING);
        assert_int_equal(stop.status, DD_OK);
        assert_int_equal(step.status, DD_ERR_STOPPED);
        assert_int_equal(f.updates[0], 0);
        assert_int_equal(dd_team_state(f.team), DD_STATE_STOPPED);
        assert_int_equal(team_command(&f, DD_COMMAND_START), DD_OK);
        team_good_step(&f);
        team_fixture_close(&f);
        dd_u32_forget(&g.inside);
        dd_u32_forget(&g.open);
    }
}

static void test_commands_keep_their_order(void **state)
{
    (void)state;
    static const dd_command order[] = {DD_COMMAND_PAUSE, DD_COMMAND_RESUME, DD_COMMAND_CHECKPOINT,
                                       DD_COMMAND_STOP,  DD_COMMAND_START,  DD_COMMAND_PAUSE};
    enum { N = sizeof order / sizeof order[0] };
    team_fixture f;
    team_fixture_open(&f, 1, 12, 1, 2, (dd_team_options){0});
    gate g;
    gate_init(&g, &f);
    call step = {.f = &f, .is_step = true}, it[N];
    call_start(&step);
    while (!dd_u32_load(&g.inside, DD_ACQUIRE))
        sched_yield();
    for (uint32_t i = 0; i < N; i++) {
        const uint64_t newest = dd_u64_load(&f.team->mailbox.newest, DD_ACQUIRE);
        it[i] = (call){.f = &f, .command = order[i]};
        call_start(&it[i]);
        while (dd_u64_load(&f.team->mailbox.newest, DD_ACQUIRE) == newest)
            sched_yield();
    }
    dd_u32_store(&g.open, 1, DD_RELEASE);
    dd_thread_join(&step.thread);
    for (uint32_t i = 0; i < N; i++)
        dd_thread_join(&it[i].thread);
    assert_int_equal(step.status, DD_ERR_STOPPED);
    /* pause and resume stood before the stop: refused, for nothing may delay it */
    for (uint32_t i = 0; i < N; i++)
        assert_int_equal(it[i].status, i < 2 ? DD_ERR_REFUSED : DD_OK);
    assert_int_equal(dd_team_state(f.team), DD_STATE_PAUSED);
    assert_int_equal(f.n_keeps, 1);
    team_fixture_close(&f);
}

/* ---- Stop ---- */

static void hold_checkpoint(team_fixture *f)
{
    gate *g = f->arg;
    dd_u32_store(&g->inside, 1, DD_RELEASE);
    while (!dd_u32_load(&g->open, DD_ACQUIRE))
        sched_yield();
}

/* It comes while another command is carried out, which must not undo it. */
static void test_stop_inside_a_checkpoint(void **state)
{
    (void)state;
    team_fixture f;
    team_fixture_open(&f, 1, 12, 1, 2, (dd_team_options){0});
    team_good_step(&f);
    gate g;
    gate_init(&g, &f);
    f.in_lane = NULL;
    f.in_keep = hold_checkpoint;
    call keep = {.f = &f, .command = DD_COMMAND_CHECKPOINT};
    call stop = {.f = &f, .command = DD_COMMAND_STOP};
    call_start(&keep);
    while (!dd_u32_load(&g.inside, DD_ACQUIRE))
        sched_yield();
    call_start(&stop);
    while (dd_team_state(f.team) != DD_STATE_STOPPING)
        sched_yield();
    dd_u32_store(&g.open, 1, DD_RELEASE);
    dd_thread_join(&keep.thread);
    dd_thread_join(&stop.thread);
    assert_int_equal(keep.status, DD_OK);
    assert_int_equal(stop.status, DD_OK);
    assert_int_equal(dd_team_state(f.team), DD_STATE_STOPPED);
    assert_int_equal(team_step(&f), DD_ERR_STOPPED);
    assert_int_equal(team_command(&f, DD_COMMAND_START), DD_OK);
    team_good_step(&f);
    team_fixture_close(&f);
    dd_u32_forget(&g.inside);
    dd_u32_forget(&g.open);
}

enum { LANE_NS = 20000000 };

static void long_lane(team_fixture *f, uint32_t worker, uint32_t lane)
{
    (void)worker;
    (void)lane;
    dd_u32_store(&((gate *)f->arg)->inside, 1, DD_RELEASE);
    nanosleep(&(struct timespec){.tv_nsec = LANE_NS}, NULL);
}

static void test_stop_is_prompt(void **state)
{
    (void)state;
    for (int depth = 1; depth <= 2; depth++) {
        team_fixture f;
        team_fixture_open(&f, 1, 12, (uint32_t)depth, 2, (dd_team_options){0});
        gate g;
        gate_init(&g, &f);
        f.in_lane = long_lane;
        call step = {.f = &f, .is_step = true};
        call_start(&step);
        while (!dd_u32_load(&g.inside, DD_ACQUIRE))
            sched_yield();
        const uint64_t start_ns = dd_now_ns();
        assert_int_equal(team_command(&f, DD_COMMAND_STOP), DD_OK);
        const uint64_t took_ns = dd_now_ns() - start_ns;
        dd_thread_join(&step.thread);
        assert_int_equal(step.status, DD_ERR_STOPPED);
        assert_true(took_ns < LANE_NS + UINT64_C(100000000));
        assert_in_range(team_totals(&f).lanes_done, 1, 4); /* of 12: those begun, one may follow */
        assert_int_equal(f.updates[0], 0);
        team_fixture_close(&f);
    }
}

static void test_stop_from_any_state(void **state)
{
    (void)state;
    team_fixture f;
    team_fixture_open(&f, 1, 12, 1, 3, (dd_team_options){0});
    assert_int_equal(team_command(&f, DD_COMMAND_STOP), DD_OK); /* initialising */
    assert_int_equal(dd_team_state(f.team), DD_STATE_STOPPED);
    assert_int_equal(team_command(&f, DD_COMMAND_STOP), DD_OK); /* stopped */
    assert_int_equal(dd_team_request(f.team, DD_TEAM_EACH, NULL, NULL), DD_ERR_STOPPED);
    assert_int_equal(dd_team_requests(f.team), 0);
    assert_int_equal(team_command(&f, DD_COMMAND_START), DD_OK);
    team_good_step(&f);
    /* paused, with a step that waits */
    assert_int_equal(team_command(&f, DD_COMMAND_PAUSE), DD_OK);
    call step = {.f = &f, .is_step = true};
    call_start(&step);
    assert_int_equal(team_command(&f, DD_COMMAND_STOP), DD_OK);
    dd_thread_join(&step.thread);
    assert_int_equal(step.status, DD_ERR_STOPPED);
    assert_int_equal(f.begins, 1);
    assert_int_equal(team_command(&f, DD_COMMAND_START), DD_OK);
    team_good_step(&f);
    team_fixture_close(&f);
}

/* A step that both a cancel and a stop end answers the cancel; nothing of it is left over. */
static void stop_and_cancel(team_fixture *f, uint32_t worker, uint32_t lane)
{
    (void)worker;
    if (lane == 3)
        dd_team_cancel(f->team);
}

static void test_cancel_beside_a_stop(void **state)
{
    (void)state;
    team_fixture f;
    team_fixture_open(&f, 1, 12, 1, 1, (dd_team_options){0});
    f.in_lane = stop_and_cancel;
    assert_int_equal(team_step(&f), DD_ERR_CANCELLED);
    f.in_lane = NULL;
    assert_int_equal(team_command(&f, DD_COMMAND_STOP), DD_OK);
    dd_team_cancel(f.team); /* asked while stopped: stands until a request is cancelled */
    assert_int_equal(team_step(&f), DD_ERR_STOPPED);
    assert_int_equal(team_command(&f, DD_COMMAND_START), DD_OK);
    assert_int_equal(team_step(&f), DD_ERR_CANCELLED);
    team_good_step(&f);
    team_fixture_close(&f);
}

/* ---- Pause ---- */

static uint64_t process_cpu_ns(void)
{
    struct timespec t;
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void test_pause_holds_without_spinning(void **state)
{
    (void)state;
    for (int k = 0; k < 4; k++) {
        team_fixture f;
        team_fixture_open(&f, 1, 12, k < 2 ? 1 : 2, 4,
                          (dd_team_options){.barrier = (dd_barrier)(k % 2), .cores = 64});
        team_good_step(&f);
        assert_int_equal(team_command(&f, DD_COMMAND_PAUSE), DD_OK);
        call step = {.f = &f, .is_step = true};
        call_start(&step);
        nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL); /* let all fall asleep */
        const uint64_t cpu_ns = process_cpu_ns(), beats = dd_team_heartbeat(f.team);
        nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
        if (divisor == 1) /* under a race detector the time is the detector's */
            assert_true(process_cpu_ns() - cpu_ns < 10000000);
        assert_int_equal(dd_team_heartbeat(f.team), beats);
        assert_int_equal(f.begins, 1);
        assert_int_equal(dd_team_state(f.team), DD_STATE_PAUSED);
        assert_int_equal(team_command(&f, DD_COMMAND_RESUME), DD_OK);
        dd_thread_join(&step.thread);
        assert_int_equal(step.status, DD_OK);
        team_good_step(&f);
        team_fixture_close(&f);
    }
}

static void test_cancel_ends_a_held_step(void **state)
{
    (void)state;
    team_fixture f;
    team_fixture_open(&f, 1, 12, 1, 2, (dd_team_options){0});
    team_good_step(&f);
    assert_int_equal(team_command(&f, DD_COMMAND_PAUSE), DD_OK);
    call step = {.f = &f, .is_step = true};
    call_start(&step);
    dd_team_cancel(f.team);
    dd_thread_join(&step.thread);
    assert_int_equal(step.status, DD_ERR_CANCELLED);
    assert_int_equal(f.begins, 1);
    assert_int_equal(dd_team_state(f.team), DD_STATE_PAUSED);
    assert_int_equal(team_command(&f, DD_COMMAND_RESUME), DD_OK);
    team_good_step(&f);
    team_fixture_close(&f);
}

/* ---- Epochs ---- */

static void test_epochs(void **state)
{
    (void)state;
    team_fixture f;
    team_fixture_open(&f, 1, 12, 1, 2, (dd_team_options){0});
    /* an epoch's end does nothing by itself */
    f.epoch_ends = true;
    team_good_step(&f);
    assert_int_equal(dd_team_state(f.team), DD_STATE_RUNNING);
    /* start-epoch at the boundary: the epoch that the next step begins */
    assert_int_equal(team_command(&f, DD_COMMAND_START_EPOCH), DD_OK);
    assert_int_equal(dd_team_state(f.team), DD_STATE_RUNNING);
    f.epoch_ends = false;
    team_good_step(&f);
    assert_int_equal(dd_team_state(f.team), DD_STATE_RUNNING);
    f.epoch_ends = true;
    team_good_step(&f);
    assert_int_equal(dd_team_state(f.team), DD_STATE_PAUSED);
    /* from there to the end of the next */
    assert_int_equal(team_command(&f, DD_COMMAND_START_EPOCH), DD_OK);
    team_good_step(&f);
    assert_int_equal(dd_team_state(f.team), DD_STATE_PAUSED);
    /* end-epoch in the middle of one */
    assert_int_equal(team_command(&f, DD_COMMAND_RESUME), DD_OK);
    f.epoch_ends = false;
    team_good_step(&f);
    assert_int_equal(team_command(&f, DD_COMMAND_END_EPOCH), DD_OK);
    team_good_step(&f);
    assert_int_equal(dd_team_state(f.team), DD_STATE_RUNNING);
    f.epoch_ends = true;
    team_good_step(&f);
    assert_int_equal(dd_team_state(f.team), DD_STATE_PAUSED);
    /* end-epoch when the last step of one is over: at once */
    assert_int_equal(team_command(&f, DD_COMMAND_RESUME), DD_OK);
    team_good_step(&f);
    assert_int_equal(dd_team_state(f.team), DD_STATE_RUNNING);
    assert_int_equal(team_command(&f, DD_COMMAND_END_EPOCH), DD_OK);
    assert_int_equal(dd_team_state(f.team), DD_STATE_PAUSED);
    /* a stop forgets it */
    assert_int_equal(team_command(&f, DD_COMMAND_START_EPOCH), DD_OK);
    assert_int_equal(team_command(&f, DD_COMMAND_STOP), DD_OK);
    assert_int_equal(team_command(&f, DD_COMMAND_START), DD_OK);
    team_good_step(&f);
    assert_int_equal(dd_team_state(f.team), DD_STATE_RUNNING);
    team_fixture_close(&f);
}

/* ---- Anything at any time ---- */

typedef struct commander {
    team_fixture *f;
    dd_atomic_u32 *stop;
    dd_thread thread;
    uint32_t seed;
    bool guardian; /* only lets steps go on, so that none waits for ever */
    uint32_t n_done, n_refused;
} commander;

static void commander_main(void *arg)
{
    commander *c = arg;
    while (!dd_u32_load(c->stop, DD_ACQUIRE)) {
        c->seed = c->seed * 1664525u + 1013904223u;
        for (uint32_t n = c->seed >> 24 & 63; n; n--)
            sched_yield();
        const uint32_t pick = c->seed >> 8;
        if (pick % 16 == 15 && !c->guardian) {
            dd_team_cancel(c->f->team);
            continue;
        }
        const dd_command command = c->guardian ? (pick % 2 ? DD_COMMAND_RESUME : DD_COMMAND_START)
                                               : (dd_command)(pick % DD_COMMANDS);
        /* any sphere of levels 1 and 2, most of which are not there */
        const uint32_t at = pick >> 8 & 3;
        const dd_place place = at < 2 ? (dd_place){1, at * 6} : (dd_place){2, (at - 2) * 72};
        dd_error error = {{0}};
        dd_status st = dd_team_command(c->f->team, command, place, 1 + pick % 4, &error);
        assert_true(st == DD_OK || st == DD_ERR_REFUSED);
        assert_int_equal(st == DD_OK, error.message[0] == '\0');
        ++*(st == DD_OK ? &c->n_done : &c->n_refused);
        (void)dd_team_state(c->f->team);
        (void)team_totals(c->f);
    }
}

static void commands_at_random(dd_team_options options)
{
    enum { COMMANDERS = 4 };
    options.max_workers = 10;
    team_fixture f;
    team_fixture_open(&f, 1, 12, 1, 2, options);
    dd_atomic_u32 stop;
    dd_u32_init(&stop, 0);
    commander c[COMMANDERS];
    for (uint32_t i = 0; i < COMMANDERS; i++) {
        c[i] = (commander){.f = &f, .stop = &stop, .seed = 77 * i, .guardian = i == 0};
        assert_int_equal(dd_thread_create(&c[i].thread, "commander", 0, commander_main, &c[i]), 0);
    }
    uint32_t n_ok = 0;
    for (uint32_t i = 0; i < 400 / divisor + 20 || n_ok < 3; i++) {
        f.epoch_ends = i % 7 == 0;
        const uint32_t updates = f.updates[0];
        const uint64_t requests = dd_team_requests(f.team);
        const dd_status st = team_step(&f);
        assert_true(st == DD_OK || st == DD_ERR_CANCELLED || st == DD_ERR_STOPPED);
        n_ok += st == DD_OK;
        for (uint32_t b = 0; b < FIXTURE_BLOCKS; b++)
            assert_int_equal(f.updates[b] - updates, st == DD_OK);
        assert_true(st != DD_OK || f.decided == f.expected);
        assert_true(dd_team_requests(f.team) - requests <= 1);
    }
    dd_u32_store(&stop, 1, DD_RELEASE);
    uint32_t n_done = 0;
    for (uint32_t i = 0; i < COMMANDERS; i++) {
        dd_thread_join(&c[i].thread);
        n_done += c[i].n_done;
    }
    dd_u32_forget(&stop);
    assert_true(n_done > 0);
    const dd_thread_report sum = team_totals(&f);
    assert_int_equal(sum.lanes_done + sum.lanes_cancelled, dd_team_requests(f.team) * f.n_lanes);
    team_fixture_close(&f);
}

static void test_commands_at_random_moments(void **state)
{
    (void)state;
    for (int k = 0; k<16; k += divisor> 1 ? 7 : 1)
        commands_at_random((dd_team_options){
            .barrier = (dd_barrier)(k % 2), .reduce = (dd_reduce)(k / 2 % 4), .stealing = k >= 8});
}

int main(int argc, char **argv)
{
    divisor = argc > 1 ? (uint32_t)atoi(argv[1]) : 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_whole),
        cmocka_unit_test(test_table_says_what_it_should),
        cmocka_unit_test(test_every_pair_but_stopping),
        cmocka_unit_test(test_every_pair_while_stopping),
        cmocka_unit_test(test_commands_keep_their_order),
        cmocka_unit_test(test_stop_inside_a_checkpoint),
        cmocka_unit_test(test_stop_is_prompt),
        cmocka_unit_test(test_stop_from_any_state),
        cmocka_unit_test(test_cancel_beside_a_stop),
        cmocka_unit_test(test_pause_holds_without_spinning),
        cmocka_unit_test(test_cancel_ends_a_held_step),
        cmocka_unit_test(test_epochs),
        cmocka_unit_test(test_commands_at_random_moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
