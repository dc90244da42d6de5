/* SPDX-License-Identifier: MIT
 * Packed weights: every element of a matrix in its two places and zeros around, whatever ranges
 * they were written in and by which kernel set; and a trainer whose packed weights follow its
 * weights through steps, commands and the caller's own writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "packed.h"
#include "random.h"
#include "trainer_fixture.h"
#include "trainer_parts.h"

/* Reproducible choices. */
static uint64_t next_index;

static uint64_t pick(uint64_t n)
{
    uint32_t f[4];
    dd_philox(6, next_index++, 100, f);
    return f[0] % n;
}

static const dd_shape shapes[] = {
    {.L = 1, .NH = 1, .C = 6, .V = 64, .T_max = 4},
    {.L = 3, .NH = 5, .C = 35, .V = 67, .T_max = 3},
    {.L = 2, .NH = 2, .C = 32, .V = 97, .T_max = 8},
    {.L = 1, .NH = 1, .C = 1, .V = 64, .T_max = 2},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* ---- The array ---- */

/* By the definition: tensor after tensor, of each layer both panels; columns outermost. */
static uint64_t by_hand(const dd_layout *layout, const float *weights, float *packed)
{
    const uint64_t C = layout->shape.C;
    const struct {
        dd_tensor k;
        uint64_t N, K, layers;
    } matrix[] = {{DD_WTE, layout->shape.V, C, 1},
                  {DD_QKVW, 3 * C, C, layout->shape.L},
                  {DD_ATTPROJW, C, C, layout->shape.L},
                  {DD_FCW, 4 * C, C, layout->shape.L},
                  {DD_FCPROJW, C, 4 * C, layout->shape.L}};
    uint64_t n = 0;
    for (size_t i = 0; i < 5; i++)
        for (uint64_t l = 0; l < matrix[i].layers; l++) {
            const uint64_t N = matrix[i].N, K = matrix[i].K;
            const float *W = weights + layout->offset[matrix[i].k] + l * N * K;
            assert_int_equal(dd_packed_forward(layout, matrix[i].k, (uint32_t)l), n);
            for (uint64_t p = 0; p < N; p += 16)
                for (uint64_t k = 0; k < K; k++)
                    for (uint64_t o = p; o < p + 16; o++)
                        packed[n++] = o < N ? W[o * K + k] : 0;
            assert_int_equal(dd_packed_input(layout, matrix[i].k, (uint32_t)l), n);
            for (uint64_t p = 0; p < K; p += 16)
                for (uint64_t o = 0; o < N; o++)
                    for (uint64_t k = p; k < p + 16; k++)
                        packed[n++] = k < K ? W[o * K + k] : 0;
        }
    return n;
}

static void any_ranges_make_the_same_array(void **state)
{
    (void)state;
    for (int simd = DD_SIMD_AUTO; simd <= DD_SIMD_NEON; simd++)
        for (size_t s = 0; s < SHAPES; s++) {
            const dd_kernels *kernels = dd_kernels_select((dd_simd)simd, NULL);
            if (!kernels)
                continue;
            dd_layout layout;
            dd_layout_make(&shapes[s], &layout);
            const uint64_t P = dd_layout_size(&layout), n = dd_packed_size(&layout);
            float *weights = malloc(P * sizeof *weights), *want = malloc(n * sizeof *want);
            for (uint64_t e = 0; e < P; e++)
                weights[e] = (float)(e + 1);
            assert_int_equal(by_hand(&layout, weights, want), n);
            for (int cuts = 0; cuts < 40; cuts++) {
                float *packed = dd_alloc(n * sizeof *packed);
                uint64_t range[12] = {0}; /* written back to front */
                for (int i = 1; i < 11; i++)
                    range[i] = cuts ? range[i - 1] + pick(P - range[i - 1] + 1) : 0;
                range[11] = P;
                for (int i = 11; i > 0; i--)
                    dd_packed_write(kernels, &layout, range[i - 1], range[i], weights, packed);
                assert_memory_equal(packed, want, n * sizeof *packed);
                dd_free(packed);
            }
            free(weights);
            free(want);
        }
}

static void pieces_are_sixteen_rows_or_a_tensor(void **state)
{
    (void)state;
    for (size_t s = 0; s < SHAPES; s++) {
        dd_layout layout;
        dd_layout_make(&shapes[s], &layout);
        uint64_t begin = 0, end = 0;
        for (uint64_t e = 0; e < dd_layout_size(&layout); e++) {
            if (e == end) {
                begin = e;
                end = dd_packed_piece_end(&layout, e);
            }
            assert_int_equal(dd_packed_piece_end(&layout, e), end); /* wherever one asks */
            const dd_tensor k = dd_layout_tensor_of(&layout, begin);
            dd_matrix m;
            if (!dd_layout_matrix(&layout, k, &m)) {
                assert_int_equal(end, layout.offset[k + 1]);
                continue;
            }
            const uint64_t N = m.N, K = m.K, row = (begin - layout.offset[k]) % (N * K) / K;
            assert_int_equal((begin - layout.offset[k]) % K, 0);
            assert_int_equal(row % 16, 0);
            assert_int_equal(end - begin, (N - row < 16 ? N - row : 16) * K);
        }
    }
}

/* ---- In a trainer ---- */

static void assert_packed(const dd_trainer *t)
{
    const dd_layout *layout = &t->model.layout;
    const uint64_t n = dd_packed_size(layout);
    float *want = malloc(n * sizeof *want);
    by_hand(layout, dd_trainer_weights(t, NULL), want);
    assert_memory_equal(t->packed, want, n * sizeof *want);
    free(want);
}

static void set_some(dd_trainer *t)
{
    uint64_t n;
    const float *now = dd_trainer_weights(t, &n);
    const uint64_t first = pick(n + 1), some = pick(n - first + 1);
    float *want = malloc(n * sizeof *want), *values = malloc((some + 1) * sizeof *values);
    memcpy(want, now, n * sizeof *want);
    for (uint64_t i = 0; i < some; i++)
        want[first + i] = values[i] = (float)pick(100) * 0x1p-9f;
    assert_int_equal(dd_trainer_set_weights(t, first, some, values, NULL), DD_OK);
    assert_memory_equal(now, want, n * sizeof *want); /* these and no others */
    free(want);
    free(values);
}

static void packed_weights_follow_the_weights(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 12; c++) {
        dd_config config;
        dd_config_default(&config);
        config.shape = shapes[c % 3];
        config.workers = 1 + c % 5;
        config.reduce = (dd_reduce)(c % 3);
        config.steal = c % 2;
        config.guard = c % 4 == 3;
        config.simd = c % 3 ? DD_SIMD_AUTO : DD_SIMD_OFF;
        dd_trainer *t = open_trainer(&config);
        assert_packed(t);
        for (int i = 0; i < 3; i++)
            step_ok(t);
        assert_packed(t);
        assert_int_equal(dd_trainer_command(t, DD_COMMAND_CHECKPOINT, NULL), DD_OK);
        set_some(t);
        assert_packed(t);
        step_ok(t);
        assert_packed(t);
        assert_int_equal(dd_trainer_command(t, DD_COMMAND_RESTORE, NULL), DD_OK);
        assert_packed(t);
        dd_trainer_close(t);
    }
}

