/* SPDX-License-Identifier: MIT
 * The public sampler: arguments judged, then the growing text and the draw (decode.h, draw.h). */
#include "dodeca.h"

#include "decode.h"
#include "draw.h"
#include "error.h"
#include "platform.h"

#include <inttypes.h>
#include <math.h>

struct dd_sampler {
    dd_shape shape;
    const dd_kernels *kernels;
    dd_decoder *decoder;
    float *weight; /* (V) for a draw */
};

dd_status dd_sampler_open(const dd_shape *shape, const float *weights, dd_simd simd,
                          dd_sampler **out, dd_error *error)
{
    if (!shape || !weights || !out)
        return dd_error_set(error, DD_ERR_ARGUMENT, "shape, weights and out must not be NULL");
    *out = NULL;
    if (dd_shape_n_parameters(shape) == 0)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "model L %" PRIu32 ", NH %" PRIu32 ", C %" PRIu32 ", V %" PRIu32
                            ", T_max %" PRIu32 ": no valid shape",
                            shape->L, shape->NH, shape->C, shape->V, shape->T_max);
    const char *why = "";
    const dd_kernels *kernels = dd_kernels_select(simd, &why);
    if (!kernels)
        return dd_error_set(error, DD_ERR_CPU, "simd: %s", why);
    dd_sampler *s = dd_alloc(sizeof *s);
    if (!s)
        goto fail;
    s->shape = *shape;
    s->kernels = kernels;
    s->weight = dd_alloc(shape->V * sizeof *s->weight);
    if (!s->weight || dd_decoder_open(kernels, shape, weights, &s->decoder))
        goto fail;
    *out = s;
    return DD_OK;

fail:
    dd_sampler_close(s);
    return dd_error_set(error, DD_ERR_MEMORY, "out of memory for a model of %" PRIu64 " parameters",
                        dd_shape_n_parameters(shape));
}

void dd_sampler_close(dd_sampler *s)
{
    if (!s)
        return;
    dd_decoder_close(s->decoder);
    dd_free(s->weight);
    dd_free(s);
}

dd_status dd_sampler_feed(dd_sampler *s, const uint32_t *tokens, uint32_t n, dd_error *error)
{
    if (!s || !tokens || n == 0)
        return dd_error_set(error, DD_ERR_ARGUMENT, "a feed needs a sampler and a token at least");
    const uint32_t length = dd_decoder_length(s->decoder);
    if (n > s->shape.T_max - length)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "%" PRIu32 " tokens after %" PRIu32 ": the model knows %" PRIu32
                            " positions",
                            n, length, s->shape.T_max);
    for (uint32_t i = 0; i < n; i++)
        if (tokens[i] >= s->shape.V)
            return dd_error_set(error, DD_ERR_ARGUMENT,
                                "token %" PRIu32 ", number %" PRIu32
                                " of these: the vocabulary has "
                                "0 to %" PRIu32,
                                tokens[i], i, s->shape.V - 1);
    const dd_status st = dd_fp_env_check(error);
    if (!st)
        dd_decoder_feed(s->decoder, tokens, n);
    return st;
}

void dd_sampler_clear(dd_sampler *s)
{
    dd_decoder_clear(s->decoder);
}

const float *dd_sampler_logits(const dd_sampler *s)
{
    return dd_decoder_length(s->decoder) ? dd_decoder_logits(s->decoder) : NULL;
}

dd_status dd_sampler_draw(dd_sampler *s, const dd_drawing *how, uint64_t index, uint32_t *token,
                          dd_error *error)
{
    if (!s || !how || !token)
        return dd_error_set(error, DD_ERR_ARGUMENT, "sampler, how and token must not be NULL");
    if (!(how->temperature >= 0) || !isfinite(how->temperature))
        return dd_error_set(error, DD_ERR_ARGUMENT, "temperature %g: must be finite and at least 0",
                            how->temperature);
    if (how->below > s->shape.V)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "tokens below %" PRIu32 ": the vocabulary has 0 to %" PRIu32,
                            how->below, s->shape.V - 1);
    const float *logits = dd_sampler_logits(s);
    if (!logits)
        return dd_error_set(error, DD_ERR_REFUSED, "nothing can be drawn before a token is fed");
    const dd_status st = dd_fp_env_check(error);
    if (st)
        return st;
    const uint32_t n = how->below ? how->below : s->shape.V;
    uint32_t bad = 0;
    const uint32_t drawn = dd_draw(logits, n, how, index, s->weight, &bad);
    if (drawn == n)
        return dd_error_set(error, DD_ERR_NONFINITE,
                            "the logit of token %" PRIu32 " after position %" PRIu32 " is %s: such "
                            "weights say nothing",
                            bad, dd_decoder_length(s->decoder) - 1,
                            isnan(logits[bad]) ? "NaN" : "infinite");
    *token = drawn;
    return DD_OK;
}

void dd_sampler_info_get(const dd_sampler *s, dd_sampler_info *out)
{
    *out = (dd_sampler_info){.shape = s->shape,
                             .length = dd_decoder_length(s->decoder),
                             .kernels = s->kernels->name,
                             .bytes = sizeof *s + s->shape.V * sizeof *s->weight +
                                      dd_decoder_bytes(s->decoder),
                             .matrices_bytes = dd_decoder_matrix_bytes(s->decoder)};
}
