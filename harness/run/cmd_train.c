/* SPDX-License-Identifier: MIT
 * `dodeca train`: one run of a subject, with the settings given as options. Owns the options, the
 * loop and Ctrl-C; every setting's meaning is in settings.c, the words are in train_tell.c. Checks
 * nothing: that is what `run` is for. */
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cell_body.h"
#include "commands.h"
#include "fault.h"
#include "hash.h"
#include "options.h"
#include "platform.h"
#include "train.h"
#include "weights_file.h"

enum {
    OPTION_SERIAL = DD_OPTION_OWN,
    OPTION_NO_PIN,
    OPTION_PRINT_HASH,
    OPTION_JSON,
    OPTION_STOP_AFTER,
    OPTION_RECORD,
    OPTION_DUMP_WEIGHTS,
    OPTION_STATUS_EVERY,
    OPTION_PROFILE,
    OPTION_TRACE,
    OPTION_TRACE_EVENTS,
    OPTION_VALIDATE
};

/* ---- Ctrl-C ---- */

static _Atomic(dd_trainer *) cancellable; /* set between open and close */
static atomic_int interrupted;            /* the signal, 0: none */

/* The first signal asks for an end at the last whole step, the second leaves at once. */
static void on_signal(int number)
{
    if (atomic_exchange(&interrupted, number) != 0)
        _exit(128 + number);
    dd_trainer *trainer = atomic_load(&cancellable);
    if (trainer)
        dd_trainer_cancel(trainer);
}

static void watch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

/* ---- The subject ---- */

static dd_status open_subject(dd_train *t, dd_error *error)
{
    const dd_settings *s = &t->settings;
    dd_status st = t->subject->open(&s->config, t->data, &t->self, error);
    if (st != DD_OK || !t->subject->spheres)
        return st;
    t->trainer = t->self;
    if (s->config.guard)
        dd_fault_watch(t->trainer, STDERR_FILENO);
    atomic_store(&cancellable, t->trainer);
    if (atomic_load(&interrupted)) /* it came while the trainer was being opened */
        dd_trainer_cancel(t->trainer);
    return DD_OK;
}

static dd_status open_all(dd_train *t, dd_error *error)
{
    const dd_settings *s = &t->settings;
    char note[DD_MESSAGE_MAX];
    dd_status st = dd_settings_open_data(s, &t->data, t->used, note, error);
    if (st != DD_OK)
        return st;
    if (note[0])
        fprintf(stderr, "dodeca train: %s\n", note);
    if (t->subject->spheres && s->timetable[0] &&
        !dd_timetable_of(s, &t->timetable, error->message))
        return DD_ERR_ARGUMENT;
    if (s->config.profile && (st = dd_train_profile_open(&s->config, &t->profile, error)) != DD_OK)
        return st;
    if ((st = open_subject(t, error)) != DD_OK)
        return st;
    char message[DD_MESSAGE_MAX];
    if (t->dump_path && (t->dump = dd_weights_file_create(t->dump_path, message)) < 0) {
        (void)snprintf(error->message, sizeof error->message, "dump-weights %.400s", message);
        return DD_ERR_DATA;
    }
    if (t->record_path && (st = dd_recorder_open(t->record_path, s, t->subject, t->self, t->data,
                                                 t->used, &t->record, error)) != DD_OK)
        return st;
    if (t->trace_path &&
        (st = dd_trace_file_open(t->trace_path, s->model, t->trainer, &t->trace, error)) != DD_OK)
        return st;
    if (t->status_every && (st = dd_health_open(t->subject, t->self, &t->health)) != DD_OK) {
        strcpy(error->message, "out of memory");
        return st;
    }
    return dd_hogs_open(s->hog, &t->hogs, error);
}

static void close_all(dd_train *t)
{
    dd_hogs_close(t->hogs);
    dd_recorder_close(t->record);
    (void)dd_trace_file_close(t->trace, NULL);
    if (t->dump >= 0) { /* nothing came to be written */
        close(t->dump);
        (void)unlink(t->dump_path);
    }
    dd_health_close(t->health);
    atomic_store(&cancellable, NULL);
    if (t->trainer && t->settings.config.guard)
        dd_fault_watch(NULL, STDERR_FILENO);
    if (t->self)
        t->subject->close(t->self);
    dd_timetable_close(t->timetable);
    dd_data_close(t->data);
}

