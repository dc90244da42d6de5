/* SPDX-License-Identifier: MIT
 * A machine made of files: a folder of its own that a test fills with what /proc and /sys would
 * say. One at a time. */
#ifndef FILE_TREE_H
#define FILE_TREE_H

/* The folder; "" before file_tree_make. */
extern char file_tree_root[32];

/* Setup and teardown of cmocka: makes an empty folder; removes it with all that is in it. */
int file_tree_make(void **state);
int file_tree_remove(void **state);

/* Writes a file below the root, "proc/stat", and the folders above it. */
void file_tree_put(const char *path, const char *text);

#endif
