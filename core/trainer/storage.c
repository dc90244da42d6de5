/* SPDX-License-Identifier: MIT
 * The memory of a run: how much of it every membership within max_workers can need, and where it
 * lies. Owns sizes and allocation; a step allocates nothing. */
#include "trainer_parts.h"

#include "packed.h"
#include "pages.h"

/* Up to this many workers the segments of every membership are counted by planning it. */
#define COUNTED_WORKERS 144

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

/* The most segments that a membership that folds can need. With stealing each worker has 3D + 1;
 * else, beyond COUNTED_WORKERS, the bound is used: 3D + 1 a worker, and one a lane. */
static dd_status most_segments(const dd_trainer *t, uint32_t *out)
{
    const uint32_t max_workers = t->config.max_workers;
    if (!t->config.steal && max_workers > COUNTED_WORKERS) {
        *out = max_workers * DD_PLAN_SEGMENTS(t->config.lane_depth);
        if (t->non_empty_lanes < *out)
            *out = t->non_empty_lanes;
        return DD_OK;
    }
    dd_share *share = dd_alloc(max_workers * sizeof *share);
    if (!share)
        return DD_ERR_MEMORY;
    dd_status st = DD_OK;
    *out = 0;
    for (uint32_t n = t->config.steal ? max_workers : 1; n <= max_workers && !st; n++) {
        uint32_t segments = 0;
        st = plan_segments(t, n, share, &segments);
        *out = segments > *out ? segments : *out;
    }
    dd_free(share);
    return st;
}

void *dd_storage_locked_(dd_trainer *t, size_t bytes)
{
    return t->guard ? dd_guard_alloc(t->guard, DD_REGION_LOCKED, 0, bytes) : dd_alloc(bytes);
}

/* Zeroed floats, on huge pages where they are to be had. NULL: no memory. */
static float *large(uint64_t n)
{
    float *array = dd_alloc(n * sizeof *array);
    if (array)
        dd_pages_huge(array, n * sizeof *array);
    return array;
}

/* The weights in both orders, and the moments. */
static dd_status open_parameters(dd_trainer *t)
{
    const uint64_t n_packed = dd_packed_size(&t->model.layout);
    float **weights = &t->kept_array[DD_KEPT_WEIGHTS];
    if (t->guard) {
        *weights = dd_guard_alloc(t->guard, DD_REGION_WEIGHTS, 0, t->P * sizeof(float));
        t->packed = dd_guard_alloc(t->guard, DD_REGION_PACKED, 0, n_packed * sizeof(float));
    } else {
        *weights = large(t->P);
        t->packed = large(n_packed);
    }
    t->kept_array[DD_KEPT_M] = large(t->P);
    t->kept_array[DD_KEPT_V] = large(t->P);
    const bool all = *weights && t->packed && t->kept_array[DD_KEPT_M] && t->kept_array[DD_KEPT_V];
    return all ? DD_OK : DD_ERR_MEMORY;
}

/* Of the longest lane. */
static uint32_t most_sequences(const dd_trainer *t)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < t->non_empty_lanes; i++)
        most = t->sequences[i] > most ? t->sequences[i] : most;
    return most;
}

/* Workers that can ever run a lane: those from this number on are idle. */
static uint32_t most_running(const dd_trainer *t)
{
    const uint32_t n = t->config.max_workers;
    return !t->config.steal && t->non_empty_lanes < n ? t->non_empty_lanes : n;
}

/* Sequences that a worker takes at once, at most: a lane or, with `owner`, a bundle of them. */
static uint32_t sequences_at_once(const dd_trainer *t, bool owner)
{
    uint32_t sequences = most_sequences(t);
    const uint32_t bundle = owner ? DD_PLAN_BUNDLE_TOKENS / t->config.seq : 0;
    sequences = bundle > sequences ? bundle : sequences;
    return t->config.batch < sequences ? t->config.batch : sequences;
}

