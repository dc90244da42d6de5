/* SPDX-License-Identifier: MIT
 * Sampling: the logits of a growing text are, bit for bit, those of a plain forward pass over the
 * whole of it and give the oracle's loss of every token, however it is fed and by whichever kernel
 * set; draws are those of NUMERICS 11, redone here by sorting, and fall as often as they should;
 * what is wrong is refused and changes nothing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __x86_64__
#include <xmmintrin.h>
#endif

#include <cmocka.h>

#include "counted_alloc.h"
#include "elementary.h"
#include "kernels_plain.h"
#include "oracle.h"
#include "random.h"
#include "tensors.h"
#include "tokens.h"

static const dd_simd every_simd[] = {DD_SIMD_OFF, DD_SIMD_AVX2, DD_SIMD_AVX512, DD_SIMD_NEON};
enum { N_SIMD = sizeof every_simd / sizeof *every_simd };

/* Reproducible choices. */
static uint64_t next_index;

static uint32_t pick(uint32_t n)
{
    uint32_t f[4];
    dd_philox(11, next_index++, 100, f);
    return f[0] % n;
}

/* ---- Models ---- */

static const dd_shape shapes[] = {
    {.L = 1, .NH = 1, .C = 6, .V = 64, .T_max = 4},
    {.L = 3, .NH = 5, .C = 35, .V = 67, .T_max = 37},
    {.L = 2, .NH = 2, .C = 32, .V = 97, .T_max = 300}, /* more than one prefill */
    {.L = 1, .NH = 1, .C = 1, .V = 5, .T_max = 2},
    {.L = 1, .NH = 2, .C = 130, .V = 33, .T_max = 70},
    {.L = 2, .NH = 1, .C = 200, .V = 1, .T_max = 1},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* No tensor is left at its start: gains about 1, all else about 0. */
static float *any_weights(const dd_layout *layout)
{
    const uint64_t n = dd_layout_size(layout);
    float *w = malloc(n * sizeof *w);
    for (uint64_t e = 0; e < n; e++) {
        const dd_tensor k = dd_layout_tensor_of(layout, e);
        const bool gain = k == DD_LN1W || k == DD_LN2W || k == DD_LNFW;
        w[e] = (gain ? 1.0f : 0.0f) + dd_random_normal(5, 99, e, 0.1f);
    }
    return w;
}

static dd_sampler *open_sampler(const dd_shape *shape, const float *weights, dd_simd simd)
{
    dd_error error = {""};
    dd_sampler *s = NULL;
    if (dd_sampler_open(shape, weights, simd, &s, &error))
        fail_msg("%s", error.message);
    return s;
}

static void feed(dd_sampler *s, const uint32_t *tokens, uint32_t n)
{
    dd_error error = {""};
    if (dd_sampler_feed(s, tokens, n, &error))
        fail_msg("%s", error.message);
}

/* ---- The forward pass as NUMERICS 4 has it ---- */

static void linear(size_t T, size_t N, size_t K, const float *x, const float *W, const float *b,
                   float *y)
{
    const dd_matmul m = {.M = T,
                         .N = N,
                         .K = K,
                         .a = x,
                         .a_row = K,
                         .a_col = 1,
                         .b = W,
                         .b_row = 1,
                         .b_col = K,
                         .bias = b,
                         .c = y,
                         .c_row = N,
                         .sink = DD_STORE};
    plain_matmul(&m);
}

static void sum(size_t n, const float *a, const float *b, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

/* logits (T, V) of every position of the text */
static void plain_forward(const dd_layout *layout, const float *w, const uint32_t *token, size_t T,
                          float *logits)
{
    const dd_shape *s = &layout->shape;
    const size_t C = s->C, d = C / s->NH;
    float *x = malloc(T * C * sizeof *x), *n = malloc(T * C * sizeof *n);
    float *qkv = malloc(T * 3 * C * sizeof *qkv), *f = malloc(T * 4 * C * sizeof *f);
    float *P = malloc(T * T * sizeof *P), *mean = malloc(T * sizeof *mean);
    float *rstd = malloc(T * sizeof *rstd), *branch = malloc(T * C * sizeof *branch);
    for (size_t r = 0; r < T; r++)
        sum(C, w + layout->offset[DD_WTE] + token[r] * C, w + layout->offset[DD_WPE] + r * C,
            x + r * C);
#define W(k) (w + dd_layout_layer(layout, k, l))
    for (uint32_t l = 0; l < s->L; l++) {
        plain_layernorm(T, C, x, W(DD_LN1W), W(DD_LN1B), n, mean, rstd);
        linear(T, 3 * C, C, n, W(DD_QKVW), W(DD_QKVB), qkv);
        for (size_t h = 0; h < s->NH; h++) {
            const float *q = qkv + h * d;
            const dd_attention a = {.T = T,
                                    .d = d,
                                    .q = q,
                                    .k = q + C,
                                    .v = q + 2 * C,
                                    .qkv_row = 3 * C,
                                    .P = P,
                                    .att = n + h * d,
                                    .att_row = C};
            plain_attention_forward(&a);
        }
        linear(T, C, C, n, W(DD_ATTPROJW), W(DD_ATTPROJB), branch);
        sum(T * C, x, branch, x);
        plain_layernorm(T, C, x, W(DD_LN2W), W(DD_LN2B), n, mean, rstd);
        linear(T, 4 * C, C, n, W(DD_FCW), W(DD_FCB), f);
        for (size_t i = 0; i < T * 4 * C; i++)
            f[i] = dd_gelu(f[i]);
        linear(T, C, 4 * C, f, W(DD_FCPROJW), W(DD_FCPROJB), branch);
        sum(T * C, x, branch, x);
    }
#undef W
    plain_layernorm(T, C, x, w + layout->offset[DD_LNFW], w + layout->offset[DD_LNFB], n, mean,
                    rstd);
    linear(T, s->V, C, n, w + layout->offset[DD_WTE], NULL, logits);
    free(x), free(n), free(qkv), free(f), free(P), free(mean), free(rstd), free(branch);
}

/* ---- Logits ---- */

static void assert_row(const dd_sampler *s, const float *want)
{
    dd_sampler_info info;
    dd_sampler_info_get(s, &info);
    const float *got = dd_sampler_logits(s);
    for (uint32_t v = 0; v < info.shape.V; v++)
        if (dd_float_bits(got[v]) != dd_float_bits(want[v]))
            fail_msg("%s, C %u, position %u: logit %u is %a, not %a", info.kernels, info.shape.C,
                     info.length - 1, v, (double)got[v], (double)want[v]);
}

/* The whole text in feeds of at most `most` tokens, each as long as it falls. */
static void feed_in_pieces(dd_sampler *s, const uint32_t *tokens, uint32_t most, const float *want)
{
    dd_sampler_info info;
    dd_sampler_info_get(s, &info);
    for (uint32_t at = 0, n; at < info.shape.T_max; at += n) {
        n = 1 + pick(most);
        n = n < info.shape.T_max - at ? n : info.shape.T_max - at;
        feed(s, tokens + at, n);
        dd_sampler_info_get(s, &info);
        assert_int_equal(info.length, at + n);
        assert_row(s, want + (at + n - 1) * (size_t)info.shape.V);
    }
}

static void logits_are_those_of_a_forward_pass(void **state)
{
    (void)state;
    uint32_t samplers = 0;
    for (size_t i = 0; i < SHAPES; i++) {
        const uint32_t T = shapes[i].T_max, V = shapes[i].V;
        dd_layout layout;
        dd_layout_make(&shapes[i], &layout);
        float *weights = any_weights(&layout), *want = malloc((size_t)T * V * sizeof *want);
        uint32_t *tokens = malloc(T * sizeof *tokens);
        for (uint32_t t = 0; t < T; t++)
            tokens[t] = pick(V);
        plain_forward(&layout, weights, tokens, T, want);
        for (int k = 0; k < N_SIMD; k++) {
            if (!dd_kernels_select(every_simd[k], NULL))
                continue;
            float *copy = malloc(dd_layout_size(&layout) * sizeof *copy);
            memcpy(copy, weights, dd_layout_size(&layout) * sizeof *copy);
            dd_sampler *s = open_sampler(&shapes[i], copy, every_simd[k]);
            free(copy); /* the sampler has its own */
            feed_in_pieces(s, tokens, 1, want);
            dd_sampler_clear(s);
            assert_null(dd_sampler_logits(s));
            feed_in_pieces(s, tokens, 5, want);
            dd_sampler_clear(s);
            feed_in_pieces(s, tokens, T, want);
            dd_sampler_clear(s);
            feed(s, tokens, T);
            assert_row(s, want + (size_t)(T - 1) * V);
            dd_sampler_close(s);
            samplers++;
        }
        free(weights), free(want), free(tokens);
    }
    assert_true(samplers >= SHAPES);
}

/* Loss by loss, of the windows that a validation reads. */
static void losses_are_those_of_the_oracle(void **state)
{
    (void)state;
    dd_config config;
    dd_config_default(&config);
    config.shape = (dd_shape){.L = 2, .NH = 3, .C = 48, .V = 64, .T_max = 24};
    config.batch = 3;
    config.warmup = 0;
    config.lr = 0.01;
    const uint32_t T = config.shape.T_max, V = config.shape.V;
    const dd_oracle_build *build = &dd_oracle_portable;
    dd_data *data = NULL;
    dd_oracle *oracle = NULL;
    dd_data_split split;
    double loss;
    uint64_t n, first[3];
    assert_int_equal(dd_data_open("builtin", 3, &data, NULL), DD_OK);
    assert_int_equal(dd_data_split_get(data, T, config.batch, &split, NULL), DD_OK);
    assert_int_equal(build->open(&config, data, &oracle, NULL), DD_OK);
    for (int i = 0; i < 3; i++) /* no tensor is where it began */
        assert_int_equal(build->step(oracle, NULL, NULL), DD_OK);
    assert_int_equal(build->validate(oracle, 1, &loss, NULL), DD_OK);
    const float *want = build->token_losses(oracle);
    const uint16_t *text = dd_data_tokens(data, &n);
    dd_batch_validation(&split, T, config.batch, 0, first);
    for (int k = 0; k < N_SIMD; k++) {
        const dd_kernels *kernels = dd_kernels_select(every_simd[k], NULL);
        if (!kernels)
            continue;
        dd_sampler *s = open_sampler(&config.shape, build->weights(oracle, &n), every_simd[k]);
        for (uint32_t b = 0; b < config.batch; b++) {
            for (uint32_t t = 0; t < T; t++) {
                const uint32_t token = text[first[b] + t], target = text[first[b] + t + 1];
                float got;
                feed(s, &token, 1);
                kernels->cross_entropy_loss(1, V, dd_sampler_logits(s), &target, &got);
                if (dd_float_bits(got) != dd_float_bits(want[b * T + t]))
                    fail_msg("%s, sequence %u, token %u: loss %a, the oracle has %a", kernels->name,
                             b, t, (double)got, (double)want[b * T + t]);
            }
            dd_sampler_clear(s);
        }
        dd_sampler_close(s);
    }
    build->close(oracle);
    dd_data_close(data);
}

/* ---- Through the public functions ---- */

static const dd_shape small = {.L = 2, .NH = 2, .C = 16, .V = 40, .T_max = 20};

static dd_sampler *open_small(float **weights)
{
    dd_layout layout;
    dd_layout_make(&small, &layout);
    *weights = any_weights(&layout);
    return open_sampler(&small, *weights, DD_SIMD_AUTO);
}

/* T_max - 1 tokens after one, each draw fed. */
static void sample(dd_sampler *s, const dd_drawing *how, uint32_t *out)
{
    const uint32_t first = 3;
    dd_sampler_clear(s);
    feed(s, &first, 1);
    for (uint32_t i = 0; i + 1 < small.T_max; i++) {
        assert_int_equal(dd_sampler_draw(s, how, i, &out[i], NULL), DD_OK);
        feed(s, &out[i], 1);
    }
}

static void the_seed_decides(void **state)
{
    (void)state;
    uint32_t a[20] = {0}, b[20] = {0};
    float *weights;
    dd_sampler *s = open_small(&weights);
    dd_drawing how = {.temperature = 1, .seed = 1};
    sample(s, &how, a);
    sample(s, &how, b);
    assert_memory_equal(a, b, sizeof a);
    dd_sampler *other = open_sampler(&small, weights, DD_SIMD_OFF);
    sample(other, &how, b);
    assert_memory_equal(a, b, sizeof a);
    dd_sampler_close(other);
    how.seed = 2;
    sample(s, &how, b);
    assert_memory_not_equal(a, b, sizeof a);

    how = (dd_drawing){.temperature = 0, .seed = 1};
    sample(s, &how, a);
    how.seed = 2; /* of no use */
    sample(s, &how, b);
    assert_memory_equal(a, b, sizeof a);
    how = (dd_drawing){.temperature = 1e-9, .seed = 1};
    sample(s, &how, b);
    assert_memory_equal(a, b, sizeof a);
    how = (dd_drawing){.temperature = 5, .top_k = 1, .seed = 1};
    sample(s, &how, b);
    assert_memory_equal(a, b, sizeof a);
    how = (dd_drawing){.temperature = 100, .below = 7, .seed = 1};
    sample(s, &how, b);
    for (uint32_t i = 0; i + 1 < small.T_max; i++)
        assert_true(b[i] < 7);
    free(weights);
    dd_sampler_close(s);
}

static void expect_feed(dd_sampler *s, const uint32_t *tokens, uint32_t n, const char *why)
{
    dd_error error = {""};
    dd_sampler_info before, after;
    float logits[40];
    dd_sampler_info_get(s, &before);
    memcpy(logits, dd_sampler_logits(s), sizeof logits);
    assert_int_equal(dd_sampler_feed(s, tokens, n, &error), DD_ERR_ARGUMENT);
    if (!strstr(error.message, why))
        fail_msg("\"%s\" does not say \"%s\"", error.message, why);
    dd_sampler_info_get(s, &after);
    assert_int_equal(before.length, after.length);
    assert_memory_equal(logits, dd_sampler_logits(s), sizeof logits);
}

static void expect_draw(dd_sampler *s, dd_drawing how, dd_status status, const char *why)
{
    dd_error error = {""};
    uint32_t token = 12345;
    assert_int_equal(dd_sampler_draw(s, &how, 0, &token, &error), status);
    if (!strstr(error.message, why))
        fail_msg("\"%s\" does not say \"%s\"", error.message, why);
    assert_int_equal(token, 12345);
}

static void what_is_wrong_is_refused(void **state)
{
    (void)state;
    float *weights;
    uint32_t tokens[21] = {1, 2, 3, 40}, token;
    dd_sampler *s = open_small(&weights), *none = s;
    const dd_drawing fine = {.temperature = 1};
    expect_draw(s, fine, DD_ERR_REFUSED, "before a token is fed");
    feed(s, tokens, 3);
    expect_feed(s, tokens, 0, "a token at least");
    expect_feed(s, NULL, 1, "a token at least");
    expect_feed(s, tokens, 4, "token 40, number 3 of these: the vocabulary has 0 to 39");
    tokens[3] = 4;
    expect_feed(s, tokens, 18, "18 tokens after 3: the model knows 20 positions");
    expect_feed(s, tokens, UINT32_MAX, "the model knows 20 positions");
    feed(s, tokens, 17);
    expect_feed(s, tokens, 1, "1 tokens after 20: the model knows 20 positions");
    expect_draw(s, (dd_drawing){.temperature = -0.5}, DD_ERR_ARGUMENT, "finite and at least 0");
    expect_draw(s, (dd_drawing){.temperature = (double)NAN}, DD_ERR_ARGUMENT, "at least 0");
    expect_draw(s, (dd_drawing){.temperature = (double)INFINITY}, DD_ERR_ARGUMENT, "finite");
    expect_draw(s, (dd_drawing){.below = 41}, DD_ERR_ARGUMENT, "tokens below 41");
    assert_int_equal(dd_sampler_draw(NULL, &fine, 0, &token, NULL), DD_ERR_ARGUMENT);
    assert_int_equal(dd_sampler_draw(s, NULL, 0, &token, NULL), DD_ERR_ARGUMENT);
    assert_int_equal(dd_sampler_draw(s, &fine, 0, NULL, NULL), DD_ERR_ARGUMENT);
    assert_int_equal(dd_sampler_feed(NULL, tokens, 1, NULL), DD_ERR_ARGUMENT);
    dd_sampler_close(s);

    dd_error error;
    dd_shape odd = small;
    odd.C = 17;
    assert_int_equal(dd_sampler_open(&odd, weights, DD_SIMD_AUTO, &none, &error), DD_ERR_ARGUMENT);
    assert_non_null(strstr(error.message, "C 17"));
    assert_null(none);
    assert_int_equal(dd_sampler_open(&small, NULL, DD_SIMD_AUTO, &none, NULL), DD_ERR_ARGUMENT);
    assert_int_equal(dd_sampler_open(NULL, weights, DD_SIMD_AUTO, &none, NULL), DD_ERR_ARGUMENT);
    assert_int_equal(dd_sampler_open(&small, weights, DD_SIMD_AUTO, NULL, NULL), DD_ERR_ARGUMENT);
    for (int k = 0; k < N_SIMD; k++)
        if (!dd_kernels_select(every_simd[k], NULL)) {
            assert_int_equal(dd_sampler_open(&small, weights, every_simd[k], &none, &error),
                             DD_ERR_CPU);
            assert_non_null(strstr(error.message, "simd: "));
        }
    free(weights);
}

static void logits_that_are_not_finite_are_never_drawn(void **state)
{
    (void)state;
    static const float wrong[] = {NAN, INFINITY, -INFINITY};
    const uint32_t tokens[] = {1, 2, 3};
    const dd_shape shape = {.L = 1, .NH = 1, .C = 16, .V = 40, .T_max = 8};
    dd_layout layout;
    dd_layout_make(&shape, &layout);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        for (int greedy = 0; greedy < 2; greedy++) {
            float *weights = any_weights(&layout);
            weights[layout.offset[DD_WTE] + 30 * shape.C] = wrong[i]; /* token 30's logit alone */
            dd_sampler *s = open_sampler(&shape, weights, DD_SIMD_AUTO);
            feed(s, tokens, 3);
            dd_drawing how = {.temperature = greedy ? 0 : 1};
            expect_draw(s, how, DD_ERR_NONFINITE, "token 30 after position 2 is ");
            how.below = 30;
            uint32_t token = 99;
            assert_int_equal(dd_sampler_draw(s, &how, 0, &token, NULL), DD_OK);
            assert_true(token < 30);
            dd_sampler_close(s);
            free(weights);
        }
}

static void a_changed_floating_point_environment_is_refused(void **state)
{
    (void)state;
#ifdef __x86_64__
    float *weights;
    const uint32_t first = 1;
    uint32_t token;
    dd_sampler *s = open_small(&weights);
    feed(s, &first, 1);
    const unsigned saved = _mm_getcsr();
    const dd_drawing how = {.temperature = 1};
    _mm_setcsr(saved | 0x8000); /* flush to zero */
    const dd_status fed = dd_sampler_feed(s, &first, 1, NULL);
    const dd_status drawn = dd_sampler_draw(s, &how, 0, &token, NULL);
    _mm_setcsr(saved);
    assert_int_equal(fed, DD_ERR_FP_ENV);
    assert_int_equal(drawn, DD_ERR_FP_ENV);
    dd_sampler_close(s);
    free(weights);
#else
    print_message("SKIP (optional): this processor's control register is not known here\n");
    skip();
#endif
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    dd_layout layout;
    dd_layout_make(&small, &layout);
    float *weights = any_weights(&layout);
    dd_sampler *s;
    dd_error error;
    const long live = n_live;
    for (long i = 0;; i++) {
        n_allocations = 0;
        fail_at = i;
        const dd_status st = dd_sampler_open(&small, weights, DD_SIMD_AUTO, &s, &error);
        fail_at = -1;
        if (st == DD_OK) {
            assert_true(i >= 8); /* there were so many to fail */
            break;
        }
        assert_int_equal(st, DD_ERR_MEMORY);
        assert_null(s);
        assert_non_null(strstr(error.message, "out of memory"));
        assert_int_equal(n_live, live);
    }
    dd_sampler_close(s);
    dd_sampler_close(NULL);
    assert_int_equal(n_live, live);
    free(weights);

    /* more than there can be: refused, not wrapped. The weights are never looked at */
    const dd_shape vast = {.L = 1 << 19, .NH = 1 << 10, .C = 1 << 10, .V = 1, .T_max = 1 << 24};
    const float one = 0;
    assert_true(dd_shape_n_parameters(&vast) > 0);
    assert_int_equal(dd_sampler_open(&vast, &one, DD_SIMD_AUTO, &s, NULL), DD_ERR_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_are_those_of_a_forward_pass),
        cmocka_unit_test(losses_are_those_of_the_oracle),
        cmocka_unit_test(the_seed_decides),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(logits_that_are_not_finite_are_never_drawn),
        cmocka_unit_test(a_changed_floating_point_environment_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
