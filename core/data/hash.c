/* SPDX-License-Identifier: MIT
 * XXH3-128 through libxxhash. */
#include "hash.h"

#include <string.h>
#include <xxhash.h>

/* A dd_hasher is the library's state, whose size is the library's business. */
static XXH3_state_t *state_of(dd_hasher *h)
{
    return (XXH3_state_t *)h;
}

static void write_hash(XXH128_hash_t from, uint8_t hash[16])
{
    XXH128_canonical_t canonical; /* big-endian, high half first */
    XXH128_canonicalFromHash(&canonical, from);
    memcpy(hash, canonical.digest, 16);
}

void dd_hash128(const void *p, size_t bytes, uint8_t hash[16])
{
    write_hash(XXH3_128bits(p, bytes), hash);
}

dd_hasher *dd_hasher_open(void)
{
    XXH3_state_t *state = XXH3_createState();
    if (state)
        (void)XXH3_128bits_reset(state);
    return (dd_hasher *)state;
}

void dd_hasher_close(dd_hasher *h)
{
    (void)XXH3_freeState(state_of(h));
}

void dd_hasher_add(dd_hasher *h, const void *p, size_t bytes)
{
    (void)XXH3_128bits_update(state_of(h), p, bytes);
}

void dd_hasher_take(dd_hasher *h, uint8_t hash[16])
{
    write_hash(XXH3_128bits_digest(state_of(h)), hash);
    (void)XXH3_128bits_reset(state_of(h));
}
