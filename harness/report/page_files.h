/* SPDX-License-Identifier: MIT
 * Where a page and its plots lie in a results folder, DIR/report.html and DIR/plots, and how others
 * take their place: built in DIR/report.html.tmp and DIR/plots.tmp, then renamed, the page last.
 *
 * The folder holds the old page with its plots, or the new one with its own, or, between, none: no
 * page stands beside another's plots. Renames that fail are taken back. Who is killed between them
 * leaves the old files in DIR/plots.old, and the next to come takes them back. What else a user has
 * in DIR/plots stays. */
#ifndef DD_PAGE_FILES_H
#define DD_PAGE_FILES_H

#include <stdbool.h>
#include <stddef.h>

typedef struct dd_page_files {
    int lock;           /* the folder, open; -1: not held */
    char *page, *plots; /* of the new page: where they are to be built */
    char *dir;
    bool begun;
} dd_page_files;

/* Takes the folder for this process: until it is closed nobody else makes a page there or takes one
 * away. To be closed, whatever became of it.
 * returns  false with one line of message: another process has it, no memory */
bool dd_page_files_open(dd_page_files *f, const char *dir, char *message, size_t size);
/* Tidies up after one that was killed. What is built from here on, and not put, goes when it is
 * closed. */
void dd_page_files_begin(dd_page_files *f);
/* What was built takes its place.  returns  false with one line of message: all is as it was */
bool dd_page_files_put(dd_page_files *f, char *message, size_t size);
void dd_page_files_close(dd_page_files *f);

/* The page goes, with its plots.  returns  whether there was one */
bool dd_page_files_forget(const dd_page_files *f);

#endif
