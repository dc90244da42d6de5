/* SPDX-License-Identifier: MIT
 * Counts a run's memory by the sizes that model and segments tell of themselves, and chooses by
 * them. */
#include "room.h"

#include "config.h"
#include "error.h"
#include "packed.h"
#include "trainer_parts.h"

#include <inttypes.h>
#include <stdio.h>

/* Up to this many workers the segments of every membership are counted by planning it. */
#define COUNTED_WORKERS 144
/* Bytes up to which `auto` is `owner`, whatever the others need. */
#define OWNER_ALWAYS 0x1p28
/* Of a thread's stack, what it may touch (test_stack.c). */
#define STACK_TOUCHED 16384

/* ---- Segments ---- */

/* Segments of the plan for n workers. A plan's segments depend on the shares, and these on the
 * number of workers alone, so that any hierarchy will do. */
static dd_status plan_segments(const dd_trainer *t, uint32_t n, dd_share *share, uint32_t *out)
{
    uint32_t depth = 1;
    while (dd_power_of_12(depth) < n)
        depth++;
    dd_hierarchy *hierarchy;
    dd_status st = dd_hierarchy_open(depth, n, &hierarchy);
    if (st)
        return st;
    dd_plan *plan = NULL;
    st = dd_placement(t->lane_tokens, t->config.lane_depth, n, NULL, share);
    if (!st)
        st = dd_plan_open(t->lane_tokens, t->config.lane_depth, hierarchy, share,
                          t->config.steal ? DD_PLAN_STEALING : DD_PLAN_FOLDING, &plan);
    if (!st)
        *out = dd_plan_n_segments(plan);
    dd_plan_close(plan);
    dd_hierarchy_close(hierarchy);
    return st;
}

/* The most segments that a membership of up to so many workers that fold can need. With stealing
 * each worker has 3D + 1; else, beyond COUNTED_WORKERS, the bound is used: 3D + 1 a worker, and one
 * a lane. */
static dd_status most_segments(const dd_trainer *t, uint32_t workers, uint32_t *out)
{
    if (!t->config.steal && workers > COUNTED_WORKERS) {
        *out = workers * DD_PLAN_SEGMENTS(t->config.lane_depth);
        if (t->non_empty_lanes < *out)
            *out = t->non_empty_lanes;
        return DD_OK;
    }
    dd_share *share = dd_alloc(workers * sizeof *share);
    if (!share)
        return DD_ERR_MEMORY;
    dd_status st = DD_OK;
    *out = 0;
    for (uint32_t n = t->config.steal ? workers : 1; n <= workers && !st; n++) {
        uint32_t segments = 0;
        st = plan_segments(t, n, share, &segments);
        *out = segments > *out ? segments : *out;
    }
    dd_free(share);
    return st;
}

/* ---- Room ---- */

static uint32_t least(uint64_t a, uint64_t b)
{
    return (uint32_t)(a < b ? a : b);
}

/* Lookup rows of so many sequences, at most. */
static uint32_t most_rows(const dd_trainer *t, uint32_t sequences)
{
    return least((uint64_t)sequences * t->config.seq, t->config.shape.V);
}

/* For whole lanes. */
static dd_status room_of(const dd_trainer *t, uint32_t workers, dd_reduce reduce, dd_room *out)
{
    const bool owner = reduce == DD_REDUCE_OWNER, steal = t->config.steal;
    dd_room r = {.reduce = reduce, .workers = workers};
    r.running = steal ? workers : least(workers, t->non_empty_lanes);
    for (uint32_t i = 0; i < t->non_empty_lanes; i++)
        r.longest = t->sequences[i] > r.longest ? t->sequences[i] : r.longest;
    const uint32_t bundle = owner ? DD_PLAN_BUNDLE_TOKENS / t->config.seq : 0;
    r.at_once = least(t->config.batch, bundle > r.longest ? bundle : r.longest);
    r.segment_rows = most_rows(t, owner ? r.longest : t->config.batch);
    r.segments = t->non_empty_lanes;
    const dd_status st = owner ? DD_OK : most_segments(t, workers, &r.segments);
    *out = r;
    return st;
}

/* At most so many sequences of a lane at once; 0: whole lanes. Any worker may have to fold a lane
 * where there is more than one. */
static dd_room room_cut(const dd_trainer *t, dd_room room, uint32_t micro_batch)
{
    if (micro_batch && micro_batch < room.longest) {
        room.at_once = micro_batch;
        room.folds_pieces = t->non_empty_lanes > 1;
    }
    return room;
}

