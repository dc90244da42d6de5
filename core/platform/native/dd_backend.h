/* SPDX-License-Identifier: MIT
 * The platform on the machine: __atomic builtins, private futexes, POSIX threads and clocks.
 * Contracts stand in platform.h, which alone includes this file.
 *
 * Helgrind and DRD know nothing of atomics, so the operations tell them what their memory order
 * promises: a release sends, an acquire receives, through the word itself. A weakened order is
 * therefore visible to these tools too. An annotation without valgrind is twenty instructions to no
 * effect, half of an empty barrier's time if let: a flag set at load leads past it. */
#ifndef DD_BACKEND_H
#define DD_BACKEND_H

#include <pthread.h>

#ifdef __has_include
#if __has_include(<valgrind/helgrind.h>)
#include <valgrind/helgrind.h>
#define DD_VALGRIND 1
#endif
#endif

/* ---- Annotations: private to this file ---- */

#ifdef DD_VALGRIND
extern bool dd_on_valgrind_; /* set before main, never changed */
#define DD_ANNOTATE_(annotation)                                                                   \
    do {                                                                                           \
        if (DD_ON_VALGRIND_)                                                                       \
            annotation;                                                                            \
    } while (0)
#define DD_SENDS_(word) DD_ANNOTATE_(ANNOTATE_HAPPENS_BEFORE(word))
#define DD_RECEIVES_(word) DD_ANNOTATE_(ANNOTATE_HAPPENS_AFTER(word))
#define DD_SYNC_WORD_(word) DD_ANNOTATE_(VALGRIND_HG_DISABLE_CHECKING(word, sizeof *(word)))
#define DD_FORGET_(word) DD_ANNOTATE_(ANNOTATE_HAPPENS_BEFORE_FORGET_ALL(word))
#define DD_ON_VALGRIND_ __builtin_expect(dd_on_valgrind_, false)
#else
#define DD_SENDS_(word) ((void)(word))
#define DD_RECEIVES_(word) ((void)(word))
#define DD_SYNC_WORD_(word) ((void)(word))
#define DD_FORGET_(word) ((void)(word))
#define DD_ON_VALGRIND_ false
#endif

/* ---- Atomics ---- */

typedef enum dd_order {
    DD_RELAXED = __ATOMIC_RELAXED,
    DD_ACQUIRE = __ATOMIC_ACQUIRE,
    DD_RELEASE = __ATOMIC_RELEASE,
    DD_ACQ_REL = __ATOMIC_ACQ_REL,
    DD_SEQ_CST = __ATOMIC_SEQ_CST,
} dd_order;

/* Always inline: an order that is no constant would silently become seq_cst. */
#define DD_INLINE_ static inline __attribute__((always_inline))

DD_INLINE_ bool dd_acquires_(dd_order order)
{
    return order == DD_ACQUIRE || order == DD_ACQ_REL || order == DD_SEQ_CST;
}

DD_INLINE_ bool dd_releases_(dd_order order)
{
    return order == DD_RELEASE || order == DD_ACQ_REL || order == DD_SEQ_CST;
}

