/* SPDX-License-Identifier: MIT
 * What a caller may know of a trainer: its weights, what it is made of, what its threads have done,
 * and whose memory an address is. Changes nothing. */
#include "trainer_parts.h"

#include "hash.h"
#include "packed.h"

#include <string.h>

void dd_trainer_hash(const dd_trainer *t, uint8_t hash[16])
{
    dd_hash128(t->kept_array[DD_KEPT_WEIGHTS], t->P * sizeof(float), hash);
}

const float *dd_trainer_weights(const dd_trainer *t, uint64_t *n)
{
    if (n)
        *n = t->P;
    return t->kept_array[DD_KEPT_WEIGHTS];
}

uint64_t dd_trainer_heartbeat(const dd_trainer *t)
{
    return dd_team_heartbeat(t->team);
}

/* ---- The whole ---- */

static void info_of_members(const dd_trainer *t, dd_trainer_info *out)
{
    dd_membership now;
    dd_team_membership(t->team, &now);
    out->workers = now.hierarchy->n_workers;
    out->depth = now.hierarchy->depth;
    out->n_spheres = now.hierarchy->n_spheres;
    out->n_controls = now.hierarchy->n_controls;
    out->n_changes = now.n_changes;
    out->n_changes_failed = now.n_failed;
    out->change_failed = now.failed;
    out->change_why = now.failed_why;
    uint64_t tokens = 0, most = 0;
    for (uint32_t w = 0; w < out->workers; w++) {
        uint32_t first, segments = dd_plan_segments(now.plan, w, &first);
        if (!t->acts && segments > out->most_segments)
            out->most_segments = segments;
        tokens += now.share[w].tokens;
        if (now.share[w].tokens > most)
            most = now.share[w].tokens;
    }
    out->lane_bound = (double)tokens / (double)most;
}

static void info_of_threads(const dd_trainer *t, dd_trainer_info *out)
{
    out->n_threads = dd_team_n_threads(t->team);
    out->stacks_bytes = (uint64_t)out->n_threads * t->stack_bytes;
    for (uint32_t i = 0; i < out->n_threads; i++) {
        dd_thread_report r;
        dd_team_report(t->team, i, &r);
        out->lanes_done += r.lanes_done;
        out->lanes_cancelled += r.lanes_cancelled;
        out->control_lanes += r.lanes_as_control;
        out->steals += r.steals;
        out->folds += r.folds;
        out->n_unpinned += r.unpinned;
    }
}

void dd_trainer_info_get(const dd_trainer *t, dd_trainer_info *out)
{
    *out = (dd_trainer_info){
        .n_lanes = t->n_lanes,
        .non_empty_lanes = t->non_empty_lanes,
        .kernels = t->model.kernels->name,
        .n_parameters = t->P,
        .weights_bytes = t->P * sizeof(float),
        .packed_weights_bytes = dd_packed_size(&t->model.layout) * sizeof(float),
        .moments_bytes = 2 * t->P * sizeof(float),
        .reduce = t->config.reduce,
        .micro_batch = t->config.micro_batch,
        .segments_bytes = dd_segments_bytes(&t->segments, t->P),
        .n_segments = t->segments.n,
        .requests = dd_team_requests(t->team),
        .guard_why = t->guard_why,
    };
    for (uint32_t w = 0; w < t->n_workspaces; w++) {
        out->workspaces_bytes += dd_workspace_bytes(t->workspace[w]);
        out->lanes_bytes += dd_workspace_lane_bytes(t->workspace[w]);
        out->scratch_bytes += dd_workspace_scratch_bytes(t->workspace[w]);
    }
    for (uint32_t w = 0; t->slice_scratch && w < t->config.max_workers; w++)
        out->workspaces_bytes += dd_slice_scratch_bytes(t->slice_scratch[w]);
    for (uint32_t w = 0; t->owner_scratch && w < t->config.max_workers; w++)
        out->workspaces_bytes += dd_owner_scratch_bytes(t->owner_scratch[w]);
    if (t->acts) {
        out->workspaces_bytes += dd_acts_bytes(t->acts);
        out->segments_bytes = dd_segments_bytes(&t->segments, dd_layout_size(&t->vectors)) +
                              t->P * sizeof *t->gradient;
        out->n_segments = 1;
    }
    out->other_bytes = (uint64_t)dd_room_bytes_(t, &t->room).other;
    info_of_members(t, out);
    info_of_threads(t, out);
    out->trace_bytes = (uint64_t)out->n_threads * t->config.trace * sizeof(dd_moment);
    dd_team_idle(t->team, &out->node_zero_lane_cpu_ns, &out->node_zero_lane_most_cpu_ns,
                 &out->node_zero_lane_wall_ns);
    if (t->snapshot)
        out->snapshot_pages = dd_snapshot_pages(t->snapshot, &out->snapshot_pages_copied);
    if (t->guard)
        out->guard_keys = dd_guard_n_keys(t->guard);
    if (t->guard_turns)
        out->guard_share = t->guard_share_sum / (double)t->guard_turns;
}

