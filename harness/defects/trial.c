/* SPDX-License-Identifier: MIT
 * What is run for each means, and by what in its words or exit code a defect is known. */
#include "trial.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wordexp.h>

#include "judge.h"
#include "tool.h"

/* Eleven sequences leave one of the twelve lanes empty and make most workers' shares uneven. */
static const char base[] =
    "train --data builtin --model L=2,NH=2,C=24,V=67,T=9 --batch 11 --steps 3 "
    "--warmup 1 --seed 7 --print-hash";
/* The same as a cell; a hang is one after this many seconds. */
#define STALL_S 4
static const char cell[] =
    "name: planted\ndata: builtin\nmodel: L=2,NH=2,C=24,V=67,T=9\nbatch: 11\n"
    "steps: 3\nwarmup: 1\nseed: 7\nrepeats: 1\n";

/* ---- Trials ---- */

void dd_trial_of(const dd_expectation *expected, dd_trial *out)
{
    *out = (dd_trial){.means = expected->means, .program = "dodeca"};
    if (expected->means == DD_MEANS_TSAN)
        out->build = DD_BUILD_TSAN;
    if (expected->means == DD_MEANS_ASAN)
        out->build = DD_BUILD_ASAN;
    const char *arguments = expected->arguments;
    const size_t n = strcspn(arguments, " ");
    const bool test = expected->means == DD_MEANS_UNIT || strncmp(arguments, "test_", 5) == 0;
    if (test) {
        snprintf(out->program, sizeof out->program, "%.*s", (int)n, arguments);
        snprintf(out->want, sizeof out->want, "%s", arguments + n + strspn(arguments + n, " "));
    } else if (expected->means == DD_MEANS_EXPLORE) {
        const char *verdicts = arguments + n + strspn(arguments + n, " ");
        snprintf(out->arguments, sizeof out->arguments, "%.*s", (int)n, arguments);
        snprintf(out->want, sizeof out->want, "%.*s", (int)sizeof out->want - 1, verdicts);
    } else {
        strcpy(out->arguments, arguments);
    }
}

/* Tests that a change below a folder of core/ may fail. */
static const struct {
    const char *folder;
    const char *tests[11];
} usual_tests[] = {
    {"sync/",
     {"test_eventcount", "test_points", "test_fold", "test_plan", "test_queues", "test_slices",
      "test_control", "test_membership", "test_commands", "test_storm", "test_equivalence"}},
    {"control/",
     {"test_control", "test_commands", "test_membership", "test_policy", "test_storm",
      "test_trainer", "test_equivalence", "test_elastic"}},
    {"spheres/",
     {"test_spheres", "test_placement", "test_hierarchy", "test_plan", "test_points",
      "test_membership"}},
    {"memory/", {"test_memory", "test_guard", "test_enforced", "test_commands", "test_trainer"}},
    {"trainer/",
     {"test_trainer", "test_packed", "test_process", "test_enforced", "test_storm", "test_sampler",
      "test_equivalence"}},
    {"model/",
     {"test_gradient", "test_gradient_owner", "test_packed", "test_serial_step", "test_trainer",
      "test_sampler", "test_draw", "test_equivalence"}},
    {"kernels/",
     {"test_kernels", "test_matmul", "test_elementary", "test_gradient", "test_equivalence"}},
    {"serial/", {"test_serial", "test_serial_step", "test_equivalence"}},
    {"data/", {"test_data", "test_random", "test_config", "test_trainer"}},
    {"platform/", {"test_platform"}},
};

/* Cells that between them use every reduction and barrier, two levels, thieves, and changes. */
static const char *const cells[] = {
    "--workers 3 --steal --reduce tree",
    "--workers 4 --depth 2 --steal --reduce sliced",
    "--workers 5 --reduce owner",
    "--workers 3 --reduce control --barrier pthread",
    "--workers 3 --timetable '1 spawn 0 3; 2 terminate 0'",
    "--workers 2 --simd off",
};

static size_t usual_cells(dd_means means)
{
    switch (means) {
    case DD_MEANS_SERIAL:
        return sizeof cells / sizeof cells[0];
    case DD_MEANS_TSAN:
    case DD_MEANS_ASAN:
        return 5;
    case DD_MEANS_HELGRIND:
    case DD_MEANS_DRD:
    case DD_MEANS_MEMCHECK:
        return 2; /* they are slow */
    default:
        return 1;
    }
}

bool dd_trial_explores(const char *source)
{
    return strncmp(source, "sync/", 5) == 0 || strncmp(source, "control/", 8) == 0 ||
           strcmp(source, "memory/snapshot.c") == 0 ||
           (strncmp(source, "spheres/", 8) == 0 && strcmp(source, "spheres/edges.c") != 0);
}

