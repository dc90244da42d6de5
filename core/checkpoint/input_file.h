/* SPDX-License-Identifier: MIT
 * A file open for reading at any place, as the readers of this folder want it: regular, of a known
 * size, read with pread, so that one that shrinks meanwhile gives an error and not a fault. */
#ifndef DD_INPUT_FILE_H
#define DD_INPUT_FILE_H

#include "dodeca.h"

/* Messages show so much of a path. */
#define DD_PATH_FORMAT "%.200s"

typedef struct dd_input_file {
    int fd;
    char *path;
    uint64_t bytes; /* when it was opened */
} dd_input_file;

/* owns     *out on success, ended by dd_input_file_close, which also takes one that is all zeros
 * errors   DD_ERR_DATA with what the system said, or when it is no regular file; DD_ERR_MEMORY  */
dd_status dd_input_file_open(const char *path, dd_input_file *out, dd_error *error);
void dd_input_file_close(dd_input_file *file);

/* Bytes [offset, offset + bytes).
 * errors   DD_ERR_DATA: the file ends before, or cannot be read; `to` may hold anything then    */
dd_status dd_input_file_read(const dd_input_file *file, uint64_t offset, void *to, size_t bytes,
                             dd_error *error);

#endif
