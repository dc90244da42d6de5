/* SPDX-License-Identifier: MIT
 * XXH3-128, high half first: the form in which hashes of weights and data are printed. Of memory in
 * one call, or of bytes that come piece by piece, with the same result. */
#ifndef DD_HASH_H
#define DD_HASH_H

#include <stddef.h>
#include <stdint.h>

void dd_hash128(const void *p, size_t bytes, uint8_t hash[16]);

typedef struct dd_hasher dd_hasher;

/* NULL: no memory. Released by dd_hasher_close. */
dd_hasher *dd_hasher_open(void);
void dd_hasher_close(dd_hasher *h); /* NULL allowed */
void dd_hasher_add(dd_hasher *h, const void *p, size_t bytes);
/* The hash of all that was added; the next piece begins another. */
void dd_hasher_take(dd_hasher *h, uint8_t hash[16]);

#endif
