/* SPDX-License-Identifier: MIT
 * Inside core/model: the operators of which GPT-2 is made, as kernel calls on a lane's rows, each
 * measured where the workspace has a profile. A weight matrix is named by its tensor and layer: N
 * is its number of outputs, K of inputs. Shapes and order of operations are those of kernels.h;
 * outputs overlap no inputs, except where a line says so. */
#ifndef DD_OPERATORS_H
#define DD_OPERATORS_H

#include "workspace.h"

/* y (R, N) = x (R, K) W' + b; b NULL: none */
void dd_linear(const dd_model *m, dd_workspace *ws, size_t R, dd_tensor W, uint32_t l,
               const float *x, const float *b, float *y);
/* gx (R, K) = gy (R, N) W */
void dd_linear_input_grad(const dd_model *m, dd_workspace *ws, size_t R, dd_tensor W, uint32_t l,
                          const float *gy, float *gx);
/* gW (N, K) = gy' x, gy (R, N), x (R, K); gb (N) = the sum of gy's rows; gb NULL: none */
void dd_linear_weight_grad(const dd_model *m, dd_workspace *ws, size_t R, dd_tensor W,
                           const float *gy, const float *x, dd_sink sink, float *gW, float *gb);

/* Every head of every sequence: a->att and a->P from a->qkv; ws->gqkv from ws->gatt. */
void dd_attention_all(const dd_model *m, dd_workspace *ws, size_t n_sequences,
                      const dd_layer_acts *a);
void dd_attention_all_backward(const dd_model *m, dd_workspace *ws, size_t n_sequences,
                               const dd_layer_acts *a);

/* y = LN(x), all (R, C); mean and rstd (R) are written for the backward pass */
void dd_layernorm(const dd_model *m, dd_workspace *ws, size_t R, const float *x, const float *w,
                  const float *b, float *y, float *mean, float *rstd);
/* gx = LNB(gy; x), with `add` gx = gx + that; gw, gb (C) */
void dd_layernorm_backward(const dd_model *m, dd_workspace *ws, size_t R, const float *gy,
                           const float *x, const float *w, const float *mean, const float *rstd,
                           float *gx, bool add, float *gw, float *gb, dd_sink sink);

/* y = gelu(x), n elements */
void dd_gelu(const dd_model *m, dd_workspace *ws, size_t n, const float *x, float *y);
/* gy = gy * dgelu(x), in place */
void dd_gelu_backward(const dd_model *m, dd_workspace *ws, size_t n, const float *x, float *gy);
/* y = x + branch, n elements */
void dd_residual(const dd_model *m, dd_workspace *ws, size_t n, const float *x, const float *branch,
                 float *y);

/* x (R, C): rows of wte by token, plus those of wpe by position */
void dd_embedding(const dd_model *m, dd_workspace *ws, size_t R, float *x);
/* Gradients of wpe and of the lookup rows of wte from ws->gx, the gradient of the embedding. */
void dd_embedding_grad(const dd_model *m, dd_workspace *ws, size_t n_sequences, dd_sink sink,
                       dd_segment *out);

/* ws->loss from ws->logits. returns its sum */
double dd_loss(const dd_model *m, dd_workspace *ws, size_t R);
/* The same; the logits become their gradient. */
double dd_loss_and_grad(const dd_model *m, dd_workspace *ws, size_t R);

#endif
