/* SPDX-License-Identifier: MIT
 * Persistent sets: which of the steps possible now suffice to reach every end and every failure
 * that all of them reach. */
#ifndef DD_PERSISTENT_H
#define DD_PERSISTENT_H

#include "runtime.h"

/* Moves the steps to take to the front, in their order.
 * returns  their number, at least 1; n_choices where none can be left out                     */
uint32_t dd_persistent_select(dd_choice *choice, uint32_t n_choices);

#endif
