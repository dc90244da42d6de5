/* SPDX-License-Identifier: MIT
 * Points A, B, V and U: the four places of a step that Node Zero and all workers pass together. A
 * and V are releases (Node Zero lets the workers through), B and U are collections (Node Zero waits
 * for the last of them). Owns the words and barriers threads wait on; knows no lanes, no model. */
#ifndef DD_POINTS_H
#define DD_POINTS_H

#include "dodeca.h"

typedef enum dd_point { DD_POINT_A, DD_POINT_B, DD_POINT_V, DD_POINT_U } dd_point;

typedef struct dd_points dd_points;

/* `workers` worker threads and one Node Zero.
 *   tree     workers arrive along contacts, triangle by triangle, the last of each going on to the
 *            centre; Node Zero releases through one word that belongs to the centre
 *   pthread  every point is one pthread_barrier_t of workers + 1
 * position[w] is the position worker w acts for. spins bounds polling before a worker sleeps at A
 * or V: 0 where Node Zero needs the core. Node Zero never polls. Releases and collections are
 * counted from `generation` on and may wrap; 0 will do, tests of the wrap begin elsewhere.
 * owns     *out, released by dd_points_close, which no thread may still use
 * errors   DD_ERR_MEMORY                                                                   */
dd_status dd_points_open(dd_barrier kind, uint32_t workers, const uint32_t *position,
                         uint32_t spins, uint32_t generation, dd_points **out);
void dd_points_close(dd_points *p); /* NULL allowed */

/* A worker's crossing. A, V: returns once Node Zero has released the point; everything Node Zero
 * wrote before happens-before the return. B, U: everything worker w wrote before happens-before
 * Node Zero's return from the point.
 * requires each worker crosses A, B, V, U in turn (A alone in a generation that ends the team)  */
void dd_points_worker(dd_points *p, uint32_t w, dd_point point);

/* Node Zero's crossing. A, V: releases. B, U: sleeps until every worker has arrived. */
void dd_points_node_zero(dd_points *p, dd_point point);

#endif
