/* SPDX-License-Identifier: MIT
 * Edges, counted in a checking build. All of it is relaxed: the counts order nothing, and are read
 * when the threads that made them have passed a point. */
#include "edges.h"

#ifdef DD_CHECK_EDGES

#include "platform.h"

enum relation { EQUAL, TRIANGLE, NEIGHBOUR, CENTRE, APART, RELATIONS };

static dd_atomic_u64 used[DD_EDGE_KINDS][RELATIONS]; /* atomic, relaxed */
/* The first edge apart: acting << 32 | owner, each level << 29 | path. Zero: none; it would be the
 * edge from the root to itself. */
static dd_atomic_u64 offence; /* atomic, relaxed */

static enum relation relate(dd_place a, dd_place b)
{
    if (dd_place_equal(a, b))
        return EQUAL;
    if (!dd_places_touch(a, b))
        return APART;
    if (a.level != b.level)
        return CENTRE;
    return dd_place_position(a) / 3 == dd_place_position(b) / 3 ? TRIANGLE : NEIGHBOUR;
}

static uint64_t pack(dd_place place)
{
    return (uint64_t)place.level << 29 | place.path;
}

static dd_place unpack(uint64_t packed)
{
    return (dd_place){(uint32_t)(packed >> 29) & 7, (uint32_t)packed & ((UINT32_C(1) << 29) - 1)};
}

void dd_edge_use(dd_edge_kind kind, dd_place acting, dd_place owner)
{
    const enum relation relation = relate(acting, owner);
    (void)dd_u64_fetch_add(&used[kind][relation], 1, DD_RELAXED);
    if (relation == APART) {
        uint64_t none = 0;
        (void)dd_u64_compare_exchange(&offence, &none, pack(acting) << 32 | pack(owner), DD_RELAXED,
                                      DD_RELAXED);
    }
}

static uint64_t take(dd_edge_kind kind, enum relation relation)
{
    return dd_u64_exchange(&used[kind][relation], 0, DD_RELAXED);
}

void dd_edges_take(dd_edge_count count[DD_EDGE_KINDS], dd_place *acting, dd_place *owner)
{
    for (dd_edge_kind k = 0; k < DD_EDGE_KINDS; k++)
        count[k] = (dd_edge_count){.equal = take(k, EQUAL),
                                   .triangle = take(k, TRIANGLE),
                                   .neighbour = take(k, NEIGHBOUR),
                                   .centre = take(k, CENTRE),
                                   .apart = take(k, APART)};
    const uint64_t first = dd_u64_exchange(&offence, 0, DD_RELAXED);
    if (first) {
        *acting = unpack(first >> 32);
        *owner = unpack(first);
    }
}

#endif
