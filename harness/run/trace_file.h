/* SPDX-License-Identifier: MIT
 * The trace of a run: what every thread did when, as a file in Trace Event format (JSON object
 * form), which Perfetto and chrome://tracing open. Owns the file and the words in it; what is in
 * there is taken from the trainer (config.trace). Interprets nothing.
 *
 *   process 1
 *     thread 0      Node Zero's requests and commands: "step 5", "validation", "replay"; "expand",
 *                   "collapse", "checkpoint", "pause", … with what became of them
 *     thread n + 1  thread n of the trainer, named by its role and sphere, as last seen, in the
 *                   order of the spheres: activities ("lane 3", "wait B", "update slice", …; they
 *                   follow one another without gaps), and inside them folds and phases; a moment
 *                   wherever it takes another place
 *   counters        loss and norm after each step; workers
 *
 * All but moments and counters are complete events ("X"). Times are microseconds since Node Zero's
 * thread was made. Categories: step, command, lane, folds, fold, phase, slice, verdict, update,
 * wait, control, membership. */
#ifndef DD_TRACE_FILE_H
#define DD_TRACE_FILE_H

#include "dodeca.h"

enum { DD_TRACE_ROOM = 8192, DD_TRACE_ROOM_MAX = 1 << 24 }; /* events of a thread, between takes */

typedef struct dd_trace_file dd_trace_file;

/* Begins the file for a trainer that has not begun. `what`, which is UTF-8, says what is trained.
 * Until it is closed the file has a temporary name, as whole_file.h has them: who is killed leaves
 * no trace, and at most that one.
 * owns     *out on success, ended by dd_trace_file_close or dd_trace_file_abandon; borrows the
 *          trainer until then
 * errors   DD_ERR_DATA: the file exists or cannot be created, or somebody else is writing it;
 *          DD_ERR_MEMORY                                                                      */
dd_status dd_trace_file_open(const char *path, const char *what, dd_trainer *trainer,
                             dd_trace_file **out, dd_error *error);
/* Writes what the threads did since the last time. step: they did it in this step; NULL: in
 * something else. Between steps and commands only. */
void dd_trace_file_take(dd_trace_file *f, const dd_step *step);
/* Events that had no room so far, and the room in which all would have been; 0 if none. */
uint64_t dd_trace_file_lost(const dd_trace_file *f, uint64_t *enough);
/* Ends the file, which gets its name. f is released in any case.
 * errors   DD_ERR_DATA: it could not be written, and nothing is left of it; or there is another of
 *          its name by now                                                                    */
dd_status dd_trace_file_close(dd_trace_file *f, dd_error *error);
/* Nothing is left of it. NULL allowed. */
void dd_trace_file_abandon(dd_trace_file *f);
/* Nothing is left of what a writer of that path began who was killed. */
void dd_trace_file_forget(const char *path);

#endif
