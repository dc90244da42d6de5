/* SPDX-License-Identifier: MIT
 * core/checkpoint: files that are there whole or not at all. Every system call of a save fails
 * once, by wrappers: the old file stays what it was, or the new one is whole, and nothing else is
 * left. That a kill leaves the same is shown by the tests of checkpoints. */
#define _DEFAULT_SOURCE
#include "folder_fixture.h"
#include "whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- System calls that fail ---- */

static long n_calls, fail_call = -1; /* the call of this number fails, with this errno */
static int fail_with = EIO;
static bool failed;
static bool no_links; /* as on a FAT file system */

static bool fails(void)
{
    if (n_calls++ != fail_call)
        return false;
    failed = true;
    errno = fail_with;
    return true;
}

#define WRAPPED(type, name, parameters, arguments)                                                 \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        return fails() ? -1 : __real_##name arguments;                                             \
    }
WRAPPED(int, fsync, (int fd), (fd))
WRAPPED(int, ftruncate, (int fd, off_t size), (fd, size))
WRAPPED(int, rename, (const char *from, const char *to), (from, to))
WRAPPED(ssize_t, pwrite, (int fd, const void *from, size_t n, off_t at), (fd, from, n, at))

int __real_link(const char *from, const char *to);
int __wrap_link(const char *from, const char *to);
int __wrap_link(const char *from, const char *to)
{
    if (no_links) {
        errno = EPERM;
        return -1;
    }
    return fails() ? -1 : __real_link(from, to);
}

static const char *beside(const char *suffix)
{
    static char name[sizeof one_file + 32];
    (void)snprintf(name, sizeof name, "%s%s", one_file, suffix);
    return name;
}

static void assert_holds(const char *name, const char *text)
{
    char got[64] = "";
    FILE *f = fopen(name, "rb");
    if (!f)
        fail_msg("%s is not there", name);
    const size_t n = fread(got, 1, sizeof got, f);
    fclose(f);
    if (n != strlen(text) || memcmp(got, text, n) != 0)
        fail_msg("%s holds \"%.*s\", not \"%s\"", name, (int)n, got, text);
}

/* Writes the text, its second half first. */
static dd_status save(const char *text, uint32_t keep, dd_error *error)
{
    dd_whole_file *file = NULL;
    const size_t n = strlen(text), half = n / 2;
    *error = (dd_error){""};
    dd_status st = dd_whole_file_create(one_file, &file, error);
    if (st != DD_OK)
        return st;
    st = dd_whole_file_write(file, half, text + half, n - half, error);
    if (st == DD_OK)
        st = dd_whole_file_write(file, 0, text, half, error);
    if (st == DD_OK)
        return dd_whole_file_commit(file, keep, error);
    dd_whole_file_abandon(file);
    return st;
}

/* ---- Tests ---- */

static void test_replacing(void **state)
{
    (void)state;
    dd_error error;
    empty_folder();
    assert_int_equal(save("first", 1, &error), DD_OK);
    assert_holds(one_file, "first");
    assert_int_equal(save("2nd", 1, &error), DD_OK);
    assert_holds(one_file, "2nd");
    assert_int_equal(count_files(), 1);

    dd_whole_file *file;
    assert_int_equal(dd_whole_file_create(one_file, &file, &error), DD_OK);
    assert_int_equal(dd_whole_file_write(file, 0, "third", 5, &error), DD_OK);
    assert_holds(one_file, "2nd");
    dd_whole_file_abandon(file);
    dd_whole_file_abandon(NULL);
    assert_holds(one_file, "2nd");
    assert_int_equal(count_files(), 1);

    /* a name alone lies in the folder that one is in */
    char old[1024];
    assert_non_null(getcwd(old, sizeof old));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(dd_whole_file_create("file", &file, &error), DD_OK);
    assert_int_equal(dd_whole_file_commit(file, 1, &error), DD_OK);
    assert_int_equal(chdir(old), 0);
    assert_holds(one_file, "");
}

static void rotate_five(unsigned keep)
{
    dd_error error;
    empty_folder();
    static const char *const texts[] = {"a", "b", "c", "d", "e"};
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(save(texts[i], keep, &error), DD_OK);
        assert_int_equal(count_files(), i < keep ? i + 1 : keep);
        for (unsigned g = 0; g <= i && g < keep; g++) {
            char suffix[8] = "";
            if (g)
                (void)snprintf(suffix, sizeof suffix, ".%u", g);
            assert_holds(beside(suffix), texts[i - g]);
        }
    }
}

static void test_generations(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        no_links = i;
        for (unsigned keep = 1; keep <= 4; keep++)
            rotate_five(keep);
    }
    no_links = false;

    /* whoever was killed between link and rename has kept the old one already */
    dd_error error;
    rotate_five(3);
    unlink(beside(".1"));
    assert_int_equal(__real_link(one_file, beside(".1")), 0);
    assert_int_equal(save("f", 3, &error), DD_OK);
    assert_holds(one_file, "f");
    assert_holds(beside(".1"), "e");
    assert_holds(beside(".2"), "c");
}

static void test_stale(void **state)
{
    (void)state;
    dd_error error;
    empty_folder();
    FILE *f = fopen(beside(".dodeca-tmp"), "w");
    assert_non_null(f);
    fputs("half of something longer", f);
    fclose(f);
    assert_int_equal(save("new", 1, &error), DD_OK);
    assert_holds(one_file, "new");
    assert_int_equal(count_files(), 1);
}

