/* SPDX-License-Identifier: MIT
 * The oracle's builds: the same source compiled portably, with hardware FMA and, in the unit tests,
 * in double precision. dd_serial_open picks; tests ask for one and look inside a step. */
#ifndef DD_ORACLE_H
#define DD_ORACLE_H

#include "serial.h"

typedef struct dd_oracle dd_oracle; /* each build has its own */

typedef struct dd_oracle_build {
    const char *name; /* as dd_serial_build tells it */
    /* as the functions of serial.h */
    dd_status (*open)(const dd_config *config, const dd_data *data, dd_oracle **out,
                      dd_error *error);
    void (*close)(dd_oracle *o);
    dd_status (*step)(dd_oracle *o, dd_step *out, dd_error *error);
    dd_status (*validate)(dd_oracle *o, uint32_t n_batches, double *loss, dd_error *error);
    void (*hash)(const dd_oracle *o, uint8_t hash[16]);
    void *(*weights)(dd_oracle *o, uint64_t *n); /* floats; doubles in the double build */
    /* For tests: root gradient (canonical order, the weights' type) and mean loss of the batch of
     * training step `step` at the present weights, which stay; valid until the next call */
    const void *(*gradient)(dd_oracle *o, uint64_t step, double *loss);
    /* For tests: loss of every token (B, T), in the weights' type, of the last gradient, step or
     * validation batch */
    const void *(*token_losses)(const dd_oracle *o);
} dd_oracle_build;

extern const dd_oracle_build dd_oracle_portable;
#if defined(__x86_64__)
extern const dd_oracle_build dd_oracle_fma; /* only where the CPU has AVX2 and FMA */
#endif

/* As dd_serial_open, with a build of the caller's choice. */
dd_status dd_serial_open_build(const dd_oracle_build *build, const dd_config *config,
                               const dd_data *data, dd_serial **out, dd_error *error);

#endif
