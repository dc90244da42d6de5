/* SPDX-License-Identifier: MIT
 * barrier_times: what a barrier costs, dodeca's points beside everybody else's, for several numbers
 * of threads. Every measurement is a process of its own, so that no runtime's idle threads disturb
 * the next; sides take turns within each repeat, so that what the machine does besides hits all of
 * them. Judges nothing. */
#include <argp.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "barriers.h"
#include "empty_step.h"
#include "platform.h"
#include "stats.h"

enum { REPEATS_MAX = 1000, SIDES_MAX = 16, SIZES_MAX = 16 };

/* A measurement that takes longer is given up. */
enum { LIMIT_S = 60 };

typedef struct options {
    uint32_t size[SIZES_MAX], n_sizes;
    uint32_t repeats, at_least_ms;
    const char *only; /* NULL: all sides */
    bool json;
} options;

/* ---- One measurement ---- */

/* Shared by the threads of a side, ordered by its barrier. */
typedef struct measurement {
    const dd_side *side;
    void *state;
    uint64_t at_least_ns;
    uint64_t rounds; /* of the next chunk, 0: none; thread 0 before a pass, all after it */
    double ns;       /* per barrier, of the last chunk */
} measurement;

/* Chunks of rounds, each up to eight times longer, until one takes long enough. */
static void measure_main(void *arg, uint32_t thread)
{
    measurement *m = arg;
    const dd_side *side = m->side;
    for (uint64_t rounds = m->rounds; rounds > 0; rounds = m->rounds) {
        side->pass(m->state, thread);
        const uint64_t start_ns = dd_now_ns();
        for (uint64_t i = 0; i < rounds; i++)
            side->pass(m->state, thread);
        if (thread == 0) {
            const uint64_t ns = dd_now_ns() - start_ns;
            m->ns = (double)ns / (double)rounds;
            const double needed = 1.25 * (double)m->at_least_ns / m->ns;
            const double most = 8 * (double)rounds;
            m->rounds = ns >= m->at_least_ns ? 0 : 1 + (uint64_t)(needed < most ? needed : most);
        }
        side->pass(m->state, thread);
    }
}

static double measure_here(const dd_side *side, uint32_t n_threads, uint32_t at_least_ms)
{
    measurement m = {.side = side, .at_least_ns = at_least_ms * UINT64_C(1000000), .rounds = 1};
    m.state = side->open(n_threads);
    side->run(m.state, n_threads, (dd_body){measure_main, &m});
    return m.ns;
}

/* In a child. side NULL: an empty step of so many workers. returns ns, NaN if it failed. */
static double measure(const dd_side *side, uint32_t n_threads, uint32_t at_least_ms)
{
    int ends[2];
    if (pipe(ends) != 0) {
        perror("barrier_times: pipe");
        exit(3);
    }
    fflush(NULL);
    const pid_t child = fork();
    if (child < 0) {
        perror("barrier_times: fork");
        exit(3);
    }
    if (child == 0) {
        alarm(LIMIT_S);
        const double ns = side ? measure_here(side, n_threads, at_least_ms)
                               : dd_empty_step_ns(n_threads, 20 * at_least_ms);
        _exit(write(ends[1], &ns, sizeof ns) == sizeof ns ? 0 : 3);
    }
    close(ends[1]);
    double ns = (double)NAN;
    if (read(ends[0], &ns, sizeof ns) != sizeof ns)
        ns = (double)NAN;
    close(ends[0]);
    int status;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (status != 0)
        ns = (double)NAN;
    return ns;
}

/* ---- All of them ---- */

typedef struct row {
    const dd_side *side;
    const char *skipped; /* why; NULL: measured */
    double ns[REPEATS_MAX];
    double median, low, high; /* ns; low, high: the 10 % and 90 % quantiles */
    double ratio;             /* median over repeats of own ns / dodeca's of the same repeat;
                                 NaN: there is none */
} row;

static row rows[SIDES_MAX];

static const char failed[] = "failed, or took more than a minute";

