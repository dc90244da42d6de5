/* SPDX-License-Identifier: MIT
 * The results folder: files that other programs can read whatever the labels and reasons hold, and
 * nothing half-written, on a full disk neither; nothing is written or removed through a link. */
#include "folder_fixture.h"
#include "page_results.h"
#include "report.h"
#include "report_fixture.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- Formats ---- */

/* Well-formed: tags nest, and no byte stands where XML forbids it. */
static void check_xml(const char *text)
{
    char stack[8][32];
    size_t depth = 0;
    const char *p = strstr(text, "?>");
    assert_non_null(p);
    for (p += 2; *p; p++) {
        assert_true((unsigned char)*p >= ' ' || *p == '\n');
        assert_true((signed char)*p >= 0); /* the fixture holds no valid character beyond ASCII */
        if (*p == '&') {
            size_t n = strspn(p + 1, "abcdefghijklmnopqrstuvwxyz#0123456789");
            assert_true(n > 0 && p[n + 1] == ';');
        }
        if (*p != '<')
            continue;
        bool closing = p[1] == '/', quoted = false;
        const char *name = p + 1 + closing;
        size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz");
        assert_true(n > 0 && n < 32);
        for (p = name + n; *p != '>' || quoted; p++) {
            assert_true(*p != '\0' && *p != '<');
            quoted ^= *p == '"';
        }
        if (closing) {
            assert_true(depth > 0);
            depth--;
            assert_true(strlen(stack[depth]) == n && strncmp(stack[depth], name, n) == 0);
        } else if (p[-1] != '/') {
            assert_true(depth < 8);
            snprintf(stack[depth++], 32, "%.*s", (int)n, name);
        }
    }
    assert_int_equal(depth, 0);
}

static void test_junit(void **state)
{
    const fixture *f = *state;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_true(dd_report_junit(f->sweep, out));
    fclose(out);
    check_xml(text);
    /* 4 cells x 3 repeats x the 9 checks that apply; loss-falls has too few steps */
    assert_non_null(strstr(text, "tests=\"108\" failures=\"0\" errors=\"1\" skipped=\"35\""));
    assert_non_null(strstr(text, "message=\"a|b,&quot;c&quot; &lt;d&gt;&amp;?'?`*_&#10;]]&gt;\""));
    free(text);
}

static void test_json(void **state)
{
    const fixture *f = *state;
    dd_report report = {.machine = {.cpu = "planted \xff", .cores = 4}};
    f->sweep->cells[0].repeats[0].run.steps[2].loss = (double)NAN;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_true(dd_report_json(&report, f->sweep, out));
    fclose(out);
    json_t *o = json_loads(text, 0, NULL);
    assert_non_null(o);
    const json_t *cells = json_object_get(o, "cells");
    assert_int_equal(json_array_size(cells), N_CELLS);
    const json_t *run = json_array_get(json_object_get(json_array_get(cells, 0), "repeats"), 0);
    assert_int_equal(json_array_size(json_object_get(run, "step_wall_ns")), STEPS);
    assert_string_equal(json_string_value(json_array_get(json_object_get(run, "step_loss"), 2)),
                        "nan");
    near(json_real_value(json_array_get(json_object_get(run, "step_loss"), 4)), 3.6);
    const json_t *hung = json_array_get(cells, 3);
    assert_string_equal(json_string_value(json_object_get(hung, "verdict")), "HANG");
    assert_true(json_is_false(json_object_get(o, "complete")));
    json_decref(o);
    free(text);
}

/* ---- Files ---- */

