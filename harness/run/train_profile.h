/* SPDX-License-Identifier: MIT
 * What `dodeca train --profile` tells: where the workers' time went, phase by phase, and how near
 * each phase comes to what this machine can do. Measures the limits; the phases are the trainer's
 * own. The first step, which is the first to touch most of the memory, is left out where there are
 * more. */
#ifndef DD_TRAIN_PROFILE_H
#define DD_TRAIN_PROFILE_H

#include <jansson.h>
#include <stdio.h>

#include "dodeca.h"
#include "kernels.h"
#include "spent.h"

typedef struct dd_train_profile {
    const dd_kernels *kernels;
    /* Per second, of one thread. A core that has multiplied and streamed memory for long runs
     * slower than a fresh one, and slower yet where others do so, too: taken right after the first
     * step of one alone, and after the last of as many together as there are workers (0: not to be
     * had). */
    double peak_flops, peak_together, copy_bytes;
    dd_spent before, second, after; /* second: when the second step begins */
    uint64_t first_step, steps;     /* `before` is the end of so many, `after` of so many */
} dd_train_profile;

/* The speed of copying, measured now; takes half a second and 256 MiB, given back. Before threads
 * run.
 * errors   DD_ERR_CPU: there is no such kernel set; DD_ERR_MEMORY                             */
dd_status dd_train_profile_open(const dd_config *config, dd_train_profile *out, dd_error *error);
/* Before the first step and after each, `steps` in all. */
void dd_train_profile_look(dd_train_profile *p, const dd_trainer *trainer, uint64_t steps);

/* After the last step; takes some 20 ms. */
void dd_train_profile_end(dd_train_profile *p);

/* The table; nothing before the first step. */
void dd_train_profile_print(const dd_train_profile *p, FILE *to);
/* The same, whole; NULL: no memory. */
json_t *dd_train_profile_json(const dd_train_profile *p);

#endif
