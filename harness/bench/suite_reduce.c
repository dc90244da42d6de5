/* SPDX-License-Identifier: MIT
 * Reductions as benchmarks: twelve lanes' gradients become one, by the team's own threads and step
 * protocol, with nothing else in the step. A lane's backward pass is stood for by a copy of values
 * that lie ready (or, where the team wants it folded, by a fold of them), so that every way reads
 * the same twelve arrays once and what differs is how often sums are written and read again, and
 * who waits for whom.
 *
 *   tree, control, sliced, owner   the trainer's own
 *   one-thread                     every lane into a buffer of its own; then the caller adds them
 * all lock                           every worker sums its lanes, then adds that to the sum of all,
 *                                  under a lock
 *
 * The values are small whole numbers: whatever the order, the sum has one right value for each
 * element, and it is compared before anything is timed. */
#include "suite.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "barriers.h"
#include "kernels.h"
#include "platform.h"
#include "team.h"

enum {
    LANES = DD_POSITIONS,
    BLOCK = DD_NORM_BLOCK,
    BLOCKS = 256,
    FLOATS = BLOCKS * BLOCK, /* 4 MiB, about nano's: twelve are more than a core caches */
};

typedef enum way { TEAM, ONE_THREAD, LOCK } way;

typedef struct contender {
    const char *name;
    way way;
    dd_reduce reduce; /* of TEAM */
} contender;

typedef struct rig {
    const dd_kernels *set;
    way way;
    bool owner;
    dd_team *team;
    float *source[LANES];
    uint32_t n_segments;
    float **segment;    /* (n_segments) each one writer at a time, as the plan has it */
    float *scratch;     /* (workers, LANES, BLOCK) of slices */
    float *sum;         /* owner: by slices; LOCK: under lock */
    const float *whole; /* where the last request left it */
    pthread_mutex_t lock;
    uint32_t n_added;       /* LOCK: under lock */
    const dd_share *share;  /* LOCK */
    uint32_t n_done[LANES]; /* LOCK: each worker its own */
} rig;

/* ---- What the team calls ---- */

static void store(const rig *r, uint32_t lane, float *to)
{
    memcpy(to, r->source[lane], FLOATS * sizeof *to);
}

static void lane(void *user, uint32_t worker, uint32_t number, uint32_t n_lanes, uint32_t segment,
                 bool fold)
{
    const rig *r = user;
    (void)worker, (void)n_lanes;
    if (r->owner)
        return; /* what slices read is there already */
    if (fold)
        r->set->fold(FLOATS, r->segment[segment], r->source[number]);
    else
        store(r, number, r->segment[segment]);
}

static void fold(void *user, uint32_t thread, uint32_t into, uint32_t from)
{
    const rig *r = user;
    (void)thread;
    r->set->fold(FLOATS, r->segment[into], r->segment[from]);
}

static void root(void *user, uint32_t thread, uint32_t segment)
{
    rig *r = user;
    (void)thread;
    r->whole = r->segment[segment];
}

/* One block of all folds; sums that are not the last stay in the scratch, in the nearest cache. */
static void fold_block(const rig *r, const dd_fold_pair *list, uint32_t n, size_t at,
                       float *scratch, float *out)
{
    const float *now[LANES];
    for (uint32_t i = 0; i < LANES; i++) {
        const float *operand = r->owner ? r->source[i] : i < r->n_segments ? r->segment[i] : NULL;
        now[i] = operand ? operand + at : NULL;
    }
    for (uint32_t i = 0; i < n; i++) {
        float *to = i + 1 < n ? scratch + list[i].into * BLOCK : out;
        r->set->add(BLOCK, now[list[i].into], now[list[i].from], to);
        now[list[i].into] = to;
    }
}

static void slice(void *user, uint32_t worker, const dd_fold_pair *list, uint32_t n, uint32_t to,
                  uint64_t first, uint64_t last)
{
    const rig *r = user;
    float *scratch = r->scratch + (size_t)worker * LANES * BLOCK;
    float *out = r->owner ? r->sum : r->segment[to];
    for (uint64_t b = first; b < last; b++)
        fold_block(r, list, n, b * BLOCK, scratch, out + b * BLOCK);
}

static bool verdict(void *user, uint32_t segment)
{
    rig *r = user;
    if (segment != DD_NO_SEGMENT)
        r->whole = r->owner ? r->sum : r->segment[segment];
    return true;
}

static void update(void *user, uint32_t worker, uint64_t first, uint64_t last)
{
    (void)user, (void)worker, (void)first, (void)last;
}

/* A worker's lanes into its own buffer; with the last of them that is added to the sum. */
static void lane_under_lock(rig *r, uint32_t worker, uint32_t number)
{
    float *own = r->segment[worker];
    if (r->n_done[worker] == 0)
        store(r, number, own);
    else
        r->set->fold(FLOATS, own, r->source[number]);
    if (++r->n_done[worker] < r->share[worker].n_lanes)
        return;
    r->n_done[worker] = 0;
    pthread_mutex_lock(&r->lock);
    if (r->n_added++ == 0)
        memcpy(r->sum, own, FLOATS * sizeof *own);
    else
        r->set->fold(FLOATS, r->sum, own);
    pthread_mutex_unlock(&r->lock);
}

static void each(void *user, uint32_t worker, uint32_t number, uint32_t segment)
{
    rig *r = user;
    (void)segment;
    if (r->way == LOCK)
        lane_under_lock(r, worker, number);
    else
        store(r, number, r->segment[number]);
}

/* ---- Opening ---- */

