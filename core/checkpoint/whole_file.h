/* SPDX-License-Identifier: MIT
 * Files that are there whole or not at all: written under another name in the same folder, synced,
 * and only then given their name. Whoever is killed leaves the old file, and at most a temporary
 * one, path.dodeca-tmp, that the next writer of the same name takes over. */
#ifndef DD_WHOLE_FILE_H
#define DD_WHOLE_FILE_H

#include "dodeca.h"

typedef struct dd_whole_file dd_whole_file;

/* Begins a file that is to be `path`. A `path` that is there and is no regular file, be it a
 * symbolic link to one, is refused; so is one that somebody else is writing in this way.
 * owns     *out; ended by commit or abandon
 * errors   DD_ERR_ARGUMENT: an empty path; DD_ERR_DATA with what the system said;
 *          DD_ERR_MEMORY                                                                      */
dd_status dd_whole_file_create(const char *path, dd_whole_file **out, dd_error *error);
/* Writes at any offset, in any order.  errors  DD_ERR_DATA: no space left, … */
dd_status dd_whole_file_write(dd_whole_file *file, uint64_t offset, const void *from, size_t bytes,
                              dd_error *error);
/* Syncs the file, keeps what `path` was before as path.1 (that as path.2, …), `keep` files in all,
 * 1: replaces it; renames, syncs the folder. At every moment `path` is a whole file, the old one or
 * the new, if there was one; but where the file system has no hard links and keep is more than 1,
 * for a moment only path.1 is there.
 * returns  in any case the file is closed and *file released; on failure `path` is as it was, but
 *          where only the folder could not be synced: `path` is the new file then, which a loss of
 *          power may undo
 * errors   DD_ERR_DATA with what the system said                                              */
dd_status dd_whole_file_commit(dd_whole_file *file, uint32_t keep, dd_error *error);
/* Nothing is left of it. NULL allowed. */
void dd_whole_file_abandon(dd_whole_file *file);

#endif
