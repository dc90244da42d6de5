/* SPDX-License-Identifier: MIT
 * The hunt: plants one defect after the other and tries on it the means that are to catch it.
 *
 * A defect from a file is tried by the means it names, a generated one by explorer, unit tests,
 * ThreadSanitizer and serial equivalence, in this order, until one has it. Where means are given,
 * those are tried, each on every defect: with the trials it names, or the usual ones until one has
 * it.
 *
 * Before a trial is run on a defect for the first time it is run on the untouched sources, where it
 * must find nothing: this also tells how long it takes, and ten seconds and six times that is the
 * limit on a defect. A trial that is late tells nothing where the untouched sources now take more
 * than twice their time, too: it is run again with that for a measure.
 *
 * Every protocol that is not slow there is explored under sequential consistency and under C11,
 * where either takes twenty seconds at most; if C11 takes longer, with few changes of thread. One
 * that is slow under both is given three seconds: what it finds by then is found. A weakened order
 * is not looked for under sequential consistency, which knows none. What was cheap for its catches
 * so far comes first.
 *
 * As many threads hunt as there are workshops, each in its own: they take the next defect in turn.
 * What they share stands behind one lock, which nobody holds while a trial runs. */
#ifndef DD_HUNT_H
#define DD_HUNT_H

#include <pthread.h>
#include <stdio.h>

#include "trial.h"

/* What a trial does on the untouched sources. */
typedef struct dd_known {
    char key[DD_TRIAL_KEY];
    double seconds;            /* < 0: an exploration that takes too long */
    char oracle[DD_HASH_TEXT]; /* serial: the right weights */
} dd_known;

/* The ways to explore a protocol. */
typedef enum dd_exploring {
    DD_EXPLORE_SC,
    DD_EXPLORE_C11,
    DD_EXPLORE_C11_BOUNDED,
    DD_EXPLORE_GLANCE, /* as far as three seconds go */
    DD_EXPLORATIONS
} dd_exploring;

typedef struct dd_exploration {
    dd_exploring way;
    dd_trial trial;
    uint32_t catches; /* so far */
} dd_exploration;

/* What was found on one defect. */
typedef struct dd_hunt_row {
    bool done;
    char problem[240]; /* it could not be planted or built; "" if it could */
    dd_finding cell[DD_N_MEANS];
    bool named[DD_N_MEANS]; /* by the defect, and tried */
} dd_hunt_row;

typedef enum dd_hunted {
    DD_HUNTED,
    DD_HUNT_STOPPED, /* interrupted */
    DD_HUNT_LACKS,   /* a tool is missing; message says which */
    DD_HUNT_UNSOUND, /* a trial finds something on the untouched sources, or these do not build */
} dd_hunted;

typedef struct dd_hunt {
    dd_workshop *workshop; /* (n_workshops) the first keeps the untouched programs for all */
    size_t n_workshops;
    const dd_defects *all;
    bool *chosen;           /* (all->n) which defects */
    bool means[DD_N_MEANS]; /* given ones */
    bool by_means;          /* whether any were given */
    FILE *log;              /* progress, NULL: none */

    pthread_mutex_t lock; /* of all that follows, while there is more than one thread */
    dd_hunt_row *row;     /* (all->n) its hunter's until it is done */
    dd_known *known;
    size_t n_known;
    dd_exploration *exploration; /* by protocol, then by way; only catches change */
    size_t n_explorations;
    size_t next;           /* defect to take */
    size_t n_done, n_open; /* in this run: done, and open at its beginning */
    FILE *state;           /* what is finished is appended to it */
    dd_hunted result;      /* the first end that is not a good one, which ends all */
    char message[DD_DEFECT_MESSAGE];
} dd_hunt;

/* w        (n) open workshops of the same sources, of which the hunt has the use until it is closed
 * resume   takes over what the state file, in the first workshop's folder, holds of these sources
 * errors   false: message                                                                   */
bool dd_hunt_open(dd_hunt *h, dd_workshop *w, size_t n, const dd_defects *all, bool resume);
void dd_hunt_close(dd_hunt *h);
dd_hunted dd_hunt_run(dd_hunt *h);

/* ---- Plans (hunt_plan.c): under the lock ---- */

enum { DD_TRIALS_MAX = 400 };

/* The trials for one defect, those of one means side by side. */
typedef struct dd_hunt_plan {
    dd_trial trial[DD_TRIALS_MAX];
    bool named[DD_TRIALS_MAX];
    size_t n;
} dd_hunt_plan;

/* The protocols of the explorer as it is built, in the ways that are for them. */
bool dd_hunt_list_protocols_(dd_hunt *h);
void dd_hunt_plan_(const dd_hunt *h, const dd_defect *d, dd_hunt_plan *p);
/* Adds the trials of every defect that is still to be hunted to a list, each once. */
bool dd_hunt_gather_(const dd_hunt *h, dd_trial **list, size_t *n);
/* Whether the trial is an exploration that need not be done: it takes too long, or is with few
 * changes of thread what can be had whole. */
bool dd_hunt_is_of_no_use_(const dd_hunt *h, const dd_trial *trial);

/* ---- What trials do on the untouched sources: under the lock ---- */

/* NULL: not known yet. Good until something is added. */
dd_known *dd_hunt_find_(const dd_hunt *h, const dd_trial *trial);
bool dd_hunt_know_(dd_hunt *h, const dd_known *known);

/* ---- The state file (hunt_state.c): JSON, a line for what is finished; under the lock ---- */

/* Opens it, and with resume reads it where it is of the same sources and means. */
bool dd_hunt_state_open_(dd_hunt *h, bool resume);
void dd_hunt_state_known_(dd_hunt *h, const dd_known *known);
void dd_hunt_state_row_(dd_hunt *h, size_t i);

#endif
