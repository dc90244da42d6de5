/* SPDX-License-Identifier: MIT
 * The note dodeca.origin: the folder of the sources, then the C compiler, a line each. */
#include "origin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "program.h"

/* Takes a line of *at into `line`.  returns  false: none is left, or it is too long */
static bool take_line(char **at, char line[DD_FILE_PATH])
{
    const size_t n = strcspn(*at, "\n");
    if (n == 0 || n >= DD_FILE_PATH || (*at)[n] != '\n')
        return false;
    memcpy(line, *at, n);
    line[n] = '\0';
    *at += n + 1;
    return true;
}

bool dd_origin_find(dd_origin *o, char message[DD_DEFECT_MESSAGE])
{
    char program[DD_PROGRAM_PATH], note[DD_FILE_PATH];
    *o = (dd_origin){.source = ""};
    if (!dd_program_self(program)) {
        snprintf(message, DD_DEFECT_MESSAGE, "/proc/self/exe does not tell where this program is");
        return false;
    }
    *strrchr(program, '/') = '\0';
    char *text = dd_slurp(dd_path(note, program, "dodeca.origin"), NULL), *at = text;
    if (!text && errno == ENOENT)
        snprintf(message, DD_DEFECT_MESSAGE,
                 "planting takes the sources and the build folder, and %.300s/dodeca stands beside "
                 "neither: run build/dodeca of a checkout",
                 program);
    else if (!text)
        snprintf(message, DD_DEFECT_MESSAGE, "%.400s: %s", note, strerror(errno));
    const bool whole = text && take_line(&at, o->source) && take_line(&at, o->compiler);
    if (text && !whole)
        snprintf(message, DD_DEFECT_MESSAGE,
                 "%.400s: a line with the folder of the sources and one with the compiler are "
                 "expected; run cmake anew",
                 note);
    if (whole) /* it fits: the note's name is longer */
        memcpy(o->build, program, strlen(program) + 1);
    free(text);
    return whole;
}
