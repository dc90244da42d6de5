/* SPDX-License-Identifier: MIT
 * One run of one cell: a child process of its own trains, reports through a pipe and is watched.
 * Owns the process, its limits and the record of what it did; judges nothing beyond how the run
 * ended.
 *
 *   dodeca (one thread)                        child (process group of its own)
 *   poll: results, output, exit, stop   <----  pipe: one JSON record a line (cell_record.h)
 *   watchdog: has the beat moved?       <----  shared page: beat, phase, crash (cell_child.h)
 *   on expiry: stacks of all threads, then SIGKILL to the group                            */
#ifndef DD_CELL_H
#define DD_CELL_H

#include "plugin_weights.h"
#include "settings.h"
#include "spent.h"
#include "storm.h"

typedef enum dd_outcome {
    DD_RUN_NOT_RUN, /* never begun, or stopped by the user */
    DD_RUN_ENDED,   /* the final record is in and the process left with status 0 */
    DD_RUN_REFUSED, /* data or trainer could not be opened, no process could be started, or the
                       machine lacks what the run needs */
    DD_RUN_HANG,    /* no progress within the stall limit */
    DD_RUN_CRASH,   /* a signal, a wrong exit status, no final record or one that cannot be read */
} dd_outcome;

/* The constant's name in results: "not run", "ended", "refused", "hang", "crash". */
const char *dd_outcome_name(dd_outcome outcome);

/* What a child hands over when its work is done. */
typedef struct dd_run_end {
    dd_status status;     /* DD_OK, or why the last step did not take place */
    char message[512];    /* of that status; "" for DD_OK */
    char hash[33];        /* of the weights, 32 hex digits */
    dd_own_weights own;   /* of a plug-in's weights; zeros: the subject is another */
    dd_trainer_info info; /* its texts are the two below */
    char kernels[64], guard_why[128];
    dd_sphere_info *sphere;         /* (info.n_threads); owned by the dd_run, or by the body */
    char data[DD_SPEC_MAX];         /* the source that was opened */
    char data_note[DD_MESSAGE_MAX]; /* "" or why it is another than the one asked for */
    char data_hash[33];
    uint64_t data_tokens;
    double floor_nats;     /* NaN if unknown */
    dd_storm_done storm;   /* zeros where there was none */
    uint32_t time_steps;   /* run after the last of `steps`, to see where time goes; 0: none were */
    dd_spent time;         /* in these */
    uint32_t threads_left; /* after close, beyond those before open */
    uint32_t fds_left;
    char left[256]; /* their names, "" if none */
} dd_run_end;

typedef struct dd_run {
    dd_outcome outcome;
    char reason[512]; /* one line; "" for ENDED */
    dd_step *steps;
    size_t n_steps;
    dd_run_end end;          /* valid if ENDED; status and message also if REFUSED */
    uint64_t perturbations;  /* how often its schedule was disturbed on purpose */
    uint32_t processes_left; /* that the child left behind in its group; they were killed */
    char *log;        /* the child's stdout and stderr, then stacks; NULL: nothing was written */
    char *stall;      /* of a HANG: what each thread was at, as JSON (stall.h); else NULL */
    uint64_t wall_ns; /* of the whole process */
} dd_run;

/* What a child executes; reports through the functions of cell_child.h. The product has some
 * (cell_body.h), the tests bring their own. */
typedef struct dd_child dd_child;
typedef void dd_cell_body(const dd_settings *settings, dd_child *child);

typedef struct dd_cell_job {
    const dd_settings *settings; /* steps and stall_limit_s count here, the rest is the body's */
    dd_cell_body *body;
    const char *trace;        /* the file that becomes the run's trace (trace_file.h); NULL: none */
    dd_weights_store *leave;  /* a plug-in's weights are left there; NULL: not */
    dd_weights_store *beside; /* and compared with what is there; NULL: with nothing */
    int stop_fd;              /* readable: end the run as NOT_RUN. Never read from. -1: none */
    void (*progress)(void *user, uint64_t steps_done); /* about 20 times a second; may be NULL */
    void *user;
} dd_cell_job;

/* Runs one child to its end, whatever that is.
 * owns     *run is overwritten; release it with dd_run_clear
 * threads  the process must have one thread: it forks                                     */
void dd_cell_run(const dd_cell_job *job, dd_run *run);

/* Frees what the run holds and makes it a NOT_RUN. A zeroed dd_run is one already. */
void dd_run_clear(dd_run *run);

#endif
