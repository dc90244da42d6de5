/* SPDX-License-Identifier: MIT
 * Windows, the split into training and validation, and the order of an epoch (NUMERICS 9). */
#include "error.h"
#include "random.h"
#include "source.h"
#include "tokens.h"

#include <assert.h>
#include <inttypes.h>

dd_status dd_data_split_get(const dd_data *data, uint32_t T, uint32_t B, dd_data_split *out,
                            dd_error *error)
{
    if (!data || !out)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "dd_data_split_get: data and out must not be NULL");
    if (T < 1 || B < 1)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "seq %" PRIu32 ", batch %" PRIu32 ": both must be at least 1", T, B);
    uint64_t windows = (data->n_tokens - 1) / T;
    uint64_t validation = windows / 10, train = windows - validation;
    if (train < B) {
        /* the fewest windows of which B remain for training */
        uint64_t enough = B + (B - 1) / (uint64_t)9;
        return dd_error_set(error, DD_ERR_DATA,
                            "data %s: %" PRIu64 " tokens are too short for batch %" PRIu32
                            ", seq %" PRIu32 ": %" PRIu64 " would do for one step",
                            data->spec, data->n_tokens, B, T, enough * T + 1);
    }
    *out = (dd_data_split){
        .train_windows = train,
        .validation_windows = validation,
        .steps_per_epoch = train / B,
        .left_out = train % B,
    };
    return DD_OK;
}

/* A permutation of [0, n) for each (seed, epoch). The network permutes [0, 4^h), of which n fills
 * at least a quarter; walking from value to value until one falls below n permutes [0, n). */
static uint64_t permute(uint64_t seed, uint64_t epoch, uint64_t n, uint64_t i)
{
    uint32_t h = 0;
    while ((UINT64_C(1) << 2 * h) < n)
        h++;
    uint64_t mask = (UINT64_C(1) << h) - 1;
    do {
        uint64_t left = i >> h, right = i & mask;
        for (uint32_t round = 0; round < 4; round++) {
            uint32_t f[4];
            dd_philox(seed, (epoch << 32) + right, DD_PURPOSE_ORDER + 256 * (round + 1), f);
            uint64_t mixed = left ^ (f[0] & mask);
            left = right;
            right = mixed;
        }
        i = left << h | right;
    } while (i >= n);
    return i;
}

void dd_batch_train(const dd_data_split *split, uint64_t seed, uint32_t T, uint32_t B,
                    uint64_t step, uint64_t *first_token)
{
    uint64_t epoch = step / split->steps_per_epoch, in_epoch = step % split->steps_per_epoch;
    for (uint32_t b = 0; b < B; b++)
        first_token[b] = permute(seed, epoch, split->train_windows, in_epoch * B + b) * T;
}

void dd_batch_validation(const dd_data_split *split, uint32_t T, uint32_t B, uint64_t i,
                         uint64_t *first_token)
{
    assert((i + 1) * B <= split->validation_windows);
    for (uint32_t b = 0; b < B; b++)
        first_token[b] = (split->train_windows + i * B + b) * T;
}
