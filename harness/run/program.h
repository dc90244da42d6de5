/* SPDX-License-Identifier: MIT
 * The file that a program is: where it lies, and what identifies it. */
#ifndef DD_PROGRAM_H
#define DD_PROGRAM_H

#include <stdbool.h>

#define DD_PROGRAM_PATH 4096 /* bytes of a path */

/* This program's own file.  returns  false: not to be found out, and path is "" */
bool dd_program_self(char path[DD_PROGRAM_PATH]);
/* XXH3-128 of a file's bytes as text.  returns  false: it cannot be read, and hash is "" */
bool dd_program_hash(const char *path, char hash[33]);

#endif
