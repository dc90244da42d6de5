/* SPDX-License-Identifier: MIT
 * Events to JSON, as they come; names of threads last, when all their places are known. The stream
 * is one of a whole file (whole_file.h), which has its name when all of it is written. */
#include "trace_file.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "build_info.h"
#include "error.h"
#include "hierarchy.h"
#include "platform.h"
#include "whole_file.h"

enum { CHUNK = 256, REQUESTS = 4, PROCESS = 1, ORDERS_TRACK = 0, FIRST_TRACK = 1 };

/* Where a thread was last seen. */
typedef struct track {
    char sphere[16];
    bool control, parked, known;
} track;

struct dd_trace_file {
    dd_trainer *trainer;
    dd_whole_file *file;
    FILE *out; /* into the file, at the offset */
    uint64_t offset;
    dd_error failure; /* of the first write that failed; "" */
    char *path, *what;
    uint64_t origin_ns; /* 0: nothing was taken yet */
    uint64_t n_events, n_lost, enough;
    uint32_t workers; /* as last counted */
    track *track;     /* (n_tracks) by thread */
    uint32_t n_tracks;
    /* The last requests that were steps, and their numbers: a control's events come one later. */
    struct {
        uint32_t generation;
        uint64_t step;
    } request[REQUESTS];
    uint32_t n_requests;
    dd_trace_event event[CHUNK];
};

/* ---- Writing ---- */

static double micros(const dd_trace_file *f, uint64_t ns)
{
    return (double)(int64_t)(ns - f->origin_ns) * 1e-3;
}

/* Up to the arguments, which the caller writes with end_event. */
static void begin_event(dd_trace_file *f, const char *phase, const char *category, uint32_t tid,
                        uint64_t begin_ns)
{
    fprintf(f->out, "%s\n{\"ph\":\"%s\",\"cat\":\"%s\",\"pid\":%d,\"tid\":%" PRIu32 ",\"ts\":%.3f",
            f->n_events++ ? "," : "", phase, category, PROCESS, tid, micros(f, begin_ns));
}

__attribute__((format(printf, 2, 3))) static void put(dd_trace_file *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(f->out, format, args);
    va_end(args);
}

static void put_duration(dd_trace_file *f, const dd_trace_event *e)
{
    put(f, ",\"dur\":%.3f", (double)(e->end_ns - e->begin_ns) * 1e-3);
}

/* The first arguments of all: what the event belongs to. */
static void begin_arguments(dd_trace_file *f, const dd_trace_event *e)
{
    put(f, ",\"args\":{\"generation\":%" PRIu32, e->generation);
    for (uint32_t i = 0; i < REQUESTS && i < f->n_requests; i++)
        if (f->request[i].generation == e->generation)
            put(f, ",\"step\":%" PRIu64, f->request[i].step);
}

static void end_arguments(dd_trace_file *f)
{
    put(f, "}}");
}

static void counter(dd_trace_file *f, const char *name, uint64_t at_ns, double value)
{
    if (!isfinite(value))
        return;
    begin_event(f, "C", "counter", ORDERS_TRACK, at_ns);
    put(f, ",\"name\":\"%s\",\"args\":{\"%s\":%.17g}}", name, name, value);
}

/* ---- Kinds of events ---- */

static void put_activity(dd_trace_file *f, uint32_t tid, const dd_trace_event *e)
{
    static const struct {
        const char *name, *category;
    } words[DD_ACTIVITIES] = {
        [DD_AT_POOL] = {"pool", "membership"},  [DD_AT_MAIL] = {"wait mail", "wait"},
        [DD_AT_ORDERS] = {"orders", "control"}, [DD_AT_CHANGE] = {"wait change", "wait"},
        [DD_AT_A] = {"wait A", "wait"},         [DD_AT_RELAY] = {"relay", "control"},
        [DD_AT_LANE] = {"lane", "lane"},        [DD_AT_FOLDS] = {"between lanes", "folds"},
        [DD_AT_B] = {"wait B", "wait"},         [DD_AT_COMBINE] = {"combine", "folds"},
        [DD_AT_SLICE] = {"slice", "slice"},     [DD_AT_VERDICT] = {"verdict", "verdict"},
        [DD_AT_V] = {"wait V", "wait"},         [DD_AT_UPDATE] = {"update slice", "update"},
        [DD_AT_U] = {"wait U", "wait"},
    };
    begin_event(f, "X", words[e->at].category, tid, e->begin_ns);
    put_duration(f, e);
    if (e->at == DD_AT_LANE && e->n_lanes == 1)
        put(f, ",\"name\":\"lane %" PRIu32 "\"", e->lane);
    else if (e->at == DD_AT_LANE)
        put(f, ",\"name\":\"lanes %" PRIu32 " to %" PRIu32 "\"", e->lane, e->last_lane);
    else
        put(f, ",\"name\":\"%s\"", words[e->at].name);
    begin_arguments(f, e);
    if (e->at == DD_AT_LANE)
        put(f,
            ",\"lane\":%" PRIu32 ",\"last_lane\":%" PRIu32 ",\"lanes\":%" PRIu32
            ",\"tokens\":%" PRIu64,
            e->lane, e->last_lane, e->n_lanes, e->tokens);
    if (e->folds)
        put(f, ",\"folds\":%" PRIu32, e->folds);
    end_arguments(f);
}

