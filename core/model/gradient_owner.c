/* SPDX-License-Identifier: MIT
 * Computes slices of the gradient piece by piece, in canonical order: some rows of a matrix, or as
 * much of another tensor as there is; a block is measured when its last element is made. */
#include "gradient_owner.h"

#include "gradient.h"
#include "platform.h"
#include "workspace.h"

#include <assert.h>
#include <string.h>

/* Rows of a matrix made at once, in multiples of what register tiles of 6 and of 14 rows divide:
 * about PIECE elements, which stay in a second-level cache until they are measured; but LEAST at
 * least, since each call reads all of x, which is larger the wider the rows are. */
#define PIECE 65536
#define ROWS 84
#define LEAST (2 * ROWS)

struct dd_owner_scratch {
    uint64_t bytes;
    dd_slice_scratch *slice;
    dd_workspace *workspace;
    float *rows;        /* some rows of a matrix */
    dd_lane_rows *lane; /* (n_lanes) */
    uint32_t *last;     /* (n_lanes) */
};

/* Rows made at once of a matrix of K columns. */
static uint64_t rows_at_once(uint64_t K)
{
    const uint64_t rows = PIECE / K / ROWS * ROWS;
    return rows > LEAST ? rows : LEAST;
}

/* Floats of them, of any matrix. */
static size_t most_at_once(const dd_model *m)
{
    const uint64_t C = m->layout.shape.C;
    const size_t narrow = rows_at_once(C) * C, wide = rows_at_once(4 * C) * 4 * C;
    return wide > narrow ? wide : narrow;
}

uint64_t dd_owner_scratch_size(const dd_model *m, uint32_t n_lanes, uint32_t max_values)
{
    const dd_owner_scratch *o = NULL;
    return sizeof *o + most_at_once(m) * sizeof *o->rows +
           n_lanes * (sizeof *o->lane + sizeof *o->last) + dd_slice_scratch_size(max_values);
}

dd_status dd_owner_scratch_open(const dd_model *m, uint32_t n_lanes, uint32_t max_values,
                                dd_workspace *workspace, dd_owner_scratch **out)
{
    dd_owner_scratch *o = dd_alloc(sizeof *o);
    if (!o)
        return DD_ERR_MEMORY;
    o->workspace = workspace;
    o->rows = dd_alloc(most_at_once(m) * sizeof *o->rows);
    o->lane = dd_alloc(n_lanes * sizeof *o->lane);
    o->last = dd_alloc(n_lanes * sizeof *o->last);
    if (!o->rows || !o->lane || !o->last || dd_slice_scratch_open(max_values, &o->slice)) {
        dd_owner_scratch_close(o);
        return DD_ERR_MEMORY;
    }
    o->bytes = dd_owner_scratch_size(m, n_lanes, max_values);
    *out = o;
    return DD_OK;
}

void dd_owner_scratch_close(dd_owner_scratch *o)
{
    if (!o)
        return;
    dd_slice_scratch_close(o->slice);
    dd_free(o->last);
    dd_free(o->lane);
    dd_free(o->rows);
    dd_free(o);
}

uint64_t dd_owner_scratch_bytes(const dd_owner_scratch *o)
{
    return o->bytes;
}

/* ---- Matrices ---- */

/* One layer's matrix: where it begins and ends in the gradient, and what makes it. */
typedef struct matrix {
    uint64_t begin, end;
    size_t N, K, R;
    const float *gy;     /* (R, N) */
    const float *panels; /* of x (R, K) */
} matrix;

/* The gradient with respect to the output of tensor k's product in layer l. */
static const float *output_gradient(const dd_acts *acts, dd_tensor k, uint32_t l, uint32_t L)
{
    switch (k) {
    case DD_WTE:
        return acts->logits;
    case DD_QKVW:
        return acts->layer[l].gqkv;
    case DD_ATTPROJW:
        return acts->layer[l].x2;
    case DD_FCW:
        return acts->layer[l].f;
    default:
        assert(k == DD_FCPROJW);
        return l + 1 < L ? acts->layer[l + 1].x : acts->xf;
    }
}

/* The matrix that element e is in, of rows [row, row + R) of the batch.
 * returns  false: e is in another tensor                                                      */
