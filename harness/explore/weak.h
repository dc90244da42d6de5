/* SPDX-License-Identifier: MIT
 * C11's memory model for the explored world: which stores a load may read, where a store may take
 * its place, what one thread knows of another's plain accesses. Nothing of this is in use where
 * sequential consistency is explored.
 *
 * The machine. Every word has a list of messages, the stores to it in modification order; the
 * newest is in memory. Every thread has a view: for each word the message that it may not read or
 * write behind (its floor), and a set of facts. A fact is that a thread touched some plain memory;
 * who knows it comes after that. A release store's message carries the storing thread's view, an
 * acquire load takes the view of the message that it reads over into its thread's; a read-modify-
 * write stands directly behind the message it read, and carries on that one's view. Thread creation
 * and join and the pthread barrier hand over views; a futex hands over nothing. An access is a race
 * unless its thread knows the facts that it conflicts with.
 *
 * What is finite. Views hold ranks and sets, no clocks: an access makes its thread's fact of that
 * kind and memory anew, known to nobody else. Messages that nobody can read any more and facts that
 * all know whom they may concern are dropped (normal.c), so that situations that are alike have
 * equal bytes.
 *
 * Against C11. Loads take their values from stores that have been executed (no load buffering:
 * an outcome that needs a store read before it is executed is not reached). A thread reads at most
 * DD_STALE_READS times in a row something but the newest message of a word, so that every loop that
 * polls ends. The total order of seq_cst operations is that of their execution, which leaves out
 * those that contradict a relaxed load's reading from an earlier one; a seq_cst operation neither
 * reads nor writes behind the newest seq_cst store to its word (C11 lets it read an older store
 * that is not seq_cst; C++20 does not, and has order from seq_cst loads as well, which is not
 * explored). Release sequences are those of C++20, read-modify-writes only; C11's, where later
 * stores of the same thread belong to them, give more order. Otherwise what is explored is what C11
 * allows. */
#ifndef DD_WEAK_H
#define DD_WEAK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime.h"

#define DD_LOCATIONS 64 /* words with more than one readable message at a time */
#define DD_MESSAGES 16  /* of one word */
#define DD_FACTS 256
#define DD_STALE_READS 2

/* What a thread does to memory, and what others must know of. */
typedef enum dd_access {
    DD_ACCESS_WRITE, /* plain */
    DD_ACCESS_READ,
    DD_ACCESS_STORE, /* atomic */
    DD_ACCESS_LOAD,
    DD_ACCESS_TOUCH, /* any of these, to any part of an allocation: a fact that concerns dd_free */
    DD_ACCESS_FREE,  /* dd_free: leaves no fact */
} dd_access;

typedef struct dd_fact {
    uint32_t from, to; /* offsets, see dd_arena_at */
    uint16_t concerns; /* fibres that ever touch this memory in a way that conflicts, a bit each */
    uint8_t access, fibre;
    uint32_t unused;
    dd_site site;
} dd_fact;

typedef struct dd_view {
    uint64_t facts[DD_FACTS / 64];
    uint8_t floor[DD_LOCATIONS]; /* a rank in the location's list of messages */
} dd_view;

typedef struct dd_message {
    uint64_t value;    /* 0 in the newest, whose value is in memory */
    uint64_t attached; /* a read-modify-write that read the message before: nothing comes between */
    dd_view view;
} dd_message;

/* A word with more than one readable message, or one that carries a view. */
typedef struct dd_location {
    uint32_t at;
    uint8_t bytes, n;
    uint8_t sc; /* the newest message that a seq_cst operation has stored, 0: or none */
    uint8_t unused;
    uint8_t stale[DD_FIBRES]; /* reads in a row of another message than the newest */
    dd_message message[DD_MESSAGES];
} dd_location;

static inline bool dd_order_acquires(uint32_t order)
{
    return order == DD_ACQUIRE || order == DD_ACQ_REL || order == DD_SEQ_CST;
}

static inline bool dd_order_releases(uint32_t order)
{
    return order == DD_RELEASE || order == DD_ACQ_REL || order == DD_SEQ_CST;
}

/* The alternatives of an atomic operation that fibre i is about to do, counted back from the
 * newest, newest first. returns  their number */
uint32_t dd_weak_choices(uint32_t i, const dd_event *e, uint32_t alternative[DD_MESSAGES]);
/* Carries it out.
 * returns  the value that was read; on failure (too many messages) it has set the world's */
uint64_t dd_weak_apply(uint32_t i, const dd_event *e, uint32_t alternative);
/* What the operation will be, before it is carried out. */
dd_access dd_weak_access(const dd_event *e, uint32_t alternative);
/* After a step: who has nothing stale to read starts counting stale reads anew. */
void dd_weak_forgive(void);
/* Whether the word has a newer message than the fibre's floor, which is what it last read. */
bool dd_weak_has_newer(uint32_t i, const void *word);
/* The fibre reads no more what it has read from this word. */
void dd_weak_go_on(uint32_t i, const void *word);

void dd_weak_create(uint32_t creator, uint32_t child);
void dd_weak_join(uint32_t joiner, uint32_t child);
/* All these fibres, a bit each, get all that any of them knows. */
void dd_weak_meet(uint32_t fibres);
/* Words in this memory are written by plain means, or are no more: their old messages are gone. */
void dd_weak_forget(uint32_t at, size_t bytes);

/* ---- Facts ---- */

/* The fact that fibre i's access, if made now, conflicts with and that it does not know; NULL: none
 */
const dd_fact *dd_facts_conflict(uint32_t i, uint32_t at, size_t bytes, dd_access access);
/* returns  false if there are too many facts, and then has set the world's failure */
bool dd_facts_note(uint32_t i, uint32_t at, size_t bytes, dd_access access, dd_site site);

/* ---- Normal form ---- */

/* Drops what can make no difference any more and puts the rest in order. */
void dd_weak_normalise(void);

/* After views were loaded as far as they are in use. */
void dd_weak_clear_unused(void);

/* All views there are: the fibres', then the messages'. returns  their number */
#define DD_VIEWS (DD_FIBRES + DD_LOCATIONS * DD_MESSAGES)
uint32_t dd_weak_views(dd_view *view[]);

static inline bool dd_view_knows(const dd_view *v, uint64_t fact)
{
    return v->facts[fact / 64] >> fact % 64 & 1;
}

static inline void dd_view_set(dd_view *v, uint64_t fact, bool known)
{
    v->facts[fact / 64] = (v->facts[fact / 64] & ~(UINT64_C(1) << fact % 64)) | (uint64_t)known
                                                                                    << fact % 64;
}

void dd_view_join(dd_view *v, const dd_view *with);

#endif
