/* SPDX-License-Identifier: MIT
 * The performance gate: is this revision (head) slower than that one (base)? Instructions are
 * counted where work is the same every time; times are compared in pairs of processes that take
 * turns; floors compare what head does with what else it can do. Knows nothing of git and builds: a
 * side is a folder that holds the programs `dodeca` and `gate_work` of a revision. */
#ifndef DD_GATE_H
#define DD_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { DD_GATE_WHY = 256, DD_GATE_PATH = 512 };

/* ---- Running something ---- */

typedef struct dd_gate_side {
    const char *folder; /* absolute */
    const char *name;   /* for people: "base 1a2b3c4" */
} dd_gate_side;

/* Where a gate runs its commands, and how it is stopped. */
typedef struct dd_gate {
    char work[DD_GATE_PATH]; /* the folder they run in; holds the file `data`, 8 KiB to train on */
    int stop_fd;             /* readable: end; -1: never */
    bool stopped;            /* it was: by dd_gate_compare; no result counts from then on */
    FILE *progress;          /* NULL: silent */
    uint32_t cores;          /* that timed runs are held to: 2, or 1 where there is one only */
    int cpu[2];              /* these */
} dd_gate;

/* Makes the work folder inside $TMPDIR or /tmp and finds the cores.
 * owns     the folder, until dd_gate_close, which accepts what failed to open
 * returns  false: *why says what is missing                                                  */
bool dd_gate_open(dd_gate *g, int stop_fd, FILE *progress, char why[DD_GATE_WHY]);
void dd_gate_close(dd_gate *g);

typedef enum dd_gate_end {
    DD_GATE_RAN,
    DD_GATE_LACKS,     /* there is no such program, or it knows no such work (exit 2) */
    DD_GATE_UNABLE,    /* it says that this machine cannot do it (exit 3) */
    DD_GATE_BROKE,     /* it failed in another way, or crashed */
    DD_GATE_LATE,      /* it took more than two minutes: the machine is busy, or it hangs */
    DD_GATE_UNCOUNTED, /* it ran, and was not counted */
    DD_GATE_STOPPED,
} dd_gate_end;

/* Runs `command`, words with blanks between, the first a program in the side's folder. `under`, if
 * not empty, is what runs it: more such words, the first from PATH. What it prints is in
 * work/out<slot> and work/err<slot> afterwards.
 * threads  any, with a slot each
 * returns  how it ended; unless it RAN *why says more                                        */
dd_gate_end dd_gate_run(const dd_gate *g, const dd_gate_side *side, const char *under,
                        const char *command, unsigned slot, char why[DD_GATE_WHY]);

/* The calling thread and what it starts is held to the first n of the gate's cores; 0: to none. */
void dd_gate_hold(const dd_gate *g, uint32_t n);

/* ---- Counting instructions (gate_count.c) ---- */

typedef enum dd_counter { DD_COUNTER_NONE, DD_COUNTER_PERF, DD_COUNTER_CALLGRIND } dd_counter;

/* perf where the CPU's counter can be read, else callgrind.
 * wanted   "perf" or "callgrind": that or none; "auto"
 * returns  NONE: *why says what each lacks                                                   */
dd_counter dd_counter_choose(const char *wanted, char why[DD_GATE_WHY]);
const char *dd_counter_name(dd_counter counter);

/* User-space instructions of a command from its exec to its end, children included (callgrind:
 * without them). As dd_gate_run.                                                             */
dd_gate_end dd_count(const dd_gate *g, dd_counter counter, const dd_gate_side *side,
                     const char *command, unsigned slot, double *instructions,
                     char why[DD_GATE_WHY]);

/* An event of the calling thread's children, counted from their exec on (perf_event_open).
 * returns  a descriptor, for dd_perf_close; -1: errno says why                               */
int dd_perf_open_(uint32_t type, uint64_t config);
/* returns  false: it was not counting all the time                                           */
bool dd_perf_close_(int fd, double *count);

/* ---- Times in pairs (gate_pairs.c) ---- */

enum { DD_PAIRS_MAX = 100, DD_PAIRS_STRIDE = 5, DD_PAIRS_LOST = 20 /* at least, to be lost */ };

typedef enum dd_side_of { DD_BELOW, DD_UNDECIDED, DD_ABOVE } dd_side_of;

/* On which side of `limit` does the ratio lie that these logarithms are samples of? *low and *high
 * get the bootstrap's 95 % interval of its median; it is decided when that does not hold the limit.
 */
dd_side_of dd_gate_decide(const double *log_ratio, size_t n, double limit, double *low,
                          double *high);

