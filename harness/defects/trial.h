/* SPDX-License-Identifier: MIT
 * Trials: one run of one means on what stands in the workshop, and what it found. The same trial
 * of the untouched sources must find nothing: that is for the caller to see to. */
#ifndef DD_TRIAL_H
#define DD_TRIAL_H

#include "workshop.h"

typedef struct dd_trial {
    dd_means means;
    dd_bench_build build;
    char program[64]; /* "dodeca", or a unit test */
    char
        arguments[232]; /* explore: a protocol; options of `dodeca train`; a unit test takes none */
    char want[96];      /* explore: verdicts; unit: a case; "": whatever there is */
} dd_trial;

typedef enum dd_finding_kind {
    DD_FOUND_NOT_RUN,
    DD_FOUND_NOTHING,
    DD_FOUND_IT,
    DD_FOUND_HANG,  /* it did not end in time */
    DD_FOUND_CRASH, /* a signal ended it */
    DD_FOUND_UNFIT, /* it could not be run */
} dd_finding_kind;

typedef struct dd_finding {
    dd_finding_kind kind;
    double seconds;
    char how[112]; /* what was seen: "points-tree RACE", "weights differ" */
    bool stopped;  /* interrupted: kind is NOT_RUN */
} dd_finding;

enum { DD_HASH_TEXT = 40, DD_TRIAL_KEY = 320 };

/* The trial that an expectation asks for. */
void dd_trial_of(const dd_expectation *expected, dd_trial *out);
/* The means' own trials for a defect in `source`, in the order to try them; all but those of the
 * explorer, of which there is one for every protocol.
 * returns  their number, at most room                                                       */
size_t dd_trials_usual(dd_means means, const char *source, dd_trial *out, size_t room);
/* Whether the explorer compiles this file of core/. */
bool dd_trial_explores(const char *source);

/* What it runs, without what it wants: the same for trials that run the same. */
const char *dd_trial_key(const dd_trial *trial, char key[DD_TRIAL_KEY]);
/* The target that builds its program. */
const char *dd_trial_target(const dd_trial *trial);
/* NULL, or why this machine cannot run such a trial. */
const char *dd_means_lacks(dd_means means);

/* Runs it on what is built, or on what was put aside of the untouched sources.
 * oracle   serial: hash of the right weights                                                */
dd_finding dd_trial_run(const dd_workshop *w, const dd_trial *trial, bool untouched, double limit_s,
                        const char *oracle);
/* Serial: the weights' hash by the oracle of the untouched sources.
 * returns  false: it did not end well, or was stopped                                       */
bool dd_trial_oracle(const dd_workshop *w, const dd_trial *trial, char hash[DD_HASH_TEXT],
                     bool *stopped);

#endif
