/* SPDX-License-Identifier: MIT
 * Whom to blame for a stall. */
#include "stall.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NAMED 3

void dd_stall_close(dd_stall *s)
{
    for (size_t i = 0; s->thread && i < s->n; i++)
        free(s->thread[i].seen.stack);
    free(s->thread);
    s->thread = NULL;
    s->n = 0;
}

/* ---- Words ---- */

__attribute__((format(printf, 2, 3))) static void say(dd_stall *s, const char *format, ...)
{
    size_t used = strlen(s->sentence);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(s->sentence + used, sizeof s->sentence - used, format, args);
    va_end(args);
}

static bool is_root(const dd_stall_thread *t)
{
    return strcmp(t->sphere, "zero") == 0;
}

void dd_stall_who(const dd_stall_thread *t, char text[80])
{
    if (!t->told)
        snprintf(text, 80, "thread %d \"%s\"", (int)t->seen.tid, t->seen.name);
    else if (t->placed && is_root(t) && !t->parked)
        snprintf(text, 80, "Node Zero (thread %u, tid %d)", t->number, (int)t->seen.tid);
    else
        snprintf(text, 80, "%s %s%s(thread %u, tid %d)",
                 t->parked    ? "parked thread, last at"
                 : t->control ? "control"
                              : "worker",
                 t->sphere, t->sphere[0] ? " " : "", t->number, (int)t->seen.tid);
}

void dd_stall_state(const dd_stall *s, const dd_stall_thread *t, char text[200])
{
    int n = snprintf(text, 200, "%s%s%s", dd_unwind_state(t->seen.state),
                     t->seen.call[0] ? " in " : "", t->seen.call);
    if (s->interval_ns)
        snprintf(text + n, 200 - (size_t)n, ", %.2f s CPU in the last %.2f s",
                 (double)t->cpu_ns * 1e-9, (double)s->interval_ns * 1e-9);
}

/* The generation of the step in progress: the latest that any thread has entered, or if Node Zero
 * is through with that, the next. */
static uint32_t present(const dd_stall *s)
{
    uint32_t most = 0, next = 0;
    for (size_t i = 0; i < s->n; i++) {
        const dd_stall_thread *t = &s->thread[i];
        if (t->placed && t->generation > most)
            most = t->generation;
        if (t->placed && (t->at == DD_AT_MAIL || t->at == DD_AT_ORDERS))
            next = t->generation + 1;
    }
    return next > most ? next : most;
}

/* " of step 17": the step of a generation, as far as that can be said. */
static void of_step(const dd_stall *s, uint32_t generation, char text[40])
{
    const uint32_t now = present(s);
    if (generation == now)
        snprintf(text, 40, " of step %llu", (unsigned long long)s->steps);
    else if (generation == now + 1)
        snprintf(text, 40, " of the next step");
    else
        snprintf(text, 40, " %u generation%s before that", now - generation,
                 now - generation == 1 ? "" : "s");
}

/* The generation whose point a thread waits at or works towards. */
static uint32_t generation_of(const dd_stall_thread *t)
{
    return t->generation + (t->at == DD_AT_A || t->at == DD_AT_MAIL || t->at == DD_AT_ORDERS);
}

void dd_stall_where(const dd_stall *s, const dd_stall_thread *t, char text[80])
{
    static const char *const words[DD_ACTIVITIES] = {
        [DD_AT_POOL] = "asleep in the pool",
        [DD_AT_MAIL] = "waits for a request",
        [DD_AT_ORDERS] = "before A",
        [DD_AT_CHANGE] = "waits for a change of membership",
        [DD_AT_A] = "waits at A",
        [DD_AT_RELAY] = "lets its children through",
        [DD_AT_LANE] = "in lane",
        [DD_AT_FOLDS] = "between A and B, in no lane",
        [DD_AT_B] = "waits at B",
        [DD_AT_COMBINE] = "at Node Zero's part of the fold after B",
        [DD_AT_SLICE] = "at its slice between B and V",
        [DD_AT_VERDICT] = "at the verdict between B and V",
        [DD_AT_V] = "waits at V",
        [DD_AT_UPDATE] = "at its update between V and U",
        [DD_AT_U] = "waits at U",
    };
    char lane[16] = "", step[40] = "";
    text[0] = '\0';
    if (!t->placed || t->at >= DD_ACTIVITIES)
        return;
    if (t->at == DD_AT_LANE)
        snprintf(lane, sizeof lane, " %u", t->lane);
    if (t->at != DD_AT_POOL && t->at != DD_AT_MAIL)
        of_step(s, generation_of(t), step);
    const bool with_slice = t->at == DD_AT_B && t->part == DD_PART_FOLDED;
    snprintf(text, 80, "%s%s%s", with_slice ? "waits after slices" : words[t->at], lane, step);
}

