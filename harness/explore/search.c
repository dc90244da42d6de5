/* SPDX-License-Identifier: MIT
 * The search: depth first through every state that the world can reach, each visited once. A state
 * on the way back is restored from its saved bytes. Failures are searched for again with ever fewer
 * changes of thread forbidden, so that the trace shown has as few of them as possible. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "search.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "states.h"
#include "trace.h"

#define UNBOUNDED UINT32_MAX
#define MAX_STATES 50000000u
#define REHEARSALS 300
#define REHEARSED_STEPS 2000
#define TRACE_BOUND 4        /* changes of thread tried for a readable trace */
#define TRACE_STATES 300000u /* and the states spent on each */

/* A state on the way from the start to here. */
typedef struct frame {
    unsigned char *saved; /* NULL: not needed, only one step leads on */
    uint32_t state;
    uint32_t n, next;  /* choices, and those taken */
    uint32_t last;     /* the fibre whose step led here */
    uint32_t switches; /* changes of thread so far that were not forced */
    bool spurious;     /* a spurious return led here */
    dd_step taken;     /* the choice in progress */
    dd_choice choice[DD_CHOICES];
} frame;

typedef struct search {
    const dd_program *program;
    bool spurious, unreduced;
    uint32_t bound; /* changes of thread allowed, UNBOUNDED */
    uint64_t max_states;
    double until; /* time at which to give up */
    dd_states *states;
    unsigned char *on_path; /* by state */
    uint64_t on_path_room;
    frame *path;
    uint64_t depth, path_room;
    unsigned char *bytes; /* of the state at hand, and what tells it apart under a bound */
    uint64_t bytes_room;
    bool at_top; /* the world is in the state of the last frame */
    dd_explore_result *result;
} search;

typedef enum outcome { COMPLETE, FAILED, SHARING_GREW } outcome;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static outcome give_up(search *s, dd_explore_verdict verdict, const char *why)
{
    s->result->verdict = verdict;
    free(s->result->trace);
    s->result->trace = dd_trace_text(why, s->depth);
    return FAILED;
}

/* Tells how the world failed and by which steps it came there. */
static outcome report_failure(search *s)
{
    dd_step *steps = dd_states_memory(NULL, (s->depth + 1) * sizeof *steps);
    for (uint64_t i = 0; i < s->depth; i++)
        steps[i] = s->path[i].taken;
    s->result->verdict = dd_world_failure()->verdict;
    free(s->result->trace);
    s->result->trace = dd_trace_failure(steps, s->depth);
    free(steps);
    return FAILED;
}

/* The state at hand, as a number. returns whether it is new; *bytes is its size */
static bool identify(search *s, uint32_t last, uint32_t switches, uint32_t *state, size_t *bytes)
{
    *bytes = dd_world_size();
    if (*bytes + 8 > s->bytes_room) {
        s->bytes_room = 2 * (*bytes + 8);
        s->bytes = dd_states_memory(s->bytes, s->bytes_room);
    }
    dd_world_save(s->bytes);
    size_t hashed = *bytes;
    if (s->bound != UNBOUNDED) {
        memcpy(s->bytes + hashed, &last, 4);
        memcpy(s->bytes + hashed + 4, &switches, 4);
        hashed += 8;
    }
    return dd_states_add(s->states, s->bytes, hashed, state);
}

