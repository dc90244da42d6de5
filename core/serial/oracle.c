/* SPDX-License-Identifier: MIT
 * Picks the oracle's build for this CPU and passes every call on to it. Computes nothing. */
#include "oracle.h"

#include "error.h"
#include "platform.h"

struct dd_serial {
    const dd_oracle_build *build;
    dd_oracle *oracle;
};

static const dd_oracle_build *build_for_this_cpu(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &dd_oracle_fma;
#endif
    return &dd_oracle_portable;
}

dd_status dd_serial_open_build(const dd_oracle_build *build, const dd_config *config,
                               const dd_data *data, dd_serial **out, dd_error *error)
{
    if (!out)
        return dd_error_set(error, DD_ERR_ARGUMENT, "dd_serial_open: out must not be NULL");
    dd_status st = dd_fp_env_check(error);
    if (st != DD_OK)
        return st;
    dd_serial *s = dd_alloc(sizeof *s);
    if (!s)
        return dd_error_set(error, DD_ERR_MEMORY, "out of memory for the oracle");
    s->build = build;
    st = build->open(config, data, &s->oracle, error);
    if (st != DD_OK) {
        dd_free(s);
        return st;
    }
    *out = s;
    return DD_OK;
}

dd_status dd_serial_open(const dd_config *config, const dd_data *data, dd_serial **out,
                         dd_error *error)
{
    return dd_serial_open_build(build_for_this_cpu(), config, data, out, error);
}

void dd_serial_close(dd_serial *s)
{
    if (!s)
        return;
    s->build->close(s->oracle);
    dd_free(s);
}

dd_status dd_serial_step(dd_serial *s, dd_step *out, dd_error *error)
{
    dd_status st = dd_fp_env_check(error);
    return st != DD_OK ? st : s->build->step(s->oracle, out, error);
}

dd_status dd_serial_validate(dd_serial *s, uint32_t n_batches, double *loss, dd_error *error)
{
    dd_status st = dd_fp_env_check(error);
    return st != DD_OK ? st : s->build->validate(s->oracle, n_batches, loss, error);
}

void dd_serial_hash(const dd_serial *s, uint8_t hash[16])
{
    s->build->hash(s->oracle, hash);
}

float *dd_serial_weights(dd_serial *s, uint64_t *n)
{
    return s->build->weights(s->oracle, n);
}

const char *dd_serial_build(const dd_serial *s)
{
    return s->build->name;
}
