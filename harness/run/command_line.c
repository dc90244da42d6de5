/* SPDX-License-Identifier: MIT
 * Words for a shell, and commands of them. */
#include "command_line.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void dd_shell_word(const char *word, FILE *out)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "%+,-./:=@_";
    if (word[0] && word[strspn(word, plain)] == '\0') {
        fputs(word, out);
        return;
    }
    fputc('\'', out);
    for (; *word; word++)
        if (*word == '\'')
            fputs("'\\''", out);
        else
            fputc(*word, out);
    fputc('\'', out);
}

/* Relative where it lies below the current folder; never an option. */
static void write_file(const char *file, FILE *out)
{
    char *here = getcwd(NULL, 0);
    const size_t n = here ? strlen(here) : 0;
    char *path = NULL;
    if (n && strncmp(file, here, n) == 0 && file[n] == '/')
        file += n + 1;
    if (asprintf(&path, "%s%s", file[0] == '-' ? "./" : "", file) >= 0) {
        dd_shell_word(path, out);
        free(path);
    }
    free(here);
}

bool dd_command_run(const char *file, const char *const *sets, size_t n_sets, char *text,
                    size_t size)
{
    char *command = NULL;
    size_t n = 0;
    text[0] = '\0';
    FILE *out = open_memstream(&command, &n);
    if (!out)
        return false;
    fputs("dodeca run ", out);
    write_file(file, out);
    for (size_t i = 0; i < n_sets; i++) {
        fputs(" --set ", out);
        dd_shell_word(sets[i], out);
    }
    const bool failed = ferror(out);
    bool good = fclose(out) == 0 && !failed && n < size;
    for (size_t i = 0; good && i < n; i++)
        good = !iscntrl((unsigned char)command[i]);
    if (good)
        memcpy(text, command, n + 1);
    free(command);
    return good;
}
