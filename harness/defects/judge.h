/* SPDX-License-Identifier: MIT
 * What a trial's words and exit code say. */
#ifndef DD_JUDGE_H
#define DD_JUDGE_H

#include "tool.h"
#include "trial.h"

/* What sanitizers and valgrind are told to leave with when they had something to report. */
#define DD_REPORT_EXIT "66"
/* How a finding begins where the explorer did not come to the end. */
#define DD_GIVEN_UP "given up:"

/* Sets kind and how of *found. said: what the program wrote; oracle: for serial. */
void dd_judge(const dd_trial *trial, const dd_tool_end *end, const char *said, const char *oracle,
              dd_finding *found);

/* The hash of the weights that `dodeca train --print-hash` tells.  returns  false: it does not */
bool dd_judge_hash(const char *said, char hash[DD_HASH_TEXT]);

#endif
