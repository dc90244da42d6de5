/* SPDX-License-Identifier: MIT
 * core/checkpoint: models in files. What is written reads back to the bit, in both directions and
 * in the layout that the formats have; half precision is widened exactly; what is no model, or not
 * dodeca's kind, is refused in one line; so is a file cut at any byte. */
#define _POSIX_C_SOURCE 200809L
#include "counted_alloc.h"
#include "model_fixture.h"
#include "model_pieces.h"
#include "safetensors.h"
#include "tensors.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- Reading as we like ---- */

static size_t piece_bytes = SIZE_MAX; /* most that one pread gives */
static int interruptions;             /* before the next that gives something */

ssize_t __real_pread(int fd, void *to, size_t bytes, off_t at);
ssize_t __wrap_pread(int fd, void *to, size_t bytes, off_t at);
ssize_t __wrap_pread(int fd, void *to, size_t bytes, off_t at)
{
    if (interruptions > 0) {
        interruptions--;
        errno = EINTR;
        return -1;
    }
    return __real_pread(fd, to, bytes < piece_bytes ? bytes : piece_bytes, at);
}

/* ---- Writing and reading ---- */

static void test_round_trips(void **state)
{
    (void)state;
    static const dd_shape shapes[] = {
        {.L = 2, .NH = 2, .C = 6, .V = 5, .T_max = 3},
        {.L = 1, .NH = 1, .C = 1, .V = 1, .T_max = 1},
        {.L = 11, .NH = 5, .C = 35, .V = 128, .T_max = 9},
        {.L = 3, .NH = 1, .C = 64, .V = 129, .T_max = 17},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (dd_file_format format = DD_FILE_SAFETENSORS; format <= DD_FILE_LLMC; format++) {
            float *weights = make_weights(&shapes[i]);
            dd_error error;
            assert_int_equal(dd_model_file_write(one_file, format, &shapes[i], weights, &error),
                             DD_OK);
            assert_model(format, &shapes[i], weights);
            /* the same model makes the same bytes */
            assert_int_equal(
                dd_model_file_write(file_named("second"), format, &shapes[i], weights, &error),
                DD_OK);
            size_t n, m;
            uint8_t *a = read_file(one_file, &n), *b = read_file(file_named("second"), &m);
            assert_int_equal(n, m);
            assert_memory_equal(a, b, n);
            free(a);
            free(b);
            free(weights);
        }
    assert_int_equal(n_live, 0);
    assert_int_equal(count_files(), 2);
}

static void test_hub_layout(void **state)
{
    (void)state;
    const dd_shape s = small;
    dd_layout layout;
    dd_layout_make(&s, &layout);
    float *weights = make_weights(&s);
    dd_error error;
    assert_int_equal(dd_model_file_write(one_file, DD_FILE_SAFETENSORS, &s, weights, &error),
                     DD_OK);
    dd_safetensors *file;
    assert_int_equal(dd_safetensors_open(one_file, &file, &error), DD_OK);
    assert_int_equal(dd_safetensors_n(file), 4 + 12 * 2);
    assert_string_equal(dd_safetensors_metadata(file, "format"), "pt");
    assert_string_equal(dd_safetensors_metadata(file, "n_head"), "2");
    static const struct {
        const char *name;
        dd_tensor tensor;
        uint32_t layer, rows, columns; /* in the file */
        bool transposed;
    } expected[] = {
        {"wte.weight", DD_WTE, 0, 5, 6, false},
        {"wpe.weight", DD_WPE, 0, 3, 6, false},
        {"h.1.ln_1.weight", DD_LN1W, 1, 0, 6, false},
        {"h.1.ln_1.bias", DD_LN1B, 1, 0, 6, false},
        {"h.1.attn.c_attn.weight", DD_QKVW, 1, 6, 18, true},
        {"h.0.attn.c_attn.bias", DD_QKVB, 0, 0, 18, false},
        {"h.1.attn.c_proj.weight", DD_ATTPROJW, 1, 6, 6, true},
        {"h.1.attn.c_proj.bias", DD_ATTPROJB, 1, 0, 6, false},
        {"h.0.ln_2.weight", DD_LN2W, 0, 0, 6, false},
        {"h.0.ln_2.bias", DD_LN2B, 0, 0, 6, false},
        {"h.1.mlp.c_fc.weight", DD_FCW, 1, 6, 24, true},
        {"h.1.mlp.c_fc.bias", DD_FCB, 1, 0, 24, false},
        {"h.1.mlp.c_proj.weight", DD_FCPROJW, 1, 24, 6, true},
        {"h.1.mlp.c_proj.bias", DD_FCPROJB, 1, 0, 6, false},
        {"ln_f.weight", DD_LNFW, 0, 0, 6, false},
        {"ln_f.bias", DD_LNFB, 0, 0, 6, false},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const dd_safetensor *t = dd_safetensors_find(file, expected[i].name);
        assert_non_null(t);
        const uint32_t rows = expected[i].rows ? expected[i].rows : 1;
        const uint32_t columns = expected[i].columns;
        assert_int_equal(t->n_dims, expected[i].rows ? 2 : 1);
        assert_int_equal(t->dim[t->n_dims - 1], columns);
        assert_true(t->n_dims == 1 || t->dim[0] == rows);
        float values[24 * 24];
        assert_int_equal(dd_safetensors_read(file, t, 0, t->bytes, values, &error), DD_OK);
        const float *w = weights + dd_layout_layer(&layout, expected[i].tensor, expected[i].layer);
        for (uint32_t r = 0; r < rows; r++)
            for (uint32_t c = 0; c < columns; c++) {
                const float *want = w + (expected[i].transposed ? c * rows + r : r * columns + c);
                assert_memory_equal(&values[r * columns + c], want, sizeof *want);
            }
    }
    dd_safetensors_close(file);
    free(weights);
}

static void test_llmc_layout(void **state)
{
    (void)state;
    const dd_shape s = small;
    const uint64_t n = dd_shape_n_parameters(&s);
    float *weights = make_weights(&s);
    dd_error error;
    assert_int_equal(dd_model_file_write(one_file, DD_FILE_LLMC, &s, weights, &error), DD_OK);
    size_t bytes;
    uint8_t *file = read_file(one_file, &bytes);
    assert_int_equal(bytes, 1024 + 4 * (n + (128 - 5) * 6));
    const int32_t header[256] = {20240326, 3, 3, 5, 2, 2, 6, 128};
    assert_memory_equal(file, header, sizeof header);
    assert_memory_equal(file + 1024, weights, 4 * 5 * 6);
    for (size_t i = 1024 + 4 * 5 * 6; i < 1024 + 4 * 128 * 6; i++)
        assert_int_equal(file[i], 0);
    assert_memory_equal(file + 1024 + 4 * 128 * 6, weights + 5 * 6, 4 * (n - 5 * 6));
    free(file);
    free(weights);
}

/* Tiles of matrices that are larger than one, and no multiple of it. */
static void test_large_matrix(void **state)
{
    (void)state;
    enum { ROWS = 35, COLUMNS = (1 << 14) + 3, AT = 20, N = ROWS * COLUMNS };
    float *w = malloc(2 * N * sizeof *w), *got = w + N;
    assert_non_null(w);
    for (int i = 0; i < N; i++)
        w[i] = (float)i;
    const dd_model_piece piece = {
        .rows = ROWS, .columns = COLUMNS, .offset = AT, .transposed = true};
    dd_whole_file *file;
    dd_input_file in;
    dd_error error;
    assert_int_equal(dd_whole_file_create(one_file, &file, &error), DD_OK);
    assert_int_equal(dd_model_pieces_write(file, &piece, 1, w, &error), DD_OK);
    assert_int_equal(dd_whole_file_commit(file, 1, &error), DD_OK);
    size_t bytes;
    uint8_t *raw = read_file(one_file, &bytes);
    assert_int_equal(bytes, AT + N * sizeof *w);
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLUMNS; c++)
            if (memcmp(raw + AT + (size_t)(r * COLUMNS + c) * 4, &w[c * ROWS + r], 4) != 0)
                fail_msg("row %d, column %d", r, c);
    assert_int_equal(dd_input_file_open(one_file, &in, &error), DD_OK);
    assert_int_equal(dd_model_pieces_read(&in, &piece, 1, got, &error), DD_OK);
    assert_memory_equal(got, w, N * sizeof *w);
    dd_input_file_close(&in);
    free(raw);
    free(w);
}

