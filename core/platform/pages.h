/* SPDX-License-Identifier: MIT
 * Whole pages of memory straight from the system: reserved, protected, given back, and coloured
 * with the CPU's protection keys, which give every thread rights of its own. Knows nothing of what
 * the pages are for.
 *
 * A thread's rights to keys start as those of the thread that made it. In a signal handler they are
 * the system's initial ones: no access to any page with a key. */
#ifndef DD_PAGES_H
#define DD_PAGES_H

#include <stdbool.h>
#include <stddef.h>

typedef enum dd_pages_access { DD_PAGES_NONE, DD_PAGES_READ, DD_PAGES_WRITE } dd_pages_access;

size_t dd_page_bytes(void);

/* Zeroed pages for `bytes` > 0, rounded up. A page takes memory when it is first touched. NULL: no
 * memory. Released by dd_pages_unmap with the same number of bytes. */
void *dd_pages_map(size_t bytes, dd_pages_access access);
void dd_pages_unmap(void *pages, size_t bytes); /* NULL allowed */
/* For every thread at once; a key stays. returns  false: refused */
bool dd_pages_protect(void *pages, size_t bytes, dd_pages_access access);
/* The memory behind the pages goes back to the system, and what they held is lost. */
void dd_pages_discard(void *pages, size_t bytes);

/* Asks for huge pages behind [at, at + bytes), which need not begin or end with a page: fewer
 * misses in the translation of addresses. A wish: the system may have none, and where only parts of
 * a huge page belong to the range it keeps small ones. */
void dd_pages_huge(void *at, size_t bytes);

/* ---- Protection keys ---- */

#define DD_NO_KEY 0 /* what pages begin with: every thread may do what the pages' access allows */

/* A key that the calling thread, and those it makes from now on, may read through but not write
 * through. Threads that exist already may do neither, until dd_key_rights.
 * returns  DD_NO_KEY if none is to be had; *why (static text) then says why                   */
int dd_key_open(const char **why);
void dd_key_close(int key); /* requires no pages have it */
/* The pages, readable and writable, now have this key, or none. returns  false: refused */
bool dd_key_assign(void *pages, size_t bytes, int key);
/* The calling thread may read through the key, and write if `write`. */
void dd_key_rights(int key, bool write);

#endif
