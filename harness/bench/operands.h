/* SPDX-License-Identifier: MIT
 * Runs a case: seeded operands, comparison with the reference bit by bit, then timing. What has not
 * been compared in this process cannot be timed. Time is the CPU's that the thread got, so that
 * waiting for a busy core does not count; what neighbours do to caches and memory still does. */
#ifndef DD_BENCH_OPERANDS_H
#define DD_BENCH_OPERANDS_H

#include "bench_case.h"

enum { DD_SETS_MAX = 8 };

/* A case's arrays in memory, and the kernel sets found to agree with the reference on them. */
typedef struct dd_operands {
    const dd_case *c;
    uint64_t seed;
    float *memory[DD_ARRAYS_MAX]; /* every copy of the array */
    size_t stride[DD_ARRAYS_MAX]; /* floats from one copy to the next; 0: there is but one */
    float *want[DD_ARRAYS_MAX];   /* of what is written: the reference's first copy */
    double reference_ns;          /* its one call */
    void *scratch;
    size_t scratch_bytes;
    const dd_kernels *verified[DD_SETS_MAX];
    size_t n_verified;
} dd_operands;

/* All copies, filled from the seed, and the reference's result on the first.
 * owns     the memory on success, released by dd_operands_close; on failure nothing is left
 * returns  false: no memory                                                                */
bool dd_operands_open(dd_operands *o, const dd_case *c, const dd_kernels *reference, uint64_t seed);
/* Another thread's: copies of all arrays of o, for the same sets.  as dd_operands_open */
bool dd_operands_clone(const dd_operands *o, dd_operands *out);
void dd_operands_close(dd_operands *o);

/* The first element where a set and the reference differ. */
typedef struct dd_difference {
    unsigned array;
    size_t element;
    double got, want;
} dd_difference;

typedef enum dd_agreement { DD_AGREES, DD_DIFFERS, DD_NO_MEMORY } dd_agreement;

/* Fills the first copy again, runs the set on it and compares every float written, bit by bit.
 * DD_AGREES allows dd_operands_time for it; DD_DIFFERS tells where.                          */
dd_agreement dd_operands_verify(dd_operands *o, const dd_kernels *set, dd_difference *where);
/* Whether that has been done, and it agreed. */
bool dd_operands_verified(const dd_operands *o, const dd_kernels *set);

/* Calls over all copies, once or more, until at_least_ns have passed.
 * requires the set was verified on these operands
 * returns  nanoseconds of a call, of the fastest time over all copies                       */
double dd_operands_time(dd_operands *o, const dd_kernels *set, uint64_t at_least_ns);

/* Calls over all copies, `passes` times. requires as above */
void dd_operands_repeat(dd_operands *o, const dd_kernels *set, unsigned passes);

/* The bandwidth that a sweep over the same arrays, with the same mix of reads and writes, reaches
 * now, in bytes per second; measured like dd_operands_time. Only what is an output alone changes.
 */
double dd_operands_probe(dd_operands *o, uint64_t at_least_ns);

#endif
