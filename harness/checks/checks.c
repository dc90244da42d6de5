/* SPDX-License-Identifier: MIT
 * The registry of checks, and verdicts. */
#include "checks.h"

#include <stdio.h>
#include <string.h>

static const dd_check checks[] = {
    {"no-hang", 'h', "the child ends by itself and its progress never stops for the stall limit",
     dd_judge_no_hang_},
    {"finite-gradients", 'f',
     "loss and gradient norm of every step are finite and no step is discarded", dd_judge_finite_},
    {"serial-equivalence", 's',
     "every step's loss and norm and the final weights are the oracle's, bit for bit",
     dd_judge_serial_},
    {"lanes-once", 'l', "the workers' lanes add up to steps x non-empty lanes, none cancelled",
     dd_judge_lanes_once_},
    {"node-zero-idle", 'z',
     "Node Zero ran no lane and used at most 2 % CPU, or 100 us a step, between Points A and B",
     dd_judge_node_zero_idle_},
    {"clean-shutdown", 'c', "after close no thread, file descriptor or process is left",
     dd_judge_clean_shutdown_},
    {"loss-falls", 'd',
     "the last quarter's mean loss is 1 % below the first quarter's, or within 3 % of the data's "
     "floor",
     dd_judge_loss_falls_},
};
#define N_CHECKS (sizeof checks / sizeof *checks)
_Static_assert(N_CHECKS <= DD_CHECKS_MAX, "rows are sized by DD_CHECKS_MAX");

const dd_check *dd_checks(size_t *n)
{
    *n = N_CHECKS;
    return checks;
}

const dd_check *dd_check_named(const char *name)
{
    for (size_t i = 0; i < N_CHECKS; i++)
        if (strcmp(checks[i].name, name) == 0)
            return &checks[i];
    return NULL;
}

const char *dd_verdict_name(dd_verdict verdict)
{
    static const char *const names[] = {"PASS", "SKIP", "FAIL", "HANG", "CRASH"};
    return names[verdict];
}

dd_verdict dd_verdict_join(dd_verdict a, dd_verdict b)
{
    if (a == DD_SKIP || b == DD_SKIP)
        return a == DD_SKIP ? b : a;
    return a > b ? a : b;
}

/* The verdict that the way a run ended is by itself. */
static dd_verdict of_outcome(const dd_run *run)
{
    switch (run->outcome) {
    case DD_RUN_ENDED:
        return DD_PASS;
    case DD_RUN_NOT_RUN:
        return DD_SKIP;
    case DD_RUN_REFUSED:
        /* A kernel set that this CPU lacks is no fault of the trainer's. */
        return run->end.status == DD_ERR_CPU ? DD_SKIP : DD_FAIL;
    case DD_RUN_HANG:
        return DD_HANG;
    case DD_RUN_CRASH:
        return DD_CRASH;
    }
    return DD_FAIL;
}

dd_verdict dd_checks_judge(const dd_settings *settings, const dd_run *run, const dd_run *oracle,
                           dd_check_row row[DD_CHECKS_MAX])
{
    dd_verdict worst = DD_SKIP;
    for (size_t i = 0; i < N_CHECKS; i++) {
        row[i].reason[0] = '\0';
        if (run->outcome == DD_RUN_ENDED) {
            row[i].verdict = checks[i].judge(settings, run, oracle, row[i].reason);
        } else {
            row[i].verdict = i == 0 ? of_outcome(run) : DD_SKIP;
            snprintf(row[i].reason, DD_REASON_MAX, "%s%.240s",
                     i && row[0].verdict > DD_SKIP ? "not judged: " : "",
                     run->reason[0] ? run->reason : "not run");
        }
        worst = dd_verdict_join(worst, row[i].verdict);
    }
    return worst;
}
