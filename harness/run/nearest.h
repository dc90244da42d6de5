/* SPDX-License-Identifier: MIT
 * "Did you mean …": the nearest of a list of names to a mistyped one. */
#ifndef DD_NEAREST_H
#define DD_NEAREST_H

#include <stddef.h>

/* The name among n that takes fewest single-letter edits (insert, delete, replace, swap of
 * neighbours), the first of equals; NULL when even that takes more than a third of its letters, and
 * more than one. */
const char *dd_nearest(const char *word, const char *const *names, size_t n);

#endif
