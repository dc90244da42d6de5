/* SPDX-License-Identifier: MIT
 * The team: Node Zero's loop, the workers' loop, and how a request gets from the caller to both.
 *
 * Protocol. The caller writes `posted` and advances `requested`, on which Node Zero sleeps. Node
 * Zero alone decides what a generation does: it writes the descriptor, which every worker reads
 * after Point A and obeys, STOP included. Between A and U nothing else tells a worker what to do; a
 * cancel changes which lanes run, never which points are crossed. After U Node Zero writes the
 * reply and advances `replied`, on which the caller sleeps.
 *
 * Every plain field has one writer at a time, and the points order writers and readers: what Node
 * Zero writes before A or V is read by workers after it, what workers write before B or U is read
 * by Node Zero after it, and by the caller after the reply. No lock exists. */
#include "team.h"

#include <assert.h>
#include <stdio.h>

#include "eventcount.h"
#include "platform.h"

/* Polls before a worker with a core of its own sleeps: some tens of microseconds, as long as a
 * wake-up takes. */
#define SPINS 1000u

/* What the descriptor commands: a request, or the end. */
typedef enum command {
    COMMAND_STEP = DD_TEAM_STEP,
    COMMAND_EACH = DD_TEAM_EACH,
    COMMAND_STOP,
} command;

/* Written by Node Zero before A, read by workers after it. */
typedef struct descriptor {
    uint32_t generation;
    command command;
} descriptor;

/* What a thread tells the others. A worker writes between A and U; Node Zero reads after B and the
 * caller after the reply. Node Zero's own is read by the caller after the reply. */
typedef struct report {
    dd_worker_counters counters;
    uint32_t fp_env; /* this generation's */
    bool cancelled;  /* this generation: a cancel was found before a lane */
} report;

/* A thread of the team, on cache lines of its own. Heartbeat: the owner adds, anybody loads, both
 * relaxed, for it orders nothing. */
typedef struct member {
    _Alignas(DD_CACHE_LINE) dd_atomic_u64 heartbeat; /* atomic */
    report report;
    uint32_t number; /* fixed after open, as is team */
    dd_team *team;
    dd_thread thread;
} member;

struct dd_team {
    /* fixed after open */
    dd_work work;
    dd_team_options options;
    const dd_plan *plan;
    uint32_t n_workers;
    dd_points *points;
    dd_combine *combine;
    uint32_t n_started; /* threads created: workers in order, then Node Zero */

    /* Start: threads wait at the gate until all exist, or until they must leave because one could
     * not be made. */
    _Alignas(DD_CACHE_LINE) dd_eventcount gate;
    bool go; /* caller, before it advances the gate */

    /* Caller and Node Zero */
    _Alignas(DD_CACHE_LINE) dd_eventcount requested; /* advanced by the caller */
    command posted;                                  /* caller, before it advances requested */
    uint32_t replies_seen;                           /* the caller's own */
    _Alignas(DD_CACHE_LINE) dd_eventcount replied;   /* advanced by Node Zero */
    struct {
        dd_status status;
        uint32_t culprit, fp_env;
        uint64_t n_requests;
        uint64_t idle_cpu_ns, idle_wall_ns;
    } reply;                /* Node Zero, before it advances replied */
    uint32_t requests_seen; /* Node Zero's own */

    /* Node Zero and workers */
    _Alignas(DD_CACHE_LINE) descriptor descriptor;
    bool update;                           /* Node Zero before V, workers after it: the verdict */
    _Alignas(DD_CACHE_LINE) uint32_t root; /* whoever completes it, before B; Node Zero after B */

    /* 1 from dd_team_cancel to the end of the request that answers. Always relaxed: it orders
     * nothing, and Node Zero's clearing reaches the workers through the next A. */
    _Alignas(DD_CACHE_LINE) dd_atomic_u32 cancel; /* atomic */

    member node_zero;
    member worker[DD_POSITIONS];
};

/* ---- What threads have in common ---- */

static void beat(member *self)
{
    dd_u64_fetch_add(&self->heartbeat, 1, DD_RELAXED);
}

/* Waits until all threads of the team exist. returns false if this one is to leave at once. */
static bool pass_gate(member *self)
{
    dd_team *team = self->team;
    dd_eventcount_await(&team->gate, team->options.generation, 0);
    DD_READ(&team->go, sizeof team->go);
    return team->go;
}

/* The whole gradient of the step is in `segment`, or cancelled. */
static void root_complete(dd_team *team, uint32_t thread, uint32_t segment)
{
    DD_WRITE(&team->root, sizeof team->root);
    team->root = segment;
    if (segment != DD_NO_SEGMENT)
        team->work.root(team->work.user, thread, segment);
}

