/* SPDX-License-Identifier: MIT
 * A copy of the source tree to plant into: made like the original, file by file, so that what did
 * not change keeps its time and is not built again. */
#ifndef DD_MIRROR_H
#define DD_MIRROR_H

#include <stdbool.h>
#include <stdint.h>

/* Makes the folder `to` the same as the source tree `from`, without hidden files, results and build
 * folders. *revision is a hash of all that can change what a check says of the untouched sources:
 * descriptions of defects, arguments and prose do not count.
 * errors   false: message says which file                                                   */
bool dd_mirror(const char *from, const char *to, uint64_t *revision, char message[512]);

#endif