static void hash_weights(const dd_train *t, char text[33])
{
    uint64_t n = 0;
    uint8_t hash[16];
    const float *weights = t->subject->weights(t->self, &n);
    dd_hash128(weights, n * sizeof *weights, hash);
    dd_hash_text(hash, text);
}

static int exit_code(dd_status status)
{
    switch (status) {
    case DD_OK:
        return DD_EXIT_HELD;
    case DD_ERR_ARGUMENT:
    case DD_ERR_DATA:
        return DD_EXIT_USAGE;
    case DD_ERR_MEMORY:
    case DD_ERR_THREAD:
    case DD_ERR_CPU:
        return DD_EXIT_ENVIRONMENT;
    case DD_ERR_FP_ENV:
    case DD_ERR_NONFINITE:
    case DD_ERR_STOPPED:
    case DD_ERR_REFUSED:
        return DD_EXIT_FAILED;
    case DD_ERR_CANCELLED:
        return DD_EXIT_INTERRUPTED;
    }
    return DD_EXIT_FAILED;
}

/* ---- The run ---- */

/* What the timetable has for before this step. */
static dd_status carry_out(dd_train *t, dd_error *error)
{
    if (!t->timetable)
        return DD_OK;
    uint64_t before = t->timetable->next, begin = dd_now_ns();
    dd_status st = dd_timetable_carry_out(t->timetable, t->trainer, t->done, error);
    if (t->timetable->next != before)
        t->command_ns += dd_now_ns() - begin;
    t->commands += t->timetable->next - before;
    return st;
}

static dd_status train_step(dd_train *t, dd_error *error)
{
    dd_step step;
    dd_status st = carry_out(t, error);
    if (st == DD_OK && !t->trainer && atomic_load(&interrupted))
        st = DD_ERR_CANCELLED; /* a trainer is told by its cancel */
    if (st == DD_OK)
        st = t->subject->step(t->self, &step, error);
    if (st != DD_OK)
        return st;
    t->last = step;
    if (++t->done == 1)
        dd_train_unpinned(t);
    t->step_ns += step.wall_ns;
    if (t->settings.config.profile)
        dd_train_profile_look(&t->profile, t->trainer, t->done);
    if (t->trace)
        dd_trace_file_take(t->trace, &step);
    t->discarded += step.discarded;
    if (step.discarded)
        dd_train_discarded(t, &step);
    dd_train_change_failed(t);
    if (t->json)
        dd_train_json_step(&step);
    if (t->record) {
        uint64_t n;
        st = dd_recorder_step(t->record, &step, t->subject->weights(t->self, &n), error);
        t->unwritten = st != DD_OK;
        if (st != DD_OK)
            return st;
    }
    dd_train_progress(t);
    if (t->health) {
        uint64_t now = dd_now_ns();
        dd_health_look(t->health, now);
        if (t->done % t->status_every == 0)
            dd_train_status(t, now);
    }
    return DD_OK;
}

static dd_status validate(dd_train *t, dd_error *error)
{
    if (!t->subject->validate) {
        (void)snprintf(t->why_not, sizeof t->why_not, "subject %s has none", t->subject->name);
        return DD_OK;
    }
    if (!t->json)
        fprintf(stderr, "validation: at most %u batches\n", t->validation_batches);
    dd_error why = {""};
    dd_status st = t->subject->validate(t->self, t->validation_batches, &t->validation, &why);
    t->validated = st == DD_OK;
    if (st == DD_ERR_DATA) { /* too short a text has none: no failure of the training */
        (void)snprintf(t->why_not, sizeof t->why_not, "%s", why.message);
        return DD_OK;
    }
    if (st != DD_OK)
        *error = why;
    return st;
}

/* Weights, two moments and one gradient are the least that training holds. Linux grants memory it
 * does not have and ends the process when it is touched: better to say so before. */
