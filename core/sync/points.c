/* SPDX-License-Identifier: MIT
 * Points A, B, V and U, by a combining tree along contacts or by pthread barriers.
 *
 * Tree protocol. Release (A, V): one eventcount that belongs to the centre; Node Zero advances it,
 * each worker waits for it to move on from what it saw last. Collection (B, U): a worker adds
 * itself to the counter of its position's triangle; the last of the triangle resets that counter
 * and goes on to the centre's; the last there resets it and advances the eventcount on which Node
 * Zero sleeps.
 *
 * Nobody can be a round ahead: between two collections lies a release that Node Zero gives only
 * after the first was complete. So a counter's reset happens-before the next addition (reset,
 * centre, Node Zero, release, addition), and no worker misses two releases. */
#include "points.h"

#include <assert.h>

#include "eventcount.h"
#include "spheres.h"

#define N_TRIANGLES (DD_POSITIONS / 3)

/* Where arrivals meet: a triangle, or the centre. */
typedef struct meeting {
    _Alignas(DD_CACHE_LINE) dd_atomic_u32 arrived; /* atomic: protocol above */
    uint32_t expected;                             /* fixed after open */
} meeting;

typedef struct member {
    _Alignas(DD_CACHE_LINE) uint32_t releases_seen; /* its worker's own */
    uint32_t triangle;                              /* fixed after open */
} member;

struct dd_points {
    dd_barrier kind; /* fixed after open, as are the next three */
    uint32_t workers;
    uint32_t spins;
    dd_pbarrier *barrier[4];                         /* pthread: one per point */
    uint32_t collections_seen;                       /* Node Zero's own */
    _Alignas(DD_CACHE_LINE) dd_eventcount released;  /* advanced by Node Zero */
    _Alignas(DD_CACHE_LINE) dd_eventcount collected; /* advanced by the last to arrive */
    meeting triangle[N_TRIANGLES];
    meeting centre;
    member member[DD_POSITIONS];
};

dd_status dd_points_open(dd_barrier kind, uint32_t workers, const uint32_t *position,
                         uint32_t spins, uint32_t generation, dd_points **out)
{
    assert(workers >= 1 && workers <= DD_POSITIONS);
    dd_points *p = dd_alloc(sizeof *p);
    if (!p)
        return DD_ERR_MEMORY;
    p->kind = kind;
    p->workers = workers;
    p->spins = spins;

    p->collections_seen = generation;
    dd_eventcount_init(&p->released, generation);
    dd_eventcount_init(&p->collected, generation);
    dd_u32_init(&p->centre.arrived, 0);
    for (uint32_t t = 0; t < N_TRIANGLES; t++)
        dd_u32_init(&p->triangle[t].arrived, 0);
    for (uint32_t w = 0; w < workers; w++) {
        assert(position[w] < DD_POSITIONS);
        uint32_t triangle = position[w] / 3;
        p->member[w] = (member){.releases_seen = generation, .triangle = triangle};
        p->centre.expected += p->triangle[triangle].expected++ == 0;
    }

    for (int point = 0; kind == DD_BARRIER_PTHREAD && point < 4; point++) {
        p->barrier[point] = dd_pbarrier_open(workers + 1);
        if (!p->barrier[point]) {
            dd_points_close(p);
            return DD_ERR_MEMORY;
        }
    }
    *out = p;
    return DD_OK;
}

void dd_points_close(dd_points *p)
{
    if (!p)
        return;
    for (int point = 0; point < 4; point++)
        dd_pbarrier_close(p->barrier[point]);
    for (uint32_t t = 0; t < N_TRIANGLES; t++)
        dd_u32_forget(&p->triangle[t].arrived);
    dd_u32_forget(&p->centre.arrived);
    dd_eventcount_forget(&p->collected);
    dd_eventcount_forget(&p->released);
    dd_free(p);
}

/* Whether the caller is the last; then everything the others did before they arrived happens-before
 * the return. */
static bool last_to_arrive(meeting *m)
{
    /* Release: for the last arriver, who acquires. Acquire: from all who came before; their
     * additions form one release sequence. */
    if (dd_u32_fetch_add(&m->arrived, 1, DD_ACQ_REL) + 1 != m->expected)
        return false;
    dd_u32_store(&m->arrived, 0, DD_RELAXED); /* the next addition happens-after: see above */
    return true;
}

void dd_points_worker(dd_points *p, uint32_t w, dd_point point)
{
    assert(w < p->workers);
    member *self = &p->member[w];
    if (p->kind == DD_BARRIER_PTHREAD)
        dd_pbarrier_wait(p->barrier[point]);
    else if (point == DD_POINT_A || point == DD_POINT_V)
        dd_eventcount_await(&p->released, self->releases_seen++, p->spins);
    else if (last_to_arrive(&p->triangle[self->triangle]) && last_to_arrive(&p->centre))
        dd_eventcount_advance(&p->collected);
}

void dd_points_node_zero(dd_points *p, dd_point point)
{
    if (p->kind == DD_BARRIER_PTHREAD)
        dd_pbarrier_wait(p->barrier[point]);
    else if (point == DD_POINT_A || point == DD_POINT_V)
        dd_eventcount_advance(&p->released);
    else
        dd_eventcount_await(&p->collected, p->collections_seen++, 0);
}
