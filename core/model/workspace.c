/* SPDX-License-Identifier: MIT
 * The memory of activations and workspaces: how much each array takes, and where it lies. */
#include "workspace.h"

#include "pages.h"
#include "platform.h"

#include <assert.h>

/* ---- Arrays ---- */

/* Hands out consecutive pieces of memory; with base NULL it only counts. */
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

/* One array of activations: `each` floats a sequence; or n_panels, of which every row has 16. */
typedef struct array {
    size_t each, n_panels;
} array;

typedef void visitor(void *arg, float **at, array what);

/* Every array of activations but the tokens, once. */
static void visit_all(const dd_model *m, dd_acts *a, visitor *visit, void *arg)
{
    const dd_shape *s = &m->layout.shape;
    const size_t T = m->T, C = s->C;
    const array rows = {.each = T}, wide = {.each = T * C}, wide3 = {.each = 3 * T * C},
                wide4 = {.each = 4 * T * C}, weights = {.each = s->NH * T * T},
                logits = {.each = T * s->V}, panels = {.n_panels = (C + 15) / 16},
                panels4 = {.n_panels = (4 * C + 15) / 16};
    for (uint32_t l = 0; l < s->L; l++) {
        dd_layer_acts *layer = &a->layer[l];
        visit(arg, &layer->x, wide);
        visit(arg, &layer->mean1, rows);
        visit(arg, &layer->rstd1, rows);
        visit(arg, &layer->qkv, wide3);
        visit(arg, &layer->P, weights);
        visit(arg, &layer->x2, wide);
        visit(arg, &layer->mean2, rows);
        visit(arg, &layer->rstd2, rows);
        visit(arg, &layer->f, wide4);
        if (a->keeps_operands) {
            visit(arg, &layer->gqkv, wide3);
            visit(arg, &layer->in_qkv, panels);
            visit(arg, &layer->in_attproj, panels);
            visit(arg, &layer->in_fc, panels);
            visit(arg, &layer->in_fcproj, panels4);
        } else {
            if (l == 0)
                visit(arg, &layer->gqkv, wide3);
            else
                layer->gqkv = a->layer[0].gqkv;
            visit(arg, &layer->n1, wide);
            visit(arg, &layer->att, wide);
            visit(arg, &layer->n2, wide);
            visit(arg, &layer->g, wide4);
        }
    }
    visit(arg, &a->xf, wide);
    visit(arg, &a->meanf, rows);
    visit(arg, &a->rstdf, rows);
    visit(arg, a->keeps_operands ? &a->in_wte : &a->nf, a->keeps_operands ? panels : wide);
    visit(arg, &a->logits, logits);
    visit(arg, &a->loss, rows);
}

/* ---- Activations ---- */

typedef struct carving {
    carver carver;
    const dd_acts *acts;
} carving;

static void carve_one(void *arg, float **at, array what)
{
    carving *c = arg;
    *at = carve(&c->carver, c->acts->sequences * what.each + what.n_panels * c->acts->panel_pitch);
}

/* An upper bound in double, in which no product wraps. */
static bool too_many(const dd_model *m, uint32_t sequences)
{
    const dd_shape *s = &m->layout.shape;
    const double rows = (double)sequences * m->T, C = s->C + 15.0;
    const double floats =
        s->L * rows * ((double)s->NH * m->T + 32 * C) + (rows + 1) * (s->V + 32 * C);
    return !(floats < 0x1p50);
}

static size_t panel_pitch(const dd_model *m, uint32_t sequences)
{
    /* one row more, lest the same row of all panels fall into one set of the cache */
    return ((size_t)sequences * m->T + 1) * 16;
}

/* Floats of activations with L layers, 2 at most. */
static uint64_t floats_of(const dd_model *m, uint32_t sequences, bool keep_operands, uint32_t L)
{
    dd_model few = *m;
    few.layout.shape.L = L;
    dd_layer_acts layer[2];
    dd_acts a = {.sequences = sequences,
                 .keeps_operands = keep_operands,
                 .panel_pitch = panel_pitch(m, sequences),
                 .layer = layer};
    carving c = {.acts = &a};
    visit_all(&few, &a, carve_one, &c);
    return c.carver.used;
}

