/* SPDX-License-Identifier: MIT
 * The child's side of a run: progress into the shared page, records into the pipe, and what is left
 * over at the end. A thread of its own copies the trainer's heartbeat, so that a long step counts
 * as progress as long as any lane moves; while nothing moves it also tells where each thread is. */
#ifndef DD_CELL_CHILD_H
#define DD_CELL_CHILD_H

#include "cell_record.h"

#include <stdatomic.h>
#include <sys/types.h>

typedef enum dd_phase {
    DD_PHASE_START,
    DD_PHASE_DATA,
    DD_PHASE_OPEN,
    DD_PHASE_STEP,
    DD_PHASE_SERIAL,  /* steps of the oracle, which has no heartbeat */
    DD_PHASE_LOAD,    /* a plug-in's constructors */
    DD_PHASE_PLUGIN,  /* steps of a plug-in without a heartbeat */
    DD_PHASE_WEIGHTS, /* a plug-in hands over its weights */
    DD_PHASE_CLOSE,
    DD_PHASE_LEFT,
    DD_N_PHASES
} dd_phase;

/* What the phase does, for "no progress while …". */
const char *dd_phase_name(unsigned phase);

/* What a thread of the trainer was last seen to be. */
typedef struct dd_page_thread {
    _Atomic uint32_t tid; /* atomic, relaxed, as all of it: a report of one moment, for people */
    _Atomic uint32_t flags;
    _Atomic uint64_t sphere[2]; /* its place as text, dd_sphere_info.sphere */
    _Atomic uint64_t heartbeat, lanes_done;
    _Atomic uint32_t at, lane, part, generation; /* dd_sphere_info */
    _Atomic uint64_t since_ns; /* CLOCK_MONOTONIC: when it was first found as it is */
} dd_page_thread;

enum { DD_PAGE_CONTROL = 1, DD_PAGE_PARKED = 2, DD_PAGE_PLACED = 4 };

/* Shared with the parent, which only reads. */
typedef struct dd_page {
    _Atomic uint64_t beat;  /* atomic, relaxed: differs from before = progress */
    _Atomic unsigned phase; /* atomic, relaxed: for messages only */
    _Atomic int
        crash_signal; /* atomic: released by the fault handler, acquired by the parent; 0: none */
    _Atomic int crash_thread;       /* published by crash_signal, as the next two */
    _Atomic int crash_sender;       /* the process that sent the signal; 0: nobody, a fault, */
    _Atomic uint64_t crash_address; /* and what it touched */
    _Atomic uint64_t told_beat;     /* atomic, relaxed: the beat when the entries were written */
    _Atomic uint32_t n_threads;     /* atomic: released by the reporter after the entries */
    dd_page_thread thread[DD_RECORD_MAX_THREADS];
} dd_page;

/* How often the page is written, and at least how often the parent looks, for a stall limit. */
uint64_t dd_child_period_ns(double stall_limit_s);

/* Everything a child does, then exit(): becomes a group of its own that dies with the parent
 * `parent`, starts the reporter, runs the body.  requires called right after fork, in the child */
_Noreturn void dd_child_main(const dd_cell_job *job, dd_page *page, int results_fd, pid_t parent);

/* For bodies. Entering a phase is progress. In phases without a heartbeat of their own (data, open,
 * oracle's or plug-in's steps) CPU time used counts as progress too, up to ten times the stall
 * limit. */
void dd_child_phase(dd_child *child, dd_phase phase);
/* Progress is read from heartbeat(self) until the next call, and thread(self, 0), … are told while
 * there is none; both may be NULL. To be ended with all of them NULL before `self` goes. A subject
 * that does not tell what its threads are at says DD_ACTIVITIES. */
typedef bool dd_child_thread(const void *self, uint32_t i, bool between_steps, dd_sphere_info *out);
void dd_child_watch(dd_child *child, uint64_t (*heartbeat)(const void *self),
                    dd_child_thread *thread, const void *self);
void dd_child_step(dd_child *child, const dd_step *step);
/* The last record, one of these two. dd_child_end fills in what is left over. */
void dd_child_refuse(dd_child *child, dd_status status, const char *message);
void dd_child_end(dd_child *child, dd_run_end *end);
/* The file that becomes the run's trace; NULL: none. */
const char *dd_child_trace(const dd_child *child);
/* dd_cell_job.leave and .beside. */
dd_weights_store *dd_child_leave(const dd_child *child);
const dd_weights_store *dd_child_beside(const dd_child *child);
/* The pipe itself, for planted bodies. */
int dd_child_results_fd(const dd_child *child);

#endif
