/* SPDX-License-Identifier: MIT
 * The end of streaming stores, which pass the caches by and are not ordered with other stores:
 * after it, whoever sees a later release of this thread sees them too. */
#ifndef DD_STREAMING_H
#define DD_STREAMING_H

#ifdef __x86_64__
#include <xmmintrin.h>
#endif

static inline void dd_streaming_end(void)
{
#ifdef __x86_64__
    _mm_sfence();
#endif
}

#endif
