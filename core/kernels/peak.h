/* SPDX-License-Identifier: MIT
 * The speed limit of a core: how many floating-point operations per second fused multiply-adds
 * reach that need no memory. Matrix products are quoted as shares of it. */
#ifndef DD_PEAK_H
#define DD_PEAK_H

#include "kernels.h"

/* Peak of one core in the instruction set of `set`, a fused multiply-add counting as two
 * operations, measured now on the calling thread: the median of fifteen runs of about a
 * millisecond. (The best of them would catch steps of the clock that last no longer than that.)
 * returns  operations per second; 0 if the set is not one of dd_kernels_select()
 * threads  any; on a busy core the result is too low                                       */
double dd_peak_flops(const dd_kernels *set);

/* The same right after heavy work, whose clock it sees: the median of five runs of some 60 us. A
 * core that multiplies and streams memory for long runs slower than one that only multiplies. */
double dd_peak_at_work(const dd_kernels *set);

#endif
