/* SPDX-License-Identifier: MIT
 * run.json. Numbers that are not finite are written as text ("nan", "inf"), which JSON has no
 * number for. */
#include "report_json.h"
#include "build_info.h"

#include <math.h>
#include <string.h>

/* Takes the value. A NULL value, from want of memory or bad text, makes *ok false. */
static void put(json_t *object, const char *key, json_t *value, bool *ok)
{
    if (json_object_set_new(object, key, value))
        *ok = false;
}

static void append(json_t *array, json_t *value, bool *ok)
{
    if (json_array_append_new(array, value))
        *ok = false;
}

static json_t *whole(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *real(double x)
{
    if (isfinite(x))
        return json_real(x);
    return json_string(isnan(x) ? "nan" : x > 0 ? "inf" : "-inf");
}

/* Text from outside may hold any byte; what is no UTF-8 is shown as '?'. */
static json_t *text(const char *s)
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
    put(o, "cpu", text(m->cpu), ok);
    put(o, "isa", text(m->isa), ok);
    put(o, "cores_usable", whole(m->cores), ok);
    put(o, "memory_bytes", whole(m->memory_bytes), ok);
    put(o, "kernel", text(m->kernel), ok);
    return o;
}

json_t *dd_build_json(bool *ok)
{
    json_t *o = json_object();
    size_t n = strlen(dd_build.commit);
    put(o, "version", text(dd_build.version), ok);
    put(o, "commit", text(dd_build.commit), ok);
    put(o, "dirty", json_boolean(n >= 6 && strcmp(dd_build.commit + n - 6, "-dirty") == 0), ok);
    put(o, "compiler", text(dd_build.compiler), ok);
    put(o, "flags", text(dd_build.flags), ok);
    put(o, "type", text(dd_build.type), ok);
    put(o, "sanitizer", text(dd_build.sanitizer), ok);
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
        put(o, keys[i].name, text(value), ok);
    }
    return o;
}

static json_t *sphere_json(const dd_sphere_info *s, bool *ok)
{
    json_t *o = json_object(), *wait = json_array();
    put(o, "sphere", text(s->sphere), ok);
    put(o, "thread", whole(s->thread), ok);
    put(o, "control", json_boolean(s->control), ok);
    put(o, "parked", json_boolean(s->parked), ok);
    put(o, "first_lane", whole(s->first_lane), ok);
    put(o, "lanes", whole(s->n_lanes), ok);
    put(o, "segments", whole(s->segments), ok);
    put(o, "lanes_done", whole(s->lanes_done), ok);
    put(o, "lanes_cancelled", whole(s->lanes_cancelled), ok);
    put(o, "lanes_as_control", whole(s->lanes_as_control), ok);
    put(o, "steals", whole(s->steals), ok);
    put(o, "folds", whole(s->folds), ok);
    put(o, "acted", whole(s->acted), ok);
    put(o, "cpu_ns", whole(s->cpu_ns), ok);
    for (int point = 0; point < 4; point++)
        append(wait, whole(s->wait_ns[point]), ok);
    put(o, "wait_ns_at_a_b_v_u", wait, ok);
    return o;
}

static json_t *storm_json(const dd_storm_done *s, bool *ok)
{
    json_t *o = json_object();
    put(o, "changes", whole(s->changes), ok);
    put(o, "pauses", whole(s->pauses), ok);
    put(o, "stops", whole(s->stops), ok);
    put(o, "cancels", whole(s->cancels), ok);
    put(o, "checkpoints", whole(s->checkpoints), ok);
    put(o, "rebalances", whole(s->rebalances), ok);
    put(o, "refused", whole(s->refused), ok);
    put(o, "steps_cut_short", whole(s->cut), ok);
    return o;
}