static void test_two_writers(void **state)
{
    (void)state;
    dd_error error;
    empty_folder();
    dd_whole_file *one, *two = NULL;
    assert_int_equal(dd_whole_file_create(one_file, &one, &error), DD_OK);
    assert_int_equal(dd_whole_file_create(one_file, &two, &error), DD_ERR_DATA);
    assert_null(two);
    assert_non_null(strstr(error.message, "being written by somebody else"));
    assert_int_equal(dd_whole_file_write(one, 0, "one", 3, &error), DD_OK);
    assert_int_equal(dd_whole_file_commit(one, 1, &error), DD_OK);
    assert_holds(one_file, "one");
    assert_int_equal(count_files(), 1);
    assert_int_equal(save("two", 1, &error), DD_OK);
    assert_holds(one_file, "two");
}

static void assert_refused(const char *words)
{
    dd_error error;
    assert_int_equal(save("text", 1, &error), DD_ERR_DATA);
    if (!strstr(error.message, words) || strchr(error.message, '\n'))
        fail_msg("\"%s\" does not say \"%s\"", error.message, words);
}

static void test_refused(void **state)
{
    (void)state;
    empty_folder();
    assert_int_equal(mkdir(one_file, 0777), 0);
    assert_refused("is a directory");
    rmdir(one_file);
    assert_int_equal(mkfifo(one_file, 0666), 0);
    assert_refused("is a device, pipe or socket");
    unlink(one_file);
    assert_int_equal(symlink("elsewhere", one_file), 0);
    assert_refused("is a symbolic link");
    unlink(one_file);
    assert_int_equal(symlink("elsewhere", beside(".dodeca-tmp")), 0);
    assert_refused("cannot be written");
    unlink(beside(".dodeca-tmp"));
    assert_int_equal(mkfifo(beside(".dodeca-tmp"), 0666), 0);
    assert_refused(""); /* not hang */
    unlink(beside(".dodeca-tmp"));
    assert_int_equal(count_files(), 0);

    char none[sizeof one_file + 16];
    (void)snprintf(none, sizeof none, "%s/none/file", folder);
    dd_whole_file *file;
    assert_int_equal(dd_whole_file_create("", &file, NULL), DD_ERR_ARGUMENT);
    dd_error error;
    assert_int_equal(dd_whole_file_create(none, &file, &error), DD_ERR_DATA);
    assert_non_null(strstr(error.message, "No such file"));
    /* a generation that cannot be replaced */
    assert_int_equal(save("old", 2, &error), DD_OK);
    assert_int_equal(mkdir(beside(".1"), 0777), 0);
    assert_int_equal(save("new", 2, &error), DD_ERR_DATA);
    assert_holds(one_file, "old");
    assert_int_equal(count_files(), 2);
}

/* A disk that is full, as far as this process is concerned. */
static void test_full(void **state)
{
    (void)state;
    dd_error error;
    empty_folder();
    assert_int_equal(save("old", 2, &error), DD_OK);
    struct rlimit was;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    const struct rlimit small = {.rlim_cur = 4, .rlim_max = was.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const dd_status st = save("longer than 4", 2, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(st, DD_ERR_DATA);
    assert_non_null(strstr(error.message, "File too large"));
    assert_holds(one_file, "old");
    assert_int_equal(count_files(), 1);
}

/* Each call of a save fails once: nothing is half done. */
static void test_every_call_fails(void **state)
{
    (void)state;
    dd_error error;
    for (int i = 0; i < 2; i++) {
        no_links = i;
        rotate_five(3);
        n_calls = 0;
        assert_int_equal(save("f", 3, &error), DD_OK);
        const long calls = n_calls;
        /* truncate, one write, sync, three that rename or link, the folder's sync */
        assert_int_equal(calls, 7);
        long n_refused = 0;
        for (long k = 0; k < calls; k++) {
            rotate_five(3);
            n_calls = 0;
            fail_call = k;
            failed = false;
            const dd_status st = save("f", 3, &error);
            fail_call = -1;
            assert_true(failed);
            assert_int_equal(st, DD_ERR_DATA);
            assert_non_null(strstr(error.message, "Input/output error"));
            /* the last is the folder's sync, which comes when all is done */
            assert_holds(one_file, k == calls - 1 ? "f" : "e");
            n_refused++;
            assert_int_not_equal(access(beside(".dodeca-tmp"), F_OK), 0);
            /* and the next save finds nothing in its way */
            assert_int_equal(save("g", 3, &error), DD_OK);
            assert_holds(one_file, "g");
            assert_holds(beside(".1"), k == calls - 1 ? "f" : "e");
        }
        assert_int_equal(n_refused, calls);
    }
    no_links = false;
    /* interrupted, a write goes on; a folder that cannot be synced on this file system is let be */
    n_calls = 0;
    fail_call = 1;
    fail_with = EINTR;
    assert_int_equal(save("h", 1, &error), DD_OK);
    assert_holds(one_file, "h");
    n_calls = 0;
    assert_int_equal(save("i", 1, &error), DD_OK);
    fail_call = n_calls - 1;
    n_calls = 0;
    fail_with = EINVAL;
    assert_int_equal(save("j", 1, &error), DD_OK);
    assert_holds(one_file, "j");
    fail_call = -1;
    fail_with = EIO;
    empty_folder();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replacing),
        cmocka_unit_test(test_generations),
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_two_writers),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_every_call_fails),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
