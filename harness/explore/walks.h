/* SPDX-License-Identifier: MIT
 * Executions at random: uniform walks, and PCT (Burckhardt, Kothari, Musuvathi, Nagarakatte 2010).
 * They find defects in programs too large to be exhausted; they prove nothing. */
#ifndef DD_WALKS_H
#define DD_WALKS_H

#include "executions.h"

/* limits->tier is DD_TIER_RANDOM: in each step every thread that can move is as likely as any
 * other. Or DD_TIER_PCT: threads have random priorities, and at depth - 1 random steps the one that
 * would move falls behind all others. A defect that takes `depth` ordering constraints to show
 * shows in an execution with probability at least dd_pct_bound(threads, longest, depth). Which
 * older store a load reads, whom a wake takes, and choices are random in both; now and then a
 * sleeper returns for no reason, where the program allows it. Counts into *result and leaves its
 * verdict alone. until: a time of dd_clock_s(), 0: none      */
dd_outcome dd_walks_search(const dd_stage *stage, const dd_explore_limits *limits, double until,
                           dd_explore_result *result, dd_schedule *failed);

#endif
