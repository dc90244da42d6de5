/* SPDX-License-Identifier: MIT
 * The operations of explored code, all on a fibre's stack: announcing events, plain memory and its
 * checks, allocation. What an announced event does when it is taken stands in runtime.c. */
#include "arena.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fibre.h"

#define SCRUBBED_BYTES 1024

dd_arena dd_arena_;
dd_host dd_host_;

/* ---- Failing, announcing ---- */

static _Noreturn void fail(dd_explore_verdict verdict, const char *text, const void *memory,
                           uint64_t a, uint64_t b, dd_site site)
{
    dd_host_.failure = (dd_failure){.verdict = verdict,
                                    .text = text,
                                    .a = a,
                                    .b = b,
                                    .fibre = dd_host_.running,
                                    .other = DD_FIBRES,
                                    .site = site,
                                    .memory = memory};
    dd_fibre_switch(&dd_arena_.fibre[dd_host_.running].sp, dd_host_.sp);
    abort(); /* a failed world is never resumed */
}

void dd_world_fail(const char *text, uint64_t a, uint64_t b, dd_site site)
{
    fail(DD_EXPLORE_CHECK, text, NULL, a, b, site);
}

static dd_fibre *self(void)
{
    return &dd_arena_.fibre[dd_host_.running];
}

/* Zeroes the stack below, where frames of calls that have returned lie: they must not show through in the unused
 * bytes of later frames and tell states apart that are the same. */
static __attribute__((noinline)) void scrub(void)
{
    unsigned char below[SCRUBBED_BYTES];
    memset(below, 0, sizeof below);
    __asm__ __volatile__("" : : "r"(below) : "memory");
}

/* Holds the calling fibre at an event until the search takes it. returns its result */
static uint64_t announce(dd_event event)
{
    dd_fibre *f = self();
    f->event = event;
    f->state = DD_FIBRE_AT_EVENT;
    dd_fibre_switch(&f->sp, dd_host_.sp);
    uint64_t result = f->result;
    f->result = 0;
    return result;
}

/* ---- Plain memory ---- */

dd_block *dd_arena_block(const void *memory)
{
    uintptr_t at = (uintptr_t)memory - (uintptr_t)dd_arena_.heap;
    for (uint64_t i = 0; at < dd_arena_.total.heap_used && i < dd_arena_.total.n_blocks; i++)
        if (at - dd_arena_.block[i].from < dd_arena_.block[i].bytes)
            return &dd_arena_.block[i];
    return NULL;
}

bool dd_arena_is_live(const void *memory, size_t bytes)
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

bool dd_arena_races(uint32_t me, const void *memory, size_t bytes, bool write, dd_site site)
{
    uintptr_t from = (uintptr_t)memory;
    for (uint32_t i = 0; i < dd_arena_.total.n_fibres; i++) {
        const dd_range *other =
            i == me ? NULL : conflict(&dd_arena_.fibre[i], from, from + bytes, write);
        if (other) {
            dd_host_.failure = (dd_failure){.verdict = DD_EXPLORE_RACE,
                                            .text = "data race",
                                            .fibre = me,
                                            .other = i,
                                            .site = site,
                                            .other_site = other->site,
                                            .memory = memory};
            return true;
        }
    }
    return false;
}

/* Notes that the running fibre uses this memory. returns whether others use it too */
static bool is_shared(const void *memory, size_t bytes)
{
    uintptr_t at = (uintptr_t)memory - (uintptr_t)dd_arena_.heap;
    if (at >= DD_HEAP_BYTES)
        return true; /* stacks are used again for other things: no telling */
    bool shared = false;
    unsigned char me = (unsigned char)(dd_host_.running + 1);
    for (uintptr_t i = at / 4; i < (at + bytes + 3) / 4 && i < DD_HEAP_BYTES / 4; i++) {
        unsigned char *user = &dd_host_.user[i];
        if (*user == 0) {
            *user = me;
        } else if (*user != me) {
            dd_host_.sharing_grew |= *user != DD_SHARED;
            *user = DD_SHARED;
            shared = true;
        }
    }
    return shared;
}

