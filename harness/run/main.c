/* SPDX-License-Identifier: MIT
 * The program: finds the subcommand and hands over. Owns --help, --version and the exit code. */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build_info.h"
#include "commands.h"
#include "nearest.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *about;
} commands[] = {
    {"run", dd_cmd_run, "run scenario files: every cell in a child process, checked and timed"},
    {"train", dd_cmd_train, "train once, with the settings given as options"},
    {"convert", dd_cmd_convert, "write a model's weights into another file format"},
    {"inspect", dd_cmd_inspect, "say what a file of weights or tokens holds"},
    {"sample", dd_cmd_sample, "go on with a text, as a trained model from a file would"},
    {"check", dd_cmd_check, "run the checks of a trainer by name"},
    {"bench", dd_cmd_bench, "time kernels, barriers, reductions and steps"},
    {"explore", dd_cmd_explore, "exhaust the interleavings of the synchronisation protocol"},
    {"defects", dd_cmd_defects,
     "plant defects into a copy of the sources and show what catches them"},
    {"diff", dd_cmd_diff, "find the first step, tensor and element where two recorded runs part"},
    {"spheres", dd_cmd_spheres, "show the spheres: positions, contacts, and who gets which lanes"},
    {"predict", dd_cmd_predict, "fit a cost model on measured cells and predict more cores"},
    {"report", dd_cmd_report,
     "make a page of a sweep's results: verdicts, curves, where time goes"},
    {"doctor", dd_cmd_doctor,
     "say what this machine and this build can do, and what would spoil a measurement"},
};
enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static void help(FILE *to)
{
    fputs("usage: dodeca SUBCOMMAND [OPTION…]\n"
          "\n"
          "Trains GPT-2-style models on CPU threads arranged as twelve spheres around one, and "
          "shows that the\n"
          "weights are the same, bit for bit, for every number of threads.\n"
          "\n",
          to);
    for (int i = 0; i < N_COMMANDS; i++)
        fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].about);
    fputs("\n"
          "Begin with these:\n"
          "  dodeca doctor\n"
          "  dodeca train --data builtin --steps 200\n"
          "  dodeca train --data bytes:README.md --model nano --steps 20 --workers 4 --print-hash\n"
          "  dodeca train --data bytes:README.md --model nano --steps 20 --serial --print-hash   "
          "# the same hash\n"
          "  dodeca train --workers 4 --timetable '5 spawn 0 4; 12 terminate 0' --status-every 10\n"
          "  dodeca run scenarios/quick.yaml\n"
          "  dodeca spheres --workers 4\n"
          "\n"
          "dodeca help SUBCOMMAND tells the rest. Results go to stdout, logs to stderr.\n"
          "Exit: 0 all held; 1 a check failed; 2 bad usage or input; 3 the machine or build lacks "
          "something.\n",
          to);
}

static void version(void)
{
    printf("dodeca %s, commit %s, %s, %s%s%s\n", dd_build.version, dd_build.commit,
           dd_build.compiler, dd_build.flags, dd_build.sanitizer[0] ? ", -fsanitize=" : "",
           dd_build.sanitizer);
}

static int unknown(const char *word)
{
    const char *names[N_COMMANDS];
    for (int i = 0; i < N_COMMANDS; i++)
        names[i] = commands[i].name;
    const char *nearest = dd_nearest(word, names, N_COMMANDS);
    fprintf(stderr, "dodeca: unknown %s \"%s\"%s%s%s; there are",
            word[0] == '-' ? "option" : "subcommand", word, nearest ? ", did you mean \"" : "",
            nearest ? nearest : "", nearest ? "\"" : "");
    for (int i = 0; i < N_COMMANDS; i++)
        fprintf(stderr, " %s", names[i]);
    fputs(word[0] == '-' ? " and --help, --version\n" : "\n", stderr);
    return DD_EXIT_USAGE;
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2) {
        help(stderr);
        return DD_EXIT_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "help") == 0 && argc == 3) { /* help train: as train --help */
        static char help_option[] = "--help";
        word = argv[2];
        argv[2] = help_option;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        help(stdout);
        return DD_EXIT_HELD;
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        version();
        return DD_EXIT_HELD;
    }
    for (int i = 0; i < N_COMMANDS; i++) {
        if (strcmp(word, commands[i].name) != 0)
            continue;
        char name[32]; /* so that messages begin with "dodeca train: " */
        (void)snprintf(name, sizeof name, "dodeca %s", commands[i].name);
        argv[1] = name;
        return commands[i].run(argc - 1, argv + 1);
    }
    return unknown(word);
}

/* Started with a standard descriptor closed, the next file or pipe would take its number and be
 * mistaken for it. What takes it instead fails when it is used, as a closed one would. */
static void hold_standard_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_PATH);
    while (fd >= 0 && fd < 2);
    if (fd > 2)
        close(fd);
}

/* Results that did not reach stdout were not told. At exit, for argp prints --help and ends; not of
 * cells, children whose stdout is another. */
static void check_stdout(int code, void *program)
{
    if (getpid() != *(const pid_t *)program)
        return;
    const bool failed_before = ferror(stdout);
    const bool failed = fflush(stdout) != 0;
    if (!failed && !failed_before)
        return;
    fprintf(stderr, "dodeca: results could not be written to stdout%s%s\n", failed ? ": " : "",
            failed ? strerror(errno) : "");
    if (code == DD_EXIT_HELD)
        _exit(DD_EXIT_ENVIRONMENT);
}

int main(int argc, char **argv)
{
    hold_standard_descriptors();
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error to report, not an end */
    argp_err_exit_status = DD_EXIT_USAGE;
    static pid_t program;
    program = getpid();
    (void)on_exit(check_stdout, &program);
    return dispatch(argc, argv);
}
