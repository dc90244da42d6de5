/* SPDX-License-Identifier: MIT
 * What the team calls in a request, and for the commands that concern the model. Leaves arithmetic
 * to model/, order and threads to control/; says here who may write what, where guard mode enforces
 * it. */
#include "trainer_parts.h"

#include "error.h"
#include "packed.h"
#include "tokens.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Where the time goes of what the worker does now; NULL: nothing is measured. */
static dd_profile *measure(dd_trainer *t, uint32_t worker, bool wanted)
{
    dd_profile *profile = wanted ? &t->profile[worker] : NULL;
    if (profile && t->config.trace)
        profile->timeline = dd_team_timeline(t->team, dd_team_worker_thread(t->team, worker));
    if (worker < t->n_workspaces)
        dd_workspace_measure(t->workspace[worker], profile);
    return profile;
}

/* ---- Rights, in guard mode ---- */

static void gain(const dd_trainer *t, uint32_t segment)
{
    if (t->guard)
        dd_guard_gain(t->guard, segment);
}

static void give_up(const dd_trainer *t, uint32_t segment)
{
    if (t->guard)
        dd_guard_let_go(t->guard, segment);
}

static void run_let_go(void *user, uint32_t thread, uint32_t segment)
{
    (void)thread;
    give_up(user, segment);
}

bool dd_trainer_lift_(dd_trainer *t)
{
    if (t->guard_shut && dd_guard_unprotect(t->guard) == DD_OK)
        t->guard_shut = false;
    return !t->guard_shut;
}

/* Write-protects what nobody writes while lanes run, and hands out the request's keys. */
static void guard_shut(dd_trainer *t)
{
    dd_membership now;
    dd_team_membership(t->team, &now);
    uint32_t n_workers = now.hierarchy->n_workers;
    for (uint32_t s = 0; s < t->segments.n; s++)
        t->segment_owner[s] = UINT32_MAX;
    for (uint32_t w = 0; w < n_workers; w++) {
        uint32_t first, n = dd_plan_segments(now.plan, w, &first);
        for (uint32_t s = first; s < first + n; s++)
            t->segment_owner[s] = w;
    }
    t->guard_share_sum += dd_guard_turn(t->guard, t->segment_owner, t->segments.n, n_workers);
    t->guard_turns++;
    t->guard_shut = true;
    if (dd_guard_protect(t->guard) != DD_OK)
        t->guard_failed = true;
}

/* ---- A request ---- */

/* A replay is of the batch that is there. */
static void write_batch(dd_trainer *t, dd_request request)
{
    const uint32_t T = t->config.seq, B = t->config.batch;
    if (request == DD_TEAM_STEP)
        dd_batch_train(&t->split, t->config.seed, T, B, dd_u64_load(&t->step, DD_RELAXED),
                       t->first_token);
    else if (t->each_mode == DD_EACH_VALIDATE)
        dd_batch_validation(&t->split, T, B, t->validation_batch, t->first_token);
}

static void run_begin(void *user, dd_request request)
{
    dd_trainer *t = user;
    t->guard_failed = !dd_trainer_lift_(t);
    if (!t->guard_failed) /* else lanes run over an old batch, for nothing */
        write_batch(t, request);
    if (t->guard)
        guard_shut(t);
}

/* In a step the verdict has let the writers in; where that was refused it is tried once more, since
 * between requests the weights are the caller's. */
static void run_end(void *user, dd_request request)
{
    dd_trainer *t = user;
    (void)request;
    if (!dd_trainer_lift_(t))
        t->guard_failed = true;
}

/* ---- A step ---- */

/* The sequences of the n non-empty lanes from `lane`, one of them, on. */
static dd_lane lanes_of(const dd_trainer *t, uint32_t lane, uint32_t n)
{
    dd_lane work = {.tokens = t->tokens, .first = t->first_token + dd_lane_begin_(t, lane)};
    for (uint32_t i = 0; i < n; i++)
        work.n_sequences += t->sequences[t->lane_number[lane] + i];
    return work;
}

