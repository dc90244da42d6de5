/* SPDX-License-Identifier: MIT
 * Messages and views: what an atomic operation may read, where it may write, and what its thread
 * knows afterwards. */
#include "weak.h"

#include <string.h>

#include "arena.h"

/* ---- Views ---- */

uint32_t dd_weak_views(dd_view *view[])
{
    dd_arena *a = &dd_arena_;
    uint32_t n = 0;
    for (uint64_t i = 0; i < a->total.n_fibres; i++)
        view[n++] = &a->view[i];
    for (uint64_t l = 0; l < a->total.n_locations; l++)
        for (uint32_t m = 0; m < a->location[l].n; m++)
            view[n++] = &a->location[l].message[m].view;
    return n;
}

void dd_view_join(dd_view *v, const dd_view *with)
{
    for (uint32_t i = 0; i < DD_FACTS / 64; i++)
        v->facts[i] |= with->facts[i];
    for (uint32_t i = 0; i < DD_LOCATIONS; i++)
        v->floor[i] = v->floor[i] > with->floor[i] ? v->floor[i] : with->floor[i];
}

void dd_weak_clear_unused(void)
{
    const uint64_t facts = (dd_arena_.total.n_facts + 63) / 64,
                   floors = dd_arena_.total.n_locations;
    dd_view *view[DD_VIEWS];
    const uint32_t n = dd_weak_views(view);
    for (uint32_t v = 0; v < n; v++) {
        memset(view[v]->facts + facts, 0, (DD_FACTS / 64 - facts) * sizeof view[v]->facts[0]);
        memset(view[v]->floor + floors, 0, DD_LOCATIONS - floors);
    }
}

void dd_weak_create(uint32_t creator, uint32_t child)
{
    dd_arena_.view[child] = dd_arena_.view[creator];
}

void dd_weak_join(uint32_t joiner, uint32_t child)
{
    dd_view_join(&dd_arena_.view[joiner], &dd_arena_.view[child]);
    memset(&dd_arena_.view[child], 0, sizeof dd_arena_.view[child]);
}

void dd_weak_meet(uint32_t fibres)
{
    dd_view all = {0};
    for (uint32_t i = 0; i < DD_FIBRES; i++)
        if (fibres >> i & 1)
            dd_view_join(&all, &dd_arena_.view[i]);
    for (uint32_t i = 0; i < DD_FIBRES; i++)
        if (fibres >> i & 1)
            dd_arena_.view[i] = all;
}

/* ---- Locations ---- */

/* DD_LOCATIONS: the word has one message, and that carries nothing. */
static uint32_t find(const void *word)
{
    const uint64_t at = dd_arena_at(word);
    uint32_t l = 0;
    while (l < dd_arena_.total.n_locations && dd_arena_.location[l].at != at)
        l++;
    return l < dd_arena_.total.n_locations ? l : DD_LOCATIONS;
}

/* returns  DD_LOCATIONS: there are too many, and the world has failed */
static uint32_t find_or_add(uint32_t i, const dd_event *e)
{
    const uint32_t found = find(e->word);
    if (found < DD_LOCATIONS)
        return found;
    if (dd_arena_.total.n_locations == DD_LOCATIONS) {
        dd_arena_fail(DD_EXPLORE_LIMIT, "more words with old values than the explorer holds",
                      e->word, DD_LOCATIONS, 0, i, e->site);
        return DD_LOCATIONS;
    }
    const uint32_t l = (uint32_t)dd_arena_.total.n_locations++;
    dd_location *o = &dd_arena_.location[l];
    memset(o, 0, offsetof(dd_location, message) + sizeof o->message[0]);
    o->at = (uint32_t)dd_arena_at(e->word);
    o->bytes = (uint8_t)e->bytes;
    o->n = 1;
    dd_view *view[DD_VIEWS];
    const uint32_t n = dd_weak_views(view);
    for (uint32_t v = 0; v < n; v++)
        view[v]->floor[l] = 0;
    return l;
}

/* Makes room for a message in place `at`. */
static bool insert(uint32_t i, uint32_t l, uint32_t at, const dd_event *e)
{
    dd_location *o = &dd_arena_.location[l];
    if (o->n == DD_MESSAGES) {
        dd_arena_fail(DD_EXPLORE_LIMIT, "more old values of one word than the explorer holds",
                      e->word, DD_MESSAGES, 0, i, e->site);
        return false;
    }
    dd_view *view[DD_VIEWS];
    const uint32_t n = dd_weak_views(view);
    for (uint32_t v = 0; v < n; v++)
        if (view[v]->floor[l] >= at)
            view[v]->floor[l]++;
    if (o->sc >= at)
        o->sc++;
    memmove(&o->message[at + 1], &o->message[at], (o->n - at) * sizeof o->message[0]);
    memset(&o->message[at], 0, sizeof o->message[at]);
    o->n++;
    return true;
}

void dd_weak_forget(uint32_t at, size_t bytes)
{
    for (uint32_t l = 0; l < dd_arena_.total.n_locations; l++) {
        dd_location *o = &dd_arena_.location[l];
        if (o->at >= at + bytes || at >= (uint64_t)o->at + o->bytes)
            continue;
        o->n = 1;
        memset(&o->message[0], 0, sizeof o->message[0]);
        memset(o->stale, 0, sizeof o->stale);
        o->sc = 0;
        dd_view *view[DD_VIEWS];
        const uint32_t n = dd_weak_views(view);
        for (uint32_t v = 0; v < n; v++)
            view[v]->floor[l] = 0;
    }
}

/* ---- What is possible ---- */

