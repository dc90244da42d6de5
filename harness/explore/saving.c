/* SPDX-License-Identifier: MIT
 * The explored world as bytes: what makes a state, copied out and back. */
#include <string.h>

#include "arena.h"

/* The pieces of the arena that make a state, in an order in which each piece's size is known from
 * those before. */
typedef void piece_fn(uintptr_t *cursor, void *memory, size_t bytes);

static void visit_view(uintptr_t *cursor, piece_fn *piece, dd_view *v)
{
    piece(cursor, v->facts, (dd_arena_.total.n_facts + 63) / 64 * sizeof v->facts[0]);
    piece(cursor, v->floor, dd_arena_.total.n_locations);
}

static void visit_memory_model(uintptr_t *cursor, piece_fn *piece)
{
    dd_arena *a = &dd_arena_;
    piece(cursor, a->fact, a->total.n_facts * sizeof a->fact[0]);
    for (uint64_t i = 0; i < a->total.n_fibres; i++)
        visit_view(cursor, piece, &a->view[i]);
    for (uint64_t l = 0; l < a->total.n_locations; l++) {
        dd_location *o = &a->location[l];
        piece(cursor, o, offsetof(dd_location, message));
        for (uint32_t m = 0; m < o->n; m++) {
            piece(cursor, &o->message[m], offsetof(dd_message, view));
            visit_view(cursor, piece, &o->message[m].view);
        }
    }
}

static void visit(uintptr_t *cursor, piece_fn *piece)
{
    dd_arena *a = &dd_arena_;
    piece(cursor, &a->total, sizeof a->total);
    for (uint64_t i = 0; i < a->total.n_fibres; i++) {
        dd_fibre *f = &a->fibre[i];
        piece(cursor, f, offsetof(dd_fibre, range));
        piece(cursor, f->range, f->n_ranges * sizeof f->range[0]);
        unsigned char *top = a->stack[i].byte + DD_STACK_BYTES;
        piece(cursor, f->sp, (size_t)(top - (unsigned char *)f->sp));
    }
    piece(cursor, a->block, a->total.n_blocks * sizeof a->block[0]);
    piece(cursor, a->heap, a->total.heap_used);
    if (dd_arena_is_weak())
        visit_memory_model(cursor, piece);
}

static void count_piece(uintptr_t *cursor, void *memory, size_t bytes)
{
    (void)memory;
    *cursor += bytes;
}

static void save_piece(uintptr_t *cursor, void *memory, size_t bytes)
{
    memcpy((void *)*cursor, memory, bytes);
    *cursor += bytes;
}

static void load_piece(uintptr_t *cursor, void *memory, size_t bytes)
{
    memcpy(memory, (const void *)*cursor, bytes);
    *cursor += bytes;
}

size_t dd_world_size(void)
{
    uintptr_t bytes = 0;
    visit(&bytes, count_piece);
    return bytes;
}

void dd_world_save(void *buffer)
{
    uintptr_t cursor = (uintptr_t)buffer;
    visit(&cursor, save_piece);
}

void dd_world_load(const void *buffer)
{
    uintptr_t cursor = (uintptr_t)buffer;
    visit(&cursor, load_piece);
    if (dd_arena_is_weak())
        dd_weak_clear_unused();
}