static bool matrix_at(const dd_batch_gradient *b, dd_tensor k, uint64_t e, size_t row, size_t R,
                      matrix *out)
{
    const dd_layout *layout = &b->model->layout;
    dd_matrix shape;
    if (!dd_layout_matrix(layout, k, &shape))
        return false;
    const uint64_t size = (uint64_t)shape.N * shape.K;
    const uint32_t l = (uint32_t)((e - layout->offset[k]) / size);
    *out = (matrix){.begin = layout->offset[k] + l * size,
                    .end = layout->offset[k] + (l + 1) * size,
                    .N = shape.N,
                    .K = shape.K,
                    .R = R,
                    .gy = output_gradient(b->acts, k, l, layout->shape.L) + row * shape.N,
                    .panels = dd_acts_operand(b->acts, k, l) + 16 * row};
    return true;
}

/* Rows [first, first + n) to c. */
static void make_rows(const dd_batch_gradient *b, dd_owner_scratch *o, const matrix *w,
                      uint32_t n_lanes, uint64_t first, uint64_t n, float *c)
{
    const uint64_t begin = dd_profile_begin(o->workspace->profile);
    const dd_matmul_lanes product = {.M = n,
                                     .N = w->K,
                                     .a = w->gy + first,
                                     .a_row = w->N,
                                     .panels = w->panels,
                                     .panel_pitch = b->acts->panel_pitch,
                                     .lane = o->lane,
                                     .n_lanes = n_lanes,
                                     .c = c,
                                     .c_row = w->K};
    b->model->kernels->matmul_lanes(&product, o->workspace->scratch);
    dd_profile_end(o->workspace->profile, DD_PROFILE_WEIGHT_GRAD, begin, 2 * n * w->K * w->R);
}

/* Elements from e on, up to `last` at most. returns  the end of those made */
static uint64_t make_elements(const dd_batch_gradient *b, dd_owner_scratch *o, const matrix *w,
                              uint64_t e, uint64_t last, float *gradient)
{
    const uint64_t row = (e - w->begin) / w->K, column = (e - w->begin) % w->K;
    const uint64_t left = (last < w->end ? last : w->end) - e;
    if (column > 0 || left < w->K) { /* part of a row, by way of a whole one */
        const uint64_t n = left < w->K - column ? left : w->K - column;
        make_rows(b, o, w, b->n_lanes, row, 1, o->rows);
        memcpy(gradient + e, o->rows + column, n * sizeof *gradient);
        return e + n;
    }
    const uint64_t most = rows_at_once(w->K), whole = left / w->K;
    const uint64_t n = whole < most ? whole : most;
    make_rows(b, o, w, b->n_lanes, row, n, gradient + e);
    return e + n * w->K;
}

/* ---- A slice ---- */

/* After which lanes how many folds come: the folds are depth first, and a fold comes right after
 * the last lane of its right operand. */
static void lanes_fill(dd_owner_scratch *o, const dd_batch_gradient *b, const dd_fold_pair *pair,
                       uint32_t n)
{
    for (uint32_t i = 0; i < b->n_lanes; i++) {
        o->lane[i] = (dd_lane_rows){.n = b->sequences[i] * b->model->T};
        o->last[i] = i;
    }
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t last = o->last[pair[i].from];
        assert(pair[i].into < pair[i].from && last < b->n_lanes);
        o->lane[last].folds++;
        o->last[pair[i].into] = last;
    }
}

static size_t rows_of_batch(const dd_batch_gradient *b)
{
    size_t sequences = 0;
    for (uint32_t i = 0; i < b->n_lanes; i++)
        sequences += b->sequences[i];
    return sequences * b->model->T;
}

/* Elements of a tensor that is no matrix, from e on. returns  the end of those made */
static uint64_t fold_elements(const dd_batch_gradient *b, const dd_fold_list *list, dd_tensor k,
                              uint64_t e, uint64_t last, dd_owner_scratch *o, float *gradient)
{
    const dd_layout *layout = &b->model->layout;
    const uint64_t begin = layout->offset[k];
    const uint64_t held = b->vectors->offset[k + 1] - b->vectors->offset[k];
    const uint64_t end = last < layout->offset[k + 1] ? last : layout->offset[k + 1];
    if (e - begin >= held) { /* rows of wpe that no token has */
        dd_zero(end - e, gradient + e);
        return end;
    }
    const uint64_t n = end - begin < held ? end - e : begin + held - e;
    dd_gradient_fold(b->model->kernels, list, b->vectors->offset[k] + e - begin, n, o->slice,
                     gradient + e);
    return e + n;
}

