/* SPDX-License-Identifier: MIT
 * <assert.h> for explored code: an assertion that fails ends the exploration with the trace that
 * led to it. */
#ifndef DD_EXPLORED_ASSERT_H
#define DD_EXPLORED_ASSERT_H

#include "world.h"

#define assert(e) ((e) ? (void)0 : dd_world_fail("assertion failed: " #e, 0, 0, DD_HERE))
#define static_assert _Static_assert

#endif
