/* SPDX-License-Identifier: MIT
 * The threads of a team but Node Zero's: how one is made and waits in the pool, takes its place in
 * a formation, and goes through generations there as a worker or as a control.
 *
 * Only the descriptor, read after A, tells a thread what a generation does. A cancel changes which
 * lanes run, never which points are crossed. */
#include <assert.h>
#include <stdio.h>

#include "edges.h"
#include "inside.h"

/* ---- What onlookers see ---- */

#define WHERE_LEVEL_SHIFT 32
#define WHERE_CONTROL (UINT64_C(1) << 40)
#define WHERE_PARKED (UINT64_C(1) << 41)

void dd_member_where_(const dd_member *m, dd_place *place, bool *control, bool *parked)
{
    const uint64_t where = dd_tally_get(&m->health.where);
    *place = (dd_place){.level = (where >> WHERE_LEVEL_SHIFT) & 0xff, .path = (uint32_t)where};
    *control = where & WHERE_CONTROL;
    *parked = where & WHERE_PARKED;
}

static void show_sphere(dd_member *self, const dd_sphere *sphere)
{
    dd_tally_set(&self->health.where, sphere->place.path |
                                          (uint64_t)sphere->place.level << WHERE_LEVEL_SHIFT |
                                          (sphere->n_children ? WHERE_CONTROL : 0));
}

/* The place it had stays shown. */
static void show_parked(dd_member *self)
{
    const uint64_t where = dd_tally_get(&self->health.where);
    dd_tally_set(&self->health.where, (where | WHERE_PARKED) & ~WHERE_CONTROL);
    dd_member_at_(self, DD_AT_POOL, 0);
}

#define AT_GENERATION_SHIFT 32
#define AT_ACTIVITY_SHIFT 24

void dd_member_enters_(dd_member *self, uint32_t generation, dd_activity at)
{
    dd_tally_set(&self->health.at,
                 (uint64_t)generation << AT_GENERATION_SHIFT | (uint64_t)at << AT_ACTIVITY_SHIFT);
    dd_timeline_turn(&self->timeline, generation, at, 0);
}

void dd_member_at_(dd_member *self, dd_activity at, uint32_t which)
{
    const uint64_t generation = dd_tally_get(&self->health.at) >> AT_GENERATION_SHIFT;
    dd_tally_set(&self->health.at,
                 generation << AT_GENERATION_SHIFT | (uint64_t)at << AT_ACTIVITY_SHIFT | which);
    dd_timeline_turn(&self->timeline, (uint32_t)generation, at, at == DD_AT_LANE ? which : 0);
}

dd_activity dd_member_activity_(const dd_member *m, uint32_t *lane, dd_part *part,
                                uint32_t *generation)
{
    const uint64_t packed = dd_tally_get(&m->health.at);
    const dd_activity at = (dd_activity)(packed >> AT_ACTIVITY_SHIFT & 0xff);
    const uint32_t which = packed & ((1u << AT_ACTIVITY_SHIFT) - 1);
    *lane = at == DD_AT_LANE ? which : 0;
    *part = at == DD_AT_LANE ? DD_PART_LANES : (dd_part)which;
    *generation = (uint32_t)(packed >> AT_GENERATION_SHIFT);
    return at;
}

static void show_waiting(dd_member *self, uint32_t point)
{
    static const dd_activity at[] = {
        [DD_WAIT_A] = DD_AT_A, [DD_WAIT_B] = DD_AT_B, [DD_WAIT_V] = DD_AT_V, [DD_WAIT_U] = DD_AT_U};
    dd_member_at_(self, at[point], point == DD_WAIT_B || point == DD_WAIT_V ? self->part : 0);
}

void dd_member_waited_(dd_member *self, uint32_t point)
{
    dd_tally_add(&self->health.wait_ns[point], dd_member_worked_(self));
    dd_tally_add(&self->health.heartbeat, 1);
}

uint64_t dd_member_worked_(dd_member *self)
{
    const uint64_t now = dd_now_ns(), since = now - self->clock_ns;
    self->clock_ns = now;
    return since;
}

/* ---- Points ---- */

static void await_release(dd_member *self, uint32_t spins, uint32_t point)
{
    show_waiting(self, point);
    dd_points_await(self->formation->points, self->sphere, spins);
    dd_member_waited_(self, point);
}

/* returns  whether the caller now acts for Node Zero */
static bool arrive(dd_member *self, uint32_t point)
{
    show_waiting(self, point);
    if (point == DD_WAIT_U)
        dd_timeline_show(&self->timeline);
    const bool acts = dd_points_arrive(self->formation->points, self->sphere, self->team->climb);
    dd_member_waited_(self, point);
    dd_tally_add(&self->health.acted, acts);
    return acts;
}

