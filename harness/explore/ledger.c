/* SPDX-License-Identifier: MIT
 * The stand-in model and its serial answer. */
#include "ledger.h"

#include <string.h>

uint32_t dd_ledger_segments_(const dd_team_case *how)
{
    return how->max_segments ? how->max_segments : DD_LEDGER_SEGMENTS;
}

size_t dd_ledger_bytes_(const dd_team_case *how)
{
    return sizeof(dd_ledger) + dd_ledger_segments_(how) * DD_LEDGER_BLOCKS * sizeof(uint64_t);
}

/* What stands for a value that is not finite: every fold with it is not finite either. */
#define SPOILT UINT64_MAX

/* Depends on both operands and on their order. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    if (a == SPOILT || b == SPOILT)
        return SPOILT;
    uint64_t x = a * UINT64_C(0x9e3779b97f4a7c15) + (b ^ b >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    return x ^ x >> 32;
}

/* A lane's gradient, of one block: all weights have a part in it. */
static uint64_t lane_gradient(const uint64_t *model, uint32_t lane, uint32_t block)
{
    uint64_t g = mix(lane, block);
    for (uint32_t b = 0; b < DD_LEDGER_BLOCKS; b++)
        g = mix(g, model[b]);
    return g;
}

/* ---- The serial answer: NUMERICS 7, written once more ---------------------------------------- */

/* Folds of what is there; n counts it. */
static uint64_t fold_present(uint64_t left, uint64_t n_left, uint64_t right, uint64_t n_right)
{
    return n_left == 0 ? right : n_right == 0 ? left : mix(left, right);
}

static uint64_t expected_gradient(const dd_ledger *l, uint32_t block)
{
    uint64_t triangle[4], n[4];
    for (uint32_t t = 0; t < 4; t++) {
        triangle[t] = n[t] = 0;
        for (uint32_t p = 3 * t; p < 3 * t + 3; p++) {
            uint64_t present = l->weight[p] > 0;
            triangle[t] =
                fold_present(triangle[t], n[t], lane_gradient(l->model, p, block), present);
            n[t] += present;
        }
    }
    uint64_t left = fold_present(triangle[0], n[0], triangle[1], n[1]);
    uint64_t right = fold_present(triangle[2], n[2], triangle[3], n[3]);
    return fold_present(left, n[0] + n[1], right, n[2] + n[3]);
}

/* ---- Callbacks ------------------------------------------------------------------------------- */

static void begin_generation(void *user, dd_request request)
{
    dd_ledger *l = user;
    (void)request;
    DD_WRITE(l, dd_ledger_bytes_(l->how)); /* nobody else is to have it in hand */
    l->begun++;
    l->roots = l->verdicts = l->accepted = 0;
    memset(l->gradient, 0, sizeof l->gradient);
    memset(l->runs, 0, sizeof l->runs);
    memset(l->spoilt, 0, sizeof l->spoilt);
    memset(l->segment, 0, dd_ledger_segments_(l->how) * sizeof l->segment[0]);
    memcpy(l->before, l->model, sizeof l->before);
    for (uint32_t b = 0; b < DD_LEDGER_BLOCKS; b++)
        l->expected[b] = expected_gradient(l, b);
}

static void end_generation(void *user, dd_request request)
{
    dd_ledger *l = user;
    (void)request;
    DD_WRITE(l, dd_ledger_bytes_(l->how)); /* nobody is to have it in hand any more */
    l->ended++;
    DD_CHECK(l->ended == l->begun, "not one end for each begin", l->ended, l->begun);
}

static void count_run(dd_ledger *l, uint32_t lane)
{
    DD_READ(l->model, sizeof l->model);
    DD_WRITE(&l->runs[lane], sizeof l->runs[lane]);
    DD_CHECK(l->runs[lane] == 0, "a lane ran twice in a step", lane, l->begun);
    l->runs[lane]++;
}

static void run_lane(dd_ledger *l, uint32_t lane, uint32_t segment, bool fold)
{
    count_run(l, lane);
    uint64_t *row = l->segment[segment];
    DD_WRITE(row, sizeof l->segment[segment]);
    if (l->how->spoils) {
        DD_WRITE(&l->spoilt[lane], sizeof l->spoilt[lane]);
        l->spoilt[lane] = DD_CHOOSE(2, "has the lane's gradient a value that is not finite?");
    }
    for (uint32_t b = 0; b < DD_LEDGER_BLOCKS; b++) {
        const uint64_t g = l->spoilt[lane] ? SPOILT : lane_gradient(l->model, lane, b);
        row[b] = fold ? mix(row[b], g) : g;
    }
}

