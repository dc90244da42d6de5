/* SPDX-License-Identifier: MIT
 * A folder of a test program's own, and files in it. One at a time. */
#ifndef DD_FOLDER_FIXTURE_H
#define DD_FOLDER_FIXTURE_H

#include <stddef.h>

/* The folder, and the path of a file in it for tests that need but one; "" while there is none. */
extern char folder[64], one_file[80];

/* Setup and teardown of a cmocka test or group: makes an empty folder; removes it.
 * owns     Removing takes all that is in it, whoever put it there: tests need not tidy up. Links
 *          are removed, not followed. Without a folder it does nothing.
 * failing  cmocka tears down after tests that fail half-way, too. What a program leaves that was
 *          killed is /tmp/dodeca-test-…, and in nobody's way: no two folders have one name.
 * errors   not 0: no folder could be made; something in it could not be removed              */
int make_folder(void **state);
int remove_folder(void **state);

/* The same, below a folder that is there. */
int make_folder_in(const char *place);

/* Everything in the folder goes, and it stays; what lies directly in it is counted. */
void empty_folder(void);
int count_files(void);

/* A path in the folder. Valid until seven more were asked for. */
const char *file_named(const char *name);

/* What cannot be written or read fails the test. */
void write_file(const char *path, const void *bytes, size_t n);
/* A text, to a name in the folder, "proc/stat", for which folders are made. */
void put_file(const char *name, const char *text);
/* Bytes or a text, which the caller frees. A '\0' follows the n bytes; n may be NULL. */
void *read_file(const char *path, size_t *n);

#endif
