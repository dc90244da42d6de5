/* SPDX-License-Identifier: MIT
 * `dodeca run`: scenario files to verdicts and tables. Owns the order of things: everything is
 * read, checked and given a results folder before the first cell trains. */
#include "commands.h"
#include "options.h"
#include "report.h"
#include "scenario.h"
#include "sweep.h"
#include "sweep_stop.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPTION_SET = DD_OPTION_OWN, OPTION_OUT, OPTION_LIST };

typedef struct request {
    const char **files, **sets;
    size_t n_files, n_sets;
    const char *out;
    bool list;
} request;

/* One scenario on its way through. */
typedef struct job {
    dd_scenario *scenario;
    dd_sweep *sweep;
    dd_report report;
} job;

static int complain(int code, const char *message)
{
    fprintf(stderr, "dodeca run: %s\n", message);
    return code;
}

/* ---- Before anything runs ---- */

static int prepare(const request *r, job *jobs)
{
    char message[DD_SCENARIO_MESSAGE_MAX];
    for (size_t i = 0; i < r->n_files; i++) {
        if (!dd_scenario_open(r->files[i], r->sets, r->n_sets, &jobs[i].scenario, message))
            return complain(DD_EXIT_USAGE, message);
        jobs[i].sweep = dd_sweep_open(jobs[i].scenario);
        if (!jobs[i].sweep)
            return complain(DD_EXIT_ENVIRONMENT, "no memory for the cells");
        dd_status st = r->list ? DD_OK : dd_sweep_validate(jobs[i].sweep, message);
        if (st != DD_OK)
            return complain(st == DD_ERR_MEMORY ? DD_EXIT_ENVIRONMENT : DD_EXIT_USAGE, message);
    }
    return DD_EXIT_HELD;
}

/* Several scenarios share --out DIR as DIR/<name>. */
static int make_folders(const request *r, job *jobs)
{
    char message[600];
    for (size_t i = 0; r->out && i < r->n_files; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(jobs[j].scenario->name, jobs[i].scenario->name) == 0) {
                snprintf(message, sizeof message,
                         "--out: %.200s and %.200s have the same name, %s, and so one folder; give "
                         "one of them another \"name:\"",
                         r->files[j], r->files[i], jobs[i].scenario->name);
                return complain(DD_EXIT_USAGE, message);
            }
    for (size_t i = 0; i < r->n_files; i++) {
        char dir[DD_PATH_MAX];
        snprintf(dir, sizeof dir, "%s/%s", r->out ? r->out : "", jobs[i].scenario->name);
        const char *out = r->n_files > 1 && r->out ? dir : r->out;
        if (!dd_report_open(&jobs[i].report, jobs[i].sweep, out)) {
            snprintf(message, sizeof message,
                     "results cannot be written: %s; --out DIR names another folder",
                     jobs[i].report.failure);
            while (i-- > 0)
                dd_report_discard(&jobs[i].report);
            return complain(DD_EXIT_USAGE, message);
        }
    }
    return DD_EXIT_HELD;
}

static void list_cells(const dd_scenario *scenario)
{
    printf("%s: %s%s%zu cell%s\n", scenario->file, scenario->about, scenario->about[0] ? "; " : "",
           scenario->n_cells, scenario->n_cells == 1 ? "" : "s");
    for (size_t i = 0; i < scenario->n_cells; i++) {
        const dd_scenario_cell *cell = &scenario->cells[i];
        printf("%4zu  %s, %llu steps, repeats %u\n", i + 1,
               cell->label[0] ? cell->label : scenario->name,
               (unsigned long long)cell->settings.steps, cell->settings.repeats);
    }
}

/* ---- Running ---- */

static void keep(void *user, const dd_sweep *sweep)
{
    dd_report_write(user, sweep);
}

/* Cells that could not run here: the machine lacks what they ask for. */
static size_t count_skipped(const dd_sweep *sweep)
{
    size_t n = 0;
    for (size_t i = 0; i < sweep->scenario->n_cells; i++)
        n += sweep->cells[i].verdict == DD_SKIP;
    return n;
}

static int exit_code(const job *j)
{
    if (j->sweep->interrupted)
        return DD_EXIT_INTERRUPTED;
    dd_verdict verdict = dd_sweep_verdict(j->sweep);
    if (verdict > DD_SKIP)
        return DD_EXIT_FAILED;
    return j->report.failure[0] || count_skipped(j->sweep) ? DD_EXIT_ENVIRONMENT : DD_EXIT_HELD;
}

/* Of two exit codes: interrupted, then failed, then what the machine lacks. */
static int worse(int a, int b)
{
    if (a == DD_EXIT_INTERRUPTED || b == DD_EXIT_INTERRUPTED)
        return DD_EXIT_INTERRUPTED;
    if (a == DD_EXIT_FAILED || b == DD_EXIT_FAILED)
        return DD_EXIT_FAILED;
    return a > b ? a : b;
}

