/* SPDX-License-Identifier: MIT
 * `dodeca report`: a results folder becomes a page. Owns the order of things: all is read and
 * checked, then drawn and written beside what is there, then put in its place (page_files.h). */
#include "commands.h"
#include "page.h"
#include "page_files.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int complain(int code, const char *message)
{
    fprintf(stderr, "dodeca report: %s\n", message);
    return code;
}

/* Made in memory first: what the system says of the file is told then, and of nothing else. */
static int write_page(const dd_page_results *r, const dd_figures *figures, dd_page_files *files)
{
    char message[DD_PAGE_MESSAGE_MAX], *text = NULL;
    size_t n = 0;
    FILE *memory = open_memstream(&text, &n);
    const bool made = memory && dd_page_write(r, figures, memory);
    if (!memory || fclose(memory) != 0 || !made) {
        free(text);
        return complain(DD_EXIT_ENVIRONMENT, "no memory for the page");
    }
    FILE *out = fopen(files->page, "we");
    const bool written = out && fwrite(text, 1, n, out) == n && fflush(out) == 0;
    int why = errno;
    if (out && fclose(out) != 0 && written)
        why = errno;
    else if (written)
        why = 0;
    free(text);
    if (why) {
        fprintf(stderr, "dodeca report: %s/report.html cannot be written: %s\n", r->dir,
                strerror(why));
        return DD_EXIT_USAGE;
    }
    if (!dd_page_files_put(files, message, sizeof message))
        return complain(DD_EXIT_USAGE, message);
    printf("%s/report.html\n", r->dir);
    return DD_EXIT_HELD;
}

static int draw(const dd_page_results *r, dd_figures *figures, dd_page_files *files)
{
    char message[DD_PAGE_MESSAGE_MAX];
    switch (dd_plots_draw(figures->plot, figures->n, files->plots, message, sizeof message)) {
    case DD_PLOT_DRAWN:
        return write_page(r, figures, files);
    case DD_PLOT_NO_PROGRAM:
        fprintf(stderr,
                "dodeca report: %s; it draws the plots: install Debian's gnuplot-nox "
                "(scripts/setup.sh --report)\n",
                message);
        return DD_EXIT_ENVIRONMENT;
    default:
        return complain(DD_EXIT_USAGE, message);
    }
}

static int report(const char *dir)
{
    char message[DD_PAGE_MESSAGE_MAX], why[DD_PAGE_MESSAGE_MAX];
    dd_page_results r;
    dd_figures figures = {0};
    dd_page_files files;
    int code;
    /* first: a run that begins there afterwards is refused, and what is read is shown */
    const bool held = dd_page_files_open(&files, dir, why, sizeof why);
    if (!dd_page_results_open(&r, dir, message))
        code = complain(DD_EXIT_USAGE, message);
    else if (!held)
        code = complain(DD_EXIT_USAGE, why);
    else if (!dd_figures_open(&figures, &r))
        code = complain(DD_EXIT_ENVIRONMENT, "no memory for the plots");
    else {
        dd_page_files_begin(&files);
        code = draw(&r, &figures, &files);
    }
    dd_page_files_close(&files);
    dd_figures_close(&figures);
    dd_page_results_close(&r);
    return code;
}

static error_t parse(int id, char *argument, struct argp_state *state)
{
    const char **dir = state->input;
    switch (id) {
    case ARGP_KEY_ARG:
        if (!argument[0])
            argp_failure(state, DD_EXIT_USAGE, 0,
                         "\"\": the results folder has no name; \".\" is the one you are in");
        if (*dir)
            argp_failure(state, DD_EXIT_USAGE, 0, "\"%s\": there is one folder to report on, %s",
                         argument, *dir);
        *dir = argument;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_failure(state, DD_EXIT_USAGE, 0,
                     "which results folder? For example: dodeca report results/runs/NAME");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int dd_cmd_report(int argc, char **argv)
{
    static const struct argp argp = {
        .parser = parse,
        .args_doc = "DIR",
        .doc =
            "Make one HTML page of a sweep's results: DIR/report.html, with verdicts, speedup "
            "curves, gains, phases, spheres, machine and build. It opens from disk, needs no "
            "other file and no network. Plots are drawn by gnuplot and lie in DIR/plots as SVG and "
            "PNG, too; page and plots are replaced together, or stay as they are.\v"
            "DIR is what \"dodeca run\" wrote: run.json and speedup.json are read.\n"
            "\n"
            "Examples:\n"
            "  dodeca run scenarios/quick.yaml --out /tmp/quick\n"
            "  dodeca report /tmp/quick && xdg-open /tmp/quick/report.html\n"
            "  dodeca report results/runs/20250101T120000Z-full\n"
            "\n"
            "Exit: 0 the page is written, whatever its verdicts are; 2 a file is missing, broken "
            "or cannot be written; 3 gnuplot is missing.",
    };
    const char *dir = NULL;
    if (argp_parse(&argp, argc, argv, 0, NULL, &dir) != 0)
        return DD_EXIT_USAGE;
    return report(dir);
}
