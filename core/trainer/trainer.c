/* SPDX-License-Identifier: MIT
 * The trainer: joins data, model, segments and team into one step. Owns all memory of a run; leaves
 * arithmetic to model/, order and threads to control/. Every array here has one writer at a time:
 * which one, and until which Point, is said beside it. */
#include "dodeca.h"

#include "adamw.h"
#include "config.h"
#include "cpu.h"
#include "error.h"
#include "gpt2.h"
#include "gradient.h"
#include "hash.h"
#include "platform.h"
#include "team.h"
#include "tokens.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define N_LANES DD_POSITIONS /* lane depth 1 */

/* What `each` does with a lane. */
typedef enum each_mode { EACH_VALIDATE, EACH_REPLAY } each_mode;

/* One lane's part of a DD_TEAM_EACH request. */
typedef struct lane_result {
    double loss;
    bool nonfinite; /* replay: `element` of its gradient is not finite */
    uint64_t element;
    uint32_t worker;
} lane_result;

struct dd_trainer {
    /* fixed after open */
    dd_config config; /* workers and seq resolved */
    const dd_data *data;
    const uint16_t *tokens;
    dd_data_split split;
    dd_model model;
    dd_share share[DD_MAX_WORKERS];
    uint32_t
        first_sequence[N_LANES + 1]; /* lane l owns [first_sequence[l], first_sequence[l + 1]) */
    uint64_t n_blocks;
    dd_plan *plan;
    dd_team *team;

    float *weights, *m, *v; /* V to U: each worker its slice; A to V read-only */
    dd_segments segments;   /* A to B: by plan; B to V Node Zero; V to U read-only */
    dd_workspace *workspace[DD_MAX_WORKERS]; /* worker w only */
    double *block_sums;                      /* who completes the root; then Node Zero until V */
    uint64_t *first_token;                   /* caller before A; read-only until U */
    each_mode each_mode;                     /* caller before A */
    lane_result lane_result[N_LANES];        /* the lane's worker until B */

    /* Node Zero between B and V; the caller between requests */
    uint64_t step, adam_t;
    uint32_t root; /* segment of the last root gradient */
    double loss, norm;
    float lr;
    dd_adamw adamw;
};

/* ---- Called by the team ---- */

static dd_lane lane_of(const dd_trainer *t, uint32_t lane)
{
    uint32_t first = t->first_sequence[lane];
    return (dd_lane){.tokens = t->tokens,
                     .first = t->first_token + first,
                     .n_sequences = t->first_sequence[lane + 1] - first};
}

static void run_lane(void *user, uint32_t worker, uint32_t lane, uint32_t segment, bool fold)
{
    dd_trainer *t = user;
    dd_lane work = lane_of(t, lane);
    dd_gpt2_gradient(&t->model, t->workspace[worker], &work, fold ? DD_FOLD : DD_STORE,
                     &t->segments.at[segment]);
}

static void run_fold(void *user, uint32_t thread, uint32_t into, uint32_t from)
{
    dd_trainer *t = user;
    (void)thread;
    dd_segment_fold(t->model.kernels, &t->model.layout, &t->segments.at[into],
                    &t->segments.at[from]);
}

static void run_root(void *user, uint32_t thread, uint32_t segment)
{
    dd_trainer *t = user;
    (void)thread;
    dd_segment *root = &t->segments.at[segment];
    dd_segment_root(t->model.kernels, &t->model.layout, root);
    dd_norm_blocks(t->model.kernels, &t->model.layout, root->dense, t->block_sums);
}

static bool run_verdict(void *user, uint32_t segment)
{
    dd_trainer *t = user;
    t->root = segment;
    if (segment == DD_NO_SEGMENT)
        return false;
    t->loss = t->segments.at[segment].loss / ((double)t->config.batch * t->config.seq);
    t->norm = dd_norm_total(t->block_sums, t->n_blocks);
    t->lr = dd_schedule_lr(&t->config, t->step);
    if (!isfinite(t->norm) || !isfinite(t->loss))
        return false;
    t->adam_t++;
    t->adamw =
        dd_adamw_at(&t->config, t->adam_t, t->lr, dd_clip_factor(t->norm, t->config.grad_clip));
    return true;
}