static void lane_gradient(dd_trainer *t, uint32_t worker, uint32_t lane, uint32_t n_lanes,
                          uint32_t segment, bool fold)
{
    dd_lane work = lanes_of(t, lane, n_lanes);
    (void)measure(t, worker, t->profiling);
    if (t->acts) {
        assert(segment == t->lane_number[lane]);
        dd_gpt2_input_gradients(&t->model, t->workspace[worker], &work, dd_lane_begin_(t, lane),
                                &t->vectors, &t->sequences[segment], n_lanes,
                                &t->segments.at[segment]);
        return;
    }
    gain(t, segment);
    dd_gpt2_gradient(&t->model, t->workspace[worker], &work, fold ? DD_FOLD : DD_STORE,
                     &t->segments.at[segment]);
}

/* A replay may give a stolen lane to another worker: who had it in the step is noted. */
static void run_lane(void *user, uint32_t worker, uint32_t lane, uint32_t n_lanes, uint32_t segment,
                     bool fold)
{
    dd_trainer *t = user;
    for (uint32_t l = lane, n = 0; n < n_lanes; l++) {
        t->lane_result[l].worker = worker;
        n += t->lane_tokens[l] > 0;
    }
    lane_gradient(t, worker, lane, n_lanes, segment, fold);
}

static void run_fold(void *user, uint32_t thread, uint32_t into, uint32_t from)
{
    dd_trainer *t = user;
    (void)thread;
    gain(t, into);
    const uint64_t begin = dd_profile_begin(t->profiling ? t->profile : NULL);
    dd_segment_fold(t->model.kernels, &t->model.layout, &t->segments.at[into],
                    &t->segments.at[from]);
    if (t->profiling)
        dd_profile_add(&t->fold_sums[into], begin, 3 * t->P * sizeof(float));
}

static void run_root(void *user, uint32_t thread, uint32_t segment)
{
    dd_trainer *t = user;
    dd_timeline *timeline = dd_team_timeline(t->team, thread);
    dd_segment *root = &t->segments.at[segment];
    gain(t, segment);
    const uint64_t begin = dd_profile_begin(t->profiling ? t->profile : NULL);
    const uint64_t traced_begin = dd_timeline_begin(timeline);
    dd_segment_root(t->model.kernels, &t->model.layout, root);
    give_up(t, segment);
    dd_norm_blocks(t->model.kernels, &t->model.layout, root->dense, t->block_sums);
    if (t->profiling)
        dd_profile_add(&t->norm_sum, begin, t->P * sizeof(float));
    dd_timeline_end(timeline, DD_TRACE_PHASE, DD_PROFILE_NORM, traced_begin, 0, 0, 0);
}

static dd_batch_gradient batch_gradient(const dd_trainer *t)
{
    return (dd_batch_gradient){.model = &t->model,
                               .acts = t->acts,
                               .sequences = t->sequences,
                               .n_lanes = t->non_empty_lanes,
                               .vectors = &t->vectors,
                               .lane = t->segments.at};
}

static void make_slice(dd_trainer *t, uint32_t worker, const dd_fold_pair *pair, uint32_t n,
                       uint32_t root, uint64_t first, uint64_t last)
{
    const dd_batch_gradient batch = batch_gradient(t);
    dd_owner_scratch *scratch = t->owner_scratch[worker];
    (void)measure(t, worker, t->profiling || t->config.trace);
    dd_owner_slice(&batch, pair, n, root, first, last, scratch, t->gradient, t->block_sums);
    if (first == 0)
        t->slice_loss = dd_owner_loss(&batch, pair, n, root, scratch);
}

