/* SPDX-License-Identifier: MIT
 * Checks of what only a trainer of spheres promises: who computes, how much memory it holds, how
 * its membership changes, what its guard catches. */
#include "checks.h"
#include "segment.h"
#include "timetable.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

dd_verdict dd_judge_node_zero_idle_(const dd_settings *settings, const dd_run *run,
                                    const dd_run *oracle, char reason[DD_REASON_MAX])
{
    (void)settings, (void)oracle;
    const dd_trainer_info *info = &run->end.info;
    if (!info->requests || !info->n_threads) {
        snprintf(reason, DD_REASON_MAX, "no step was run");
        return DD_SKIP;
    }
    const dd_sphere_info *zero = &run->end.sphere[0];
    if (zero->lanes_done || zero->lanes_as_control) {
        snprintf(reason, DD_REASON_MAX, "Node Zero ran %" PRIu64 " lanes", zero->lanes_done);
        return DD_FAIL;
    }
    /* Spinning would take all of the time between A and B, a lane at least a share of the step's
     * work. Sleeping costs two switches, which short steps must be granted as an absolute time. One
     * request of several is left out, the costliest: a virtual machine that is halted while Node
     * Zero falls asleep charges that to it, 18 ms once in 1,244 runs of 200 steps. */
    double cpu_ns = (double)info->node_zero_lane_cpu_ns;
    if (info->requests > 1)
        cpu_ns -= (double)info->node_zero_lane_most_cpu_ns;
    double share_ns = DD_NODE_ZERO_CPU_SHARE * (double)info->node_zero_lane_wall_ns;
    double fixed_ns = (double)DD_NODE_ZERO_CPU_NS * (double)info->requests;
    double requests = (double)info->requests;
    snprintf(reason, DD_REASON_MAX, "no lane, %.1f us CPU of %.0f us between A and B, a step",
             cpu_ns / requests * 1e-3, (double)info->node_zero_lane_wall_ns / requests * 1e-3);
    return cpu_ns <= share_ns || cpu_ns <= fixed_ns ? DD_PASS : DD_FAIL;
}

dd_verdict dd_judge_controls_idle_(const dd_settings *settings, const dd_run *run,
                                   const dd_run *oracle, char reason[DD_REASON_MAX])
{
    (void)oracle;
    const dd_trainer_info *info = &run->end.info;
    /* Where membership never changed, a control never was a worker. */
    bool fixed =
        !settings->timetable[0] && !settings->storm[0] && settings->config.depth != DD_DEPTH_AUTO;
    for (uint32_t i = 0; i < info->n_threads; i++) {
        const dd_sphere_info *s = &run->end.sphere[i];
        uint64_t n = s->lanes_as_control;
        if (fixed && s->control && s->lanes_done > n)
            n = s->lanes_done;
        if (n) {
            snprintf(reason, DD_REASON_MAX,
                     "sphere %s (thread %u) ran %" PRIu64 " lanes while it had children", s->sphere,
                     s->thread, n);
            return DD_FAIL;
        }
    }
    snprintf(reason, DD_REASON_MAX, "controls ran %" PRIu64 " lanes", info->control_lanes);
    return info->control_lanes ? DD_FAIL : DD_PASS;
}

/* The bytes that `info` must state, at least and at most. A gradient is dense but for the rows of
 * the embedding's lookup, at most one a token, with their index. */
typedef struct range {
    uint64_t least, most;
} range;

/* A number of whole gradients. */
static range bytes_of_segments(const dd_config *c, const dd_trainer_info *info)
{
    uint64_t tokens = (uint64_t)c->batch * c->seq, n = info->n_segments;
    uint64_t rows = tokens < c->shape.V ? tokens : c->shape.V;
    uint64_t lookup = rows * (c->shape.C + 1) * 4 + (uint64_t)c->shape.V * 4;
    uint64_t least = n * info->n_parameters * sizeof(float);
    return (range){least, least + n * (lookup + DD_SEGMENT_SLACK_BYTES)};
}

/* One gradient, and of every lane a segment of vectors: 13 C a layer and the last LayerNorm's, T
 * rows of positions, and the lookup's rows. */
static range bytes_of_owner(const dd_config *c, const dd_trainer_info *info)
{
    uint64_t C = c->shape.C, lanes = info->non_empty_lanes;
    uint64_t tokens = ((uint64_t)c->batch + lanes - 1) / lanes * c->seq; /* of the largest lane */
    uint64_t rows = tokens < c->shape.V ? tokens : c->shape.V;
    uint64_t vectors = (13 * (uint64_t)c->shape.L + 2 + c->seq) * C;
    uint64_t lookup = rows * (C + 1) + c->shape.V;
    uint64_t all = info->n_parameters * sizeof(float) +
                   lanes * (sizeof(dd_segment) + (vectors + lookup) * sizeof(float));
    return (range){all, all};
}