/* Lookup rows that a segment has room for, when it holds so many sequences at most. */
static uint32_t most_rows(const dd_trainer *t, uint32_t sequences)
{
    const uint64_t rows = (uint64_t)sequences * t->config.seq;
    return rows < t->config.shape.V ? (uint32_t)rows : t->config.shape.V;
}

/* ---- What `auto` stands for ---- */

#define OWNER_ALWAYS 0x1p28 /* bytes up to which `owner` is taken, whatever the others need */

/* Gradients, activations and workspaces, in double: no product wraps. */
static double bytes_of_owner(const dd_trainer *t)
{
    const dd_shape *s = &t->config.shape;
    dd_layout vectors;
    dd_layout_make_vectors(s, t->config.seq, &vectors);
    const double rows = most_rows(t, most_sequences(t));
    const double lane = 4.0 * ((double)dd_layout_size(&vectors) + rows * (s->C + 1.0) + s->V);
    const double worker = (double)dd_workspace_size(&t->model, sequences_at_once(t, true), true);
    return 4.0 * (double)t->P + (double)dd_acts_size(&t->model, t->config.batch, true) +
           t->non_empty_lanes * lane + t->config.max_workers * worker;
}

static double bytes_of_tree(const dd_trainer *t, uint32_t n_segments)
{
    const dd_shape *s = &t->config.shape;
    const double rows = most_rows(t, t->config.batch);
    const double segment = 4.0 * ((double)t->P + rows * (s->C + 1.0) + s->V);
    const double worker = (double)dd_workspace_size(&t->model, most_sequences(t), false);
    return n_segments * segment + most_running(t) * worker;
}

dd_status dd_storage_reduce_(const dd_trainer *t, dd_reduce *out)
{
    *out = DD_REDUCE_TREE;
    if (t->guard)
        return DD_OK;
    const double owner = bytes_of_owner(t);
    uint32_t n_segments = 0;
    if (owner > OWNER_ALWAYS) {
        const dd_status st = most_segments(t, &n_segments);
        if (st)
            return st;
    }
    if (owner <= OWNER_ALWAYS || owner <= 2 * bytes_of_tree(t, n_segments))
        *out = DD_REDUCE_OWNER;
    return DD_OK;
}

/* ---- Opening ---- */

/* With `owner` the idle have one too, without activations: their slices need the kernels' scratch.
 */
static dd_status open_workspaces(dd_trainer *t)
{
    const bool owner = t->config.reduce == DD_REDUCE_OWNER;
    const uint32_t running = most_running(t), n = owner ? t->config.max_workers : running;
    dd_status st = DD_OK;
    if (owner && (st = dd_acts_open(&t->model, t->config.batch, true, &t->acts)))
        return st;
    t->workspace = dd_storage_locked_(t, n * sizeof(dd_workspace *));
    if (!t->workspace)
        return DD_ERR_MEMORY;
    while (t->n_workspaces < n) { /* close() releases exactly these */
        const uint32_t w = t->n_workspaces;
        st = dd_workspace_open(&t->model, w < running ? sequences_at_once(t, owner) : 0, t->acts,
                               &t->workspace[w]);
        if (st)
            return st;
        t->n_workspaces++;
    }
    return DD_OK;
}

static dd_status open_slice_scratch(dd_trainer *t)
{
    t->slice_scratch = dd_storage_locked_(t, t->config.max_workers * sizeof(dd_slice_scratch *));
    if (!t->slice_scratch)
        return DD_ERR_MEMORY;
    for (uint32_t w = 0; w < t->config.max_workers; w++)
        if (dd_slice_scratch_open(DD_PLAN_SEGMENTS(t->config.lane_depth), &t->slice_scratch[w]))
            return DD_ERR_MEMORY;
    return DD_OK;
}

