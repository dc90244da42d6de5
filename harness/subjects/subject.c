/* SPDX-License-Identifier: MIT
 * The subjects that this program knows by name, and the two that need only be wrapped. */
#include "subject.h"
#include "serial.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- dodeca ---- */

static dd_status open_dodeca(const dd_config *config, const dd_data *data, void **out,
                             dd_error *error)
{
    dd_trainer *trainer = NULL;
    dd_status st = dd_trainer_open(config, data, &trainer, error);
    *out = trainer;
    return st;
}

static dd_status open_stray_write(const dd_config *config, const dd_data *data, void **out,
                                  dd_error *error)
{
    dd_trainer *trainer = NULL;
    dd_status st = dd_trainer_open_stray_write(config, data, &trainer, error);
    *out = trainer;
    return st;
}

static void close_dodeca(void *trainer)
{
    dd_trainer_close(trainer);
}

static dd_status step_dodeca(void *trainer, dd_step *out, dd_error *error)
{
    return dd_trainer_step(trainer, out, error);
}

static dd_status validate_dodeca(void *trainer, uint32_t n_batches, double *loss, dd_error *error)
{
    return dd_trainer_validate(trainer, n_batches, loss, error);
}

static const float *weights_dodeca(void *trainer, uint64_t *n)
{
    return dd_trainer_weights(trainer, n);
}

static void describe_dodeca(void *trainer, dd_trainer_info *info)
{
    dd_trainer_info_get(trainer, info);
}

static uint64_t heartbeat_dodeca(const void *trainer)
{
    return dd_trainer_heartbeat(trainer);
}

static bool thread_dodeca(const void *trainer, uint32_t i, bool between_steps, dd_sphere_info *out)
{
    return dd_trainer_sphere_get(trainer, i, between_steps, out);
}

#define DODECA(open_)                                                                              \
    {                                                                                              \
        .name = "dodeca", .bit_equal = true, .spheres = true, .open = open_,                       \
        .close = close_dodeca, .step = step_dodeca, .validate = validate_dodeca,                   \
        .weights = weights_dodeca, .describe = describe_dodeca, .heartbeat = heartbeat_dodeca,     \
        .thread = thread_dodeca,                                                                   \
    }
static const dd_subject_api dodeca = DODECA(open_dodeca);
static const dd_subject_api stray_write = DODECA(open_stray_write);

/* ---- The oracle ---- */

typedef struct oracle {
    dd_serial *serial;
    char kernels[64];
} oracle;

static void close_serial(void *self)
{
    oracle *o = self;
    if (o)
        dd_serial_close(o->serial);
    free(o);
}

static dd_status open_serial(const dd_config *config, const dd_data *data, void **out,
                             dd_error *error)
{
    oracle *o = calloc(1, sizeof *o);
    if (!o) {
        snprintf(error->message, sizeof error->message, "out of memory for the oracle");
        return DD_ERR_MEMORY;
    }
    dd_status st = dd_serial_open(config, data, &o->serial, error);
    if (st != DD_OK) {
        free(o);
        return st;
    }
    snprintf(o->kernels, sizeof o->kernels, "oracle, %s", dd_serial_build(o->serial));
    *out = o;
    return DD_OK;
}

static dd_status step_serial(void *self, dd_step *out, dd_error *error)
{
    return dd_serial_step(((oracle *)self)->serial, out, error);
}

static dd_status validate_serial(void *self, uint32_t n_batches, double *loss, dd_error *error)
{
    return dd_serial_validate(((oracle *)self)->serial, n_batches, loss, error);
}

static const float *weights_serial(void *self, uint64_t *n)
{
    return dd_serial_weights(((oracle *)self)->serial, n);
}

static void describe_serial(void *self, dd_trainer_info *info)
{
    oracle *o = self;
    *info =
        (dd_trainer_info){.workers = 1, .lane_bound = 1, .kernels = o->kernels, .guard_why = ""};
    (void)dd_serial_weights(o->serial, &info->n_parameters);
    info->weights_bytes = info->n_parameters * sizeof(float);
    info->moments_bytes = 2 * info->weights_bytes;
}

static const dd_subject_api serial = {
    .name = "oracle",
    .bit_equal = true,
    .open = open_serial,
    .close = close_serial,
    .step = step_serial,
    .validate = validate_serial,
    .weights = weights_serial,
    .describe = describe_serial,
};

/* Of whichever library. */
static const dd_subject_api plugin = {.name = "plug-in"};

/* ---- By name ---- */

const dd_subject_api *dd_subject_get(dd_subject subject, dd_plant plant)
{
    switch (subject) {
    case DD_SUBJECT_DODECA:
        return plant == DD_PLANT_STRAY_WRITE ? &stray_write : &dodeca;
    case DD_SUBJECT_ORACLE:
        return &serial;
    case DD_SUBJECT_LOCKS:
        return &dd_subject_locks_;
    case DD_SUBJECT_LOCKS_GRADIENT:
        return &dd_subject_locks_gradient_;
    case DD_SUBJECT_PLUGIN:
        return &plugin;
    }
    return NULL;
}
