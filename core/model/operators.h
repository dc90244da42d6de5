/* SPDX-License-Identifier: MIT
 * Inside core/model: the operators of which GPT-2 is made, as kernel calls on the rows that the
 * workspace is at, each measured where it has a profile. A weight matrix is named by its tensor and
 * layer: N is its number of outputs, K of inputs. Shapes and order of operations are those of
 * kernels.h; outputs overlap no inputs, except where a line says so. */
#ifndef DD_OPERATORS_H
#define DD_OPERATORS_H

#include "workspace.h"

/* Where gradients of parameters go: lane by lane, lane i having the next sequences[i] of those at
 * work and at[i] its gradient, laid out by `layout`. */
typedef struct dd_gradients {
    const dd_layout *layout;
    bool vectors_only; /* gradients of weight matrices are left for later */
    const uint32_t *sequences;
    uint32_t n_lanes;
    dd_segment *at; /* (n_lanes) */
    dd_sink sink;   /* DD_RESUME: these are the lanes' next sequences, every chain goes on */
} dd_gradients;

/* y (R, N) = x (R, K) W' + b; b NULL: none; x is kept for W's gradient, where operands are */
void dd_linear(const dd_model *m, dd_workspace *ws, dd_tensor W, uint32_t l, const float *x,
               const float *b, float *y);
/* gx (R, K) = gy (R, N) W */
void dd_linear_input_grad(const dd_model *m, dd_workspace *ws, dd_tensor W, uint32_t l,
                          const float *gy, float *gx);
/* gradient of W (N, K): gy' x, gy (R, N), x (R, K), unless it is left for later */
void dd_linear_weight_grad(const dd_model *m, dd_workspace *ws, const dd_gradients *to, dd_tensor W,
                           uint32_t l, const float *gy, const float *x);
/* gradient of bias b (N): the sum of gy's rows, gy (R, N) */
void dd_bias_grad(const dd_model *m, dd_workspace *ws, const dd_gradients *to, dd_tensor b,
                  uint32_t l, const float *gy);

/* Every head of every sequence: a->att and a->P from a->qkv; a->gqkv from ws->gatt. */
void dd_attention_all(const dd_model *m, dd_workspace *ws, const dd_layer_acts *a);
void dd_attention_all_backward(const dd_model *m, dd_workspace *ws, const dd_layer_acts *a);

/* y = LN(x), all (R, C); mean and rstd (R) are written for the backward pass */
void dd_layernorm(const dd_model *m, dd_workspace *ws, const float *x, const float *w,
                  const float *b, float *y, float *mean, float *rstd);
/* gx = base + LNB(gy; x), base NULL: none; gx == base or gx == x allowed; gradients of gain gw and
 * bias gb (C) */
void dd_layernorm_backward(const dd_model *m, dd_workspace *ws, const dd_gradients *to,
                           dd_tensor gw, dd_tensor gb, uint32_t l, const float *gy, const float *x,
                           const float *w, const float *mean, const float *rstd, const float *base,
                           float *gx);

/* y = gelu(x), (R, 4C) */
void dd_gelu(const dd_model *m, dd_workspace *ws, const float *x, float *y);
/* gx = gy * dgelu(x), (R, 4C); gx == x allowed */
void dd_gelu_backward(const dd_model *m, dd_workspace *ws, const float *gy, const float *x,
                      float *gx);
/* y = x + branch, (R, C) */
void dd_residual(const dd_model *m, dd_workspace *ws, const float *x, const float *branch,
                 float *y);

/* x (R, C): rows of wte by token, plus those of wpe by position */
void dd_embedding(const dd_model *m, dd_workspace *ws, float *x);
/* Gradients of wpe and of the lookup rows of wte from gx (R, C), the gradient of the embedding. */
void dd_embedding_grad(const dd_model *m, dd_workspace *ws, const dd_gradients *to,
                       const float *gx);

/* losses from logits.  returns  `sum` and they, added one after another */
double dd_loss(const dd_model *m, dd_workspace *ws, double sum);
/* Losses and their sums, lane by lane; the logits become their gradient. */
void dd_loss_and_grad(const dd_model *m, dd_workspace *ws, const dd_gradients *to);

/* into = into + lane, whole gradients with lookup rows and loss */
void dd_lane_fold(const dd_model *m, dd_workspace *ws, const dd_segment *lane, dd_segment *into);

#endif
