/* SPDX-License-Identifier: MIT
 * Depth-first search over executions, plain or reduced. A frame is a state on the way from the
 * start to here, with the threads still to be tried from it. */
#include "executions.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "happens_before.h"
#include "states.h"

#define WATCHED 16384 /* steps between two looks at the clock */

typedef struct frame {
    unsigned char *saved; /* the state, where several steps lead on; kept for the next frame here */
    size_t saved_room;
    uint32_t first_choice, n_choices; /* in the pool */
    /* Sets of fibres, a bit each: that can move; to be tried; not (or no more) to be tried, as any
     * execution by them would be like one that was seen */
    uint32_t enabled, wanted, asleep;
    uint32_t at, end;  /* choices in the pool: the next one, and the end of its fibre's */
    uint32_t last;     /* the fibre whose step led here */
    uint32_t returned; /* fibres that have returned for no reason */
    dd_step taken;
    uint64_t seen[DD_FIBRES]; /* all that each fibre has seen, as a hash */
} frame;

typedef struct search {
    const dd_stage *stage;
    const dd_explore_limits *limits;
    dd_explore_result *result;
    dd_schedule *failed;
    double until;
    bool reduced;
    frame *path;
    uint64_t depth, room;
    dd_choice *pool;
    uint64_t pool_room;
    dd_order_log *order;         /* reduced */
    dd_states *endings, *finals; /* if they are told apart */
    unsigned char *bytes;        /* scratch */
    size_t bytes_room;
    bool at_top; /* the world is in the state of the last frame */
} search;

typedef enum progress { GO_ON, FAILED, GIVEN_UP, SHARING_GREW } progress;

static bool has_failed(void)
{
    return dd_world_failure()->verdict != DD_EXPLORE_PASS;
}

static progress note_failure(search *s)
{
    s->failed->n = 0;
    for (uint64_t i = 0; i < s->depth; i++)
        dd_schedule_add(s->failed, s->path[i].taken.choice);
    return FAILED;
}

/* ---- Ends ------------------------------------------------------------------------------------ */

static void reserve(unsigned char **bytes, size_t *room, size_t n)
{
    if (n <= *room)
        return;
    *room = 2 * n;
    *bytes = dd_states_memory(*bytes, *room);
}

/* The final state, and what everybody saw on the way. */
static void note_ending(search *s, const uint64_t *seen)
{
    const size_t n_seen = DD_FIBRES * sizeof *seen;
    const size_t n_state = dd_world_size();
    reserve(&s->bytes, &s->bytes_room, n_seen + n_state);
    memcpy(s->bytes, seen, n_seen);
    dd_world_save(s->bytes + n_seen);
    uint32_t number;
    if (dd_states_add(s->endings, s->bytes, n_seen + n_state, &number))
        s->result->digest += XXH3_64bits(s->bytes, n_seen + n_state);
    (void)dd_states_add(s->finals, s->bytes + n_seen, n_state, &number);
    s->result->endings = dd_states_count(s->endings);
    s->result->final_states = dd_states_count(s->finals);
}

static progress end(search *s, const uint64_t *seen)
{
    dd_world_check_end();
    if (has_failed())
        return note_failure(s);
    dd_explore_result *r = s->result;
    const dd_explore_limits *l = s->limits;
    r->executions++;
    if (r->longest < s->depth)
        r->longest = s->depth;
    if (l->endings)
        note_ending(s, seen);
    if (l->runs && r->executions >= (double)l->runs)
        return GIVEN_UP;
    return GO_ON;
}

/* ---- States ---------------------------------------------------------------------------------- */

static frame *new_frame(search *s)
{
    if (s->depth == s->room) {
        const uint64_t room = s->room ? 2 * s->room : 256;
        s->path = dd_states_memory(s->path, room * sizeof *s->path);
        memset(s->path + s->room, 0, (room - s->room) * sizeof *s->path);
        s->room = room;
    }
    const uint64_t first =
        s->depth ? s->path[s->depth - 1].first_choice + (uint64_t)s->path[s->depth - 1].n_choices
                 : 0;
    if (first + DD_CHOICES > s->pool_room) {
        s->pool_room = 2 * (first + DD_CHOICES);
        s->pool = dd_states_memory(s->pool, s->pool_room * sizeof *s->pool);
    }
    frame *f = &s->path[s->depth];
    f->first_choice = (uint32_t)first;
    f->n_choices = 0;
    f->enabled = f->wanted = f->asleep = 0;
    f->at = f->end = f->first_choice;
    return f;
}

