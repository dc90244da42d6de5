/* SPDX-License-Identifier: MIT
 * What must hold of a trace: its form, by the documented format; its words; and that what threads
 * did when is what a step is. Knows nothing of how traces are made. */
#ifndef DD_TRACE_CHECK_H
#define DD_TRACE_CHECK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { TRACE_WHY = 256 };

/* A whole trace, nothing lost, of steps 0 to n_steps - 1, each with so many lanes that are not
 * empty.  returns  false, and what is wrong                                                   */
bool trace_holds(const json_t *trace, uint64_t n_steps, uint32_t n_lanes, char why[TRACE_WHY]);

/* How many events have this category and name; either may be NULL: any. */
uint32_t trace_count(const json_t *trace, const char *category, const char *name);

#endif
