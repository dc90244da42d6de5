/* SPDX-License-Identifier: MIT
 * Renders failures. Words are named by the source line of their allocation and their offset in it.
 */
#define _POSIX_C_SOURCE 200809L /* open_memstream */
#include "trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "states.h"

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

/* ---- Who is who, and who stored what --------------------------------------------------------- */

/* The stores to one word, in modification order, by step. */
typedef struct history {
    const void *word;
    uint64_t *store;
    uint64_t n, room;
} history;

/* What the steps so far tell. */
typedef struct story {
    const dd_step *steps;
    const char *name[DD_FIBRES];
    history *words;
    uint64_t n_words, room;
} story;

static const char *name_of(const story *s, uint64_t fibre)
{
    return fibre < DD_FIBRES && s->name[fibre] ? s->name[fibre] : "?";
}

static history *history_of(story *s, const void *word)
{
    for (uint64_t i = 0; i < s->n_words; i++)
        if (s->words[i].word == word)
            return &s->words[i];
    if (s->n_words == s->room) {
        s->room = s->room ? 2 * s->room : 64;
        s->words = dd_states_memory(s->words, s->room * sizeof *s->words);
    }
    s->words[s->n_words] = (history){.word = word};
    return &s->words[s->n_words++];
}

static bool is_atomic(const dd_event *e)
{
    return e->kind <= DD_EVENT_COMPARE_EXCHANGE;
}

static bool reads(const dd_event *e)
{
    return is_atomic(e) && e->kind != DD_EVENT_STORE;
}

static bool stores(const dd_step *s)
{
    return is_atomic(&s->event) && s->event.kind != DD_EVENT_LOAD &&
           (s->event.kind != DD_EVENT_COMPARE_EXCHANGE || s->result == s->event.expected);
}

/* After a step has been told. */
static void go_on(story *s, uint64_t i)
{
    const dd_step *step = &s->steps[i];
    if (step->event.kind == DD_EVENT_CREATE && step->result < DD_FIBRES)
        s->name[step->result] = step->name;
    if (!stores(step) || step->choice.spurious)
        return;
    history *h = history_of(s, step->event.word);
    if (h->n == h->room) {
        h->room = h->room ? 2 * h->room : 16;
        h->store = dd_states_memory(h->store, h->room * sizeof *h->store);
    }
    const uint64_t behind = step->choice.alternative < h->n ? step->choice.alternative : h->n;
    memmove(h->store + h->n - behind + 1, h->store + h->n - behind, behind * sizeof *h->store);
    h->store[h->n - behind] = i;
    h->n++;
}

static void print_source(FILE *out, story *s, const dd_step *step)
{
    const history *h = history_of(s, step->event.word);
    const uint64_t behind = step->choice.alternative;
    if (behind < h->n)
        fprintf(out, ", by %s", name_of(s, s->steps[h->store[h->n - 1 - behind]].choice.fibre));
    if (behind)
        fprintf(out, ", stale: %llu newer", (ull)behind);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

/* The event alone, without its result. */
static void print_event(FILE *out, const story *s, const dd_event *e)
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
        fprintf(out, "%s", name_of(s, e->value));
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
    case DD_EVENT_BARRIER:
        fprintf(out, "[%s]", place);
        break;
    default: /* an await's words stand in the loads before; calls are no events */
        break;
    }
}

static void print_step(FILE *out, story *s, const dd_step *step, bool same_thread)
{
    const dd_event *e = &step->event;
    fprintf(out, "    %-12s %-22s ", same_thread ? "" : name_of(s, step->choice.fibre), e->site);
    if (step->choice.spurious) {
        fprintf(out, "returns from its sleep for no reason\n");
        return;
    }
    print_event(out, s, e);
    if (reads(e)) {
        const bool failed = e->kind == DD_EVENT_COMPARE_EXCHANGE && step->result != e->expected;
        fprintf(out, " (%swas %llu", failed ? "failed, " : "", (ull)step->result);
        print_source(out, s, step);
        fputc(')', out);
    } else if (e->kind == DD_EVENT_STORE && step->choice.alternative) {
        fprintf(out, " (in modification order before %" PRIu32 " newer)", step->choice.alternative);
    } else if (e->kind == DD_EVENT_CREATE) {
        fputs(step->name, out);
    } else if (e->kind == DD_EVENT_CHOOSE) {
        fprintf(out, ": %llu", (ull)step->result);
    } else if (e->kind == DD_EVENT_FUTEX_WAKE) {
        for (uint32_t i = 0; i < DD_FIBRES; i++)
            if (step->choice.alternative >> i & 1)
                fprintf(out, " %s", name_of(s, i));
        if (step->choice.alternative == 0)
            fprintf(out, " nobody");
    }
    fputc('\n', out);
}

static void print_where(FILE *out, const story *s)
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
        fprintf(out, "    %-12s %s", name_of(s, i), states[state]);
        if (state == DD_FIBRE_AT_EVENT || state == DD_FIBRE_AT_FUTEX ||
            state == DD_FIBRE_AT_BARRIER) {
            fputc(' ', out);
            print_event(out, s, e);
            fprintf(out, " at %s", e->site);
        }
        fputc('\n', out);
    }
}

static void print_failure(FILE *out, const story *s)
{
    const dd_failure *f = dd_world_failure();
    fprintf(out, "%s: %s", dd_explore_verdict_name(f->verdict), f->text);
    if (f->a || f->b)
        fprintf(out, " (%llu, %llu)", (ull)f->a, (ull)f->b);
    if (f->site)
        fprintf(out, ", %s at %s", name_of(s, f->fibre), f->site);
    if (f->other < DD_FIBRES)
        fprintf(out, " and %s at %s", name_of(s, f->other), f->other_site);
    if (f->memory) {
        char place[128];
        dd_world_place(f->memory, place, sizeof place);
        fprintf(out, ", memory %s", place);
    }
}

static char *tell(const dd_step *steps, uint64_t n, bool failed)
{
    char *text = NULL, *told = NULL;
    size_t text_bytes, told_bytes;
    story s = {.steps = steps, .name = {"caller"}};
    const uint64_t first = n > MAX_STEPS ? n - MAX_STEPS : 0;
    FILE *told_to = open_memstream(&told, &told_bytes), *out = open_memstream(&text, &text_bytes);
    if (!told_to || !out)
        dd_states_memory(NULL, SIZE_MAX / 2); /* ends the program as any lack of memory does */
    if (first)
        fprintf(told_to, "    ... %llu steps before\n", (ull)first);
    for (uint64_t i = 0; i < n; i++) {
        if (i >= first)
            print_step(told_to, &s, &steps[i],
                       i > first && steps[i].choice.fibre == steps[i - 1].choice.fibre);
        go_on(&s, i);
    }
    fclose(told_to);
    if (failed)
        print_failure(out, &s);
    else
        fputs("PASS", out);
    fprintf(out, "\n  after %llu steps:\n%s", (ull)n, told);
    if (failed)
        print_where(out, &s);
    fclose(out);
    free(told);
    for (uint64_t i = 0; i < s.n_words; i++)
        free(s.words[i].store);
    free(s.words);
    return text;
}

char *dd_trace_failure(const dd_step *steps, uint64_t n)
{
    return tell(steps, n, true);
}

char *dd_trace_passed(const dd_step *steps, uint64_t n)
{
    return tell(steps, n, false);
}

char *dd_trace_text(const char *text)
{
    char *line = dd_states_memory(NULL, strlen(text) + 2);
    strcpy(line, text);
    return strcat(line, "\n");
}
