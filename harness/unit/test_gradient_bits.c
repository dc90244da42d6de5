/* SPDX-License-Identifier: MIT
 * The gradient itself, tensor by tensor, of the whole parallel path: bit for bit the oracle's,
 * which test_serial holds to finite differences, for every reduction, numbers of workers, stealing
 * and kernel sets, with one head and more, at shapes with nothing round about them. How far it is
 * from a double-precision one is told beside it. */
#include "serial_fixture.h"
#include "trainer_parts.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STEPS = 3 };

static dd_data *data;

static struct {
    uint64_t compared; /* elements, over all runs and steps */
    double error;      /* worst against double precision, in parts of the tensor's largest */
} tally[N_TENSORS];

static const struct {
    dd_shape shape;
    uint32_t seq, batch, lane_depth;
} runs[] = {
    {{.L = 1, .NH = 1, .C = 16, .V = 64, .T_max = 8}, 8, 12, 1}, /* a head, all of it round */
    {{.L = 2, .NH = 1, .C = 7, .V = 65, .T_max = 5}, 3, 5, 1},
    {{.L = 2, .NH = 2, .C = 22, .V = 67, .T_max = 9}, 7, 26, 1},
    {{.L = 1, .NH = 2, .C = 34, .V = 129, .T_max = 17}, 17, 14, 2},
    {{.L = 3, .NH = 3, .C = 27, .V = 71, .T_max = 6}, 5, 150, 2},
    {{.L = 1, .NH = 5, .C = 35, .V = 64, .T_max = 4}, 1, 13, 3}, /* sequences of one token */
};

/* Where two gradients first differ. */
static void assert_same_tensor(const dd_config *c, int k, const float *got, const float *want,
                               uint64_t first, uint64_t last)
{
    for (uint64_t i = first; i < last; i++)
        if (memcmp(&got[i], &want[i], sizeof *got) != 0)
            fail_msg("%s[%llu]: %a, the oracle has %a (NH %u, workers %u, reduce %d, steal %d, "
                     "simd %d)",
                     tensor_name[k], (unsigned long long)(i - first), (double)got[i],
                     (double)want[i], c->shape.NH, c->workers, (int)c->reduce, c->steal,
                     (int)c->simd);
    tally[k].compared += last - first;
}

/* Both from weights that are shaken, and then some steps together. */
static void compare_gradients(const dd_config *config)
{
    const dd_oracle_build *build = fastest();
    dd_oracle *o = open_oracle(build, config, data);
    dd_trainer *t;
    dd_error error = {""};
    if (dd_trainer_open(config, data, &t, &error) != DD_OK)
        fail_msg("%s", error.message);
    uint64_t n, begin[N_TENSORS + 1];
    double loss;
    dd_step step;
    shake(build, o);
    const float *w = build->weights(o, &n);
    assert_int_equal(dd_trainer_set_weights(t, 0, n, w, NULL), DD_OK);
    tensor_bounds(&config->shape, begin);
    for (uint64_t s = 0; s < STEPS; s++) {
        const float *want = build->gradient(o, s, &loss);
        assert_int_equal(dd_trainer_step(t, &step, NULL), DD_OK);
        assert_memory_equal(&step.loss, &loss, sizeof loss);
        for (int k = 0; k < N_TENSORS; k++)
            assert_same_tensor(config, k, t->gradient, want, begin[k], begin[k + 1]);
        assert_int_equal(build->step(o, &step, NULL), DD_OK);
        assert_memory_equal(dd_trainer_weights(t, NULL), w, n * sizeof *w);
    }
    dd_trainer_close(t);
    build->close(o);
}

static dd_config config_of(size_t run)
{
    dd_config c;
    dd_config_default(&c);
    c.shape = runs[run].shape;
    c.seq = runs[run].seq;
    c.batch = runs[run].batch;
    c.lane_depth = runs[run].lane_depth;
    return c;
}

static void every_tensor_is_the_oracles(void **state)
{
    (void)state;
    static const dd_simd sets[] = {DD_SIMD_OFF, DD_SIMD_AVX2, DD_SIMD_AVX512, DD_SIMD_NEON};
    static const uint32_t workers[] = {1, 3, 5};
    uint32_t turn = 0;
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
        for (size_t s = 0; s < sizeof sets / sizeof *sets; s++) {
            const char *why;
            if (!dd_kernels_select(sets[s], &why))
                continue;
            for (int reduce = 0; reduce <= (int)DD_REDUCE_OWNER; reduce++)
                for (int w = 0; w < 3; w++) {
                    dd_config config = config_of(i);
                    config.workers = workers[w];
                    config.reduce = (dd_reduce)reduce;
                    config.simd = sets[s];
                    config.steal = turn++ % 2;
                    config.depth = 1 + turn % 3;
                    compare_gradients(&config);
                }
        }
}

/* The same floats as in a double-precision oracle at the same weights, but for rounding. */
static void and_near_to_double_precision(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        const dd_config config = config_of(i);
        const dd_oracle_build *wide = &dd_oracle_binary64, *narrow = fastest();
        dd_oracle *a = open_oracle(wide, &config, data), *b = open_oracle(narrow, &config, data);
        uint64_t begin[N_TENSORS + 1];
        double loss;
        shake(wide, a);
        shake(narrow, b);
        const double *exact = wide->gradient(a, 0, &loss);
        const float *got = narrow->gradient(b, 0, &loss);
        tensor_bounds(&config.shape, begin);
        for (int k = 0; k < N_TENSORS; k++) {
            double largest = 0, worst = 0;
            for (uint64_t e = begin[k]; e < begin[k + 1]; e++) {
                largest = fmax(largest, fabs(exact[e]));
                worst = fmax(worst, fabs((double)got[e] - exact[e]));
            }
            assert_true(worst <= 1e-5 * largest);
            if (largest > 0)
                tally[k].error = fmax(tally[k].error, worst / largest);
        }
        wide->close(a);
        narrow->close(b);
    }
    for (int k = 0; k < N_TENSORS; k++)
        print_message("%-8s %9llu elements, all of the oracle's bits; %.1e of the largest from "
                      "double precision\n",
                      tensor_name[k], (unsigned long long)tally[k].compared, tally[k].error);
}

static int open_source(void **state)
{
    (void)state;
    data = open_builtin();
    return 0;
}

static int close_source(void **state)
{
    (void)state;
    dd_data_close(data);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tensor_is_the_oracles),
        cmocka_unit_test(and_near_to_double_precision),
    };
    return cmocka_run_group_tests_name("gradient bits", tests, open_source, close_source);
}
