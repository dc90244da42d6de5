/* SPDX-License-Identifier: MIT
 * One exploration: prepares the world, hands it to the tier's search, and makes what it finds
 * readable and repeatable. */
#define _GNU_SOURCE /* asprintf */
#include "explore.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "executions.h"
#include "replay_string.h"
#include "shorten.h"
#include "states.h"
#include "trace.h"
#include "walks.h"

/* What is spent on an execution with fewer changes of thread, by number of changes. */
#define SHORT_CHANGES 4
#define SHORT_STATES 300000u
#define SHORT_SECONDS 5.0

static dd_outcome search(const dd_stage *stage, const dd_explore_limits *limits, double until,
                         dd_explore_result *result, dd_schedule *failed)
{
    switch (limits->tier) {
    case DD_TIER_DFS:
    case DD_TIER_DPOR:
        return dd_executions_search(stage, limits, until, result, failed);
    case DD_TIER_RANDOM:
    case DD_TIER_PCT:
        return dd_walks_search(stage, limits, until, result, failed);
    default:
        return dd_states_search(stage, limits, until, result, failed);
    }
}

/* Looks for an execution that fails alike with no more than so many changes of thread, and puts it
 * in place of *failed. returns false if there is none */
static bool fails_with(const dd_stage *stage, uint32_t changes, dd_explore_verdict verdict,
                       double until, dd_schedule *failed)
{
    const dd_explore_limits limits = {
        .tier = DD_TIER_BOUNDED, .bound = changes, .states = SHORT_STATES};
    dd_stage states = *stage;
    states.mode.stateless = states.mode.reduced = false;
    dd_explore_result r = {0};
    dd_schedule found = {0};
    const bool better =
        dd_states_search(&states, &limits, until, &r, &found) == DD_OUTCOME_FAILED &&
        dd_world_failure()->verdict == verdict;
    if (better) {
        dd_schedule_release(failed);
        *failed = found;
    } else {
        dd_schedule_release(&found);
    }
    return better;
}

static void make_readable(const dd_stage *stage, dd_explore_verdict verdict, dd_schedule *failed)
{
    const double until = dd_clock_s() + SHORT_SECONDS;
    uint64_t changes = SHORT_CHANGES;
    dd_execution e = {0};
    dd_shorten(stage, failed);
    if (dd_execution_repeat(stage, failed->choice, failed->n, &e) == DD_END_FAILED)
        changes = e.changes;
    dd_execution_release(&e);
    for (uint32_t n = 0; n < changes && n < SHORT_CHANGES && dd_clock_s() < until; n++)
        if (fails_with(stage, n, verdict, until, failed))
            return;
}

static void tell_failure(const dd_stage *stage, dd_schedule *failed, dd_explore_result *result)
{
    const dd_failure failure = *dd_world_failure();
    dd_execution e = {0};
    result->verdict = failure.verdict;
    if (failed->n == 0 && failure.verdict == DD_EXPLORE_LIVELOCK) {
        result->trace = dd_trace_text("an execution comes back to a state it was in");
        return;
    }
    make_readable(stage, failure.verdict, failed);
    /* An execution that comes back to where it was fails by that alone. */
    if (dd_replay_write(stage, failed, &e, &result->replay) != DD_END_FAILED)
        dd_world_fail_livelock();
    result->trace = dd_trace_failure(e.step, e.n);
    dd_execution_release(&e);
}

/* Which limit it was. */
static char *limit_text(const dd_explore_limits *limits, const dd_explore_result *result)
{
    char text[96];
    if (result->interrupted)
        return dd_trace_text("interrupted");
    if (limits->seconds > 0 && result->seconds >= limits->seconds)
        (void)snprintf(text, sizeof text, "the limit of %g s was reached", limits->seconds);
    else if (limits->tier <= DD_TIER_BOUNDED)
        (void)snprintf(text, sizeof text, "given up after %" PRIu64 " states", result->states);
    else
        (void)snprintf(text, sizeof text, "given up after %.0f executions", result->executions);
    return dd_trace_text(text);
}

void dd_explore(const dd_program *program, const dd_explore_limits *limits,
                dd_explore_result *result)
{
    static const dd_explore_limits all_zero;
    const double start = dd_clock_s();
    if (!limits)
        limits = &all_zero;
    *result = (dd_explore_result){0};
    const bool keeps_states = limits->tier <= DD_TIER_BOUNDED;
    const dd_stage stage = {
        .program = program,
        .mode = {.memory = limits->memory,
                 .unreduced = limits->unreduced,
                 .reduced = limits->tier == DD_TIER_REDUCED,
                 .stateless = !keeps_states && !limits->endings,
                 .touched = limits->tier == DD_TIER_DFS || limits->tier == DD_TIER_DPOR}};
    dd_schedule failed = {0};
    dd_stage_rehearse(&stage);
    const dd_outcome o =
        search(&stage, limits, limits->seconds > 0 ? start + limits->seconds : 0, result, &failed);
    result->seconds = dd_clock_s() - start;
    if (o == DD_OUTCOME_FAILED) {
        tell_failure(&stage, &failed, result);
    } else if (o == DD_OUTCOME_GIVEN_UP) {
        result->verdict = DD_EXPLORE_LIMIT;
        result->trace = limit_text(limits, result);
    }
    dd_schedule_release(&failed);
    dd_world_stop();
}

dd_explore_limits dd_explore_usual(const dd_program *program, dd_memory memory, bool whole)
{
    const bool weak = memory == DD_MEMORY_C11;
    const uint32_t bounded = weak ? program->bounded_c11 : program->bounded;
    dd_explore_limits limits = {.memory = memory, .tier = DD_TIER_EXHAUSTIVE};
    whole = whole && (weak ? program->whole_c11 : program->whole);
    if (bounded && !whole) {
        limits.tier = DD_TIER_BOUNDED;
        limits.bound = bounded - 1;
    } else if (weak ? program->reduced_c11 : program->reduced) {
        limits.tier = DD_TIER_REDUCED;
    }
    return limits;
}

bool dd_explore_is_large(const dd_program *program, dd_memory memory)
{
    return program->large || (memory == DD_MEMORY_C11 && program->large_c11);
}

void dd_explore_release(dd_explore_result *result)
{
    free(result->trace);
    free(result->replay);
    result->trace = result->replay = NULL;
}

char *dd_explore_replay(const dd_program *table, const char *replay, dd_explore_result *result)
{
    const double start = dd_clock_s();
    dd_stage stage;
    dd_execution e = {0};
    dd_end end = DD_END_BROKEN_OFF;
    *result = (dd_explore_result){0};
    char *wrong = dd_replay_read(table, replay, &stage, &e, &end);
    if (!wrong) {
        result->verdict = dd_world_failure()->verdict;
        result->executions = 1;
        result->steps = result->longest = e.n;
        result->threads = e.n_fibres;
        result->trace =
            end == DD_END_FAILED ? dd_trace_failure(e.step, e.n) : dd_trace_passed(e.step, e.n);
    }
    dd_execution_release(&e);
    dd_world_stop();
    result->seconds = dd_clock_s() - start;
    return wrong;
}
