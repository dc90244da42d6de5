/* SPDX-License-Identifier: MIT
 * Where a worker's time goes: nanoseconds, calls and work of each phase, added up by the one thread
 * that has the profile, and each call on that thread's timeline, if it is given one. Off, where the
 * profile is NULL, it costs a branch; knows nothing of limits and prints nothing. */
#ifndef DD_PROFILE_H
#define DD_PROFILE_H

#include "platform.h"
#include "timeline.h"

typedef enum dd_profile_phase {
    DD_PROFILE_FORWARD, /* products; work counts floating-point operations down to attention */
    DD_PROFILE_INPUT_GRAD,
    DD_PROFILE_WEIGHT_GRAD,
    DD_PROFILE_ATTENTION,
    DD_PROFILE_LAYERNORM, /* from here on bytes: every operand read or written once */
    DD_PROFILE_GELU,
    DD_PROFILE_RESIDUAL,
    DD_PROFILE_BIAS_GRAD,
    DD_PROFILE_PACK, /* operands of weight gradients */
    DD_PROFILE_LOSS,
    DD_PROFILE_EMBEDDING,
    DD_PROFILE_FOLD,
    DD_PROFILE_NORM,
    DD_PROFILE_SLICE, /* fold and norm in one pass */
    DD_PROFILE_UPDATE,
    DD_PROFILE_PHASES
} dd_profile_phase;

typedef struct dd_profile_sum {
    uint64_t ns, calls, work;
} dd_profile_sum;

/* A cache line apart from others. */
typedef struct dd_profile {
    _Alignas(DD_CACHE_LINE) dd_profile_sum phase[DD_PROFILE_PHASES];
    dd_timeline *timeline; /* of the thread that has it now; NULL: none */
} dd_profile;

/* "forward products", …; *flops: its work counts operations, not bytes */
const char *dd_profile_name(dd_profile_phase phase, bool *flops);

/* When a call begins; 0 where nothing is measured. */
static inline uint64_t dd_profile_begin(const dd_profile *profile)
{
    return profile ? dd_now_ns() : 0;
}

/* Something that began then has ended; `sum` is the caller's alone. */
static inline void dd_profile_add(dd_profile_sum *sum, uint64_t begin_ns, uint64_t work)
{
    sum->ns += dd_now_ns() - begin_ns;
    sum->calls++;
    sum->work += work;
}

/* It has ended. */
static inline void dd_profile_end(dd_profile *profile, dd_profile_phase phase, uint64_t begin_ns,
                                  uint64_t work)
{
    if (!profile)
        return;
    dd_profile_add(&profile->phase[phase], begin_ns, work);
    dd_timeline_end(profile->timeline, DD_TRACE_PHASE, phase, begin_ns, 0, 0, 0);
}

#endif
