/* SPDX-License-Identifier: MIT
 * The library's allocations, counted. */
#include "counted_alloc.h"

#include <stddef.h>

long n_allocations, n_live, fail_at = -1;

void *__real_dd_alloc(size_t bytes);
void __real_dd_free(void *p);
void *__wrap_dd_alloc(size_t bytes);
void __wrap_dd_free(void *p);

void *__wrap_dd_alloc(size_t bytes)
{
    if (n_allocations++ == fail_at)
        return NULL;
    void *p = __real_dd_alloc(bytes);
    n_live += p != NULL;
    return p;
}

void __wrap_dd_free(void *p)
{
    n_live -= p != NULL;
    __real_dd_free(p);
}
