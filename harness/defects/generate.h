/* SPDX-License-Identifier: MIT
 * Defects made from the source itself: whatever a text scanner can find that keeps threads in step
 * is changed in each way that is known to break such things (the rules below), one at a time.
 *
 * A mutant's name is gen:FILE:FUNCTION:RULE:HASH, the hash being of the lines it changes, without
 * blanks; .2, .3 … follow where that is not unique. So it stays what it is when code around it
 * moves, and ends when the line is another. */
#ifndef DD_GENERATE_H
#define DD_GENERATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scan.h"

/* order-A-B, failure-A-B   a memory order one notch weaker; failure: a compare exchange's second
 * torn                     a read-modify-write taken apart: load, then store
 * wake-one, wake-none      fewer sleepers woken than all
 * expect-now, expect-other a futex waits on what the word is now; on what it is not
 * early                    an eventcount is awaited as of one advance before
 * once                     no second look after waiting, no second try of a compare exchange
 * swapped                  a statement that publishes changes places with its neighbour
 * more, less               an arrival is counted, or expected, by one more or less
 * operands                 a fold gets right and left the other way round
 * dropped                  a store, addition or advance is left out                          */

typedef struct dd_mutant {
    char name[160];
    char source[64]; /* relative to core/ */
    uint32_t line;
    size_t at, length; /* the part of the source that is replaced */
    char *text;        /* by this */
} dd_mutant;

typedef struct dd_mutants {
    dd_mutant *mutant;
    size_t n, room;
} dd_mutants;

/* Adds the mutants of one text.
 * returns  false: no memory, or a text that cannot be scanned; message says which           */
bool dd_generate_text(dd_mutants *m, const char *source, const char *text, char message[512]);
/* Adds those of all that is to be covered below core, the folder, in the order of names and lines.
 */
bool dd_generate_tree(dd_mutants *m, const char *core, char message[512]);
void dd_mutants_clear(dd_mutants *m);

/* "sync/points.c:235: `what stood there` becomes `this`", on one line. text: of the source. */
void dd_mutant_describe(const dd_mutant *mutant, const char *text, char *line, size_t size);

/* Shared by the files of the generator: adds one that replaces tokens [first, last] of the scan. */
typedef struct dd_mutation {
    dd_mutants *to;
    const char *source;
    const dd_scan *scan;
    bool failed; /* no memory */
} dd_mutation;
__attribute__((format(printf, 5, 6))) void
dd_mutate_(dd_mutation *m, const char *rule, size_t first, size_t last, const char *format, ...);
/* Tokens [first, end) as the arguments of a %.*s. */
#define DD_PIECE_(m, first, end)                                                                   \
    (int)((m)->scan->token[(end)-1].at + (m)->scan->token[(end)-1].length -                        \
          (m)->scan->token[first].at),                                                             \
        (m)->scan->token[first].at
/* The rules for a token: what a call is, and what a statement is. */
void dd_mutate_call_(dd_mutation *m, size_t i);
void dd_mutate_statement_(dd_mutation *m, size_t i);

#endif
