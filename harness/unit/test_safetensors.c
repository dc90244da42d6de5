/* SPDX-License-Identifier: MIT
 * core/checkpoint: the safetensors container. What is written reads back; every malformed header is
 * refused in one line that names file and fault; so is a file cut at any byte; no memory is lost
 * where any allocation fails, jansson's included. */
#define _POSIX_C_SOURCE 200809L
#include "platform.h"
#include "safetensors.h"

#include "counted_alloc.h"
#include "folder_fixture.h"

#include <inttypes.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A container of this header, and so many bytes behind it: 0, 1, 2, … */
static size_t compose(const char *header, size_t n_data, uint8_t out[8192])
{
    const uint64_t length = strlen(header);
    assert_true(8 + length + n_data <= 8192);
    memcpy(out, &length, 8);
    memcpy(out + 8, header, length);
    for (size_t i = 0; i < n_data; i++)
        out[8 + length + i] = (uint8_t)i;
    return 8 + length + n_data;
}

/* One line that holds the path and every word of `words`, separated by '|'. */
static void assert_says(const dd_error *error, const char *words)
{
    assert_null(strchr(error->message, '\n'));
    char list[256];
    (void)snprintf(list, sizeof list, "%s|%s", words, one_file);
    char *rest = NULL;
    for (char *word = strtok_r(list, "|", &rest); word; word = strtok_r(NULL, "|", &rest))
        if (!strstr(error->message, word))
            fail_msg("\"%s\" does not say \"%s\"", error->message, word);
}

static void assert_refused(const char *words)
{
    dd_safetensors *s = NULL;
    dd_error error = {""};
    assert_int_equal(dd_safetensors_open(one_file, &s, &error), DD_ERR_DATA);
    assert_null(s);
    assert_says(&error, words);
}

/* ---- Good files ---- */

static const char good[] =
    "{\"__metadata__\":{\"format\":\"pt\",\"who\":\"t\\u00e9st\"},"
    "\"b\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[8,20]},"
    "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
    "\"none\":{\"dtype\":\"I64\",\"shape\":[0,7],\"data_offsets\":[20,20]},"
    "\"one\":{\"dtype\":\"BOOL\",\"shape\":[],\"data_offsets\":[20,21]}}  \n ";

static void test_reading(void **state)
{
    (void)state;
    uint8_t bytes[8192];
    const size_t n = compose(good, 21, bytes);
    write_file(one_file, bytes, n);
    dd_safetensors *s;
    dd_error error;
    assert_int_equal(dd_safetensors_open(one_file, &s, &error), DD_OK);
    assert_int_equal(dd_safetensors_n(s), 4);
    static const char *const order[] = {"a", "b", "none", "one"};
    for (uint32_t i = 0; i < 4; i++) {
        assert_string_equal(dd_safetensors_at(s, i)->name, order[i]);
        assert_ptr_equal(dd_safetensors_find(s, order[i]), dd_safetensors_at(s, i));
    }
    const dd_safetensor *b = dd_safetensors_find(s, "b");
    assert_int_equal(b->dtype, DD_DTYPE_F16);
    assert_string_equal(b->dtype_name, "F16");
    assert_int_equal(b->n_dims, 2);
    assert_true(b->dim[0] == 2 && b->dim[1] == 3 && b->bytes == 12);
    assert_int_equal(b->offset, n - 13);
    assert_int_equal(dd_safetensors_find(s, "none")->bytes, 0);
    assert_int_equal(dd_safetensors_find(s, "one")->n_dims, 0);
    assert_null(dd_safetensors_find(s, ""));
    assert_null(dd_safetensors_find(s, "aa"));
    assert_null(dd_safetensors_find(s, "z"));
    assert_null(dd_safetensors_find(s, "__metadata__"));
    assert_string_equal(dd_safetensors_metadata(s, "format"), "pt");
    assert_null(dd_safetensors_metadata(s, "form"));
    const char *key, *value;
    void *at = dd_safetensors_metadata_next(s, NULL, &key, &value);
    assert_string_equal(key, "format");
    at = dd_safetensors_metadata_next(s, at, &key, &value);
    assert_string_equal(key, "who");
    assert_string_equal(value, "t\xc3\xa9st");
    assert_null(dd_safetensors_metadata_next(s, at, &key, &value));
    uint8_t part[4];
    assert_int_equal(dd_safetensors_read(s, b, 3, 4, part, &error), DD_OK);
    assert_memory_equal(part, ((const uint8_t[]){11, 12, 13, 14}), 4);

    /* the file shrinks while it is open */
    assert_int_equal(truncate(one_file, (off_t)n - 2), 0);
    assert_int_equal(dd_safetensors_read(s, b, 8, 4, part, &error), DD_ERR_DATA);
    assert_says(&error, "shrank");
    dd_safetensors_close(s);
    dd_safetensors_close(NULL);
    assert_int_equal(n_live, 0);
}

