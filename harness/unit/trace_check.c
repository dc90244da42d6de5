/* SPDX-License-Identifier: MIT */
#include "trace_check.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LANES = 1728, MOST_TRACKS = 64 };

__attribute__((format(printf, 2, 3))) static bool wrong(char why[TRACE_WHY], const char *format,
                                                        ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why, TRACE_WHY, format, args);
    va_end(args);
    return false;
}

/* ---- Events ---- */

static const char *text(const json_t *event, const char *key)
{
    const char *s = json_string_value(json_object_get(event, key));
    return s ? s : "";
}

static double number(const json_t *event, const char *key)
{
    const json_t *n = json_object_get(event, key);
    return json_is_number(n) ? json_number_value(n) : (double)NAN;
}

/* Whole nanoseconds: sums and comparisons are exact. */
static int64_t begin_ns(const json_t *event)
{
    return llround(1e3 * number(event, "ts"));
}

static int64_t end_ns(const json_t *event)
{
    return begin_ns(event) + llround(1e3 * number(event, "dur"));
}

static bool is(const json_t *event, const char *category)
{
    return strcmp(text(event, "cat"), category) == 0;
}

static int64_t argument(const json_t *event, const char *key)
{
    const json_t *n = json_object_get(json_object_get(event, "args"), key);
    return json_is_integer(n) ? json_integer_value(n) : -1;
}

static const json_t *events_of(const json_t *trace)
{
    return json_object_get(trace, "traceEvents");
}

uint32_t trace_count(const json_t *trace, const char *category, const char *name)
{
    uint32_t n = 0;
    size_t i;
    json_t *e;
    json_array_foreach(events_of(trace), i, e)
    {
        n += (!category || is(e, category)) && (!name || strcmp(text(e, "name"), name) == 0);
    }
    return n;
}

/* ---- Form and words ---- */

/* What a category's events are called: whole names, or how they begin. */
static bool is_known(const json_t *e)
{
    static const struct {
        const char *category, *name;
        bool begins;
    } known[] = {{"lane", "lane ", true},
                 {"lane", "lanes ", true},
                 {"step", "step ", true},
                 {"step", "validation", false},
                 {"step", "replay", false},
                 {"step", "step", false},
                 {"folds", "between lanes", false},
                 {"fold", "fold", false},
                 {"phase", "", true},
                 {"folds", "combine", false},
                 {"slice", "slice", false},
                 {"verdict", "verdict", false},
                 {"update", "update slice", false},
                 {"wait", "wait A", false},
                 {"wait", "wait B", false},
                 {"wait", "wait V", false},
                 {"wait", "wait U", false},
                 {"wait", "wait mail", false},
                 {"wait", "wait change", false},
                 {"control", "orders", false},
                 {"control", "relay", false},
                 {"membership", "pool", false},
                 {"membership", "is worker ", true},
                 {"membership", "is control ", true},
                 {"membership", "leaves ", true},
                 {"counter", "loss", false},
                 {"counter", "norm", false},
                 {"counter", "workers", false},
                 {"command", "expand", false},
                 {"command", "collapse", false},
                 {"command", "start", false},
                 {"command", "stop", false},
                 {"command", "pause", false},
                 {"command", "resume", false},
                 {"command", "start-epoch", false},
                 {"command", "end-epoch", false},
                 {"command", "checkpoint", false},
                 {"command", "restore", false},
                 {"command", "rebalance", false}};
    const char *name = text(e, "name");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (is(e, known[i].category) &&
            (known[i].begins ? strncmp(name, known[i].name, strlen(known[i].name)) == 0
                             : strcmp(name, known[i].name) == 0))
            return true;
    return false;
}

static bool form_holds(const json_t *e, size_t i, char why[TRACE_WHY])
{
    const char *phase = text(e, "ph");
    const json_t *tid = json_object_get(e, "tid");
    if (strlen(phase) != 1 || !strchr("XiCM", phase[0]))
        return wrong(why, "event %zu: ph is \"%s\"", i, phase);
    if (!json_is_integer(json_object_get(e, "pid")) || !json_is_integer(tid) ||
        json_integer_value(tid) < 0 || json_integer_value(tid) >= MOST_TRACKS)
        return wrong(why, "event %zu: pid and tid", i);
    if (!text(e, "name")[0])
        return wrong(why, "event %zu has no name", i);
    if (phase[0] == 'M')
        return json_is_object(json_object_get(e, "args")) || wrong(why, "event %zu: args", i);
    if (!(number(e, "ts") >= 0))
        return wrong(why, "event %zu: ts", i);
    if (phase[0] == 'X' && !(number(e, "dur") >= 0))
        return wrong(why, "event %zu: dur", i);
    if (phase[0] == 'i' && strcmp(text(e, "s"), "t") != 0)
        return wrong(why, "event %zu: the scope of a moment", i);
    if (!is_known(e))
        return wrong(why, "event %zu: \"%s\" of category \"%s\" is no such event", i,
                     text(e, "name"), text(e, "cat"));
    return true;
}

