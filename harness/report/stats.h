/* SPDX-License-Identifier: MIT
 * Order statistics of small samples. */
#ifndef DD_STATS_H
#define DD_STATS_H

#include <stddef.h>

/* Sorts ascending. requires no NaN */
void dd_sort(double *x, size_t n);

/* The q-quantile of a sorted sample, 0 <= q <= 1, interpolated linearly between the values at
 * positions floor and ceil of q (n - 1); NaN for n == 0. The median is q = 0.5. */
double dd_quantile(const double *sorted, size_t n, double q);

#endif
