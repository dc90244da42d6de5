/* SPDX-License-Identifier: MIT
 * A folder for the files of a test. It calls remove and not unlink, which some tests replace. */
#define _GNU_SOURCE /* mkdtemp, nftw */
#include "folder_fixture.h"

#include <dirent.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

char folder[64], one_file[80];

int make_folder_in(const char *place)
{
    (void)snprintf(folder, sizeof folder, "%s/dodeca-test-XXXXXX", place);
    if (!mkdtemp(folder)) {
        folder[0] = '\0';
        return -1;
    }
    (void)snprintf(one_file, sizeof one_file, "%s/file", folder);
    return 0;
}

int make_folder(void **state)
{
    (void)state;
    return make_folder_in("/tmp");
}

static int remove_entry(const char *path, const struct stat *s, int type, struct FTW *at)
{
    (void)s;
    (void)type;
    return at->level > 0 ? remove(path) : 0;
}

static int remove_content(void)
{
    return nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

int remove_folder(void **state)
{
    (void)state;
    if (!folder[0])
        return 0;
    const int failed = remove_content() || remove(folder);
    folder[0] = one_file[0] = '\0';
    return failed;
}

void empty_folder(void)
{
    assert_int_equal(remove_content(), 0);
}

int count_files(void)
{
    int n = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2; /* without . and .. */
}

const char *file_named(const char *name)
{
    static char path[8][384];
    static unsigned next;
    char *to = path[next++ % 8];
    (void)snprintf(to, sizeof path[0], "%s/%s", folder, name);
    return to;
}

void write_file(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    if (!f)
        fail_msg("%s cannot be written", path);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

void put_file(const char *name, const char *text)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    for (char *slash = path + strlen(folder) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    write_file(path, text, strlen(text));
}

void *read_file(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("%s is not there", path);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    const long size = ftell(f);
    assert_true(size >= 0);
    rewind(f);
    char *bytes = malloc((size_t)size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, (size_t)size, f), size);
    bytes[size] = '\0';
    fclose(f);
    if (n)
        *n = (size_t)size;
    return bytes;
}