uint64_t dd_acts_size(const dd_model *m, uint32_t sequences, bool keep_operands)
{
    if (too_many(m, sequences))
        return UINT64_MAX;
    const dd_acts *a = NULL;
    const uint32_t L = m->layout.shape.L, few = L < 2 ? L : 2;
    uint64_t floats = floats_of(m, sequences, keep_operands, few);
    if (L > few) /* all layers but the first are alike */
        floats += (L - few) * (floats - floats_of(m, sequences, keep_operands, 1));
    return sizeof *a + (L + (uint64_t)1) * sizeof *a->layer + floats * sizeof *a->memory +
           2 * (uint64_t)sequences * m->T * sizeof *a->tok;
}

dd_status dd_acts_open(const dd_model *m, uint32_t sequences, bool keep_operands, dd_acts **out)
{
    const uint32_t L = m->layout.shape.L;
    *out = NULL;
    if (too_many(m, sequences))
        return DD_ERR_MEMORY;
    dd_acts *a = dd_alloc(sizeof *a);
    if (!a)
        return DD_ERR_MEMORY;
    const size_t R = (size_t)sequences * m->T;
    *a = (dd_acts){.sequences = sequences,
                   .keeps_operands = keep_operands,
                   .panel_pitch = panel_pitch(m, sequences)};
    a->layer = dd_alloc((L + (size_t)1) * sizeof *a->layer);
    a->tok = dd_alloc(R * sizeof *a->tok);
    a->tgt = dd_alloc(R * sizeof *a->tgt);
    if (!a->layer || !a->tok || !a->tgt)
        goto fail;
    carving c = {.acts = a};
    visit_all(m, a, carve_one, &c); /* counts */
    const size_t bytes = c.carver.used * sizeof *a->memory;
    a->memory = dd_alloc(bytes);
    if (!a->memory)
        goto fail;
    dd_pages_huge(a->memory, bytes);
    c.carver = (carver){.base = a->memory};
    visit_all(m, a, carve_one, &c);
    a->bytes = dd_acts_size(m, sequences, keep_operands);
    *out = a;
    return DD_OK;

fail:
    dd_acts_close(a);
    return DD_ERR_MEMORY;
}

void dd_acts_close(dd_acts *a)
{
    if (!a)
        return;
    dd_free(a->memory);
    dd_free(a->tgt);
    dd_free(a->tok);
    dd_free(a->layer);
    dd_free(a);
}

uint64_t dd_acts_bytes(const dd_acts *a)
{
    return a->bytes;
}

/* ---- A view ---- */

typedef struct shift {
    size_t sequences, rows;
} shift;

static void shift_one(void *arg, float **at, array what)
{
    const shift *by = arg;
    *at += what.n_panels ? 16 * by->rows : by->sequences * what.each;
}

void dd_workspace_turn_to(const dd_model *m, dd_workspace *ws, uint32_t first, uint32_t n)
{
    assert(n <= ws->max_sequences && first + n <= ws->all->sequences);
    shift by = {.sequences = first, .rows = (size_t)first * m->T};
    dd_layer_acts *layer = ws->at.layer;
    for (uint32_t l = 0; l < m->layout.shape.L; l++)
        layer[l] = ws->all->layer[l];
    ws->at = *ws->all;
    ws->at.layer = layer;
    ws->at.memory = NULL;
    ws->at.sequences = n;
    ws->at.tok += by.rows;
    ws->at.tgt += by.rows;
    visit_all(m, &ws->at, shift_one, &by);
    if (ws->at.keeps_operands) {
        for (uint32_t l = 0; l < m->layout.shape.L; l++) {
            layer[l].n1 = layer[l].n2 = ws->gn;
            layer[l].att = ws->gatt;
            layer[l].g = ws->gg;
        }
        ws->at.nf = ws->gn;
    }
    ws->n_sequences = n;
    ws->R = (size_t)n * m->T;
}

float *dd_acts_operand(const dd_acts *acts, dd_tensor k, uint32_t l)
{
    switch (k) {
    case DD_WTE:
        return acts->in_wte;
    case DD_QKVW:
        return acts->layer[l].in_qkv;
    case DD_ATTPROJW:
        return acts->layer[l].in_attproj;
    case DD_FCW:
        return acts->layer[l].in_fc;
    default:
        assert(k == DD_FCPROJW);
        return acts->layer[l].in_fcproj;
    }
}

/* ---- Workspaces ---- */

static void carve_own(dd_workspace *ws, carver *c, const dd_model *m)
{
    const size_t RC = (size_t)ws->max_sequences * m->T * m->layout.shape.C;
    ws->branch = carve(c, RC);
    ws->gn = carve(c, RC);
    ws->gatt = carve(c, RC);
    ws->gg = carve(c, 4 * RC);
}

