/* SPDX-License-Identifier: MIT
 * The lock-based baselines: how such a trainer is written with mutexes and condition variables,
 * with dodeca's own kernels and arithmetic, so that a comparison measures coordination alone.
 *
 *   locks           the older scheme whole: one lock around the model, which has one workspace, so
 *                   that one thread computes at a time; a lock around the shared gradient; the
 *                   caller updates. Serial by construction: its threads can only cost
 *   locks-gradient  re-entrant computation with a workspace for each worker; a worker sums its
 * lanes by itself and takes the one gradient lock once a step; update by slices
 *
 * Lanes are handed out under a mutex to whoever asks next, so that sums depend on the order of
 * arrival: losses and weights agree with the oracle's within rounding, not bit for bit. Norm,
 * clipping and AdamW are those of NUMERICS 8.
 *
 * Lock order: model, then none; gradient, then none; hand_out, then none: no lock is taken while
 * another is held. */
#include "subject.h"

#include "adamw.h"
#include "config.h"
#include "cpu.h"
#include "error.h"
#include "gpt2.h"
#include "gradient.h"
#include "packed.h"
#include "platform.h"
#include "tokens.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

typedef struct locks locks;

typedef struct worker {
    locks *of;
    uint32_t number;
    dd_thread thread;
    dd_workspace *workspace; /* its own; NULL: the one of the model */
    _Atomic uint32_t tid;    /* atomic, relaxed, as the counters: for readers of health */
    _Atomic uint64_t lanes_done, cpu_ns;
} worker;

/* What makes the two schemes different. */
typedef struct scheme {
    void (*work)(locks *l, worker *w); /* a worker's part of a step */
    void (*finish)(locks *l);          /* the caller's, after all workers' */
    bool one_model;                    /* one workspace, behind a lock */
} scheme;

struct locks {
    /* fixed after open */
    const scheme *scheme;
    dd_config config; /* workers and seq resolved */
    const uint16_t *tokens;
    dd_data_split split;
    dd_model model;
    uint32_t n_lanes, non_empty_lanes;
    uint32_t *first_sequence; /* (n_lanes + 1) */
    uint64_t n_blocks;
    worker *worker; /* (config.workers) */
    uint32_t n_started;
    bool locks_made;

    float *weights, *packed, *m,
        *v;                /* read-only while lanes run; then each its slice, or the caller */
    double *block_sums;    /* who completes the sum */
    uint64_t *first_token; /* the caller before the hand-out */
    dd_segments segments;  /* worker w's own is at[w]; of one_model, at[workers] is the sum */
    uint64_t step, adam_t; /* the caller between steps; who completes the sum */
    double loss, norm;     /* who completes the sum */
    float lr;
    bool update; /* the step is finite */
    dd_adamw adamw;

    pthread_mutex_t hand_out;
    pthread_cond_t begun, ended;
    uint64_t n_begun;   /* under hand_out: steps */
    uint32_t next_lane; /* under hand_out: first lane not yet handed out */
    uint32_t n_working; /* under hand_out: workers that have not finished the step */
    bool closing;       /* under hand_out */

    pthread_mutex_t model_lock; /* guards model_workspace */
    dd_workspace *model_workspace;

    pthread_mutex_t gradient_lock;
    dd_segment *sum;          /* under gradient_lock: what the step's lanes add up to so far */
    uint32_t n_added;         /* under gradient_lock: workers that are done with their sums */
    pthread_barrier_t summed; /* locks-gradient: the sum is complete, the verdict out */

    _Atomic uint64_t heartbeat; /* atomic, relaxed */
};

/* ---- A worker's step ---- */

/* The next lane that is not empty. returns  false: all are handed out */
static bool take_lane(locks *l, uint32_t *lane)
{
    pthread_mutex_lock(&l->hand_out);
    while (l->next_lane < l->n_lanes &&
           l->first_sequence[l->next_lane] == l->first_sequence[l->next_lane + 1])
        l->next_lane++;
    bool taken = l->next_lane < l->n_lanes;
    *lane = l->next_lane;
    l->next_lane += taken;
    pthread_mutex_unlock(&l->hand_out);
    return taken;
}

