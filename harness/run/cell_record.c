/* SPDX-License-Identifier: MIT
 * Records to JSON and back. */
#include "cell_record.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile.h"

/* ---- Writing ---- */

static json_t *real(double x)
{
    char text[40];
    snprintf(text, sizeof text, "%a", x);
    return json_string(text);
}

static json_t *whole(uint64_t n)
{
    return json_integer((json_int_t)n);
}

/* A message may quote any byte; JSON may not. */
static json_t *text(const char *s)
{
    json_t *json = json_string(s);
    if (json)
        return json;
    size_t n = strlen(s);
    char *copy = malloc(n + 1);
    if (!copy)
        return NULL;
    for (size_t i = 0; i <= n; i++)
        copy[i] = (signed char)s[i] < 0 ? '?' : s[i];
    json = json_string(copy);
    free(copy);
    return json;
}

/* Takes the value; *ok turns false when there was no memory, and stays so. */
static void put(json_t *object, const char *key, json_t *value, bool *ok)
{
    if (json_object_set_new(object, key, value))
        *ok = false;
}

static char *line_of(const char *kind, json_t *body, bool ok)
{
    json_t *record = json_object();
    put(record, kind, body, &ok);
    char *json = ok ? json_dumps(record, JSON_COMPACT) : NULL;
    json_decref(record);
    size_t n = json ? strlen(json) : 0;
    char *line = json ? realloc(json, n + 2) : NULL;
    if (!line) {
        free(json);
        return NULL;
    }
    memcpy(line + n, "\n", 2);
    return line;
}

char *dd_record_step(const dd_step *step)
{
    bool ok = true;
    json_t *o = json_object();
    put(o, "step", whole(step->step), &ok);
    put(o, "loss", real(step->loss), &ok);
    put(o, "norm", real(step->norm), &ok);
    put(o, "lr", real((double)step->lr), &ok);
    put(o, "discarded", json_boolean(step->discarded), &ok);
    put(o, "wall_ns", whole(step->wall_ns), &ok);
    return line_of("step", o, ok);
}

char *dd_record_refused(dd_status status, const char *message)
{
    bool ok = true;
    json_t *o = json_object();
    put(o, "status", json_integer(status), &ok);
    put(o, "message", text(message), &ok);
    return line_of("refused", o, ok);
}

/* One table for both directions: the numbers of a dd_trainer_info and of its spheres. */
typedef struct field {
    const char *name;
    size_t at;
    bool wide; /* uint64_t, else uint32_t */
} field;

#define WIDE(struct_, member)                                                                      \
    {                                                                                              \
#member, offsetof(struct_, member), true                                                   \
    }
#define NARROW(struct_, member)                                                                    \
    {                                                                                              \
#member, offsetof(struct_, member), false                                                  \
    }

#define INFO_WIDE(member) WIDE(dd_trainer_info, member)
#define INFO_NARROW(member) NARROW(dd_trainer_info, member)
static const field info_fields[] = {
    INFO_NARROW(workers),
    INFO_NARROW(n_lanes),
    INFO_NARROW(non_empty_lanes),
    INFO_NARROW(depth),
    INFO_NARROW(n_spheres),
    INFO_NARROW(n_controls),
    INFO_NARROW(n_threads),
    INFO_NARROW(n_unpinned),
    INFO_WIDE(n_changes),
    INFO_WIDE(n_changes_failed),
    INFO_WIDE(n_parameters),
    INFO_WIDE(weights_bytes),
    INFO_WIDE(packed_weights_bytes),
    INFO_WIDE(moments_bytes),
    INFO_WIDE(segments_bytes),
    INFO_WIDE(workspaces_bytes),
    INFO_WIDE(lanes_bytes),
    INFO_NARROW(micro_batch),
    INFO_WIDE(scratch_bytes),
    INFO_WIDE(stacks_bytes),
    INFO_NARROW(n_segments),
    INFO_NARROW(most_segments),
    INFO_WIDE(requests),
    INFO_WIDE(lanes_done),
    INFO_WIDE(lanes_cancelled),
    INFO_WIDE(steals),
    INFO_WIDE(folds),
    INFO_WIDE(control_lanes),
    INFO_WIDE(node_zero_lane_cpu_ns),
    INFO_WIDE(node_zero_lane_most_cpu_ns),
    INFO_WIDE(node_zero_lane_wall_ns),
    INFO_WIDE(snapshot_pages),
    INFO_WIDE(snapshot_pages_copied),
    INFO_NARROW(guard_keys),
    {NULL, 0, false},
};

