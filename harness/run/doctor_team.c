/* SPDX-License-Identifier: MIT
 * Threads that do the same at the same time: each round begins at a barrier, its rate is what all
 * did over the time from the first begin to the last end. */
#include "doctor_team.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "peak.h"
#include "platform.h"
#include "stats.h"

enum { ROUNDS = 5, CHAINS = 200, ADDITIONS = 16 * 2000 };
#define LEAST_BYTES ((size_t)256 << 20) /* of all threads together, unless less is allowed */

typedef enum work { CLOCK, READ, COPY, FLOPS } work;

typedef struct member {
    struct team *team;
    pthread_t thread;
    uint32_t cpu;
    char *from, *to;
    uint64_t begin_ns, end_ns;
    double mhz, flops;
} member;

typedef struct team {
    uint32_t n;
    size_t bytes; /* of each of a member's two arrays; 0: neither clock nor memory is measured */
    const dd_kernels *set;
    pthread_mutex_t gate;      /* held until it is known whether all members are there */
    bool all_there;            /* under gate */
    pthread_barrier_t barrier; /* all members */
    double rate[2][ROUNDS];    /* READ, COPY: written by member 0 between barriers */
    member *member;
} team;

/* ---- The work ---- */

/* A chain of additions, each of which waits for the one before: a cycle each on every x86-64 and
 * AArch64. Assembly, since a compiler would add them up beforehand. */
#if defined __x86_64__
#define ADD "add %1, %0\n\t"
#elif defined __aarch64__
#define ADD "add %0, %0, %1\n\t"
#endif

static double chain_mhz(void)
{
#ifdef ADD
    double mhz[CHAINS];
    uint64_t x = 1;
    for (int c = 0; c < CHAINS; c++) {
        const uint64_t begin = dd_now_ns();
        for (int i = 0; i < ADDITIONS; i += 16) {
            const uint64_t y = (uint64_t)i;
            __asm__(ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD
                    : "+r"(x)
                    : "r"(y)
                    : "cc");
        }
        const uint64_t ns = dd_now_ns() - begin + (x == 0); /* x is used: the chain stays */
        mhz[c] = ADDITIONS * 1e3 / (double)ns;
    }
    dd_sort(mhz, CHAINS);
    return dd_quantile(mhz, CHAINS, 0.5);
#else
    return (double)NAN;
#endif
}

static void read_or_copy(member *m, work what, int round)
{
    const size_t bytes = m->team->bytes;
    m->from[0] = (char)(2 + round);
    m->begin_ns = dd_now_ns();
    if (what == COPY)
        memcpy(m->to, m->from, bytes);
    else if (memchr(m->from, 1, bytes)) /* there is none: it looks at every byte */
        m->from[1] = 0;
    m->end_ns = dd_now_ns() + (m->to[0] == 1); /* the copy is used */
}

static double rate_of_round(const team *t, work what)
{
    uint64_t begin = UINT64_MAX, end = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        begin = t->member[i].begin_ns < begin ? t->member[i].begin_ns : begin;
        end = t->member[i].end_ns > end ? t->member[i].end_ns : end;
    }
    return (what == COPY ? 2.0 : 1.0) * (double)t->bytes * t->n / ((double)(end - begin) * 1e-9);
}

static void measure_memory(member *m)
{
    team *t = m->team;
    memset(m->from, 2, t->bytes); /* pages of its own, near its core */
    memset(m->to, 3, t->bytes);
    (void)pthread_barrier_wait(&t->barrier);
    m->mhz = chain_mhz();
    for (int w = 0; w < 2; w++)
        for (int round = 0; round < ROUNDS; round++) {
            const work what = w ? COPY : READ;
            (void)pthread_barrier_wait(&t->barrier);
            read_or_copy(m, what, round);
            (void)pthread_barrier_wait(&t->barrier);
            if (m == t->member)
                t->rate[w][round] = rate_of_round(t, what);
        }
}