/* Lookup rows that so many sequences have at most. */
static uint32_t most_rows(const dd_model *m, uint32_t sequences)
{
    const uint64_t R = (uint64_t)sequences * m->T, V = m->layout.shape.V;
    return (uint32_t)(R < V ? R : V);
}

uint64_t dd_workspace_scratch_size(const dd_model *m, uint32_t max_sequences)
{
    const dd_shape *s = &m->layout.shape;
    const size_t R = (size_t)max_sequences * m->T;
    const size_t wide = s->V > 4 * s->C ? s->V : 4 * s->C;
    return m->kernels->scratch_bytes(wide, R > wide ? R : wide, m->T, s->C / s->NH);
}

uint64_t dd_workspace_size(const dd_model *m, uint32_t max_sequences, bool shared)
{
    const dd_shape *s = &m->layout.shape;
    if (too_many(m, max_sequences))
        return UINT64_MAX;
    dd_workspace ws = {.max_sequences = max_sequences};
    carver count = {0};
    carve_own(&ws, &count, m);
    uint64_t bytes =
        sizeof ws + (s->L + (uint64_t)1) * sizeof *ws.at.layer + count.used * sizeof *ws.memory;
    if (!shared)
        bytes += dd_rows_size(most_rows(m, max_sequences), s->C, s->V) +
                 dd_acts_size(m, max_sequences, false);
    return bytes;
}

uint64_t dd_workspace_lane_size(const dd_model *m, uint32_t longest)
{
    const dd_shape *s = &m->layout.shape;
    return dd_segments_size(1, dd_layout_size(&m->layout), most_rows(m, longest), s->C, s->V);
}

dd_status dd_workspace_open(const dd_model *m, uint32_t max_sequences, dd_acts *acts,
                            dd_workspace **out)
{
    const dd_shape *s = &m->layout.shape;
    *out = NULL;
    if (too_many(m, max_sequences))
        return DD_ERR_MEMORY;
    dd_workspace *ws = dd_alloc(sizeof *ws);
    if (!ws)
        return DD_ERR_MEMORY;
    ws->max_sequences = max_sequences;
    ws->all = acts;
    if (!acts && dd_acts_open(m, max_sequences, false, &ws->own))
        goto fail;
    if (!acts)
        ws->all = ws->own;

    carver count = {0};
    carve_own(ws, &count, m);
    ws->scratch_bytes = dd_workspace_scratch_size(m, max_sequences);
    ws->at.layer = dd_alloc((s->L + (size_t)1) * sizeof *ws->at.layer);
    ws->memory = dd_alloc((count.used + 1) * sizeof *ws->memory);
    ws->scratch = dd_alloc(ws->scratch_bytes);
    if (!ws->at.layer || !ws->memory || !ws->scratch ||
        (!acts && dd_rows_open(&ws->lookup, most_rows(m, max_sequences), s->C, s->V)))
        goto fail;
    dd_pages_huge(ws->memory, count.used * sizeof *ws->memory);
    carver pieces = {.base = ws->memory};
    carve_own(ws, &pieces, m);
    ws->bytes = dd_workspace_size(m, max_sequences, acts != NULL);
    *out = ws;
    return DD_OK;

fail:
    dd_workspace_close(ws);
    return DD_ERR_MEMORY;
}

dd_status dd_workspace_open_lane(const dd_model *m, dd_workspace *ws, uint32_t longest)
{
    const dd_shape *s = &m->layout.shape;
    assert(ws->own && !ws->lane.n);
    ws->lane_bytes = dd_workspace_lane_size(m, longest);
    return dd_segments_open(&ws->lane, NULL, 1, dd_layout_size(&m->layout), most_rows(m, longest),
                            s->C, s->V);
}

void dd_workspace_close(dd_workspace *ws)
{
    if (!ws)
        return;
    dd_segments_close(&ws->lane);
    dd_rows_close(&ws->lookup);
    dd_free(ws->scratch);
    dd_free(ws->memory);
    dd_free(ws->at.layer);
    dd_acts_close(ws->own);
    dd_free(ws);
}

void dd_workspace_measure(dd_workspace *ws, dd_profile *profile)
{
    ws->profile = profile;
}

uint64_t dd_workspace_bytes(const dd_workspace *ws)
{
    return ws->bytes;
}

uint64_t dd_workspace_lane_bytes(const dd_workspace *ws)
{
    return ws->lane_bytes;
}

uint64_t dd_workspace_scratch_bytes(const dd_workspace *ws)
{
    return ws->scratch_bytes;
}
