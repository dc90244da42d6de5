/* SPDX-License-Identifier: MIT
 * Commands that a reader pastes into a shell: what made a table, what makes a round again, how to
 * go on. Owns their quoting. */
#ifndef DD_COMMAND_LINE_H
#define DD_COMMAND_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* The word so that a POSIX shell reads it as it is: in single quotes where it needs them. */
void dd_shell_word(const char *word, FILE *out);

/* "dodeca run FILE --set KEY=VALUE …", the file as seen from the current folder.
 * returns  false, text "": it has no room, or a control character that no line can hold */
bool dd_command_run(const char *file, const char *const *sets, size_t n_sets, char *text,
                    size_t size);

#endif
