/* SPDX-License-Identifier: MIT
 * Plans trials, runs them on the untouched sources and then on the defects. */
#include "hunt.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "judge.h"
#include "tool.h"

#define MOST_S 600.0

enum { TRIALS_MAX = 400, TARGETS_MAX = 48 };

#define LIMIT_BASE_S 10.0
#define LIMIT_FACTOR 6.0
#define EXPLORE_MOST_S 20.0
#define UNKNOWN_S 1e6

/* The trials for one defect, those of one means side by side. */
typedef struct plan {
    dd_trial trial[TRIALS_MAX];
    bool named[TRIALS_MAX];
    size_t n;
} plan;

bool dd_hunt_open(dd_hunt *h, dd_workshop *w, const dd_defects *all, bool resume)
{
    h->workshop = w;
    h->all = all;
    h->row = calloc(all->n + 1, sizeof *h->row);
    if (!h->row) {
        snprintf(h->message, sizeof h->message, "no memory for %zu defects", all->n);
        return false;
    }
    return dd_hunt_state_open_(h, resume);
}

void dd_hunt_close(dd_hunt *h)
{
    if (h->state)
        fclose(h->state);
    free(h->row);
    free(h->known);
    free(h->exploration);
    h->state = NULL;
    h->row = NULL;
    h->known = NULL;
    h->exploration = NULL;
}

bool dd_hunt_know_(dd_hunt *h, const dd_known *known)
{
    dd_known *grown = realloc(h->known, (h->n_known + 1) * sizeof *grown);
    if (!grown)
        return false;
    h->known = grown;
    h->known[h->n_known++] = *known;
    return true;
}

static dd_known *find_known(const dd_hunt *h, const dd_trial *trial)
{
    char key[DD_TRIAL_KEY];
    dd_trial_key(trial, key);
    for (size_t i = 0; i < h->n_known; i++)
        if (strcmp(h->known[i].key, key) == 0)
            return &h->known[i];
    return NULL;
}

/* ---- Plans ---- */

/* How long it takes on the untouched sources; UNKNOWN_S if that is not known yet, < 0 if too long.
 */
static double seconds_of(const dd_hunt *h, size_t i)
{
    const dd_known *known = find_known(h, &h->exploration[i].trial);
    return known ? known->seconds : UNKNOWN_S;
}

/* In the order to try them what is not known yet comes last, as it stands. */
static double cost_of(const dd_hunt *h, size_t i)
{
    const double seconds = seconds_of(h, i);
    return seconds < UNKNOWN_S ? seconds / (1 + h->exploration[i].catches)
                               : UNKNOWN_S * (1 + h->exploration[i].way);
}

/* A weakened memory order: sequential consistency knows none. */
static bool is_order(const dd_defect *d)
{
    return strstr(d->name, ":order-") || strstr(d->name, ":failure-") ||
           strncmp(d->name, "order-", 6) == 0;
}

static void plan_explorations(const dd_hunt *h, const dd_defect *d, plan *p)
{
    double cost[TRIALS_MAX]; /* of p->trial */
    const size_t first = p->n;
    for (size_t i = 0; i < h->n_explorations; i++) {
        if ((is_order(d) && h->exploration[i].way == DD_EXPLORE_SC) || p->n == TRIALS_MAX)
            continue;
        const double own = cost_of(h, i);
        size_t at = p->n++;
        for (; at > first && cost[at - 1] > own; at--) {
            p->trial[at] = p->trial[at - 1];
            cost[at] = cost[at - 1];
        }
        p->trial[at] = h->exploration[i].trial;
        cost[at] = own;
    }
}

/* Those that the defect names for this means, else the usual ones. */
static void plan_means(const dd_hunt *h, const dd_defect *d, dd_means means, bool only_named,
                       plan *p)
{
    const size_t before = p->n;
    for (uint32_t i = 0; i < d->n_expected && p->n < TRIALS_MAX; i++)
        if (d->expected[i].means == means) {
            dd_trial *trial = &p->trial[p->n];
            p->named[p->n++] = true;
            dd_trial_of(&d->expected[i], trial);
            if (means == DD_MEANS_EXPLORE && is_order(d))
                strncat(trial->arguments, " --memory c11",
                        sizeof trial->arguments - 1 - strlen(trial->arguments));
        }
    if (p->n > before || only_named)
        return;
    if (means != DD_MEANS_EXPLORE)
        p->n += dd_trials_usual(means, d->source, p->trial + p->n, TRIALS_MAX - p->n);
    else if (dd_trial_explores(d->source))
        plan_explorations(h, d, p);
}

