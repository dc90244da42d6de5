/* SPDX-License-Identifier: MIT
 * The memory of a run: allocated, for the room that was settled, and released. A step allocates
 * nothing. */
#include "trainer_parts.h"

#include "packed.h"
#include "pages.h"

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

/* With `owner` the idle have one too, without activations: their slices need the kernels' scratch.
 */
static dd_status open_workspaces(dd_trainer *t)
{
    const dd_room *r = &t->room;
    const bool owner = r->reduce == DD_REDUCE_OWNER;
    const uint32_t n = owner ? r->workers : r->running;
    dd_status st = DD_OK;
    if (owner && (st = dd_acts_open(&t->model, t->config.batch, true, &t->acts)))
        return st;
    t->workspace = dd_storage_locked_(t, n * sizeof(dd_workspace *));
    if (!t->workspace)
        return DD_ERR_MEMORY;
    while (t->n_workspaces < n) { /* close() releases exactly these */
        const uint32_t w = t->n_workspaces;
        st = dd_workspace_open(&t->model, w < r->running ? r->at_once : 0, t->acts,
                               &t->workspace[w]);
        if (st)
            return st;
        t->n_workspaces++;
        if (r->folds_pieces &&
            (st = dd_workspace_open_lane(&t->model, t->workspace[w], r->longest)))
            return st;
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
    return dd_segments_open(&t->segments, NULL, t->room.segments, dd_layout_size(&t->vectors),
                            t->room.segment_rows, s->C, s->V);
}

static dd_status open_segments(dd_trainer *t)
{
    const dd_shape *s = &t->config.shape;
    t->segment_owner = dd_alloc(t->room.segments * sizeof *t->segment_owner);
    t->fold_sums = dd_alloc(t->room.segments * sizeof *t->fold_sums);
    if (!t->segment_owner || !t->fold_sums)
        return DD_ERR_MEMORY;
    const dd_status st = t->config.reduce == DD_REDUCE_SLICED ? open_slice_scratch(t) : DD_OK;
    return st ? st
              : dd_segments_open(&t->segments, t->guard, t->room.segments, t->P,
                                 t->room.segment_rows, s->C, s->V);
}

dd_status dd_storage_open_(dd_trainer *t)
{
    const bool owner = t->config.reduce == DD_REDUCE_OWNER;
    dd_status st = open_parameters(t);
    if (st)
        return st;
    size_t batch_bytes = t->config.batch * sizeof *t->first_token;
    t->first_token = t->guard ? dd_guard_alloc(t->guard, DD_REGION_BATCH, 0, batch_bytes)
                              : dd_alloc(batch_bytes);
    t->block_sums = dd_alloc(t->n_blocks * sizeof *t->block_sums);
    t->lane_result = dd_alloc(t->n_lanes * sizeof *t->lane_result);
    t->profile = dd_alloc(t->config.max_workers * sizeof *t->profile);
    if (!t->first_token || !t->block_sums || !t->lane_result || !t->profile)
        return DD_ERR_MEMORY;
    if ((st = open_workspaces(t)) || (st = owner ? open_owner(t) : open_segments(t)))
        return st;
    return t->guard ? dd_guard_lock(t->guard) : DD_OK;
}

void dd_storage_close_(dd_trainer *t)
{
    dd_snapshot_close(t->snapshot);
    dd_snapshot_close(t->saved);
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
    dd_free(t->fold_sums);
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
