/* SPDX-License-Identifier: MIT
 * Why nothing moves: what the threads of a stalled trainer are at, and which of them the others
 * wait for. Works on what cell_stall.c has gathered; looks at no process itself.
 *
 * Threads pass the points of a step in one order, so those that are at work are to blame and those
 * that wait are not. Where all wait, one of them has not noticed that it may go on: the one that is
 * behind others, or sleeps on a word that has moved. */
#ifndef DD_STALL_H
#define DD_STALL_H

#include <stdio.h>

#include "dodeca.h"
#include "unwind.h"

typedef struct dd_stall_thread {
    dd_unwind_thread seen; /* from outside */
    uint64_t cpu_ns;       /* used in the interval */
    bool told;             /* one of the trainer's threads, and the rest is what it shows: */
    uint32_t number;
    char sphere[16];
    bool control, parked;
    bool placed; /* the next five are known: a trainer of spheres, and nothing has moved since */
    dd_activity at;
    dd_part part;
    uint32_t lane, generation;
    uint64_t age_ns; /* how long it has been there, at least */
    uint64_t heartbeat, lanes_done;
    bool blamed; /* filled in by dd_stall_explain */
} dd_stall_thread;

enum { DD_STALL_SENTENCE_MAX = 400 };

typedef struct dd_stall {
    pid_t pid;
    uint64_t interval_ns; /* of cpu_ns; 0: not measured */
    uint64_t steps;       /* done before */
    bool climbs;          /* the last to arrive at B acts for controls and Node Zero, who sleep */
    size_t n;
    dd_stall_thread *thread;              /* (n), owned */
    char sentence[DD_STALL_SENTENCE_MAX]; /* filled in by dd_stall_explain */
} dd_stall;

/* Finds whom to blame, says so in the sentence and puts them first. */
void dd_stall_explain(dd_stall *s);
void dd_stall_close(dd_stall *s);

/* "worker 3.11 (thread 5, tid 4183)"; of other threads "thread 4180 "dodeca"" */
void dd_stall_who(const dd_stall_thread *t, char text[80]);
/* "in lane 5 of step 17", "waits at U of step 17"; "" if not placed */
void dd_stall_where(const dd_stall *s, const dd_stall_thread *t, char text[80]);
/* "running, 4.98 s CPU in the last 5.00 s", "asleep in a futex, 0.00 s …" */
void dd_stall_state(const dd_stall *s, const dd_stall_thread *t, char text[200]);

/* For people: the sentence, then each thread with its stack. */
void dd_stall_write(const dd_stall *s, FILE *out);
/* The same for programs, as text of one JSON object, without stacks; NULL: no memory. Freed by the
 * caller. */
char *dd_stall_json(const dd_stall *s);

#endif
