/* SPDX-License-Identifier: MIT
 * A page and its plots take their places together: whichever rename fails, all is as it was;
 * whichever one a process is killed at, no page stands beside another's plots, and the next process
 * finds the old ones or the new ones, whole. */
#include "folder_fixture.h"
#include "page_files.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- Calls that fail ---- */

static int countdown = -1; /* calls until one fails; -1: none will */
static bool dies;          /* in place of failing */

static bool is_over(void)
{
    if (countdown < 0 || countdown-- > 0)
        return false;
    if (dies)
        _exit(7);
    errno = ENOSPC;
    return true;
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
    return is_over() ? -1 : __real_rename(from, to);
}

int __real_renameat(int from_folder, const char *from, int to_folder, const char *to);
int __wrap_renameat(int from_folder, const char *from, int to_folder, const char *to);
int __wrap_renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    return is_over() ? -1 : __real_renameat(from_folder, from, to_folder, to);
}

int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode)
{
    return is_over() ? -1 : __real_mkdir(path, mode);
}

/* ---- Folders ---- */

typedef enum state { NONE, OLD, NEW, MIXED } state;

static bool holds(const char *name, const char *text)
{
    if (access(file_named(name), F_OK) != 0)
        return text == NULL;
    char *is = read_file(file_named(name), NULL);
    const bool same = text && strcmp(is, text) == 0;
    free(is);
    return same;
}

/* What stands there under its own names. The old page has a plot that the new one has not. */
static state look(void)
{
    if (holds("report.html", "old") && holds("plots/a.svg", "old a") &&
        holds("plots/b.png", "old b") && holds("plots/c.png", NULL))
        return OLD;
    if (holds("report.html", "new") && holds("plots/a.svg", "new a") &&
        holds("plots/b.png", NULL) && holds("plots/c.png", "new c"))
        return NEW;
    return holds("report.html", NULL) ? NONE : MIXED;
}

static void put_old(void)
{
    empty_folder();
    put_file("report.html", "old");
    put_file("plots/a.svg", "old a");
    put_file("plots/b.png", "old b");
    put_file("plots/notes.txt", "a user's");
}

static void build_new(dd_page_files *f)
{
    char message[256];
    if (!dd_page_files_open(f, folder, message, sizeof message))
        fail_msg("%s", message);
    dd_page_files_begin(f);
    put_file("report.html.tmp", "new");
    put_file("plots.tmp/a.svg", "new a");
    put_file("plots.tmp/c.png", "new c");
}

/* The page, its plots and the user's file, and nothing beside them. */
static void check_tidy(state is)
{
    assert_int_equal(look(), is);
    assert_true(holds("plots/notes.txt", "a user's"));
    assert_int_equal(count_files(), 2);
}

/* ---- Tests ---- */

static void pages_are_replaced(void **unused)
{
    (void)unused;
    char message[256];
    dd_page_files f;
    put_old();
    build_new(&f);
    assert_true(dd_page_files_put(&f, message, sizeof message));
    dd_page_files_close(&f);
    check_tidy(NEW);
    put_old();
    build_new(&f); /* and not put */
    dd_page_files_close(&f);
    check_tidy(OLD);
    /* a page without plots, where there were some */
    assert_true(dd_page_files_open(&f, folder, message, sizeof message));
    dd_page_files_begin(&f);
    put_file("report.html.tmp", "new");
    assert_true(dd_page_files_put(&f, message, sizeof message));
    dd_page_files_close(&f);
    assert_true(holds("report.html", "new") && holds("plots/a.svg", NULL));
    assert_true(holds("plots/notes.txt", "a user's"));
    /* the first one */
    empty_folder();
    build_new(&f);
    assert_true(dd_page_files_put(&f, message, sizeof message));
    dd_page_files_close(&f);
    assert_int_equal(look(), NEW);
    assert_int_equal(count_files(), 2);
    assert_true(dd_page_files_open(&f, folder, message, sizeof message));
    assert_true(dd_page_files_forget(&f));
    assert_false(dd_page_files_forget(&f));
    dd_page_files_close(&f);
    assert_int_equal(count_files(), 0);
    /* until a page is begun, nothing in the folder is touched */
    put_file("report.html.tmp", "a user's");
    assert_true(dd_page_files_open(&f, folder, message, sizeof message));
    dd_page_files_close(&f);
    assert_int_equal(count_files(), 1);
}

static void failures_are_taken_back(void **unused)
{
    (void)unused;
    int n = 0;
    for (bool put = false; !put; n++) {
        char message[256] = "";
        dd_page_files f;
        put_old();
        build_new(&f);
        countdown = n;
        put = dd_page_files_put(&f, message, sizeof message);
        const bool failed = countdown < 0;
        countdown = -1;
        assert_int_equal(look(), put ? NEW : OLD);
        dd_page_files_close(&f);
        check_tidy(put ? NEW : OLD);
        assert_int_equal(put, !failed);
        assert_true(put || strstr(message, "No space left on device"));
    }
    assert_true(n > 8);
}

/* Killed at each call in turn, and once more at each while the next one tidies up. */
static void kills_leave_no_mixture(void **unused)
{
    (void)unused;
    bool over = false, over_again;
    int n, again;
    for (n = 0; !over; n++)
        for (again = 0, over_again = false; !over_again; again++) {
            char message[256];
            dd_page_files f;
            int status;
            put_old();
            for (int life = 0; life < 2; life++) {
                const pid_t child = fork();
                if (child == 0) {
                    dies = true;
                    if (life == 0)
                        build_new(&f);
                    countdown = life ? again : n;
                    bool good = true;
                    if (life == 0)
                        good = dd_page_files_put(&f, message, sizeof message);
                    else if (dd_page_files_open(&f, folder, message, sizeof message))
                        dd_page_files_begin(&f);
                    _exit(good && countdown >= 0 ? 0 : 1);
                }
                assert_int_equal(waitpid(child, &status, 0), child);
                assert_true(WIFEXITED(status) &&
                            (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 7));
                *(life ? &over_again : &over) = WEXITSTATUS(status) == 0;
                assert_int_not_equal(look(), MIXED);
            }
            assert_true(dd_page_files_open(&f, folder, message, sizeof message));
            dd_page_files_begin(&f);
            dd_page_files_close(&f);
            check_tidy(over ? NEW : OLD);
        }
    assert_true(n > 8);
}

static void folders_are_for_one(void **unused)
{
    (void)unused;
    char message[256];
    dd_page_files one, two;
    assert_true(dd_page_files_open(&one, folder, message, sizeof message));
    put_file("report.html.tmp", "of one");
    assert_false(dd_page_files_open(&two, folder, message, sizeof message));
    assert_non_null(strstr(message, "another dodeca is making a page there"));
    dd_page_files_close(&two);
    assert_true(holds("report.html.tmp", "of one"));
    dd_page_files_close(&one);
    assert_false(dd_page_files_open(&one, file_named("nowhere"), message, sizeof message));
    dd_page_files_close(&one);
    /* what stands in the way is left alone */
    put_file("report.html/own", "a user's");
    build_new(&one);
    assert_false(dd_page_files_put(&one, message, sizeof message));
    assert_non_null(strstr(message, "report.html: Is a directory"));
    dd_page_files_close(&one);
    assert_true(holds("report.html/own", "a user's"));
    assert_int_equal(count_files(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pages_are_replaced, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(failures_are_taken_back, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(kills_leave_no_mixture, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(folders_are_for_one, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
