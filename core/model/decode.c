/* SPDX-License-Identifier: MIT
 * The growing text: weights in panels, kept keys and values, and the operators over new rows. */
#include "decode.h"

#include "pages.h"
#include "platform.h"
#include "tensors.h"

#include <assert.h>
#include <string.h>

enum {
    PANEL = 16, /* columns of a panel */
    ROWS = 128, /* most rows at once: enough to read a weight once for many, few enough for L2 */
};

struct dd_decoder {
    const dd_kernels *kernels;
    dd_layout all, rest; /* of the weights; and without the matrices */
    uint32_t length;
    uint32_t rows;                   /* most at once */
    uint64_t at[DD_N_TENSORS];       /* where a tensor of matrices begins in `panels` */
    uint64_t n_panels;               /* floats */
    uint64_t keys_each, values_each; /* floats of one head */
    uint64_t bytes;
    float *panels;        /* of each matrix what x W' reads (packed.h: `forward`), no more */
    float *rest_of_them;  /* the other tensors, as `rest` has them */
    float *keys, *values; /* (L, NH), as dd_attention_kept has them */
    void *scratch;        /* the kernels' */
    float *memory;        /* all arrays below */
    float *x;             /* (rows, C) the residual stream */
    float *n;             /* (rows, C) its LayerNorm; the heads' outputs side by side */
    float *branch;        /* (rows, C) */
    float *qkv;           /* (rows, 3C) */
    float *f, *g;         /* (rows, 4C) before and after GELU */
    float *mean, *rstd;   /* (rows) of no use here, but LayerNorm writes them */
    float *logits;        /* (V) */
};

static uint64_t whole(uint64_t n)
{
    return (n + PANEL - 1) / PANEL * PANEL;
}

/* ---- Weights ---- */

static dd_matrix matrix_of(const dd_decoder *d, dd_tensor k)
{
    dd_matrix m = {0};
    const bool matrix = dd_layout_matrix(&d->all, k, &m);
    assert(matrix);
    (void)matrix;
    return m;
}

/* Places of all matrices: one panel after another, each 16 K floats. */
static void place_matrices(dd_decoder *d)
{
    d->n_panels = 0;
    for (dd_tensor k = 0; k < DD_N_TENSORS; k++) {
        dd_matrix m;
        d->at[k] = d->n_panels;
        if (dd_layout_matrix(&d->all, k, &m))
            d->n_panels += m.n_layers * whole(m.N) * m.K;
    }
}

static float *panels_of(const dd_decoder *d, dd_tensor k, uint32_t l)
{
    const dd_matrix m = matrix_of(d, k);
    return d->panels + d->at[k] + l * whole(m.N) * m.K;
}

/* Sixteen rows at a time, as a matrix of their own: one panel forward, and few enough the other
 * way, which nobody reads. `other` has room for 16 x 4C, C rounded up. */
static void pack_matrix(const dd_decoder *d, dd_tensor k, uint32_t l, const float *weights,
                        float *other)
{
    const dd_matrix m = matrix_of(d, k);
    const float *W = weights + dd_layout_layer(&d->all, k, l);
    float *to = panels_of(d, k, l);
    for (uint64_t o = 0; o < m.N; o += PANEL) {
        const uint64_t rows = m.N - o < PANEL ? m.N - o : PANEL;
        d->kernels->pack(rows, m.K, 0, rows * m.K, W + o * m.K, to + o * m.K, other);
    }
}

static dd_status copy_weights(dd_decoder *d, const float *weights)
{
    float *other = dd_alloc(PANEL * whole(4 * (uint64_t)d->all.shape.C) * sizeof *other);
    if (!other)
        return DD_ERR_MEMORY;
    for (dd_tensor k = 0; k < DD_N_TENSORS; k++) {
        dd_matrix m;
        if (dd_layout_matrix(&d->all, k, &m)) {
            for (uint32_t l = 0; l < m.n_layers; l++)
                pack_matrix(d, k, l, weights, other);
        } else {
            memcpy(d->rest_of_them + d->rest.offset[k], weights + d->all.offset[k],
                   (d->all.offset[k + 1] - d->all.offset[k]) * sizeof *weights);
        }
    }
    dd_free(other);
    return DD_OK;
}

/* ---- Memory ---- */

/* Zeroed floats, on huge pages where they are to be had. */
static dd_status take(dd_decoder *d, uint64_t n, float **out)
{
    *out = dd_alloc(n * sizeof **out);
    if (!*out)
        return DD_ERR_MEMORY;
    dd_pages_huge(*out, n * sizeof **out);
    d->bytes += n * sizeof **out;
    return DD_OK;
}

