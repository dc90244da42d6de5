/* SPDX-License-Identifier: MIT
 * Places and contents of packed weights: tensor by tensor, of each layer `forward`, then `input`.
 */
#include "packed.h"

#include <assert.h>

#define PANEL 16 /* columns of a panel */

static uint64_t whole_panels(uint64_t columns)
{
    return (columns + PANEL - 1) / PANEL * PANEL;
}

/* Floats of one matrix's panels, N columns and K columns wide. */
static uint64_t forward_size(const dd_matrix *m)
{
    return whole_panels(m->N) * m->K;
}

static uint64_t input_size(const dd_matrix *m)
{
    return whole_panels(m->K) * m->N;
}

/* Where tensor k begins; k DD_N_TENSORS: the end. */
static uint64_t begin_of(const dd_layout *layout, dd_tensor k)
{
    uint64_t at = 0;
    for (dd_tensor before = 0; before < k; before++) {
        dd_matrix m;
        if (dd_layout_matrix(layout, before, &m))
            at += m.n_layers * (forward_size(&m) + input_size(&m));
    }
    return at;
}

uint64_t dd_packed_size(const dd_layout *layout)
{
    return begin_of(layout, DD_N_TENSORS);
}

uint64_t dd_packed_forward(const dd_layout *layout, dd_tensor k, uint32_t l)
{
    dd_matrix m;
    const bool matrix = dd_layout_matrix(layout, k, &m);
    assert(matrix && l < m.n_layers);
    (void)matrix;
    return begin_of(layout, k) + l * (forward_size(&m) + input_size(&m));
}

uint64_t dd_packed_input(const dd_layout *layout, dd_tensor k, uint32_t l)
{
    dd_matrix m;
    const uint64_t forward = dd_packed_forward(layout, k, l);
    (void)dd_layout_matrix(layout, k, &m);
    return forward + forward_size(&m);
}

/* The end of the matrix or other tensor that holds `element`. */
static uint64_t end_of(const dd_layout *layout, uint64_t element, dd_tensor k, const dd_matrix *m)
{
    if (!m)
        return layout->offset[k + 1];
    const uint64_t size = (uint64_t)m->N * m->K, at = element - layout->offset[k];
    return layout->offset[k] + (at / size + 1) * size;
}

void dd_packed_write(const dd_kernels *kernels, const dd_layout *layout, uint64_t first,
                     uint64_t last, const float *weights, float *packed)
{
    for (uint64_t e = first, end; e < last; e = end) {
        dd_matrix m;
        const dd_tensor k = dd_layout_tensor_of(layout, e);
        const bool matrix = dd_layout_matrix(layout, k, &m);
        const uint64_t whole = end_of(layout, e, k, matrix ? &m : NULL);
        end = whole < last ? whole : last;
        if (!matrix)
            continue;
        const uint64_t begin = whole - (uint64_t)m.N * m.K;
        const uint32_t l = (uint32_t)((begin - layout->offset[k]) / ((uint64_t)m.N * m.K));
        kernels->pack(m.N, m.K, e - begin, end - begin, weights + begin,
                      packed + dd_packed_forward(layout, k, l),
                      packed + dd_packed_input(layout, k, l));
    }
}

uint64_t dd_packed_piece_end(const dd_layout *layout, uint64_t element)
{
    dd_matrix m;
    const dd_tensor k = dd_layout_tensor_of(layout, element);
    if (!dd_layout_matrix(layout, k, &m))
        return layout->offset[k + 1];
    const uint64_t whole = end_of(layout, element, k, &m), begin = whole - (uint64_t)m.N * m.K;
    const uint64_t piece = PANEL * (uint64_t)m.K;
    const uint64_t end = begin + ((element - begin) / piece + 1) * piece;
    return end < whole ? end : whole;
}
