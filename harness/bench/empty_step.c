/* SPDX-License-Identifier: MIT
 * Steps of a team whose callbacks do nothing. What is left is the hand-over from the caller to Node
 * Zero and back, the four points, and the arrivals at the fold tree. */
#include "empty_step.h"

#include <stdio.h>
#include <stdlib.h>

#include "barriers.h"
#include "platform.h"
#include "stats.h"
#include "team.h"

static void lane(void *user, uint32_t worker, uint32_t number, uint32_t n_lanes, uint32_t segment,
                 bool fold)
{
    (void)user, (void)worker, (void)number, (void)n_lanes, (void)segment, (void)fold;
}

static void fold(void *user, uint32_t thread, uint32_t into, uint32_t from)
{
    (void)user, (void)thread, (void)into, (void)from;
}

static void root(void *user, uint32_t thread, uint32_t segment)
{
    (void)user, (void)thread, (void)segment;
}

static bool verdict(void *user, uint32_t segment)
{
    (void)user, (void)segment;
    return true;
}

static void update(void *user, uint32_t worker, uint64_t first, uint64_t last)
{
    (void)user, (void)worker, (void)first, (void)last;
}

static dd_team *open(uint32_t n_workers)
{
    static const dd_work nothing = {
        .lane = lane, .fold = fold, .root = root, .verdict = verdict, .update = update};
    static const uint64_t weight[DD_POSITIONS] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const dd_team_options options = {.barrier = DD_BARRIER_TREE,
                                     .reduce = DD_REDUCE_TREE,
                                     .cores = dd_bench_cores(),
                                     .max_workers = n_workers,
                                     .max_segments = 4 * n_workers,
                                     .n_blocks = n_workers};
    dd_hierarchy *hierarchy;
    dd_team *team;
    if (dd_hierarchy_open(1, n_workers, &hierarchy) != DD_OK ||
        dd_team_open(hierarchy, weight, 1, &nothing, &options, &team) != DD_OK) {
        fprintf(stderr, "barrier_times: no team of %u workers\n", n_workers);
        exit(3);
    }
    return team;
}

static uint64_t step_ns(dd_team *team)
{
    const uint64_t start_ns = dd_now_ns();
    if (dd_team_request(team, DD_TEAM_STEP, NULL, NULL) != DD_OK) {
        fprintf(stderr, "barrier_times: an empty step failed\n");
        exit(3);
    }
    return dd_now_ns() - start_ns;
}

double dd_empty_step_ns(uint32_t n_workers, uint32_t steps)
{
    dd_team *team = open(n_workers);
    double *ns = dd_bench_alloc(steps * sizeof *ns);
    for (uint32_t i = 0; i < steps / 10 + 1; i++)
        step_ns(team);
    for (uint32_t i = 0; i < steps; i++)
        ns[i] = (double)step_ns(team);
    dd_team_close(team);
    dd_sort(ns, steps);
    const double median = dd_quantile(ns, steps, 0.5);
    dd_free(ns);
    return median;
}
