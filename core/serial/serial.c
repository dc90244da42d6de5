/* SPDX-License-Identifier: MIT
 * The oracle's training step: start values, the fold tree over lanes, norm, schedule and AdamW, to
 * be read beside core/model/NUMERICS.md like serial_lane.c, which holds the model; numbers in
 * brackets are its sections. One thread, one lane after another, no choice left to anything but the
 * configuration. */
#include "config.h"
#include "error.h"
#include "hash.h"
#include "oracle.h"
#include "platform.h"
#include "random.h"
#include "serial_lane.h"
#include "tokens.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define NORM_BLOCK 4096

/* [2] */
typedef enum start { ONE, ZERO, NORMAL, NORMAL_RESIDUAL } start;
static const struct {
    const char *name;
    bool decayed;
    start start;
} about[N_TENSORS] = {
    {"wte", true, NORMAL},
    {"wpe", true, NORMAL},
    {"ln1w", false, ONE},
    {"ln1b", false, ZERO},
    {"qkvw", true, NORMAL},
    {"qkvb", false, ZERO},
    {"attprojw", true, NORMAL_RESIDUAL},
    {"attprojb", false, ZERO},
    {"ln2w", false, ONE},
    {"ln2b", false, ZERO},
    {"fcw", true, NORMAL},
    {"fcb", false, ZERO},
    {"fcprojw", true, NORMAL_RESIDUAL},
    {"fcprojb", false, ZERO},
    {"lnfw", false, ONE},
    {"lnfb", false, ZERO},
};

struct dd_oracle {
    dd_config config;
    dd_data_split split;
    const uint16_t *tokens;
    size_t B, T, P;         /* sequences, tokens per sequence, parameters */
    size_t size[N_TENSORS]; /* elements of each tensor */
    lane_model model;
    real *weights, *m, *v; /* (P) */
    lane_work *work;
    gradient *gradients; /* as many as can be alive at a time */
    gradient **idle;     /* those not in use */
    size_t n_gradients, n_idle;
    uint64_t *first;    /* (B) first token of each sequence of the batch at hand */
    real *token_loss;   /* (B, T) */
    double *block_sums; /* of the norm */
    uint64_t step;      /* number of the next step */
    uint64_t adam_t;    /* updates done */
};

/* ---- Lanes and fold tree [3, 7] ---- */

static gradient *take(dd_oracle *o)
{
    assert(o->n_idle > 0);
    return o->idle[--o->n_idle];
}

static void give(dd_oracle *o, gradient *g)
{
    o->idle[o->n_idle++] = g;
}

static uint64_t n_lanes(uint32_t depth)
{
    uint64_t n = 1;
    while (depth--)
        n *= 12;
    return n;
}

/* First sequence of lane l. */
static size_t lane_begin(const dd_oracle *o, uint64_t l)
{
    return (size_t)(l * o->B / n_lanes(o->config.lane_depth));
}

/* Lane l: its loss, and with `backward` its gradient. NULL if the lane is empty. */
static gradient *run_lane(dd_oracle *o, uint64_t l, bool backward)
{
    size_t begin = lane_begin(o, l), n = lane_begin(o, l + 1) - begin;
    if (n == 0)
        return NULL;
    gradient *g = take(o);
    g->loss = lane_forward(&o->model, o->work, o->tokens, o->first + begin, n,
                           o->token_loss + begin * o->T);
    if (backward)
        lane_backward(&o->model, o->work, g);
    return g;
}

/* left + right; an absent operand leaves the other unchanged, and so does an absent lookup row. */
static gradient *fold(dd_oracle *o, gradient *left, gradient *right, bool backward)
{
    if (!left || !right)
        return left ? left : right;
    left->loss = left->loss + right->loss;
    for (size_t i = 0; backward && i < o->P; i++)
        left->dense[i] = left->dense[i] + right->dense[i];
    size_t C = o->config.shape.C, V = o->config.shape.V;
    for (size_t v = 0; backward && v < V; v++) {
        real *to = left->lookup + v * C;
        const real *from = right->lookup + v * C;
        if (!right->present[v])
            continue;
        for (size_t c = 0; c < C; c++)
            to[c] = left->present[v] ? to[c] + from[c] : from[c];
        left->present[v] = true;
    }
    give(o, right);
    return left;
}

/* The value of a position that stands for 12^depth lanes from `lane` on; NULL if all are empty.
 * Operands are evaluated left to right, so that 3 * depth + 1 gradients suffice. */
