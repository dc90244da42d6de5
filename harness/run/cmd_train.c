/* SPDX-License-Identifier: MIT
 * `dodeca train`: one run of the trainer, or of the oracle, with the settings given as options.
 * Owns the options, the progress line, Ctrl-C and the summary; every setting's meaning is in
 * settings.c. Checks nothing: that is what `run` is for. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cell_body.h"
#include "commands.h"
#include "options.h"
#include "platform.h"
#include "serial.h"
#include "settings.h"

enum { OPTION_PRINT_HASH = DD_OPTION_OWN, OPTION_JSON, OPTION_STOP_AFTER, OPTION_VALIDATE };

struct train {
    dd_settings settings;
    bool print_hash, json;
    uint64_t stop_after; /* 0: run to the end */
    uint32_t validation_batches;
    /* the subject: exactly one is not NULL */
    dd_trainer *trainer;
    dd_serial *oracle;
    /* how far it is */
    uint64_t done, discarded, step_ns;
    dd_step last;
    uint64_t shown_ns; /* when progress was last shown */
    bool terminal, line_open;
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

static dd_status subject_open(struct train *t, const dd_data *data, dd_error *error)
{
    if (t->settings.serial)
        return dd_serial_open(&t->settings.config, data, &t->oracle, error);
    dd_status st = dd_trainer_open(&t->settings.config, data, &t->trainer, error);
    if (st == DD_OK) {
        atomic_store(&cancellable, t->trainer);
        if (atomic_load(&interrupted)) /* it came while the trainer was being opened */
            dd_trainer_cancel(t->trainer);
    }
    return st;
}

static void subject_close(struct train *t)
{
    atomic_store(&cancellable, NULL);
    dd_trainer_close(t->trainer);
    dd_serial_close(t->oracle);
}

static dd_status subject_step(struct train *t, dd_step *out, dd_error *error)
{
    if (t->trainer)
        return dd_trainer_step(t->trainer, out, error);
    return atomic_load(&interrupted) ? DD_ERR_CANCELLED : dd_serial_step(t->oracle, out, error);
}

static dd_status subject_validate(struct train *t, double *loss, dd_error *error)
{
    return t->trainer ? dd_trainer_validate(t->trainer, t->validation_batches, loss, error)
                      : dd_serial_validate(t->oracle, t->validation_batches, loss, error);
}

static void subject_hash(const struct train *t, char text[33])
{
    uint8_t hash[16];
    if (t->trainer)
        dd_trainer_hash(t->trainer, hash);
    else
        dd_serial_hash(t->oracle, hash);
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
        return DD_EXIT_FAILED;
    case DD_ERR_CANCELLED:
        return DD_EXIT_INTERRUPTED;
    }
    return DD_EXIT_FAILED;
}

/* ---- Progress ---- */

/* "1 h 02 min", "3 min 05 s", "12 s" */
static void format_time(double seconds, char text[32])
{
    uint64_t s = seconds < 1e9 ? (uint64_t)(seconds + 0.5) : 1000000000u;
    if (s >= 3600)
        (void)snprintf(text, 32, "%" PRIu64 " h %02" PRIu64 " min", s / 3600, s / 60 % 60);
    else if (s >= 60)
        (void)snprintf(text, 32, "%" PRIu64 " min %02" PRIu64 " s", s / 60, s % 60);
    else
        (void)snprintf(text, 32, "%" PRIu64 " s", s);
}

/* A NaN's sign means nothing, yet printf shows it. */
static double unsigned_nan(double x)
{
    return isnan(x) ? (double)NAN : x;
}

static double tokens_per_s(const struct train *t)
{
    double tokens = (double)t->done * t->settings.config.batch * t->settings.config.seq;
    return t->step_ns ? tokens * 1e9 / (double)t->step_ns : 0;
}

