/* SPDX-License-Identifier: MIT
 * Philox4x32-10 and what is drawn from it. Keeps no state: every number is a function of its index.
 */
#include "random.h"

/* One round's multipliers, and what the key grows by from round to round. */
#define MUL0 0xD2511F53u
#define MUL1 0xCD9E8D57u
#define WEYL0 0x9E3779B9u
#define WEYL1 0xBB67AE85u

void dd_philox_block(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t x0 = counter[0], x1 = counter[1], x2 = counter[2], x3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)MUL0 * x0, p1 = (uint64_t)MUL1 * x2;
        x0 = (uint32_t)(p1 >> 32) ^ x1 ^ k0;
        x2 = (uint32_t)(p0 >> 32) ^ x3 ^ k1;
        x1 = (uint32_t)p1;
        x3 = (uint32_t)p0;
        k0 += WEYL0;
        k1 += WEYL1;
    }
    out[0] = x0;
    out[1] = x1;
    out[2] = x2;
    out[3] = x3;
}

void dd_philox(uint64_t seed, uint64_t index, uint32_t purpose, uint32_t out[4])
{
    const uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), purpose, 0};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    dd_philox_block(counter, key, out);
}

/* From the sum of twelve halves of words. |sum - mean| < 2^24 and a power of two: exact. The
 * product with scale is the only rounding. */
static float normal(int32_t sum, float scale)
{
    float z = (float)(sum - 393210) * 0x1p-16f;
    return z * scale;
}

float dd_random_normal(uint64_t seed, uint32_t tensor, uint64_t element, float scale)
{
    uint32_t word[8];
    dd_philox(seed, 2 * element, tensor, word);
    dd_philox(seed, 2 * element + 1, tensor, word + 4);
    int32_t sum = 0;
    for (int i = 0; i < 6; i++)
        sum += (int32_t)(word[i] & 0xFFFF) + (int32_t)(word[i] >> 16);
    return normal(sum, scale);
}

/* Blocks side by side, two an element: loops of which compilers make SIMD on any processor. */
enum { SIDE = 8 };

static void normals(uint64_t seed, uint32_t tensor, uint64_t first, float scale,
                    float out[SIDE / 2])
{
    uint32_t x0[SIDE], x1[SIDE], x2[SIDE], x3[SIDE];
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (uint64_t i = 0; i < SIDE; i++) {
        const uint64_t index = 2 * first + i;
        x0[i] = (uint32_t)index;
        x1[i] = (uint32_t)(index >> 32);
        x2[i] = tensor;
        x3[i] = 0;
    }
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < SIDE; i++) {
            const uint64_t p0 = (uint64_t)MUL0 * x0[i], p1 = (uint64_t)MUL1 * x2[i];
            x0[i] = (uint32_t)(p1 >> 32) ^ x1[i] ^ k0;
            x2[i] = (uint32_t)(p0 >> 32) ^ x3[i] ^ k1;
            x1[i] = (uint32_t)p1;
            x3[i] = (uint32_t)p0;
        }
        k0 += WEYL0;
        k1 += WEYL1;
    }
    for (int e = 0; e < SIDE / 2; e++) {
        const uint32_t word[6] = {x0[2 * e], x1[2 * e],     x2[2 * e],
                                  x3[2 * e], x0[2 * e + 1], x1[2 * e + 1]};
        int32_t sum = 0;
        for (int i = 0; i < 6; i++)
            sum += (int32_t)(word[i] & 0xFFFF) + (int32_t)(word[i] >> 16);
        out[e] = normal(sum, scale);
    }
}

void dd_random_normals(uint64_t seed, uint32_t tensor, uint64_t first, uint64_t n, float scale,
                       float *out)
{
    uint64_t e = 0;
    for (; n - e >= SIDE / 2; e += SIDE / 2)
        normals(seed, tensor, first + e, scale, out + e);
    for (; e < n; e++)
        out[e] = dd_random_normal(seed, tensor, first + e, scale);
}
