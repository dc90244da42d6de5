/* SPDX-License-Identifier: MIT
 * Which trials a defect is to go through, in which order. */
#include <stdlib.h>
#include <string.h>

#include "hunt.h"
#include "tool.h"

#define UNKNOWN_S 1e6

/* ---- The explorer's ---- */

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

bool dd_hunt_list_protocols_(dd_hunt *h)
{
    char path[DD_FILE_PATH], log[DD_FILE_PATH];
    const dd_workshop *w = h->workshop;
    const char *argv[] = {dd_workshop_program(w, DD_BUILD_PLAIN, "dodeca", false, path), "explore",
                          "--list", NULL};
    const dd_tool tool = {.argv = argv,
                          .out = dd_workshop_log(w, "protocols.log", log),
                          .limit_s = 60,
                          .stop_fd = -1};
    const dd_tool_end end = dd_tool_run(&tool);
    char *text = dd_slurp(log, NULL);
    bool done = end.ending == DD_TOOL_ENDED && end.status == 0 && text;
    h->exploration = calloc(DD_TRIALS_MAX, sizeof *h->exploration);
    done = done && h->exploration;
    for (char *at = text, *next; done && *at; at = next) {
        next = strchrnul(at, '\n');
        if (*next)
            *next++ = '\0';
        const size_t n = strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789-");
        if (!n || at[n] != ' ')
            continue;
        done = h->n_explorations + DD_EXPLORATIONS <= DD_TRIALS_MAX; /* none is left out unseen */
        if (!done)
            break;
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

/* How long it takes on the untouched sources; UNKNOWN_S if that is not known yet, < 0 if too long.
 */
static double seconds_of(const dd_hunt *h, size_t i)
{
    const dd_known *known = dd_hunt_find_(h, &h->exploration[i].trial);
    return known ? known->seconds : UNKNOWN_S;
}

bool dd_hunt_is_of_no_use_(const dd_hunt *h, const dd_trial *trial)
{
    const dd_known *known = dd_hunt_find_(h, trial);
    for (size_t i = 0; i < h->n_explorations; i++)
        if (h->exploration[i].way == DD_EXPLORE_C11_BOUNDED && seconds_of(h, i - 1) >= 0 &&
            strcmp(h->exploration[i].trial.arguments, trial->arguments) == 0)
            return true;
    return known && known->seconds < 0;
}

/* ---- Plans ---- */

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

static void plan_explorations(const dd_hunt *h, const dd_defect *d, dd_hunt_plan *p)
{
    double cost[DD_TRIALS_MAX]; /* of p->trial */
    const size_t first = p->n;
    for (size_t i = 0; i < h->n_explorations; i++) {
        if ((is_order(d) && h->exploration[i].way == DD_EXPLORE_SC) || p->n == DD_TRIALS_MAX)
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
                       dd_hunt_plan *p)
{
    const size_t before = p->n;
    for (uint32_t i = 0; i < d->n_expected && p->n < DD_TRIALS_MAX; i++)
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
        p->n += dd_trials_usual(means, d->source, p->trial + p->n, DD_TRIALS_MAX - p->n);
    else if (dd_trial_explores(d->source))
        plan_explorations(h, d, p);
}

void dd_hunt_plan_(const dd_hunt *h, const dd_defect *d, dd_hunt_plan *p)
{
    static const dd_means ladder[] = {DD_MEANS_EXPLORE, DD_MEANS_UNIT, DD_MEANS_TSAN,
                                      DD_MEANS_SERIAL};
    *p = (dd_hunt_plan){.n = 0};
    if (d->kind == DD_GENERATED && !h->by_means) {
        for (size_t i = 0; i < sizeof ladder / sizeof ladder[0]; i++)
            plan_means(h, d, ladder[i], false, p);
        return;
    }
    for (dd_means m = 0; m < DD_N_MEANS; m++)
        if (!h->by_means || h->means[m])
            plan_means(h, d, m, !h->by_means, p);
}

bool dd_hunt_gather_(const dd_hunt *h, dd_trial **list, size_t *n)
{
    dd_hunt_plan p;
    for (size_t d = 0; d < h->all->n; d++) {
        if (!h->chosen[d] || h->row[d].done)
            continue;
        dd_hunt_plan_(h, &h->all->defect[d], &p);
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