void dd_owner_slice(const dd_batch_gradient *b, const dd_fold_pair *pair, uint32_t n, uint32_t root,
                    uint64_t first_block, uint64_t last_block, dd_owner_scratch *o, float *gradient,
                    double *block_sums)
{
    const dd_kernels *kernels = b->model->kernels;
    const dd_layout *layout = &b->model->layout;
    const dd_fold_list list = {.segment = b->lane, .pair = pair, .n = n, .root = root};
    const uint64_t P = dd_layout_size(layout), whole = last_block * DD_NORM_BLOCK;
    const uint64_t last = whole < P ? whole : P;
    const size_t R = rows_of_batch(b);
    uint64_t block = first_block;
    lanes_fill(o, b, pair, n);
    for (uint64_t e = first_block * DD_NORM_BLOCK, end; e < last; e = end) {
        const dd_tensor k = dd_layout_tensor_of(layout, e);
        matrix w;
        const bool is_matrix = matrix_at(b, k, e, 0, R, &w);
        if (is_matrix)
            end = make_elements(b, o, &w, e, last, gradient);
        const uint64_t begin = dd_profile_begin(o->workspace->profile);
        if (!is_matrix)
            end = fold_elements(b, &list, k, e, last, o, gradient);
        if (k == DD_WTE)
            dd_gradient_add_lookup(kernels, layout, &list, e, end, o->slice, gradient);
        for (; block < last_block && (block + 1) * DD_NORM_BLOCK <= end; block++)
            block_sums[block] =
                kernels->sum_squares(DD_NORM_BLOCK, gradient + block * DD_NORM_BLOCK);
        dd_profile_end(o->workspace->profile, DD_PROFILE_SLICE, begin,
                       (end - e) * sizeof *gradient);
    }
    if (block < last_block) /* the last one of all may be short */
        block_sums[block] =
            kernels->sum_squares(last - block * DD_NORM_BLOCK, gradient + block * DD_NORM_BLOCK);
}

double dd_owner_loss(const dd_batch_gradient *b, const dd_fold_pair *pair, uint32_t n,
                     uint32_t root, dd_owner_scratch *o)
{
    const dd_fold_list list = {.segment = b->lane, .pair = pair, .n = n, .root = root};
    return dd_gradient_loss(&list, o->slice);
}

/* ---- One lane ---- */

bool dd_owner_find_nonfinite(const dd_batch_gradient *b, uint32_t i, dd_owner_scratch *o,
                             uint64_t *element)
{
    const dd_layout *layout = &b->model->layout;
    const uint64_t P = dd_layout_size(layout);
    const uint64_t lookup = dd_lookup_first_nonfinite(layout, &b->lane[i].lookup);
    size_t row = 0;
    for (uint32_t before = 0; before < i; before++)
        row += (size_t)b->sequences[before] * b->model->T;
    const size_t R = (size_t)b->sequences[i] * b->model->T;
    o->lane[0] = (dd_lane_rows){.n = (uint32_t)R};
    uint64_t found = P;
    for (uint64_t e = 0, end; e < P && found == P; e = end) {
        const dd_tensor k = dd_layout_tensor_of(layout, e);
        const float *value = b->lane[i].dense + b->vectors->offset[k];
        uint64_t held = b->vectors->offset[k + 1] - b->vectors->offset[k];
        matrix w;
        if (matrix_at(b, k, e, row, R, &w)) {
            const uint64_t most = rows_at_once(w.K), left = (w.end - e) / w.K;
            const uint64_t n = left < most ? left : most;
            make_rows(b, o, &w, 1, (e - w.begin) / w.K, n, o->rows);
            value = o->rows;
            held = n * w.K;
            end = e + held;
        } else { /* rows of wpe that no token has are zeros, and not held */
            end = layout->offset[k + 1];
        }
        const uint64_t at = dd_first_nonfinite(value, e, e + held);
        found = at < e + held ? at : P;
        if (lookup < end && lookup < found)
            found = lookup;
    }
    *element = found;
    return found < P;
}
