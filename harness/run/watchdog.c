/* SPDX-License-Identifier: MIT
 * The watchdog's arithmetic. */
#include "watchdog.h"

void dd_watchdog_start(dd_watchdog *w, uint64_t limit_ns, uint64_t period_ns, uint64_t now_ns)
{
    *w =
        (dd_watchdog){.limit_ns = limit_ns, .most_per_look_ns = 4 * period_ns, .looked_ns = now_ns};
}

bool dd_watchdog_look(dd_watchdog *w, uint64_t beat, uint64_t now_ns)
{
    uint64_t passed_ns = now_ns - w->looked_ns;
    if (passed_ns > w->most_per_look_ns)
        passed_ns = w->most_per_look_ns;
    w->looked_ns = now_ns;
    if (beat != w->beat) {
        w->beat = beat;
        w->quiet_ns = 0;
        return false;
    }
    w->quiet_ns += passed_ns;
    return w->quiet_ns >= w->limit_ns;
}
