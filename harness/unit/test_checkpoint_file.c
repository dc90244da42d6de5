/* SPDX-License-Identifier: MIT
 * What a checkpoint's file may hold: every byte changed and every truncation are refused, before
 * anything of the trainer changes; so is a checkpoint of another training, by the setting's name;
 * values have one text each. */
#define _GNU_SOURCE /* truncate, pwrite */
#include "checkpoint.h"
#include "checkpoint_fixture.h"
#include "checkpoint_text.h"
#include "platform.h"

#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- Files ---- */

typedef struct bytes {
    unsigned char *at;
    size_t n;
} bytes;

static bytes all_of(const char *path)
{
    bytes b;
    b.at = read_file(path, &b.n);
    return b;
}

/* As small as the built-in data allows. */
static dd_config least(void)
{
    dd_config config = smallest();
    config.shape = (dd_shape){.L = 1, .NH = 1, .C = 2, .V = 64, .T_max = 4};
    config.seq = 4;
    return config;
}

static dd_trainer *saved_trainer(const char *path)
{
    const dd_config config = least();
    dd_trainer *t = open_trainer(&config);
    steps_ok(t, 2);
    save_ok(t, path, 1);
    wait_ok(t);
    return t;
}

/* Opened and wholly checked. */
static dd_status look(const char *path, dd_error *error)
{
    dd_checkpoint *c;
    dd_status st = dd_checkpoint_open(path, &c, error);
    if (st)
        return st;
    st = dd_checkpoint_verify(c, error);
    dd_checkpoint_close(c);
    return st;
}

/* ---- Damage ---- */

static void refused(const char *path, const char *what, size_t at, dd_trainer *t)
{
    dd_error error = {""};
    const dd_status st = look(path, &error);
    if (st != DD_ERR_DATA || !error.message[0] || strchr(error.message, '\n'))
        fail_msg("%s at byte %zu: %s: %s", what, at, dd_status_name(st), error.message);
    if (at % 53)
        return;
    uint8_t before[16];
    dd_trainer_hash(t, before);
    assert_int_equal(dd_trainer_load(t, path, &error), DD_ERR_DATA);
    assert_weights(t, before);
}

static void every_changed_byte_is_refused(void **state)
{
    (void)state;
    const char *path = file_named("changed");
    dd_trainer *t = saved_trainer(path);
    steps_ok(t, 1);
    const bytes whole = all_of(path);
    const int fd = open(path, O_WRONLY);
    assert_true(fd >= 0 && look(path, NULL) == DD_OK);
    for (size_t i = 0; i < whole.n; i++)
        for (int m = 0; m < 2; m++) { /* one bit of each, then another letter's case, or all */
            const unsigned char mask = !m ? (unsigned char)(1 << i % 8) : i % 2 ? 0x20 : 0xff;
            const unsigned char changed = whole.at[i] ^ mask;
            assert_int_equal(pwrite(fd, &changed, 1, (off_t)i), 1);
            refused(path, "changed", i, t);
            assert_int_equal(pwrite(fd, &whole.at[i], 1, (off_t)i), 1);
        }
    assert_int_equal(look(path, NULL), DD_OK);
    load_ok(t, path);
    close(fd);
    free(whole.at);
    dd_trainer_close(t);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    const char *path = file_named("truncated");
    dd_trainer *t = saved_trainer(path);
    steps_ok(t, 1);
    bytes whole = all_of(path);
    for (size_t n = whole.n; n-- > 0;) {
        assert_int_equal(truncate(path, (off_t)n), 0);
        refused(path, "truncated", n, t);
    }
    unsigned char *longer = calloc(1, whole.n + 1);
    assert_non_null(longer);
    memcpy(longer, whole.at, whole.n);
    write_file(path, longer, whole.n + 1);
    refused(path, "lengthened", whole.n, t);
    write_file(path, whole.at, whole.n);
    load_ok(t, path);
    free(longer);
    free(whole.at);
    dd_trainer_close(t);
}

/* The text `from` of the header becomes `to`, of the same length. */
static void replace(const char *path, const bytes *whole, const char *from, const char *to)
{
    assert_int_equal(strlen(from), strlen(to));
    unsigned char *at = memmem(whole->at, whole->n, from, strlen(from));
    assert_non_null(at);
    memcpy(at, to, strlen(to));
    write_file(path, whole->at, whole->n);
    memcpy(at, from, strlen(from));
}

