/* SPDX-License-Identifier: MIT
 * `dodeca report`: a results folder becomes a page. Owns the order of things: all is read and
 * checked, then drawn, then written under a temporary name. */
#include "commands.h"
#include "page.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int complain(int code, const char *message)
{
    fprintf(stderr, "dodeca report: %s\n", message);
    return code;
}

/* Under a temporary name first: a reader finds the old page or the new one, whole. */
static int write_page(const dd_page_results *r, const dd_figures *figures)
{
    char *path = NULL, *temporary = NULL;
    int code = DD_EXIT_HELD;
    if (asprintf(&path, "%s/report.html", r->dir) < 0)
        path = NULL;
    if (!path || asprintf(&temporary, "%s.tmp", path) < 0)
        temporary = NULL;
    FILE *out = temporary ? fopen(temporary, "we") : NULL;
    const bool written = out && dd_page_write(r, figures, out);
    const bool closed = out && fclose(out) == 0;
    if (written && closed && rename(temporary, path) == 0) {
        printf("%s\n", path);
    } else {
        fprintf(stderr, "dodeca report: %s cannot be written: %s\n", path ? path : r->dir,
                strerror(errno));
        code = DD_EXIT_USAGE;
        if (out)
            (void)unlink(temporary);
    }
    free(path);
    free(temporary);
    return code;
}

static int draw(const dd_page_results *r, dd_figures *figures)
{
    char message[DD_PAGE_MESSAGE_MAX];
    switch (dd_plots_draw(figures->plot, figures->n, r->dir, message, sizeof message)) {
    case DD_PLOT_DRAWN:
        return write_page(r, figures);
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
    char message[DD_PAGE_MESSAGE_MAX];
    dd_page_results r;
    dd_figures figures = {0};
    int code;
    if (!dd_page_results_open(&r, dir, message))
        code = complain(DD_EXIT_USAGE, message);
    else if (!dd_figures_open(&figures, &r))
        code = complain(DD_EXIT_ENVIRONMENT, "no memory for the plots");
    else
        code = draw(&r, &figures);
    dd_figures_close(&figures);
    dd_page_results_close(&r);
    return code;
}

static error_t parse(int id, char *argument, struct argp_state *state)
{
    const char **dir = state->input;
    switch (id) {
    case ARGP_KEY_ARG:
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
            "other file and no network, and is replaced whole. Plots are drawn by gnuplot and "
            "lie in DIR/plots as SVG and PNG, too.\v"
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
