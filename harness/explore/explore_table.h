/* SPDX-License-Identifier: MIT
 * What explorations came to, as a table for people or as JSON, with what it means and what it does
 * not. */
#ifndef DD_EXPLORE_TABLE_H
#define DD_EXPLORE_TABLE_H

#include "explore.h"

extern const char *const dd_tier_names[];   /* by dd_tier */
extern const char *const dd_memory_names[]; /* by dd_memory, as options have them */

/* The tier with its bound, as "bounded 2". */
typedef struct dd_tier_text {
    char text[24];
} dd_tier_text;
dd_tier_text dd_tier_told(const dd_explore_limits *limits);

typedef struct dd_explored_row {
    const dd_program *program;
    dd_explore_limits limits; /* what it was explored with */
} dd_explored_row;

typedef struct dd_explored dd_explored;

/* Prints the head. */
dd_explored *dd_explored_open(bool json);
void dd_explored_add(dd_explored *t, const dd_explored_row *row, const dd_explore_result *r);
/* Prints the foot, or all of the JSON. */
void dd_explored_close(dd_explored *t, uint32_t n_left_out, bool interrupted);

#endif
