/* SPDX-License-Identifier: MIT
 * Percentile bootstrap of medians: 95 % intervals from a few repeats. Resampling is counter-based:
 * the same numbers give the same interval, on every machine and in every order of calls.
 *
 * What such an interval is worth depends on the number of repeats. With up to five it is their
 * whole range, from the lowest to the highest, which holds the true median with probability
 * 1 - 2^(1-n): 50, 75, 88 and 94 % of the time for 2, 3, 4 and 5. */
#ifndef DD_BOOTSTRAP_H
#define DD_BOOTSTRAP_H

#include <stdbool.h>
#include <stddef.h>

#define DD_BOOTSTRAP_RESAMPLES 2000
#define DD_BOOTSTRAP_FEW 5 /* with no more repeats than this it is their range */

typedef struct dd_interval {
    double low, high; /* NaN: there is none */
} dd_interval;

/* Of the median of x; of fewer than two numbers there is no interval. Numbers that are NaN are
 * repeats that have none, and are left out: here, and below. */
dd_interval dd_bootstrap_median(const double *x, size_t n);

/* Of median(a) / median(b). Repeats of the same index ran within the same round, so they are drawn
 * in pairs, and what the machine did to both cancels; those that only one of the two has are drawn
 * among themselves. One of the two may have a single number, which is then taken as exact. */
dd_interval dd_bootstrap_ratio(const double *a, size_t n_a, const double *b, size_t n_b);

/* Marks every number that is further from the median than 3 x 1.4826 x the median of all such
 * distances, which for normal noise is three standard deviations. Fewer than
 * DD_OUTLIERS_FROM numbers have no outliers: there is nothing to tell them by.
 * returns  how many are marked; none where there is no memory                                  */
#define DD_OUTLIERS_FROM 4
size_t dd_outliers(const double *x, size_t n, bool *mark);

#endif