/* ---- Workers ---- */

/* Once a worker has skipped a lane it skips the rest of its lanes too, and every value it posts
 * from then on lacks one of them. */
static bool skips_lane(member *self, bool skipping)
{
    if (!skipping && dd_u32_load(&self->team->cancel, DD_RELAXED))
        skipping = self->report.cancelled = true;
    if (skipping)
        self->report.counters.lanes_cancelled++;
    return skipping;
}

static void lane_done(member *self)
{
    self->report.counters.lanes_done++;
    beat(self);
}

static void post_value(member *self, const dd_op *op, uint32_t from)
{
    dd_team *team = self->team;
    uint32_t root;
    if (op->node != DD_NO_NODE && team->options.reduce == DD_REDUCE_CONTROL)
        dd_combine_park(team->combine, op, from);
    else if (dd_combine_arrive(team->combine, op, from, self->number, team->work.fold,
                               team->work.user, &self->report.counters.folds, &root))
        root_complete(team, self->number, root);
}

/* A step's share: lanes and folds in the plan's order. */
static void run_step(member *self, bool skipping)
{
    const dd_work *work = &self->team->work;
    uint32_t n_ops;
    const dd_op *ops = dd_plan_ops(self->team->plan, self->number, &n_ops);
    for (const dd_op *op = ops; op < ops + n_ops; op++) {
        switch (op->kind) {
        case DD_OP_RUN_STORE:
        case DD_OP_RUN_FOLD:
            skipping = skips_lane(self, skipping);
            if (skipping)
                break;
            work->lane(work->user, self->number, op->lane, op->into, op->kind == DD_OP_RUN_FOLD);
            self->report.counters.folds += op->kind == DD_OP_RUN_FOLD;
            lane_done(self);
            break;
        case DD_OP_FOLD:
            if (skipping)
                break;
            work->fold(work->user, self->number, op->into, op->from);
            self->report.counters.folds++;
            break;
        case DD_OP_POST:
            post_value(self, op, skipping ? DD_NO_SEGMENT : op->from);
            break;
        }
    }
}

/* The same lanes, each by itself. */
static void run_each(member *self, bool skipping)
{
    const dd_work *work = &self->team->work;
    uint32_t n_ops, first_segment;
    const dd_op *ops = dd_plan_ops(self->team->plan, self->number, &n_ops);
    dd_plan_segments(self->team->plan, self->number, &first_segment);
    for (const dd_op *op = ops; op < ops + n_ops; op++) {
        if (op->kind != DD_OP_RUN_STORE && op->kind != DD_OP_RUN_FOLD)
            continue;
        skipping = skips_lane(self, skipping);
        if (skipping)
            continue;
        work->each(work->user, self->number, op->lane, first_segment);
        lane_done(self);
    }
}

static void worker_cross(member *self, dd_point point)
{
    dd_points_worker(self->team->points, self->number, point);
    beat(self);
}

static void worker_main(void *arg)
{
    member *self = arg;
    dd_team *team = self->team;
    if (!pass_gate(self))
        return;
    for (uint32_t generation = team->options.generation;;) {
        worker_cross(self, DD_POINT_A);
        DD_READ(&team->descriptor, sizeof team->descriptor);
        generation++;
        assert(team->descriptor.generation == generation);
        const command wanted = team->descriptor.command;
        if (wanted == COMMAND_STOP)
            return;

        DD_WRITE(&self->report, sizeof self->report);
        self->report.cancelled = false;
        self->report.fp_env = dd_fp_env();
        const bool skipping = self->report.fp_env != DD_FP_ENV_DEFAULT;
        if (wanted == COMMAND_STEP)
            run_step(self, skipping);
        else
            run_each(self, skipping);
        if (!skipping)
            self->report.fp_env = dd_fp_env();
        worker_cross(self, DD_POINT_B);

        worker_cross(self, DD_POINT_V);
        DD_READ(&team->update, sizeof team->update);
        if (team->update)
            team->work.update(team->work.user, self->number);
        DD_WRITE(&self->report, sizeof self->report);
        self->report.counters.cpu_ns = dd_thread_cpu_ns();
        worker_cross(self, DD_POINT_U);
    }
}

/* ---- Node Zero ---- */

static void node_zero_cross(dd_team *team, dd_point point)
{
    dd_points_node_zero(team->points, point);
    beat(&team->node_zero);
}

static dd_status blame(dd_team *team, uint32_t thread, uint32_t fp_env)
{
    team->reply.culprit = thread;
    team->reply.fp_env = fp_env;
    return DD_ERR_FP_ENV;
}

