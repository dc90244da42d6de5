/* SPDX-License-Identifier: MIT
 * The oracle's steps: norm, schedule and AdamW against a restatement in double, every setting's
 * effect, discarded steps, equal bits of its builds, and the public interface. `test_serial_step
 * --slow` trains nano to the entropy floor of the built-in source. */
#include "random.h"
#include "serial_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool is_matrix(int k)
{
    return k == 0 || k == 1 || k == 4 || k == 6 || k == 10 || k == 12;
}

/* ---- The update ---- */

/* Weights before the first step: ones, zeros, and normals of two scales. */
static void test_start(void **state)
{
    (void)state;
    dd_data *data = open_builtin();
    dd_config config = odd_config();
    config.seed = UINT64_C(0x123456789abcdef0);
    dd_oracle *o = open_oracle(fastest(), &config, data);
    uint64_t begin[N_TENSORS + 1], n;
    const float *w = fastest()->weights(o, &n);
    tensor_bounds(&config.shape, begin);
    assert_int_equal(begin[N_TENSORS], n);
    for (uint32_t k = 0; k < N_TENSORS; k++) {
        bool gain = k == 2 || k == 8 || k == 14; /* ln1w, ln2w, lnfw */
        bool into_residual = k == 6 || k == 12;  /* attprojw, fcprojw: 0.02 / sqrt(2 * 2 layers) */
        for (uint64_t e = 0; e < begin[k + 1] - begin[k]; e++) {
            float normal = dd_random_normal(config.seed, k, e, into_residual ? 0.01f : 0.02f);
            assert_true(w[begin[k] + e] == (is_matrix((int)k) ? normal : gain ? 1.0f : 0.0f));
        }
    }
    fastest()->close(o);
    dd_data_close(data);
}

/* Norm, schedule, clipping and AdamW restated in double, options away from their defaults. */
static void test_update_by_hand(void **state)
{
    (void)state;
    enum { STEPS = 8 };
    dd_data *data = open_builtin();
    dd_config config = odd_config();
    config.horizon = 6; /* the last steps lie beyond it */
    config.warmup = 2;
    config.lr = 2e-3;
    config.min_lr_ratio = 0.25;
    config.beta1 = 0.8;
    config.beta2 = 0.9;
    config.eps = 1e-3;
    config.weight_decay = 0.5;
    config.grad_clip = 0.85; /* some steps are clipped and some are not */
    const double lr[STEPS] = {1e-3,    2e-3,
                              2e-3,    2e-3 * (0.25 + 0.75 * (2 + sqrt(2)) / 4),
                              1.25e-3, 2e-3 * (0.25 + 0.75 * (2 - sqrt(2)) / 4),
                              5e-4,    5e-4};
    const dd_oracle_build *build = fastest();
    dd_oracle *o = open_oracle(build, &config, data);
    uint64_t n, begin[N_TENSORS + 1];
    float *w = build->weights(o, &n);
    double *m = calloc(n, sizeof *m), *v = calloc(n, sizeof *v), *expected = calloc(n, sizeof *v);
    assert_true(m && v && expected);
    tensor_bounds(&config.shape, begin);
    int clipped = 0;
    for (int s = 0; s < STEPS; s++) {
        double loss, norm = 0;
        const float *g = build->gradient(o, (uint64_t)s, &loss);
        for (uint64_t i = 0; i < n; i++)
            norm += (double)g[i] * (double)g[i];
        norm = sqrt(norm);
        double clip = norm > config.grad_clip ? config.grad_clip / norm : 1;
        clipped += norm > config.grad_clip;
        for (int k = 0; k < N_TENSORS; k++)
            for (uint64_t i = begin[k]; i < begin[k + 1]; i++) {
                double h = (double)g[i] * clip;
                m[i] = config.beta1 * m[i] + (1 - config.beta1) * h;
                v[i] = config.beta2 * v[i] + (1 - config.beta2) * h * h;
                double mhat = m[i] / (1 - pow(config.beta1, s + 1));
                double vhat = v[i] / (1 - pow(config.beta2, s + 1));
                double u = mhat / (sqrt(vhat) + config.eps);
                u += is_matrix(k) ? config.weight_decay * (double)w[i] : 0;
                expected[i] = (double)w[i] - lr[s] * u;
            }
        dd_step step;
        assert_int_equal(build->step(o, &step, NULL), DD_OK);
        assert_int_equal(step.step, s);
        assert_false(step.discarded);
        assert_true(step.loss == loss);
        assert_true(fabs(step.norm - norm) < 1e-13 * norm);
        assert_true(fabs((double)step.lr - lr[s]) < 1e-7 * lr[s]);
        /* one rounding of w, and a few of a step of about lr */
        for (uint64_t i = 0; i < n; i++)
            if (!(fabs((double)w[i] - expected[i]) <= 6e-8 * fabs(expected[i]) + 1e-5 * lr[s]))
                fail_msg("step %d, element %llu: %.9g, by hand %.9g", s, (unsigned long long)i,
                         (double)w[i], expected[i]);
    }
    assert_true(clipped > 0 && clipped < STEPS);
    free(m);
    free(v);
    free(expected);
    build->close(o);
    dd_data_close(data);
}

