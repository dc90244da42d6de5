/* SPDX-License-Identifier: MIT
 * The watchdog on real trainers: in a cell's child one thread, chosen by name, is made to do what
 * it must not, and the report has to name it, what it is at and what it has not done. Functions of
 * core/ are planted by the linker's --wrap; the product has none of it. */
#include "cell.h"
#include "cell_body.h"
#include "gpt2.h"
#include "mailbox.h"
#include "points.h"
#include "stall.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#define LIMIT_S 0.4
#define STEPS 6
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

/* ---- What is planted ---- */

typedef enum plant {
    NOTHING,
    LOOPS,         /* computes for ever */
    READS,         /* waits for data that nobody sends */
    SLOWS,         /* takes a third of the limit */
    SKIPS,         /* returns without having done anything */
    LOSES_WAKE_UP, /* advances, and wakes nobody */
    STOPS_PROCESS, /* the whole of it */
} plant;

/* Where: before the wrapped function's own work. */
typedef enum spot { LANE, ARRIVE, DESCEND, RELEASE, ADVANCE, POST, STEP } spot;

/* Set before the child is forked. */
static struct {
    spot at;
    plant what;
    const char *thread; /* its name; NULL: any */
    int call;           /* the how manieth of its calls to that spot, from 1; 0: every */
} planted;

static _Thread_local int calls;

__attribute__((noinline)) static void planted_loop(void)
{
    static atomic_int end;
    while (!atomic_load_explicit(&end, memory_order_relaxed))
        continue;
}

__attribute__((noinline)) static void planted_read(void)
{
    int ends[2];
    char byte;
    if (pipe(ends) == 0 && read(ends[0], &byte, 1) != 1)
        abort();
}

/* returns  what the caller is to do, if it is not done already */
static plant fall(spot at)
{
    char name[16];
    if (planted.what == NOTHING || at != planted.at)
        return NOTHING;
    pthread_getname_np(pthread_self(), name, sizeof name);
    if (planted.thread && strcmp(name, planted.thread) != 0)
        return NOTHING;
    if (planted.call && ++calls != planted.call)
        return NOTHING;
    if (planted.what == LOOPS)
        planted_loop();
    if (planted.what == READS)
        planted_read();
    if (planted.what == SLOWS)
        usleep((useconds_t)(LIMIT_S * 1e6 / 3));
    if (planted.what == STOPS_PROCESS)
        raise(SIGSTOP);
    return planted.what;
}

#define WRAPPED(result, name, ...)                                                                 \
    result __real_##name(__VA_ARGS__);                                                             \
    result __wrap_##name(__VA_ARGS__);                                                             \
    result __wrap_##name(__VA_ARGS__)

WRAPPED(void, dd_gpt2_gradient, const dd_model *model, dd_workspace *ws, const dd_lane *lane,
        dd_sink sink, dd_segment *out)
{
    fall(LANE);
    __real_dd_gpt2_gradient(model, ws, lane, sink, out);
}

WRAPPED(bool, dd_points_arrive, dd_points *p, uint32_t sphere, bool climb)
{
    return fall(ARRIVE) == SKIPS ? false : __real_dd_points_arrive(p, sphere, climb);
}

WRAPPED(void, dd_points_descend, dd_points *p, uint32_t sphere, uint32_t spins)
{
    __real_dd_points_descend(p, sphere, spins);
    fall(DESCEND);
}

WRAPPED(void, dd_points_release, dd_points *p, uint32_t sphere)
{
    if (fall(RELEASE) != SKIPS)
        __real_dd_points_release(p, sphere);
}

WRAPPED(void, dd_eventcount_advance, dd_eventcount *e)
{
    if (fall(ADVANCE) != LOSES_WAKE_UP) {
        __real_dd_eventcount_advance(e);
        return;
    }
    /* Whoever waits says so before falling asleep, which a moment later it has done. */
    while (!(dd_u32_load(&e->word, DD_RELAXED) & 1))
        usleep(1000);
    usleep(200000);
    dd_u32_store(&e->word, (dd_u32_load(&e->word, DD_RELAXED) | 1) + 1, DD_RELEASE);
}

WRAPPED(void, dd_mailbox_post, dd_mailbox *box, dd_mail *mail)
{
    if (fall(POST) != SKIPS)
        __real_dd_mailbox_post(box, mail);
}

