/* SPDX-License-Identifier: MIT
 * The table of states and commands. */
#include "command_table.h"

#include <assert.h>

/* clang-format off */
#define TO(state) {.legal = true, .next = DD_STATE_##state}
#define NO(reason) {.why = reason}

static const dd_rule table[DD_STATES][DD_COMMANDS] = {
    [DD_STATE_INITIALISING] = {
        [DD_COMMAND_START]       = TO(RUNNING),
        [DD_COMMAND_STOP]        = TO(STOPPED),
        [DD_COMMAND_PAUSE]       = NO("nothing runs yet; the first step or start begins"),
        [DD_COMMAND_RESUME]      = NO("nothing is paused; the first step or start begins"),
        [DD_COMMAND_START_EPOCH] = TO(RUNNING),
        [DD_COMMAND_END_EPOCH]   = NO("no epoch has begun"),
        [DD_COMMAND_CHECKPOINT]  = TO(INITIALISING),
        [DD_COMMAND_RESTORE]     = TO(INITIALISING),
        [DD_COMMAND_REBALANCE]   = NO("no step has been measured yet"),
        [DD_COMMAND_SPAWN]       = TO(INITIALISING),
        [DD_COMMAND_TERMINATE]   = TO(INITIALISING),
    },
    [DD_STATE_RUNNING] = {
        [DD_COMMAND_START]       = NO("it runs already"),
        [DD_COMMAND_STOP]        = TO(STOPPED),
        [DD_COMMAND_PAUSE]       = TO(PAUSED),
        [DD_COMMAND_RESUME]      = NO("it is not paused"),
        [DD_COMMAND_START_EPOCH] = TO(RUNNING),
        [DD_COMMAND_END_EPOCH]   = TO(RUNNING), /* paused where the epoch ends, which may be here */
        [DD_COMMAND_CHECKPOINT]  = TO(RUNNING),
        [DD_COMMAND_RESTORE]     = TO(RUNNING),
        [DD_COMMAND_REBALANCE]   = TO(RUNNING),
        [DD_COMMAND_SPAWN]       = TO(RUNNING),
        [DD_COMMAND_TERMINATE]   = TO(RUNNING),
    },
    [DD_STATE_PAUSED] = {
        [DD_COMMAND_START]       = NO("it is paused; resume goes on"),
        [DD_COMMAND_STOP]        = TO(STOPPED),
        [DD_COMMAND_PAUSE]       = NO("it is paused already"),
        [DD_COMMAND_RESUME]      = TO(RUNNING),
        [DD_COMMAND_START_EPOCH] = TO(RUNNING),
        [DD_COMMAND_END_EPOCH]   = NO("it is paused; start-epoch goes on to the end of the epoch"),
        [DD_COMMAND_CHECKPOINT]  = TO(PAUSED),
        [DD_COMMAND_RESTORE]     = TO(PAUSED),
        [DD_COMMAND_REBALANCE]   = TO(PAUSED),
        [DD_COMMAND_SPAWN]       = TO(PAUSED),
        [DD_COMMAND_TERMINATE]   = TO(PAUSED),
    },
    /* What came before the stop but was not carried out: nothing may delay the stop. */
    [DD_STATE_STOPPING] = {
        [DD_COMMAND_START]       = NO("a stop is under way; start when it has stopped"),
        [DD_COMMAND_STOP]        = TO(STOPPED),
        [DD_COMMAND_PAUSE]       = NO("a stop is under way"),
        [DD_COMMAND_RESUME]      = NO("a stop is under way"),
        [DD_COMMAND_START_EPOCH] = NO("a stop is under way"),
        [DD_COMMAND_END_EPOCH]   = NO("a stop is under way"),
        [DD_COMMAND_CHECKPOINT]  = TO(STOPPING), /* it copies nothing by itself */
        [DD_COMMAND_RESTORE]     = NO("a stop is under way; restore when it has stopped"),
        [DD_COMMAND_REBALANCE]   = NO("a stop is under way"),
        [DD_COMMAND_SPAWN]       = NO("a stop is under way"),
        [DD_COMMAND_TERMINATE]   = NO("a stop is under way"),
    },
    [DD_STATE_STOPPED] = {
        [DD_COMMAND_START]       = TO(RUNNING),
        [DD_COMMAND_STOP]        = TO(STOPPED),
        [DD_COMMAND_PAUSE]       = NO("it is stopped"),
        [DD_COMMAND_RESUME]      = NO("it is stopped; start begins again"),
        [DD_COMMAND_START_EPOCH] = NO("it is stopped; start begins again"),
        [DD_COMMAND_END_EPOCH]   = NO("it is stopped"),
        [DD_COMMAND_CHECKPOINT]  = TO(STOPPED),
        [DD_COMMAND_RESTORE]     = TO(STOPPED),
        [DD_COMMAND_REBALANCE]   = TO(STOPPED),
        [DD_COMMAND_SPAWN]       = TO(STOPPED),
        [DD_COMMAND_TERMINATE]   = TO(STOPPED),
    },
};
/* clang-format on */

dd_rule dd_command_rule(dd_state state, dd_command command)
{
    assert(state < DD_STATES && command < DD_COMMANDS);
    return table[state][command];
}
