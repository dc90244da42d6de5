/* SPDX-License-Identifier: MIT
 * A soak: rounds of settings drawn at random, each run in a child, watched and judged like a cell
 * of a sweep, until the time is up. The oracle runs once for every set of settings that decide the
 * bits. Round i of a soak that begins with seed S draws from S + i, so that one round is repeated
 * by itself with that seed. Owns the order, the totals and what is kept of rounds; knows no files.
 */
#ifndef DD_SOAK_H
#define DD_SOAK_H

#include "checks.h"
#include "soak_draw.h"

#include <stdio.h>
#include <time.h>

enum { DD_SOAK_KEPT = 100 }; /* rounds that did not pass, of which all is kept; more are counted */

/* What rounds add up to. */
typedef struct dd_soak_sums {
    uint64_t rounds, passed, skipped;
    uint64_t steps, changes; /* of membership */
    uint64_t perturbations;
    dd_storm_done storm;
} dd_soak_sums;

/* The rounds that share an oracle. */
typedef struct dd_soak_group {
    char *shape; /* dd_round.shape */
    dd_run oracle;
    dd_soak_sums sums;
} dd_soak_group;

/* A round that did not pass. */
typedef struct dd_soak_failure {
    uint64_t number; /* from 0 */
    dd_round round;
    dd_run run;
    dd_verdict verdict;
    dd_check_row check[DD_CHECKS_MAX];
} dd_soak_failure;

/* What is told of every round. */
typedef struct dd_soak_row {
    dd_verdict verdict;
    uint32_t group;
    uint64_t seed, steps, wall_ns;
    char *label;
} dd_soak_row;

typedef struct dd_soak {
    const dd_scenario *scenario;
    double minutes;
    uint64_t seed;
    const char *command; /* "dodeca run FILE … --draw-seed ": a seed follows; the caller's */
    time_t started;
    uint64_t wall_ns;
    bool interrupted;
    dd_soak_sums sums;
    uint64_t oracles; /* run */
    size_t n_groups, n_rows, n_failures;
    dd_soak_group *group;
    dd_soak_row *row;
    dd_soak_failure *failure;
    char message[DD_SCENARIO_MESSAGE_MAX]; /* why it could not go on, "" */
} dd_soak;

typedef struct dd_soak_options {
    double minutes;  /* no round begins later */
    uint64_t rounds; /* at most so many; 0: any number */
    uint64_t seed;
    const char *command;
    int stop_fd;         /* as in dd_cell_job */
    dd_cell_body *train; /* NULL: the product's */
    FILE *log;           /* progress; NULL: none */
    bool terminal;       /* log is one */
    /* now and then, after every failure and at the end; may be NULL */
    void (*on_round)(void *user, const dd_soak *soak);
    void *user;
} dd_soak_options;

/* Runs it.  owns  *out, always to be closed */
void dd_soak_run(const dd_scenario *scenario, const dd_soak_options *options, dd_soak *out);
void dd_soak_close(dd_soak *soak);

/* The worst of all rounds; SKIP if none was judged. */
dd_verdict dd_soak_verdict(const dd_soak *soak);

#endif