static void run_lane(locks *l, worker *w, dd_workspace *workspace, uint32_t lane, dd_sink sink)
{
    uint32_t first = l->first_sequence[lane];
    dd_lane work = {.tokens = l->tokens,
                    .first = l->first_token + first,
                    .n_sequences = l->first_sequence[lane + 1] - first};
    dd_gpt2_gradient(&l->model, workspace, &work, sink, &l->segments.at[w->number]);
    atomic_fetch_add_explicit(&w->lanes_done, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&l->heartbeat, 1, memory_order_relaxed);
}

static void add(locks *l, dd_segment *into, const dd_segment *from)
{
    dd_segment_fold(l->model.kernels, &l->model.layout, into, from);
}

/* Root, norm and verdict (NUMERICS 7, 8), by the one thread that may touch the sum. */
static void complete(locks *l)
{
    dd_segment *root = l->sum;
    dd_segment_root(l->model.kernels, &l->model.layout, root);
    dd_norm_blocks(l->model.kernels, &l->model.layout, root->dense, l->block_sums);
    l->norm = dd_norm_total(l->block_sums, l->n_blocks);
    l->loss = root->loss / ((double)l->config.batch * l->config.seq);
    l->lr = dd_schedule_lr(&l->config, l->step);
    l->update = isfinite(l->norm) && isfinite(l->loss);
    if (!l->update)
        return;
    l->adam_t++;
    l->adamw =
        dd_adamw_at(&l->config, l->adam_t, l->lr, dd_clip_factor(l->norm, l->config.grad_clip));
}

static void update_blocks(locks *l, uint64_t first, uint64_t last)
{
    uint64_t P = dd_layout_size(&l->model.layout);
    last *= DD_NORM_BLOCK;
    dd_adamw_slice(l->model.kernels, &l->model.layout, &l->adamw, first * DD_NORM_BLOCK,
                   last < P ? last : P, l->weights, l->packed, l->m, l->v, l->sum->dense);
}

static void work_locks(locks *l, worker *w)
{
    uint32_t lane;
    while (take_lane(l, &lane)) {
        pthread_mutex_lock(&l->model_lock);
        run_lane(l, w, l->model_workspace, lane, DD_STORE);
        pthread_mutex_unlock(&l->model_lock);
        pthread_mutex_lock(&l->gradient_lock);
        add(l, l->sum, &l->segments.at[w->number]);
        pthread_mutex_unlock(&l->gradient_lock);
    }
}

static void finish_locks(locks *l)
{
    complete(l);
    if (l->update)
        update_blocks(l, 0, l->n_blocks);
}

static void work_locks_gradient(locks *l, worker *w)
{
    uint64_t n = l->config.workers;
    dd_segment *own = &l->segments.at[w->number];
    bool has_some = false;
    for (uint32_t lane; take_lane(l, &lane); has_some = true)
        run_lane(l, w, w->workspace, lane, has_some ? DD_FOLD : DD_STORE);

    pthread_mutex_lock(&l->gradient_lock);
    if (has_some && l->sum)
        add(l, l->sum, own);
    else if (has_some)
        l->sum = own; /* the first one's becomes the sum, so that nothing is zeroed or copied */
    bool last = ++l->n_added == l->config.workers;
    pthread_mutex_unlock(&l->gradient_lock);
    if (last)
        complete(l);
    pthread_barrier_wait(&l->summed);
    if (l->update)
        update_blocks(l, w->number * l->n_blocks / n, (w->number + 1) * l->n_blocks / n);
}

static void finish_nothing(locks *l)
{
    (void)l;
}

static const scheme locks_scheme = {work_locks, finish_locks, true};
static const scheme locks_gradient_scheme = {work_locks_gradient, finish_nothing, false};

/* ---- Threads ---- */

static void run_worker(void *arg)
{
    worker *w = arg;
    locks *l = w->of;
    atomic_store_explicit(&w->tid, dd_thread_id(), memory_order_relaxed);
    for (uint64_t done = 0;; done++) {
        pthread_mutex_lock(&l->hand_out);
        while (l->n_begun == done && !l->closing)
            pthread_cond_wait(&l->begun, &l->hand_out);
        bool leave = l->n_begun == done;
        pthread_mutex_unlock(&l->hand_out);
        if (leave)
            return;
        l->scheme->work(l, w);
        atomic_store_explicit(&w->cpu_ns, dd_thread_cpu_ns(), memory_order_relaxed);
        pthread_mutex_lock(&l->hand_out);
        if (--l->n_working == 0)
            pthread_cond_signal(&l->ended);
        pthread_mutex_unlock(&l->hand_out);
    }
}