/* After B: whether everything asked for was done, and with the right arithmetic. */
static dd_status judge(dd_team *team)
{
    bool cancelled = false;
    for (uint32_t w = 0; w < team->n_workers; w++) {
        const report *r = &team->worker[w].report;
        DD_READ(r, sizeof *r);
        if (r->fp_env != DD_FP_ENV_DEFAULT)
            return blame(team, w, r->fp_env);
        cancelled |= r->cancelled;
    }
    const uint32_t own_fp_env = dd_fp_env(); /* Node Zero folds and decides */
    if (own_fp_env != DD_FP_ENV_DEFAULT)
        return blame(team, DD_NODE_ZERO, own_fp_env);
    return cancelled ? DD_ERR_CANCELLED : DD_OK;
}

/* Between B and V. returns whether the update takes place. */
static bool decide(dd_team *team, dd_status status)
{
    uint32_t root = DD_NO_SEGMENT;
    if (status == DD_OK) {
        if (team->options.reduce == DD_REDUCE_CONTROL && dd_plan_n_nodes(team->plan) > 0)
            root_complete(team, DD_NODE_ZERO,
                          dd_combine_fold_parked(team->combine, DD_NODE_ZERO, team->work.fold,
                                                 team->work.user,
                                                 &team->node_zero.report.counters.folds));
        DD_READ(&team->root, sizeof team->root);
        root = team->root;
        assert(root != DD_NO_SEGMENT);
    }
    return team->work.verdict(team->work.user, root) && root != DD_NO_SEGMENT;
}

/* One generation, from A to U. */
static void run_generation(dd_team *team, command wanted)
{
    DD_WRITE(&team->descriptor, sizeof team->descriptor);
    team->descriptor.command = wanted;
    team->descriptor.generation++;
    node_zero_cross(team, DD_POINT_A);
    if (wanted == COMMAND_STOP)
        return;

    uint64_t cpu_ns = dd_thread_cpu_ns(), wall_ns = dd_now_ns();
    node_zero_cross(team, DD_POINT_B);
    DD_WRITE(&team->reply, sizeof team->reply);
    team->reply.idle_cpu_ns += dd_thread_cpu_ns() - cpu_ns;
    team->reply.idle_wall_ns += dd_now_ns() - wall_ns;

    dd_status status = judge(team);
    bool update = wanted == COMMAND_STEP && decide(team, status);
    DD_WRITE(&team->update, sizeof team->update);
    team->update = update;
    node_zero_cross(team, DD_POINT_V);
    node_zero_cross(team, DD_POINT_U);

    if (status == DD_ERR_CANCELLED)
        dd_u32_store(&team->cancel, 0, DD_RELAXED);
    DD_WRITE(&team->reply, sizeof team->reply);
    DD_WRITE(&team->node_zero.report, sizeof team->node_zero.report);
    team->reply.status = status;
    team->reply.n_requests++;
    team->node_zero.report.counters.cpu_ns = dd_thread_cpu_ns();
}

static void node_zero_main(void *arg)
{
    member *self = arg;
    dd_team *team = self->team;
    if (!pass_gate(self))
        return;
    for (;;) {
        dd_eventcount_await(&team->requested, team->requests_seen++, 0);
        DD_READ(&team->posted, sizeof team->posted);
        const command wanted = team->posted;
        run_generation(team, wanted);
        if (wanted == COMMAND_STOP)
            return;
        dd_eventcount_advance(&team->replied);
    }
}

/* ---- Opening and closing ---- */

static void member_init(dd_team *team, member *m, uint32_t number)
{
    dd_u64_init(&m->heartbeat, 0);
    m->team = team;
    m->number = number;
}

/* The position each worker acts for: its first lane's; an idle worker takes one that no other acts
 * for. */
static void choose_positions(const dd_share *share, uint32_t n_workers, uint32_t *position)
{
    bool taken[DD_POSITIONS] = {false};
    for (uint32_t w = 0; w < n_workers; w++)
        if (share[w].count)
            taken[position[w] = share[w].first] = true;
    uint32_t spare = 0;
    for (uint32_t w = 0; w < n_workers; w++) {
        if (share[w].count)
            continue;
        while (taken[spare])
            spare++;
        taken[position[w] = spare] = true;
    }
}

static dd_status start_threads(dd_team *team)
{
    for (uint32_t w = 0; w <= team->n_workers; w++) {
        const bool last = w == team->n_workers;
        member *m = last ? &team->node_zero : &team->worker[w];
        char name[24] = "dd-node-zero";
        if (!last)
            snprintf(name, sizeof name, "dd-worker-%u", w);
        if (dd_thread_create(&m->thread, name, team->options.stack_bytes,
                             last ? node_zero_main : worker_main, m))
            return DD_ERR_THREAD;
        team->n_started++;
    }
    return DD_OK;
}

