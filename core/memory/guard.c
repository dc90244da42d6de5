/* SPDX-License-Identifier: MIT
 * Guarded regions: their pages, and which of them has which protection key. */
#include "guard.h"

#include "pages.h"
#include "platform.h"

#include <assert.h>
#include <string.h>

#define MOST_KEYS 15
#define NO_REGION UINT32_MAX

typedef struct region {
    dd_region_kind kind;
    uint32_t number;
    char *begin;  /* the page before it is inaccessible, so is the one behind */
    size_t bytes; /* whole pages */
    int key;      /* of a segment: changed between U and A, read after A */
    bool chosen;  /* its owner's turn; between U and A */
} region;

struct dd_guard {
    size_t page_bytes; /* fixed after open */
    uint32_t n_keys;   /* fixed after open */
    int key[MOST_KEYS];
    region *region; /* (n_regions) room for room_regions; fixed once threads run */
    uint32_t n_regions, room_regions;
    uint32_t *segment; /* (n_segments) the region of each, or NO_REGION; as region */
    uint32_t n_segments;
    uint32_t next_worker; /* with which a turn begins; between U and A */
    uint64_t turn;        /* between U and A */
};

/* The turn whose rights the thread holds. Turns count from the clock, so that no other guard, not
 * even one that had this one's address before, has the same. */
static _Thread_local struct {
    const dd_guard *guard;
    uint64_t turn;
} held;

dd_status dd_guard_open(bool keys, dd_guard **out, const char **why)
{
    *why = "";
    *out = NULL;
    dd_guard *g = dd_alloc(sizeof *g);
    if (!g)
        return DD_ERR_MEMORY;
    g->page_bytes = dd_page_bytes();
    g->turn = dd_now_ns();
    const char *missing = "";
    while (keys && g->n_keys < MOST_KEYS && (g->key[g->n_keys] = dd_key_open(&missing)))
        g->n_keys++;
    if (g->n_keys == 0)
        *why = missing;
    *out = g;
    return DD_OK;
}

void dd_guard_close(dd_guard *g)
{
    if (!g)
        return;
    for (uint32_t r = 0; r < g->n_regions; r++)
        dd_pages_unmap(g->region[r].begin - g->page_bytes, g->region[r].bytes + 2 * g->page_bytes);
    for (uint32_t k = 0; k < g->n_keys; k++)
        dd_key_close(g->key[k]);
    dd_free(g->region);
    dd_free(g->segment);
    dd_free(g);
}

uint32_t dd_guard_n_keys(const dd_guard *g)
{
    return g->n_keys;
}

/* ---- Regions ---- */

/* Room for one more region, and for the segment's number. returns  false: no memory */
static bool make_room(dd_guard *g, uint32_t n_segments)
{
    if (g->n_regions == g->room_regions) {
        uint32_t room = 2 * g->room_regions + 8;
        region *more = dd_alloc(room * sizeof *more);
        if (!more)
            return false;
        if (g->region)
            memcpy(more, g->region, g->n_regions * sizeof *more);
        dd_free(g->region);
        g->region = more;
        g->room_regions = room;
    }
    if (n_segments > g->n_segments) {
        uint32_t room = n_segments + g->n_segments;
        uint32_t *more = dd_alloc(room * sizeof *more);
        if (!more)
            return false;
        for (uint32_t s = 0; s < room; s++)
            more[s] = s < g->n_segments ? g->segment[s] : NO_REGION;
        dd_free(g->segment);
        g->segment = more;
        g->n_segments = room;
    }
    return true;
}

void *dd_guard_alloc(dd_guard *g, dd_region_kind kind, uint32_t number, size_t bytes)
{
    bool segment = kind == DD_REGION_SEGMENT;
    assert(bytes > 0 && number < UINT32_MAX / 2);
    assert(!segment || number >= g->n_segments || g->segment[number] == NO_REGION);
    if (bytes > PTRDIFF_MAX - 3 * g->page_bytes || !make_room(g, segment ? number + 1 : 0))
        return NULL;
    region r = {.kind = kind, .number = number, .key = DD_NO_KEY};
    r.bytes = (bytes + g->page_bytes - 1) / g->page_bytes * g->page_bytes;
    const size_t whole = r.bytes + 2 * g->page_bytes;
    char *pages = dd_pages_map(whole, DD_PAGES_NONE);
    if (!pages)
        return NULL;
    r.begin = pages + g->page_bytes;
    if (!dd_pages_protect(r.begin, r.bytes, DD_PAGES_WRITE)) {
        dd_pages_unmap(pages, whole);
        return NULL;
    }
    dd_pages_huge(r.begin, r.bytes);
    if (segment)
        g->segment[number] = g->n_regions;
    g->region[g->n_regions++] = r;
    return r.begin;
}

static dd_status set_access(dd_guard *g, bool locked, dd_pages_access access)
{
    for (uint32_t r = 0; r < g->n_regions; r++)
        if (g->region[r].kind != DD_REGION_SEGMENT &&
            (g->region[r].kind == DD_REGION_LOCKED) == locked &&
            !dd_pages_protect(g->region[r].begin, g->region[r].bytes, access))
            return DD_ERR_MEMORY;
    return DD_OK;
}

