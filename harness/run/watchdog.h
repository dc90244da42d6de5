/* SPDX-License-Identifier: MIT
 * A limit on time without progress. Pure arithmetic: the caller brings the clock and the beat. Time
 * during which the watcher itself did not look (stopped, or starved of CPU) is not held against the
 * watched. */
#ifndef DD_WATCHDOG_H
#define DD_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

typedef struct dd_watchdog {
    uint64_t limit_ns;
    uint64_t most_per_look_ns; /* what one look can add */
    uint64_t beat;
    uint64_t looked_ns;
    uint64_t quiet_ns;
} dd_watchdog;

/* period_ns: how often the caller means to look. */
void dd_watchdog_start(dd_watchdog *w, uint64_t limit_ns, uint64_t period_ns, uint64_t now_ns);
/* returns  true once the beat has been the same for the limit                              */
bool dd_watchdog_look(dd_watchdog *w, uint64_t beat, uint64_t now_ns);

#endif