static void run_lanes(void *user, uint32_t worker, uint32_t lane, uint32_t n_lanes,
                      uint32_t segment, bool fold)
{
    dd_ledger *l = user;
    (void)worker;
    DD_CHECK(n_lanes == 1 || l->how->reduce == DD_REDUCE_OWNER, "several lanes at once", lane,
             n_lanes);
    DD_CHECK(!fold || l->how->reduce != DD_REDUCE_OWNER, "a fold before Point B", lane, segment);
    for (; n_lanes > 0; lane++)
        if (l->weight[lane]) {
            run_lane(l, lane, segment++, fold);
            n_lanes--;
        }
}

static void run_each(void *user, uint32_t worker, uint32_t lane, uint32_t segment)
{
    (void)worker;
    run_lane(user, lane, segment, false);
}

static void fold_blocks(dd_ledger *l, dd_fold_pair pair, uint64_t first, uint64_t last)
{
    uint64_t *into = l->segment[pair.into], *from = l->segment[pair.from];
    DD_READ(&from[first], (last - first) * sizeof *from);
    DD_WRITE(&into[first], (last - first) * sizeof *into);
    for (uint64_t b = first; b < last; b++)
        into[b] = mix(into[b], from[b]);
}

static void fold_segments(void *user, uint32_t thread, uint32_t into, uint32_t from)
{
    dd_ledger *l = user;
    (void)thread;
    DD_CHECK(l->how->reduce != DD_REDUCE_OWNER, "a fold before Point B", into, from);
    fold_blocks(l, (dd_fold_pair){into, from}, 0, DD_LEDGER_BLOCKS);
}

static void let_go(void *user, uint32_t thread, uint32_t segment)
{
    (void)thread;
    const dd_ledger *l = user;
    DD_READ(l->segment[segment], sizeof l->segment[segment]); /* it is still the thread's */
}

static void take_root(void *user, uint32_t thread, uint32_t segment)
{
    dd_ledger *l = user;
    (void)thread;
    DD_READ(l->segment[segment], sizeof l->segment[segment]);
    DD_WRITE(&l->roots, sizeof l->roots);
    l->roots++;
}

/* `owner`: whatever lanes left is read whole, and stays as it is. */
static void own_slice(dd_ledger *l, const dd_fold_pair *list, uint32_t n, uint32_t root,
                      uint64_t first, uint64_t last)
{
    uint64_t value[DD_LEDGER_MOST];
    const uint32_t n_segments = dd_ledger_segments_(l->how);
    DD_READ(l->segment, n_segments * sizeof l->segment[0]);
    DD_WRITE(&l->owned[first], (last - first) * sizeof *l->owned);
    for (uint64_t b = first; b < last; b++) {
        for (uint32_t s = 0; s < n_segments; s++)
            value[s] = l->segment[s][b];
        for (uint32_t i = 0; i < n; i++)
            value[list[i].into] = mix(value[list[i].into], value[list[i].from]);
        l->owned[b] = value[root];
    }
}

