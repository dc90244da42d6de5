/* SPDX-License-Identifier: MIT
 * Edges: who touched whose sync word, acting for which sphere. In a checking build (DD_CHECK_EDGES)
 * each use is counted by kind and must follow a contact; in any other build DD_EDGE is empty and
 * these functions do not exist. */
#ifndef DD_EDGES_H
#define DD_EDGES_H

#include "spheres.h"

typedef enum dd_edge_kind {
    DD_EDGE_RELEASE, /* a control lets its children through, or a child waits for it */
    DD_EDGE_ARRIVE,  /* at Points B and U: to the triangle, to the centre, to the control */
    DD_EDGE_FOLD,    /* a gradient handed to a node of the fold tree, or taken from it */
    DD_EDGE_STEAL,   /* a lane queue looked into */
    DD_EDGE_SPAWN,   /* a control activates a child's thread */
    DD_EDGE_KINDS
} dd_edge_kind;

#ifdef DD_CHECK_EDGES
void dd_edge_use(dd_edge_kind kind, dd_place acting, dd_place owner);
#define DD_EDGE(kind, acting, owner) dd_edge_use(kind, acting, owner)

typedef struct dd_edge_count {
    uint64_t equal, triangle, neighbour, centre; /* triangle: touching, in one triangle; neighbour:
                                                    touching otherwise; centre: parent and child */
    uint64_t apart;                              /* no contact: a defect */
} dd_edge_count;

/* All counts since the last call, which it resets. The first pair of places that did not touch, if
 * any, goes to *acting, *owner. Any thread. */
void dd_edges_take(dd_edge_count count[DD_EDGE_KINDS], dd_place *acting, dd_place *owner);
#else
#define DD_EDGE(kind, acting, owner) ((void)(acting), (void)(owner))
#endif

#endif
