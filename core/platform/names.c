/* SPDX-License-Identifier: MIT
 * The names of what the public header counts: status codes, states, commands; and its version. */
#include "dodeca.h"

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const char *dd_version(void)
{
    return TEXT(DD_VERSION_MAJOR) "." TEXT(DD_VERSION_MINOR) "." TEXT(DD_VERSION_PATCH);
}

const char *dd_status_name(dd_status status)
{
    switch (status) {
    case DD_OK:
        return "DD_OK";
    case DD_ERR_ARGUMENT:
        return "DD_ERR_ARGUMENT";
    case DD_ERR_DATA:
        return "DD_ERR_DATA";
    case DD_ERR_MEMORY:
        return "DD_ERR_MEMORY";
    case DD_ERR_THREAD:
        return "DD_ERR_THREAD";
    case DD_ERR_CPU:
        return "DD_ERR_CPU";
    case DD_ERR_FP_ENV:
        return "DD_ERR_FP_ENV";
    case DD_ERR_NONFINITE:
        return "DD_ERR_NONFINITE";
    case DD_ERR_CANCELLED:
        return "DD_ERR_CANCELLED";
    case DD_ERR_STOPPED:
        return "DD_ERR_STOPPED";
    case DD_ERR_REFUSED:
        return "DD_ERR_REFUSED";
    }
    return "unknown status";
}

const char *dd_state_name(dd_state state)
{
    static const char *const name[DD_STATES] = {
        [DD_STATE_INITIALISING] = "initialising",
        [DD_STATE_RUNNING] = "running",
        [DD_STATE_PAUSED] = "paused",
        [DD_STATE_STOPPING] = "stopping",
        [DD_STATE_STOPPED] = "stopped",
    };
    return (unsigned)state < DD_STATES ? name[state] : "unknown state";
}

const char *dd_command_name(dd_command command)
{
    static const char *const name[DD_COMMANDS] = {
        [DD_COMMAND_START] = "start",
        [DD_COMMAND_STOP] = "stop",
        [DD_COMMAND_PAUSE] = "pause",
        [DD_COMMAND_RESUME] = "resume",
        [DD_COMMAND_START_EPOCH] = "start-epoch",
        [DD_COMMAND_END_EPOCH] = "end-epoch",
        [DD_COMMAND_CHECKPOINT] = "checkpoint",
        [DD_COMMAND_RESTORE] = "restore",
        [DD_COMMAND_REBALANCE] = "rebalance",
        [DD_COMMAND_SPAWN] = "spawn",
        [DD_COMMAND_TERMINATE] = "terminate",
    };
    return (unsigned)command < DD_COMMANDS ? name[command] : "unknown command";
}