#define DD_ATOMIC_(bits)                                                                           \
    typedef struct dd_atomic_u##bits {                                                             \
        uint##bits##_t word;                                                                       \
    } dd_atomic_u##bits;                                                                           \
                                                                                                   \
    DD_INLINE_ void dd_u##bits##_init(dd_atomic_u##bits *a, uint##bits##_t value)                  \
    {                                                                                              \
        DD_SYNC_WORD_(&a->word);                                                                   \
        __atomic_store_n(&a->word, value, __ATOMIC_RELAXED);                                       \
    }                                                                                              \
                                                                                                   \
    DD_INLINE_ void dd_u##bits##_forget(dd_atomic_u##bits *a)                                      \
    {                                                                                              \
        DD_FORGET_(&a->word);                                                                      \
    }                                                                                              \
                                                                                                   \
    DD_INLINE_ uint##bits##_t dd_u##bits##_load(const dd_atomic_u##bits *a, dd_order order)        \
    {                                                                                              \
        uint##bits##_t value = __atomic_load_n(&a->word, (int)order);                              \
        if (dd_acquires_(order))                                                                   \
            DD_RECEIVES_(&a->word);                                                                \
        return value;                                                                              \
    }                                                                                              \
                                                                                                   \
    DD_INLINE_ void dd_u##bits##_store(dd_atomic_u##bits *a, uint##bits##_t value, dd_order order) \
    {                                                                                              \
        if (dd_releases_(order))                                                                   \
            DD_SENDS_(&a->word);                                                                   \
        __atomic_store_n(&a->word, value, (int)order);                                             \
    }                                                                                              \
                                                                                                   \
    DD_INLINE_ uint##bits##_t dd_u##bits##_exchange(dd_atomic_u##bits *a, uint##bits##_t value,    \
                                                    dd_order order)                                \
    {                                                                                              \
        if (dd_releases_(order))                                                                   \
            DD_SENDS_(&a->word);                                                                   \
        uint##bits##_t old = __atomic_exchange_n(&a->word, value, (int)order);                     \
        if (dd_acquires_(order))                                                                   \
            DD_RECEIVES_(&a->word);                                                                \
        return old;                                                                                \
    }                                                                                              \
                                                                                                   \
    DD_INLINE_ uint##bits##_t dd_u##bits##_fetch_add(dd_atomic_u##bits *a, uint##bits##_t n,       \
                                                     dd_order order)                               \
    {                                                                                              \
        if (dd_releases_(order))                                                                   \
            DD_SENDS_(&a->word);                                                                   \
        uint##bits##_t old = __atomic_fetch_add(&a->word, n, (int)order);                          \
        if (dd_acquires_(order))                                                                   \
            DD_RECEIVES_(&a->word);                                                                \
        return old;                                                                                \
    }                                                                                              \
                                                                                                   \
    DD_INLINE_ bool dd_u##bits##_compare_exchange(dd_atomic_u##bits *a, uint##bits##_t *expected,  \
                                                  uint##bits##_t desired, dd_order success,        \
                                                  dd_order failure)                                \
    {                                                                                              \
        if (dd_releases_(success))                                                                 \
            DD_SENDS_(&a->word);                                                                   \
        bool done = __atomic_compare_exchange_n(&a->word, expected, desired, false, (int)success,  \
                                                (int)failure);                                     \
        if (dd_acquires_(done ? success : failure))                                                \
            DD_RECEIVES_(&a->word);                                                                \
        return done;                                                                               \
    }

DD_ATOMIC_(32)
DD_ATOMIC_(64)

/* Relaxed throughout; the owner being the only writer, adding needs no read-modify-write. */
typedef struct dd_tally {
    dd_atomic_u64 value;
} dd_tally;

DD_INLINE_ void dd_tally_init(dd_tally *t)
{
    dd_u64_init(&t->value, 0);
}

DD_INLINE_ void dd_tally_forget(dd_tally *t)
{
    dd_u64_forget(&t->value);
}

DD_INLINE_ void dd_tally_set(dd_tally *t, uint64_t value)
{
    dd_u64_store(&t->value, value, DD_RELAXED);
}

DD_INLINE_ uint64_t dd_tally_get(const dd_tally *t)
{
    return dd_u64_load(&t->value, DD_RELAXED);
}

DD_INLINE_ void dd_tally_add(dd_tally *t, uint64_t n)
{
    dd_tally_set(t, dd_tally_get(t) + n);
}

/* ---- Waiting ---- */

void dd_futex_wait(dd_atomic_u32 *a, uint32_t expected);
void dd_futex_wake(dd_atomic_u32 *a, uint32_t n);