/* ---- Who waits, and where ---- */

static bool at_work(const dd_stall_thread *t)
{
    static const bool work[DD_ACTIVITIES] = {
        [DD_AT_ORDERS] = true,  [DD_AT_RELAY] = true,   [DD_AT_LANE] = true,
        [DD_AT_FOLDS] = true,   [DD_AT_COMBINE] = true, [DD_AT_SLICE] = true,
        [DD_AT_VERDICT] = true, [DD_AT_UPDATE] = true};
    return t->placed && !t->parked && work[t->at];
}

/* Says that it waits, and does not: whoever waits sleeps on a futex before long, or polls for lack
 * of a core. */
static bool is_astray(const dd_stall_thread *t)
{
    const bool awake = t->seen.state == 'R' && !t->seen.waits;
    const bool elsewhere = t->seen.state == 'S' && t->seen.call[0] && !t->seen.sleeps;
    return t->placed && !t->parked && !at_work(t) && (awake || elsewhere);
}

/* How far a thread has come: grows along a generation and over generations. */
static uint64_t progress(const dd_stall_thread *t)
{
    uint64_t at = 2 * (uint64_t)t->at;
    if (t->at == DD_AT_B && t->part)
        at = 2 * (t->part == DD_PART_FOLDED ? DD_AT_SLICE : DD_AT_B) + 1;
    return (uint64_t)generation_of(t) * (2 * DD_ACTIVITIES) + at;
}

/* A control whose place others take in a climb sleeps through the generation at its next wait: that
 * is no sign of having passed anything but A. */
static bool sleeps_through(const dd_stall *s, const dd_stall_thread *t)
{
    return s->climbs && t->control && (t->at == DD_AT_A || t->at == DD_AT_U);
}

/* "; 3 others wait: 2 at V, 1 at A" */
static void say_waiters(dd_stall *s)
{
    static const struct {
        dd_activity at;
        bool with_slice;
        const char *name;
    } points[] = {{DD_AT_A, false, "at A"},
                  {DD_AT_B, false, "at B"},
                  {DD_AT_B, true, "after slices"},
                  {DD_AT_V, false, "at V"},
                  {DD_AT_U, false, "at U"}};
    enum { POINTS = sizeof points / sizeof *points };
    size_t n[POINTS] = {0}, all = 0;
    for (size_t i = 0; i < s->n; i++)
        for (size_t p = 0; p < POINTS; p++) {
            const dd_stall_thread *t = &s->thread[i];
            const bool with_slice = t->at == DD_AT_B && t->part == DD_PART_FOLDED;
            if (t->placed && !t->blamed && t->at == points[p].at &&
                with_slice == points[p].with_slice) {
                n[p]++;
                all++;
            }
        }
    if (!all)
        return;
    say(s, "; %zu other%s wait%s:", all, all == 1 ? "" : "s", all == 1 ? "s" : "");
    bool first = true;
    for (size_t p = 0; p < POINTS; p++)
        if (n[p]) {
            say(s, "%s %zu %s", first ? "" : ",", n[p], points[p].name);
            first = false;
        }
}

/* ---- Blame ---- */

