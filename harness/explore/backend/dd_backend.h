/* SPDX-License-Identifier: MIT
 * The platform under the schedule explorer: every operation of platform.h becomes an event that the
 * explorer may delay. Contracts stand in platform.h, which alone includes this file. Clocks stand
 * still, so that they tell no states apart. */
#ifndef DD_BACKEND_H
#define DD_BACKEND_H

#include "world.h"

/* ---- Atomics ---- */

/* The macros below the functions add the place of the call, which traces show. */
#define DD_ATOMIC_(bits)                                                                           \
    typedef struct dd_atomic_u##bits {                                                             \
        uint##bits##_t word;                                                                       \
    } dd_atomic_u##bits;                                                                           \
                                                                                                   \
    static inline void dd_u##bits##_init_(dd_atomic_u##bits *a, uint##bits##_t value,              \
                                          dd_site site)                                            \
    {                                                                                              \
        dd_world_init(&a->word, sizeof a->word, site);                                             \
        a->word = value;                                                                           \
    }                                                                                              \
                                                                                                   \
    static inline uint##bits##_t dd_u##bits##_load_(const dd_atomic_u##bits *a, dd_order order,    \
                                                    dd_site site)                                  \
    {                                                                                              \
        return (uint##bits##_t)dd_world_atomic(DD_EVENT_LOAD, &a->word, sizeof a->word, 0, 0,      \
                                               order, order, site);                                \
    }                                                                                              \
                                                                                                   \
    static inline void dd_u##bits##_store_(dd_atomic_u##bits *a, uint##bits##_t value,             \
                                           dd_order order, dd_site site)                           \
    {                                                                                              \
        dd_world_atomic(DD_EVENT_STORE, &a->word, sizeof a->word, value, 0, order, order, site);   \
    }                                                                                              \
                                                                                                   \
    static inline uint##bits##_t dd_u##bits##_exchange_(                                           \
        dd_atomic_u##bits *a, uint##bits##_t value, dd_order order, dd_site site)                  \
    {                                                                                              \
        return (uint##bits##_t)dd_world_atomic(DD_EVENT_EXCHANGE, &a->word, sizeof a->word, value, \
                                               0, order, order, site);                             \
    }                                                                                              \
                                                                                                   \
    static inline uint##bits##_t dd_u##bits##_fetch_add_(dd_atomic_u##bits *a, uint##bits##_t n,   \
                                                         dd_order order, dd_site site)             \
    {                                                                                              \
        return (uint##bits##_t)dd_world_atomic(DD_EVENT_FETCH_ADD, &a->word, sizeof a->word, n, 0, \
                                               order, order, site);                                \
    }                                                                                              \
                                                                                                   \
    static inline bool dd_u##bits##_compare_exchange_(                                             \
        dd_atomic_u##bits *a, uint##bits##_t *expected, uint##bits##_t desired, dd_order success,  \
        dd_order failure, dd_site site)                                                            \
    {                                                                                              \
        uint##bits##_t found =                                                                     \
            (uint##bits##_t)dd_world_atomic(DD_EVENT_COMPARE_EXCHANGE, &a->word, sizeof a->word,   \
                                            desired, *expected, success, failure, site);           \
        bool done = found == *expected;                                                            \
        *expected = found;                                                                         \
        return done;                                                                               \
    }

DD_ATOMIC_(32)
DD_ATOMIC_(64)

#define dd_u32_init(a, value) dd_u32_init_(a, value, DD_HERE)
#define dd_u32_forget(a) ((void)(a))
#define dd_u32_load(a, order) dd_u32_load_(a, order, DD_HERE)
#define dd_u32_store(a, value, order) dd_u32_store_(a, value, order, DD_HERE)
#define dd_u32_exchange(a, value, order) dd_u32_exchange_(a, value, order, DD_HERE)
#define dd_u32_fetch_add(a, n, order) dd_u32_fetch_add_(a, n, order, DD_HERE)
#define dd_u32_compare_exchange(a, expected, desired, success, failure)                            \
    dd_u32_compare_exchange_(a, expected, desired, success, failure, DD_HERE)