/* Posts the step and sleeps until every worker has finished it. */
static void run_step(locks *l)
{
    pthread_mutex_lock(&l->hand_out);
    l->next_lane = 0;
    l->n_working = l->config.workers;
    l->n_begun++;
    pthread_cond_broadcast(&l->begun);
    while (l->n_working)
        pthread_cond_wait(&l->ended, &l->hand_out);
    pthread_mutex_unlock(&l->hand_out);
}

static dd_status locks_step(void *self, dd_step *out, dd_error *error)
{
    locks *l = self;
    dd_status st = dd_fp_env_check(error);
    if (st != DD_OK)
        return st;
    uint64_t start_ns = dd_now_ns();
    dd_batch_train(&l->split, l->config.seed, l->config.seq, l->config.batch, l->step,
                   l->first_token);
    l->n_added = 0;
    l->sum = NULL;
    if (l->scheme->one_model) {
        l->sum = &l->segments.at[l->config.workers];
        dd_zero(dd_layout_size(&l->model.layout), l->sum->dense);
        dd_rows_clear(&l->sum->lookup);
        l->sum->loss = 0;
    }
    run_step(l);
    l->scheme->finish(l);

    dd_step step = {.step = l->step,
                    .loss = l->loss,
                    .norm = l->norm,
                    .lr = l->lr,
                    .discarded = !l->update,
                    .culprit = {.lane = DD_NO_LANE, .worker = DD_NO_LANE}};
    if (!l->update)
        st =
            dd_error_set(error, l->config.nan_policy == DD_NAN_SKIP_STEP ? DD_OK : DD_ERR_NONFINITE,
                         "step %" PRIu64 ": loss %g, gradient norm %g", l->step, l->loss, l->norm);
    l->step++;
    step.wall_ns = dd_now_ns() - start_ns;
    *out = step;
    return st;
}

/* ---- Opening and closing ---- */

static void locks_close(void *self)
{
    locks *l = self;
    if (!l)
        return;
    if (l->locks_made) {
        pthread_mutex_lock(&l->hand_out);
        l->closing = true;
        pthread_cond_broadcast(&l->begun);
        pthread_mutex_unlock(&l->hand_out);
        for (uint32_t w = 0; w < l->n_started; w++)
            dd_thread_join(&l->worker[w].thread);
        pthread_barrier_destroy(&l->summed);
        pthread_mutex_destroy(&l->gradient_lock);
        pthread_mutex_destroy(&l->model_lock);
        pthread_cond_destroy(&l->ended);
        pthread_cond_destroy(&l->begun);
        pthread_mutex_destroy(&l->hand_out);
    }
    for (uint32_t w = 0; l->worker && w < l->config.workers; w++)
        dd_workspace_close(l->worker[w].workspace);
    dd_workspace_close(l->model_workspace);
    dd_segments_close(&l->segments);
    dd_free(l->worker);
    dd_free(l->first_sequence);
    dd_free(l->first_token);
    dd_free(l->block_sums);
    dd_free(l->v);
    dd_free(l->m);
    dd_free(l->packed);
    dd_free(l->weights);
    dd_free(l);
}

static dd_status cut_lanes(locks *l, uint32_t *most)
{
    l->n_lanes = 1;
    for (uint32_t d = 0; d < l->config.lane_depth; d++)
        l->n_lanes *= 12;
    l->first_sequence = dd_alloc((l->n_lanes + 1) * sizeof *l->first_sequence);
    if (!l->first_sequence)
        return DD_ERR_MEMORY;
    *most = 0;
    for (uint32_t i = 1; i <= l->n_lanes; i++) {
        l->first_sequence[i] = (uint32_t)((uint64_t)i * l->config.batch / l->n_lanes);
        uint32_t n = l->first_sequence[i] - l->first_sequence[i - 1];
        l->non_empty_lanes += n > 0;
        *most = n > *most ? n : *most;
    }
    return DD_OK;
}

