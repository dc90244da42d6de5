/* SPDX-License-Identifier: MIT
 * The memory of a workspace: how much each array takes, and where it lies. */
#include "workspace.h"

#include "pages.h"
#include "platform.h"

/* Hands out consecutive pieces of the workspace; with base NULL it only counts. */
typedef struct carver {
    float *base;
    size_t used; /* floats */
} carver;

static float *carve(carver *c, size_t n)
{
    float *p = c->base ? c->base + c->used : NULL;
    c->used += (n + 15) / 16 * 16; /* every array starts on a cache line */
    return p;
}

static void carve_all(dd_workspace *ws, carver *c, const dd_model *m)
{
    const dd_shape *s = &m->layout.shape;
    size_t S = ws->max_sequences, T = m->T, R = S * T, C = s->C, V = s->V;
    for (uint32_t l = 0; l < s->L; l++) {
        dd_layer_acts *a = &ws->layer[l];
        a->x = carve(c, R * C);
        a->mean1 = carve(c, R);
        a->rstd1 = carve(c, R);
        a->n1 = carve(c, R * C);
        a->qkv = carve(c, R * 3 * C);
        a->P = carve(c, S * s->NH * T * T);
        a->att = carve(c, R * C);
        a->x2 = carve(c, R * C);
        a->mean2 = carve(c, R);
        a->rstd2 = carve(c, R);
        a->n2 = carve(c, R * C);
        a->f = carve(c, R * 4 * C);
        a->g = carve(c, R * 4 * C);
    }
    ws->xf = carve(c, R * C);
    ws->meanf = carve(c, R);
    ws->rstdf = carve(c, R);
    ws->nf = carve(c, R * C);
    ws->logits = carve(c, R * V);
    ws->loss = carve(c, R);
    ws->branch = carve(c, R * C);
    ws->gx = carve(c, R * C);
    ws->gn = carve(c, R * C);
    ws->gatt = carve(c, R * C);
    ws->gf = carve(c, R * 4 * C);
    ws->gqkv = carve(c, R * 3 * C);
}

dd_status dd_workspace_open(const dd_model *m, uint32_t max_sequences, dd_profile *profile,
                            dd_workspace **out)
{
    const dd_shape *s = &m->layout.shape;
    *out = NULL;
    /* more floats than carve_all could ask for, in double: no product there wraps below 2^50 */
    double rows = (double)max_sequences * m->T, C = s->C;
    double floats = s->L * rows * ((double)s->NH * m->T + 32 * C) + rows * (s->V + 32 * C);
    if (!(floats < 0x1p50))
        return DD_ERR_MEMORY;
    dd_workspace *ws = dd_alloc(sizeof *ws);
    if (!ws)
        return DD_ERR_MEMORY;
    ws->max_sequences = max_sequences;
    ws->profile = profile;
    ws->layer = dd_alloc(s->L * sizeof *ws->layer);
    if (!ws->layer)
        goto fail;

    carver count = {0};
    carve_all(ws, &count, m);
    size_t R = (size_t)max_sequences * m->T;
    size_t wide = s->V > 4 * s->C ? s->V : 4 * s->C;
    size_t deep = R > wide ? R : wide;
    size_t scratch_bytes = m->kernels->scratch_bytes(wide, deep, m->T, s->C / s->NH);
    uint32_t capacity = R < s->V ? (uint32_t)R : s->V;

    ws->memory = dd_alloc(count.used * sizeof *ws->memory);
    ws->scratch = dd_alloc(scratch_bytes);
    ws->tok = dd_alloc(R * sizeof *ws->tok);
    ws->tgt = dd_alloc(R * sizeof *ws->tgt);
    if (!ws->memory || !ws->scratch || !ws->tok || !ws->tgt ||
        dd_rows_open(&ws->lookup, capacity, s->C, s->V))
        goto fail;
    dd_pages_huge(ws->memory, count.used * sizeof *ws->memory);
    carver pieces = {.base = ws->memory};
    carve_all(ws, &pieces, m);
    ws->bytes = sizeof *ws + s->L * sizeof *ws->layer + count.used * sizeof *ws->memory +
                scratch_bytes + 2 * R * sizeof *ws->tok + dd_rows_bytes(&ws->lookup);
    *out = ws;
    return DD_OK;

fail:
    dd_workspace_close(ws);
    return DD_ERR_MEMORY;
}

void dd_workspace_close(dd_workspace *ws)
{
    if (!ws)
        return;
    dd_rows_close(&ws->lookup);
    dd_free(ws->tgt);
    dd_free(ws->tok);
    dd_free(ws->scratch);
    dd_free(ws->memory);
    dd_free(ws->layer);
    dd_free(ws);
}

uint64_t dd_workspace_bytes(const dd_workspace *ws)
{
    return ws->bytes;
}