#define dd_u64_init(a, value) dd_u64_init_(a, value, DD_HERE)
#define dd_u64_forget(a) ((void)(a))
#define dd_u64_load(a, order) dd_u64_load_(a, order, DD_HERE)
#define dd_u64_store(a, value, order) dd_u64_store_(a, value, order, DD_HERE)
#define dd_u64_exchange(a, value, order) dd_u64_exchange_(a, value, order, DD_HERE)
#define dd_u64_fetch_add(a, n, order) dd_u64_fetch_add_(a, n, order, DD_HERE)
#define dd_u64_compare_exchange(a, expected, desired, success, failure)                            \
    dd_u64_compare_exchange_(a, expected, desired, success, failure, DD_HERE)

/* Plain: what orders nothing distinguishes no schedules. Nor do numbers that grow without anybody
 * acting on them: what is added up only remembers whether anything was ever added. */
typedef struct dd_tally {
    uint64_t value;
} dd_tally;

static inline void dd_tally_init(dd_tally *t)
{
    t->value = 0;
}

static inline void dd_tally_forget(dd_tally *t)
{
    (void)t;
}

static inline void dd_tally_set(dd_tally *t, uint64_t value)
{
    t->value = value;
}

static inline uint64_t dd_tally_get(const dd_tally *t)
{
    return t->value;
}

static inline void dd_tally_add(dd_tally *t, uint64_t n)
{
    t->value |= n > 0;
}

/* ---- Waiting ---- */

#define dd_futex_wait(a, expected) dd_world_futex_wait(&(a)->word, expected, DD_HERE)
#define dd_futex_wake(a, n) dd_world_futex_wake(&(a)->word, n, DD_HERE)

/* Finite polling is one evaluation: the thread may be delayed before it for as long as any number
 * of polls would have taken, so this shows every outcome that more polls could have. */
#define DD_AWAIT(expr, spins)                                                                      \
    __extension__({                                                                                \
        bool dd_for_ever_ = (spins) == DD_FOREVER, dd_holds_;                                      \
        do {                                                                                       \
            dd_world_await_begin(dd_for_ever_);                                                    \
            dd_holds_ = (expr);                                                                    \
        } while (dd_world_await_again(dd_holds_, dd_for_ever_, DD_HERE));                          \
        dd_holds_;                                                                                 \
    })

#define DD_READ(ptr, bytes) dd_world_touch(ptr, bytes, false, DD_HERE)
#define DD_WRITE(ptr, bytes) dd_world_touch(ptr, bytes, true, DD_HERE)

/* ---- Threads and barriers ---- */

typedef struct dd_thread {
    uint32_t fibre;
} dd_thread;

#define dd_thread_create(t, name, stack_bytes, run, arg)                                           \
    ((void)(stack_bytes), dd_world_thread_create(&(t)->fibre, name, run, arg, DD_HERE))
#define dd_thread_join(t) dd_world_thread_join((t)->fibre, DD_HERE)
#define dd_thread_pin(cpu) ((void)(cpu), true)
#define dd_thread_id() ((uint32_t)0)

typedef struct dd_pbarrier dd_pbarrier;
#define dd_pbarrier_open(n_threads) dd_world_barrier_open(n_threads, DD_HERE)
#define dd_pbarrier_wait(barrier) dd_world_barrier_wait(barrier, DD_HERE)
#define dd_pbarrier_close(barrier) dd_world_barrier_close(barrier, DD_HERE)

/* ---- Memory, clocks, floating point ---- */

#define dd_alloc(bytes) dd_world_alloc(bytes, DD_HERE)
#define dd_free(p) dd_world_free(p, DD_HERE)
#define dd_now_ns() ((uint64_t)0)
#define dd_thread_cpu_ns() ((uint64_t)0)

#define DD_FP_ENV_DEFAULT 0x1f80u
#define dd_fp_env() dd_world_fp_env(DD_FP_ENV_DEFAULT, DD_HERE)

#endif
