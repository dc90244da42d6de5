/* SPDX-License-Identifier: MIT
 * Barriers as benchmarks. Every measurement is a process of its own, so that no runtime's idle
 * threads disturb the next. */
#include "suite.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "barriers.h"
#include "platform.h"

static const int64_t thread_counts[] = {2, 4, 8, 16, 144, 1728};
enum { N_COUNTS = sizeof thread_counts / sizeof thread_counts[0], SIDES_MAX = 16 };

/* ---- In the child ---- */

/* Shared by the threads of a side, ordered by its barrier. */
typedef struct measurement {
    const dd_side *side;
    void *state;
    int64_t rounds;  /* fixed */
    double total_ns; /* thread 0's */
} measurement;

static void measure_main(void *arg, uint32_t thread)
{
    measurement *m = arg;
    const dd_side *side = m->side;
    side->pass(m->state, thread); /* until all are there */
    const uint64_t start_ns = dd_now_ns();
    for (int64_t i = 0; i < m->rounds; i++)
        side->pass(m->state, thread);
    if (thread == 0)
        m->total_ns = (double)(dd_now_ns() - start_ns);
    side->pass(m->state, thread);
}

static double measure_here(const dd_side *side, uint32_t n_threads, int64_t rounds)
{
    measurement m = {.side = side, .rounds = rounds};
    m.state = side->open(n_threads);
    side->run(m.state, n_threads, (dd_body){measure_main, &m});
    return m.total_ns;
}

/* ---- In the parent ---- */

/* returns  ns of all rounds, NaN if the child did not come to its end */
static double measure(const dd_side *side, uint32_t n_threads, int64_t rounds)
{
    int ends[2];
    if (pipe(ends) != 0)
        return (double)NAN;
    (void)fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        const double ns = measure_here(side, n_threads, rounds);
        _exit(write(ends[1], &ns, sizeof ns) == sizeof ns ? 0 : 3);
    }
    close(ends[1]);
    double ns = (double)NAN;
    int status = -1;
    if (child > 0) {
        if (read(ends[0], &ns, sizeof ns) != sizeof ns)
            ns = (double)NAN;
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
    }
    close(ends[0]);
    return status == 0 ? ns : (double)NAN;
}

typedef struct contender {
    const dd_side *side;
} contender;

static void run(gb_state *state, void *user)
{
    const contender *c = user;
    const uint32_t n_threads = (uint32_t)gb_arg(state, 0);
    const int64_t rounds = gb_iterations_wanted(state);
    while (gb_next_batch(state, rounds)) {
        const double ns = measure(c->side, n_threads, rounds);
        if (isnan(ns))
            dd_suite_lacks(state, "no process that holds %u threads came to its end", n_threads);
        else
            gb_iteration_time(state, ns * 1e-9);
    }
}

void dd_suite_barriers_(void)
{
    static contender all[SIDES_MAX];
    static const char *const argument[] = {"threads"};
    const dd_side *side;
    for (uint32_t i = 0; i < SIDES_MAX && (side = dd_side_at(i)); i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "barrier/%s", side->name);
        const char *why = side->missing();
        /* what only polls would take a time slice for each thread that has no core */
        if (!why && side->polls && dd_bench_cores() < thread_counts[0])
            why = "only polls, and there is one core";
        if (why) {
            dd_suite_left_out(name, why);
            continue;
        }
        all[i].side = side;
        gb_benchmark *b = gb_register(name, GB_MANUAL_TIME, run, &all[i]);
        gb_arg_names(b, argument, 1);
        for (int k = 0; k < N_COUNTS; k++)
            if (!side->polls || thread_counts[k] <= dd_bench_cores())
                gb_args(b, &thread_counts[k], 1);
    }
}