static void run_update(void *user, uint32_t worker)
{
    dd_trainer *t = user;
    uint64_t n = t->config.workers, P = dd_layout_size(&t->model.layout);
    uint64_t first = worker * t->n_blocks / n * DD_NORM_BLOCK;
    uint64_t last = (worker + 1) * t->n_blocks / n * DD_NORM_BLOCK;
    dd_adamw_slice(t->model.kernels, &t->model.layout, &t->adamw, first, last < P ? last : P,
                   t->weights, t->m, t->v, t->segments.at[t->root].dense);
}

static void run_each(void *user, uint32_t worker, uint32_t lane, uint32_t segment)
{
    dd_trainer *t = user;
    dd_lane work = lane_of(t, lane);
    lane_result *result = &t->lane_result[lane];
    *result = (lane_result){.worker = worker};
    if (t->each_mode == EACH_VALIDATE) {
        result->loss = dd_gpt2_loss(&t->model, t->workspace[worker], &work);
        return;
    }
    dd_segment *gradient = &t->segments.at[segment];
    dd_gpt2_gradient(&t->model, t->workspace[worker], &work, DD_STORE, gradient);
    result->loss = gradient->loss;
    result->nonfinite = dd_segment_find_nonfinite(&t->model.layout, gradient, &result->element);
}

/* ---- Opening and closing ---- */

static uint32_t lane_sequences(const dd_trainer *t, uint32_t lane)
{
    return t->first_sequence[lane + 1] - t->first_sequence[lane];
}

static uint32_t count_non_empty(const dd_trainer *t)
{
    uint32_t n = 0;
    for (uint32_t l = 0; l < N_LANES; l++)
        n += lane_sequences(t, l) > 0;
    return n;
}

static dd_status place(dd_trainer *t)
{
    uint64_t weight[N_LANES];
    for (uint32_t l = 0; l < N_LANES; l++)
        weight[l] = (uint64_t)lane_sequences(t, l) * t->config.seq;
    dd_placement(weight, t->config.workers, t->share);
    return dd_plan_open(weight, t->config.workers, t->share, &t->plan);
}

static dd_status allocate(dd_trainer *t)
{
    const dd_shape *s = &t->config.shape;
    uint64_t P = dd_layout_size(&t->model.layout), rows = (uint64_t)t->config.batch * t->config.seq;
    uint32_t most = 0;
    for (uint32_t l = 0; l < N_LANES; l++)
        most = lane_sequences(t, l) > most ? lane_sequences(t, l) : most;
    t->weights = dd_alloc(P * sizeof(float));
    t->m = dd_alloc(P * sizeof(float));
    t->v = dd_alloc(P * sizeof(float));
    t->block_sums = dd_alloc(t->n_blocks * sizeof(double));
    t->first_token = dd_alloc(t->config.batch * sizeof(uint64_t));
    if (!t->weights || !t->m || !t->v || !t->block_sums || !t->first_token)
        return DD_ERR_MEMORY;
    for (uint32_t w = 0; w < t->config.workers; w++)
        if (t->share[w].n_lanes && dd_workspace_open(&t->model, most, &t->workspace[w]))
            return DD_ERR_MEMORY;
    return dd_segments_open(&t->segments, dd_plan_n_segments(t->plan), P,
                            rows < s->V ? (uint32_t)rows : s->V, s->C, s->V);
}

