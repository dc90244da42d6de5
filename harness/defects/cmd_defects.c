/* SPDX-License-Identifier: MIT
 * `dodeca defects`: plants defects into a copy of the sources and shows which means catch which.
 * Owns the choice of defects and the exit code. */
#include <argp.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "judge.h"
#include "matrix.h"
#include "nearest.h"
#include "origin.h"
#include "sweep_stop.h"
#include "text.h"

enum {
    OPTION_LIST = 0x100,
    OPTION_KIND,
    OPTION_CHECKS,
    OPTION_SOURCE,
    OPTION_BUILD,
    OPTION_JSON,
    OPTION_RESUME,
    OPTION_JOBS,
    NAMES_MAX = 256,
    JOBS_MAX = 64
};

typedef struct request {
    bool list, json, resume;
    bool kind[DD_GENERATED + 1], some_kind;
    bool means[DD_N_MEANS], by_means;
    const char *source, *build, *compiler;
    const char *name[NAMES_MAX];
    uint32_t n_names;
    size_t jobs;
} request;

/* ---- Arguments ---- */

static void take_kind(request *r, const char *text, struct argp_state *state)
{
    r->some_kind = true;
    for (dd_defect_kind k = DD_CATALOGUE; k <= DD_GENERATED; k++) {
        if (strcmp(text, "all") == 0)
            r->kind[k] = true;
        if (strcmp(text, dd_defect_kind_name(k)) == 0) {
            r->kind[k] = true;
            return;
        }
    }
    if (strcmp(text, "all") != 0)
        argp_error(state, "--kind must be catalogue, protocol, generated or all, not \"%.40s\"",
                   text);
}

static void take_checks(request *r, const char *text, struct argp_state *state)
{
    r->by_means = true;
    if (!*text)
        argp_error(state, "--checks is empty; leave it out for what each defect names");
    for (const char *at = text; *at; at += strcspn(at, ","), at += *at == ',') {
        const size_t n = strcspn(at, ",");
        dd_means means;
        if (n == 3 && strncmp(at, "all", 3) == 0) {
            for (dd_means m = 0; m < DD_N_MEANS; m++)
                r->means[m] = true;
        } else if (dd_means_find(at, n, &means)) {
            r->means[means] = true;
        } else {
            char all[160] = "";
            for (dd_means m = 0; m < DD_N_MEANS; m++)
                snprintf(all + strlen(all), sizeof all - strlen(all), " %s,", dd_means_name(m));
            argp_error(state, "--checks \"%.*s\": there are%s all", (int)n, at, all);
        }
    }
}

static size_t take_jobs(const char *text, struct argp_state *state)
{
    uint64_t n;
    if (!dd_text_uint(text, &n) || n < 1 || n > JOBS_MAX)
        argp_error(state, "--jobs must be a whole number from 1 to %d, not \"%.40s\"", JOBS_MAX,
                   text);
    return (size_t)n;
}

