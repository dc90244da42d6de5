/* SPDX-License-Identifier: MIT
 * Forward and backward, operator after operator, over the R rows (tokens) at work; every activation
 * is (R, …), its sequences laid end to end (workspace.h). */
#include "gpt2.h"

#include "operators.h"

#include <assert.h>

/* Everything up to the logits, of sequences `first` and on; a backward pass may follow, or not. */
static void forward(const dd_model *m, dd_workspace *ws, const dd_lane *lane, uint32_t first,
                    bool backward_follows)
{
    const dd_shape *s = &m->layout.shape;
    const float *w = m->weights;
    const dd_acts *acts = &ws->at;
    dd_workspace_turn_to(m, ws, first, lane->n_sequences);
    ws->keeps = backward_follows && acts->keeps_operands;
    for (size_t i = 0, r = 0; i < lane->n_sequences; i++) {
        const uint16_t *text = lane->tokens + lane->first[i];
        for (size_t t = 0; t < m->T; t++, r++) {
            acts->tok[r] = text[t];
            acts->tgt[r] = text[t + 1];
        }
    }

    dd_embedding(m, ws, s->L ? acts->layer[0].x : acts->xf);
#define W(tensor) (w + dd_layout_layer(&m->layout, tensor, l))
    for (uint32_t l = 0; l < s->L; l++) {
        const dd_layer_acts *a = &acts->layer[l];
        float *out = l + 1 < s->L ? acts->layer[l + 1].x : acts->xf;
        dd_layernorm(m, ws, a->x, W(DD_LN1W), W(DD_LN1B), a->n1, a->mean1, a->rstd1);
        dd_linear(m, ws, DD_QKVW, l, a->n1, W(DD_QKVB), a->qkv);
        dd_attention_all(m, ws, a);
        dd_linear(m, ws, DD_ATTPROJW, l, a->att, W(DD_ATTPROJB), ws->branch);
        dd_residual(m, ws, a->x, ws->branch, a->x2);
        dd_layernorm(m, ws, a->x2, W(DD_LN2W), W(DD_LN2B), a->n2, a->mean2, a->rstd2);
        dd_linear(m, ws, DD_FCW, l, a->n2, W(DD_FCB), a->f);
        dd_gelu(m, ws, a->f, a->g);
        dd_linear(m, ws, DD_FCPROJW, l, a->g, W(DD_FCPROJB), ws->branch);
        dd_residual(m, ws, a->x2, ws->branch, out);
    }
#undef W
    dd_layernorm(m, ws, acts->xf, w + m->layout.offset[DD_LNFW], w + m->layout.offset[DD_LNFB],
                 acts->nf, acts->meanf, acts->rstdf);
    dd_linear(m, ws, DD_WTE, 0, acts->nf, NULL, acts->logits);
}

/* What is taken at once of a lane whose first `done` sequences are done. */
static dd_lane next_piece(const dd_workspace *ws, const dd_lane *lane, uint32_t done)
{
    const uint32_t left = lane->n_sequences - done, most = ws->max_sequences;
    return (dd_lane){.tokens = lane->tokens,
                     .first = lane->first + done,
                     .n_sequences = left < most ? left : most};
}

double dd_gpt2_loss(const dd_model *m, dd_workspace *ws, const dd_lane *lane, uint32_t first)
{
    double sum = 0;
    dd_lane piece;
    for (uint32_t done = 0; done < lane->n_sequences; done += piece.n_sequences) {
        piece = next_piece(ws, lane, done);
        forward(m, ws, &piece, first, false);
        sum = dd_loss(m, ws, sum);
    }
    return sum;
}

/* From the logits back to the embedding. The gradient with respect to x, x2, xf and f is made in
 * their own place. */
