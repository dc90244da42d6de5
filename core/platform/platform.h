/* SPDX-License-Identifier: MIT
 * The platform: every atomic, futex wait, thread, clock and CPU question of core/ goes through this
 * interface, so that one source runs on the machine, under the schedule explorer and under the race
 * detectors. Backends are chosen by include path: each has a dd_backend.h that defines the types
 * and functions below (inline where speed matters). Nothing else in core/ may use raw atomics,
 * volatile, fences or sleeps.
 *
 *   native/      the machine; with valgrind's annotations compiled in when its header is present
 *   explorer     harness/explore/backend: fibres under a controlled scheduler
 *
 * What a backend provides:
 *
 *   dd_order     DD_RELAXED DD_ACQUIRE DD_RELEASE DD_ACQ_REL DD_SEQ_CST
 *   dd_atomic_u32, dd_atomic_u64
 *   void     dd_u32_init(dd_atomic_u32 *a, uint32_t value)    before anybody shares it
 *   void     dd_u32_forget(dd_atomic_u32 *a)                  after the last use
 *   uint32_t dd_u32_load(const dd_atomic_u32 *a, dd_order order)
 *   void     dd_u32_store(dd_atomic_u32 *a, uint32_t value, dd_order order)
 *   uint32_t dd_u32_exchange(dd_atomic_u32 *a, uint32_t value, dd_order order)   the old value
 *   uint32_t dd_u32_fetch_add(dd_atomic_u32 *a, uint32_t n, dd_order order)      the old value
 *   bool     dd_u32_compare_exchange(dd_atomic_u32 *a, uint32_t *expected, uint32_t desired,
 *                                    dd_order success, dd_order failure)
 *                strong; *expected updated
 *   The same for u64. What valgrind must be told of an operation is the backend's business.
 *
 *   dd_tally     a number for onlookers: one owner changes it, any thread reads it at any time, and
 *                it orders nothing. No event to the explorer
 *   void     dd_tally_init(dd_tally *t)                       0; before anybody shares it
 *   void     dd_tally_forget(dd_tally *t)
 *   void     dd_tally_set(dd_tally *t, uint64_t value)        the owner alone, as is
 *   void     dd_tally_add(dd_tally *t, uint64_t n)
 *   uint64_t dd_tally_get(const dd_tally *t)
 *
 *   void dd_futex_wait(dd_atomic_u32 *a, uint32_t expected)
 *                sleeps while *a == expected; may return early; gives no happens-before: load again
 *   void dd_futex_wake(dd_atomic_u32 *a, uint32_t n)
 *                n = UINT32_MAX: all
 *   bool DD_AWAIT(expr, spins)
 *                polls expr, an expression of acquire loads, once and then at most `spins` times
 *                with a pause between; true as soon as it holds. DD_FOREVER never gives up.
 *                DD_YIELDING polls a few times, and between lets other threads have the core.
 *                The explorer suspends the thread instead of polling
 *   DD_READ(ptr, bytes), DD_WRITE(ptr, bytes)
 *                the plain shared memory that the code around is about to touch; empty on the
 *                machine, a race check in the explorer
 *
 *   dd_thread    thread handle; stays in place from create to join
 *   int  dd_thread_create(dd_thread *t, const char *name, size_t stack_bytes,
 *                         void (*run)(void *), void *arg)
 *                0 or an errno. In the new thread every signal is blocked but those of faults
 *                (SEGV, BUS, FPE, ILL, TRAP, SYS). The name's first 15 bytes count; stack_bytes 0:
 *                the default
 *   void dd_thread_join(dd_thread *t)
 *   bool dd_thread_pin(uint32_t cpu)
 *                the calling thread runs on this CPU only; UINT32_MAX: on any that the process may
 *                use. false: refused
 *   uint32_t dd_thread_id(void)          the calling thread as the kernel names it
 *
 *   dd_pbarrier  pthread_barrier_t, opaque
 *   dd_pbarrier *dd_pbarrier_open(uint32_t n_threads)    NULL on failure
 *   void dd_pbarrier_wait(dd_pbarrier *barrier)
 *                everything before any thread's wait happens-before every thread's return
 *   void dd_pbarrier_close(dd_pbarrier *barrier)         NULL allowed
 *
 *   void *dd_alloc(size_t bytes)         zeroed, 64-byte aligned; NULL on failure or overflow
 *   void  dd_free(void *p)               NULL allowed
 *   uint64_t dd_now_ns(void)             monotonic
 *   uint64_t dd_thread_cpu_ns(void)      CPU time of the calling thread
 *   uint32_t dd_fp_env(void)             floating-point control (flags masked): MXCSR, FPCR, fcsr
 *   #define DD_FP_ENV_DEFAULT            what dd_fp_env() must return
 */
#ifndef DD_PLATFORM_H
#define DD_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DD_CACHE_LINE 64
#define DD_FOREVER UINT32_MAX
#define DD_YIELDING (UINT32_MAX - 1)

#include "dd_backend.h"

#endif
