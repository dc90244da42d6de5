/* SPDX-License-Identifier: MIT
 * Named shapes, defaults, and every check of a configuration. Nothing is adjusted here: a value is
 * used as given or refused. */
#include "config.h"

#include "error.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* B * T is used as a float, and n(C) too: both must be exact (NUMERICS 1 and 5). */
#define MAX_EXACT (UINT32_C(1) << 24)
/* Parameters, gradient and two moments, 16 bytes each, must fit a 47-bit address space. */
#define MAX_PARAMETERS (UINT64_C(1) << 43)
/* A step's number is used as a double. */
#define MAX_HORIZON (UINT64_C(1) << 53)

static const struct {
    const char *name;
    dd_shape shape;
} named[] = {
    {"nano", {.L = 4, .NH = 4, .C = 128, .V = 256, .T_max = 64}},
    {"micro", {.L = 4, .NH = 8, .C = 256, .V = 512, .T_max = 128}},
    {"gpt2-124M", {.L = 12, .NH = 12, .C = 768, .V = 50257, .T_max = 1024}},
};

bool dd_shape_named(const char *name, dd_shape *out)
{
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (name && strcmp(name, named[i].name) == 0) {
            *out = named[i].shape;
            return true;
        }
    return false;
}

const char *dd_shape_name(size_t i)
{
    return i < sizeof named / sizeof *named ? named[i].name : NULL;
}

static dd_status check_shape(const dd_shape *shape, uint64_t *n_parameters, dd_error *error)
{
    const struct {
        const char *name;
        uint32_t value;
    } sizes[] = {
        {"L", shape->L}, {"NH", shape->NH},       {"C", shape->C},
        {"V", shape->V}, {"T_max", shape->T_max},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (sizes[i].value < 1 || sizes[i].value > MAX_EXACT)
            return dd_error_set(error, DD_ERR_ARGUMENT,
                                "model: %s is %" PRIu32 ", must be from 1 to %" PRIu32,
                                sizes[i].name, sizes[i].value, MAX_EXACT);
    if (shape->C % shape->NH != 0)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "model: C %" PRIu32 " is not a multiple of NH %" PRIu32 "; C %" PRIu64
                            " would be",
                            shape->C, shape->NH, (shape->C / shape->NH + (uint64_t)1) * shape->NH);
    /* With every size at most 2^24: C * outer < 2^55, and a quotient compared before L multiplies.
     */
    uint64_t C = shape->C, outer = ((uint64_t)shape->V + shape->T_max + 2) * C;
    uint64_t per_channel = 12 * C + 13; /* of one layer */
    uint64_t layers = shape->L * C;
    if (layers > MAX_PARAMETERS / per_channel || outer > MAX_PARAMETERS - layers * per_channel)
        return dd_error_set(
            error, DD_ERR_ARGUMENT,
            "model: L %" PRIu32 ", C %" PRIu32 ", V %" PRIu32 ", T_max %" PRIu32
            " make more than 2^43 parameters, more than memory can be addressed for",
            shape->L, shape->C, shape->V, shape->T_max);
    *n_parameters = outer + layers * per_channel;
    return DD_OK;
}

uint64_t dd_shape_n_parameters(const dd_shape *shape)
{
    uint64_t n = 0;
    return shape && check_shape(shape, &n, NULL) == DD_OK ? n : 0;
}

void dd_config_default(dd_config *config)
{
    *config = (dd_config){
        .shape = named[0].shape,
        .batch = 12,
        .lane_depth = 1,
        .seed = 1,
        .horizon = 100,
        .warmup = 10,
        .lr = 1e-3,
        .min_lr_ratio = 0.1,
        .beta1 = 0.9,
        .beta2 = 0.95,
        .eps = 1e-8,
        .weight_decay = 0.1,
        .grad_clip = 1,
        .nan_policy = DD_NAN_ABORT,
        .depth = 1,
        .simd = DD_SIMD_AUTO,
        .barrier = DD_BARRIER_TREE,
        .reduce = DD_REDUCE_AUTO,
    };
}

/* Reals are used as doubles and as the floats they round to: both must be in range. Written so that
 * NaN is refused. */
