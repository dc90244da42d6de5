/* SPDX-License-Identifier: MIT
 * The barriers that are compared: dodeca's points and everybody else's, in one form. A side runs in
 * a process of its own, which ends with it: nothing is released, and what cannot be had ends that
 * process with a message and exit code 3. */
#ifndef DD_BARRIERS_H
#define DD_BARRIERS_H

#include <stdbool.h>
#include <stdint.h>

/* Something to do in each of n threads, 0 to n - 1. */
typedef struct dd_body {
    void (*run)(void *arg, uint32_t thread);
    void *arg;
} dd_body;

typedef struct dd_side {
    const char *name; /* "dodeca-tree", "ck-mcs" */
    bool polls; /* never sleeps: with more threads than cores it would take a time slice for each */
    /* why it cannot be had here; NULL: it can */
    const char *(*missing)(void);
    /* for n_threads */
    void *(*open)(uint32_t n_threads);
    /* threads 0 to n_threads - 1 wait for each other */
    void (*pass)(void *state, uint32_t thread);
    /* runs body in n_threads threads that may pass, and returns when all are through */
    void (*run)(void *state, uint32_t n_threads, dd_body body);
} dd_side;

/* The i-th side, NULL after the last. The first is dodeca's. */
const dd_side *dd_side_at(uint32_t i);

/* Of Concurrency Kit, NULL after the last; they are there without the library too, as missing. */
const dd_side *dd_side_ck_at(uint32_t i);

/* The run of a side whose threads are nothing special. */
void dd_threads_run(void *state, uint32_t n_threads, dd_body body);

/* Memory on cache lines of its own, or the end of the process. */
void *dd_bench_alloc(uint64_t bytes);

/* Cores this process may use. */
uint32_t dd_bench_cores(void);

#endif
