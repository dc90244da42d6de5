/* SPDX-License-Identifier: MIT
 * Which plots a sweep gets, and what gnuplot is told to draw. A plot shows what can be told apart:
 * where a sweep varies too much for one, it is divided by the settings that decide most. */
#ifndef DD_PAGE_FIGURES_H
#define DD_PAGE_FIGURES_H

#include "page_results.h"
#include "plot.h"

typedef enum dd_figure_kind {
    DD_FIGURE_SPEEDUP,   /* against one worker, over the number of workers, with the ideal line */
    DD_FIGURE_SIMD,      /* against scalar kernels, a row a cell */
    DD_FIGURE_LOCK_FREE, /* against the lock-based baselines, a row a cell */
    DD_FIGURE_TOTAL,     /* against the oracle, a row a cell */
    DD_FIGURE_PHASES,    /* shares of the time, a bar a cell */
    DD_N_FIGURES
} dd_figure_kind;

#define DD_FIGURES_MAX 8 /* of a kind; what is beyond stands in the tables alone */

typedef struct dd_figures {
    dd_plot plot[DD_N_FIGURES * DD_FIGURES_MAX]; /* ordered by kind */
    size_t n, first[DD_N_FIGURES + 1];           /* of a kind: plots first[k] to first[k + 1] - 1 */
    size_t left_out[DD_N_FIGURES];               /* for want of room */
} dd_figures;

/* Nothing is drawn yet. To be closed, whatever became of it.
 * returns  false: no memory */
bool dd_figures_open(dd_figures *f, const dd_page_results *r);
void dd_figures_close(dd_figures *f);

#endif
