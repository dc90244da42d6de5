/* SPDX-License-Identifier: MIT
 * core/data: random numbers against published vectors, the three kinds of sources with every
 * malformed input, windows, split and epoch order (NUMERICS 9), shapes and the checks of a
 * configuration. */
#define _POSIX_C_SOURCE 200809L
#include "config.h"
#include "dodeca.h"
#include "hash.h"
#include "random.h"
#include "tokens.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- Random numbers and hash ---- */

static void test_philox_known_answers(void **state)
{
    (void)state;
    /* Random123, kat_vectors, philox4x32 10 */
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint32_t out[4];
        dd_philox_block(known[i].counter, known[i].key, out);
        assert_memory_equal(out, known[i].out, sizeof out);
    }
    /* counter = (index, purpose, 0), key = seed, low halves first */
    uint32_t a[4], b[4];
    dd_philox(0x0123456789abcdef, 0xfedcba9876543210, 7, a);
    dd_philox_block((const uint32_t[4]){0x76543210, 0xfedcba98, 7, 0},
                    (const uint32_t[2]){0x89abcdef, 0x01234567}, b);
    assert_memory_equal(a, b, sizeof a);
}

static void test_normal_moments(void **state)
{
    (void)state;
    enum { N = 100000 };
    double sum = 0, squares = 0, fourth = 0;
    for (uint64_t e = 0; e < N; e++) {
        double z = (double)dd_random_normal(3, 4, e, 1.0f);
        assert_true(fabs(z) < 6);
        sum += z;
        squares += z * z;
        fourth += z * z * z * z;
    }
    /* five standard errors; Irwin-Hall of twelve has kurtosis 3 - 0.1 */
    assert_true(fabs(sum / N) < 5 / sqrt(N));
    assert_true(fabs(squares / N - 1) < 5 * sqrt(1.9 / N));
    assert_true(fabs(fourth / N - 2.9) < 5 * sqrt(80.0 / N));
    /* a function of everything, scaled with one rounding */
    float z = dd_random_normal(1, 2, 3, 1.0f);
    assert_true(z == dd_random_normal(1, 2, 3, 1.0f));
    assert_true(z != dd_random_normal(2, 2, 3, 1.0f) && z != dd_random_normal(1, 3, 3, 1.0f) &&
                z != dd_random_normal(1, 2, 4, 1.0f));
    assert_true(dd_random_normal(1, 2, 3, 0.02f) == z * 0.02f);
}

static void test_hash_known_answer(void **state)
{
    (void)state;
    /* XXH3-128 of nothing, seed 0: xxHash specification */
    static const uint8_t empty[16] = {0x99, 0xaa, 0x06, 0xd3, 0x01, 0x47, 0x98, 0xd8,
                                      0x60, 0x01, 0xc3, 0x24, 0x46, 0x8d, 0x49, 0x7f};
    uint8_t hash[16];
    dd_hash128("", 0, hash);
    assert_memory_equal(hash, empty, 16);
}

/* ---- Files ---- */

static char folder[] = "/tmp/dodeca-test-data-XXXXXX";
static char path[sizeof folder + 16];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/file", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void write_file(const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static dd_status open_file(const char *scheme, dd_data **out, dd_error *error)
{
    char spec[sizeof path + 16];
    snprintf(spec, sizeof spec, "%s:%s", scheme, path);
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
    snprintf(list, sizeof list, "%s|%s", words, path);
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
    write_file(text, sizeof text);
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
    write_file(bytes, SHARD_BYTES);
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
        write_file(bytes, n);
        if (n == 0)
            snprintf(where, sizeof where, "is empty");
        else if (n < 1024)
            snprintf(where, sizeof where, "ends at byte %zu|header of 1024 bytes", n);
        else
            snprintf(where, sizeof where, "1224 bytes|file has %zu|%s", n,
                     n % 2 ? "odd" : "truncated");
        assert_refused("tokens", where);
    }
    write_file(bytes, SHARD_BYTES + 1);
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
        write_file(bytes, SHARD_BYTES);
        assert_refused("tokens", bad[i].words);
    }
}

