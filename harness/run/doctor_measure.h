/* SPDX-License-Identifier: MIT
 * The measurements of `dodeca doctor`: one thread, some seconds in all, each stated with what it
 * means. They describe the machine; nothing is judged here. */
#ifndef DD_DOCTOR_MEASURE_H
#define DD_DOCTOR_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels.h"

/* One product of a `micro` step at 128 rows. */
typedef struct dd_product {
    const char *layer; /* "qkv" */
    const char *pass;  /* "forward", "input gradient", "weight gradient" */
    uint32_t M, N, K;
    double gflops;
    double share; /* of the peak measured in turn with it */
} dd_product;
enum { DD_PRODUCTS = 15 };

typedef struct dd_products {
    dd_product product[DD_PRODUCTS];
    double peak_gflops; /* best of all rounds */
    double
        share_of_pass[3]; /* forward, input gradient, weight gradient: operations / (time * peak) */
    double share;         /* of all fifteen */
} dd_products;

/* Measures one kernel set. Product and peak take turns, so that a change of clock hits both; a
 * share is the median of the rounds. returns  false: out of memory */
bool dd_measure_products(const dd_kernels *set, dd_products *out);

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