/* The worker whose slice begins the vector folds the loss too. */
static void run_slice(void *user, uint32_t worker, const dd_fold_pair *pair, uint32_t n,
                      uint32_t root, uint64_t first, uint64_t last)
{
    dd_trainer *t = user;
    if (first == last)
        return;
    if (t->acts) {
        make_slice(t, worker, pair, n, root, first, last);
        return;
    }
    const dd_fold_list list = {.segment = t->segments.at, .pair = pair, .n = n, .root = root};
    gain(t, root);
    dd_profile *profile = measure(t, worker, t->profiling);
    const uint64_t begin = dd_profile_begin(profile);
    dd_gradient_slice(t->model.kernels, &t->model.layout, &list, first, last,
                      t->slice_scratch[worker], t->block_sums);
    /* n + 1 operands and the sum; where nothing is folded the root alone */
    dd_profile_end(profile, DD_PROFILE_SLICE, begin,
                   (n ? n + 2 : 1) * (last - first) * DD_NORM_BLOCK * sizeof(float));
    give_up(t, root);
    if (first == 0)
        t->slice_loss = dd_gradient_loss(&list, t->slice_scratch[worker]);
}

static bool run_verdict(void *user, uint32_t segment)
{
    dd_trainer *t = user;
    if (!dd_trainer_lift_(t))
        t->guard_failed = true;
    t->advanced = segment != DD_NO_SEGMENT && !t->guard_failed;
    if (!t->advanced)
        return false;
    t->root = segment;
    if (!t->acts)
        t->gradient = t->segments.at[segment].dense;
    const bool slices = t->config.reduce == DD_REDUCE_SLICED || t->acts;
    double loss = slices ? t->slice_loss : t->segments.at[segment].loss;
    dd_step *step = &t->result;
    step->step = dd_u64_load(&t->step, DD_RELAXED);
    step->loss = loss / ((double)t->config.batch * t->config.seq);
    step->norm = dd_norm_total(t->block_sums, t->n_blocks);
    step->lr = dd_schedule_lr(&t->config, step->step);
    step->discarded = !isfinite(step->norm) || !isfinite(step->loss);
    dd_u64_store(&t->step, step->step + 1, DD_RELAXED); /* data and schedule advance anyway */
    if (step->discarded)
        return false;
    t->adam_t++;
    t->adamw = dd_adamw_at(&t->config, t->adam_t, step->lr,
                           dd_clip_factor(step->norm, t->config.grad_clip));
    return true;
}

static void run_update(void *user, uint32_t worker, uint64_t first_block, uint64_t last_block)
{
    dd_trainer *t = user;
    uint64_t first = first_block * DD_NORM_BLOCK, last = last_block * DD_NORM_BLOCK;
    if (last > t->P)
        last = t->P;
    if (first >= last)
        return;
    for (uint32_t i = 0; i < DD_KEPT_ARRAYS; i++) /* a block is whole pages */
        dd_before_write_(t, i, first * sizeof(float), last * sizeof(float));
    dd_profile *profile = measure(t, worker, t->profiling);
    const uint64_t begin = dd_profile_begin(profile);
    dd_adamw_slice(t->model.kernels, &t->model.layout, &t->adamw, first, last,
                   t->kept_array[DD_KEPT_WEIGHTS], t->packed, t->kept_array[DD_KEPT_M],
                   t->kept_array[DD_KEPT_V], t->gradient);
    /* weights and moments read and written, the gradient read, packed weights written twice; the
     * few elements that are no matrix's count as if they were */
    dd_profile_end(profile, DD_PROFILE_UPDATE, begin, 9 * (last - first) * sizeof(float));
}

_Static_assert(DD_NORM_BLOCK * sizeof(float) % DD_SNAPSHOT_PAGE_BYTES == 0,
               "slices of different workers have no page in common");

/* ---- Validation and replay ---- */

