/* SPDX-License-Identifier: MIT
 * The watchdog on real trainers: in a cell's child one thread, chosen by name, is made to do what
 * it must not, and the report has to name it, what it is at and what it has not done. Functions of
 * core/ are planted by the linker's --wrap; the product has none of it. */
#include "adamw.h"
#include "cell.h"
#include "cell_body.h"
#include "cell_child.h"
#include "folder_fixture.h"
#include "gradient_owner.h"
#include "guard.h"
#include "mailbox.h"
#include "points.h"
#include "queues.h"
#include "stall.h"
#include "subject.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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
    WRITES,        /* writes what nobody takes */
    SLOWS,         /* takes a third of the limit */
    SKIPS,         /* returns without having done anything */
    LOSES_WAKE_UP, /* advances, and wakes nobody */
    STOPS_PROCESS, /* the whole of it */
} plant;

/* Where: before the wrapped function's own work. */
typedef enum spot {
    LANE,
    STOLEN,  /* a lane that another worker was to run */
    COMBINE, /* in Node Zero's place after B */
    SLICE,
    UPDATE,
    ARRIVE,
    DESCEND,
    RELEASE,
    ADVANCE,
    POST,
    STEP,
    TURN, /* guard mode: Node Zero hands out rights */
    GAIN, /* guard mode: a worker takes the right to write */
    SAVE, /* of a checkpoint's file */
} spot;

/* Set before the child is forked. */
static struct {
    spot at;
    plant what;
    const char *thread; /* its name; NULL: any */
    int call;           /* the how manieth of its calls to that spot, from 1; 0: every */
} planted;

static _Thread_local int calls;

/* What the child tells the test of a theft. */
typedef struct theft {
    atomic_bool hangs; /* the thief, in a lane that it has stolen: */
    atomic_uint lane;
    atomic_uint victim; /* the worker whose lane it was */
} theft;

static theft *theft_page;
static _Thread_local bool has_stolen;
static _Thread_local int own_lanes;

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

__attribute__((noinline)) static void planted_write(void)
{
    int ends[2];
    static const char page[4096];
    if (pipe(ends) == 0)
        while (write(ends[1], page, sizeof page) > 0)
            continue;
}

static bool is_planted_thread(void)
{
    char name[16];
    pthread_getname_np(pthread_self(), name, sizeof name);
    return !planted.thread || strcmp(name, planted.thread) == 0;
}