/* ---- Bytes ---- */

/* With `owner` the idle have a workspace too, without activations: their slices need scratch. */
static void count_workspaces(const dd_trainer *t, const dd_room *r, dd_room_bytes *b)
{
    const dd_model *m = &t->model;
    const bool owner = r->reduce == DD_REDUCE_OWNER;
    const uint32_t values = DD_PLAN_SEGMENTS(t->config.lane_depth);
    const double running = r->running, idle = owner ? r->workers - r->running : 0;
    b->workspaces = running * (double)dd_workspace_size(m, r->at_once, owner) +
                    idle * (double)dd_workspace_size(m, 0, true);
    b->scratch = running * (double)dd_workspace_scratch_size(m, r->at_once) +
                 idle * (double)dd_workspace_scratch_size(m, 0);
    if (r->folds_pieces)
        b->lanes = running * (double)dd_workspace_lane_size(m, r->longest);
    if (owner)
        b->workspaces += (double)dd_acts_size(m, t->config.batch, true) +
                         r->workers * (double)dd_owner_scratch_size(m, t->non_empty_lanes, values);
    if (r->reduce == DD_REDUCE_SLICED)
        b->workspaces += r->workers * (double)dd_slice_scratch_size(values);
}

static double count_segments(const dd_trainer *t, const dd_room *r)
{
    const dd_shape *s = &t->config.shape;
    dd_layout vectors;
    dd_layout_make_vectors(s, t->config.seq, &vectors);
    const bool owner = r->reduce == DD_REDUCE_OWNER;
    const uint64_t elements = owner ? dd_layout_size(&vectors) : t->P;
    return r->segments * (double)dd_segments_size(1, elements, r->segment_rows, s->C, s->V) +
           (owner ? (double)t->P * sizeof(float) : 0);
}

/* Workers, and the controls that these can need at most. */
static double count_threads(const dd_trainer *t, const dd_room *r)
{
    double threads = r->workers;
    for (uint32_t level = 0; level < DD_TRAINER_DEPTH_MAX; level++)
        threads += least(dd_power_of_12(level), r->workers);
    return threads * (STACK_TOUCHED + (double)t->config.trace * sizeof(dd_moment));
}

/* Batch, norms, tables. */
static uint64_t count_other(const dd_trainer *t, const dd_room *r)
{
    const uint64_t owned = r->reduce == DD_REDUCE_OWNER ? 0 : r->segments;
    return sizeof *t + t->n_blocks * sizeof *t->block_sums +
           t->config.batch * sizeof *t->first_token +
           t->n_lanes * (sizeof *t->lane_result + sizeof *t->lane_tokens + sizeof *t->lane_number) +
           t->non_empty_lanes * sizeof *t->sequences +
           owned * (sizeof *t->segment_owner + sizeof *t->fold_sums) +
           r->workers * sizeof *t->profile;
}

dd_room_bytes dd_room_bytes_(const dd_trainer *t, const dd_room *r)
{
    dd_room_bytes b = {.weights = (double)t->P * sizeof(float),
                       .packed = (double)dd_packed_size(&t->model.layout) * sizeof(float),
                       .moments = 2 * (double)t->P * sizeof(float),
                       .segments = count_segments(t, r),
                       .other = (double)count_other(t, r),
                       .threads = count_threads(t, r)};
    count_workspaces(t, r, &b);
    return b;
}

double dd_room_total_(const dd_room_bytes *b)
{
    return b->weights + b->packed + b->moments + b->segments + b->lanes + b->workspaces +
           b->scratch + b->other + b->threads;
}

static double total_of(const dd_trainer *t, const dd_room *r)
{
    const dd_room_bytes b = dd_room_bytes_(t, r);
    return dd_room_total_(&b);
}

/* ---- Choosing ---- */

/* What `auto` stands for where nothing limits it. */
static dd_status room_of_auto(const dd_trainer *t, uint32_t workers, dd_room *out)
{
    dd_room tree;
    dd_status st = DD_OK;
    if (t->guard || t->config.micro_batch)
        return room_of(t, workers, DD_REDUCE_TREE, out);
    if ((st = room_of(t, workers, DD_REDUCE_OWNER, out)))
        return st;
    const dd_room_bytes a = dd_room_bytes_(t, out);
    const double owner = a.segments + a.workspaces + a.scratch;
    if (owner <= OWNER_ALWAYS)
        return DD_OK;
    if ((st = room_of(t, workers, DD_REDUCE_TREE, &tree)))
        return st;
    const dd_room_bytes b = dd_room_bytes_(t, &tree);
    if (owner > 2 * (b.segments + b.workspaces + b.scratch))
        *out = tree;
    return DD_OK;
}