/* One without bytes lies before the one that begins there. */
static void test_empty_tensor(void **state)
{
    (void)state;
    uint8_t bytes[8192];
    static const char header[] = "{\"x\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
                                 "\"y\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}";
    write_file(one_file, bytes, compose(header, 4, bytes));
    dd_safetensors *s;
    dd_error error;
    assert_int_equal(dd_safetensors_open(one_file, &s, &error), DD_OK);
    assert_string_equal(dd_safetensors_at(s, 0)->name, "y");
    dd_safetensors_close(s);
}

static void test_round_trip(void **state)
{
    (void)state;
    enum { N = 40, PAIRS = 2 };
    dd_safetensor tensor[N];
    char name[N][32];
    for (uint32_t i = 0; i < N; i++) {
        (void)snprintf(name[i], sizeof name[i], "t%" PRIu32 ".\"\\\t\xc3\xbc", i * 7 % N);
        tensor[i] = (dd_safetensor){
            .name = name[i], .dtype = (dd_dtype)(i % 4), .n_dims = i % 4, .dim = {i, 3, 2}};
    }
    dd_safetensors_pair pair[PAIRS] = {{"key", "0000"}, {"other", ""}};
    char *header, *again;
    size_t size, size_again;
    dd_error error;
    assert_int_equal(dd_safetensors_header(tensor, N, pair, PAIRS, &header, &size, &error), DD_OK);
    assert_int_equal(size % 64, 0);
    /* the size does not depend on what a value says, but for its length */
    pair[0].value = "zzzz";
    assert_int_equal(dd_safetensors_header(tensor, N, pair, PAIRS, &again, &size_again, &error),
                     DD_OK);
    assert_int_equal(size, size_again);
    const uint64_t end = tensor[N - 1].offset + tensor[N - 1].bytes;
    uint8_t *bytes = calloc(1, end);
    assert_non_null(bytes);
    memcpy(bytes, again, size);
    write_file(one_file, bytes, end);
    dd_safetensors *s;
    assert_int_equal(dd_safetensors_open(one_file, &s, &error), DD_OK);
    assert_int_equal(dd_safetensors_n(s), N);
    for (uint32_t i = 0; i < N; i++) {
        const dd_safetensor *t = dd_safetensors_find(s, name[i]);
        assert_non_null(t);
        assert_int_equal(t->dtype, tensor[i].dtype);
        assert_string_equal(t->dtype_name, tensor[i].dtype_name);
        assert_int_equal(t->n_dims, tensor[i].n_dims);
        assert_memory_equal(t->dim, tensor[i].dim, t->n_dims * sizeof *t->dim);
        assert_int_equal(t->offset, tensor[i].offset);
        assert_int_equal(t->bytes, tensor[i].bytes);
    }
    assert_string_equal(dd_safetensors_metadata(s, "key"), "zzzz");
    dd_safetensors_close(s);
    free(bytes);
    dd_free(header);
    dd_free(again);
    assert_int_equal(n_live, 0);
}

/* ---- Bad ones ---- */

#define ONE(dtype, shape, offsets)                                                                 \
    "{\"a\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
#define TWO(first, second)                                                                         \
    "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":" first "},"                          \
    "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":" second "}}"