static bool fits_memory(const dd_train *t)
{
    double least = 16 * (double)dd_shape_n_parameters(&t->settings.config.shape);
    double machine = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    if (!(least > machine))
        return true;
    fprintf(
        stderr,
        "dodeca train: model %s needs at least %.1f GiB of memory, this machine has %.1f; take a "
        "smaller model\n",
        t->settings.model, least / 0x1p30, machine / 0x1p30);
    return false;
}

/* returns  false: the trace could not be written */
static bool end_trace(dd_train *t)
{
    uint64_t enough;
    dd_error error = {""};
    if (!t->trace)
        return true;
    dd_trace_file_take(t->trace, NULL);
    const uint64_t lost = dd_trace_file_lost(t->trace, &enough);
    if (lost)
        fprintf(stderr,
                "dodeca train: trace: %" PRIu64 " events found no room and are left out; "
                "--trace-events %" PRIu64 " has room for all\n",
                lost, enough);
    const dd_status st = dd_trace_file_close(t->trace, &error);
    t->trace = NULL;
    if (st != DD_OK)
        fprintf(stderr, "dodeca train: %s\n", error.message);
    return st == DD_OK;
}

/* What is written at the end.  returns  the exit code: `code`, or that of a file not written */
static int write_files(dd_train *t, dd_status status, int code)
{
    uint64_t n;
    dd_error error = {""};
    bool written = true;
    if (t->record && !t->unwritten)
        written = dd_recorder_end(t->record, status, t->done, &error) == DD_OK;
    if (!written)
        fprintf(stderr, "dodeca train: %s\n", error.message);
    if (t->dump >= 0 &&
        !dd_weights_file_write(t->dump, t->dump_path, &t->settings.config.shape, t->done,
                               t->subject->weights(t->self, &n), error.message)) {
        fprintf(stderr, "dodeca train: dump-weights %s\n", error.message);
        written = false;
    }
    t->dump = -1;
    return end_trace(t) && written && !t->unwritten ? code : DD_EXIT_ENVIRONMENT;
}

static int train(dd_train *t)
{
    if (!fits_memory(t))
        return DD_EXIT_ENVIRONMENT;
    char hash[33];
    dd_error error = {""};
    dd_status st = open_all(t, &error);
    if (st != DD_OK) {
        fprintf(stderr, "dodeca train: %s\n", error.message);
        close_all(t);
        return exit_code(st);
    }
    dd_train_describe(t);
    if (t->settings.config.profile)
        dd_train_profile_look(&t->profile, t->trainer, 0);
    while (st == DD_OK && t->done < dd_train_last(t))
        st = train_step(t, &error);
    dd_train_close_line(t);
    if (st == DD_OK && t->validation_batches)
        st = validate(t, &error);
    int code = exit_code(st);
    if (st == DD_ERR_CANCELLED) {
        int number = atomic_load(&interrupted);
        fprintf(stderr,
                "dodeca train: stopped by %s; the weights are those after %" PRIu64 " steps\n",
                number == SIGTERM ? "SIGTERM" : "Ctrl-C", t->done);
        code = 128 + (number ? number : SIGINT);
    } else if (st != DD_OK) {
        fprintf(stderr, "dodeca train: %s\n", error.message); /* names the step */
    }
    code = write_files(t, st, code);
    hash_weights(t, hash);
    if (t->json)
        dd_train_json_end(t, st, hash);
    else
        dd_train_end(t);
    if (t->print_hash && !t->json)
        printf("weights-hash: %s\n", hash);
    close_all(t);
    return code;
}

/* ---- Options ---- */

/* Own options that stand for a setting's value. */
static void set(dd_train *t, const char *key, const char *value)
{
    char message[DD_MESSAGE_MAX];
    (void)dd_settings_set(&t->settings, key, value, message);
}