/* An access as part of the step in progress. */
static void touch(const void *memory, size_t bytes, bool write, dd_site site)
{
    if (!dd_arena_is_live(memory, bytes))
        fail(DD_EXPLORE_MEMORY, "plain access to memory that is not allocated (any more)", memory,
             0, 0, site);
    dd_fibre *f = self();
    if (dd_arena_races(dd_host_.running, memory, bytes, write, site))
        dd_fibre_switch(&f->sp, dd_host_.sp); /* and never back */

    uintptr_t from = (uintptr_t)memory, to = from + bytes;
    for (uint64_t r = 0; r < f->n_ranges; r++)
        if (f->range[r].from <= from && to <= f->range[r].to && f->range[r].write >= write)
            return;
    if (f->n_ranges == DD_RANGES)
        fail(DD_EXPLORE_LIMIT, "more plain accesses between two events than the explorer holds",
             memory, DD_RANGES, 0, site);
    f->range[f->n_ranges++] = (dd_range){from, to, write, site};
}

void dd_world_touch(const void *memory, size_t bytes, bool write, dd_site site)
{
    scrub();
    if (bytes == 0)
        return;
    is_shared(memory, bytes);
    touch(memory, bytes, write, site);
}

void *dd_world_alloc(size_t bytes, dd_site site)
{
    scrub();
    dd_arena *a = &dd_arena_;
    if (a->total.alloc_failures && dd_world_choose(2, "does the allocation fail?", site)) {
        a->total.alloc_failures--;
        return NULL;
    }
    uint64_t room = (bytes + 63) / 64 * 64 + 64; /* a gap behind each block */
    if (a->total.n_blocks == DD_BLOCKS || bytes > DD_HEAP_BYTES ||
        a->total.heap_used + room > DD_HEAP_BYTES)
        fail(DD_EXPLORE_LIMIT, "more memory asked for than the explorer's arena has", NULL, bytes,
             a->total.heap_used, site);
    void *p = a->heap + a->total.heap_used;
    a->block[a->total.n_blocks++] = (dd_block){a->total.heap_used, bytes, 1, site};
    a->total.heap_used += room;
    memset(p, 0, room);
    return p;
}

void dd_world_free(void *p, dd_site site)
{
    scrub();
    if (!p)
        return;
    dd_block *b = dd_arena_block(p);
    if (!b || !b->live || (unsigned char *)p != dd_arena_.heap + b->from)
        fail(DD_EXPLORE_MEMORY, "freed twice, or never allocated", p, 0, 0, site);
    touch(p, b->bytes, true, site);
    for (uint32_t i = 0; i < dd_arena_.total.n_fibres; i++) {
        const dd_fibre *f = &dd_arena_.fibre[i];
        if ((f->state == DD_FIBRE_AT_FUTEX || f->state == DD_FIBRE_AT_BARRIER) &&
            dd_arena_block(f->event.word) == b)
            fail(DD_EXPLORE_MEMORY, "freed while a thread sleeps on it", p, i, 0, site);
    }
    memset(p, DD_FREED_BYTE, b->bytes);
    b->live = 0;
}

/* ---- Events ---- */

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

uint64_t dd_world_atomic(dd_event_kind kind, const void *word, size_t bytes, uint64_t value,
                         uint64_t expected, dd_site site)
{
    scrub();
    dd_event e = {.kind = kind,
                  .word = (void *)(uintptr_t)word,
                  .bytes = bytes,
                  .value = value,
                  .expected = expected,
                  .site = site};
    uint64_t old;
    if (is_shared(word, bytes)) {
        old = announce(e);
    } else {
        touch(word, bytes, kind != DD_EVENT_LOAD, site);
        old = dd_arena_apply(&e);
    }
    dd_fibre *f = self();
    if (f->awaiting) {
        if (f->n_reads == DD_READS)
            fail(DD_EXPLORE_LIMIT, "a DD_AWAIT reads more words than the explorer holds", word,
                 DD_READS, 0, site);
        f->read[f->n_reads++] = (dd_reading){word, bytes, old};
    }
    return old;
}