static void make_plan(const dd_hunt *h, const dd_defect *d, plan *p)
{
    static const dd_means ladder[] = {DD_MEANS_EXPLORE, DD_MEANS_UNIT, DD_MEANS_TSAN,
                                      DD_MEANS_SERIAL};
    *p = (plan){.n = 0};
    if (d->kind == DD_GENERATED && !h->by_means) {
        for (size_t i = 0; i < sizeof ladder / sizeof ladder[0]; i++)
            plan_means(h, d, ladder[i], false, p);
        return;
    }
    for (dd_means m = 0; m < DD_N_MEANS; m++)
        if (!h->by_means || h->means[m])
            plan_means(h, d, m, !h->by_means, p);
}

/* ---- The untouched sources ---- */

__attribute__((format(printf, 2, 3))) static void say(const dd_hunt *h, const char *format, ...)
{
    if (!h->log)
        return;
    va_list args;
    va_start(args, format);
    vfprintf(h->log, format, args);
    va_end(args);
    fflush(h->log);
}

/* In the ways from `first` up to, not including, `end`. */
static void add_explorations(dd_hunt *h, const char *protocol, size_t length, dd_exploring first,
                             dd_exploring end)
{
    static const char *const options[DD_EXPLORATIONS] = {
        [DD_EXPLORE_SC] = "--memory sc",
        [DD_EXPLORE_C11] = "--memory c11",
        [DD_EXPLORE_C11_BOUNDED] = "--memory c11 --tier bounded --bound 2",
        [DD_EXPLORE_GLANCE] = "--memory c11 --seconds 3"};
    for (dd_exploring k = first; k < end; k++) {
        dd_expectation e = {.means = DD_MEANS_EXPLORE};
        dd_exploration *made = &h->exploration[h->n_explorations++];
        dd_trial *trial = &made->trial;
        made->way = k;
        dd_trial_of(&e, trial);
        snprintf(trial->arguments, sizeof trial->arguments, "%.*s %s", (int)length, protocol,
                 options[k]);
    }
}

/* The protocols of the explorer as it is built, in the ways that are for them. */
static bool list_protocols(dd_hunt *h)
{
    char path[DD_FILE_PATH], log[DD_FILE_PATH];
    const char *argv[] = {dd_workshop_program(h->workshop, DD_BUILD_PLAIN, "dodeca", false, path),
                          "explore", "--list", NULL};
    const dd_tool tool = {.argv = argv,
                          .out = dd_workshop_log(h->workshop, "protocols.log", log),
                          .limit_s = 60,
                          .stop_fd = -1};
    const dd_tool_end end = dd_tool_run(&tool);
    char *text = dd_slurp(log, NULL);
    bool done = end.ending == DD_TOOL_ENDED && end.status == 0 && text;
    h->exploration = calloc(TRIALS_MAX, sizeof *h->exploration);
    done = done && h->exploration;
    for (char *at = text, *next; done && *at; at = next) {
        next = strchrnul(at, '\n');
        if (*next)
            *next++ = '\0';
        const size_t n = strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789-");
        if (!n || at[n] != ' ' || h->n_explorations + DD_EXPLORATIONS > TRIALS_MAX)
            continue;
        if (strstr(at, "(slow)"))
            add_explorations(h, at, n, DD_EXPLORE_GLANCE, DD_EXPLORATIONS);
        else if (strstr(at, "(slow under sc)"))
            add_explorations(h, at, n, DD_EXPLORE_C11, DD_EXPLORE_GLANCE);
        else if (strstr(at, "(at random only)")) /* bounds nothing */
            add_explorations(h, at, n, DD_EXPLORE_SC, DD_EXPLORE_C11_BOUNDED);
        else
            add_explorations(h, at, n, DD_EXPLORE_SC, DD_EXPLORE_GLANCE);
    }
    free(text);
    return done;
}

