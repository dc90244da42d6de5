/* SPDX-License-Identifier: MIT
 * A second opinion on the model: the loss of one sequence in double precision, straight from the
 * GPT-2 formulas and sharing no code, layout helper or loop structure with the oracle. */
#ifndef DD_GPT2_BY_HAND_H
#define DD_GPT2_BY_HAND_H

#include "dodeca.h"

/* Loss in nats of each of the T tokens that follow tokens[0 .. T-1]; weights in canonical order. */
void gpt2_by_hand(const dd_shape *shape, const double *weights, const uint16_t *tokens, uint32_t T,
                  double *loss);

#endif