/* The steps possible now: those of `last` foremost, and no second return for no reason. */
static void find_choices(search *s, frame *f, uint32_t n, uint32_t n_spurious)
{
    dd_choice *choice = s->pool + f->first_choice;
    for (uint32_t i = 0; i < n - n_spurious; i++)
        f->enabled |= 1u << choice[i].fibre;
    f->n_choices = n - n_spurious;
    for (uint32_t i = n - n_spurious; i < n; i++) {
        if (f->returned >> choice[i].fibre & 1)
            continue;
        f->enabled |= 1u << choice[i].fibre;
        choice[f->n_choices++] = choice[i];
    }
}

/* Puts the state at hand on the path, if there is anything to be tried from it. */
static progress enter(search *s, uint32_t last, uint32_t returned, uint32_t asleep,
                      const uint64_t *seen)
{
    frame *f = new_frame(s);
    uint32_t n_spurious;
    s->at_top = false;
    const uint32_t n = dd_world_choices(last, s->pool + f->first_choice, &n_spurious);
    if (has_failed())
        return note_failure(s);
    if (dd_world_ended())
        return end(s, seen);
    if (n == n_spurious) {
        dd_world_fail_stuck();
        return note_failure(s);
    }
    if (s->depth == DD_EXECUTION_STEPS) {
        dd_world_fail_endless(DD_EXECUTION_STEPS);
        return note_failure(s);
    }
    f->last = last;
    f->returned = returned;
    find_choices(s, f, n, n_spurious);
    f->asleep = asleep & f->enabled;
    const uint32_t awake = f->enabled & ~f->asleep;
    if (awake == 0) {
        s->result->cut++;
        return GO_ON;
    }
    f->wanted = awake;
    for (uint32_t i = 0; s->reduced && i < f->n_choices; i++) {
        const uint32_t fibre = 1u << s->pool[f->first_choice + i].fibre;
        if (fibre & awake) {
            f->wanted = fibre;
            break;
        }
    }
    memcpy(f->seen, seen, sizeof f->seen);
    if (f->n_choices > 1) {
        reserve(&f->saved, &f->saved_room, dd_world_size());
        dd_world_save(f->saved);
    }
    s->depth++;
    s->at_top = true;
    return GO_ON;
}

/* ---- Steps ----------------------------------------------------------------------------------- */

/* The next thread to be tried from here. returns false if none is left */
static bool next_fibre(const search *s, frame *f)
{
    const uint32_t left = f->wanted & ~f->asleep;
    for (uint32_t i = 0; left && i < f->n_choices; i++) {
        const uint32_t at = f->first_choice + i, fibre = s->pool[at].fibre;
        if (!(left >> fibre & 1))
            continue;
        f->at = f->end = at;
        while (f->end < f->first_choice + f->n_choices && s->pool[f->end].fibre == fibre)
            f->end++;
        return true;
    }
    return false;
}

static uint64_t also_seen(uint64_t seen, const dd_step *step)
{
    const uint64_t what[] = {seen, step->event.kind, step->result,
                             step->event.kind == DD_EVENT_FUTEX_WAKE ? step->choice.alternative : 0,
                             step->choice.spurious};
    return XXH3_64bits(what, sizeof what);
}

/* A race of plain accesses that this order of steps has hidden: shows it by another. */
static progress look_for_race(search *s)
{
    uint64_t n;
    const uint64_t *hidden = dd_order_race(s->order, &n);
    if (!hidden)
        return GO_ON;
    const size_t bytes = dd_world_size();
    reserve(&s->bytes, &s->bytes_room, bytes);
    dd_world_save(s->bytes);
    for (; hidden; hidden = dd_order_race(s->order, &n)) {
        s->failed->n = 0;
        for (uint64_t i = 0; i < n; i++)
            dd_schedule_add(s->failed, s->path[hidden[i]].taken.choice);
        dd_execution e = {0};
        const dd_end end = dd_execution_repeat(s->stage, s->failed->choice, n, &e);
        dd_execution_release(&e);
        if (end == DD_END_FAILED)
            return FAILED;
    }
    dd_world_start(s->stage->program, s->stage->mode);
    dd_world_load(s->bytes);
    return GO_ON;
}

