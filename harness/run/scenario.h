/* SPDX-License-Identifier: MIT
 * A scenario file: a base of settings and lists to multiply out.
 *
 *     name: quick
 *     about: one line for people
 *     model: nano                      # any settings key, a scalar: the base of every cell
 *     sweep:                           # any settings key, a list: multiplied out, last key fastest
 *       workers: [1, 2]
 *       simd: [off, auto]
 *
 * Where the full product is too much, `sweep` is a list of such blocks, run one after another. A
 * key that a block does not sweep has its base value there; a combination that is there already is
 * not run again. Those are the same that differ only in what means nothing to their subject
 * (dd_key_concerns): the oracle is one cell, whatever numbers of workers it is multiplied with.
 *
 *     sweep:
 *       - workers: [1, 2, 4]
 *       - depth: [2]
 *         workers: [13]
 *
 * In place of `sweep`, `draw` makes a soak: each round draws one value of every list (soak_draw.h).
 *
 * Owns the file's grammar and its refusals (file, line, what is allowed); runs nothing. */
#ifndef DD_SCENARIO_H
#define DD_SCENARIO_H

#include "settings.h"

#define DD_SCENARIO_CELLS_MAX 10000
#define DD_SCENARIO_MESSAGE_MAX 1024

/* One combination of the sweep. */
typedef struct dd_scenario_cell {
    dd_settings settings;      /* finished: dd_settings_finish has passed */
    unsigned block;            /* of the sweep, from 0; cells of one follow one another */
    const char *const *values; /* the swept keys' values, n_swept of them, as written in the file;
                                  of a key that the cell's block does not sweep, the base's */
    char *label;               /* "workers=4 simd=off", what its block sweeps; "" for nothing */
} dd_scenario_cell;

/* A key that the rounds of a soak draw. */
typedef struct dd_drawn {
    const dd_key *key;
    char *const *item; /* (n) as written */
    size_t n;
} dd_drawn;

typedef struct dd_scenario {
    const char *file;
    const char *name;           /* [A-Za-z0-9._-]+; where none is given, the file's own */
    const char *about;          /* "" if the file says nothing */
    unsigned data_line;         /* where the file says `data`; 0 where it does not decide it */
    size_t n_swept;             /* keys that vary in any block, in file order */
    const dd_key *const *swept; /* entries of dd_keys() */
    size_t n_cells;
    dd_scenario_cell *cells; /* in the order in which they run */
    bool draws;              /* a soak: no cells, but */
    size_t n_drawn;
    const dd_drawn *drawn;   /* in file order */
    const char *const *base; /* values of the keys that are not drawn, by their index in dd_keys();
                                NULL: the default */
} dd_scenario;

/* Reads a scenario. sets[0 … n_sets) are "KEY=VALUE" of --set: each replaces the file's value, or
 * its list.
 * owns     *out on success, released by dd_scenario_close; nothing on failure
 * returns  false, message one line: file, line where there is one, what is wrong, what is right  */
bool dd_scenario_open(const char *file, const char *const *sets, size_t n_sets, dd_scenario **out,
                      char message[DD_SCENARIO_MESSAGE_MAX]);
void dd_scenario_close(dd_scenario *scenario); /* NULL allowed */

#endif