/* Two commands against each other. */
typedef struct dd_duel {
    const dd_gate_side *side[2];
    const char *command[2]; /* print lines that hold "wall_ns": NUMBER */
    uint32_t cores;         /* they are held to */
    uint32_t least;         /* pairs before anything is decided */
    double limit;
} dd_duel;

typedef struct dd_duel_result {
    uint32_t pairs;
    double ns[2];            /* medians over the processes */
    double ratio, low, high; /* of the second's time to the first's: median over the pairs of one
                                process each, and its interval */
    dd_side_of side;         /* of the limit */
} dd_duel_result;

/* Runs pairs, the first first and the second first in turn (ABBA), `least` and then until it is
 * decided, lost after DD_PAIRS_LOST at the soonest, DD_PAIRS_MAX at most. A process's time is the
 * lower quartile of what it prints, the first two left out. *loser: whose command did not run. */
dd_gate_end dd_duel_run(const dd_gate *g, const dd_duel *duel, dd_duel_result *out, int *loser,
                        char why[DD_GATE_WHY]);

/* ---- Rows and runs ---- */

typedef enum dd_gate_kind { DD_GATE_COUNT, DD_GATE_TIME, DD_GATE_FLOOR } dd_gate_kind;

typedef enum dd_gate_verdict {
    DD_GATE_PASS,
    DD_GATE_FAIL,
    DD_GATE_SKIP, /* this machine cannot do it */
    DD_GATE_NEW,  /* base has nothing to compare with */
} dd_gate_verdict;

/* A line of the table. A floor's `base` is what head is measured against. */
typedef struct dd_gate_row {
    dd_gate_kind kind;
    char name[80];
    double base, head;       /* instructions, or nanoseconds; NaN: none */
    double ratio, low, high; /* head / base, of a floor base / head; low, high NaN: exact */
    double limit;            /* count, time: the ratio is a regression above it; floor: below */
    uint32_t pairs;          /* of the measurement told */
    bool repeated;           /* a first one found the limit passed; this is a second, later one */
    double first_ratio;      /* of that first one */
    dd_gate_verdict verdict;
    char why[DD_GATE_WHY]; /* FAIL, SKIP, NEW: the reason; PASS: "" or what to know */
} dd_gate_row;

enum { DD_GATE_ROWS = 48 };

typedef struct dd_gate_result {
    dd_counter counter;
    char counter_why[DD_GATE_WHY]; /* NONE: why */
    uint32_t cores;
    size_t n_rows;
    dd_gate_row row[DD_GATE_ROWS];
    double seconds;
} dd_gate_result;

enum {
    DD_GATE_COUNTS = 1,
    DD_GATE_TIMES = 2,
    DD_GATE_FLOORS = 4,
    DD_GATE_ALL = 7,
    DD_GATE_TO_FIRST = 8 /* besides: no more times after one that failed */
};

/* Compares head with base. Ends early when g is stopped.
 * parts    which kinds of rows                                                               */
void dd_gate_compare(dd_gate *g, const dd_gate_side *base, const dd_gate_side *head,
                     dd_counter counter, unsigned parts, dd_gate_result *out);

/* 0, 1 where a row failed, 3 where none did and one was skipped */
int dd_gate_exit_code(const dd_gate_result *r);

const char *dd_gate_verdict_name(dd_gate_verdict verdict);
const char *dd_gate_kind_name(dd_gate_kind kind);

/* ---- What comes out (gate_table.c) ---- */

/* The table and what its columns mean; markdown: for a page, else for a terminal. */
void dd_gate_print(const dd_gate_result *r, const dd_gate_side *base, const dd_gate_side *head,
                   bool markdown, FILE *out);
/* returns  false: no memory, or the stream failed */
bool dd_gate_json(const dd_gate_result *r, const dd_gate_side *base, const dd_gate_side *head,
                  FILE *out);

/* ---- The gate's test of itself (gate_self.c) ---- */

typedef struct dd_gate_trials {
    dd_gate_side same[2];     /* two builds of one revision */
    dd_gate_side slow_kernel; /* that revision with a kernel that does 5 % more */
    dd_gate_side slow_step;   /* and with steps that take 5 % longer */
    unsigned same_runs, slow_runs;
    dd_counter counter;
} dd_gate_trials;

/* Runs all trials, of the slow ones the part that is to catch them: counts for the kernel, times
 * for the step; then the floors; and writes a page about them.
 * returns  0 no alarm among the same, every slow one caught, floors kept; 1 otherwise, or stopped;
 *          3 a floor was skipped                                                             */
int dd_gate_self_test(dd_gate *g, const dd_gate_trials *t, FILE *out);

#endif
