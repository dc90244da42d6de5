/* SPDX-License-Identifier: MIT
 * The names of GPT-2's tensors on model hubs, and what else such files hold. */
#include "gpt2_names.h"

#include "error.h"
#include "platform.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
static const struct {
    const char *name; /* behind "h.N." where there are layers */
    bool layered;
} names[DD_N_TENSORS] = {
    [DD_WTE]      = {"wte.weight",         false},
    [DD_WPE]      = {"wpe.weight",         false},
    [DD_LN1W]     = {"ln_1.weight",        true},
    [DD_LN1B]     = {"ln_1.bias",          true},
    [DD_QKVW]     = {"attn.c_attn.weight", true},
    [DD_QKVB]     = {"attn.c_attn.bias",   true},
    [DD_ATTPROJW] = {"attn.c_proj.weight", true},
    [DD_ATTPROJB] = {"attn.c_proj.bias",   true},
    [DD_LN2W]     = {"ln_2.weight",        true},
    [DD_LN2B]     = {"ln_2.bias",          true},
    [DD_FCW]      = {"mlp.c_fc.weight",    true},
    [DD_FCB]      = {"mlp.c_fc.bias",      true},
    [DD_FCPROJW]  = {"mlp.c_proj.weight",  true},
    [DD_FCPROJB]  = {"mlp.c_proj.bias",    true},
    [DD_LNFW]     = {"ln_f.weight",        false},
    [DD_LNFB]     = {"ln_f.bias",          false},
};
/* clang-format on */
enum { BEFORE = 2, LAYERED = 12 }; /* tensors before the layers, and in each */
_Static_assert((int)DD_LN1W == BEFORE && (int)DD_LNFW == BEFORE + LAYERED, "as they are counted");

static uint32_t n_tensors(const dd_shape *shape)
{
    return DD_N_TENSORS - LAYERED + LAYERED * shape->L;
}

/* The i-th tensor of a file: name, shape, and where its weights lie in canonical order. */
static void describe(const dd_layout *layout, uint32_t i, dd_gpt2_name name, dd_safetensor *t,
                     dd_model_piece *piece)
{
    const dd_shape *shape = &layout->shape;
    const uint32_t layers = LAYERED * shape->L;
    uint32_t k = i, l = 0;
    if (i >= BEFORE + layers) {
        k = i - layers + LAYERED;
    } else if (i >= BEFORE) {
        l = (i - BEFORE) / LAYERED;
        k = BEFORE + (i - BEFORE) % LAYERED;
    }
    if (names[k].layered)
        (void)snprintf(name, sizeof(dd_gpt2_name), "h.%" PRIu32 ".%s", l, names[k].name);
    else
        (void)snprintf(name, sizeof(dd_gpt2_name), "%s", names[k].name);

    const uint64_t size =
        (layout->offset[k + 1] - layout->offset[k]) / (names[k].layered ? shape->L : 1);
    *t = (dd_safetensor){.name = name, .dtype = DD_DTYPE_F32, .n_dims = 1, .dim = {size}};
    *piece = (dd_model_piece){.element = dd_layout_layer(layout, (dd_tensor)k, l),
                              .rows = 1,
                              .columns = size,
                              .dtype = DD_DTYPE_F32};
    dd_matrix matrix;
    if (k == DD_WTE || k == DD_WPE) {
        t->n_dims = 2;
        t->dim[0] = size / shape->C;
        t->dim[1] = shape->C;
    } else if (dd_layout_matrix(layout, (dd_tensor)k, &matrix)) {
        t->n_dims = 2;
        t->dim[0] = piece->rows = matrix.K;
        t->dim[1] = piece->columns = matrix.N;
        piece->transposed = true;
    }
}

dd_status dd_gpt2_names_make(const dd_shape *shape, dd_safetensor **tensor, dd_gpt2_name **name,
                             dd_model_piece **piece, uint32_t *n, dd_error *error)
{
    dd_layout layout;
    dd_layout_make(shape, &layout);
    *n = n_tensors(shape);
    *tensor = dd_alloc(*n * sizeof **tensor);
    *name = dd_alloc(*n * sizeof **name);
    *piece = dd_alloc(*n * sizeof **piece);
    if (!*tensor || !*name || !*piece) {
        dd_free(*tensor);
        dd_free(*name);
        dd_free(*piece);
        return dd_error_set(error, DD_ERR_MEMORY, "out of memory for %" PRIu32 " names of tensors",
                            *n);
    }
    for (uint32_t i = 0; i < *n; i++)
        describe(&layout, i, (*name)[i], &(*tensor)[i], &(*piece)[i]);
    return DD_OK;
}