/* What a thread that is at work has not done. */
static void say_missing(dd_stall *s, const dd_stall_thread *t)
{
    char who[80], state[200], step[40], lane[24] = "";
    dd_stall_who(t, who);
    dd_stall_state(s, t, state);
    of_step(s, generation_of(t), step);
    if (t->at == DD_AT_LANE)
        snprintf(lane, sizeof lane, "in lane %u ", t->lane);
    const char *missing = "arrived at Point B";
    switch (t->at) {
    case DD_AT_ORDERS:
        missing = "opened Point A";
        break;
    case DD_AT_RELAY:
        missing = t->part == DD_PART_SLICES   ? "let its children through to their slices"
                  : t->part == DD_PART_FOLDED ? "let its children through Point V"
                                              : "let its children through Point A";
        break;
    case DD_AT_B:
        if (t->part == DD_PART_SLICES)
            missing = t->control ? "let its children through to their slices"
                                 : "begun its slice between Points B and V";
        else if (t->part == DD_PART_FOLDED)
            missing = t->control ? "arrived with its children's slices between Points B and V"
                                 : "arrived with its slice between Points B and V";
        break;
    case DD_AT_COMBINE:
        missing = "done Node Zero's part of the fold after Point B";
        break;
    case DD_AT_SLICE:
        missing = "done its slice between Points B and V";
        break;
    case DD_AT_VERDICT:
        missing = "given the verdict, Point V";
        break;
    case DD_AT_UPDATE:
    case DD_AT_U:
        missing = "arrived at Point U";
        break;
    case DD_AT_A:
        missing = "passed Point A";
        break;
    case DD_AT_V:
        missing = "passed Point V";
        break;
    case DD_AT_MAIL:
        missing = "looked for requests before Point A";
        break;
    default:
        break;
    }
    say(s, "%s has not %s%s: %sfor %.1f s now, %s", who, missing, step, lane,
        (double)t->age_ns * 1e-9, state);
}

static int by_blame(const void *left, const void *right)
{
    const dd_stall_thread *a = left, *b = right;
    if (a->blamed != b->blamed)
        return a->blamed ? -1 : 1;
    if (a->blamed && progress(a) != progress(b))
        return progress(a) < progress(b) ? -1 : 1;
    if (a->told != b->told)
        return a->told ? -1 : 1;
    if (a->told)
        return a->number < b->number ? -1 : a->number > b->number;
    return a->seen.tid < b->seen.tid ? -1 : a->seen.tid > b->seen.tid;
}

/* The blamed come first; the one furthest behind is told by `tell`, of the others where they are.
 */
static void say_blamed(dd_stall *s, void (*tell)(dd_stall *s, const dd_stall_thread *t))
{
    size_t n = 0;
    qsort(s->thread, s->n, sizeof *s->thread, by_blame);
    for (; n < s->n && s->thread[n].blamed; n++) {
        char who[80], where[80];
        dd_stall_who(&s->thread[n], who);
        dd_stall_where(s, &s->thread[n], where);
        if (n == 0)
            tell(s, &s->thread[n]);
        else if (n < MAX_NAMED)
            say(s, "; also %s%s%s", who, where[0] ? ", " : "", where);
    }
    if (n > MAX_NAMED)
        say(s, "; and %zu more", n - MAX_NAMED);
}

/* Each of the following says what it has found; returns false if it is not that. */

static bool is_stopped(dd_stall *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->thread[i].seen.state != 'T' && s->thread[i].seen.state != 't')
            return false;
    if (s->n > 0)
        say(s,
            "process %d is stopped with all its %zu threads, as by SIGSTOP or a debugger: none of "
            "them is to blame",
            (int)s->pid, s->n);
    return s->n > 0;
}

static void say_sleeps_on(dd_stall *s, const dd_stall_thread *t)
{
    char who[80], where[80];
    dd_stall_who(t, who);
    dd_stall_where(s, t, where);
    say(s, "lost wake-up: %s%s%s, asleep on the word at 0x%llx, which has moved on from %u to %u",
        who, where[0] ? " " : "", where, (unsigned long long)t->seen.futex, t->seen.slept_on,
        t->seen.is);
}

static bool sleeps_on_moved_word(dd_stall *s)
{
    bool any = false;
    for (size_t i = 0; i < s->n; i++) {
        dd_stall_thread *t = &s->thread[i];
        t->blamed = (t->told || t->seen.tid == s->pid) && t->seen.state == 'S' && t->seen.futex &&
                    t->seen.slept_on != t->seen.is;
        any = any || t->blamed;
    }
    if (any)
        say_blamed(s, say_sleeps_on);
    return any;
}