#define SETTING(name, statement)                                                                   \
    static void name(dd_config *c)                                                                 \
    {                                                                                              \
        c->statement;                                                                              \
    }
SETTING(set_nothing, seed = c->seed)
SETTING(set_seed, seed++)
SETTING(set_seq, seq = 4)
SETTING(set_batch, batch = 13)
SETTING(set_lane_depth, lane_depth = 2)
SETTING(set_horizon, horizon = 9)
SETTING(set_warmup, warmup = 3)
SETTING(set_lr, lr = 1.01e-3)
SETTING(set_min_lr_ratio, min_lr_ratio = 0.2)
SETTING(set_beta1, beta1 = 0.91)
SETTING(set_beta2, beta2 = 0.96)
SETTING(set_eps, eps = 2e-8)
SETTING(set_weight_decay, weight_decay = 0.2)
SETTING(set_no_weight_decay, weight_decay = 0)
SETTING(set_grad_clip, grad_clip = 0.5)
SETTING(set_no_grad_clip, grad_clip = 0)

/* Every setting that is said to decide the bits does. */
static void test_every_setting_counts(void **state)
{
    (void)state;
    static void (*const settings[])(dd_config *) = {
        set_nothing,      set_seed,   set_seq,          set_batch,           set_lane_depth,
        set_horizon,      set_warmup, set_lr,           set_min_lr_ratio,    set_beta1,
        set_beta2,        set_eps,    set_weight_decay, set_no_weight_decay, set_grad_clip,
        set_no_grad_clip,
    };
    enum { N = sizeof settings / sizeof *settings };
    uint8_t hash[N + 1][16];
    dd_data *data = open_builtin();
    for (size_t k = 0; k <= N; k++) { /* one more: the first again */
        dd_config config = odd_config();
        config.shape.L = 1;
        config.horizon = 8;
        config.warmup = 2;
        settings[k % N](&config);
        dd_oracle *o = open_oracle(fastest(), &config, data);
        for (int s = 0; s < 6; s++)
            assert_int_equal(fastest()->step(o, NULL, NULL), DD_OK);
        fastest()->hash(o, hash[k]);
        fastest()->close(o);
    }
    assert_memory_equal(hash[0], hash[N], 16);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(hash[i], hash[j], 16);
    dd_data_close(data);
}

/* A step that is not finite leaves weights and moments as they are; data and schedule go on, Adam's
 * t does not. */