static void what_is_wrong_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *said;
    } cases[] = {
        {"\"dodeca_checkpoint\":\"1\"", "\"dodeca_checkpoint\":\"2\"", "its version is \"2\""},
        {"\"dodeca_checkpoint\"", "\"dodeca_chequepoin\"", "another kind of safetensors file"},
        {"\"lr\"", "\"lR\"", "\"lr\" is missing from its metadata"},
        {"\"step\":\"2\"", "\"step\":\"3\"", "the checksum of its metadata does not match"},
        {"\"weights.wpe\":{", "\"weights.wpf\":{", "tensor weights.wpe is missing"},
        {"\"xxh3-128.adam_m.fcb\"", "\"xxh3-128.adam_m.fcc\"",
         "\"xxh3-128.adam_m.fcb\" is missing"},
    };
    const char *path = file_named("said");
    dd_trainer *t = saved_trainer(path);
    const bytes whole = all_of(path);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        replace(path, &whole, cases[i].from, cases[i].to);
        load_refused(t, path, DD_ERR_DATA, cases[i].said);
    }
    whole.at[whole.n - 1] ^= 1;
    write_file(path, whole.at, whole.n);
    load_refused(t, path, DD_ERR_DATA, "the checksum of adam_v.lnfb, 8 bytes from byte");
    free(whole.at);
    load_refused(t, file_named("none"), DD_ERR_DATA, "No such file or directory");
    write_file(path, "", 0);
    load_refused(t, path, DD_ERR_DATA, path);
    dd_trainer_close(t);
}

/* ---- Other trainings ---- */

static void another_training_is_refused_by_its_setting(void **state)
{
    (void)state;
    const char *path = file_named("other");
    dd_trainer_close(saved_trainer(path));
    enum { SETTINGS = 17 };
    for (int i = 0; i < SETTINGS; i++) {
        dd_config c = least();
        const struct {
            const char *said;
            void *at;
            uint64_t value;
            size_t size;
        } cases[SETTINGS] = {
            {"L is 1 there and 2 here", &c.shape.L, 2, 4},
            {"NH is 1 there and 2 here", &c.shape.NH, 2, 4},
            {"C is 2 there and 4 here", &c.shape.C, 4, 4},
            {"V is 64 there and 65 here", &c.shape.V, 65, 4},
            {"T is 4 there and 5 here", &c.shape.T_max, 5, 4},
            {"batch is 12 there and 13 here", &c.batch, 13, 4},
            {"seq is 4 there and 3 here", &c.seq, 3, 4},
            {"lane-depth is 1 there and 2 here", &c.lane_depth, 2, 4},
            {"seed is 1 there and 18446744073709551615 here", &c.seed, UINT64_MAX, 8},
            {"steps is 12 there and 13 here", &c.horizon, 13, 8},
            {"warmup is 2 there and 3 here", &c.warmup, 3, 8},
            {"nan-policy is abort there and skip-step here", &c.nan_policy, DD_NAN_SKIP_STEP, 4},
            {"lr is 0.001", &c.lr, 0, 0},
            {"min-lr-ratio is 0.1", &c.min_lr_ratio, 0, 0},
            {"beta2 is 0.9", &c.beta2, 0, 0},
            {"weight-decay is 0.1", &c.weight_decay, 0, 0},
            {"grad-clip is 1 there and 1.0000000000000002 here", &c.grad_clip, 0, 0},
        };
        if (cases[i].size == 8) {
            memcpy(cases[i].at, &cases[i].value, 8);
        } else if (cases[i].size == 4) {
            memcpy(cases[i].at, &(uint32_t){(uint32_t)cases[i].value}, 4);
        } else { /* the next double */
            double real;
            memcpy(&real, cases[i].at, sizeof real);
            memcpy(cases[i].at, &(double){nextafter(real, 2)}, sizeof real);
        }
        dd_trainer *t = open_trainer(&c);
        load_refused(t, path, DD_ERR_ARGUMENT, cases[i].said);
        dd_trainer_close(t);
    }
}

static void other_data_are_refused(void **state)
{
    (void)state;
    const char *path = file_named("data");
    dd_trainer_close(saved_trainer(path));
    const dd_config config = least();
    dd_data *other;
    dd_trainer *t;
    assert_int_equal(dd_data_open("builtin", 4, &other, NULL), DD_OK);
    assert_int_equal(dd_trainer_open(&config, other, &t, NULL), DD_OK);
    load_refused(t, path, DD_ERR_ARGUMENT, "data-hash is ");
    dd_trainer_close(t);
    dd_data_close(other);
}

