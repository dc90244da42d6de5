/* SPDX-License-Identifier: MIT
 * `dodeca bench --order`: what it costs that every sum has one order. Each row measures the same
 * work twice, in turn: with the order that NUMERICS.md fixes, and with the best order that is free
 * to reassociate. */
#ifndef DD_ORDER_BENCH_H
#define DD_ORDER_BENCH_H

#include "kernel_bench.h"

/* One comparison. */
typedef struct dd_order_row {
    char what[96], fixed_as[64], free_as[64];
    double fixed_ns, free_ns; /* medians */
    double ratio;             /* median of the rounds' fixed / free */
} dd_order_row;

typedef struct dd_order_table {
    const dd_bench_options *o;
    dd_order_row *row;
    size_t n, capacity;
    bool failed; /* a product came out wrong */
} dd_order_table;

/* Whether a row of this name is asked for. */
bool dd_order_wanted(const dd_order_table *t, const char *what);

/* Adds and prints a row from the nanoseconds of each round.  returns  false: no memory */
bool dd_order_add(dd_order_table *t, const char *what, const char *fixed_as, const char *free_as,
                  double *fixed_ns, double *free_ns);

/* The parts; each leaves out what is not asked for.  returns  false: no memory */
bool dd_order_tiles_(dd_order_table *t); /* register tiles and row sums, in registers and L1 */
bool dd_order_lanes_(dd_order_table *t); /* weight gradients of two lanes */
bool dd_order_folds_(dd_order_table *t); /* four segments to one */
bool dd_order_steps_(dd_order_table *t); /* whole steps */

/* Runs, prints, and tells the exit code. */
int dd_bench_order(const dd_bench_options *o);

#endif