static void weights_that_are_not_there_are_refused(void **state)
{
    (void)state;
    dd_config config;
    dd_config_default(&config);
    config.shape = shapes[0];
    dd_trainer *t = open_trainer(&config);
    uint64_t n;
    const float *now = dd_trainer_weights(t, &n);
    float *before = malloc(n * sizeof *before), *zeros = calloc(n + 1, sizeof *zeros);
    memcpy(before, now, n * sizeof *before);
    dd_error error;
    const uint64_t bad[][2] = {{0, n + 1}, {n, 1},          {n + 1, 0},
                               {1, n},     {UINT64_MAX, 1}, {1, UINT64_MAX}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(dd_trainer_set_weights(t, bad[i][0], bad[i][1], zeros, &error),
                         DD_ERR_ARGUMENT);
        assert_non_null(strstr(error.message, "parameters"));
    }
    assert_int_equal(dd_trainer_set_weights(t, 0, n, NULL, NULL), DD_ERR_ARGUMENT);
    assert_int_equal(dd_trainer_set_weights(NULL, 0, 0, zeros, NULL), DD_ERR_ARGUMENT);
    assert_int_equal(dd_trainer_set_weights(t, n, 0, zeros, NULL), DD_OK);
    assert_memory_equal(now, before, n * sizeof *before);
    assert_packed(t);
    free(before);
    free(zeros);
    dd_trainer_close(t);
}