dd_verdict dd_judge_segments_bound_(const dd_settings *settings, const dd_run *run,
                                    const dd_run *oracle, char reason[DD_REASON_MAX])
{
    (void)oracle;
    const dd_trainer_info *info = &run->end.info;
    dd_config c = settings->config;
    c.seq = c.seq ? c.seq : c.shape.T_max;
    if (c.reduce != DD_REDUCE_AUTO && info->reduce != c.reduce) {
        snprintf(reason, DD_REASON_MAX, "reduce %s was asked for, it was %s",
                 dd_reduce_name(c.reduce), dd_reduce_name(info->reduce));
        return DD_FAIL;
    }
    bool owner = info->reduce == DD_REDUCE_OWNER;
    uint32_t bound = owner ? 0 : 3 * c.lane_depth + 1, most = info->most_segments;
    uint64_t held = 0;
    for (uint32_t i = 0; i < info->n_threads; i++) {
        uint32_t n = run->end.sphere[i].segments;
        held += n;
        most = n > most ? n : most;
    }
    if (most > bound || (owner ? info->n_segments != 1 : held > info->n_segments || !held)) {
        snprintf(reason, DD_REASON_MAX,
                 "a worker holds %u segments, %u are allowed; all of them hold %" PRIu64 " of %u%s",
                 most, bound, held, info->n_segments, owner ? ", the team owns 1" : "");
        return DD_FAIL;
    }
    range right = owner ? bytes_of_owner(&c, info) : bytes_of_segments(&c, info);
    snprintf(reason, DD_REASON_MAX,
             "%u segments take %" PRIu64 " bytes, between %" PRIu64 " and %" PRIu64 " are right",
             info->n_segments, info->segments_bytes, right.least, right.most);
    return info->segments_bytes >= right.least && info->segments_bytes <= right.most ? DD_PASS
                                                                                     : DD_FAIL;
}

dd_verdict dd_judge_timetable_kept_(const dd_settings *settings, const dd_run *run,
                                    const dd_run *oracle, char reason[DD_REASON_MAX])
{
    (void)oracle;
    char message[DD_MESSAGE_MAX];
    dd_timetable *timetable;
    if (run->end.status != DD_OK) {
        snprintf(reason, DD_REASON_MAX, "the run ended early: %.200s", run->end.message);
        return DD_SKIP;
    }
    if (!dd_timetable_of(settings, &timetable, message)) {
        snprintf(reason, DD_REASON_MAX, "%.250s", message);
        return DD_FAIL;
    }
    uint64_t due = run->end.storm.changes;
    for (uint64_t i = 0; i < timetable->n; i++)
        due += timetable->change[i].command == DD_COMMAND_SPAWN ||
               timetable->change[i].command == DD_COMMAND_TERMINATE;
    dd_timetable_close(timetable);
    uint64_t done = run->end.info.n_changes;
    snprintf(reason, DD_REASON_MAX, "membership changed %" PRIu64 " times, %" PRIu64 " were due",
             done, due);
    /* the policy of depth auto may add its own */
    return done == due || (done > due && settings->config.depth == DD_DEPTH_AUTO) ? DD_PASS
                                                                                  : DD_FAIL;
}

/* The fault handler's line (fault.h) in what the child wrote. */
static const char *find_report(const dd_run *run)
{
    const char *line = run->log ? strstr(run->log, "dodeca: thread ") : NULL;
    return line ? line + strlen("dodeca: ") : NULL;
}

/* Whether the line holds everything it must: thread, sphere, segment, owner, offset, and that it
 * was a key that forbade it. The planted writer is worker 0; the segment is another's. */
static bool names_all(const char *line)
{
    unsigned thread, segment, owner;
    unsigned long long offset;
    char sphere[16];
    const char *who = strstr(line, "(thread "), *what = strstr(line, " wrote to segment ");
    return who && what && sscanf(who, "(thread %u, sphere %15[0-9.])", &thread, sphere) == 2 &&
           sscanf(what, " wrote to segment %u of worker %u at byte %llu,", &segment, &owner,
                  &offset) == 3 &&
           owner != 0 && strstr(what, "its protection key forbids it");
}

dd_verdict dd_judge_guard_fault_(const dd_settings *settings, const dd_run *run,
                                 const dd_run *oracle, char reason[DD_REASON_MAX])
{
    (void)settings, (void)oracle;
    const char *line = find_report(run);
    if (run->outcome == DD_RUN_ENDED) {
        snprintf(reason, DD_REASON_MAX, "the planted stray write went unnoticed: the run ended, %s",
                 run->end.status == DD_OK ? "all steps done" : dd_status_name(run->end.status));
        return DD_FAIL;
    }
    if (run->outcome == DD_RUN_HANG || !line) {
        snprintf(reason, DD_REASON_MAX, "no report of the fault: %.200s", run->reason);
        return run->outcome == DD_RUN_HANG ? DD_HANG : DD_FAIL;
    }
    snprintf(reason, DD_REASON_MAX, "%.*s", (int)strcspn(line, "\n"), line);
    return names_all(line) ? DD_PASS : DD_FAIL;
}
