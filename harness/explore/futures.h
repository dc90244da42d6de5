/* SPDX-License-Identifier: MIT
 * Futures: what a fibre may still do from the situation in which it is. A situation is what a fibre
 * waits at, the calls that it is in, and which fibre it is. Its deeds are all that it may do to
 * memory from there on until it needs somebody else to go on: until it sleeps on a futex, waits at
 * a barrier or joins. Such a situation is a gate, and beyond it the next ones begin. Deeds count
 * for a fibre and for those that it has yet to create, and memory in pieces of 8 bytes.
 *
 * All this is learned from the executions explored so far, as the union over them. Who leaves steps
 * out because of what is not known so far says so (dd_futures_rely_on, dd_futures_rule_out). When a
 * later execution shows more, the search is told to start over, and then knows more; so when a
 * search has come to its end, nothing that it relied on was wrong. In use under
 * dd_world_mode.reduced only. */
#ifndef DD_FUTURES_H
#define DD_FUTURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What can be done to memory, a bit each. */
enum {
    DD_USE_READ = 1,  /* loads, too */
    DD_USE_WRITE = 2, /* all else that is atomic, and dd_free, too */
    DD_USE_SLEEP = 4, /* on it, as a futex */
    DD_USE_LET_GO = 8 /* futex wake, arrival at a barrier */
};

/* ---- By the world, as it goes ---- */

void dd_futures_forget(void);
/* Fibre 0, alone, is about to begin. */
void dd_futures_start(void);
/* Fibre i uses this memory, in the step in progress. */
void dd_futures_note(uint32_t i, const void *memory, size_t bytes, uint32_t uses);
/* Whatever the child does is its creator's future, too. */
void dd_futures_note_creation(uint32_t creator, uint32_t child);
/* Fibre i has come to its next event, fallen asleep or ended. */
void dd_futures_moved(uint32_t i);

/* ---- By those who choose steps; a situation is a number, in dd_fibre.situation ---- */

/* A search begins: nothing is relied on. */
void dd_futures_rely_on_nothing(void);

typedef enum dd_gate_kind {
    DD_GATE_NONE,
    DD_GATE_FUTEX,
    DD_GATE_BARRIER,
    DD_GATE_JOIN
} dd_gate_kind;

typedef struct dd_gate {
    dd_gate_kind kind; /* NONE: the situation is not a gate, and has deeds */
    const void *word;  /* FUTEX, BARRIER */
    size_t bytes;
    uint32_t fibre; /* JOIN: who is joined */
} dd_gate;

dd_gate dd_futures_gate(uint32_t situation);
/* The gates that a situation may come to; of a gate, the situations right behind it. Until the next
 * step of the world. */
const uint32_t *dd_futures_next(uint32_t situation, uint32_t *n);
/* Whether some of this memory may be used in one of these ways. */
bool dd_futures_may(uint32_t situation, const void *memory, size_t bytes, uint32_t uses);
bool dd_futures_may_create(uint32_t situation);

/* From here on it is relied on that dd_futures_next gives them all, */
void dd_futures_rely_on(uint32_t situation);
/* and that dd_futures_may and dd_futures_may_create are right where they say no. */
void dd_futures_rule_out(uint32_t situation, const void *memory, size_t bytes, uint32_t uses);
void dd_futures_rule_out_creation(uint32_t situation);

#endif
