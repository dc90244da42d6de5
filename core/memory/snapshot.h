/* SPDX-License-Identifier: MIT
 * Snapshots by copy-on-write: the content of some arrays at one moment, kept while the arrays go on
 * changing. Taking one copies nothing; whoever is about to write a page that the snapshot still
 * shares copies it first; a page nobody writes is never copied. Owns the copies; the arrays are the
 * caller's. */
#ifndef DD_SNAPSHOT_H
#define DD_SNAPSHOT_H

#include "dodeca.h"

#define DD_SNAPSHOT_PAGE_BYTES 4096

typedef struct dd_snapshot dd_snapshot;

/* n arrays, of any alignment: page p of an array is its bytes from p * DD_SNAPSHOT_PAGE_BYTES on.
 * Address space for copies is taken now, memory as pages are copied.
 * owns     *out, released by dd_snapshot_close; borrows the arrays
 * errors   DD_ERR_MEMORY                                                                   */
dd_status dd_snapshot_open(const void *const *array, const size_t *bytes, uint32_t n,
                           dd_snapshot **out);
void dd_snapshot_close(dd_snapshot *s); /* NULL allowed */

/* From now on the snapshot holds what the arrays hold now; an earlier one is gone.
 * threads  while nobody writes the arrays; happens-before the next writers (Point A)       */
void dd_snapshot_take(dd_snapshot *s);
/* Nothing is kept any more, nothing will be copied; the copies' memory goes back. As take. */
void dd_snapshot_drop(dd_snapshot *s);
bool dd_snapshot_held(const dd_snapshot *s);

/* The caller is about to write bytes [first, last) of array i: pages still shared are copied. Cheap
 * where there is no snapshot, or all is copied.
 * threads  several at once, for ranges without a page in common; until all have returned and a
 *          point has been passed nobody takes or drops                                      */
void dd_snapshot_before_write(dd_snapshot *s, uint32_t i, size_t first, size_t last);

/* The snapshot's bytes [first, first + bytes) of array i, from copies and shared pages.
 * requires dd_snapshot_held
 * threads  while nobody writes the arrays                                                   */
void dd_snapshot_read(const dd_snapshot *s, uint32_t i, size_t first, size_t bytes, void *out);
/* One page as soon as it is copied, while writers go on: NULL if it is still shared, or nothing is
 * held. Any thread; valid until take or drop.                                               */
const void *dd_snapshot_copied_page(const dd_snapshot *s, uint32_t i, uint64_t page);

/* Pages of all arrays, and those copied since take; 0 where nothing is held. */
uint64_t dd_snapshot_pages(const dd_snapshot *s, uint64_t *copied);

#endif
