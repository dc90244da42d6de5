/* SPDX-License-Identifier: MIT
 * What a step costs in which nothing is computed: from caller to caller, through A, B, V and U. */
#ifndef DD_EMPTY_STEP_H
#define DD_EMPTY_STEP_H

#include <stdint.h>

/* Median ns of one step over `steps` of them, by a team of n_workers in a hierarchy of the least
 * depth, with one lane to each position; ends the process where the team cannot be had. */
double dd_empty_step_ns(uint32_t n_workers, uint32_t steps);

#endif