static bool metadata_holds(const json_t *trace, char why[TRACE_WHY])
{
    bool used[MOST_TRACKS] = {false}, named[MOST_TRACKS] = {false}, sorted[MOST_TRACKS] = {false};
    bool process = false;
    size_t i;
    json_t *e;
    json_array_foreach(events_of(trace), i, e)
    {
        const size_t tid = (size_t)json_integer_value(json_object_get(e, "tid"));
        const char *name = text(e, "name");
        if (strcmp(text(e, "ph"), "M") != 0)
            used[tid] = true;
        process |= strcmp(name, "process_name") == 0;
        named[tid] |= strcmp(name, "thread_name") == 0;
        sorted[tid] |= strcmp(name, "thread_sort_index") == 0;
    }
    for (size_t tid = 0; tid < MOST_TRACKS; tid++)
        if (used[tid] && (!named[tid] || !sorted[tid]))
            return wrong(why, "track %zu has no name, or no place among the others", tid);
    return process || wrong(why, "the process has no name");
}

/* ---- One after the other, or one inside the other ---- */

static int by_begin(const void *left, const void *right)
{
    const json_t *a = *(const json_t *const *)left, *b = *(const json_t *const *)right;
    if (begin_ns(a) != begin_ns(b))
        return begin_ns(a) < begin_ns(b) ? -1 : 1;
    return end_ns(a) > end_ns(b) ? -1 : end_ns(a) < end_ns(b);
}

/* What is an activity of its thread, and no part of one. */
static bool is_activity(const json_t *e)
{
    return !is(e, "fold") && !is(e, "phase") && !is(e, "step") && !is(e, "command");
}

static bool nest(const json_t **event, size_t n, char why[TRACE_WHY])
{
    const json_t *open[64];
    size_t depth = 0;
    int64_t free_from = INT64_MIN; /* the end of the last activity */
    qsort(event, n, sizeof *event, by_begin);
    for (size_t i = 0; i < n; i++) {
        const json_t *e = event[i];
        while (depth && end_ns(open[depth - 1]) <= begin_ns(e))
            depth--;
        if (depth && end_ns(e) > end_ns(open[depth - 1]))
            return wrong(why, "\"%s\" at %.3f begins inside \"%s\" and ends outside",
                         text(e, "name"), number(e, "ts"), text(open[depth - 1], "name"));
        if (depth && is_activity(e) && end_ns(e) > begin_ns(e))
            return wrong(why, "\"%s\" at %.3f is inside \"%s\"", text(e, "name"), number(e, "ts"),
                         text(open[depth - 1], "name"));
        if (is_activity(e)) {
            if (free_from != INT64_MIN && begin_ns(e) != free_from)
                return wrong(why, "before \"%s\" at %.3f there is a gap", text(e, "name"),
                             number(e, "ts"));
            free_from = end_ns(e);
        }
        if (depth == sizeof open / sizeof *open)
            return wrong(why, "nested too deep");
        open[depth++] = e;
    }
    return true;
}

static bool tracks_nest(const json_t *trace, char why[TRACE_WHY])
{
    const json_t **event = calloc(json_array_size(events_of(trace)) + 1, sizeof *event);
    bool good = event != NULL;
    for (int tid = 0; tid < MOST_TRACKS && good; tid++) {
        size_t n = 0, i;
        json_t *e;
        json_array_foreach(events_of(trace), i, e)
        {
            if (strcmp(text(e, "ph"), "X") == 0 &&
                json_integer_value(json_object_get(e, "tid")) == tid)
                event[n++] = e;
        }
        good = nest(event, n, why);
    }
    free(event);
    return good;
}

/* ---- What a step is ---- */

