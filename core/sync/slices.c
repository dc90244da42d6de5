/* SPDX-License-Identifier: MIT
 * Slices in proportion to speed. */
#include "slices.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "platform.h"

#define SMOOTHING 0.25 /* of the way to a new measurement */
#define MOST_MOVE 0.25 /* of the speed as it was */
#define WORTH 0.95     /* of the old time: new cuts must be at least as good */
#define LEAST_PART 4   /* a slice is at least this part of an even one */

dd_status dd_slices_open(dd_slices *s, uint32_t n_workers, uint64_t n_blocks)
{
    assert(n_workers >= 1);
    *s = (dd_slices){.n_workers = n_workers, .n_blocks = n_blocks};
    s->first = dd_alloc((n_workers + (size_t)1) * sizeof *s->first);
    s->next = dd_alloc((n_workers + (size_t)1) * sizeof *s->next);
    s->speed = dd_alloc(n_workers * sizeof *s->speed);
    if (!s->first || !s->next || !s->speed) {
        dd_slices_close(s);
        return DD_ERR_MEMORY;
    }
    /* floor(w n / W) without a product that could overflow */
    const uint64_t even = n_blocks / n_workers, rest = n_blocks % n_workers;
    for (uint32_t w = 0; w <= n_workers; w++)
        s->first[w] = w * even + w * rest / n_workers;
    return DD_OK;
}

void dd_slices_close(dd_slices *s)
{
    dd_free(s->first);
    dd_free(s->next);
    dd_free(s->speed);
    *s = (dd_slices){0};
}

/* Takes the measurements in. returns  mean of the known speeds, 0 if there is none */
static double measure(dd_slices *s, const uint64_t *ns)
{
    double sum = 0;
    uint32_t n_known = 0;
    for (uint32_t w = 0; w < s->n_workers; w++) {
        const uint64_t blocks = s->first[w + 1] - s->first[w];
        double *speed = &s->speed[w];
        if (ns[w] > 0 && blocks > 0) {
            const double measured = (double)blocks / (double)ns[w];
            double move = SMOOTHING * (measured - *speed);
            if (move > MOST_MOVE * *speed)
                move = MOST_MOVE * *speed;
            *speed = *speed > 0 ? *speed + move : measured;
        }
        sum += *speed;
        n_known += *speed > 0;
    }
    return n_known ? sum / n_known : 0;
}

static double speed_of(const dd_slices *s, uint32_t w, double mean)
{
    return s->speed[w] > 0 ? s->speed[w] : mean;
}

/* The time in which all slices would be done, were blocks divisible: worker w gets time * speed of
 * them, `least` at least, all of them together n_blocks. Whoever falls below `least` gets that,
 * which leaves less to the others: so the time only shrinks, and settles when nobody else falls
 * below. */
static double common_time(const dd_slices *s, uint64_t least, double mean)
{
    double time = HUGE_VAL;
    for (;;) {
        uint64_t rest = s->n_blocks;
        double sum = 0;
        for (uint32_t w = 0; w < s->n_workers; w++) {
            const double speed = speed_of(s, w, mean);
            if (time * speed <= (double)least)
                rest -= least;
            else
                sum += speed;
        }
        const double next = sum > 0 ? (double)rest / sum : time;
        if (!(next < time))
            return time;
        time = next;
    }
}

/* Where worker w's slice ends, when those up to w get `more` blocks above `least` between them. */
static uint64_t end_of(const dd_slices *s, uint32_t w, uint64_t least, double more)
{
    const uint64_t spare = s->n_blocks - least * s->n_workers;
    uint64_t whole = (uint64_t)(more + 0.5);
    if (whole > spare || w + 1 == s->n_workers)
        whole = spare;
    return (w + 1) * least + whole;
}

static double slowest(const dd_slices *s, const uint64_t *first, double mean)
{
    double most = 0;
    for (uint32_t w = 0; w < s->n_workers; w++) {
        const double time = (double)(first[w + 1] - first[w]) / speed_of(s, w, mean);
        most = time > most ? time : most;
    }
    return most;
}

void dd_slices_adapt(dd_slices *s, const uint64_t *ns)
{
    const double mean = measure(s, ns);
    if (!(mean > 0) || s->n_blocks < s->n_workers)
        return;
    const uint64_t parts = LEAST_PART * (uint64_t)s->n_workers;
    const uint64_t least = (s->n_blocks + parts - 1) / parts;
    const double time = common_time(s, least, mean);
    double more = 0;
    for (uint32_t w = 0; w < s->n_workers; w++) {
        const double above = time * speed_of(s, w, mean) - (double)least;
        more += above > 0 ? above : 0;
        s->next[w + 1] = end_of(s, w, least, more);
    }
    if (slowest(s, s->next, mean) <= WORTH * slowest(s, s->first, mean))
        memcpy(s->first, s->next, (s->n_workers + (size_t)1) * sizeof *s->first);
}
