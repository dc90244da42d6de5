/* SPDX-License-Identifier: MIT
 * What the parts of the speedup table for people share: speedup_columns.c (what stands in it),
 * speedup_write.c (one table or several, and what is told once above them) and speedup_legend.c
 * (what stands below). */
#ifndef DD_SPEEDUP_PAGE_H
#define DD_SPEEDUP_PAGE_H

#include "speedup.h"

typedef struct page {
    const dd_speedup *s;     /* the rows of this table */
    const dd_speedup *whole; /* of all tables */
    bool markdown;
    dd_table table;
} page;

/* A column's tag: told above the table where it never varies; numbers; left to files where it
 * varies; texts of any length. */
enum { ONCE = 1, RIGHT = 2, FILES = 4, LONG = 8 };

/* A ratio that has a column where some row has it. */
typedef struct dd_comparison {
    const char *heading, *terminal; /* in a file, on a terminal */
    const char *by;                 /* the row divided by, for the legend */
    size_t at;                      /* of the dd_ratio, in dd_speedup_row */
} dd_comparison;

enum { DD_PAGE_COMPARISONS = 4 };
extern const dd_comparison dd_page_comparisons_[DD_PAGE_COMPARISONS];

/* Whether the sweep compares rows by this ratio: some row is divided by another than itself. */
bool dd_page_compares_(const dd_speedup *s, size_t at);
/* Whether some row's "x oracle" is of the oracle's row; of its run that judges. */
bool dd_page_by_oracle_row_(const dd_speedup *s);
bool dd_page_by_oracle_run_(const dd_speedup *s);
/* Whether some row is no plug-in's. */
bool dd_page_has_own_(const dd_speedup *s);
/* Whether a row's interval is wider than was asked for, and no repeat is to come. */
bool dd_page_is_wide_(const dd_speedup_row *row);
/* Workers at the start, where the membership that the run ended with has another number; else 0. */
uint32_t dd_page_began_with_(const dd_speedup_row *row);

/* Opens p->table with all columns; the same ones for some rows as for all. */
void dd_page_open_(page *p);
/* Legend, data and reasons, below the tables of the whole. */
void dd_page_write_below_(const page *p, FILE *out);

#endif
