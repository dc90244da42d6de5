/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* opendir, sched_yield */
#include "team_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "platform.h"

uint32_t divisor = 1;

/* ---- Thread creation that fails on demand ---- */

int __real_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int __wrap_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
uint32_t creations_left = UINT32_MAX;

int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *arg)
{
    if (creations_left != UINT32_MAX && creations_left-- == 0)
        return EAGAIN;
    return __real_pthread_create(id, attributes, run, arg);
}

uint32_t entries(const char *path)
{
    DIR *directory = opendir(path);
    assert_non_null(directory);
    uint32_t n = 0;
    while (readdir(directory))
        n++;
    closedir(directory);
    return n;
}

void assert_threads(uint32_t n)
{
    /* a joined thread leaves /proc a moment after its join */
    uint64_t give_up_ns = dd_now_ns() + UINT64_C(10000000000);
    while (entries("/proc/self/task") != n && dd_now_ns() < give_up_ns)
        sched_yield();
    assert_int_equal(entries("/proc/self/task"), n);
}

/* ---- Gradients ---- */

static uint64_t lane_value(uint32_t lane)
{
    return (lane + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

/* Neither commutative nor associative; never 0 in practice. */
static uint64_t sum(uint64_t left, uint64_t right)
{
    uint64_t h = (left ^ (left >> 29)) * UINT64_C(0xbf58476d1ce4e5b9) + right;
    return (h ^ (h >> 32)) * UINT64_C(0x94d049bb133111eb) + 1;
}

static uint64_t join(uint64_t left, uint64_t right)
{
    return !left ? right : !right ? left : sum(left, right);
}

/* NUMERICS 7: the fold of a sphere of 12^level lanes from `first` on; 0: all are empty. */
static uint64_t fold_of(const team_fixture *f, uint32_t level, uint32_t first)
{
    if (level == 0)
        return f->weight[first] ? lane_value(first) : 0;
    uint64_t triangle[4] = {0};
    for (uint32_t p = 0; p < DD_POSITIONS; p++)
        triangle[p / 3] =
            join(triangle[p / 3], fold_of(f, level - 1, first + p * dd_power_of_12(level - 1)));
    return join(join(triangle[0], triangle[1]), join(triangle[2], triangle[3]));
}

/* ---- The work ---- */

static void work_begin(void *user, dd_request request)
{
    team_fixture *f = user;
    assert_int_equal(f->begins + f->each_begins, f->ends);
    *(request == DD_TEAM_STEP ? &f->begins : &f->each_begins) += 1;
    f->request = request;
    f->root_thread = UINT32_MAX;
}

static void work_end(void *user, dd_request request)
{
    team_fixture *f = user;
    assert_int_equal(request, f->request);
    f->ends++;
    assert_int_equal(f->begins + f->each_begins, f->ends);
}

static void work_lane(void *user, uint32_t worker, uint32_t lane, uint32_t n_lanes,
                      uint32_t segment, bool fold)
{
    team_fixture *f = user;
    assert_true(n_lanes == 1 || (f->options.reduce == DD_REDUCE_OWNER && !f->options.stealing));
    assert_false(fold && f->options.reduce == DD_REDUCE_OWNER);
    for (; n_lanes > 0; lane++) {
        if (!f->weight[lane])
            continue;
        if (f->in_lane)
            f->in_lane(f, worker, lane);
        f->lane_runs[lane]++;
        f->segment[segment] = fold ? sum(f->segment[segment], lane_value(lane)) : lane_value(lane);
        segment++;
        n_lanes--;
    }
}

static void work_fold(void *user, uint32_t thread, uint32_t into, uint32_t from)
{
    team_fixture *f = user;
    (void)thread;
    assert_int_not_equal(f->options.reduce, DD_REDUCE_OWNER);
    f->segment[into] = sum(f->segment[into], f->segment[from]);
    f->segment[from] = 0;
}

static void work_root(void *user, uint32_t thread, uint32_t segment)
{
    team_fixture *f = user;
    f->roots++;
    f->root_thread = thread;
    f->root = f->segment[segment];
}

static void work_slice(void *user, uint32_t worker, const dd_fold_pair *list, uint32_t n,
                       uint32_t root, uint64_t first, uint64_t last)
{
    team_fixture *f = user;
    (void)worker;
    if (first == last)
        return;
    const size_t bytes = f->n_segments * sizeof *f->segment;
    uint64_t *value = malloc(bytes);
    assert_non_null(value);
    memcpy(value, f->segment, bytes);
    for (const dd_fold_pair *p = list; p < list + n; p++)
        value[p->into] = sum(value[p->into], value[p->from]);
    for (uint64_t b = first; b < last; b++) {
        f->slice[b] = value[root];
        f->slices[b]++;
    }
    free(value);
}

static bool work_verdict(void *user, uint32_t segment)
{
    team_fixture *f = user;
    f->verdicts++;
    f->decided = 0;
    if (segment != DD_NO_SEGMENT)
        f->decided = dd_reduce_slices(f->options.reduce) ? f->slice[0] : f->segment[segment];
    if (f->in_verdict)
        f->in_verdict(f);
    return f->accept;
}

static void work_update(void *user, uint32_t worker, uint64_t first, uint64_t last)
{
    team_fixture *f = user;
    for (uint64_t b = first; b < last; b++)
        f->updates[b] += f->decided ? 1 : 1000;
    if (f->in_update)
        f->in_update(f, worker, last - first);
}

static void work_each(void *user, uint32_t worker, uint32_t lane, uint32_t segment)
{
    team_fixture *f = user;
    (void)segment;
    if (f->in_lane)
        f->in_lane(f, worker, lane);
    f->each_runs[lane]++;
}

static dd_status work_keep(void *user, dd_error *error)
{
    team_fixture *f = user;
    (void)error;
    f->n_keeps++;
    if (f->in_keep)
        f->in_keep(f);
    return DD_OK;
}

static dd_status work_back(void *user, dd_error *error)
{
    team_fixture *f = user;
    f->n_backs++;
    if (f->n_keeps)
        return DD_OK;
    strcpy(error->message, "nothing was kept");
    return DD_ERR_REFUSED;
}

static bool work_epoch_ended(void *user)
{
    team_fixture *f = user;
    return f->epoch_ends;
}

/* ---- The team ---- */

dd_status team_fixture_start(team_fixture *f, uint32_t lane_depth, uint64_t batch, dd_hierarchy *h,
                             dd_team_options options)
{
    *f = (team_fixture){.lane_depth = lane_depth,
                        .n_places = dd_power_of_12(lane_depth),
                        .accept = true,
                        .options = options};
    f->weight = calloc(f->n_places, sizeof *f->weight);
    for (uint64_t l = 0; l < f->n_places; l++) {
        f->weight[l] = ((l + 1) * batch / f->n_places - l * batch / f->n_places) * FIXTURE_TOKENS;
        f->n_lanes += f->weight[l] > 0;
    }
    f->expected = fold_of(f, lane_depth, 0);
    dd_team_options *o = &f->options;
    o->max_workers = o->max_workers ? o->max_workers : h->n_workers;
    if (!o->max_segments && o->reduce != DD_REDUCE_OWNER) /* which does not ask */
        o->max_segments = o->max_workers * DD_PLAN_SEGMENTS(lane_depth);
    f->n_segments = o->reduce == DD_REDUCE_OWNER ? f->n_lanes : o->max_segments;
    o->n_blocks = FIXTURE_BLOCKS;
    o->cores = o->cores ? o->cores : 2;
    f->segment = calloc(f->n_segments, sizeof *f->segment);
    f->lane_runs = calloc(f->n_places, sizeof *f->lane_runs);
    f->each_runs = calloc(f->n_places, sizeof *f->each_runs);
    const dd_work work = {.user = f,
                          .begin = work_begin,
                          .end = work_end,
                          .lane = work_lane,
                          .fold = work_fold,
                          .root = work_root,
                          .slice = work_slice,
                          .verdict = work_verdict,
                          .update = work_update,
                          .each = work_each,
                          .keep = work_keep,
                          .back = work_back,
                          .epoch_ended = work_epoch_ended};
    dd_status st = dd_team_open(h, f->weight, lane_depth, &work, o, &f->team);
    if (st != DD_OK)
        team_fixture_close(f);
    return st;
}

void team_fixture_open(team_fixture *f, uint32_t lane_depth, uint64_t batch, uint32_t depth,
                       uint32_t n_workers, dd_team_options options)
{
    dd_hierarchy *h;
    assert_int_equal(dd_hierarchy_open(depth, n_workers, &h), DD_OK);
    assert_int_equal(team_fixture_start(f, lane_depth, batch, h, options), DD_OK);
}

void team_fixture_close(team_fixture *f)
{
    dd_team_close(f->team);
    f->team = NULL;
    free(f->each_runs);
    free(f->lane_runs);
    free(f->segment);
    free(f->weight);
}

dd_status team_step(team_fixture *f)
{
    return dd_team_request(f->team, DD_TEAM_STEP, NULL, NULL);
}

dd_status team_command(team_fixture *f, dd_command command)
{
    return dd_team_command(f->team, command, (dd_place){0}, 0, NULL);
}

dd_place team_place(const char *text)
{
    dd_place place;
    assert_true(dd_place_read(text, &place));
    return place;
}

dd_thread_report team_totals(const team_fixture *f)
{
    dd_thread_report total = {0}, r;
    for (uint32_t t = 0; t < dd_team_n_threads(f->team); t++) {
        dd_team_report(f->team, t, &r);
        assert_int_equal(r.lanes_as_control, 0);
        total.lanes_done += r.lanes_done;
        total.lanes_cancelled += r.lanes_cancelled;
        total.folds += r.folds;
        total.steals += r.steals;
        total.acted += r.acted;
        total.heartbeat += r.heartbeat;
    }
    return total;
}

/* ---- Checked requests ---- */

static uint32_t *copy(const uint32_t *from, uint32_t n)
{
    uint32_t *to = malloc(n * sizeof *to);
    assert_non_null(to);
    return memcpy(to, from, n * sizeof *to);
}

void team_good_step(team_fixture *f)
{
    const dd_reduce reduce = f->options.reduce;
    const bool sliced = dd_reduce_slices(reduce),
               climbs = f->options.barrier == DD_BARRIER_TREE && reduce != DD_REDUCE_CONTROL;
    const uint32_t begins = f->begins, roots = f->roots, verdicts = f->verdicts;
    uint32_t *lane_runs = copy(f->lane_runs, f->n_places);
    uint32_t updates[FIXTURE_BLOCKS], slices[FIXTURE_BLOCKS];
    memcpy(updates, f->updates, sizeof updates);
    memcpy(slices, f->slices, sizeof slices);
    const dd_thread_report before = team_totals(f);

    assert_int_equal(team_step(f), DD_OK);
    assert_int_equal(f->begins, begins + 1);
    assert_int_equal(f->ends, f->begins + f->each_begins);
    assert_int_equal(f->verdicts, verdicts + 1);
    assert_int_equal(f->roots - roots, !sliced);
    assert_true(f->decided == f->expected);
    assert_true(sliced || f->root == f->expected);
    for (uint32_t b = 0; b < FIXTURE_BLOCKS; b++) {
        assert_int_equal(f->updates[b] - updates[b], f->accept);
        assert_int_equal(f->slices[b] - slices[b], sliced);
        assert_true(!sliced || f->slice[b] == f->expected);
    }
    for (uint32_t l = 0; l < f->n_places; l++)
        assert_int_equal(f->lane_runs[l] - lane_runs[l], f->weight[l] > 0);
    const dd_thread_report after = team_totals(f);
    assert_int_equal(after.lanes_done - before.lanes_done, f->n_lanes);
    assert_int_equal(after.lanes_cancelled, before.lanes_cancelled);
    assert_int_equal(after.folds - before.folds, f->n_lanes - 1);
    assert_int_equal(after.acted - before.acted, climbs ? 2 + sliced : 0);
    assert_true(f->options.stealing || after.steals == before.steals);
    assert_true(after.heartbeat > before.heartbeat);
    free(lane_runs);
}

void team_good_each(team_fixture *f)
{
    uint32_t *runs = copy(f->each_runs, f->n_places);
    const uint32_t begins = f->begins, each_begins = f->each_begins;
    const uint32_t roots = f->roots, verdicts = f->verdicts;
    assert_int_equal(dd_team_request(f->team, DD_TEAM_EACH, NULL, NULL), DD_OK);
    for (uint32_t l = 0; l < f->n_places; l++)
        assert_int_equal(f->each_runs[l] - runs[l], f->weight[l] > 0);
    assert_int_equal(f->roots, roots);
    assert_int_equal(f->verdicts, verdicts);
    assert_int_equal(f->begins, begins);
    assert_int_equal(f->each_begins, each_begins + 1);
    assert_int_equal(f->ends, f->begins + f->each_begins);
    free(runs);
}
