/* SPDX-License-Identifier: MIT
 * What tests of trainers that change have in common: a shape with room for changes, the oracle's
 * weights after every step, numbers to choose by. */
#ifndef DD_ELASTIC_FIXTURE_H
#define DD_ELASTIC_FIXTURE_H

#include "trainer_fixture.h"

/* 144 lanes of a sequence each, 3 workers, room for 40. */
dd_config elastic(void);

/* Hashes of the oracle's weights before step 0, 1, ... n; hash[0] is the start. To be freed. */
typedef struct hash {
    uint8_t byte[16];
} hash;
hash *oracle_hashes(const dd_config *config, const dd_data *source, uint32_t n);

/* Fail the test: with the error's message; where the weights are others. */
void command_ok(dd_trainer *t, dd_command command);
void assert_hash(const dd_trainer *t, const hash *want);

/* The next of a fixed sequence of numbers, below n. */
uint32_t pick(uint32_t n);

#endif
