/* SPDX-License-Identifier: MIT
 * Programs that drive the points alone, without a team: Node Zero is the caller. Plain memory goes
 * from hand to hand exactly as the contract of points.h allows, so that a thread that leaves a
 * point too early is a race. */
#include "protocols.h"

#define MAX_SPHERES 16

typedef struct round_trip {
    dd_points *points;
    const dd_points_case *how;
    dd_hierarchy *hierarchy;
    uint64_t descriptor, verdict; /* Node Zero before A, who acts for it before V; all after it */
    uint64_t slices;              /* who acts for Node Zero before the slices' release */
    uint64_t closed;              /* by the last to leave */
    struct {
        uint64_t gradient, slice, update; /* its worker before each collection, others after it */
    } worker[];
} round_trip;

typedef struct party {
    round_trip *trip;
    uint32_t sphere;
    dd_thread thread;
} party;

static void check_descriptor(round_trip *t, uint64_t round)
{
    DD_READ(&t->descriptor, sizeof t->descriptor);
    DD_CHECK(t->descriptor == round, "another round's descriptor", t->descriptor, round);
}

/* What Node Zero does between two points, or the last to arrive in its place. */
static void act(round_trip *t, uint64_t round, bool slices)
{
    for (uint32_t w = 0; w < t->how->spread.workers; w++) {
        uint64_t *done = slices ? &t->worker[w].slice : &t->worker[w].gradient;
        DD_READ(done, sizeof *done);
        DD_CHECK(*done == round, "Point B before a worker arrived", w, round);
    }
    uint64_t *said = t->how->stages > 1 && !slices ? &t->slices : &t->verdict;
    DD_WRITE(said, sizeof *said);
    *said = round;
}

static void check_end(round_trip *t, uint64_t round)
{
    for (uint32_t w = 0; w < t->how->spread.workers; w++) {
        DD_READ(&t->worker[w].update, sizeof t->worker[w].update);
        DD_CHECK(t->worker[w].update == round, "Point U before a worker arrived", w, round);
    }
}

static void leave(round_trip *t, uint32_t sphere)
{
    if (!dd_points_leave(t->points, sphere))
        return;
    dd_points_close(t->points);
    DD_WRITE(&t->closed, sizeof t->closed);
    t->closed++;
}

dd_status dd_spread_open_(dd_spread spread, dd_hierarchy **out)
{
    const uint32_t controls = spread.controls;
    dd_hierarchy *h;
    dd_status st = dd_hierarchy_open(1, controls ? controls + spread.beside : spread.workers, &h);
    for (uint32_t c = 0; st == DD_OK && c < controls; c++) {
        dd_hierarchy *deeper;
        const uint32_t position = DD_POSITIONS * c / (controls + spread.beside);
        const uint32_t n_children = (spread.workers - spread.beside) / controls;
        st = dd_hierarchy_expand(h, dd_place_child((dd_place){0}, position), n_children, &deeper,
                                 NULL);
        dd_hierarchy_close(h);
        h = deeper;
    }
    if (st == DD_OK)
        *out = h;
    return st;
}

/* ---- The three parts ------------------------------------------------------------------------- */

static void go_on(round_trip *t, uint32_t sphere)
{
    if (t->how->climb)
        dd_points_descend(t->points, sphere, t->how->spins);
    else
        dd_points_await(t->points, sphere, t->how->spins);
}

static void worker_round(round_trip *t, uint32_t sphere, uint64_t round)
{
    const bool climb = t->how->climb;
    const uint32_t w = t->hierarchy->sphere[sphere].first_worker;
    dd_points_await(t->points, sphere, t->how->spins);
    check_descriptor(t, round);
    DD_WRITE(&t->worker[w].gradient, sizeof t->worker[w].gradient);
    t->worker[w].gradient = round;
    if (dd_points_arrive(t->points, sphere, climb))
        act(t, round, false);
    if (t->how->stages > 1) {
        go_on(t, sphere);
        DD_READ(&t->slices, sizeof t->slices);
        DD_CHECK(t->slices == round, "another round's slices", t->slices, round);
        DD_WRITE(&t->worker[w].slice, sizeof t->worker[w].slice);
        t->worker[w].slice = round;
        if (dd_points_arrive(t->points, sphere, climb))
            act(t, round, true);
    }
    go_on(t, sphere);
    DD_READ(&t->verdict, sizeof t->verdict);
    DD_CHECK(t->verdict == round, "another round's verdict", t->verdict, round);
    DD_WRITE(&t->worker[w].update, sizeof t->worker[w].update);
    t->worker[w].update = round;
    if (dd_points_arrive(t->points, sphere, climb))
        dd_points_wake_root(t->points);
}