static void release_children(dd_member *self)
{
    dd_points_release(self->formation->points, self->sphere);
}

static void collect_children(dd_member *self, uint32_t point)
{
    show_waiting(self, point);
    dd_points_collect(self->formation->points, self->sphere);
    dd_member_waited_(self, point);
}

/* On from B or the slices: where somebody climbed to the root they let each other through, with no
 * control awake, else from control to child. */
static void go_on(dd_member *self, uint32_t point)
{
    const dd_formation *f = self->formation;
    show_waiting(self, point);
    if (self->team->climb)
        dd_points_descend(f->points, self->sphere, f->spins_v);
    else
        dd_points_await(f->points, self->sphere, f->spins_v);
    dd_member_waited_(self, point);
}

/* ---- A generation ---- */

static void report_begin(dd_member *self)
{
    DD_WRITE(&self->report, sizeof self->report);
    self->report.cancelled = false;
    self->report.slice_ns = 0;
    self->report.fp_env = dd_fp_env();
    self->part = DD_PART_LANES;
}

static void report_look_again(dd_member *self)
{
    if (self->report.fp_env == DD_FP_ENV_DEFAULT)
        self->report.fp_env = dd_fp_env();
}

/* Between B and V: this worker's slice of the folds. */
static void fold_slice(dd_member *self)
{
    const dd_team *team = self->team;
    const dd_slices *slices = &self->formation->slices;
    const uint32_t w = self->worker;
    self->part = DD_PART_SLICES;
    go_on(self, DD_WAIT_B);
    self->part = DD_PART_FOLDED;
    dd_member_at_(self, DD_AT_SLICE, 0);
    DD_READ(&team->root, sizeof team->root);
    DD_READ(&team->n_fold_list, sizeof team->n_fold_list);
    if (team->root != DD_NO_SEGMENT) {
        dd_timeline_amount(&self->timeline, 0, team->n_fold_list);
        DD_READ(slices->first, (slices->n_workers + 1) * sizeof *slices->first);
        team->work.slice(team->work.user, w, team->fold_list, team->n_fold_list, team->root,
                         slices->first[w], slices->first[w + 1]);
        report_look_again(self);
        self->report.slice_ns = dd_member_worked_(self);
    }
    if (arrive(self, DD_WAIT_B)) {
        dd_act_verdict_(self, DD_DOING_STEP);
        dd_member_worked_(self);
    }
}

static void update_slice(dd_member *self)
{
    const dd_team *team = self->team;
    const dd_slices *slices = &self->formation->slices;
    const uint32_t w = self->worker;
    DD_READ(slices->first, (slices->n_workers + 1) * sizeof *slices->first);
    team->work.update(team->work.user, w, slices->first[w], slices->first[w + 1]);
    DD_WRITE(&self->report, sizeof self->report);
    self->report.slice_ns += dd_member_worked_(self);
}

static void worker_generation(dd_member *self, dd_doing doing)
{
    const dd_team *team = self->team;
    const bool slices = doing == DD_DOING_STEP && team->slices;
    report_begin(self);
    const bool skipping = self->report.fp_env != DD_FP_ENV_DEFAULT;
    if (doing == DD_DOING_STEP)
        dd_lanes_step_(self, skipping);
    else
        dd_lanes_each_(self, skipping);
    report_look_again(self);
    dd_member_worked_(self);
    if (arrive(self, DD_WAIT_B)) {
        if (slices)
            dd_act_slices_(self);
        else
            dd_act_verdict_(self, doing);
        dd_member_worked_(self);
    }
    if (slices)
        fold_slice(self);

    go_on(self, DD_WAIT_V);
    dd_member_at_(self, DD_AT_UPDATE, 0);
    DD_READ(&team->update, sizeof team->update);
    if (team->update)
        update_slice(self);
    if (doing == DD_DOING_STEP)
        dd_lanes_refill_(self);
    dd_tally_set(&self->health.cpu_ns, dd_thread_cpu_ns());
    dd_member_worked_(self);
    if (arrive(self, DD_WAIT_U))
        dd_points_wake_root(self->formation->points);
}

/* Where the last arriver climbs, a control only relays A. */
static void control_relays(dd_member *self)
{
    report_begin(self);
    dd_timeline_show(&self->timeline); /* what comes now is told in the next generation */
    release_children(self);
    dd_tally_set(&self->health.cpu_ns, dd_thread_cpu_ns());
}