static void test_unreadable(void **state)
{
    (void)state;
    const char *schemes[] = {"bytes", "tokens"};
    for (int i = 0; i < 2; i++) {
        write_file("", 0);
        assert_refused(schemes[i], "is empty");

        if (geteuid() != 0) { /* root may read anything */
            assert_int_equal(chmod(path, 0), 0);
            assert_refused(schemes[i], "cannot open|ermission");
        }
        assert_int_equal(unlink(path), 0);
        assert_refused(schemes[i], "cannot open|No such file");

        assert_int_equal(mkdir(path, 0700), 0);
        assert_refused(schemes[i], "is a directory");
        assert_int_equal(rmdir(path), 0);

        assert_int_equal(mkfifo(path, 0600), 0); /* must not wait for a writer */
        assert_refused(schemes[i], "pipe");
        assert_int_equal(unlink(path), 0);
    }
}

static void test_too_large(void **state)
{
    (void)state;
    write_file("x", 1);
    if (truncate(path, (off_t)((UINT64_C(1) << 32) + 1)) != 0)
        skip(); /* no file of that size on this file system */
    assert_refused("bytes", "4294967297 tokens|at most 4294967296");
    assert_int_equal(truncate(path, 0), 0);
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
        write_file(text, 1);
        assert_int_equal(open_file("bytes", &data, &error), DD_OK);
        assert_int_equal(dd_data_split_get(data, T, B, &split, &error), DD_ERR_DATA);
        dd_data_close(data);
        /* what the message promises is the least that would do */
        const char *promise = strstr(error.message, "seq ");
        promise = promise ? strstr(promise, ": ") : NULL;
        assert_non_null(promise);
        size_t enough = strtoul(promise + 2, NULL, 10);
        for (size_t n = enough - 1; n <= enough; n++) {
            write_file(text, n);
            assert_int_equal(open_file("bytes", &data, &error), DD_OK);
            assert_int_equal(dd_data_split_get(data, T, B, &split, &error),
                             n < enough ? DD_ERR_DATA : DD_OK);
            dd_data_close(data);
        }
        assert_int_equal(split.steps_per_epoch, 1);
    }
}

/* ---- Shapes and configuration ---- */

static void test_shapes(void **state)
{
    (void)state;
    dd_shape shape;
    assert_true(dd_shape_named("gpt2-124M", &shape));
    assert_int_equal(dd_shape_n_parameters(&shape), 124439808); /* as Hugging Face counts "gpt2" */
    assert_true(dd_shape_named("nano", &shape));
    assert_int_equal(dd_shape_n_parameters(&shape), 834304);
    assert_true(dd_shape_named("micro", &shape));
    assert_int_equal(dd_shape_n_parameters(&shape), 3323392);
    assert_false(dd_shape_named("giant", &shape));
    assert_false(dd_shape_named(NULL, &shape));
    size_t n = 0;
    for (; dd_shape_name(n); n++)
        assert_true(dd_shape_named(dd_shape_name(n), &shape));
    assert_int_equal(n, 3);

    uint32_t huge = UINT32_MAX, big = 1 << 24;
    const dd_shape invalid[] = {
        {0, 1, 1, 1, 1},
        {1, 0, 1, 1, 1},
        {1, 1, 0, 1, 1},
        {1, 1, 1, 0, 1},
        {1, 1, 1, 1, 0},
        {1, 3, 8, 1, 1},
        {huge, huge, huge, huge, huge},
        {big, big, big, big, big},
        {1, 1, big, 1, 1},
        {1, 1, 1 << 20, big, 1},
    };
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++)
        assert_int_equal(dd_shape_n_parameters(&invalid[i]), 0);
    assert_int_equal(dd_shape_n_parameters(NULL), 0);
    assert_true(dd_shape_n_parameters(&(dd_shape){1, 1, 1, 1, 1}) == 29);
}

/* One wrong setting at a time, and what the message must say. */
typedef struct wrong {
    void (*set)(dd_config *c);
    const char *words;
} wrong;

#define WRONG(name, statement)                                                                     \
    static void name(dd_config *c)                                                                 \
    {                                                                                              \
        c->statement;                                                                              \
    }