void dd_world_futex_wait(uint32_t *word, uint32_t expected, dd_site site)
{
    scrub();
    is_shared(word, sizeof *word);
    announce((dd_event){.kind = DD_EVENT_FUTEX_WAIT,
                        .word = word,
                        .bytes = sizeof *word,
                        .expected = expected,
                        .site = site});
}

void dd_world_futex_wake(uint32_t *word, uint32_t n, dd_site site)
{
    scrub();
    is_shared(word, sizeof *word);
    announce((dd_event){.kind = DD_EVENT_FUTEX_WAKE,
                        .word = word,
                        .bytes = sizeof *word,
                        .value = n,
                        .site = site});
}

void dd_world_await_begin(bool for_ever)
{
    scrub();
    self()->awaiting = for_ever;
}

static void forget_reads(dd_fibre *f)
{
    f->awaiting = 0;
    f->n_reads = 0;
    memset(f->read, 0, sizeof f->read);
}

bool dd_world_await_again(bool holds, bool for_ever, dd_site site)
{
    scrub();
    dd_fibre *f = self();
    f->awaiting = 0;
    bool again = !holds && for_ever;
    if (again)
        announce((dd_event){
            .kind = DD_EVENT_AWAIT, .word = (void *)(uintptr_t)f->read[0].word, .site = site});
    forget_reads(f);
    return again;
}

uint32_t dd_world_choose(uint32_t n, const char *what, dd_site site)
{
    scrub();
    return (uint32_t)announce(
        (dd_event){.kind = DD_EVENT_CHOOSE, .value = n, .what = what, .site = site});
}

uint32_t dd_world_fp_env(uint32_t normal, dd_site site)
{
    scrub();
    if (dd_arena_.total.fp_changes &&
        dd_world_choose(2, "floating-point environment changed?", site)) {
        dd_arena_.total.fp_changes--;
        return normal ^ 0x8000u; /* flush to zero */
    }
    return normal;
}

int dd_world_thread_create(uint32_t *out, const char *name, void (*run)(void *), void *arg,
                           dd_site site)
{
    scrub();
    if (dd_arena_.total.thread_failures && dd_world_choose(2, "does the creation fail?", site)) {
        dd_arena_.total.thread_failures--;
        return EAGAIN;
    }
    if (dd_arena_.total.n_fibres == DD_FIBRES)
        fail(DD_EXPLORE_LIMIT, "more threads than the explorer has fibres", NULL, DD_FIBRES, 0,
             site);
    /* `value` carries the fibre's start, `expected` its argument. */
    *out = (uint32_t)announce((dd_event){.kind = DD_EVENT_CREATE,
                                         .value = (uint64_t)(uintptr_t)run,
                                         .expected = (uint64_t)(uintptr_t)arg,
                                         .what = name,
                                         .site = site});
    return 0;
}

void dd_world_thread_join(uint32_t id, dd_site site)
{
    scrub();
    if (id >= dd_arena_.total.n_fibres || dd_arena_.fibre[id].state == DD_FIBRE_JOINED)
        fail(DD_EXPLORE_MEMORY, "joined twice, or never created", NULL, id, 0, site);
    announce((dd_event){.kind = DD_EVENT_JOIN, .value = id, .site = site});
}

struct dd_pbarrier *dd_world_barrier_open(uint32_t n_threads, dd_site site)
{
    struct dd_pbarrier *b = dd_world_alloc(sizeof *b, site);
    if (b)
        b->n_threads = n_threads;
    return b;
}

void dd_world_barrier_wait(struct dd_pbarrier *b, dd_site site)
{
    scrub();
    announce(
        (dd_event){.kind = DD_EVENT_BARRIER, .word = b, .bytes = sizeof b->arrived, .site = site});
}

void dd_world_barrier_close(struct dd_pbarrier *b, dd_site site)
{
    dd_world_free(b, site);
}
