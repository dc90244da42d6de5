/* SPDX-License-Identifier: MIT
 * The platform on Linux: futexes, POSIX threads and barriers, memory, clocks. */
#define _GNU_SOURCE /* pthread_setname_np, sched_setaffinity, syscall */
#include "platform.h"

#include "pages.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifdef DD_VALGRIND
bool dd_on_valgrind_;

__attribute__((constructor)) static void look_for_valgrind(void)
{
    dd_on_valgrind_ = RUNNING_ON_VALGRIND != 0;
}
#endif

/* ---- Futexes ---- */

void dd_futex_wait(dd_atomic_u32 *a, uint32_t expected)
{
    /* Every outcome (woken, value differs, interrupted) asks the same of the caller: look again. */
    syscall(SYS_futex, &a->word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

void dd_futex_wake(dd_atomic_u32 *a, uint32_t n)
{
    syscall(SYS_futex, &a->word, FUTEX_WAKE_PRIVATE, n > INT_MAX ? INT_MAX : (int)n, NULL, NULL, 0);
}

void dd_yield_(void)
{
    sched_yield();
}

/* ---- Threads ---- */

static void *thread_main(void *handle)
{
    dd_thread *t = handle;
    pthread_setname_np(pthread_self(), t->name);
    t->run(t->arg);
    return NULL;
}

/* All but those a faulting instruction raises: blocked, they would kill the process unreported. */
static void asynchronous_signals(sigset_t *set)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    sigfillset(set);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        sigdelset(set, faults[i]);
}

int dd_thread_create(dd_thread *t, const char *name, size_t stack_bytes, void (*run)(void *),
                     void *arg)
{
    t->run = run;
    t->arg = arg;
    memset(t->name, 0, sizeof t->name);
    memcpy(t->name, name, strnlen(name, sizeof t->name - 1));

    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error)
        return error;
    if (stack_bytes)
        error = pthread_attr_setstacksize(&attributes, stack_bytes);
    if (!error) {
        /* The new thread inherits the mask: no signal can reach it before it has blocked them. */
        sigset_t blocked, before;
        asynchronous_signals(&blocked);
        pthread_sigmask(SIG_BLOCK, &blocked, &before);
        error = pthread_create(&t->id, &attributes, thread_main, t);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attributes);
    return error;
}

void dd_thread_join(dd_thread *t)
{
    int error = pthread_join(t->id, NULL);
    assert(error == 0);
    (void)error;
}

/* The process may use what its first thread may: that one is never pinned here. */
static bool unpin(void)
{
    bool done = false;
    for (size_t n = 1024; n <= 1024 * 1024 && !done; n *= 2) {
        cpu_set_t *set = CPU_ALLOC(n); /* the kernel refuses one shorter than its own */
        done = set && sched_getaffinity(getpid(), CPU_ALLOC_SIZE(n), set) == 0 &&
               sched_setaffinity(0, CPU_ALLOC_SIZE(n), set) == 0;
        CPU_FREE(set);
    }
    return done;
}

bool dd_thread_pin(uint32_t cpu)
{
    if (cpu == UINT32_MAX)
        return unpin();
    cpu_set_t *set = CPU_ALLOC((size_t)cpu + 1);
    if (!set)
        return false;
    const size_t bytes = CPU_ALLOC_SIZE((size_t)cpu + 1);
    CPU_ZERO_S(bytes, set);
    CPU_SET_S(cpu, bytes, set);
    bool done = sched_setaffinity(0, bytes, set) == 0;
    CPU_FREE(set);
    return done;
}

uint32_t dd_thread_id(void)
{
    return (uint32_t)syscall(SYS_gettid);
}

/* ---- Barriers ---- */

struct dd_pbarrier {
    pthread_barrier_t barrier;
};

dd_pbarrier *dd_pbarrier_open(uint32_t n_threads)
{
    dd_pbarrier *b = dd_alloc(sizeof *b);
    if (b && pthread_barrier_init(&b->barrier, NULL, n_threads) != 0) {
        dd_free(b);
        b = NULL;
    }
    return b;
}

void dd_pbarrier_wait(dd_pbarrier *b)
{
    int result = pthread_barrier_wait(&b->barrier);
    assert(result == 0 || result == PTHREAD_BARRIER_SERIAL_THREAD);
    (void)result;
}

void dd_pbarrier_close(dd_pbarrier *b)
{
    if (!b)
        return;
    pthread_barrier_destroy(&b->barrier);
    dd_free(b);
}

/* ---- Memory ---- */

#ifdef __SANITIZE_ADDRESS__

/* Blocks that end where they were asked to end, so that a read just past them is reported. */
void *dd_alloc(size_t bytes)
{
    void *block;
    if (bytes > PTRDIFF_MAX || posix_memalign(&block, DD_CACHE_LINE, bytes) != 0)
        return NULL;
    return memset(block, 0, bytes);
}

void dd_free(void *p)
{
    free(p);
}

#else

/* Bytes from which on a block has pages of its own: they come untouched, so that what is never used
 * takes no memory, and the rest belongs to the memory node of the thread that first writes it. From
 * calloc they would, until a large block was freed: then it makes them of old memory, and clears
 * all of it. */
#define OWN_PAGES ((size_t)1 << 20)

/* Before every block: where its allocation began, and its bytes if that is pages of its own. */
typedef struct origin {
    void *begin;
    size_t mapped; /* 0: it is calloc's */
} origin;

void *dd_alloc(size_t bytes)
{
    const size_t slack = DD_CACHE_LINE - 1 + sizeof(origin);
    if (bytes > PTRDIFF_MAX - slack)
        return NULL;
    origin o = {.mapped = bytes < OWN_PAGES ? 0 : bytes + slack};
    o.begin = o.mapped ? dd_pages_map(o.mapped, DD_PAGES_WRITE) : calloc(1, bytes + slack);
    if (!o.begin)
        return NULL;
    const uintptr_t earliest = (uintptr_t)o.begin + sizeof o;
    char *block = (char *)o.begin + sizeof o + -earliest % DD_CACHE_LINE;
    memcpy(block - sizeof o, &o, sizeof o);
    return block;
}

void dd_free(void *p)
{
    if (!p)
        return;
    origin o;
    memcpy(&o, (char *)p - sizeof o, sizeof o);
    if (o.mapped)
        dd_pages_unmap(o.begin, o.mapped);
    else
        free(o.begin);
}

#endif

/* ---- Clocks ---- */

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    int error = clock_gettime(clock, &t);
    assert(error == 0);
    (void)error;
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t dd_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t dd_thread_cpu_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}