static void test_discarded_step(void **state)
{
    (void)state;
    dd_data *data = open_builtin();
    for (int policy = 0; policy < 2; policy++) {
        dd_config config = odd_config();
        config.batch = 8; /* lane 0 is empty, lane 1 the first that is not */
        config.warmup = 4;
        config.nan_policy = policy ? DD_NAN_SKIP_STEP : DD_NAN_ABORT;
        const dd_oracle_build *build = fastest();
        dd_oracle *o = open_oracle(build, &config, data);
        uint64_t n, begin[N_TENSORS + 1];
        float *w = build->weights(o, &n), *before = calloc(n, sizeof *before);
        assert_non_null(before);
        tensor_bounds(&config.shape, begin);
        float kept = w[begin[1]];
        w[begin[1]] = NAN; /* wpe[0], in every sequence's first row */
        memcpy(before, w, n * sizeof *w);
        dd_step step = {0};
        dd_error error = {""};
        dd_status st = build->step(o, &step, &error);
        assert_int_equal(st, policy ? DD_OK : DD_ERR_NONFINITE);
        assert_true(step.discarded && step.step == 0);
        assert_int_equal(step.culprit.lane, 1);
        assert_string_equal(step.culprit.tensor, "wte");
        assert_int_equal(step.culprit.index, 0);
        if (!policy) {
            assert_non_null(strstr(error.message, "step 0"));
            assert_non_null(strstr(error.message, "lane 1, wte[0]"));
        }
        assert_memory_equal(before, w, n * sizeof *w);

        w[begin[1]] = before[begin[1]] = kept;
        double loss;
        const float *g = build->gradient(o, 1, &loss);
        float bias_gradient = g[begin[15]];
        assert_true(fabsf(bias_gradient) > 1e-4f);
        assert_int_equal(build->step(o, &step, NULL), DD_OK);
        assert_true(!step.discarded && step.step == 1 && step.loss == loss);
        assert_true(fabs((double)step.lr - config.lr / 2) < 1e-9);
        /* the first update after moments of zero: m / sqrt(v) is 1 if t is 1, and 0.74 if it is 2
         */
        double moved = fabs((double)w[begin[15]] - (double)before[begin[15]]);
        assert_true(fabs(moved - (double)step.lr) < 0.01 * (double)step.lr);
        free(before);
        build->close(o);
    }
    dd_data_close(data);
}

/* One sequence: the smallest pool of gradients. */
static void test_culprit_of_one_sequence(void **state)
{
    (void)state;
    dd_data *data = open_builtin();
    dd_config config = odd_config();
    config.batch = 1;
    dd_oracle *o = open_oracle(fastest(), &config, data);
    uint64_t begin[N_TENSORS + 1];
    tensor_bounds(&config.shape, begin);
    float *w = fastest()->weights(o, NULL);
    dd_step step;
    dd_error error;
    w[begin[13]] = INFINITY; /* fcprojb of layer 0 */
    assert_int_equal(fastest()->step(o, &step, &error), DD_ERR_NONFINITE);
    assert_int_equal(step.culprit.lane, 11);
    assert_string_equal(step.culprit.tensor, "wte");
    w[begin[13]] = 0;
    assert_int_equal(fastest()->step(o, &step, &error), DD_OK);
    assert_null(step.culprit.tensor);
    fastest()->close(o);
    dd_data_close(data);
}

/* ---- The whole ---- */

static void test_builds_agree(void **state)
{
    (void)state;
#if defined(__x86_64__)
    if (fastest() == &dd_oracle_portable) {
        print_message("SKIP (optional): this CPU lacks FMA, there is one build of the oracle\n");
        skip();
    }
    dd_data *data = open_builtin();
    dd_config config = odd_config();
    config.shape.V = 64;
    config.shape.L = 2;
    assert_in_range(dd_shape_n_parameters(&config.shape), 9000, 11000);
    dd_oracle *a = open_oracle(&dd_oracle_portable, &config, data);
    dd_oracle *b = open_oracle(&dd_oracle_fma, &config, data);
    uint8_t hash_a[16], hash_b[16];
    for (int s = 0; s < 20; s++) {
        dd_step x, y;
        assert_int_equal(dd_oracle_portable.step(a, &x, NULL), DD_OK);
        assert_int_equal(dd_oracle_fma.step(b, &y, NULL), DD_OK);
        assert_true(x.loss == y.loss && x.norm == y.norm && x.lr == y.lr);
        dd_oracle_portable.hash(a, hash_a);
        dd_oracle_fma.hash(b, hash_b);
        assert_memory_equal(hash_a, hash_b, 16);
    }
    dd_oracle_portable.close(a);
    dd_oracle_fma.close(b);
    dd_data_close(data);
#else
    print_message("SKIP (optional): off x86-64 there is one build of the oracle\n");
    skip();
#endif
}