static json_t *effective_json(const dd_run_end *end, bool *ok)
{
    const dd_trainer_info *info = &end->info;
    json_t *o = json_object(), *spheres = json_array();
    put(o, "data", text(end->data), ok);
    put(o, "data_note", text(end->data_note), ok);
    put(o, "data_hash", text(end->data_hash), ok);
    put(o, "data_tokens", whole(end->data_tokens), ok);
    put(o, "data_floor_nats", real(end->floor_nats), ok);
    put(o, "workers", whole(info->workers), ok);
    put(o, "depth", whole(info->depth), ok);
    put(o, "spheres", whole(info->n_spheres), ok);
    put(o, "controls", whole(info->n_controls), ok);
    put(o, "threads", whole(info->n_threads), ok);
    put(o, "changes", whole(info->n_changes), ok);
    put(o, "changes_failed", whole(info->n_changes_failed), ok);
    put(o, "unpinned", whole(info->n_unpinned), ok);
    put(o, "kernels", text(end->kernels), ok);
    if (info->n_spheres)
        put(o, "reduce", text(dd_reduce_name(info->reduce)), ok);
    put(o, "parameters", whole(info->n_parameters), ok);
    put(o, "lanes", whole(info->n_lanes), ok);
    put(o, "non_empty_lanes", whole(info->non_empty_lanes), ok);
    put(o, "lane_bound", real(info->lane_bound), ok);
    put(o, "weights_bytes", whole(info->weights_bytes), ok);
    put(o, "packed_weights_bytes", whole(info->packed_weights_bytes), ok);
    put(o, "moments_bytes", whole(info->moments_bytes), ok);
    put(o, "segments", whole(info->n_segments), ok);
    put(o, "segments_most", whole(info->most_segments), ok);
    put(o, "segments_bytes", whole(info->segments_bytes), ok);
    put(o, "workspaces_bytes", whole(info->workspaces_bytes), ok);
    put(o, "scratch_bytes", whole(info->scratch_bytes), ok);
    put(o, "stacks_bytes", whole(info->stacks_bytes), ok);
    put(o, "requests", whole(info->requests), ok);
    put(o, "lanes_done", whole(info->lanes_done), ok);
    put(o, "lanes_cancelled", whole(info->lanes_cancelled), ok);
    put(o, "folds", whole(info->folds), ok);
    put(o, "steals", whole(info->steals), ok);
    put(o, "control_lanes", whole(info->control_lanes), ok);
    put(o, "node_zero_lane_cpu_ns", whole(info->node_zero_lane_cpu_ns), ok);
    put(o, "node_zero_lane_wall_ns", whole(info->node_zero_lane_wall_ns), ok);
    if (end->storm.pauses + end->storm.stops + end->storm.cancels + end->storm.refused +
            end->storm.changes + end->storm.checkpoints + end->storm.rebalances >
        0)
        put(o, "storm", storm_json(&end->storm, ok), ok);
    put(o, "snapshot_pages", whole(info->snapshot_pages), ok);
    put(o, "snapshot_pages_copied", whole(info->snapshot_pages_copied), ok);
    put(o, "guard_keys", whole(info->guard_keys), ok);
    put(o, "guard_share", real(info->guard_share), ok);
    put(o, "guard_why", text(end->guard_why), ok);
    for (uint32_t i = 0; i < info->n_threads; i++)
        append(spheres, sphere_json(&end->sphere[i], ok), ok);
    put(o, "sphere", spheres, ok);
    return o;
}

