/* SPDX-License-Identifier: MIT
 * A table of text cells, written as Markdown, as CSV or aligned for a terminal. */
#ifndef DD_TABLE_H
#define DD_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef struct dd_table {
    size_t n_columns, n_rows;
    char **cells; /* row 0 is the heading; (n_rows + 1) x n_columns; owned */
    bool *right;  /* per column: numbers, aligned right */
    bool failed;  /* there was no memory */
} dd_table;

/* returns  false, and an empty table, when there is no memory                             */
bool dd_table_open(dd_table *t, size_t n_columns, size_t n_rows);
void dd_table_close(dd_table *t);

/* Row 0 is the heading. The format's result is copied. */
__attribute__((format(printf, 4, 5))) void dd_table_set(dd_table *t, size_t row, size_t column,
                                                        const char *format, ...);

void dd_table_markdown(const dd_table *t, FILE *out);
void dd_table_csv(const dd_table *t, FILE *out); /* RFC 4180, lines end in \n */
void dd_table_plain(const dd_table *t, FILE *out);

/* Text between XML tags or in an attribute; what XML 1.0 cannot hold becomes '?'.
 */
void dd_text_xml(const char *text, FILE *out);
/* Text inside a Markdown table cell, on one line. */
void dd_text_markdown(const char *text, FILE *out);

#endif
