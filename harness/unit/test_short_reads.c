/* SPDX-License-Identifier: MIT
 * core/data: files whose reading ends early, fails, is interrupted or comes in pieces, though their
 * size promised more: by a read() of our own, at every byte. */
#define _POSIX_C_SOURCE 200809L
#include "dodeca.h"
#include "folder_fixture.h"
#include "tokens.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { TOKENS = 20, HEADER_BYTES = 1024, SHARD_BYTES = HEADER_BYTES + 2 * TOKENS };

/* ---- Reading as we like ---- */

static size_t bytes_left = SIZE_MAX; /* that can be read; then `at_end` */
static int at_end;                   /* errno, or 0: the file ends there */
static size_t piece = SIZE_MAX;      /* most that one read gives */
static unsigned interruptions;       /* of every second read */

ssize_t __real_read(int fd, void *to, size_t bytes);
ssize_t __wrap_read(int fd, void *to, size_t bytes);

ssize_t __wrap_read(int fd, void *to, size_t bytes)
{
    static bool interrupted;
    if (interruptions && (interrupted = !interrupted)) {
        interruptions--;
        errno = EINTR;
        return -1;
    }
    bytes = bytes < piece ? bytes : piece;
    bytes = bytes < bytes_left ? bytes : bytes_left;
    if (bytes == 0) {
        errno = at_end;
        return at_end ? -1 : 0;
    }
    const ssize_t n = __real_read(fd, to, bytes);
    if (n > 0 && bytes_left != SIZE_MAX)
        bytes_left -= (size_t)n;
    return n;
}

/* ---- Two good files ---- */

static char spec[2][sizeof one_file + 8]; /* the same bytes, as a shard and as they are */

static int make_file(void **state)
{
    int32_t header[HEADER_BYTES / 4] = {20240520, 1, TOKENS};
    uint8_t bytes[SHARD_BYTES];
    memcpy(bytes, header, HEADER_BYTES);
    for (unsigned i = 0; i < TOKENS; i++) {
        const uint16_t token = (uint16_t)(i + 1);
        memcpy(bytes + HEADER_BYTES + 2 * i, &token, 2);
    }
    if (make_folder(state) != 0)
        return -1;
    write_file(one_file, bytes, sizeof bytes);
    snprintf(spec[0], sizeof spec[0], "tokens:%s", one_file);
    snprintf(spec[1], sizeof spec[1], "bytes:%s", one_file);
    return 0;
}

/* ---- Tests ---- */

static void test_a_file_that_ends_early(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++)
        for (size_t n = 0; n < SHARD_BYTES; n++) {
            dd_data *data;
            dd_error error;
            char where[64];
            snprintf(where, sizeof where, "ended at byte %zu of %d", n, SHARD_BYTES);
            bytes_left = n;
            const dd_status st = dd_data_open(spec[kind], 1, &data, &error);
            bytes_left = SIZE_MAX;
            assert_int_equal(st, DD_ERR_DATA);
            assert_non_null(strstr(error.message, where));
        }
}

static void test_a_file_that_cannot_be_read_on(void **state)
{
    (void)state;
    at_end = EIO;
    for (int kind = 0; kind < 2; kind++)
        for (size_t n = 0; n < SHARD_BYTES; n += 37) {
            dd_data *data;
            dd_error error;
            char where[64];
            snprintf(where, sizeof where, "failed at byte %zu: %s", n, strerror(EIO));
            bytes_left = n;
            const dd_status st = dd_data_open(spec[kind], 1, &data, &error);
            bytes_left = SIZE_MAX;
            assert_int_equal(st, DD_ERR_DATA);
            assert_non_null(strstr(error.message, where));
        }
    at_end = 0;
}

static void test_pieces_and_interruptions(void **state)
{
    (void)state;
    const size_t pieces[] = {1, 3, 1000, SIZE_MAX};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        for (int kind = 0; kind < 2; kind++) {
            dd_data *data;
            dd_error error;
            uint64_t n;
            piece = pieces[i];
            interruptions = 5;
            const dd_status st = dd_data_open(spec[kind], 1, &data, &error);
            piece = SIZE_MAX;
            interruptions = 0;
            assert_int_equal(st, DD_OK);
            const uint16_t *token = dd_data_tokens(data, &n);
            assert_int_equal(n, kind ? SHARD_BYTES : TOKENS);
            for (unsigned t = 0; t < TOKENS; t++)
                assert_int_equal(kind ? token[HEADER_BYTES + 2 * t] : token[t], t + 1);
            dd_data_close(data);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_that_ends_early),
        cmocka_unit_test(test_a_file_that_cannot_be_read_on),
        cmocka_unit_test(test_pieces_and_interruptions),
    };
    return cmocka_run_group_tests(tests, make_file, remove_folder);
}
