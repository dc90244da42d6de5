/* SPDX-License-Identifier: MIT
 * builtin: a first-order Markov chain of 64 symbols, drawn from the seed, and a walk through it.
 * Its entropy rate is computed from the chain: no model can reach a lower loss on tokens it has not
 * seen. */
#include "source.h"

#include "platform.h"
#include "random.h"

#include <math.h>

#define N 64
#define N_TOKENS (UINT64_C(1) << 20)

typedef struct chain {
    uint32_t weight[N][N]; /* of the step from row to column, 1 .. 4096: every step is possible */
    uint32_t total[N];
} chain;

/* Weights 4^k with k geometric: most steps are rare, a few likely ones make up most of a row. */
static void make_chain(chain *c, uint64_t seed)
{
    for (uint32_t from = 0; from < N; from++) {
        c->total[from] = 0;
        for (uint32_t to = 0; to < N; to++) {
            uint32_t word[4], w = 1;
            dd_philox(seed, (uint64_t)from * N + to, DD_PURPOSE_MARKOV_CHAIN, word);
            for (uint32_t bits = word[0]; w < 4096 && bits % 2; bits /= 2)
                w *= 4;
            c->weight[from][to] = w;
            c->total[from] += w;
        }
    }
}

/* One step: `word` picks a point of [0, total); a total is below 2^18, so that no point is
 * favoured by more than one part in 2^14 */
static uint32_t walk(const chain *c, uint32_t from, uint32_t word)
{
    uint32_t point = (uint32_t)((uint64_t)word * c->total[from] >> 32), to = 0;
    while (point >= c->weight[from][to])
        point -= c->weight[from][to++];
    return to;
}

/* Sum over rows of (stationary probability) * (entropy of the row). Every weight is positive, so
 * that the iteration contracts by a fixed factor, down to rounding. */
static double entropy_rate(const chain *c)
{
    double p[N];
    for (int i = 0; i < N; i++)
        p[i] = 1.0 / N;
    for (double moved = 2, before = 3; moved > 0 && moved < before;) {
        double next[N] = {0};
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++)
                next[j] += p[i] * c->weight[i][j] / c->total[i];
        before = moved;
        moved = 0;
        for (int i = 0; i < N; i++) {
            moved += fabs(next[i] - p[i]);
            p[i] = next[i];
        }
    }
    double rate = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double q = (double)c->weight[i][j] / c->total[i];
            rate -= p[i] * q * log(q);
        }
    return rate;
}

dd_status dd_data_builtin_(dd_data *data, uint64_t seed, dd_error *error)
{
    chain c;
    dd_status st = dd_data_allocate_(data, N_TOKENS, error);
    if (st != DD_OK)
        return st;
    make_chain(&c, seed);
    data->vocabulary = N;
    data->floor_nats = entropy_rate(&c);
    uint32_t at = 0, word[4];
    for (uint64_t i = 0; i < N_TOKENS; i++) {
        if (i % 4 == 0)
            dd_philox(seed, i / 4, DD_PURPOSE_MARKOV_WALK, word);
        at = walk(&c, at, word[i % 4]);
        data->tokens[i] = (uint16_t)at;
    }
    return DD_OK;
}
