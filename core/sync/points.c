/* SPDX-License-Identifier: MIT
 * Points A, B, V and U, by combining trees along contacts or by pthread barriers.
 *
 * Tree protocol, of one sphere with children. Release: one eventcount that belongs to the centre;
 * the control advances it, each child waits for it to move on from what it saw last.
 * Collection: a child adds itself to the counter of its position's triangle; the last of the
 * triangle resets that counter and goes on to the centre's; the last there resets it and either
 * advances the eventcount on which the control sleeps, or climbs: it arrives at the next sphere in
 * the control's place. The way down after a climb has an eventcount of its own, so that controls
 * sleep on: where a climber stopped it waits, for the sphere in whose place it stands, and then
 * lets through, from there down, the children of every sphere whose place it took. All of these
 * move on once for every descent, so that each worker counts for itself what it has seen.
 *
 * Nobody can be a round ahead: between two collections lies a release or a descent, which begins
 * only after the first was complete. So a counter's reset happens-before the next addition (reset,
 * rest of the collection, way down, addition), and no child misses two releases.
 *
 * Where only one can arrive there is nothing to count. What such a child did reaches whoever goes
 * on by program order, for it goes on itself, up to the next counter or eventcount, which releases.
 *
 * Two workers under Node Zero, the commonest team of two cores, climb through a pair instead: one
 * counter at the centre that is never reset, whose parity tells the last, and the eventcount of the
 * way down in the same line. The protocol is the same; what it saves is a transfer of a line and
 * the time in which the poller can take it away between the last arrival and the advance.
 *
 * Every other word has a cache line to itself. That `returned` does not share the centre's is
 * measured: the more poll it, the more often they take the line away from those who arrive. */
#include "points.h"

#include <assert.h>

#include "edges.h"
#include "eventcount.h"

#define N_TRIANGLES (DD_POSITIONS / 3)
#define ROOT 0u

/* Polls in the time that a wake-up takes, some tens of microseconds. */
#define SPINS 1000u
/* Measured on 2 cores against sleeping at once: an empty barrier of 4 threads takes a tenth to a
 * third of the time with yields, one of 16 two thirds, one of 32 as much or more. */
#define YIELDERS_PER_CORE 8u

/* Where arrivals meet: a triangle, or a centre. */
typedef struct meeting {
    _Alignas(DD_CACHE_LINE) dd_atomic_u32 arrived; /* atomic: protocol above */
    uint32_t expected;                             /* fixed after open */
} meeting;

/* Where the two workers of a team of two climb. The lines on both sides are left empty: machines
 * fetch one of them along with the one in the middle. */
typedef struct pair {
    _Alignas(DD_CACHE_LINE) uint8_t before[DD_CACHE_LINE];
    dd_atomic_u32 arrivals; /* atomic: odd while one has arrived; wraps */
    dd_eventcount returned; /* advanced by the last to arrive */
    _Alignas(DD_CACHE_LINE) uint8_t after[DD_CACHE_LINE];
} pair;

/* What belongs to a sphere with children. */
typedef struct gathering {
    _Alignas(DD_CACHE_LINE) dd_eventcount released;  /* advanced by the control */
    _Alignas(DD_CACHE_LINE) dd_eventcount returned;  /* by whoever took its place in a climb */
    _Alignas(DD_CACHE_LINE) dd_eventcount collected; /* by the last to arrive */
    meeting triangle[N_TRIANGLES];
    meeting centre;
    meeting leaving;        /* the children and the control itself */
    dd_pbarrier *down, *up; /* pthread: fixed after open */
} gathering;

typedef struct member {
    /* the own thread's */
    _Alignas(DD_CACHE_LINE) uint32_t releases_seen;
    uint32_t returns_seen, collections_seen;
    uint32_t stopped; /* the last climb: the sphere for which it arrived last, ROOT: all the way */
    /* fixed after open */
    uint32_t parent;
    uint32_t triangle;      /* the parent's, where it arrives */
    dd_place place, corner; /* its own, and that triangle's first position */
    gathering *siblings;    /* its parent's; NULL: the root */
    gathering *children;    /* NULL: a worker */
    pair *pair;             /* NULL: not one of two workers under the root */
} member;

struct dd_points {
    dd_barrier kind; /* fixed after open, as is all that follows */
    uint32_t n_gatherings;
    gathering *gathering; /* (n_gatherings) */
    pair *pair;           /* NULL: not a team of two */
    member *member;       /* (n_spheres) */
};

uint32_t dd_points_spins(uint32_t n_threads, uint32_t cores)
{
    if (n_threads <= cores)
        return SPINS;
    return (n_threads - 1) / YIELDERS_PER_CORE < cores ? DD_YIELDING : 0;
}

/* ---- Opening and closing ---- */

