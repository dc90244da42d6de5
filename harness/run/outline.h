/* SPDX-License-Identifier: MIT
 * Where things stand in a YAML text: the line of every key and value, in file order. libcyaml
 * judges a scenario against its schema but keeps neither order nor, for many faults, the line; this
 * does, and judges nothing but what YAML itself forbids and what no scenario uses (aliases, a
 * second document, deep nesting). */
#ifndef DD_OUTLINE_H
#define DD_OUTLINE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct dd_mark {
    char *section;  /* the top-level key it stands under; "" for a top-level key */
    unsigned block; /* where the section is a list of mappings: which of them, from 0; else 0 */
    char *key;
    char *value;   /* NULL: the mark is of the key itself */
    unsigned line; /* from 1 */
    bool list;     /* of a key: its value is a list */
} dd_mark;

typedef struct dd_outline {
    size_t n;
    dd_mark *mark;
} dd_outline;

/* owns     *out is always to be released by dd_outline_free
 * returns  false: not YAML, or not a mapping; message says what, *line says where (0: nowhere) */
bool dd_outline_read(const unsigned char *text, size_t bytes, dd_outline *out, unsigned *line,
                     char *message, size_t message_size);
void dd_outline_free(dd_outline *outline);

/* The first mark of a key (value NULL) or of one of its values, NULL if there is none; section
 * NULL: any; block DD_ANY_BLOCK: any. */
#define DD_ANY_BLOCK UINT_MAX
const dd_mark *dd_outline_find(const dd_outline *outline, const char *section, unsigned block,
                               const char *key, const char *value);

#endif