/* ---- Time ---- */

static void add_sum(dd_phase_info *to, const dd_profile_sum *sum)
{
    to->ns += sum->ns;
    to->calls += sum->calls;
    to->work += sum->work;
}

bool dd_trainer_phase_get(const dd_trainer *t, uint32_t i, dd_phase_info *out)
{
    if (!t->profiled || i >= DD_PROFILE_PHASES)
        return false;
    *out = (dd_phase_info){0};
    out->name = dd_profile_name((dd_profile_phase)i, &out->flops);
    for (uint32_t w = 0; w < t->config.max_workers; w++)
        add_sum(out, &t->profile[w].phase[i]);
    for (uint32_t s = 0; i == DD_PROFILE_FOLD && t->fold_sums && s < t->segments.n; s++)
        add_sum(out, &t->fold_sums[s]);
    if (i == DD_PROFILE_NORM)
        add_sum(out, &t->norm_sum);
    return true;
}

void dd_trainer_profile_set(dd_trainer *t, bool on)
{
    t->profiling = on;
    t->profiled |= on;
}

/* ---- What threads did when ---- */

static void lanes_of_event(const dd_trainer *t, const dd_moment *m, dd_trace_event *out)
{
    out->lane = m->number[0];
    out->n_lanes = m->number[1];
    for (uint32_t l = out->lane, n = 0; n < out->n_lanes; l++) {
        out->last_lane = l;
        out->tokens += t->lane_tokens[l];
        n += t->lane_tokens[l] > 0;
    }
}

static void write_place(uint32_t level, uint32_t path, char text[DD_PLACE_TEXT])
{
    dd_place_write((dd_place){.level = level, .path = path}, text);
}

static dd_trace_event event_of(const dd_trainer *t, const dd_moment *m)
{
    dd_trace_event e = {.kind = (dd_trace_kind)m->kind,
                        .generation = m->generation,
                        .begin_ns = m->begin_ns,
                        .end_ns = m->end_ns};
    bool flops;
    switch (e.kind) {
    case DD_TRACE_ACTIVITY:
        e.at = (dd_activity)m->what;
        e.folds = m->number[2];
        if (e.at == DD_AT_LANE)
            lanes_of_event(t, m, &e);
        break;
    case DD_TRACE_PHASE:
        e.phase = dd_profile_name((dd_profile_phase)m->what, &flops);
        break;
    case DD_TRACE_FOLD:
        e.node = m->number[0];
        e.left = m->number[1];
        e.right = m->number[2];
        e.folds = 1;
        break;
    case DD_TRACE_PLACE:
        e.control = m->what & DD_PLACE_CONTROL;
        e.parked = m->what & DD_PLACE_PARKED;
        write_place(m->number[0], m->number[1], e.sphere);
        break;
    case DD_TRACE_REQUEST:
        e.step = m->what == 0;
        e.status = (dd_status)m->number[0];
        break;
    case DD_TRACE_COMMAND:
        e.by_policy = m->what & DD_COMMAND_BY_POLICY;
        e.command = (dd_command)(m->what & ~DD_COMMAND_BY_POLICY);
        e.status = (dd_status)m->number[0];
        if (e.command == DD_COMMAND_SPAWN || e.command == DD_COMMAND_TERMINATE)
            write_place(m->number[1], m->number[2], e.sphere);
        break;
    case DD_TRACE_KINDS:
        break;
    }
    return e;
}

_Static_assert(sizeof((dd_trace_event *)0)->sphere >= DD_PLACE_TEXT, "a place's text fits");
_Static_assert(DD_NO_FOLD_NODE == DD_NO_NODE, "no node by either name");

