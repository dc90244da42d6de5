/* SPDX-License-Identifier: MIT
 * What the phases are called. */
#include "profile.h"

#include <assert.h>

const char *dd_profile_name(dd_profile_phase phase, bool *flops)
{
    static const char *const name[DD_PROFILE_PHASES] = {
        [DD_PROFILE_FORWARD] = "forward products",
        [DD_PROFILE_INPUT_GRAD] = "input-gradient products",
        [DD_PROFILE_WEIGHT_GRAD] = "weight-gradient products",
        [DD_PROFILE_ATTENTION] = "attention",
        [DD_PROFILE_LAYERNORM] = "LayerNorm",
        [DD_PROFILE_GELU] = "GELU",
        [DD_PROFILE_RESIDUAL] = "residual",
        [DD_PROFILE_BIAS_GRAD] = "bias gradients",
        [DD_PROFILE_PACK] = "packing operands",
        [DD_PROFILE_LOSS] = "loss",
        [DD_PROFILE_EMBEDDING] = "embedding",
        [DD_PROFILE_FOLD] = "fold",
        [DD_PROFILE_NORM] = "norm",
        [DD_PROFILE_SLICE] = "fold and norm",
        [DD_PROFILE_UPDATE] = "update and packing",
    };
    assert(phase < DD_PROFILE_PHASES);
    *flops = phase <= DD_PROFILE_ATTENTION;
    return name[phase];
}
