/* SPDX-License-Identifier: MIT
 * The subcommands of `dodeca`. Each gets its own argv: argv[0] is "dodeca NAME", options follow.
 * Results go to stdout, logs to stderr; what is returned is the exit code of the program. */
#ifndef DD_COMMANDS_H
#define DD_COMMANDS_H

enum {
    DD_EXIT_HELD = 0,        /* all held */
    DD_EXIT_FAILED = 1,      /* a check failed, a step was not finite */
    DD_EXIT_USAGE = 2,       /* bad usage or bad input */
    DD_EXIT_ENVIRONMENT = 3, /* the machine or the build lacks something that is required */
    DD_EXIT_INTERRUPTED =
        130, /* by Ctrl-C; by another signal 128 + its number, as shells have it */
};

int dd_cmd_run(int argc, char **argv);
int dd_cmd_train(int argc, char **argv);
int dd_cmd_convert(int argc, char **argv);
int dd_cmd_inspect(int argc, char **argv);
int dd_cmd_sample(int argc, char **argv);
int dd_cmd_check(int argc, char **argv);
int dd_cmd_bench(int argc, char **argv);
int dd_cmd_explore(int argc, char **argv);
int dd_cmd_defects(int argc, char **argv);
int dd_cmd_diff(int argc, char **argv);
int dd_cmd_spheres(int argc, char **argv);
int dd_cmd_predict(int argc, char **argv);
int dd_cmd_report(int argc, char **argv);
int dd_cmd_doctor(int argc, char **argv);

#endif