static void fold_slice(void *user, uint32_t worker, const dd_fold_pair *list, uint32_t n,
                       uint32_t root, uint64_t first, uint64_t last)
{
    dd_ledger *l = user;
    (void)worker;
    DD_READ(list, n * sizeof *list);
    DD_READ(l->runs, sizeof l->runs);
    for (uint32_t p = 0; p < DD_POSITIONS; p++)
        DD_CHECK(l->runs[p] == (l->weight[p] > 0), "slices of a step that lacks a lane", p, n);
    if (l->how->reduce == DD_REDUCE_OWNER) {
        own_slice(l, list, n, root, first, last);
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        fold_blocks(l, list[i], first, last);
}

static bool decide(void *user, uint32_t segment)
{
    dd_ledger *l = user;
    DD_WRITE(&l->verdicts, 2 * sizeof l->verdicts + sizeof l->gradient);
    l->verdicts++;
    if (segment == DD_NO_SEGMENT)
        return false;
    DD_READ(&l->roots, sizeof l->roots);
    const uint64_t roots = !dd_reduce_slices(l->how->reduce);
    DD_CHECK(l->roots == roots, "the root was not taken as often as it should", l->roots, roots);
    const uint64_t *gradient = l->how->reduce == DD_REDUCE_OWNER ? l->owned : l->segment[segment];
    DD_READ(gradient, sizeof l->gradient);
    memcpy(l->gradient, gradient, sizeof l->gradient);
    l->accepted = !l->how->discard || DD_CHOOSE(2, "is the gradient finite?");
    for (uint32_t b = 0; b < DD_LEDGER_BLOCKS; b++)
        l->accepted &= l->gradient[b] != SPOILT;
    return l->accepted;
}

static void update(void *user, uint32_t worker, uint64_t first, uint64_t last)
{
    dd_ledger *l = user;
    (void)worker;
    DD_READ(l->gradient, sizeof l->gradient);
    DD_WRITE(&l->model[first], (last - first) * sizeof *l->model);
    for (uint64_t b = first; b < last; b++)
        l->model[b] = mix(l->model[b], l->gradient[b]);
}

dd_work dd_ledger_work_(dd_ledger *l)
{
    return (dd_work){.user = l,
                     .begin = begin_generation,
                     .end = end_generation,
                     .lane = run_lanes,
                     .fold = fold_segments,
                     .let_go = let_go,
                     .root = take_root,
                     .slice = fold_slice,
                     .verdict = decide,
                     .update = update,
                     .each = run_each};
}

/* ---- The caller's side ----------------------------------------------------------------------- */

void dd_ledger_open_(dd_ledger *l, const dd_team_case *how)
{
    memset(l, 0, dd_ledger_bytes_(how));
    l->how = how;
    for (uint32_t p = 0; p < DD_POSITIONS; p++)
        l->weight[p] = (how->lanes >> p & 1) * (DD_LEDGER_TOKENS << (how->heavy >> p & 1));
    for (uint32_t b = 0; b < DD_LEDGER_BLOCKS; b++)
        l->model[b] = b + 1;
}

uint64_t dd_ledger_begin_(const dd_ledger *l)
{
    return l->begun;
}

/* What a generation that was begun has left behind. */
static void check_generation(const dd_ledger *l, dd_status status)
{
    const uint64_t n_lanes = (uint64_t)__builtin_popcount(l->how->lanes);
    uint64_t n_runs = 0, n_spoilt = 0;
    for (uint32_t p = 0; p < DD_POSITIONS; p++) {
        n_spoilt += l->spoilt[p];
        DD_CHECK(!l->runs[p] || l->weight[p], "an empty lane ran", p, l->runs[p]);
        n_runs += l->runs[p];
    }
    const bool cut_short = status == DD_ERR_CANCELLED || status == DD_ERR_STOPPED;
    DD_CHECK(status != DD_OK || n_runs == n_lanes, "DD_OK, but not every lane ran", n_runs,
             n_lanes);
    DD_CHECK(!cut_short || n_runs < n_lanes, "cut short, but every lane ran", n_runs, n_lanes);
    if (l->how->each)
        return;

    DD_CHECK(l->verdicts == 1, "not one verdict in a step", l->verdicts, status);
    DD_CHECK(status == DD_OK || !l->accepted, "an update after a failed step", status, 0);
    for (uint32_t b = 0; b < DD_LEDGER_BLOCKS; b++) {
        const uint64_t gradient = n_spoilt ? SPOILT : l->expected[b];
        DD_CHECK(status != DD_OK || l->gradient[b] == gradient,
                 "the gradient is not the serial answer", l->gradient[b], gradient);
        const uint64_t right = l->accepted ? mix(l->before[b], l->expected[b]) : l->before[b];
        DD_CHECK(l->model[b] == right, "a block was not updated exactly as the verdict said", b,
                 l->accepted);
    }
}

void dd_ledger_end_(dd_ledger *l, uint64_t begun_before, dd_status status)
{
    DD_READ(l, dd_ledger_bytes_(l->how));
    if (l->begun == begun_before + 1)
        check_generation(l, status);
    else
        DD_CHECK(l->begun == begun_before && status != DD_OK, "DD_OK, and nothing begun", status,
                 l->begun);
}
