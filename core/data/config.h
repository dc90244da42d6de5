/* SPDX-License-Identifier: MIT
 * The one place where a configuration is checked: the trainer and the oracle refuse the same things
 * in the same words. */
#ifndef DD_CONFIG_H
#define DD_CONFIG_H

#include "dodeca.h"

/* The deepest lanes the numerics are defined for here: 12^8 of them, more than any batch has
 * sequences. */
#define DD_LANE_DEPTH_MAX 8

/* The deepest lanes and spheres that a trainer has. */
#define DD_TRAINER_DEPTH_MAX 3

/* What decides the bits, and whether data suffices: the oracle's share.
 * errors   DD_ERR_ARGUMENT, DD_ERR_DATA; the message names the setting as the command line does */
dd_status dd_config_check_bits(const dd_config *config, const dd_data *data, dd_error *error);

/* The same, and what decides no bits: workers, depths, choices. */
dd_status dd_config_check(const dd_config *config, const dd_data *data, dd_error *error);

/* Lanes of a step that hold a sequence. */
uint32_t dd_config_non_empty_lanes(const dd_config *config);

/* Tokens per sequence that a configuration means: seq, or the shape's T_max. */
static inline uint32_t dd_config_seq(const dd_config *config)
{
    return config->seq ? config->seq : config->shape.T_max;
}

#endif
