/* SPDX-License-Identifier: MIT
 * Coefficients of the cost model: least squares over measured steps, every coefficient at least 0,
 * since no work gives time back. What counts is relative error, so that a step of 100 us weighs as
 * much as one of 100 ms. Pure arithmetic: no files, no clock. */
#ifndef DD_COST_FIT_H
#define DD_COST_FIT_H

#include <stddef.h>

#include "cost_amounts.h"

#define DD_COST_FOLDS_OF_CHECK 5

typedef struct dd_cost_row {
    double amount[DD_COST_TERMS];
    double ns;      /* measured, > 0 */
    uint32_t group; /* rows of one shape are one group */
} dd_cost_row;

typedef struct dd_cost_fit {
    double ns_per[DD_COST_TERMS]; /* >= 0; 0 where no row has any of it */
    bool seen[DD_COST_TERMS];     /* some row has some of it */
} dd_cost_fit;

/* Fits all rows but those left out (left_out NULL: none are). */
void dd_cost_fit_rows(const dd_cost_row *row, size_t n, const bool *left_out, dd_cost_fit *out);
/* Nanoseconds of a step. */
double dd_cost_time(const dd_cost_fit *fit, const double amount[DD_COST_TERMS]);

/* Errors of predictions by fits that had not seen what they predict, predicted / measured - 1.
 * Rows are left out in turn: every fifth, beginning with the first, the second, … (error; rows with
 * the same amounts are one case, measured twice, and are left out together), and every row of a
 * group (group_error; NaN if there is one group only).
 * errors   false: no memory                                                                   */
bool dd_cost_check(const dd_cost_row *row, size_t n, double *error, double *group_error);

#endif