dd_status dd_trainer_open(const dd_config *config, const dd_data *data, dd_trainer **out,
                          dd_error *error)
{
    if (!config || !data || !out)
        return dd_error_set(error, DD_ERR_ARGUMENT, "config, data and out must not be NULL");
    *out = NULL;
    dd_status st = dd_config_check(config, data, error);
    if (st)
        return st;
    if ((st = dd_fp_env_check(error))) /* threads inherit it, and the start values are made in it */
        return st;
    const char *why = "";
    const dd_kernels *kernels = dd_kernels_select(config->simd, &why);
    if (!kernels)
        return dd_error_set(error, DD_ERR_CPU, "simd: %s", why);

    dd_trainer *t = dd_alloc(sizeof *t);
    if (!t)
        return dd_error_set(error, DD_ERR_MEMORY, "out of memory");
    t->config = *config;
    t->data = data;
    if (!t->config.seq)
        t->config.seq = config->shape.T_max;
    uint32_t T = t->config.seq, B = t->config.batch;
    for (uint32_t l = 0; l <= N_LANES; l++)
        t->first_sequence[l] = (uint32_t)((uint64_t)l * B / N_LANES);
    uint32_t cpus = dd_cpu_available(), non_empty = count_non_empty(t);
    if (!t->config.workers)
        t->config.workers = cpus < non_empty ? cpus : non_empty;

    uint64_t n_tokens;
    t->tokens = dd_data_tokens(data, &n_tokens);
    if ((st = dd_data_split_get(data, T, B, &t->split, error)))
        goto fail;
    t->model = (dd_model){.kernels = kernels, .T = T, .inv_tokens = 1.0f / (float)(B * T)};
    dd_layout_make(&config->shape, &t->model.layout);
    t->n_blocks = dd_norm_n_blocks(&t->model.layout);

    if ((st = place(t)) || (st = allocate(t))) {
        dd_error_set(error, st,
                     "out of memory: %" PRIu64 " parameters, batch %u x %u tokens, %u workers",
                     dd_layout_size(&t->model.layout), B, T, t->config.workers);
        goto fail;
    }
    t->model.weights = t->weights;
    dd_weights_start(&t->model.layout, config->seed, t->weights);

    const dd_work work = {.user = t,
                          .lane = run_lane,
                          .fold = run_fold,
                          .root = run_root,
                          .verdict = run_verdict,
                          .update = run_update,
                          .each = run_each};
    const dd_team_options options = {
        .barrier = config->barrier, .reduce = config->reduce, .may_spin = t->config.workers < cpus};
    if ((st = dd_team_open(t->plan, t->share, &work, &options, &t->team))) {
        dd_error_set(error, st,
                     st == DD_ERR_THREAD
                         ? "cannot create %u threads: see the limits on processes and memory"
                         : "out of memory for %u threads",
                     t->config.workers + 1);
        goto fail;
    }
    *out = t;
    return DD_OK;

fail:
    dd_trainer_close(t);
    return st;
}

void dd_trainer_close(dd_trainer *t)
{
    if (!t)
        return;
    dd_team_close(t->team);
    for (uint32_t w = 0; w < DD_MAX_WORKERS; w++)
        dd_workspace_close(t->workspace[w]);
    dd_segments_close(&t->segments);
    dd_plan_close(t->plan);
    dd_free(t->first_token);
    dd_free(t->block_sums);
    dd_free(t->v);
    dd_free(t->m);
    dd_free(t->weights);
    dd_free(t);
}

/* ---- Requests ---- */

static dd_status request(dd_trainer *t, dd_request kind, dd_error *error)
{
    uint32_t culprit = 0, fp_env = 0;
    dd_status st = dd_team_request(t->team, kind, &culprit, &fp_env);
    if (st == DD_ERR_FP_ENV) {
        char thread[32] = "Node Zero";
        if (culprit != DD_NODE_ZERO)
            snprintf(thread, sizeof thread, "worker %u", culprit);
        return dd_error_set(
            error, st,
            "%s: floating-point control is 0x%x at a point of step %" PRIu64 " and was 0x%x, as it "
            "must be, at the point before: something in this process changed it (loading a library "
            "built with -ffast-math or -Ofast does)",
            thread, fp_env, t->step, DD_FP_ENV_DEFAULT);
    }
    if (st == DD_ERR_CANCELLED)
        return dd_error_set(error, st, "step %" PRIu64 " was cancelled", t->step);
    return st;
}

