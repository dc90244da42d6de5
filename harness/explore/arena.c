/* SPDX-License-Identifier: MIT
 * The arena: allocation, atomic words, who uses which, and the checks on plain memory. Runs on the
 * search's stack. */
#include "arena.h"

#include <string.h>

#include "futures.h"

dd_arena dd_arena_;
dd_host dd_host_;

void dd_arena_fail(dd_explore_verdict verdict, const char *text, const void *memory, uint64_t a,
                   uint64_t b, uint32_t fibre, dd_site site)
{
    dd_host_.failure = (dd_failure){.verdict = verdict,
                                    .text = text,
                                    .a = a,
                                    .b = b,
                                    .fibre = fibre,
                                    .other = DD_FIBRES,
                                    .site = site,
                                    .memory = memory};
}

/* ---- Words ---- */

uint64_t dd_arena_load(const void *word, uint64_t bytes)
{
    return bytes == 4 ? *(const uint32_t *)word : *(const uint64_t *)word;
}

uint64_t dd_arena_apply(const dd_event *e)
{
    uint64_t old = dd_arena_load(e->word, e->bytes), new = old;
    switch ((dd_event_kind)e->kind) {
    case DD_EVENT_STORE:
    case DD_EVENT_EXCHANGE:
        new = e->value;
        break;
    case DD_EVENT_FETCH_ADD:
        new = old + e->value;
        break;
    case DD_EVENT_COMPARE_EXCHANGE:
        new = old == e->expected ? e->value : old;
        break;
    default:
        return old;
    }
    if (e->bytes == 4)
        *(uint32_t *)e->word = (uint32_t) new;
    else
        *(uint64_t *)e->word = new;
    return old;
}

/* ---- Who uses what ---- */

static bool order_matters(const dd_users *u)
{
    const uint32_t writers = u->writer | u->storer, readers = u->reader | u->loader;
    return (writers & (writers - 1)) != 0 || (writers && readers & ~writers);
}

static bool is_several(const dd_users *u)
{
    const uint32_t all =
        u->reader | u->writer | u->loader | u->storer | u->acquirer | u->beginner | u->freer;
    return (all & (all - 1)) != 0;
}

static void mark(dd_users *u, uint32_t i, const dd_event *e)
{
    const uint16_t bit = (uint16_t)(1u << i);
    switch ((dd_event_kind)e->kind) {
    case DD_CALL_READ:
        u->reader |= bit;
        return;
    case DD_CALL_WRITE:
        u->writer |= bit;
        return;
    case DD_CALL_INIT:
        u->beginner |= bit;
        return;
    case DD_EVENT_STORE:
        u->storer |= bit;
        return;
    case DD_EVENT_LOAD:
    case DD_EVENT_FUTEX_WAIT:
        u->loader |= bit;
        break;
    default:
        u->loader |= bit;
        u->storer |= bit;
        break;
    }
    if (dd_order_acquires(e->order) || dd_order_acquires(e->failure))
        u->acquirer |= bit;
}

bool dd_arena_is_shared_word(uint32_t word)
{
    const dd_users *u = &dd_host_.users[word];
    return (u->loader | u->storer) != 0 && order_matters(u);
}

bool dd_arena_is_shared(uint32_t i, const dd_event *e)
{
    const uint64_t at = dd_arena_at(e->word);
    const bool weak = dd_arena_is_weak(), on_stack = at >= DD_HEAP_BYTES;
    bool shared = on_stack; /* stacks are used again for other things: no telling */
    if (at >= DD_WORDS * 4 || (on_stack && !weak))
        return true;
    const dd_block *b = weak ? dd_arena_block(e->word) : NULL;
    if (b && b->fresh == i + 1)
        return false; /* nobody else can have used it, or will before it is handed on */
    for (uint64_t k = at / 4; k < (at + e->bytes + 3) / 4 && k < DD_WORDS; k++) {
        dd_users *u = &dd_host_.users[k], before = *u;
        mark(u, i, e);
        shared |= order_matters(u);
        dd_host_.sharing_grew |= weak ? is_several(u) && memcmp(u, &before, sizeof before) != 0
                                      : order_matters(u) && !order_matters(&before);
    }
    return shared;
}

static bool is_one_thread(void)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < dd_arena_.total.n_fibres; i++)
        n += dd_arena_.fibre[i].state != DD_FIBRE_JOINED;
    return n == 1;
}

/* Who joined everybody comes after all they did: that needs no facts. */
static void note_freer(uint32_t i, const dd_block *b)
{
    if (is_one_thread())
        return;
    dd_users *u = &dd_host_.users[b->from / 4];
    const uint16_t before = u->freer;
    u->freer |= (uint16_t)(1u << i);
    dd_host_.sharing_grew |= u->freer != before;
}

