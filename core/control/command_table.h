/* SPDX-License-Identifier: MIT
 * The control process as a table: what each command does in each state, or why it is refused. Pure:
 * the team asks it, the tests read it whole. States and commands are those of dodeca.h. */
#ifndef DD_COMMAND_TABLE_H
#define DD_COMMAND_TABLE_H

#include "dodeca.h"

typedef struct dd_rule {
    bool legal;
    dd_state next;   /* legal: the state after it, if nothing goes wrong */
    const char *why; /* refused: the reason, a clause that follows "refused: " */
} dd_rule;

/* In what state a command finds the team when its turn comes: DD_STATE_STOPPING when a stop that
 * was asked for stands behind it in the order, else that which the commands before it left. */
dd_rule dd_command_rule(dd_state state, dd_command command);

#endif
