/* SPDX-License-Identifier: MIT
 * The normal form of what the memory model keeps: equal situations get equal bytes. Dropped are
 * messages that nobody can read, facts that all know whom they may concern, and what a message's
 * view tells nobody. Whom a word or a piece of memory concerns is known from the executions so far
 * (dd_users); when that turns out to be too few, the search starts over. Unreduced, everything
 * concerns everybody.
 *
 * A fibre that is not created yet stands for itself by whoever creates it: it inherits that one's
 * view. */
#include <string.h>

#include "arena.h"

typedef struct all_views {
    dd_view *view[DD_VIEWS];
    uint32_t n;
} all_views;

/* ---- Who matters ---- */

/* The running fibres whose views bound what these fibres will ever be able to see, a bit each. */
static uint32_t witnesses(uint32_t fibres)
{
    const uint32_t created = (1u << dd_arena_.total.n_fibres) - 1;
    uint32_t seen = 0, left = fibres, running = 0;
    while (left & ~seen) {
        const uint32_t i = (uint32_t)__builtin_ctz(left & ~seen);
        seen |= 1u << i;
        if (!(created >> i & 1))
            left |= dd_host_.creators[i];
        else if (dd_arena_.fibre[i].state < DD_FIBRE_DONE)
            running |= 1u << i;
    }
    return running;
}

/* What all these fibres know. returns  false if there are none */
static bool common_view(uint32_t fibres, dd_view *common)
{
    if (!fibres)
        return false;
    memset(common, 0xff, sizeof *common);
    for (uint32_t left = fibres; left; left &= left - 1) {
        const dd_view *v = &dd_arena_.view[__builtin_ctz(left)];
        for (uint32_t i = 0; i < DD_FACTS / 64; i++)
            common->facts[i] &= v->facts[i];
        for (uint32_t i = 0; i < DD_LOCATIONS; i++)
            common->floor[i] = common->floor[i] < v->floor[i] ? common->floor[i] : v->floor[i];
    }
    return true;
}

static const dd_users *users_of(const dd_location *o)
{
    static const dd_users everybody = {
        .loader = UINT16_MAX, .storer = UINT16_MAX, .acquirer = UINT16_MAX};
    return dd_host_.mode.unreduced ? &everybody : &dd_host_.users[o->at / 4];
}

/* ---- Messages ---- */

/* Drops the messages of a location that nobody can read or write behind any more. */
static void drop_messages(uint32_t l, const all_views *all)
{
    dd_location *o = &dd_arena_.location[l];
    uint8_t low = (uint8_t)(o->n - 1);
    for (uint32_t left = witnesses(users_of(o)->loader | users_of(o)->storer); left;
         left &= left - 1) {
        const uint8_t floor = dd_arena_.view[__builtin_ctz(left)].floor[l];
        low = floor < low ? floor : low;
    }
    for (uint32_t v = 0; v < all->n && low; v++)
        all->view[v]->floor[l] -= all->view[v]->floor[l] < low ? all->view[v]->floor[l] : low;
    if (low) {
        memmove(&o->message[0], &o->message[low], (o->n - low) * sizeof o->message[0]);
        o->n -= low;
        o->sc -= o->sc < low ? o->sc : low;
        o->message[0].attached = 0;
    }
    o->message[o->n - 1].value = 0;
}

/* Takes out of a location's views what tells nothing to any thread that may acquire there. */
static void thin_out(uint32_t l)
{
    const uint64_t n_locations = dd_arena_.total.n_locations;
    dd_location *o = &dd_arena_.location[l];
    dd_view common;
    const bool some = common_view(witnesses(users_of(o)->acquirer), &common);
    for (uint32_t m = 0; m < o->n; m++) {
        dd_view *v = &o->message[m].view;
        for (uint32_t i = 0; i < DD_FACTS / 64; i++)
            v->facts[i] = some ? v->facts[i] & ~common.facts[i] : 0;
        for (uint32_t i = 0; i < n_locations; i++)
            if (!some || v->floor[i] <= common.floor[i])
                v->floor[i] = 0;
        v->floor[l] = 0; /* who reads the message has that floor */
    }
}

/* ---- Facts ---- */

static bool all_know(uint32_t fibres, uint64_t fact)
{
    for (uint32_t left = fibres; left; left &= left - 1)
        if (!dd_view_knows(&dd_arena_.view[__builtin_ctz(left)], fact))
            return false;
    return true;
}

static bool fact_before(const dd_fact *a, const dd_fact *b)
{
    if (a->from != b->from)
        return a->from < b->from;
    return (a->access << 8 | a->fibre) < (b->access << 8 | b->fibre);
}

/* Whether b goes on where a ends, and whoever knows one knows the other. */
static bool continues(uint64_t a, uint64_t b, const all_views *all)
{
    const dd_fact *first = &dd_arena_.fact[a], *second = &dd_arena_.fact[b];
    if (first->to != second->from || first->access != second->access ||
        first->fibre != second->fibre || first->site != second->site)
        return false;
    for (uint32_t v = 0; v < all->n; v++)
        if (dd_view_knows(all->view[v], a) != dd_view_knows(all->view[v], b))
            return false;
    return true;
}

