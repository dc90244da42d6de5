/* SPDX-License-Identifier: MIT
 * Steps as benchmarks, from caller to caller: empty ones, of a team whose callbacks do nothing, so
 * that what is left is the hand-over to Node Zero and back, the four points and the arrivals at the
 * fold tree; and whole ones, through the public API. */
#include "suite.h"

#include <stdio.h>

#include "barriers.h"
#include "dodeca.h"
#include "team.h"

static const int64_t worker_counts[] = {1, 2, 4, 8, 12};
enum { N_COUNTS = sizeof worker_counts / sizeof worker_counts[0] };

static void register_by_workers(const char *name, gb_function *run, gb_unit unit, void *user)
{
    static const char *const argument[] = {"workers"};
    gb_benchmark *b = gb_register(name, GB_REAL_TIME, run, user);
    gb_arg_names(b, argument, 1);
    gb_set_unit(b, unit);
    for (int i = 0; i < N_COUNTS; i++)
        gb_args(b, &worker_counts[i], 1);
}

typedef struct named_barrier {
    const char *name;
    dd_barrier barrier;
} named_barrier;

static named_barrier barriers[] = {{"tree", DD_BARRIER_TREE}, {"pthread", DD_BARRIER_PTHREAD}};
enum { N_BARRIERS = sizeof barriers / sizeof barriers[0] };

/* ---- Empty steps ---- */

static void lane(void *user, uint32_t worker, uint32_t number, uint32_t n_lanes, uint32_t segment,
                 bool fold)
{
    (void)user, (void)worker, (void)number, (void)n_lanes, (void)segment, (void)fold;
}

static void fold(void *user, uint32_t thread, uint32_t into, uint32_t from)
{
    (void)user, (void)thread, (void)into, (void)from;
}

static void root(void *user, uint32_t thread, uint32_t segment)
{
    (void)user, (void)thread, (void)segment;
}

static bool verdict(void *user, uint32_t segment)
{
    (void)user, (void)segment;
    return true;
}

static void update(void *user, uint32_t worker, uint64_t first, uint64_t last)
{
    (void)user, (void)worker, (void)first, (void)last;
}

/* returns  NULL: no memory or no threads */
static dd_team *open_team(dd_barrier barrier, uint32_t n_workers)
{
    static const dd_work nothing = {
        .lane = lane, .fold = fold, .root = root, .verdict = verdict, .update = update};
    static const uint64_t weight[DD_POSITIONS] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const dd_team_options options = {.barrier = barrier,
                                     .reduce = DD_REDUCE_TREE,
                                     .cores = dd_bench_cores(),
                                     .max_workers = n_workers,
                                     .max_segments = DD_PLAN_SEGMENTS(1) * n_workers,
                                     .n_blocks = n_workers};
    dd_hierarchy *hierarchy;
    dd_team *team = NULL;
    if (dd_hierarchy_open(1, n_workers, &hierarchy) != DD_OK ||
        dd_team_open(hierarchy, weight, 1, &nothing, &options, &team) != DD_OK)
        return NULL;
    return team;
}

static void run_empty(gb_state *state, void *user)
{
    enum { WARM_UP = 20 };
    const named_barrier *b = user;
    const uint32_t n_workers = (uint32_t)gb_arg(state, 0);
    dd_team *team = open_team(b->barrier, n_workers);
    bool ok = true;
    if (!team)
        dd_suite_lacks(state, "no memory or no threads for %u workers", n_workers);
    for (int i = 0; team && ok && i < WARM_UP; i++)
        ok = dd_team_request(team, DD_TEAM_STEP, NULL, NULL) == DD_OK;
    while (ok && gb_next(state))
        ok = dd_team_request(team, DD_TEAM_STEP, NULL, NULL) == DD_OK;
    if (!ok)
        dd_suite_lacks(state, "an empty step was refused");
    dd_team_close(team);
}

/* ---- Whole steps ---- */

typedef struct training {
    const char *model;
    uint32_t seq;
    const char *reduce_name;
    dd_reduce reduce;
    const named_barrier *barrier;
    bool traced; /* each thread keeps its timeline, and it is taken after each step */
} training;

enum {
    BATCH = DD_POSITIONS, /* a sequence for every lane */
    TRACE_ROOM = 4096,    /* events of a thread between two takes */
    TRACE_CHUNK = 256
};

