/* SPDX-License-Identifier: MIT
 * A table of text cells, built column by column, written as Markdown, as CSV or aligned for a
 * terminal. */
#ifndef DD_TABLE_H
#define DD_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef struct dd_column {
    char **cell; /* (n_rows + 1): the heading, then the rows; NULL: empty */
    bool right;  /* numbers, aligned right */
    bool hidden; /* not written */
    int width;   /* of the widest cell so far */
    int tag;     /* the caller's */
} dd_column;

typedef struct dd_table {
    size_t n_rows, n_columns;
    dd_column *column; /* owned, with their cells */
    bool failed;       /* there was no memory: some cells are missing */
} dd_table;

/* An empty table; to be closed, whatever became of it. */
void dd_table_open(dd_table *t, size_t n_rows);
void dd_table_close(dd_table *t);

/* Appends a column. */
void dd_table_add(dd_table *t, const char *heading, bool right);
/* A cell of the last column, row from 0. The format's result is copied. */
__attribute__((format(printf, 3, 4))) void dd_table_put(dd_table *t, size_t row, const char *format,
                                                        ...);
/* A cell's text; row 0 is the heading, row i + 1 row i. Never NULL. */
const char *dd_table_text(const dd_table *t, size_t column, size_t row);
/* What all cells below the heading say that are not empty, "" where all are; NULL: they differ. */
const char *dd_table_constant(const dd_table *t, size_t column);

/* Puts "#1", "#2", … in place of a column's texts, equal ones alike, and tells in a line each what
 * they stand for: "<item><heading> #1: <text>". markdown: as Markdown */
void dd_table_number(dd_table *t, size_t column, bool markdown, const char *item, FILE *legend);
/* Characters of a line on a terminal. */
int dd_table_width(const dd_table *t);

void dd_table_markdown(const dd_table *t, FILE *out);
void dd_table_csv(const dd_table *t, FILE *out); /* RFC 4180, lines end in \n */
void dd_table_plain(const dd_table *t, FILE *out);

/* Bytes of the UTF-8 character that begins here; 0 if none does, or one that XML 1.0 cannot hold.
 */
size_t dd_text_character(const char *text);
/* Text between XML tags or in an attribute; what XML 1.0 cannot hold becomes '?'.
 */
void dd_text_xml(const char *text, FILE *out);
/* Text inside a Markdown table cell, on one line. */
void dd_text_markdown(const char *text, FILE *out);
/* One line as a code span of Markdown, whatever backticks it has. */
void dd_text_code(const char *text, FILE *out);

#endif
