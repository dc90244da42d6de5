/* SPDX-License-Identifier: MIT
 * Guard mode: memory whose access rules are enforced. Owns page-aligned regions with inaccessible
 * pages on both sides, process-wide page protection, and per-thread protection keys where the
 * machine has them. Knows nothing of steps: the trainer says when rights change.
 *
 *   weights, batch   written by nobody while protected: by page protection, for all threads
 *   locked           control data: written by nobody once it is locked, likewise
 *   segment          with a key: written only by a thread that has gained it and not yet let it go;
 *                    rights are a thread's own and last until the next turn. Any thread may read,
 *                    but those that existed before the guard, its opener excepted, only after their
 *                    first gain
 *
 * There are at most 15 keys, one for a segment. With more segments than keys, whole workers take
 * turns: every turn begins with the worker at which the one before had to stop, and goes on in
 * number order, round and round, as long as all of a worker's segments find a key. Where everything
 * fits, keys stay where they are. A thread that still holds rights of an earlier turn loses them at
 * its first gain. */
#ifndef DD_GUARD_H
#define DD_GUARD_H

#include "dodeca.h"

typedef enum dd_region_kind {
    DD_REGION_WEIGHTS,
    DD_REGION_PACKED, /* weights too, in another order */
    DD_REGION_BATCH,
    DD_REGION_SEGMENT,
    DD_REGION_LOCKED,
} dd_region_kind;

typedef struct dd_guard dd_guard;

/* keys: try for protection keys, before the threads that are to lack the rights are created: a
 * thread begins with the rights of the one that made it. Without them *why (static text) says what
 * is missing; "" otherwise.
 * owns     *out, released by dd_guard_close with all its regions
 * errors   DD_ERR_MEMORY                                                                   */
dd_status dd_guard_open(bool keys, dd_guard **out, const char **why);
void dd_guard_close(dd_guard *g); /* NULL allowed */
uint32_t dd_guard_n_keys(const dd_guard *g);

/* A zeroed, page-aligned region between two inaccessible pages; `number` is the segment's, one
 * region each, or 0. NULL: no memory. Released by dd_guard_close.
 * threads  one, while no other uses g or may fault                                         */
void *dd_guard_alloc(dd_guard *g, dd_region_kind kind, uint32_t number, size_t bytes);

/* Weights and batch: read-only for every thread, or writable again. One thread at a time.
 * errors   DD_ERR_MEMORY: the system refused; some may be protected, some not              */
dd_status dd_guard_protect(dd_guard *g);
dd_status dd_guard_unprotect(dd_guard *g);

/* Locked regions become read-only for every thread, until close.
 * errors   DD_ERR_MEMORY, as above                                                         */
dd_status dd_guard_lock(dd_guard *g);

/* Gives keys to the segments of the workers whose turn it is: owner[s] is the worker of segment s,
 * s < n, at least n_workers for one that nobody uses, which gets none. Between U and A, one thread.
 * returns  share of the segments in use that have a key; 0 if there are none               */
double dd_guard_turn(dd_guard *g, const uint32_t *owner, uint32_t n, uint32_t n_workers);
/* The calling thread's right to write the segment; no effect on one without a key, which every
 * thread may write. */
void dd_guard_gain(dd_guard *g, uint32_t segment);
void dd_guard_let_go(dd_guard *g, uint32_t segment);
/* For the caller that writes between steps: all segments. */
void dd_guard_gain_all(dd_guard *g);

/* What an address belongs to; async-signal-safe, touches no region. offset in bytes from the
 * region's begin; the pages on both sides of a region count as *on_guard_page, with an offset that
 * is negative before it. Whole pages belong to a region: an offset may be beyond its bytes.
 * returns  false: no region of g */
bool dd_guard_find(const dd_guard *g, const void *address, dd_region_kind *kind, uint32_t *number,
                   int64_t *offset, bool *on_guard_page);

#endif