static gradient *value_of(dd_oracle *o, uint32_t depth, uint64_t lane, bool backward)
{
    uint64_t n = n_lanes(depth);
    if (lane_begin(o, lane) == lane_begin(o, lane + n))
        return NULL;
    if (depth == 0)
        return run_lane(o, lane, backward);
    gradient *half[2];
    for (uint64_t i = 0; i < 2; i++) {
        gradient *triangle[2];
        for (uint64_t j = 0; j < 2; j++) {
            uint64_t p = 3 * (2 * i + j); /* the triangle's first position */
            triangle[j] = value_of(o, depth - 1, lane + p * (n / 12), backward);
            for (uint64_t k = p + 1; k < p + 3; k++)
                triangle[j] = fold(o, triangle[j],
                                   value_of(o, depth - 1, lane + k * (n / 12), backward), backward);
        }
        half[i] = fold(o, triangle[0], triangle[1], backward);
    }
    return fold(o, half[0], half[1], backward);
}

/* wte's two parts become one: the lookup part is added where it is present. */
static void join_lookup(const dd_oracle *o, gradient *g)
{
    size_t C = o->config.shape.C, V = o->config.shape.V;
    for (size_t i = 0; i < V * C; i++)
        if (g->present[i / C])
            g->dense[i] = g->dense[i] + g->lookup[i];
}

/* The root gradient of the batch at o->first, to be given back. *loss is the mean over tokens. */
static gradient *root_of(dd_oracle *o, double *loss, bool backward)
{
    gradient *root = value_of(o, o->config.lane_depth, 0, backward);
    *loss = root->loss / (double)(o->B * o->T);
    if (backward)
        join_lookup(o, root);
    return root;
}

/* ---- Norm, schedule, update [8] ---- */

static double norm_of(const dd_oracle *o, const real *g)
{
    size_t n = 0;
    double *sum = o->block_sums;
    for (size_t begin = 0; begin < o->P; begin += NORM_BLOCK) {
        size_t size = o->P - begin < NORM_BLOCK ? o->P - begin : NORM_BLOCK;
        double p[16] = {0};
        for (size_t i = 0; i < size; i++)
            p[i % 16] = p[i % 16] + (double)g[begin + i] * (double)g[begin + i];
        for (int h = 8; h >= 1; h /= 2)
            for (int j = 0; j < h; j++)
                p[j] = p[j] + p[j + h];
        sum[n++] = p[0];
    }
    for (; n > 1; n = n / 2 + n % 2) {
        for (size_t i = 0; i < n / 2; i++)
            sum[i] = sum[2 * i] + sum[2 * i + 1];
        if (n % 2)
            sum[n / 2] = sum[n - 1];
    }
    return sqrt(sum[0]);
}

static real learning_rate(const dd_config *c, uint64_t s)
{
    uint64_t N = c->horizon, W = c->warmup;
    if (s < W)
        return (real)(c->lr * (double)(s + 1) / (double)W);
    double q = (double)(s - W) / (double)(N > W ? N - W : 1);
    if (q > 1)
        q = 1;
    double floor = c->lr * c->min_lr_ratio;
    return (real)(floor + (0.5 * (1 + dd_cospi(q))) * (c->lr - floor));
}

/* beta^t */
static double power(double beta, uint64_t t)
{
    double result = 1, base = beta;
    for (; t; t /= 2) {
        if (t % 2)
            result = result * base;
        base = base * base;
    }
    return result;
}

static void update(dd_oracle *o, const real *g, double norm, real lr)
{
    const dd_config *k = &o->config;
    uint64_t t = ++o->adam_t;
    real clip = k->grad_clip == 0 || norm <= k->grad_clip ? 1 : (real)(k->grad_clip / norm);
    real b1 = (real)k->beta1, a1 = (real)(1 - k->beta1), r1 = (real)(1 / (1 - power(k->beta1, t)));
    real b2 = (real)k->beta2, a2 = (real)(1 - k->beta2), r2 = (real)(1 / (1 - power(k->beta2, t)));
    real eps = (real)k->eps, wd = (real)k->weight_decay;
    size_t i = 0;
    for (size_t tensor = 0; tensor < N_TENSORS; tensor++)
        for (size_t end = i + o->size[tensor]; i < end; i++) {
            real w = o->weights[i], h = g[i] * clip;
            o->m[i] = real_fma(b1, o->m[i], a1 * h);
            o->v[i] = real_fma(b2, o->v[i], a2 * (h * h));
            real u = (o->m[i] * r1) / (real_sqrt(o->v[i] * r2) + eps);
            if (about[tensor].decayed)
                u = real_fma(wd, w, u);
            o->weights[i] = real_fma(-lr, u, w);
        }
}

/* ---- One step ---- */

