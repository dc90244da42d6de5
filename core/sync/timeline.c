/* SPDX-License-Identifier: MIT
 * The ring. Indices only grow; a moment that finds no room is counted and left out, so that what is
 * there is the oldest, without holes. */
#include "timeline.h"

dd_status dd_timeline_open(dd_timeline *t, uint32_t room)
{
    if (room == 0)
        return DD_OK;
    t->moment = dd_alloc((size_t)room * sizeof *t->moment);
    if (!t->moment)
        return DD_ERR_MEMORY;
    t->room = room;
    t->limit = room;
    return DD_OK;
}

void dd_timeline_close(dd_timeline *t)
{
    dd_free(t->moment);
    t->moment = NULL;
}

void dd_timeline_put_(dd_timeline *t, const dd_moment *m)
{
    if (t->written == t->limit) {
        t->lost++;
        return;
    }
    dd_moment *place = &t->moment[t->written % t->room];
    DD_WRITE(place, sizeof *place);
    *place = *m;
    t->written++;
}

void dd_timeline_turn_(dd_timeline *t, uint32_t generation, dd_activity at, uint32_t lane)
{
    const uint64_t now = dd_now_ns();
    t->open.end_ns = now;
    if (t->begun)
        dd_timeline_put_(t, &t->open);
    t->begun = true;
    t->open = (dd_moment){.begin_ns = now,
                          .generation = generation,
                          .kind = DD_TRACE_ACTIVITY,
                          .what = (uint16_t)at,
                          .number = {lane, 0, 0}};
}

void dd_timeline_pass(dd_timeline *t, uint32_t generation)
{
    if (!t->moment)
        return;
    DD_READ(&t->taken, sizeof t->taken);
    t->limit = t->taken + t->room;
    t->open.generation = generation;
}

void dd_timeline_show(dd_timeline *t)
{
    if (!t->moment)
        return;
    DD_WRITE(&t->shown, sizeof t->shown);
    t->shown.written = t->written;
    t->shown.lost = t->lost;
}

bool dd_timeline_take(dd_timeline *t, dd_moment *out)
{
    DD_READ(&t->shown, sizeof t->shown);
    if (t->taken == t->shown.written)
        return false;
    const dd_moment *place = &t->moment[t->taken % t->room];
    DD_READ(place, sizeof *place);
    *out = *place;
    DD_WRITE(&t->taken, sizeof t->taken);
    t->taken++;
    return true;
}

uint64_t dd_timeline_lost(dd_timeline *t)
{
    DD_READ(&t->shown, sizeof t->shown);
    const uint64_t lost = t->shown.lost - t->lost_told;
    t->lost_told = t->shown.lost;
    return lost;
}
