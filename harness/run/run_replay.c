/* SPDX-License-Identifier: MIT
 * Replays: `PROGRAM train`, every setting of the record given as an option. */
#include "run_replay.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cell_body.h"
#include "text.h"
#include "weights_file.h"

extern char **environ;

/* ---- Which program ---- */

bool dd_replay_choose(const dd_record_head *head, bool this_program, dd_replay *out,
                      char message[DD_MESSAGE_MAX])
{
    char hash[33];
    *out = (dd_replay){.why = ""};
    const bool there = !this_program && dd_program_hash(head->program, hash);
    if (there && strcmp(hash, head->program_hash) == 0) {
        strcpy(out->program, head->program);
        out->recorded = true;
        return true;
    }
    if (!dd_program_self(out->program) || !dd_program_hash("/proc/self/exe", hash))
        return dd_text_refuse(message, "this program's own file is not to be found");
    out->recorded = strcmp(hash, head->program_hash) == 0; /* it only lies elsewhere now */
    if (!out->recorded)
        out->why = this_program ? "as --this-program has it"
                   : there      ? "the recorded one has changed since"
                                : "the recorded one is gone";
    return true;
}

/* ---- Options ---- */

enum { MOST_ARGUMENTS = 160 };

typedef struct arguments {
    char *text[MOST_ARGUMENTS + 1];
    size_t n;
    bool full; /* no room, or no memory */
} arguments;

static void push(arguments *a, const char *prefix, const char *value)
{
    const size_t bytes = strlen(prefix) + strlen(value) + 1;
    char *text = a->n < MOST_ARGUMENTS ? malloc(bytes) : NULL;
    if (!text) {
        a->full = true;
        return;
    }
    (void)snprintf(text, bytes, "%s%s", prefix, value);
    a->text[a->n++] = text;
}

/* --KEY VALUE; a truth as --KEY alone; what is not given stays out. */
static void push_settings(arguments *a, const dd_settings *s)
{
    size_t n = 0;
    const dd_key *keys = dd_keys(&n);
    for (size_t k = 0; k < n; k++) {
        char value[DD_SPEC_MAX];
        dd_settings_get(s, keys[k].name, value);
        if (keys[k].scenario_only || !value[0] ||
            (keys[k].type == DD_KEY_BOOL && strcmp(value, "true") != 0))
            continue;
        push(a, "--", keys[k].name);
        if (keys[k].type != DD_KEY_BOOL)
            push(a, "", value);
    }
}

static void arguments_close(arguments *a)
{
    for (size_t i = 0; i < a->n; i++)
        free(a->text[i]);
}

/* ---- The child ---- */

static atomic_int child; /* its id while it runs, 0: none */

/* Ctrl-C reaches both; other signals are handed on. What the child leaves is cleared away here. */
static void hand_on(int number)
{
    const int id = atomic_load(&child);
    if (id > 0)
        (void)kill(id, number);
}

/* Starts it, with errors to the file, and waits.  returns  false: it could not be started */
static bool run_child(const char *program, char *const *argv, const char *errors, int *status)
{
    const struct sigaction action = {.sa_handler = hand_on};
    struct sigaction was[2];
    posix_spawn_file_actions_t files;
    pid_t id;
    if (posix_spawn_file_actions_init(&files) != 0)
        return false;
    bool ok = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0) == 0 &&
              posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0) == 0 &&
              posix_spawn_file_actions_addopen(&files, 2, errors, O_WRONLY | O_CREAT | O_TRUNC,
                                               0600) == 0;
    (void)sigaction(SIGINT, &action, &was[0]);
    (void)sigaction(SIGTERM, &action, &was[1]);
    ok = ok && posix_spawn(&id, program, &files, NULL, argv, environ) == 0;
    if (ok) {
        atomic_store(&child, id);
        while (waitpid(id, status, 0) < 0 && errno == EINTR)
            continue;
        atomic_store(&child, 0);
    }
    (void)sigaction(SIGINT, &was[0], NULL);
    (void)sigaction(SIGTERM, &was[1], NULL);
    (void)posix_spawn_file_actions_destroy(&files);
    return ok;
}

/* The last line that is not empty. */
static void last_line(const char *path, char line[DD_MESSAGE_MAX])
{
    char text[DD_MESSAGE_MAX];
    FILE *file = fopen(path, "re");
    line[0] = '\0';
    while (file && fgets(text, sizeof text, file)) {
        text[strcspn(text, "\r\n")] = '\0';
        if (text[0])
            strcpy(line, text);
    }
    if (file)
        fclose(file);
    dd_text_one_line(line);
}

/* ---- A replay ---- */

/* Another text would be trained on without a word. */
static bool data_is_there(const dd_record_head *head, char message[DD_MESSAGE_MAX])
{
    dd_data *data = NULL;
    dd_data_info info;
    dd_error error = {""};
    char used[DD_SPEC_MAX], note[DD_MESSAGE_MAX], hash[33];
    if (dd_settings_open_data(&head->settings, &data, used, note, &error) != DD_OK)
        return dd_text_refuse(message, "%.400s", error.message);
    dd_data_info_get(data, &info);
    dd_hash_text(info.hash, hash);
    dd_data_close(data);
    return strcmp(hash, head->data_hash) == 0 ||
           dd_text_refuse(message, "data %.300s is not what it was: hash %s, recorded %s",
                          head->settings.data, hash, head->data_hash);
}

static bool run_program(const dd_record_head *head, uint64_t steps, const char *weights,
                        const char *errors, const dd_replay *replay, char message[DD_MESSAGE_MAX])
{
    arguments a = {.n = 0};
    char number[24];
    (void)snprintf(number, sizeof number, "%" PRIu64, steps);
    push(&a, "", replay->program);
    push(&a, "", "train");
    push_settings(&a, &head->settings);
    push(&a, "--stop-after=", number);
    push(&a, "--validate=", "0");
    push(&a, "--dump-weights=", weights);
    int status = 0;
    bool ok = !a.full && run_child(replay->program, a.text, errors, &status);
    arguments_close(&a);
    if (!ok)
        return dd_text_refuse(message, "%.300s cannot be started", replay->program);
    /* steps that are not finite end the run with 1, and leave weights that are to be compared */
    if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 1))
        return true;
    char why[DD_MESSAGE_MAX];
    last_line(errors, why);
    return WIFSIGNALED(status) ? dd_text_refuse(message, "%.300s died of signal %d",
                                                replay->program, WTERMSIG(status))
                               : dd_text_refuse(message, "%.200s ended with %d: %.250s",
                                                replay->program, WEXITSTATUS(status), why);
}

bool dd_replay_run(const dd_record_head *head, uint64_t steps, const char *folder, dd_replay *out,
                   char message[DD_MESSAGE_MAX])
{
    char weights[DD_RECORD_PATH], errors[DD_RECORD_PATH];
    (void)snprintf(weights, sizeof weights, "%.4000s/weights", folder);
    (void)snprintf(errors, sizeof errors, "%.4000s/errors", folder);
    const bool ok =
        data_is_there(head, message) && run_program(head, steps, weights, errors, out, message) &&
        dd_weights_file_read(weights, &head->settings.config.shape, steps, &out->weights, message);
    (void)unlink(weights);
    (void)unlink(errors);
    if (ok)
        dd_fingerprint_make(&head->layout, out->weights, &out->is);
    return ok;
}

void dd_replay_close(dd_replay *replay)
{
    free(replay->weights);
    replay->weights = NULL;
}