static uint64_t last_step(const struct train *t)
{
    return t->stop_after && t->stop_after < t->settings.steps ? t->stop_after : t->settings.steps;
}

static void close_line(struct train *t)
{
    if (t->line_open)
        fputc('\n', stderr);
    t->line_open = false;
}

/* On a terminal one line that is rewritten, ten times a second at most; else lines, one a second at
 * most. */
static void show_progress(struct train *t)
{
    uint64_t now = dd_now_ns(), least = t->terminal ? 100000000u : 1000000000u;
    bool is_last = t->done == last_step(t);
    if (t->json || (now - t->shown_ns < least && !is_last))
        return;
    t->shown_ns = now;
    char left[32];
    format_time((double)(last_step(t) - t->done) * (double)t->step_ns / (double)t->done / 1e9,
                left);
    fprintf(stderr,
            "%sstep %" PRIu64 "/%" PRIu64
            "  loss %.4f  lr %.3g  norm %.3g  %.0f tokens/s  %s left%s",
            t->terminal ? "\r" : "", t->done, last_step(t), unsigned_nan(t->last.loss),
            (double)t->last.lr, unsigned_nan(t->last.norm), tokens_per_s(t), left,
            t->terminal ? "\033[K" : "\n");
    t->line_open = t->terminal;
}

/* ---- Output ---- */

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null(); /* JSON has no other numbers */
}

static void print_json(json_t *object)
{
    if (!object || json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(17)) != 0)
        fputs("{\"error\":\"out of memory\"}", stdout);
    putchar('\n');
    json_decref(object);
}

static void print_json_step(const dd_step *s)
{
    print_json(json_pack("{s:I, s:o, s:o, s:o, s:b, s:I}", "step", (json_int_t)s->step, "loss",
                         number(s->loss), "norm", number(s->norm), "lr", number((double)s->lr),
                         "discarded", (int)s->discarded, "wall_ns", (json_int_t)s->wall_ns));
    (void)fflush(stdout);
}

static void describe(const struct train *t, const dd_data *data, const char *used)
{
    const dd_config *c = &t->settings.config;
    dd_data_info info;
    dd_data_info_get(data, &info);
    fprintf(stderr, "data: %s, %" PRIu64 " tokens, vocabulary %" PRIu32 "\n", used, info.n_tokens,
            info.vocabulary);
    fprintf(stderr, "model: %s (L %u, NH %u, C %u, V %u, T %u), %" PRIu64 " parameters\n",
            t->settings.model, c->shape.L, c->shape.NH, c->shape.C, c->shape.V, c->shape.T_max,
            dd_shape_n_parameters(&c->shape));
    fprintf(stderr, "step: %u sequences of %u tokens\n", c->batch, c->seq);
    dd_data_split split;
    if (dd_data_split_get(data, c->seq, c->batch, &split, NULL) == DD_OK)
        fprintf(
            stderr,
            "epoch: %" PRIu64 " steps; %" PRIu64 " of %" PRIu64
            " training windows are left out of each, %" PRIu64 " more are kept for validation\n",
            split.steps_per_epoch, split.left_out, split.train_windows, split.validation_windows);
    if (t->oracle) {
        fprintf(stderr, "the oracle: one thread, %s\n", dd_serial_build(t->oracle));
        return;
    }
    dd_trainer_info i;
    dd_trainer_info_get(t->trainer, &i);
    fprintf(
        stderr,
        "threads: %u worker%s and Node Zero, %u lanes in use, kernels %s, barrier %s, reduce %s\n"
        "memory: weights %.1f MiB, moments %.1f MiB, gradient segments %.1f MiB, workspaces %.1f "
        "MiB\n",
        i.workers, i.workers == 1 ? "" : "s", i.non_empty_lanes, i.kernels,
        c->barrier == DD_BARRIER_TREE ? "tree" : "pthread",
        c->reduce == DD_REDUCE_TREE ? "tree" : "control", (double)i.weights_bytes / 0x1p20,
        (double)i.moments_bytes / 0x1p20, (double)i.segments_bytes / 0x1p20,
        (double)i.workspaces_bytes / 0x1p20);
}

