/* SPDX-License-Identifier: MIT
 * One number of a training step made into another: a kernel set whose functions call the real ones
 * and then overwrite one output. Where that is, is said of a lane as if it were run alone, so that
 * the same injection hits the same number whoever runs the lane, together with which others, in
 * the step or in a replay. Tests link with INJECTED of CMakeLists.txt; the product has no part in
 * this. */
#ifndef DD_INJECTION_H
#define DD_INJECTION_H

#include "gpt2.h"

/* Outputs of kernels. `op` counts the calls of that kind in a lane, from 0, in the order of
 * core/model/gpt2.c; rows are the lane's, columns as the shape says. */
typedef enum injected {
    IN_NOTHING,
    /* in a lane, (rows of the lane, columns) unless said otherwise */
    IN_EMBEDDING,
    IN_LAYERNORM,
    IN_MEAN, /* one column, as IN_RSTD */
    IN_RSTD,
    IN_FORWARD, /* a product, as the next */
    IN_INPUT_GRADIENT,
    IN_WEIGHT_GRADIENT,    /* (outputs, inputs) */
    IN_PACKED_ROWS,        /* `owner` alone: an operand of a weight's gradient, laid by */
    IN_ATTENTION,          /* row (sequence, token), column (head, element) */
    IN_ATTENTION_WEIGHTS,  /* the same rows, column (head, token): those up to its own */
    IN_ATTENTION_GRADIENT, /* columns q, k, v */
    IN_RESIDUAL,
    IN_GELU,
    IN_GELU_GRADIENT,
    IN_LAYERNORM_GRADIENT,
    IN_NORM_PARAMETERS, /* row 0 the gain's gradient, row 1 the bias's */
    IN_BIAS,            /* one row */
    IN_POSITION,        /* row: the position; wpe's gradient */
    IN_LOOKUP,          /* the lookup part of wte's gradient, when that row's token is added */
    IN_LOGITS,          /* their gradient */
    IN_LOSS,            /* one column */
    IN_VALIDATION_LOSS, /* likewise */
    IN_LANE_KINDS,
    /* in no lane: `op` counts calls of all threads since the injection began, `column` elements */
    IN_FOLD = IN_LANE_KINDS,
    IN_SUM, /* folds of some elements, and of lookup rows */
    IN_NORM,
    IN_WEIGHTS, /* AdamW's three */
    IN_MEANS,
    IN_SQUARES,
    IN_KINDS
} injected;

typedef struct injection {
    injected kind;
    uint32_t op, row, column;
    float value;
    bool once; /* in the step, not in its replay */
    /* which lane: its number among those that are not empty, the token that its first sequence
     * begins with, and how many it has */
    uint32_t lane;
    uint64_t first_token;
    uint32_t n_sequences;
} injection;

const char *injected_name(injected kind);
/* How many ops of that kind a lane has, and the shape they write: rows is 0 for the lane's own.
 * Columns of IN_FORWARD, … depend on the op. */
uint32_t injected_ops(const dd_layout *layout, injected kind);
void injected_shape(const dd_layout *layout, uint32_t T, injected kind, uint32_t op, uint32_t *rows,
                    uint32_t *columns);
/* The tensor and layer of IN_FORWARD's op, or of IN_INPUT_GRADIENT's and IN_WEIGHT_GRADIENT's. */
dd_tensor injected_matrix(const dd_layout *layout, injected kind, uint32_t op, uint32_t *layer);

/* Between requests only: from now on, until injection_end. */
void injection_begin(const injection *what);
/* returns  how often a number was overwritten */
uint32_t injection_end(void);
/* The workspace in which the lane was first run since injection_begin; NULL: it was not. */
const dd_workspace *injection_workspace(void);

#endif
