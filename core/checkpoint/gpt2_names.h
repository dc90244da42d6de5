/* SPDX-License-Identifier: MIT
 * GPT-2 in a safetensors file, as model hubs have it: which tensor lies under which name, and in
 * which layout. Linear weights are (in, out) there, (out, in) in dodeca. Knows no bytes. */
#ifndef DD_GPT2_NAMES_H
#define DD_GPT2_NAMES_H

#include "model_pieces.h"
#include "safetensors.h"
#include "tensors.h"

/* What a file of this kind holds. */
typedef struct dd_gpt2_names {
    dd_shape shape;
    dd_model_piece *piece; /* n of them, in the order of dd_gpt2_names_tensors */
    uint32_t n;
    const dd_safetensor *wte;     /* in the file read */
    const dd_safetensor *lm_head; /* a copy of it, of the same type and shape, or NULL */
} dd_gpt2_names;

/* Finds every tensor of a model, with or without "transformer." before its name. Heads are not seen
 * in tensors: they are read from the metadata's n_head; else from a config.json beside the file;
 * else they have 64 channels each, as in every GPT-2 that was published.
 * owns     out->piece on success, released by dd_free; pointers into s live as long as that
 * errors   DD_ERR_DATA: a tensor is missing, unknown, or of another type or shape, or metadata or
 *          config.json are of another model; DD_ERR_MEMORY                                     */
dd_status dd_gpt2_names_find(const dd_safetensors *s, dd_gpt2_names *out, dd_error *error);

/* Tensors and pieces that a file of this shape has, n of them, offsets not yet known.
 * owns     *tensor, *name and *piece on success, released by dd_free
 * errors   DD_ERR_MEMORY                                                                       */
typedef char dd_gpt2_name[32];
dd_status dd_gpt2_names_make(const dd_shape *shape, dd_safetensor **tensor, dd_gpt2_name **name,
                             dd_model_piece **piece, uint32_t *n, dd_error *error);

/* Sets shape->NH, the other sizes being known from tensors.  errors  DD_ERR_DATA, DD_ERR_MEMORY */
dd_status dd_gpt2_heads_find(const dd_safetensors *s, dd_shape *shape, dd_error *error);

#endif
