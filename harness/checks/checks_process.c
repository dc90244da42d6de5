/* SPDX-License-Identifier: MIT
 * Checks of how threads and process behaved. */
#include "checks.h"

#include <stdio.h>

dd_verdict dd_judge_no_hang_(const dd_settings *settings, const dd_run *run, const dd_run *oracle,
                             char reason[DD_REASON_MAX])
{
    (void)oracle;
    if (run->n_steps != settings->steps && run->end.status == DD_OK) {
        snprintf(reason, DD_REASON_MAX, "%zu of %llu steps were reported", run->n_steps,
                 (unsigned long long)settings->steps);
        return DD_FAIL;
    }
    return DD_PASS;
}

/* Whether the ledger of lanes says something: every request a completed step. */
static bool ledger_holds(const dd_run *run, char reason[DD_REASON_MAX])
{
    if (run->end.serial) {
        snprintf(reason, DD_REASON_MAX, "the oracle has no workers");
        return false;
    }
    if (run->end.status != DD_OK) {
        snprintf(reason, DD_REASON_MAX, "a step ended early: %.200s", run->end.message);
        return false;
    }
    for (size_t i = 0; i < run->n_steps; i++) {
        if (run->steps[i].discarded) {
            snprintf(reason, DD_REASON_MAX, "step %zu was discarded and replayed", i);
            return false;
        }
    }
    return true;
}

dd_verdict dd_judge_lanes_once_(const dd_settings *settings, const dd_run *run,
                                const dd_run *oracle, char reason[DD_REASON_MAX])
{
    (void)settings, (void)oracle;
    const dd_trainer_info *info = &run->end.info;
    if (!ledger_holds(run, reason))
        return DD_SKIP;
    uint64_t done = 0, cancelled = 0, due = run->n_steps * (uint64_t)info->non_empty_lanes;
    for (uint32_t w = 0; w < info->workers; w++) {
        done += info->worker[w].lanes_done;
        cancelled += info->worker[w].lanes_cancelled;
    }
    snprintf(reason, DD_REASON_MAX, "%llu lanes done and %llu cancelled, %llu due (%zu steps x %u)",
             (unsigned long long)done, (unsigned long long)cancelled, (unsigned long long)due,
             run->n_steps, info->non_empty_lanes);
    return done == due && cancelled == 0 && due > 0 ? DD_PASS : DD_FAIL;
}

dd_verdict dd_judge_node_zero_idle_(const dd_settings *settings, const dd_run *run,
                                    const dd_run *oracle, char reason[DD_REASON_MAX])
{
    (void)settings, (void)oracle;
    const dd_trainer_info *info = &run->end.info;
    if (run->end.serial || !info->requests) {
        snprintf(reason, DD_REASON_MAX, "%s",
                 run->end.serial ? "the oracle has no Node Zero" : "no step was run");
        return DD_SKIP;
    }
    if (info->node_zero_lanes) {
        snprintf(reason, DD_REASON_MAX, "Node Zero ran %llu lanes",
                 (unsigned long long)info->node_zero_lanes);
        return DD_FAIL;
    }
    /* Spinning would take all of the time between A and B, a lane at least a twelfth of the step's
     * work. Sleeping costs two switches, which short steps must be granted as an absolute time. */
    double cpu_ns = (double)info->node_zero_lane_cpu_ns;
    double share_ns = DD_NODE_ZERO_CPU_SHARE * (double)info->node_zero_lane_wall_ns;
    double fixed_ns = (double)DD_NODE_ZERO_CPU_NS * (double)info->requests;
    double requests = (double)info->requests;
    snprintf(reason, DD_REASON_MAX, "no lane, %.1f us CPU of %.0f us between A and B, a step",
             cpu_ns / requests * 1e-3, (double)info->node_zero_lane_wall_ns / requests * 1e-3);
    return cpu_ns <= share_ns || cpu_ns <= fixed_ns ? DD_PASS : DD_FAIL;
}

dd_verdict dd_judge_clean_shutdown_(const dd_settings *settings, const dd_run *run,
                                    const dd_run *oracle, char reason[DD_REASON_MAX])
{
    (void)settings, (void)oracle;
    const dd_run_end *end = &run->end;
    if (!end->threads_left && !end->fds_left && !run->processes_left)
        return DD_PASS;
    snprintf(reason, DD_REASON_MAX, "left: %u threads, %u descriptors, %u processes%s%.150s",
             end->threads_left, end->fds_left, run->processes_left, end->left[0] ? ": " : "",
             end->left);
    return DD_FAIL;
}