/* Where it does not, a control collects its children and arrives for itself. */
static void control_collects(dd_member *self, dd_doing doing)
{
    const dd_formation *f = self->formation;
    const dd_team *team = self->team;
    report_begin(self);
    release_children(self);
    collect_children(self, DD_WAIT_B);
    dd_member_at_(self, DD_AT_FOLDS, 0);
    uint32_t root;
    if (doing == DD_DOING_STEP && team->options.reduce == DD_REDUCE_CONTROL) {
        if (dd_combine_fold_control(f->combine, self->sphere, &self->folder, &root))
            dd_act_root_(self, root);
        dd_tally_set(&self->health.folds, self->folder.n_folds);
        DD_WRITE(&self->report, sizeof self->report);
        report_look_again(self);
    }
    arrive(self, DD_WAIT_B);
    if (doing == DD_DOING_STEP && team->slices) {
        self->part = DD_PART_SLICES;
        await_release(self, 0, DD_WAIT_B);
        dd_member_at_(self, DD_AT_RELAY, DD_PART_SLICES);
        self->part = DD_PART_FOLDED;
        release_children(self);
        collect_children(self, DD_WAIT_B);
        arrive(self, DD_WAIT_B);
    }
    await_release(self, 0, DD_WAIT_V);
    dd_member_at_(self, DD_AT_RELAY, DD_PART_FOLDED);
    release_children(self);
    collect_children(self, DD_WAIT_U);
    dd_tally_set(&self->health.cpu_ns, dd_thread_cpu_ns());
    arrive(self, DD_WAIT_U);
}

/* ---- Membership ---- */

void dd_member_call_(dd_team *team, uint32_t thread, dd_formation *join)
{
    dd_member *m = &team->member[thread];
    DD_WRITE(&m->join, sizeof m->join);
    m->join = join;
    dd_eventcount_advance(&m->called);
}

/* A worker to its core, if there is to be such a thing; a control to any, whatever the thread that
 * made its own may use. Where that is refused it runs where it ran. */
static void pin(dd_member *self, bool worker)
{
    const dd_team_options *options = &self->team->options;
    if (!options->cpu)
        return;
    const uint32_t cpu = worker ? options->cpu[self->worker % options->n_cpu] : UINT32_MAX;
    if (cpu != self->cpu && dd_thread_pin(cpu))
        self->cpu = cpu;
    dd_tally_set(&self->health.unpinned, cpu != self->cpu);
}

/* On the timeline: where the thread is from now on. */
static void note_place(dd_member *self, dd_place place, uint32_t flags)
{
    const uint64_t now = dd_timeline_begin(&self->timeline);
    dd_timeline_end(&self->timeline, DD_TRACE_PLACE, flags, now, place.level, place.path, 0);
}

static void park(dd_member *self)
{
    note_place(self, self->formation->hierarchy->sphere[self->sphere].place, DD_PLACE_PARKED);
    show_parked(self);
}

bool dd_member_take_place_(dd_member *self, dd_formation *f)
{
    self->formation = NULL;
    if (f->sphere_of[self->number] == DD_NO_SPHERE)
        return false;
    self->formation = f;
    self->sphere = f->sphere_of[self->number];
    const dd_sphere *sphere = &f->hierarchy->sphere[self->sphere];
    self->worker = sphere->first_worker;
    show_sphere(self, sphere);
    note_place(self, sphere->place, sphere->n_children ? DD_PLACE_CONTROL : 0);
    dd_member_enters_(self, f->generation, DD_AT_A);
    pin(self, sphere->n_children == 0);
    for (uint32_t c = sphere->first_child; c < sphere->first_child + sphere->n_children; c++) {
        if (!f->joins[c])
            continue;
        DD_EDGE(DD_EDGE_SPAWN, sphere->place, f->hierarchy->sphere[c].place);
        dd_member_call_(self->team, f->thread[c], f);
    }
    return true;
}

/* Generations in one formation after another. returns  whether it is to go to the pool; else the
 * team ends */
