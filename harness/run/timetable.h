/* SPDX-License-Identifier: MIT
 * Membership changes by step: which command the control process gets before which step of a run.
 *
 *     5 spawn 0 4; 12 terminate 0       before step 5 the worker at 0 becomes a control of 4
 *                                       workers, before step 12 it is a worker again
 *     10 checkpoint; 20 rebalance       the commands without a sphere
 *     random 200 in 500 seed 7          200 changes spread over steps 1 to 499, drawn from the seed
 *                                       among those that are possible; stands alone
 *
 * Steps count from 0 and ascend; several changes before one step are done in the order written.
 * A sphere is its positions from the root down: 3, 3.0, 11.0.5. Owns the text's grammar and, by
 * carrying it out on paper, the refusal of the impossible; what the trainer then does is the
 * trainer's. */
#ifndef DD_TIMETABLE_H
#define DD_TIMETABLE_H

#include "dodeca.h"
#include "hierarchy.h"
#include "settings.h"

typedef struct dd_timed {
    uint64_t step;       /* before this step */
    dd_command command;  /* DD_COMMAND_SPAWN, TERMINATE, REBALANCE, CHECKPOINT */
    dd_place place;      /* spawn, terminate */
    uint32_t n_children; /* spawn */
} dd_timed;

/* What a timetable is held against. */
typedef struct dd_timetable_frame {
    uint32_t depth, workers; /* at the start, both >= 1 */
    uint32_t max_workers;    /* never more than these; 0: as many as there are lanes */
    uint32_t lanes;          /* non-empty; UINT32_MAX: workers may idle */
    uint64_t steps;          /* of the run */
} dd_timetable_frame;

typedef struct dd_timetable {
    uint64_t n;
    dd_timed *change;                  /* (n) by step, ascending */
    uint64_t next;                     /* the first that is not handed out */
    uint32_t most_workers, most_depth; /* that it reaches, the start included */
} dd_timetable;

/* Judges the form alone; a text without entries is refused.
 * returns  false, message says what is wrong and what would be right                           */
bool dd_timetable_check(const char *text, char message[DD_MESSAGE_MAX]);
/* Reads a timetable and carries it out on paper. "" is one without changes.
 * owns     *out on success, released by dd_timetable_close; nothing on failure
 * returns  false, message one line: step, command, why it cannot be, what would be right       */
bool dd_timetable_open(const char *text, const dd_timetable_frame *frame, dd_timetable **out,
                       char message[DD_MESSAGE_MAX]);
/* The same for settings, whose frame they are; what dd_settings_finish has accepted, this does too.
 */
bool dd_timetable_of(const dd_settings *settings, dd_timetable **out, char message[DD_MESSAGE_MAX]);
void dd_timetable_close(dd_timetable *t); /* NULL allowed */

/* The next change that is due before `step`, each handed out once; NULL: no more of them. */
const dd_timed *dd_timetable_next(dd_timetable *t, uint64_t step);
/* Carries out on the trainer all changes that are due before `step`.
 * errors   those of the trainer; the message says which change. The change is not tried again  */
dd_status dd_timetable_carry_out(dd_timetable *t, dd_trainer *trainer, uint64_t step,
                                 dd_error *error);

#endif
