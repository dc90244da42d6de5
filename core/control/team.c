/* SPDX-License-Identifier: MIT
 * The team as others see it: opening and closing, the callers' side of requests and commands, and
 * what onlookers may ask. What its threads do is in node_zero.c and members.c. */
#include "team.h"

#include <assert.h>
#include <string.h>

#include "inside.h"

/* ---- Opening and closing ---- */

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* The most spheres with this many workers at most: every worker at the deepest level, alone below a
 * control as far as there is room for controls. */
static uint32_t most_spheres(uint32_t max_workers)
{
    uint32_t n = 1 + max_workers;
    for (uint32_t level = 1; level < DD_TEAM_DEPTH_MAX; level++)
        n += least(max_workers, dd_power_of_12(level));
    return n;
}

/* Copies what the caller keeps, and makes room for threads. */
static dd_status allocate(dd_team *team, const dd_team_options *options)
{
    team->lane_ns = dd_alloc(2 * team->n_lanes * sizeof *team->lane_ns);
    team->member = dd_alloc(team->n_slots * sizeof *team->member);
    if (!team->lane_ns || !team->member)
        return DD_ERR_MEMORY;
    for (uint32_t l = 0; l < team->n_lanes; l++)
        team->n_non_empty += team->weight[l] > 0;
    if (!options->cpu)
        return DD_OK;
    uint32_t *cpu = dd_alloc(options->n_cpu * sizeof *cpu);
    if (!cpu)
        return DD_ERR_MEMORY;
    memcpy(cpu, options->cpu, options->n_cpu * sizeof *cpu);
    team->options.cpu = team->cpu = cpu;
    return DD_OK;
}

dd_status dd_team_open(dd_hierarchy *hierarchy, const uint64_t *weight, uint32_t lane_depth,
                       const dd_work *work, const dd_team_options *options, dd_team **out)
{
    assert(lane_depth >= 1 && lane_depth <= DD_TEAM_DEPTH_MAX);
    assert(hierarchy->depth <= DD_TEAM_DEPTH_MAX && hierarchy->n_workers <= options->max_workers);
    dd_team *team = dd_alloc(sizeof *team);
    if (!team) {
        dd_hierarchy_close(hierarchy);
        return DD_ERR_MEMORY;
    }
    const uint32_t generation = options->generation;
    team->work = *work;
    team->options = *options;
    team->options.cpu = NULL;
    team->hierarchy = hierarchy;
    team->weight = weight;
    team->lane_depth = lane_depth;
    team->n_lanes = dd_power_of_12(lane_depth);
    team->n_slots = most_spheres(options->max_workers);
    team->climb = options->barrier == DD_BARRIER_TREE && options->reduce != DD_REDUCE_CONTROL;
    team->slices = dd_reduce_slices(options->reduce);
    team->descriptor.generation = team->settled_seen = generation;
    dd_mailbox_init(&team->mailbox, generation);
    dd_eventcount_init(&team->settled, generation);
    dd_u32_init(&team->n_threads, 0);
    dd_u32_init(&team->cancel, 0);
    dd_u32_init(&team->state, DD_STATE_INITIALISING);

    dd_status st = allocate(team, options);
    if (st == DD_OK)
        st = dd_formation_open_(team, hierarchy, NULL, NULL, &team->formation);
    if (st == DD_OK)
        st = dd_members_start_(team, team->formation->n_threads);
    if (st != DD_OK) {
        dd_team_close(team);
        return st;
    }
    team->begun = true;
    dd_member_call_(team, DD_NODE_ZERO, team->formation); /* who calls the others */
    *out = team;
    return DD_OK;
}

/* Hands the mail to Node Zero and sleeps until it is answered. */
static void post_and_await(dd_team *team, dd_order_mail *m)
{
    dd_mailbox_post(&team->mailbox, &m->mail);
    dd_mailbox_await(&team->mailbox, &m->mail);
    DD_READ(m, sizeof *m);
}

/* Ends all threads: those of the hierarchy by a last generation, those in the pool one by one. */
static void end_threads(dd_team *team)
{
    /* The caller has heard of whatever made threads: by its own hand, or by an answer. */
    const uint32_t n_threads = dd_u32_load(&team->n_threads, DD_RELAXED);
    if (team->begun) {
        dd_order_mail end = {.kind = DD_MAIL_CLOSE};
        post_and_await(team, &end);
    }
    for (uint32_t t = 0; t < n_threads; t++)
        if (!team->begun || team->formation->sphere_of[t] == DD_NO_SPHERE)
            dd_member_quit_(&team->member[t]);
    for (uint32_t t = 0; t < n_threads; t++)
        dd_member_join_(&team->member[t]);
}

void dd_team_close(dd_team *team)
{
    if (!team)
        return;
    end_threads(team);
    dd_hierarchy_close(team->formation ? team->formation->hierarchy : team->hierarchy);
    dd_formation_close_(team->formation);
    dd_free(team->cpu);
    dd_free(team->member);
    dd_free(team->lane_ns);
    dd_u32_forget(&team->state);
    dd_u32_forget(&team->cancel);
    dd_u32_forget(&team->n_threads);
    dd_eventcount_forget(&team->settled);
    dd_mailbox_forget(&team->mailbox);
    dd_free(team);
}

/* ---- The callers' side ---- */