/* Targets of one build, each once. */
typedef struct targets {
    const char *list[TARGETS_MAX + 1];
    size_t n;
} targets;

static void add_target(targets *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->list[i], name) == 0)
            return;
    if (t->n < TARGETS_MAX)
        t->list[t->n++] = name;
}

/* Builds all that the trials take, and puts it aside. */
static dd_hunted build_untouched(dd_hunt *h, const dd_trial *trial, size_t n)
{
    for (dd_bench_build b = 0; b < DD_N_BUILDS; b++) {
        targets t = {.n = 0};
        for (size_t i = 0; i < n; i++)
            if (trial[i].build == b)
                add_target(&t, dd_trial_target(&trial[i]));
        if (t.n == 0)
            continue;
        say(h, "building the untouched sources (%zu of 3, %zu targets)\n", (size_t)b + 1, t.n);
        const dd_built built = dd_workshop_build(h->workshop, b, t.list, h->message);
        if (built != DD_BUILT)
            return built == DD_BUILD_STOPPED ? DD_HUNT_STOPPED : DD_HUNT_UNSOUND;
        for (size_t i = 0; i < n; i++)
            if (trial[i].build == b &&
                !dd_workshop_keep(h->workshop, b, trial[i].program, h->message))
                return DD_HUNT_UNSOUND;
    }
    return DD_HUNTED;
}

/* Runs a trial on the untouched sources, where that was not done before. */
static dd_hunted try_untouched(dd_hunt *h, const dd_trial *trial)
{
    dd_known known = {.seconds = 0};
    dd_trial any = *trial; /* whatever it finds here is wrong */
    any.want[0] = '\0';
    dd_trial_key(trial, known.key);
    if (find_known(h, trial))
        return DD_HUNTED;
    if (trial->means == DD_MEANS_SERIAL && !dd_trial_oracle(h->workshop, trial, known.oracle)) {
        snprintf(h->message, sizeof h->message,
                 "the oracle of the untouched sources does not end well for \"%s\"", known.key);
        return DD_HUNT_UNSOUND;
    }
    const bool explores = trial->means == DD_MEANS_EXPLORE;
    const dd_finding found =
        dd_trial_run(h->workshop, &any, true, explores ? EXPLORE_MOST_S : MOST_S, known.oracle);
    if (found.stopped)
        return DD_HUNT_STOPPED;
    if (found.kind != DD_FOUND_NOTHING) {
        snprintf(h->message, sizeof h->message,
                 "\"%s\" finds something on the untouched sources, and so can catch nothing: %s; "
                 "what it said is in %.400s/untouched.log",
                 known.key, found.how, h->workshop->logs);
        return DD_HUNT_UNSOUND;
    }
    const bool glance = explores && strstr(trial->arguments, "--seconds");
    const bool too_long =
        explores && !glance && strncmp(found.how, DD_GIVEN_UP, strlen(DD_GIVEN_UP)) == 0;
    known.seconds = too_long ? -1 : found.seconds;
    if (!dd_hunt_know_(h, &known)) {
        snprintf(h->message, sizeof h->message, "no memory");
        return DD_HUNT_UNSOUND;
    }
    dd_hunt_state_known_(h, &known);
    return DD_HUNTED;
}

/* Adds the trials of every defect that is still to be hunted to a list, each once. */
static bool gather(dd_hunt *h, dd_trial **list, size_t *n)
{
    plan p;
    for (size_t d = 0; d < h->all->n; d++) {
        if (!h->chosen[d] || h->row[d].done)
            continue;
        make_plan(h, &h->all->defect[d], &p);
        for (size_t i = 0; i < p.n; i++) {
            char key[DD_TRIAL_KEY], other[DD_TRIAL_KEY];
            bool there = false;
            dd_trial_key(&p.trial[i], key);
            for (size_t k = 0; k < *n && !there; k++)
                there = strcmp(dd_trial_key(&(*list)[k], other), key) == 0;
            if (there)
                continue;
            dd_trial *grown = realloc(*list, (*n + 1) * sizeof **list);
            if (!grown)
                return false;
            *list = grown;
            (*list)[(*n)++] = p.trial[i];
        }
    }
    return true;
}