/* The room as it is, if that fits, or with the largest micro-batch that does; else whichever takes
 * least. */
static dd_room room_that_fits(const dd_trainer *t, const dd_room *whole, double limit)
{
    const double most = total_of(t, whole);
    if (most <= limit)
        return *whole;
    uint32_t fits = 0, too_many = whole->longest; /* the second never does; nothing is between */
    while (too_many - fits > 1) {
        const uint32_t middle = fits + (too_many - fits) / 2;
        const dd_room cut = room_cut(t, *whole, middle);
        if (total_of(t, &cut) <= limit)
            fits = middle;
        else
            too_many = middle;
    }
    const dd_room cut = room_cut(t, *whole, fits ? fits : 1);
    return total_of(t, &cut) < most ? cut : *whole;
}

/* What the settings ask for or, where that is over the limit and they leave a choice, another; it
 * need not fit either. */
static dd_status room_chosen(const dd_trainer *t, uint32_t workers, dd_room *out)
{
    const dd_config *c = &t->config;
    const double limit = c->memory_limit ? (double)c->memory_limit : (double)UINT64_MAX;
    const bool automatic = c->reduce == DD_REDUCE_AUTO;
    dd_status st = automatic ? room_of_auto(t, workers, out) : room_of(t, workers, c->reduce, out);
    if (st)
        return st;
    if (c->micro_batch) {
        *out = room_cut(t, *out, c->micro_batch);
    } else if (out->reduce != DD_REDUCE_OWNER) {
        *out = room_that_fits(t, out, limit);
    } else if (automatic && total_of(t, out) > limit) {
        dd_room tree;
        if ((st = room_of(t, workers, DD_REDUCE_TREE, &tree)))
            return st;
        tree = room_that_fits(t, &tree, limit);
        if (total_of(t, &tree) < total_of(t, out))
            *out = tree;
    }
    return DD_OK;
}

/* ---- Telling ---- */

#define MIB(bytes) ((bytes) / 0x1p20)

static const char *reduce_name(dd_reduce reduce)
{
    static const char *const name[] = {"tree", "control", "sliced", "owner"};
    return name[reduce];
}

static dd_status refuse(const dd_trainer *t, const dd_room *r, dd_error *error)
{
    const dd_config *c = &t->config;
    const dd_room_bytes b = dd_room_bytes_(t, r);
    dd_room one;
    char how[64] = "", alone[64] = "";
    if (r->at_once < r->longest)
        (void)snprintf(how, sizeof how, ", micro-batch %" PRIu32, r->at_once);
    if (r->workers > 1 && room_chosen(t, 1, &one) == DD_OK)
        (void)snprintf(alone, sizeof alone, "; 1 worker would need %.1f MiB",
                       MIB(total_of(t, &one)));
    return dd_error_set(
        error, DD_ERR_ARGUMENT,
        "memory-limit %.1f MiB: room for %" PRIu32 " workers with reduce %s%s takes %.1f MiB: "
        "weights %.1f, packed weights %.1f, moments %.1f, gradient segments %.1f, lanes' gradients "
        "%.1f, activations %.1f, kernels' scratch %.1f, other %.1f%s. Fewer workers, a shorter seq "
        "or a smaller model need less",
        MIB((double)c->memory_limit), r->workers, reduce_name(r->reduce), how,
        MIB(dd_room_total_(&b)), MIB(b.weights), MIB(b.packed), MIB(b.moments), MIB(b.segments),
        MIB(b.lanes), MIB(b.workspaces), MIB(b.scratch), MIB(b.other + b.threads), alone);
}

dd_status dd_room_settle_(dd_trainer *t, dd_error *error)
{
    dd_config *c = &t->config;
    const dd_status st = room_chosen(t, c->max_workers, &t->room);
    if (st)
        return st;
    if (c->memory_limit && total_of(t, &t->room) > (double)c->memory_limit)
        return refuse(t, &t->room, error);
    c->reduce = t->room.reduce;
    c->micro_batch = t->room.at_once < t->room.longest ? t->room.at_once : 0;
    return DD_OK;
}