void dd_arena_note_creation(uint32_t creator, uint32_t child)
{
    const uint16_t before = dd_host_.creators[child];
    dd_host_.creators[child] |= (uint16_t)(1u << creator);
    dd_host_.sharing_grew |= dd_arena_is_weak() && dd_host_.creators[child] != before;
}

/* ---- Checks ---- */

static bool is_live(const void *memory, size_t bytes)
{
    uintptr_t at = (uintptr_t)memory - (uintptr_t)dd_arena_.heap;
    const dd_block *b = dd_arena_block(memory);
    if (b)
        return b->live && at - b->from + bytes <= b->bytes;
    return (uintptr_t)memory - (uintptr_t)dd_arena_.stack < sizeof dd_arena_.stack;
}

static const dd_range *conflict(const dd_fibre *f, uintptr_t from, uintptr_t to, bool write)
{
    if (f->state == DD_FIBRE_JOINED)
        return NULL;
    for (uint64_t r = 0; r < f->n_ranges; r++)
        if (f->range[r].from < to && from < f->range[r].to && (write || f->range[r].write))
            return &f->range[r];
    return NULL;
}

/* Whether no other fibre touched this, in a way that conflicts, since its last event. */
static bool is_alone(uint32_t me, const void *memory, size_t bytes, bool write, dd_site site)
{
    uintptr_t from = (uintptr_t)memory;
    for (uint32_t i = 0; i < dd_arena_.total.n_fibres; i++) {
        const dd_range *other =
            i == me ? NULL : conflict(&dd_arena_.fibre[i], from, from + bytes, write);
        if (other) {
            dd_arena_fail(DD_EXPLORE_RACE, "data race", memory, 0, 0, me, site);
            dd_host_.failure.other = i;
            dd_host_.failure.other_site = other->site;
            return false;
        }
    }
    return true;
}

/* Under C11: whether the fibre knows whatever the access conflicts with; the access is then a fact.
 */
static bool is_known(uint32_t i, const void *memory, size_t bytes, dd_access access, dd_site site)
{
    const uint32_t at = (uint32_t)dd_arena_at(memory);
    const dd_fact *other = dd_facts_conflict(i, at, bytes, access);
    if (other) {
        if (access == DD_ACCESS_FREE)
            dd_arena_fail(DD_EXPLORE_MEMORY, "freed, and nothing orders that after another's use",
                          memory, 0, 0, i, site);
        else
            dd_arena_fail(DD_EXPLORE_RACE, "data race", memory, 0, 0, i, site);
        dd_host_.failure.other = other->fibre;
        dd_host_.failure.other_site = other->site;
        return false;
    }
    if (!dd_facts_note(i, at, bytes, access, site))
        return false;
    const dd_block *b = dd_arena_block(memory);
    return access == DD_ACCESS_FREE || !b ||
           dd_facts_note(i, (uint32_t)b->from, b->bytes, DD_ACCESS_TOUCH, site);
}

bool dd_arena_may_sync(uint32_t i, const dd_event *e, uint32_t alternative)
{
    if (!is_live(e->word, e->bytes)) {
        dd_arena_fail(DD_EXPLORE_MEMORY,
                      "synchronisation in memory that is not allocated (any more)", e->word, 0, 0,
                      i, e->site);
        return false;
    }
    if (e->kind == DD_EVENT_FUTEX_WAKE)
        return true;
    if (!dd_arena_is_weak())
        return is_alone(i, e->word, e->bytes,
                        e->kind != DD_EVENT_LOAD && e->kind != DD_EVENT_FUTEX_WAIT, e->site);
    dd_access access = DD_ACCESS_STORE;
    if (e->kind == DD_EVENT_FUTEX_WAIT)
        access = DD_ACCESS_LOAD;
    else if (e->kind != DD_EVENT_BARRIER)
        access = dd_weak_access(e, alternative);
    return is_known(i, e->word, e->bytes, access, e->site);
}

/* Remembers an access until the fibre's next event. */
static bool note_range(uint32_t i, const void *memory, size_t bytes, bool write, dd_site site)
{
    dd_fibre *f = &dd_arena_.fibre[i];
    uintptr_t from = (uintptr_t)memory, to = from + bytes;
    for (uint64_t r = 0; r < f->n_ranges; r++)
        if (f->range[r].from <= from && to <= f->range[r].to && f->range[r].write >= write)
            return true;
    if (f->n_ranges == DD_RANGES) {
        dd_arena_fail(DD_EXPLORE_LIMIT,
                      "more plain accesses between two events than the explorer holds", memory,
                      DD_RANGES, 0, i, site);
        return false;
    }
    f->range[f->n_ranges++] = (dd_range){from, to, write, site};
    return true;
}

