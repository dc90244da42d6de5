/* SPDX-License-Identifier: MIT
 * core/data: the three kinds of sources with every malformed input, windows, split and epoch order
 * (NUMERICS 9). */
#define _POSIX_C_SOURCE 200809L
#include "dodeca.h"
#include "folder_fixture.h"
#include "hash.h"
#include "tokens.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- Files ---- */

static dd_status open_file(const char *scheme, dd_data **out, dd_error *error)
{
    char spec[sizeof one_file + 16];
    snprintf(spec, sizeof spec, "%s:%s", scheme, one_file);
    *out = NULL;
    *error = (dd_error){""};
    return dd_data_open(spec, 1, out, error);
}

/* The file is refused with a one-line message that holds every word of `words` (separated by '|').
 */
static void assert_refused(const char *scheme, const char *words)
{
    dd_data *data;
    dd_error error;
    assert_int_equal(open_file(scheme, &data, &error), DD_ERR_DATA);
    assert_null(data);
    assert_null(strchr(error.message, '\n'));
    char list[256];
    snprintf(list, sizeof list, "%s|%s", words, one_file);
    char *rest = NULL;
    for (char *word = strtok_r(list, "|", &rest); word; word = strtok_r(NULL, "|", &rest))
        if (!strstr(error.message, word))
            fail_msg("\"%s\" does not say \"%s\"", error.message, word);
}

enum { SHARD_TOKENS = 100, SHARD_BYTES = 1024 + 2 * SHARD_TOKENS };

/* A good shard, token i = 601 * i mod 2^16, with room for a byte more. */
static void make_shard(uint8_t bytes[SHARD_BYTES + 1])
{
    int32_t header[256] = {20240520, 1, SHARD_TOKENS};
    memcpy(bytes, header, 1024);
    for (size_t i = 0; i < SHARD_TOKENS; i++) {
        uint16_t token = (uint16_t)(601 * i);
        memcpy(bytes + 1024 + 2 * i, &token, 2);
    }
    bytes[SHARD_BYTES] = 0;
}

static void test_bytes(void **state)
{
    (void)state;
    static uint8_t text[40000]; /* more than one reading */
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)(i * i % 251);
    write_file(one_file, text, sizeof text);
    dd_data *data;
    dd_error error;
    assert_int_equal(open_file("bytes", &data, &error), DD_OK);
    dd_data_info info;
    dd_data_info_get(data, &info);
    assert_int_equal(info.n_tokens, sizeof text);
    assert_int_equal(info.vocabulary, 256);
    assert_true(isnan(info.floor_nats));
    uint64_t n;
    uint32_t largest = 0;
    const uint16_t *tokens = dd_data_tokens(data, &n);
    for (size_t i = 0; i < sizeof text; i++) {
        assert_int_equal(tokens[i], text[i]);
        largest = text[i] > largest ? text[i] : largest;
    }
    assert_int_equal(info.largest, largest);
    uint8_t hash[16];
    dd_hash128(tokens, 2 * n, hash);
    assert_memory_equal(hash, info.hash, 16);
    dd_data_close(data);
    dd_data_close(NULL);
}

static void test_shard(void **state)
{
    (void)state;
    uint8_t bytes[SHARD_BYTES + 1];
    make_shard(bytes);
    write_file(one_file, bytes, SHARD_BYTES);
    dd_data *data;
    dd_error error;
    assert_int_equal(open_file("tokens", &data, &error), DD_OK);
    dd_data_info info;
    dd_data_info_get(data, &info);
    assert_int_equal(info.n_tokens, SHARD_TOKENS);
    assert_int_equal(info.largest, 601 * (SHARD_TOKENS - 1));
    assert_int_equal(info.vocabulary, info.largest + 1);
    uint64_t n;
    const uint16_t *tokens = dd_data_tokens(data, &n);
    for (size_t i = 0; i < SHARD_TOKENS; i++)
        assert_int_equal(tokens[i], 601 * i);
    dd_data_close(data);
}

static void test_shard_truncated_anywhere(void **state)
{
    (void)state;
    uint8_t bytes[SHARD_BYTES + 1];
    make_shard(bytes);
    for (size_t n = 0; n < SHARD_BYTES; n++) {
        char where[64];
        write_file(one_file, bytes, n);
        if (n == 0)
            snprintf(where, sizeof where, "is empty");
        else if (n < 1024)
            snprintf(where, sizeof where, "ends at byte %zu|header of 1024 bytes", n);
        else
            snprintf(where, sizeof where, "1224 bytes|file has %zu|%s", n,
                     n % 2 ? "odd" : "truncated");
        assert_refused("tokens", where);
    }
    write_file(one_file, bytes, SHARD_BYTES + 1);
    assert_refused("tokens", "1224 bytes|file has 1225|odd");
}