#define STORM_WIDE(member) WIDE(dd_storm_done, member)
static const field storm_fields[] = {
    STORM_WIDE(changes), STORM_WIDE(pauses),      STORM_WIDE(stops),
    STORM_WIDE(cancels), STORM_WIDE(checkpoints), STORM_WIDE(rebalances),
    STORM_WIDE(refused), STORM_WIDE(cut),         {NULL, 0, false},
};

#define SPHERE_WIDE(member) WIDE(dd_sphere_info, member)
#define SPHERE_NARROW(member) NARROW(dd_sphere_info, member)
static const field sphere_fields[] = {
    SPHERE_NARROW(thread),   SPHERE_NARROW(tid),           SPHERE_NARROW(first_lane),
    SPHERE_NARROW(n_lanes),  SPHERE_NARROW(segments),      SPHERE_WIDE(heartbeat),
    SPHERE_WIDE(lanes_done), SPHERE_WIDE(lanes_cancelled), SPHERE_WIDE(lanes_as_control),
    SPHERE_WIDE(steals),     SPHERE_WIDE(folds),           SPHERE_WIDE(acted),
    SPHERE_WIDE(cpu_ns),     SPHERE_WIDE(wait_ns[0]),      SPHERE_WIDE(wait_ns[1]),
    SPHERE_WIDE(wait_ns[2]), SPHERE_WIDE(wait_ns[3]),      {NULL, 0, false},
};

static void put_fields(json_t *o, const field *fields, const void *from, bool *ok)
{
    for (const field *f = fields; f->name; f++) {
        uint64_t wide = 0;
        uint32_t narrow = 0;
        if (f->wide)
            memcpy(&wide, (const char *)from + f->at, sizeof wide);
        else
            memcpy(&narrow, (const char *)from + f->at, sizeof narrow);
        put(o, f->name, whole(f->wide ? wide : narrow), ok);
    }
}

static json_t *sphere_json(const dd_sphere_info *sphere, bool *ok)
{
    json_t *o = json_object();
    put(o, "sphere", text(sphere->sphere), ok);
    put(o, "control", json_boolean(sphere->control), ok);
    put(o, "parked", json_boolean(sphere->parked), ok);
    put_fields(o, sphere_fields, sphere, ok);
    return o;
}

#define SPENT_WIDE(member) WIDE(dd_spent, member)
static const field spent_fields[] = {
    SPENT_WIDE(at_ns),      NARROW(dd_spent, workers), SPENT_WIDE(wait_ns[0]),
    SPENT_WIDE(wait_ns[1]), SPENT_WIDE(wait_ns[2]),    SPENT_WIDE(wait_ns[3]),
    {NULL, 0, false},
};

static json_t *own_json(const dd_own_weights *own, bool *ok)
{
    json_t *o = json_object();
    put(o, "n", whole(own->n), ok);
    put(o, "n_not_finite", whole(own->n_not_finite), ok);
    put(o, "not_finite", text(own->not_finite), ok);
    put(o, "compared", json_boolean(own->compared), ok);
    put(o, "distance", real(own->distance), ok);
    put(o, "farthest", text(own->farthest), ok);
    put(o, "unlike", text(own->unlike), ok);
    return o;
}

/* The phases' names are this program's own: only their times travel. */
static json_t *time_json(const dd_run_end *end, bool *ok)
{
    json_t *o = json_object(), *phases = json_array();
    put(o, "steps", whole(end->time_steps), ok);
    put(o, "controls_fold", json_boolean(end->time.controls_fold), ok);
    put_fields(o, spent_fields, &end->time, ok);
    for (uint32_t i = 0; i < end->time.n_phases; i++)
        if (json_array_append_new(phases, whole(end->time.phase[i].ns)))
            *ok = false;
    put(o, "phase_ns", phases, ok);
    return o;
}

char *dd_record_end(const dd_run_end *end)
{
    bool ok = true;
    json_t *o = json_object(), *spheres = json_array();
    put(o, "status", json_integer(end->status), &ok);
    put(o, "message", text(end->message), &ok);
    put(o, "hash", text(end->hash), &ok);
    put(o, "kernels", text(end->kernels), &ok);
    put(o, "reduce", whole(end->info.reduce), &ok);
    put(o, "lane_bound", real(end->info.lane_bound), &ok);
    put(o, "guard_share", real(end->info.guard_share), &ok);
    put(o, "guard_why", text(end->guard_why), &ok);
    put(o, "data", text(end->data), &ok);
    put(o, "data_note", text(end->data_note), &ok);
    put(o, "data_hash", text(end->data_hash), &ok);
    put(o, "data_tokens", whole(end->data_tokens), &ok);
    put(o, "floor_nats", real(end->floor_nats), &ok);
    put(o, "threads_left", whole(end->threads_left), &ok);
    put(o, "fds_left", whole(end->fds_left), &ok);
    put(o, "left", text(end->left), &ok);
    put_fields(o, info_fields, &end->info, &ok);
    json_t *storm = json_object();
    put_fields(storm, storm_fields, &end->storm, &ok);
    put(o, "storm", storm, &ok);
    if (end->time_steps)
        put(o, "time", time_json(end, &ok), &ok);
    if (end->own.n)
        put(o, "own", own_json(&end->own, &ok), &ok);
    for (uint32_t i = 0; i < end->info.n_threads; i++)
        if (json_array_append_new(spheres, sphere_json(&end->sphere[i], &ok)))
            ok = false;
    put(o, "sphere", spheres, &ok);
    return line_of("end", o, ok);
}

