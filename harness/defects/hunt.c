/* SPDX-License-Identifier: MIT
 * Runs trials on the untouched sources and on the defects, in as many threads as there are
 * workshops. */
#include "hunt.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "judge.h"

#define MOST_S 600.0

enum { TARGETS_MAX = 48 };

#define LIMIT_BASE_S 10.0
#define LIMIT_FACTOR 6.0
#define EXPLORE_MOST_S 20.0

/* A thread of the hunt. Only it uses its workshop and its message. */
typedef struct hunter {
    dd_hunt *hunt;
    dd_workshop *workshop;
    pthread_t thread;
    char message[DD_DEFECT_MESSAGE];
} hunter;

bool dd_hunt_open(dd_hunt *h, dd_workshop *w, size_t n, const dd_defects *all, bool resume)
{
    h->workshop = w;
    h->n_workshops = n;
    h->all = all;
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    for (size_t i = 0; i < n; i++) {
        w[i].compilers = cores > (long)n ? (size_t)cores / n : 1;
        strcpy(w[i].keeper, w->folder);
    }
    pthread_mutex_init(&h->lock, NULL);
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
    pthread_mutex_destroy(&h->lock);
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

static dd_known *find_by_key(const dd_hunt *h, const char *key)
{
    for (size_t i = 0; i < h->n_known; i++)
        if (strcmp(h->known[i].key, key) == 0)
            return &h->known[i];
    return NULL;
}

dd_known *dd_hunt_find_(const dd_hunt *h, const dd_trial *trial)
{
    char key[DD_TRIAL_KEY];
    return find_by_key(h, dd_trial_key(trial, key));
}

/* A copy.  returns  false: not known yet */
static bool look_up(dd_hunt *h, const dd_trial *trial, dd_known *out)
{
    pthread_mutex_lock(&h->lock);
    const dd_known *known = dd_hunt_find_(h, trial);
    *out = known ? *known : (dd_known){.seconds = -1};
    pthread_mutex_unlock(&h->lock);
    return known;
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

/* Builds all that the trials take in every workshop, so that what fails later is a defect's doing,
 * and nothing is timed beside builds of everything; and puts it aside. */
static dd_hunted build_untouched(dd_hunt *h, const dd_trial *trial, size_t n)
{
    for (dd_bench_build b = 0; b < DD_N_BUILDS; b++) {
        targets t = {.n = 0};
        for (size_t i = 0; i < n; i++)
            if (trial[i].build == b)
                add_target(&t, dd_trial_target(&trial[i]));
        if (t.n == 0)
            continue;
        for (size_t w = 0; w < h->n_workshops; w++) {
            say(h, "building the untouched sources (%zu of 3, %zu targets, job %zu of %zu)\n",
                (size_t)b + 1, t.n, w + 1, h->n_workshops);
            const dd_built built = dd_workshop_build(&h->workshop[w], b, t.list, h->message);
            if (built != DD_BUILT)
                return built == DD_BUILD_STOPPED ? DD_HUNT_STOPPED : DD_HUNT_UNSOUND;
        }
        for (size_t i = 0; i < n; i++)
            if (trial[i].build == b &&
                !dd_workshop_keep(h->workshop, b, trial[i].program, h->message))
                return DD_HUNT_UNSOUND;
    }
    return DD_HUNTED;
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

static bool remember(dd_hunt *h, const dd_known *known)
{
    pthread_mutex_lock(&h->lock);
    const bool is_new = !find_by_key(h, known->key); /* another may have been as fast */
    const bool done = !is_new || dd_hunt_know_(h, known);
    if (is_new)
        dd_hunt_state_known_(h, known);
    pthread_mutex_unlock(&h->lock);
    return done;
}

/* Runs a trial on the untouched sources, where that was not done before. */
static dd_hunted try_untouched(hunter *self, const dd_trial *trial)
{
    dd_known known;
    dd_trial any = *trial; /* whatever it finds here is wrong */
    any.want[0] = '\0';
    if (look_up(self->hunt, trial, &known))
        return DD_HUNTED;
    dd_trial_key(trial, known.key);
    bool stopped = false;
    if (trial->means == DD_MEANS_SERIAL &&
        !dd_trial_oracle(self->workshop, trial, known.oracle, &stopped)) {
        if (stopped)
            return DD_HUNT_STOPPED;
        snprintf(self->message, sizeof self->message,
                 "the oracle of the untouched sources does not end well for \"%s\"", known.key);
        return DD_HUNT_UNSOUND;
    }
    const bool explores = trial->means == DD_MEANS_EXPLORE;
    const dd_finding found =
        dd_trial_run(self->workshop, &any, true, explores ? EXPLORE_MOST_S : MOST_S, known.oracle);
    if (found.stopped)
        return DD_HUNT_STOPPED;
    if (found.kind != DD_FOUND_NOTHING) {
        snprintf(self->message, sizeof self->message,
                 "\"%s\" finds something on the untouched sources, and so can catch nothing: %s; "
                 "what it said is in %.400s/untouched.log",
                 known.key, found.how, self->workshop->logs);
        return DD_HUNT_UNSOUND;
    }
    const bool glance = explores && strstr(trial->arguments, "--seconds");
    const bool too_long =
        explores && !glance && strncmp(found.how, DD_GIVEN_UP, strlen(DD_GIVEN_UP)) == 0;
    known.seconds = too_long ? -1 : found.seconds;
    if (remember(self->hunt, &known))
        return DD_HUNTED;
    snprintf(self->message, sizeof self->message, "no memory");
    return DD_HUNT_UNSOUND;
}

/* ---- Defects ---- */

static bool is_catch(dd_finding_kind kind)
{
    return kind == DD_FOUND_IT || kind == DD_FOUND_HANG || kind == DD_FOUND_CRASH;
}

static bool is_of_no_use(dd_hunt *h, const dd_trial *trial, bool named)
{
    pthread_mutex_lock(&h->lock);
    const bool none = !named && dd_hunt_is_of_no_use_(h, trial);
    pthread_mutex_unlock(&h->lock);
    return none;
}

/* Whether the untouched sources take so much longer than when they were timed that the limit was
 * too short for a machine as busy as this one is now; that time then counts. */
static bool is_slower_now(hunter *self, const dd_trial *trial, bool *stopped)
{
    dd_hunt *h = self->hunt;
    dd_known known;
    if (!look_up(h, trial, &known) || known.seconds < 0)
        return false;
    const dd_finding found = dd_trial_run(self->workshop, trial, true, MOST_S, known.oracle);
    const bool slower = found.kind == DD_FOUND_NOTHING && found.seconds > 2 * known.seconds;
    *stopped = found.stopped;
    if (slower) {
        pthread_mutex_lock(&h->lock);
        dd_known *now = dd_hunt_find_(h, trial);
        if (now->seconds < found.seconds)
            now->seconds = found.seconds;
        pthread_mutex_unlock(&h->lock);
    }
    return slower;
}

/* Runs the trial on what is planted, once more where it was late for no fault of its own. */
static dd_finding run_planted(hunter *self, const dd_trial *trial)
{
    for (;;) {
        dd_known known;
        (void)look_up(self->hunt, trial, &known);
        const double limit_s =
            LIMIT_BASE_S + LIMIT_FACTOR * (known.seconds >= 0 ? known.seconds : EXPLORE_MOST_S);
        bool stopped = false;
        const dd_finding found = dd_trial_run(self->workshop, trial, false, limit_s, known.oracle);
        if (found.stopped || found.seconds < limit_s || !is_slower_now(self, trial, &stopped))
            return stopped ? (dd_finding){.kind = DD_FOUND_NOT_RUN, .stopped = true} : found;
    }
}

static void count_catch(dd_hunt *h, const dd_trial *trial)
{
    pthread_mutex_lock(&h->lock);
    for (size_t i = 0; i < h->n_explorations; i++)
        h->exploration[i].catches +=
            strcmp(h->exploration[i].trial.arguments, trial->arguments) == 0;
    pthread_mutex_unlock(&h->lock);
}

/* One trial on what is planted; builds what it needs. */
static dd_hunted try_planted(hunter *self, const dd_trial *trial, bool named, dd_hunt_row *row,
                             dd_finding *found)
{
    dd_hunt *h = self->hunt;
    const char *const target[] = {dd_trial_target(trial), NULL};
    *found = (dd_finding){.kind = DD_FOUND_NOT_RUN};
    if (is_of_no_use(h, trial, named))
        return DD_HUNTED;
    const dd_hunted sound = try_untouched(self, trial);
    if (sound != DD_HUNTED || is_of_no_use(h, trial, named))
        return sound;
    const dd_built built = dd_workshop_build(self->workshop, trial->build, target, self->message);
    if (built == DD_BUILD_FAILED)
        snprintf(row->problem, sizeof row->problem, "does not build (%s)", target[0]);
    if (built != DD_BUILT)
        return built == DD_BUILD_STOPPED ? DD_HUNT_STOPPED : DD_HUNTED;
    *found = run_planted(self, trial);
    if (found->kind == DD_FOUND_IT && trial->means == DD_MEANS_EXPLORE)
        count_catch(h, trial);
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

/* What another hunter came to. */
static dd_hunted result_of(dd_hunt *h)
{
    pthread_mutex_lock(&h->lock);
    const dd_hunted result = h->result;
    pthread_mutex_unlock(&h->lock);
    return result;
}

/* row->done is for the caller to set. */
static dd_hunted hunt_one(hunter *self, const dd_defect *defect, const dd_hunt_plan *p,
                          dd_hunt_row *row)
{
    *row = (dd_hunt_row){.done = false};
    if (!dd_workshop_plant(self->workshop, self->hunt->all, defect, self->message)) {
        snprintf(row->problem, sizeof row->problem, "%.230s", self->message);
        return DD_HUNTED;
    }
    const bool first_is_enough = defect->kind == DD_GENERATED && !self->hunt->by_means;
    bool caught = false;
    for (size_t i = 0; i < p->n && !row->problem[0]; i++) {
        dd_finding found;
        dd_finding *cell = &row->cell[p->trial[i].means];
        if ((first_is_enough && caught) || (!p->named[i] && is_catch(cell->kind)))
            continue;
        dd_hunted result = result_of(self->hunt);
        if (result == DD_HUNTED)
            result = try_planted(self, &p->trial[i], p->named[i], row, &found);
        if (result != DD_HUNTED)
            return result;
        if (found.kind == DD_FOUND_NOT_RUN)
            continue;
        join(cell, &found, p->named[i]);
        row->named[p->trial[i].means] |= p->named[i];
        caught |= is_catch(found.kind);
    }
    return DD_HUNTED;
}

static void tell_row(const dd_hunt *h, size_t d, size_t number)
{
    const dd_hunt_row *row = &h->row[d];
    say(h, "%zu of %zu  %s: ", number, h->n_open, h->all->defect[d].name);
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

static bool is_open(const dd_hunt *h, size_t d)
{
    return h->chosen[d] && !h->row[d].done;
}

/* ---- Hunters ---- */

/* Takes the next defect and plans its trials.  returns  its index; that of none at the end */
static size_t take_next(dd_hunt *h, dd_hunt_plan *p)
{
    pthread_mutex_lock(&h->lock);
    while (h->next < h->all->n && !is_open(h, h->next))
        h->next++;
    const size_t d = h->result == DD_HUNTED ? h->next : h->all->n;
    h->next += d < h->all->n;
    if (d < h->all->n)
        dd_hunt_plan_(h, &h->all->defect[d], p);
    pthread_mutex_unlock(&h->lock);
    return d;
}

static void finish(hunter *self, size_t d, dd_hunted result)
{
    dd_hunt *h = self->hunt;
    pthread_mutex_lock(&h->lock);
    if (result == DD_HUNTED) {
        h->row[d].done = true;
        dd_hunt_state_row_(h, d);
        tell_row(h, d, ++h->n_done);
    } else if (h->result == DD_HUNTED) {
        h->result = result;
        memcpy(h->message, self->message, sizeof h->message);
    }
    pthread_mutex_unlock(&h->lock);
}

static void *hunt_on(void *argument)
{
    hunter *self = argument;
    dd_hunt *h = self->hunt;
    dd_hunt_plan p;
    for (size_t d; (d = take_next(h, &p)) < h->all->n;)
        finish(self, d, hunt_one(self, &h->all->defect[d], &p, &h->row[d]));
    return NULL;
}

/* Those that cannot be started leave their share to the others; this thread is the first. */
static void hunt_all(dd_hunt *h, hunter *all)
{
    size_t n = 1;
    for (size_t i = 0; i < h->n_workshops; i++)
        all[i] = (hunter){.hunt = h, .workshop = &h->workshop[i]};
    while (n < h->n_workshops && pthread_create(&all[n].thread, NULL, hunt_on, &all[n]) == 0)
        n++;
    hunt_on(&all[0]);
    while (n > 1)
        pthread_join(all[--n].thread, NULL);
}

static dd_hunted begin(dd_hunt *h)
{
    size_t n = 0;
    dd_trial *list = NULL;
    const char *const program[] = {"dodeca_program", NULL};
    say(h, "building the untouched sources\n");
    const dd_built built = dd_workshop_build(h->workshop, DD_BUILD_PLAIN, program, h->message);
    if (built != DD_BUILT)
        return built == DD_BUILD_STOPPED ? DD_HUNT_STOPPED : DD_HUNT_UNSOUND;
    dd_hunted result = DD_HUNT_UNSOUND;
    if (dd_hunt_list_protocols_(h) && dd_hunt_gather_(h, &list, &n))
        result = prepare(h, list, n);
    else
        snprintf(h->message, sizeof h->message,
                 "`dodeca explore --list` does not end well, or has too many protocols");
    free(list);
    return result;
}

dd_hunted dd_hunt_run(dd_hunt *h)
{
    hunter *all = calloc(h->n_workshops, sizeof *all);
    if (!all) {
        snprintf(h->message, sizeof h->message, "no memory for %zu threads", h->n_workshops);
        return DD_HUNT_UNSOUND;
    }
    h->result = begin(h);
    for (size_t d = 0; d < h->all->n; d++)
        h->n_open += is_open(h, d);
    hunt_all(h, all);
    free(all);
    char message[DD_DEFECT_MESSAGE];
    for (size_t i = 0; i < h->n_workshops; i++)
        if (!dd_workshop_restore(&h->workshop[i], message) && h->result == DD_HUNTED) {
            memcpy(h->message, message, sizeof message);
            h->result = DD_HUNT_UNSOUND;
        }
    return h->result;
}