WRAPPED(dd_status, dd_trainer_step, dd_trainer *t, dd_step *out, dd_error *error)
{
    fall(STEP);
    return __real_dd_trainer_step(t, out, error);
}

/* ---- Running ---- */

/* A trainer's settings, and what happens in its child. */
typedef struct stall {
    const char *barrier, *reduce, *workers, *depth;
    spot at;
    plant what;
    const char *thread;
    int call;
    const char *named[4];  /* what the reason must say, in this order */
    const char *not_named; /* and what not */
    const char *log;       /* what the first thread's part of the log must hold */
} stall;

static void run_planted(const stall *p, dd_run *run)
{
    char message[DD_MESSAGE_MAX];
    dd_settings s;
    const char *const given[][2] = {
        {"model", "L=1,NH=1,C=16,V=64,T=8"},
        {"batch", "12"},
        {"steps", TEXT(STEPS)},
        {"barrier", p->barrier},
        {"reduce", p->reduce},
        {"workers", p->workers},
        {"depth", p->depth},
        {"stall-limit", TEXT(LIMIT_S)},
    };
    dd_settings_default(&s);
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        if (!dd_settings_set(&s, given[i][0], given[i][1], message))
            fail_msg("%s", message);
    if (!dd_settings_finish(&s, message))
        fail_msg("%s", message);
    planted.at = p->at;
    planted.what = p->what;
    planted.thread = p->thread;
    planted.call = p->call;
    dd_cell_job job = {.settings = &s, .body = dd_cell_body_train, .stop_fd = -1};
    dd_cell_run(&job, run);
    planted.what = NOTHING;
}

/* The JSON holds as many threads as the process had, and says whom the sentence blames. */
static void check_json(const dd_run *run)
{
    json_t *json = run->stall ? json_loads(run->stall, 0, NULL) : NULL;
    assert_non_null(json);
    const char *sentence = json_string_value(json_object_get(json, "sentence"));
    assert_non_null(sentence);
    assert_non_null(strstr(run->reason, sentence));
    const json_t *threads = json_object_get(json, "threads");
    assert_true(json_array_size(threads) >= 4);
    for (size_t i = 0; i < json_array_size(threads); i++) {
        const json_t *t = json_array_get(threads, i);
        if (json_is_true(json_object_get(t, "blamed")) && json_object_get(t, "where"))
            assert_true(json_is_number(json_object_get(t, "for_s")));
    }
    json_decref(json);
}

static void must_name(const stall *p)
{
    dd_run run;
    run_planted(p, &run);
    const char *at = run.reason;
    bool ok = run.outcome == DD_RUN_HANG && run.log;
    for (size_t i = 0; ok && i < sizeof p->named / sizeof *p->named && p->named[i]; i++) {
        at = strstr(at, p->named[i]);
        ok = at != NULL;
    }
    ok = ok && !(p->not_named && strstr(run.reason, p->not_named));
    if (ok && p->log) {
        const char *first = strstr(run.log, "\nthread "), *found = strstr(run.log, p->log);
        const char *second = first ? strstr(first + 1, "\nthread ") : NULL;
        ok = first && second && found > first && found < second;
    }
    if (!ok)
        fail_msg("plant %d at %d, %s, %s, depth %s: %s: %s\n%s", (int)p->what, (int)p->at,
                 p->barrier, p->reduce, p->depth, dd_outcome_name(run.outcome), run.reason,
                 run.log ? run.log : "");
    print_message("  %s\n", run.reason);
    check_json(&run);
    dd_run_clear(&run);
}

/* ---- The stalls ---- */

/* Where a call is given: a worker's arrivals are B, U, B, U, …; Node Zero first calls each thread
 * from the pool, and then advances for A and the answer of each step, with `control` for V between.
 */
/* clang-format off */
static const stall in_a_lane[] = {
    {"tree", "tree", "3", "1", LANE, LOOPS, "dd-thread-2", 6,
     {"worker ", "(thread 2, ", "has not arrived at Point B of step 1: in lane ", "running"},
     "thread 1", "planted_loop"},
    {"pthread", "sliced", "3", "1", LANE, LOOPS, "dd-thread-3", 6,
     {"(thread 3, ", "has not arrived at Point B of step 1: in lane ", "others wait: "},
     "thread 1", "planted_loop"},
    {"tree", "control", "3", "2", LANE, READS, "dd-thread-4", 2,
     {"(thread 4, ", "has not arrived at Point B of step ", "in lane ", "asleep in read from"},
     "thread 3", "planted_read"},
};

