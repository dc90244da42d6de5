/* SPDX-License-Identifier: MIT
 * The schedule explorer: runs a small program of threads through every interleaving that its
 * synchronisation allows, under sequential consistency, with the sources of core/ compiled
 * unchanged against another backend of core/platform/. It looks for data races, deadlocks and lost
 * wake-ups, executions that never end, failed checks and assertions, use after free, leaks, and
 * threads left behind.
 *
 * It does not cover memory orders weaker than seq_cst (an acquire written as relaxed passes here),
 * the kernel's futex itself, or programs larger than those in the table. */
#ifndef DD_EXPLORE_H
#define DD_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum dd_explore_verdict {
    DD_EXPLORE_PASS,     /* every reachable state was visited and nothing was wrong */
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
    uint32_t thread_failures; /* so many thread creations fail */
    uint32_t alloc_failures;  /* so many allocations */
    uint32_t fp_changes;      /* so many looks at the floating-point environment find it changed */
    bool spurious;            /* futex sleepers return for no reason, any number of times */
    bool slow;                /* not part of the quick tests */
} dd_program;

/* May be NULL: all zero. */
typedef struct dd_explore_limits {
    uint64_t states; /* 0: 50 million */
    double seconds;  /* 0: none */
    bool unreduced;  /* every atomic operation is an event, no step is taken alone: to check the
                        reductions, which must change no verdict */
} dd_explore_limits;

typedef struct dd_explore_result {
    dd_explore_verdict verdict;
    uint64_t states, transitions; /* distinct */
    uint64_t endings;             /* distinct final states */
    double executions; /* interleavings covered, spurious returns not counted: paths through those
                          states */
    uint64_t longest;  /* steps of the longest of them */
    double seconds;
    char *trace; /* what went wrong and how it came to it; NULL on PASS */
} dd_explore_result;

/* Visits every reachable state of the program.
 * owns     result->trace, released by dd_explore_release
 * threads  not reentrant: one exploration at a time per process                                */
void dd_explore(const dd_program *program, const dd_explore_limits *limits,
                dd_explore_result *result);
void dd_explore_release(dd_explore_result *result);

/* The table of protocols: programs that drive core/spheres, core/sync and core/control. */
extern const dd_program dd_protocols[];

#endif