/* ---- Texts ---- */

static void values_have_one_text(void **state)
{
    (void)state;
    const double reals[] = {0, -0.0, 1, 0.1, -2.5e-7, DBL_MAX, DBL_MIN, DBL_TRUE_MIN, 1e-310};
    const char *const texts[] = {"0x0.0000000000000p-1022", "-0x0.0000000000000p-1022",
                                 "0x1.0000000000000p0", "0x1.999999999999ap-4"};
    uint32_t lr = 0;
    while (strcmp(dd_checkpoint_field_name(lr), "lr") != 0)
        lr++;
    dd_checkpoint_info info = {0}, back = {0};
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        char text[DD_CHECKPOINT_FIELD_TEXT], *end;
        info.config.lr = reals[i];
        dd_checkpoint_field_write(&info, lr, text);
        if (i < sizeof texts / sizeof *texts)
            assert_string_equal(text, texts[i]);
        assert_true(dd_checkpoint_field_read(&back, lr, text));
        assert_memory_equal(&back.config.lr, &reals[i], sizeof reals[i]);
        assert_true(strtod(text, &end) == reals[i] && !*end); /* a C compiler reads it too */
    }
    static const char *const bad[] = {"",
                                      "1",
                                      "0x1p0",
                                      "0x1.0000000000000P0",
                                      "0x1.000000000000p0",
                                      "0x1.00000000000000p0",
                                      "0x1.000000000000Ap0",
                                      "0x1.0000000000000p+0",
                                      "0x1.0000000000000p00",
                                      "0x1.0000000000000p1024",
                                      "0x1.0000000000000p99999999999",
                                      "0x2.0000000000000p0",
                                      " 0x1.0000000000000p0",
                                      "0x1.0000000000000p0 ",
                                      "--0x1.0000000000000p0",
                                      "inf",
                                      "nan"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (dd_checkpoint_field_read(&back, lr, bad[i]))
            fail_msg("\"%s\" was read", bad[i]);
    static const char *const no_number[] = {
        "", "-1", "01", "+1", " 1", "1 ", "0x1", "4294967296", "1e1", "12345678901234567890"};
    for (size_t i = 0; i < sizeof no_number / sizeof *no_number; i++)
        if (dd_checkpoint_field_read(&back, 0, no_number[i]))
            fail_msg("\"%s\" was read", no_number[i]);
}

static void specs_may_hold_any_byte(void **state)
{
    (void)state;
    char spec[256 + 8] = "bytes:", back[3 * sizeof spec];
    for (int i = 1; i < 256; i++)
        spec[5 + i] = (char)i;
    spec[5 + 256] = '\0';
    char *text = dd_checkpoint_spec_write(spec);
    assert_non_null(text);
    for (const char *c = text; *c; c++)
        assert_true(*c >= ' ' && *c < 0x7f);
    assert_true(dd_checkpoint_spec_read(text, back));
    assert_string_equal(back, spec);
    dd_free(text);
    static const char *const bad[] = {"%",   "%4",   "%4g", "%41",     "%00",
                                      "%0A", "\x7f", "a%",  "\xc3\xa4"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (dd_checkpoint_spec_read(bad[i], back))
            fail_msg("\"%s\" was read", bad[i]);
}

/* The weights of a checkpoint are a model, too. */
static void is_a_model_file(void **state)
{
    (void)state;
    dd_trainer *t = saved_trainer(file_named("model"));
    dd_model_file *file;
    dd_model_file_info info;
    uint64_t n;
    const float *weights = dd_trainer_weights(t, &n);
    assert_int_equal(dd_model_file_open(file_named("model"), &file, NULL), DD_OK);
    dd_model_file_info_get(file, &info);
    assert_true(info.format == DD_FILE_CHECKPOINT && info.n_parameters == n && info.step == 2);
    float *read = malloc(n * sizeof *read);
    assert_int_equal(dd_model_file_read(file, read, NULL), DD_OK);
    assert_memory_equal(read, weights, n * sizeof *read);
    free(read);
    dd_model_file_close(file);
    dd_trainer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_changed_byte_is_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(another_training_is_refused_by_its_setting),
        cmocka_unit_test(other_data_are_refused),
        cmocka_unit_test(values_have_one_text),
        cmocka_unit_test(specs_may_hold_any_byte),
        cmocka_unit_test(is_a_model_file),
    };
    return cmocka_run_group_tests(tests, open_folder, close_folder);
}