/* Puts the state at hand on the path, with the steps that lead on. */
static outcome enter(search *s, uint32_t state, size_t bytes, uint32_t last, uint32_t switches,
                     bool spurious)
{
    if (s->depth == s->path_room) {
        s->path_room = s->path_room ? 2 * s->path_room : 256;
        s->path = dd_states_memory(s->path, s->path_room * sizeof *s->path);
    }
    if (state >= s->on_path_room) {
        uint64_t room = 2 * s->on_path_room + 1024;
        s->on_path = dd_states_memory(s->on_path, room);
        memset(s->on_path + s->on_path_room, 0, room - s->on_path_room);
        s->on_path_room = room;
    }
    uint32_t n_spurious;
    frame *f = &s->path[s->depth];
    *f = (frame){.state = state, .last = last, .switches = switches, .spurious = spurious};
    f->n = dd_world_choices(last, f->choice, &n_spurious);
    if (dd_world_failure()->verdict != DD_EXPLORE_PASS)
        return report_failure(s);
    if (dd_world_ended())
        dd_world_check_end();
    else if (f->n == n_spurious)
        dd_world_fail_stuck();
    if (dd_world_failure()->verdict != DD_EXPLORE_PASS)
        return report_failure(s);
    if (!s->spurious)
        f->n -= n_spurious;
    if (f->n == 0) {
        dd_states_end(s->states, state);
        s->result->endings++;
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

static bool may_go_on(const frame *f)
{
    for (uint32_t i = 0; i < f->n; i++)
        if (f->choice[i].fibre == f->last && !f->choice[i].spurious)
            return true;
    return false;
}

/* Takes the next step of the last frame. */
static outcome advance(search *s)
{
    frame *f = &s->path[s->depth - 1];
    dd_choice choice = f->choice[f->next++];
    uint32_t switches = f->switches;
    if (s->bound != UNBOUNDED) {
        switches += choice.spurious || (choice.fibre != f->last && may_go_on(f));
        if (switches > s->bound)
            return COMPLETE;
    }
    if (!s->at_top)
        dd_world_load(f->saved);
    if (f->next == f->n) {
        free(f->saved);
        f->saved = NULL;
    }
    f->taken = (dd_step){.choice = choice, .event = *dd_world_event(choice.fibre)};
    dd_world_step(choice);
    f->taken.result = dd_world_result();
    if (dd_world_sharing_grew())
        return SHARING_GREW;
    if (dd_world_failure()->verdict != DD_EXPLORE_PASS)
        return report_failure(s);

    s->result->transitions++;
    uint32_t state;
    size_t bytes;
    bool new = identify(s, choice.fibre, switches, &state, &bytes);
    if (!choice.spurious)
        dd_states_step(s->states, f->state, state);
    if (new)
        return enter(s, state, bytes, choice.fibre, switches, choice.spurious);
    s->at_top = false;
    if (state < s->on_path_room && s->on_path[state] && is_livelock(s, state, choice)) {
        dd_world_fail_livelock();
        return report_failure(s);
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

static outcome walk(search *s)
{
    uint32_t state;
    size_t bytes;
    dd_world_start(s->program, s->unreduced);
    if (dd_world_sharing_grew())
        return SHARING_GREW;
    if (dd_world_failure()->verdict != DD_EXPLORE_PASS)
        return report_failure(s);
    identify(s, 0, 0, &state, &bytes);
    outcome o = enter(s, state, bytes, 0, 0, false);
    while (o == COMPLETE && s->depth > 0) {
        if (dd_states_count(s->states) > s->max_states)
            return give_up(s, DD_EXPLORE_LIMIT, "the limit on states was reached");
        if (s->until > 0 && s->result->transitions % 1024 == 0 && now_s() > s->until)
            return give_up(s, DD_EXPLORE_LIMIT, "the limit on time was reached");
        if (s->path[s->depth - 1].next == s->path[s->depth - 1].n)
            leave(s);
        else
            o = advance(s);
    }
    return o;
}

/* Takes the program through some executions at random, to learn which words are shared: every one
 * that the search itself finds out sends it back to the start. What goes wrong here goes wrong
 * there, too. */
static void rehearse(const search *s)
{
    uint64_t random = 1;
    for (uint32_t k = 0; k < REHEARSALS; k++) {
        dd_choice choice[DD_CHOICES];
        uint32_t n_spurious, last = 0;
        dd_world_start(s->program, s->unreduced);
        for (uint32_t n = 0; n < REHEARSED_STEPS; n++) {
            const uint32_t n_choices = dd_world_choices(last, choice, &n_spurious);
            if (dd_world_failure()->verdict != DD_EXPLORE_PASS || n_choices == n_spurious)
                break;
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            const dd_choice taken = choice[(random >> 33) % (n_choices - n_spurious)];
            dd_world_step(taken);
            last = taken.fibre;
            if (dd_world_failure()->verdict != DD_EXPLORE_PASS || dd_world_ended())
                break;
        }
    }
    (void)dd_world_sharing_grew();
}

/* One search from the start, or as many as it takes to learn which words are shared. */
static outcome explore(search *s)
{
    outcome o;
    do {
        s->result->transitions = s->result->endings = 0;
        s->states = dd_states_open();
        o = walk(s);
        while (s->depth > 0)
            leave(s);
        s->result->states = dd_states_count(s->states);
        if (o == COMPLETE && s->bound == UNBOUNDED) {
            dd_states_paths paths;
            dd_states_follow(s->states, &paths);
            s->result->executions = paths.executions;
            s->result->longest = paths.longest;
            if (!paths.acyclic)
                o = give_up(s, DD_EXPLORE_LIVELOCK, "an execution comes back to where it was");
        }
        dd_states_close(s->states);
        free(s->on_path);
        free(s->path);
        free(s->bytes);
        *s = (search){.program = s->program,
                      .spurious = s->spurious,
                      .unreduced = s->unreduced,
                      .bound = s->bound,
                      .max_states = s->max_states,
                      .until = s->until,
                      .result = s->result};
    } while (o == SHARING_GREW);
    return o;
}

/* Looks for the same kind of failure with few changes of thread, and keeps that trace if there is
 * one. */
static void simplify(const search *failed, dd_explore_result *result)
{
    for (uint32_t bound = 0; bound < TRACE_BOUND; bound++) {
        dd_explore_result shorter = {0};
        search s = *failed;
        s.bound = bound;
        s.max_states = TRACE_STATES;
        s.result = &shorter;
        if (explore(&s) == FAILED && shorter.verdict == result->verdict) {
            free(result->trace);
            result->trace = shorter.trace;
            return;
        }
        free(shorter.trace);
        if (shorter.verdict == DD_EXPLORE_LIMIT)
            return;
    }
}

void dd_explore(const dd_program *program, const dd_explore_limits *limits,
                dd_explore_result *result)
{
    double start = now_s();
    *result = (dd_explore_result){0};
    search s = {.program = program,
                .spurious = program->spurious,
                .unreduced = limits && limits->unreduced,
                .bound = UNBOUNDED,
                .max_states = limits && limits->states ? limits->states : MAX_STATES,
                .until = limits && limits->seconds > 0 ? start + limits->seconds : 0,
                .result = result};
    dd_world_forget_sharing();
    rehearse(&s);
    if (explore(&s) == FAILED && result->verdict != DD_EXPLORE_LIMIT) {
        if (result->verdict == DD_EXPLORE_LIVELOCK)
            s.spurious = false; /* then every loop on the path is one */
        simplify(&s, result);
    }
    dd_world_stop();
    result->seconds = now_s() - start;
}

void dd_explore_release(dd_explore_result *result)
{
    free(result->trace);
    result->trace = NULL;
}