static void finish(dd_train *t, struct argp_state *state)
{
    char message[DD_MESSAGE_MAX];
    if (!dd_settings_finish(&t->settings, message))
        argp_failure(state, DD_EXIT_USAGE, 0, "--%s", message);
    if (t->stop_after != DD_TRAIN_TO_THE_END && t->stop_after > t->settings.steps)
        argp_failure(state, DD_EXIT_USAGE, 0,
                     "--stop-after %" PRIu64 ": there are %" PRIu64 " steps", t->stop_after,
                     t->settings.steps);
    t->subject = dd_subject_get(t->settings.subject, DD_PLANT_NONE);
    if (t->status_every && !t->subject->thread)
        argp_failure(state, DD_EXIT_USAGE, 0,
                     "--status-every: subject %s has no threads to tell of", t->subject->name);
    if (t->trace_path && !t->subject->spheres)
        argp_failure(state, DD_EXIT_USAGE, 0, "--trace: subject %s does not tell what it did when",
                     t->subject->name);
    if (t->trace_events && !t->trace_path)
        argp_failure(state, DD_EXIT_USAGE, 0, "--trace-events: of what trace? --trace FILE");
    if (t->trace_path)
        t->settings.config.trace = t->trace_events ? t->trace_events : DD_TRACE_ROOM;
    if (t->settings.config.profile && !t->subject->spheres)
        argp_failure(state, DD_EXIT_USAGE, 0, "--profile: subject %s does not measure its phases",
                     t->subject->name);
    if (t->settings.config.profile &&
        (t->settings.timetable[0] || t->settings.config.depth == DD_DEPTH_AUTO))
        argp_failure(state, DD_EXIT_USAGE, 0,
                     "--profile: shares are of one number of workers; leave out --timetable, and "
                     "give a number as --depth");
}

