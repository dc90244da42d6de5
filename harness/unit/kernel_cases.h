/* SPDX-License-Identifier: MIT
 * What the tests of kernels share: the sets that run here, seeded sizes and sinks, and the
 * comparison of bits. */
#ifndef DD_TEST_KERNEL_CASES_H
#define DD_TEST_KERNEL_CASES_H

#include "kernels.h"

extern const dd_kernels *sets[5];
extern size_t n_sets;

/* Seeds the tests and finds the sets; names those that run and why others do not. */
void kernel_cases_begin(void);

/* 1 .. most, with a liking for 1, primes and the neighbours of vector widths. */
size_t any_size(size_t most);
dd_sink any_sink(void);

/* Fails unless the n floats have equal bits. */
void expect_bits(const dd_kernels *set, const char *what, size_t n, const float *got,
                 const float *want);

#endif
