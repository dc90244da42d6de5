/* SPDX-License-Identifier: MIT
 * A sweep's results as one HTML page: first whether all held and how fast it was, then the
 * evidence. The page needs no other file, no network and no script; links lead to the raw files
 * beside it. It is well-formed XML, too. */
#ifndef DD_PAGE_H
#define DD_PAGE_H

#include "page_figures.h"

/* figures: drawn.  returns  false: the stream failed */
bool dd_page_write(const dd_page_results *r, const dd_figures *figures, FILE *out);

/* ---- For the files of this page ---- */

/* Text between tags or in an attribute. */
#define dd_page_text_ dd_text_xml
/* The style sheet's rules. */
void dd_page_style_(FILE *out);
/* Sections. */
void dd_page_verdicts_(const dd_page_results *r, FILE *out);
void dd_page_speed_(const dd_page_results *r, const dd_figures *figures, FILE *out);
void dd_page_spheres_(const dd_page_results *r, FILE *out);
void dd_page_machine_(const dd_page_results *r, FILE *out);

/* The plots of a kind, each with its files; nothing where there are none. */
void dd_page_plots_(const dd_figures *figures, dd_figure_kind kind, FILE *out);
/* The cell that the page tells of first: of dodeca's that held and were timed one that is compared
 * with as many others as any, and of these the fastest against the oracle; DD_NO_ROW: there is
 * none. */
size_t dd_page_best_(const dd_page_results *r);
/* Three digits: "1.83", "28.7", "249". */
void dd_page_number_(double x, FILE *out);
/* A table's begin, in a box that scrolls by itself, by keyboard too; `caption` is HTML. */
void dd_page_table_(const char *name, const char *caption, FILE *out);
void dd_page_table_end_(FILE *out);

#endif