/* Tells the core that this is a polling loop. */
DD_INLINE_ void dd_pause_(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("isb"); /* yield is a no-op on most cores */
#elif defined(__riscv)
    __asm__ __volatile__(".4byte 0x0100000f"); /* pause, of Zihintpause; elsewhere a no-op */
#endif
}

/* Lets any other thread that can run have the core, if there is one. */
void dd_yield_(void);

/* With more threads than cores, the time a wake-up takes: measured with 4, 8 and 16 threads on 2
 * cores, from 8 on nobody falls asleep in an empty barrier any more. */
#define DD_YIELDS_ 16u

/* Polls left after one. Valgrind runs one thread at a time, so that polling gains nothing, and its
 * detectors begin a segment of a thread's history with every acquire: a few polls will do there. */
DD_INLINE_ uint32_t dd_polls_after_(uint32_t left)
{
    if (left == DD_FOREVER)
        return left;
    return DD_ON_VALGRIND_ ? left / 4 : left - 1;
}

#define DD_AWAIT(expr, spins)                                                                      \
    __extension__({                                                                                \
        uint32_t dd_polls_left_ = (spins);                                                         \
        const bool dd_yields_ = dd_polls_left_ == DD_YIELDING;                                     \
        if (dd_yields_)                                                                            \
            dd_polls_left_ = DD_YIELDS_;                                                           \
        bool dd_holds_;                                                                            \
        while (!(dd_holds_ = (expr)) && dd_polls_left_) {                                          \
            if (dd_yields_)                                                                        \
                dd_yield_();                                                                       \
            else                                                                                   \
                dd_pause_();                                                                       \
            dd_polls_left_ = dd_polls_after_(dd_polls_left_);                                      \
        }                                                                                          \
        dd_holds_;                                                                                 \
    })

#define DD_READ(ptr, bytes) ((void)sizeof(ptr), (void)sizeof(bytes))
#define DD_WRITE(ptr, bytes) ((void)sizeof(ptr), (void)sizeof(bytes))

/* ---- Threads and barriers ---- */

typedef struct dd_thread {
    pthread_t id;
    void (*run)(void *);
    void *arg;
    char name[16]; /* the kernel's limit */
} dd_thread;

int dd_thread_create(dd_thread *t, const char *name, size_t stack_bytes, void (*run)(void *),
                     void *arg);
void dd_thread_join(dd_thread *t);
bool dd_thread_pin(uint32_t cpu);
uint32_t dd_thread_id(void);

typedef struct dd_pbarrier dd_pbarrier;

dd_pbarrier *dd_pbarrier_open(uint32_t n_threads);
void dd_pbarrier_wait(dd_pbarrier *barrier);
void dd_pbarrier_close(dd_pbarrier *barrier);

/* ---- Memory, clocks, floating point ---- */

void *dd_alloc(size_t bytes);
void dd_free(void *p);
uint64_t dd_now_ns(void);
uint64_t dd_thread_cpu_ns(void);

#if defined(__x86_64__) || defined(__i386__)
#define DD_FP_ENV_DEFAULT 0x1f80u /* all exceptions masked, nearest even, no DAZ, no FTZ */
DD_INLINE_ uint32_t dd_fp_env(void)
{
    return __builtin_ia32_stmxcsr() & ~0x3fu;
}
#elif defined(__aarch64__)
#define DD_FP_ENV_DEFAULT 0u
DD_INLINE_ uint32_t dd_fp_env(void)
{
    uint64_t fpcr;
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(fpcr));
    return (uint32_t)fpcr;
}
#elif defined(__riscv)
#define DD_FP_ENV_DEFAULT 0u /* nearest even; there is no flush to zero */
DD_INLINE_ uint32_t dd_fp_env(void)
{
    uint32_t fcsr;
    __asm__ __volatile__("frcsr %0" : "=r"(fcsr));
    return fcsr & ~0x1fu;
}
#else
#error "dd_fp_env() does not know this processor's floating-point control register"
#endif

#endif
