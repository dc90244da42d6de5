/* SPDX-License-Identifier: MIT
 * Drawing a token from logits (NUMERICS 11): a pure function of them and of (seed, index), the same
 * on every machine. Refuses logits that are not finite. */
#ifndef DD_DRAW_H
#define DD_DRAW_H

#include "dodeca.h"

/* Draws one of n tokens, token v having logits[v].
 * shapes   logits (n), weight (n): written
 * requires how->temperature >= 0 and finite; n >= 1
 * returns  the token; n: logits[*bad] is not finite                                          */
uint32_t dd_draw(const float *logits, uint32_t n, const dd_drawing *how, uint64_t index,
                 float *weight, uint32_t *bad);

#endif
