/* SPDX-License-Identifier: MIT
 * Placement of lanes on workers, in two phases: the least largest load by bisection, then the best
 * cuts under that load by dynamic programming. Exact, in integers. */
#include "placement.h"

#include <assert.h>
#include <string.h>

#include "platform.h"
#include "runs.h"

/* A cut at i stands before non-empty lane i. Of n lanes dealt to W workers, worker w can begin at
 * cuts w .. w + n - W only: everybody before and after has a lane. */
typedef struct deal {
    dd_runs runs;
    uint32_t n_workers;    /* with a lane: none is idle */
    const uint32_t *speed; /* NULL: all the same */
    uint64_t *most;       /* (n_workers) tokens that a worker can take under the load in question */
    bool *here, *next;    /* (n + 1) cuts that can be reached */
    uint32_t *last;       /* (n_workers + 1) last cut where worker w can begin; [n_workers]: end */
    uint16_t *end;        /* (n_workers, n - n_workers + 1) where worker w's best run from cut
                             w + k ends */
    int32_t *best, *rest; /* (n + 1) most contacts of worker w and all after it, of those after it,
                             beginning at a cut; IMPOSSIBLE */
    void *memory;
} deal;

enum { IMPOSSIBLE = -1 };

static uint64_t load_of(const deal *d, uint32_t worker, uint64_t tokens)
{
    return d->speed ? (tokens << 16) / d->speed[worker] : tokens;
}

static void set_load(deal *d, uint64_t load)
{
    const uint64_t all = d->runs.before[d->runs.n];
    for (uint32_t w = 0; w < d->n_workers; w++) {
        if (load_of(d, w, all) <= load)
            d->most[w] = all;
        else /* floor(tokens 2^16 / speed) <= load; the product is at most all * 2^16 */
            d->most[w] = d->speed ? ((load + 1) * d->speed[w] - 1) >> 16 : load;
    }
}

/* The furthest end of worker w's run from i; i itself if it cannot even take one lane. `hint` is
 * the furthest end for an earlier i without regard to segments, and is moved on. */
static uint32_t furthest(const deal *d, uint32_t w, uint32_t i, uint32_t *hint)
{
    const dd_runs *r = &d->runs;
    if (*hint < i)
        *hint = i;
    while (*hint < r->n && r->before[*hint + 1] - r->before[i] <= d->most[w])
        ++*hint;
    return *hint < r->reach[i] ? *hint : r->reach[i];
}

/* Whether the load that was set can be kept: from the cuts where worker w can begin to those where
 * the next can. */
static bool feasible(deal *d)
{
    const uint32_t n = d->runs.n, W = d->n_workers;
    memset(d->here, 0, (n + 1) * sizeof *d->here);
    d->here[0] = true;
    d->last[0] = 0;
    for (uint32_t w = 0; w < W; w++) {
        memset(d->next, 0, (n + 1) * sizeof *d->next);
        uint32_t hint = 0, done = w; /* ends up to `done` are marked as far as they can be */
        const uint32_t most = w + 1 + n - W;
        for (uint32_t i = w; i <= d->last[w] && done < most; i++) {
            if (!d->here[i])
                continue;
            uint32_t end = furthest(d, w, i, &hint);
            end = end < most ? end : most;
            for (uint32_t j = (done > i ? done : i) + 1; j <= end; j++)
                d->next[j] = true;
            done = end > done ? end : done;
        }
        if (done == w)
            return false;
        d->last[w + 1] = done;
        bool *swap = d->here;
        d->here = d->next;
        d->next = swap;
    }
    return d->last[W] == n;
}

/* Upwards from a load that all workers together could just take, then by bisection. */
static void least_largest_load(deal *d)
{
    const uint64_t all = d->runs.before[d->runs.n];
    uint64_t together = 0;
    for (uint32_t w = 0; w < d->n_workers; w++)
        together += d->speed ? d->speed[w] : 1;
    /* each has tokens * 2^16 < (load + 1) * speed: so together all * 2^16 < (load + 1) * together
     */
    uint64_t low = d->speed ? (all << 16) / together : (all - 1) / together + 1;

    uint64_t load = low, step = low / 64 + 1;
    while (set_load(d, load), !feasible(d)) {
        low = load + 1;
        load += step;
        step *= 2;
    }
    while (low < load) {
        const uint64_t middle = low + (load - low) / 2;
        set_load(d, middle);
        if (feasible(d))
            load = middle;
        else
            low = middle + 1;
    }
    set_load(d, load);
    (void)feasible(d); /* for `last` */
}