static void summarise_json(const struct train *t, const dd_data *data, const char *used,
                           dd_status status, double validation, const char *hash)
{
    dd_data_info info;
    dd_data_info_get(data, &info);
    char data_hash[33];
    dd_hash_text(info.hash, data_hash);
    json_t *o =
        json_pack("{s:b, s:s, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:s, s:s, s:s}", "final", 1,
                  "status", dd_status_name(status), "steps", (json_int_t)t->done, "horizon",
                  (json_int_t)t->settings.steps, "discarded", (json_int_t)t->discarded, "loss",
                  number(t->done ? t->last.loss : (double)NAN), "floor", number(info.floor_nats),
                  "validation_loss", number(validation), "tokens_per_s", number(tokens_per_s(t)),
                  "data", used, "data_hash", data_hash, "weights_hash", hash);
    if (o && t->trainer) {
        dd_trainer_info i;
        dd_trainer_info_get(t->trainer, &i);
        json_t *more = json_pack("{s:I, s:I, s:o, s:s}", "workers", (json_int_t)i.workers,
                                 "non_empty_lanes", (json_int_t)i.non_empty_lanes, "lane_bound",
                                 number(i.lane_bound), "kernels", i.kernels);
        (void)json_object_update(o, more);
        json_decref(more);
    }
    print_json(o);
}

/* validated: there is a validation loss, finite or not. */
static void summarise(const struct train *t, const dd_data *data, bool validated, double validation,
                      const char *why_not)
{
    dd_data_info info;
    dd_data_info_get(data, &info);
    printf("steps            %" PRIu64 " of %" PRIu64 "\n", t->done, t->settings.steps);
    if (t->discarded)
        printf("discarded        %" PRIu64 " steps were not finite\n", t->discarded);
    if (t->done && isfinite(info.floor_nats))
        printf("loss             %.4f nats per token (floor %.4f)\n", unsigned_nan(t->last.loss),
               info.floor_nats);
    else if (t->done)
        printf("loss             %.4f nats per token\n", unsigned_nan(t->last.loss));
    if (validated)
        printf("validation loss  %.4f\n", unsigned_nan(validation));
    else if (why_not[0])
        printf("validation loss  none: %s\n", why_not);
    printf("tokens/s         %.0f\n", tokens_per_s(t));
    if (t->trainer) {
        dd_trainer_info i;
        dd_trainer_info_get(t->trainer, &i);
        printf("lane bound       %.2f for %u worker%s on %u lanes\n", i.lane_bound, i.workers,
               i.workers == 1 ? "" : "s", i.non_empty_lanes);
    }
}

/* ---- The run ---- */

static void print_discarded(const dd_step *step)
{
    const dd_culprit *c = &step->culprit;
    char where[64] = "the fold of the lanes, each of which is finite,";
    if (c->lane != DD_NO_LANE)
        (void)snprintf(where, sizeof where, "lane %" PRIu32, c->lane);
    fprintf(stderr, "step %" PRIu64 ": discarded, not finite first in %s: %s[%" PRIu64 "]\n",
            step->step, where, c->tensor ? c->tensor : "loss", c->index);
}

static dd_status train_steps(struct train *t, dd_error *error)
{
    dd_status st = DD_OK;
    while (t->done < last_step(t)) {
        dd_step step;
        st = subject_step(t, &step, error);
        if (st != DD_OK)
            break;
        t->last = step;
        t->done++;
        t->step_ns += step.wall_ns;
        if (step.discarded) {
            t->discarded++;
            close_line(t);
            print_discarded(&step);
        }
        if (t->json)
            print_json_step(&step);
        show_progress(t);
    }
    close_line(t);
    return st;
}