static void backward(const dd_model *m, dd_workspace *ws, const dd_gradients *to)
{
    const dd_shape *s = &m->layout.shape;
    const float *w = m->weights;
    const dd_acts *acts = &ws->at;

    dd_loss_and_grad(m, ws, to);
    dd_linear_input_grad(m, ws, DD_WTE, 0, acts->logits, ws->gn);
    dd_linear_weight_grad(m, ws, to, DD_WTE, 0, acts->logits, acts->nf);
    dd_layernorm_backward(m, ws, to, DD_LNFW, DD_LNFB, 0, ws->gn, acts->xf,
                          w + m->layout.offset[DD_LNFW], acts->meanf, acts->rstdf, NULL, acts->xf);

#define W(tensor) (w + dd_layout_layer(&m->layout, tensor, l))
    for (uint32_t l = s->L; l-- > 0;) {
        const dd_layer_acts *a = &acts->layer[l];
        const float *gout = l + 1 < s->L ? acts->layer[l + 1].x : acts->xf;
        dd_linear_input_grad(m, ws, DD_FCPROJW, l, gout, ws->gg);
        dd_linear_weight_grad(m, ws, to, DD_FCPROJW, l, gout, a->g);
        dd_bias_grad(m, ws, to, DD_FCPROJB, l, gout);
        dd_gelu_backward(m, ws, ws->gg, a->f, a->f);
        dd_linear_input_grad(m, ws, DD_FCW, l, a->f, ws->gn);
        dd_linear_weight_grad(m, ws, to, DD_FCW, l, a->f, a->n2);
        dd_bias_grad(m, ws, to, DD_FCB, l, a->f);
        dd_layernorm_backward(m, ws, to, DD_LN2W, DD_LN2B, l, ws->gn, a->x2, W(DD_LN2W), a->mean2,
                              a->rstd2, gout, a->x2);

        dd_linear_input_grad(m, ws, DD_ATTPROJW, l, a->x2, ws->gatt);
        dd_linear_weight_grad(m, ws, to, DD_ATTPROJW, l, a->x2, a->att);
        dd_bias_grad(m, ws, to, DD_ATTPROJB, l, a->x2);
        dd_attention_all_backward(m, ws, a);
        dd_linear_input_grad(m, ws, DD_QKVW, l, a->gqkv, ws->gn);
        dd_linear_weight_grad(m, ws, to, DD_QKVW, l, a->gqkv, a->n1);
        dd_bias_grad(m, ws, to, DD_QKVB, l, a->gqkv);
        dd_layernorm_backward(m, ws, to, DD_LN1W, DD_LN1B, l, ws->gn, a->x, W(DD_LN1W), a->mean1,
                              a->rstd1, a->x2, a->x);
    }
#undef W
    dd_embedding_grad(m, ws, to, s->L ? acts->layer[0].x : acts->xf);
}

void dd_gpt2_gradient(const dd_model *m, dd_workspace *ws, const dd_lane *lane, dd_sink sink,
                      dd_segment *out)
{
    assert((sink == DD_STORE || sink == DD_FOLD) && ws->own);
    const bool apart = sink == DD_FOLD && lane->n_sequences > ws->max_sequences;
    assert(!apart || ws->lane.n);
    dd_lane piece;
    dd_gradients to = {.layout = &m->layout,
                       .sequences = &piece.n_sequences,
                       .n_lanes = 1,
                       .at = apart ? ws->lane.at : out,
                       .sink = apart ? DD_STORE : sink};
    for (uint32_t done = 0; done < lane->n_sequences; done += piece.n_sequences) {
        piece = next_piece(ws, lane, done);
        forward(m, ws, &piece, 0, true);
        backward(m, ws, &to);
        to.sink = DD_RESUME;
    }
    if (apart)
        dd_lane_fold(m, ws, ws->lane.at, out);
}

void dd_gpt2_input_gradients(const dd_model *m, dd_workspace *ws, const dd_lane *all,
                             uint32_t first, const dd_layout *vectors, const uint32_t *sequences,
                             uint32_t n_lanes, dd_segment *out)
{
    assert(ws->all->keeps_operands);
    const dd_gradients to = {.layout = vectors,
                             .vectors_only = true,
                             .sequences = sequences,
                             .n_lanes = n_lanes,
                             .at = out,
                             .sink = DD_STORE};
    forward(m, ws, all, first, true);
    backward(m, ws, &to);
}
