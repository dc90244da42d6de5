/* SPDX-License-Identifier: MIT
 * An execution as a line of text: PROTOCOL:MODEL:CHOICES:CHECK. CHOICES tells for each step which
 * of the possible ones was taken, counted from 0 as dd_world_choices lists them: those of the
 * thread that moved last come first, so 0 is mostly "go on". "3x12" stands for twelve times 3;
 * zeros at the end are left out. MODEL is sc or c11, with "+all" if every atomic operation was an
 * event, or
 * "+WORD" for each word (4 bytes of the heap, hexadecimal) that was known to be shared without a
 * rehearsal showing it. CHECK tells whether all of it is there. */
#ifndef DD_REPLAY_STRING_H
#define DD_REPLAY_STRING_H

#include "executions.h"

/* The execution of these choices, and the world as it was at its end. Its string is for free().
 * requires  what is known to be shared is what was known when the choices were made             */
dd_end dd_replay_write(const dd_stage *stage, const dd_schedule *choices, dd_execution *e,
                       char **text);

/* Carries out what the string says, a program of the table. *stage is how.
 * returns  what is wrong with the string, to be freed, or NULL                                */
char *dd_replay_read(const dd_program *table, const char *text, dd_stage *stage, dd_execution *e,
                     dd_end *end);

#endif
