/* SPDX-License-Identifier: MIT
 * `dodeca run`: scenario files to verdicts and tables. Owns the command line and the order of
 * things: everything is read, checked and given a results folder before the first cell trains. What
 * becomes of a sweep is sweep_job.c's. */
#include "command_line.h"
#include "commands.h"
#include "options.h"
#include "soak.h"
#include "soak_report.h"
#include "sweep_job.h"
#include "sweep_stop.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "text.h"

enum {
    OPTION_SET = DD_OPTION_OWN,
    OPTION_SUBJECT,
    OPTION_OUT,
    OPTION_REPLACE,
    OPTION_LIST,
    OPTION_TRACE,
    OPTION_RESUME,
    OPTION_AGAIN,
    OPTION_MINUTES,
    OPTION_ROUNDS,
    OPTION_SEED
};
enum { SOAK_MINUTES = 1, LISTED_ROUNDS = 10 };

typedef struct request {
    const char **files, **sets;
    size_t n_files, n_sets;
    char *subject; /* the set that --subject makes; NULL: none */
    const char *out;
    bool replace, list, trace, timed; /* timed: --minutes was given */
    const char *resume;               /* a results folder, in place of files; NULL: none */
    uint64_t again;                   /* the number of a cell of it; 0: none */
    /* of soaks */
    const char *soak_option; /* the first that was given; NULL: none */
    double minutes;
    uint64_t rounds, draw_seed;
    bool seeded;
} request;

/* One scenario on its way through. */
typedef struct job {
    dd_sweep_job sweep;
    /* of a soak: */
    dd_scenario *scenario; /* NULL: it is a sweep */
    dd_soak soak;
    dd_journal *journal; /* empty: it keeps the folder; NULL: not taken */
    char command[1024];  /* that repeats a round of it, but for the seed */
    dd_report report;
} job;

static int complain(int code, const char *message)
{
    fprintf(stderr, "dodeca run: %s\n", message);
    return code;
}

/* ---- Before anything runs ---- */

/* The command that runs one round of the soak again: a seed follows. */
static void write_command(const request *r, job *j)
{
    static const char round[] = " --rounds 1 --draw-seed ";
    if (!dd_command_run(j->scenario->file, r->sets, r->n_sets, j->command,
                        sizeof j->command - sizeof round))
        strcpy(j->command, "dodeca run …"); /* the user knows the rest */
    strcat(j->command, round);
}

/* A first draw shows whether there can be any; the data is opened by the first oracle. */
static int prepare_soak(const request *r, job *j)
{
    char message[DD_SCENARIO_MESSAGE_MAX];
    dd_round round;
    write_command(r, j);
    if (!dd_round_draw(j->scenario, r->draw_seed, &round, message))
        return complain(DD_EXIT_USAGE, message);
    dd_data *data = NULL;
    dd_error error;
    char used[DD_SPEC_MAX], note[DD_MESSAGE_MAX];
    dd_status st = dd_settings_open_data(&round.settings, &data, used, note, &error);
    dd_data_close(data);
    if (st == DD_OK)
        return DD_EXIT_HELD;
    snprintf(message, sizeof message, "%.300s: %.500s", j->scenario->file, error.message);
    return complain(st == DD_ERR_MEMORY ? DD_EXIT_ENVIRONMENT : DD_EXIT_USAGE, message);
}

static int prepare(const request *r, job *jobs)
{
    char message[DD_SCENARIO_MESSAGE_MAX];
    for (size_t i = 0; i < r->n_files; i++) {
        dd_scenario *scenario;
        if (!dd_scenario_open(r->files[i], r->sets, r->n_sets, &scenario, message))
            return complain(DD_EXIT_USAGE, message);
        if (scenario->draws) {
            jobs[i].scenario = scenario;
            if (r->trace) {
                snprintf(message, sizeof message,
                         "--trace: %.300s is a soak; only the cells of a sweep have timelines",
                         r->files[i]);
                return complain(DD_EXIT_USAGE, message);
            }
            int code = prepare_soak(r, &jobs[i]);
            if (code != DD_EXIT_HELD)
                return code;
            continue;
        }
        int code =
            dd_sweep_job_prepare(&jobs[i].sweep, scenario, r->list || r->soak_option, message);
        if (code != DD_EXIT_HELD)
            return complain(code, message);
        if (r->soak_option) {
            snprintf(message, sizeof message,
                     "%s: %.300s has no \"draw:\"; a sweep ends with its last cell, only a soak is "
                     "bounded by time or rounds (scenarios/soak.yaml is one)",
                     r->soak_option, r->files[i]);
            return complain(DD_EXIT_USAGE, message);
        }
    }
    return DD_EXIT_HELD;
}

