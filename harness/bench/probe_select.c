/* SPDX-License-Identifier: MIT
 * Which build of the sweep this CPU runs. */
#include "probe.h"

float dd_probe_sweep(const dd_streams *s, bool streaming)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f"))
        return dd_probe_sweep_avx512_(s, streaming);
    if (__builtin_cpu_supports("avx"))
        return dd_probe_sweep_avx_(s, streaming);
#endif
    return dd_probe_sweep_portable_(s, streaming);
}
