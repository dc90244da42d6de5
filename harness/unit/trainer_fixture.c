/* SPDX-License-Identifier: MIT
 * A source, and calls that must succeed. */
#include "trainer_fixture.h"

#include "kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

dd_data *data;

int open_data(void **state)
{
    (void)state;
    return dd_data_open("builtin", 3, &data, NULL) != DD_OK;
}

dd_simd simd_here[4];
size_t n_simd;

int open_data_and_simd(void **state)
{
    static const dd_simd all[] = {DD_SIMD_OFF, DD_SIMD_AVX2, DD_SIMD_AVX512, DD_SIMD_NEON};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const char *why;
        if (dd_kernels_select(all[i], &why))
            simd_here[n_simd++] = all[i];
        else
            print_message("SKIP (optional): %s\n", why);
    }
    return open_data(state);
}

int close_data(void **state)
{
    (void)state;
    dd_data_close(data);
    return 0;
}

dd_trainer *open_trainer(const dd_config *config)
{
    dd_error error;
    dd_trainer *t;
    dd_status st = dd_trainer_open(config, data, &t, &error);
    if (st)
        fail_msg("%s: %s", dd_status_name(st), error.message);
    return t;
}

void set_all(dd_trainer *t, const float *values)
{
    uint64_t n;
    (void)dd_trainer_weights(t, &n);
    assert_int_equal(dd_trainer_set_weights(t, 0, n, values, NULL), DD_OK);
}

void set_one(dd_trainer *t, uint64_t i, float value)
{
    assert_int_equal(dd_trainer_set_weights(t, i, 1, &value, NULL), DD_OK);
}

void step_ok(dd_trainer *t)
{
    dd_error error;
    dd_status st = dd_trainer_step(t, NULL, &error);
    if (st)
        fail_msg("%s: %s", dd_status_name(st), error.message);
}