static dd_hunted prepare(dd_hunt *h, const dd_trial *trial, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *lacks = dd_means_lacks(trial[i].means);
        if (lacks) {
            snprintf(h->message, sizeof h->message, "%s: %s", dd_means_name(trial[i].means), lacks);
            return DD_HUNT_LACKS;
        }
    }
    return build_untouched(h, trial, n);
}

/* ---- Defects ---- */

static bool is_catch(dd_finding_kind kind)
{
    return kind == DD_FOUND_IT || kind == DD_FOUND_HANG || kind == DD_FOUND_CRASH;
}

/* Whether the trial is an exploration that need not be done: it takes too long, or is with few
 * changes of thread what can be had whole. */
static bool is_of_no_use(const dd_hunt *h, const dd_trial *trial, bool named)
{
    const dd_known *known = find_known(h, trial);
    for (size_t i = 0; i < h->n_explorations && !named; i++)
        if (h->exploration[i].way == DD_EXPLORE_C11_BOUNDED && seconds_of(h, i - 1) >= 0 &&
            strcmp(h->exploration[i].trial.arguments, trial->arguments) == 0)
            return true;
    return !named && known && known->seconds < 0;
}

/* Whether the untouched sources take so much longer than when they were timed that the limit was
 * too short for a machine as busy as this one is now; that time then counts. */
static bool is_slower_now(dd_hunt *h, const dd_trial *trial, bool *stopped)
{
    dd_known *known = find_known(h, trial);
    if (!known || known->seconds < 0)
        return false;
    const dd_finding found = dd_trial_run(h->workshop, trial, true, MOST_S, known->oracle);
    const bool slower = found.kind == DD_FOUND_NOTHING && found.seconds > 2 * known->seconds;
    *stopped = found.stopped;
    if (slower)
        known->seconds = found.seconds;
    return slower;
}

/* Runs the trial on what is planted, once more where it was late for no fault of its own. */
static dd_finding run_planted(dd_hunt *h, const dd_trial *trial)
{
    for (;;) {
        const dd_known *known = find_known(h, trial);
        const bool timed = known && known->seconds >= 0;
        const double limit_s =
            LIMIT_BASE_S + LIMIT_FACTOR * (timed ? known->seconds : EXPLORE_MOST_S);
        bool stopped = false;
        const dd_finding found =
            dd_trial_run(h->workshop, trial, false, limit_s, known ? known->oracle : "");
        if (found.stopped || found.seconds < limit_s || !is_slower_now(h, trial, &stopped))
            return stopped ? (dd_finding){.kind = DD_FOUND_NOT_RUN, .stopped = true} : found;
    }
}

/* One trial on what is planted; builds what it needs. */
static dd_hunted try_planted(dd_hunt *h, const dd_trial *trial, bool named, dd_hunt_row *row,
                             dd_finding *found)
{
    const char *const target[] = {dd_trial_target(trial), NULL};
    *found = (dd_finding){.kind = DD_FOUND_NOT_RUN};
    if (is_of_no_use(h, trial, named))
        return DD_HUNTED;
    const dd_hunted sound = try_untouched(h, trial);
    if (sound != DD_HUNTED || is_of_no_use(h, trial, named))
        return sound;
    const dd_built built = dd_workshop_build(h->workshop, trial->build, target, h->message);
    if (built == DD_BUILD_FAILED)
        snprintf(row->problem, sizeof row->problem, "does not build (%s)", target[0]);
    if (built != DD_BUILT)
        return built == DD_BUILD_STOPPED ? DD_HUNT_STOPPED : DD_HUNTED;
    *found = run_planted(h, trial);
    if (found->kind == DD_FOUND_IT && trial->means == DD_MEANS_EXPLORE)
        for (size_t i = 0; i < h->n_explorations; i++)
            h->exploration[i].catches +=
                strcmp(h->exploration[i].trial.arguments, trial->arguments) == 0;
    return found->stopped ? DD_HUNT_STOPPED : DD_HUNTED;
}

