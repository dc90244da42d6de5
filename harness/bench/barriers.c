/* SPDX-License-Identifier: MIT
 * The barriers that need no library of their own: dodeca's points, pthread_barrier_t,
 * a pure spin, and the barriers of the OpenMP runtimes, which are looked up at run time. */
#include "barriers.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "platform.h"
#include "points.h"

void *dd_bench_alloc(uint64_t bytes)
{
    void *p = dd_alloc(bytes);
    if (!p) {
        fprintf(stderr, "dodeca bench: no memory for %llu bytes\n", (unsigned long long)bytes);
        exit(3);
    }
    return p;
}

uint32_t dd_bench_cores(void)
{
    return dd_cpu_available();
}

static const char *nothing_missing(void)
{
    return NULL;
}

/* ---- Threads ---- */

/* 2,000 of them are to fit into any address space limit. */
enum { STACK_BYTES = 64 << 10 };

typedef struct runner {
    dd_thread thread;
    dd_body body;
    uint32_t number;
} runner;

static void runner_main(void *arg)
{
    const runner *r = arg;
    r->body.run(r->body.arg, r->number);
}

void dd_threads_run(void *state, uint32_t n_threads, dd_body body)
{
    (void)state;
    runner *r = dd_bench_alloc(n_threads * sizeof *r);
    for (uint32_t i = 0; i < n_threads; i++) {
        r[i].body = body;
        r[i].number = i;
        int error = dd_thread_create(&r[i].thread, "barrier", STACK_BYTES, runner_main, &r[i]);
        if (error) {
            fprintf(stderr, "dodeca bench: thread %u of %u: %s\n", i, n_threads, strerror(error));
            exit(3); /* takes the others, who would wait for ever, with it */
        }
    }
    for (uint32_t i = 0; i < n_threads; i++)
        dd_thread_join(&r[i].thread);
    dd_free(r);
}

/* ---- dodeca ---- */

/* What a step does between B and V: workers arrive, the last climbs to the root and acts for Node
 * Zero, and all go down again. Controls and Node Zero sleep through it, so they have no threads
 * here.
 */
typedef struct tree {
    dd_hierarchy *hierarchy;
    dd_points *points;
    uint32_t spins;
} tree;

static void *tree_open(uint32_t n_threads)
{
    tree *t = dd_bench_alloc(sizeof *t);
    uint32_t depth = 1;
    while (dd_power_of_12(depth) < n_threads)
        depth++;
    if (dd_hierarchy_open(depth, n_threads, &t->hierarchy) != DD_OK ||
        dd_points_open(DD_BARRIER_TREE, t->hierarchy, 0, &t->points) != DD_OK) {
        fprintf(stderr, "dodeca bench: no memory for %u threads\n", n_threads);
        exit(3);
    }
    t->spins = dd_points_spins(n_threads, dd_bench_cores());
    return t;
}

static void tree_pass(void *state, uint32_t thread)
{
    const tree *t = state;
    const uint32_t sphere = t->hierarchy->worker[thread];
    (void)dd_points_arrive(t->points, sphere, true);
    dd_points_descend(t->points, sphere, t->spins);
}

/* ---- pthread_barrier_t ---- */

static void *pthread_open(uint32_t n_threads)
{
    dd_pbarrier *b = dd_pbarrier_open(n_threads);
    if (!b) {
        fprintf(stderr, "dodeca bench: no pthread_barrier_t for %u threads\n", n_threads);
        exit(3);
    }
    return b;
}

static void pthread_pass(void *state, uint32_t thread)
{
    (void)thread;
    dd_pbarrier_wait(state);
}

/* ---- A pure spin ---- */

/* The textbook's centralised barrier: the last to arrive opens the round that all others poll. */
typedef struct spin {
    _Alignas(DD_CACHE_LINE) dd_atomic_u32 arrived;
    dd_atomic_u32 round; /* same line: what is best for two */
    uint32_t n_threads;
} spin;

static void *spin_open(uint32_t n_threads)
{
    spin *s = dd_bench_alloc(sizeof *s);
    s->n_threads = n_threads;
    return s;
}

static void spin_pass(void *state, uint32_t thread)
{
    (void)thread;
    spin *s = state;
    const uint32_t round = dd_u32_load(&s->round, DD_RELAXED);
    if (dd_u32_fetch_add(&s->arrived, 1, DD_ACQ_REL) + 1 == s->n_threads) {
        dd_u32_store(&s->arrived, 0, DD_RELAXED);
        dd_u32_store(&s->round, round + 1, DD_RELEASE);
    } else {
        (void)DD_AWAIT(dd_u32_load(&s->round, DD_ACQUIRE) != round, DD_FOREVER);
    }
}

/* ---- OpenMP runtimes ---- */

/* Both export the entry points that gcc's -fopenmp calls; so no compiler with OpenMP is needed.
 * source   gcc, libgomp/libgomp_g.h */
typedef struct omp {
    const char *file;
    void *library;
    void (*parallel)(void (*run)(void *), void *arg, unsigned n_threads, unsigned flags);
    void (*barrier)(void);
    int (*thread)(void);
} omp;

static omp libomp = {.file = "libomp.so.5"}, libgomp = {.file = "libgomp.so.1"};

/* POSIX makes a function pointer of what dlsym returns; ISO C has no cast for it. */
static void omp_look_up(omp *o, const char *name, void *function)
{
    void *found = dlsym(o->library, name);
    memcpy(function, &found, sizeof found);
}

static const char *omp_missing(omp *o)
{
    o->library = dlopen(o->file, RTLD_NOW | RTLD_LOCAL);
    if (!o->library)
        return "not installed";
    omp_look_up(o, "GOMP_parallel", &o->parallel);
    omp_look_up(o, "GOMP_barrier", &o->barrier);
    omp_look_up(o, "omp_get_thread_num", &o->thread);
    return o->parallel && o->barrier && o->thread ? NULL : "lacks the entry points of -fopenmp";
}

static const char *libomp_missing(void)
{
    return omp_missing(&libomp);
}

static const char *libgomp_missing(void)
{
    return omp_missing(&libgomp);
}

static void *libomp_open(uint32_t n_threads)
{
    (void)n_threads;
    return &libomp;
}

static void *libgomp_open(uint32_t n_threads)
{
    (void)n_threads;
    return &libgomp;
}

static void omp_pass(void *state, uint32_t thread)
{
    (void)thread;
    ((const omp *)state)->barrier();
}

typedef struct omp_region {
    const omp *runtime;
    dd_body body;
} omp_region;

static void omp_main(void *arg)
{
    const omp_region *r = arg;
    r->body.run(r->body.arg, (uint32_t)r->runtime->thread());
}

static void omp_run(void *state, uint32_t n_threads, dd_body body)
{
    omp_region r = {.runtime = state, .body = body};
    r.runtime->parallel(omp_main, &r, n_threads, 0);
}

/* ---- All of them ---- */

const dd_side *dd_side_at(uint32_t i)
{
    static const dd_side own[] = {
        {"dodeca-tree", false, nothing_missing, tree_open, tree_pass, dd_threads_run},
        {"pthread", false, nothing_missing, pthread_open, pthread_pass, dd_threads_run},
        {"libomp", false, libomp_missing, libomp_open, omp_pass, omp_run},
        {"libgomp", false, libgomp_missing, libgomp_open, omp_pass, omp_run},
        {"spin", true, nothing_missing, spin_open, spin_pass, dd_threads_run},
    };
    const uint32_t n = sizeof own / sizeof own[0];
    return i < n ? &own[i] : dd_side_ck_at(i - n);
}
