/* SPDX-License-Identifier: MIT
 * What `dodeca train` tells of a training: the progress line to the character at several widths,
 * the time left, and bits per byte against a loss that is known by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "folder_fixture.h"
#include "train.h"
#include "train_line.h"

/* ---- The line ---- */

static const dd_train_line known = {.done = 1234,
                                    .last = 5000,
                                    .loss = 1.23456,
                                    .validation = 1.34567,
                                    .bits = 1.94139,
                                    .lr = 0.00098765,
                                    .norm = 0.5321,
                                    .tokens_per_s = 12345.4,
                                    .left_s = 323.2};

static void assert_line(const dd_train_line *line, size_t columns, const char *want)
{
    char text[256];
    const size_t n = dd_train_line_format(line, columns, text, sizeof text);
    assert_string_equal(text, want);
    assert_int_equal(n, strlen(want));
}

#define WIDE                                                                                       \
    "1234 of 5000 steps  loss 1.2346  validation 1.3457  1.941 bits/byte  lr 0.00099  norm 0.53  " \
    "12345 tokens/s  5:23 left"
#define SHORT "1234/5000 loss 1.235 val 1.346 bpb 1.941 lr 0.00099 norm 0.53 12345 tok/s 5:23"

/* A terminal's last column stays free. */
static void line_is_golden_at_80_and_120_columns(void **state)
{
    (void)state;
    assert_line(&known, 0, WIDE);
    assert_line(&known, 119, WIDE);
    assert_line(&known, 79, SHORT);
    assert_line(&known, 70, "1234/5000 loss 1.235 val 1.346 bpb 1.941 lr 0.00099 12345 tok/s 5:23");
    assert_line(&known, 60, "1234/5000 loss 1.235 val 1.346 bpb 1.941 12345 tok/s 5:23");
    assert_line(&known, 50, "1234/5000 loss 1.235 val 1.346 bpb 1.941 5:23");
    assert_line(&known, 40, "1234/5000 loss 1.235 bpb 1.941 5:23");
    assert_line(&known, 30, "1234/5000 loss 1.235 5:23");
}

static void what_is_not_known_takes_no_room(void **state)
{
    (void)state;
    dd_train_line line = known;
    line.bits = (double)NAN;
    assert_line(&line, 0,
                "1234 of 5000 steps  loss 1.2346  validation 1.3457  lr 0.00099  norm 0.53  12345 "
                "tokens/s  5:23 left");
    line.validation = (double)NAN;
    assert_line(&line, 79,
                "1234 of 5000 steps loss 1.2346 lr 0.00099 norm 0.53 12345 tokens/s 5:23 left");
    line.loss = -(double)NAN; /* of a discarded step; without its sign */
    line.norm = (double)INFINITY;
    line.left_s = (double)NAN;
    assert_line(&line, 79,
                "1234 of 5000 steps  loss nan  lr 0.00099  norm inf  12345 tokens/s  ? left");
    line.left_s = 7384;
    assert_line(&line, 79,
                "1234 of 5000 steps loss nan lr 0.00099 norm inf 12345 tokens/s 2:03:04 left");
}

static void line_fits_any_width(void **state)
{
    (void)state;
    dd_train_line line = known;
    char text[256];
    for (int large = 0; large < 2; large++) {
        for (size_t columns = 1; columns < 300; columns++) {
            const size_t n = dd_train_line_format(&line, columns, text, sizeof text);
            assert_true(n <= columns && n < sizeof text && strlen(text) == n);
        }
        line.done = line.last = 1000000000000u;
        line.left_s = 3.6e9;
        line.tokens_per_s = line.loss = line.validation = line.norm = line.lr = line.bits = 1e30;
    }
}

/* ---- Time left ---- */

