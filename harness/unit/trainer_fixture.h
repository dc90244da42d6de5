/* SPDX-License-Identifier: MIT
 * What tests of whole trainers have in common: the built-in source, and calls that must succeed. */
#ifndef DD_TRAINER_FIXTURE_H
#define DD_TRAINER_FIXTURE_H

#include <stddef.h>

#include "dodeca.h"

extern dd_data *data; /* open while the group of tests runs */

/* The kernel sets that this CPU runs, without vectors first. */
extern dd_simd simd_here[4];
extern size_t n_simd;

/* Of a cmocka group; the second looks for kernel sets, too, and tells which are not there. */
int open_data(void **state);
int open_data_and_simd(void **state);
int close_data(void **state);

/* Fail the test with the error's message. */
dd_trainer *open_trainer(const dd_config *config);
void step_ok(dd_trainer *t);
/* Every parameter, or parameter i alone. */
void set_all(dd_trainer *t, const float *values);
void set_one(dd_trainer *t, uint64_t i, float value);

#endif