static void test_bad_headers(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t n_data;
        const char *words;
    } bad[] = {
        {"", 0, "no JSON|byte 8"},
        {" ", 0, "no JSON"},
        {"{", 0, "no JSON"},
        {"[]", 0, "must be a JSON object"},
        {"7", 0, "no JSON"},
        {"{} {}", 0, "no JSON|byte 12"},
        {"{\"a\":1,}", 0, "no JSON"},
        {"{\"a\":1}", 0, "\"a\"|must be an object of dtype, shape and data_offsets"},
        {"{\"a\":{}}", 0, "must be an object of dtype"},
        {"{\"a\\u0000b\":{}}", 0, "no JSON"},
        {"{\"\xff\":{}}", 0, "no JSON"},
        {"{\"a\":{},\"a\":{}}", 0, "no JSON|duplicate"},
        {"{\"__metadata__\":1}", 0, "__metadata__|object of texts"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "__metadata__|object of texts"},
        {"{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}", 0, "duplicate"},
        {"{\"__metadata__\":{}}", 3, "tensors end at byte 27, the file at byte 30"},
        {ONE("\"U8\"", "[4]", "[0,4]"), 3, "\"a\"|ends 4 bytes after the header, the file 3"},
        {ONE("\"U8\"", "[4]", "[0,4]"), 5, "tensors end at byte|the file at byte"},
        {ONE("\"U8\"", "[4]", "[1,5]"), 5, "\"a\"|begins at byte|end to end"},
        {ONE("\"U8\"", "[4]", "[4,0]"), 4, "two whole numbers, ascending"},
        {ONE("\"U8\"", "[4]", "[-4,0]"), 4, "two whole numbers, ascending"},
        {ONE("\"U8\"", "[4]", "[0,4,4]"), 4, "two whole numbers, ascending"},
        {ONE("\"U8\"", "[4]", "[0]"), 4, "two whole numbers, ascending"},
        {ONE("\"U8\"", "[4]", "[0,4.0]"), 4, "two whole numbers, ascending"},
        {ONE("\"U8\"", "[4]", "4"), 4, "two whole numbers, ascending"},
        {ONE("\"U8\"", "[4]", "[0,99999999999999999999]"), 4, "no JSON"},
        {ONE("\"U8\"", "[4]", "[9223372036854775806,9223372036854775807]"), 4, "ends 9223372036"},
        {ONE("\"U8\"", "[-4]", "[0,4]"), 4, "\"shape\" must be an array of whole numbers"},
        {ONE("\"U8\"", "[4.0]", "[0,4]"), 4, "\"shape\" must be an array of whole numbers"},
        {ONE("\"U8\"", "[[4]]", "[0,4]"), 4, "\"shape\" must be an array of whole numbers"},
        {ONE("\"U8\"", "4", "[0,4]"), 4, "\"shape\" must be an array of whole numbers"},
        {ONE("\"U8\"", "[1,1,1,1,1,1,1,1,4]", "[0,4]"), 4, "more than 8 dimensions"},
        {ONE("\"U8\"", "[3]", "[0,4]"), 4, "make 3 bytes, data_offsets 4"},
        {ONE("\"F32\"", "[4]", "[0,4]"), 4, "F32 make 16 bytes, data_offsets 4"},
        {ONE("\"F32\"", "[4294967296,4294967296]", "[0,4]"), 4, "no size in bytes"},
        {ONE("\"F32\"", "[1073741824,1073741824,16]", "[0,0]"), 0, "no size in bytes"},
        {ONE("\"F4\"", "[3]", "[0,1]"), 1, "no size in bytes"},
        {ONE("\"F31\"", "[4]", "[0,4]"), 4, "dtype F31|F32"},
        {ONE("\"f32\"", "[1]", "[0,4]"), 4, "dtype f32"},
        {ONE("32", "[1]", "[0,4]"), 4, "dtype (no text)"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"offsets\":[0,4]}}", 4, "two whole numbers"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4],\"x\":1}}", 4,
         "must be an object of dtype, shape and data_offsets"},
        {TWO("[0,4]", "[0,4]"), 4, "\"b\"|begins at byte|end to end"},
        {TWO("[0,4]", "[3,7]"), 7, "\"b\"|begins at byte|end to end"},
        {TWO("[0,4]", "[5,9]"), 9, "\"b\"|begins at byte|end to end"},
        {TWO("[4,8]", "[0,4]"), 9, "tensors end at byte"},
        {"{\"a\\n\\u001bb\":{\"dtype\":\"F3\",\"shape\":[],\"data_offsets\":[0,4]}}", 4,
         "\"a?\?b\"|dtype F3"},
    };
    uint8_t bytes[8192];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file(one_file, bytes, compose(bad[i].header, bad[i].n_data, bytes));
        assert_refused(bad[i].words);
    }
    assert_int_equal(n_live, 0);
}

