/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* mkdtemp, nftw */
#include "file_tree.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

char file_tree_root[32];

int file_tree_make(void **state)
{
    (void)state;
    strcpy(file_tree_root, "/tmp/dodeca-test-XXXXXX");
    return mkdtemp(file_tree_root) ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *s, int type, struct FTW *ftw)
{
    (void)s;
    (void)type;
    (void)ftw;
    return remove(path);
}

int file_tree_remove(void **state)
{
    (void)state;
    return nftw(file_tree_root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

void file_tree_put(const char *path, const char *text)
{
    char whole[512];
    snprintf(whole, sizeof whole, "%s/%s", file_tree_root, path);
    for (char *slash = whole + strlen(file_tree_root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(whole, 0700);
        *slash = '/';
    }
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}
