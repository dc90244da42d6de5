/* SPDX-License-Identifier: MIT
 * What a sweep can be resumed from: DIR/runs.jsonl, to which every run is added as it ends, in the
 * records that its child wrote (cell_record.h), so that not a bit is lost.
 *
 *     {"dodeca_sweep": 1, "scenario", "file", "sets": […], "started", "machine": {…}, "build": {…},
 *      "program_hash", "cells": [{"label", "settings": {…}}, …]}         the head, one line
 *     {"begin": {"oracle": false, "at": 3, "repeat": 1}}                 a run: which,
 *     {"step": …}, …, {"end": …} or {"refused": …}                       what its child reported,
 *     {"done": {"outcome", "reason", "wall_ns", …}}                      how it ended
 *     {"again": {"at": 3}}                 the runs of this cell above count no more
 *
 * A run whose last line is not there never was: a kill -9 leaves at most one such, which the next
 * resumption cuts off. The reader believes nothing.
 *
 * Resumed is what would be the same: the scenario's cells, the machine and the program, bit for
 * bit. Whatever differs is named and refused. */
#ifndef DD_SWEEP_JOURNAL_H
#define DD_SWEEP_JOURNAL_H

#include <jansson.h>

#include "machine.h"
#include "sweep.h"

#define DD_JOURNAL_MESSAGE_MAX 1024
#define DD_JOURNAL_NAME "runs.jsonl"

typedef struct dd_journal dd_journal;

/* Takes the folder's journal, one that is there or a new one, so that nobody else writes in the
 * folder; what it holds stays for now. A symbolic link makes way, and what it leads to is as it
 * was. owns     *out on success, released by dd_journal_close; nothing on failure returns  false,
 * message filled                                                                */
bool dd_journal_take(const char *dir, dd_journal **out, char message[DD_JOURNAL_MESSAGE_MAX]);
/* Begins it, in place of what it holds. sets: as dd_scenario_open had them.  returns  as above  */
bool dd_journal_begin(dd_journal *j, const dd_sweep *sweep, const char *const *sets, size_t n_sets,
                      const dd_machine *machine, char message[DD_JOURNAL_MESSAGE_MAX]);
/* In place of beginning it, for a folder that is to have none: what it holds goes, and it itself
 * with dd_journal_leave.  returns  as above                                                     */
bool dd_journal_empty(dd_journal *j, char message[DD_JOURNAL_MESSAGE_MAX]);
/* Of one that was taken and not begun: it goes if it was not there before. NULL allowed. */
void dd_journal_leave(const dd_journal *j);

/* Opens the folder's journal and reads its head.
 * owns, returns  as dd_journal_take; another program that writes it is a reason, too             */
bool dd_journal_open(const char *dir, dd_journal **out, char message[DD_JOURNAL_MESSAGE_MAX]);
/* What the sweep was begun with: the scenario's file, and the sets. Valid until close. */
const char *dd_journal_file(const dd_journal *j);
const char *const *dd_journal_sets(const dd_journal *j, size_t *n);
/* Fills the runs into a sweep that was laid out anew from these, and judges them; from here on the
 * journal can be added to.
 * returns  false, message filled: scenario, machine or program differ, or a line is none of a
 *          journal's                                                                             */
bool dd_journal_restore(dd_journal *j, dd_sweep *sweep, const dd_machine *machine,
                        char message[DD_JOURNAL_MESSAGE_MAX]);

/* Adds a run that has ended, or that the cell's runs so far count no more. After the first failure
 * nothing is added.  returns  false then, message filled                                         */
bool dd_journal_add(dd_journal *j, const dd_sweep *sweep, const dd_sweep_place *done,
                    char message[DD_JOURNAL_MESSAGE_MAX]);
bool dd_journal_again(dd_journal *j, size_t cell, char message[DD_JOURNAL_MESSAGE_MAX]);

void dd_journal_close(dd_journal *j); /* NULL allowed */

/* ---- Shared by the two files ---- */

struct dd_journal {
    char *dir, *path;
    int fd;
    bool failed, is_new; /* is_new: nothing of the file was there before, or is kept */
    /* of one that was opened: */
    json_t *head;
    size_t head_bytes; /* where the lines after it begin */
    const char **sets; /* the texts are the head's */
    size_t n_sets;
};

/* The head of a sweep; a new reference, NULL: no memory. */
json_t *dd_journal_head_(const dd_sweep *sweep, const char *file, const char *const *sets,
                         size_t n_sets, const dd_machine *machine);
/* j->path opened, or made, and locked against a second writer. */
bool dd_journal_lock_(dd_journal *j, bool make, char message[DD_JOURNAL_MESSAGE_MAX]);
__attribute__((format(printf, 2, 3))) bool dd_journal_refuse_(char message[DD_JOURNAL_MESSAGE_MAX],
                                                              const char *format, ...);

#endif