static void test_shard_malformed(void **state)
{
    (void)state;
    static const struct {
        size_t byte;
        int32_t value;
        const char *words;
    } bad[] = {
        {0, 20240521, "byte 0|20240521|20240520"},
        {0, 0x28d93401, "byte 0|20240520"}, /* the magic in big-endian */
        {4, 2, "byte 4|version is 2|only 1"},
        {8, 0, "byte 8|counts 0"},
        {8, -1, "byte 8|counts -1"},
        {8, SHARD_TOKENS - 1, "byte 8|1222 bytes|file has 1224|past its end"},
        {8, SHARD_TOKENS + 1, "byte 8|1226 bytes|file has 1224|truncated"},
        {8, INT32_MAX, "byte 8|2147483647|4294968318 bytes|truncated"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t bytes[SHARD_BYTES + 1];
        make_shard(bytes);
        memcpy(bytes + bad[i].byte, &bad[i].value, 4);
        write_file(one_file, bytes, SHARD_BYTES);
        assert_refused("tokens", bad[i].words);
    }
}

static void test_unreadable(void **state)
{
    (void)state;
    const char *schemes[] = {"bytes", "tokens"};
    for (int i = 0; i < 2; i++) {
        write_file(one_file, "", 0);
        assert_refused(schemes[i], "is empty");

        if (geteuid() != 0) {
            assert_int_equal(chmod(one_file, 0), 0);
            assert_refused(schemes[i], "cannot open|ermission");
        } else {
            print_message("SKIP (optional): root may read anything\n");
        }
        assert_int_equal(unlink(one_file), 0);
        assert_refused(schemes[i], "cannot open|No such file");

        assert_int_equal(mkdir(one_file, 0700), 0);
        assert_refused(schemes[i], "is a directory");
        assert_int_equal(rmdir(one_file), 0);

        assert_int_equal(mkfifo(one_file, 0600), 0); /* must not wait for a writer */
        assert_refused(schemes[i], "pipe");
        assert_int_equal(unlink(one_file), 0);
    }
}

static void test_too_large(void **state)
{
    (void)state;
    write_file(one_file, "x", 1);
    if (truncate(one_file, (off_t)((UINT64_C(1) << 32) + 1)) != 0) {
        print_message("SKIP: this file system holds no file of 4 GiB\n");
        skip();
    }
    assert_refused("bytes", "4294967297 tokens|at most 4294967296");
    assert_int_equal(truncate(one_file, 0), 0);
}

static void test_spec(void **state)
{
    (void)state;
    const char *bad[] = {"",       "builtin:", "builtins", "bytes",
                         "bytes:", "tokens:",  "text:x",   "Bytes:x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        dd_data *data = NULL;
        dd_error error = {""};
        assert_int_equal(dd_data_open(bad[i], 1, &data, &error), DD_ERR_ARGUMENT);
        assert_null(data);
        char quoted[32];
        snprintf(quoted, sizeof quoted, "\"%s\"", bad[i]);
        assert_non_null(strstr(error.message, quoted));
    }
    assert_int_equal(dd_data_open("text:x", 1, &(dd_data *){NULL}, NULL), DD_ERR_ARGUMENT);
    assert_int_equal(dd_data_open(NULL, 1, &(dd_data *){NULL}, NULL), DD_ERR_ARGUMENT);
}

/* ---- The built-in source ---- */

static void test_builtin(void **state)
{
    (void)state;
    dd_data *data, *again, *other;
    assert_int_equal(dd_data_open("builtin", 1, &data, NULL), DD_OK);
    assert_int_equal(dd_data_open("builtin", 1, &again, NULL), DD_OK);
    assert_int_equal(dd_data_open("builtin", 2, &other, NULL), DD_OK);
    dd_data_info info, same, differs;
    dd_data_info_get(data, &info);
    dd_data_info_get(again, &same);
    dd_data_info_get(other, &differs);
    assert_memory_equal(info.hash, same.hash, 16);
    assert_memory_not_equal(info.hash, differs.hash, 16);
    assert_int_equal(info.vocabulary, 64);
    assert_int_equal(info.largest, 63);
    assert_int_equal(info.n_tokens, 1 << 20);

    /* The computed entropy rate is what the tokens show: conditional entropy of the pair counts,
     * with Miller and Madow's correction of its bias, (pairs seen - symbols) / 2n. */
    uint64_t n;
    const uint16_t *tokens = dd_data_tokens(data, &n);
    static double pairs[64][64], from[64];
    for (uint64_t i = 0; i + 1 < n; i++) {
        pairs[tokens[i]][tokens[i + 1]]++;
        from[tokens[i]]++;
    }
    double measured = 0, seen = 0;
    for (int i = 0; i < 64; i++)
        for (int j = 0; j < 64; j++)
            if (pairs[i][j] > 0) {
                measured -= pairs[i][j] / (double)n * log(pairs[i][j] / from[i]);
                seen++;
            }
    measured += (seen - 64) / (2 * (double)n);
    print_message("builtin, seed 1: entropy rate %.5f nats, measured on its tokens %.5f\n",
                  info.floor_nats, measured);
    /* standard error: about 2 nats / sqrt(2^20) = 0.002 */
    assert_true(fabs(measured - info.floor_nats) < 0.01);
    for (uint64_t seed = 1; seed < 9; seed++) {
        dd_data *d;
        assert_int_equal(dd_data_open("builtin", seed, &d, NULL), DD_OK);
        dd_data_info_get(d, &same);
        assert_true(same.floor_nats > 1.2 && same.floor_nats < 2.0);
        dd_data_close(d);
    }
    dd_data_close(data);
    dd_data_close(again);
    dd_data_close(other);
}

/* ---- Windows and order ---- */

static void test_order_is_a_permutation(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {1,  2,  3,  4,   5,   7,   13,  15,   16,   17,  63,
                                     64, 65, 97, 255, 256, 257, 911, 1024, 1025, 4099};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint64_t n = sizes[i];
        uint8_t *met = calloc(2 * n, 1);
        uint64_t *order = calloc(2 * n, sizeof *order);
        assert_true(met && order);
        dd_data_split split = {.train_windows = n, .steps_per_epoch = n};
        for (uint64_t step = 0; step < 2 * n; step++) { /* two epochs, one window a step */
            dd_batch_train(&split, 5, 3, 1, step, &order[step]);
            assert_int_equal(order[step] % 3, 0);
            assert_true(order[step] / 3 < n);
            met[step / n * n + order[step] / 3]++;
        }
        for (uint64_t w = 0; w < 2 * n; w++)
            assert_int_equal(met[w], 1);
        if (n >= 13) /* epochs differ, and neither is the file's order */
            assert_memory_not_equal(order, order + n, n * sizeof *order);
        uint64_t in_place = 0;
        for (uint64_t w = 0; w < n; w++)
            in_place += order[w] / 3 == w;
        if (n >= 13)
            assert_true(in_place < n / 2);
        free(order);
        free(met);
    }
}