static void run_each(void *user, uint32_t worker, uint32_t lane, uint32_t segment)
{
    dd_trainer *t = user;
    dd_lane work = lanes_of(t, lane, 1);
    const uint32_t begin = t->acts ? dd_lane_begin_(t, lane) : 0;
    dd_lane_result *result = &t->lane_result[lane];
    (void)measure(t, worker, t->profiling);
    if (t->each_mode == DD_EACH_VALIDATE) {
        give_up(t, segment); /* the rights of an earlier request go with it */
        result->loss = dd_gpt2_loss(&t->model, t->workspace[worker], &work, begin);
        return;
    }
    if (t->acts) {
        const uint32_t number = t->lane_number[lane];
        const dd_batch_gradient batch = batch_gradient(t);
        lane_gradient(t, worker, lane, 1, number, false);
        result->loss = t->segments.at[number].loss;
        result->nonfinite =
            dd_owner_find_nonfinite(&batch, number, t->owner_scratch[worker], &result->element);
        return;
    }
    dd_segment *gradient = &t->segments.at[segment];
    gain(t, segment);
    dd_gpt2_gradient(&t->model, t->workspace[worker], &work, DD_STORE, gradient);
    give_up(t, segment);
    result->loss = gradient->loss;
    result->nonfinite = dd_segment_find_nonfinite(&t->model.layout, gradient, &result->element);
}

/* ---- Between two requests ---- */

static bool run_epoch_ended(void *user)
{
    const dd_trainer *t = user;
    return t->advanced && dd_u64_load(&t->step, DD_RELAXED) % t->split.steps_per_epoch == 0;
}

static dd_status run_keep(void *user, dd_error *error)
{
    dd_trainer *t = user;
    size_t bytes = t->P * sizeof(float);
    if (!t->snapshot) {
        const void *array[DD_KEPT_ARRAYS];
        size_t size[DD_KEPT_ARRAYS];
        for (uint32_t i = 0; i < DD_KEPT_ARRAYS; i++) {
            array[i] = t->kept_array[i];
            size[i] = bytes;
        }
        dd_status st = dd_snapshot_open(array, size, DD_KEPT_ARRAYS, &t->snapshot);
        if (st)
            return dd_error_set(error, st, "out of memory for a checkpoint of %zu bytes",
                                DD_KEPT_ARRAYS * bytes);
    }
    dd_snapshot_take(t->snapshot);
    t->kept_step = dd_u64_load(&t->step, DD_RELAXED);
    t->kept_adam_t = t->adam_t;
    return DD_OK;
}

/* Pages that were never copied have not changed. */
static dd_status run_back(void *user, dd_error *error)
{
    dd_trainer *t = user;
    size_t bytes = t->P * sizeof(float);
    if (!t->snapshot)
        return dd_error_set(error, DD_ERR_REFUSED,
                            "restore: nothing was kept; the command checkpoint keeps");
    if (!dd_trainer_lift_(t))
        return dd_error_set(error, DD_ERR_MEMORY,
                            "restore: the system refuses to let the weights' pages be written");
    for (uint32_t i = 0; i < DD_KEPT_ARRAYS; i++)
        for (size_t at = 0; at < bytes; at += DD_SNAPSHOT_PAGE_BYTES) {
            const void *page = dd_snapshot_copied_page(t->snapshot, i, at / DD_SNAPSHOT_PAGE_BYTES);
            size_t left = bytes - at;
            size_t n = left < DD_SNAPSHOT_PAGE_BYTES ? left : DD_SNAPSHOT_PAGE_BYTES;
            if (!page)
                continue;
            if (t->saved)
                dd_snapshot_before_write(t->saved, i, at, at + n);
            memcpy((char *)t->kept_array[i] + at, page, n);
        }
    dd_packed_write(t->model.kernels, &t->model.layout, 0, t->P, t->kept_array[DD_KEPT_WEIGHTS],
                    t->packed);
    dd_u64_store(&t->step, t->kept_step, DD_RELAXED);
    t->adam_t = t->kept_adam_t;
    return DD_OK;
}

dd_work dd_trainer_work_(dd_trainer *t)
{
    return (dd_work){.user = t,
                     .begin = run_begin,
                     .end = run_end,
                     .lane = run_lane,
                     .fold = run_fold,
                     .let_go = t->guard ? run_let_go : NULL,
                     .root = run_root,
                     .slice = run_slice,
                     .verdict = run_verdict,
                     .update = run_update,
                     .each = run_each,
                     .keep = run_keep,
                     .back = run_back,
                     .epoch_ended = run_epoch_ended};
}
