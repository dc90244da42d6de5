/* SPDX-License-Identifier: MIT
 * One loop for all subjects. Reports what happened; judges nothing. */
#include "cell_body.h"
#include "cell_child.h"
#include "fault.h"
#include "hash.h"
#include "hog.h"
#include "storm.h"
#include "subject.h"
#include "timetable.h"
#include "trace_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A run on its way; close_run accepts one that is half open. */
typedef struct run {
    const dd_settings *settings;
    const dd_subject_api *subject;
    dd_child *child;
    dd_data *data;
    void *self;
    dd_timetable *timetable; /* NULL: no changes */
    dd_storm *storm;         /* NULL: no commands from beside */
    dd_hogs *hogs;
    dd_trace_file *trace; /* NULL: none */
    dd_run_end end;
} run;

void dd_hash_text(const uint8_t hash[16], char text[33])
{
    for (int i = 0; i < 16; i++)
        snprintf(text + 2 * (size_t)i, 3, "%02x", hash[i]);
}

static dd_status open_data(run *r, dd_error *error)
{
    dd_data_info info;
    char used[DD_SPEC_MAX] = "", note[DD_MESSAGE_MAX] = "";
    dd_status st = dd_settings_open_data(r->settings, &r->data, used, note, error);
    if (st != DD_OK)
        return st;
    dd_data_info_get(r->data, &info);
    snprintf(r->end.data, sizeof r->end.data, "%s", used);
    snprintf(r->end.data_note, sizeof r->end.data_note, "%s", note);
    dd_hash_text(info.hash, r->end.data_hash);
    r->end.data_tokens = info.n_tokens;
    r->end.floor_nats = info.floor_nats;
    return DD_OK;
}

/* A planted stray write is caught by protection keys alone: without them there is nothing to see.
 */
static dd_status check_plant(const run *r, dd_error *error)
{
    if (r->settings->plant == DD_PLANT_NONE)
        return DD_OK;
    dd_trainer_info info;
    r->subject->describe(r->self, &info);
    if (info.guard_keys)
        return DD_OK;
    snprintf(error->message, sizeof error->message,
             "plant stray-write: only protection keys catch it, and there are none: %s",
             info.guard_why);
    return DD_ERR_CPU;
}

/* Where it is to be written; NULL: nowhere, or there is nothing to write. */
static const char *trace_path(const run *r)
{
    return r->subject->spheres ? dd_child_trace(r->child) : NULL;
}

static dd_status open_run(run *r, dd_error *error)
{
    const dd_settings *s = r->settings;
    dd_child_phase(r->child, DD_PHASE_DATA);
    dd_status st = open_data(r, error);
    if (st != DD_OK)
        return st;
    dd_child_phase(r->child, DD_PHASE_OPEN);
    if (r->subject->spheres && s->timetable[0] &&
        !dd_timetable_of(s, &r->timetable, error->message))
        return DD_ERR_ARGUMENT;
    dd_config config = s->config;
    config.trace = trace_path(r) ? DD_TRACE_ROOM : 0;
    if ((st = r->subject->open(&config, r->data, &r->self, error)) != DD_OK)
        return st;
    if (trace_path(r) &&
        (st = dd_trace_file_open(trace_path(r), s->model, r->self, &r->trace, error)) != DD_OK)
        return st;
    if (r->subject->spheres && s->config.guard)
        dd_fault_watch(r->self, -1);
    if ((st = check_plant(r, error)) != DD_OK)
        return st;
    if (r->subject->spheres && s->storm[0] &&
        (st = dd_storm_open(s->storm, s->steps, r->self, &r->storm, error)) != DD_OK)
        return st;
    return dd_hogs_open(s->hog, &r->hogs, error);
}

/* Where the time goes: seen in some steps more, which are nobody's result, so that no step that is
 * timed reads a clock for it. Runs that are disturbed on purpose, or change their workers, have
 * none. */
static void look_where_time_goes(run *r)
{
    const dd_settings *s = r->settings;
    const uint64_t tenth = (s->steps + 9) / 10;
    const uint32_t steps = tenth > 8 ? 8 : (uint32_t)tenth;
    if (!r->subject->spheres || !s->steps || s->perturb || s->plant != DD_PLANT_NONE)
        return;
    if (dd_trainer_step(r->self, NULL, NULL) != DD_OK) /* threads have waited for it for long */
        return;
    dd_trainer_profile_set(r->self, true);
    const dd_spent before = dd_spent_now(r->self);
    for (uint32_t i = 0; i < steps; i++)
        if (dd_trainer_step(r->self, NULL, NULL) != DD_OK)
            return;
    const dd_spent after = dd_spent_now(r->self);
    if (after.n_changes != before.n_changes)
        return;
    r->end.time_steps = steps;
    r->end.time = dd_spent_between(&before, &after);
}

