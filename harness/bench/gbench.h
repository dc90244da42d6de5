/* SPDX-License-Identifier: MIT
 * Google Benchmark from C: registering, the state loop, counters and running, as far as a program
 * in C needs them. Stands by itself: these two files and the library (1.7.1 or newer) are all.
 *
 *   static void copy(gb_state *state, void *user)
 *   {
 *       const size_t bytes = (size_t)gb_arg(state, 0);
 *       ...
 *       while (gb_next(state))
 *           memcpy(to, from, bytes);
 *       gb_bytes_processed(state, gb_iterations(state) * (int64_t)bytes);
 *   }
 *
 *   int main(int argc, char **argv)
 *   {
 *       gb_status status = gb_init(&argc, argv);
 *       if (status || gb_report_unrecognized(argc, argv))
 *           ...
 *       gb_benchmark *b = gb_register("copy", GB_REAL_TIME, copy, NULL);
 *       gb_arg_names(b, (const char *[]){"bytes"}, 1);
 *       gb_args(b, (int64_t[]){4096}, 1);
 *       gb_totals totals;
 *       status = gb_run(&totals);
 *       gb_shutdown();
 *   }
 *
 * There is no call for the library's own threads (->Threads): 1.7.1 divides real and manual time by
 * their number, so that a barrier among eight threads would look eight times as fast. A benchmark
 * of several threads makes them itself and takes their number as an argument. Nor is there a
 * benchmark by CPU time alone, which would be that of the calling thread: what others do it would
 * not see. Both times are reported, whichever decides.
 *
 * threads  all calls by one thread, the one that runs the benchmarks
 * errors   no C++ exception comes out. One in a call that returns nothing is kept, and gb_run then
 *          returns GB_FAILED. What the library itself takes for misuse ends the process, as an
 *          assert does                                                                          */
#ifndef GBENCH_H
#define GBENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum gb_status {
    GB_OK,
    GB_HELP,      /* --help was there: time to print what there is, gb_print_flags among it */
    GB_BAD_VALUE, /* of --benchmark_format, _out_format, _color or _time_unit; or too small a number
                     of --benchmark_repetitions, _min_time or _min_warmup_time */
    GB_NO_MATCH,  /* the filter leaves nothing, or is no regular expression: stderr says which */
    GB_NO_FILE,   /* what --benchmark_out names cannot be written; errno says why */
    GB_FILE_FAILED, /* not all of the report could be written there; errno says why, or is 0 */
    GB_FAILED,      /* a C++ exception, here or in an earlier call: gb_failure has its text */
} gb_status;

/* ---- The program ---- */

/* Takes the library's flags, --benchmark_… and --v, out of argv; what is left is the caller's. They
 * may come from the environment, too (BENCHMARK_FILTER=…), as the library has it. A file that
 * --benchmark_out names is called FILE.tmp until it is whole, so that an old one stays until then;
 * what is there and is no regular file is written as it is.
 * errors   GB_HELP, GB_BAD_VALUE: argv is left half read. GB_FAILED. Any other flag's bad value is
 *          told on stderr and left in argv                                                      */
gb_status gb_init(int *argc, char **argv);
/* Tells what gb_init left on stderr.  returns  whether there is anything but argv[0] */
bool gb_report_unrecognized(int argc, char **argv);
/* The library's flags, on stdout. */
void gb_print_flags(void);

/* A fact about the program or the machine for the head of every report. Each key once. */
void gb_context(const char *key, const char *value);

typedef struct gb_totals {
    size_t matched; /* benchmarks that the filter left */
    size_t skipped; /* runs that gb_skip ended, repetitions counted each */
} gb_totals;

/* Runs what --benchmark_filter leaves of all that is registered, or lists it
 * (--benchmark_list_tests), by the reporters that the flags choose.
 * errors   GB_NO_MATCH, GB_NO_FILE (nothing ran), GB_FILE_FAILED, GB_FAILED. A run that was skipped
 * is none: see totals */
gb_status gb_run(gb_totals *totals);
void gb_shutdown(void);
const char *gb_failure(void); /* "" where there was none */

/* ---- Registering ---- */

typedef struct gb_benchmark gb_benchmark;
typedef struct gb_state gb_state;

/* Sets up, loops with gb_next or gb_next_batch until that returns false, and tells its counters. Is
 * called several times, with more and more iterations, until they last long enough.            */
typedef void gb_function(gb_state *state, void *user);

typedef enum gb_clock {
    GB_REAL_TIME,   /* from the first gb_next to the last, less pauses; adds /real_time to names */
    GB_MANUAL_TIME, /* what gb_iteration_time is told; adds /manual_time to names */
} gb_clock;

