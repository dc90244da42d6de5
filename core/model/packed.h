/* SPDX-License-Identifier: MIT
 * Packed weights: every weight matrix W (N, K) a second and a third time, in the panels of sixteen
 * columns that products read (kernels.h), so that no product packs a weight: x W' reads `forward`,
 * gy W reads `input`. Knows where each matrix's panels lie in one array of floats, and writes them.
 * Refuses to own that array, and to know who changes weights: whoever does packs the same elements
 * before they are used. */
#ifndef DD_PACKED_H
#define DD_PACKED_H

#include "kernels.h"
#include "tensors.h"

/* Floats of the array. It is 64-byte aligned and all zeros before the first dd_packed_write; the
 * places of absent columns stay zero. */
uint64_t dd_packed_size(const dd_layout *layout);

/* Where layer l of tensor k, a matrix, begins. Panels lie 16 K and 16 N floats apart. */
uint64_t dd_packed_forward(const dd_layout *layout, dd_tensor k, uint32_t l);
uint64_t dd_packed_input(const dd_layout *layout, dd_tensor k, uint32_t l);

/* Packs what of the canonical elements [first, last) belongs to matrices.
 * alias    none
 * threads  re-entrant for disjoint ranges                                                     */
void dd_packed_write(const dd_kernels *kernels, const dd_layout *layout, uint64_t first,
                     uint64_t last, const float *weights, float *packed);

/* The vector in pieces that are best changed and packed together: of a matrix sixteen rows, which
 * fill whole panels and stay in cache meanwhile; of another tensor all.
 * returns  the end of the piece that holds `element`                                          */
uint64_t dd_packed_piece_end(const dd_layout *layout, uint64_t element);

#endif