static error_t parse(int id, char *argument, struct argp_state *state)
{
    dd_train *t = state->input;
    if (dd_option_key(id)) {
        dd_option_set(&t->settings, id, argument, state);
        t->given |= UINT64_C(1) << (id - DD_OPTION_KEY);
        return 0;
    }
    switch (id) {
    case OPTION_SERIAL:
        set(t, "subject", "oracle");
        return 0;
    case OPTION_NO_PIN:
        set(t, "pin", "false");
        return 0;
    case OPTION_PRINT_HASH:
        t->print_hash = true;
        return 0;
    case OPTION_JSON:
        t->json = true;
        return 0;
    case OPTION_STOP_AFTER:
        t->stop_after = dd_option_number("stop-after", argument, 0, INT64_MAX, state);
        return 0;
    case OPTION_RECORD:
        t->record_path = argument;
        return 0;
    case OPTION_DUMP_WEIGHTS:
        t->dump_path = argument;
        return 0;
    case OPTION_STATUS_EVERY:
        t->status_every = dd_option_number("status-every", argument, 1, UINT64_MAX, state);
        return 0;
    case OPTION_PROFILE:
        t->settings.config.profile = true;
        return 0;
    case OPTION_TRACE:
        t->trace_path = argument;
        return 0;
    case OPTION_TRACE_EVENTS:
        t->trace_events =
            (uint32_t)dd_option_number("trace-events", argument, 1, DD_TRACE_ROOM_MAX, state);
        return 0;
    case OPTION_VALIDATE:
        t->validation_batches =
            (uint32_t)dd_option_number("validate", argument, 0, UINT32_MAX, state);
        return 0;
    case ARGP_KEY_ARG:
        argp_failure(state, DD_EXIT_USAGE, 0,
                     "\"%s\": there are only options, such as --data %s; see --help", argument,
                     argument);
        return 0;
    case ARGP_KEY_END:
        finish(t, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int dd_cmd_train(int argc, char **argv)
{
    static dd_options options;
    dd_options_add_settings(&options, NULL);
    dd_options_add(&options, "serial", OPTION_SERIAL, NULL, "short for --subject oracle");
    dd_options_add(&options, "no-pin", OPTION_NO_PIN, NULL, "takes an earlier --pin back");
    dd_options_add(&options, "stop-after", OPTION_STOP_AFTER, "N",
                   "end when N of the --steps are done; 0: before the first");
    dd_options_add(&options, "record", OPTION_RECORD, "FILE",
                   "write settings, and after each step loss, norm and hashes of all weights and "
                   "of each tensor, to FILE, which must not exist: for `dodeca diff'");
    dd_options_add(&options, "dump-weights", OPTION_DUMP_WEIGHTS, "FILE",
                   "at the end all weights to FILE, which must not exist: a head of 64 bytes, then "
                   "32-bit floats in canonical order");
    dd_options_add(&options, "status-every", OPTION_STATUS_EVERY, "N",
                   "after every N steps a table of all spheres: who did what, who waits where");
    dd_options_add(&options, "profile", OPTION_PROFILE, NULL,
                   "at the end: where the time went, and how near each phase came to its limit");
    dd_options_add(
        &options, "trace", OPTION_TRACE, "FILE",
        "write what every thread did when to FILE, which must not exist, as a timeline "
        "for https://ui.perfetto.dev or chrome://tracing; with --profile phases of lanes "
        "too");
    dd_options_add(
        &options, "trace-events", OPTION_TRACE_EVENTS, "N",
        "room for so many events of each thread in a step, 40 bytes each (default 8192)");
    dd_options_add(&options, "validate", OPTION_VALIDATE, "N",
                   "validation batches at the end (default 20)");
    dd_options_add(&options, "print-hash", OPTION_PRINT_HASH, NULL,
                   "end stdout with `weights-hash: HEX'");
    dd_options_add(&options, "json", OPTION_JSON, NULL,
                   "one JSON object per step, then one for the whole, hash included");
    const struct argp argp = {
        .options = options.option,
        .parser = parse,
        .doc = "Train a model, with the settings given as options.\v"
               "Examples:\n"
               "  dodeca train --data kjv --data-else builtin --steps 100\n"
               "  dodeca train --data bytes:book.txt --model micro,T=64 --workers 4\n"
               "  dodeca train --steps 20 --workers 2 --print-hash\n"
               "  dodeca train --steps 20 --serial --print-hash       the same hash\n"
               "\n"
               "More than 12 workers stand on two levels of spheres or three, and need lanes:\n"
               "  dodeca train --batch 144 --lane-depth 2 --depth 2 --workers 144\n"
               "Spheres that come and go while it trains, by policy or by timetable:\n"
               "  dodeca train --depth auto\n"
               "  dodeca train --workers 4 --timetable '5 spawn 0 4; 12 terminate 0'\n"
               "  dodeca train --workers 4 --timetable 'random 50 in 100 seed 7'\n"
               "A slow core, and neighbours that help out:\n"
               "  dodeca train --workers 2 --pin --hog 1 --steal\n"
               "Where the time goes:\n"
               "  dodeca train --model micro --profile\n"
               "What every thread did when, as a timeline:\n"
               "  dodeca train --steps 20 --workers 4 --trace trace.json\n"
               "Two runs that ought to be one, and where they part:\n"
               "  dodeca train --record a.jsonl --workers 1\n"
               "  dodeca train --record b.jsonl --workers 4\n"
               "  dodeca diff a.jsonl b.jsonl\n"
               "Rights to write enforced, so that a stray write is caught and named:\n"
               "  dodeca train --guard\n"
               "\n"
               "The weights depend on what is trained (model, data, seed, batch, seq, lane-depth, "
               "optimiser, steps) and never on how (workers, depth, timetable, simd, barrier, "
               "reduce, steal). Ctrl-C ends the run with the weights of the last whole step; a "
               "second Ctrl-C ends it at once.\n"
               "\n"
               "Steps are numbered from 0, in timetables, messages and JSON alike: --steps 100 are "
               "steps 0 to 99. \"20 of 100 steps\" says how many are done.",
    };
    dd_train t = {.validation_batches = 20,
                  .stop_after = DD_TRAIN_TO_THE_END,
                  .dump = -1,
                  .validation = (double)NAN,
                  .terminal = isatty(STDERR_FILENO) == 1};
    dd_settings_default(&t.settings);
    if (argp_parse(&argp, argc, argv, 0, NULL, &t) != 0)
        return DD_EXIT_USAGE;
    watch_signals();
    return train(&t);
}
