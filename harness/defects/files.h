/* SPDX-License-Identifier: MIT
 * Whole files, and their paths. */
#ifndef DD_FILES_H
#define DD_FILES_H

#include <stdbool.h>
#include <stddef.h>

#define DD_FILE_PATH 1024

/* Writes folder/name, or "" where that is too long: which then cannot be opened.  returns  path */
const char *dd_path(char path[DD_FILE_PATH], const char *folder, const char *name);

/* The file's bytes and a terminator, to be freed; NULL with errno. length may be NULL. */
char *dd_slurp(const char *path, size_t *length);
/* Writes the file anew. returns  false with errno */
bool dd_spill(const char *path, const char *bytes, size_t length);

#endif