static bool serve(dd_member *self)
{
    for (;;) {
        dd_team *team = self->team;
        const bool control = self->formation->hierarchy->sphere[self->sphere].n_children > 0;
        await_release(self, control ? 0 : self->formation->spins_a, DD_WAIT_A);
        DD_READ(&team->descriptor, sizeof team->descriptor);
        const dd_descriptor told = team->descriptor;
        dd_timeline_pass(&self->timeline, told.generation);
        dd_member_enters_(self, told.generation, control ? DD_AT_RELAY : DD_AT_FOLDS);
        if (told.doing == DD_DOING_STEP || told.doing == DD_DOING_EACH) {
            if (!control)
                worker_generation(self, told.doing);
            else if (team->climb)
                control_relays(self);
            else
                control_collects(self, told.doing);
            continue;
        }
        if (control)
            release_children(self);
        if (told.doing == DD_DOING_END)
            return false;
        /* Asked before it leaves: after that only members of the next formation keep it alive. */
        const bool stays = told.next->sphere_of[self->number] != DD_NO_SPHERE;
        if (!stays)
            park(self); /* before the change can be over */
        dd_timeline_show(&self->timeline);
        if (dd_points_leave(self->formation->points, self->sphere))
            dd_eventcount_advance(&team->settled);
        self->formation = NULL;
        if (!stays)
            return true;
        (void)dd_member_take_place_(self, told.next);
    }
}

/* ---- Life ---- */

static void member_main(void *arg)
{
    dd_member *self = arg;
    dd_tally_set(&self->health.tid, dd_thread_id());
    do {
        dd_eventcount_await(&self->called, self->calls_seen++, 0);
        self->clock_ns = dd_now_ns(); /* the pool is none of the points */
        DD_READ(&self->join, sizeof self->join);
        DD_READ(&self->quit, sizeof self->quit);
        if (self->quit)
            return;
        (void)dd_member_take_place_(self, self->join);
        if (self->number == DD_NODE_ZERO) {
            dd_node_zero_main_(self);
            return;
        }
    } while (serve(self));
}

static void each_tally(dd_health *h, void (*f)(dd_tally *))
{
    dd_tally *const tallies[] = {
        &h->where,
        &h->at,
        &h->tid,
        &h->heartbeat,
        &h->lanes_done,
        &h->lanes_cancelled,
        &h->lanes_as_control,
        &h->folds,
        &h->steals,
        &h->acted,
        &h->cpu_ns,
        &h->wait_ns[DD_WAIT_A],
        &h->wait_ns[DD_WAIT_B],
        &h->wait_ns[DD_WAIT_V],
        &h->wait_ns[DD_WAIT_U],
        &h->unpinned,
    };
    for (size_t i = 0; i < sizeof tallies / sizeof tallies[0]; i++)
        f(tallies[i]);
}

static void tally_init(dd_tally *t)
{
    dd_tally_init(t);
}

static void tally_forget(dd_tally *t)
{
    dd_tally_forget(t);
}

static void member_forget(dd_member *m)
{
    each_tally(&m->health, tally_forget);
    dd_eventcount_forget(&m->called);
    dd_timeline_close(&m->timeline);
}

static dd_status member_start(dd_team *team)
{
    const uint32_t number = dd_u32_load(&team->n_threads, DD_RELAXED);
    assert(number < team->n_slots);
    dd_member *m = &team->member[number];
    m->team = team;
    DD_WRITE(&m->number, sizeof m->number);
    m->number = number;
    m->cpu = DD_CPU_OF_MAKER;
    m->calls_seen = team->options.generation;
    if (dd_timeline_open(&m->timeline, team->options.trace))
        return DD_ERR_MEMORY;
    dd_eventcount_init(&m->called, team->options.generation);
    each_tally(&m->health, tally_init);
    show_parked(m);
    m->folder = (dd_folder){.user = team->work.user,
                            .thread = number,
                            .fold = team->work.fold,
                            .let_go = team->work.let_go,
                            .timeline = &m->timeline};

    char name[24] = "dd-node-zero";
    size_t stack_bytes = team->options.stack_bytes;
    if (number != DD_NODE_ZERO)
        snprintf(name, sizeof name, "dd-thread-%u", number);
    else if (stack_bytes && stack_bytes < DD_NODE_ZERO_STACK_BYTES)
        stack_bytes = DD_NODE_ZERO_STACK_BYTES;
    if (dd_thread_create(&m->thread, name, stack_bytes, member_main, m)) {
        member_forget(m);
        return DD_ERR_THREAD;
    }
    /* Release: for onlookers, who read no member before. */
    dd_u32_store(&team->n_threads, number + 1, DD_RELEASE);
    return DD_OK;
}

dd_status dd_members_start_(dd_team *team, uint32_t n)
{
    while (dd_u32_load(&team->n_threads, DD_RELAXED) < n) { /* the caller's own stores */
        dd_status st = member_start(team);
        if (st != DD_OK)
            return st;
    }
    return DD_OK;
}

void dd_member_quit_(dd_member *m)
{
    DD_WRITE(&m->quit, sizeof m->quit);
    m->quit = true;
    dd_eventcount_advance(&m->called);
}

void dd_member_join_(dd_member *m)
{
    dd_thread_join(&m->thread);
    member_forget(m);
}