/* ---- Finding ---- */

static const char *path_of(const dd_safetensors *s)
{
    return dd_safetensors_file(s)->path;
}

static const dd_safetensor *find(const dd_safetensors *s, const char *prefix, const char *name)
{
    char whole[64];
    (void)snprintf(whole, sizeof whole, "%s%s", prefix, name);
    return dd_safetensors_find(s, whole);
}

static dd_status missing(const dd_safetensors *s, const char *prefix, const char *name,
                         dd_error *error)
{
    return dd_error_set(error, DD_ERR_DATA,
                        DD_PATH_FORMAT ": there is no tensor \"%s%s\": no GPT-2, or not all of it",
                        path_of(s), prefix, name);
}

/* A table (rows, C) that tells two of the model's sizes. */
static dd_status table_sizes(const dd_safetensors *s, const char *prefix, const char *name,
                             uint32_t *rows, uint32_t *columns, dd_error *error)
{
    const dd_safetensor *t = find(s, prefix, name);
    if (!t)
        return missing(s, prefix, name, error);
    if (t->n_dims != 2 || t->dim[0] < 1 || t->dim[0] > UINT32_MAX || t->dim[1] < 1 ||
        t->dim[1] > UINT32_MAX)
        return dd_error_set(error, DD_ERR_DATA,
                            DD_PATH_FORMAT ": tensor \"%s\": must have two dimensions, rows and "
                                           "channels",
                            path_of(s), t->name);
    *rows = (uint32_t)t->dim[0];
    *columns = (uint32_t)t->dim[1];
    return DD_OK;
}

static dd_status find_shape(const dd_safetensors *s, const char *prefix, dd_shape *shape,
                            dd_error *error)
{
    uint32_t C = 0;
    dd_status st = table_sizes(s, prefix, names[DD_WTE].name, &shape->V, &shape->C, error);
    if (st == DD_OK)
        st = table_sizes(s, prefix, names[DD_WPE].name, &shape->T_max, &C, error);
    if (st != DD_OK)
        return st;
    if (C != shape->C)
        return dd_error_set(error, DD_ERR_DATA,
                            DD_PATH_FORMAT ": wte has %" PRIu32 " channels and wpe %" PRIu32,
                            path_of(s), shape->C, C);
    char name[32];
    do
        (void)snprintf(name, sizeof name, "h.%" PRIu32 ".%s", shape->L, names[DD_LN1W].name);
    while (find(s, prefix, name) && ++shape->L);
    if (shape->L == 0)
        return missing(s, prefix, name, error);
    if ((st = dd_gpt2_heads_find(s, shape, error)) != DD_OK)
        return st;
    if (dd_shape_n_parameters(shape) == 0)
        return dd_error_set(error, DD_ERR_DATA,
                            DD_PATH_FORMAT ": L %" PRIu32 ", NH %" PRIu32 ", C %" PRIu32
                                           ", V %" PRIu32 ", T_max %" PRIu32
                                           ": sizes are at most 2^24, parameters 2^43, and C a "
                                           "multiple of NH",
                            path_of(s), shape->L, shape->NH, shape->C, shape->V, shape->T_max);
    return DD_OK;
}

static dd_status check_dtype(const dd_safetensors *s, const dd_safetensor *t, dd_error *error)
{
    if (t->dtype == DD_DTYPE_F32 || t->dtype == DD_DTYPE_F16 || t->dtype == DD_DTYPE_BF16)
        return DD_OK;
    return dd_error_set(error, DD_ERR_DATA, DD_PATH_FORMAT ": tensor \"%s\": is %s, %s", path_of(s),
                        t->name, t->dtype_name,
                        t->dtype == DD_DTYPE_F64
                            ? "which weights in F32 cannot hold without rounding"
                            : "and weights are read from F32, F16 and BF16");
}

static bool same_dims(const dd_safetensor *a, const dd_safetensor *b)
{
    bool same = a->n_dims == b->n_dims;
    for (uint32_t d = 0; same && d < a->n_dims; d++)
        same = a->dim[d] == b->dim[d];
    return same;
}

static dd_status check_dims(const dd_safetensors *s, const dd_safetensor *t,
                            const dd_safetensor *want, dd_error *error)
{
    if (same_dims(t, want))
        return DD_OK;
    char got[8 * 21 + 1] = "", wanted[2 * 21 + 1] = "";
    size_t at = 0;
    for (uint32_t d = 0; d < t->n_dims; d++)
        at += (size_t)snprintf(got + at, sizeof got - at, d ? ", %" PRIu64 : "%" PRIu64, t->dim[d]);
    at = 0;
    for (uint32_t d = 0; d < want->n_dims; d++)
        at += (size_t)snprintf(wanted + at, sizeof wanted - at, d ? ", %" PRIu64 : "%" PRIu64,
                               want->dim[d]);
    return dd_error_set(error, DD_ERR_DATA, DD_PATH_FORMAT ": tensor \"%s\": is (%s), must be (%s)",
                        path_of(s), t->name, got, wanted);
}

