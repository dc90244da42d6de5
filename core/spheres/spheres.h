/* SPDX-License-Identifier: MIT
 * Geometry of kissing spheres: twelve equal spheres around a central one, at the vertices of a
 * cuboctahedron, in four triangles of mutually touching spheres. Owns positions, contacts,
 * triangles and the placement of lanes on workers; knows no threads and no memory beyond its
 * arguments. */
#ifndef DD_SPHERES_H
#define DD_SPHERES_H

#include <stdbool.h>
#include <stdint.h>

#define DD_POSITIONS 12
#define DD_CENTRE DD_POSITIONS /* the control's own place, for dd_in_contact */

/* Coordinates of position p in units of (child radius) * sqrt 2: a permutation of (+-1, +-1, 0).
 * Positions 3i, 3i+1, 3i+2 form triangle i.                                                */
extern const int8_t dd_position[DD_POSITIONS][3];

/* Whether two of the thirteen spheres (positions 0-11 or DD_CENTRE) touch; a != b.
 * Exact, in integers.                                                                      */
bool dd_in_contact(uint32_t a, uint32_t b);

/* A worker's share: the non-empty lanes among [first, first + count). */
typedef struct dd_share {
    uint32_t first, count; /* lanes, first and last of them non-empty; count 0: idle */
    uint32_t n_lanes;      /* non-empty lanes inside */
    uint64_t tokens;       /* or any other weight, summed */
} dd_share;

/* Places the non-empty lanes (weight[l] > 0) of one sphere on workers, each a run of consecutive
 * lanes: least largest share first, then most contacts inside the shares, then the earliest cuts.
 * Workers beyond the number of non-empty lanes get an empty share.
 * requires 1 <= n_workers <= 12                                                            */
void dd_placement(const uint64_t weight[DD_POSITIONS], uint32_t n_workers, dd_share *share);

/* Contacts between lanes inside one share: what dd_placement maximises second. */
uint32_t dd_contacts_inside(uint32_t first, uint32_t count, const uint64_t weight[DD_POSITIONS]);

#endif