uint64_t dd_trainer_trace_take(dd_trainer *t, uint32_t i, dd_trace_event *out, uint64_t room,
                               uint64_t *lost)
{
    *lost = 0;
    if (i >= dd_team_n_threads(t->team))
        return 0;
    dd_timeline *timeline = dd_team_timeline(t->team, i);
    uint64_t n = 0;
    for (dd_moment m; n < room && dd_timeline_take(timeline, &m); n++)
        out[n] = event_of(t, &m);
    *lost = dd_timeline_lost(timeline);
    return n;
}

/* ---- One sphere ---- */

/* What the present membership says of a thread. A thread shows a change itself, a little later. */
static void sphere_now(const dd_trainer *t, uint32_t thread, dd_sphere_info *out)
{
    dd_membership now;
    dd_team_membership(t->team, &now);
    uint32_t s = 0;
    while (s < now.hierarchy->n_spheres && now.thread[s] != thread)
        s++;
    out->parked = s == now.hierarchy->n_spheres;
    out->control = !out->parked && now.hierarchy->sphere[s].n_children > 0;
    if (out->parked)
        return;
    const dd_sphere *sphere = &now.hierarchy->sphere[s];
    dd_place_write(sphere->place, out->sphere);
    if (out->control)
        return;
    uint32_t first;
    out->first_lane = now.share[sphere->first_worker].first;
    out->n_lanes = now.share[sphere->first_worker].n_lanes;
    if (!t->acts) /* else its lanes' segments are no gradients */
        out->segments = dd_plan_segments(now.plan, sphere->first_worker, &first);
}

bool dd_trainer_sphere_get(const dd_trainer *t, uint32_t i, bool between_steps, dd_sphere_info *out)
{
    if (i >= dd_team_n_threads(t->team))
        return false;
    dd_thread_report r;
    dd_team_report(t->team, i, &r);
    *out = (dd_sphere_info){
        .thread = i,
        .tid = r.tid,
        .control = r.control,
        .parked = r.parked,
        .at = r.at,
        .part = r.part,
        .lane = r.lane,
        .generation = r.generation,
        .heartbeat = r.heartbeat,
        .lanes_done = r.lanes_done,
        .lanes_cancelled = r.lanes_cancelled,
        .lanes_as_control = r.lanes_as_control,
        .steals = r.steals,
        .folds = r.folds,
        .acted = r.acted,
        .cpu_ns = r.cpu_ns,
    };
    _Static_assert(sizeof out->wait_ns == sizeof r.wait_ns, "the four points");
    memcpy(out->wait_ns, r.wait_ns, sizeof out->wait_ns);
    dd_place_write(r.place, out->sphere);
    if (between_steps)
        sphere_now(t, i, out);
    return true;
}

_Static_assert(sizeof((dd_sphere_info *)0)->sphere >= DD_PLACE_TEXT, "a place's text fits");
_Static_assert(sizeof((dd_region_info *)0)->sphere >= DD_PLACE_TEXT, "a place's text fits");

/* ---- Whose memory ---- */

bool dd_trainer_region_of(const dd_trainer *t, const void *address, dd_region_info *out)
{
    static const char *const name[] = {
        [DD_REGION_WEIGHTS] = "weights", [DD_REGION_PACKED] = "packed weights",
        [DD_REGION_BATCH] = "batch",     [DD_REGION_SEGMENT] = "segment",
        [DD_REGION_LOCKED] = "locked",
    };
    dd_region_kind kind;
    bool on_guard_page;
    *out = (dd_region_info){.thread = UINT32_MAX};
    if (!t || !t->guard ||
        !dd_guard_find(t->guard, address, &kind, &out->segment, &out->offset, &on_guard_page))
        return false;
    out->region = on_guard_page ? "guard page" : name[kind];
    if (kind == DD_REGION_SEGMENT)
        out->owner = t->segment_owner[out->segment];
    uint32_t tid = dd_thread_id(), n = dd_team_n_threads(t->team);
    for (uint32_t i = 0; i < n && out->thread == UINT32_MAX; i++) {
        dd_thread_report r;
        dd_team_report(t->team, i, &r);
        if (r.tid == tid) {
            out->thread = i;
            dd_place_write(r.place, out->sphere);
        }
    }
    return true;
}