/* Replays the batch lane by lane for the lowest (lane, tensor, index) that is not finite. */
static dd_culprit find_culprit(dd_oracle *o, const gradient *root)
{
    dd_culprit culprit = {.lane = DD_NO_LANE, .worker = DD_NO_LANE, .tensor = "loss"};
    uint64_t lanes = n_lanes(o->config.lane_depth);
    for (uint64_t l = 0; l <= lanes; l++) { /* the last: the fold of lanes that are all finite */
        gradient *lane = l < lanes ? run_lane(o, l, true) : NULL;
        const gradient *g = l < lanes ? lane : root;
        if (!g)
            continue;
        if (lane)
            join_lookup(o, lane);
        size_t i = 0;
        while (i < o->P && isfinite(g->dense[i]))
            i++;
        bool found = i < o->P || !isfinite(g->loss);
        if (lane)
            give(o, lane);
        if (!found)
            continue;
        if (l < lanes)
            culprit.lane = (uint32_t)l;
        size_t k = 0;
        for (; k < N_TENSORS && i >= o->size[k]; k++)
            i -= o->size[k];
        if (k < N_TENSORS) {
            culprit.tensor = about[k].name;
            culprit.index = i;
        }
        break;
    }
    return culprit;
}

static dd_status oracle_step(dd_oracle *o, dd_step *out, dd_error *error)
{
    uint64_t start_ns = dd_now_ns();
    dd_step step = {.step = o->step};
    real lr = learning_rate(&o->config, o->step);
    dd_batch_train(&o->split, o->config.seed, (uint32_t)o->T, (uint32_t)o->B, o->step, o->first);
    gradient *root = root_of(o, &step.loss, true);
    step.norm = norm_of(o, root->dense);
    step.lr = (float)lr;
    if (isfinite(step.norm) && isfinite(step.loss)) {
        update(o, root->dense, step.norm, lr);
    } else {
        step.discarded = true;
        step.culprit = find_culprit(o, root);
    }
    give(o, root);
    o->step++; /* of a discarded step too: data and schedule advance */
    step.wall_ns = dd_now_ns() - start_ns;
    if (out)
        *out = step;
    if (!step.discarded || o->config.nan_policy == DD_NAN_SKIP_STEP)
        return DD_OK;
    const dd_culprit *c = &step.culprit;
    return dd_error_set(error, DD_ERR_NONFINITE,
                        "step %" PRIu64 ": loss %g, gradient norm %g; first in %s %" PRIu32
                        ", %s[%" PRIu64 "]; the weights are those before the step",
                        step.step, step.loss, step.norm,
                        c->lane == DD_NO_LANE ? "the fold of lanes below" : "lane",
                        c->lane == DD_NO_LANE ? (uint32_t)n_lanes(o->config.lane_depth) : c->lane,
                        c->tensor, c->index);
}

static dd_status oracle_validate(dd_oracle *o, uint32_t n_batches, double *loss, dd_error *error)
{
    uint64_t full = o->split.validation_windows / o->B, n = n_batches < full ? n_batches : full;
    if (n == 0)
        return dd_error_set(
            error, DD_ERR_DATA,
            "validation needs a batch of %zu windows of %zu tokens; the data has %" PRIu64
            " such windows for it and %" PRIu32 " batches were asked for",
            o->B, o->T + 1, o->split.validation_windows, n_batches);
    double sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        double mean;
        dd_batch_validation(&o->split, (uint32_t)o->T, (uint32_t)o->B, i, o->first);
        give(o, root_of(o, &mean, false));
        sum = sum + mean;
    }
    *loss = sum / (double)n;
    return DD_OK;
}

static const void *oracle_gradient(dd_oracle *o, uint64_t step, double *loss)
{
    dd_batch_train(&o->split, o->config.seed, (uint32_t)o->T, (uint32_t)o->B, step, o->first);
    gradient *root = root_of(o, loss, true);
    give(o, root);
    return root->dense;
}

static const void *oracle_token_losses(const dd_oracle *o)
{
    return o->token_loss;
}

static void oracle_hash(const dd_oracle *o, uint8_t hash[16])
{
    dd_hash128(o->weights, o->P * sizeof *o->weights, hash);
}

static void *oracle_weights(dd_oracle *o, uint64_t *n)
{
    if (n)
        *n = o->P;
    return o->weights;
}

/* ---- Opening and closing ---- */

static void start_weights(dd_oracle *o)
{
    float residual = (float)(0.02 / sqrt((double)(2 * (uint64_t)o->config.shape.L)));
    real *w = o->weights;
    for (uint32_t k = 0; k < N_TENSORS; k++)
        for (size_t e = 0; e < o->size[k]; e++)
            switch (about[k].start) {
            case ONE:
                *w++ = 1;
                break;
            case ZERO:
                *w++ = 0;
                break;
            case NORMAL:
                *w++ = (real)dd_random_normal(o->config.seed, k, e, 0.02f);
                break;
            case NORMAL_RESIDUAL:
                *w++ = (real)dd_random_normal(o->config.seed, k, e, residual);
                break;
            }
}