/* ---- The parts of memory, and of time ---- */

static void memory_is_told_by_part(void **state)
{
    (void)state;
    dd_config config;
    dd_config_default(&config);
    config.shape = shapes[1];
    config.workers = 2;
    dd_trainer *t = open_trainer(&config);
    dd_trainer_info info;
    dd_trainer_info_get(t, &info);
    assert_int_equal(info.weights_bytes, 4 * info.n_parameters);
    assert_int_equal(info.moments_bytes, 8 * info.n_parameters);
    /* V 67, C 35, L 3: each matrix in panels of outputs and of inputs, rounded up to sixteens */
    const uint64_t forward = 80 * 35 + 3 * (112 * 35 + 48 * 35 + 144 * 35 + 48 * 140);
    const uint64_t input = 48 * 67 + 3 * (48 * 105 + 48 * 35 + 48 * 140 + 144 * 35);
    assert_int_equal(info.packed_weights_bytes, 4 * (forward + input));
    assert_true(info.other_bytes > 0 && info.workspaces_bytes > 0);
    dd_trainer_close(t);
}

static void phases_add_up(void **state)
{
    (void)state;
    for (int reduce = 0; reduce <= DD_REDUCE_SLICED; reduce++) {
        dd_config config;
        dd_config_default(&config);
        config.shape = (dd_shape){.L = 2, .NH = 2, .C = 32, .V = 64, .T_max = 16};
        config.workers = 2;
        config.reduce = (dd_reduce)reduce;
        dd_phase_info phase;
        dd_trainer *t = open_trainer(&config);
        assert_false(dd_trainer_phase_get(t, 0, &phase)); /* off */
        dd_trainer_close(t);

        config.profile = true;
        t = open_trainer(&config);
        uint64_t wall_ns = 0, work_ns = 0, products = 0, updates = 0, norms = 0;
        for (int i = 0; i < 5; i++) {
            dd_step step;
            assert_int_equal(dd_trainer_step(t, &step, NULL), DD_OK);
            wall_ns += step.wall_ns;
        }
        uint32_t n = 0;
        for (; dd_trainer_phase_get(t, n, &phase); n++) {
            work_ns += phase.ns;
            assert_int_equal(phase.ns > 0, phase.calls > 0);
            assert_int_equal(phase.work > 0, phase.calls > 0);
            if (strstr(phase.name, "products"))
                products += phase.work;
            if (!strcmp(phase.name, "update and packing"))
                updates += phase.work;
            if (strstr(phase.name, "norm"))
                norms += phase.calls;
        }
        assert_int_equal(n, DD_PROFILE_PHASES);
        /* per token 6 operations for each element of the matrices, the logits' included */
        const uint64_t matrices = 64 * 32 + 2 * 12 * 32 * 32;
        assert_int_equal(products, 5 * 6 * matrices * 12 * 16);
        assert_int_equal(updates, 5 * 36 * dd_shape_n_parameters(&config.shape));
        assert_int_equal(norms, reduce == DD_REDUCE_SLICED ? 10 : 5);
        /* Node Zero folds and measures in `control`, while the workers wait */
        assert_true(work_ns > 0 && work_ns < 3 * wall_ns);
        dd_trainer_close(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_ranges_make_the_same_array),
        cmocka_unit_test(pieces_are_sixteen_rows_or_a_tensor),
        cmocka_unit_test(packed_weights_follow_the_weights),
        cmocka_unit_test(weights_that_are_not_there_are_refused),
        cmocka_unit_test(memory_is_told_by_part),
        cmocka_unit_test(phases_add_up),
    };
    return cmocka_run_group_tests(tests, open_data, close_data);
}
