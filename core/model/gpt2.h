/* SPDX-License-Identifier: MIT
 * GPT-2: forward pass, loss and backward pass of one lane (NUMERICS 4 to 6). Reads like the maths;
 * re-entrant; knows no threads: every worker brings a workspace and the segment that its gradient
 * goes to. */
#ifndef DD_GPT2_H
#define DD_GPT2_H

#include "kernels.h"
#include "profile.h"
#include "segment.h"
#include "tensors.h"

typedef struct dd_model {
    const dd_kernels *kernels;
    dd_layout layout;
    const float *weights; /* canonical order; read-only while lanes run, as is */
    const float *packed;  /* the same matrices as products read them (packed.h) */
    uint32_t T;           /* tokens per sequence */
    float inv_tokens;     /* 1 / (B T) */
} dd_model;

/* The sequences of a lane: sequence i is tokens[first[i]] .. tokens[first[i] + T], the last a
 * target only. */
typedef struct dd_lane {
    const uint16_t *tokens;
    const uint64_t *first;
    uint32_t n_sequences;
} dd_lane;

/* Activations and their gradients for lanes of up to max_sequences; one worker's own. */
typedef struct dd_workspace dd_workspace;

/* profile, NULL allowed: where the time of this workspace's lanes is added up.
 * owns     *out on success, released by dd_workspace_close; borrows profile
 * errors   DD_ERR_MEMORY                                                                     */
dd_status dd_workspace_open(const dd_model *model, uint32_t max_sequences, dd_profile *profile,
                            dd_workspace **out);
void dd_workspace_close(dd_workspace *ws); /* NULL allowed */
uint64_t dd_workspace_bytes(const dd_workspace *ws);

/* Forward and backward. The lane's gradient and loss are stored into *out (DD_STORE) or added to
 * what it holds, *out = *out + lane (DD_FOLD).
 * threads  re-entrant for different ws and out                                               */
void dd_gpt2_gradient(const dd_model *model, dd_workspace *ws, const dd_lane *lane, dd_sink sink,
                      dd_segment *out);

/* Forward only.  returns  the sum of the lane's losses */
double dd_gpt2_loss(const dd_model *model, dd_workspace *ws, const dd_lane *lane);

#endif
