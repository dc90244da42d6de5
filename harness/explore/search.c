/* SPDX-License-Identifier: MIT
 * The search: depth first through every state that the world can reach, each visited once. A state
 * on the way back is restored from its saved bytes. Under a bound on changes of thread a state is
 * told apart by the thread that could go on there, too, and visited again when it is reached with
 * fewer changes than before: more are left then. */
#include "search.h"

#include <stdlib.h>
#include <string.h>

#include "execution.h"
#include "futures.h"
#include "persistent.h"
#include "states.h"

#define UNBOUNDED UINT32_MAX
#define NONE DD_FIBRES /* no fibre: any may go on without a change */
#define MAX_STATES 50000000u
#define WATCHED 1024 /* steps between two looks at the clock */

/* A state on the way from the start to here. */
typedef struct frame {
    unsigned char *saved; /* NULL: not needed, only one step leads on */
    uint32_t state;
    uint32_t n, next;  /* choices, and those taken */
    uint32_t last;     /* the fibre whose step led here; under a bound, NONE if it cannot go on */
    uint32_t switches; /* changes of thread so far that were not forced */
    bool spurious;     /* a spurious return led here */
    dd_choice taken;   /* the choice in progress */
    dd_choice choice[DD_CHOICES];
} frame;

typedef struct search {
    const dd_stage *stage;
    const dd_explore_limits *limits;
    dd_schedule *failed;
    uint32_t bound; /* changes of thread allowed, UNBOUNDED */
    uint64_t max_states;
    double until; /* time at which to give up */
    dd_states *states;
    unsigned char *on_path; /* by state */
    uint32_t *fewest; /* by state, under a bound: changes of thread with which it was reached */
    uint64_t by_state_room;
    frame *path;
    uint64_t depth, path_room;
    unsigned char *bytes; /* of the state at hand, and what tells it apart under a bound */
    uint64_t bytes_room;
    bool at_top; /* the world is in the state of the last frame */
    dd_explore_result *result;
} search;

typedef enum outcome { COMPLETE, FAILED, GIVEN_UP, SHARING_GREW } outcome;

/* By which steps the world came to fail. */
static outcome note_failure(search *s)
{
    s->failed->n = 0;
    for (uint64_t i = 0; i < s->depth; i++)
        dd_schedule_add(s->failed, s->path[i].taken);
    return FAILED;
}

static bool can_go_on(uint32_t fibre)
{
    dd_choice choice[DD_CHOICES];
    uint32_t n_spurious;
    const uint32_t n = dd_world_choices(fibre, choice, &n_spurious);
    for (uint32_t i = 0; i < n - n_spurious; i++)
        if (choice[i].fibre == fibre)
            return true;
    return false;
}

/* Whether a numbered state is to be visited, reached with so many changes of thread. */
static bool is_worth_it(search *s, uint32_t state, bool new, uint32_t switches)
{
    if (state >= s->by_state_room) {
        const uint64_t before = s->by_state_room, room = 2 * before + 1024;
        s->on_path = dd_states_memory(s->on_path, room);
        s->fewest = dd_states_memory(s->fewest, room * sizeof *s->fewest);
        memset(s->on_path + before, 0, room - before);
        s->by_state_room = room;
    }
    if (!new && (s->bound == UNBOUNDED || switches >= s->fewest[state]))
        return false;
    s->fewest[state] = switches;
    return true;
}

/* The state at hand, as a number. *last becomes NONE where the fibre cannot go on; *bytes is the
 * state's size. returns  whether it is new */
static bool identify(search *s, uint32_t *last, uint32_t *state, size_t *bytes)
{
    *bytes = dd_world_size();
    if (*bytes + 8 > s->bytes_room) {
        s->bytes_room = 2 * (*bytes + 8);
        s->bytes = dd_states_memory(s->bytes, s->bytes_room);
    }
    dd_world_save(s->bytes);
    size_t hashed = *bytes;
    if (s->bound != UNBOUNDED) {
        if (!can_go_on(*last))
            *last = NONE;
        memcpy(s->bytes + hashed, last, sizeof *last);
        hashed += sizeof *last;
    }
    return dd_states_add(s->states, s->bytes, hashed, state);
}

/* Puts the state at hand on the path, with the steps that lead on. */
static outcome enter(search *s, uint32_t state, bool new, size_t bytes, uint32_t last,
                     uint32_t switches, bool spurious)
{
    if (s->depth == s->path_room) {
        s->path_room = s->path_room ? 2 * s->path_room : 256;
        s->path = dd_states_memory(s->path, s->path_room * sizeof *s->path);
    }
    uint32_t n_spurious;
    frame *f = &s->path[s->depth];
    f->saved = NULL; /* one by one: most of the frame is room for choices */
    f->state = state;
    f->next = 0;
    f->last = last;
    f->switches = switches;
    f->spurious = spurious;
    f->n = dd_world_choices(last, f->choice, &n_spurious);
    if (dd_world_failure()->verdict != DD_EXPLORE_PASS)
        return note_failure(s);
    if (dd_world_ended())
        dd_world_check_end();
    else if (f->n == n_spurious)
        dd_world_fail_stuck();
    if (dd_world_failure()->verdict != DD_EXPLORE_PASS)
        return note_failure(s);
    if (!s->stage->program->spurious) {
        f->n -= n_spurious;
        if (s->stage->mode.reduced)
            f->n = dd_persistent_select(f->choice, f->n);
    }
    if (f->n == 0) {
        if (new) {
            dd_states_end(s->states, state);
            s->result->final_states++;
        }
        s->at_top = false;
        return COMPLETE;
    }
    if (f->n > 1) {
        f->saved = dd_states_memory(NULL, bytes);
        memcpy(f->saved, s->bytes, bytes);
    }
    s->on_path[state] = 1;
    s->depth++;
    s->at_top = true;
    return COMPLETE;
}