static dd_status gathering_open(dd_points *p, const dd_hierarchy *h, uint32_t control,
                                uint32_t generation, gathering *g)
{
    const dd_sphere *s = &h->sphere[control];
    dd_eventcount_init(&g->released, generation);
    dd_eventcount_init(&g->returned, generation);
    dd_eventcount_init(&g->collected, generation);
    for (uint32_t t = 0; t < N_TRIANGLES; t++)
        dd_u32_init(&g->triangle[t].arrived, 0);
    dd_u32_init(&g->centre.arrived, 0);
    dd_u32_init(&g->leaving.arrived, 0);
    g->leaving.expected = s->n_children + 1;
    p->member[control].children = g;
    for (uint32_t c = s->first_child; c < s->first_child + s->n_children; c++) {
        member *child = &p->member[c];
        child->siblings = g;
        child->triangle = dd_place_position(h->sphere[c].place) / 3;
        child->corner = dd_place_child(s->place, 3 * child->triangle);
        g->centre.expected += g->triangle[child->triangle].expected++ == 0;
    }
    if (p->kind == DD_BARRIER_PTHREAD) {
        g->down = dd_pbarrier_open(s->n_children + 1);
        g->up = dd_pbarrier_open(s->n_children + 1);
        if (!g->down || !g->up)
            return DD_ERR_MEMORY;
    }
    return DD_OK;
}

static dd_status pair_open(dd_points *p, const dd_hierarchy *h, uint32_t generation)
{
    const dd_sphere *root = &h->sphere[ROOT];
    if (p->kind != DD_BARRIER_TREE || h->n_workers != 2 || h->n_controls != 1)
        return DD_OK;
    p->pair = dd_alloc(sizeof *p->pair);
    if (!p->pair)
        return DD_ERR_MEMORY;
    dd_u32_init(&p->pair->arrivals, 2 * generation);
    dd_eventcount_init(&p->pair->returned, generation);
    for (uint32_t c = 0; c < 2; c++)
        p->member[root->first_child + c].pair = p->pair;
    return DD_OK;
}

dd_status dd_points_open(dd_barrier kind, const dd_hierarchy *h, uint32_t generation,
                         dd_points **out)
{
    dd_points *p = dd_alloc(sizeof *p);
    if (!p)
        return DD_ERR_MEMORY;
    p->kind = kind;
    p->member = dd_alloc(h->n_spheres * sizeof *p->member);
    p->gathering = dd_alloc(h->n_controls * sizeof *p->gathering);
    dd_status st = p->member && p->gathering ? DD_OK : DD_ERR_MEMORY;
    for (uint32_t s = 0; st == DD_OK && s < h->n_spheres; s++) {
        member *m = &p->member[s];
        m->releases_seen = m->returns_seen = m->collections_seen = generation;
        m->parent = h->sphere[s].parent;
        m->place = h->sphere[s].place;
        if (h->sphere[s].n_children > 0)
            st = gathering_open(p, h, s, generation, &p->gathering[p->n_gatherings++]);
    }
    if (st == DD_OK)
        st = pair_open(p, h, generation);
    if (st != DD_OK) {
        dd_points_close(p);
        return st;
    }
    *out = p;
    return DD_OK;
}

static void gathering_close(gathering *g)
{
    dd_pbarrier_close(g->up);
    dd_pbarrier_close(g->down);
    dd_u32_forget(&g->leaving.arrived);
    dd_u32_forget(&g->centre.arrived);
    for (uint32_t t = 0; t < N_TRIANGLES; t++)
        dd_u32_forget(&g->triangle[t].arrived);
    dd_eventcount_forget(&g->collected);
    dd_eventcount_forget(&g->returned);
    dd_eventcount_forget(&g->released);
}

void dd_points_close(dd_points *p)
{
    if (!p)
        return;
    for (uint32_t i = 0; i < p->n_gatherings; i++)
        gathering_close(&p->gathering[i]);
    if (p->pair) {
        dd_eventcount_forget(&p->pair->returned);
        dd_u32_forget(&p->pair->arrivals);
    }
    dd_free(p->pair);
    dd_free(p->gathering);
    dd_free(p->member);
    dd_free(p);
}

/* ---- Downwards ---- */

void dd_points_release(dd_points *p, uint32_t sphere)
{
    const member *self = &p->member[sphere];
    DD_EDGE(DD_EDGE_RELEASE, self->place, self->place);
    if (p->kind == DD_BARRIER_PTHREAD)
        dd_pbarrier_wait(self->children->down);
    else
        dd_eventcount_advance(&self->children->released);
}

void dd_points_await(dd_points *p, uint32_t sphere, uint32_t spins)
{
    member *self = &p->member[sphere];
    DD_EDGE(DD_EDGE_RELEASE, self->place, p->member[self->parent].place);
    if (p->kind == DD_BARRIER_PTHREAD)
        dd_pbarrier_wait(self->siblings->down);
    else
        dd_eventcount_await(&self->siblings->released, self->releases_seen++, spins);
}

/* ---- Upwards ---- */

