/* SPDX-License-Identifier: MIT
 * Plots by gnuplot, a child process without a shell: each as SVG that a page can hold inline, in
 * its own colours by day and by night, and as PNG and SVG files. */
#ifndef DD_PLOT_H
#define DD_PLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Line colours; the second of each for a dark page. */
typedef struct dd_colour {
    const char *light, *dark; /* "#2f6fb5" */
} dd_colour;
#define DD_N_COLOURS 10
extern const dd_colour dd_colours[DD_N_COLOURS];

typedef struct dd_plot {
    char name[32];   /* of its files, without ending */
    char *title;     /* what distinguishes it from the others of its kind; owned */
    uint32_t height; /* of DD_PLOT_WIDTH */
    char *commands;  /* of gnuplot: data and one plot command, no terminal, no output; owned */
    char *svg;       /* one element, as it stands in a page; NULL until drawn; owned */
} dd_plot;
enum { DD_PLOT_WIDTH = 480 };

typedef enum dd_plot_end {
    DD_PLOT_DRAWN,
    DD_PLOT_NO_PROGRAM, /* there is no gnuplot */
    DD_PLOT_FAILED      /* gnuplot refused, or files could not be written */
} dd_plot_end;

/* Draws them all into a folder that it makes: NAME.svg, NAME.png, every one whole, and the script
 * plots.gp. Without plots there is no folder; if drawing fails it is gone.
 * errors   one line of message tells what failed                                                */
dd_plot_end dd_plots_draw(dd_plot *plot, size_t n, const char *folder, char *message, size_t size);
/* Patterns of the names of all that it writes; NULL ends them. */
extern const char *const dd_plot_files[];
void dd_plots_close(dd_plot *plot, size_t n); /* frees what each owns */

/* Text as a gnuplot string, quoted: nothing in it is a command, a substitution or mark-up; the end
 * of a line is a blank, and what XML 1.0 cannot hold a '?'. format: where gnuplot takes it for a
 * format, as it does the labels of tics */
void dd_plot_text(const char *text, bool format, FILE *out);

/* An SVG document of gnuplot's as one element: without its prolog, its ids made unique by `name`,
 * labelled for those who do not see it.
 * returns  NULL: no memory, or no whole SVG */
char *dd_plot_inline(const char *document, const char *name, const char *label);

/* Rules of CSS that give inlined plots the page's ink, and dark colours where `dark`. */
void dd_plot_css(bool dark, FILE *out);

#endif