/* Whether the steps from `state`, which is on the path, to here came without a spurious return. */
static bool is_livelock(const search *s, uint32_t state, dd_choice last)
{
    if (last.spurious)
        return false;
    for (uint64_t i = s->depth; i-- > 0 && s->path[i].state != state;)
        if (s->path[i].spurious)
            return false;
    return true;
}

/* Takes the next step of the last frame. */
static outcome advance(search *s)
{
    frame *f = &s->path[s->depth - 1];
    dd_choice choice = f->choice[f->next++];
    uint32_t switches = f->switches;
    if (s->bound != UNBOUNDED) {
        switches += choice.spurious || (choice.fibre != f->last && f->last != NONE);
        if (switches > s->bound)
            return COMPLETE;
    }
    if (!s->at_top)
        dd_world_load(f->saved);
    if (f->next == f->n) {
        free(f->saved);
        f->saved = NULL;
    }
    f->taken = choice;
    dd_world_step(choice);
    if (dd_world_sharing_grew())
        return SHARING_GREW;
    if (dd_world_failure()->verdict != DD_EXPLORE_PASS)
        return note_failure(s);

    s->result->transitions++;
    uint32_t state;
    size_t bytes;
    uint32_t last = choice.fibre;
    const bool new = identify(s, &last, &state, &bytes);
    if (!choice.spurious)
        dd_states_step(s->states, f->state, state);
    if (is_worth_it(s, state, new, switches))
        return enter(s, state, new, bytes, last, switches, choice.spurious);
    s->at_top = false;
    if (s->on_path[state] && is_livelock(s, state, choice)) {
        dd_world_fail_livelock();
        return note_failure(s);
    }
    return COMPLETE;
}

static void leave(search *s)
{
    frame *f = &s->path[--s->depth];
    s->on_path[f->state] = 0;
    free(f->saved);
    s->at_top = false;
}

static bool out_of_patience(search *s)
{
    if (s->until > 0 && dd_clock_s() > s->until)
        return true;
    s->result->states = dd_states_count(s->states);
    s->result->interrupted = s->limits->watch && !s->limits->watch(s->limits->user, s->result);
    return s->result->interrupted;
}

static outcome walk(search *s)
{
    uint32_t state;
    size_t bytes;
    dd_futures_rely_on_nothing();
    dd_world_start(s->stage->program, s->stage->mode);
    if (dd_world_sharing_grew())
        return SHARING_GREW;
    if (dd_world_failure()->verdict != DD_EXPLORE_PASS)
        return note_failure(s);
    uint32_t last = 0;
    (void)identify(s, &last, &state, &bytes);
    (void)is_worth_it(s, state, true, 0);
    outcome o = enter(s, state, true, bytes, last, 0, false);
    for (uint64_t n = 0; o == COMPLETE && s->depth > 0; n++) {
        if (dd_states_count(s->states) > s->max_states || (n % WATCHED == 0 && out_of_patience(s)))
            return GIVEN_UP;
        if (s->path[s->depth - 1].next == s->path[s->depth - 1].n)
            leave(s);
        else
            o = advance(s);
    }
    return o;
}

static outcome follow(search *s)
{
    dd_states_paths paths;
    dd_states_follow(s->states, &paths);
    s->result->executions = paths.executions;
    s->result->longest = paths.longest;
    if (paths.acyclic)
        return COMPLETE;
    dd_world_fail_livelock();
    s->failed->n = 0; /* somewhere among the states: no one path was being looked at */
    return FAILED;
}

dd_outcome dd_states_search(const dd_stage *stage, const dd_explore_limits *limits, double until,
                            dd_explore_result *result, dd_schedule *failed)
{
    const dd_explore_result before = *result;
    outcome o;
    do { /* once more from the start if a word that was taken for private is shared after all */
        search s = {.stage = stage,
                    .limits = limits,
                    .failed = failed,
                    .bound = limits->tier == DD_TIER_BOUNDED ? limits->bound : UNBOUNDED,
                    .max_states = limits->states ? limits->states : MAX_STATES,
                    .until = until,
                    .states = dd_states_open(),
                    .result = result};
        *result = before;
        o = walk(&s);
        while (s.depth > 0)
            leave(&s);
        result->states = dd_states_count(s.states);
        if (o == COMPLETE && s.bound == UNBOUNDED)
            o = follow(&s);
        dd_states_close(s.states);
        free(s.on_path);
        free(s.fewest);
        free(s.path);
        free(s.bytes);
    } while (o == SHARING_GREW);
    return o == FAILED     ? DD_OUTCOME_FAILED
           : o == GIVEN_UP ? DD_OUTCOME_GIVEN_UP
                           : DD_OUTCOME_COMPLETE;
}
