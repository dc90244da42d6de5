/* SPDX-License-Identifier: MIT
 * The stand-in model and its serial answer. */
#include "ledger.h"

#include <string.h>

/* Depends on both operands and on their order. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t x = a * UINT64_C(0x9e3779b97f4a7c15) + (b ^ b >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    return x ^ x >> 32;
}

static uint64_t lane_gradient(const dd_ledger *l, uint32_t lane)
{
    uint64_t g = mix(lane, l->step);
    for (uint32_t w = 0; w < l->how->workers; w++)
        g = mix(g, l->slice[w]);
    return g;
}

/* ---- The serial answer: NUMERICS 7, written once more --------------------------------------- */

/* Folds of what is there; *n counts it. */
static uint64_t fold_present(uint64_t left, uint64_t n_left, uint64_t right, uint64_t n_right)
{
    return n_left == 0 ? right : n_right == 0 ? left : mix(left, right);
}

static uint64_t expected_root(const dd_ledger *l)
{
    uint64_t triangle[4], n[4];
    for (uint32_t t = 0; t < 4; t++) {
        triangle[t] = n[t] = 0;
        for (uint32_t p = 3 * t; p < 3 * t + 3; p++) {
            uint64_t present = l->weight[p] > 0;
            triangle[t] = fold_present(triangle[t], n[t], lane_gradient(l, p), present);
            n[t] += present;
        }
    }
    uint64_t left = fold_present(triangle[0], n[0], triangle[1], n[1]);
    uint64_t right = fold_present(triangle[2], n[2], triangle[3], n[3]);
    return fold_present(left, n[0] + n[1], right, n[2] + n[3]);
}

/* ---- Callbacks
 * ------------------------------------------------------------------------------------ */

static void read_model(const dd_ledger *l)
{
    DD_READ(&l->step, sizeof l->step);
    DD_READ(l->slice, sizeof l->slice);
}

static void count_run(dd_ledger *l, uint32_t lane)
{
    DD_WRITE(&l->runs[lane], sizeof l->runs[lane]);
    DD_CHECK(l->runs[lane] == 0, "a lane ran twice in a step", lane, l->step);
    l->runs[lane]++;
}

static void check_segment(const dd_ledger *l, uint32_t worker, uint32_t segment)
{
    uint32_t first, n = dd_plan_segments(l->plan, worker, &first);
    DD_CHECK(segment - first < n, "a lane writes a segment that is not its worker's", worker,
             segment);
}

static void run_lane(void *user, uint32_t worker, uint32_t lane, uint32_t segment, bool fold)
{
    dd_ledger *l = user;
    read_model(l);
    count_run(l, lane);
    check_segment(l, worker, segment);
    DD_WRITE(&l->segment[segment], sizeof l->segment[segment]);
    uint64_t g = lane_gradient(l, lane);
    l->segment[segment] = fold ? mix(l->segment[segment], g) : g;
}

static void fold_segments(void *user, uint32_t thread, uint32_t into, uint32_t from)
{
    dd_ledger *l = user;
    (void)thread;
    DD_READ(&l->segment[from], sizeof l->segment[from]);
    DD_WRITE(&l->segment[into], sizeof l->segment[into]);
    l->segment[into] = mix(l->segment[into], l->segment[from]);
}

static void take_root(void *user, uint32_t thread, uint32_t segment)
{
    dd_ledger *l = user;
    (void)thread;
    DD_READ(&l->segment[segment], sizeof l->segment[segment]);
    DD_WRITE(&l->roots, sizeof l->roots + sizeof l->root);
    l->roots++;
    l->root = l->segment[segment];
}

static bool decide(void *user, uint32_t segment)
{
    dd_ledger *l = user;
    DD_WRITE(&l->verdicts, 3 * sizeof l->verdicts);
    l->verdicts++;
    l->verdict = 0;
    if (segment == DD_NO_SEGMENT)
        return false;
    DD_READ(&l->segment[segment], sizeof l->segment[segment]);
    DD_READ(&l->roots, sizeof l->roots + sizeof l->root);
    DD_CHECK(l->roots == 1, "the root was not taken exactly once before the verdict", l->roots, 1);
    l->verdict = l->segment[segment];
    l->accepted = !l->how->discard || DD_CHOOSE(2, "is the gradient finite?");
    return l->accepted;
}