/* `owner`: a segment of vectors for each lane, one gradient. */
static dd_status open_owner(dd_trainer *t)
{
    const dd_shape *s = &t->config.shape;
    dd_layout_make_vectors(s, t->config.seq, &t->vectors);
    t->owner_scratch = dd_storage_locked_(t, t->config.max_workers * sizeof(dd_owner_scratch *));
    t->gradient = large(t->P);
    if (!t->owner_scratch || !t->gradient)
        return DD_ERR_MEMORY;
    for (uint32_t w = 0; w < t->config.max_workers; w++) {
        const dd_status st = dd_owner_scratch_open(&t->model, t->non_empty_lanes,
                                                   DD_PLAN_SEGMENTS(t->config.lane_depth),
                                                   t->workspace[w], &t->owner_scratch[w]);
        if (st)
            return st;
    }
    return dd_segments_open(&t->segments, NULL, t->non_empty_lanes, dd_layout_size(&t->vectors),
                            most_rows(t, most_sequences(t)), s->C, s->V);
}

static dd_status open_segments(dd_trainer *t, uint32_t n_segments)
{
    const dd_shape *s = &t->config.shape;
    t->segment_owner = dd_alloc(n_segments * sizeof *t->segment_owner);
    if (!t->segment_owner)
        return DD_ERR_MEMORY;
    const dd_status st = t->config.reduce == DD_REDUCE_SLICED ? open_slice_scratch(t) : DD_OK;
    return st ? st
              : dd_segments_open(&t->segments, t->guard, n_segments, t->P,
                                 most_rows(t, t->config.batch), s->C, s->V);
}

dd_status dd_storage_open_(dd_trainer *t)
{
    const bool owner = t->config.reduce == DD_REDUCE_OWNER;
    uint32_t n_segments = 0;
    dd_status st = owner ? DD_OK : most_segments(t, &n_segments);
    if (st || (st = open_parameters(t)))
        return st;
    size_t batch_bytes = t->config.batch * sizeof *t->first_token;
    t->first_token = t->guard ? dd_guard_alloc(t->guard, DD_REGION_BATCH, 0, batch_bytes)
                              : dd_alloc(batch_bytes);
    t->block_sums = dd_alloc(t->n_blocks * sizeof *t->block_sums);
    t->lane_result = dd_alloc(t->n_lanes * sizeof *t->lane_result);
    t->profile = dd_alloc(t->config.max_workers * sizeof *t->profile);
    if (!t->first_token || !t->block_sums || !t->lane_result || !t->profile)
        return DD_ERR_MEMORY;
    if ((st = open_workspaces(t)) || (st = owner ? open_owner(t) : open_segments(t, n_segments)))
        return st;
    return t->guard ? dd_guard_lock(t->guard) : DD_OK;
}

void dd_storage_close_(dd_trainer *t)
{
    dd_snapshot_close(t->snapshot);
    dd_segments_close(&t->segments);
    for (uint32_t w = 0; t->slice_scratch && w < t->config.max_workers; w++)
        dd_slice_scratch_close(t->slice_scratch[w]);
    for (uint32_t w = 0; t->owner_scratch && w < t->config.max_workers; w++)
        dd_owner_scratch_close(t->owner_scratch[w]);
    for (uint32_t w = 0; w < t->n_workspaces; w++)
        dd_workspace_close(t->workspace[w]);
    dd_acts_close(t->acts);
    if (t->config.reduce == DD_REDUCE_OWNER)
        dd_free(t->gradient);
    dd_free(t->profile);
    dd_free(t->segment_owner);
    dd_free(t->lane_result);
    dd_free(t->block_sums);
    dd_free(t->kept_array[DD_KEPT_M]);
    dd_free(t->kept_array[DD_KEPT_V]);
    if (!t->guard) { /* else they are the guard's */
        dd_free(t->first_token);
        dd_free(t->packed);
        dd_free(t->kept_array[DD_KEPT_WEIGHTS]);
        dd_free(t->slice_scratch);
        dd_free(t->owner_scratch);
        dd_free(t->workspace);
        dd_free(t->sequences);
        dd_free(t->lane_number);
        dd_free(t->lane_tokens);
    }
    dd_guard_close(t->guard);
}