/* Weights, two moments and one gradient are the least that training holds. Linux grants memory it
 * does not have and ends the process when it is touched: better to say so before. */
static bool fits_memory(const struct train *t)
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

static int train(struct train *t)
{
    if (!fits_memory(t))
        return DD_EXIT_ENVIRONMENT;
    char used[DD_SPEC_MAX], note[DD_MESSAGE_MAX], hash[33];
    const char *why_not = "";
    bool validated = false;
    dd_error error = {""}, validation_error = {""};
    dd_data *data = NULL;
    double validation = (double)NAN;
    dd_status st = dd_settings_open_data(&t->settings, &data, used, note, &error);
    if (st == DD_OK && note[0])
        fprintf(stderr, "dodeca train: %s\n", note);
    if (st == DD_OK)
        st = subject_open(t, data, &error);
    if (st != DD_OK) {
        fprintf(stderr, "dodeca train: %s\n", error.message);
        dd_data_close(data);
        return exit_code(st);
    }
    describe(t, data, used);
    st = train_steps(t, &error);
    if (st == DD_OK && t->validation_batches) {
        if (!t->json)
            fprintf(stderr, "validation: at most %u batches\n", t->validation_batches);
        dd_status v = subject_validate(t, &validation, &validation_error);
        validated = v == DD_OK;
        if (v == DD_ERR_DATA) /* too short a text has none: no failure of the training */
            why_not = validation_error.message;
        else if (v != DD_OK)
            st = v, error = validation_error;
    }
    int code = exit_code(st);
    if (st == DD_ERR_CANCELLED) {
        int number = atomic_load(&interrupted);
        fprintf(stderr,
                "dodeca train: stopped by %s; the weights are those after step %" PRIu64 "\n",
                number == SIGTERM ? "SIGTERM" : "Ctrl-C", t->done);
        code = 128 + (number ? number : SIGINT);
    } else if (st != DD_OK) {
        fprintf(stderr, "dodeca train: %s\n", error.message); /* names the step */
    }
    subject_hash(t, hash);
    if (t->json)
        summarise_json(t, data, used, st, validation, hash);
    else
        summarise(t, data, validated, validation, why_not);
    if (t->print_hash && !t->json)
        printf("weights-hash: %s\n", hash);
    subject_close(t);
    dd_data_close(data);
    return code;
}

/* ---- Options ---- */

static error_t parse(int id, char *argument, struct argp_state *state)
{
    struct train *t = state->input;
    char message[DD_MESSAGE_MAX];
    if (dd_option_key(id)) {
        dd_option_set(&t->settings, id, argument, state);
        return 0;
    }
    switch (id) {
    case OPTION_PRINT_HASH:
        t->print_hash = true;
        return 0;
    case OPTION_JSON:
        t->json = true;
        return 0;
    case OPTION_STOP_AFTER:
        t->stop_after = dd_option_number("stop-after", argument, 1, UINT64_MAX, state);
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
        if (!dd_settings_finish(&t->settings, message))
            argp_failure(state, DD_EXIT_USAGE, 0, "--%s", message);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int dd_cmd_train(int argc, char **argv)
{
    static dd_options options;
    dd_options_add_settings(&options, NULL);
    dd_options_add(&options, "stop-after", OPTION_STOP_AFTER, "N", "end after step N of --steps");
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
               "The weights depend on what is trained (model, data, seed, batch, seq, optimiser, "
               "steps) and never on how (workers, simd, barrier, reduce). Ctrl-C ends the run with "
               "the weights of the last whole step; a second Ctrl-C ends it at once.",
    };
    struct train t = {.validation_batches = 20, .terminal = isatty(STDERR_FILENO) == 1};
    dd_settings_default(&t.settings);
    if (argp_parse(&argp, argc, argv, 0, NULL, &t) != 0)
        return DD_EXIT_USAGE;
    watch_signals();
    return train(&t);
}
