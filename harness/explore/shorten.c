/* SPDX-License-Identifier: MIT
 * Shortens failing executions: pieces of one thread are moved next to its other pieces, and ends
 * are left to chance, as long as the execution still fails. */
#include "shorten.h"

#include <stdlib.h>
#include <string.h>

#include "states.h"

#define MAX_RUNS 4000
#define MAX_SECONDS 3.0

typedef struct shortener {
    const dd_stage *stage;
    dd_explore_verdict verdict;
    dd_schedule *best;
    uint64_t changes; /* of the best */
    uint32_t n_runs;
    double until;
    dd_execution run;
    dd_choice *scratch; /* steps to be tried */
    uint64_t scratch_room;
} shortener;

/* A list of steps to follow as far as they are possible. */
typedef struct wishes {
    const dd_choice *choice;
    uint64_t n, next;
} wishes;

static uint32_t pick_wished(void *user, const dd_options_now *now)
{
    wishes *w = user;
    for (; w->next < w->n; w->next++) {
        const dd_choice want = w->choice[w->next];
        uint32_t found = DD_PICK_NONE;
        for (uint32_t i = 0; i < now->n; i++) {
            const dd_choice c = now->choice[i];
            if (c.fibre != want.fibre || c.spurious != want.spurious)
                continue;
            if (c.alternative == want.alternative) {
                found = i;
                break;
            }
            found = found == DD_PICK_NONE ? i : found;
        }
        if (found != DD_PICK_NONE) {
            w->next++;
            return found;
        }
    }
    return 0;
}

static void wish_again(void *user)
{
    ((wishes *)user)->next = 0;
}

/* Whether the first n steps of the scratch, as far as they are possible, lead to the same failure
 * with less ado; then they are the best. */
static bool try(shortener *s, uint64_t n)
{
    wishes w = {.choice = s->scratch, .n = n};
    s->n_runs++;
    if (dd_execution_run(s->stage, pick_wished, wish_again, &w, &s->run) != DD_END_FAILED ||
        dd_world_failure()->verdict != s->verdict)
        return false;
    const uint64_t changes = s->run.changes;
    if (changes > s->changes || (changes == s->changes && s->run.n >= s->best->n))
        return false;
    s->changes = changes;
    s->best->n = 0;
    for (uint64_t i = 0; i < s->run.n; i++)
        dd_schedule_add(s->best, s->run.step[i].choice);
    return true;
}

static bool has_time(const shortener *s)
{
    return s->n_runs < MAX_RUNS && dd_clock_s() < s->until;
}

static uint64_t piece_end(const dd_schedule *s, uint64_t i)
{
    const uint32_t fibre = s->choice[i].fibre;
    while (i < s->n && s->choice[i].fibre == fibre)
        i++;
    return i;
}

/* Puts choices [from, end) into the scratch at n. returns n after that */
static uint64_t take_over(shortener *s, uint64_t n, const dd_schedule *of, uint64_t from,
                          uint64_t end)
{
    if (n + end - from > s->scratch_room) {
        s->scratch_room = 2 * (n + end - from);
        s->scratch = dd_states_memory(s->scratch, s->scratch_room * sizeof *s->scratch);
    }
    if (end > from)
        memcpy(s->scratch + n, of->choice + from, (end - from) * sizeof *s->scratch);
    return n + end - from;
}

/* Joins the piece at i with the next one of its thread, either way, or leaves it out. */
static bool join_pieces(shortener *s, uint64_t i)
{
    const dd_schedule *b = s->best;
    const uint64_t end = piece_end(b, i);
    uint64_t next = end, n;
    while (next < b->n && b->choice[next].fibre != b->choice[i].fibre)
        next++;
    if (next < b->n) {
        const uint64_t next_end = piece_end(b, next);
        n = take_over(s, 0, b, 0, end);
        n = take_over(s, n, b, next, next_end);
        n = take_over(s, n, b, end, next);
        if (try(s, take_over(s, n, b, next_end, b->n)))
            return true;
        n = take_over(s, 0, b, 0, i);
        n = take_over(s, n, b, end, next);
        n = take_over(s, n, b, i, end);
        if (try(s, take_over(s, n, b, next, b->n)))
            return true;
    }
    n = take_over(s, 0, b, 0, i);
    return try(s, take_over(s, n, b, end, b->n));
}

void dd_shorten(const dd_stage *stage, dd_schedule *failed)
{
    shortener s = {
        .stage = stage, .best = failed, .changes = UINT64_MAX, .until = dd_clock_s() + MAX_SECONDS};
    if (dd_execution_repeat(stage, failed->choice, failed->n, &s.run) != DD_END_FAILED) {
        dd_execution_release(&s.run); /* a livelock: it fails by coming back to where it was */
        return;
    }
    s.verdict = dd_world_failure()->verdict;
    s.changes = s.run.changes;
    bool better = true;
    while (better && has_time(&s)) {
        better = false;
        for (uint64_t n = failed->n / 2; n > 0 && n < failed->n && has_time(&s); n /= 2) {
            take_over(&s, 0, failed, 0, failed->n - n);
            better |= try(&s, failed->n - n);
        }
        for (uint64_t i = 0; i < failed->n && has_time(&s); i = piece_end(failed, i))
            better |= join_pieces(&s, i);
    }
    free(s.scratch);
    dd_execution_release(&s.run);
}
