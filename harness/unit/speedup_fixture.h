/* SPDX-License-Identifier: MIT
 * A speedup table as its readers get it: texts, and the fields of CSV. */
#ifndef DD_SPEEDUP_FIXTURE_H
#define DD_SPEEDUP_FIXTURE_H

#include "report_fixture.h"
#include "speedup.h"

enum { COLUMNS_MAX = 160 };

/* What one of these writes of the fixture's sweep on four cores; the caller frees. */
char *text_of(const fixture *f, void (*write)(const dd_speedup *, FILE *));
void markdown(const dd_speedup *s, FILE *out);
void plain(const dd_speedup *s, FILE *out);

/* Fields of one CSV record; moves past it. */
size_t csv_record(const char **at, char fields[COLUMNS_MAX][512]);
/* The row's field below that name, of n; there must be one. */
const char *csv_value(char heading[COLUMNS_MAX][512], char row[COLUMNS_MAX][512], size_t n,
                      const char *name);

#endif
