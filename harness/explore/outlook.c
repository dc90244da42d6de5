/* SPDX-License-Identifier: MIT
 * What the search may ask of the explored world besides its steps: who is at what, which words are
 * shared, what has failed, what things are called. */
#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "futures.h"

static void fail(dd_explore_verdict verdict, const char *text, uint64_t a, uint32_t fibre,
                 dd_site site)
{
    dd_arena_fail(verdict, text, NULL, a, 0, fibre, site);
}

const dd_event *dd_world_event(uint32_t i)
{
    return &dd_arena_.fibre[i].event;
}

uint64_t dd_world_result(void)
{
    return dd_host_.last_result;
}

bool dd_world_ended(void)
{
    return dd_arena_.fibre[0].state == DD_FIBRE_DONE;
}

bool dd_world_sharing_grew(void)
{
    bool grew = dd_host_.sharing_grew;
    dd_host_.sharing_grew = false;
    return grew;
}

void dd_world_forget_sharing(void)
{
    memset(dd_host_.users, 0, sizeof dd_host_.users);
    memset(dd_host_.creators, 0, sizeof dd_host_.creators);
    dd_host_.sharing_grew = false;
    dd_futures_forget();
}

bool dd_world_next_shared(uint32_t from, uint32_t *word)
{
    for (*word = from; *word < DD_WORDS; ++*word)
        if (dd_arena_is_shared_word(*word))
            return true;
    return false;
}

bool dd_world_share(uint32_t word)
{
    if (word >= DD_WORDS)
        return false;
    dd_users *u = &dd_host_.users[word];
    u->reader = u->writer = u->loader = u->storer = u->acquirer = UINT16_MAX;
    return true;
}

const dd_range *dd_world_touched(uint32_t i, uint64_t *n)
{
    *n = dd_arena_.fibre[i].n_ranges;
    return dd_arena_.fibre[i].range;
}

uint32_t dd_world_awaited(uint32_t i, const void *word[DD_READS])
{
    const dd_fibre *f = &dd_arena_.fibre[i];
    for (uint64_t r = 0; r < f->n_reads; r++)
        word[r] = f->read[r].word;
    return (uint32_t)f->n_reads;
}

const dd_failure *dd_world_failure(void)
{
    return &dd_host_.failure;
}

void dd_world_check_end(void)
{
    for (uint32_t i = 1; i < dd_arena_.total.n_fibres; i++) {
        const dd_fibre *f = &dd_arena_.fibre[i];
        if (f->state != DD_FIBRE_JOINED) {
            fail(DD_EXPLORE_MEMORY,
                 f->state == DD_FIBRE_DONE ? "thread never joined"
                                           : "thread left running at the end",
                 0, i, f->event.site);
            return;
        }
    }
    for (uint64_t i = 0; i < dd_arena_.total.n_blocks; i++)
        if (dd_arena_.block[i].live) {
            fail(DD_EXPLORE_MEMORY, "memory never freed: bytes, allocated there",
                 dd_arena_.block[i].bytes, 0, dd_arena_.block[i].site);
            return;
        }
}

void dd_world_fail_endless(uint64_t n_steps)
{
    fail(DD_EXPLORE_LIMIT, "no end after so many steps", n_steps, DD_FIBRES, NULL);
}

void dd_world_fail_stuck(void)
{
    fail(DD_EXPLORE_DEADLOCK, "nobody can go on: deadlock or lost wake-up", 0, DD_FIBRES, NULL);
}

void dd_world_fail_livelock(void)
{
    fail(DD_EXPLORE_LIVELOCK, "these steps lead back to an earlier state", 0, DD_FIBRES, NULL);
}

const char *dd_world_fibre_name(uint32_t i)
{
    return i < dd_arena_.total.n_fibres ? dd_arena_.fibre[i].name : "";
}

dd_fibre_state dd_world_fibre_state(uint32_t i)
{
    return (dd_fibre_state)dd_arena_.fibre[i].state;
}

uint32_t dd_world_n_fibres(void)
{
    return (uint32_t)dd_arena_.total.n_fibres;
}

void dd_world_place(const void *memory, char *text, size_t bytes)
{
    const dd_block *b = dd_arena_block(memory);
    if (b)
        snprintf(text, bytes, "%s+%llu", b->site,
                 (unsigned long long)((uintptr_t)memory - (uintptr_t)dd_arena_.heap - b->from));
    else
        snprintf(text, bytes, memory ? "stack" : "-");
}