static uint32_t rows_choose(uint32_t n_threads, const options *o)
{
    uint32_t n = 0;
    const dd_side *side;
    for (uint32_t i = 0; n < SIDES_MAX && (side = dd_side_at(i)); i++) {
        if (o->only && i > 0 && strcmp(o->only, side->name) != 0)
            continue;
        row *r = &rows[n++];
        r->side = side;
        r->skipped = side->missing();
        if (!r->skipped && side->polls && n_threads > dd_bench_cores())
            r->skipped = "only polls, and there are more threads than cores";
    }
    return n;
}

static void row_finish(row *r, uint32_t repeats)
{
    double ratio[REPEATS_MAX], sorted[REPEATS_MAX];
    for (uint32_t i = 0; i < repeats; i++) {
        ratio[i] = r->ns[i] / rows[0].ns[i];
        sorted[i] = r->ns[i];
    }
    r->ratio = (double)NAN;
    if (!rows[0].skipped) {
        dd_sort(ratio, repeats);
        r->ratio = dd_quantile(ratio, repeats, 0.5);
    }
    dd_sort(sorted, repeats);
    r->median = dd_quantile(sorted, repeats, 0.5);
    r->low = dd_quantile(sorted, repeats, 0.1);
    r->high = dd_quantile(sorted, repeats, 0.9);
}

static void size_measure(uint32_t n_threads, const options *o, uint32_t n_rows)
{
    for (uint32_t i = 0; i < o->repeats; i++)
        for (uint32_t k = 0; k < n_rows; k++) {
            /* each repeat begins with another side */
            row *r = &rows[(k + i) % n_rows];
            if (r->skipped)
                continue;
            r->ns[i] = measure(r->side, n_threads, o->at_least_ms);
            if (isnan(r->ns[i]))
                r->skipped = failed;
        }
    for (uint32_t k = 0; k < n_rows; k++)
        if (!rows[k].skipped)
            row_finish(&rows[k], o->repeats);
}

/* One worker, as many as cores on the smallest machine, a full sphere. */
static const uint32_t step_workers[] = {1, 2, 12};
enum { N_STEPS = sizeof step_workers / sizeof step_workers[0] };

static void steps_measure(const options *o)
{
    for (uint32_t k = 0; k < N_STEPS; k++)
        rows[k] = (row){0};
    for (uint32_t i = 0; i < o->repeats; i++)
        for (uint32_t k = 0; k < N_STEPS; k++)
            rows[k].ns[i] = measure(NULL, step_workers[k], o->at_least_ms);
    for (uint32_t k = 0; k < N_STEPS; k++) {
        for (uint32_t i = 0; i < o->repeats; i++)
            if (isnan(rows[k].ns[i]))
                rows[k].skipped = failed;
        if (!rows[k].skipped)
            row_finish(&rows[k], o->repeats);
    }
}

static void size_print(uint32_t n_threads, uint32_t n_rows)
{
    for (uint32_t k = 0; k < n_rows; k++) {
        const row *r = &rows[k];
        if (r->skipped)
            printf("%7u  %-18s  SKIP: %s\n", n_threads, r->side->name, r->skipped);
        else
            printf("%7u  %-18s  %11.0f  %11.0f  %11.0f  %8.2f\n", n_threads, r->side->name,
                   r->median, r->low, r->high, r->ratio);
    }
    fflush(stdout);
}

static void steps_print(void)
{
    printf("\n%7s  %-18s  %11s  %11s  %11s\n", "workers", "empty step", "ns", "p10", "p90");
    for (uint32_t k = 0; k < N_STEPS; k++)
        if (rows[k].skipped)
            printf("%7u  %-18s  SKIP: %s\n", step_workers[k], "A, B, V, U", rows[k].skipped);
        else
            printf("%7u  %-18s  %11.0f  %11.0f  %11.0f\n", step_workers[k], "A, B, V, U",
                   rows[k].median, rows[k].low, rows[k].high);
}

static void print_json_times(const row *r)
{
    if (r->skipped)
        printf("\"skipped\": \"%s\"", r->skipped);
    else
        printf("\"median_ns\": %.1f, \"p10_ns\": %.1f, \"p90_ns\": %.1f", r->median, r->low,
               r->high);
}

