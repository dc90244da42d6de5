/* SPDX-License-Identifier: MIT
 * Several threads that run one case at once, each on operands of its own. */
#ifndef DD_THREADS_AT_ONCE_H
#define DD_THREADS_AT_ONCE_H

#include "operands.h"

typedef struct dd_threads_at_once dd_threads_at_once;

/* For n threads, the caller being the first with `o` itself, the others with copies of it.
 * owns     *out on success, released by dd_threads_close; o stays the caller's
 * returns  false: no memory                                                                 */
bool dd_threads_open(dd_operands *o, uint32_t n, dd_threads_at_once **out);
void dd_threads_close(dd_threads_at_once *t); /* NULL allowed */

/* *ratio: the work that n threads do at once over what the caller does alone, measured one after
 * the other for about at_least_ns each: n on a machine that gives every thread a core and
 * bandwidth. errors   DD_ERR_THREAD: one of them cannot be created */
dd_status dd_threads_ratio(dd_threads_at_once *t, const dd_kernels *set, uint64_t at_least_ns,
                           double *ratio, dd_error *error);

#endif
