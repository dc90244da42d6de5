/* SPDX-License-Identifier: MIT
 * Which kernel set runs: the reference first, then what this build and this CPU lay over it. */
#include <stddef.h>

#include "sets.h"

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

#endif

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
    case DD_SIMD_AUTO:
        set = avx2_set(&reason);
        if (!set)
            set = scalar_set();
        break;
    default:
        reason = "no such kernel set: off, avx2 and auto are known";
    }
    if (!set && why)
        *why = reason;
    return set;
}
