/* SPDX-License-Identifier: MIT
 * The operations of explored code, on a fibre's stack: each leaves a note of what is asked for and
 * switches to the search, which does it. Nothing but what explored code itself put there is to stay
 * on the stack, because the stack is part of the state. */
#include <errno.h>
#include <stdlib.h>

#include "arena.h"
#include "fibre.h"

static dd_fibre *self(void)
{
    return &dd_arena_.fibre[dd_host_.running];
}

static dd_event *note(dd_event_kind kind, const void *word, size_t bytes, uint64_t value,
                      uint64_t expected, const char *what, dd_site site)
{
    dd_event *e = &self()->event;
    e->kind = (uint32_t)kind;
    e->order = e->failure = DD_RELAXED;
    e->word = (void *)(uintptr_t)word;
    e->bytes = bytes;
    e->value = value;
    e->expected = expected;
    e->what = what;
    e->site = site;
    return e;
}

static uint64_t hand_over(void)
{
    dd_fibre_switch(&self()->sp, dd_host_.sp);
    return self()->result;
}

static uint64_t ask(dd_event_kind kind, const void *word, size_t bytes, uint64_t value,
                    uint64_t expected, const char *what, dd_site site)
{
    note(kind, word, bytes, value, expected, what, site);
    return hand_over();
}

void dd_world_fail(const char *text, uint64_t a, uint64_t b, dd_site site)
{
    ask(DD_CALL_FAIL, NULL, 0, a, b, text, site);
    abort(); /* a failed world is never resumed */
}

uint32_t dd_world_choose(uint32_t n, const char *what, dd_site site)
{
    return (uint32_t)ask(DD_EVENT_CHOOSE, NULL, 0, n, 0, what, site);
}

/* ---- Words ---- */

void dd_world_init(const void *word, size_t bytes, dd_site site)
{
    ask(DD_CALL_INIT, word, bytes, 0, 0, NULL, site);
}

uint64_t dd_world_atomic(dd_event_kind kind, const void *word, size_t bytes, uint64_t value,
                         uint64_t expected, dd_order order, dd_order failure, dd_site site)
{
    dd_event *e = note(kind, word, bytes, value, expected, NULL, site);
    e->order = (uint16_t)order;
    e->failure = (uint16_t)failure;
    return hand_over();
}

void dd_world_futex_wait(uint32_t *word, uint32_t expected, dd_site site)
{
    ask(DD_EVENT_FUTEX_WAIT, word, sizeof *word, 0, expected, NULL, site);
}

void dd_world_futex_wake(uint32_t *word, uint32_t n, dd_site site)
{
    ask(DD_EVENT_FUTEX_WAKE, word, sizeof *word, n, 0, NULL, site);
}

void dd_world_await_begin(bool for_ever)
{
    if (for_ever)
        ask(DD_CALL_AWAIT_BEGIN, NULL, 0, 0, 0, NULL, DD_HERE);
}

bool dd_world_await_again(bool holds, bool for_ever, dd_site site)
{
    if (!for_ever)
        return false;
    ask(holds ? DD_CALL_AWAIT_END : DD_EVENT_AWAIT, NULL, 0, 0, 0, NULL, site);
    return !holds;
}

/* ---- Plain memory ---- */

void dd_world_touch(const void *memory, size_t bytes, bool write, dd_site site)
{
    ask(write ? DD_CALL_WRITE : DD_CALL_READ, memory, bytes, 0, 0, NULL, site);
}

void *dd_world_alloc(size_t bytes, dd_site site)
{
    if (dd_arena_.total.alloc_failures && dd_world_choose(2, "does the allocation fail?", site)) {
        dd_arena_.total.alloc_failures--;
        return NULL;
    }
    return (void *)(uintptr_t)ask(DD_CALL_ALLOC, NULL, bytes, 0, 0, NULL, site);
}

void dd_world_free(void *p, dd_site site)
{
    if (p)
        ask(DD_CALL_FREE, p, 0, 0, 0, NULL, site);
}

/* ---- Threads and barriers ---- */

int dd_world_thread_create(uint32_t *fibre, const char *name, void (*run)(void *), void *arg,
                           dd_site site)
{
    if (dd_arena_.total.thread_failures && dd_world_choose(2, "does the creation fail?", site)) {
        dd_arena_.total.thread_failures--;
        return EAGAIN;
    }
    *fibre = (uint32_t)ask(DD_EVENT_CREATE, NULL, 0, (uint64_t)(uintptr_t)run,
                           (uint64_t)(uintptr_t)arg, name, site);
    return 0;
}

void dd_world_thread_join(uint32_t fibre, dd_site site)
{
    ask(DD_EVENT_JOIN, NULL, 0, fibre, 0, NULL, site);
}

struct dd_pbarrier *dd_world_barrier_open(uint32_t n_threads, dd_site site)
{
    struct dd_pbarrier *b = dd_world_alloc(sizeof *b, site);
    if (b)
        b->n_threads = n_threads;
    return b;
}

void dd_world_barrier_wait(struct dd_pbarrier *barrier, dd_site site)
{
    ask(DD_EVENT_BARRIER, barrier, sizeof barrier->arrived, 0, 0, NULL, site);
}

void dd_world_barrier_close(struct dd_pbarrier *barrier, dd_site site)
{
    dd_world_free(barrier, site);
}

uint32_t dd_world_fp_env(uint32_t normal, dd_site site)
{
    if (dd_arena_.total.fp_changes &&
        dd_world_choose(2, "is the floating-point environment changed?", site)) {
        dd_arena_.total.fp_changes--;
        return normal ^ 0x8000u; /* flush to zero */
    }
    return normal;
}