static error_t parse(int id, char *text, struct argp_state *state)
{
    request *r = state->input;
    switch (id) {
    case OPTION_LIST:
        r->list = true;
        return 0;
    case OPTION_JSON:
        r->json = true;
        return 0;
    case OPTION_RESUME:
        r->resume = true;
        return 0;
    case OPTION_JOBS:
        r->jobs = take_jobs(text, state);
        return 0;
    case OPTION_KIND:
        take_kind(r, text, state);
        return 0;
    case OPTION_CHECKS:
        take_checks(r, text, state);
        return 0;
    case OPTION_SOURCE:
    case OPTION_BUILD:
        if (!text[0])
            argp_failure(state, DD_EXIT_USAGE, 0,
                         "--%s: the folder has no name; \".\" is the one you are in",
                         id == OPTION_SOURCE ? "source" : "build");
        *(id == OPTION_SOURCE ? &r->source : &r->build) = text;
        return 0;
    case ARGP_KEY_ARG:
        if (r->n_names == NAMES_MAX)
            argp_error(state, "more than %d names", NAMES_MAX);
        r->name[r->n_names++] = text;
        return 0;
    case ARGP_KEY_END:
        if (r->list && (r->by_means || r->build || r->jobs || r->resume))
            argp_error(state, "--list plants nothing: it takes no %s",
                       r->by_means ? "--checks"
                       : r->build  ? "--build"
                       : r->jobs   ? "--jobs"
                                   : "--resume");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* ---- Choice ---- */

/* Marks the defects of the kinds asked for whose names match; with names, of any kind unless one
 * was given. returns  false: a name that matches none */
static bool choose(const request *r, const dd_defects *all, bool *chosen)
{
    bool matched[NAMES_MAX] = {false}, of_another_kind[NAMES_MAX] = {false};
    for (size_t i = 0; i < all->n; i++) {
        const dd_defect *d = &all->defect[i];
        const bool kind =
            r->some_kind ? r->kind[d->kind] : r->n_names > 0 || d->kind != DD_GENERATED;
        chosen[i] = kind && r->n_names == 0;
        for (uint32_t k = 0; k < r->n_names; k++)
            if (fnmatch(r->name[k], d->name, 0) == 0) {
                of_another_kind[k] |= !kind;
                matched[k] |= kind;
                chosen[i] |= kind;
            }
    }
    for (uint32_t k = 0; k < r->n_names; k++) {
        if (matched[k])
            continue;
        if (of_another_kind[k]) {
            fprintf(stderr, "dodeca defects: \"%.80s\" is of another kind; leave out --kind\n",
                    r->name[k]);
            return false;
        }
        const char **names = calloc(all->n + 1, sizeof *names);
        for (size_t i = 0; names && i < all->n; i++)
            names[i] = all->defect[i].name;
        const char *nearest = names ? dd_nearest(r->name[k], names, all->n) : NULL;
        fprintf(stderr, "dodeca defects: no defect \"%.80s\"%s%s%s --list --kind all shows them\n",
                r->name[k], nearest ? ", did you mean \"" : ";", nearest ? nearest : "",
                nearest ? "\"?" : "");
        free(names);
        return false;
    }
    return true;
}

static void list(const dd_defects *all, const bool *chosen)
{
    for (size_t i = 0; i < all->n; i++) {
        const dd_defect *d = &all->defect[i];
        if (!chosen[i])
            continue;
        printf("%s\n    %s\n", d->name, d->about);
        if (d->catalogue[0])
            printf("    catalogue: %s\n", d->catalogue);
        for (uint32_t e = 0; e < d->n_expected; e++)
            printf("    caught: %s %s\n", dd_means_name(d->expected[e].means),
                   d->expected[e].arguments);
        if (d->equivalent)
            printf("    equivalent: %s\n", d->equivalent);
    }
}

static json_t *json_list(const dd_defects *all, const bool *chosen)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < all->n; i++) {
        const dd_defect *d = &all->defect[i];
        if (!chosen[i])
            continue;
        json_t *caught = json_array();
        for (uint32_t e = 0; e < d->n_expected; e++)
            (void)json_array_append_new(caught, json_pack("{s:s, s:s}", "means",
                                                          dd_means_name(d->expected[e].means),
                                                          "arguments", d->expected[e].arguments));
        (void)json_array_append_new(
            rows,
            json_pack("{s:s, s:s, s:s, s:s, s:s, s:s?, s:o}", "defect", d->name, "kind",
                      dd_defect_kind_name(d->kind), "source", d->source, "about", d->about,
                      "catalogue", d->catalogue, "equivalent", d->equivalent, "caught", caught));
    }
    return rows;
}

static void print_json(json_t *value)
{
    (void)json_dumpf(value, stdout, JSON_INDENT(1));
    putchar('\n');
    json_decref(value);
}

/* ---- The hunt ---- */

static int complain(int code, const char *message)
{
    fprintf(stderr, "dodeca defects: %s\n", message);
    return code;
}

static int show(const dd_hunt *h, dd_hunted result, bool json)
{
    if (json)
        print_json(dd_matrix_json(h));
    else
        dd_matrix_print(h);
    if (result == DD_HUNT_STOPPED)
        return complain(DD_EXIT_INTERRUPTED, "interrupted; --resume goes on from here");
    return dd_matrix_holds(h) ? DD_EXIT_HELD : DD_EXIT_FAILED;
}

static int hunt(const request *r, dd_workshop *w, size_t n, const dd_defects *all, bool *chosen)
{
    dd_hunt h = {.chosen = chosen, .by_means = r->by_means, .log = stderr};
    memcpy(h.means, r->means, sizeof h.means);
    if (!dd_hunt_open(&h, w, n, all, r->resume)) {
        dd_hunt_close(&h);
        return complain(DD_EXIT_ENVIRONMENT, h.message);
    }
    const dd_hunted result = dd_hunt_run(&h);
    int code;
    if (result == DD_HUNT_LACKS || result == DD_HUNT_UNSOUND)
        code = complain(result == DD_HUNT_LACKS ? DD_EXIT_ENVIRONMENT : DD_EXIT_FAILED, h.message);
    else
        code = show(&h, result, r->json);
    dd_hunt_close(&h);
    return code;
}

/* What to report with, and how not to end: as scripts/race_check.sh has it. */
static void set_sanitizers(void)
{
    setenv("TSAN_OPTIONS",
           "halt_on_error=0:second_deadlock_stack=1:history_size=7:exitcode=" DD_REPORT_EXIT, 1);
    setenv("ASAN_OPTIONS", "exitcode=" DD_REPORT_EXIT, 1);
    setenv("UBSAN_OPTIONS", "print_stacktrace=1", 1);
}

/* The folder that is named, and for every further job one below it, with a copy of its copy.
 * returns  how many are open: fewer than asked for, message says why */
static size_t open_workshops(const request *r, dd_workshop *w, size_t n, int stop_fd,
                             char message[DD_DEFECT_MESSAGE])
{
    size_t open = dd_workshop_open(&w[0], r->source, r->build, r->compiler, stop_fd, message);
    while (open && open < n) {
        char name[32], folder[DD_FILE_PATH];
        snprintf(name, sizeof name, "job-%zu", open + 1);
        if (!dd_workshop_open(&w[open], w[0].source, dd_path(folder, w[0].folder, name),
                              r->compiler, stop_fd, message))
            break;
        open++;
    }
    return open;
}

