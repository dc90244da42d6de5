/* SPDX-License-Identifier: MIT
 * Runs a program to its end, with a limit on its time and its words in a file. */
#ifndef DD_TOOL_H
#define DD_TOOL_H

#include <stdbool.h>

typedef struct dd_tool {
    const char *const *argv; /* argv[0] is looked for in PATH; ends with NULL */
    const char *folder;      /* where it runs, NULL: here */
    const char *out;         /* file for its stdout, written anew */
    const char *err;         /* for its stderr; NULL: the same file */
    double limit_s;          /* 0: none */
    bool fixed_addresses;    /* no random addresses, where the system lets us choose */
    bool gentle;             /* asked to end before it is killed: it has children to see to */
    int stop_fd;             /* readable: end it. Never read from. -1: none */
} dd_tool;

typedef enum dd_tool_ending {
    DD_TOOL_ENDED,
    DD_TOOL_LATE,
    DD_TOOL_STOPPED,
    DD_TOOL_NOT_RUN
} dd_tool_ending;

typedef struct dd_tool_end {
    dd_tool_ending ending;
    int status; /* exit code, or 128 + signal; NOT_RUN: errno */
    double seconds;
} dd_tool_end;

/* The program and all it started in its process group are gone when this returns. */
dd_tool_end dd_tool_run(const dd_tool *tool);

/* Whether PATH has such a program. */
bool dd_tool_there(const char *name);

#endif