WRONG(zero_l, shape.L = 0)
WRONG(heads, shape.NH = 3)
WRONG(vocabulary, shape.V = 63)
WRONG(long_seq, seq = 65)
WRONG(no_batch, batch = 0)
WRONG(large_batch, batch = 1 << 24)
WRONG(no_lanes, lane_depth = 0)
WRONG(deep_lanes, lane_depth = 9)
WRONG(no_steps, horizon = 0)
WRONG(long_warmup, warmup = 101)
WRONG(nan_lr, lr = (double)NAN)
WRONG(zero_lr, lr = 0)
WRONG(tiny_lr, lr = 1e-60)
WRONG(huge_lr, lr = 1e39)
WRONG(ratio, min_lr_ratio = 1.5)
WRONG(nan_ratio, min_lr_ratio = (double)NAN)
WRONG(one_beta1, beta1 = 1)
WRONG(nearly_one_beta2, beta2 = 0.99999999999)
WRONG(negative_beta2, beta2 = -0.1)
WRONG(zero_eps, eps = 0)
WRONG(decay, weight_decay = -1)
WRONG(infinite_decay, weight_decay = (double)INFINITY)
WRONG(clip, grad_clip = -1)
WRONG(nan_clip, grad_clip = (double)NAN)
WRONG(policy, nan_policy = (dd_nan_policy)7)
WRONG(short_data, batch = 20000)
WRONG(lanes4, lane_depth = 4)
WRONG(depth4, depth = 4)
WRONG(workers13, workers = 13)
WRONG(simd, simd = (dd_simd)9)
WRONG(barrier, barrier = (dd_barrier)9)
WRONG(reduce, reduce = (dd_reduce)9)
WRONG(no_reduce, reduce = (dd_reduce)(DD_REDUCE_AUTO + 1))
static void guarded_owner(dd_config *c)
{
    c->guard = true;
    c->reduce = DD_REDUCE_OWNER;
}
static void workers145(dd_config *c)
{
    c->depth = 2;
    c->workers = 145;
}
static void workers1729(dd_config *c)
{
    c->depth = DD_DEPTH_AUTO;
    c->workers = 1729;
}
WRONG(most1729, max_workers = 1729)
static void fewer_at_most(dd_config *c)
{
    c->workers = 7;
    c->max_workers = 6;
}
static void idle(dd_config *c)
{
    c->batch = 5;
    c->workers = 8;
}
static void idle_for_lanes(dd_config *c)
{
    c->batch = 20;
    c->depth = 2;
    c->workers = 15;
}
static void idle_for_both(dd_config *c)
{
    c->depth = 3;
    c->workers = 145;
}
WRONG(idle_at_most, max_workers = 13)

