/* SPDX-License-Identifier: MIT
 * A storm: commands that a thread beside the caller gives while steps run, drawn from a seed: pause
 * and resume, stop and start, cancel, checkpoint, rebalance, expansion and collapse of spheres that
 * are there at that moment. The plan (before which step which command, how long after the step
 * began) is a function of the seed; the moments at which commands arrive are not.
 *
 *     40 seed 7       forty commands, spread over the steps of the run
 *
 * None of it changes the bits: a step that was cut short by a stop or a cancel is asked for again.
 */
#ifndef DD_STORM_H
#define DD_STORM_H

#include "dodeca.h"
#include "settings.h"

/* What came of it. */
typedef struct dd_storm_done {
    uint64_t changes;                 /* of membership */
    uint64_t pauses, stops, cancels;  /* each pause resumed, each stop started again */
    uint64_t checkpoints, rebalances; /* carried out */
    uint64_t refused;                 /* commands that were not possible just then */
    uint64_t cut;                     /* steps that ended early and were repeated */
} dd_storm_done;

/* Judges the form.  returns  false, message says what would be right */
bool dd_storm_check(const char *text, char message[DD_MESSAGE_MAX]);

typedef struct dd_storm dd_storm;

/* Draws the plan of `text` for a run of `steps`, and starts the thread, which waits for a step.
 * owns     *out, ended by dd_storm_close; borrows the trainer until then
 * errors   DD_ERR_ARGUMENT (text), DD_ERR_MEMORY, DD_ERR_THREAD                               */
dd_status dd_storm_open(const char *text, uint64_t steps, dd_trainer *trainer, dd_storm **out,
                        dd_error *error);
/* Gives what is still due and ends the thread. NULL allowed.
 * returns  DD_OK, or what a command gave that nothing excuses; *done, if not NULL, is filled in  */
dd_status dd_storm_close(dd_storm *storm, dd_storm_done *done, dd_error *error);

/* By the caller: step number i is asked for now. */
void dd_storm_begin(dd_storm *storm, uint64_t i);
/* By the caller, after a step gave `status`: whether the storm is why, and it is to be asked for
 * again; returns once the trainer runs or is about to.                                         */
bool dd_storm_again(dd_storm *storm, dd_status status);

#endif