static void oracle_close(dd_oracle *o)
{
    if (!o)
        return;
    for (size_t i = 0; o->gradients && i < o->n_gradients; i++) {
        dd_free(o->gradients[i].dense);
        dd_free(o->gradients[i].lookup);
        dd_free(o->gradients[i].present);
    }
    dd_free(o->gradients);
    dd_free(o->idle);
    lane_work_close(o->work, &o->model);
    dd_free(o->weights);
    dd_free(o->m);
    dd_free(o->v);
    dd_free(o->first);
    dd_free(o->token_loss);
    dd_free(o->block_sums);
    dd_free(o);
}

static bool allocate(dd_oracle *o)
{
    const dd_shape *shape = &o->config.shape;
    uint64_t lanes = n_lanes(o->config.lane_depth);
    /* Folding holds up to 3D + 1 gradients, no two without a sequence of their own; finding a
     * culprit holds the root and a lane's. */
    size_t at_most = 3 * (size_t)o->config.lane_depth + 1;
    o->n_gradients = o->B < 2 ? 2 : o->B < at_most ? o->B : at_most;
    o->weights = dd_alloc(o->P * sizeof *o->weights);
    o->m = dd_alloc(o->P * sizeof *o->m);
    o->v = dd_alloc(o->P * sizeof *o->v);
    o->first = dd_alloc(o->B * sizeof *o->first);
    o->token_loss = dd_alloc(o->B * o->T * sizeof *o->token_loss);
    o->block_sums = dd_alloc((o->P / NORM_BLOCK + 1) * sizeof *o->block_sums);
    o->gradients = dd_alloc(o->n_gradients * sizeof *o->gradients);
    o->idle = dd_alloc(o->n_gradients * sizeof *o->idle);
    if (!o->weights || !o->m || !o->v || !o->first || !o->token_loss || !o->block_sums ||
        !o->gradients || !o->idle)
        return false;
    for (size_t i = 0; i < o->n_gradients; i++) {
        gradient *g = &o->gradients[i];
        g->dense = dd_alloc(o->P * sizeof *g->dense);
        g->lookup = dd_alloc((size_t)shape->V * shape->C * sizeof *g->lookup);
        g->present = dd_alloc(shape->V * sizeof *g->present);
        if (!g->dense || !g->lookup || !g->present)
            return false;
        give(o, g);
    }
    size_t most = (size_t)((o->B + lanes - 1) / lanes); /* sequences of the longest lane */
    return lane_work_open(&o->model, most, &o->work) == DD_OK;
}

static dd_status oracle_open(const dd_config *config, const dd_data *data, dd_oracle **out,
                             dd_error *error)
{
    dd_status st = dd_config_check_bits(config, data, error);
    if (st != DD_OK)
        return st;
    dd_oracle *o = dd_alloc(sizeof *o);
    if (!o)
        return dd_error_set(error, DD_ERR_MEMORY, "out of memory for the oracle");
    uint64_t n_tokens;
    o->config = *config;
    o->tokens = dd_data_tokens(data, &n_tokens);
    o->B = config->batch;
    o->T = dd_config_seq(config);
    o->P = dd_shape_n_parameters(&config->shape);
    o->model = (lane_model){
        .shape = config->shape,
        .T = o->T,
        .inv = 1 / (real)(o->B * o->T),
    };
    if ((st = dd_data_split_get(data, (uint32_t)o->T, config->batch, &o->split, error)) != DD_OK)
        goto fail;
    if (!allocate(o)) {
        st = dd_error_set(
            error, DD_ERR_MEMORY,
            "out of memory: the oracle needs %zu vectors of %zu parameters, and the activations "
            "of a lane",
            o->n_gradients + 3, o->P);
        goto fail;
    }
    lane_tensors_point(&config->shape, o->weights, &o->model.w, o->size);
    start_weights(o);
    *out = o;
    return DD_OK;
fail:
    oracle_close(o);
    return st;
}

#ifdef DD_ORACLE_DOUBLE
#define BUILD_NAME "double precision"
#elif defined(__FMA__)
#define BUILD_NAME "hardware FMA"
#else
#define BUILD_NAME "libm fmaf"
#endif

const dd_oracle_build DD_ORACLE_NAME(dd_oracle) = {
    .name = BUILD_NAME,
    .open = oracle_open,
    .close = oracle_close,
    .step = oracle_step,
    .validate = oracle_validate,
    .hash = oracle_hash,
    .weights = oracle_weights,
    .gradient = oracle_gradient,
    .token_losses = oracle_token_losses,
};
