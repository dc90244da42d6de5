/* SPDX-License-Identifier: MIT
 * One sweep, for every mix of streams that a case has; compiled plainly, with AVX and with AVX-512.
 */
#include "probe.h"

#include <assert.h>
#include <string.h>

#ifdef __AVX__
#include <immintrin.h>
#endif

#define JOIN_(a, b) a##b##_
#define JOIN(a, b) JOIN_(a, b)
#define SWEEP JOIN(dd_probe_sweep_, DD_VARIANT)

#ifdef __AVX512F__
enum { LANES = 16 };
#else
enum { LANES = 8 };
#endif
typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));
enum { UNROLL = 8 }; /* more chains than the latency of an addition needs */

#define INLINE static inline __attribute__((always_inline))

INLINE void store(float *to, const lanes *x, bool streaming)
{
#ifdef __AVX512F__
    if (streaming) {
        __m512 v;
        memcpy(&v, x, sizeof v);
        _mm512_stream_ps(to, v);
        return;
    }
#elif defined __AVX__
    if (streaming) {
        __m256 v;
        memcpy(&v, x, sizeof v);
        _mm256_stream_ps(to, v);
        return;
    }
#else
    (void)streaming;
#endif
    memcpy(to, x, sizeof *x);
}

/* The counts are constants at each call. */
INLINE float sweep(const dd_streams *s, const unsigned n_in, const unsigned n_inout,
                   const unsigned n_out, bool streaming)
{
    lanes sum[UNROLL] = {{0}};
    for (size_t i = 0; i + LANES * UNROLL <= s->n; i += LANES * UNROLL)
        for (unsigned u = 0; u < UNROLL; u++) {
            const size_t at = i + u * LANES;
            lanes x = {0}, y;
            for (unsigned k = 0; k < n_in; k++) {
                memcpy(&y, s->in[k] + at, sizeof y);
                x += y;
            }
            for (unsigned k = 0; k < n_inout; k++) {
                memcpy(&y, s->inout[k] + at, sizeof y);
                y = y + x * 0.0f; /* what was there, but no compiler knows */
                memcpy(s->inout[k] + at, &y, sizeof y);
            }
            for (unsigned k = 0; k < n_out; k++)
                store(s->out[k] + at, &x, streaming);
            if (n_inout + n_out == 0)
                sum[u] += x;
        }
    float total = 0;
    for (unsigned u = 0; u < UNROLL; u++)
        for (unsigned l = 0; l < LANES; l++)
            total += sum[u][l];
    return total;
}

float SWEEP(const dd_streams *s, bool streaming)
{
    switch (s->n_in * 100 + s->n_inout * 10 + s->n_out) {
#define MIX(in, inout, out)                                                                        \
    case in * 100 + inout * 10 + out:                                                              \
        return streaming ? sweep(s, in, inout, out, true) : sweep(s, in, inout, out, false);
        MIX(0, 1, 0)
        MIX(1, 0, 0)
        MIX(1, 0, 1)
        MIX(1, 0, 2)
        MIX(1, 1, 0)
        MIX(1, 3, 0)
        MIX(1, 3, 2)
        MIX(2, 0, 0)
        MIX(2, 0, 1)
        MIX(2, 1, 0)
#undef MIX
    default:
        assert(false); /* a mix of streams that no sweep was written for */
        return 0;
    }
}