bool dd_arena_touch(uint32_t i, const void *memory, size_t bytes, bool write, dd_site site)
{
    if (!is_live(memory, bytes)) {
        dd_arena_fail(DD_EXPLORE_MEMORY, "access to memory that is not allocated (any more)",
                      memory, 0, 0, i, site);
        return false;
    }
    if (dd_host_.mode.reduced)
        dd_futures_note(i, memory, bytes, write ? DD_USE_WRITE : DD_USE_READ);
    if (dd_arena_is_weak()) {
        if (write)
            dd_weak_forget((uint32_t)dd_arena_at(memory), bytes);
        return is_known(i, memory, bytes, write ? DD_ACCESS_WRITE : DD_ACCESS_READ, site);
    }
    if (!is_alone(i, memory, bytes, write, site))
        return false;
    return note_range(i, memory, bytes, write, site);
}

/* ---- Allocation ---- */

static dd_block *block_of(const void *memory)
{
    const uint64_t at = dd_arena_at(memory);
    uint64_t first = 0, last = dd_arena_.total.n_blocks; /* in ascending order */
    if (at >= dd_arena_.total.heap_used)
        return NULL;
    while (first + 1 < last) {
        const uint64_t middle = (first + last) / 2;
        if (dd_arena_.block[middle].from <= at)
            first = middle;
        else
            last = middle;
    }
    dd_block *b = &dd_arena_.block[first];
    return first < last && at - b->from < b->bytes ? b : NULL;
}

const dd_block *dd_arena_block(const void *memory)
{
    return block_of(memory);
}

void *dd_arena_alloc(uint32_t i, size_t bytes, dd_site site)
{
    dd_arena *a = &dd_arena_;
    uint64_t room = (bytes + 63) / 64 * 64 + 64; /* a gap behind each block */
    if (a->total.n_blocks == DD_BLOCKS || bytes > DD_HEAP_BYTES ||
        a->total.heap_used + room > DD_HEAP_BYTES) {
        dd_arena_fail(DD_EXPLORE_LIMIT, "more memory asked for than the explorer's arena has", NULL,
                      bytes, a->total.heap_used, i, site);
        return NULL;
    }
    void *p = a->heap + a->total.heap_used;
    a->block[a->total.n_blocks++] = (dd_block){a->total.heap_used, bytes, 1, i + 1, site};
    a->total.heap_used += room;
    memset(p, 0, room);
    return p;
}

bool dd_arena_free(uint32_t i, void *p, dd_site site)
{
    dd_block *b = block_of(p);
    if (!b || !b->live || (unsigned char *)p != dd_arena_.heap + b->from) {
        dd_arena_fail(DD_EXPLORE_MEMORY, "freed twice, or never allocated", p, 0, 0, i, site);
        return false;
    }
    if (dd_host_.mode.reduced)
        dd_futures_note(i, p, b->bytes, DD_USE_WRITE);
    if (dd_arena_is_weak()) {
        note_freer(i, b);
        if (!is_known(i, p, b->bytes, DD_ACCESS_FREE, site))
            return false;
        dd_weak_forget((uint32_t)b->from, b->bytes);
        if (dd_host_.mode.touched && !note_range(i, p, b->bytes, true, site))
            return false;
    } else if (!dd_arena_touch(i, p, b->bytes, true, site)) {
        return false;
    }
    for (uint32_t k = 0; k < dd_arena_.total.n_fibres; k++) {
        const dd_fibre *f = &dd_arena_.fibre[k];
        if ((f->state == DD_FIBRE_AT_FUTEX || f->state == DD_FIBRE_AT_BARRIER) &&
            block_of(f->event.word) == b) {
            dd_arena_fail(DD_EXPLORE_MEMORY, "freed while a thread sleeps on it", p, k, 0, i, site);
            return false;
        }
    }
    memset(p, DD_FREED_BYTE, b->bytes);
    b->live = 0;
    dd_arena_trim();
    return true;
}

void dd_arena_publish(uint32_t i)
{
    for (uint64_t b = dd_arena_.total.n_blocks; b-- > 0;)
        if (dd_arena_.block[b].fresh == i + 1)
            dd_arena_.block[b].fresh = 0;
}

static bool nobody_knows(const dd_block *b, bool one_thread)
{
    return !b->live && (b->fresh || one_thread);
}

void dd_arena_trim(void)
{
    struct dd_totals *t = &dd_arena_.total;
    const bool one_thread = is_one_thread();
    if (one_thread)
        t->n_fibres = 1;
    while (t->n_blocks > 0 && nobody_knows(&dd_arena_.block[t->n_blocks - 1], one_thread))
        t->heap_used = dd_arena_.block[--t->n_blocks].from;
}