static void put_phase(dd_trace_file *f, uint32_t tid, const dd_trace_event *e)
{
    begin_event(f, "X", "phase", tid, e->begin_ns);
    put_duration(f, e);
    put(f, ",\"name\":\"%s\"", e->phase);
    begin_arguments(f, e);
    end_arguments(f);
}

static void put_fold(dd_trace_file *f, uint32_t tid, const dd_trace_event *e)
{
    begin_event(f, "X", "fold", tid, e->begin_ns);
    put_duration(f, e);
    put(f, ",\"name\":\"fold\"");
    begin_arguments(f, e);
    if (e->node != DD_NO_FOLD_NODE)
        put(f, ",\"node\":%" PRIu32, e->node);
    put(f, ",\"left\":%" PRIu32 ",\"right\":%" PRIu32 ",\"folds\":%" PRIu32, e->left, e->right,
        e->folds);
    end_arguments(f);
}

static void put_place(dd_trace_file *f, uint32_t tid, const dd_trace_event *e)
{
    begin_event(f, "i", "membership", tid, e->begin_ns);
    put(f, ",\"s\":\"t\",\"name\":\"%s %s\"",
        e->parked    ? "leaves"
        : e->control ? "is control"
                     : "is worker",
        e->sphere);
    begin_arguments(f, e);
    put(f, ",\"sphere\":\"%s\"", e->sphere);
    end_arguments(f);
}

static void put_request(dd_trace_file *f, const dd_trace_event *e, const dd_step *step)
{
    begin_event(f, "X", "step", ORDERS_TRACK, e->begin_ns);
    put_duration(f, e);
    if (e->step && step && e->status == DD_OK)
        put(f, ",\"name\":\"step %" PRIu64 "\"", step->step);
    else
        put(f, ",\"name\":\"%s\"", e->step ? "step" : step ? "replay" : "validation");
    begin_arguments(f, e);
    put(f, ",\"status\":\"%s\"", dd_status_name(e->status));
    end_arguments(f);
}

static void put_command(dd_trace_file *f, const dd_trace_event *e)
{
    const char *name = dd_command_name(e->command);
    begin_event(f, "X", "command", ORDERS_TRACK, e->begin_ns);
    put_duration(f, e);
    put(f, ",\"name\":\"%s\"",
        e->command == DD_COMMAND_SPAWN       ? "expand"
        : e->command == DD_COMMAND_TERMINATE ? "collapse"
                                             : name);
    begin_arguments(f, e);
    put(f, ",\"command\":\"%s\",\"by\":\"%s\",\"status\":\"%s\"", name,
        e->by_policy ? "policy" : "caller", dd_status_name(e->status));
    if (e->sphere[0])
        put(f, ",\"sphere\":\"%s\"", e->sphere);
    end_arguments(f);
}

/* ---- Taking ---- */

/* Room for the thread's track; the tracks known stay where there is no memory. */
static track *track_of(dd_trace_file *f, uint32_t thread)
{
    if (thread >= f->n_tracks) {
        const uint32_t n = 2 * thread + 16;
        track *grown = realloc(f->track, n * sizeof *grown);
        if (!grown)
            return NULL;
        memset(grown + f->n_tracks, 0, (n - f->n_tracks) * sizeof *grown);
        f->track = grown;
        f->n_tracks = n;
    }
    return &f->track[thread];
}

static void note_place(dd_trace_file *f, uint32_t thread, const dd_trace_event *e)
{
    track *t = track_of(f, thread);
    if (!t)
        return;
    memcpy(t->sphere, e->sphere, sizeof t->sphere);
    t->control = e->control;
    t->parked = e->parked;
    t->known = true;
}