static void test_batches(void **state)
{
    (void)state;
    dd_data *data;
    assert_int_equal(dd_data_open("builtin", 1, &data, NULL), DD_OK);
    enum { T = 1000, B = 7 };
    dd_data_split split;
    assert_int_equal(dd_data_split_get(data, T, B, &split, NULL), DD_OK);
    /* floor((2^20 - 1) / 1000) = 1048, a tenth is 104, 944 remain: 134 steps and 6 windows over */
    assert_int_equal(split.train_windows, 944);
    assert_int_equal(split.validation_windows, 104);
    assert_int_equal(split.steps_per_epoch, 134);
    assert_int_equal(split.left_out, 6);

    /* a pure function of (seed, step): in any order, with the one-window batches of the same epoch
     */
    uint64_t a[B], b[B], one;
    dd_batch_train(&split, 9, T, B, 133, a);
    dd_batch_train(&split, 9, T, B, 0, b);
    dd_batch_train(&split, 9, T, B, 133, b);
    assert_memory_equal(a, b, sizeof a);
    dd_data_split ones = {.train_windows = 944, .steps_per_epoch = 944};
    for (uint64_t i = 0; i < B; i++) {
        dd_batch_train(&ones, 9, T, 1, 133 * B + i, &one);
        assert_int_equal(one, a[i]);
    }
    dd_batch_train(&split, 10, T, B, 133, b);
    assert_memory_not_equal(a, b, sizeof a);
    dd_batch_train(&split, 9, T, B, 134 + 133, b);
    assert_memory_not_equal(a, b, sizeof a);

    dd_batch_validation(&split, T, B, 2, a);
    for (uint64_t i = 0; i < B; i++)
        assert_int_equal(a[i], (944 + 2 * B + i) * T);
    assert_true((944 + 103) * T + T < 1 << 20); /* the last window's last target exists */
    dd_data_close(data);
}

static void test_too_short(void **state)
{
    (void)state;
    static const uint32_t cases[][2] = {{1, 1},  {16, 12}, {7, 9}, {7, 10},
                                        {5, 18}, {5, 19},  {64, 1}};
    static uint8_t text[4096];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t T = cases[i][0], B = cases[i][1];
        dd_data *data;
        dd_error error;
        dd_data_split split;
        write_file(one_file, text, 1);
        assert_int_equal(open_file("bytes", &data, &error), DD_OK);
        assert_int_equal(dd_data_split_get(data, T, B, &split, &error), DD_ERR_DATA);
        dd_data_close(data);
        /* what the message promises is the least that would do */
        const char *promise = strstr(error.message, "seq ");
        promise = promise ? strstr(promise, ": ") : NULL;
        assert_non_null(promise);
        size_t enough = strtoul(promise + 2, NULL, 10);
        for (size_t n = enough - 1; n <= enough; n++) {
            write_file(one_file, text, n);
            assert_int_equal(open_file("bytes", &data, &error), DD_OK);
            assert_int_equal(dd_data_split_get(data, T, B, &split, &error),
                             n < enough ? DD_ERR_DATA : DD_OK);
            dd_data_close(data);
        }
        assert_int_equal(split.steps_per_epoch, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_shard),
        cmocka_unit_test(test_shard_truncated_anywhere),
        cmocka_unit_test(test_shard_malformed),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_spec),
        cmocka_unit_test(test_builtin),
        cmocka_unit_test(test_order_is_a_permutation),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_too_short),
    };
    return cmocka_run_group_tests_name("data", tests, make_folder, remove_folder);
}