/* Points the arrays of rows into `base`.  returns  their floats; base NULL: no more than that */
static uint64_t carve(dd_decoder *d, float *base)
{
    const dd_shape *s = &d->all.shape;
    const uint64_t R = d->rows, C = s->C;
    const struct {
        float **at;
        uint64_t n;
    } array[] = {{&d->x, R * C},       {&d->n, R * C},     {&d->branch, R * C},
                 {&d->qkv, R * 3 * C}, {&d->f, R * 4 * C}, {&d->g, R * 4 * C},
                 {&d->mean, R},        {&d->rstd, R},      {&d->logits, s->V}};
    uint64_t used = 0;
    for (size_t i = 0; i < sizeof array / sizeof *array; i++) {
        if (base)
            *array[i].at = base + used;
        used += whole(array[i].n); /* each begins on a cache line */
    }
    return used;
}

/* An upper bound on all floats, in double, in which no product wraps. */
static bool too_many(const dd_shape *s)
{
    const double C = s->C, T = s->T_max, d = C / s->NH;
    const double kept = 2 * (double)s->L * s->NH * (T + 16) * (d + 16);
    const double floats =
        s->L * 12 * (C + 16) * (C + 16) + (s->V + T + 16 * ROWS) * (C + 16) + kept;
    return !(floats < 0x1p50);
}

static dd_status open_memory(dd_decoder *d)
{
    const dd_shape *s = &d->all.shape;
    const uint64_t T = s->T_max, head = s->C / s->NH, heads = (uint64_t)s->L * s->NH;
    const size_t wide = s->V > 4 * s->C ? s->V : 4 * s->C;
    d->rows = s->T_max < ROWS ? s->T_max : ROWS;
    d->keys_each = whole(T) * (head + 1);
    d->values_each = whole(head) * (T + 1);
    place_matrices(d);
    if (take(d, d->n_panels, &d->panels) || take(d, dd_layout_size(&d->rest), &d->rest_of_them) ||
        take(d, heads * d->keys_each, &d->keys) || take(d, heads * d->values_each, &d->values) ||
        take(d, carve(d, NULL), &d->memory))
        return DD_ERR_MEMORY;
    carve(d, d->memory);
    d->scratch = dd_alloc(d->kernels->scratch_bytes(wide, wide, T, head));
    return d->scratch ? DD_OK : DD_ERR_MEMORY;
}

dd_status dd_decoder_open(const dd_kernels *kernels, const dd_shape *shape, const float *weights,
                          dd_decoder **out)
{
    *out = NULL;
    dd_decoder *d = too_many(shape) ? NULL : dd_alloc(sizeof *d);
    if (!d)
        return DD_ERR_MEMORY;
    d->kernels = kernels;
    d->bytes = sizeof *d;
    dd_layout_make(shape, &d->all);
    dd_layout_make_vectors(shape, shape->T_max, &d->rest);
    if (open_memory(d) || copy_weights(d, weights)) {
        dd_decoder_close(d);
        return DD_ERR_MEMORY;
    }
    *out = d;
    return DD_OK;
}

void dd_decoder_close(dd_decoder *d)
{
    if (!d)
        return;
    dd_free(d->memory);
    dd_free(d->scratch);
    dd_free(d->values);
    dd_free(d->keys);
    dd_free(d->rest_of_them);
    dd_free(d->panels);
    dd_free(d);
}

/* ---- Operators over n rows, from x or y as they say ---- */

static const float *tensor(const dd_decoder *d, dd_tensor k, uint32_t l)
{
    return d->rest_of_them + dd_layout_layer(&d->rest, k, l);
}

/* x (n, C): rows of wte by token, gathered from their panels, plus those of wpe by position */
static void embed(dd_decoder *d, const uint32_t *tokens, size_t n)
{
    const size_t C = d->all.shape.C;
    const float *wte = panels_of(d, DD_WTE, 0), *wpe = tensor(d, DD_WPE, 0) + d->length * C;
    for (size_t r = 0; r < n; r++) {
        const float *from = wte + tokens[r] / PANEL * PANEL * C + tokens[r] % PANEL;
        float *x = d->x + r * C;
        for (size_t c = 0; c < C; c++)
            x[c] = from[PANEL * c];
        d->kernels->add(C, x, wpe + r * C, x);
    }
}

static void layernorm(dd_decoder *d, dd_tensor w, dd_tensor b, uint32_t l, size_t n, const float *x)
{
    d->kernels->layernorm(n, d->all.shape.C, x, tensor(d, w, l), tensor(d, b, l), d->n, d->mean,
                          d->rstd);
}

