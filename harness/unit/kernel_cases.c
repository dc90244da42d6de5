/* SPDX-License-Identifier: MIT
 * Sets, sizes and comparison: see kernel_cases.h. */
#include "kernel_cases.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "guarded.h"
#include "sets.h"

const dd_kernels *sets[5];
size_t n_sets;

void kernel_cases_begin(void)
{
    static const dd_simd simd[] = {DD_SIMD_NEON, DD_SIMD_AVX2, DD_SIMD_AVX512};
    test_seed_from_environment();
    sets[n_sets++] = &dd_reference_portable_;
    const dd_kernels *off = dd_kernels_select(DD_SIMD_OFF, NULL);
    if (off != &dd_reference_portable_)
        sets[n_sets++] = off;
    for (size_t i = 0; i < sizeof simd / sizeof *simd; i++) {
        const char *why = NULL;
        const dd_kernels *set = dd_kernels_select(simd[i], &why);
        if (set)
            sets[n_sets++] = set;
        else
            print_message("SKIP (optional): %s\n", why);
    }
    for (size_t s = 0; s < n_sets; s++)
        print_message("set: %s\n", sets[s]->name);
}

size_t any_size(size_t most)
{
    static const size_t liked[] = {1,  2,  3,  5,  6,  7,  8,  9,  13, 15,
                                   16, 17, 31, 32, 33, 47, 48, 64, 97};
    const size_t n = random_below(2) ? liked[random_below(sizeof liked / sizeof *liked)]
                                     : 1 + random_below(most);
    return n < most ? n : most;
}

dd_sink any_sink(void)
{
    static const dd_sink all[] = {DD_STORE, DD_FOLD, DD_RESUME};
    return all[random_below(3)];
}

void expect_bits(const dd_kernels *set, const char *what, size_t n, const float *got,
                 const float *want)
{
    for (size_t i = 0; i < n; i++)
        if (!same_bits(got[i], want[i]))
            fail_msg("%s: %s: element %zu of %zu is %a, should be %a (DD_TEST_SEED=%llu)",
                     set->name, what, i, n, (double)got[i], (double)want[i], test_seed);
}
