/* SPDX-License-Identifier: MIT
 * perf_gate_tool: what scripts/perf_gate.sh calls once both revisions are built. Refuses to build
 * anything and to know where its folders come from. */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gate.h"
#include "text.h"

enum {
    SIDES_MAX = 4,
    OPTION_JSON = 0x100,
    OPTION_COUNTER,
    OPTION_NAMES,
    OPTION_RUNS,
    OPTION_PARTS
};

typedef struct options {
    const char *verb, *json, *counter, *rest[SIDES_MAX];
    size_t n_rest;
    char *names[SIDES_MAX];
    unsigned parts, runs;
} options;

static int stop_pipe[2] = {-1, -1};
static sig_atomic_t stopped_by;

static void on_signal(int number)
{
    const int saved = errno;
    stopped_by = number;
    if (write(stop_pipe[1], "", 1) < 0) /* full: it is readable already */
        errno = saved;
    errno = saved;
}

/* ---- Command line ---- */

static unsigned read_parts(char *list, struct argp_state *state)
{
    static const char *const names[] = {"counts", "times", "floors"};
    unsigned parts = 0;
    char *rest;
    for (char *word = strtok_r(list, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        unsigned bit = 0;
        for (unsigned i = 0; i < 3; i++)
            bit |= strcmp(word, names[i]) == 0 ? 1u << i : 0;
        if (!bit)
            argp_error(state, "--parts: \"%s\" is none of counts, times, floors", word);
        parts |= bit;
    }
    if (!parts)
        argp_error(state, "--parts names none of counts, times, floors");
    return parts;
}

static void read_names(options *o, char *list, struct argp_state *state)
{
    char *rest;
    size_t n = 0;
    for (char *word = strtok_r(list, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        if (n == SIDES_MAX)
            argp_error(state, "--names: at most %d", SIDES_MAX);
        o->names[n++] = word;
    }
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    options *o = state->input;
    uint64_t n;
    switch (key) {
    case OPTION_JSON:
        o->json = argument;
        return 0;
    case OPTION_COUNTER:
        if (strcmp(argument, "auto") != 0 && strcmp(argument, "perf") != 0 &&
            strcmp(argument, "callgrind") != 0)
            argp_error(state, "--counter: \"%s\" is none of auto, perf, callgrind", argument);
        o->counter = argument;
        return 0;
    case OPTION_NAMES:
        read_names(o, argument, state);
        return 0;
    case OPTION_RUNS:
        if (!dd_text_uint(argument, &n) || n < 1 || n > 1000)
            argp_error(state, "--runs: \"%s\" is not a whole number from 1 to 1000", argument);
        o->runs = (unsigned)n;
        return 0;
    case OPTION_PARTS:
        o->parts = read_parts(argument, state);
        return 0;
    case ARGP_KEY_ARG:
        if (!o->verb)
            o->verb = argument;
        else if (o->n_rest < SIDES_MAX)
            o->rest[o->n_rest++] = argument;
        else
            argp_error(state, "\"%s\": too many arguments", argument);
        return 0;
    case ARGP_KEY_END:
        if (!o->verb)
            argp_error(state, "which of compare, self-test and count?");
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option option[] = {
    {"counter", OPTION_COUNTER, "NAME", 0,
     "what counts instructions: perf (the CPU, by perf_event_open), callgrind, or auto: perf where "
     "it can be had (auto)",
     0},
    {"json", OPTION_JSON, "FILE", 0, "compare: the result for programs", 0},
    {"names", OPTION_NAMES, "NAME,…", 0, "what to call the folders", 0},
    {"parts", OPTION_PARTS, "LIST", 0, "compare: of counts, times and floors only these", 0},
    {"runs", OPTION_RUNS, "N", 0,
     "self-test: so many comparisons of the same, and a quarter of that of each slow one (20)", 0},
    {0},
};

static const char help[] =
    "Compares two builds of dodeca. A folder holds the programs dodeca and gate_work of one "
    "revision.\v"
    "compare counts the instructions of kernels and of the oracle (0.5 % more are a regression), "
    "times whole steps and barriers in pairs of processes that take turns (a regression where the "
    "95 % interval lies above 3 %, and that of a second measurement as well), and holds HEAD to "
    "its floors: against locks, pthread barriers, one worker, more workers than cores.\n\n"
    "self-test compares two builds of the same, and one of them with two that do 5 % more work, in "
    "a kernel and in the workers.\n\n"
    "count prints the instructions of one program in a folder.\n\n"
    "Examples:\n"
    "  perf_gate_tool compare gate/1a2b3c4 gate/head --json gate.json\n"
    "  perf_gate_tool compare base head --parts counts --counter callgrind\n"
    "  perf_gate_tool count build 'gate_work kernels avx2 products'\n\n"
    "exit: 0 no regression, 1 a regression or an alarm, 2 bad usage, 3 something could only be "
    "skipped, 130 interrupted";

/* ---- The verbs ---- */

static dd_gate_side side_of(const options *o, size_t i, char path[PATH_MAX])
{
    if (!realpath(o->rest[i], path)) {
        fprintf(stderr, "perf_gate_tool: %s: %s\n", o->rest[i], strerror(errno));
        exit(2);
    }
    return (dd_gate_side){.folder = path, .name = o->names[i] ? o->names[i] : o->rest[i]};
}

static int compare(dd_gate *g, const options *o, dd_counter counter, const dd_gate_side side[])
{
    static dd_gate_result r;
    dd_gate_compare(g, &side[0], &side[1], counter, o->parts, &r);
    if (g->stopped)
        return 1;
    dd_gate_print(&r, &side[0], &side[1], false, stdout);
    int code = dd_gate_exit_code(&r);
    if (o->json) {
        FILE *f = fopen(o->json, "w");
        const bool written = f && dd_gate_json(&r, &side[0], &side[1], f);
        if ((f && fclose(f) != 0) || !written) {
            fprintf(stderr, "perf_gate_tool: cannot write %s\n", o->json);
            code = code ? code : 3; /* a regression is told all the same */
        }
    }
    return code;
}

static int count(dd_gate *g, const options *o, dd_counter counter, const dd_gate_side side[])
{
    char why[DD_GATE_WHY];
    double n;
    switch (dd_count(g, counter, &side[0], o->rest[1], 0, &n, why)) {
    case DD_GATE_RAN:
        printf("%.0f\n", n);
        return 0;
    case DD_GATE_STOPPED:
        g->stopped = true;
        return 1;
    default:
        fprintf(stderr, "perf_gate_tool: %s\n", why);
        return 3;
    }
}

static int run(dd_gate *g, const options *o, const dd_gate_side side[])
{
    char why[DD_GATE_WHY];
    const dd_counter counter = dd_counter_choose(o->counter, why);
    const bool one_must = strcmp(o->verb, "compare") != 0 || strcmp(o->counter, "auto") != 0;
    if (counter == DD_COUNTER_NONE && one_must) {
        fprintf(stderr, "perf_gate_tool: nothing counts instructions here: %s\n", why);
        return 3;
    }
    if (g->progress)
        fprintf(g->progress, "instructions are counted by: %s%s%s\n", dd_counter_name(counter),
                *why ? "; " : "", why);
    if (strcmp(o->verb, "count") == 0)
        return count(g, o, counter, side);
    if (strcmp(o->verb, "compare") == 0)
        return compare(g, o, counter, side);
    const dd_gate_trials trials = {.same = {side[0], side[1]},
                                   .slow_kernel = side[2],
                                   .slow_step = side[3],
                                   .same_runs = o->runs,
                                   .slow_runs = o->runs < 4 ? 1 : o->runs / 4,
                                   .counter = counter};
    return dd_gate_self_test(g, &trials, stdout);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        size_t n_rest, n_sides;
        const char *usage;
    } verbs[] = {{"compare", 2, 2, "BASE HEAD"},
                 {"self-test", 4, 4, "SAME SAME SLOW-KERNEL SLOW-STEP"},
                 {"count", 2, 1, "FOLDER 'PROGRAM ARGUMENT…'"}};
    static char path[SIDES_MAX][PATH_MAX];
    options o = {.counter = "auto", .parts = DD_GATE_ALL, .runs = 20};
    const struct argp argp = {option,
                              parse,
                              "compare BASE HEAD\nself-test SAME SAME SLOW-KERNEL SLOW-STEP\n"
                              "count FOLDER 'PROGRAM ARGUMENT…'",
                              help,
                              NULL,
                              NULL,
                              NULL};
    argp_err_exit_status = 2;
    argp_parse(&argp, argc, argv, 0, NULL, &o);

    size_t v = 0;
    while (v < 3 && strcmp(verbs[v].name, o.verb) != 0)
        v++;
    if (v == 3 || o.n_rest != verbs[v].n_rest) {
        if (v == 3)
            fprintf(stderr, "perf_gate_tool: \"%s\" is none of compare, self-test, count\n",
                    o.verb);
        else
            fprintf(stderr, "perf_gate_tool: %s takes %s\n", o.verb, verbs[v].usage);
        return 2;
    }
    dd_gate_side side[SIDES_MAX] = {{0}};
    for (size_t i = 0; i < verbs[v].n_sides; i++)
        side[i] = side_of(&o, i, path[i]);

    dd_gate g;
    char why[DD_GATE_WHY];
    const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    if (pipe(stop_pipe) != 0 || sigaction(SIGINT, &action, NULL) != 0 ||
        sigaction(SIGTERM, &action, NULL) != 0) {
        perror("perf_gate_tool");
        return 3;
    }
    int code = 3;
    if (dd_gate_open(&g, stop_pipe[0], v == 2 ? NULL : stderr, why))
        code = run(&g, &o, side);
    else
        fprintf(stderr, "perf_gate_tool: %s\n", why);
    dd_gate_close(&g);
    if (g.stopped)
        return 128 + (stopped_by ? stopped_by : SIGINT);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "perf_gate_tool: the table could not be written to stdout\n");
        return code ? code : 3;
    }
    return code;
}
