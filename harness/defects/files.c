/* SPDX-License-Identifier: MIT
 * Whole files, and their paths. */
#include "files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

const char *dd_path(char path[DD_FILE_PATH], const char *folder, const char *name)
{
    if (snprintf(path, DD_FILE_PATH, "%s/%s", folder, name) >= DD_FILE_PATH)
        path[0] = '\0';
    return path;
}

char *dd_slurp(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    char *bytes = NULL;
    size_t n = 0, room = 0;
    do {
        char *grown = realloc(bytes, (room = 2 * room + 4096) + 1);
        if (!grown) {
            free(bytes);
            fclose(file);
            errno = ENOMEM;
            return NULL;
        }
        bytes = grown;
        n += fread(bytes + n, 1, room - n, file);
    } while (n == room);
    const bool failed = ferror(file);
    fclose(file);
    if (failed) {
        free(bytes);
        errno = EIO;
        return NULL;
    }
    bytes[n] = '\0';
    if (length)
        *length = n;
    return bytes;
}

bool dd_spill(const char *path, const char *bytes, size_t length)
{
    FILE *file = fopen(path, "wb");
    if (!file)
        return false;
    const bool written = fwrite(bytes, 1, length, file) == length;
    return (fclose(file) == 0) & written;
}