static bool open_team(rig *r, const contender *c, uint32_t n_workers)
{
    static const uint64_t weight[LANES] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const dd_work work = {.user = r,
                          .lane = lane,
                          .fold = fold,
                          .root = root,
                          .slice = slice,
                          .verdict = verdict,
                          .update = update,
                          .each = each};
    const dd_team_options options = {.barrier = DD_BARRIER_TREE,
                                     .reduce = c->way == TEAM ? c->reduce : DD_REDUCE_TREE,
                                     .cores = dd_bench_cores(),
                                     .max_workers = n_workers,
                                     .max_segments = DD_PLAN_SEGMENTS(1) * n_workers,
                                     .n_blocks = BLOCKS};
    dd_hierarchy *hierarchy;
    return dd_hierarchy_open(1, n_workers, &hierarchy) == DD_OK &&
           dd_team_open(hierarchy, weight, 1, &work, &options, &r->team) == DD_OK;
}

static bool open_arrays(rig *r, uint32_t n_workers)
{
    dd_membership now;
    dd_team_membership(r->team, &now);
    r->share = now.share;
    r->n_segments = r->way != TEAM ? LANES : r->owner ? 0 : dd_plan_n_segments(now.plan);
    r->segment = dd_alloc((r->n_segments + 1) * sizeof *r->segment);
    r->scratch = dd_alloc((size_t)n_workers * LANES * BLOCK * sizeof *r->scratch);
    r->sum = dd_alloc(FLOATS * sizeof *r->sum);
    if (!r->segment || !r->scratch || !r->sum)
        return false;
    for (uint32_t s = 0; s < r->n_segments; s++)
        if (!(r->segment[s] = dd_alloc(FLOATS * sizeof **r->segment)))
            return false;
    for (uint32_t l = 0; l < LANES; l++) {
        if (!(r->source[l] = dd_alloc(FLOATS * sizeof *r->source[l])))
            return false;
        for (uint32_t i = 0; i < FLOATS; i++)
            r->source[l][i] = (float)((i * 7 + l * 13) % 251) - 125;
    }
    return true;
}

static bool open(rig *r, const contender *c, uint32_t n_workers)
{
    *r = (rig){.set = dd_kernels_select(DD_SIMD_AUTO, NULL),
               .way = c->way,
               .owner = c->way == TEAM && c->reduce == DD_REDUCE_OWNER};
    pthread_mutex_init(&r->lock, NULL);
    return open_team(r, c, n_workers) && open_arrays(r, n_workers);
}

static void close(rig *r)
{
    dd_team_close(r->team);
    for (uint32_t s = 0; r->segment && s < r->n_segments; s++)
        dd_free(r->segment[s]);
    for (uint32_t l = 0; l < LANES; l++)
        dd_free(r->source[l]);
    dd_free(r->segment);
    dd_free(r->scratch);
    dd_free(r->sum);
    pthread_mutex_destroy(&r->lock);
}

/* ---- Running ---- */

static bool reduce(rig *r)
{
    if (r->way == TEAM)
        return dd_team_request(r->team, DD_TEAM_STEP, NULL, NULL) == DD_OK;
    r->n_added = 0;
    if (dd_team_request(r->team, DD_TEAM_EACH, NULL, NULL) != DD_OK)
        return false;
    r->whole = r->sum;
    if (r->way == ONE_THREAD) {
        for (uint32_t l = 1; l < LANES; l++)
            r->set->fold(FLOATS, r->segment[0], r->segment[l]);
        r->whole = r->segment[0];
    }
    return true;
}

/* returns  the first element that is not the sum of all lanes'; FLOATS: all are */
static uint32_t find_wrong(const rig *r)
{
    for (uint32_t i = 0; i < FLOATS; i++) {
        float sum = 0;
        for (uint32_t l = 0; l < LANES; l++)
            sum += r->source[l][i];
        if (r->whole[i] != sum)
            return i;
    }
    return FLOATS;
}

static void run(gb_state *state, void *user)
{
    const contender *c = user;
    const uint32_t n_workers = (uint32_t)gb_arg(state, 0);
    rig r;
    uint32_t wrong = FLOATS;
    if (!open(&r, c, n_workers))
        dd_suite_lacks(state, "no memory or no threads for %u workers", n_workers);
    else if (!reduce(&r))
        dd_suite_lacks(state, "the step was refused");
    else if ((wrong = find_wrong(&r)) < FLOATS)
        dd_suite_differs(state, "element %u is not the sum of all lanes", wrong);
    while (gb_next(state))
        if (!reduce(&r))
            dd_suite_lacks(state, "the step was refused");
    char label[64];
    (void)snprintf(label, sizeof label, "%d lanes of %d floats, %s", LANES, FLOATS, r.set->name);
    gb_label(state, label);
    gb_bytes_processed(state, gb_iterations(state) * LANES * FLOATS * (int64_t)sizeof(float));
    close(&r);
}

void dd_suite_reduce_(void)
{
    static contender all[] = {
        {"owner", TEAM, DD_REDUCE_OWNER},           {"tree", TEAM, DD_REDUCE_TREE},
        {"sliced", TEAM, DD_REDUCE_SLICED},         {"control", TEAM, DD_REDUCE_CONTROL},
        {"one-thread", ONE_THREAD, DD_REDUCE_TREE}, {"lock", LOCK, DD_REDUCE_TREE},
    };
    static const int64_t workers[] = {1, 2, 4, 12};
    static const char *const argument[] = {"workers"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "reduce/%s", all[i].name);
        gb_benchmark *b = gb_register(name, GB_REAL_TIME, run, &all[i]);
        gb_arg_names(b, argument, 1);
        gb_set_unit(b, GB_MICROSECOND);
        for (size_t k = 0; k < sizeof workers / sizeof *workers; k++)
            gb_args(b, &workers[k], 1);
    }
}
