/* SPDX-License-Identifier: MIT
 * The oracle's tests: shared set-up. */
#include "serial_fixture.h"

#include "random.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

const char *const tensor_name[N_TENSORS] = {
    "wte",  "wpe",  "ln1w", "ln1b", "qkvw",    "qkvb",    "attprojw", "attprojb",
    "ln2w", "ln2b", "fcw",  "fcb",  "fcprojw", "fcprojb", "lnfw",     "lnfb",
};

void tensor_bounds(const dd_shape *s, uint64_t begin[N_TENSORS + 1])
{
    uint64_t C = s->C, LC = s->L * C;
    const uint64_t size[N_TENSORS] = {
        s->V * C, s->T_max * C, LC,         LC,     3 * LC * C, 3 * LC, LC * C, LC,
        LC,       LC,           4 * LC * C, 4 * LC, 4 * LC * C, LC,     C,      C,
    };
    begin[0] = 0;
    for (int k = 0; k < N_TENSORS; k++)
        begin[k + 1] = begin[k] + size[k];
}

const dd_oracle_build *fastest(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &dd_oracle_fma;
#endif
    return &dd_oracle_portable;
}

dd_oracle *open_oracle(const dd_oracle_build *build, const dd_config *config, const dd_data *data)
{
    dd_oracle *o;
    dd_error error = {""};
    if (build->open(config, data, &o, &error) != DD_OK)
        fail_msg("%s", error.message);
    return o;
}

dd_data *open_builtin(void)
{
    dd_data *data;
    assert_int_equal(dd_data_open("builtin", 1, &data, NULL), DD_OK);
    return data;
}

dd_config odd_config(void)
{
    dd_config c;
    dd_config_default(&c);
    c.shape = (dd_shape){.L = 2, .NH = 3, .C = 18, .V = 67, .T_max = 7};
    c.seq = 5;
    c.batch = 14;
    return c;
}

void shake(const dd_oracle_build *build, dd_oracle *o)
{
    uint64_t n;
    void *w = build->weights(o, &n);
    for (uint64_t i = 0; i < n; i++) {
        float by = dd_random_normal(7, 99, i, 0.3f);
        if (build == &dd_oracle_binary64)
            ((double *)w)[i] = (double)(float)((float)((double *)w)[i] + by);
        else
            ((float *)w)[i] += by;
    }
}
