/* SPDX-License-Identifier: MIT
 * `dodeca train`: one run of a subject, with the settings given as options. Owns what is open, the
 * loop and Ctrl-C; options are in train_options.c, words in train_tell.c. Checks nothing: that is
 * what `run` is for. */
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
#include "platform.h"
#include "text.h"
#include "train.h"
#include "weights_file.h"

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

/* That the end has no validation is told there; one that was asked for is worth a refusal before.
 */
static dd_status can_validate(const dd_train *t, dd_error *error)
{
    const dd_config *c = &t->settings.config;
    dd_data_split split;
    const dd_status st = dd_data_split_get(t->data, c->seq, c->batch, &split, error);
    if (st != DD_OK || split.validation_windows >= c->batch)
        return st;
    (void)snprintf(error->message, sizeof error->message,
                   "validate-every %" PRIu64 ": data %.200s holds out %" PRIu64
                   " windows of %u tokens, too few for a batch of %u; take a longer text, or a "
                   "smaller batch or seq",
                   t->validate_every, t->used, split.validation_windows, c->seq, c->batch);
    return DD_ERR_DATA;
}

static dd_status open_all(dd_train *t, dd_error *error)
{
    const dd_settings *s = &t->settings;
    char note[DD_MESSAGE_MAX];
    dd_status st = dd_settings_open_data(s, &t->data, t->used, note, error);
    if (st == DD_ERR_DATA && t->save.names_data)
        dd_text_append(error->message, "; so %.200s names it: --data says where it is now",
                       t->save.from);
    if (st != DD_OK)
        return st;
    if (note[0])
        fprintf(stderr, "dodeca train: %s\n", note);
    if (t->validate_every && (st = can_validate(t, error)) != DD_OK)
        return st;
    if (t->subject->spheres && s->timetable[0] &&
        !dd_timetable_of(s, &t->timetable, error->message))
        return DD_ERR_ARGUMENT;
    if (s->config.profile && (st = dd_train_profile_open(&s->config, &t->profile, error)) != DD_OK)
        return st;
    if ((st = open_subject(t, error)) != DD_OK || (st = dd_train_load(t, error)) != DD_OK ||
        (st = dd_train_save_check(t, error)) != DD_OK)
        return st;
    char message[DD_MESSAGE_MAX];
    if (t->dump_path && (t->dump = dd_weights_file_create(t->dump_path, message)) < 0) {
        (void)snprintf(error->message, sizeof error->message, "dump-weights %.400s", message);
        return DD_ERR_DATA;
    }
    if (t->record_path && (st = dd_recorder_open(t->record_path, s, t->subject, t->self, t->data,
                                                 t->used, t->began, &t->record, error)) != DD_OK)
        return st;
    if (t->trace_path &&
        (st = dd_trace_file_open(t->trace_path, s->model, t->trainer, &t->trace, error)) != DD_OK)
        return st;
    if (t->status_every && (st = dd_health_open(t->subject, t->self, &t->health)) != DD_OK) {
        strcpy(error->message, "out of memory");
        return st;
    }
    if ((st = dd_hogs_open(s->hog, &t->hogs, error)) != DD_OK || !t->log_path)
        return st;
    const bool resumed = t->save.load && !t->save.weights;
    return dd_train_log_open(t->log_path, resumed, dd_train_json_head(t), &t->log, error);
}