static void test_bad_lengths(void **state)
{
    (void)state;
    uint8_t bytes[8192];
    const size_t n = compose(good, 21, bytes);
    static const struct {
        uint64_t length;
        const char *words;
    } bad[] = {
        {0, "no JSON"},
        {1, "no JSON"},
        {8192, "byte 0|header of 8192 bytes|truncated"},
        {DD_SAFETENSORS_HEADER_MAX, "truncated"},
        {DD_SAFETENSORS_HEADER_MAX + 1, "byte 0|more than the 16777216 that are read"},
        {UINT64_MAX - 7, "more than the 16777216"},
        {UINT64_MAX, "more than the 16777216"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        memcpy(bytes, &bad[i].length, 8);
        write_file(one_file, bytes, n);
        assert_refused(bad[i].words);
    }
    unlink(one_file);
    assert_refused("cannot be opened: No such file");
    assert_int_equal(mkdir(one_file, 0777), 0);
    assert_refused("is a directory, not a regular file");
    assert_int_equal(rmdir(one_file), 0);
}

/* Every prefix of a good file is refused, and the whole with a byte more. */
static void test_truncated(void **state)
{
    (void)state;
    uint8_t bytes[8192];
    const size_t n = compose(good, 21, bytes);
    for (size_t i = 0; i < n; i++) {
        write_file(one_file, bytes, i);
        assert_refused("");
    }
    bytes[n] = 0;
    write_file(one_file, bytes, n + 1);
    assert_refused("tensors end at byte");
}

/* Every byte of a good file once replaced: it opens or is refused with a line, and nothing else. */
static void test_flipped(void **state)
{
    (void)state;
    uint8_t bytes[8192];
    const size_t n = compose(good, 21, bytes);
    static const uint8_t with[] = {0, '0', '9', '"', '{', ']', ',', 0xff};
    for (size_t i = 0; i < n - 21; i++)
        for (size_t k = 0; k < sizeof with; k++) {
            const uint8_t was = bytes[i];
            bytes[i] = with[k];
            write_file(one_file, bytes, n);
            bytes[i] = was;
            dd_safetensors *s;
            dd_error error = {""};
            if (dd_safetensors_open(one_file, &s, &error) == DD_OK)
                dd_safetensors_close(s);
            else
                assert_says(&error, "");
        }
    assert_int_equal(n_live, 0);
}

static void test_bad_writing(void **state)
{
    (void)state;
    char *header;
    size_t size;
    dd_error error;
    dd_safetensor twice[] = {{.name = "a"}, {.name = "a"}};
    assert_int_equal(dd_safetensors_header(twice, 2, NULL, 0, &header, &size, &error),
                     DD_ERR_ARGUMENT);
    assert_non_null(strstr(error.message, "two tensors named \"a\""));
    dd_safetensor large = {.name = "a", .n_dims = 2, .dim = {UINT64_C(1) << 40, 1 << 24}};
    assert_int_equal(dd_safetensors_header(&large, 1, NULL, 0, &header, &size, &error),
                     DD_ERR_ARGUMENT);
    dd_safetensor other = {.name = "a", .dtype = DD_DTYPE_OTHER};
    assert_int_equal(dd_safetensors_header(&other, 1, NULL, 0, &header, &size, &error),
                     DD_ERR_ARGUMENT);
    dd_safetensor latin = {.name = "\xe4"};
    assert_int_equal(dd_safetensors_header(&latin, 1, NULL, 0, &header, &size, &error),
                     DD_ERR_ARGUMENT);
    dd_safetensors_pair pairs[] = {{"k", "v"}, {"k", "w"}};
    assert_int_equal(dd_safetensors_header(NULL, 0, pairs, 2, &header, &size, &error),
                     DD_ERR_ARGUMENT);
    assert_int_equal(n_live, 0);
}

/* ---- Without memory ---- */

static long n_json, json_fails_at = -1, json_live;

static void *json_malloc(size_t bytes)
{
    if (n_json++ == json_fails_at)
        return NULL;
    void *p = malloc(bytes);
    json_live += p != NULL;
    return p;
}

static void json_free(void *p)
{
    json_live -= p != NULL;
    free(p);
}

/* Whether it opened. The file is good: it does, or there was no memory. */
static bool open_good(void)
{
    dd_safetensors *s;
    dd_error error = {""};
    const dd_status st = dd_safetensors_open(one_file, &s, &error);
    if (st != DD_OK) {
        /* jansson takes a text that it has no memory for sometimes for one that is malformed */
        if (st != DD_ERR_DATA || json_fails_at < 0) {
            assert_int_equal(st, DD_ERR_MEMORY);
            assert_says(&error, "out of memory");
        }
        assert_says(&error, "");
        return false;
    }
    assert_int_equal(dd_safetensors_n(s), 4);
    dd_safetensors_close(s);
    return true;
}

static void test_without_memory(void **state)
{
    (void)state;
    uint8_t bytes[8192];
    write_file(one_file, bytes, compose(good, 21, bytes));
    json_set_alloc_funcs(json_malloc, json_free);
    n_allocations = 0;
    assert_true(open_good());
    const long ours = n_allocations, theirs = n_json;
    assert_true(ours > 4 && theirs > 20);
    for (long i = 0; i < ours; i++) {
        n_allocations = 0;
        fail_at = i;
        assert_false(open_good());
        assert_int_equal(n_live, 0);
    }
    fail_at = -1;
    for (json_fails_at = 0; json_fails_at < theirs; json_fails_at++) {
        n_json = 0;
        (void)open_good();
        assert_int_equal(n_live, 0);
        assert_int_equal(json_live, 0);
    }
    json_fails_at = -1;
    json_set_alloc_funcs(malloc, free);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),        cmocka_unit_test(test_empty_tensor),
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_bad_headers),
        cmocka_unit_test(test_bad_lengths),    cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_flipped),        cmocka_unit_test(test_bad_writing),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
