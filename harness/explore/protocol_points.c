/* SPDX-License-Identifier: MIT
 * Programs that drive Points A, B, V and U alone, without a team: Node Zero is the caller. Plain
 * memory goes from hand to hand exactly as the contract of points.h allows, so that a thread that
 * leaves a point too early is a race. */
#include "eventcount.h"
#include "protocols.h"

#define MAX_WORKERS 3

typedef struct round_trip {
    dd_points *points;
    const dd_points_case *how;
    uint64_t descriptor, verdict; /* Node Zero before A and V, workers after it */
    struct {
        uint64_t gradient, slice; /* its worker before B and U, Node Zero after it */
    } worker[MAX_WORKERS];
} round_trip;

typedef struct party {
    round_trip *trip;
    uint32_t number;
    dd_thread thread;
} party;

static void worker_main(void *arg)
{
    party *self = arg;
    round_trip *t = self->trip;
    uint32_t w = self->number;
    for (uint64_t round = 1; round <= t->how->rounds; round++) {
        dd_points_worker(t->points, w, DD_POINT_A);
        DD_READ(&t->descriptor, sizeof t->descriptor);
        DD_CHECK(t->descriptor == round, "a worker saw another round's descriptor", t->descriptor,
                 round);
        DD_WRITE(&t->worker[w].gradient, sizeof t->worker[w].gradient);
        t->worker[w].gradient = round;
        dd_points_worker(t->points, w, DD_POINT_B);

        dd_points_worker(t->points, w, DD_POINT_V);
        DD_READ(&t->verdict, sizeof t->verdict);
        DD_CHECK(t->verdict == round, "a worker saw another round's verdict", t->verdict, round);
        DD_WRITE(&t->worker[w].slice, sizeof t->worker[w].slice);
        t->worker[w].slice = round;
        dd_points_worker(t->points, w, DD_POINT_U);
    }
}

static void node_zero_round(round_trip *t, uint64_t round)
{
    DD_WRITE(&t->descriptor, sizeof t->descriptor);
    t->descriptor = round;
    dd_points_node_zero(t->points, DD_POINT_A);
    dd_points_node_zero(t->points, DD_POINT_B);
    for (uint32_t w = 0; w < t->how->workers; w++) {
        DD_READ(&t->worker[w].gradient, sizeof t->worker[w].gradient);
        DD_CHECK(t->worker[w].gradient == round, "Point B before a worker arrived", w, round);
    }
    DD_WRITE(&t->verdict, sizeof t->verdict);
    t->verdict = round;
    dd_points_node_zero(t->points, DD_POINT_V);
    dd_points_node_zero(t->points, DD_POINT_U);
    for (uint32_t w = 0; w < t->how->workers; w++) {
        DD_READ(&t->worker[w].slice, sizeof t->worker[w].slice);
        DD_CHECK(t->worker[w].slice == round, "Point U before a worker arrived", w, round);
    }
}

void dd_protocol_points_(const void *arg)
{
    static const char *const name[MAX_WORKERS] = {"worker-0", "worker-1", "worker-2"};
    const dd_points_case *how = arg;
    round_trip *t = dd_alloc(sizeof *t);
    t->how = how;
    DD_CHECK(dd_points_open(how->barrier, how->workers, how->position, how->spins, how->generation,
                            &t->points) == DD_OK,
             "open failed", 0, 0);
    party p[MAX_WORKERS];
    for (uint32_t w = 0; w < how->workers; w++) {
        p[w] = (party){.trip = t, .number = w};
        dd_thread_create(&p[w].thread, name[w], 0, worker_main, &p[w]);
    }
    for (uint64_t round = 1; round <= how->rounds; round++)
        node_zero_round(t, round);
    for (uint32_t w = 0; w < how->workers; w++)
        dd_thread_join(&p[w].thread);
    dd_points_close(t->points);
    dd_free(t);
}

/* ---- An eventcount by itself --------------------------------------------------------------------
 */

typedef struct counted {
    dd_eventcount count;
    uint64_t said; /* the advancer before it advances, the others after it */
    const dd_eventcount_case *how;
} counted;

static void listener_main(void *arg)
{
    counted *c = arg;
    for (uint32_t n = 0; n < c->how->advances; n++)
        dd_eventcount_await(&c->count, c->how->from + n, c->how->spins);
    DD_READ(&c->said, sizeof c->said);
    DD_CHECK(c->said == c->how->advances, "a listener left too early", c->said, c->how->advances);
}

void dd_protocol_eventcount_(const void *arg)
{
    static const char *const name[] = {"listener-0", "listener-1"};
    counted *c = dd_alloc(sizeof *c);
    c->how = arg;
    dd_eventcount_init(&c->count, c->how->from);
    dd_thread t[2];
    for (int i = 0; i < 2; i++)
        dd_thread_create(&t[i], name[i], 0, listener_main, c);
    for (uint32_t n = 1; n <= c->how->advances; n++) {
        if (n == c->how->advances) {
            DD_WRITE(&c->said, sizeof c->said);
            c->said = n;
        }
        dd_eventcount_advance(&c->count);
    }
    for (int i = 0; i < 2; i++)
        dd_thread_join(&t[i]);
    dd_eventcount_forget(&c->count);
    dd_free(c);
}