dd_status dd_team_open(const dd_plan *plan, const dd_share *share, const dd_work *work,
                       const dd_team_options *options, dd_team **out)
{
    dd_team *team = dd_alloc(sizeof *team);
    if (!team)
        return DD_ERR_MEMORY;
    team->work = *work;
    team->options = *options;
    team->plan = plan;
    team->n_workers = dd_plan_n_workers(plan);
    const uint32_t generation = options->generation;
    team->replies_seen = team->requests_seen = team->descriptor.generation = generation;
    dd_eventcount_init(&team->gate, generation);
    dd_eventcount_init(&team->requested, generation);
    dd_eventcount_init(&team->replied, generation);
    dd_u32_init(&team->cancel, 0);
    member_init(team, &team->node_zero, DD_NODE_ZERO);
    for (uint32_t w = 0; w < DD_POSITIONS; w++)
        member_init(team, &team->worker[w], w);

    uint32_t position[DD_POSITIONS];
    choose_positions(share, team->n_workers, position);
    dd_status st = dd_points_open(options->barrier, team->n_workers, position,
                                  options->may_spin ? SPINS : 0, generation, &team->points);
    if (st != DD_OK)
        goto fail;
    if ((st = dd_combine_open(plan, &team->combine)) != DD_OK)
        goto fail;
    if ((st = start_threads(team)) != DD_OK)
        goto fail;
    DD_WRITE(&team->go, sizeof team->go);
    team->go = true;
    dd_eventcount_advance(&team->gate);
    *out = team;
    return DD_OK;

fail:
    dd_team_close(team);
    return st;
}

static void post(dd_team *team, command wanted)
{
    DD_WRITE(&team->posted, sizeof team->posted);
    team->posted = wanted;
    dd_eventcount_advance(&team->requested);
}

void dd_team_close(dd_team *team)
{
    if (!team)
        return;
    if (team->go)
        post(team, COMMAND_STOP);
    else
        dd_eventcount_advance(&team->gate); /* go is false: whoever was started leaves */
    for (uint32_t w = 0; w < team->n_started; w++)
        dd_thread_join(w < team->n_workers ? &team->worker[w].thread : &team->node_zero.thread);
    dd_combine_close(team->combine);
    dd_points_close(team->points);

    for (uint32_t w = 0; w < DD_POSITIONS; w++)
        dd_u64_forget(&team->worker[w].heartbeat);
    dd_u64_forget(&team->node_zero.heartbeat);
    dd_u32_forget(&team->cancel);
    dd_eventcount_forget(&team->replied);
    dd_eventcount_forget(&team->requested);
    dd_eventcount_forget(&team->gate);
    dd_free(team);
}

/* ---- The caller's side ---- */

dd_status dd_team_request(dd_team *team, dd_request request, uint32_t *culprit, uint32_t *fp_env)
{
    post(team, (command)request);
    dd_eventcount_await(&team->replied, team->replies_seen++, 0);
    DD_READ(&team->reply, sizeof team->reply);
    if (team->reply.status == DD_ERR_FP_ENV) {
        if (culprit)
            *culprit = team->reply.culprit;
        if (fp_env)
            *fp_env = team->reply.fp_env;
    }
    return team->reply.status;
}

void dd_team_cancel(dd_team *team)
{
    dd_u32_store(&team->cancel, 1, DD_RELAXED);
}

void dd_team_counters(const dd_team *team, uint32_t worker, dd_worker_counters *out)
{
    assert(worker < team->n_workers || worker == DD_NODE_ZERO);
    const member *m = worker == DD_NODE_ZERO ? &team->node_zero : &team->worker[worker];
    DD_READ(&m->report, sizeof m->report);
    *out = m->report.counters;
}

void dd_team_idle(const dd_team *team, uint64_t *cpu_ns, uint64_t *wall_ns)
{
    DD_READ(&team->reply, sizeof team->reply);
    *cpu_ns = team->reply.idle_cpu_ns;
    *wall_ns = team->reply.idle_wall_ns;
}

uint64_t dd_team_requests(const dd_team *team)
{
    DD_READ(&team->reply, sizeof team->reply);
    return team->reply.n_requests;
}

uint64_t dd_team_heartbeat(const dd_team *team)
{
    uint64_t beats = dd_u64_load(&team->node_zero.heartbeat, DD_RELAXED);
    for (uint32_t w = 0; w < team->n_workers; w++)
        beats += dd_u64_load(&team->worker[w].heartbeat, DD_RELAXED);
    return beats;
}