/* Replays the step's lanes one by one and names the lowest (lane, tensor, index) that is not
 * finite. The weights are those the step began with. */
static dd_status name_culprit(dd_trainer *t, dd_culprit *culprit, dd_error *error)
{
    const dd_layout *layout = &t->model.layout;
    uint64_t element;
    bool in_root = dd_segment_find_nonfinite(layout, &t->segments.at[t->root], &element);

    t->each_mode = EACH_REPLAY;
    dd_status st = request(t, DD_TEAM_EACH, error);
    if (st)
        return st;
    *culprit = (dd_culprit){.lane = DD_NO_LANE, .worker = DD_NO_LANE, .tensor = "loss"};
    for (uint32_t l = 0; l < N_LANES; l++) {
        const lane_result *r = &t->lane_result[l];
        if (!lane_sequences(t, l) || (!r->nonfinite && isfinite(r->loss)))
            continue;
        culprit->lane = l;
        culprit->worker = r->worker;
        in_root = r->nonfinite;
        element = r->element;
        break;
    }
    if (in_root) {
        dd_tensor k = dd_layout_tensor_of(layout, element);
        culprit->tensor = dd_tensor_name(k);
        culprit->index = element - layout->offset[k];
    }
    const char *what = in_root ? "gradient" : "value";
    if (culprit->lane == DD_NO_LANE)
        dd_error_set(error, DD_ERR_NONFINITE,
                     "step %" PRIu64
                     ": every lane is finite but their fold is not: %s of %s[%" PRIu64 "]",
                     t->step, what, culprit->tensor, culprit->index);
    else
        dd_error_set(
            error, DD_ERR_NONFINITE,
            "step %" PRIu64 ": not finite first in lane %u (worker %u): %s of %s[%" PRIu64 "]",
            t->step, culprit->lane, culprit->worker, what, culprit->tensor, culprit->index);
    return DD_ERR_NONFINITE;
}

dd_status dd_trainer_step(dd_trainer *t, dd_step *out, dd_error *error)
{
    if (!t)
        return dd_error_set(error, DD_ERR_ARGUMENT, "dd_trainer_step: trainer is NULL");
    uint64_t start_ns = dd_now_ns();
    dd_batch_train(&t->split, t->config.seed, t->config.seq, t->config.batch, t->step,
                   t->first_token);
    dd_status st = request(t, DD_TEAM_STEP, error);
    if (st)
        return st;
    dd_step step = {.step = t->step, .loss = t->loss, .norm = t->norm, .lr = t->lr};
    if (!isfinite(t->norm) || !isfinite(t->loss)) {
        st = name_culprit(t, &step.culprit, error);
        if (st != DD_ERR_NONFINITE)
            return st;
        step.discarded = true;
        if (t->config.nan_policy == DD_NAN_SKIP_STEP)
            st = DD_OK;
    }
    t->step++;
    step.wall_ns = dd_now_ns() - start_ns;
    if (out)
        *out = step;
    return st;
}

/* A sum some of whose operands may be absent. */
typedef struct partial_sum {
    double value;
    bool present;
} partial_sum;

static void join(partial_sum *sum, partial_sum right)
{
    if (right.present)
        sum->value = sum->present ? sum->value + right.value : right.value;
    sum->present = sum->present || right.present;
}

