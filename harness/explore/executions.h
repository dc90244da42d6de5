/* SPDX-License-Identifier: MIT
 * Searches that keep no states: every execution, or with dynamic partial-order reduction at least
 * one of every set of executions that no thread can tell apart. Executions must be finite; with
 * programs whose sleepers return for no reason, each thread does so at most once an execution. */
#ifndef DD_EXECUTIONS_H
#define DD_EXECUTIONS_H

#include "execution.h"

/* limits->tier is DD_TIER_DFS or DD_TIER_DPOR. Counts into *result and leaves its verdict alone.
 * until    a time of dd_clock_s(), 0: none
 * source   source sets: Abdulla, Aronis, Jonsson, Sagonas 2014, Algorithm 1                    */
dd_outcome dd_executions_search(const dd_stage *stage, const dd_explore_limits *limits,
                                double until, dd_explore_result *result, dd_schedule *failed);

#endif