static bool configure(const training *t, uint32_t n_workers, dd_config *config)
{
    dd_config_default(config);
    config->batch = BATCH;
    config->seq = t->seq;
    config->horizon = UINT32_MAX; /* the schedule goes on as long as the clock wants it to */
    config->workers = n_workers;
    config->reduce = t->reduce;
    config->barrier = t->barrier->barrier;
    config->trace = t->traced ? TRACE_ROOM : 0;
    return dd_shape_named(t->model, &config->shape);
}

/* As `dodeca train --trace` does after each step, but for the file.
 * returns  whether there was room for all */
static bool take_timelines(dd_trainer *trainer, uint32_t n_threads)
{
    dd_trace_event event[TRACE_CHUNK];
    uint64_t lost = 0, all_lost = 0;
    for (uint32_t i = 0; i < n_threads; i++) {
        while (dd_trainer_trace_take(trainer, i, event, TRACE_CHUNK, &lost) == TRACE_CHUNK)
            all_lost += lost;
        all_lost += lost;
    }
    return all_lost == 0;
}

static bool make_step(dd_trainer *trainer, const training *t, uint32_t n_threads, dd_error *error)
{
    dd_step step;
    if (dd_trainer_step(trainer, &step, error) != DD_OK)
        return false;
    if (!t->traced || take_timelines(trainer, n_threads))
        return true;
    (void)snprintf(error->message, sizeof error->message, "there was no room for some events");
    return false;
}

static void run_steps(gb_state *state, void *user)
{
    const training *t = user;
    dd_config config;
    dd_data *data = NULL;
    dd_trainer *trainer = NULL;
    dd_trainer_info info = {0};
    dd_error error = {{0}};
    bool ok = configure(t, (uint32_t)gb_arg(state, 0), &config) &&
              dd_data_open("builtin", config.seed, &data, &error) == DD_OK &&
              dd_trainer_open(&config, data, &trainer, &error) == DD_OK;
    if (ok)
        dd_trainer_info_get(trainer, &info);
    ok = ok && make_step(trainer, t, info.n_threads, &error); /* memory is touched */
    while (ok && gb_next(state))
        ok = make_step(trainer, t, info.n_threads, &error);
    if (!ok)
        dd_suite_lacks(state, "%s", error.message);
    char label[64];
    (void)snprintf(label, sizeof label, "tokens, B %d x T %u", BATCH, t->seq);
    gb_label(state, label);
    gb_items_processed(state, gb_iterations(state) * BATCH * t->seq);
    dd_trainer_close(trainer);
    dd_data_close(data);
}

void dd_suite_steps_(void)
{
    static const struct {
        const char *name;
        uint32_t seq;
    } models[] = {{"nano", 64}, {"micro", 128}};
    static const struct {
        const char *name;
        dd_reduce reduce;
    } reduces[] = {{"owner", DD_REDUCE_OWNER},
                   {"tree", DD_REDUCE_TREE},
                   {"sliced", DD_REDUCE_SLICED},
                   {"control", DD_REDUCE_CONTROL}};
    enum {
        N_MODELS = sizeof models / sizeof *models,
        N_REDUCES = sizeof reduces / sizeof *reduces
    };
    static training all[N_MODELS * N_REDUCES * N_BARRIERS], traced[N_REDUCES];
    training *next = all;
    char name[96];
    for (int b = 0; b < N_BARRIERS; b++) {
        (void)snprintf(name, sizeof name, "empty_step/%s", barriers[b].name);
        register_by_workers(name, run_empty, GB_MICROSECOND, &barriers[b]);
    }
    for (int m = 0; m < N_MODELS; m++)
        for (int r = 0; r < N_REDUCES; r++)
            for (int b = 0; b < N_BARRIERS; b++) {
                *next = (training){models[m].name,    models[m].seq, reduces[r].name,
                                   reduces[r].reduce, &barriers[b],  false};
                (void)snprintf(name, sizeof name, "step/%s/%s/%s", next->model, next->reduce_name,
                               barriers[b].name);
                register_by_workers(name, run_steps, GB_MILLISECOND, next++);
            }
    for (int r = 0; r < N_REDUCES; r++) {
        traced[r] = (training){models[0].name,    models[0].seq, reduces[r].name,
                               reduces[r].reduce, &barriers[0],  true};
        (void)snprintf(name, sizeof name, "step_traced/%s/%s/%s", traced[r].model,
                       traced[r].reduce_name, barriers[0].name);
        register_by_workers(name, run_steps, GB_MILLISECOND, &traced[r]);
    }
}