static const stall never_arrives[] = {
    {"tree", "tree", "3", "1", ARRIVE, LOOPS, "dd-thread-1", 3,
     {"(thread 1, ", "has not arrived at Point B of step 1", "running"}, "thread 2", "planted_loop"},
    {"pthread", "tree", "3", "2", ARRIVE, LOOPS, "dd-thread-4", 3,
     {"(thread 4, ", "has not arrived at Point B of step 1", "running"}, "thread 3", "planted_loop"},
    {"tree", "tree", "3", "1", DESCEND, READS, "dd-thread-2", 2,
     {"(thread 2, ", "has not passed Point V of step 1", "asleep in read"}, "thread 1",
     "planted_read"},
    {"tree", "tree", "3", "2", ARRIVE, READS, "dd-thread-4", 4,
     {"(thread 4, ", "has not arrived at Point U of step 1", "asleep in read"}, "thread 3",
     "planted_read"},
    /* It goes on as if it had arrived. */
    {"tree", "control", "3", "1", ARRIVE, SKIPS, "dd-thread-2", 3,
     {"Node Zero (thread 0, ", "still waits at B of step 1 for its children", "lost"}, NULL,
     "dd_eventcount_await"},
    {"tree", "tree", "3", "1", ARRIVE, SKIPS, "dd-thread-2", 4,
     {"Node Zero (thread 0, ", "still waits at U of step 1 for its children", "lost"}, NULL,
     "dd_eventcount_await"},
    {"pthread", "tree", "3", "1", ARRIVE, SKIPS, "dd-thread-2", 3,
     {"(thread 2, ", "waits at V of step 1, past a point at which 3 others still wait",
      "it has not arrived there"}, "thread 1", "barrier_wait"},
};

static const stall controls[] = {
    {"tree", "tree", "3", "1", RELEASE, LOOPS, "dd-node-zero", 3,
     {"Node Zero (thread 0, ", "has not opened Point A of step 2", "running",
      "3 others wait: 3 at A"}, "worker", "planted_loop"},
    {"pthread", "tree", "3", "2", RELEASE, READS, "dd-node-zero", 5,
     {"Node Zero (thread 0, ", "has not opened Point A of step 2", "asleep in read"}, "worker",
     "planted_read"},
    {"tree", "tree", "4", "2", RELEASE, LOOPS, "dd-thread-1", 2,
     {"control 0 (thread 1, ", "has not let its children through Point A of step 1"}, "worker",
     "planted_loop"},
    {"tree", "tree", "4", "2", RELEASE, SKIPS, "dd-thread-1", 2,
     {"control 0 (thread 1, ", "has not let its children through: worker 0.",
      "waits at A of step 1"}, NULL, NULL},
    {"pthread", "tree", "4", "2", RELEASE, SKIPS, "dd-thread-1", 1,
     {"control 0 (thread 1, ", "has not let its children through: worker 0.",
      "waits at A of step 0"}, NULL, NULL},
};

static const stall callers[] = {
    {"tree", "tree", "3", "1", STEP, READS, NULL, 3,
     {"after 2 steps: nothing is asked: Node Zero waits for a request, and the caller, ",
      "posts none", "asleep in read from descriptor"}, "lost", "planted_read"},
    {"pthread", "sliced", "3", "2", STEP, LOOPS, NULL, 3,
     {"nothing is asked: ", "posts none", "running"}, "lost", "planted_loop"},
    {"tree", "tree", "3", "1", POST, SKIPS, NULL, 3,
     {"the caller, ", "waits for an answer and Node Zero for a request", "was lost"}, "posts none",
     "dd_mailbox_await"},
};