/* returns  what the caller is to do, if it is not done already */
static plant fall(spot at)
{
    if (planted.what == NOTHING || at != planted.at || !is_planted_thread())
        return NOTHING;
    if (planted.call && ++calls != planted.call)
        return NOTHING;
    if (planted.what == LOOPS)
        planted_loop();
    if (planted.what == READS)
        planted_read();
    if (planted.what == WRITES)
        planted_write();
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

/* So that there is something to steal, all but the thief hold still in their first lane. */
static void begin_lane(void)
{
    fall(LANE);
    if (planted.what == NOTHING || planted.at != STOLEN)
        return;
    if (has_stolen) {
        atomic_store(&theft_page->hangs, true);
        fall(STOLEN);
    }
    if (!is_planted_thread() && own_lanes++ == 0)
        while (!atomic_load(&theft_page->hangs))
            sched_yield();
}

WRAPPED(void, dd_gpt2_gradient, const dd_model *model, dd_workspace *ws, const dd_lane *lane,
        dd_sink sink, dd_segment *out)
{
    begin_lane();
    __real_dd_gpt2_gradient(model, ws, lane, sink, out);
}

WRAPPED(void, dd_gpt2_input_gradients, const dd_model *model, dd_workspace *ws, const dd_lane *all,
        uint32_t first, const dd_layout *vectors, const uint32_t *sequences, uint32_t n_lanes,
        dd_segment *out)
{
    begin_lane();
    __real_dd_gpt2_input_gradients(model, ws, all, first, vectors, sequences, n_lanes, out);
}

WRAPPED(uint32_t, dd_queues_steal, dd_queues *q, uint32_t worker, const uint32_t **lanes,
        uint32_t *victim)
{
    const uint32_t n = __real_dd_queues_steal(q, worker, lanes, victim);
    if (n > 0 && planted.what != NOTHING && planted.at == STOLEN && is_planted_thread()) {
        atomic_store(&theft_page->lane, **lanes);
        atomic_store(&theft_page->victim, *victim);
        has_stolen = true;
    }
    return n;
}

WRAPPED(uint32_t, dd_combine_list, dd_combine *c, const dd_fold_pair **list, uint32_t *root)
{
    fall(COMBINE);
    return __real_dd_combine_list(c, list, root);
}

WRAPPED(bool, dd_combine_fold_control, dd_combine *c, uint32_t control, dd_folder *self,
        uint32_t *root)
{
    fall(COMBINE);
    return __real_dd_combine_fold_control(c, control, self, root);
}

WRAPPED(void, dd_owner_slice, const dd_batch_gradient *batch, const dd_fold_pair *pair, uint32_t n,
        uint32_t root, uint64_t first_block, uint64_t last_block, dd_owner_scratch *scratch,
        float *gradient, double *block_sums)
{
    fall(SLICE);
    __real_dd_owner_slice(batch, pair, n, root, first_block, last_block, scratch, gradient,
                          block_sums);
}

WRAPPED(void, dd_gradient_slice, const dd_kernels *kernels, const dd_layout *layout,
        const dd_fold_list *list, uint64_t first_block, uint64_t last_block,
        dd_slice_scratch *scratch, double *block_sums)
{
    fall(SLICE);
    __real_dd_gradient_slice(kernels, layout, list, first_block, last_block, scratch, block_sums);
}

WRAPPED(void, dd_adamw_slice, const dd_kernels *kernels, const dd_layout *layout,
        const dd_adamw *opt, uint64_t first, uint64_t last, float *weights, float *packed, float *m,
        float *v, const float *gradient)
{
    fall(UPDATE);
    __real_dd_adamw_slice(kernels, layout, opt, first, last, weights, packed, m, v, gradient);
}

WRAPPED(double, dd_guard_turn, dd_guard *g, const uint32_t *owner, uint32_t n, uint32_t n_workers)
{
    fall(TURN);
    return __real_dd_guard_turn(g, owner, n, n_workers);
}

WRAPPED(void, dd_guard_gain, dd_guard *g, uint32_t segment)
{
    fall(GAIN);
    __real_dd_guard_gain(g, segment);
}

WRAPPED(ssize_t, pwrite, int file, const void *bytes, size_t n, off_t at)
{
    fall(SAVE);
    return __real_pwrite(file, bytes, n, at);
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

/* set: a setting more, which is on, or NULL */
static void run_planted(const stall *p, const char *set, dd_cell_body *body, dd_run *run)
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
    if (set && !dd_settings_set(&s, set, "true", message))
        fail_msg("%s", message);
    if (!dd_settings_finish(&s, message))
        fail_msg("%s", message);
    planted.at = p->at;
    planted.what = p->what;
    planted.thread = p->thread;
    planted.call = p->call;
    dd_cell_job job = {.settings = &s, .body = body, .stop_fd = -1};
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

static void must_have_named(const stall *p, const dd_run *got)
{
    const dd_run run = *got;
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

/* 4,464 parameters are two blocks of a slice: of three workers the first has none. With slices a
 * worker's arrivals are B, B with its slice, U; its descents those to its slice and V; a control's
 * releases A, slices, V. */
static const stall slices[] = {
    {"tree", "owner", "3", "1", COMBINE, LOOPS, NULL, 2,
     {"worker ", "has not done Node Zero's part of the fold after Point B of step ", "running",
      "3 others wait: 2 at B, 1 at U"}, "verdict", "planted_loop"},
    {"pthread", "sliced", "3", "2", COMBINE, READS, "dd-node-zero", 2,
     {"Node Zero (thread 0, ", "has not done Node Zero's part of the fold after Point B of step 1",
      "asleep in read from", "4 others wait: 4 at B"}, "verdict", "planted_read"},
    {"tree", "control", "3", "1", COMBINE, LOOPS, "dd-node-zero", 2,
     {"Node Zero (thread 0, ", "has not done Node Zero's part of the fold after Point B of step 1",
      "running", "3 others wait: 3 at V"}, "verdict", "planted_loop"},
    {"tree", "owner", "3", "1", LANE, LOOPS, "dd-thread-1", 2,
     {"worker ", "(thread 1, ", "has not arrived at Point B of step 1: in lane ", "running"},
     "thread 2", "planted_loop"},
    {"tree", "owner", "3", "1", SLICE, LOOPS, "dd-thread-2", 2,
     {"worker ", "(thread 2, ", "has not done its slice between Points B and V of step 1",
      "running"}, "thread 3", "planted_loop"},
    {"pthread", "owner", "3", "2", SLICE, READS, "dd-thread-4", 2,
     {"worker ", "(thread 4, ", "has not done its slice between Points B and V of step 1",
      "asleep in read from"}, "thread 3", "planted_read"},
    {"tree", "sliced", "3", "2", SLICE, LOOPS, "dd-thread-3", 2,
     {"(thread 3, ", "has not done its slice between Points B and V of step 1", "running"},
     "thread 4", "planted_loop"},
    {"tree", "owner", "3", "2", UPDATE, LOOPS, "dd-thread-3", 2,
     {"(thread 3, ", "has not arrived at Point U of step 1", "running"}, "thread 4",
     "planted_loop"},
    {"pthread", "owner", "3", "1", UPDATE, READS, "dd-thread-2", 2,
     {"(thread 2, ", "has not arrived at Point U of step 1", "asleep in read from"}, "thread 3",
     "planted_read"},
};

static const stall slices_do_not_arrive[] = {
    {"tree", "owner", "3", "1", ARRIVE, LOOPS, "dd-thread-1", 4,
     {"(thread 1, ", "has not arrived at Point B of step 1", "running"}, "thread 2",
     "planted_loop"},
    {"tree", "owner", "3", "1", ARRIVE, LOOPS, "dd-thread-2", 5,
     {"(thread 2, ", "has not arrived with its slice between Points B and V of step 1", "running"},
     "thread 1", "planted_loop"},
    {"pthread", "owner", "3", "2", ARRIVE, READS, "dd-thread-4", 5,
     {"(thread 4, ", "has not arrived with its slice between Points B and V of step 1",
      "asleep in read"}, "thread 3", "planted_read"},
    {"pthread", "owner", "3", "2", ARRIVE, LOOPS, "dd-thread-1", 5,
     {"control 0 (thread 1, ",
      "has not arrived with its children's slices between Points B and V of step 1", "running"},
     "worker", "planted_loop"},
    {"tree", "owner", "3", "1", DESCEND, READS, "dd-thread-3", 3,
     {"(thread 3, ", "has not begun its slice between Points B and V of step 1", "asleep in read"},
     "thread 1", "planted_read"},
    {"tree", "owner", "3", "2", ARRIVE, LOOPS, "dd-thread-3", 6,
     {"(thread 3, ", "has not arrived at Point U of step 1", "running"}, "thread 2",
     "planted_loop"},
    /* It goes on as if it had arrived. */
    {"pthread", "owner", "3", "1", ARRIVE, SKIPS, "dd-thread-2", 5,
     {"(thread 2, ", "waits at V of step 1, past a point at which 3 others still wait",
      "it has not arrived there"}, "thread 1", "barrier_wait"},
    {"pthread", "owner", "3", "1", ARRIVE, SKIPS, "dd-thread-2", 4,
     {"(thread 2, ", "waits at B of step 1, past a point at which 3 others still wait",
      "it has not arrived there"}, "thread 1", "barrier_wait"},
    {"pthread", "owner", "4", "2", RELEASE, LOOPS, "dd-thread-1", 5,
     {"control 0 (thread 1, ", "has not let its children through to their slices of step 1"},
     "worker", "planted_loop"},
    {"pthread", "owner", "4", "2", RELEASE, SKIPS, "dd-thread-1", 5,
     {"control 0 (thread 1, ", "has not let its children through: worker 0.",
      "waits at B of step 1"}, NULL, NULL},
    {"pthread", "owner", "4", "2", RELEASE, READS, "dd-thread-1", 6,
     {"control 0 (thread 1, ", "has not let its children through Point V of step 1"}, "worker",
     "planted_read"},
};

/* Of the rights that lanes run with. */
static const stall guarded[] = {
    {"tree", "tree", "3", "1", LANE, LOOPS, "dd-thread-2", 6,
     {"(thread 2, ", "has not arrived at Point B of step 1: in lane ", "running"}, "thread 1",
     "planted_loop"},
    {"tree", "sliced", "3", "2", GAIN, READS, "dd-thread-4", 2,
     {"(thread 4, ", "has not arrived at Point B of step ", "in lane ", "asleep in read from"},
     "thread 3", "planted_read"},
    {"pthread", "control", "3", "1", TURN, LOOPS, "dd-node-zero", 2,
     {"Node Zero (thread 0, ", "has not opened Point A of step 1", "running",
      "3 others wait: 3 at A"}, "worker", "planted_loop"},
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
    const char *set;
    dd_cell_body *body;
} group;
#define GROUP_OF(list, set, body)                                                                  \
    &(group)                                                                                       \
    {                                                                                              \
        list, sizeof list / sizeof *list, set, body                                                \
    }
#define GROUP(list) GROUP_OF(list, NULL, dd_cell_body_train)

static void test_named(void **state)
{
    const group *g = *state;
    for (size_t i = 0; i < g->n; i++) {
        dd_run run;
        run_planted(&g->stall[i], g->set, g->body, &run);
        must_have_named(&g->stall[i], &run);
        dd_run_clear(&run);
    }
}

/* ---- Stolen lanes ---- */

/* clang-format off */
/* Who steals and hangs is to blame, not whose lane it was. */
static const stall thieves[] = {
    {"tree", "tree", "3", "1", STOLEN, LOOPS, "dd-thread-1", 0,
     {"worker ", "(thread 1, ", "has not arrived at Point B of step 0: in lane ", "running"},
     "; also", "planted_loop"},
    {"pthread", "owner", "3", "2", STOLEN, READS, "dd-thread-3", 0,
     {"worker ", "(thread 3, ", "has not arrived at Point B of step 0: in lane ",
      "asleep in read from"}, "; also", "planted_read"},
    {"tree", "owner", "3", "2", STOLEN, LOOPS, "dd-thread-4", 0,
     {"worker ", "(thread 4, ", "has not arrived at Point B of step 0: in lane ", "running"},
     "; also", "planted_loop"},
};
/* clang-format on */

static void test_thieves(void **state)
{
    (void)state;
    theft_page =
        mmap(NULL, sizeof *theft_page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(theft_page, MAP_FAILED);
    for (size_t i = 0; i < sizeof thieves / sizeof *thieves; i++) {
        dd_run run;
        memset(theft_page, 0, sizeof *theft_page);
        run_planted(&thieves[i], "steal", dd_cell_body_train, &run);
        must_have_named(&thieves[i], &run);
        assert_true(atomic_load(&theft_page->hangs));
        char lane[40];
        (void)snprintf(lane, sizeof lane, ": in lane %u for ", atomic_load(&theft_page->lane));
        assert_non_null(strstr(run.reason, lane));
        /* Workers are the last threads, in their order. */
        const unsigned first_worker = thieves[i].depth[0] == '1' ? 1 : 2;
        (void)snprintf(lane, sizeof lane, "(thread %u, ",
                       first_worker + atomic_load(&theft_page->victim));
        assert_null(strstr(run.reason, lane));
        dd_run_clear(&run);
    }
    munmap(theft_page, sizeof *theft_page);
}

/* ---- Checkpoints ---- */

static void check(dd_status st, const dd_error *error)
{
    if (st == DD_OK)
        return;
    fprintf(stderr, "planted body: %s\n", error->message);
    exit(1);
}

/* A training that is saved, and waited for: at its end, or in close. */
static void save(const dd_settings *s, dd_child *child, bool closing)
{
    const dd_subject_api *dodeca = dd_subject_get(DD_SUBJECT_DODECA, DD_PLANT_NONE);
    dd_data *data;
    void *self;
    dd_error error = {""};
    dd_step step;
    char used[DD_SPEC_MAX], note[DD_MESSAGE_MAX];
    dd_child_phase(child, DD_PHASE_OPEN);
    check(dd_settings_open_data(s, &data, used, note, &error), &error);
    check(dodeca->open(&s->config, data, &self, &error), &error);
    dd_child_phase(child, DD_PHASE_STEP);
    dd_child_watch(child, dodeca->heartbeat, dodeca->thread, self);
    for (int i = 0; i < 3; i++) {
        if (i == 2) /* the update copies what is saved, and the file is written beside */
            check(dd_trainer_save(self, one_file, 1, &error), &error);
        check(dodeca->step(self, &step, &error), &error);
        dd_child_step(child, &step);
    }
    if (!closing)
        check(dd_trainer_save_wait(self, &error), &error);
    dd_child_watch(child, NULL, NULL, NULL);
    dd_child_phase(child, DD_PHASE_CLOSE);
    dodeca->close(self);
    dd_data_close(data);
}

static void body_waits(const dd_settings *s, dd_child *child)
{
    save(s, child, false);
}

static void body_closes(const dd_settings *s, dd_child *child)
{
    save(s, child, true);
}

/* clang-format off */
static const stall savers[] = {
    {"tree", "owner", "3", "1", SAVE, WRITES, "dd-save", 1,
     {"in a step, after 3 steps: ", "the caller, thread ",
      "waits for the thread that writes a checkpoint: thread ",
      "\"dd-save\", asleep in write to descriptor "}, "posts none", "planted_write"},
    {"pthread", "tree", "3", "2", SAVE, LOOPS, "dd-save", 1,
     {"in a step, after 3 steps: ", "the caller, thread ",
      "waits for the thread that writes a checkpoint: thread ", "\"dd-save\", running"},
     "posts none", "planted_loop"},
};

static const stall savers_at_close[] = {
    {"tree", "owner", "3", "2", SAVE, WRITES, "dd-save", 2,
     {"closing the trainer, after 3 steps: ", "the caller, thread ",
      "waits for the thread that writes a checkpoint: thread ",
      "\"dd-save\", asleep in write to descriptor "}, "posts none", "planted_write"},
};
/* clang-format on */

/* ---- None ---- */

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
    run_planted(&slow, NULL, dd_cell_body_train, &run);
    if (run.outcome != DD_RUN_ENDED)
        fail_msg("%s: %s", dd_outcome_name(run.outcome), run.reason);
    assert_true(run.wall_ns > (uint64_t)(STEPS * 4 / 3.0 * LIMIT_S * 1e9));
    assert_null(run.stall);
    dd_run_clear(&run);
}

enum { BY_HAND = 6 };

/* Workers at the same point; the last to arrive at B acts for controls. */
static dd_stall by_hand(dd_stall_thread threads[BY_HAND], dd_activity at)
{
    const dd_stall_thread all[BY_HAND] = {
        {.sphere = "zero", .control = true, .at = DD_AT_U},
        {.sphere = "0", .control = true, .at = DD_AT_A},
        {.sphere = "0.0", .at = at},
        {.sphere = "0.4", .at = at},
        {.sphere = "8", .at = at},
        {.sphere = "3.1", .parked = true, .at = DD_AT_POOL},
    };
    for (size_t i = 0; i < BY_HAND; i++) {
        threads[i] = all[i];
        threads[i].seen.state = 'S';
        threads[i].number = (uint32_t)i;
        threads[i].told = threads[i].placed = true;
        threads[i].generation = 41;
    }
    return (dd_stall){.steps = 17, .climbs = true, .n = BY_HAND, .thread = threads};
}

/* Workers before and after their slices; one that was not let on, and nobody to come. */
static void test_all_wait_for_slices(void **state)
{
    (void)state;
    dd_stall_thread threads[BY_HAND];
    dd_stall s = by_hand(threads, DD_AT_B);
    threads[2].part = threads[4].part = DD_PART_FOLDED;
    threads[3].part = DD_PART_SLICES;
    dd_stall_explain(&s);
    assert_string_equal(s.sentence, "control 0 (thread 1, tid 0) has not let its children through: "
                                    "worker 0.4 (thread 3, tid 0) still waits at B of step 17, "
                                    "which 2 others have passed; 4 others wait: 1 at A, 2 after "
                                    "slices, 1 at U");
    s = by_hand(threads, DD_AT_B);
    for (size_t i = 2; i < 5; i++)
        threads[i].part = DD_PART_FOLDED;
    dd_stall_explain(&s);
    assert_non_null(strstr(s.sentence, "none is behind: an arrival with a slice between Points B "
                                       "and V of step 17 was lost"));
    s = by_hand(threads, DD_AT_B);
    dd_stall_explain(&s);
    assert_non_null(strstr(s.sentence, "none is behind: an arrival at Point B of step 17 was"));
}

/* By hand, what no plant leaves alone: every worker at V, and nobody to come. */
static void test_all_wait(void **state)
{
    (void)state;
    dd_stall_thread threads[BY_HAND];
    dd_stall s = by_hand(threads, DD_AT_V);
    dd_stall_explain(&s);
    assert_string_equal(
        s.sentence,
        "every thread waits and none is behind: an arrival at Point B of step 17 was lost, or the "
        "wake-up that the last one owes; 5 others wait: 1 at A, 3 at V, 1 at U");
    for (size_t i = 0; i < BY_HAND; i++)
        assert_false(threads[i].blamed);
    for (size_t i = 2; i < 5; i++)
        threads[i].part = DD_PART_FOLDED; /* they have done their slices */
    dd_stall_explain(&s);
    assert_non_null(strstr(s.sentence, "none is behind: an arrival with a slice between Points B "
                                       "and V of step 17 was lost"));
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
        {"test_slices", test_named, NULL, NULL, GROUP(slices)},
        {"test_slices_do_not_arrive", test_named, NULL, NULL, GROUP(slices_do_not_arrive)},
        {"test_guarded", test_named, NULL, NULL, GROUP_OF(guarded, "guard", dd_cell_body_train)},
        cmocka_unit_test(test_thieves),
        {"test_savers", test_named, make_folder, remove_folder, GROUP_OF(savers, NULL, body_waits)},
        {"test_savers_at_close", test_named, make_folder, remove_folder,
         GROUP_OF(savers_at_close, NULL, body_closes)},
        {"test_caller", test_named, NULL, NULL, GROUP(callers)},
        {"test_lost_wake_up", test_named, NULL, NULL, GROUP(lost_wake_ups)},
        {"test_stopped", test_named, NULL, NULL, GROUP(stopped)},
        cmocka_unit_test(test_slow),
        cmocka_unit_test(test_all_wait),
        cmocka_unit_test(test_all_wait_for_slices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
