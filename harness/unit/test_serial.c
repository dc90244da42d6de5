/* SPDX-License-Identifier: MIT
 * The oracle's gradient: its forward pass is held to a second one written by hand, its backward
 * pass to finite differences in double precision, its float arithmetic to its double build, its
 * fold tree to a plain restatement. */
#define _POSIX_C_SOURCE 200809L
#include "folder_fixture.h"
#include "gpt2_by_hand.h"
#include "random.h"
#include "serial_fixture.h"
#include "tokens.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- The maths ---- */

static void test_forward_by_hand(void **state)
{
    (void)state;
    dd_data *data = open_builtin();
    dd_config config = odd_config();
    const dd_oracle_build *build = &dd_oracle_binary64;
    dd_oracle *o = open_oracle(build, &config, data);
    shake(build, o);
    double mean, sum = 0, by_hand[5];
    build->gradient(o, 3, &mean);
    const double *loss = build->token_losses(o), *weights = build->weights(o, NULL);

    dd_data_split split;
    uint64_t first[14], n;
    assert_int_equal(dd_data_split_get(data, config.seq, config.batch, &split, NULL), DD_OK);
    dd_batch_train(&split, config.seed, config.seq, config.batch, 3, first);
    const uint16_t *tokens = dd_data_tokens(data, &n);
    for (uint32_t b = 0; b < config.batch; b++) {
        gpt2_by_hand(&config.shape, weights, tokens + first[b], config.seq, by_hand);
        for (uint32_t t = 0; t < config.seq; t++) {
            sum += by_hand[t];
            assert_true(fabs(loss[b * config.seq + t] - by_hand[t]) < 1e-12);
        }
    }
    assert_true(fabs(mean - sum / (config.batch * config.seq)) < 1e-12);

    double validation;
    assert_int_equal(build->validate(o, 3, &validation, NULL), DD_OK);
    sum = 0;
    for (uint64_t i = 0; i < 3; i++) {
        dd_batch_validation(&split, config.seq, config.batch, i, first);
        for (uint32_t b = 0; b < config.batch; b++) {
            gpt2_by_hand(&config.shape, weights, tokens + first[b], config.seq, by_hand);
            for (uint32_t t = 0; t < config.seq; t++)
                sum += by_hand[t];
        }
    }
    assert_true(fabs(validation - sum / (3 * config.batch * config.seq)) < 1e-12);
    build->close(o);
    dd_data_close(data);
}

static void test_loss_without_weights(void **state)
{
    (void)state;
    dd_data *data = open_builtin();
    dd_config config = odd_config();
    dd_oracle *o = open_oracle(fastest(), &config, data);
    uint64_t n;
    double loss;
    float *w = fastest()->weights(o, &n);
    memset(w, 0, n * sizeof *w);
    fastest()->gradient(o, 0, &loss);
    assert_true(fabs(loss - log(config.shape.V)) < 1e-6);
    fastest()->close(o);
    dd_data_close(data);
}

/* Central differences of fourth order against the analytic gradient, for elements of every tensor.
 * With h = 1e-3 the stencil's error is about h^4 = 1e-12 of the fifth derivative and rounding adds
 * 1e-16 / h = 1e-13, so that 1e-8 of the tensor's largest element leaves room, while a wrong factor
 * anywhere shows as about 1. */
static void check_differences(const dd_data *data, dd_shape shape, uint32_t T, uint32_t B)
{
    dd_config config = odd_config();
    config.shape = shape;
    config.seq = T;
    config.batch = B;
    const dd_oracle_build *build = &dd_oracle_binary64;
    dd_oracle *o = open_oracle(build, &config, data);
    shake(build, o);
    uint64_t n, begin[N_TENSORS + 1];
    double *w = build->weights(o, &n), mean;
    double *gradient = calloc(n, sizeof *gradient);
    assert_non_null(gradient);
    memcpy(gradient, build->gradient(o, 1, &mean), n * sizeof *gradient);
    tensor_bounds(&config.shape, begin);
    assert_int_equal(begin[N_TENSORS], n);

    print_message("%u heads, L %u, C %u, T %u, B %u\n", shape.NH, shape.L, shape.C, T, B);
    enum { SAMPLES = 24 };
    const double h = 1e-3;
    for (int k = 0; k < N_TENSORS; k++) {
        uint64_t size = begin[k + 1] - begin[k];
        double largest = 0, worst = 0;
        for (uint64_t i = begin[k]; i < begin[k + 1]; i++)
            largest = fmax(largest, fabs(gradient[i]));
        for (uint64_t j = 0; j < (size < SAMPLES ? size : SAMPLES); j++) {
            uint32_t random[4];
            dd_philox(11, j, (uint32_t)k, random);
            uint64_t i = begin[k] + (size < SAMPLES ? j : random[0] % size);
            double at = w[i], loss[4];
            const double steps[4] = {-2 * h, -h, h, 2 * h};
            for (int p = 0; p < 4; p++) {
                w[i] = at + steps[p];
                build->gradient(o, 1, &loss[p]);
            }
            w[i] = at;
            double difference = (8 * (loss[2] - loss[1]) - (loss[3] - loss[0])) / (12 * h);
            worst = fmax(worst, fabs(difference - gradient[i]));
            if (!(fabs(difference - gradient[i]) <= 1e-8 * largest))
                fail_msg("%s[%llu]: analytic %.12g, by differences %.12g", tensor_name[k],
                         (unsigned long long)(i - begin[k]), gradient[i], difference);
        }
        print_message("%-8s largest %9.3g  worst difference %8.2g\n", tensor_name[k], largest,
                      worst);
    }
    free(gradient);
    build->close(o);
}

