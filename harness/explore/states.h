/* SPDX-License-Identifier: MIT
 * The states that a search has visited, known by 128-bit hashes, and the steps between them. Owns
 * the set and the graph; knows nothing of what a state is. Ends the program when memory runs out.
 */
#ifndef DD_STATES_H
#define DD_STATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct dd_states dd_states;

dd_states *dd_states_open(void);
void dd_states_close(dd_states *s); /* NULL allowed */

/* Adds the state with these bytes, if it is new; *state is its number, counted from 0 as they come.
 * Two states whose XXH3-128 is equal are taken for one: among n states that happens by chance with
 * n^2 / 2^129. returns  whether it is new */
bool dd_states_add(dd_states *s, const void *bytes, size_t n_bytes, uint32_t *state);
uint64_t dd_states_count(const dd_states *s);

/* A step leads from one state to another. */
void dd_states_step(dd_states *s, uint32_t from, uint32_t to);
/* No step leads on. */
void dd_states_end(dd_states *s, uint32_t state);

/* Follows all steps.
 *   acyclic     no sequence of steps comes back to where it was: every execution ends
 *   executions  paths from state 0 to an end, 0 unless acyclic
 *   longest     steps of the longest path from state 0                                     */
typedef struct dd_states_paths {
    bool acyclic;
    double executions;
    uint64_t longest;
} dd_states_paths;
void dd_states_follow(const dd_states *s, dd_states_paths *out);

/* realloc that ends the program when memory runs out; bytes > 0. */
void *dd_states_memory(void *p, size_t bytes);

#endif