dd_status dd_team_request(dd_team *team, dd_request request, uint32_t *culprit, uint32_t *fp_env)
{
    dd_order_mail m = {.kind = DD_MAIL_REQUEST, .request = request};
    post_and_await(team, &m);
    if (m.reply.status == DD_ERR_FP_ENV) {
        if (culprit)
            *culprit = m.reply.culprit;
        if (fp_env)
            *fp_env = m.reply.fp_env;
    }
    return m.reply.status;
}

void dd_team_cancel(dd_team *team)
{
    uint32_t word = dd_u32_load(&team->cancel, DD_RELAXED);
    while (!(word & DD_CANCEL_ASKED) &&
           !dd_u32_compare_exchange(&team->cancel, &word, word | DD_CANCEL_ASKED, DD_RELAXED,
                                    DD_RELAXED))
        continue;
    dd_mailbox_ring(&team->mailbox); /* for a request that is held */
}

dd_status dd_team_command(dd_team *team, dd_command command, dd_place place, uint32_t n_children,
                          dd_error *error)
{
    dd_order_mail m = {
        .kind = DD_MAIL_COMMAND, .command = command, .place = place, .n_children = n_children};
    if (command == DD_COMMAND_STOP)
        dd_u32_fetch_add(&team->cancel, DD_STOP_ASKED, DD_RELAXED);
    post_and_await(team, &m);
    if (m.reply.status != DD_OK && error)
        *error = m.reply.error;
    return m.reply.status;
}

dd_state dd_team_state(const dd_team *team)
{
    /* Acquire: partner of the release with which Node Zero takes a stop back. A team that has
     * stopped says so although the stop may not be taken back yet: nobody sees it stop twice. */
    const bool stopping = dd_u32_load(&team->cancel, DD_ACQUIRE) >= DD_STOP_ASKED;
    const dd_state state = (dd_state)dd_u32_load(&team->state, DD_ACQUIRE);
    return stopping && state != DD_STATE_STOPPED ? DD_STATE_STOPPING : state;
}

/* ---- Onlookers ---- */

void dd_team_membership(const dd_team *team, dd_membership *out)
{
    DD_READ(&team->formation, sizeof team->formation);
    const dd_formation *f = team->formation;
    *out = (dd_membership){.hierarchy = f->hierarchy,
                           .plan = f->plan,
                           .share = f->share,
                           .thread = f->thread,
                           .n_changes = team->n_changes,
                           .n_failed = team->n_failed,
                           .failed = team->failed,
                           .failed_why = team->failed_why.message};
}

uint32_t dd_team_n_threads(const dd_team *team)
{
    /* Acquire: partner of the release when a thread is made. */
    return dd_u32_load(&team->n_threads, DD_ACQUIRE);
}

void dd_team_report(const dd_team *team, uint32_t thread, dd_thread_report *out)
{
    assert(thread < dd_team_n_threads(team));
    const dd_member *m = &team->member[thread];
    DD_READ(&m->number, sizeof m->number);
    const dd_health *h = &m->health;
    *out = (dd_thread_report){
        .tid = (uint32_t)dd_tally_get(&h->tid),
        .heartbeat = dd_tally_get(&h->heartbeat),
        .lanes_done = dd_tally_get(&h->lanes_done),
        .lanes_cancelled = dd_tally_get(&h->lanes_cancelled),
        .lanes_as_control = dd_tally_get(&h->lanes_as_control),
        .folds = dd_tally_get(&h->folds),
        .steals = dd_tally_get(&h->steals),
        .acted = dd_tally_get(&h->acted),
        .cpu_ns = dd_tally_get(&h->cpu_ns),
    };
    for (uint32_t p = DD_WAIT_A; p <= DD_WAIT_U; p++)
        out->wait_ns[p] = dd_tally_get(&h->wait_ns[p]);
    dd_member_where_(m, &out->place, &out->control, &out->parked);
    out->at = dd_member_activity_(m, &out->lane, &out->part, &out->generation);
    out->unpinned = dd_tally_get(&h->unpinned) && !out->parked;
}

uint64_t dd_team_heartbeat(const dd_team *team)
{
    uint64_t beats = 0;
    const uint32_t n_threads = dd_team_n_threads(team);
    for (uint32_t t = 0; t < n_threads; t++)
        beats += dd_tally_get(&team->member[t].health.heartbeat);
    return beats;
}

void dd_team_idle(const dd_team *team, uint64_t *cpu_ns, uint64_t *most_cpu_ns, uint64_t *wall_ns)
{
    DD_READ(&team->idle_cpu_ns, sizeof team->idle_cpu_ns);
    *cpu_ns = team->idle_cpu_ns;
    *most_cpu_ns = team->idle_most_cpu_ns;
    *wall_ns = team->idle_wall_ns;
}

dd_timeline *dd_team_timeline(dd_team *team, uint32_t thread)
{
    assert(thread < dd_team_n_threads(team));
    return &team->member[thread].timeline;
}

uint32_t dd_team_worker_thread(const dd_team *team, uint32_t worker)
{
    const dd_formation *f = team->formation;
    return f->thread[f->hierarchy->worker[worker]];
}

uint64_t dd_team_requests(const dd_team *team)
{
    DD_READ(&team->n_requests, sizeof team->n_requests);
    return team->n_requests;
}
