/* SPDX-License-Identifier: MIT
 * Points A, B, V and U: the places of a step that all threads pass together, made of two moves that
 * know nothing of steps. A release runs down the hierarchy, from each control to its children; a
 * collection runs up, from children to their control. Owns the words and barriers threads wait on;
 * knows no lanes, no model. */
#ifndef DD_POINTS_H
#define DD_POINTS_H

#include "dodeca.h"
#include "hierarchy.h"

/* How long to poll where n_threads that wait for each other share `cores` and the wait is short: as
 * long as a wake-up takes while each has a core of its own; DD_YIELDING (platform.h) with up to
 * eight to a core; with more, not at all. For `spins` below; a long wait deserves 0. */
uint32_t dd_points_spins(uint32_t n_threads, uint32_t cores);

typedef struct dd_points dd_points;

/*   tree     children arrive at their triangle, the last of each at the centre, and the last there
 *            takes over the control's part (climb) or wakes the control; a control releases its
 *            children through one word that belongs to the centre
 *   pthread  each sphere with children has a pthread_barrier_t for each direction
 * Words count from `generation` on and may wrap; 0 will do, tests of the wrap begin elsewhere.
 * owns     *out, released by dd_points_close, which no thread may still use; borrows h
 * errors   DD_ERR_MEMORY                                                                        */
dd_status dd_points_open(dd_barrier kind, const dd_hierarchy *h, uint32_t generation,
                         dd_points **out);
void dd_points_close(dd_points *p); /* NULL allowed */

/* Downwards. The control `sphere` lets its children through; a child returns from await once its
 * parent has. Everything done before a release happens-before the return of the awaits it lets
 * through. spins bounds polling before the child sleeps.
 * requires as many awaits by each child as releases by its parent, in turn with collections     */
void dd_points_release(dd_points *p, uint32_t sphere);
void dd_points_await(dd_points *p, uint32_t sphere, uint32_t spins);

/* Upwards. `sphere`, not the root, arrives at its parent. Without `climb` the last of the parent's
 * children wakes the parent's control, which waits in collect, and must arrive for itself. With
 * `climb` (tree only; by workers) the last goes on in the parent's place, up to the root.
 * returns  true for the one call of a collection that completed the root by climbing: the caller
 *          now acts for Node Zero, and everything all others did before they arrived
 *          happens-before the return                                                           */
bool dd_points_arrive(dd_points *p, uint32_t sphere, bool climb);
/* Down again after a climb, by every worker, with nobody's help: the one that acts for Node Zero
 * goes first and waits for nobody. Whoever took a control's place in the climb lets that control's
 * children through, so that controls and Node Zero sleep on, in await and in collect. Everything
 * done before the first call happens-before the return of all.
 * requires no release between the climb and this                                              */
void dd_points_descend(dd_points *p, uint32_t sphere, uint32_t spins);
/* The control `sphere` sleeps until all its children have arrived. */
void dd_points_collect(dd_points *p, uint32_t sphere);
/* Tree: wakes the root's control from its collect, on behalf of a climber that completed the root.
 */
void dd_points_wake_root(dd_points *p);

/* The end of a membership: `sphere` (every one of them, once, the root too) will not touch p again.
 * returns  true for the last: p may be closed, by the caller                                    */
bool dd_points_leave(dd_points *p, uint32_t sphere);

#endif
