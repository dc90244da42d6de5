/* SPDX-License-Identifier: MIT
 * Failures as text for people. The returned strings are the caller's, for free(). */
#ifndef DD_TRACE_H
#define DD_TRACE_H

#include "search.h"

/* What the failed world suffers from, the steps that led to it, and where every thread stands. */
char *dd_trace_failure(const dd_step *steps, uint64_t n);
/* The same of an execution that passed. */
char *dd_trace_passed(const dd_step *steps, uint64_t n);
/* One line. */
char *dd_trace_text(const char *text);

#endif
