/* SPDX-License-Identifier: MIT
 * Times of two commands, a process of each in turn. What the machine does for longer than a pair
 * lasts meets both and cancels in the ratio; what it does for a moment spoils one pair, of which
 * the median takes little notice. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bootstrap.h"
#include "gate.h"
#include "stats.h"

enum { TIMES_MAX = 256, WARM = 2 };

static double quantile(double *x, size_t n, double q)
{
    dd_sort(x, n);
    return dd_quantile(x, n, q);
}

static double median(double *x, size_t n)
{
    return quantile(x, n, 0.5);
}

dd_side_of dd_gate_decide(const double *log_ratio, size_t n, double limit, double *low,
                          double *high)
{
    const dd_interval i = dd_bootstrap_median(log_ratio, n);
    *low = exp(i.low);
    *high = exp(i.high);
    return *low > limit ? DD_ABOVE : *high < limit ? DD_BELOW : DD_UNDECIDED;
}

/* The lower quartile of the times in work/out0: what others take of the machine only ever adds, so
 * that it varies half as much as the median. NaN: there are too few. */
static double time_of(const dd_gate *g)
{
    static const char key[] = "\"wall_ns\":";
    char path[DD_GATE_PATH + 8], line[4096];
    double ns[TIMES_MAX];
    size_t n = 0, seen = 0;
    (void)snprintf(path, sizeof path, "%s/out0", g->work);
    FILE *f = fopen(path, "r");
    while (f && n < TIMES_MAX && fgets(line, sizeof line, f)) {
        const char *at = strstr(line, key);
        if (at && seen++ >= WARM)
            ns[n++] = strtod(at + sizeof key - 1, NULL);
    }
    if (f)
        fclose(f);
    const double q = n ? quantile(ns, n, 0.25) : (double)NAN;
    return q > 0 ? q : (double)NAN;
}

static dd_gate_end time_one(const dd_gate *g, const dd_duel *duel, int which, double *ns,
                            char why[DD_GATE_WHY])
{
    const dd_gate_end end = dd_gate_run(g, duel->side[which], "", duel->command[which], 0, why);
    if (end != DD_GATE_RAN)
        return end;
    *ns = time_of(g);
    if (isnan(*ns)) {
        (void)snprintf(why, DD_GATE_WHY, "%.150s: no times", duel->command[which]);
        return DD_GATE_BROKE;
    }
    return DD_GATE_RAN;
}

dd_gate_end dd_duel_run(const dd_gate *g, const dd_duel *duel, dd_duel_result *out, int *loser,
                        char why[DD_GATE_WHY])
{
    double ns[2][DD_PAIRS_MAX], log_ratio[DD_PAIRS_MAX];
    dd_gate_end end = DD_GATE_RAN;
    uint32_t n = 0;
    *out = (dd_duel_result){.side = DD_UNDECIDED, .low = (double)NAN, .high = (double)NAN};
    dd_gate_hold(g, duel->cores);
    while (n < DD_PAIRS_MAX && out->side == DD_UNDECIDED) {
        for (int turn = 0; turn < 2; turn++) {
            *loser = (int)(n + (uint32_t)turn) % 2;
            end = time_one(g, duel, *loser, &ns[*loser][n], why);
            if (end != DD_GATE_RAN)
                goto done;
        }
        log_ratio[n] = log(ns[1][n] / ns[0][n]);
        n++;
        if (n >= duel->least && (n - duel->least) % DD_PAIRS_STRIDE == 0)
            out->side = dd_gate_decide(log_ratio, n, duel->limit, &out->low, &out->high);
        if (out->side == DD_ABOVE && n < DD_PAIRS_LOST)
            out->side = DD_UNDECIDED;
    }
    out->pairs = n;
    out->ns[0] = median(ns[0], n);
    out->ns[1] = median(ns[1], n);
    out->ratio = exp(median(log_ratio, n));
done:
    dd_gate_hold(g, 0);
    return end;
}
