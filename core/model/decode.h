/* SPDX-License-Identifier: MIT
 * GPT-2 for a text that grows: the forward pass of NUMERICS 4 for the tokens that are new, over
 * keys and values kept of those before. A row sees no row after it and every output is one chain,
 * so the logits are, bit for bit, those of a forward pass over the whole text, however it is cut
 * into feeds. Keeps weights as products read them; refuses to draw (draw.h), and to forget the
 * oldest tokens for newer ones: learnt positions would no longer be theirs. */
#ifndef DD_DECODE_H
#define DD_DECODE_H

#include "kernels.h"

typedef struct dd_decoder dd_decoder;

/* weights: in canonical order; copied, one matrix after another into panels.
 * requires a valid shape (dd_shape_n_parameters > 0)
 * owns     *out on success, released by dd_decoder_close
 * errors   DD_ERR_MEMORY                                                                     */
dd_status dd_decoder_open(const dd_kernels *kernels, const dd_shape *shape, const float *weights,
                          dd_decoder **out);
void dd_decoder_close(dd_decoder *d); /* NULL allowed */

/* The text goes on with these n tokens; the logits become those of the token after the last.
 * requires n >= 1, tokens[i] < V, dd_decoder_length + n <= T_max                             */
void dd_decoder_feed(dd_decoder *d, const uint32_t *tokens, uint32_t n);
/* The text is empty again. */
void dd_decoder_clear(dd_decoder *d);

uint32_t dd_decoder_length(const dd_decoder *d); /* tokens of the text */
/* (V), of the last feed. */
const float *dd_decoder_logits(const dd_decoder *d);

uint64_t dd_decoder_bytes(const dd_decoder *d);
/* Of them the matrices: a feed of up to 128 tokens reads each once. */
uint64_t dd_decoder_matrix_bytes(const dd_decoder *d);

#endif
