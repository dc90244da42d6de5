/* SPDX-License-Identifier: MIT
 * The hierarchy: which spheres there are, who is whose parent, who works. A sphere with children is
 * a control, one without a worker; sphere 0 is the root, Node Zero's. A hierarchy never changes:
 * expansion and collapse make another one. Knows no threads and no lanes. */
#ifndef DD_HIERARCHY_H
#define DD_HIERARCHY_H

#include "dodeca.h"
#include "spheres.h"

#define DD_NO_SPHERE UINT32_MAX

/* Children of one parent stand side by side in the array, in the order of their positions. */
typedef struct dd_sphere {
    dd_place place;                   /* level and path; the root's is {0, 0} */
    uint32_t parent;                  /* sphere; DD_NO_SPHERE: the root */
    uint32_t first_child, n_children; /* n_children 0: a worker */
    uint32_t first_worker, n_workers; /* the workers in it; a worker: itself */
} dd_sphere;

typedef struct dd_hierarchy {
    uint32_t depth; /* level of the deepest sphere */
    uint32_t n_spheres, n_workers, n_controls;
    dd_sphere *sphere; /* (n_spheres) level by level: parents before children */
    uint32_t *worker;  /* (n_workers) the sphere of worker w; workers count depth first, so that
                          those of one sphere are consecutive */
} dd_hierarchy;

/* All n_workers at level `depth`, shared out evenly. A sphere with k levels below it and W workers
 * has max(1, floor(W^(1/k)), ceil(W / 12^(k-1))) children. Child i of n stands at position
 * floor(12 i / n).
 * requires 1 <= depth <= DD_DEPTH_MAX, 1 <= n_workers <= 12^depth
 * owns     *out, released by dd_hierarchy_close
 * errors   DD_ERR_MEMORY                                                                       */
dd_status dd_hierarchy_open(uint32_t depth, uint32_t n_workers, dd_hierarchy **out);
void dd_hierarchy_close(dd_hierarchy *h); /* NULL allowed */

/* A copy of h in which the worker at `place` is a control of n_children workers.
 * errors   DD_ERR_ARGUMENT: no such sphere, not a worker, n_children not 1 to 12, or deeper than
 *          DD_DEPTH_MAX; DD_ERR_MEMORY                                                          */
dd_status dd_hierarchy_expand(const dd_hierarchy *h, dd_place place, uint32_t n_children,
                              dd_hierarchy **out, dd_error *error);
/* A copy of h in which the control at `place` is a worker again and everything below it is gone.
 * errors   DD_ERR_ARGUMENT: no such sphere, a worker, or the root; DD_ERR_MEMORY              */
dd_status dd_hierarchy_collapse(const dd_hierarchy *h, dd_place place, dd_hierarchy **out,
                                dd_error *error);

/* The sphere at a place, DD_NO_SPHERE if there is none. */
uint32_t dd_hierarchy_at(const dd_hierarchy *h, dd_place place);

/* Reads a place: positions from the root down, "3", "3.0", "11.0.5"; "zero" is the root.
 * returns  false if it is none                                                                */
bool dd_place_read(const char *text, dd_place *out);
/* Writes it; at most DD_PLACE_TEXT bytes with the terminator. returns text */
#define DD_PLACE_TEXT 16
char *dd_place_write(dd_place place, char text[DD_PLACE_TEXT]);

#endif
