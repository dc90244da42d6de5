/* SPDX-License-Identifier: MIT
 * Trains a record's run once more, up to some step, for its weights: in a child process, by the
 * program that made the record if it is still there unchanged, else by this one. Decides nothing
 * about what comes out. */
#ifndef DD_RUN_REPLAY_H
#define DD_RUN_REPLAY_H

#include "run_record.h"

typedef struct dd_replay {
    char program[DD_RECORD_PATH];
    bool recorded;     /* it is the program of the record */
    const char *why;   /* not: for what reason; else "" */
    float *weights;    /* NULL: there are none */
    dd_fingerprint is; /* of these */
} dd_replay;

/* Which program is to be run.  returns  false, message filled: not even this one can be found */
bool dd_replay_choose(const dd_record_head *head, bool this_program, dd_replay *out,
                      char message[DD_MESSAGE_MAX]);

/* Trains `steps` steps with the settings of the head; files go to `folder`, and are gone when it
 * returns.
 * owns     out->weights on success, released by dd_replay_close
 * returns  false, message filled: the data is not what it was, the program failed            */
bool dd_replay_run(const dd_record_head *head, uint64_t steps, const char *folder, dd_replay *out,
                   char message[DD_MESSAGE_MAX]);
void dd_replay_close(dd_replay *replay); /* a zeroed one is allowed */

#endif
