/* SPDX-License-Identifier: MIT
 * XXH3-128 of memory, high half first: the form in which hashes of weights and data are printed. */
#ifndef DD_HASH_H
#define DD_HASH_H

#include <stddef.h>
#include <stdint.h>

void dd_hash128(const void *p, size_t bytes, uint8_t hash[16]);

#endif