/* Folds the lanes' losses by the tree of NUMERICS 7, empty lanes skipped. */
static double fold_losses(const dd_trainer *t)
{
    partial_sum triangle[4] = {{0}}, half[2] = {{0}}, total = {0};
    for (uint32_t l = 0; l < N_LANES; l++)
        join(&triangle[l / 3], (partial_sum){t->lane_result[l].loss, lane_sequences(t, l) > 0});
    for (uint32_t i = 0; i < 4; i++)
        join(&half[i / 2], triangle[i]);
    for (uint32_t i = 0; i < 2; i++)
        join(&total, half[i]);
    return total.value;
}

dd_status dd_trainer_validate(dd_trainer *t, uint32_t n_batches, double *loss, dd_error *error)
{
    if (!t || !loss)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "dd_trainer_validate: trainer and loss must not be NULL");
    dd_status st = dd_fp_env_check(error); /* the lanes' losses are folded here */
    if (st)
        return st;
    uint32_t T = t->config.seq, B = t->config.batch;
    uint64_t full = t->split.validation_windows / B;
    if (!n_batches || !full)
        return dd_error_set(
            error, DD_ERR_DATA,
            "validation needs a full batch of %u windows of %u tokens; the source has %" PRIu64
            " windows for it and %u batches were asked for",
            B, T + 1, t->split.validation_windows, n_batches);
    uint64_t n = n_batches < full ? n_batches : full;
    double sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        dd_batch_validation(&t->split, T, B, i, t->first_token);
        t->each_mode = EACH_VALIDATE;
        if ((st = request(t, DD_TEAM_EACH, error)))
            return st;
        sum += fold_losses(t) / ((double)B * T);
    }
    *loss = sum / (double)n;
    return DD_OK;
}

void dd_trainer_cancel(dd_trainer *t)
{
    if (t)
        dd_team_cancel(t->team);
}

/* ---- Questions ---- */

void dd_trainer_hash(const dd_trainer *t, uint8_t hash[16])
{
    dd_hash128(t->weights, dd_layout_size(&t->model.layout) * sizeof(float), hash);
}

float *dd_trainer_weights(dd_trainer *t, uint64_t *n)
{
    if (n)
        *n = dd_layout_size(&t->model.layout);
    return t->weights;
}

uint64_t dd_trainer_heartbeat(const dd_trainer *t)
{
    return dd_team_heartbeat(t->team);
}

void dd_trainer_info_get(const dd_trainer *t, dd_trainer_info *out)
{
    uint64_t P = dd_layout_size(&t->model.layout), tokens = 0, most = 0;
    dd_worker_counters counters;
    *out = (dd_trainer_info){
        .workers = t->config.workers,
        .n_lanes = N_LANES,
        .non_empty_lanes = count_non_empty(t),
        .kernels = t->model.kernels->name,
        .n_parameters = P,
        .weights_bytes = P * sizeof(float),
        .moments_bytes = 2 * P * sizeof(float),
        .segments_bytes = dd_segments_bytes(&t->segments, P),
        .requests = dd_team_requests(t->team),
    };
    for (uint32_t w = 0; w < t->config.workers; w++) {
        const dd_share *share = &t->share[w];
        uint32_t first_segment;
        dd_team_counters(t->team, w, &counters);
        out->worker[w] = (dd_worker_info){
            .first_lane = share->first,
            .n_lanes = share->n_lanes,
            .lanes_done = counters.lanes_done,
            .lanes_cancelled = counters.lanes_cancelled,
            .folds = counters.folds,
            .cpu_ns = counters.cpu_ns,
            .segments = dd_plan_segments(t->plan, w, &first_segment),
        };
        if (t->workspace[w])
            out->workspaces_bytes += dd_workspace_bytes(t->workspace[w]);
        tokens += share->tokens;
        most = share->tokens > most ? share->tokens : most;
    }
    out->lane_bound = (double)tokens / (double)most;
    dd_team_counters(t->team, DD_NODE_ZERO, &counters);
    out->node_zero_lanes = counters.lanes_done;
    out->node_zero_folds = counters.folds;
    dd_team_idle(t->team, &out->node_zero_lane_cpu_ns, &out->node_zero_lane_wall_ns);
}