/* Every half, against what IEEE 754 and bfloat16 say it is. */
static void test_half_precision(void **state)
{
    (void)state;
    enum { N = 1 << 16 };
    static uint16_t half[N];
    static float got[2][N];
    for (uint32_t i = 0; i < N; i++)
        half[i] = (uint16_t)i;
    write_file(one_file, half, sizeof half);
    dd_input_file in;
    dd_error error;
    assert_int_equal(dd_input_file_open(one_file, &in, &error), DD_OK);
    for (int b = 0; b < 2; b++) {
        const dd_model_piece piece = {
            .rows = 1, .columns = N, .dtype = b ? DD_DTYPE_BF16 : DD_DTYPE_F16};
        assert_int_equal(dd_model_pieces_read(&in, &piece, 1, got[b], &error), DD_OK);
    }
    dd_input_file_close(&in);
    for (uint32_t i = 0; i < N; i++) {
        const int e = (int)(i >> 10 & 31), f = (int)(i & 1023);
        double want = e == 31 ? (f ? (double)NAN : (double)INFINITY)
                      : e     ? ldexp(1024 + f, e - 25)
                              : ldexp(f, -24);
        want = i >> 15 ? -want : want;
        uint32_t bits;
        memcpy(&bits, &got[0][i], sizeof bits);
        if (isnan(want)) { /* the payload stays, at the top */
            assert_true(isnan(got[0][i]));
            assert_int_equal(bits, i >> 15 << 31 | 0x7f800000 | (uint32_t)f << 13);
        } else {
            assert_true((double)got[0][i] == want);
            assert_int_equal(bits >> 31, i >> 15);
        }
        memcpy(&bits, &got[1][i], sizeof bits);
        assert_int_equal(bits, i << 16);
    }
}

