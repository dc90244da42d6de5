/* SPDX-License-Identifier: MIT
 * XXH3-128 through libxxhash. */
#include "hash.h"

#include <string.h>
#include <xxhash.h>

void dd_hash128(const void *p, size_t bytes, uint8_t hash[16])
{
    XXH128_canonical_t canonical; /* big-endian, high half first */
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(p, bytes));
    memcpy(hash, canonical.digest, 16);
}
