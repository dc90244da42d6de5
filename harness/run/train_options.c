/* SPDX-License-Identifier: MIT
 * The options of `dodeca train`: its own, beside the settings that dd_keys() tells of, with what
 * --help teaches. Refuses what contradicts itself before anything is opened. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "options.h"
#include "train.h"

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
    OPTION_VALIDATE,
    OPTION_VALIDATE_EVERY,
    OPTION_NAN_PATIENCE,
    OPTION_LOG
};

/* Own options that stand for a setting's value. */
static void set(dd_train *t, const char *key, const char *value)
{
    char message[DD_MESSAGE_MAX];
    (void)dd_settings_set(&t->settings, key, value, message);
}

static void finish(dd_train *t, struct argp_state *state)
{
    char message[DD_MESSAGE_MAX];
    if (!dd_train_load_settle(t, message) || !dd_settings_finish(&t->settings, message))
        argp_failure(state, DD_EXIT_USAGE, 0, "--%s", message);
    if (t->stop_after != DD_TRAIN_TO_THE_END && t->stop_after > t->settings.steps)
        argp_failure(state, DD_EXIT_USAGE, 0,
                     "--stop-after %" PRIu64 ": there are %" PRIu64 " steps", t->stop_after,
                     t->settings.steps);
    if (t->settings.subject == DD_SUBJECT_PLUGIN)
        argp_failure(state, DD_EXIT_USAGE, 0,
                     "--subject %.200s: a plug-in is trained, and checked, by \"dodeca run FILE "
                     "--subject %.200s\"",
                     t->settings.plugin, t->settings.plugin);
    t->subject = dd_subject_get(t->settings.subject, DD_PLANT_NONE);
    if (t->validate_every && !t->subject->validate)
        argp_failure(state, DD_EXIT_USAGE, 0, "--validate-every: subject %s does not validate",
                     t->subject->name);
    if (t->validate_every && !t->validation_batches)
        argp_failure(state, DD_EXIT_USAGE, 0,
                     "--validate-every: with how many batches? --validate 0 says none");
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
    case OPTION_VALIDATE_EVERY:
        t->validate_every = dd_option_number("validate-every", argument, 1, UINT64_MAX, state);
        return 0;
    case OPTION_NAN_PATIENCE:
        t->nan_patience = dd_option_number("nan-patience", argument, 0, UINT64_MAX, state);
        return 0;
    case OPTION_LOG:
        t->log_path = argument;
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
        return dd_train_save_option(&t->save, id, argument, state) ? 0 : ARGP_ERR_UNKNOWN;
    }
}

int dd_train_parse(int argc, char **argv, dd_train *t)
{
    static dd_options options;
    dd_options_add_settings(&options, NULL);
    dd_options_add(&options, "serial", OPTION_SERIAL, NULL, "short for --subject oracle");
    dd_options_add(&options, "no-pin", OPTION_NO_PIN, NULL, "takes an earlier --pin back");
    dd_options_add(&options, "stop-after", OPTION_STOP_AFTER, "N",
                   "end when N of the --steps are done; 0: before the first");
    dd_train_save_options(&options);
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
                   "batches of held-out text in a validation, at most; at the end there is one "
                   "(default 20; 0: none)");
    dd_options_add(&options, "validate-every", OPTION_VALIDATE_EVERY, "N",
                   "validate after every N steps, too; leaves no trace in the weights");
    dd_options_add(&options, "nan-patience", OPTION_NAN_PATIENCE, "N",
                   "with --nan-policy skip-step: so many discarded steps in a row end the run, the "
                   "weights being those before them (default 100; 0: none do)");
    dd_options_add(&options, "log", OPTION_LOG, "FILE",
                   "write settings, steps, validations, saves and the end to FILE as JSON, a line "
                   "each; FILE must not exist, but that a resumed training adds to its log");
    dd_options_add(&options, "print-hash", OPTION_PRINT_HASH, NULL,
                   "end stdout with `weights-hash: HEX'");
    dd_options_add(&options, "json", OPTION_JSON, NULL,
                   "one JSON object per step, validation and save, then one for the whole, hash "
                   "included");
    const struct argp argp = {
        .options = options.option,
        .parser = parse,
        .doc = "Train a model, with the settings given as options.\v"
               "Examples:\n"
               "  dodeca train --data kjv --data-else builtin --steps 100\n"
               "  dodeca train --data bytes:book.txt --model micro,T=64 --workers 4\n"
               "  dodeca train --steps 20 --workers 2 --print-hash\n"
               "  dodeca train --steps 20 --serial --print-hash       # the same hash\n"
               "\n"
               "More than 12 workers stand on two levels of spheres or three, and need lanes:\n"
               "  dodeca train --batch 144 --lane-depth 2 --depth 2 --workers 144\n"
               "Spheres that come and go while it trains, by policy or by timetable:\n"
               "  dodeca train --depth auto\n"
               "  dodeca train --workers 4 --timetable '5 spawn 0 4; 12 terminate 0'\n"
               "  dodeca train --workers 4 --timetable 'random 50 in 100 seed 7'\n"
               "A slow core, and neighbours that help out:\n"
               "  dodeca train --workers 2 --pin --hog 1 --steal\n"
               "How it goes on held-out text meanwhile, and a log of it all:\n"
               "  dodeca train --data kjv --steps 1000 --validate-every 100 --log train.jsonl\n"
               "Saved on the way, stopped, and gone on with in another way; the same hash:\n"
               "  dodeca train --steps 100 --save-every 20 --save nano.ckpt --stop-after 50\n"
               "  dodeca train --load nano.ckpt --save nano.ckpt --workers 4 --print-hash\n"
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
               "steps 0 to 99. \"20 of 100 steps\" says how many are done.\n"
               "\n"
               "Exit: 0 trained; 1 a step was not finite; 2 bad usage or input; 3 the machine "
               "lacks memory, threads or a kernel set, or a file could not be written; 130 "
               "interrupted "
               "by Ctrl-C, 143 by SIGTERM.",
    };
    dd_settings_default(&t->settings);
    return argp_parse(&argp, argc, argv, 0, NULL, t) == 0 ? DD_EXIT_HELD : DD_EXIT_USAGE;
}
