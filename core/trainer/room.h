/* SPDX-License-Identifier: MIT
 * Inside core/trainer: how much of everything a run has room for, and what that takes, counted
 * before anything is allocated. Storage allocates exactly this; here is decided which reduction and
 * which micro-batch fit a limit. Allocates nothing itself. */
#ifndef DD_ROOM_H
#define DD_ROOM_H

#include "dodeca.h"

typedef struct dd_room {
    dd_reduce reduce;
    uint32_t workers;  /* that any membership may have */
    uint32_t running;  /* workers that can ever run a lane: those from this number on are idle */
    uint32_t longest;  /* sequences of the longest lane */
    uint32_t at_once;  /* sequences that a worker takes at once, at most: a lane, a piece of one or,
                          with `owner`, a bundle of them */
    bool folds_pieces; /* lanes are cut, and some may have to be folded: each running worker has a
                          gradient for the lane it is at (dd_workspace_open_lane) */
    uint32_t segments; /* `owner`: one a lane, of vectors alone */
    uint32_t segment_rows; /* lookup rows in each of them */
} dd_room;

/* Bytes, in double: no product wraps, and below 2^53 they are exact. */
typedef struct dd_room_bytes {
    double weights, packed, moments, segments, lanes, workspaces, scratch, other;
    double threads; /* traces and, as far as they are touched, stacks */
} dd_room_bytes;

/* Settles reduction and micro-batch, in config, and the room. Without a limit `auto` stands for
 * `owner`, but for `tree` with guard, with micro-batches, and where `owner` would take more than
 * 256 MiB for gradients, activations and workspaces and more than twice what `tree` takes for them.
 * With a limit: that, if it fits; else `tree`, if `auto` leaves the choice; else the largest
 * micro-batch that fits, if none is given.
 * requires workers resolved, lanes open
 * errors   DD_ERR_ARGUMENT: nothing fits; *error says what is needed at least, and what takes it.
 *          DD_ERR_MEMORY, with nothing said                                                   */
dd_status dd_room_settle_(dd_trainer *trainer, dd_error *error);
/* What storage for it takes. */
dd_room_bytes dd_room_bytes_(const dd_trainer *trainer, const dd_room *room);
double dd_room_total_(const dd_room_bytes *bytes);

#endif
