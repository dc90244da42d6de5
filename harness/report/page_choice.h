/* SPDX-License-Identifier: MIT
 * Which cells a figure shows, and which of them together in one plot. */
#ifndef DD_PAGE_CHOICE_H
#define DD_PAGE_CHOICE_H

#include "page_figures.h"

enum {
    DD_CHOICE_KEYS_MAX = 24,
    DD_SERIES_MAX = 6,         /* curves of one plot */
    DD_CHOICE_TEXT_BYTES = 512 /* of the settings that a plot's cells share */
};

/* Cells of one kind of figure, and the keys in which they differ: the first n_panel of them divide
 * the plots, the others the curves or rows of a plot. `workers` is none of them. */
typedef struct dd_choice {
    const dd_page_results *r;
    dd_figure_kind kind;
    size_t *cell, n_cells; /* owned: numbers of cells */
    const char *key[DD_CHOICE_KEYS_MAX];
    size_t n_keys, n_panel;
} dd_choice;

/* cell is to be freed, whatever became of it.  returns  false: no memory */
bool dd_choice_open_(dd_choice *c, const dd_page_results *r, dd_figure_kind kind);

const dd_page_cell *dd_choice_cell_(const dd_choice *c, size_t i);
/* Whether two of them agree in keys from to to - 1. */
bool dd_choice_agree_(const dd_choice *c, size_t i, size_t j, size_t from, size_t to);
/* Whether cell i is the first of its plot, or (series) of its curve there. */
bool dd_choice_first_(const dd_choice *c, size_t i, bool series);
/* "simd auto, barrier tree": keys from to to - 1 of cell i. A reduction's name says what it is.
 * returns  the text's length */
size_t dd_choice_describe_(const dd_choice *c, size_t i, size_t from, size_t to, char *text,
                           size_t size);
/* "owner, 2 workers", as a label of tics. */
void dd_choice_label_(const dd_choice *c, size_t i, FILE *out);

#endif
