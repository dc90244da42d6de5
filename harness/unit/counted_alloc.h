/* SPDX-License-Identifier: MIT
 * Counts the library's allocations, and fails one. For tests linked with --wrap of dd_alloc and
 * dd_free; one thread at a time allocates. */
#ifndef DD_COUNTED_ALLOC_H
#define DD_COUNTED_ALLOC_H

extern long n_allocations, n_live; /* asked for so far; not freed */
extern long fail_at;               /* the allocation of this number fails; -1: none */

#endif
