/* SPDX-License-Identifier: MIT
 * What the files of core/kernels share among themselves: the sets that a build may hold, and the
 * bursts of fused multiply-adds by which peak.c times an instruction set. */
#ifndef DD_SETS_H
#define DD_SETS_H

#include "kernels.h"

/* Sets of this build: the first of every build, the next three on x86-64, the last on aarch64. */
extern const dd_kernels dd_reference_portable_;
extern const dd_kernels dd_reference_fma_;
extern const dd_kernels dd_avx2_;
extern const dd_kernels dd_avx512_;
extern const dd_kernels dd_neon_;

/* n rounds of independent chains c = c / 2 + seed in registers: 12 chains of one float, 96 (AVX2
 * and NEON) or 192 (AVX-512) in vectors. The result is the sum of the chains, so that none is
 * optimised away; each tends to 2 * seed. */
float dd_burst_reference_portable_(size_t n, float seed);
float dd_burst_reference_fma_(size_t n, float seed);
float dd_avx2_burst_(size_t n, float seed);
float dd_avx512_burst_(size_t n, float seed);
float dd_neon_burst_(size_t n, float seed);

#endif
