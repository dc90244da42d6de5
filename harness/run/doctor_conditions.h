/* SPDX-License-Identifier: MIT
 * What the kernel tells of the conditions that times are measured under: load, clock, frequency
 * scaling, huge pages, quotas, and counters of what was taken away. A file that is missing makes
 * "not told", never a zero. Nothing is judged here. */
#ifndef DD_DOCTOR_CONDITIONS_H
#define DD_DOCTOR_CONDITIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define DD_NOT_TOLD UINT64_MAX

typedef enum dd_told { DD_TOLD_NOT, DD_TOLD_OFF, DD_TOLD_ON } dd_told;

/* Numbers are NaN and texts "" where they are not told. */
typedef struct dd_conditions {
    double load;                         /* average of the last minute */
    double mhz_now, mhz_least, mhz_most; /* of the fastest CPU now; limits of CPU 0 */
    char driver[32], governor[32];       /* of frequency scaling, CPU 0 */
    dd_told turbo;                       /* clocks above the base clock are allowed */
    dd_told smt;                         /* cores run several hardware threads */
    char siblings[64];                   /* hardware threads of CPU 0's core: "0,4" */
    char huge_pages[32];                 /* "always", "madvise", "never" */
    char clock_source[32];               /* "tsc" */
    uint32_t quota;                      /* CPUs, whole ones; UINT32_MAX: none */
} dd_conditions;

/* Counters that only grow, DD_NOT_TOLD where they are not told. */
typedef struct dd_counters {
    uint64_t ticks, idle, steal; /* of all CPUs, /proc/stat; idle: waiting for disks included */
    uint64_t throttled;          /* periods in which a quota stopped this control group */
    uint64_t hot;                /* times that CPUs slowed down because of heat */
    uint64_t own_ns;             /* CPU time of this process */
} dd_counters;

/* What went on between two looks; NaN or DD_NOT_TOLD. Shares are of all CPUs' time. */
typedef struct dd_meanwhile {
    double steal, others; /* taken by a hypervisor; used by other programs */
    uint64_t throttled, hot;
} dd_meanwhile;

/* root: prefix of the files read, for tests; "" is the machine. */
void dd_conditions_look(const char *root, dd_conditions *out);
void dd_counters_look(const char *root, dd_counters *out);
/* ticks_per_s: sysconf(_SC_CLK_TCK) */
dd_meanwhile dd_counters_between(const dd_counters *before, const dd_counters *after,
                                 double ticks_per_s);

/* meanwhile NULL: nothing was measured */
void dd_conditions_print(const dd_conditions *c, const dd_meanwhile *meanwhile, FILE *out);
/* returns  a new object; null where something is not told; NULL: no memory */
json_t *dd_conditions_json(const dd_conditions *c, const dd_meanwhile *meanwhile);

/* A number, or null where it is NaN. */
json_t *dd_json_told(double x);

#endif
