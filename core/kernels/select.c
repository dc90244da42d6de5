/* SPDX-License-Identifier: MIT
 * Which kernel set runs: the reference first, then what this build and this CPU lay over it. */
#include <stddef.h>

#include "sets.h"

/* __builtin_cpu_supports() also asks the operating system, by XCR0, whether it keeps the set's
 * registers when it switches threads. */
#ifdef __x86_64__

static const dd_kernels *scalar_set(void)
{
    const bool fma = __builtin_cpu_supports("avx") && __builtin_cpu_supports("fma");
    return fma ? &dd_reference_fma_ : &dd_reference_portable_;
}

static const dd_kernels *avx2_set(const char **why)
{
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &dd_avx2_;
    *why = "this CPU lacks AVX2 or FMA: use simd off or auto";
    return NULL;
}

static const dd_kernels *avx512_set(const char **why)
{
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("fma"))
        return &dd_avx512_;
    *why = "this CPU or operating system lacks AVX-512 F, DQ, BW or VL: use simd off or auto";
    return NULL;
}

#else

static const dd_kernels *scalar_set(void)
{
    return &dd_reference_portable_;
}

static const dd_kernels *avx2_set(const char **why)
{
    *why = "this build is not for x86-64 and has no AVX2 kernels: use simd off or auto";
    return NULL;
}

static const dd_kernels *avx512_set(const char **why)
{
    *why = "this build is not for x86-64 and has no AVX-512 kernels: use simd off or auto";
    return NULL;
}

#endif

static const dd_kernels *neon_set(const char **why)
{
#ifdef __aarch64__
    (void)why; /* every CPU of this architecture has it */
    return &dd_neon_;
#else
    *why = "this build is not for aarch64 and has no NEON kernels: use simd off or auto";
    return NULL;
#endif
}

/* A CPU has sets of one architecture alone: the order of the others does not matter. */
static const dd_kernels *widest_set(void)
{
    const char *why;
    const dd_kernels *set = avx512_set(&why);
    if (!set)
        set = avx2_set(&why);
    if (!set)
        set = neon_set(&why);
    return set ? set : scalar_set();
}

const dd_kernels *dd_kernels_select(dd_simd simd, const char **why)
{
    const char *reason = NULL;
    const dd_kernels *set = NULL;
    switch (simd) {
    case DD_SIMD_OFF:
        set = scalar_set();
        break;
    case DD_SIMD_AVX2:
        set = avx2_set(&reason);
        break;
    case DD_SIMD_AVX512:
        set = avx512_set(&reason);
        break;
    case DD_SIMD_NEON:
        set = neon_set(&reason);
        break;
    case DD_SIMD_AUTO:
        set = widest_set();
        break;
    default:
        reason = "no such kernel set: auto, off, avx2, avx512 and neon are known";
    }
    if (!set && why)
        *why = reason;
    return set;
}
