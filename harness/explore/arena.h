/* SPDX-License-Identifier: MIT
 * The memory of the explored world, shared by world.c, which runs on fibres, and the files that run
 * them, look at them and keep C11's model for them. Private to these. */
#ifndef DD_ARENA_H
#define DD_ARENA_H

#include "weak.h"

#define DD_PAGE_BYTES 4096u
#define DD_FREED_BYTE 0xdd

/* What a DD_AWAIT read, to see when it has changed. */
typedef struct dd_reading {
    const void *word;
    uint64_t bytes, value;
} dd_reading;

/* Fields are 8 bytes wide: padding would be noise in the state. */
typedef struct dd_fibre {
    void *sp;
    uint64_t state; /* dd_fibre_state */
    dd_event event;
    uint64_t result; /* of the event; taken and cleared by the fibre */
    void (*run)(void *);
    void *arg;
    char name[16];
    uint64_t awaiting;  /* inside a DD_AWAIT that never gives up */
    uint64_t situation; /* futures.h: follows from the rest */
    uint64_t n_reads;
    dd_reading read[DD_READS];
    uint64_t n_ranges;
    dd_range range[DD_RANGES]; /* n_ranges of them belong to the state */
} dd_fibre;

typedef struct dd_block {
    uint64_t from, bytes; /* offset in the heap; addresses are never used twice */
    uint64_t live;
    uint64_t fresh; /* 1 + the fibre that has it, as long as no other can have heard of it */
    dd_site site;
} dd_block;

typedef struct dd_stack {
    _Alignas(DD_PAGE_BYTES) unsigned char guard[DD_PAGE_BYTES]; /* never accessible */
    unsigned char byte[DD_STACK_BYTES];
} dd_stack;

struct dd_pbarrier {
    uint64_t n_threads, arrived;
};

/* Everything that makes a state. */
typedef struct dd_arena {
    struct dd_totals {
        uint64_t n_fibres, n_blocks, heap_used;
        uint64_t thread_failures, alloc_failures, fp_changes; /* still to come */
        uint64_t n_locations, n_facts;
    } total;
    dd_fibre fibre[DD_FIBRES];
    dd_block block[DD_BLOCKS];
    dd_view view[DD_FIBRES]; /* these three: DD_MEMORY_C11 */
    dd_location location[DD_LOCATIONS];
    dd_fact fact[DD_FACTS];
    _Alignas(DD_PAGE_BYTES) unsigned char heap[DD_HEAP_BYTES];
    dd_stack stack[DD_FIBRES];
} dd_arena;

/* Who uses a word, or memory of which it is part, in any execution so far: fibres, a bit each. */
typedef struct dd_users {
    uint16_t reader, writer;           /* plain */
    uint16_t loader, storer, acquirer; /* atomic */
    uint16_t beginner; /* gives it its first value, though others may have heard of it */
    uint16_t freer;    /* frees it with threads unjoined; in the first word of an allocation */
} dd_users;

#define DD_WORDS ((DD_HEAP_BYTES + DD_FIBRES * sizeof(dd_stack)) / 4)

/* What belongs to the search and survives every load. */
typedef struct dd_host {
    const dd_program *program;
    void *sp;
    dd_world_mode mode;
    bool started;
    uint32_t running;
    uint32_t n_local; /* operations of this fibre's part of the step that were no events */
    uint64_t last_result;
    dd_failure failure;
    bool sharing_grew;
    dd_users users[DD_WORDS];     /* by 4-byte word of heap and stacks */
    uint16_t creators[DD_FIBRES]; /* who creates it, in any execution so far, a bit each */
} dd_host;

extern dd_arena dd_arena_;
extern dd_host dd_host_;

/* Heap and stacks as one range of offsets. */
static inline uint64_t dd_arena_at(const void *memory)
{
    return (uint64_t)((uintptr_t)memory - (uintptr_t)dd_arena_.heap);
}

static inline bool dd_arena_is_weak(void)
{
    return dd_host_.mode.memory == DD_MEMORY_C11;
}

uint64_t dd_arena_load(const void *word, uint64_t bytes);
/* Carries out an atomic operation. returns the value before */
uint64_t dd_arena_apply(const dd_event *e);

/* ---- Checks; those that return bool set the failure before they return false ---- */

void dd_arena_fail(dd_explore_verdict verdict, const char *text, const void *memory, uint64_t a,
                   uint64_t b, uint32_t fibre, dd_site site);
/* A synchronising access of fibre i: live memory, and no race with plain accesses. */
bool dd_arena_may_sync(uint32_t i, const dd_event *e, uint32_t alternative);
/* A plain access of fibre i, as part of the step in progress. */
bool dd_arena_touch(uint32_t i, const void *memory, size_t bytes, bool write, dd_site site);
/* Whether this 4-byte word was found to be used by atomic operations whose order matters. */
bool dd_arena_is_shared_word(uint32_t word);
/* Notes that fibre i uses this memory as the event says. returns whether the order of its uses can
 * matter */
bool dd_arena_is_shared(uint32_t i, const dd_event *e);
/* Notes who creates whom. */
void dd_arena_note_creation(uint32_t creator, uint32_t child);

/* ---- Allocation ---- */

/* NULL: failed, and set the failure. */
void *dd_arena_alloc(uint32_t i, size_t bytes, dd_site site);
bool dd_arena_free(uint32_t i, void *p, dd_site site);
/* What is free at the end of the heap may be used again where nobody can hold its address: because
 * one thread is left (then the fibres joined may, too), or because it went between two events of
 * whoever allocated it. Else every way to a state would leave its own traces there. */
void dd_arena_trim(void);
/* What the fibre allocated others may hear of from its next event on. */
void dd_arena_publish(uint32_t i);
/* The allocation, live or freed, that holds this address; NULL: none. */
const dd_block *dd_arena_block(const void *memory);

#endif