/* Takes the next step of the last frame. */
static progress advance(search *s)
{
    frame *f = &s->path[s->depth - 1];
    const dd_choice choice = s->pool[f->at++];
    const uint32_t me = 1u << choice.fibre, returned = f->returned | (choice.spurious ? me : 0);
    if (!s->at_top)
        dd_world_load(f->saved);
    f->taken = (dd_step){.choice = choice, .event = *dd_world_event(choice.fibre)};
    if (s->reduced)
        dd_order_before(s->order, s->depth - 1, choice, f->asleep);
    dd_world_step(choice);
    f->taken.result = dd_world_result();
    s->result->steps++;
    if (dd_world_sharing_grew())
        return SHARING_GREW;
    if (has_failed())
        return note_failure(s);

    uint32_t asleep = 0;
    if (s->reduced) {
        asleep = dd_order_after(s->order, &f->taken);
        for (const dd_reversal *r = dd_order_reversals(s->order); r->fibres; r++) {
            frame *earlier = &s->path[r->at];
            const uint32_t possible = r->fibres & earlier->enabled;
            if (r->fibres & earlier->wanted)
                continue;
            earlier->wanted |= possible & me ? me : possible & -possible;
        }
        const progress p = look_for_race(s);
        if (p != GO_ON)
            return p;
    }
    uint64_t seen[DD_FIBRES];
    if (s->limits->endings) {
        memcpy(seen, f->seen, sizeof seen);
        seen[choice.fibre] = also_seen(seen[choice.fibre], &f->taken);
    } else {
        memset(seen, 0, sizeof seen);
    }
    return enter(s, choice.fibre, returned, asleep, seen);
}

static bool out_of_patience(search *s)
{
    if (s->until > 0 && dd_clock_s() > s->until)
        return true;
    s->result->interrupted = s->limits->watch && !s->limits->watch(s->limits->user, s->result);
    return s->result->interrupted;
}

static progress walk(search *s)
{
    static const uint64_t nothing_seen[DD_FIBRES];
    s->depth = 0;
    dd_world_start(s->stage->program, s->stage->mode);
    if (dd_world_sharing_grew())
        return SHARING_GREW;
    if (has_failed())
        return note_failure(s);
    progress p = enter(s, 0, 0, 0, nothing_seen);
    for (uint64_t n = 0; p == GO_ON && s->depth > 0; n++) {
        frame *f = &s->path[s->depth - 1];
        if (n % WATCHED == 0 && out_of_patience(s))
            return GIVEN_UP;
        if (f->at == f->end) {
            if (f->end > f->first_choice)
                f->asleep |= 1u << s->pool[f->end - 1].fibre;
            if (!next_fibre(s, f)) {
                s->depth--;
                s->at_top = false;
                continue;
            }
        }
        p = advance(s);
    }
    return p;
}

dd_outcome dd_executions_search(const dd_stage *stage, const dd_explore_limits *limits,
                                double until, dd_explore_result *result, dd_schedule *failed)
{
    search s = {.stage = stage,
                .limits = limits,
                .result = result,
                .failed = failed,
                .until = until,
                .reduced = limits->tier == DD_TIER_DPOR};
    const dd_explore_result before = *result;
    progress p;
    do { /* once more from the start if a word that was taken for private is shared after all */
        *result = before;
        s.endings = dd_states_open();
        s.finals = dd_states_open();
        s.order = s.reduced ? dd_order_open() : NULL;
        p = walk(&s);
        dd_order_close(s.order);
        dd_states_close(s.endings);
        dd_states_close(s.finals);
    } while (p == SHARING_GREW);
    for (uint64_t i = 0; i < s.room; i++)
        free(s.path[i].saved);
    free(s.path);
    free(s.pool);
    free(s.bytes);
    return p == FAILED     ? DD_OUTCOME_FAILED
           : p == GIVEN_UP ? DD_OUTCOME_GIVEN_UP
                           : DD_OUTCOME_COMPLETE;
}
