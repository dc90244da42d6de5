/* SPDX-License-Identifier: MIT
 * A folder for checkpoints, and calls that must succeed. */
#include "checkpoint_fixture.h"

#include "serial.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

int open_folder(void **state)
{
    /* in memory, if possible */
    return (make_folder_in("/dev/shm") && make_folder(state)) || open_data(state);
}

int close_folder(void **state)
{
    return close_data(state) || remove_folder(state);
}

dd_config smallest(void)
{
    dd_config config;
    dd_config_default(&config);
    config.shape = (dd_shape){.L = 1, .NH = 2, .C = 8, .V = 64, .T_max = 8};
    config.seq = 8;
    config.workers = 2;
    config.horizon = 12;
    config.warmup = 2;
    return config;
}

dd_config of_pages(void)
{
    dd_config config = smallest();
    config.shape.L = 2;
    config.shape.C = 32;
    return config;
}

void save_ok(dd_trainer *t, const char *path, uint32_t keep)
{
    dd_error error = {""};
    const dd_status st = dd_trainer_save(t, path, keep, &error);
    if (st)
        fail_msg("%s: %s", dd_status_name(st), error.message);
}

void wait_ok(dd_trainer *t)
{
    dd_error error = {""};
    const dd_status st = dd_trainer_save_wait(t, &error);
    if (st)
        fail_msg("%s: %s", dd_status_name(st), error.message);
}

void load_ok(dd_trainer *t, const char *path)
{
    dd_error error = {""};
    const dd_status st = dd_trainer_load(t, path, &error);
    if (st)
        fail_msg("%s: %s", dd_status_name(st), error.message);
}

void load_refused(dd_trainer *t, const char *path, dd_status status, const char *text)
{
    dd_error error = {""};
    const dd_status st = dd_trainer_load(t, path, &error);
    if (st != status || !strstr(error.message, text))
        fail_msg("%s, not %s with \"%s\": %s", dd_status_name(st), dd_status_name(status), text,
                 error.message);
}

void steps_ok(dd_trainer *t, uint32_t n)
{
    while (n--)
        step_ok(t);
}

void oracle_hash(const dd_config *config, uint32_t n, uint8_t hash[16])
{
    dd_serial *oracle;
    assert_int_equal(dd_serial_open(config, data, &oracle, NULL), DD_OK);
    while (n--)
        assert_int_equal(dd_serial_step(oracle, NULL, NULL), DD_OK);
    dd_serial_hash(oracle, hash);
    dd_serial_close(oracle);
}

void assert_weights(const dd_trainer *t, const uint8_t hash[16])
{
    uint8_t got[16];
    dd_trainer_hash(t, got);
    assert_memory_equal(got, hash, sizeof got);
}