static dd_status check_reals(const dd_config *config, dd_error *error)
{
    const struct {
        const char *name;
        double value;
        bool above_zero, below_one, at_most_one;
    } reals[] = {
        {"lr", config->lr, true, false, false},
        {"min-lr-ratio", config->min_lr_ratio, false, false, true},
        {"beta1", config->beta1, false, true, false},
        {"beta2", config->beta2, false, true, false},
        {"eps", config->eps, true, false, false},
        {"weight-decay", config->weight_decay, false, false, false},
        {"grad-clip", config->grad_clip, false, false, false},
    };
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        double x = reals[i].value;
        float f = (float)x;
        bool low = reals[i].above_zero ? f > 0 : x >= 0;
        bool high = reals[i].below_one     ? f < 1
                    : reals[i].at_most_one ? x <= 1
                                           : f <= 0x1.fffffep+127f;
        if (!low || !high)
            return dd_error_set(error, DD_ERR_ARGUMENT, "%s %g: must be %s 0%s", reals[i].name, x,
                                reals[i].above_zero ? "greater than" : "at least",
                                reals[i].below_one     ? " and less than 1"
                                : reals[i].at_most_one ? " and at most 1"
                                                       : " and finite, as a float too");
    }
    return DD_OK;
}

dd_status dd_config_check_bits(const dd_config *config, const dd_data *data, dd_error *error)
{
    if (!config || !data)
        return dd_error_set(error, DD_ERR_ARGUMENT, "%s is NULL", config ? "data" : "config");
    uint64_t n_parameters;
    dd_status st = check_shape(&config->shape, &n_parameters, error);
    if (st != DD_OK)
        return st;
    uint32_t T = dd_config_seq(config), B = config->batch;
    if (T > config->shape.T_max)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "seq %" PRIu32 ": the model knows %" PRIu32 " positions (T_max)", T,
                            config->shape.T_max);
    if (B < 1)
        return dd_error_set(error, DD_ERR_ARGUMENT, "batch 0: must be at least 1");
    if ((uint64_t)B * T >= MAX_EXACT)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "batch %" PRIu32 " of seq %" PRIu32 " makes %" PRIu64
                            " tokens a step; it must be less than 2^24, batch %" PRIu32 " at most",
                            B, T, (uint64_t)B * T, (MAX_EXACT - 1) / T);
    if (config->lane_depth < 1 || config->lane_depth > DD_LANE_DEPTH_MAX)
        return dd_error_set(error, DD_ERR_ARGUMENT, "lane-depth %" PRIu32 ": must be from 1 to %d",
                            config->lane_depth, DD_LANE_DEPTH_MAX);
    if (config->horizon < 1 || config->horizon > MAX_HORIZON)
        return dd_error_set(error, DD_ERR_ARGUMENT, "steps %" PRIu64 ": must be from 1 to 2^53",
                            config->horizon);
    if (config->warmup > config->horizon)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "warmup %" PRIu64 ": must be at most the %" PRIu64 " steps of the run",
                            config->warmup, config->horizon);
    if ((st = check_reals(config, error)) != DD_OK)
        return st;
    if (config->nan_policy != DD_NAN_ABORT && config->nan_policy != DD_NAN_SKIP_STEP)
        return dd_error_set(error, DD_ERR_ARGUMENT, "nan-policy %d: must be abort or skip-step",
                            (int)config->nan_policy);

    dd_data_info info;
    dd_data_info_get(data, &info);
    if (info.largest >= config->shape.V)
        return dd_error_set(error, DD_ERR_DATA,
                            "data %s: holds token %" PRIu32 ", the model's vocabulary V is %" PRIu32
                            "; V must be at least %" PRIu32,
                            info.spec, info.largest, config->shape.V, info.largest + 1);
    dd_data_split split;
    return dd_data_split_get(data, T, B, &split, error);
}

static uint32_t power_of_12(uint32_t exponent)
{
    uint32_t n = 1;
    while (exponent--)
        n *= 12;
    return n;
}

uint32_t dd_config_non_empty_lanes(const dd_config *config)
{
    uint32_t lanes = power_of_12(config->lane_depth);
    return config->batch < lanes ? config->batch : lanes;
}

/* Refuses n workers (`key` says which setting asks for them) where lanes are lacking, and says what
 * batch or lane depth would have enough. */