/* y (n, N) = x (n, K) W' + b; b NULL: none */
static void multiply(dd_decoder *d, dd_tensor k, uint32_t l, size_t n, const float *x,
                     const float *b, float *y)
{
    const dd_matrix W = matrix_of(d, k);
    const dd_matmul product = {.M = n,
                               .N = W.N,
                               .K = W.K,
                               .a = x,
                               .a_row = W.K,
                               .a_col = 1,
                               .panels = panels_of(d, k, l),
                               .panel_pitch = PANEL * (size_t)W.K,
                               .bias = b,
                               .c = y,
                               .c_row = W.N,
                               .sink = DD_STORE};
    d->kernels->matmul(&product, d->scratch);
}

/* The n new rows of one head's keys and values to their places. */
static void keep(const dd_decoder *d, const float *k, const float *v, size_t n, float *keys,
                 float *values)
{
    const size_t C = d->all.shape.C, head = C / d->all.shape.NH;
    const size_t key_pitch = PANEL * (head + 1),
                 value_pitch = PANEL * ((size_t)d->all.shape.T_max + 1);
    for (size_t r = 0; r < n; r++, k += 3 * C, v += 3 * C) {
        const size_t s = d->length + r;
        float *key = keys + s / PANEL * key_pitch + s % PANEL;
        float *value = values + PANEL * s;
        for (size_t i = 0; i < head; i++) {
            key[PANEL * i] = k[i];
            value[i / PANEL * value_pitch + i % PANEL] = v[i];
        }
    }
}

/* att (n, C), to d->n, from d->qkv */
static void attend(dd_decoder *d, uint32_t l, size_t n)
{
    const size_t C = d->all.shape.C, NH = d->all.shape.NH, head = C / NH;
    for (size_t h = 0; h < NH; h++) {
        const float *q = d->qkv + h * head;
        float *keys = d->keys + (l * NH + h) * d->keys_each;
        float *values = d->values + (l * NH + h) * d->values_each;
        keep(d, q + C, q + 2 * C, n, keys, values);
        const dd_attention_kept a = {.T = d->all.shape.T_max,
                                     .d = head,
                                     .first = d->length,
                                     .n = n,
                                     .q = q,
                                     .q_row = 3 * C,
                                     .keys = keys,
                                     .values = values,
                                     .att = d->n + h * head,
                                     .att_row = C};
        d->kernels->attention_kept(&a, d->scratch);
    }
}

/* x = x + branch, (n, C) */
static void join(dd_decoder *d, size_t n)
{
    d->kernels->add(n * d->all.shape.C, d->x, d->branch, d->x);
}

/* ---- A feed ---- */

/* As the forward pass of gpt2.c, but for the logits. */
static void forward(dd_decoder *d, const uint32_t *tokens, size_t n)
{
    embed(d, tokens, n);
    for (uint32_t l = 0; l < d->all.shape.L; l++) {
        layernorm(d, DD_LN1W, DD_LN1B, l, n, d->x);
        multiply(d, DD_QKVW, l, n, d->n, tensor(d, DD_QKVB, l), d->qkv);
        attend(d, l, n);
        multiply(d, DD_ATTPROJW, l, n, d->n, tensor(d, DD_ATTPROJB, l), d->branch);
        join(d, n);
        layernorm(d, DD_LN2W, DD_LN2B, l, n, d->x);
        multiply(d, DD_FCW, l, n, d->n, tensor(d, DD_FCB, l), d->f);
        d->kernels->gelu(n * 4 * d->all.shape.C, d->f, d->g);
        multiply(d, DD_FCPROJW, l, n, d->g, tensor(d, DD_FCPROJB, l), d->branch);
        join(d, n);
    }
}

void dd_decoder_feed(dd_decoder *d, const uint32_t *tokens, uint32_t n)
{
    assert(n >= 1 && d->length <= d->all.shape.T_max && n <= d->all.shape.T_max - d->length);
    size_t now = 0;
    for (uint32_t fed = 0; fed < n; fed += (uint32_t)now) {
        now = n - fed < d->rows ? n - fed : d->rows;
        forward(d, tokens + fed, now);
        d->length += (uint32_t)now;
    }
    layernorm(d, DD_LNFW, DD_LNFB, 0, 1, d->x + (now - 1) * d->all.shape.C);
    multiply(d, DD_WTE, 0, 1, d->n, NULL, d->logits);
}

void dd_decoder_clear(dd_decoder *d)
{
    d->length = 0;
}

uint32_t dd_decoder_length(const dd_decoder *d)
{
    return d->length;
}

const float *dd_decoder_logits(const dd_decoder *d)
{
    return d->logits;
}

uint64_t dd_decoder_bytes(const dd_decoder *d)
{
    return d->bytes;
}

uint64_t dd_decoder_matrix_bytes(const dd_decoder *d)
{
    return d->n_panels * sizeof *d->panels;
}
