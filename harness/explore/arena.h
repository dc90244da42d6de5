/* SPDX-License-Identifier: MIT
 * The memory of the explored world, shared by world.c (which runs on fibres) and runtime.c (which
 * runs them). Private to these two. */
#ifndef DD_ARENA_H
#define DD_ARENA_H

#include "runtime.h"

#define DD_PAGE_BYTES 4096u
#define DD_FREED_BYTE 0xdd

/* Plain memory touched by a fibre since its last event. */
typedef struct dd_range {
    uintptr_t from, to;
    uint64_t write;
    dd_site site;
} dd_range;

/* What a DD_AWAIT read, to see when it has changed. */
typedef struct dd_reading {
    const void *word;
    uint64_t bytes, value;
} dd_reading;

/* All fields are 8 bytes wide: padding would be noise in the state. */
typedef struct dd_fibre {
    void *sp;
    uint64_t state; /* dd_fibre_state */
    dd_event event;
    uint64_t result; /* of the event; taken and cleared by the fibre */
    void (*run)(void *);
    void *arg;
    char name[16];
    uint64_t awaiting; /* inside a DD_AWAIT that never gives up */
    uint64_t n_reads;
    dd_reading read[DD_READS];
    uint64_t n_ranges;
    dd_range range[DD_RANGES]; /* n_ranges of them belong to the state */
} dd_fibre;

typedef struct dd_block {
    uint64_t from, bytes; /* offset in the heap; addresses are never used twice */
    uint64_t live;
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
    } total;
    dd_fibre fibre[DD_FIBRES];
    dd_block block[DD_BLOCKS];
    _Alignas(DD_PAGE_BYTES) unsigned char heap[DD_HEAP_BYTES];
    dd_stack stack[DD_FIBRES];
} dd_arena;

/* What belongs to the search and survives every load. */
typedef struct dd_host {
    const dd_program *program;
    void *sp;
    uint32_t running;
    uint64_t last_result;
    dd_failure failure;
    bool spurious, guarded, sharing_grew;
    /* By 4-byte word of the heap: 0 unused so far, f + 1 used by fibre f alone, DD_SHARED. */
    unsigned char user[DD_HEAP_BYTES / 4];
} dd_host;

#define DD_SHARED 0xff

extern dd_arena dd_arena_;
extern dd_host dd_host_;

/* The allocation, live or freed, that holds this address; NULL: none. */
dd_block *dd_arena_block(const void *memory);
/* Whether [memory, +bytes) is live: inside one allocation or on the stacks. */
bool dd_arena_is_live(const void *memory, size_t bytes);
/* Whether an access of fibre `me` conflicts with what others touched since their last events. Sets
 * the failure if so. */
bool dd_arena_races(uint32_t me, const void *memory, size_t bytes, bool write, dd_site site);
/* Carries out an atomic operation. returns the value before */
uint64_t dd_arena_apply(const dd_event *e);
uint64_t dd_arena_load(const void *word, uint64_t bytes);

#endif