static dd_status check_lanes(const dd_config *config, const char *key, uint32_t n, dd_error *error)
{
    uint32_t lanes = dd_config_non_empty_lanes(config), lane_depth = config->lane_depth;
    if (n <= lanes || config->allow_idle)
        return DD_OK;
    while (power_of_12(lane_depth) < n)
        lane_depth++;
    char enough[64] = "", *end = enough;
    if (config->batch < n)
        end += sprintf(end, "batch %" PRIu32, n);
    if (lane_depth > config->lane_depth)
        sprintf(end, "%slane-depth %" PRIu32, end > enough ? " and " : "", lane_depth);
    return dd_error_set(error, DD_ERR_ARGUMENT,
                        "%s %" PRIu32 ": batch %" PRIu32 " at lane-depth %" PRIu32
                        " fills only %" PRIu32 " lanes; use %s, or allow-idle",
                        key, n, config->batch, config->lane_depth, lanes, enough);
}

static dd_status check_depths(const dd_config *config, dd_error *error)
{
    if (config->lane_depth > DD_TRAINER_DEPTH_MAX)
        return dd_error_set(error, DD_ERR_ARGUMENT, "lane-depth %" PRIu32 ": must be from 1 to %d",
                            config->lane_depth, DD_TRAINER_DEPTH_MAX);
    if (config->depth > DD_TRAINER_DEPTH_MAX)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "depth %" PRIu32 ": must be from 1 to %d, or auto", config->depth,
                            DD_TRAINER_DEPTH_MAX);
    return DD_OK;
}

static dd_status check_workers(const dd_config *config, dd_error *error)
{
    const uint32_t most = power_of_12(DD_TRAINER_DEPTH_MAX), workers = config->workers;
    const uint32_t depth = config->depth == DD_DEPTH_AUTO ? DD_TRAINER_DEPTH_MAX : config->depth;
    if (workers > most)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "workers %" PRIu32 ": depth %d holds %" PRIu32
                            " workers, and there is none deeper",
                            workers, DD_TRAINER_DEPTH_MAX, most);
    if (workers > power_of_12(depth)) {
        uint32_t deep = depth;
        while (power_of_12(deep) < workers)
            deep++;
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "workers %" PRIu32 ": depth %" PRIu32 " holds %" PRIu32
                            " workers; depth %" PRIu32 " holds %" PRIu32,
                            workers, depth, power_of_12(depth), deep, power_of_12(deep));
    }
    if (config->max_workers > most)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "max-workers %" PRIu32 ": depth %d holds %" PRIu32
                            " workers, and there is none deeper",
                            config->max_workers, DD_TRAINER_DEPTH_MAX, most);
    if (config->max_workers && config->max_workers < workers)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "max-workers %" PRIu32 ": must be at least the %" PRIu32
                            " workers to begin with, or 0",
                            config->max_workers, workers);
    dd_status st = check_lanes(config, "workers", workers, error);
    return st ? st : check_lanes(config, "max-workers", config->max_workers, error);
}

dd_status dd_config_check(const dd_config *config, const dd_data *data, dd_error *error)
{
    dd_status st = dd_config_check_bits(config, data, error);
    if (st != DD_OK || (st = check_depths(config, error)) != DD_OK ||
        (st = check_workers(config, error)) != DD_OK)
        return st;
    if ((unsigned)config->simd > DD_SIMD_NEON)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "simd %d: must be auto, off, avx2, avx512 or neon", (int)config->simd);
    if (config->barrier != DD_BARRIER_TREE && config->barrier != DD_BARRIER_PTHREAD)
        return dd_error_set(error, DD_ERR_ARGUMENT, "barrier %d: must be tree or pthread",
                            (int)config->barrier);
    if ((unsigned)config->reduce > DD_REDUCE_AUTO)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "reduce %d: must be tree, control, sliced, owner or auto",
                            (int)config->reduce);
    if (config->guard && config->reduce == DD_REDUCE_OWNER)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "guard: protects gradients that one worker holds, with reduce owner "
                            "none does; choose tree, sliced or control");
    if (config->micro_batch && config->reduce == DD_REDUCE_OWNER)
        return dd_error_set(error, DD_ERR_ARGUMENT,
                            "micro-batch %" PRIu32 ": reduce owner keeps the activations of the "
                            "whole batch; choose auto, tree, sliced or control",
                            config->micro_batch);
    return DD_OK;
}