/* From the last worker to the first, so that of equally good cuts the earliest can be chosen. */
static void best_cuts(deal *d)
{
    const dd_runs *r = &d->runs;
    const uint32_t n = r->n, W = d->n_workers, width = n - W + 1;
    for (uint32_t i = 0; i <= n; i++)
        d->rest[i] = i == n ? 0 : IMPOSSIBLE;
    for (uint32_t w = W; w-- > 0;) {
        for (uint32_t i = 0; i <= n; i++)
            d->best[i] = IMPOSSIBLE;
        uint32_t hint = 0;
        for (uint32_t i = w; i <= d->last[w]; i++) {
            const uint32_t end = furthest(d, w, i, &hint);
            int32_t inside = 0;
            for (uint32_t j = i + 1; j <= end; j++) {
                for (uint32_t c = r->ends[j - 1]; c < r->ends[j]; c++)
                    inside += r->start[c] >= i;
                if (d->rest[j] != IMPOSSIBLE && d->rest[j] + inside > d->best[i]) {
                    d->best[i] = d->rest[j] + inside;
                    d->end[w * width + i - w] = (uint16_t)j;
                }
            }
        }
        int32_t *swap = d->best;
        d->best = d->rest;
        d->rest = swap;
    }
}

static dd_status deal_open(deal *d)
{
    const uint32_t n = d->runs.n, W = d->n_workers;
    const size_t n_ends = (size_t)W * (n - W + 1);
    char *memory =
        dd_alloc(W * sizeof *d->most + 2 * (n + 1) * sizeof *d->best + (W + 1) * sizeof *d->last +
                 n_ends * sizeof *d->end + 2 * (n + 1) * sizeof *d->here);
    if (!memory)
        return DD_ERR_MEMORY;
    d->memory = memory;
    d->most = (uint64_t *)(void *)memory;
    d->best = (int32_t *)(void *)(d->most + W);
    d->rest = d->best + n + 1;
    d->last = (uint32_t *)(void *)(d->rest + n + 1);
    d->end = (uint16_t *)(void *)(d->last + W + 1);
    d->here = (bool *)(void *)(d->end + n_ends);
    d->next = d->here + n + 1;
    return DD_OK;
}

dd_status dd_placement(const uint64_t *weight, uint32_t lane_depth, uint32_t n_workers,
                       const uint32_t *speed, dd_share *share)
{
    assert(lane_depth >= 1 && lane_depth <= 3 && n_workers >= 1);
    deal d = {.speed = speed};
    dd_status st = dd_runs_open(weight, lane_depth, &d.runs);
    if (st != DD_OK)
        return st;
    const uint32_t n = d.runs.n;
    d.n_workers = n_workers < n ? n_workers : n;
    if (n > 0 && (st = deal_open(&d)) != DD_OK)
        goto done;

    memset(share, 0, n_workers * sizeof *share);
    if (n == 0)
        goto done;
    least_largest_load(&d);
    best_cuts(&d);
    uint32_t i = 0;
    for (uint32_t w = 0; w < d.n_workers; w++) {
        const uint32_t j = d.end[w * (n - d.n_workers + 1) + i - w];
        assert(j > i);
        const uint32_t first = d.runs.lane[i], last = d.runs.lane[j - 1];
        share[w] = (dd_share){.first = first,
                              .count = last + 1 - first,
                              .n_lanes = j - i,
                              .tokens = d.runs.before[j] - d.runs.before[i]};
        i = j;
    }
    assert(i == n);

done:
    dd_free(d.memory);
    dd_runs_close(&d.runs);
    return st;
}

/* Whether the sphere whose n lanes begin at `lane` has non-empty ones, and all of them in the run.
 */
static bool all_inside(uint32_t lane, uint32_t n, uint32_t first, uint32_t count,
                       const uint64_t *weight)
{
    bool any = false;
    for (uint32_t l = lane; l < lane + n; l++) {
        if (weight[l] && (l < first || l >= first + count))
            return false;
        any |= weight[l] > 0;
    }
    return any;
}

uint32_t dd_contacts_inside(uint32_t first, uint32_t count, const uint64_t *weight,
                            uint32_t lane_depth)
{
    assert(first + count <= dd_power_of_12(lane_depth));
    uint32_t n = 0;
    for (uint32_t level = 1; level <= lane_depth && count > 0; level++) {
        const uint32_t n_inside = dd_power_of_12(lane_depth - level);
        const uint32_t of_parent = n_inside * DD_POSITIONS;
        for (uint32_t parent = first / of_parent; parent <= (first + count - 1) / of_parent;
             parent++) {
            bool inside[DD_POSITIONS];
            for (uint32_t p = 0; p < DD_POSITIONS; p++)
                inside[p] =
                    all_inside(parent * of_parent + p * n_inside, n_inside, first, count, weight);
            for (uint32_t a = 0; a < DD_POSITIONS; a++)
                for (uint32_t b = a + 1; b < DD_POSITIONS; b++)
                    n += inside[a] && inside[b] && dd_in_contact(a, b);
        }
    }
    return n;
}
