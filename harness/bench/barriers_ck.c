/* SPDX-License-Identifier: MIT
 * The barriers of Concurrency Kit, as sides. All of them only poll. */
#include "barriers.h"

#include <stddef.h>

#ifdef DD_HAVE_CK

#include <ck_barrier.h>

#include "platform.h"

static const char *missing(void)
{
    return NULL;
}

/* A thread's own state, apart from all others'. */
typedef struct own {
    _Alignas(2 * DD_CACHE_LINE) union {
        ck_barrier_centralized_state_t centralized;
        ck_barrier_combining_state_t combining;
        ck_barrier_dissemination_state_t dissemination;
        ck_barrier_tournament_state_t tournament;
        ck_barrier_mcs_state_t mcs;
    } state;
} own;

typedef struct ck {
    uint32_t n_threads;
    own *own; /* (n_threads) */
    ck_barrier_centralized_t centralized;
    ck_barrier_combining_t combining;
    ck_barrier_combining_group_t *group;
    ck_barrier_dissemination_t *dissemination;
    ck_barrier_tournament_t tournament;
    ck_barrier_mcs_t *mcs;
} ck;

static ck *ck_open(uint32_t n_threads)
{
    ck *c = dd_bench_alloc(sizeof *c);
    c->n_threads = n_threads;
    /* dd_alloc aligns to one line: `own` needs two */
    char *memory = dd_bench_alloc((n_threads + 1) * sizeof *c->own);
    c->own = (own *)(void *)(memory + -(uintptr_t)memory % sizeof *c->own);
    return c;
}

static void *centralized_open(uint32_t n_threads)
{
    return ck_open(n_threads);
}

static void centralized_pass(void *state, uint32_t thread)
{
    ck *c = state;
    ck_barrier_centralized(&c->centralized, &c->own[thread].state.centralized, c->n_threads);
}

/* Groups of two. */
static void *combining_open(uint32_t n_threads)
{
    ck *c = ck_open(n_threads);
    const uint32_t n_groups = (n_threads + 1) / 2;
    /* group 0 is the root's own, as the library's tests have it */
    c->group = dd_bench_alloc((n_groups + 1) * sizeof *c->group);
    ck_barrier_combining_init(&c->combining, &c->group[0]);
    for (uint32_t g = 0; g < n_groups; g++)
        ck_barrier_combining_group_init(&c->combining, &c->group[g + 1], g < n_threads / 2 ? 2 : 1);
    for (uint32_t t = 0; t < n_threads; t++)
        c->own[t].state.combining.sense = ~0u; /* as the initialiser of its header */
    return c;
}

static void combining_pass(void *state, uint32_t thread)
{
    ck *c = state;
    ck_barrier_combining(&c->combining, &c->group[1 + thread / 2], &c->own[thread].state.combining);
}

static void *dissemination_open(uint32_t n_threads)
{
    ck *c = ck_open(n_threads);
    const uint32_t size = ck_barrier_dissemination_size(n_threads);
    ck_barrier_dissemination_flag_t **flags = dd_bench_alloc(n_threads * sizeof(void *));
    for (uint32_t t = 0; t < n_threads; t++)
        flags[t] = dd_bench_alloc(size * sizeof **flags + DD_CACHE_LINE);
    c->dissemination = dd_bench_alloc(n_threads * sizeof *c->dissemination);
    ck_barrier_dissemination_init(c->dissemination, flags, n_threads);
    for (uint32_t t = 0; t < n_threads; t++)
        ck_barrier_dissemination_subscribe(c->dissemination, &c->own[t].state.dissemination);
    return c;
}

static void dissemination_pass(void *state, uint32_t thread)
{
    ck *c = state;
    ck_barrier_dissemination(c->dissemination, &c->own[thread].state.dissemination);
}

static void *tournament_open(uint32_t n_threads)
{
    ck *c = ck_open(n_threads);
    const uint32_t size = ck_barrier_tournament_size(n_threads);
    ck_barrier_tournament_round_t **rounds = dd_bench_alloc(n_threads * sizeof(void *));
    for (uint32_t t = 0; t < n_threads; t++)
        rounds[t] = dd_bench_alloc(size * sizeof **rounds + DD_CACHE_LINE);
    ck_barrier_tournament_init(&c->tournament, rounds, n_threads);
    for (uint32_t t = 0; t < n_threads; t++)
        ck_barrier_tournament_subscribe(&c->tournament, &c->own[t].state.tournament);
    return c;
}

static void tournament_pass(void *state, uint32_t thread)
{
    ck *c = state;
    ck_barrier_tournament(&c->tournament, &c->own[thread].state.tournament);
}

static void *mcs_open(uint32_t n_threads)
{
    ck *c = ck_open(n_threads);
    c->mcs = dd_bench_alloc(n_threads * sizeof *c->mcs);
    ck_barrier_mcs_init(c->mcs, n_threads);
    for (uint32_t t = 0; t < n_threads; t++)
        ck_barrier_mcs_subscribe(c->mcs, &c->own[t].state.mcs);
    return c;
}

static void mcs_pass(void *state, uint32_t thread)
{
    ck *c = state;
    ck_barrier_mcs(c->mcs, &c->own[thread].state.mcs);
}

#else

static const char *missing(void)
{
    return "built without Concurrency Kit (Debian: libck-dev)";
}

#define centralized_open NULL
#define centralized_pass NULL
#define combining_open NULL
#define combining_pass NULL
#define dissemination_open NULL
#define dissemination_pass NULL
#define tournament_open NULL
#define tournament_pass NULL
#define mcs_open NULL
#define mcs_pass NULL

#endif

const dd_side *dd_side_ck_at(uint32_t i)
{
    static const dd_side side[] = {
        {"ck-centralized", true, missing, centralized_open, centralized_pass, dd_threads_run},
        {"ck-combining", true, missing, combining_open, combining_pass, dd_threads_run},
        {"ck-dissemination", true, missing, dissemination_open, dissemination_pass, dd_threads_run},
        {"ck-tournament", true, missing, tournament_open, tournament_pass, dd_threads_run},
        {"ck-mcs", true, missing, mcs_open, mcs_pass, dd_threads_run},
    };
    return i < sizeof side / sizeof side[0] ? &side[i] : NULL;
}
