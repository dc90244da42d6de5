/* SPDX-License-Identifier: MIT
 * A small trainer with many lanes, and the oracle beside it. */
#include "elastic_fixture.h"

#include "random.h"
#include "serial.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t next_index;

uint32_t pick(uint32_t n)
{
    uint32_t f[4];
    dd_philox(17, next_index++, 100, f);
    return f[0] % n;
}

dd_config elastic(void)
{
    dd_config config;
    dd_config_default(&config);
    config.shape = (dd_shape){.L = 1, .NH = 1, .C = 6, .V = 64, .T_max = 4};
    config.batch = 144;
    config.lane_depth = 2;
    config.workers = 3;
    config.max_workers = 40;
    config.horizon = 500;
    return config;
}

void command_ok(dd_trainer *t, dd_command command)
{
    dd_error error;
    dd_status st = dd_trainer_command(t, command, &error);
    if (st)
        fail_msg("%s: %s", dd_command_name(command), error.message);
}

hash *oracle_hashes(const dd_config *config, const dd_data *source, uint32_t n)
{
    dd_serial *oracle;
    hash *h = malloc((n + 1) * sizeof *h);
    assert_int_equal(dd_serial_open(config, source, &oracle, NULL), DD_OK);
    for (uint32_t i = 0; i <= n; i++) {
        dd_serial_hash(oracle, h[i].byte);
        if (i < n)
            assert_int_equal(dd_serial_step(oracle, NULL, NULL), DD_OK);
    }
    dd_serial_close(oracle);
    return h;
}

void assert_hash(const dd_trainer *t, const hash *want)
{
    uint8_t got[16];
    dd_trainer_hash(t, got);
    assert_memory_equal(got, want->byte, sizeof got);
}