static bool is_at_work(dd_stall *s)
{
    bool any = false;
    for (size_t i = 0; i < s->n; i++) {
        s->thread[i].blamed = at_work(&s->thread[i]) || is_astray(&s->thread[i]);
        any = any || s->thread[i].blamed;
    }
    if (!any)
        return false;
    say_blamed(s, say_missing);
    say_waiters(s);
    return true;
}

/* The thread that opened the trainer, and asks. */
static dd_stall_thread *caller_of(const dd_stall *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->thread[i].seen.tid == s->pid)
            return &s->thread[i];
    return NULL;
}

static void say_saves(dd_stall *s, const dd_stall_thread *saver)
{
    char who[80], state[200];
    const dd_stall_thread *caller = caller_of(s);
    dd_stall_who(caller, who);
    say(s, "the caller, %s, waits for the thread that writes a checkpoint: ", who);
    dd_stall_who(saver, who);
    dd_stall_state(s, saver, state);
    say(s, "%s, %s", who, state);
}

/* Of threads that are no sphere's, the caller waits for one alone. */
static bool is_saving(dd_stall *s)
{
    const dd_stall_thread *caller = caller_of(s);
    bool any = false;
    for (size_t i = 0; caller && caller->seen.joins && i < s->n; i++) {
        dd_stall_thread *t = &s->thread[i];
        t->blamed = !t->told && strcmp(t->seen.name, "dd-save") == 0;
        any = any || t->blamed;
    }
    if (any)
        say_blamed(s, say_saves);
    return any;
}

static void say_asks_nothing(dd_stall *s, const dd_stall_thread *caller)
{
    char who[80], state[200];
    dd_stall_who(caller, who);
    dd_stall_state(s, caller, state);
    if (caller->seen.answered)
        say(s,
            "the caller, %s, waits for an answer and Node Zero for a request: a request, an answer "
            "or the wake-up for it was lost",
            who);
    else
        say(s,
            "nothing is asked: Node Zero waits for a request, and the caller, %s, posts none: %s",
            who, state);
}

static bool is_not_asked(dd_stall *s)
{
    bool mail = false, any = false;
    for (size_t i = 0; i < s->n; i++)
        mail = mail || (s->thread[i].placed && s->thread[i].at == DD_AT_MAIL);
    for (size_t i = 0; mail && i < s->n; i++) {
        s->thread[i].blamed = &s->thread[i] == caller_of(s);
        any = any || s->thread[i].blamed;
    }
    if (any)
        say_blamed(s, say_asks_nothing);
    return any;
}

/* The control right above. */
static dd_stall_thread *parent_of(const dd_stall *s, const dd_stall_thread *t)
{
    char sphere[sizeof t->sphere];
    strcpy(sphere, t->sphere);
    char *dot = strrchr(sphere, '.');
    if (dot)
        *dot = '\0';
    else
        strcpy(sphere, "zero");
    for (size_t i = 0; i < s->n; i++)
        if (s->thread[i].placed && !s->thread[i].parked &&
            strcmp(s->thread[i].sphere, sphere) == 0 && &s->thread[i] != t)
            return &s->thread[i];
    return NULL;
}

/* Whether o is further than t, which waits, because it has passed what t waits for. */
static bool is_past(const dd_stall *s, const dd_stall_thread *o, const dd_stall_thread *t)
{
    return o->placed && !o->parked && progress(o) > progress(t) &&
           (t->at == DD_AT_A || !sleeps_through(s, o));
}

static size_t n_past(const dd_stall *s, const dd_stall_thread *t)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += is_past(s, &s->thread[i], t);
    return n;
}

static void say_behind(dd_stall *s, const dd_stall_thread *t)
{
    char who[80], where[80], above[80];
    const bool let_through = t->at == DD_AT_A || (t->at == DD_AT_B && t->part == DD_PART_SLICES);
    const dd_stall_thread *parent = let_through ? parent_of(s, t) : NULL;
    const size_t n = n_past(s, t);
    dd_stall_who(t, who);
    dd_stall_where(s, t, where);
    if (parent && progress(parent) > progress(t)) {
        dd_stall_who(parent, above);
        say(s, "%s has not let its children through: %s still %s, which %zu other%s passed", above,
            who, where, n, n == 1 ? " has" : "s have");
    } else if (t->control && (t->at == DD_AT_B || t->at == DD_AT_U)) {
        say(s,
            "%s still %s for its children, which by their own account have arrived: an arrival was "
            "lost, or the wake-up that the last one owes",
            who, where);
    } else {
        say(s,
            "%s still %s, which %zu other%s passed: it was not let through, or its wake-up was "
            "lost",
            who, where, n, n == 1 ? " has" : "s have");
    }
}

