/* SPDX-License-Identifier: MIT
 * The libraries behind peers.h, seen from inside the child process that loads one of them. */
#ifndef DD_PEER_LIBRARIES_H
#define DD_PEER_LIBRARIES_H

#include "peers.h"

/* C (M, N) = op(A) op(B), with `add` C = C + that; row-major. An operand marked `turned` lies
 * transposed: A as (K, M), B as (N, K). */
typedef struct dd_gemm {
    int M, N, K;
    bool a_turned, b_turned, add;
    const float *a, *b;
    float *c;
} dd_gemm;

typedef struct dd_library {
    const char *name, *file;
    /* Loads it with one thread, held to the instructions of `set` where it is wider.
     * returns  false, why: it cannot be had or not be held                                 */
    bool (*load)(const char *file, const char *set, char about[DD_PEER_WHY_MAX],
                 char why[DD_PEER_WHY_MAX]);
    void (*multiply)(const dd_gemm *g);
} dd_library;

extern const dd_library dd_libraries[DD_PEERS];

#endif