static void test_public_interface(void **state)
{
    (void)state;
    dd_data *data = open_builtin();
    dd_config config = odd_config();
    config.horizon = 60;
    config.lr = 3e-3;
    dd_serial *s;
    dd_error error;
    assert_int_equal(dd_serial_open(&config, data, &s, &error), DD_OK);
    assert_non_null(strstr("hardware FMA, libm fmaf", dd_serial_build(s)));
    uint64_t n;
    uint8_t first[16], last[16];
    assert_non_null(dd_serial_weights(s, &n));
    assert_int_equal(n, dd_shape_n_parameters(&config.shape));
    dd_serial_hash(s, first);
    dd_step step;
    double before, after;
    assert_int_equal(dd_serial_validate(s, 20, &before, &error), DD_OK);
    for (uint64_t i = 0; i < config.horizon; i++) {
        assert_int_equal(dd_serial_step(s, &step, &error), DD_OK);
        assert_true(step.step == i && isfinite(step.loss) && step.wall_ns > 0);
    }
    assert_int_equal(dd_serial_validate(s, 20, &after, &error), DD_OK);
    dd_serial_hash(s, last);
    assert_memory_not_equal(first, last, 16);
    print_message("60 steps on builtin: loss %.3f, then %.3f\n", before, after);
    assert_true(after < before - 0.3);
    assert_int_equal(dd_serial_validate(s, 0, &after, &error), DD_ERR_DATA);
    dd_serial_close(s);
    dd_serial_close(NULL);

    dd_config bad = config;
    bad.shape.NH = 4;
    s = NULL;
    assert_int_equal(dd_serial_open(&bad, data, &s, &error), DD_ERR_ARGUMENT);
    assert_null(s);
    bad = config;
    bad.shape.T_max = 1 << 20;
    bad.seq = 0; /* T_max: longer than the data */
    bad.batch = 1;
    assert_int_equal(dd_serial_open(&bad, data, &s, &error), DD_ERR_DATA);
    assert_int_equal(dd_serial_open(NULL, data, &s, &error), DD_ERR_ARGUMENT);
    assert_int_equal(dd_serial_open(&config, NULL, &s, &error), DD_ERR_ARGUMENT);
    assert_int_equal(dd_serial_open(&config, data, NULL, &error), DD_ERR_ARGUMENT);
    dd_data_close(data);
}

/* The chain's entropy rate is a floor that a good trainer comes close to. */
static void test_nano_reaches_the_floor(void **state)
{
    (void)state;
    dd_data *data = open_builtin();
    dd_data_info info;
    dd_data_info_get(data, &info);
    dd_config config;
    dd_config_default(&config);
    config.seq = 32;
    config.horizon = 600;
    config.warmup = 20;
    config.lr = 3e-3;
    dd_serial *s;
    dd_error error;
    double loss;
    assert_int_equal(dd_serial_open(&config, data, &s, &error), DD_OK);
    for (uint64_t i = 0; i < config.horizon; i++)
        assert_int_equal(dd_serial_step(s, NULL, &error), DD_OK);
    assert_int_equal(dd_serial_validate(s, 200, &loss, &error), DD_OK);
    print_message("nano, %d steps: validation loss %.4f, floor %.4f: %.2f %% above\n",
                  (int)config.horizon, loss, info.floor_nats, 100 * (loss / info.floor_nats - 1));
    assert_true(loss < 1.03 * info.floor_nats);
    dd_serial_close(s);
    dd_data_close(data);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest quick[] = {
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_update_by_hand),
        cmocka_unit_test(test_every_setting_counts),
        cmocka_unit_test(test_discarded_step),
        cmocka_unit_test(test_culprit_of_one_sequence),
        cmocka_unit_test(test_builds_agree),
        cmocka_unit_test(test_public_interface),
    };
    const struct CMUnitTest slow[] = {
        cmocka_unit_test(test_nano_reaches_the_floor),
    };
    if (argc > 1 && strcmp(argv[1], "--slow") == 0)
        return cmocka_run_group_tests_name("serial steps, slow", slow, NULL, NULL);
    return cmocka_run_group_tests_name("serial steps", quick, NULL, NULL);
}
