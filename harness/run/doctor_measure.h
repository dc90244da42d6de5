/* SPDX-License-Identifier: MIT
 * The measurements of `dodeca doctor`: one thread, some seconds in all, each stated with what it
 * means. They describe the machine; nothing is judged here. */
#ifndef DD_DOCTOR_MEASURE_H
#define DD_DOCTOR_MEASURE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "kernels.h"

/* One product of a `micro` step at 128 rows. */
typedef struct dd_product {
    const char *layer; /* "qkv" */
    const char *pass;  /* "forward", "input gradient", "weight gradient" */
    uint32_t M, N, K;
    double gflops;      /* of the round with the median share */
    double peak_gflops; /* measured beside it in that round */
    double share;       /* gflops / peak_gflops */
} dd_product;
enum { DD_PRODUCTS = 15 };

typedef struct dd_products {
    dd_product product[DD_PRODUCTS];
    double peak_gflops; /* best of all rounds, of all products */
    double
        share_of_pass[3]; /* forward, input gradient, weight gradient: operations / (time * peak) */
    double share;         /* of all fifteen */
} dd_products;

/* Measures one kernel set. Product and peak take turns, so that a change of clock hits both.
 * returns  false: out of memory */
bool dd_measure_products(const dd_kernels *set, dd_products *out);
/* Takes a product's numbers from the round with the median share, of n, an odd number. flops, peak:
 * operations per second of each. */
void dd_product_take(dd_product *p, const double *flops, const double *peak, size_t n);
void dd_products_print(const dd_products *p, FILE *out);

/* Bytes per second that a copy reads and writes, larger than any cache; 0: out of memory. */
double dd_measure_copy(void);

typedef struct dd_noise {
    double resolution_ns; /* least step of the clock */
    double loop_ns;       /* median of a fixed loop in registers, about a millisecond */
    double spread;        /* (90th - 10th percentile) / median */
    double worst;         /* slowest / median */
} dd_noise;
dd_noise dd_measure_noise(void);

#endif