/* Lists the facts to keep in order. returns  their number */
static uint32_t order_facts(uint16_t kept[DD_FACTS], const all_views *all)
{
    uint32_t n = 0;
    for (uint64_t k = 0; k < dd_arena_.total.n_facts; k++) {
        const dd_fact *f = &dd_arena_.fact[k];
        if (f->from == f->to || all_know(witnesses(f->concerns), k))
            continue;
        uint32_t at = n++;
        for (; at > 0 && fact_before(f, &dd_arena_.fact[kept[at - 1]]); at--)
            kept[at] = kept[at - 1];
        kept[at] = (uint16_t)k;
    }
    uint32_t merged = 0;
    for (uint32_t k = 0; k < n; k++) {
        if (merged && continues(kept[merged - 1], kept[k], all)) {
            dd_arena_.fact[kept[merged - 1]].to = dd_arena_.fact[kept[k]].to;
            dd_arena_.fact[kept[merged - 1]].concerns |= dd_arena_.fact[kept[k]].concerns;
        } else {
            kept[merged++] = kept[k];
        }
    }
    return merged;
}

/* Puts these facts, and no others, in this order. */
static void renumber_facts(const uint16_t kept[DD_FACTS], uint32_t n, const all_views *all)
{
    static dd_fact fact[DD_FACTS];
    uint32_t same = 0;
    while (same < n && kept[same] == same)
        same++;
    if (same == dd_arena_.total.n_facts)
        return;
    for (uint32_t k = same; k < n; k++)
        fact[k] = dd_arena_.fact[kept[k]];
    memcpy(&dd_arena_.fact[same], &fact[same], (n - same) * sizeof fact[0]);
    for (uint32_t v = 0; v < all->n; v++) {
        dd_view *view = all->view[v];
        uint64_t facts[DD_FACTS / 64] = {0};
        for (uint32_t k = 0; k < n; k++)
            facts[k / 64] |= (uint64_t)dd_view_knows(view, kept[k]) << k % 64;
        memcpy(view->facts, facts, sizeof facts);
    }
    dd_arena_.total.n_facts = n;
}

/* ---- Locations ---- */

static bool is_empty(const dd_view *v)
{
    uint64_t facts = 0;
    uint32_t floors = 0;
    for (uint32_t i = 0; i < DD_FACTS / 64; i++)
        facts |= v->facts[i];
    for (uint32_t l = 0; l < dd_arena_.total.n_locations; l++)
        floors |= v->floor[l];
    return !facts && !floors;
}

/* Lists the locations to keep in order. returns  their number */
static uint32_t order_locations(uint8_t kept[DD_LOCATIONS])
{
    uint32_t n = 0;
    for (uint32_t l = 0; l < dd_arena_.total.n_locations; l++) {
        const dd_location *o = &dd_arena_.location[l];
        if (o->n == 1 && is_empty(&o->message[0].view))
            continue;
        uint32_t at = n++;
        for (; at > 0 && o->at < dd_arena_.location[kept[at - 1]].at; at--)
            kept[at] = kept[at - 1];
        kept[at] = (uint8_t)l;
    }
    return n;
}

static void renumber_locations(const uint8_t kept[DD_LOCATIONS], uint32_t n, const all_views *all)
{
    static dd_location location[DD_LOCATIONS];
    uint32_t same = 0;
    while (same < n && kept[same] == same)
        same++;
    if (same == dd_arena_.total.n_locations)
        return;
    for (uint32_t v = 0; v < all->n; v++) {
        dd_view *view = all->view[v];
        uint8_t floor[DD_LOCATIONS] = {0};
        for (uint32_t l = 0; l < n; l++)
            floor[l] = view->floor[kept[l]];
        memcpy(view->floor, floor, sizeof floor);
    }
    for (uint32_t l = same; l < n; l++)
        location[l] = dd_arena_.location[kept[l]];
    memcpy(&dd_arena_.location[same], &location[same], (n - same) * sizeof location[0]);
    dd_arena_.total.n_locations = n;
}

/* ---- All of it ---- */

void dd_weak_normalise(void)
{
    all_views all;
    all.n = dd_weak_views(all.view);
    for (uint32_t l = 0; l < dd_arena_.total.n_locations; l++)
        drop_messages(l, &all);
    all.n = dd_weak_views(all.view);

    uint16_t facts[DD_FACTS];
    const uint32_t n_facts = order_facts(facts, &all);
    renumber_facts(facts, n_facts, &all);
    for (uint32_t l = 0; l < dd_arena_.total.n_locations; l++)
        thin_out(l);

    uint8_t locations[DD_LOCATIONS];
    const uint32_t n_locations = order_locations(locations);
    renumber_locations(locations, n_locations, &all);
}