static void test_config(void **state)
{
    (void)state;
    static const wrong decides_bits[] = {
        {zero_l, "model|L is 0|from 1"},
        {heads, "C 128|NH 3|C 129"},
        {vocabulary, "token 63|V is 63|at least 64"},
        {long_seq, "seq 65|64"},
        {no_batch, "batch 0|at least 1"},
        {large_batch, "batch 16777216|2^24|262143 at most"},
        {no_lanes, "lane-depth 0|from 1"},
        {deep_lanes, "lane-depth 9|to 8"},
        {no_steps, "steps 0|from 1"},
        {long_warmup, "warmup 101|100 steps"},
        {nan_lr, "lr nan|greater than 0"},
        {zero_lr, "lr 0|greater than 0"},
        {tiny_lr, "lr 1e-60|as a float"},
        {huge_lr, "lr 1e+39|as a float"},
        {ratio, "min-lr-ratio 1.5|at most 1"},
        {nan_ratio, "min-lr-ratio nan|at most 1"},
        {one_beta1, "beta1 1|less than 1"},
        {nearly_one_beta2, "beta2 1|less than 1"},
        {negative_beta2, "beta2 -0.1|at least 0"},
        {zero_eps, "eps 0|greater than 0"},
        {decay, "weight-decay -1|at least 0"},
        {infinite_decay, "weight-decay inf|finite"},
        {clip, "grad-clip -1|at least 0"},
        {nan_clip, "grad-clip nan|finite"},
        {policy, "nan-policy 7|abort or skip-step"},
        {short_data, "1048576 tokens|batch 20000|would do"},
    };
    static const wrong others[] = {
        {lanes4, "lane-depth 4|from 1 to 3"},
        {depth4, "depth 4|from 1 to 3, or auto"},
        {workers13, "workers 13: depth 1 holds 12 workers; depth 2 holds 144"},
        {workers145, "workers 145: depth 2 holds 144 workers; depth 3 holds 1728"},
        {workers1729, "workers 1729|depth 3 holds 1728|none deeper"},
        {most1729, "max-workers 1729|depth 3 holds 1728|none deeper"},
        {fewer_at_most, "max-workers 6|at least the 7 workers"},
        {idle, "workers 8|batch 5|5 lanes|use batch 8, or allow-idle"},
        {idle_for_lanes, "workers 15|12 lanes|use lane-depth 2, or allow-idle"},
        {idle_for_both, "workers 145|12 lanes|use batch 145 and lane-depth 3, or allow-idle"},
        {idle_at_most, "max-workers 13|12 lanes|use batch 13 and lane-depth 2"},
        {simd, "simd 9"},
        {barrier, "barrier 9"},
        {reduce, "reduce 9|tree, control, sliced, owner or auto"},
        {no_reduce, "reduce 5"},
        {guarded_owner, "guard: |reduce owner|choose tree, sliced or control"},
    };
    size_t n_bits = sizeof decides_bits / sizeof *decides_bits,
           n_others = sizeof others / sizeof *others;
    dd_data *data;
    assert_int_equal(dd_data_open("builtin", 1, &data, NULL), DD_OK);
    dd_config good;
    dd_error error;
    dd_config_default(&good);
    assert_int_equal(dd_config_check(&good, data, &error), DD_OK);
    for (size_t i = 0; i < n_bits + n_others; i++) {
        const wrong *w = i < n_bits ? &decides_bits[i] : &others[i - n_bits];
        dd_config config = good;
        w->set(&config);
        error.message[0] = 0;
        assert_int_not_equal(dd_config_check(&config, data, &error), DD_OK);
        assert_null(strchr(error.message, '\n'));
        char list[128];
        snprintf(list, sizeof list, "%s", w->words);
        char *rest = NULL;
        for (char *word = strtok_r(list, "|", &rest); word; word = strtok_r(NULL, "|", &rest))
            if (!strstr(error.message, word))
                fail_msg("\"%s\" does not say \"%s\"", error.message, word);
        dd_status bits = dd_config_check_bits(&config, data, &error);
        assert_true((bits != DD_OK) == (i < n_bits));
    }
    assert_int_equal(dd_config_check(NULL, data, &error), DD_ERR_ARGUMENT);
    assert_int_equal(dd_config_check(&good, NULL, &error), DD_ERR_ARGUMENT);

    /* at the limits */
    good.workers = 12;
    good.seq = 64;
    good.warmup = good.horizon;
    good.min_lr_ratio = 1;
    good.beta1 = 0;
    good.weight_decay = 0;
    good.grad_clip = 0;
    assert_int_equal(dd_config_check(&good, data, &error), DD_OK);
    good.lane_depth = good.depth = 3;
    good.workers = good.max_workers = good.batch = 1728;
    assert_int_equal(dd_config_check(&good, data, &error), DD_OK);
    good.depth = DD_DEPTH_AUTO;
    assert_int_equal(dd_config_check(&good, data, &error), DD_OK);
    good.lane_depth = 1;
    good.max_workers = 0;
    idle(&good);
    good.allow_idle = true;
    assert_int_equal(dd_config_check(&good, data, &error), DD_OK);
    dd_data_close(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox_known_answers),
        cmocka_unit_test(test_normal_moments),
        cmocka_unit_test(test_hash_known_answer),
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
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_config),
    };
    return cmocka_run_group_tests_name("data", tests, make_folder, remove_folder);
}