static void put_event(dd_trace_file *f, uint32_t thread, const dd_trace_event *e,
                      const dd_step *step)
{
    const uint32_t tid = thread + FIRST_TRACK;
    switch (e->kind) {
    case DD_TRACE_ACTIVITY:
        put_activity(f, tid, e);
        break;
    case DD_TRACE_PHASE:
        put_phase(f, tid, e);
        break;
    case DD_TRACE_FOLD:
        put_fold(f, tid, e);
        break;
    case DD_TRACE_PLACE:
        note_place(f, thread, e);
        put_place(f, tid, e);
        break;
    case DD_TRACE_REQUEST:
        put_request(f, e, step);
        break;
    case DD_TRACE_COMMAND:
        put_command(f, e);
        break;
    case DD_TRACE_KINDS:
        break;
    }
}

/* The request that the step was, which has not been written yet. */
static void learn_step(dd_trace_file *f, const dd_trace_event *event, uint64_t n,
                       const dd_step *step)
{
    for (uint64_t i = 0; step && i < n; i++) {
        const dd_trace_event *e = &event[i];
        if (e->kind != DD_TRACE_REQUEST || !e->step || e->status != DD_OK)
            continue;
        const uint32_t at = f->n_requests++ % REQUESTS;
        f->request[at].generation = e->generation;
        f->request[at].step = step->step;
    }
}

/* When the first of all threads, Node Zero's, was made: 0 of the file's times. */
static uint64_t earliest(const dd_trace_event *event, uint64_t n)
{
    uint64_t first = n ? event[0].begin_ns : 0;
    for (uint64_t i = 1; i < n; i++)
        first = event[i].begin_ns < first ? event[i].begin_ns : first;
    return first;
}

static void take_thread(dd_trace_file *f, uint32_t thread, const dd_step *step)
{
    uint64_t n, lost, all = 0, all_lost = 0;
    do {
        n = dd_trainer_trace_take(f->trainer, thread, f->event, CHUNK, &lost);
        if (!f->origin_ns)
            f->origin_ns = earliest(f->event, n);
        learn_step(f, f->event, n, step);
        for (uint64_t i = 0; i < n; i++)
            put_event(f, thread, &f->event[i], step);
        all += n;
        all_lost += lost;
    } while (n == CHUNK);
    f->n_lost += all_lost;
    if (all_lost && all + all_lost > f->enough)
        f->enough = all + all_lost;
}

void dd_trace_file_take(dd_trace_file *f, const dd_step *step)
{
    dd_trainer_info info;
    dd_trainer_info_get(f->trainer, &info);
    for (uint32_t thread = 0; thread < info.n_threads; thread++) /* Node Zero knows the request */
        take_thread(f, thread, step);
    const uint64_t now_ns = dd_now_ns();
    if (step) {
        counter(f, "loss", now_ns, step->loss);
        counter(f, "norm", now_ns, step->norm);
    }
    if (info.workers != f->workers)
        counter(f, "workers", now_ns, info.workers);
    f->workers = info.workers;
}

uint64_t dd_trace_file_lost(const dd_trace_file *f, uint64_t *enough)
{
    *enough = f->n_lost ? 1 : 0;
    while (*enough && *enough < f->enough)
        *enough *= 2;
    return f->n_lost;
}

/* ---- Beginning and end ---- */

static void put_name(dd_trace_file *f, const char *what, uint32_t tid, const char *name)
{
    put(f,
        "%s\n{\"ph\":\"M\",\"pid\":%d,\"tid\":%" PRIu32
        ",\"name\":\"%s\",\"args\":{\"name\":\"%s\"}}",
        f->n_events++ ? "," : "", PROCESS, tid, what, name);
}

static void put_sort_index(dd_trace_file *f, uint32_t tid, uint32_t index)
{
    put(f,
        ",\n{\"ph\":\"M\",\"pid\":%d,\"tid\":%" PRIu32
        ",\"name\":\"thread_sort_index\",\"args\":{\"sort_index\":%" PRIu32 "}}",
        PROCESS, tid, index);
}

/* Depth first: a control before its children, parked threads behind all others. */
static uint32_t sort_index(const track *t)
{
    enum { DEEPEST = 3, LEVELS = DEEPEST + 1 };
    dd_place place = {0};
    (void)dd_place_read(t->sphere, &place);
    const uint32_t n = dd_power_of_12(DEEPEST);
    const uint32_t in_order = place.path * dd_power_of_12(DEEPEST - place.level);
    return 2 + (t->parked ? LEVELS * n : 0) + LEVELS * in_order + place.level;
}

