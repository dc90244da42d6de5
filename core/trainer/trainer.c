/* SPDX-License-Identifier: MIT
 * The trainer: joins data, model, memory and team. Opens and closes them, and settles what a
 * configuration leaves open. */
#include "trainer_parts.h"

#include "config.h"
#include "cpu.h"
#include "error.h"
#include "packed.h"
#include "policy.h"
#include "save_file.h"
#include "tokens.h"
#include "topology.h"

#include <inttypes.h>

/* Of every thread. They use less than 16 KiB (test_stack.c); the rest is for the sanitizers' larger
 * frames and for a fault handler's. */
#ifdef __OPTIMIZE__
#define STACK_BYTES ((size_t)256 * 1024)
#else /* every temporary of an unrolled tile has its own place: frames of 100 KiB and more */
#define STACK_BYTES ((size_t)4 << 20)
#endif

/* Replaces what the configuration leaves to us: 0 workers, 0 most workers, automatic depth. */
static void resolve(dd_trainer *t)
{
    dd_config *c = &t->config;
    const uint32_t lanes = t->non_empty_lanes;
    const bool automatic = c->depth == DD_DEPTH_AUTO;
    if (automatic) {
        c->depth = 1;
        while (dd_power_of_12(c->depth) < c->workers)
            c->depth++;
    }
    if (!c->workers) {
        const uint32_t bounds[] = {lanes, dd_power_of_12(c->depth),
                                   c->max_workers ? c->max_workers : UINT32_MAX};
        c->workers = t->cpus;
        for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
            c->workers = bounds[i] < c->workers ? bounds[i] : c->workers;
    }
    if (!c->max_workers) {
        const dd_policy_input most = {.cores = t->cpus,
                                      .n_lanes = lanes,
                                      .max_workers = dd_power_of_12(DD_TRAINER_DEPTH_MAX),
                                      .max_depth = DD_TRAINER_DEPTH_MAX};
        const uint32_t wanted = automatic ? dd_policy_wanted(&most, DD_AUTO_LEAST_NS) : 0;
        c->max_workers = wanted > c->workers ? wanted : c->workers;
    }
}

static dd_status open_lanes(dd_trainer *t)
{
    t->n_lanes = dd_power_of_12(t->config.lane_depth);
    t->non_empty_lanes = dd_config_non_empty_lanes(&t->config);
    t->lane_tokens = dd_storage_locked_(t, t->n_lanes * sizeof *t->lane_tokens);
    t->lane_number = dd_storage_locked_(t, t->n_lanes * sizeof *t->lane_number);
    t->sequences = dd_storage_locked_(t, t->non_empty_lanes * sizeof *t->sequences);
    if (!t->lane_tokens || !t->lane_number || !t->sequences)
        return DD_ERR_MEMORY;
    uint32_t number = 0;
    for (uint32_t l = 0; l < t->n_lanes; l++) {
        const uint32_t n = dd_lane_begin_(t, l + 1) - dd_lane_begin_(t, l);
        t->lane_tokens[l] = (uint64_t)n * t->config.seq;
        t->lane_number[l] = number;
        if (n)
            t->sequences[number++] = n;
    }
    return DD_OK;
}

static dd_status open_team(dd_trainer *t, bool automatic, dd_error *error)
{
    const dd_config *c = &t->config;
    dd_hierarchy *hierarchy;
    dd_topology topology = {0};
    dd_status st = DD_OK;
    if (c->pin && (st = dd_topology_open(&topology)) == DD_ERR_CPU)
        return dd_error_set(error, st, "pin: this machine's topology cannot be read");
    if (!st)
        st = dd_hierarchy_open(c->depth, c->workers, &hierarchy);
    if (!st) {
        const dd_work work = dd_trainer_work_(t);
        const uint32_t n_spheres = hierarchy->n_spheres;
        const dd_team_options options = {
            .barrier = c->barrier,
            .reduce = c->reduce,
            .stealing = c->steal,
            .automatic = automatic,
            .cores = t->cpus,
            .max_workers = c->max_workers,
            .max_segments = t->segments.n,
            .n_blocks = t->n_blocks,
            .cpu = c->pin ? topology.cpu : NULL,
            .n_cpu = topology.n_cpus,
            .stack_bytes = t->stack_bytes,
            .trace = c->trace,
        };
        st = dd_team_open(hierarchy, t->lane_tokens, c->lane_depth, &work, &options, &t->team);
        if (st == DD_ERR_THREAD)
            dd_error_set(error, st,
                         "cannot create %" PRIu32
                         " threads: see the limits on processes and memory",
                         n_spheres);
    }
    dd_topology_close(&topology);
    return st == DD_ERR_MEMORY
               ? dd_error_set(error, st, "out of memory for %" PRIu32 " workers", c->workers)
               : st;
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
    t->stack_bytes = STACK_BYTES;
    t->config.seq = dd_config_seq(config);
    t->data = data;
    t->cpus = dd_cpu_available();
    t->guard_why = "";
    dd_trainer_profile_set(t, config->profile);
    dd_u64_init(&t->step, 0);
    const uint32_t T = t->config.seq, B = config->batch;
    uint64_t n_tokens;
    t->tokens = dd_data_tokens(data, &n_tokens);
    if ((st = dd_data_split_get(data, T, B, &t->split, error)))
        goto fail;
    t->model = (dd_model){.kernels = kernels, .T = T, .inv_tokens = 1.0f / (float)(B * T)};
    dd_layout_make(&config->shape, &t->model.layout);
    t->P = dd_layout_size(&t->model.layout);
    t->n_blocks = dd_norm_n_blocks(&t->model.layout);

    if (config->guard)
        st = dd_guard_open(true, &t->guard, &t->guard_why); /* before there are threads */
    if (!st && !(st = open_lanes(t)))
        resolve(t);
    if (!st && !(st = dd_room_settle_(t, error)))
        st = dd_storage_open_(t);
    if (st == DD_ERR_MEMORY)
        dd_error_set(error, st,
                     "out of memory: %" PRIu64 " parameters, batch %u x %u tokens, %u workers",
                     t->P, B, T, t->config.max_workers);
    if (st)
        goto fail;
    t->model.weights = t->kept_array[DD_KEPT_WEIGHTS];
    t->model.packed = t->packed;
    dd_weights_start(&t->model.layout, config->seed, t->kept_array[DD_KEPT_WEIGHTS]);
    dd_packed_write(kernels, &t->model.layout, 0, t->P, t->kept_array[DD_KEPT_WEIGHTS], t->packed);
    if ((st = open_team(t, config->depth == DD_DEPTH_AUTO, error)))
        goto fail;
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
    dd_saving_close_(t);
    dd_team_close(t->team);
    dd_storage_close_(t);
    dd_u64_forget(&t->step);
    dd_free(t);
}