static void steps_print_json(void)
{
    for (uint32_t k = 0; k < N_STEPS; k++) {
        printf("%s\n  {\"workers\": %u, ", k ? "," : "", step_workers[k]);
        print_json_times(&rows[k]);
        printf("}");
    }
}

static void size_print_json(uint32_t n_threads, uint32_t n_rows, bool first)
{
    for (uint32_t k = 0; k < n_rows; k++) {
        const row *r = &rows[k];
        printf("%s\n  {\"threads\": %u, \"side\": \"%s\", ", first && k == 0 ? "" : ",", n_threads,
               r->side->name);
        print_json_times(r);
        if (!r->skipped && !rows[0].skipped)
            printf(", \"ratio\": %.4f", r->ratio);
        printf("}");
    }
    fflush(stdout);
}

/* ---- Command line ---- */

static uint32_t number(const char *text, uint32_t low, uint32_t high, struct argp_state *state)
{
    char *end;
    errno = 0;
    const unsigned long n = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || n < low || n > high)
        argp_error(state, "\"%s\" is not a whole number from %u to %u", text, low, high);
    return (uint32_t)n;
}

static void read_sizes(options *o, char *list, struct argp_state *state)
{
    char *rest;
    o->n_sizes = 0;
    for (char *word = strtok_r(list, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        if (o->n_sizes == SIZES_MAX)
            argp_error(state, "at most %d numbers of threads", SIZES_MAX);
        o->size[o->n_sizes++] = number(word, 1, 1728, state);
    }
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    options *o = state->input;
    switch (key) {
    case 't':
        read_sizes(o, argument, state);
        return 0;
    case 'r':
        o->repeats = number(argument, 1, REPEATS_MAX, state);
        return 0;
    case 'm':
        o->at_least_ms = number(argument, 1, 10000, state);
        return 0;
    case 's':
        o->only = argument;
        return 0;
    case 'j':
        o->json = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "unknown argument \"%s\"", argument);
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_option option[] = {
    {"threads", 't', "N,…", 0, "numbers of threads (2,4,8,16,144,1728)", 0},
    {"repeats", 'r', "N", 0, "measurements of each (15)", 0},
    {"at-least-ms", 'm', "N", 0, "length of a measurement (20)", 0},
    {"side", 's', "NAME", 0, "compare dodeca with this one only", 0},
    {"json", 'j', NULL, 0, "for programs", 0},
    {0},
};

static const char help[] =
    "Times barriers: dodeca's points beside pthread_barrier_t, OpenMP's, Concurrency Kit's, a pure "
    "spin.\vns per barrier: median, 10 % and 90 % quantiles over the repeats. ratio: median over "
    "repeats of own time / dodeca's, both of the same repeat.";

int main(int argc, char **argv)
{
    options o = {{2, 4, 8, 16, 144, 1728}, 6, 15, 20, NULL, false};
    argp_err_exit_status = 2;
    argp_parse(&(struct argp){option, parse, NULL, help, NULL, NULL, NULL}, argc, argv, 0, NULL,
               &o);

    if (o.json)
        printf("{\"cores\": %u, \"repeats\": %u, \"barriers\": [", dd_bench_cores(), o.repeats);
    else
        printf("%u cores, %u repeats\n%7s  %-18s  %11s  %11s  %11s  %8s\n", dd_bench_cores(),
               o.repeats, "threads", "barrier", "ns", "p10", "p90", "ratio");
    for (uint32_t i = 0; i < o.n_sizes; i++) {
        const uint32_t n_rows = rows_choose(o.size[i], &o);
        size_measure(o.size[i], &o, n_rows);
        if (o.json)
            size_print_json(o.size[i], n_rows, i == 0);
        else
            size_print(o.size[i], n_rows);
    }
    if (!o.only) {
        steps_measure(&o);
        if (o.json)
            printf("\n], \"empty_steps\": [");
        (o.json ? steps_print_json : steps_print)();
    }
    if (o.json)
        printf("\n]}\n");
    return 0;
}
