/* SPDX-License-Identifier: MIT
 * Files in a folder that may hold a user's own files, too, and links that lead out of it: taken for
 * one process, written, read and taken back. */
#ifndef DD_FOLDER_H
#define DD_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Removes the files of a folder whose names match one of the patterns (NULL ends them), then the
 * folder, if nothing else is in it. One that is not there is well; what lies behind a symbolic link
 * is left alone. */
void dd_folder_clear(const char *path, const char *const *patterns);
/* Moves the files of a folder whose names match into another, over those of the same names. Neither
 * may be a symbolic link.
 * returns  false with errno: some may have been moved */
bool dd_folder_move(const char *from, const char *to, const char *const *patterns);

/* Takes the folder against others that call this, until the descriptor is closed. Where there are
 * no such locks there is no protection.
 * returns  the descriptor; -1 with errno, EWOULDBLOCK: somebody else has it */
int dd_folder_lock(const char *path);
/* Makes one, or finds it there.  returns  false with errno; ENOTDIR: what is there is none, be it a
 * symbolic link to one */
bool dd_folder_make(const char *path);
/* Removes it if it is a symbolic link. */
void dd_folder_drop_link(const char *path);

/* A new file in the place of what has the name.  returns  NULL with errno */
FILE *dd_folder_create(const char *path);
/* A regular file, for reading; a pipe is not waited for.
 * returns  NULL: `why` is what the system said, or what the file is instead */
FILE *dd_folder_read(const char *path, char *why, size_t size);

#endif