static void say_ahead(dd_stall *s, const dd_stall_thread *t)
{
    char who[80], where[80];
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += s->thread[i].placed && !s->thread[i].parked && is_past(s, t, &s->thread[i]);
    dd_stall_who(t, who);
    dd_stall_where(s, t, where);
    say(s,
        "%s %s, past a point at which %zu others still wait: it has not arrived there, or their "
        "wake-up was lost",
        who, where, n);
}

/* Who is furthest behind, while others have passed. At a barrier that takes all of them, one or two
 * that have passed while the many still wait have left it out. */
static bool is_behind(dd_stall *s)
{
    const dd_stall_thread *last = NULL;
    size_t n_last = 0;
    for (size_t i = 0; i < s->n; i++) {
        const dd_stall_thread *t = &s->thread[i];
        if (!t->placed || t->parked)
            continue;
        if (!last || progress(t) < progress(last)) {
            last = t;
            n_last = 0;
        }
        n_last += progress(t) == progress(last);
    }
    const size_t n = last ? n_past(s, last) : 0;
    if (n == 0)
        return false;
    const bool ahead = (last->at == DD_AT_B || last->at == DD_AT_U) && n < n_last;
    const uint64_t least = progress(last);
    const dd_stall_thread behind = *last;
    for (size_t i = 0; i < s->n; i++) {
        dd_stall_thread *t = &s->thread[i];
        t->blamed =
            ahead ? is_past(s, t, &behind) : t->placed && !t->parked && progress(t) == least;
    }
    say_blamed(s, ahead ? say_ahead : say_behind);
    say_waiters(s);
    return true;
}

static bool all_wait(dd_stall *s)
{
    const dd_stall_thread *last = NULL;
    for (size_t i = 0; i < s->n; i++) {
        const dd_stall_thread *t = &s->thread[i];
        if (t->placed && !t->parked && (!last || progress(t) < progress(last)))
            last = t;
    }
    if (!last)
        return false;
    char step[40];
    of_step(s, generation_of(last), step);
    const bool with_slice =
        (last->at == DD_AT_B || last->at == DD_AT_V) && last->part == DD_PART_FOLDED;
    /* Who waits at V has arrived at B. */
    say(s,
        "every thread waits and none is behind: an arrival %s%s was lost, or the wake-up that the "
        "last one owes",
        with_slice            ? "with a slice between Points B and V"
        : last->at == DD_AT_A ? "at Point A"
        : last->at == DD_AT_U ? "at Point U"
                              : "at Point B",
        step);
    say_waiters(s);
    return true;
}

static void say_stands(dd_stall *s, const dd_stall_thread *t)
{
    char who[80], state[200];
    dd_stall_who(t, who);
    dd_stall_state(s, t, state);
    say(s, "standing still: %s, %s", who, state);
}

/* Of subjects that do not tell what their threads are at, or where there is no trainer. */
static bool stands_still(dd_stall *s)
{
    bool any = false, told = false;
    for (size_t i = 0; i < s->n; i++)
        told = told || s->thread[i].told;
    for (size_t i = 0; i < s->n; i++) {
        dd_stall_thread *t = &s->thread[i];
        t->blamed = told ? t->told && !t->parked && !t->seen.waits : t->seen.tid == s->pid;
        any = any || t->blamed;
    }
    if (any)
        say_blamed(s, say_stands);
    return any;
}

void dd_stall_explain(dd_stall *s)
{
    s->sentence[0] = '\0';
    if (!is_stopped(s) && !sleeps_on_moved_word(s) && !is_at_work(s) && !is_saving(s) &&
        !is_not_asked(s) && !is_behind(s) && !all_wait(s) && !stands_still(s))
        say(s, "every thread waits for others");
    qsort(s->thread, s->n, sizeof *s->thread, by_blame);
}
