/* SPDX-License-Identifier: MIT
 * Which tokens may be drawn, their weights, and the one that a random number falls on. */
#include "draw.h"

#include "elementary.h"
#include "random.h"

#include <assert.h>
#include <math.h>

/* Of two finite floats the greater has the greater key; +0 and -0 have the same. */
static uint32_t key_of(float x)
{
    const uint32_t bits = dd_float_bits(x + 0.0f);
    return bits >> 31 ? ~bits : bits | UINT32_C(1) << 31;
}

/* The key of the k-th greatest of n > k logits, bit after bit; *at_it: how many of those that have
 * it are among the k. */
static uint32_t kth_key(const float *logits, uint32_t n, uint32_t k, uint32_t *at_it)
{
    uint32_t key = 0, above = 0;
    for (uint32_t bit = UINT32_C(1) << 31; bit; bit >>= 1) {
        uint32_t reach = 0;
        for (uint32_t v = 0; v < n; v++)
            reach += key_of(logits[v]) >= (key | bit);
        if (reach >= k)
            key |= bit;
        else
            above = reach; /* they have more than this key will */
    }
    *at_it = k - above;
    return key;
}

static uint32_t greatest(const float *logits, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t v = 1; v < n; v++)
        if (logits[v] > logits[best])
            best = v;
    return best;
}

/* In [0, 1), 53 bits of it. */
static double uniform(uint64_t seed, uint64_t index)
{
    uint32_t word[4];
    dd_philox(seed, index, DD_PURPOSE_DRAW, word);
    return (double)(((uint64_t)word[0] << 32 | word[1]) >> 11) * 0x1p-53;
}

uint32_t dd_draw(const float *logits, uint32_t n, const dd_drawing *how, uint64_t index,
                 float *weight, uint32_t *bad)
{
    assert(n >= 1 && how->temperature >= 0);
    for (uint32_t v = 0; v < n; v++)
        if (!isfinite(logits[v])) {
            *bad = v;
            return n;
        }
    const uint32_t best = greatest(logits, n);
    if (!(how->temperature > 0))
        return best;
    uint32_t at_it = n, key = 0;
    if (how->top_k > 0 && how->top_k < n)
        key = kth_key(logits, n, how->top_k, &at_it);

    const double M = (double)logits[best];
    double sum = 0;
    for (uint32_t v = 0; v < n; v++) {
        const uint32_t own = key_of(logits[v]);
        weight[v] = 0.0f;
        if (own < key || (own == key && at_it == 0))
            continue;
        at_it -= own == key;
        const double x = ((double)logits[v] - M) / how->temperature;
        weight[v] = dd_exp(x < (double)DD_EXP_MIN ? DD_EXP_MIN : (float)x);
        sum += (double)weight[v];
    }
    /* below sum, since what is below 1 times sum rounds to less than it: one is always found */
    const double mark = uniform(how->seed, index) * sum;
    uint32_t v = 0;
    for (double reached = (double)weight[0]; !(reached > mark); reached += (double)weight[v]) {
        v++;
        assert(v < n);
    }
    return v;
}