static void test_gradient_by_finite_differences(void **state)
{
    (void)state;
    dd_data *data = open_builtin();
    const dd_config odd = odd_config();
    check_differences(data, odd.shape, odd.seq, odd.batch); /* three heads */
    const dd_shape one_head = {.L = 1, .NH = 1, .C = 5, .V = 65, .T_max = 4};
    check_differences(data, one_head, 4, 12);
    const dd_shape two_heads = {.L = 3, .NH = 2, .C = 14, .V = 71, .T_max = 9};
    check_differences(data, two_heads, 6, 3);
    dd_data_close(data);
}

/* The float builds against the double one, at the same weights. */
static void test_float_gradient_is_accurate(void **state)
{
    (void)state;
    dd_data *data = open_builtin();
    dd_config config = odd_config();
    const dd_oracle_build *wide = &dd_oracle_binary64, *narrow = fastest();
    dd_oracle *a = open_oracle(wide, &config, data), *b = open_oracle(narrow, &config, data);
    shake(wide, a);
    shake(narrow, b);
    double exact_loss, loss, total = 0;
    uint64_t begin[N_TENSORS + 1];
    const double *exact = wide->gradient(a, 2, &exact_loss);
    const float *got = narrow->gradient(b, 2, &loss);
    assert_true(fabs(loss - exact_loss) < 1e-6 * exact_loss);
    tensor_bounds(&config.shape, begin);
    for (int k = 0; k < N_TENSORS; k++) {
        double largest = 0, worst = 0;
        for (uint64_t i = begin[k]; i < begin[k + 1]; i++) {
            largest = fmax(largest, fabs(exact[i]));
            worst = fmax(worst, fabs((double)got[i] - exact[i]));
        }
        total = fmax(total, worst / largest);
        assert_true(largest > 0 && worst < 1e-5 * largest);
    }
    print_message("float against double: worst %.2g of a tensor's largest element\n", total);
    wide->close(a);
    narrow->close(b);
    dd_data_close(data);
}

/* A token may move no loss before the position it is a target of. */
static void test_causality(void **state)
{
    (void)state;
    char spec[sizeof one_file + 8];
    snprintf(spec, sizeof spec, "bytes:%s", one_file);
    static uint8_t text[200];
    dd_config config = odd_config();
    config.seq = 7;
    dd_data_split split;
    uint64_t first[14];
    float before[14 * 7];
    enum { B = 14, T = 7, VICTIM = 9, PLACE = 3 };
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = (uint8_t)(i * i % 67);
        if (round == 1)
            text[first[VICTIM] + PLACE] ^= 1;
        write_file(one_file, text, sizeof text);
        dd_data *data;
        assert_int_equal(dd_data_open(spec, 1, &data, NULL), DD_OK);
        assert_int_equal(dd_data_split_get(data, T, B, &split, NULL), DD_OK);
        dd_batch_train(&split, config.seed, T, B, 0, first);
        dd_oracle *o = open_oracle(fastest(), &config, data);
        shake(fastest(), o);
        double mean;
        fastest()->gradient(o, 0, &mean);
        const float *loss = fastest()->token_losses(o);
        for (int b = 0; b < B && round == 1; b++)
            for (int t = 0; t < T; t++) /* it is input PLACE, and target of PLACE - 1 */
                assert_true((loss[b * T + t] != before[b * T + t]) ==
                            (b == VICTIM && t >= PLACE - 1));
        memcpy(before, loss, sizeof before);
        fastest()->close(o);
        dd_data_close(data);
    }
}