static dd_status allocate(locks *l, uint32_t most_sequences)
{
    const dd_shape *s = &l->config.shape;
    uint64_t P = dd_layout_size(&l->model.layout), rows = (uint64_t)l->config.batch * l->config.seq;
    uint32_t n = l->config.workers;
    l->weights = dd_alloc(P * sizeof(float));
    l->packed = dd_alloc(dd_packed_size(&l->model.layout) * sizeof(float));
    l->m = dd_alloc(P * sizeof(float));
    l->v = dd_alloc(P * sizeof(float));
    l->block_sums = dd_alloc(l->n_blocks * sizeof(double));
    l->first_token = dd_alloc(l->config.batch * sizeof(uint64_t));
    l->worker = dd_alloc(n * sizeof *l->worker);
    if (!l->weights || !l->packed || !l->m || !l->v || !l->block_sums || !l->first_token ||
        !l->worker)
        return DD_ERR_MEMORY;
    if (l->scheme->one_model &&
        dd_workspace_open(&l->model, most_sequences, NULL, &l->model_workspace))
        return DD_ERR_MEMORY;
    for (uint32_t w = 0; w < n && !l->scheme->one_model; w++)
        if (dd_workspace_open(&l->model, most_sequences, NULL, &l->worker[w].workspace))
            return DD_ERR_MEMORY;
    return dd_segments_open(&l->segments, NULL, n + l->scheme->one_model, P,
                            rows < s->V ? (uint32_t)rows : s->V, s->C, s->V);
}

static dd_status start_threads(locks *l)
{
    pthread_mutex_init(&l->hand_out, NULL);
    pthread_mutex_init(&l->model_lock, NULL);
    pthread_mutex_init(&l->gradient_lock, NULL);
    pthread_cond_init(&l->begun, NULL);
    pthread_cond_init(&l->ended, NULL);
    pthread_barrier_init(&l->summed, NULL, l->config.workers);
    l->locks_made = true;
    for (uint32_t i = 0; i < l->config.workers; i++) {
        worker *w = &l->worker[i];
        char name[32];
        snprintf(name, sizeof name, "worker %u", i);
        w->of = l;
        w->number = i;
        if (dd_thread_create(&w->thread, name, 0, run_worker, w))
            return DD_ERR_THREAD;
        l->n_started = i + 1; /* close joins exactly these */
    }
    return DD_OK;
}

static dd_status open_scheme(const scheme *how, const dd_config *config, const dd_data *data,
                             void **out, dd_error *error)
{
    dd_status st = dd_config_check(config, data, error);
    if (st != DD_OK || (st = dd_fp_env_check(error)) != DD_OK)
        return st;
    const char *why = "";
    const dd_kernels *kernels = dd_kernels_select(config->simd, &why);
    if (!kernels)
        return dd_error_set(error, DD_ERR_CPU, "simd: %s", why);
    locks *l = dd_alloc(sizeof *l);
    if (!l)
        return dd_error_set(error, DD_ERR_MEMORY, "out of memory");
    l->scheme = how;
    l->config = *config;
    l->config.seq = dd_config_seq(config);
    uint32_t most = 0, T = l->config.seq, B = l->config.batch, cpus = dd_cpu_available();
    uint64_t n_tokens;
    l->tokens = dd_data_tokens(data, &n_tokens);
    if ((st = dd_data_split_get(data, T, B, &l->split, error)) != DD_OK)
        goto fail;
    l->model = (dd_model){.kernels = kernels, .T = T, .inv_tokens = 1.0f / (float)(B * T)};
    dd_layout_make(&config->shape, &l->model.layout);
    l->n_blocks = dd_norm_n_blocks(&l->model.layout);
    if ((st = cut_lanes(l, &most)) == DD_OK) {
        if (!l->config.workers)
            l->config.workers = cpus < l->non_empty_lanes ? cpus : l->non_empty_lanes;
        st = allocate(l, most);
    }
    if (st != DD_OK) {
        dd_error_set(error, st, "out of memory for %u workers", l->config.workers);
        goto fail;
    }
    l->model.weights = l->weights;
    l->model.packed = l->packed;
    dd_weights_start(&l->model.layout, config->seed, l->weights);
    dd_packed_write(kernels, &l->model.layout, 0, dd_layout_size(&l->model.layout), l->weights,
                    l->packed);
    if ((st = start_threads(l)) != DD_OK) {
        dd_error_set(error, st, "cannot create %u threads: see the limits on processes and memory",
                     l->config.workers);
        goto fail;
    }
    *out = l;
    return DD_OK;
fail:
    locks_close(l);
    return st;
}