/* Whether the caller is the last; then everything the others did before they arrived happens-before
 * the return. */
static bool last_to_arrive(meeting *m)
{
    const uint32_t expected = m->expected; /* for after the addition a leaver's m may be gone */
    if (expected == 1)
        return true;
    /* Release: for the last arriver, who acquires. Acquire: from all who came before; their
     * additions form one release sequence. */
    if (dd_u32_fetch_add(&m->arrived, 1, DD_ACQ_REL) + 1 != expected)
        return false;
    dd_u32_store(&m->arrived, 0, DD_RELAXED); /* the next addition happens-after: see above */
    return true;
}

/* Whether all siblings have arrived with this one. */
static bool last_of_siblings(const dd_points *p, const member *self)
{
    DD_EDGE(DD_EDGE_ARRIVE, self->place, self->corner);
    if (!last_to_arrive(&self->siblings->triangle[self->triangle]))
        return false;
    DD_EDGE(DD_EDGE_ARRIVE, self->place, p->member[self->parent].place);
    return last_to_arrive(&self->siblings->centre);
}

bool dd_points_arrive(dd_points *p, uint32_t sphere, bool climb)
{
    member *self = &p->member[sphere];
    if (climb && self->pair) {
        DD_EDGE(DD_EDGE_ARRIVE, self->place, p->member[ROOT].place);
        /* Acquire and release: as in last_to_arrive. */
        const bool last = dd_u32_fetch_add(&self->pair->arrivals, 1, DD_ACQ_REL) & 1;
        self->stopped = last ? ROOT : sphere;
        return last;
    }
    assert(sphere != ROOT && !(climb && p->kind == DD_BARRIER_PTHREAD));
    if (p->kind == DD_BARRIER_PTHREAD) {
        DD_EDGE(DD_EDGE_ARRIVE, self->place, p->member[self->parent].place);
        dd_pbarrier_wait(self->siblings->up);
    } else if (climb) {
        for (self->stopped = sphere; self->stopped != ROOT;) {
            const member *acting = &p->member[self->stopped];
            if (!last_of_siblings(p, acting))
                return false;
            self->stopped = acting->parent;
        }
        return true;
    } else if (last_of_siblings(p, self)) {
        dd_eventcount_advance(&self->siblings->collected);
    }
    return false;
}

/* Lets through the children of every sphere above `sphere`, up to `top`, beginning there. */
static void let_through(dd_points *p, uint32_t top, uint32_t sphere)
{
    if (sphere == top)
        return;
    const uint32_t parent = p->member[sphere].parent;
    const member *acting = &p->member[parent];
    let_through(p, top, parent);
    DD_EDGE(DD_EDGE_RELEASE, acting->place, acting->place);
    dd_eventcount_advance(&acting->children->returned);
}

void dd_points_descend(dd_points *p, uint32_t sphere, uint32_t spins)
{
    member *self = &p->member[sphere];
    const uint32_t seen = self->returns_seen++;
    if (self->pair) {
        DD_EDGE(DD_EDGE_RELEASE, self->place, p->member[ROOT].place);
        if (self->stopped == ROOT)
            dd_eventcount_advance(&self->pair->returned);
        else
            dd_eventcount_await(&self->pair->returned, seen, spins);
        return;
    }
    const member *acting = &p->member[self->stopped];
    if (self->stopped != ROOT) {
        DD_EDGE(DD_EDGE_RELEASE, acting->place, p->member[acting->parent].place);
        dd_eventcount_await(&acting->siblings->returned, seen, spins);
    }
    let_through(p, self->stopped, sphere);
}

void dd_points_collect(dd_points *p, uint32_t sphere)
{
    member *self = &p->member[sphere];
    DD_EDGE(DD_EDGE_ARRIVE, self->place, self->place);
    if (p->kind == DD_BARRIER_PTHREAD)
        dd_pbarrier_wait(self->children->up);
    else
        dd_eventcount_await(&self->children->collected, self->collections_seen++, 0);
}

void dd_points_wake_root(dd_points *p)
{
    const member *root = &p->member[ROOT];
    assert(p->kind == DD_BARRIER_TREE);
    DD_EDGE(DD_EDGE_ARRIVE, root->place, root->place);
    dd_eventcount_advance(&root->children->collected);
}

/* ---- The end ---- */

bool dd_points_leave(dd_points *p, uint32_t sphere)
{
    const member *self = &p->member[sphere];
    if (self->children) {
        DD_EDGE(DD_EDGE_ARRIVE, self->place, self->place);
        if (!last_to_arrive(&self->children->leaving))
            return false;
    }
    /* Last below `self`, in whose place the caller goes on. */
    while (self->siblings) {
        const member *parent = &p->member[self->parent];
        DD_EDGE(DD_EDGE_ARRIVE, self->place, parent->place);
        if (!last_to_arrive(&self->siblings->leaving))
            return false;
        self = parent;
    }
    return true;
}