size_t dd_trials_usual(dd_means means, const char *source, dd_trial *out, size_t room)
{
    size_t n = 0;
    dd_expectation e = {.means = means};
    if (means == DD_MEANS_UNIT) {
        for (size_t f = 0; f < sizeof usual_tests / sizeof usual_tests[0]; f++) {
            if (strncmp(source, usual_tests[f].folder, strlen(usual_tests[f].folder)) != 0)
                continue;
            for (size_t t = 0; t < 11 && usual_tests[f].tests[t] && n < room; t++) {
                snprintf(e.arguments, sizeof e.arguments, "%s", usual_tests[f].tests[t]);
                dd_trial_of(&e, &out[n++]);
            }
        }
    } else if (means != DD_MEANS_EXPLORE) {
        if (means == DD_MEANS_TSAN && strncmp(source, "memory/", 7) == 0) {
            /* there onlookers read while writers go on, as no cell does */
            snprintf(e.arguments, sizeof e.arguments, "test_memory");
            dd_trial_of(&e, &out[n++]);
        }
        for (size_t c = 0; c < usual_cells(means) && n < room; c++) {
            snprintf(e.arguments, sizeof e.arguments, "%s", cells[c]);
            dd_trial_of(&e, &out[n++]);
        }
    }
    return n;
}

const char *dd_trial_key(const dd_trial *trial, char key[DD_TRIAL_KEY])
{
    snprintf(key, DD_TRIAL_KEY, "%s %s%s%s", dd_means_name(trial->means), trial->program,
             trial->arguments[0] ? " " : "", trial->arguments);
    return key;
}

const char *dd_trial_target(const dd_trial *trial)
{
    return strcmp(trial->program, "dodeca") == 0 ? "dodeca_program" : trial->program;
}

const char *dd_means_lacks(dd_means means)
{
    switch (means) {
    case DD_MEANS_TSAN:
        return dd_tool_there("gcc") ? NULL : "gcc is not installed";
    case DD_MEANS_HELGRIND:
    case DD_MEANS_DRD:
    case DD_MEANS_MEMCHECK:
        return dd_tool_there("valgrind") ? NULL : "valgrind is not installed";
    default:
        return NULL;
    }
}

/* ---- Commands ---- */

typedef struct command {
    const char *argv[64];
    size_t n;
    wordexp_t words;
    bool split; /* words is to be released */
} command;

static void add(command *c, const char *argument)
{
    if (c->n + 1 < sizeof c->argv / sizeof c->argv[0])
        c->argv[c->n++] = argument;
}

/* A text's words; quotes hold them together.  returns  false: no such thing */
static bool split_words(const char *text, wordexp_t *words)
{
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER; /* wordexp cannot do more */
    pthread_mutex_lock(&one_at_a_time);
    const bool done = wordexp(text, words, WRDE_NOCMD | WRDE_UNDEF) == 0;
    pthread_mutex_unlock(&one_at_a_time);
    return done;
}

/* returns  false: they are no words */
static bool add_words(command *c, const char *text)
{
    c->split = split_words(text, &c->words);
    for (size_t i = 0; c->split && i < c->words.we_wordc; i++)
        add(c, c->words.we_wordv[i]);
    return c->split;
}

static void add_list(command *c, const char *const *list)
{
    for (; *list; list++)
        add(c, *list);
}

static void add_tool(command *c, dd_means means)
{
    static const char *const helgrind[] = {"valgrind", "--tool=helgrind", NULL};
    static const char *const drd[] = {"valgrind", "--tool=drd", "--check-stack-var=yes", NULL};
    static const char *const memcheck[] = {"valgrind", "--leak-check=full", NULL};
    if (means != DD_MEANS_HELGRIND && means != DD_MEANS_DRD && means != DD_MEANS_MEMCHECK)
        return;
    add_list(c, means == DD_MEANS_HELGRIND ? helgrind : means == DD_MEANS_DRD ? drd : memcheck);
    add(c, "--error-exitcode=" DD_REPORT_EXIT);
    add(c, "--fair-sched=try");
}

/* "--workers 4 --steal" as settings of a cell, which are words as they stand:
 * --set 'workers=4' --set 'steal=true'. */
static bool write_sets(const char *arguments, char *text, size_t size)
{
    wordexp_t words;
    if (!split_words(arguments, &words))
        return false;
    size_t used = 0;
    for (size_t i = 0; i < words.we_wordc && used < size; i++) {
        const bool option = strncmp(words.we_wordv[i], "--", 2) == 0;
        const bool takes = i + 1 < words.we_wordc && strncmp(words.we_wordv[i + 1], "--", 2) != 0;
        if (option)
            used += (size_t)snprintf(text + used, size - used, " --set '%s=%s'",
                                     words.we_wordv[i] + 2, takes ? words.we_wordv[i + 1] : "true");
    }
    wordfree(&words);
    return used < size;
}

