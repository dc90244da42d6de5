/* SPDX-License-Identifier: MIT
 * What the files of core/kernels share among themselves: the sets that a build may hold, and the
 * bursts of fused multiply-adds by which peak.c times an instruction set. */
#ifndef DD_SETS_H
#define DD_SETS_H

#include "kernels.h"

/* Sets of this build. The last two exist on x86-64 alone. */
extern const dd_kernels dd_reference_portable_;
extern const dd_kernels dd_reference_fma_;
extern const dd_kernels dd_avx2_;

/* n rounds of twelve independent chains c = c / 2 + seed in registers. The result depends on every
 * chain, so that none is optimised away; it tends to 24 * seed. */
float dd_burst_reference_portable_(size_t n, float seed);
float dd_burst_reference_fma_(size_t n, float seed);
float dd_burst_avx2_(size_t n, float seed);

#endif
