/* SPDX-License-Identifier: MIT
 * Sixteen vectors of sixteen floats turned over, in the registers of each set: after
 * dd_v16_transpose(v), v[i] holds what were the i-th lanes. dd_turn_16(from, from_row, to) does it
 * from memory to memory, to 16 x 16. Loops are unrolled by word: what an index that varies picks
 * would live in memory. */
#ifndef DD_TRANSPOSE_H
#define DD_TRANSPOSE_H

#include "vector.h"

#if DD_VECTOR_REGISTERS == 2

/* Four rows of eight to columns within each half: out[i] = {column i, column i + 4}. */
DD_INLINE_ void dd_v8_transpose4(const __m256 in[4], __m256 out[4])
{
    const __m256 lo01 = _mm256_unpacklo_ps(in[0], in[1]), hi01 = _mm256_unpackhi_ps(in[0], in[1]);
    const __m256 lo23 = _mm256_unpacklo_ps(in[2], in[3]), hi23 = _mm256_unpackhi_ps(in[2], in[3]);
    out[0] = _mm256_shuffle_ps(lo01, lo23, _MM_SHUFFLE(1, 0, 1, 0));
    out[1] = _mm256_shuffle_ps(lo01, lo23, _MM_SHUFFLE(3, 2, 3, 2));
    out[2] = _mm256_shuffle_ps(hi01, hi23, _MM_SHUFFLE(1, 0, 1, 0));
    out[3] = _mm256_shuffle_ps(hi01, hi23, _MM_SHUFFLE(3, 2, 3, 2));
}

DD_INLINE_ void dd_v8_transpose8(__m256 v[8])
{
    __m256 upper[4], lower[4];
    dd_v8_transpose4(v, upper);
    dd_v8_transpose4(v + 4, lower);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        v[i] = _mm256_permute2f128_ps(upper[i], lower[i], 0x20);
        v[i + 4] = _mm256_permute2f128_ps(upper[i], lower[i], 0x31);
    }
}

DD_INLINE_ void dd_v16_transpose(dd_v16 v[16])
{
    __m256 corner[2][2][8]; /* by half of the rows, half of the columns */
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        corner[i / 8][0][i % 8] = v[i].lo;
        corner[i / 8][1][i % 8] = v[i].hi;
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        dd_v8_transpose8(corner[i / 2][i % 2]);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        v[i] = (dd_v16){corner[0][i / 8][i % 8], corner[1][i / 8][i % 8]};
}

/* Halves of rows i and i + 4 are joined as they are loaded, which spares the permutation. */
DD_INLINE_ void dd_turn_8(const float *from, size_t from_row, float *to)
{
    __m256 in[8], left[4], right[4];
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        const float *a = from + i * from_row, *b = a + 4 * from_row;
        in[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(a)), _mm_loadu_ps(b), 1);
        in[i + 4] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(a + 4)),
                                         _mm_loadu_ps(b + 4), 1);
    }
    dd_v8_transpose4(in, left);
    dd_v8_transpose4(in + 4, right);
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        _mm256_storeu_ps(to + 16 * i, left[i]);
        _mm256_storeu_ps(to + 16 * (i + 4), right[i]);
    }
}

DD_INLINE_ void dd_turn_16(const float *from, size_t from_row, float *to)
{
    for (size_t i = 0; i < 16; i += 8)
        for (size_t j = 0; j < 16; j += 8)
            dd_turn_8(from + i * from_row + j, from_row, to + 16 * j + i);
}

#elif DD_VECTOR_REGISTERS == 1

/* Within each four lanes first, as four rows at a time; then lanes of four as 4 x 4 blocks. */
DD_INLINE_ void dd_v16_transpose(dd_v16 v[16])
{
    __m512 t[16];
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        const __m512d lo01 = _mm512_castps_pd(_mm512_unpacklo_ps(v[i].v, v[i + 1].v));
        const __m512d hi01 = _mm512_castps_pd(_mm512_unpackhi_ps(v[i].v, v[i + 1].v));
        const __m512d lo23 = _mm512_castps_pd(_mm512_unpacklo_ps(v[i + 2].v, v[i + 3].v));
        const __m512d hi23 = _mm512_castps_pd(_mm512_unpackhi_ps(v[i + 2].v, v[i + 3].v));
        t[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(lo01, lo23));
        t[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(lo01, lo23));
        t[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(hi01, hi23));
        t[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(hi01, hi23));
    }
    /* t[4 r + c]: columns c, c + 4, c + 8, c + 12 of rows 4 r to 4 r + 3 */
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        const __m512 even01 = _mm512_shuffle_f32x4(t[c], t[c + 4], 0x88);
        const __m512 odd01 = _mm512_shuffle_f32x4(t[c], t[c + 4], 0xdd);
        const __m512 even23 = _mm512_shuffle_f32x4(t[c + 8], t[c + 12], 0x88);
        const __m512 odd23 = _mm512_shuffle_f32x4(t[c + 8], t[c + 12], 0xdd);
        v[c].v = _mm512_shuffle_f32x4(even01, even23, 0x88);
        v[c + 4].v = _mm512_shuffle_f32x4(odd01, odd23, 0x88);
        v[c + 8].v = _mm512_shuffle_f32x4(even01, even23, 0xdd);
        v[c + 12].v = _mm512_shuffle_f32x4(odd01, odd23, 0xdd);
    }
}

#else

DD_INLINE_ void dd_v16_transpose(dd_v16 v[16])
{
    float32x4_t in[4][16];
    for (int i = 0; i < 16; i++) {
        in[0][i] = v[i].a;
        in[1][i] = v[i].b;
        in[2][i] = v[i].c;
        in[3][i] = v[i].d;
    }
    for (int q = 0; q < 4; q++) { /* columns 4 q to 4 q + 3 */
        float32x4_t out[4][4];
        for (int r = 0; r < 4; r++) {
            const float32x4x2_t even = vtrnq_f32(in[q][4 * r], in[q][4 * r + 1]);
            const float32x4x2_t odd = vtrnq_f32(in[q][4 * r + 2], in[q][4 * r + 3]);
            out[0][r] = vcombine_f32(vget_low_f32(even.val[0]), vget_low_f32(odd.val[0]));
            out[1][r] = vcombine_f32(vget_low_f32(even.val[1]), vget_low_f32(odd.val[1]));
            out[2][r] = vcombine_f32(vget_high_f32(even.val[0]), vget_high_f32(odd.val[0]));
            out[3][r] = vcombine_f32(vget_high_f32(even.val[1]), vget_high_f32(odd.val[1]));
        }
        for (int c = 0; c < 4; c++)
            v[4 * q + c] = (dd_v16){out[c][0], out[c][1], out[c][2], out[c][3]};
    }
}

#endif

#if DD_VECTOR_REGISTERS != 2
DD_INLINE_ void dd_turn_16(const float *from, size_t from_row, float *to)
{
    dd_v16 v[16];
#pragma GCC unroll 16
    for (size_t i = 0; i < 16; i++)
        v[i] = dd_v16_load(from + i * from_row, 16);
    dd_v16_transpose(v);
#pragma GCC unroll 16
    for (size_t i = 0; i < 16; i++)
        dd_v16_store(to + 16 * i, 16, v[i]);
}
#endif

#endif
