/* SPDX-License-Identifier: MIT
 * Joins the two views of a stalled child's threads. */
#include "cell_stall.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void dd_stall_before_clear(dd_stall_before *before)
{
    dd_unwind_free(before->thread, before->n);
    *before = (dd_stall_before){0};
}

void dd_stall_before_take(pid_t pid, dd_stall_before *out)
{
    dd_stall_before_clear(out);
    out->n = dd_unwind_process(pid, false, &out->thread);
    out->at_ns = now_ns();
}

/* Since `before`, or since the thread began. */
static uint64_t cpu_since(const dd_stall_before *before, const dd_unwind_thread *now)
{
    for (size_t i = 0; i < before->n; i++)
        if (before->thread[i].tid == now->tid)
            return now->cpu_ns - before->thread[i].cpu_ns;
    return now->cpu_ns;
}

/* What the thread of that number last showed. fresh: and nothing has moved since. */
static void take_shown(const dd_page_thread *shown, uint32_t number, bool fresh, uint64_t at_ns,
                       dd_stall_thread *out)
{
    const uint32_t flags = atomic_load_explicit(&shown->flags, memory_order_relaxed);
    uint64_t words[2] = {atomic_load_explicit(&shown->sphere[0], memory_order_relaxed),
                         atomic_load_explicit(&shown->sphere[1], memory_order_relaxed)};
    const uint64_t since_ns = atomic_load_explicit(&shown->since_ns, memory_order_relaxed);
    _Static_assert(sizeof words == sizeof out->sphere, "a place is two words");
    memcpy(out->sphere, words, sizeof words);
    out->sphere[sizeof out->sphere - 1] = '\0';
    out->told = true;
    out->number = number;
    out->control = flags & DD_PAGE_CONTROL;
    out->parked = flags & DD_PAGE_PARKED;
    out->placed = fresh && (flags & DD_PAGE_PLACED);
    out->at = (dd_activity)atomic_load_explicit(&shown->at, memory_order_relaxed);
    out->lane = atomic_load_explicit(&shown->lane, memory_order_relaxed);
    out->part = (dd_part)atomic_load_explicit(&shown->part, memory_order_relaxed);
    out->generation = atomic_load_explicit(&shown->generation, memory_order_relaxed);
    out->age_ns = at_ns > since_ns ? at_ns - since_ns : 0;
    out->heartbeat = atomic_load_explicit(&shown->heartbeat, memory_order_relaxed);
    out->lanes_done = atomic_load_explicit(&shown->lanes_done, memory_order_relaxed);
}

void dd_stall_take(pid_t pid, const dd_page *page, const dd_stall_before *before, uint64_t steps,
                   bool climbs, dd_stall *out)
{
    const uint64_t at_ns = now_ns();
    uint32_t n_shown = atomic_load_explicit(&page->n_threads, memory_order_acquire);
    const bool fresh = atomic_load_explicit(&page->told_beat, memory_order_relaxed) ==
                       atomic_load_explicit(&page->beat, memory_order_relaxed);
    dd_unwind_thread *seen;
    *out = (dd_stall){.pid = pid,
                      .interval_ns = before->at_ns ? at_ns - before->at_ns : 0,
                      .steps = steps,
                      .climbs = climbs};
    const size_t n = dd_unwind_process(pid, true, &seen);
    out->thread = calloc(n + 1, sizeof *out->thread);
    if (!out->thread) {
        dd_unwind_free(seen, n);
        return;
    }
    out->n = n;
    if (n_shown > DD_RECORD_MAX_THREADS)
        n_shown = 0; /* not to be believed */
    for (size_t i = 0; i < n; i++) {
        out->thread[i] = (dd_stall_thread){.seen = seen[i], .cpu_ns = cpu_since(before, &seen[i])};
        for (uint32_t t = 0; t < n_shown; t++)
            if ((pid_t)atomic_load_explicit(&page->thread[t].tid, memory_order_relaxed) ==
                seen[i].tid)
                take_shown(&page->thread[t], t, fresh, at_ns, &out->thread[i]);
    }
    free(seen); /* the stacks are out's now */
    dd_stall_explain(out);
}