/* "h.N.attn.bias" and "h.N.attn.masked_bias": the causal mask, which is no weight. */
static bool is_mask(const char *name, uint32_t L)
{
    uint32_t layer;
    int end = 0;
    char tidy[64];
    if (sscanf(name, "h.%8" SCNu32 ".%n", &layer, &end) != 1 || !end || layer >= L)
        return false;
    const char *rest = name + end;
    (void)snprintf(tidy, sizeof tidy, "h.%" PRIu32 ".%s", layer, rest);
    return (strcmp(rest, "attn.bias") == 0 || strcmp(rest, "attn.masked_bias") == 0) &&
           strcmp(tidy, name) == 0;
}

/* What is none of the model's weights must be known not to matter. */
static dd_status check_others(const dd_safetensors *s, const char *prefix, const bool *used,
                              dd_gpt2_names *out, dd_error *error)
{
    for (uint32_t i = 0; i < dd_safetensors_n(s); i++) {
        const dd_safetensor *t = dd_safetensors_at(s, i);
        const size_t n = strlen(prefix);
        if (used[i] || (strncmp(t->name, prefix, n) == 0 && is_mask(t->name + n, out->shape.L)))
            continue;
        if (strcmp(t->name, "lm_head.weight") != 0)
            return dd_error_set(error, DD_ERR_DATA,
                                DD_PATH_FORMAT ": tensor \"%.80s\": is none that GPT-2 with "
                                               "%" PRIu32 " layer%s has",
                                path_of(s), t->name, out->shape.L, out->shape.L == 1 ? "" : "s");
        if (t->dtype != out->wte->dtype || !same_dims(t, out->wte))
            return dd_error_set(error, DD_ERR_DATA,
                                DD_PATH_FORMAT ": tensor \"lm_head.weight\": must be wte.weight "
                                               "once more, and is of another type or shape",
                                path_of(s));
        out->lm_head = t;
    }
    return DD_OK;
}

static dd_status find_all(const dd_safetensors *s, const char *prefix, bool *used,
                          dd_gpt2_names *out, dd_error *error)
{
    dd_layout layout;
    dd_layout_make(&out->shape, &layout);
    for (uint32_t i = 0; i < out->n; i++) {
        dd_gpt2_name name;
        dd_safetensor want;
        describe(&layout, i, name, &want, &out->piece[i]);
        const dd_safetensor *t = find(s, prefix, name);
        if (!t)
            return missing(s, prefix, name, error);
        dd_status st = check_dims(s, t, &want, error);
        if (st == DD_OK)
            st = check_dtype(s, t, error);
        if (st != DD_OK)
            return st;
        out->piece[i].offset = t->offset;
        out->piece[i].dtype = t->dtype;
        used[t - dd_safetensors_at(s, 0)] = true;
    }
    return check_others(s, prefix, used, out, error);
}

dd_status dd_gpt2_names_find(const dd_safetensors *s, dd_gpt2_names *out, dd_error *error)
{
    static const char transformer[] = "transformer.";
    const char *prefix = find(s, transformer, names[DD_WTE].name) ? transformer : "";
    dd_gpt2_names found = {.wte = find(s, prefix, names[DD_WTE].name)};
    dd_status st = find_shape(s, prefix, &found.shape, error);
    if (st != DD_OK)
        return st;
    found.n = n_tensors(&found.shape);
    if (found.n > dd_safetensors_n(s)) /* before memory is taken for so many */
        return dd_error_set(
            error, DD_ERR_DATA,
            DD_PATH_FORMAT ": has %" PRIu32 " tensors, GPT-2 with %" PRIu32 " layer%s has %" PRIu32,
            path_of(s), dd_safetensors_n(s), found.shape.L, found.shape.L == 1 ? "" : "s", found.n);
    found.piece = dd_alloc(found.n * sizeof *found.piece);
    bool *used = dd_alloc(dd_safetensors_n(s) * sizeof *used);
    st = found.piece && used
             ? find_all(s, prefix, used, &found, error)
             : dd_error_set(error, DD_ERR_MEMORY, DD_PATH_FORMAT ": out of memory", path_of(s));
    dd_free(used);
    if (st != DD_OK) {
        dd_free(found.piece);
        return st;
    }
    *out = found;
    return DD_OK;
}