static bool add_lanes(const json_t *e, bool run[MOST_LANES], uint32_t *n, char why[TRACE_WHY])
{
    const int64_t first = argument(e, "lane"), last = argument(e, "last_lane");
    if (first < 0 || last < first || last >= MOST_LANES || argument(e, "lanes") < 1 ||
        argument(e, "tokens") < 1)
        return wrong(why, "\"%s\": which lanes?", text(e, "name"));
    for (int64_t l = first; l <= last; l++) {
        if (run[l])
            return wrong(why, "lane %d runs twice in step %d", (int)l, (int)argument(e, "step"));
        run[l] = true;
    }
    *n += (uint32_t)argument(e, "lanes");
    return true;
}

static bool step_holds(const json_t *trace, int64_t step, uint32_t n_lanes, char why[TRACE_WHY])
{
    bool run[MOST_LANES] = {false};
    uint32_t lanes = 0;
    int64_t folds = 0, listed = 0; /* every slice does a part of the same list */
    int64_t lanes_end = INT64_MIN, b_end = INT64_MIN, behind_b = INT64_MAX, updates = INT64_MAX;
    /* A thread that has arrived, or let others go on, may be taken off its core before it tells
     * what it does next: ends say nothing of other threads. */
    int64_t at_b = INT64_MIN;
    int64_t verdict = INT64_MIN;
    size_t i;
    json_t *e;
    json_array_foreach(events_of(trace), i, e)
    {
        if (argument(e, "step") != step)
            continue;
        if (is(e, "lane") && !add_lanes(e, run, &lanes, why))
            return false;
        if (is(e, "lane") && end_ns(e) > lanes_end)
            lanes_end = end_ns(e);
        if ((is(e, "lane") || is(e, "fold")) && argument(e, "folds") > 0)
            folds += argument(e, "folds");
        if (is(e, "slice") && argument(e, "folds") > listed)
            listed = argument(e, "folds");
        if (strcmp(text(e, "name"), "wait B") == 0 && end_ns(e) > b_end)
            b_end = end_ns(e);
        if (strcmp(text(e, "name"), "wait B") == 0 && begin_ns(e) > at_b)
            at_b = begin_ns(e);
        if ((is(e, "slice") || is(e, "update")) && begin_ns(e) < behind_b)
            behind_b = begin_ns(e);
        if (strcmp(text(e, "name"), "wait V") == 0 && end_ns(e) < behind_b)
            behind_b = end_ns(e);
        if (is(e, "update") && begin_ns(e) < updates)
            updates = begin_ns(e);
        if (is(e, "verdict") && begin_ns(e) > verdict)
            verdict = begin_ns(e);
    }
    if (lanes != n_lanes)
        return wrong(why, "step %d: %u lanes of %u", (int)step, lanes, n_lanes);
    if (folds + listed != n_lanes - 1)
        return wrong(why, "step %d: %d folds, %d of %u lanes", (int)step, (int)(folds + listed),
                     (int)n_lanes - 1, n_lanes);
    if (b_end < lanes_end || behind_b < lanes_end)
        return wrong(why, "step %d: somebody is beyond B while a lane runs", (int)step);
    if (verdict == INT64_MIN || updates < at_b || updates < verdict)
        return wrong(why, "step %d: no verdict, or an update before it", (int)step);
    return true;
}

bool trace_holds(const json_t *trace, uint64_t n_steps, uint32_t n_lanes, char why[TRACE_WHY])
{
    size_t i;
    json_t *e;
    why[0] = '\0';
    if (!json_is_object(trace) || !json_is_array(events_of(trace)))
        return wrong(why, "no JSON object with traceEvents");
    if (argument(trace, "lost_events") > 0 ||
        json_integer_value(json_object_get(json_object_get(trace, "otherData"), "lost_events")))
        return wrong(why, "events were lost");
    json_array_foreach(events_of(trace), i, e)
    {
        if (!form_holds(e, i, why))
            return false;
    }
    if (!metadata_holds(trace, why) || !tracks_nest(trace, why))
        return false;
    for (uint64_t s = 0; s < n_steps; s++) {
        char name[32];
        snprintf(name, sizeof name, "step %llu", (unsigned long long)s);
        if (trace_count(trace, "step", name) != 1)
            return wrong(why, "\"%s\" is there %u times", name, trace_count(trace, "step", name));
        if (!step_holds(trace, (int64_t)s, n_lanes, why))
            return false;
    }
    return true;
}