static const char *name_of(const job *j)
{
    return j->scenario ? j->scenario->name : j->sweep.scenario->name;
}

static bool make_folder(const request *r, job *j, const char *out,
                        char message[DD_JOURNAL_MESSAGE_MAX])
{
    if (!j->scenario)
        return dd_sweep_job_begin(&j->sweep, out, r->replace, r->sets, r->n_sets, message);
    if (dd_report_open_folder(&j->report, j->scenario->name, out, r->replace))
        return dd_sweep_job_hold(&j->report, r->replace, &j->journal, message);
    return dd_journal_refuse_(message, "results cannot be written: %s", j->report.failure);
}

/* Several scenarios share --out DIR as DIR/<name>. */
static int make_folders(const request *r, job *jobs)
{
    char message[DD_JOURNAL_MESSAGE_MAX];
    for (size_t i = 0; r->out && i < r->n_files; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(name_of(&jobs[j]), name_of(&jobs[i])) == 0) {
                snprintf(message, sizeof message,
                         "--out: %.200s and %.200s have the same name, %s, and so one folder; give "
                         "one of them another \"name:\"",
                         r->files[j], r->files[i], name_of(&jobs[i]));
                return complain(DD_EXIT_USAGE, message);
            }
    for (size_t i = 0; i < r->n_files; i++) {
        char dir[DD_PATH_MAX];
        snprintf(dir, sizeof dir, "%s/%s", r->out ? r->out : "", name_of(&jobs[i]));
        if (make_folder(r, &jobs[i], r->n_files > 1 && r->out ? dir : r->out, message))
            continue;
        fprintf(stderr, "dodeca run: %s; --out DIR names another folder\n", message);
        while (i-- > 0)
            dd_report_discard(jobs[i].scenario ? &jobs[i].report : &jobs[i].sweep.report);
        return DD_EXIT_USAGE;
    }
    return DD_EXIT_HELD;
}

static void list_rounds(const request *r, const dd_scenario *scenario)
{
    char message[DD_SCENARIO_MESSAGE_MAX];
    dd_round round;
    printf("%s: %s%sa soak; its first rounds with --draw-seed %llu\n", scenario->file,
           scenario->about, scenario->about[0] ? "; " : "", (unsigned long long)r->draw_seed);
    for (uint64_t i = 0; i < (r->rounds ? r->rounds : LISTED_ROUNDS); i++)
        if (dd_round_draw(scenario, r->draw_seed + i, &round, message))
            printf("%4llu  %s\n", (unsigned long long)i + 1, round.label);
}

static void list_cells(const dd_scenario *scenario)
{
    printf("%s: %s%s%zu cell%s\n", scenario->file, scenario->about, scenario->about[0] ? "; " : "",
           scenario->n_cells, scenario->n_cells == 1 ? "" : "s");
    for (size_t i = 0; i < scenario->n_cells; i++) {
        const dd_scenario_cell *cell = &scenario->cells[i];
        const dd_settings *s = &cell->settings;
        printf("%4zu  %s, %llu steps, repeats %u", i + 1,
               cell->label[0] ? cell->label : scenario->name, (unsigned long long)s->steps,
               s->repeats);
        if (s->interval > 0)
            printf(" to %u", s->repeats_max);
        putchar('\n');
    }
}

/* ---- Running ---- */

static void keep_soak(void *user, const dd_soak *soak)
{
    dd_soak_report_write(user, soak);
}

