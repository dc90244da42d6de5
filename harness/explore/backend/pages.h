/* SPDX-License-Identifier: MIT
 * Pages for explored code: an allocation each. Contracts stand in core/platform/pages.h, of which
 * this is what explored code uses; pages that were given back read as zeros, as there. */
#ifndef DD_EXPLORED_PAGES_H
#define DD_EXPLORED_PAGES_H

#include <string.h>

#include "world.h"

typedef enum dd_pages_access { DD_PAGES_NONE, DD_PAGES_READ, DD_PAGES_WRITE } dd_pages_access;

#define dd_pages_map(bytes, access) ((void)(access), dd_world_alloc(bytes, DD_HERE))
#define dd_pages_unmap(pages, bytes) ((void)(bytes), dd_world_free(pages, DD_HERE))
#define dd_pages_discard(pages, bytes)                                                             \
    (dd_world_touch(pages, bytes, true, DD_HERE), (void)memset(pages, 0, bytes))

#endif
