/* SPDX-License-Identifier: MIT
 * Folding, completing and measuring gradients. */
#include "gradient.h"

#include <assert.h>
#include <math.h>
#include <string.h>

void dd_zero(size_t n, float *p)
{
    memset(p, 0, n * sizeof *p);
}

void dd_rows_fold(const dd_kernels *kernels, dd_rows *into, const dd_rows *from)
{
    assert(into->width == from->width);
    size_t C = from->width;
    for (uint32_t i = 0; i < from->n; i++) {
        bool fresh;
        const float *right = from->row + i * C;
        float *left = dd_rows_at(into, from->token[i], &fresh);
        if (fresh)
            memcpy(left, right, C * sizeof *left);
        else
            kernels->add(C, left, right, left);
    }
}

void dd_segment_fold(const dd_kernels *kernels, const dd_layout *layout, dd_segment *into,
                     const dd_segment *from)
{
    kernels->fold(dd_layout_size(layout), into->dense, from->dense);
    dd_rows_fold(kernels, &into->lookup, &from->lookup);
    into->loss = into->loss + from->loss;
}

void dd_segment_root(const dd_kernels *kernels, const dd_layout *layout, dd_segment *root)
{
    size_t C = layout->shape.C;
    float *gwte = root->dense + layout->offset[DD_WTE];
    for (uint32_t i = 0; i < root->lookup.n; i++) {
        float *row = gwte + root->lookup.token[i] * C;
        kernels->add(C, row, root->lookup.row + i * C, row);
    }
}

uint64_t dd_norm_n_blocks(const dd_layout *layout)
{
    return (dd_layout_size(layout) + DD_NORM_BLOCK - 1) / DD_NORM_BLOCK;
}

void dd_norm_blocks(const dd_kernels *kernels, const dd_layout *layout, const float *gradient,
                    double *block_sums)
{
    uint64_t P = dd_layout_size(layout);
    for (uint64_t i = 0; i * DD_NORM_BLOCK < P; i++) {
        uint64_t first = i * DD_NORM_BLOCK, left = P - first;
        block_sums[i] =
            kernels->sum_squares(left < DD_NORM_BLOCK ? left : DD_NORM_BLOCK, gradient + first);
    }
}

double dd_norm_total(double *block_sums, uint64_t n_blocks)
{
    assert(n_blocks > 0);
    for (uint64_t n = n_blocks; n > 1; n = (n + 1) / 2) {
        for (uint64_t i = 0; i < n / 2; i++)
            block_sums[i] = block_sums[2 * i] + block_sums[2 * i + 1];
        if (n % 2)
            block_sums[n / 2] = block_sums[n - 1];
    }
    return sqrt(block_sums[0]);
}

uint64_t dd_first_nonfinite(const float *value, uint64_t first, uint64_t last)
{
    while (first < last && isfinite(*value)) {
        first++;
        value++;
    }
    return first;
}

uint64_t dd_lookup_first_nonfinite(const dd_layout *layout, const dd_rows *rows)
{
    const uint64_t C = layout->shape.C;
    uint64_t lowest = dd_layout_size(layout);
    for (uint32_t i = 0; i < rows->n; i++) {
        const uint64_t e = layout->offset[DD_WTE] + rows->token[i] * C;
        const uint64_t found = dd_first_nonfinite(rows->row + i * C, e, e + C);
        if (found < e + C && found < lowest)
            lowest = found;
    }
    return lowest;
}

bool dd_gradient_find_nonfinite(const dd_layout *layout, const float *gradient, uint64_t *element)
{
    const uint64_t P = dd_layout_size(layout);
    *element = dd_first_nonfinite(gradient, 0, P);
    return *element < P;
}

bool dd_segment_find_nonfinite(const dd_layout *layout, const dd_segment *segment,
                               uint64_t *element)
{
    const uint64_t lookup = dd_lookup_first_nonfinite(layout, &segment->lookup);
    (void)dd_gradient_find_nonfinite(layout, segment->dense, element);
    if (lookup < *element)
        *element = lookup;
    return *element < dd_layout_size(layout);
}
