/* SPDX-License-Identifier: MIT
 * Threads of this harness, not of the trainer: plain pthreads with an affinity from the start. */
#include "hog.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "topology.h"

struct dd_hogs {
    atomic_bool end; /* set by close, read by the hogs, relaxed: nothing else is shared */
    uint32_t n;      /* started */
    pthread_t thread[];
};

static void *run(void *hogs)
{
    while (!atomic_load_explicit(&((dd_hogs *)hogs)->end, memory_order_relaxed))
        ;
    return NULL;
}

static int start(dd_hogs *hogs, uint32_t cpu)
{
    pthread_attr_t attr;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    int e = pthread_attr_init(&attr);
    if (e)
        return e;
    e = pthread_attr_setaffinity_np(&attr, sizeof set, &set);
    if (!e)
        e = pthread_create(&hogs->thread[hogs->n], &attr, run, hogs);
    (void)pthread_attr_destroy(&attr);
    return e;
}

dd_status dd_hogs_open(uint32_t n, dd_hogs **out, dd_error *error)
{
    dd_topology topology = {0};
    *out = NULL;
    if (n == 0)
        return DD_OK;
    dd_status st = dd_topology_open(&topology);
    dd_hogs *hogs = calloc(1, sizeof *hogs + n * sizeof hogs->thread[0]);
    int e = 0;
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before); /* inherited: signals are for others */
    for (uint32_t h = 0; st == DD_OK && hogs && !e && h < n; h++) {
        uint32_t cpu = topology.cpu[h % topology.n_cpus];
        e = cpu < CPU_SETSIZE ? start(hogs, cpu) : EINVAL;
        hogs->n += !e;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    dd_topology_close(&topology);
    if (st == DD_OK && !hogs)
        st = DD_ERR_MEMORY;
    if (st == DD_OK && e)
        st = DD_ERR_THREAD;
    if (st == DD_OK) {
        *out = hogs;
        return DD_OK;
    }
    if (error)
        (void)snprintf(error->message, sizeof error->message, "hog %u: %s", n,
                       e ? strerror(e) : dd_status_name(st));
    dd_hogs_close(hogs);
    return st;
}

void dd_hogs_close(dd_hogs *hogs)
{
    if (!hogs)
        return;
    atomic_store_explicit(&hogs->end, true, memory_order_relaxed);
    for (uint32_t h = 0; h < hogs->n; h++)
        (void)pthread_join(hogs->thread[h], NULL);
    free(hogs);
}

uint64_t dd_hogs_cpu_ns(const dd_hogs *hogs)
{
    uint64_t sum = 0;
    for (uint32_t h = 0; hogs && h < hogs->n; h++) {
        clockid_t clock;
        struct timespec t;
        if (pthread_getcpuclockid(hogs->thread[h], &clock) == 0 && clock_gettime(clock, &t) == 0)
            sum += (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    }
    return sum;
}
