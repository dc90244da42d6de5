/* SPDX-License-Identifier: MIT
 * The oracle: a deliberately plain, single-threaded trainer that a reader can check line by line
 * against core/model/NUMERICS.md. Shares with the fast path the elementary functions, data and
 * random numbers, and nothing else: no kernels, no scheduling, no threads. Its weights hash is the
 * right answer. Reads of dd_config only what decides the bits. */
#ifndef DD_SERIAL_H
#define DD_SERIAL_H

#include "dodeca.h"

typedef struct dd_serial dd_serial;

/* owns     *out, released by dd_serial_close; borrows data
 * errors   DD_ERR_ARGUMENT, DD_ERR_DATA, DD_ERR_MEMORY, DD_ERR_FP_ENV                       */
dd_status dd_serial_open(const dd_config *config, const dd_data *data, dd_serial **out,
                         dd_error *error);
void dd_serial_close(dd_serial *s); /* NULL allowed */

/* One step, as dd_trainer_step. A non-finite one under policy abort: DD_ERR_NONFINITE. Both this
 * and dd_serial_validate refuse a changed floating-point environment, DD_ERR_FP_ENV. */
dd_status dd_serial_step(dd_serial *s, dd_step *out, dd_error *error);
dd_status dd_serial_validate(dd_serial *s, uint32_t n_batches, double *loss, dd_error *error);
void dd_serial_hash(const dd_serial *s, uint8_t hash[16]);
float *dd_serial_weights(dd_serial *s, uint64_t *n);

/* "hardware FMA" or "libm fmaf": which build of the oracle this CPU runs. */
const char *dd_serial_build(const dd_serial *s);

#endif