/* ---- Reading ---- */

static bool get_whole(const json_t *o, const char *key, uint64_t most, uint64_t *out)
{
    const json_t *value = json_object_get(o, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) > most)
        return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

static bool get_narrow(const json_t *o, const char *key, uint32_t *out)
{
    uint64_t wide;
    if (!get_whole(o, key, UINT32_MAX, &wide))
        return false;
    *out = (uint32_t)wide;
    return true;
}

static bool get_bool(const json_t *o, const char *key, bool *out)
{
    const json_t *value = json_object_get(o, key);
    *out = json_is_true(value);
    return json_is_boolean(value);
}

static bool get_real(const json_t *o, const char *key, double *out)
{
    const char *s = json_string_value(json_object_get(o, key));
    if (!s || !*s)
        return false;
    char *rest;
    *out = strtod(s, &rest);
    return !*rest;
}

static bool get_text(const json_t *o, const char *key, char *out, size_t size)
{
    const char *s = json_string_value(json_object_get(o, key));
    if (!s || strlen(s) >= size)
        return false;
    memcpy(out, s, strlen(s) + 1);
    return true;
}

static bool get_status(const json_t *o, dd_status *out)
{
    uint64_t n;
    if (!get_whole(o, "status", DD_ERR_REFUSED, &n))
        return false;
    *out = (dd_status)n;
    return true;
}

/* What auto became, so never that. */
static bool get_reduce(const json_t *o, dd_reduce *out)
{
    uint64_t n;
    if (!get_whole(o, "reduce", DD_REDUCE_OWNER, &n))
        return false;
    *out = (dd_reduce)n;
    return true;
}

static bool get_fields(const json_t *o, const field *fields, void *to)
{
    for (const field *f = fields; f->name; f++) {
        uint64_t wide;
        if (!get_whole(o, f->name, f->wide ? INT64_MAX : UINT32_MAX, &wide))
            return false;
        uint32_t narrow = (uint32_t)wide;
        if (f->wide)
            memcpy((char *)to + f->at, &wide, sizeof wide);
        else
            memcpy((char *)to + f->at, &narrow, sizeof narrow);
    }
    return true;
}

static bool is_hash(const char *s)
{
    return strlen(s) == 32 && strspn(s, "0123456789abcdef") == 32;
}

static bool read_step(const json_t *o, dd_run *run, char why[128])
{
    dd_step step = {0};
    double lr;
    if (!get_whole(o, "step", INT64_MAX, &step.step) || !get_real(o, "loss", &step.loss) ||
        !get_real(o, "norm", &step.norm) || !get_real(o, "lr", &lr) ||
        !get_bool(o, "discarded", &step.discarded) ||
        !get_whole(o, "wall_ns", INT64_MAX, &step.wall_ns)) {
        snprintf(why, 128, "a step's record lacks a value");
        return false;
    }
    step.lr = (float)lr;
    if (step.step != run->n_steps) {
        snprintf(why, 128, "step %llu reported where step %zu was due",
                 (unsigned long long)step.step, run->n_steps);
        return false;
    }
    /* Grows by doubling: at powers of two there is no room left. */
    if ((run->n_steps & (run->n_steps - 1)) == 0) {
        dd_step *more =
            realloc(run->steps, (run->n_steps ? 2 * run->n_steps : 1) * sizeof *run->steps);
        if (!more) {
            snprintf(why, 128, "no memory for the steps");
            return false;
        }
        run->steps = more;
    }
    run->steps[run->n_steps++] = step;
    return true;
}

static bool read_sphere(const json_t *o, dd_sphere_info *sphere)
{
    return get_text(o, "sphere", sphere->sphere, sizeof sphere->sphere) &&
           get_bool(o, "control", &sphere->control) && get_bool(o, "parked", &sphere->parked) &&
           get_fields(o, sphere_fields, sphere);
}

