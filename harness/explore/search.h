/* SPDX-License-Identifier: MIT
 * What the search and the rendering of its traces share. */
#ifndef DD_SEARCH_H
#define DD_SEARCH_H

#include "runtime.h"

/* A step that was taken. */
typedef struct dd_step {
    dd_choice choice;
    dd_event event; /* as it was before */
    uint64_t result;
} dd_step;

#endif
