/* SPDX-License-Identifier: MIT
 * The timeline of a thread: what it did when, in a ring that it alone writes and a caller empties
 * between two requests. Owns the ring's memory, and when which end of it may be touched; what the
 * moments mean is dodeca.h's dd_trace_event. Off, where there is no ring, everything costs a
 * branch.
 *
 * There is no lock and no atomic word: the points order both sides. The thread writes at any time,
 * but only beyond what it has shown. It shows what it wrote before it does what lets the request,
 * or the change of membership, come to its end; and it learns which room was made since when it has
 * passed A. The caller takes, between U and A, what was shown. */
#ifndef DD_TIMELINE_H
#define DD_TIMELINE_H

#include "dodeca.h"
#include "platform.h"

/* What and numbers, by kind:
 *   DD_TRACE_ACTIVITY  what: dd_activity; of DD_AT_LANE: first lane, lanes, folds;
 *                      of DD_AT_SLICE: 0, 0, folds
 *   DD_TRACE_PHASE     what: phase of the profile
 *   DD_TRACE_FOLD      node (UINT32_MAX: none, both operands are the worker's own), left and right
 *                      segment
 *   DD_TRACE_PLACE     what: DD_PLACE_CONTROL, DD_PLACE_PARKED; the place's level and path
 *   DD_TRACE_REQUEST   what: 0 a step, else lanes one by one
 *   DD_TRACE_COMMAND   what: dd_command; dd_status, the place's level and path, and whether the
 *                      policy gave it in DD_COMMAND_BY_POLICY                                    */
typedef struct dd_moment {
    uint64_t begin_ns, end_ns;
    uint32_t generation;
    uint16_t kind, what;
    uint32_t number[3];
} dd_moment;

enum { DD_PLACE_CONTROL = 1, DD_PLACE_PARKED = 2, DD_COMMAND_BY_POLICY = 256 };

typedef struct dd_timeline {
    uint32_t room;     /* fixed after open */
    dd_moment *moment; /* (room) moment i at i mod room; NULL: off */
    /* its thread's own */
    bool begun; /* an activity is open */
    dd_moment open;
    uint64_t written, lost, limit; /* moments so far; those for which there was no room; how far
                                      `written` may grow */
    /* its thread until it lets the others go on to U, the caller after U */
    struct {
        uint64_t written, lost;
    } shown;
    /* the caller between U and A, its thread after A */
    uint64_t taken;
    uint64_t lost_told; /* the caller's own */
} dd_timeline;

/* Zeroed memory is a timeline that is off; room 0 leaves it so.
 * owns     the ring on success, released by dd_timeline_close, which accepts one that is off
 * errors   DD_ERR_MEMORY                                                                      */
dd_status dd_timeline_open(dd_timeline *t, uint32_t room);
void dd_timeline_close(dd_timeline *t);

void dd_timeline_turn_(dd_timeline *t, uint32_t generation, dd_activity at, uint32_t lane);
void dd_timeline_put_(dd_timeline *t, const dd_moment *m);

/* What the thread does from now on; ends what it did so far. */
static inline void dd_timeline_turn(dd_timeline *t, uint32_t generation, dd_activity at,
                                    uint32_t lane)
{
    if (t->moment)
        dd_timeline_turn_(t, generation, at, lane);
}

/* What the activity that is open belongs to, known only after it began: how many lanes run, and how
 * many folds are part of it. */
static inline void dd_timeline_amount(dd_timeline *t, uint32_t lanes, uint32_t folds)
{
    if (!t->moment)
        return;
    t->open.number[1] = lanes;
    t->open.number[2] = folds;
}

/* When something inside an activity begins; 0 where it is not recorded. t may be NULL: off. */
static inline uint64_t dd_timeline_begin(const dd_timeline *t)
{
    return t && t->moment ? dd_now_ns() : 0;
}

/* It has ended. */
static inline void dd_timeline_end(dd_timeline *t, dd_trace_kind kind, uint32_t what,
                                   uint64_t begin_ns, uint32_t a, uint32_t b, uint32_t c)
{
    if (!t || !t->moment)
        return;
    const dd_moment m = {.begin_ns = begin_ns,
                         .end_ns = dd_now_ns(),
                         .generation = t->open.generation,
                         .kind = (uint16_t)kind,
                         .what = (uint16_t)what,
                         .number = {a, b, c}};
    dd_timeline_put_(t, &m);
}

/* The thread has passed A, of this generation: what it waited for there, and until there, belongs
 * to it. Room that was made since is used again. */
void dd_timeline_pass(dd_timeline *t, uint32_t generation);
/* The caller may see all that was written. */
void dd_timeline_show(dd_timeline *t);

/* The caller: takes the oldest moment there is.  returns  false: there is none */
bool dd_timeline_take(dd_timeline *t, dd_moment *out);
/* How many had no room since it was last asked. */
uint64_t dd_timeline_lost(dd_timeline *t);

#endif
