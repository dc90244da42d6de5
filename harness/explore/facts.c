/* SPDX-License-Identifier: MIT
 * Facts: which thread touched which memory how, as far as that can still matter to others. A fact
 * is about a piece of memory; an access cuts away what it makes out of date of those before it. */
#include <string.h>

#include "arena.h"

/* Whether an access conflicts with such a fact of somebody else. */
static bool conflicts(dd_access fact, dd_access access)
{
    switch (access) {
    case DD_ACCESS_WRITE:
        return fact != DD_ACCESS_TOUCH;
    case DD_ACCESS_READ:
        return fact == DD_ACCESS_WRITE || fact == DD_ACCESS_STORE;
    case DD_ACCESS_STORE:
        return fact == DD_ACCESS_WRITE || fact == DD_ACCESS_READ;
    case DD_ACCESS_LOAD:
        return fact == DD_ACCESS_WRITE;
    case DD_ACCESS_FREE:
        return fact == DD_ACCESS_TOUCH;
    default:
        return false;
    }
}

/* Whether whoever knows of the access need not know of that fact, of the same thread or, for a
 * plain write, of any: it knew them all. */
static bool replaces(dd_access access, dd_access fact, bool same_fibre)
{
    switch (access) {
    case DD_ACCESS_FREE:
        return true;
    case DD_ACCESS_WRITE:
        return fact != DD_ACCESS_TOUCH;
    case DD_ACCESS_READ:
    case DD_ACCESS_STORE:
        return same_fibre && (fact == access || fact == DD_ACCESS_LOAD);
    default:
        return same_fibre && fact == access;
    }
}

/* The fibres that ever do something to this memory that conflicts with such a fact. */
static uint16_t conflicting(uint32_t from, uint32_t to, dd_access fact)
{
    uint32_t who = 0;
    if (dd_host_.mode.unreduced)
        return UINT16_MAX;
    if (fact == DD_ACCESS_TOUCH)
        return dd_host_.users[from / 4].freer;
    for (uint32_t w = from / 4; w < (to + 3) / 4; w++) {
        const dd_users *u = &dd_host_.users[w];
        who |= u->writer | u->beginner;
        if (fact != DD_ACCESS_LOAD)
            who |= fact == DD_ACCESS_READ ? u->storer : u->reader;
        if (fact == DD_ACCESS_WRITE)
            who |= u->storer | u->loader;
    }
    return (uint16_t)who;
}

const dd_fact *dd_facts_conflict(uint32_t i, uint32_t at, size_t bytes, dd_access access)
{
    for (uint64_t k = 0; k < dd_arena_.total.n_facts; k++) {
        const dd_fact *f = &dd_arena_.fact[k];
        if (f->from < at + bytes && at < f->to && conflicts(f->access, access) &&
            !dd_view_knows(&dd_arena_.view[i], k))
            return f;
    }
    return NULL;
}

/* Adds a fact that those know who know fact `like`, or nobody. returns  its number; DD_FACTS: there
 * are too many */
static uint64_t add(dd_fact fact, uint64_t like)
{
    struct dd_totals *t = &dd_arena_.total;
    if (t->n_facts == DD_FACTS)
        return DD_FACTS;
    dd_view *view[DD_VIEWS];
    const uint32_t n = dd_weak_views(view);
    for (uint32_t v = 0; v < n; v++)
        dd_view_set(view[v], t->n_facts, like < DD_FACTS && dd_view_knows(view[v], like));
    dd_arena_.fact[t->n_facts] = fact;
    return t->n_facts++;
}

/* The fact is now about [from, to) alone. */
static void narrow(dd_fact *f, uint32_t from, uint32_t to)
{
    f->concerns = from < to ? conflicting(from, to, f->access) & (uint16_t) ~(1u << f->fibre) : 0;
    f->from = f->concerns ? from : 0;
    f->to = f->concerns ? to : 0;
}

/* Takes [from, to) out of fact k. returns  false: too many facts */
static bool cut(uint64_t k, uint32_t from, uint32_t to)
{
    dd_fact *f = &dd_arena_.fact[k];
    if (from <= f->from) {
        narrow(f, to, f->to);
        return true;
    }
    if (to < f->to) {
        const uint64_t right = add(*f, k);
        if (right == DD_FACTS)
            return false;
        narrow(&dd_arena_.fact[right], to, f->to);
    }
    narrow(f, f->from, from);
    return true;
}

/* returns  false: too many facts */
static bool note(uint32_t i, uint32_t from, uint32_t to, dd_access access, dd_site site)
{
    uint64_t same = DD_FACTS;
    for (uint64_t k = dd_arena_.total.n_facts; k-- > 0;) {
        const dd_fact *f = &dd_arena_.fact[k];
        if (f->from >= to || from >= f->to || !replaces(access, f->access, f->fibre == i))
            continue;
        if (f->from == from && f->to == to && f->access == access && f->fibre == i)
            same = k;
        else if (!cut(k, from, to))
            return false;
    }
    if (access == DD_ACCESS_FREE)
        return true;
    const uint16_t concerns = conflicting(from, to, access) & (uint16_t) ~(1u << i);
    dd_fact fact = {from, to, concerns, (uint8_t)access, (uint8_t)i, 0, site};
    if (same == DD_FACTS && concerns) {
        same = add(fact, DD_FACTS);
        if (same == DD_FACTS)
            return false;
    } else if (same < DD_FACTS) {
        dd_view *view[DD_VIEWS];
        const uint32_t n = dd_weak_views(view);
        for (uint32_t v = 0; v < n; v++)
            dd_view_set(view[v], same, false);
        dd_arena_.fact[same] = fact;
    }
    if (same < DD_FACTS)
        dd_view_set(&dd_arena_.view[i], same, true);
    return true;
}

bool dd_facts_note(uint32_t i, uint32_t at, size_t bytes, dd_access access, dd_site site)
{
    const uint32_t to = at + (uint32_t)bytes;
    if (note(i, at, to, access, site))
        return true;
    dd_weak_normalise();
    if (note(i, at, to, access, site))
        return true;
    dd_arena_fail(DD_EXPLORE_LIMIT, "more accesses to remember than the explorer holds", NULL,
                  DD_FACTS, 0, i, site);
    return false;
}
