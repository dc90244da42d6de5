/* SPDX-License-Identifier: MIT
 * Changes of membership: by Node Zero, between U and A, in a generation of their own.
 *
 * Protocol. The new formation is made whole, and the threads it lacks; a failure so far leaves all
 * as it was, but for threads more in the pool. Then the change is published and A released in the
 * old formation. Every member relays A, leaves the old points and takes its place in the new
 * formation or in the pool; a control calls the children that join it. The last to leave tells Node
 * Zero, which waits for that before it goes on: so at most two formations exist, a thread that was
 * called has answered before it can be called again, and the old formation is nobody's. */
#include "error.h"
#include "inside.h"

/* Passes over to f and releases the old formation. */
static void change_to(dd_member *self, dd_formation *f)
{
    dd_team *team = self->team;
    dd_formation *old = team->formation;
    dd_node_zero_publish_(self, DD_DOING_CHANGE, f);
    dd_member_at_(self, DD_AT_CHANGE, 0);
    if (!dd_points_leave(old->points, DD_NODE_ZERO))
        dd_eventcount_await(&team->settled, team->settled_seen++, 0);
    team->formation = f;
    team->n_changes += old->hierarchy != f->hierarchy;
    (void)dd_member_take_place_(self, f);
    dd_member_at_(self, DD_AT_ORDERS, 0);
    if (old->hierarchy != f->hierarchy)
        dd_hierarchy_close(old->hierarchy);
    dd_formation_close_(old);
}

#define SPEED_UNIT 65536 /* of the fastest worker */

/* Half-way to even speeds, and even once they are close. */
static void even_out(uint32_t *speed, uint32_t n)
{
    bool close = true;
    for (uint32_t w = 0; w < n; w++) {
        speed[w] = (speed[w] + SPEED_UNIT) / 2;
        close = close && speed[w] > SPEED_UNIT - SPEED_UNIT / 32;
    }
    for (uint32_t w = 0; close && w < n; w++)
        speed[w] = SPEED_UNIT;
}

/* A formation for h that there are gradient segments for. Shares by speed may need more than even
 * ones, for which there is room: speeds are then evened out until they fit. With `owner` a lane has
 * its segment in every formation. */
static dd_status fitting_formation(const dd_team *team, dd_hierarchy *h, uint32_t *speed,
                                   dd_formation **out, dd_error *error)
{
    for (;;) {
        dd_formation *f;
        dd_status st = dd_formation_open_(team, h, speed, team->formation, &f);
        if (st)
            return dd_error_set(error, st, "out of memory for a hierarchy of %u workers",
                                h->n_workers);
        const uint32_t n = dd_plan_n_segments(f->plan), room = team->options.max_segments;
        if (n <= room || team->options.reduce == DD_REDUCE_OWNER) {
            *out = f;
            return DD_OK;
        }
        dd_formation_close_(f);
        bool even = true;
        for (uint32_t w = 0; speed && w < h->n_workers; w++)
            even = even && speed[w] == SPEED_UNIT;
        if (even)
            return dd_error_set(error, DD_ERR_REFUSED,
                                "refused: that takes %u gradient segments, and there are %u", n,
                                room);
        even_out(speed, h->n_workers);
    }
}

/* Changes to the hierarchy, or by speed to other shares in the same. Takes over h, unless it is the
 * present one. */
static dd_status change(dd_member *self, dd_hierarchy *h, uint32_t *speed, dd_error *error)
{
    dd_team *team = self->team;
    dd_formation *f = NULL;
    dd_status st;
    if (h->n_workers > team->options.max_workers) {
        st = dd_error_set(error, DD_ERR_REFUSED,
                          "refused: that makes %u workers, and there is room for %u", h->n_workers,
                          team->options.max_workers);
        goto fail;
    }
    if ((st = fitting_formation(team, h, speed, &f, error)))
        goto fail;
    if ((st = dd_members_start_(team, f->n_threads))) {
        dd_error_set(error, st,
                     "cannot create the threads for %u workers: see the limits on "
                     "processes and memory",
                     h->n_workers);
        goto fail;
    }
    change_to(self, f);
    return DD_OK;

fail:
    dd_formation_close_(f);
    if (h != team->formation->hierarchy)
        dd_hierarchy_close(h);
    return st;
}

/* A hierarchy cannot be made: what the caller asked for is not there. */
static dd_status refused(dd_status st)
{
    return st == DD_ERR_ARGUMENT ? DD_ERR_REFUSED : st;
}

dd_status dd_membership_spawn_(dd_member *self, dd_place place, uint32_t n_children,
                               dd_error *error)
{
    dd_hierarchy *h;
    if (place.level >= DD_TEAM_DEPTH_MAX) {
        char text[DD_PLACE_TEXT];
        return dd_error_set(error, DD_ERR_REFUSED,
                            "refused: sphere %s is at level %d, and none is deeper",
                            dd_place_write(place, text), DD_TEAM_DEPTH_MAX);
    }
    dd_status st = dd_hierarchy_expand(self->formation->hierarchy, place, n_children, &h, error);
    return st ? refused(st) : change(self, h, NULL, error);
}