static bool exists(const char *dir, const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

static bool open_and_begin(dd_report *report, const dd_sweep *sweep, const char *dir)
{
    return dd_report_open_folder(report, sweep->scenario->name, dir, true) &&
           dd_report_begin(report, sweep);
}

static void test_folder(void **state)
{
    const fixture *f = *state;
    static const char *const names[] = {"run.json",     "speedup.md", "speedup.csv",
                                        "speedup.json", "junit.xml",  "logs/cell-4-repeat-1.log"};
    const char *deep = file_named("a/b");
    char path[512];
    dd_report report;
    assert_true(open_and_begin(&report, f->sweep, deep));
    dd_report_write(&report, f->sweep);
    assert_string_equal(report.failure, "");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_true(exists(deep, names[i]));
        char temporary[64];
        snprintf(temporary, sizeof temporary, "%s.tmp", names[i]);
        assert_false(exists(deep, temporary));
        snprintf(path, sizeof path, "%s/%s", deep, names[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(file_named("a/b/logs")), 0); /* nothing else was left there */
    assert_int_equal(rmdir(deep), 0);
    /* a file where the folder should be; this holds for root, too */
    put_file("a/b/file", "");
    const char *no_folder = file_named("a/b/file");
    assert_false(open_and_begin(&report, f->sweep, no_folder));
    assert_non_null(strstr(report.failure, no_folder));
}

/* Whether it is there, and no link. */
static bool is_own(const char *dir, const char *name)
{
    char path[1024];
    struct stat is;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return lstat(path, &is) == 0 && !S_ISLNK(is.st_mode);
}

static void test_links(void **state)
{
    const fixture *f = *state;
    static const char *const names[] = {"run.json", "run.json.tmp", "traces", "logs"};
    const char *dir = file_named("linked");
    char message[256];
    dd_report report;
    dd_page_files page;
    put_file("aside/cell-4-repeat-1.log", "a user's");
    put_file("aside/cell-1.json", "a user's");
    put_file("file", "a user's");
    assert_int_equal(mkdir(dir, 0777), 0);
    for (size_t i = 0; i < 4; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        assert_int_equal(symlink(i < 2 ? "../file" : "../aside", path), 0);
    }
    assert_true(open_and_begin(&report, f->sweep, dir));
    dd_report_write(&report, f->sweep);
    assert_non_null(strstr(report.failure, "logs: Not a directory"));
    report.failure[0] = '\0';
    assert_true(dd_page_files_open(&page, dir, message, sizeof message));
    dd_report_clear(&report, &page, true);
    dd_page_files_close(&page);
    dd_report_write(&report, f->sweep);
    assert_string_equal(report.failure, "");
    assert_true(is_own(dir, "run.json") && is_own(dir, "logs"));
    assert_true(is_own(dir, "logs/cell-4-repeat-1.log"));
    assert_false(exists(dir, "traces") || exists(dir, "run.json.tmp"));
    static const char *const kept[] = {"file", "aside/cell-4-repeat-1.log", "aside/cell-1.json"};
    for (size_t i = 0; i < 3; i++) {
        char *text = read_file(file_named(kept[i]), NULL);
        assert_string_equal(text, "a user's");
        free(text);
    }
    /* a link that leads nowhere is there, too */
    const char *dangling = file_named("dangling");
    assert_int_equal(mkdir(dangling, 0777), 0);
    assert_int_equal(symlink("nowhere", file_named("dangling/runs.jsonl")), 0);
    assert_false(dd_report_open_folder(&report, "name", dangling, false));
    assert_non_null(strstr(report.failure, "dangling holds results already, runs.jsonl"));
}

/* What is no file is told of, and not waited for. */
static void test_no_regular_file(void **state)
{
    (void)state;
    char message[DD_PAGE_MESSAGE_MAX];
    dd_page_results r;
    put_file("piped/speedup.json", "");
    assert_int_equal(mkfifo(file_named("piped/run.json"), 0600), 0);
    assert_false(dd_page_results_open(&r, file_named("piped"), message));
    dd_page_results_close(&r);
    assert_non_null(strstr(message, "piped/run.json: is a device, pipe or socket, and must be a "
                                    "regular file"));
    assert_int_equal(remove(file_named("piped/run.json")), 0);
    assert_int_equal(mkdir(file_named("piped/run.json"), 0700), 0);
    assert_false(dd_page_results_open(&r, file_named("piped"), message));
    dd_page_results_close(&r);
    assert_non_null(strstr(message, "piped/run.json: is a directory"));
}

/* In a file system of 1 MiB and 16 files. */
static void test_full_disk(void **state)
{
    const fixture *f = *state;
    char path[512], text[16] = "";
    dd_report report;
    const char *dir = file_named("disk");
    assert_int_equal(mkdir(dir, 0777), 0);
    /* in a name space of our own, so that it goes with us whatever happens */
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", dir, "tmpfs", 0, "size=1m,nr_inodes=16") != 0) {
        print_message("SKIP (optional): no small file system can be mounted: %s\n",
                      strerror(errno));
        skip();
    }
    /* what an earlier run left is as it was */
    snprintf(path, sizeof path, "%s/there", dir);
    assert_int_equal(mkdir(path, 0777), 0);
    snprintf(path, sizeof path, "%s/there/junit.xml", dir);
    FILE *old = fopen(path, "w");
    assert_true(old && fputs("old", old) >= 0 && fclose(old) == 0);
    snprintf(path, sizeof path, "%s/filler", dir);
    FILE *filler = fopen(path, "w");
    while (filler && fputc('x', filler) != EOF && fflush(filler) == 0)
        continue;
    (void)fclose(filler);
    snprintf(path, sizeof path, "%s/there", dir);
    assert_false(dd_report_open_folder(&report, "name", path, false));
    assert_non_null(strstr(report.failure, "there holds results already, junit.xml; --replace"));
    assert_false(open_and_begin(&report, f->sweep, path));
    assert_non_null(strstr(report.failure, "No space left on device"));
    assert_false(exists(path, "run.json") || exists(path, "run.json.tmp"));
    snprintf(path, sizeof path, "%s/there/junit.xml", dir);
    old = fopen(path, "r");
    assert_true(old && fgets(text, sizeof text, old) && fclose(old) == 0);
    assert_string_equal(text, "old");
    /* nor does a folder stay behind, or those above it */
    snprintf(path, sizeof path, "%s/a/b/c", dir);
    assert_false(open_and_begin(&report, f->sweep, path));
    assert_non_null(strstr(report.failure, "a/b/c/run.json: No space left on device"));
    assert_false(exists(dir, "a"));
    /* not even where there is room for some of the folders only */
    snprintf(path, sizeof path, "%s/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p", dir);
    assert_false(open_and_begin(&report, f->sweep, path));
    assert_false(exists(dir, "a"));
    /* with room, and then given up; the folder above is not this report's */
    snprintf(path, sizeof path, "%s/filler", dir);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%s/there/deep/er/", dir);
    free(f->sweep->cells[3].repeats[0].run.log); /* no sweep has a log when it begins */
    f->sweep->cells[3].repeats[0].run.log = NULL;
    assert_true(open_and_begin(&report, f->sweep, path));
    assert_true(exists(path, "run.json"));
    dd_report_discard(&report);
    assert_false(exists(dir, "there/deep"));
    assert_true(exists(dir, "there/junit.xml"));
    assert_int_equal(umount(dir), 0);
}

static void test_log_names(void **state)
{
    (void)state;
    char name[64];
    dd_report_log_name(name, 0, 0);
    assert_string_equal(name, "logs/cell-1-repeat-1.log");
    dd_report_oracle_log_name(name, 2);
    assert_string_equal(name, "logs/oracle-3.log");
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_junit),
        WITH_FIXTURE(test_json),
        WITH_FIXTURE(test_folder),
        WITH_FIXTURE(test_full_disk),
        WITH_FIXTURE(test_links),
        cmocka_unit_test(test_log_names),
        cmocka_unit_test(test_no_regular_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
