/* SPDX-License-Identifier: MIT
 * A source's tokens and the order in which training meets them, for the layers inside the library.
 */
#ifndef DD_TOKENS_H
#define DD_TOKENS_H

#include "dodeca.h"

/* The word that a token shard of llm.c begins with. */
#define DD_SHARD_MAGIC 20240520

/* All tokens of the source; immutable. */
const uint16_t *dd_data_tokens(const dd_data *data, uint64_t *n);

/* The windows of training step `step`, one per sequence: token index of each window's first token
 * (NUMERICS 9). A pure function of its arguments.
 * requires split made by dd_data_split_get for the same T and B                              */
void dd_batch_train(const dd_data_split *split, uint64_t seed, uint32_t T, uint32_t B,
                    uint64_t step, uint64_t *first_token);
/* Batch i of the validation windows, in file order.  requires (i + 1) * B <= validation_windows */
void dd_batch_validation(const dd_data_split *split, uint32_t T, uint32_t B, uint64_t i,
                         uint64_t *first_token);

#endif
