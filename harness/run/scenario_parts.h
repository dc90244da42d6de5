/* SPDX-License-Identifier: MIT
 * What the three files of a scenario's reader share: scenario_read.c (text to document, and what is
 * wrong with its form), scenario.c (document to keys and lists, each value judged at its line) and
 * scenario_cells.c (lists to cells). */
#ifndef DD_SCENARIO_PARTS_H
#define DD_SCENARIO_PARTS_H

#include <cyaml/cyaml.h>

#include "outline.h"
#include "scenario.h"

enum { KEYS_MAX = 48, BLOCKS_MAX = 64, NAME_MAX_CHARS = 64 };

/* What libcyaml fills; index = index in dd_keys(). */
struct sweep {
    char **item[KEYS_MAX];
    uint32_t n[KEYS_MAX];
};
struct document {
    char *name, *about;
    char *base[KEYS_MAX];
    struct sweep *sweep; /* (n_blocks), or one where `sweep` is no list of blocks */
    uint32_t n_blocks;
    struct sweep *draw; /* NULL: no soak */
};

struct schema {
    cyaml_schema_value_t text, block, top;
    cyaml_schema_field_t field[KEYS_MAX + 5]; /* and name, about, sweep, draw, end */
    cyaml_schema_field_t swept[KEYS_MAX + 1];
};

/* dd_scenario with what it borrows from. */
struct scenario {
    dd_scenario public; /* first: the one is the other */
    struct schema schema;
    struct document *document;
    dd_outline outline;
    const dd_key *swept[KEYS_MAX];
    dd_drawn drawn[KEYS_MAX];
    size_t n_blocks; /* >= 1 */
    struct block {
        const dd_key *key[KEYS_MAX];
        size_t n;
    } block[BLOCKS_MAX];          /* what each sweeps, in file order */
    char **values;                /* n_cells * n_swept, owned */
    const char *single[KEYS_MAX]; /* base values, by key; NULL: default */
    bool by_set[KEYS_MAX];        /* the value comes from --set */
    char name[NAME_MAX_CHARS + 1];
    char *file;
    char *message;
};

/* Writes the message, with file and, unless it is 0, line.  returns  false, always */
__attribute__((format(printf, 3, 4))) bool dd_scenario_refuse_(struct scenario *s, unsigned line,
                                                               const char *format, ...);
/* Of a key, or of a value in its list; 0: the file does not have it. */
unsigned dd_scenario_line_(const struct scenario *s, const char *section, unsigned block,
                           const char *key, const char *value);

/* What a sweep or a draw must be, where it is something else, or nothing.  returns  false, always
 */
bool dd_scenario_refuse_sweep_(struct scenario *s, unsigned line);
bool dd_scenario_refuse_draw_(struct scenario *s, unsigned line);

/* Fills outline and document from the file. Each returns false after a refusal. */
bool dd_scenario_read_(struct scenario *s);
/* Fills cells and values from the blocks' lists. */
bool dd_scenario_multiply_(struct scenario *s);
/* Frees what a cell owns. */
void dd_scenario_drop_cell_(struct scenario *s, dd_scenario_cell *cell);

#endif
