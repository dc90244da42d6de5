/* SPDX-License-Identifier: MIT
 * `dodeca explore` where the explorer cannot be built: its stack switch is x86-64 only. */
#include <stdio.h>

#include "commands.h"

int dd_cmd_explore(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    fputs("dodeca explore: not available in this build: the explorer's stack switch is written for "
          "x86-64\n",
          stderr);
    return DD_EXIT_ENVIRONMENT;
}
