/* SPDX-License-Identifier: MIT
 * run.json. Numbers that are not finite are written as text ("nan", "inf"), which JSON has no
 * number for. */
#include "report_json.h"
#include "build_info.h"
#include "sweep_times.h"
#include "time_json.h"

#include <math.h>
#include <string.h>

void dd_json_put(json_t *object, const char *key, json_t *value, bool *ok)
{
    if (json_object_set_new(object, key, value))
        *ok = false;
}

void dd_json_append(json_t *array, json_t *value, bool *ok)
{
    if (json_array_append_new(array, value))
        *ok = false;
}

json_t *dd_json_whole(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *real(double x)
{
    if (isfinite(x))
        return json_real(x);
    return json_string(isnan(x) ? "nan" : x > 0 ? "inf" : "-inf");
}

json_t *dd_json_text(const char *s)
{
    json_t *json = json_string(s);
    if (json)
        return json;
    char copy[1024];
    size_t n = 0;
    for (; s[n] && n < sizeof copy - 1; n++)
        copy[n] = (signed char)s[n] < 0 ? '?' : s[n];
    copy[n] = '\0';
    return json_string(copy);
}

json_t *dd_machine_json(const dd_machine *m, bool *ok)
{
    json_t *o = json_object();
    dd_json_put(o, "cpu", dd_json_text(m->cpu), ok);
    dd_json_put(o, "isa", dd_json_text(m->isa), ok);
    dd_json_put(o, "cores_usable", dd_json_whole(m->cores), ok);
    dd_json_put(o, "memory_bytes", dd_json_whole(m->memory_bytes), ok);
    dd_json_put(o, "kernel", dd_json_text(m->kernel), ok);
    return o;
}

json_t *dd_build_json(bool *ok)
{
    json_t *o = json_object();
    size_t n = strlen(dd_build.commit);
    dd_json_put(o, "version", dd_json_text(dd_build.version), ok);
    dd_json_put(o, "commit", dd_json_text(dd_build.commit), ok);
    dd_json_put(o, "dirty", json_boolean(n >= 6 && strcmp(dd_build.commit + n - 6, "-dirty") == 0),
                ok);
    dd_json_put(o, "compiler", dd_json_text(dd_build.compiler), ok);
    dd_json_put(o, "flags", dd_json_text(dd_build.flags), ok);
    dd_json_put(o, "type", dd_json_text(dd_build.type), ok);
    dd_json_put(o, "sanitizer", dd_json_text(dd_build.sanitizer), ok);
    return o;
}

json_t *dd_settings_json(const dd_settings *s, bool *ok)
{
    json_t *o = json_object();
    size_t n;
    const dd_key *keys = dd_keys(&n);
    for (size_t i = 0; i < n; i++) {
        char value[DD_SPEC_MAX];
        dd_settings_get(s, keys[i].name, value);
        dd_json_put(o, keys[i].name, dd_json_text(value), ok);
    }
    return o;
}

static json_t *sphere_json(const dd_sphere_info *s, bool *ok)
{
    json_t *o = json_object(), *wait = json_array();
    dd_json_put(o, "sphere", dd_json_text(s->sphere), ok);
    dd_json_put(o, "thread", dd_json_whole(s->thread), ok);
    dd_json_put(o, "control", json_boolean(s->control), ok);
    dd_json_put(o, "parked", json_boolean(s->parked), ok);
    dd_json_put(o, "first_lane", dd_json_whole(s->first_lane), ok);
    dd_json_put(o, "lanes", dd_json_whole(s->n_lanes), ok);
    dd_json_put(o, "segments", dd_json_whole(s->segments), ok);
    dd_json_put(o, "lanes_done", dd_json_whole(s->lanes_done), ok);
    dd_json_put(o, "lanes_cancelled", dd_json_whole(s->lanes_cancelled), ok);
    dd_json_put(o, "lanes_as_control", dd_json_whole(s->lanes_as_control), ok);
    dd_json_put(o, "steals", dd_json_whole(s->steals), ok);
    dd_json_put(o, "folds", dd_json_whole(s->folds), ok);
    dd_json_put(o, "acted", dd_json_whole(s->acted), ok);
    dd_json_put(o, "cpu_ns", dd_json_whole(s->cpu_ns), ok);
    for (int point = 0; point < 4; point++)
        dd_json_append(wait, dd_json_whole(s->wait_ns[point]), ok);
    dd_json_put(o, "wait_ns_at_a_b_v_u", wait, ok);
    return o;
}

static json_t *storm_json(const dd_storm_done *s, bool *ok)
{
    json_t *o = json_object();
    dd_json_put(o, "changes", dd_json_whole(s->changes), ok);
    dd_json_put(o, "pauses", dd_json_whole(s->pauses), ok);
    dd_json_put(o, "stops", dd_json_whole(s->stops), ok);
    dd_json_put(o, "cancels", dd_json_whole(s->cancels), ok);
    dd_json_put(o, "checkpoints", dd_json_whole(s->checkpoints), ok);
    dd_json_put(o, "rebalances", dd_json_whole(s->rebalances), ok);
    dd_json_put(o, "refused", dd_json_whole(s->refused), ok);
    dd_json_put(o, "steps_cut_short", dd_json_whole(s->cut), ok);
    return o;
}

static json_t *effective_json(const dd_run_end *end, bool *ok)
{
    const dd_trainer_info *info = &end->info;
    json_t *o = json_object(), *spheres = json_array();
    dd_json_put(o, "data", dd_json_text(end->data), ok);
    dd_json_put(o, "data_note", dd_json_text(end->data_note), ok);
    dd_json_put(o, "data_hash", dd_json_text(end->data_hash), ok);
    dd_json_put(o, "data_tokens", dd_json_whole(end->data_tokens), ok);
    dd_json_put(o, "data_floor_nats", real(end->floor_nats), ok);
    dd_json_put(o, "workers", dd_json_whole(info->workers), ok);
    dd_json_put(o, "depth", dd_json_whole(info->depth), ok);
    dd_json_put(o, "spheres", dd_json_whole(info->n_spheres), ok);
    dd_json_put(o, "controls", dd_json_whole(info->n_controls), ok);
    dd_json_put(o, "threads", dd_json_whole(info->n_threads), ok);
    dd_json_put(o, "changes", dd_json_whole(info->n_changes), ok);
    dd_json_put(o, "changes_failed", dd_json_whole(info->n_changes_failed), ok);
    dd_json_put(o, "unpinned", dd_json_whole(info->n_unpinned), ok);
    dd_json_put(o, "kernels", dd_json_text(end->kernels), ok);
    if (info->n_spheres)
        dd_json_put(o, "reduce", dd_json_text(dd_reduce_name(info->reduce)), ok);
    dd_json_put(o, "micro_batch", dd_json_whole(info->micro_batch), ok);
    dd_json_put(o, "parameters", dd_json_whole(info->n_parameters), ok);
    dd_json_put(o, "lanes", dd_json_whole(info->n_lanes), ok);
    dd_json_put(o, "non_empty_lanes", dd_json_whole(info->non_empty_lanes), ok);
    dd_json_put(o, "lane_bound", real(info->lane_bound), ok);
    dd_json_put(o, "weights_bytes", dd_json_whole(info->weights_bytes), ok);
    dd_json_put(o, "packed_weights_bytes", dd_json_whole(info->packed_weights_bytes), ok);
    dd_json_put(o, "moments_bytes", dd_json_whole(info->moments_bytes), ok);
    dd_json_put(o, "segments", dd_json_whole(info->n_segments), ok);
    dd_json_put(o, "segments_most", dd_json_whole(info->most_segments), ok);
    dd_json_put(o, "segments_bytes", dd_json_whole(info->segments_bytes), ok);
    dd_json_put(o, "workspaces_bytes", dd_json_whole(info->workspaces_bytes), ok);
    dd_json_put(o, "lanes_bytes", dd_json_whole(info->lanes_bytes), ok);
    dd_json_put(o, "scratch_bytes", dd_json_whole(info->scratch_bytes), ok);
    dd_json_put(o, "stacks_bytes", dd_json_whole(info->stacks_bytes), ok);
    dd_json_put(o, "requests", dd_json_whole(info->requests), ok);
    dd_json_put(o, "lanes_done", dd_json_whole(info->lanes_done), ok);
    dd_json_put(o, "lanes_cancelled", dd_json_whole(info->lanes_cancelled), ok);
    dd_json_put(o, "folds", dd_json_whole(info->folds), ok);
    dd_json_put(o, "steals", dd_json_whole(info->steals), ok);
    dd_json_put(o, "control_lanes", dd_json_whole(info->control_lanes), ok);
    dd_json_put(o, "node_zero_lane_cpu_ns", dd_json_whole(info->node_zero_lane_cpu_ns), ok);
    dd_json_put(o, "node_zero_lane_most_cpu_ns", dd_json_whole(info->node_zero_lane_most_cpu_ns),
                ok);
    dd_json_put(o, "node_zero_lane_wall_ns", dd_json_whole(info->node_zero_lane_wall_ns), ok);
    if (end->storm.pauses + end->storm.stops + end->storm.cancels + end->storm.refused +
            end->storm.changes + end->storm.checkpoints + end->storm.rebalances >
        0)
        dd_json_put(o, "storm", storm_json(&end->storm, ok), ok);
    dd_json_put(o, "snapshot_pages", dd_json_whole(info->snapshot_pages), ok);
    dd_json_put(o, "snapshot_pages_copied", dd_json_whole(info->snapshot_pages_copied), ok);
    dd_json_put(o, "guard_keys", dd_json_whole(info->guard_keys), ok);
    dd_json_put(o, "guard_share", real(info->guard_share), ok);
    dd_json_put(o, "guard_why", dd_json_text(end->guard_why), ok);
    for (uint32_t i = 0; i < info->n_threads; i++)
        dd_json_append(spheres, sphere_json(&end->sphere[i], ok), ok);
    dd_json_put(o, "sphere", spheres, ok);
    return o;
}

static json_t *run_json(const dd_run *run, const char *log_name, bool *ok)
{
    json_t *o = json_object();
    json_t *wall = json_array(), *loss = json_array(), *norm = json_array();
    json_t *discarded = json_array();
    dd_json_put(o, "outcome", dd_json_text(dd_outcome_name(run->outcome)), ok);
    dd_json_put(o, "reason", dd_json_text(run->reason), ok);
    dd_json_put(o, "wall_ns", dd_json_whole(run->wall_ns), ok);
    if (run->perturbations)
        dd_json_put(o, "perturbations", dd_json_whole(run->perturbations), ok);
    if (run->log)
        dd_json_put(o, "log", dd_json_text(log_name), ok);
    if (run->stall)
        dd_json_put(o, "stall", json_loads(run->stall, 0, NULL), ok);
    if (run->outcome == DD_RUN_ENDED) {
        dd_json_put(o, "weights_hash", dd_json_text(run->end.hash), ok);
        dd_json_put(o, "status", dd_json_text(dd_status_name(run->end.status)), ok);
        dd_json_put(o, "message", dd_json_text(run->end.message), ok);
        dd_json_put(o, "threads_left", dd_json_whole(run->end.threads_left), ok);
        dd_json_put(o, "fds_left", dd_json_whole(run->end.fds_left), ok);
        dd_json_put(o, "processes_left", dd_json_whole(run->processes_left), ok);
        dd_json_put(o, "effective", effective_json(&run->end, ok), ok);
    }
    for (size_t i = 0; i < run->n_steps; i++) {
        dd_json_append(wall, dd_json_whole(run->steps[i].wall_ns), ok);
        dd_json_append(loss, real(run->steps[i].loss), ok);
        dd_json_append(norm, real(run->steps[i].norm), ok);
        if (run->steps[i].discarded)
            dd_json_append(discarded, dd_json_whole(i), ok);
    }
    dd_json_put(o, "step_wall_ns", wall, ok);
    dd_json_put(o, "step_loss", loss, ok);
    dd_json_put(o, "step_norm", norm, ok);
    dd_json_put(o, "steps_discarded", discarded, ok);
    return o;
}

static json_t *checks_json(const dd_sweep_run *run, bool *ok)
{
    json_t *a = json_array();
    size_t n;
    const dd_check *checks = dd_checks(&n);
    for (size_t i = 0; i < n; i++) {
        if (!run->check[i].applies)
            continue;
        json_t *o = json_object();
        dd_json_put(o, "name", dd_json_text(checks[i].name), ok);
        dd_json_put(o, "verdict", dd_json_text(dd_verdict_name(run->check[i].verdict)), ok);
        dd_json_put(o, "reason", dd_json_text(run->check[i].reason), ok);
        dd_json_append(a, o, ok);
    }
    return a;
}

static json_t *cell_json(const dd_sweep *sweep, size_t at, bool *ok)
{
    const dd_sweep_cell *cell = &sweep->cells[at];
    json_t *o = json_object(), *varies = json_object(), *repeats = json_array();
    for (size_t k = 0; k < sweep->scenario->n_swept; k++)
        dd_json_put(varies, sweep->scenario->swept[k]->name, dd_json_text(cell->plan->values[k]),
                    ok);
    dd_json_put(o, "label", dd_json_text(cell->plan->label), ok);
    dd_json_put(o, "varies", varies, ok);
    dd_json_put(o, "requested", dd_settings_json(&cell->plan->settings, ok), ok);
    dd_json_put(o, "verdict", dd_json_text(dd_verdict_name(cell->verdict)), ok);
    dd_json_put(o, "oracle", dd_json_whole(cell->oracle), ok);
    dd_json_put(o, "repeats_ended_by", dd_json_text(dd_cell_end_name(dd_cell_end_get(sweep, cell))),
                ok);
    for (uint32_t r = 0; r < cell->n_repeats; r++) {
        char name[64];
        dd_report_log_name(name, at, r);
        json_t *run = run_json(&cell->repeats[r].run, name, ok);
        dd_json_put(run, "verdict", dd_json_text(dd_verdict_name(cell->repeats[r].verdict)), ok);
        dd_json_put(run, "checks", checks_json(&cell->repeats[r], ok), ok);
        dd_json_append(repeats, run, ok);
    }
    dd_json_put(o, "repeats", repeats, ok);
    json_t *time = dd_time_json(cell, ok);
    if (time)
        dd_json_put(o, "time", time, ok);
    return o;
}

static json_t *sweep_json(const dd_report *report, const dd_sweep *sweep, bool *ok)
{
    json_t *o = json_object(), *cells = json_array(), *oracles = json_array();
    char when[32] = "";
    struct tm utc;
    if (sweep->started && gmtime_r(&sweep->started, &utc))
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    dd_json_put(o, "format", json_integer(1), ok);
    dd_json_put(o, "scenario", dd_json_text(sweep->scenario->name), ok);
    dd_json_put(o, "about", dd_json_text(sweep->scenario->about), ok);
    dd_json_put(o, "file", dd_json_text(sweep->scenario->file), ok);
    dd_json_put(o, "started", dd_json_text(when), ok);
    dd_json_put(o, "wall_ns", dd_json_whole(sweep->wall_ns), ok);
    dd_json_put(o, "complete", json_boolean(dd_sweep_is_complete(sweep)), ok);
    dd_json_put(o, "interrupted", json_boolean(sweep->interrupted), ok);
    dd_json_put(o, "verdict", dd_json_text(dd_verdict_name(dd_sweep_verdict(sweep))), ok);
    dd_json_put(o, "machine", dd_machine_json(&report->machine, ok), ok);
    dd_json_put(o, "build", dd_build_json(ok), ok);
    for (size_t i = 0; i < sweep->n_oracles; i++) {
        char name[64];
        dd_report_oracle_log_name(name, i);
        dd_json_append(oracles, run_json(&sweep->oracles[i].run, name, ok), ok);
    }
    for (size_t i = 0; i < sweep->scenario->n_cells; i++)
        dd_json_append(cells, cell_json(sweep, i, ok), ok);
    dd_json_put(o, "oracles", oracles, ok);
    dd_json_put(o, "cells", cells, ok);
    return o;
}

bool dd_report_json(const dd_report *report, const dd_sweep *sweep, FILE *out)
{
    bool ok = true;
    json_t *o = sweep_json(report, sweep, &ok);
    ok = ok && json_dumpf(o, out, JSON_INDENT(1)) == 0 && fputc('\n', out) != EOF;
    json_decref(o);
    return ok;
}