static void control_round(round_trip *t, uint32_t sphere, uint64_t round)
{
    dd_points_await(t->points, sphere, 0);
    check_descriptor(t, round);
    dd_points_release(t->points, sphere);
    if (t->how->climb)
        return;
    for (uint32_t stage = 0; stage < t->how->stages; stage++) {
        dd_points_collect(t->points, sphere);
        dd_points_arrive(t->points, sphere, false);
        dd_points_await(t->points, sphere, 0);
        dd_points_release(t->points, sphere);
    }
    dd_points_collect(t->points, sphere);
    dd_points_arrive(t->points, sphere, false);
}

static void node_zero_round(round_trip *t, uint64_t round)
{
    DD_WRITE(&t->descriptor, sizeof t->descriptor);
    t->descriptor = round;
    dd_points_release(t->points, 0);
    for (uint32_t stage = 0; stage < t->how->stages && !t->how->climb; stage++) {
        dd_points_collect(t->points, 0);
        act(t, round, stage > 0);
        dd_points_release(t->points, 0);
    }
    dd_points_collect(t->points, 0);
    check_end(t, round);
}

/* ---- The program ----------------------------------------------------------------------------- */

static void party_main(void *arg)
{
    const party *self = arg;
    round_trip *t = self->trip;
    const bool control = t->hierarchy->sphere[self->sphere].n_children > 0;
    for (uint64_t round = 1; round <= t->how->rounds; round++)
        (control ? control_round : worker_round)(t, self->sphere, round);
    if (!t->how->without_last) {
        dd_points_await(t->points, self->sphere, t->how->spins);
        if (control)
            dd_points_release(t->points, self->sphere);
    }
    leave(t, self->sphere);
}

void dd_protocol_points_(const void *arg)
{
    static const char *const name[MAX_SPHERES] = {
        NULL,        "sphere-1",  "sphere-2",  "sphere-3", "sphere-4",  "sphere-5",
        "sphere-6",  "sphere-7",  "sphere-8",  "sphere-9", "sphere-10", "sphere-11",
        "sphere-12", "sphere-13", "sphere-14", "sphere-15"};
    const dd_points_case *how = arg;
    round_trip *t = dd_alloc(sizeof *t + how->spread.workers * sizeof t->worker[0]);
    t->how = how;
    DD_CHECK(dd_spread_open_(how->spread, &t->hierarchy) == DD_OK, "no hierarchy", 0, 0);
    if (how->neighbours)
        for (uint32_t w = 0; w < how->spread.workers; w++)
            t->hierarchy->sphere[1 + w].place.path = 3 + w;
    DD_CHECK(dd_points_open(how->barrier, t->hierarchy, how->generation, &t->points) == DD_OK,
             "no points", 0, 0);
    party *p = dd_alloc(t->hierarchy->n_spheres * sizeof *p);
    for (uint32_t s = 1; s < t->hierarchy->n_spheres; s++) {
        p[s] = (party){.trip = t, .sphere = s};
        dd_thread_create(&p[s].thread, name[s], 0, party_main, &p[s]);
    }
    for (uint64_t round = 1; round <= how->rounds; round++)
        node_zero_round(t, round);
    if (!how->without_last)
        dd_points_release(t->points, 0);
    leave(t, 0);
    for (uint32_t s = 1; s < t->hierarchy->n_spheres; s++)
        dd_thread_join(&p[s].thread);
    DD_CHECK(t->closed == 1, "not one was the last to leave", t->closed, 1);
    dd_free(p);
    dd_hierarchy_close(t->hierarchy);
    dd_free(t);
}
