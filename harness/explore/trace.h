/* SPDX-License-Identifier: MIT
 * Failures as text for people. The returned strings are the caller's, for free(). */
#ifndef DD_TRACE_H
#define DD_TRACE_H

#include "search.h"

/* What the failed world suffers from, the steps that led to it, and where every thread stands. */
char *dd_trace_failure(const dd_step *steps, uint64_t n);
/* One line: why the search ended at this depth. */
char *dd_trace_text(const char *why, uint64_t depth);

#endif
