/* SPDX-License-Identifier: MIT
 * Checks of how the process and its threads behaved. */
#include "checks.h"

#include <inttypes.h>
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

/* Requests that the run's steps make: one a step, and one more where a step that was not finite was
 * replayed to name the culprit.
 * returns  false: it cannot be said */
/* With a storm: one more for each step that it cut short, as far as that had begun. */
static dd_verdict lanes_of_storm(const dd_run *run, uint64_t done, uint64_t cancelled,
                                 char reason[DD_REASON_MAX])
{
    const dd_trainer_info *info = &run->end.info;
    const uint64_t steps = run->n_steps, cut = run->end.storm.cut, n = info->non_empty_lanes;
    snprintf(reason, DD_REASON_MAX,
             "%" PRIu64 " lanes done and %" PRIu64 " cancelled in %" PRIu64 " requests x %" PRIu64
             ", for %" PRIu64 " steps, cut short %" PRIu64 " times",
             done, cancelled, info->requests, n, steps, cut);
    const bool right = info->requests >= steps && info->requests <= steps + cut &&
                       done + cancelled == info->requests * n && done >= steps * n &&
                       cancelled <= (info->requests - steps) * n && info->lanes_done == done;
    return right && done > 0 ? DD_PASS : DD_FAIL;
}

static bool requests_due(const dd_run *run, uint64_t *due, char reason[DD_REASON_MAX])
{
    *due = run->n_steps;
    for (size_t i = 0; i < run->n_steps; i++)
        *due += run->steps[i].discarded;
    if (run->end.status == DD_ERR_NONFINITE)
        *due += 2; /* a step without a record, and its replay */
    else if (run->end.status != DD_OK)
        snprintf(reason, DD_REASON_MAX, "a step ended early: %.200s", run->end.message);
    return run->end.status == DD_OK || run->end.status == DD_ERR_NONFINITE;
}

dd_verdict dd_judge_lanes_once_(const dd_settings *settings, const dd_run *run,
                                const dd_run *oracle, char reason[DD_REASON_MAX])
{
    (void)oracle;
    const dd_trainer_info *info = &run->end.info;
    uint64_t requests, done = 0, cancelled = 0;
    if (!requests_due(run, &requests, reason))
        return DD_SKIP;
    for (uint32_t i = 0; i < info->n_threads; i++) {
        done += run->end.sphere[i].lanes_done;
        cancelled += run->end.sphere[i].lanes_cancelled;
    }
    if (settings->storm[0])
        return lanes_of_storm(run, done, cancelled, reason);
    if (info->requests != requests) {
        snprintf(reason, DD_REASON_MAX, "%" PRIu64 " requests, %" PRIu64 " due for %zu steps",
                 info->requests, requests, run->n_steps);
        return DD_FAIL;
    }
    uint64_t due = requests * info->non_empty_lanes;
    snprintf(reason, DD_REASON_MAX,
             "%" PRIu64 " lanes done and %" PRIu64 " cancelled, %" PRIu64 " due (%" PRIu64
             " requests x %u); in all %" PRIu64,
             done, cancelled, due, requests, info->non_empty_lanes, info->lanes_done);
    return done == due && info->lanes_done == due && cancelled == 0 && due > 0 ? DD_PASS : DD_FAIL;
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
