/* SPDX-License-Identifier: MIT
 * The schedule explorer: runs a small program of threads through the interleavings that its
 * synchronisation allows, under sequential consistency or under C11's memory model, with the
 * sources of core/ compiled unchanged against another backend of core/platform/. It looks for data
 * races, deadlocks and lost wake-ups, executions that never end, failed checks and assertions, use
 * after free, leaks, and threads left behind.
 *
 * It does not cover the kernel's futex itself, what a load may see beyond weak.h's model, or
 * programs larger than those in the table. */
#ifndef DD_EXPLORE_H
#define DD_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum dd_explore_verdict {
    /* nothing was wrong in what the tier goes through (dd_tier), all of it for EXHAUSTIVE alone */
    DD_EXPLORE_PASS,
    DD_EXPLORE_CHECK,    /* a check of the program or an assertion of core/ failed */
    DD_EXPLORE_RACE,     /* two threads touch plain memory with nothing to order them */
    DD_EXPLORE_DEADLOCK, /* nobody can go on: a deadlock or a lost wake-up */
    DD_EXPLORE_LIVELOCK, /* an execution need not end */
    DD_EXPLORE_MEMORY, /* memory used after free or out of bounds, freed twice, leaked; a thread not
                          joined */
    DD_EXPLORE_LIMIT,  /* a limit was reached first: nothing is proved */
} dd_explore_verdict;

const char *dd_explore_verdict_name(dd_explore_verdict verdict);

/* A program to explore. `run(arg)` is its first thread. */
typedef struct dd_program {
    const char *name;  /* NULL ends a table */
    const char *about; /* one line */
    void (*run)(const void *arg);
    const void *arg;
    uint32_t workers, steps; /* for the table */
    /* What may go wrong, in every execution at every place: */
    uint32_t thread_failures;  /* so many thread creations fail */
    uint32_t alloc_failures;   /* so many allocations */
    uint32_t fp_changes;       /* so many looks at the floating-point environment find it changed */
    bool spurious;             /* futex sleepers return for no reason, any number of times */
    bool reduced, reduced_c11; /* too many states for EXHAUSTIVE: gone through by REDUCED; under SC,
                                  under C11 */
    bool slow;                 /* not part of the quick tests */
    bool slow_c11;             /* the same, under DD_MEMORY_C11 */
    /* Under SC, under C11: 0: can be gone through by one of these; N: too many states, and what is
     * exhausted instead are executions with fewer than N changes of thread that are not forced. */
    uint32_t bounded, bounded_c11;
    bool whole, whole_c11; /* not too many for somebody who has minutes: then `bounded` is not for
                              it; under SC, under C11 */
    bool large;            /* too large for anything but executions at random */
    bool large_c11;        /* the same, under C11 alone */
} dd_program;

/* What an atomic load may see. */
typedef enum dd_memory {
    DD_MEMORY_SC,  /* the latest value: orders are ignored */
    DD_MEMORY_C11, /* what the orders written in the source allow */
} dd_memory;

/* How the executions of a program are gone through. */
typedef enum dd_tier {
    DD_TIER_EXHAUSTIVE, /* every reachable state, each once */
    DD_TIER_REDUCED,    /* of them, enough to reach every end and every failure (persistent.h) */
    DD_TIER_BOUNDED,    /* the same, with at most `bound` changes of thread that are not forced */
    DD_TIER_DFS,    /* every execution, one after the other: what the others are compared with */
    DD_TIER_DPOR,   /* of executions that no thread can tell apart, at least one */
    DD_TIER_RANDOM, /* at random, all threads alike */
    DD_TIER_PCT,    /* at random by priorities that change at `bound` - 1 steps */
} dd_tier;

typedef struct dd_explore_result dd_explore_result;

/* All zero, but for the tier, is a good choice. */
typedef struct dd_explore_limits {
    dd_tier tier;
    dd_memory memory;
    uint32_t bound;  /* BOUNDED: changes of thread, PCT: depth of defect, 0: all from 1 to 5 */
    uint64_t states; /* those and BOUNDED: give up after so many; 0: 50 million */
    uint64_t runs;   /* others: executions; 0: no limit for DFS and DPOR, else 10,000 */
    uint64_t seed;   /* RANDOM, PCT */
    double seconds;  /* 0: none */
    bool unreduced;  /* every atomic operation is an event, no step is taken alone, no old value
                        forgotten for want of readers: to check the reductions, which must change
                        no verdict */
    bool endings;    /* DFS, DPOR: tell endings apart, at some cost; see dd_explore_result */
    /* Called now and then with what was done so far; false: to be given up. NULL: not called. */
    bool (*watch)(void *user, const dd_explore_result *so_far);
    void *user;
} dd_explore_limits;

#define DD_PCT_DEPTHS 5

struct dd_explore_result {
    dd_explore_verdict verdict;
    bool interrupted;             /* LIMIT, because watch() said so */
    uint64_t states, transitions; /* EXHAUSTIVE, REDUCED, BOUNDED: distinct */
    /* Executions covered. EXHAUSTIVE, REDUCED: counted as paths through the states, spurious
     * returns left out. Others: carried out from the start or a state restored, to the end. */
    double executions;
    uint64_t cut;          /* DPOR: begun besides, and cut short where they became another's like */
    uint64_t steps;        /* carried out in all */
    uint64_t longest;      /* steps of the longest execution */
    uint32_t threads;      /* the most at a time */
    uint64_t final_states; /* EXHAUSTIVE, REDUCED; DFS, DPOR with `endings`: distinct ones */
    /* DFS, DPOR with `endings`: distinct final states with all that every thread has seen on the
     * way; `digest` is the same for equal sets of them */
    uint64_t endings, digest;
    uint64_t runs_at[DD_PCT_DEPTHS]; /* PCT: executions by depth - 1 */
    double seconds;
    char *trace;  /* what went wrong and how it came to it; NULL on PASS */
    char *replay; /* the execution that failed, for dd_explore_replay; NULL: none failed */
};

/* Explores a program. Not one defect found is PASS: proof where the tier exhausts what it names,
 * else no more than that these executions were good.
 * owns     result->trace and replay, released by dd_explore_release
 * threads  not reentrant: one exploration at a time per process                                */
void dd_explore(const dd_program *program, const dd_explore_limits *limits,
                dd_explore_result *result);
void dd_explore_release(dd_explore_result *result);

/* The tier, with its bound, that goes through all of the program under this model, or through as
 * much of it as can be; all else is zero but for the model.
 * whole: `bounded` is not to be heeded where that can be had, in minutes */
dd_explore_limits dd_explore_usual(const dd_program *program, dd_memory memory, bool whole);

/* Whether not even that would end, and there are executions at random only. */
bool dd_explore_is_large(const dd_program *program, dd_memory memory);

/* Carries out the one execution that a replay string names, as dd_explore gave it.
 * table    its program is looked up there
 * returns  what is wrong with the string, to be freed, or NULL: *result tells how it went, its
 * trace every step                                                                          */
char *dd_explore_replay(const dd_program *table, const char *replay, dd_explore_result *result);

/* What PCT promises: the least probability of a defect of this depth to show in one execution. */
double dd_pct_bound(uint32_t threads, uint64_t longest, uint32_t depth);

/* The table of protocols: programs that drive core/spheres, core/sync and core/control, and
 * core/memory's snapshots. */
extern const dd_program dd_protocols[];

#endif