static void put_tracks(dd_trace_file *f)
{
    put_name(f, "process_name", ORDERS_TRACK, "dodeca");
    put_name(f, "thread_name", ORDERS_TRACK, "steps and commands");
    put_sort_index(f, ORDERS_TRACK, 0);
    for (uint32_t i = 0; i < f->n_tracks; i++) {
        const track *t = &f->track[i];
        char name[64];
        if (!t->known)
            continue;
        if (i == 0)
            (void)snprintf(name, sizeof name, "Node Zero");
        else
            (void)snprintf(name, sizeof name, "%s %s%s", t->control ? "control" : "worker",
                           t->sphere, t->parked ? " (parked)" : "");
        put_name(f, "thread_name", i + FIRST_TRACK, name);
        put_sort_index(f, i + FIRST_TRACK, i == 0 ? 1 : sort_index(t));
    }
}

/* What a reader should know of the run, as a JSON object. */
static void put_about(dd_trace_file *f)
{
    dd_trainer_info info;
    dd_trainer_info_get(f->trainer, &info);
    json_t *about =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I}", "program", "dodeca", "version",
                  dd_build.version, "commit", dd_build.commit, "compiler", dd_build.compiler, "run",
                  f->what, "workers", (json_int_t)info.workers, "lanes",
                  (json_int_t)info.non_empty_lanes, "lost_events", (json_int_t)f->n_lost);
    if (!about || json_dumpf(about, f->out, JSON_COMPACT) != 0)
        put(f, "{\"lost_events\":%" PRIu64 "}", f->n_lost);
    json_decref(about);
}

static ssize_t write_on(void *user, const char *text, size_t n)
{
    dd_trace_file *f = user;
    if (f->failure.message[0] ||
        dd_whole_file_write(f->file, f->offset, text, n, &f->failure) != DD_OK) {
        errno = EIO; /* what it was is in the failure's words */
        return 0;
    }
    f->offset += n;
    return (ssize_t)n;
}

static dd_status open_file(dd_trace_file *f, dd_error *error)
{
    struct stat there;
    dd_error why = {""};
    if (lstat(f->path, &there) == 0)
        return dd_error_set(error, DD_ERR_DATA,
                            "trace %.300s: there is such a file, and none is overwritten", f->path);
    if (dd_whole_file_create(f->path, &f->file, &why) != DD_OK)
        return dd_error_set(error, DD_ERR_DATA, "trace %.400s", why.message);
    f->out = fopencookie(f, "w", (cookie_io_functions_t){.write = write_on});
    return f->out ? DD_OK
                  : dd_error_set(error, DD_ERR_MEMORY, "trace %.300s: out of memory", f->path);
}

dd_status dd_trace_file_open(const char *path, const char *what, dd_trainer *trainer,
                             dd_trace_file **out, dd_error *error)
{
    dd_status st = DD_ERR_MEMORY;
    dd_trace_file *f = calloc(1, sizeof *f);
    if (!f || !(f->path = strdup(path)) || !(f->what = strdup(what)))
        (void)dd_error_set(error, st, "out of memory for the trace");
    else
        st = open_file(f, error);
    if (st != DD_OK) {
        dd_trace_file_abandon(f);
        return st;
    }
    f->trainer = trainer;
    put(f, "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[");
    *out = f;
    return DD_OK;
}

void dd_trace_file_abandon(dd_trace_file *f)
{
    if (!f)
        return;
    if (f->out)
        (void)fclose(f->out);
    dd_whole_file_abandon(f->file);
    free(f->track);
    free(f->what);
    free(f->path);
    free(f);
}

void dd_trace_file_forget(const char *path)
{
    dd_whole_file *file;
    if (dd_whole_file_create(path, &file, NULL) == DD_OK)
        dd_whole_file_abandon(file);
}

dd_status dd_trace_file_close(dd_trace_file *f, dd_error *error)
{
    struct stat there;
    dd_error why = {""};
    put_tracks(f);
    put(f, "\n],\"otherData\":");
    put_about(f);
    put(f, "}\n");
    const bool failed = ferror(f->out), closed = fclose(f->out) == 0;
    dd_status st = DD_OK;
    f->out = NULL;
    if (failed || !closed)
        st = dd_error_set(error, DD_ERR_DATA, "trace %.400s",
                          f->failure.message[0] ? f->failure.message : "cannot be written");
    else if (lstat(f->path, &there) == 0)
        st = dd_error_set(error, DD_ERR_DATA,
                          "trace %.300s: there is such a file by now, and none is overwritten",
                          f->path);
    if (st == DD_OK) {
        if (dd_whole_file_commit(f->file, 1, &why) != DD_OK)
            st = dd_error_set(error, DD_ERR_DATA, "trace %.400s", why.message);
        f->file = NULL; /* released in any case */
    }
    dd_trace_file_abandon(f);
    return st;
}
