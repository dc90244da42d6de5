/* SPDX-License-Identifier: MIT
 * C source as tokens: as much of the language as finding calls, arguments, statements and functions
 * takes. Knows comments, strings and preprocessor lines, which are no tokens, and brackets; no
 * types and no macros. */
#ifndef DD_SCAN_H
#define DD_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DD_NO_TOKEN SIZE_MAX

typedef struct dd_token {
    const char *at; /* in the text, not terminated */
    uint32_t length, line;
    bool word;    /* identifier or keyword */
    size_t match; /* of a bracket: the other one; else DD_NO_TOKEN */
} dd_token;

typedef struct dd_scan {
    const char *text; /* the caller's, to outlive the scan */
    dd_token *token;
    size_t n;
} dd_scan;

/* owns     scan->token, for dd_scan_clear, on success
 * returns  false: brackets do not match, *line says where; or no memory, *line is 0           */
bool dd_scan_text(const char *text, dd_scan *scan, uint32_t *line);
void dd_scan_clear(dd_scan *scan);

/* Whether token i exists and reads so. */
bool dd_scan_is(const dd_scan *scan, size_t i, const char *text);
/* Whether token i is a word that begins so. */
bool dd_scan_begins(const dd_scan *scan, size_t i, const char *text);

/* Argument `number` of the call whose opening bracket is `open`, as tokens [*first, *end).
 * returns  false: there are not that many                                                   */
bool dd_scan_argument(const dd_scan *scan, size_t open, uint32_t number, size_t *first,
                      size_t *end);

/* The function in whose body token i stands: its name's token, DD_NO_TOKEN if it is in none. */
size_t dd_scan_function(const dd_scan *scan, size_t i);

#endif