static void time_left_counts_steps_and_validations(void **state)
{
    (void)state;
    dd_train t = {.stop_after = DD_TRAIN_TO_THE_END, .done = 40, .recent_ns = 0.5e9};
    t.settings.steps = 100;
    assert_true(dd_train_left_s(&t) == 30);
    t.stop_after = 50;
    assert_true(dd_train_left_s(&t) == 5);
    t.stop_after = DD_TRAIN_TO_THE_END;
    t.validation_batches = 20;
    assert_true(dd_train_left_s(&t) == 30); /* the one at the end takes nobody knows how long */
    t.validation_ns = 2000000000;
    t.validate_every = 30;
    assert_true(dd_train_left_s(&t) == 30 + 3 * 2); /* after 60 and 90 steps, and at the end */
    t.validate_every = 50;
    assert_true(dd_train_left_s(&t) == 30 + 2 * 2); /* after 50 and 100 */
    t.done = 100;
    assert_true(dd_train_left_s(&t) == 0);
}

static void speed_is_of_this_run(void **state)
{
    (void)state;
    dd_train t = {.done = 110, .began = 100, .step_ns = 2000000000};
    t.settings.config.batch = 4;
    t.settings.config.seq = 25;
    assert_true(dd_train_tokens_per_s(&t) == 500);
    t.done = t.began;
    t.step_ns = 0;
    assert_true(dd_train_tokens_per_s(&t) == 0);
}

/* ---- Discarded steps ---- */

static void only_discarded_steps_in_a_row_end_a_run(void **state)
{
    (void)state;
    dd_train t = {.nan_patience = 3};
    for (int i = 0; i < 5; i++) {
        assert_false(dd_train_hopeless(&t, true));
        assert_false(dd_train_hopeless(&t, true));
        assert_false(dd_train_hopeless(&t, false));
    }
    assert_false(dd_train_hopeless(&t, true));
    assert_false(dd_train_hopeless(&t, true));
    assert_true(dd_train_hopeless(&t, true));
    t.nan_patience = 0;
    for (int i = 0; i < 1000; i++)
        assert_false(dd_train_hopeless(&t, true));
}

/* ---- Bits per byte ---- */

/* A model of zeros gives all 256 bytes the same probability: 8 bits each. */
static void bits_per_byte_of_a_uniform_model_are_eight(void **state)
{
    (void)state;
    char bytes[2000], spec[sizeof one_file + 8];
    for (int i = 0; i < 2000; i++)
        bytes[i] = "kissing spheres"[i % 15];
    write_file(one_file, bytes, sizeof bytes);
    (void)snprintf(spec, sizeof spec, "bytes:%s", one_file);

    dd_config config;
    dd_data *data;
    dd_trainer *trainer;
    dd_error error;
    dd_config_default(&config);
    config.shape = (dd_shape){.L = 1, .NH = 1, .C = 8, .V = 256, .T_max = 16};
    config.batch = 4;
    config.seq = 16;
    assert_int_equal(dd_data_open(spec, 1, &data, &error), DD_OK);
    assert_int_equal(dd_trainer_open(&config, data, &trainer, &error), DD_OK);
    uint64_t n;
    (void)dd_trainer_weights(trainer, &n);
    float *zeros = calloc(n, sizeof *zeros);
    assert_int_equal(dd_trainer_set_weights(trainer, 0, n, zeros, &error), DD_OK);
    double loss = 0;
    assert_int_equal(dd_trainer_validate(trainer, 3, &loss, &error), DD_OK);
    free(zeros);
    dd_trainer_close(trainer);
    dd_data_close(data);

    dd_train t = {0};
    strcpy(t.used, spec);
    assert_true(fabs(dd_train_bits(&t, loss) - 8) < 1e-5);
    assert_true(fabs(dd_train_bits(&t, 1) - 1.4426950408889634) < 1e-15);
    strcpy(t.used, "tokens:shard");
    assert_true(isnan(dd_train_bits(&t, loss)));
    strcpy(t.used, "builtin");
    assert_true(isnan(dd_train_bits(&t, loss)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_is_golden_at_80_and_120_columns),
        cmocka_unit_test(what_is_not_known_takes_no_room),
        cmocka_unit_test(line_fits_any_width),
        cmocka_unit_test(time_left_counts_steps_and_validations),
        cmocka_unit_test(speed_is_of_this_run),
        cmocka_unit_test(only_discarded_steps_in_a_row_end_a_run),
        cmocka_unit_test_setup_teardown(bits_per_byte_of_a_uniform_model_are_eight, make_folder,
                                        remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
