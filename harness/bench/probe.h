/* SPDX-License-Identifier: MIT
 * A sweep over arrays that does next to no arithmetic: what is left is reading and writing, in the
 * widest vectors the CPU has. The limit that a kernel with the same mix of reads and writes is
 * quoted against. */
#ifndef DD_PROBE_H
#define DD_PROBE_H

#include <stdbool.h>
#include <stddef.h>

enum { DD_STREAMS_MAX = 4 };

/* n floats of each array; all begin on 64-byte boundaries. */
typedef struct dd_streams {
    size_t n;
    unsigned n_in, n_inout, n_out;
    const float *in[DD_STREAMS_MAX];
    float *inout[DD_STREAMS_MAX], *out[DD_STREAMS_MAX];
} dd_streams;

/* Reads in, reads inout and writes it back unchanged, writes out; with `streaming` past the caches,
 * where the CPU can.  returns  what keeps the compiler from leaving out reads */
float dd_probe_sweep(const dd_streams *s, bool streaming);

/* The builds of one source. */
float dd_probe_sweep_portable_(const dd_streams *s, bool streaming);
float dd_probe_sweep_avx512_(const dd_streams *s, bool streaming);
float dd_probe_sweep_avx_(const dd_streams *s, bool streaming);

#endif