/* Once chosen from the original, the defects are read anew from the copy, which stands still. */
static int plant_all(const request *r, int stop_fd)
{
    char message[DD_DEFECT_MESSAGE] = "no memory";
    dd_defects all = {0};
    int code = DD_EXIT_ENVIRONMENT;
    const size_t n = r->jobs ? r->jobs : 1;
    dd_workshop *w = calloc(n, sizeof *w);
    const size_t open = w ? open_workshops(r, w, n, stop_fd, message) : 0;
    bool *chosen = NULL;
    if (open < n)
        complain(code, message);
    else if (!dd_defects_open(w->source, &all, message))
        code = complain(DD_EXIT_USAGE, message);
    else if (!(chosen = calloc(all.n + 1, sizeof *chosen)))
        complain(code, "no memory");
    else
        code = choose(r, &all, chosen) ? hunt(r, w, n, &all, chosen) : DD_EXIT_USAGE;
    free(chosen);
    dd_defects_close(&all);
    for (size_t i = 0; i < open; i++)
        dd_workshop_close(&w[i]);
    free(w);
    return code;
}

static int look(const request *r)
{
    char message[DD_DEFECT_MESSAGE];
    dd_defects all;
    if (!dd_workshop_sources(r->source, message))
        return complain(DD_EXIT_ENVIRONMENT, message);
    if (!dd_defects_open(r->source, &all, message))
        return complain(DD_EXIT_USAGE, message);
    bool *chosen = calloc(all.n + 1, sizeof *chosen);
    int code = DD_EXIT_ENVIRONMENT;
    if (chosen)
        code = choose(r, &all, chosen) ? DD_EXIT_HELD : DD_EXIT_USAGE;
    if (code == DD_EXIT_HELD && r->list && r->json)
        print_json(json_list(&all, chosen));
    else if (code == DD_EXIT_HELD && r->list)
        list(&all, chosen);
    free(chosen);
    dd_defects_close(&all);
    return code;
}

int dd_cmd_defects(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"list", OPTION_LIST, NULL, 0, "show the defects and what must catch them, plant none", 0},
        {"kind", OPTION_KIND, "KIND", 0,
         "catalogue: bugs of real trainers; protocol: bugs made up against the synchronisation; "
         "generated: made from the sources; all (default: catalogue and protocol, or what NAMEs "
         "are of)",
         0},
        {"checks", OPTION_CHECKS, "LIST", 0,
         "try these on every defect, by commas: unit, explore, tsan, helgrind, drd, memcheck, "
         "asan, guard, serial, finite, watchdog, all (default: what each defect names; for the "
         "generated explore, unit, tsan and serial until one has it)",
         0},
        {"source", OPTION_SOURCE, "DIR", 0, "the sources (default: those of this build)", 0},
        {"build", OPTION_BUILD, "DIR", 0,
         "folder for the copy and its builds (default: defects/ in this build's)", 0},
        {"json", OPTION_JSON, NULL, 0, "results as JSON", 0},
        {"jobs", OPTION_JOBS, "N", 0,
         "try N defects at a time, each in a copy and builds of its own (default: 1)", 0},
        {"resume", OPTION_RESUME, NULL, 0, "go on where an interrupted run of the same sources was",
         0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "[NAME…]",
        .doc =
            "Plants defects, one after the other, into a copy of the sources and tries on each "
            "what "
            "is to catch it. A NAME may be a pattern: 'gen:sync/*'.\v"
            "Examples:\n"
            "  dodeca defects --list --kind all\n"
            "  dodeca defects wake-one torn-steal\n"
            "  dodeca defects --kind catalogue --checks all\n"
            "  dodeca defects --kind generated --jobs 4 --resume\n\n"
            "Exit: 0 every defect is caught by all that it names and by one at least, or argued to "
            "be harmless; 1 one is not; 2 bad usage or a bad defect file; 3 sources, compiler or a "
            "tool are missing; 130 interrupted.",
    };
    request r = {0};
    argp_err_exit_status = DD_EXIT_USAGE;
    if (argp_parse(&argp, argc, argv, 0, NULL, &r) != 0)
        return DD_EXIT_USAGE;
    dd_origin origin;
    char message[DD_DEFECT_MESSAGE], beside[DD_FILE_PATH];
    if (!dd_origin_find(&origin, message))
        return complain(DD_EXIT_ENVIRONMENT, message);
    r.compiler = origin.compiler;
    if (!r.source)
        r.source = origin.source;
    if (!r.build)
        r.build = dd_path(beside, origin.build, "defects");
    int code = look(&r);
    if (code != DD_EXIT_HELD || r.list)
        return code;
    set_sanitizers();
    const int stop_fd = dd_stop_open();
    code = plant_all(&r, stop_fd);
    const int number = dd_stop_close(stop_fd);
    return code == DD_EXIT_INTERRUPTED && number ? 128 + number : code;
}