static void *run(void *arg)
{
    member *m = arg;
    team *t = m->team;
    (void)pthread_mutex_lock(&t->gate);
    const bool all_there = t->all_there;
    (void)pthread_mutex_unlock(&t->gate);
    if (!all_there)
        return NULL;
    if (t->bytes)
        measure_memory(m);
    (void)pthread_barrier_wait(&t->barrier);
    m->flops = dd_peak_flops(t->set);
    return NULL;
}

/* ---- The team ---- */

static int start(member *m)
{
    pthread_attr_t attr;
    cpu_set_t set;
    CPU_ZERO(&set);
    if (m->cpu >= CPU_SETSIZE)
        return EINVAL;
    CPU_SET(m->cpu, &set);
    int e = pthread_attr_init(&attr);
    if (e)
        return e;
    e = pthread_attr_setaffinity_np(&attr, sizeof set, &set);
    if (!e)
        e = pthread_create(&m->thread, &attr, run, m);
    (void)pthread_attr_destroy(&attr);
    return e;
}

static void sum_up(team *t, dd_reached *out)
{
    for (uint32_t i = 0; i < t->n; i++) {
        const member *m = &t->member[i];
        out->gflops += m->flops * 1e-9;
        if (i == 0 || m->mhz < out->mhz || isnan(m->mhz))
            out->mhz = m->mhz;
    }
    double *rate[2] = {t->rate[0], t->rate[1]}, median[2];
    for (int w = 0; w < 2; w++) {
        dd_sort(rate[w], ROUNDS);
        median[w] = dd_quantile(rate[w], ROUNDS, 0.5);
    }
    out->read_bytes_per_s = median[0];
    out->copy_bytes_per_s = median[1];
}

/* All of them, or none: those that were started before one that could not be go home. */
static int run_all(team *t)
{
    sigset_t all, before;
    int e = 0;
    uint32_t started = 0;
    (void)pthread_mutex_lock(&t->gate);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all,
                          &before); /* inherited: signals are for the main thread */
    while (started < t->n && !(e = start(&t->member[started])))
        started++;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    t->all_there = !e;
    (void)pthread_mutex_unlock(&t->gate);
    for (uint32_t i = 0; i < started; i++)
        (void)pthread_join(t->member[i].thread, NULL);
    return e;
}

/* With `bytes` in each array. */
static int measure(const dd_topology *topology, uint32_t n, const dd_kernels *set, size_t bytes,
                   dd_reached *out)
{
    *out = (dd_reached){.threads = n};
    team t = {.n = n, .bytes = bytes, .set = set, .gate = PTHREAD_MUTEX_INITIALIZER};
    int e = n ? 0 : ENODEV;
    t.member = calloc(n + (size_t)1, sizeof *t.member);
    if (!t.member)
        return ENOMEM;
    for (uint32_t i = 0; i < n; i++) {
        member *m = &t.member[i];
        *m = (member){.team = &t, .cpu = topology->cpu[i]};
        if (bytes && (!(m->from = dd_alloc(bytes)) || !(m->to = dd_alloc(bytes))))
            e = ENOMEM;
    }
    if (!e && !(e = pthread_barrier_init(&t.barrier, NULL, n))) {
        e = run_all(&t);
        (void)pthread_barrier_destroy(&t.barrier);
    }
    if (!e)
        sum_up(&t, out);
    for (uint32_t i = 0; i < n; i++) {
        dd_free(t.member[i].from);
        dd_free(t.member[i].to);
    }
    free(t.member);
    return e;
}

int dd_measure_team(const dd_topology *topology, uint32_t n, const dd_kernels *set,
                    uint64_t most_bytes, dd_reached *out)
{
    size_t all = 4 * (size_t)topology->l3_bytes * topology->n_l3;
    all = all < LEAST_BYTES ? LEAST_BYTES : all;
    all = all < most_bytes ? all : (size_t)most_bytes;
    n = n < topology->n_cpus ? n : topology->n_cpus;
    return measure(topology, n, set, all / 2 / (n ? n : 1), out);
}

double dd_measure_peak_together(const dd_topology *topology, uint32_t n, const dd_kernels *set)
{
    dd_reached reached;
    n = n < topology->n_cpus ? n : topology->n_cpus;
    return measure(topology, n, set, 0, &reached) ? 0 : reached.gflops * 1e9 / n;
}