/* ---- Lanes and folds ---- */

/* left = left + right, where an empty list is skipped */
static void add(float *left, bool *present, const float *right, bool right_present, uint64_t n)
{
    for (uint64_t i = 0; right_present && i < n; i++)
        left[i] = *present ? left[i] + right[i] : right[i];
    *present = *present || right_present;
}

/* B sequences of which no two share a lane: the gradient of each alone, scaled by 1/B (exact: a
 * power of two) and folded as NUMERICS 7 draws the tree. wte is left out: its two parts fold apart.
 */
static void check_fold(const dd_data *data, uint32_t lane_depth, uint32_t B)
{
    dd_config config = odd_config();
    config.batch = B;
    config.lane_depth = lane_depth;
    dd_oracle *all = open_oracle(fastest(), &config, data);
    config.batch = 1;
    dd_oracle *one = open_oracle(fastest(), &config, data);
    shake(fastest(), all);
    shake(fastest(), one);

    uint64_t n, lanes = lane_depth == 1 ? 12 : 144;
    double loss;
    fastest()->weights(all, &n);
    float *triangle[4];
    bool present[4] = {false};
    for (int i = 0; i < 4; i++)
        assert_non_null(triangle[i] = calloc(n, sizeof **triangle));
    float *position = calloc(n, sizeof *position);
    assert_non_null(position);
    uint32_t b = 0;
    for (uint64_t p = 0; p < 12; p++) {
        bool occupied = false;
        uint64_t end = (p + 1) * (lanes / 12); /* the position's lanes end here */
        for (; b < B && b < end * B / lanes; b++) {
            float *g = calloc(n, sizeof *g);
            assert_non_null(g);
            const float *alone = fastest()->gradient(one, b, &loss);
            for (uint64_t i = 0; i < n; i++)
                g[i] = alone[i] / (float)B;
            add(position, &occupied, g, true, n);
            free(g);
        }
        add(triangle[p / 3], &present[p / 3], position, occupied, n);
    }
    assert_int_equal(b, B);
    add(triangle[0], &present[0], triangle[1], present[1], n);
    add(triangle[2], &present[2], triangle[3], present[3], n);
    add(triangle[0], &present[0], triangle[2], present[2], n);

    const float *root = fastest()->gradient(all, 0, &loss);
    uint64_t wte = (uint64_t)config.shape.V * config.shape.C;
    for (uint64_t i = wte; i < n; i++)
        assert_true(root[i] == triangle[0][i]);
    free(position);
    for (int i = 0; i < 4; i++)
        free(triangle[i]);
    fastest()->close(all);
    fastest()->close(one);
}

static void test_fold_tree(void **state)
{
    (void)state;
    dd_data *data = open_builtin();
    check_fold(data, 1, 8);
    check_fold(data, 1, 2);
    check_fold(data, 2, 16); /* up to two lanes in a position */
    dd_data_close(data);
}

/* Depth changes the order of additions and nothing else. */
static void test_lane_depths(void **state)
{
    (void)state;
    dd_data *data = open_builtin();
    double loss[4], first[4];
    uint8_t hash[4][16];
    for (uint32_t depth = 1; depth < 4; depth++) {
        dd_config config = odd_config();
        config.batch = 150;
        config.lane_depth = depth;
        dd_oracle *o = open_oracle(fastest(), &config, data);
        dd_step step;
        for (int i = 0; i < 5; i++) {
            assert_int_equal(fastest()->step(o, &step, NULL), DD_OK);
            if (i == 0)
                first[depth] = step.loss;
        }
        loss[depth] = step.loss;
        fastest()->hash(o, hash[depth]);
        fastest()->close(o);
        assert_true(fabs(loss[depth] - loss[1]) < 1e-4 && fabs(first[depth] - first[1]) < 1e-10);
    }
    assert_memory_not_equal(hash[1], hash[2], 16);
    assert_memory_not_equal(hash[2], hash[3], 16);
    dd_data_close(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward_by_hand),
        cmocka_unit_test(test_loss_without_weights),
        cmocka_unit_test(test_gradient_by_finite_differences),
        cmocka_unit_test(test_float_gradient_is_accurate),
        cmocka_unit_test_setup_teardown(test_causality, make_folder, remove_folder),
        cmocka_unit_test(test_fold_tree),
        cmocka_unit_test(test_lane_depths),
    };
    return cmocka_run_group_tests_name("serial", tests, NULL, NULL);
}