static bool read_spheres(const json_t *a, dd_run_end *end)
{
    uint32_t n = end->info.n_threads;
    if (!json_is_array(a) || n > DD_RECORD_MAX_THREADS || json_array_size(a) != n)
        return false;
    end->sphere = n ? calloc(n, sizeof *end->sphere) : NULL;
    if (n && !end->sphere)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!read_sphere(json_array_get(a, i), &end->sphere[i]))
            return false;
    return true;
}

static bool read_time(const json_t *o, dd_run_end *end)
{
    const json_t *phases = json_object_get(o, "phase_ns");
    dd_spent *time = &end->time;
    if (!o)
        return true;
    if (!get_narrow(o, "steps", &end->time_steps) ||
        !get_bool(o, "controls_fold", &time->controls_fold) || !get_fields(o, spent_fields, time) ||
        json_array_size(phases) != DD_PROFILE_PHASES)
        return false;
    for (; time->n_phases < DD_PROFILE_PHASES; time->n_phases++) {
        dd_phase_info *phase = &time->phase[time->n_phases];
        const json_t *ns = json_array_get(phases, time->n_phases);
        if (!json_is_integer(ns) || json_integer_value(ns) < 0)
            return false;
        phase->ns = (uint64_t)json_integer_value(ns);
        phase->name = dd_profile_name((dd_profile_phase)time->n_phases, &phase->flops);
    }
    return end->time_steps > 0;
}

static bool read_own(const json_t *o, dd_own_weights *own)
{
    return !o ||
           (get_whole(o, "n", INT64_MAX, &own->n) && own->n > 0 &&
            get_whole(o, "n_not_finite", own->n, &own->n_not_finite) &&
            get_text(o, "not_finite", own->not_finite, sizeof own->not_finite) &&
            get_bool(o, "compared", &own->compared) && get_real(o, "distance", &own->distance) &&
            get_text(o, "farthest", own->farthest, sizeof own->farthest) &&
            get_text(o, "unlike", own->unlike, sizeof own->unlike));
}

static bool read_end(const json_t *o, dd_run_end *end)
{
    *end = (dd_run_end){0};
    end->info.kernels = end->kernels;
    end->info.guard_why = end->guard_why;
    return get_status(o, &end->status) &&
           get_text(o, "message", end->message, sizeof end->message) &&
           get_text(o, "hash", end->hash, sizeof end->hash) && is_hash(end->hash) &&
           get_text(o, "kernels", end->kernels, sizeof end->kernels) &&
           get_reduce(o, &end->info.reduce) && get_real(o, "lane_bound", &end->info.lane_bound) &&
           get_real(o, "guard_share", &end->info.guard_share) &&
           get_text(o, "guard_why", end->guard_why, sizeof end->guard_why) &&
           get_text(o, "data", end->data, sizeof end->data) &&
           get_text(o, "data_note", end->data_note, sizeof end->data_note) &&
           get_text(o, "data_hash", end->data_hash, sizeof end->data_hash) &&
           get_whole(o, "data_tokens", INT64_MAX, &end->data_tokens) &&
           get_real(o, "floor_nats", &end->floor_nats) &&
           get_narrow(o, "threads_left", &end->threads_left) &&
           get_narrow(o, "fds_left", &end->fds_left) &&
           get_text(o, "left", end->left, sizeof end->left) &&
           get_fields(o, info_fields, &end->info) &&
           get_fields(json_object_get(o, "storm"), storm_fields, &end->storm) &&
           read_time(json_object_get(o, "time"), end) &&
           read_own(json_object_get(o, "own"), &end->own) &&
           read_spheres(json_object_get(o, "sphere"), end);
}

dd_record dd_record_read(const char *line, size_t bytes, dd_run *run, char why[128])
{
    dd_record kind = DD_RECORD_BAD;
    json_t *record = json_loadb(line, bytes, JSON_REJECT_DUPLICATES, NULL);
    const json_t *o;
    snprintf(why, 128, "not a record");
    if (json_object_size(record) != 1)
        goto out;
    if ((o = json_object_get(record, "step"))) {
        if (read_step(o, run, why))
            kind = DD_RECORD_STEP;
    } else if ((o = json_object_get(record, "refused"))) {
        if (get_status(o, &run->end.status) &&
            get_text(o, "message", run->end.message, sizeof run->end.message))
            kind = DD_RECORD_REFUSED;
    } else if ((o = json_object_get(record, "end"))) {
        if (read_end(o, &run->end))
            kind = DD_RECORD_END;
        else
            snprintf(why, 128, "the final record lacks a value");
    }
out:
    json_decref(record);
    return kind;
}