static json_t *run_json(const dd_run *run, const char *log_name, bool *ok)
{
    json_t *o = json_object();
    json_t *wall = json_array(), *loss = json_array(), *norm = json_array();
    json_t *discarded = json_array();
    put(o, "outcome", text(dd_outcome_name(run->outcome)), ok);
    put(o, "reason", text(run->reason), ok);
    put(o, "wall_ns", whole(run->wall_ns), ok);
    if (run->perturbations)
        put(o, "perturbations", whole(run->perturbations), ok);
    if (run->log)
        put(o, "log", text(log_name), ok);
    if (run->stall)
        put(o, "stall", json_loads(run->stall, 0, NULL), ok);
    if (run->outcome == DD_RUN_ENDED) {
        put(o, "weights_hash", text(run->end.hash), ok);
        put(o, "status", text(dd_status_name(run->end.status)), ok);
        put(o, "message", text(run->end.message), ok);
        put(o, "threads_left", whole(run->end.threads_left), ok);
        put(o, "fds_left", whole(run->end.fds_left), ok);
        put(o, "processes_left", whole(run->processes_left), ok);
        put(o, "effective", effective_json(&run->end, ok), ok);
    }
    for (size_t i = 0; i < run->n_steps; i++) {
        append(wall, whole(run->steps[i].wall_ns), ok);
        append(loss, real(run->steps[i].loss), ok);
        append(norm, real(run->steps[i].norm), ok);
        if (run->steps[i].discarded)
            append(discarded, whole(i), ok);
    }
    put(o, "step_wall_ns", wall, ok);
    put(o, "step_loss", loss, ok);
    put(o, "step_norm", norm, ok);
    put(o, "steps_discarded", discarded, ok);
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
        put(o, "name", text(checks[i].name), ok);
        put(o, "verdict", text(dd_verdict_name(run->check[i].verdict)), ok);
        put(o, "reason", text(run->check[i].reason), ok);
        append(a, o, ok);
    }
    return a;
}

static json_t *cell_json(const dd_sweep *sweep, size_t at, bool *ok)
{
    const dd_sweep_cell *cell = &sweep->cells[at];
    json_t *o = json_object(), *varies = json_object(), *repeats = json_array();
    for (size_t k = 0; k < sweep->scenario->n_swept; k++)
        put(varies, sweep->scenario->swept[k]->name, text(cell->plan->values[k]), ok);
    put(o, "label", text(cell->plan->label), ok);
    put(o, "varies", varies, ok);
    put(o, "requested", dd_settings_json(&cell->plan->settings, ok), ok);
    put(o, "verdict", text(dd_verdict_name(cell->verdict)), ok);
    put(o, "oracle", whole(cell->oracle), ok);
    for (uint32_t r = 0; r < cell->n_repeats; r++) {
        char name[64];
        dd_report_log_name(name, at, r);
        json_t *run = run_json(&cell->repeats[r].run, name, ok);
        put(run, "verdict", text(dd_verdict_name(cell->repeats[r].verdict)), ok);
        put(run, "checks", checks_json(&cell->repeats[r], ok), ok);
        append(repeats, run, ok);
    }
    put(o, "repeats", repeats, ok);
    return o;
}

static json_t *sweep_json(const dd_report *report, const dd_sweep *sweep, bool *ok)
{
    json_t *o = json_object(), *cells = json_array(), *oracles = json_array();
    char when[32] = "";
    struct tm utc;
    if (sweep->started && gmtime_r(&sweep->started, &utc))
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    put(o, "format", json_integer(1), ok);
    put(o, "scenario", text(sweep->scenario->name), ok);
    put(o, "about", text(sweep->scenario->about), ok);
    put(o, "file", text(sweep->scenario->file), ok);
    put(o, "started", text(when), ok);
    put(o, "wall_ns", whole(sweep->wall_ns), ok);
    put(o, "complete", json_boolean(sweep->runs_done == sweep->runs_due), ok);
    put(o, "interrupted", json_boolean(sweep->interrupted), ok);
    put(o, "verdict", text(dd_verdict_name(dd_sweep_verdict(sweep))), ok);
    put(o, "machine", dd_machine_json(&report->machine, ok), ok);
    put(o, "build", dd_build_json(ok), ok);
    for (size_t i = 0; i < sweep->n_oracles; i++) {
        char name[64];
        dd_report_oracle_log_name(name, i);
        append(oracles, run_json(&sweep->oracles[i].run, name, ok), ok);
    }
    for (size_t i = 0; i < sweep->scenario->n_cells; i++)
        append(cells, cell_json(sweep, i, ok), ok);
    put(o, "oracles", oracles, ok);
    put(o, "cells", cells, ok);
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