static void update_slice(void *user, uint32_t worker)
{
    dd_ledger *l = user;
    DD_READ(&l->verdict, sizeof l->verdict);
    DD_WRITE(&l->slice[worker], sizeof l->slice[worker]);
    l->slice[worker] = mix(l->slice[worker], l->verdict);
}

static void run_each(void *user, uint32_t worker, uint32_t lane, uint32_t segment)
{
    dd_ledger *l = user;
    read_model(l);
    count_run(l, lane);
    check_segment(l, worker, segment);
    DD_WRITE(&l->segment[segment], sizeof l->segment[segment]);
    l->segment[segment] = lane_gradient(l, lane);
}

dd_work dd_ledger_work_(dd_ledger *l)
{
    return (dd_work){.user = l,
                     .lane = run_lane,
                     .fold = fold_segments,
                     .root = take_root,
                     .verdict = decide,
                     .update = update_slice,
                     .each = run_each};
}

/* ---- The caller's side
 * ------------------------------------------------------------------------------ */

dd_status dd_ledger_open_(dd_ledger *l, const dd_team_case *how)
{
    memset(l, 0, sizeof *l);
    l->how = how;
    for (uint32_t p = 0; p < DD_POSITIONS; p++)
        l->weight[p] = how->lanes >> p & 1;
    for (uint32_t w = 0; w < how->workers; w++)
        l->slice[w] = w + 1;
    dd_placement(l->weight, how->workers, l->share);
    dd_status st = dd_plan_open(l->weight, how->workers, l->share, &l->plan);
    DD_CHECK(st != DD_OK || dd_plan_n_segments(l->plan) <= DD_LEDGER_SEGMENTS,
             "more segments than the ledger has", dd_plan_n_segments(l->plan), DD_LEDGER_SEGMENTS);
    return st;
}

void dd_ledger_close_(dd_ledger *l)
{
    dd_plan_close(l->plan);
}

void dd_ledger_begin_(dd_ledger *l)
{
    DD_WRITE(l, sizeof *l); /* nobody else is to have it in hand */
    l->step++;
    l->roots = l->root = l->verdicts = l->verdict = l->accepted = 0;
    memset(l->runs, 0, sizeof l->runs);
    memcpy(l->before, l->slice, sizeof l->before);
    l->expected = expected_root(l);
}

void dd_ledger_end_(dd_ledger *l, dd_status status)
{
    DD_WRITE(l, sizeof *l);
    uint64_t n_runs = 0, n_lanes = 0;
    for (uint32_t p = 0; p < DD_POSITIONS; p++) {
        DD_CHECK(l->runs[p] <= l->weight[p], "an empty lane ran", p, l->runs[p]);
        n_runs += l->runs[p];
        n_lanes += l->weight[p];
    }
    DD_CHECK(status != DD_OK || n_runs == n_lanes, "DD_OK, but not every lane ran", n_runs,
             n_lanes);
    DD_CHECK(status != DD_ERR_CANCELLED || n_runs < n_lanes, "cancelled, but every lane ran",
             n_runs, n_lanes);
    if (l->how->each)
        return;

    DD_CHECK(l->verdicts == 1, "not one verdict in a step", l->verdicts, status);
    DD_CHECK(status == DD_OK || !l->accepted, "an update after a failed step", status, 0);
    if (status == DD_OK) {
        DD_CHECK(l->roots == 1, "DD_OK, but not one root", l->roots, 1);
        DD_CHECK(l->root == l->expected && l->verdict == l->expected,
                 "the root is not the serial answer", l->root, l->expected);
    }
    for (uint32_t w = 0; w < l->how->workers; w++) {
        uint64_t right = l->accepted ? mix(l->before[w], l->expected) : l->before[w];
        DD_CHECK(l->slice[w] == right, "a slice was not updated exactly as the verdict said", w,
                 l->accepted);
    }
}
