/* SPDX-License-Identifier: MIT
 * What the oracle's tests share: its builds, a model with nothing round about it, and where the
 * tensors lie. */
#ifndef DD_SERIAL_FIXTURE_H
#define DD_SERIAL_FIXTURE_H

#include "oracle.h"

extern const dd_oracle_build dd_oracle_binary64; /* compiled with DD_ORACLE_DOUBLE for the tests */

/* The build dd_serial_open takes on this CPU. */
const dd_oracle_build *fastest(void);

#define N_TENSORS 16
extern const char *const tensor_name[N_TENSORS];
/* begin[k] .. begin[k + 1] are tensor k's elements. */
void tensor_bounds(const dd_shape *shape, uint64_t begin[N_TENSORS + 1]);

/* A small model: V, C and the heads' width are no multiples of 16, two layers, three heads, T below
 * T_max, and more sequences than lanes, so that some lanes hold two. */
dd_config odd_config(void);

dd_data *open_builtin(void);
/* Fails the test on an error. */
dd_oracle *open_oracle(const dd_oracle_build *build, const dd_config *config, const dd_data *data);

/* Moves weights away from the start's symmetries (gains 1, biases 0): to the same floats in every
 * build. */
void shake(const dd_oracle_build *build, dd_oracle *o);

#endif
