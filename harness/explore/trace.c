/* SPDX-License-Identifier: MIT
 * Renders failures. Words are named by the source line of their allocation and their offset in it.
 */
#define _POSIX_C_SOURCE 200809L /* open_memstream */
#include "trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_STEPS 400 /* shown; of a longer trace, the last ones */

typedef unsigned long long ull;

static const char *const verdict_names[] = {
    [DD_EXPLORE_PASS] = "PASS",         [DD_EXPLORE_CHECK] = "CHECK FAILED",
    [DD_EXPLORE_RACE] = "RACE",         [DD_EXPLORE_DEADLOCK] = "DEADLOCK",
    [DD_EXPLORE_LIVELOCK] = "LIVELOCK", [DD_EXPLORE_MEMORY] = "MEMORY",
    [DD_EXPLORE_LIMIT] = "INCOMPLETE",
};

const char *dd_explore_verdict_name(dd_explore_verdict verdict)
{
    return verdict_names[verdict];
}

static const char *const event_names[] = {
    [DD_EVENT_LOAD] = "load",
    [DD_EVENT_STORE] = "store",
    [DD_EVENT_EXCHANGE] = "exchange",
    [DD_EVENT_FETCH_ADD] = "fetch_add",
    [DD_EVENT_COMPARE_EXCHANGE] = "compare_exchange",
    [DD_EVENT_FUTEX_WAIT] = "futex_wait",
    [DD_EVENT_FUTEX_WAKE] = "futex_wake",
    [DD_EVENT_AWAIT] = "await",
    [DD_EVENT_BARRIER] = "barrier",
    [DD_EVENT_CREATE] = "create",
    [DD_EVENT_JOIN] = "join",
    [DD_EVENT_CHOOSE] = "choose",
};

/* The event alone, without its result. */
static void print_event(FILE *out, const dd_event *e)
{
    char place[128];
    dd_world_place(e->word, place, sizeof place);
    fprintf(out, "%s ", event_names[e->kind]);
    switch ((dd_event_kind)e->kind) {
    case DD_EVENT_CREATE:
        break;
    case DD_EVENT_CHOOSE:
        fprintf(out, "%s", e->what);
        break;
    case DD_EVENT_JOIN:
        fprintf(out, "%s", dd_world_fibre_name((uint32_t)e->value));
        break;
    case DD_EVENT_COMPARE_EXCHANGE:
        fprintf(out, "[%s] %llu -> %llu", place, (ull)e->expected, (ull)e->value);
        break;
    case DD_EVENT_FUTEX_WAIT:
        fprintf(out, "[%s] while %llu", place, (ull)e->expected);
        break;
    case DD_EVENT_STORE:
    case DD_EVENT_EXCHANGE:
    case DD_EVENT_FETCH_ADD:
        fprintf(out, "[%s] %llu", place, (ull)e->value);
        break;
    case DD_EVENT_LOAD:
    case DD_EVENT_FUTEX_WAKE:
    case DD_EVENT_AWAIT:
    case DD_EVENT_BARRIER:
        fprintf(out, "[%s]", place);
        break;
    default: /* calls are no events */
        break;
    }
}

static void print_step(FILE *out, const dd_step *s, bool same_thread)
{
    fprintf(out, "    %-12s %-22s ", same_thread ? "" : dd_world_fibre_name(s->choice.fibre),
            s->event.site);
    if (s->choice.spurious) {
        fprintf(out, "returns from its sleep for no reason\n");
        return;
    }
    print_event(out, &s->event);
    switch ((dd_event_kind)s->event.kind) {
    case DD_EVENT_LOAD:
    case DD_EVENT_EXCHANGE:
    case DD_EVENT_FETCH_ADD:
        fprintf(out, " (was %llu)", (ull)s->result);
        break;
    case DD_EVENT_COMPARE_EXCHANGE:
        fprintf(out, s->result == s->event.expected ? " (done)" : " (failed, was %llu)",
                (ull)s->result);
        break;
    case DD_EVENT_FUTEX_WAKE:
        for (uint32_t i = 0; i < DD_FIBRES; i++)
            if (s->choice.alternative >> i & 1)
                fprintf(out, " %s", dd_world_fibre_name(i));
        if (s->choice.alternative == 0)
            fprintf(out, " nobody");
        break;
    case DD_EVENT_CHOOSE:
        fprintf(out, ": %llu", (ull)s->result);
        break;
    case DD_EVENT_CREATE:
        fprintf(out, "%s", dd_world_fibre_name((uint32_t)s->result));
        break;
    default:
        break;
    }
    fputc('\n', out);
}

static void print_where(FILE *out)
{
    static const char *const states[] = {
        [DD_FIBRE_LOCAL] = "running",      [DD_FIBRE_AT_EVENT] = "about to",
        [DD_FIBRE_AT_FUTEX] = "asleep in", [DD_FIBRE_AT_BARRIER] = "asleep in",
        [DD_FIBRE_DONE] = "done",          [DD_FIBRE_JOINED] = "done, joined",
    };
    fprintf(out, "  every thread:\n");
    for (uint32_t i = 0; i < dd_world_n_fibres(); i++) {
        dd_fibre_state state = dd_world_fibre_state(i);
        const dd_event *e = dd_world_event(i);
        fprintf(out, "    %-12s %s", dd_world_fibre_name(i), states[state]);
        if (state == DD_FIBRE_AT_EVENT || state == DD_FIBRE_AT_FUTEX ||
            state == DD_FIBRE_AT_BARRIER) {
            fputc(' ', out);
            print_event(out, e);
            fprintf(out, " at %s", e->site);
        }
        fputc('\n', out);
    }
}

char *dd_trace_failure(const dd_step *steps, uint64_t n)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (!out)
        return NULL;
    const dd_failure *f = dd_world_failure();
    fprintf(out, "%s: %s", dd_explore_verdict_name(f->verdict), f->text);
    if (f->a || f->b)
        fprintf(out, " (%llu, %llu)", (ull)f->a, (ull)f->b);
    if (f->site)
        fprintf(out, ", %s at %s", dd_world_fibre_name(f->fibre), f->site);
    if (f->other < DD_FIBRES)
        fprintf(out, " and %s at %s", dd_world_fibre_name(f->other), f->other_site);
    if (f->memory) {
        char place[128];
        dd_world_place(f->memory, place, sizeof place);
        fprintf(out, ", memory %s", place);
    }
    fprintf(out, "\n  after %llu steps:\n", (ull)n);
    uint64_t first = n > MAX_STEPS ? n - MAX_STEPS : 0;
    if (first)
        fprintf(out, "    ... %llu steps before\n", (ull)first);
    for (uint64_t i = first; i < n; i++)
        print_step(out, &steps[i], i > first && steps[i].choice.fibre == steps[i - 1].choice.fibre);
    print_where(out);
    fclose(out);
    return text;
}

char *dd_trace_text(const char *why, uint64_t depth)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (!out)
        return NULL;
    fprintf(out, "%s, %llu steps deep\n", why, (ull)depth);
    fclose(out);
    return text;
}