dd_status dd_guard_protect(dd_guard *g)
{
    return set_access(g, false, DD_PAGES_READ);
}

dd_status dd_guard_unprotect(dd_guard *g)
{
    return set_access(g, false, DD_PAGES_WRITE);
}

dd_status dd_guard_lock(dd_guard *g)
{
    return set_access(g, true, DD_PAGES_READ);
}

/* ---- Keys ---- */

static region *region_of(const dd_guard *g, uint32_t segment)
{
    assert(segment < g->n_segments && g->segment[segment] != NO_REGION);
    return &g->region[g->segment[segment]];
}

static uint32_t count(const uint32_t *owner, uint32_t n, uint32_t worker)
{
    uint32_t found = 0;
    for (uint32_t s = 0; s < n; s++)
        found += owner[s] == worker;
    return found;
}

/* Marks the segments whose turn it is, at most n_keys. */
static void choose(dd_guard *g, const uint32_t *owner, uint32_t n, uint32_t n_workers)
{
    uint32_t chosen = 0, begin = g->next_worker < n_workers ? g->next_worker : 0;
    g->next_worker = 0; /* where everybody fits */
    for (uint32_t i = 0; i < n_workers; i++) {
        const uint32_t worker = (begin + i) % n_workers, left = g->n_keys - chosen;
        const uint32_t wanted = count(owner, n, worker);
        if (wanted > left && chosen > 0) {
            g->next_worker = worker;
            return;
        }
        for (uint32_t s = 0; s < n && chosen < g->n_keys; s++)
            if (owner[s] == worker) {
                region_of(g, s)->chosen = true;
                chosen++;
            }
        if (wanted > left) { /* more than all keys: this turn protects a part of it */
            g->next_worker = worker + 1;
            return;
        }
    }
}

/* Takes keys from those not chosen, gives what is free to those that are. A system that refuses
 * leaves the segment as it was. returns how many have a key */
static uint32_t deal(dd_guard *g)
{
    bool used[MOST_KEYS] = {false};
    uint32_t n_covered = 0, next = 0;
    for (uint32_t r = 0; r < g->n_regions; r++) {
        region *x = &g->region[r];
        if (x->key && !x->chosen && dd_key_assign(x->begin, x->bytes, DD_NO_KEY))
            x->key = DD_NO_KEY;
        for (uint32_t k = 0; k < g->n_keys && x->key; k++)
            used[k] |= g->key[k] == x->key;
    }
    for (uint32_t r = 0; r < g->n_regions; r++) {
        region *x = &g->region[r];
        while (next < g->n_keys && used[next])
            next++;
        if (x->chosen && !x->key && next < g->n_keys &&
            dd_key_assign(x->begin, x->bytes, g->key[next]))
            x->key = g->key[next++];
        n_covered += x->chosen && x->key;
    }
    return n_covered;
}

double dd_guard_turn(dd_guard *g, const uint32_t *owner, uint32_t n, uint32_t n_workers)
{
    uint32_t in_use = 0;
    for (uint32_t s = 0; s < n; s++)
        in_use += owner[s] < n_workers;
    g->turn++;
    if (g->n_keys == 0)
        return 0;
    for (uint32_t r = 0; r < g->n_regions; r++)
        g->region[r].chosen = false;
    choose(g, owner, n, n_workers);
    const uint32_t covered = deal(g);
    return in_use ? (double)covered / in_use : 0;
}

/* Rights of an earlier turn may be rights to another's segment now. */
static void drop_old_rights(const dd_guard *g)
{
    if (held.guard == g && held.turn == g->turn)
        return;
    for (uint32_t k = 0; k < g->n_keys; k++)
        dd_key_rights(g->key[k], false);
    held.guard = g;
    held.turn = g->turn;
}

static void set_right(const dd_guard *g, uint32_t segment, bool write)
{
    drop_old_rights(g);
    const region *r = region_of(g, segment);
    if (r->key)
        dd_key_rights(r->key, write);
}

void dd_guard_gain(dd_guard *g, uint32_t segment)
{
    set_right(g, segment, true);
}

void dd_guard_let_go(dd_guard *g, uint32_t segment)
{
    set_right(g, segment, false);
}

void dd_guard_gain_all(dd_guard *g)
{
    drop_old_rights(g);
    for (uint32_t k = 0; k < g->n_keys; k++)
        dd_key_rights(g->key[k], true);
}

/* ---- Finding ---- */

bool dd_guard_find(const dd_guard *g, const void *address, dd_region_kind *kind, uint32_t *number,
                   int64_t *offset, bool *on_guard_page)
{
    for (uint32_t r = 0; r < g->n_regions; r++) {
        const region *x = &g->region[r];
        const int64_t at = (int64_t)((intptr_t)address - (intptr_t)x->begin);
        const int64_t page = (int64_t)g->page_bytes, end = (int64_t)x->bytes;
        if (at < -page || at >= end + page)
            continue;
        *kind = x->kind;
        *number = x->number;
        *offset = at;
        *on_guard_page = at < 0 || at >= end;
        return true;
    }
    return false;
}
