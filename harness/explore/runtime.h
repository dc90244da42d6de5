/* SPDX-License-Identifier: MIT
 * The explored world as its search sees it: fibres held at events, one arena of memory that can be
 * saved and loaded, and the steps that are possible now. There is one world per process: no two
 * explorations at a time.
 *
 * An event is where threads can influence each other; all code between two events of a fibre runs
 * as one piece with the first. That is sound for race-free code, and races are found nevertheless.
 * Under sequential consistency the plain memory that a fibre touched since its last event is
 * remembered and compared with what others touch: if two threads can reach conflicting accesses
 * with no synchronisation between, some order of their events puts one access into the other's
 * memory. Under C11 each access must know of those it conflicts with (weak.h), whatever the order
 * of events.
 *
 * Words of atomics that nobody writes but one fibre, and nobody else reads, or that nobody writes
 * at all, are plain memory in this sense: such a word has one readable value, its fibre's last.
 * Which words those are is found while exploring, from scratch when one turns out to be shared. */
#ifndef DD_RUNTIME_H
#define DD_RUNTIME_H

#include "explore.h"
#include "world.h"

#define DD_FIBRES 16  /* the program's own included */
#define DD_READS 8    /* words that one DD_AWAIT reads */
#define DD_RANGES 128 /* pieces of plain memory touched between two events */
#define DD_BLOCKS 512 /* dd_alloc calls of one execution */
#define DD_HEAP_BYTES (512u << 10)
#define DD_STACK_BYTES (16u << 10)
#define DD_CHOICES 256 /* steps possible in one state */

typedef enum dd_fibre_state {
    DD_FIBRE_LOCAL,    /* runs to its next event as part of the step in progress */
    DD_FIBRE_AT_EVENT, /* waits for the search to choose it */
    DD_FIBRE_AT_FUTEX, /* asleep on event.word */
    DD_FIBRE_AT_BARRIER,
    DD_FIBRE_DONE,
    DD_FIBRE_JOINED,
} dd_fibre_state;

/* What a fibre asks for. */
typedef struct dd_event {
    uint32_t kind;           /* dd_event_kind */
    uint16_t order, failure; /* dd_order, of atomic operations */
    void *word;
    uint64_t bytes, value, expected;
    const char *what; /* CREATE: the thread's name; CHOOSE: what is chosen; FAIL: why */
    dd_site site;
} dd_event;

/* One possible step of the world. */
typedef struct dd_choice {
    uint32_t fibre;
    /* CHOOSE: the value. FUTEX_WAKE: which sleepers, a bit each. Atomic operations: the store that
     * is read, or after which an own store takes its place, counted back from the newest, 0. */
    uint32_t alternative;
    bool spurious; /* a futex sleeper returns for no reason */
} dd_choice;

typedef struct dd_world_mode {
    dd_memory memory;
    bool unreduced; /* as in dd_explore_limits */
    bool stateless; /* states are not compared: dd_world_save and dd_world_load work, but equal
                       situations need not give equal bytes. Faster. */
    bool touched;   /* dd_world_touched is wanted */
    bool reduced;   /* futures.h is in use */
} dd_world_mode;

/* Starts the program: afterwards every fibre is at an event. A program that fails before its first
 * event has failed now. */
void dd_world_start(const dd_program *program, dd_world_mode mode);
/* After the last step. */
void dd_world_stop(void);

/* The possible steps, those of fibre `first` foremost; *spurious of them are spurious, the last
 * ones. Where one fibre's event cannot matter to any other, its steps alone are returned. */
uint32_t dd_world_choices(uint32_t first, dd_choice choices[DD_CHOICES], uint32_t *spurious);
void dd_world_step(dd_choice choice);

/* What a choice is about, before it is taken; result of the last step after it. */
const dd_event *dd_world_event(uint32_t fibre);
uint64_t dd_world_result(void);

bool dd_world_ended(void); /* the program's own fibre has returned */

/* The state's bytes. Two states with equal bytes behave alike, under the same program and mode. */
size_t dd_world_size(void);
void dd_world_save(void *buffer);
void dd_world_load(const void *buffer);

/* Whether a word that was taken for private turned out to be shared: start over. Clears the mark.
 */
bool dd_world_sharing_grew(void);
void dd_world_forget_sharing(void);

/* The failure of the world, if any; verdict DD_EXPLORE_PASS: none. */
typedef struct dd_failure {
    dd_explore_verdict verdict;
    const char *text;
    uint64_t a, b;
    uint32_t fibre, other; /* other: the second thread of a race, else DD_FIBRES */
    dd_site site, other_site;
    const void *memory; /* NULL: not about one place */
} dd_failure;
const dd_failure *dd_world_failure(void);

/* Checks of a finished program: threads joined, memory released. May set the failure. */
void dd_world_check_end(void);
/* The execution is given up after so many steps: sets the failure. */
void dd_world_fail_endless(uint64_t n_steps);
/* Nobody can move: sets the failure. */
void dd_world_fail_stuck(void);
/* The world has come back to a state it was in: sets the failure. */
void dd_world_fail_livelock(void);

/* ---- For partial-order reduction ---- */

/* Plain memory touched by a fibre since its last event. */
typedef struct dd_range {
    uintptr_t from, to;
    uint64_t write;
    dd_site site;
} dd_range;

/* Under C11 what was freed, no more: other accesses that conflict are found wherever they come.
 * returns  an array of *n                                                                     */
const dd_range *dd_world_touched(uint32_t fibre, uint64_t *n);
/* The words whose change lets the fibre's DD_AWAIT go on. returns their number               */
uint32_t dd_world_awaited(uint32_t fibre, const void *word[DD_READS]);

/* ---- For replays: which words the exploration has found to be shared ---- */

/* Writes the next such word at or after `from` to *word. returns false if there is none      */
bool dd_world_next_shared(uint32_t from, uint32_t *word);
bool dd_world_share(uint32_t word); /* from now on it is. returns false if there is no such word */

/* ---- For traces ---- */

const char *dd_world_fibre_name(uint32_t fibre);
dd_fibre_state dd_world_fibre_state(uint32_t fibre);
uint32_t dd_world_n_fibres(void);
/* A place in the explored memory, as "team.c:88+24": the allocation's source line and the offset.
 */
void dd_world_place(const void *memory, char *text, size_t bytes);

#endif