/* owns     the library keeps the benchmark; `user` is the caller's until gb_shutdown
 * errors   NULL: as GB_FAILED. Every call below takes a NULL and does nothing                  */
gb_benchmark *gb_register(const char *name, gb_clock clock, gb_function *run, void *user);

/* One run of the benchmark with these arguments, which stand in its name, "copy/bytes:4096"; to be
 * called for each run wanted, with the same n each time. Without one there is one run.         */
void gb_args(gb_benchmark *b, const int64_t *values, size_t n);
void gb_arg_names(gb_benchmark *b, const char *const *names, size_t n);

/* So long at least, in place of --benchmark_min_time. seconds > 0; not with gb_set_iterations */
void gb_set_min_time(gb_benchmark *b, double seconds);
/* So long beforehand, unmeasured. seconds >= 0 */
void gb_set_warm_up(gb_benchmark *b, double seconds);
/* So many iterations, whatever they take. n > 0 */
void gb_set_iterations(gb_benchmark *b, int64_t n);
/* So often, in place of --benchmark_repetitions, with mean, median, deviation. n > 0 */
void gb_set_repetitions(gb_benchmark *b, int n);
/* The column CPU becomes that of all threads of the process; adds /process_time to names. */
void gb_set_process_cpu_time(gb_benchmark *b);

typedef enum gb_unit { GB_NANOSECOND, GB_MICROSECOND, GB_MILLISECOND, GB_SECOND } gb_unit;
/* Of the report. Left alone where --benchmark_time_unit gives another than ns: the flag wins. */
void gb_set_unit(gb_benchmark *b, gb_unit unit);

/* How time grows with the number that the runs pass to gb_complexity_n; the report gets its
 * coefficient and the error of the fit. GB_O_AUTO: whatever fits best.                         */
typedef enum gb_order {
    GB_O_1,
    GB_O_LOG_N,
    GB_O_N,
    GB_O_N_LOG_N,
    GB_O_N_SQUARED,
    GB_O_N_CUBED,
    GB_O_AUTO,
} gb_order;
void gb_set_complexity(gb_benchmark *b, gb_order order);

/* ---- In the function ---- */

/* The loop's condition: whether there is another iteration. The clock runs from the first call that
 * returns true to the one that returns false. A call costs about 2 ns: what is faster than some 100
 * should come in batches.                                                                      */
bool gb_next(gb_state *state);
/* The same for bodies that do n iterations at once. The last batch is whole: gb_iterations then
 * counts more than were asked for. n > 0                                                       */
bool gb_next_batch(gb_state *state, int64_t n);

int64_t gb_arg(const gb_state *state, size_t i); /* requires i < n of gb_args */
/* How many iterations this call is to do, for bodies that do all of them in one batch. */
int64_t gb_iterations_wanted(const gb_state *state);
int64_t gb_iterations(const gb_state *state); /* done so far; 0 before the loop */

/* The clock stands still between the two. In the loop only, in turn. */
void gb_pause(gb_state *state);
void gb_resume(gb_state *state);

/* GB_MANUAL_TIME: what the iteration, or the batch, took. Once in each turn of the loop. */
void gb_iteration_time(gb_state *state, double seconds);

/* Ends the run as failed: it has no time, and the report says why in its place. Before the loop, in
 * it or after it; the first call counts. gb_next then returns false.                           */
void gb_skip(gb_state *state, const char *why);

/* Columns "bytes_per_second" and "items_per_second" from all iterations' together. */
void gb_bytes_processed(gb_state *state, int64_t bytes);
void gb_items_processed(gb_state *state, int64_t items);

/* What a counter's value means; to be combined. Time is what the clock measures, all iterations' */
typedef enum gb_counter_flags {
    GB_PLAIN = 0,
    GB_RATE = 1,          /* reported is value / time */
    GB_PER_ITERATION = 2, /* value is one iteration's: multiplied by their number first */
    GB_AVERAGE = 4,       /* value is all iterations': divided by their number */
    GB_INVERTED = 8,      /* reported is 1 / what it would be; seconds for a rate */
    GB_BINARY = 16,       /* printed by 1024s: Ki, Mi, Gi */
} gb_counter_flags;
/* A column of its own; a second call of the same name replaces the first. */
void gb_counter(gb_state *state, const char *name, double value, unsigned flags);

void gb_label(gb_state *state, const char *text); /* stands at the end of the row */
void gb_complexity_n(gb_state *state, int64_t n);

/* Lets the compiler believe that what p points at, and all memory it may reach, is read and written
 * here. Costs nothing.                                                                         */
static inline void gb_keep(const void *p)
{
    __asm__("" : : "g"(p) : "memory");
}

#ifdef __cplusplus
}
#endif

#endif
