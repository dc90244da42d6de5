/* SPDX-License-Identifier: MIT
 * What `dodeca spheres` shows: a hierarchy and the placement of lanes on its workers; and its
 * drawing as SVG. */
#ifndef DD_SPHERES_SVG_H
#define DD_SPHERES_SVG_H

#include "hierarchy.h"
#include "placement.h"

typedef struct dd_spheres_view {
    dd_hierarchy *hierarchy;
    dd_share *share;    /* (n_workers) */
    uint64_t *tokens;   /* (12^lane_depth) of each lane */
    uint64_t *below;    /* (n_spheres) tokens of the workers in it */
    uint64_t all, most; /* tokens of a step, of one worker */
    uint32_t batch, seq, lane_depth, non_empty;
} dd_spheres_view;

/* Writes the drawing through a temporary file beside it, so that `path` is either as it was or
 * whole; a device or a pipe is written as it is.
 * returns  NULL, or the name of what failed ("open", "write", "rename") with errno set */
const char *dd_spheres_svg(const dd_spheres_view *view, const char *path);

/* Where spheres are drawn: a disc for each. */
typedef struct dd_disc {
    double x, y, r;
} dd_disc;

/* Where a position (or DD_CENTRE) lies in its parent's disc. */
dd_disc dd_disc_inside(dd_disc parent, uint32_t position);

#endif