static uint64_t value_of(const dd_event *e, uint32_t l, uint32_t rank)
{
    if (l == DD_LOCATIONS || rank + 1u == dd_arena_.location[l].n)
        return dd_arena_load(e->word, e->bytes);
    return dd_arena_.location[l].message[rank].value;
}

static uint32_t newest(uint32_t l)
{
    return l == DD_LOCATIONS ? 0 : dd_arena_.location[l].n - 1u;
}

/* The message that the operation reads, or behind which it writes. */
static uint32_t rank_of(uint32_t l, uint32_t alternative)
{
    return newest(l) - alternative;
}

static bool fails(const dd_event *e, uint64_t found)
{
    return e->kind == DD_EVENT_COMPARE_EXCHANGE && found != e->expected;
}

static dd_access access_of(const dd_event *e, uint64_t found)
{
    return e->kind == DD_EVENT_LOAD || fails(e, found) ? DD_ACCESS_LOAD : DD_ACCESS_STORE;
}

dd_access dd_weak_access(const dd_event *e, uint32_t alternative)
{
    const uint32_t l = find(e->word);
    return access_of(e, value_of(e, l, rank_of(l, alternative)));
}

uint32_t dd_weak_choices(uint32_t i, const dd_event *e, uint32_t alternative[DD_MESSAGES])
{
    uint32_t n = 0;
    alternative[n++] = 0;
    const uint32_t l = find(e->word);
    if (l == DD_LOCATIONS)
        return n;
    const dd_location *o = &dd_arena_.location[l];
    const bool stale_too = o->stale[i] < DD_STALE_READS || e->kind == DD_EVENT_STORE;
    const uint32_t floor = dd_arena_.view[i].floor[l];
    for (uint32_t r = o->n - 1u; stale_too && r-- > floor;) {
        const bool writes = access_of(e, o->message[r].value) == DD_ACCESS_STORE;
        const uint32_t order = writes || e->kind == DD_EVENT_LOAD ? e->order : e->failure;
        if (writes && o->message[r + 1].attached)
            continue;
        if (order == DD_SEQ_CST && r < o->sc)
            continue;
        alternative[n++] = o->n - 1u - r;
    }
    return n;
}

/* ---- What happens ---- */

/* A load, or what a failed compare-exchange is. */
static void read(uint32_t i, uint32_t l, uint32_t rank, uint32_t order)
{
    if (l == DD_LOCATIONS)
        return;
    dd_location *o = &dd_arena_.location[l];
    dd_arena_.view[i].floor[l] = (uint8_t)rank;
    o->stale[i] = rank + 1u == o->n ? 0 : (uint8_t)(o->stale[i] + 1);
    if (dd_order_acquires(order))
        dd_view_join(&dd_arena_.view[i], &o->message[rank].view);
}

static uint64_t new_value(const dd_event *e, uint64_t old)
{
    const uint64_t value = e->kind == DD_EVENT_FETCH_ADD ? old + e->value : e->value;
    return e->bytes == 4 ? (uint32_t)value : value;
}

static void set_memory(const dd_event *e, uint64_t value)
{
    if (e->bytes == 4)
        *(uint32_t *)e->word = (uint32_t)value;
    else
        *(uint64_t *)e->word = value;
}

/* A store or read-modify-write that goes directly behind `rank`. */
static void write(uint32_t i, const dd_event *e, uint32_t rank)
{
    const uint32_t l = find_or_add(i, e);
    if (l == DD_LOCATIONS)
        return;
    dd_location *o = &dd_arena_.location[l];
    const bool modifies = e->kind != DD_EVENT_STORE, last = rank + 1u == o->n;
    const uint64_t old = value_of(e, l, rank), value = new_value(e, old);
    if (modifies)
        read(i, l, rank, e->order);
    if (!insert(i, l, rank + 1, e))
        return;
    dd_message *m = &o->message[rank + 1];
    if (last) {
        o->message[rank].value = old;
        set_memory(e, value);
    } else {
        m->value = value;
    }
    dd_view *own = &dd_arena_.view[i];
    own->floor[l] = (uint8_t)(rank + 1);
    m->attached = modifies;
    if (modifies)
        m->view = o->message[rank].view;
    if (dd_order_releases(e->order))
        dd_view_join(&m->view, own);
    if (e->order == DD_SEQ_CST && o->sc < rank + 1)
        o->sc = (uint8_t)(rank + 1);
}

uint64_t dd_weak_apply(uint32_t i, const dd_event *e, uint32_t alternative)
{
    const uint32_t l = find(e->word), rank = rank_of(l, alternative);
    const uint64_t found = value_of(e, l, rank);
    if (access_of(e, found) == DD_ACCESS_STORE)
        write(i, e, rank);
    else
        read(i, l, rank, e->kind == DD_EVENT_LOAD ? e->order : e->failure);
    return found;
}

void dd_weak_forgive(void)
{
    for (uint64_t l = 0; l < dd_arena_.total.n_locations; l++) {
        dd_location *o = &dd_arena_.location[l];
        for (uint32_t i = 0; i < DD_FIBRES; i++)
            if (i >= dd_arena_.total.n_fibres || dd_arena_.view[i].floor[l] + 1u == o->n)
                o->stale[i] = 0;
    }
}

/* ---- Awaits ---- */

bool dd_weak_has_newer(uint32_t i, const void *word)
{
    const uint32_t l = find(word);
    return l < DD_LOCATIONS && dd_arena_.view[i].floor[l] < newest(l);
}

void dd_weak_go_on(uint32_t i, const void *word)
{
    const uint32_t l = find(word);
    if (l < DD_LOCATIONS)
        dd_arena_.view[i].floor[l]++;
}
