/* SPDX-License-Identifier: MIT
 * Trainer and oracle behind one loop. */
#include "cell_body.h"
#include "cell_child.h"
#include "serial.h"

#include <stdio.h>
#include <string.h>

/* What the loop needs of either. */
typedef struct runner {
    dd_phase stepping;
    dd_status (*open)(const dd_config *, const dd_data *, void **, dd_error *);
    void (*watch)(dd_child *, const void *);
    dd_status (*step)(void *, dd_step *, dd_error *);
    void (*describe)(void *, dd_run_end *);
    void (*close)(void *);
} runner;

void dd_hash_text(const uint8_t hash[16], char text[33])
{
    for (int i = 0; i < 16; i++)
        snprintf(text + 2 * (size_t)i, 3, "%02x", hash[i]);
}

/* ---- The trainer ---- */

static dd_status trainer_open(const dd_config *config, const dd_data *data, void **out,
                              dd_error *error)
{
    dd_trainer *trainer = NULL;
    dd_status st = dd_trainer_open(config, data, &trainer, error);
    *out = trainer;
    return st;
}

static uint64_t heartbeat(const void *trainer)
{
    return dd_trainer_heartbeat(trainer);
}

static void trainer_watch(dd_child *child, const void *trainer)
{
    dd_child_watch(child, heartbeat, trainer);
}

static dd_status trainer_step(void *trainer, dd_step *out, dd_error *error)
{
    return dd_trainer_step(trainer, out, error);
}

static void trainer_describe(void *trainer, dd_run_end *end)
{
    uint8_t hash[16];
    dd_trainer_hash(trainer, hash);
    dd_hash_text(hash, end->hash);
    dd_trainer_info_get(trainer, &end->info);
    snprintf(end->kernels, sizeof end->kernels, "%s", end->info.kernels);
}

static void trainer_close(void *trainer)
{
    dd_trainer_close(trainer);
}

static const runner trainer_subject = {DD_PHASE_STEP, trainer_open,     trainer_watch,
                                       trainer_step,  trainer_describe, trainer_close};

/* ---- The oracle ---- */

static dd_status serial_open(const dd_config *config, const dd_data *data, void **out,
                             dd_error *error)
{
    dd_serial *serial = NULL;
    dd_status st = dd_serial_open(config, data, &serial, error);
    *out = serial;
    return st;
}

static void serial_watch(dd_child *child, const void *serial)
{
    (void)child, (void)serial; /* steps and CPU time are its only signs of life */
}

static dd_status serial_step(void *serial, dd_step *out, dd_error *error)
{
    return dd_serial_step(serial, out, error);
}

static void serial_describe(void *serial, dd_run_end *end)
{
    uint8_t hash[16];
    uint64_t n;
    dd_serial_hash(serial, hash);
    dd_hash_text(hash, end->hash);
    end->serial = true;
    end->info.workers = 1;
    end->info.lane_bound = 1;
    (void)dd_serial_weights(serial, &n);
    end->info.n_parameters = n;
    end->info.weights_bytes = n * sizeof(float);
    snprintf(end->kernels, sizeof end->kernels, "oracle, %s", dd_serial_build(serial));
}

static void serial_close(void *serial)
{
    dd_serial_close(serial);
}

static const runner serial_subject = {DD_PHASE_SERIAL, serial_open,     serial_watch,
                                      serial_step,     serial_describe, serial_close};

/* ---- The loop ---- */

static void describe_data(const dd_data *data, const char *used, const char *note, dd_run_end *end)
{
    dd_data_info info;
    dd_data_info_get(data, &info);
    snprintf(end->data, sizeof end->data, "%s", used);
    snprintf(end->data_note, sizeof end->data_note, "%s", note);
    dd_hash_text(info.hash, end->data_hash);
    end->data_tokens = info.n_tokens;
    end->floor_nats = info.floor_nats;
}

static void train(const dd_settings *s, dd_child *child, const runner *subject)
{
    dd_data *data = NULL;
    void *trainer = NULL;
    dd_run_end end = {0};
    dd_error error = {{0}};
    char used[DD_SPEC_MAX] = "", note[DD_MESSAGE_MAX] = "";

    dd_child_phase(child, DD_PHASE_DATA);
    dd_status st = dd_settings_open_data(s, &data, used, note, &error);
    if (st != DD_OK)
        goto refused;
    describe_data(data, used, note, &end);

    dd_child_phase(child, DD_PHASE_OPEN);
    st = subject->open(&s->config, data, &trainer, &error);
    if (st != DD_OK)
        goto refused;

    dd_child_phase(child, subject->stepping);
    subject->watch(child, trainer);
    for (uint64_t i = 0; i < s->steps && end.status == DD_OK; i++) {
        dd_step step;
        end.status = subject->step(trainer, &step, &error);
        if (end.status == DD_OK)
            dd_child_step(child, &step);
        else
            snprintf(end.message, sizeof end.message, "%s", error.message); /* names the step */
    }
    subject->describe(trainer, &end);
    dd_child_watch(child, NULL, NULL);

    dd_child_phase(child, DD_PHASE_CLOSE);
    subject->close(trainer);
    dd_data_close(data);
    dd_child_end(child, &end);
    return;

refused:
    dd_data_close(data);
    dd_child_refuse(child, st, error.message);
}

void dd_cell_body_train(const dd_settings *settings, dd_child *child)
{
    train(settings, child, settings->serial ? &serial_subject : &trainer_subject);
}

void dd_cell_body_serial(const dd_settings *settings, dd_child *child)
{
    train(settings, child, &serial_subject);
}
