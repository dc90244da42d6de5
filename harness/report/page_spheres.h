/* SPDX-License-Identifier: MIT
 * What the page's drawings of waiting share. */
#ifndef DD_PAGE_SPHERES_H
#define DD_PAGE_SPHERES_H

#include "page_results.h"

/* Points as bits: A 1, B 2, V 4, U 8. A lies between steps, the others inside one. */
#define DD_PAGE_AT_B 2u
#define DD_PAGE_INSIDE 14u

/* The share of its run's steps that a sphere waited at these points; NaN: no step. */
double dd_page_wait_(const dd_page_cell *c, const dd_page_sphere *s, unsigned points);
/* Of five shades, 0 to 4, that for a share; the classes are w0 … w4, text on them on0 … on4. */
int dd_page_shade_(double share);
/* The tree in which the cell's lanes fold. */
void dd_page_fold_tree_(const dd_page_results *r, const dd_page_cell *c, FILE *out);

#endif
