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

/* Sequences laid end to end, those of a lane or of several that follow each other: sequence i is
 * tokens[first[i]] .. tokens[first[i] + T], the last a target only. */
typedef struct dd_lane {
    const uint16_t *tokens;
    const uint64_t *first;
    uint32_t n_sequences;
} dd_lane;

/* Activations of a number of sequences. Where operands are kept, both of every weight matrix's
 * gradient are there after dd_gpt2_input_gradients.
 * owns     *out on success, released by dd_acts_close
 * errors   DD_ERR_MEMORY                                                                     */
typedef struct dd_acts dd_acts;
dd_status dd_acts_open(const dd_model *model, uint32_t sequences, bool keep_operands,
                       dd_acts **out);
void dd_acts_close(dd_acts *acts); /* NULL allowed */
uint64_t dd_acts_bytes(const dd_acts *acts);
/* What that would be; UINT64_MAX: more than can be addressed. */
uint64_t dd_acts_size(const dd_model *model, uint32_t sequences, bool keep_operands);

/* What one worker needs for max_sequences at once, of a lane or of several; 0: for slices only
 * (gradient_owner.h). With activations of its own it takes longer lanes too, in pieces: between two
 * sequences every chain over a lane's tokens is stored, and goes on from there (NUMERICS 6). */
typedef struct dd_workspace dd_workspace;

/* acts: shared by workspaces that work on different sequences of them; NULL: the workspace has its
 * own.
 * owns     *out on success, released by dd_workspace_close; borrows acts
 * errors   DD_ERR_MEMORY                                                                     */
dd_status dd_workspace_open(const dd_model *model, uint32_t max_sequences, dd_acts *acts,
                            dd_workspace **out);
/* Lets it fold lanes of up to `longest` sequences, more than it takes at once: such a lane's
 * gradient is whole before it is added, and so needs memory of its own until then.
 * requires activations of the workspace's own
 * errors   DD_ERR_MEMORY                                                                     */
dd_status dd_workspace_open_lane(const dd_model *model, dd_workspace *ws, uint32_t longest);
void dd_workspace_close(dd_workspace *ws); /* NULL allowed */
/* The time of what is done in it from now on is added up there; NULL, as it begins: nowhere.
 * Borrows profile. */
void dd_workspace_measure(dd_workspace *ws, dd_profile *profile);
/* Its bytes, without that memory and what kernels may need; that memory; and what kernels may need,
 * little of which may ever be touched. */
uint64_t dd_workspace_bytes(const dd_workspace *ws);
uint64_t dd_workspace_lane_bytes(const dd_workspace *ws);
uint64_t dd_workspace_scratch_bytes(const dd_workspace *ws);
/* What they would be; UINT64_MAX: more than can be addressed. */
uint64_t dd_workspace_size(const dd_model *model, uint32_t max_sequences, bool shared);
uint64_t dd_workspace_lane_size(const dd_model *model, uint32_t longest);
uint64_t dd_workspace_scratch_size(const dd_model *model, uint32_t max_sequences);

/* Forward and backward. The lane's gradient and loss are stored into *out (DD_STORE) or added to
 * what it holds, *out = *out + lane (DD_FOLD).
 * requires activations of the workspace's own; to fold a lane that it does not take at once,
 *          dd_workspace_open_lane
 * threads  re-entrant for different ws and out                                               */
void dd_gpt2_gradient(const dd_model *model, dd_workspace *ws, const dd_lane *lane, dd_sink sink,
                      dd_segment *out);

/* Forward and backward for several lanes at once, but for the gradients of weight matrices: for
 * these the operands are left in the activations (gradient_owner.h). The sequences of all lanes are
 * in *all; lane i has the next sequences[i] of them, each lane 1 at least, and the first is number
 * `first` of the activations. What is made lane by lane is stored into out[i]: the gradients of
 * vectors and of T rows of wpe, by `vectors` (dd_layout_make_vectors), lookup rows and loss.
 * requires shared activations that keep operands
 * threads  re-entrant for different ws, out and sequences of the activations                  */
void dd_gpt2_input_gradients(const dd_model *model, dd_workspace *ws, const dd_lane *all,
                             uint32_t first, const dd_layout *vectors, const uint32_t *sequences,
                             uint32_t n_lanes, dd_segment *out);

/* Forward only, of sequences that are number `first` of the activations and on; 0 in a workspace
 * with its own, which alone takes lanes in pieces.  returns  the sum of the lane's losses */
double dd_gpt2_loss(const dd_model *model, dd_workspace *ws, const dd_lane *lane, uint32_t first);

#endif