static dd_status open_locks(const dd_config *config, const dd_data *data, void **out,
                            dd_error *error)
{
    return open_scheme(&locks_scheme, config, data, out, error);
}

static dd_status open_locks_gradient(const dd_config *config, const dd_data *data, void **out,
                                     dd_error *error)
{
    return open_scheme(&locks_gradient_scheme, config, data, out, error);
}

/* ---- Questions ---- */

static const float *locks_weights(void *self, uint64_t *n)
{
    const locks *l = self;
    *n = dd_layout_size(&l->model.layout);
    return l->weights;
}

static uint64_t locks_heartbeat(const void *self)
{
    const locks *l = self;
    return atomic_load_explicit(&l->heartbeat, memory_order_relaxed);
}

static bool locks_thread(const void *self, uint32_t i, bool between_steps, dd_sphere_info *out)
{
    const locks *l = self;
    if (i >= l->config.workers)
        return false;
    const worker *w = &l->worker[i];
    *out = (dd_sphere_info){
        .thread = i,
        .at = DD_ACTIVITIES,
        .tid = atomic_load_explicit(&w->tid, memory_order_relaxed),
        .segments = between_steps ? 1 : 0,
        .lanes_done = atomic_load_explicit(&w->lanes_done, memory_order_relaxed),
        .cpu_ns = atomic_load_explicit(&w->cpu_ns, memory_order_relaxed),
    };
    out->heartbeat = out->lanes_done;
    return true;
}

static void locks_describe(void *self, dd_trainer_info *info)
{
    const locks *l = self;
    uint64_t P = dd_layout_size(&l->model.layout);
    uint32_t n = l->config.workers, at_once = l->scheme->one_model ? 1 : n;
    uint32_t most = (l->non_empty_lanes + at_once - 1) / at_once;
    *info = (dd_trainer_info){
        .workers = n,
        .n_lanes = l->n_lanes,
        .non_empty_lanes = l->non_empty_lanes,
        .n_threads = n,
        .kernels = l->model.kernels->name,
        .lane_bound = (double)l->non_empty_lanes / most,
        .n_parameters = P,
        .weights_bytes = P * sizeof(float),
        .packed_weights_bytes = dd_packed_size(&l->model.layout) * sizeof(float),
        .moments_bytes = 2 * P * sizeof(float),
        .segments_bytes = dd_segments_bytes(&l->segments, P),
        .n_segments = l->segments.n,
        .most_segments = 1,
        .requests = l->step,
        .guard_why = "",
    };
    if (l->model_workspace) {
        info->workspaces_bytes = dd_workspace_bytes(l->model_workspace);
        info->scratch_bytes = dd_workspace_scratch_bytes(l->model_workspace);
    }
    for (uint32_t w = 0; w < n; w++) {
        info->lanes_done += atomic_load_explicit(&l->worker[w].lanes_done, memory_order_relaxed);
        if (!l->worker[w].workspace)
            continue;
        info->workspaces_bytes += dd_workspace_bytes(l->worker[w].workspace);
        info->scratch_bytes += dd_workspace_scratch_bytes(l->worker[w].workspace);
    }
}

const dd_subject_api dd_subject_locks_ = {
    .name = "locks",
    .open = open_locks,
    .close = locks_close,
    .step = locks_step,
    .weights = locks_weights,
    .describe = locks_describe,
    .heartbeat = locks_heartbeat,
    .thread = locks_thread,
};

const dd_subject_api dd_subject_locks_gradient_ = {
    .name = "locks-gradient",
    .open = open_locks_gradient,
    .close = locks_close,
    .step = locks_step,
    .weights = locks_weights,
    .describe = locks_describe,
    .heartbeat = locks_heartbeat,
    .thread = locks_thread,
};