/* Also the threads' part of the end's record, which close would take away. */
static dd_status describe(run *r)
{
    dd_run_end *end = &r->end;
    uint8_t hash[16];
    uint64_t n;
    const float *weights = r->subject->weights(r->self, &n);
    dd_hash128(weights, n * sizeof *weights, hash);
    dd_hash_text(hash, end->hash);
    r->subject->describe(r->self, &end->info);
    snprintf(end->kernels, sizeof end->kernels, "%s", end->info.kernels);
    snprintf(end->guard_why, sizeof end->guard_why, "%s",
             end->info.guard_why ? end->info.guard_why : "");
    if (!r->subject->thread)
        end->info.n_threads = 0;
    if (!end->info.n_threads)
        return DD_OK;
    end->sphere = calloc(end->info.n_threads, sizeof *end->sphere);
    if (!end->sphere)
        return DD_ERR_MEMORY;
    for (uint32_t i = 0; i < end->info.n_threads; i++)
        (void)r->subject->thread(r->self, i, true, &end->sphere[i]);
    return DD_OK;
}

static void close_run(run *r)
{
    (void)dd_storm_close(r->storm, NULL, NULL);
    dd_hogs_close(r->hogs);
    dd_fault_watch(NULL, -1);
    dd_trace_file_abandon(r->trace);
    if (r->self)
        r->subject->close(r->self);
    dd_timetable_close(r->timetable);
    dd_data_close(r->data);
}

/* Whether the machine lacks what a step needs, which is no fault of the trainer's. */
static bool is_lack(dd_status st)
{
    return st == DD_ERR_MEMORY || st == DD_ERR_THREAD || st == DD_ERR_CPU;
}

static dd_status train_steps(run *r, dd_error *error)
{
    dd_status st = DD_OK;
    for (uint64_t i = 0; i < r->settings->steps && st == DD_OK; i++) {
        dd_step step;
        if (r->timetable)
            st = dd_timetable_carry_out(r->timetable, r->self, i, error);
        if (r->storm)
            dd_storm_begin(r->storm, i);
        if (st == DD_OK)
            do
                st = r->subject->step(r->self, &step, error);
            while (r->storm && dd_storm_again(r->storm, st));
        if (st == DD_OK)
            dd_child_step(r->child, &step);
        if (st == DD_OK && r->trace && !r->storm) /* with one, somebody may give a command now */
            dd_trace_file_take(r->trace, &step);
    }
    dd_status of_storm = dd_storm_close(r->storm, &r->end.storm, st == DD_OK ? error : NULL);
    r->storm = NULL;
    return st == DD_OK ? of_storm : st;
}

static dd_status end_trace(run *r, dd_error *error)
{
    uint64_t enough;
    if (!r->trace)
        return DD_OK;
    dd_trace_file_take(r->trace, NULL);
    const uint64_t lost = dd_trace_file_lost(r->trace, &enough);
    if (lost)
        printf("trace: %llu events found no room and are left out\n", (unsigned long long)lost);
    const dd_status st = dd_trace_file_close(r->trace, error);
    r->trace = NULL;
    return st;
}

static void train(const dd_settings *s, dd_child *child, const dd_subject_api *subject)
{
    run r = {.settings = s, .subject = subject, .child = child};
    dd_error error = {{0}};
    dd_status st = open_run(&r, &error);
    if (st != DD_OK)
        goto refused;

    dd_child_phase(child, subject->heartbeat ? DD_PHASE_STEP : DD_PHASE_SERIAL);
    dd_child_watch(child, subject->heartbeat, subject->thread, r.self);
    r.end.status = train_steps(&r, &error);
    if (r.end.status != DD_OK)
        snprintf(r.end.message, sizeof r.end.message, "%s", error.message); /* names the step */
    st = is_lack(r.end.status) ? r.end.status : describe(&r);
    if (st == DD_OK)
        st = end_trace(&r, &error);
    if (st == DD_OK && r.end.status == DD_OK)
        look_where_time_goes(&r);
    dd_child_watch(child, NULL, NULL, NULL);
    dd_child_phase(child, DD_PHASE_CLOSE);
    if (st != DD_OK)
        goto refused;
    close_run(&r);
    dd_child_end(child, &r.end);
    free(r.end.sphere);
    return;

refused:
    close_run(&r);
    free(r.end.sphere);
    dd_child_refuse(child, st, error.message);
}

void dd_cell_body_train(const dd_settings *settings, dd_child *child)
{
    if (settings->subject == DD_SUBJECT_PLUGIN)
        dd_cell_body_plugin(settings, child);
    else
        train(settings, child, dd_subject_get(settings->subject, settings->plant));
}

void dd_cell_body_serial(const dd_settings *settings, dd_child *child)
{
    train(settings, child, dd_subject_get(DD_SUBJECT_ORACLE, DD_PLANT_NONE));
}