static bool write_cell(const dd_workshop *w, char path[DD_FILE_PATH])
{
    char text[512];
    const int n = snprintf(text, sizeof text, "%sstall-limit: %d\n", cell, STALL_S);
    return dd_spill(dd_workshop_log(w, "planted.yaml", path), text, (size_t)n);
}

/* ---- Running ---- */

static dd_tool_end run(const dd_workshop *w, const dd_trial *trial, command *c, double limit_s,
                       const char *out)
{
    c->argv[c->n] = NULL;
    char err[DD_FILE_PATH];
    const bool json = trial->means == DD_MEANS_EXPLORE;
    const dd_tool tool = {.argv = c->argv,
                          .folder = w->logs,
                          .out = out,
                          .err = json ? dd_workshop_log(w, "trial.err", err) : NULL,
                          .limit_s = limit_s,
                          .fixed_addresses = trial->build == DD_BUILD_TSAN,
                          .gentle = trial->means == DD_MEANS_WATCHDOG,
                          .stop_fd = w->stop_fd};
    return dd_tool_run(&tool);
}

static bool make_command(const dd_workshop *w, const dd_trial *trial, bool untouched, command *c,
                         char path[DD_FILE_PATH], char extra[DD_FILE_PATH])
{
    char words[sizeof base + 4 * sizeof trial->arguments] = "";
    add_tool(c, trial->means);
    add(c, dd_workshop_program(w, trial->build, trial->program, untouched, path));
    if (strcmp(trial->program, "dodeca") != 0)
        return true;
    switch (trial->means) {
    case DD_MEANS_EXPLORE:
        add(c, "explore");
        add(c, "--json");
        return add_words(c, trial->arguments);
    case DD_MEANS_WATCHDOG:
        if (!write_cell(w, extra) || !write_sets(trial->arguments, words, sizeof words))
            return false;
        add(c, "run");
        add(c, extra);
        add(c, "--out");
        add(c, "planted");
        add(c, "--replace"); /* the trial's before it */
        return add_words(c, words);
    default:
        snprintf(words, sizeof words, "%s %s", base, trial->arguments);
        if (!add_words(c, words))
            return false;
        if (trial->means == DD_MEANS_GUARD)
            add(c, "--guard");
        return true;
    }
}

dd_finding dd_trial_run(const dd_workshop *w, const dd_trial *trial, bool untouched, double limit_s,
                        const char *oracle)
{
    dd_finding found = {.kind = DD_FOUND_UNFIT};
    char path[DD_FILE_PATH], extra[DD_FILE_PATH], log[DD_FILE_PATH];
    command c = {.n = 0};
    dd_workshop_log(w, untouched ? "untouched.log" : "trial.log", log);
    if (!make_command(w, trial, untouched, &c, path, extra)) {
        snprintf(found.how, sizeof found.how, "arguments that are no words");
        return found;
    }
    const dd_tool_end end = run(w, trial, &c, limit_s, log);
    if (c.split)
        wordfree(&c.words);
    found.seconds = end.seconds;
    if (end.ending == DD_TOOL_STOPPED) {
        found.kind = DD_FOUND_NOT_RUN;
        found.stopped = true;
    } else if (end.ending == DD_TOOL_NOT_RUN) {
        snprintf(found.how, sizeof found.how, "%.80s: %s", c.argv[0], strerror(end.status));
    } else {
        char *said = dd_slurp(log, NULL);
        dd_judge(trial, &end, said ? said : "", oracle, &found);
        free(said);
    }
    return found;
}

bool dd_trial_oracle(const dd_workshop *w, const dd_trial *trial, char hash[DD_HASH_TEXT],
                     bool *stopped)
{
    char path[DD_FILE_PATH], extra[DD_FILE_PATH], log[DD_FILE_PATH];
    command c = {.n = 0};
    dd_workshop_log(w, "oracle.log", log);
    if (!make_command(w, trial, true, &c, path, extra))
        return false;
    add(&c, "--serial");
    const dd_tool_end end = run(w, trial, &c, 600, log);
    *stopped = end.ending == DD_TOOL_STOPPED;
    if (c.split)
        wordfree(&c.words);
    char *said = dd_slurp(log, NULL);
    const bool done =
        end.ending == DD_TOOL_ENDED && end.status == 0 && said && dd_judge_hash(said, hash);
    free(said);
    return done;
}
