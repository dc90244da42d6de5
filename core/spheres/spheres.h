/* SPDX-License-Identifier: MIT
 * Geometry of kissing spheres: twelve equal spheres around a central one, at the vertices of a
 * cuboctahedron, in four triangles of mutually touching spheres, and each of them again the parent
 * of twelve. Owns positions, contacts and places; knows no threads and no memory. */
#ifndef DD_SPHERES_H
#define DD_SPHERES_H

#include <stdbool.h>
#include <stdint.h>

#define DD_POSITIONS 12
#define DD_CENTRE DD_POSITIONS /* the control's own place, for dd_in_contact */
#define DD_DEPTH_MAX 4         /* levels below the root that the geometry is tested to */

/* Coordinates of position p in units of (child radius) * sqrt 2: a permutation of (+-1, +-1, 0).
 * Positions 3i, 3i+1, 3i+2 form triangle i.                                                */
extern const int8_t dd_position[DD_POSITIONS][3];

/* Whether two of the thirteen spheres (positions 0-11 or DD_CENTRE) touch; a != b.
 * Exact, in integers.                                                                      */
bool dd_in_contact(uint32_t a, uint32_t b);

/* 12^level. requires level <= 8 */
uint32_t dd_power_of_12(uint32_t level);

/* Where a sphere is: `level` steps down from the root, each to the position that a base-12 digit of
 * `path` says, highest digit first. The root is {0, 0}. */
typedef struct dd_place {
    uint32_t level, path;
} dd_place;

dd_place dd_place_child(dd_place parent, uint32_t position);
/* requires level > 0 */
dd_place dd_place_parent(dd_place place);
uint32_t dd_place_position(dd_place place);
bool dd_place_equal(dd_place a, dd_place b);

/* Whether an edge from one sphere to the other follows a contact: they are equal, parent and child,
 * or children of one parent that touch. */
bool dd_places_touch(dd_place a, dd_place b);

/* A sphere in space. The root has its centre at the origin and radius 1; a child has a third of its
 * parent's radius. */
typedef struct dd_ball {
    double centre[3], radius;
} dd_ball;
dd_ball dd_place_ball(dd_place place);

#endif