/* ---- llm.c, and all formats ---- */

static void test_bad_llmc(void **state)
{
    (void)state;
    float *weights = make_weights(&small);
    dd_error error;
    assert_int_equal(dd_model_file_write(one_file, DD_FILE_LLMC, &small, weights, &error), DD_OK);
    size_t n;
    uint8_t *good = read_file(one_file, &n);
    static const struct {
        int word;
        int32_t value;
        const char *words;
    } bad[] = {
        {0, 20240520, "token shard of llm.c, not a model"},
        {1, 5, "byte 4|version is 5, weights in BF16; only 3 is read"},
        {1, 1, "byte 4|version is 1; only 3"},
        {2, 0, "byte 8|positions: is 0, must be at least 1"},
        {3, -5, "byte 12|vocabulary: is -5"},
        {4, 0, "byte 16|layers"},
        {4, INT32_MAX, "sizes are at most 2^24"},
        {5, 0, "byte 20|heads"},
        {5, 4, "C a multiple of NH"},
        {6, INT32_MIN, "byte 24|channels"},
        {6, 1 << 24, "parameters 2^43"},
        {7, 4, "byte 28|padded vocabulary is 4, less than the vocabulary of 5"},
        {7, 127, "bytes past its end"},
        {7, 129, "truncated"},
        {3, 129, "less than the vocabulary of 129"},
        {2, 4, "make|bytes, but the file has|truncated"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t *bytes = malloc(n);
        assert_non_null(bytes);
        memcpy(bytes, good, n);
        memcpy(bytes + 4 * bad[i].word, &bad[i].value, 4);
        write_file(one_file, bytes, n);
        free(bytes);
        assert_refused(bad[i].words);
    }
    free(good);
    free(weights);
}

static void test_truncated(void **state)
{
    (void)state;
    float *weights = make_weights(&small);
    dd_error error;
    for (dd_file_format format = DD_FILE_SAFETENSORS; format <= DD_FILE_LLMC; format++) {
        assert_int_equal(dd_model_file_write(one_file, format, &small, weights, &error), DD_OK);
        size_t n;
        uint8_t *bytes = read_file(one_file, &n);
        for (size_t cut = n - 1; cut < n; cut--) { /* to 0 */
            assert_int_equal(truncate(one_file, (off_t)cut), 0);
            assert_refused(cut ? "" : "is empty");
        }
        bytes[n] = 0;
        write_file(one_file, bytes, n + 1);
        assert_refused("");
        free(bytes);
    }
    free(weights);
    unlink(one_file);
    assert_refused("cannot be opened: No such file");
}

/* Bytes that come few at a time, and calls that signals interrupt, leave no trace. */
static void test_short_reads(void **state)
{
    (void)state;
    float *weights = make_weights(&small);
    dd_error error;
    for (dd_file_format format = DD_FILE_SAFETENSORS; format <= DD_FILE_LLMC; format++) {
        assert_int_equal(dd_model_file_write(one_file, format, &small, weights, &error), DD_OK);
        for (piece_bytes = 1; piece_bytes < 8; piece_bytes += 2) {
            interruptions = 100;
            assert_model(format, &small, weights);
            assert_int_equal(interruptions, 0);
        }
        piece_bytes = SIZE_MAX;
    }
    free(weights);
}

/* What was open shrinks: an error, no fault. */
static void test_shrunk(void **state)
{
    (void)state;
    float *weights = make_weights(&small);
    dd_error error;
    for (dd_file_format format = DD_FILE_SAFETENSORS; format <= DD_FILE_LLMC; format++) {
        assert_int_equal(dd_model_file_write(one_file, format, &small, weights, &error), DD_OK);
        struct stat about;
        assert_int_equal(stat(one_file, &about), 0);
        dd_model_file *m;
        assert_int_equal(dd_model_file_open(one_file, &m, &error), DD_OK);
        assert_int_equal(truncate(one_file, about.st_size - 1), 0);
        assert_int_equal(dd_model_file_read(m, weights, &error), DD_ERR_DATA);
        assert_says(&error, "shrank");
        dd_model_file_close(m);
    }
    free(weights);
    assert_int_equal(n_live, 0);
}

static void test_bad_writing(void **state)
{
    (void)state;
    float *weights = make_weights(&small);
    dd_error error;
    unlink(one_file);
    assert_int_equal(dd_model_file_write(one_file, DD_FILE_CHECKPOINT, &small, weights, &error),
                     DD_ERR_ARGUMENT);
    assert_non_null(strstr(error.message, "\"checkpoint\""));
    const dd_shape odd = {.L = 1, .NH = 4, .C = 6, .V = 5, .T_max = 3};
    assert_int_equal(dd_model_file_write(one_file, DD_FILE_LLMC, &odd, weights, &error),
                     DD_ERR_ARGUMENT);
    assert_int_equal(
        dd_model_file_write(file_named("none/file"), DD_FILE_LLMC, &small, weights, &error),
        DD_ERR_DATA);
    assert_int_not_equal(access(one_file, F_OK), 0);
    assert_int_equal(dd_model_file_open(NULL, NULL, &error), DD_ERR_ARGUMENT);
    assert_int_equal(dd_model_file_read(NULL, weights, &error), DD_ERR_ARGUMENT);
    assert_string_equal(dd_file_format_name(DD_FILE_LLMC), "llm.c");
    assert_string_equal(dd_file_format_name(DD_FILE_FORMATS), "unknown");
    dd_model_file_close(NULL);
    free(weights);
}

/* Every allocation of writing and reading fails once. */
static void test_without_memory(void **state)
{
    (void)state;
    float *weights = make_weights(&small);
    for (dd_file_format format = DD_FILE_SAFETENSORS; format <= DD_FILE_LLMC; format++) {
        unlink(one_file);
        dd_status st;
        long failures = 0;
        for (;; failures++) { /* one later each time, until there is none left to fail */
            dd_error error = {""};
            dd_model_file *m = NULL;
            n_allocations = 0;
            fail_at = failures;
            st = dd_model_file_write(one_file, format, &small, weights, &error);
            if (st == DD_OK)
                st = dd_model_file_open(one_file, &m, &error);
            if (st == DD_OK)
                st = dd_model_file_read(m, weights, &error);
            dd_model_file_close(m);
            assert_int_equal(n_live, 0);
            if (st == DD_OK)
                break;
            assert_int_equal(st, DD_ERR_MEMORY);
            assert_non_null(strstr(error.message, "out of memory"));
        }
        fail_at = -1;
        assert_true(failures >= 5);
    }
    free(weights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),    cmocka_unit_test(test_hub_layout),
        cmocka_unit_test(test_llmc_layout),    cmocka_unit_test(test_large_matrix),
        cmocka_unit_test(test_half_precision), cmocka_unit_test(test_bad_llmc),
        cmocka_unit_test(test_truncated),      cmocka_unit_test(test_short_reads),
        cmocka_unit_test(test_shrunk),         cmocka_unit_test(test_bad_writing),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
