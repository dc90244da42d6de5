/* SPDX-License-Identifier: MIT
 * A SIMD kernel set as a table, its scratch memory, and the burst that times the FMA units. */
#include "set.h"
#include "sets.h"
#include "vector.h"

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t scratch_bytes(size_t max_n, size_t max_k, size_t max_T, size_t max_d)
{
    (void)max_n; /* products' blocks have their size */
    (void)max_k;
    const size_t products = larger(DD_SET_NAME(matmul_scratch)(), DD_SET_NAME(lanes_scratch)());
    return larger(products, DD_SET_NAME(attention_scratch)(max_T, max_d));
}

#define TABLE_OF_(set) dd_##set##_
#define TABLE_OF(set) TABLE_OF_(set)
#define TEXT_(name) #name
#define TEXT(name) TEXT_(name)

const dd_kernels TABLE_OF(DD_SET) = {
    .name = TEXT(DD_SET),
    .scratch_bytes = scratch_bytes,
    .matmul = DD_SET_NAME(matmul),
    .pack = DD_SET_NAME(pack),
    .matmul_lanes = DD_SET_NAME(matmul_lanes),
    .pack_rows = DD_SET_NAME(pack_rows),
    .attention_forward = DD_SET_NAME(attention_forward),
    .attention_backward = DD_SET_NAME(attention_backward),
    .attention_kept = DD_SET_NAME(attention_kept),
    .layernorm = DD_SET_NAME(layernorm),
    .layernorm_backward = DD_SET_NAME(layernorm_backward),
    .layernorm_grad = DD_SET_NAME(layernorm_grad),
    .bias_grad = DD_SET_NAME(bias_grad),
    .gelu = DD_SET_NAME(gelu),
    .gelu_backward = DD_SET_NAME(gelu_backward),
    .add = DD_SET_NAME(add),
    .cross_entropy = DD_SET_NAME(cross_entropy),
    .cross_entropy_loss = DD_SET_NAME(cross_entropy_loss),
    .fold = DD_SET_NAME(fold),
    .sum_squares = DD_SET_NAME(sum_squares),
    .adamw = DD_SET_NAME(adamw),
};

/* Chains enough to hide the latency of two FMA units, and few enough for the registers. */
#if DD_VECTOR_REGISTERS == 1
#define EACH_CHAIN(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#else
#define EACH_CHAIN(X) X(0) X(1) X(2) X(3) X(4) X(5)
#endif

float DD_SET_NAME(burst)(size_t n, float seed)
{
    const dd_v16 a = dd_v16_set(0.5f), b = dd_v16_set(seed);
    /* unlike starts in every lane, lest the compiler take chains that are alike for one */
    static const float starts[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const dd_v16 first = dd_v16_load(starts, 16);
#define START(i) dd_v16 c##i = dd_v16_add(first, dd_v16_set(seed + i));
    EACH_CHAIN(START)
    for (size_t round = 0; round < n; round++) {
#define STEP(i) c##i = dd_v16_fma(c##i, a, b);
        EACH_CHAIN(STEP)
    }
    dd_v16 sum = dd_v16_set(0.0f);
#define FINISH(i) sum = dd_v16_add(sum, c##i);
    EACH_CHAIN(FINISH)
    return dd_v16_combine(sum);
}