static const stall lost_wake_ups[] = {
    {"tree", "tree", "3", "1", ADVANCE, LOSES_WAKE_UP, "dd-node-zero", 2,
     {"lost wake-up: parked thread", "asleep in the pool"}, "Node Zero", "dd_eventcount_await"},
    {"tree", "tree", "3", "1", ADVANCE, LOSES_WAKE_UP, "dd-node-zero", 6,
     {"lost wake-up: worker ", "waits at A of step 1, asleep on the word at 0x",
      "which has moved on from"}, "Node Zero", "dd_eventcount_await"},
    {"tree", "tree", "3", "2", ADVANCE, LOSES_WAKE_UP, "dd-thread-1", 5,
     {"lost wake-up: worker 0.", "waits at A of step 1, asleep on the word at 0x"}, "Node Zero",
     "dd_eventcount_await"},
    {"tree", "control", "3", "1", ADVANCE, LOSES_WAKE_UP, "dd-node-zero", 5,
     {"lost wake-up: worker ", "waits at V of step 0"}, "thread 0", "dd_eventcount_await"},
    {"tree", "control", "3", "1", ADVANCE, LOSES_WAKE_UP, "dd-node-zero", 6,
     {"lost wake-up: thread ", "asleep on the word at 0x"}, "worker", "dd_mailbox_await"},
};

static const stall stopped[] = {
    {"tree", "tree", "3", "1", STEP, STOPS_PROCESS, NULL, 3,
     {"is stopped with all its ", "as by SIGSTOP", "none of them is to blame"}, "worker", NULL},
};
/* clang-format on */

typedef struct group {
    const stall *stall;
    size_t n;
} group;
#define GROUP(list)                                                                                \
    &(group)                                                                                       \
    {                                                                                              \
        list, sizeof list / sizeof *list                                                           \
    }

static void test_named(void **state)
{
    const group *g = *state;
    for (size_t i = 0; i < g->n; i++)
        must_name(&g->stall[i]);
}

/* Every lane takes a third of the limit, a step more than the limit, and nothing is wrong. */
static void test_slow(void **state)
{
    (void)state;
    static const stall slow = {.barrier = "tree",
                               .reduce = "tree",
                               .workers = "3",
                               .depth = "1",
                               .at = LANE,
                               .what = SLOWS,
                               .thread = "dd-thread-2"};
    dd_run run;
    run_planted(&slow, &run);
    if (run.outcome != DD_RUN_ENDED)
        fail_msg("%s: %s", dd_outcome_name(run.outcome), run.reason);
    assert_true(run.wall_ns > (uint64_t)(STEPS * 4 / 3.0 * LIMIT_S * 1e9));
    assert_null(run.stall);
    dd_run_clear(&run);
}

/* By hand, what no plant leaves alone: every worker at V, and nobody to come. */
static void test_all_wait(void **state)
{
    (void)state;
    dd_stall_thread threads[] = {
        {.sphere = "zero", .control = true, .at = DD_AT_U},
        {.sphere = "0", .control = true, .at = DD_AT_A},
        {.sphere = "0.0", .at = DD_AT_V},
        {.sphere = "0.4", .at = DD_AT_V},
        {.sphere = "8", .at = DD_AT_V},
        {.sphere = "3.1", .parked = true, .at = DD_AT_POOL},
    };
    const size_t n = sizeof threads / sizeof *threads;
    for (size_t i = 0; i < n; i++) {
        threads[i].seen.state = 'S';
        threads[i].number = (uint32_t)i;
        threads[i].told = threads[i].placed = true;
        threads[i].generation = 41;
    }
    dd_stall s = {.steps = 17, .climbs = true, .n = n, .thread = threads};
    dd_stall_explain(&s);
    assert_string_equal(
        s.sentence,
        "every thread waits and none is behind: an arrival at Point B of step 17 was lost, or the "
        "wake-up that the last one owes; 5 others wait: 1 at A, 3 at V, 1 at U");
    for (size_t i = 0; i < n; i++)
        assert_false(threads[i].blamed);
    /* Where Node Zero itself gives V, it has: they were not woken. */
    s.climbs = false;
    dd_stall_explain(&s);
    assert_non_null(strstr(s.sentence, "worker 0.0 (thread 2, tid 0) still waits at V of step 17, "
                                       "which 2 others have passed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"test_in_a_lane", test_named, NULL, NULL, GROUP(in_a_lane)},
        {"test_never_arrives", test_named, NULL, NULL, GROUP(never_arrives)},
        {"test_controls", test_named, NULL, NULL, GROUP(controls)},
        {"test_caller", test_named, NULL, NULL, GROUP(callers)},
        {"test_lost_wake_up", test_named, NULL, NULL, GROUP(lost_wake_ups)},
        {"test_stopped", test_named, NULL, NULL, GROUP(stopped)},
        cmocka_unit_test(test_slow),
        cmocka_unit_test(test_all_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