static void say_trouble(const job *j)
{
    size_t n = count_skipped(j->sweep);
    if (j->report.failure[0])
        fprintf(stderr, "dodeca run: results could not be written: %s\n", j->report.failure);
    if (n && !j->sweep->interrupted)
        fprintf(stderr,
                "dodeca run: %s: %zu of %zu cells could not run on this machine, see SKIP in the "
                "table\n",
                j->scenario->name, n, j->scenario->n_cells);
}

static int run_jobs(job *jobs, size_t n, int stop_fd)
{
    int worst = DD_EXIT_HELD;
    bool terminal = isatty(STDERR_FILENO);
    for (size_t i = 0; i < n && worst != DD_EXIT_INTERRUPTED; i++) {
        dd_sweep_options options = {.stop_fd = stop_fd,
                                    .log = stderr,
                                    .terminal = terminal,
                                    .on_run = keep,
                                    .user = &jobs[i].report};
        dd_sweep_run_all(jobs[i].sweep, &options);
        fputs(i ? "\n" : "", stdout);
        dd_report_print(&jobs[i].report, jobs[i].sweep, stdout);
        say_trouble(&jobs[i]);
        worst = worse(worst, exit_code(&jobs[i]));
    }
    fflush(stdout);
    return worst;
}

static int run(const request *r)
{
    job *jobs = calloc(r->n_files, sizeof *jobs);
    if (!jobs)
        return complain(DD_EXIT_ENVIRONMENT, "no memory");
    int code = prepare(r, jobs);
    if (code == DD_EXIT_HELD && r->list) {
        for (size_t i = 0; i < r->n_files; i++)
            list_cells(jobs[i].scenario);
    } else if (code == DD_EXIT_HELD) {
        int stop_fd = dd_stop_open(); /* from the first file on, Ctrl-C leaves whole ones */
        code = make_folders(r, jobs);
        if (code == DD_EXIT_HELD)
            code = run_jobs(jobs, r->n_files, stop_fd);
        int number = dd_stop_close(stop_fd);
        if (code == DD_EXIT_INTERRUPTED && number)
            code = 128 + number;
    }
    for (size_t i = 0; i < r->n_files; i++) {
        dd_sweep_close(jobs[i].sweep);
        dd_scenario_close(jobs[i].scenario);
    }
    free(jobs);
    return code;
}

/* ---- Options ---- */

static error_t parse(int id, char *argument, struct argp_state *state)
{
    request *r = state->input;
    switch (id) {
    case OPTION_SET:
        r->sets[r->n_sets++] = argument;
        return 0;
    case OPTION_OUT:
        if (!argument[0])
            argp_failure(state, DD_EXIT_USAGE, 0, "--out: the folder has no name");
        r->out = argument;
        return 0;
    case OPTION_LIST:
        r->list = true;
        return 0;
    case ARGP_KEY_ARG:
        r->files[r->n_files++] = argument;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_failure(state, DD_EXIT_USAGE, 0,
                     "which scenario? For example: dodeca run scenarios/quick.yaml");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int dd_cmd_run(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"set", OPTION_SET, "KEY=VALUE", 0, "replace a setting, or its list, of every file", 0},
        {"out", OPTION_OUT, "DIR", 0,
         "results folder (default: results/runs/<UTC time>-<scenario>)", 0},
        {"list", OPTION_LIST, NULL, 0, "print the cells and run nothing", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "FILE…",
        .doc =
            "Run scenario files: every cell trains in a child process under a watchdog, is checked "
            "against the serial oracle, and gets a row of the speedup table.\v"
            "Examples:\n"
            "  dodeca run scenarios/quick.yaml\n"
            "  dodeca run scenarios/quick.yaml --set steps=10 --set repeats=1 --out /tmp/quick\n"
            "\n"
            "Exit: 0 all held; 1 a cell is FAIL, HANG or CRASH; 2 bad usage or input; 3 the "
            "machine lacks what a cell needs, which is then a SKIP; 130 interrupted by "
            "Ctrl-C, 143 by SIGTERM.",
    };
    request r = {0};
    /* argv bounds both lists. */
    r.files = calloc((size_t)argc, sizeof *r.files);
    r.sets = calloc((size_t)argc, sizeof *r.sets);
    int code = DD_EXIT_ENVIRONMENT;
    if (!r.files || !r.sets)
        complain(code, "no memory");
    else if (argp_parse(&argp, argc, argv, 0, NULL, &r) != 0)
        code = DD_EXIT_USAGE;
    else
        code = run(&r);
    free(r.files);
    free(r.sets);
    return code;
}
