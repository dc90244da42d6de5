/* SPDX-License-Identifier: MIT
 * Forward and backward of one lane, operator after operator. R is the lane's number of rows
 * (tokens); every activation is (R, …), its sequences laid end to end (workspace.h). */
#include "gpt2.h"

#include "operators.h"

#include <assert.h>

/* Everything up to the logits. Returns R. */
static size_t forward(const dd_model *m, dd_workspace *ws, const dd_lane *lane)
{
    const dd_shape *s = &m->layout.shape;
    const float *w = m->weights;
    size_t C = s->C, T = m->T, R = lane->n_sequences * T;
    assert(lane->n_sequences <= ws->max_sequences);

    for (size_t i = 0, r = 0; i < lane->n_sequences; i++) {
        const uint16_t *text = lane->tokens + lane->first[i];
        for (size_t t = 0; t < T; t++, r++) {
            ws->tok[r] = text[t];
            ws->tgt[r] = text[t + 1];
        }
    }

    dd_embedding(m, ws, R, s->L ? ws->layer[0].x : ws->xf);
#define W(tensor) (w + dd_layout_layer(&m->layout, tensor, l))
    for (uint32_t l = 0; l < s->L; l++) {
        const dd_layer_acts *a = &ws->layer[l];
        float *out = l + 1 < s->L ? ws->layer[l + 1].x : ws->xf;
        dd_layernorm(m, ws, R, a->x, W(DD_LN1W), W(DD_LN1B), a->n1, a->mean1, a->rstd1);
        dd_linear(m, ws, R, DD_QKVW, l, a->n1, W(DD_QKVB), a->qkv);
        dd_attention_all(m, ws, lane->n_sequences, a);
        dd_linear(m, ws, R, DD_ATTPROJW, l, a->att, W(DD_ATTPROJB), ws->branch);
        dd_residual(m, ws, R * C, a->x, ws->branch, a->x2);
        dd_layernorm(m, ws, R, a->x2, W(DD_LN2W), W(DD_LN2B), a->n2, a->mean2, a->rstd2);
        dd_linear(m, ws, R, DD_FCW, l, a->n2, W(DD_FCB), a->f);
        dd_gelu(m, ws, R * 4 * C, a->f, a->g);
        dd_linear(m, ws, R, DD_FCPROJW, l, a->g, W(DD_FCPROJB), ws->branch);
        dd_residual(m, ws, R * C, a->x2, ws->branch, out);
    }
#undef W
    dd_layernorm(m, ws, R, ws->xf, w + m->layout.offset[DD_LNFW], w + m->layout.offset[DD_LNFB],
                 ws->nf, ws->meanf, ws->rstdf);
    dd_linear(m, ws, R, DD_WTE, 0, ws->nf, NULL, ws->logits);
    return R;
}

double dd_gpt2_loss(const dd_model *m, dd_workspace *ws, const dd_lane *lane)
{
    size_t R = forward(m, ws, lane);
    return dd_loss(m, ws, R);
}

void dd_gpt2_gradient(const dd_model *m, dd_workspace *ws, const dd_lane *lane, dd_sink sink,
                      dd_segment *out)
{
    assert(sink == DD_STORE || sink == DD_FOLD);
    const dd_shape *s = &m->layout.shape;
    const float *w = m->weights;
    float *g = out->dense;
    size_t C = s->C, R = forward(m, ws, lane);

    const double loss = dd_loss_and_grad(m, ws, R);
    out->loss = sink == DD_FOLD ? out->loss + loss : loss;

    dd_linear_input_grad(m, ws, R, DD_WTE, 0, ws->logits, ws->gn);
    dd_linear_weight_grad(m, ws, R, DD_WTE, ws->logits, ws->nf, sink, g + m->layout.offset[DD_WTE],
                          NULL);
    dd_layernorm_backward(m, ws, R, ws->gn, ws->xf, w + m->layout.offset[DD_LNFW], ws->meanf,
                          ws->rstdf, ws->gx, false, g + m->layout.offset[DD_LNFW],
                          g + m->layout.offset[DD_LNFB], sink);

#define W(tensor) (w + dd_layout_layer(&m->layout, tensor, l))
#define G(tensor) (g + dd_layout_layer(&m->layout, tensor, l))
    for (uint32_t l = s->L; l-- > 0;) {
        const dd_layer_acts *a = &ws->layer[l];
        /* gx: gradient of the layer's output */
        dd_linear_input_grad(m, ws, R, DD_FCPROJW, l, ws->gx, ws->gf);
        dd_linear_weight_grad(m, ws, R, DD_FCPROJW, ws->gx, a->g, sink, G(DD_FCPROJW),
                              G(DD_FCPROJB));
        dd_gelu_backward(m, ws, R * 4 * C, a->f, ws->gf);
        dd_linear_input_grad(m, ws, R, DD_FCW, l, ws->gf, ws->gn);
        dd_linear_weight_grad(m, ws, R, DD_FCW, ws->gf, a->n2, sink, G(DD_FCW), G(DD_FCB));
        dd_layernorm_backward(m, ws, R, ws->gn, a->x2, W(DD_LN2W), a->mean2, a->rstd2, ws->gx, true,
                              G(DD_LN2W), G(DD_LN2B), sink);

        /* gx: gradient of x2 */
        dd_linear_input_grad(m, ws, R, DD_ATTPROJW, l, ws->gx, ws->gatt);
        dd_linear_weight_grad(m, ws, R, DD_ATTPROJW, ws->gx, a->att, sink, G(DD_ATTPROJW),
                              G(DD_ATTPROJB));
        dd_attention_all_backward(m, ws, lane->n_sequences, a);
        dd_linear_input_grad(m, ws, R, DD_QKVW, l, ws->gqkv, ws->gn);
        dd_linear_weight_grad(m, ws, R, DD_QKVW, ws->gqkv, a->n1, sink, G(DD_QKVW), G(DD_QKVB));
        dd_layernorm_backward(m, ws, R, ws->gn, a->x, W(DD_LN1W), a->mean1, a->rstd1, ws->gx, true,
                              G(DD_LN1W), G(DD_LN1B), sink);
        /* gx: gradient of the layer's input */
    }
#undef W
#undef G
    dd_embedding_grad(m, ws, lane->n_sequences, sink, out);
}
