/* SPDX-License-Identifier: MIT
 * `dodeca diff A B`: where two recorded runs first part, by their hashes, and in which numbers, by
 * training both up to there once more. Owns the options and the order of things; the words are in
 * diff_tell.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "diff.h"
#include "options.h"

enum { OPTION_JSON = DD_OPTION_OWN, OPTION_NO_REPLAY, OPTION_THIS_PROGRAM };

typedef struct asked {
    const char *path[2];
    int n;
    bool json, no_replay, this_program;
} asked;

static int complain(int code, const char *message)
{
    fprintf(stderr, "dodeca diff: %s\n", message);
    return code;
}

/* ---- Replays ---- */

/* One of the two, and whether it is what was recorded. */
static bool replay(dd_diff *d, int i, const asked *a, const char *folder,
                   char message[DD_MESSAGE_MAX])
{
    const dd_record_head *head = &d->record[i].head;
    dd_replay *r = &d->replay[i];
    if (!dd_replay_choose(head, a->this_program, r, message))
        return false;
    fprintf(stderr, "replaying %c, %" PRIu64 " step%s, with %s%s%s%s\n", "AB"[i], d -> steps.point,
            d->steps.point == 1 ? "" : "s", r->program, r->why[0] ? " (" : "", r->why,
            r->why[0] ? ")" : "");
    if (!dd_replay_run(head, d->steps.point, folder, r, message))
        return false;
    d->reproduced[i] = dd_fingerprint_equal(&r->is, &d->steps.line[i].weights);
    return true;
}

static int replay_both(dd_diff *d, const asked *a)
{
    char message[DD_MESSAGE_MAX], folder[DD_RECORD_PATH];
    const char *tmp = getenv("TMPDIR");
    const int n =
        snprintf(folder, sizeof folder, "%s/dodeca-diff-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
    if (n < 0 || (size_t)n >= sizeof folder || !mkdtemp(folder))
        return complain(DD_EXIT_ENVIRONMENT, "no folder can be made for the replays' weights");
    int code = DD_EXIT_FAILED;
    for (int i = 0; i < 2 && code == DD_EXIT_FAILED; i++)
        if (!replay(d, i, a, folder, message)) {
            fprintf(stderr, "dodeca diff: %s cannot be replayed: %s\n", a->path[i], message);
            code = DD_EXIT_ENVIRONMENT;
        }
    (void)rmdir(folder);
    d->replayed = code == DD_EXIT_FAILED;
    if (d->replayed)
        dd_diff_tensors(&d->record[0].head.layout, d->replay[0].weights, d->replay[1].weights,
                        d->tensor);
    return code;
}

/* ---- All of it ---- */

/* There is a step on both sides to be trained again. */
static bool can_be_replayed(const dd_diff *d)
{
    return d->settings.same_shape && d->steps.line[0].kind == DD_RECORD_STEP &&
           d->steps.line[1].kind == DD_RECORD_STEP;
}

static int compare(dd_diff *d, const asked *a)
{
    char message[DD_MESSAGE_MAX];
    for (int i = 0; i < 2; i++)
        if (!dd_record_open(a->path[i], &d->record[i], message))
            return complain(DD_EXIT_USAGE, message);
    dd_diff_settings_compare(&d->record[0].head, &d->record[1].head, &d->settings);
    if (!dd_diff_steps_compare(d->record, &d->steps, message))
        return complain(DD_EXIT_USAGE, message);
    int code = d->steps.parted ? DD_EXIT_FAILED : DD_EXIT_HELD;
    if (d->steps.parted && !a->no_replay && can_be_replayed(d))
        code = replay_both(d, a);
    if (a->json)
        dd_diff_print_json(d);
    else
        dd_diff_print(d);
    return code;
}

/* ---- Options ---- */

static error_t parse(int id, char *argument, struct argp_state *state)
{
    asked *a = state->input;
    switch (id) {
    case OPTION_JSON:
        a->json = true;
        return 0;
    case OPTION_NO_REPLAY:
        a->no_replay = true;
        return 0;
    case OPTION_THIS_PROGRAM:
        a->this_program = true;
        return 0;
    case ARGP_KEY_ARG:
        if (a->n < 2)
            a->path[a->n] = argument;
        a->n++;
        return 0;
    case ARGP_KEY_END:
        if (a->n != 2)
            argp_failure(state, DD_EXIT_USAGE, 0,
                         "two records are compared, %d given; dodeca train --record FILE writes "
                         "them",
                         a->n);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int dd_cmd_diff(int argc, char **argv)
{
    static dd_options options;
    dd_options_add(&options, "json", OPTION_JSON, NULL, "one JSON object");
    dd_options_add(&options, "no-replay", OPTION_NO_REPLAY, NULL,
                   "what the records say, and train nothing");
    dd_options_add(&options, "this-program", OPTION_THIS_PROGRAM, NULL,
                   "replay both with this program, whatever program the records name");
    const struct argp argp = {
        .options = options.option,
        .parser = parse,
        .args_doc = "A B",
        .doc =
            "Find where two recorded runs first part: step, tensor, element and distance.\v"
            "Examples:\n"
            "  dodeca train --steps 50 --workers 1 --record a.jsonl\n"
            "  dodeca train --steps 50 --workers 4 --reduce sliced --record b.jsonl\n"
            "  dodeca diff a.jsonl b.jsonl                       # equal\n"
            "  dodeca train --steps 50 --lr 0.002 --record c.jsonl\n"
            "  dodeca diff a.jsonl c.jsonl                       # parts: another lr\n"
            "  dodeca train --steps 50 --subject locks --record d.jsonl\n"
            "  dodeca diff a.jsonl d.jsonl                       # parts by rounding\n"
            "\n"
            "The records' hashes give the first step after which the weights are not the same "
            "bits. Both runs are then trained up to there once more, each by the program that "
            "recorded it, if its file is unchanged, else by this one, and their weights compared "
            "element by element. A replay that comes to other weights than its record is "
            "reported: that run cannot be repeated. Records name programs that are run: take "
            "--this-program or --no-replay with records from elsewhere.\n"
            "\n"
            "Exit: 0 the runs are equal as far as both go; 1 they part; 2 no records; 3 a run "
            "cannot be replayed.",
    };
    asked a = {.n = 0};
    if (argp_parse(&argp, argc, argv, 0, NULL, &a) != 0)
        return DD_EXIT_USAGE;
    dd_diff *d = calloc(1, sizeof *d);
    if (!d)
        return complain(DD_EXIT_ENVIRONMENT, "out of memory");
    const int code = compare(d, &a);
    for (int i = 0; i < 2; i++) {
        dd_replay_close(&d->replay[i]);
        dd_record_close(&d->record[i]);
    }
    free(d);
    return code;
}
