/* SPDX-License-Identifier: MIT
 * Lane queues. A worker's non-empty lanes are a list that the plan fixes; its queue is one word,
 * the part [front, back) of the list that nobody has taken. Within a step front only grows and back
 * only shrinks, so a word that was seen once never comes back with another meaning, and a compare
 * exchange that succeeds took what it saw.
 *
 * Every access is relaxed: that each lane has one taker follows from the word's modification order,
 * and nothing is published through it. What a lane reads comes with Point A, what it makes goes
 * through the fold tree, and between two fillings lie Points B and V. */
#include "queues.h"

#include <assert.h>

#include "edges.h"
#include "platform.h"

enum { MOST_STOLEN = 3, SIBLINGS = DD_POSITIONS - 1 };

typedef struct queue {
    _Alignas(DD_CACHE_LINE) dd_atomic_u32 range; /* atomic: back << 16 | front; see above */
    /* fixed after open */
    const uint32_t *lane;
    uint32_t n_lanes;
    uint32_t n_touching, n_siblings;
    uint16_t sibling[SIBLINGS]; /* workers, in the order in which they are looked at */
} queue;

struct dd_queues {
    const dd_plan *plan;
    const dd_hierarchy *hierarchy;
    uint32_t n_workers;
    queue *queue;
};

static uint32_t range_of(uint32_t front, uint32_t back)
{
    return back << 16 | front;
}

static uint32_t front_of(uint32_t range)
{
    return range & UINT16_MAX;
}

static uint32_t back_of(uint32_t range)
{
    return range >> 16;
}

static dd_place place_of(const dd_queues *q, uint32_t worker)
{
    return q->hierarchy->sphere[q->hierarchy->worker[worker]].place;
}

/* Adds the siblings of a worker that touch it, or those that do not. */
static void siblings_add(dd_queues *q, uint32_t worker, bool touching)
{
    const dd_hierarchy *h = q->hierarchy;
    queue *of = &q->queue[worker];
    const uint32_t self = h->worker[worker];
    const dd_sphere *parent = &h->sphere[h->sphere[self].parent];
    for (uint32_t s = parent->first_child; s < parent->first_child + parent->n_children; s++)
        if (s != self && h->sphere[s].n_children == 0 &&
            dd_places_touch(h->sphere[self].place, h->sphere[s].place) == touching) {
            assert(of->n_siblings < SIBLINGS);
            of->sibling[of->n_siblings++] = (uint16_t)h->sphere[s].first_worker;
        }
}

dd_status dd_queues_open(const dd_plan *plan, const dd_hierarchy *h, dd_queues **out)
{
    dd_queues *q = dd_alloc(sizeof *q);
    if (!q)
        return DD_ERR_MEMORY;
    q->plan = plan;
    q->hierarchy = h;
    q->n_workers = h->n_workers;
    assert(q->n_workers <= UINT16_MAX && q->n_workers == dd_plan_n_workers(plan));
    q->queue = dd_alloc(q->n_workers * sizeof *q->queue);
    if (!q->queue) {
        dd_queues_close(q);
        return DD_ERR_MEMORY;
    }
    for (uint32_t w = 0; w < q->n_workers; w++) {
        queue *of = &q->queue[w];
        dd_u32_init(&of->range, 0);
        of->lane = dd_plan_lanes(plan, w, &of->n_lanes);
        assert(of->n_lanes <= UINT16_MAX);
        siblings_add(q, w, true);
        of->n_touching = of->n_siblings;
        siblings_add(q, w, false);
    }
    *out = q;
    return DD_OK;
}

void dd_queues_close(dd_queues *q)
{
    if (!q)
        return;
    for (uint32_t w = 0; q->queue && w < q->n_workers; w++)
        dd_u32_forget(&q->queue[w].range);
    dd_free(q->queue);
    dd_free(q);
}

void dd_queues_fill(dd_queues *q, uint32_t worker)
{
    queue *own = &q->queue[worker];
    const uint32_t range = dd_u32_load(&own->range, DD_RELAXED);
    assert(front_of(range) == back_of(range));
    dd_u32_store(&own->range, range_of(0, own->n_lanes), DD_RELAXED);
}

bool dd_queues_take(dd_queues *q, uint32_t worker, uint32_t *lane)
{
    queue *own = &q->queue[worker];
    uint32_t range = dd_u32_load(&own->range, DD_RELAXED);
    while (front_of(range) < back_of(range)) {
        const uint32_t front = front_of(range);
        if (dd_u32_compare_exchange(&own->range, &range, range_of(front + 1, back_of(range)),
                                    DD_RELAXED, DD_RELAXED)) {
            *lane = own->lane[front];
            return true;
        }
    }
    return false;
}

static uint32_t steal_from(dd_queues *q, uint32_t victim, const uint32_t **lanes)
{
    queue *of = &q->queue[victim];
    uint32_t range = dd_u32_load(&of->range, DD_RELAXED);
    while (front_of(range) < back_of(range)) {
        const uint32_t left = back_of(range) - front_of(range), half = left < 2 ? 1 : left / 2;
        const uint32_t n = dd_plan_last_subtree(q->plan, of->lane + front_of(range), left,
                                                half < MOST_STOLEN ? half : MOST_STOLEN);
        const uint32_t back = back_of(range) - n;
        if (dd_u32_compare_exchange(&of->range, &range, range_of(front_of(range), back), DD_RELAXED,
                                    DD_RELAXED)) {
            *lanes = of->lane + back;
            return n;
        }
    }
    return 0;
}

uint32_t dd_queues_steal(dd_queues *q, uint32_t worker, const uint32_t **lanes, uint32_t *victim)
{
    const queue *own = &q->queue[worker];
    const dd_place self = place_of(q, worker);
    for (uint32_t i = 0; i < own->n_siblings; i++) {
        *victim = own->sibling[i];
        DD_EDGE(DD_EDGE_STEAL, i < own->n_touching ? self : dd_place_parent(self),
                place_of(q, *victim));
        const uint32_t n = steal_from(q, *victim, lanes);
        if (n > 0)
            return n;
    }
    return 0;
}
