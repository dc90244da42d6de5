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
        st = dd_plan_open(t->lane_tokens, t->config.lane_depth, hierarchy, share, t->config.steal,
                          &plan);
    if (!st)
        *out = dd_plan_n_segments(plan);
    dd_plan_close(plan);
    dd_hierarchy_close(hierarchy);
    return st;
}

/* The most segments that a membership can need. With stealing each worker has 3D + 1; else, beyond
 * COUNTED_WORKERS, the bound is used: 3D + 1 a worker, and one a lane. */
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

static dd_status open_workspaces(dd_trainer *t)
{
    uint32_t sequences = 0; /* of the longest lane */
    for (uint32_t l = 0; l < t->n_lanes; l++) {
        uint32_t n = dd_lane_begin_(t, l + 1) - dd_lane_begin_(t, l);
        sequences = n > sequences ? n : sequences;
    }
    uint32_t n = t->config.max_workers;
    if (!t->config.steal && t->non_empty_lanes < n)
        n = t->non_empty_lanes;
    t->workspace = dd_storage_locked_(t, n * sizeof(dd_workspace *));
    if (!t->workspace)
        return DD_ERR_MEMORY;
    while (t->n_workspaces < n) { /* close() releases exactly these */
        const uint32_t w = t->n_workspaces;
        dd_status st = dd_workspace_open(&t->model, sequences, t->profile ? &t->profile[w] : NULL,
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

dd_status dd_storage_open_(dd_trainer *t)
{
    const dd_shape *s = &t->config.shape;
    uint64_t rows = (uint64_t)t->config.batch * t->config.seq;
    uint32_t n_segments;
    dd_status st = most_segments(t, &n_segments);
    if (st || (st = open_parameters(t)))
        return st;
    size_t batch_bytes = t->config.batch * sizeof *t->first_token;
    t->first_token = t->guard ? dd_guard_alloc(t->guard, DD_REGION_BATCH, 0, batch_bytes)
                              : dd_alloc(batch_bytes);
    t->block_sums = dd_alloc(t->n_blocks * sizeof *t->block_sums);
    t->lane_result = dd_alloc(t->n_lanes * sizeof *t->lane_result);
    t->segment_owner = dd_alloc(n_segments * sizeof *t->segment_owner);
    if (t->config.profile)
        t->profile = dd_alloc(t->config.max_workers * sizeof *t->profile);
    if (!t->first_token || !t->block_sums || !t->lane_result || !t->segment_owner ||
        (t->config.profile && !t->profile))
        return DD_ERR_MEMORY;
    if ((st = open_workspaces(t)) ||
        (t->config.reduce == DD_REDUCE_SLICED && (st = open_slice_scratch(t))))
        return st;
    st = dd_segments_open(&t->segments, t->guard, n_segments, t->P,
                          rows < s->V ? (uint32_t)rows : s->V, s->C, s->V);
    return st || !t->guard ? st : dd_guard_lock(t->guard);
}

void dd_storage_close_(dd_trainer *t)
{
    dd_snapshot_close(t->snapshot);
    dd_segments_close(&t->segments);
    for (uint32_t w = 0; t->slice_scratch && w < t->config.max_workers; w++)
        dd_slice_scratch_close(t->slice_scratch[w]);
    for (uint32_t w = 0; w < t->n_workspaces; w++)
        dd_workspace_close(t->workspace[w]);
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
        dd_free(t->workspace);
        dd_free(t->lane_tokens);
    }
    dd_guard_close(t->guard);
}