static void close_all(dd_train *t)
{
    dd_hogs_close(t->hogs);
    dd_recorder_close(t->record);
    dd_train_log_close(t->log);
    dd_trace_file_abandon(t->trace);
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

bool dd_train_hopeless(dd_train *t, bool discarded)
{
    t->discarded_in_row = discarded ? t->discarded_in_row + 1 : 0;
    return t->nan_patience && t->discarded_in_row >= t->nan_patience;
}

static dd_status give_up(const dd_train *t, dd_error *error)
{
    (void)snprintf(error->message, sizeof error->message,
                   "step %" PRIu64 ": the last %" PRIu64
                   " steps were not finite, and as many in a row end the run (--nan-patience); "
                   "take a lower learning rate or a longer warm-up",
                   t->last.step, t->nan_patience);
    return DD_ERR_NONFINITE;
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
    if (++t->done == t->began + 1)
        dd_train_unpinned(t);
    t->step_ns += step.wall_ns;
    const uint64_t n = t->done - t->began;
    t->recent_ns += ((double)step.wall_ns - t->recent_ns) / (double)(n < 20 ? n : 20);
    if (t->settings.config.profile)
        dd_train_profile_look(&t->profile, t->trainer, t->done);
    if (t->trace)
        dd_trace_file_take(t->trace, &step);
    t->discarded += step.discarded;
    if (step.discarded)
        dd_train_discarded(t, &step);
    dd_train_change_failed(t);
    dd_train_json_step(t, &step);
    if (t->record) {
        uint64_t n_weights;
        st = dd_recorder_step(t->record, &step, t->subject->weights(t->self, &n_weights), error);
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
    return dd_train_hopeless(t, step.discarded) ? give_up(t, error) : DD_OK;
}

static dd_status validate(dd_train *t, dd_error *error)
{
    if (!t->subject->validate) {
        (void)snprintf(t->why_not, sizeof t->why_not, "subject %s has none", t->subject->name);
        return DD_OK;
    }
    dd_error why = {""};
    const uint64_t begin = dd_now_ns();
    const dd_status st = t->subject->validate(t->self, t->validation_batches, &t->validation, &why);
    if (st == DD_ERR_DATA) { /* too short a text has none: no failure of the training */
        (void)snprintf(t->why_not, sizeof t->why_not, "%s", why.message);
        return DD_OK;
    }
    if (st != DD_OK) {
        *error = why;
        return st;
    }
    t->validated++;
    t->validated_done = t->done;
    t->validation_ns = dd_now_ns() - begin;
    if (isfinite(t->validation) && !(t->validation >= t->best)) { /* the first one: best is NaN */
        t->best = t->validation;
        t->best_done = t->done;
    }
    dd_train_json_validation(t);
    return DD_OK;
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
    t->began_ns = dd_now_ns();
    while (st == DD_OK && t->done < dd_train_last(t)) {
        st = train_step(t, &error);
        if (st == DD_OK && t->validate_every && t->done % t->validate_every == 0)
            st = validate(t, &error);
        if (st == DD_OK)
            dd_train_save_step(t);
    }
    if (t->settings.config.profile)
        dd_train_profile_end(&t->profile);
    dd_train_close_line(t);
    if (st == DD_OK && t->validation_batches && !(t->validated && t->validated_done == t->done)) {
        const uint64_t n = dd_train_validation_batches(t);
        if (!t->json && n)
            fprintf(stderr, "validation: %" PRIu64 " batch%s\n", n, n == 1 ? "" : "es");
        st = validate(t, &error);
    }
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
    dd_train_save_end(t);
    code = write_files(t, st, code);
    hash_weights(t, hash);
    dd_train_json_end(t, st, st != DD_OK ? error.message : NULL, hash);
    if (!t->json)
        dd_train_end(t);
    if (t->print_hash && !t->json)
        printf("weights-hash: %s\n", hash);
    close_all(t);
    return t->unlogged || t->save.failed ? DD_EXIT_ENVIRONMENT : code;
}

int dd_cmd_train(int argc, char **argv)
{
    dd_train t = {.validation_batches = 20,
                  .stop_after = DD_TRAIN_TO_THE_END,
                  .dump = -1,
                  .validation = (double)NAN,
                  .best = (double)NAN,
                  .nan_patience = 100,
                  .terminal = isatty(STDERR_FILENO) == 1};
    const int code = dd_train_parse(argc, argv, &t);
    if (code != DD_EXIT_HELD)
        return code;
    watch_signals();
    return train(&t);
}
