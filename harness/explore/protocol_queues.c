/* SPDX-License-Identifier: MIT
 * The program that drives lane queues alone: an owner and its thieves, on lanes that are all the
 * owner's. Who runs a lane announces it as plain memory: a lane taken twice is a race, too. */
#include "protocols.h"
#include "queues.h"

#define MAX_WORKERS 3

typedef struct field {
    dd_queues *queues;
    const dd_queues_case *how;
    uint64_t runs[DD_POSITIONS]; /* by lane: whoever took it */
} field;

typedef struct hand {
    field *field;
    uint32_t worker;
    dd_thread thread;
} hand;

static void run(field *f, uint32_t lane)
{
    DD_WRITE(&f->runs[lane], sizeof f->runs[lane]);
    DD_CHECK(f->runs[lane] == 0, "a lane was taken twice", lane, f->runs[lane]);
    f->runs[lane]++;
}

static void hand_main(void *arg)
{
    const hand *self = arg;
    field *f = self->field;
    uint32_t lane, victim, n;
    const uint32_t *lanes;
    if (!f->how->full)
        dd_queues_fill(f->queues, self->worker);
    while (dd_queues_take(f->queues, self->worker, &lane))
        run(f, lane);
    while ((n = dd_queues_steal(f->queues, self->worker, &lanes, &victim)) > 0) {
        DD_CHECK(victim != self->worker && n <= 3, "not a neighbour's lanes", victim, n);
        for (uint32_t i = 0; i < n; i++) {
            DD_CHECK(i == 0 || lanes[i] > lanes[i - 1], "stolen lanes out of order", lanes[i], i);
            run(f, lanes[i]);
        }
    }
    if (f->how->full)
        DD_CHECK(dd_queues_steal(f->queues, self->worker, &lanes, &victim) == 0,
                 "a thief left while there were lanes", victim, 0);
}

void dd_protocol_queues_(const void *arg)
{
    static const char *const name[MAX_WORKERS] = {"owner", "thief-1", "thief-2"};
    const dd_queues_case *how = arg;
    field *f = dd_alloc(sizeof *f);
    f->how = how;
    uint64_t weight[DD_POSITIONS];
    uint32_t first = 0, last = 0;
    for (uint32_t l = 0; l < DD_POSITIONS; l++) {
        weight[l] = how->lanes >> l & 1;
        last = weight[l] ? l : last;
    }
    while (!weight[first])
        first++;
    const uint32_t n_lanes = (uint32_t)__builtin_popcount(how->lanes);
    const dd_share share[MAX_WORKERS] = {
        {.first = first, .count = last + 1 - first, .n_lanes = n_lanes, .tokens = n_lanes}};
    dd_hierarchy *hierarchy;
    dd_plan *plan;
    DD_CHECK(dd_spread_open_((dd_spread){.workers = how->workers}, &hierarchy) == DD_OK &&
                 dd_plan_open(weight, 1, hierarchy, share, DD_PLAN_STEALING, &plan) == DD_OK &&
                 dd_queues_open(plan, hierarchy, &f->queues) == DD_OK,
             "open failed", 0, 0);
    for (uint32_t w = 0; how->full && w < how->workers; w++)
        dd_queues_fill(f->queues, w);
    hand h[MAX_WORKERS];
    for (uint32_t w = 0; w < how->workers; w++) {
        h[w] = (hand){.field = f, .worker = w};
        dd_thread_create(&h[w].thread, name[w], 0, hand_main, &h[w]);
    }
    for (uint32_t w = 0; w < how->workers; w++)
        dd_thread_join(&h[w].thread);
    for (uint32_t l = 0; l < DD_POSITIONS; l++)
        DD_CHECK(f->runs[l] == weight[l], "not every lane was taken once", l, f->runs[l]);
    dd_queues_close(f->queues);
    dd_plan_close(plan);
    dd_hierarchy_close(hierarchy);
    dd_free(f);
}