/* Joins a trial's finding to its means' cell: where the trials are named the worst counts, else the
 * first that found something. */
static void join(dd_finding *cell, const dd_finding *found, bool named)
{
    const double seconds = cell->seconds + found->seconds;
    const bool worse = named && is_catch(cell->kind) && !is_catch(found->kind);
    const bool better = !named && !is_catch(cell->kind);
    if (cell->kind == DD_FOUND_NOT_RUN || worse || better)
        *cell = *found;
    cell->seconds = seconds;
}

static dd_hunted hunt_one(dd_hunt *h, size_t d)
{
    const dd_defect *defect = &h->all->defect[d];
    dd_hunt_row *row = &h->row[d];
    plan p;
    *row = (dd_hunt_row){.done = false};
    make_plan(h, defect, &p);
    if (!dd_workshop_plant(h->workshop, h->all, defect, h->message)) {
        snprintf(row->problem, sizeof row->problem, "%.230s", h->message);
        row->done = true;
        return DD_HUNTED;
    }
    const bool first_is_enough = defect->kind == DD_GENERATED && !h->by_means;
    bool caught = false;
    for (size_t i = 0; i < p.n && !row->problem[0]; i++) {
        dd_finding found;
        dd_finding *cell = &row->cell[p.trial[i].means];
        if ((first_is_enough && caught) || (!p.named[i] && is_catch(cell->kind)))
            continue;
        const dd_hunted result = try_planted(h, &p.trial[i], p.named[i], row, &found);
        if (result != DD_HUNTED)
            return result;
        if (found.kind == DD_FOUND_NOT_RUN)
            continue;
        join(cell, &found, p.named[i]);
        row->named[p.trial[i].means] |= p.named[i];
        caught |= is_catch(found.kind);
    }
    row->done = true;
    return DD_HUNTED;
}

static void tell_row(const dd_hunt *h, size_t d, size_t number, size_t of)
{
    const dd_hunt_row *row = &h->row[d];
    say(h, "%zu of %zu  %s: ", number, of, h->all->defect[d].name);
    const char *between = "";
    for (dd_means m = 0; m < DD_N_MEANS; m++) {
        const dd_finding *cell = &row->cell[m];
        if (cell->kind == DD_FOUND_NOT_RUN)
            continue;
        say(h, "%s%s %s%s%.1f s", between, dd_means_name(m),
            cell->kind == DD_FOUND_NOTHING ? "nothing" : cell->how, *cell->how ? ", " : " ",
            cell->seconds);
        between = "; ";
    }
    say(h, "%s\n", row->problem);
}

dd_hunted dd_hunt_run(dd_hunt *h)
{
    size_t n = 0, of = 0, number = 0;
    dd_trial *list = NULL;
    const char *const program[] = {"dodeca_program", NULL};
    say(h, "building the untouched sources\n");
    const dd_built built = dd_workshop_build(h->workshop, DD_BUILD_PLAIN, program, h->message);
    if (built != DD_BUILT)
        return built == DD_BUILD_STOPPED ? DD_HUNT_STOPPED : DD_HUNT_UNSOUND;
    if (!list_protocols(h) || !gather(h, &list, &n)) {
        snprintf(h->message, sizeof h->message, "`dodeca explore --list` does not end well");
        free(list);
        return DD_HUNT_UNSOUND;
    }
    dd_hunted result = prepare(h, list, n);
    free(list);
    for (size_t d = 0; d < h->all->n; d++)
        of += h->chosen[d] && !h->row[d].done;
    for (size_t d = 0; d < h->all->n && result == DD_HUNTED; d++) {
        if (!h->chosen[d] || h->row[d].done)
            continue;
        result = hunt_one(h, d);
        if (result != DD_HUNTED)
            break;
        dd_hunt_state_row_(h, d);
        tell_row(h, d, ++number, of);
    }
    char message[DD_DEFECT_MESSAGE];
    if (!dd_workshop_restore(h->workshop, message) && result == DD_HUNTED) {
        memcpy(h->message, message, sizeof message);
        result = DD_HUNT_UNSOUND;
    }
    return result;
}
