/* SPDX-License-Identifier: MIT
 * Names, sizes and start values of the parameter tensors. */
#include "tensors.h"

#include "random.h"

#include <assert.h>
#include <math.h>

/* clang-format off */
static const struct {
    const char *name;
    bool layered, decayed;
} tensors[DD_N_TENSORS] = {
    [DD_WTE]      = {"wte",      false, true},
    [DD_WPE]      = {"wpe",      false, true},
    [DD_LN1W]     = {"ln1w",     true,  false},
    [DD_LN1B]     = {"ln1b",     true,  false},
    [DD_QKVW]     = {"qkvw",     true,  true},
    [DD_QKVB]     = {"qkvb",     true,  false},
    [DD_ATTPROJW] = {"attprojw", true,  true},
    [DD_ATTPROJB] = {"attprojb", true,  false},
    [DD_LN2W]     = {"ln2w",     true,  false},
    [DD_LN2B]     = {"ln2b",     true,  false},
    [DD_FCW]      = {"fcw",      true,  true},
    [DD_FCB]      = {"fcb",      true,  false},
    [DD_FCPROJW]  = {"fcprojw",  true,  true},
    [DD_FCPROJB]  = {"fcprojb",  true,  false},
    [DD_LNFW]     = {"lnfw",     false, false},
    [DD_LNFB]     = {"lnfb",     false, false},
};
/* clang-format on */

void dd_layout_make(const dd_shape *shape, dd_layout *out)
{
    uint64_t L = shape->L, C = shape->C;
    /* clang-format off */
    const uint64_t size[DD_N_TENSORS] = {
        [DD_WTE] = shape->V * C,     [DD_WPE] = shape->T_max * C,
        [DD_LN1W] = L * C,           [DD_LN1B] = L * C,
        [DD_QKVW] = L * 3 * C * C,   [DD_QKVB] = L * 3 * C,
        [DD_ATTPROJW] = L * C * C,   [DD_ATTPROJB] = L * C,
        [DD_LN2W] = L * C,           [DD_LN2B] = L * C,
        [DD_FCW] = L * 4 * C * C,    [DD_FCB] = L * 4 * C,
        [DD_FCPROJW] = L * C * 4 * C, [DD_FCPROJB] = L * C,
        [DD_LNFW] = C,               [DD_LNFB] = C,
    };
    /* clang-format on */
    out->shape = *shape;
    out->offset[0] = 0;
    for (int k = 0; k < DD_N_TENSORS; k++)
        out->offset[k + 1] = out->offset[k] + size[k];
}

void dd_layout_make_vectors(const dd_shape *shape, uint32_t T, dd_layout *out)
{
    dd_layout whole;
    dd_layout_make(shape, &whole);
    out->shape = *shape;
    out->offset[0] = 0;
    for (int k = 0; k < DD_N_TENSORS; k++) {
        dd_matrix matrix;
        uint64_t size = whole.offset[k + 1] - whole.offset[k];
        if (dd_layout_matrix(&whole, (dd_tensor)k, &matrix))
            size = 0;
        else if (k == DD_WPE)
            size = (uint64_t)T * shape->C;
        out->offset[k + 1] = out->offset[k] + size;
    }
}

const char *dd_tensor_name(dd_tensor k)
{
    return tensors[k].name;
}

bool dd_tensor_decayed(dd_tensor k)
{
    return tensors[k].decayed;
}

dd_tensor dd_layout_tensor_of(const dd_layout *layout, uint64_t element)
{
    assert(element < dd_layout_size(layout));
    int k = 0;
    while (element >= layout->offset[k + 1])
        k++;
    return (dd_tensor)k;
}

uint64_t dd_layout_layer(const dd_layout *layout, dd_tensor k, uint32_t l)
{
    assert(l == 0 || tensors[k].layered);
    uint64_t size = layout->offset[k + 1] - layout->offset[k];
    return layout->offset[k] + (l ? l * (size / layout->shape.L) : 0);
}

bool dd_layout_matrix(const dd_layout *layout, dd_tensor k, dd_matrix *out)
{
    const uint32_t C = layout->shape.C, L = layout->shape.L;
    switch (k) {
    case DD_WTE:
        *out = (dd_matrix){layout->shape.V, C, 1};
        return true;
    case DD_QKVW:
        *out = (dd_matrix){3 * C, C, L};
        return true;
    case DD_ATTPROJW:
        *out = (dd_matrix){C, C, L};
        return true;
    case DD_FCW:
        *out = (dd_matrix){4 * C, C, L};
        return true;
    case DD_FCPROJW:
        *out = (dd_matrix){C, 4 * C, L};
        return true;
    default:
        return false;
    }
}

uint32_t dd_layout_dims(const dd_layout *layout, dd_tensor k, uint64_t dim[3])
{
    const dd_shape *s = &layout->shape;
    const uint64_t size = layout->offset[k + 1] - layout->offset[k];
    dd_matrix matrix;
    uint32_t n = 0;
    if (tensors[k].layered)
        dim[n++] = s->L;
    if (dd_layout_matrix(layout, k, &matrix)) {
        dim[n++] = matrix.N;
        dim[n++] = matrix.K;
    } else if (k == DD_WPE) {
        dim[n++] = size / s->C;
        dim[n++] = s->C;
    } else {
        dim[n++] = tensors[k].layered ? size / s->L : size;
    }
    return n;
}

void dd_weights_start(const dd_layout *layout, uint64_t seed, float *weights)
{
    float plain = (float)0.02;
    float residual = (float)(0.02 / sqrt(2.0 * layout->shape.L));
    for (int k = 0; k < DD_N_TENSORS; k++) {
        float *w = weights + layout->offset[k];
        uint64_t n = layout->offset[k + 1] - layout->offset[k];
        bool gain = k == DD_LN1W || k == DD_LN2W || k == DD_LNFW;
        float scale = k == DD_ATTPROJW || k == DD_FCPROJW ? residual : plain;
        if (tensors[k].decayed)
            dd_random_normals(seed, (uint32_t)k, 0, n, scale, w);
        for (uint64_t e = 0; e < n && !tensors[k].decayed; e++)
            w[e] = gain ? 1.0f : 0.0f;
    }
}
