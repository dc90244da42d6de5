/* SPDX-License-Identifier: MIT
 * Records to JSON and back. */
#include "cell_record.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* One table for both directions: the numbers of a dd_trainer_info and of its workers. */
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

static const field info_fields[] = {
    NARROW(dd_trainer_info, workers),
    NARROW(dd_trainer_info, n_lanes),
    NARROW(dd_trainer_info, non_empty_lanes),
    WIDE(dd_trainer_info, n_parameters),
    WIDE(dd_trainer_info, weights_bytes),
    WIDE(dd_trainer_info, moments_bytes),
    WIDE(dd_trainer_info, segments_bytes),
    WIDE(dd_trainer_info, workspaces_bytes),
    WIDE(dd_trainer_info, requests),
    WIDE(dd_trainer_info, node_zero_lanes),
    WIDE(dd_trainer_info, node_zero_lane_cpu_ns),
    WIDE(dd_trainer_info, node_zero_lane_wall_ns),
    WIDE(dd_trainer_info, node_zero_folds),
    {NULL, 0, false},
};

static const field worker_fields[] = {
    NARROW(dd_worker_info, first_lane), NARROW(dd_worker_info, n_lanes),
    WIDE(dd_worker_info, lanes_done),   WIDE(dd_worker_info, lanes_cancelled),
    WIDE(dd_worker_info, folds),        WIDE(dd_worker_info, cpu_ns),
    NARROW(dd_worker_info, segments),   {NULL, 0, false},
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

char *dd_record_end(const dd_run_end *end)
{
    bool ok = true;
    json_t *o = json_object();
    put(o, "status", json_integer(end->status), &ok);
    put(o, "message", text(end->message), &ok);
    put(o, "hash", text(end->hash), &ok);
    put(o, "serial", json_boolean(end->serial), &ok);
    put(o, "kernels", text(end->kernels), &ok);
    put(o, "lane_bound", real(end->info.lane_bound), &ok);
    put(o, "data", text(end->data), &ok);
    put(o, "data_note", text(end->data_note), &ok);
    put(o, "data_hash", text(end->data_hash), &ok);
    put(o, "data_tokens", whole(end->data_tokens), &ok);
    put(o, "floor_nats", real(end->floor_nats), &ok);
    put(o, "threads_left", whole(end->threads_left), &ok);
    put(o, "fds_left", whole(end->fds_left), &ok);
    put(o, "left", text(end->left), &ok);
    put_fields(o, info_fields, &end->info, &ok);
    json_t *workers = json_array();
    for (uint32_t i = 0; i < end->info.workers && i < DD_MAX_WORKERS; i++) {
        json_t *worker = json_object();
        put_fields(worker, worker_fields, &end->info.worker[i], &ok);
        ok = json_array_append_new(workers, worker) == 0 && ok;
    }
    put(o, "worker", workers, &ok);
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
    if (!get_whole(o, "status", DD_ERR_CANCELLED, &n))
        return false;
    *out = (dd_status)n;
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

static bool read_end(const json_t *o, dd_run_end *end)
{
    memset(end, 0, sizeof *end);
    if (!get_status(o, &end->status) ||
        !get_text(o, "message", end->message, sizeof end->message) ||
        !get_text(o, "hash", end->hash, sizeof end->hash) || !is_hash(end->hash) ||
        !get_bool(o, "serial", &end->serial) ||
        !get_text(o, "kernels", end->kernels, sizeof end->kernels) ||
        !get_real(o, "lane_bound", &end->info.lane_bound) ||
        !get_text(o, "data", end->data, sizeof end->data) ||
        !get_text(o, "data_note", end->data_note, sizeof end->data_note) ||
        !get_text(o, "data_hash", end->data_hash, sizeof end->data_hash) ||
        !get_whole(o, "data_tokens", INT64_MAX, &end->data_tokens) ||
        !get_real(o, "floor_nats", &end->floor_nats) ||
        !get_narrow(o, "threads_left", &end->threads_left) ||
        !get_narrow(o, "fds_left", &end->fds_left) ||
        !get_text(o, "left", end->left, sizeof end->left) ||
        !get_fields(o, info_fields, &end->info) || end->info.workers > DD_MAX_WORKERS)
        return false;
    end->info.kernels = end->kernels;
    const json_t *workers = json_object_get(o, "worker");
    if (json_array_size(workers) != end->info.workers)
        return false;
    for (uint32_t i = 0; i < end->info.workers; i++)
        if (!get_fields(json_array_get(workers, i), worker_fields, &end->info.worker[i]))
            return false;
    return true;
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