dd_status dd_membership_terminate_(dd_member *self, dd_place place, dd_error *error)
{
    dd_hierarchy *h;
    dd_status st = dd_hierarchy_collapse(self->formation->hierarchy, place, &h, error);
    return st ? refused(st) : change(self, h, NULL, error);
}

/* ---- By measured speed ---- */

/* Relative speeds of the workers; who was not measured yet counts as the mean of those who were. So
 * they are even where nobody was, as when all workers have only just been spawned. */
static void relative_speeds(const dd_team *team, uint32_t *speed)
{
    const dd_formation *f = team->formation;
    const dd_hierarchy *h = f->hierarchy;
    double fastest = 0, sum = 0;
    uint32_t n = 0;
    for (uint32_t w = 0; w < h->n_workers; w++) {
        const dd_report *r = &team->member[f->thread[h->worker[w]]].report;
        DD_READ(r, sizeof *r);
        if (r->speed > 0) {
            fastest = r->speed > fastest ? r->speed : fastest;
            sum += r->speed;
            n++;
        }
    }
    for (uint32_t w = 0; w < h->n_workers; w++) {
        const double own = team->member[f->thread[h->worker[w]]].report.speed;
        const double relative = n ? (own > 0 ? own : sum / n) / fastest : 1;
        speed[w] = (uint32_t)(1 + relative * (SPEED_UNIT - 1));
    }
}

dd_status dd_membership_rebalance_(dd_member *self, dd_error *error)
{
    dd_team *team = self->team;
    dd_hierarchy *h = team->formation->hierarchy;
    uint32_t *speed = dd_alloc(h->n_workers * sizeof *speed);
    if (!speed)
        return dd_error_set(error, DD_ERR_MEMORY, "out of memory");
    relative_speeds(team, speed);
    dd_status st = change(self, h, speed, error);
    dd_free(speed);
    return st;
}

/* ---- By policy ---- */

/* The k-th of n values, which it puts in another order (Hoare's FIND). */
static uint64_t kth(uint64_t *value, uint32_t n, uint32_t k)
{
    uint32_t low = 0, high = n - 1; /* it is in [low, high] */
    while (low < high) {
        const uint64_t pivot = value[low + (high - low) / 2];
        uint32_t i = low, j = high;
        for (;;) {
            while (value[i] < pivot)
                i++;
            while (value[j] > pivot)
                j--;
            if (i >= j)
                break;
            const uint64_t swapped = value[i];
            value[i++] = value[j];
            value[j--] = swapped;
        }
        /* [low, j] <= pivot <= [j + 1, high] */
        if (k <= j)
            high = j;
        else
            low = j + 1;
    }
    return value[k];
}

/* Median of the lanes' times in the last step; 0 if there was no clock. */
static uint64_t median_lane_ns(dd_team *team)
{
    uint64_t *time = team->lane_ns + team->n_lanes;
    uint32_t n = 0;
    for (uint32_t l = 0; l < team->n_lanes; l++)
        if (team->weight[l])
            time[n++] = team->lane_ns[l];
    return kth(time, n, n / 2);
}

void dd_membership_decide_(dd_member *self)
{
    dd_team *team = self->team;
    const dd_policy_input in = {.cores = team->options.cores,
                                .n_lanes = team->n_non_empty,
                                .max_workers = team->options.max_workers,
                                .max_depth = DD_TEAM_DEPTH_MAX,
                                .lane_ns = median_lane_ns(team)};
    const uint64_t begin_ns = dd_timeline_begin(&self->timeline);
    dd_place place = {0};
    uint32_t n_children = 0;
    dd_command command = DD_COMMAND_SPAWN;
    dd_error error = {""};
    dd_status st = DD_OK;
    switch (dd_policy_decide(&team->policy, &in, team->formation->hierarchy, &place, &n_children)) {
    case DD_CHANGE_NONE:
        return;
    case DD_CHANGE_EXPAND:
        st = dd_membership_spawn_(self, place, n_children, &error);
        break;
    case DD_CHANGE_COLLAPSE:
        command = DD_COMMAND_TERMINATE;
        st = dd_membership_terminate_(self, place, &error);
        break;
    }
    dd_timeline_end(&self->timeline, DD_TRACE_COMMAND, command | DD_COMMAND_BY_POLICY, begin_ns, st,
                    place.level, place.path);
    if (st == DD_OK)
        return;
    /* Training goes on as it was; the policy asks again after its rest. */
    team->n_failed++;
    team->failed = st;
    team->failed_why = error;
}