static int soak_exit_code(const job *j)
{
    if (j->soak.interrupted)
        return DD_EXIT_INTERRUPTED;
    if (dd_soak_verdict(&j->soak) > DD_SKIP)
        return DD_EXIT_FAILED;
    return j->report.failure[0] || j->soak.message[0] || j->soak.sums.skipped ||
                   !j->soak.sums.passed
               ? DD_EXIT_ENVIRONMENT
               : DD_EXIT_HELD;
}

static int run_soak(const request *r, job *j, int stop_fd)
{
    dd_soak_options options = {.minutes = r->minutes,
                               .rounds = r->rounds,
                               .seed = r->draw_seed,
                               .command = j->command,
                               .stop_fd = stop_fd,
                               .log = stderr,
                               .terminal = isatty(STDERR_FILENO),
                               .on_round = keep_soak,
                               .user = &j->report};
    if (r->rounds)
        fprintf(stderr, "%s: %llu rounds, --draw-seed %llu\n", j->scenario->name,
                (unsigned long long)r->rounds, (unsigned long long)r->draw_seed);
    else
        fprintf(stderr, "%s: %g minute%s%s, --draw-seed %llu\n", j->scenario->name, r->minutes,
                r->minutes == 1 ? "" : "s", r->soak_option ? "" : " (--minutes N for more)",
                (unsigned long long)r->draw_seed);
    dd_soak_run(j->scenario, &options, &j->soak);
    dd_soak_report_print(&j->report, &j->soak, stdout);
    return soak_exit_code(j);
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

static int run_jobs(const request *r, job *jobs, int stop_fd)
{
    int worst = DD_EXIT_HELD;
    for (size_t i = 0; i < r->n_files && worst != DD_EXIT_INTERRUPTED; i++) {
        jobs[i].sweep.trace = r->trace;
        fputs(i ? "\n" : "", stdout);
        worst = worse(worst, jobs[i].scenario ? run_soak(r, &jobs[i], stop_fd)
                                              : dd_sweep_job_run(&jobs[i].sweep, stop_fd));
    }
    fflush(stdout);
    return worst;
}

static void list(const request *r, const job *jobs)
{
    for (size_t i = 0; i < r->n_files; i++)
        if (jobs[i].scenario)
            list_rounds(r, jobs[i].scenario);
        else
            list_cells(jobs[i].sweep.scenario);
}

/* From the first file on, Ctrl-C leaves whole ones. */
static int carry_out(const request *r, job *jobs)
{
    int stop_fd = dd_stop_open();
    int code = r->resume ? DD_EXIT_HELD : make_folders(r, jobs);
    if (code == DD_EXIT_HELD)
        code = run_jobs(r, jobs, stop_fd);
    int number = dd_stop_close(stop_fd);
    return code == DD_EXIT_INTERRUPTED && number ? 128 + number : code;
}

static int run(const request *r)
{
    char message[DD_JOURNAL_MESSAGE_MAX];
    job *jobs = calloc(r->n_files, sizeof *jobs);
    if (!jobs)
        return complain(DD_EXIT_ENVIRONMENT, "no memory");
    int code = DD_EXIT_HELD;
    if (!r->resume)
        code = prepare(r, jobs);
    else if ((code = dd_sweep_job_resume(&jobs[0].sweep, r->resume, r->again, message)))
        complain(code, message);
    if (code == DD_EXIT_HELD && r->list)
        list(r, jobs);
    else if (code == DD_EXIT_HELD)
        code = carry_out(r, jobs);
    for (size_t i = 0; i < r->n_files; i++) {
        dd_sweep_job_close(&jobs[i].sweep);
        dd_soak_close(&jobs[i].soak);
        dd_journal_leave(jobs[i].journal);
        dd_journal_close(jobs[i].journal);
        dd_scenario_close(jobs[i].scenario);
    }
    free(jobs);
    return code;
}

/* ---- Options ---- */

/* Short enough to be typed again. */
static bool seed(request *r)
{
    uint32_t random;
    if (r->seeded)
        return true;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return false;
    r->draw_seed = random;
    return true;
}

/* What goes together. A folder that is resumed is the one job there is. */
static void check_request(request *r, const struct argp_state *state)
{
    if (r->again && !r->resume)
        argp_failure(state, DD_EXIT_USAGE, 0,
                     "--again %llu: of which results folder? Give --resume DIR, too",
                     (unsigned long long)r->again);
    const char *idle = r->out       ? "--out"
                       : r->replace ? "--replace"
                       : r->trace   ? "--trace"
                       : r->timed   ? "--minutes"
                                    : NULL;
    if (r->list && idle)
        argp_failure(
            state, DD_EXIT_USAGE, 0,
            "%s: means nothing beside --list, which runs nothing; leave one of the two out", idle);
    if (r->replace && !r->out)
        argp_failure(state, DD_EXIT_USAGE, 0, "--replace: in which folder? Give --out DIR, too");
    if (r->resume && (r->n_files || r->n_sets || r->out || r->list || r->soak_option))
        argp_failure(state, DD_EXIT_USAGE, 0,
                     "--resume %.300s: goes on with what was begun there, with its scenario and "
                     "settings; nothing else can be given beside it but --again and --trace",
                     r->resume);
    if (!r->resume && !r->n_files)
        argp_failure(state, DD_EXIT_USAGE, 0,
                     "which scenario? For example: dodeca run scenarios/quick.yaml");
    r->n_files = r->resume ? 1 : r->n_files;
}

static error_t parse(int id, char *argument, struct argp_state *state)
{
    request *r = state->input;
    switch (id) {
    case OPTION_SET:
        r->sets[r->n_sets++] = argument;
        return 0;
    case OPTION_SUBJECT: /* a --set that is easier to write; freed with the list */
        if (r->subject)
            argp_failure(
                state, DD_EXIT_USAGE, 0,
                "--subject is given twice; --set subject=… replaces a list by one, several "
                "are swept in the file");
        if (asprintf(&r->subject, "subject=%s", argument) < 0) {
            r->subject = NULL;
            argp_failure(state, DD_EXIT_ENVIRONMENT, 0, "no memory");
        }
        r->sets[r->n_sets++] = r->subject;
        return 0;
    case OPTION_OUT:
        if (!argument[0])
            argp_failure(state, DD_EXIT_USAGE, 0, "--out: the folder has no name");
        r->out = argument;
        return 0;
    case OPTION_REPLACE:
        r->replace = true;
        return 0;
    case OPTION_LIST:
        r->list = true;
        return 0;
    case OPTION_TRACE:
        r->trace = true;
        return 0;
    case OPTION_RESUME:
        if (!argument[0])
            argp_failure(state, DD_EXIT_USAGE, 0,
                         "--resume: the folder has no name; \".\" is the one you are in");
        r->resume = argument;
        return 0;
    case OPTION_AGAIN:
        if (!dd_text_uint(argument, &r->again) || r->again == 0)
            argp_failure(state, DD_EXIT_USAGE, 0,
                         "--again \"%.64s\": must be a cell's number as --list prints it, 1 or "
                         "more",
                         argument);
        return 0;
    case OPTION_MINUTES:
        if (!dd_text_real(argument, &r->minutes) || !(r->minutes > 0 && r->minutes <= 100000))
            argp_failure(state, DD_EXIT_USAGE, 0,
                         "--minutes \"%.64s\": must be a number above 0, at most 100000", argument);
        r->soak_option = "--minutes";
        r->timed = true;
        return 0;
    case OPTION_ROUNDS:
        if (!dd_text_uint(argument, &r->rounds) || r->rounds == 0)
            argp_failure(state, DD_EXIT_USAGE, 0,
                         "--rounds \"%.64s\": must be a whole number, 1 or more", argument);
        r->soak_option = "--rounds";
        return 0;
    case OPTION_SEED:
        if (!dd_text_uint(argument, &r->draw_seed))
            argp_failure(state, DD_EXIT_USAGE, 0, "--draw-seed \"%.64s\": must be a whole number",
                         argument);
        r->seeded = true;
        r->soak_option = r->soak_option ? r->soak_option : "--draw-seed";
        return 0;
    case ARGP_KEY_ARG:
        if (!argument[0])
            argp_failure(state, DD_EXIT_USAGE, 0, "\"\": a scenario's file has a name");
        r->files[r->n_files++] = argument;
        return 0;
    case ARGP_KEY_END:
        check_request(r, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int dd_cmd_run(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"set", OPTION_SET, "KEY=VALUE", 0, "replace a setting, or its list, of every file", 0},
        {"subject", OPTION_SUBJECT, "SUBJECT", 0,
         "short for --set subject=SUBJECT: who trains, or the shared library of a trainer of your "
         "own, ./libmine.so (its interface is the header dodeca_subject.h)",
         0},
        {"out", OPTION_OUT, "DIR", 0,
         "results folder (default: results/runs/<UTC time>-<scenario>)", 0},
        {"replace", OPTION_REPLACE, NULL, 0,
         "results that are in the folder of --out go, with the page and the traces made of them",
         0},
        {"list", OPTION_LIST, NULL, 0, "print the cells and run nothing", 0},
        {"trace", OPTION_TRACE, NULL, 0,
         "at the end run every cell once more, checked but not timed, and write what each thread "
         "did when to DIR/traces/cell-N.json, a timeline for https://ui.perfetto.dev or "
         "chrome://tracing",
         0},
        {"resume", OPTION_RESUME, "DIR", 0,
         "go on with the sweep of this results folder, where it was interrupted", 0},
        {"again", OPTION_AGAIN, "CELL", 0,
         "with --resume: run this cell (its number in --list) again, in place of what it has", 0},
        {"minutes", OPTION_MINUTES, "N", 0, "soaks: no round begins later (default: 1)", 1},
        {"rounds", OPTION_ROUNDS, "N", 0, "soaks: as many rounds, in place of minutes", 1},
        {"draw-seed", OPTION_SEED, "S", 0,
         "soaks: round i draws its settings from S + i (default: another each time, told)", 1},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "FILE…\n--resume DIR [--again CELL]",
        .doc =
            "Run scenario files: every cell trains in a child process under a watchdog, is checked "
            "against the serial oracle, and gets a row of the speedup table.\v"
            "Examples:\n"
            "  dodeca run scenarios/quick.yaml\n"
            "  dodeca run scenarios/quick.yaml --set steps=10 --out /tmp/quick\n"
            "  dodeca run scenarios/full.yaml --list                 # its cells, numbered\n"
            "  dodeca run --resume results/runs/20250101T120000Z-full\n"
            "  dodeca run --resume results/runs/20250101T120000Z-full --again 17\n"
            "  dodeca run scenarios/soak.yaml --minutes 30\n"
            "  dodeca run scenarios/plugin.yaml --subject ./libmine.so  # your own trainer\n"
            "  dodeca run scenarios/soak.yaml --rounds 1 --draw-seed 4711  # a round again\n"
            "\n"
            "A sweep is resumed with the scenario, the machine and the program it was begun with, "
            "or refused. What has run is in DIR/runs.jsonl from the moment it ended, so that "
            "Ctrl-C or kill -9 cost the run in progress.\n"
            "\n"
            "Exit: 0 all held; 1 a cell is FAIL, HANG or CRASH; 2 bad usage or input; 3 the "
            "machine lacks what a cell needs, which is then a SKIP; 130 interrupted by "
            "Ctrl-C, 143 by SIGTERM.",
    };
    request r = {.minutes = SOAK_MINUTES};
    /* argv bounds both lists. */
    r.files = calloc((size_t)argc, sizeof *r.files);
    r.sets = calloc((size_t)argc, sizeof *r.sets);
    int code = DD_EXIT_ENVIRONMENT;
    if (!r.files || !r.sets)
        complain(code, "no memory");
    else if (argp_parse(&argp, argc, argv, 0, NULL, &r) != 0)
        code = DD_EXIT_USAGE;
    else
        code = seed(&r) ? run(&r) : complain(code, "no random seed can be had; give --draw-seed");
    free(r.files);
    free(r.sets);
    free(r.subject);
    return code;
}
