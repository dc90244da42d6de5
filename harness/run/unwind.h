/* SPDX-License-Identifier: MIT
 * What can be seen of another process from outside, thread by thread: state, CPU time and the
 * system call it is in, as /proc has them, and its stack, through ptrace and elfutils. Judges
 * nothing. */
#ifndef DD_UNWIND_H
#define DD_UNWIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct dd_unwind_thread {
    pid_t tid;
    char name[16];
    char state; /* as /proc has it: 'R', 'S', 'D', 'T', 't', 'Z'; '?': not known */
    uint64_t cpu_ns;
    char call[96];         /* "read from descriptor 3 (pipe:[7])", "a futex"; "": in none, not known
                            */
    bool sleeps;           /* on a futex; the next three, where the system lets us look: */
    uint64_t futex;        /* the word's address; else 0 */
    uint32_t slept_on, is; /* the value it fell asleep on, and the word's present one: where they
                              differ, it should have been woken */
    bool waits;    /* its stack says that it waits for other threads; without one, that it is
                      asleep on a futex */
    bool answered; /* its stack says that it waits for an answer of Node Zero's */
    bool joins;    /* its stack says that it waits for another thread's end */
    char *stack;   /* a line a frame, or why it is denied; owned; NULL: no memory */
} dd_unwind_thread;

/* All threads of the process, or without stacks those of which a state could be read. They are as
 * before afterwards.
 * owns     *out, released by dd_unwind_free
 * returns  their number; 0: there is no such process, or no memory                            */
size_t dd_unwind_process(pid_t pid, bool stacks, dd_unwind_thread **out);
void dd_unwind_free(dd_unwind_thread *threads, size_t n);

/* "running", "asleep", … */
const char *dd_unwind_state(char state);

#endif
