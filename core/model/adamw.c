/* SPDX-License-Identifier: MIT
 * Schedule, clipping and the update of a slice. */
#include "adamw.h"

#include "elementary.h"
#include "packed.h"

float dd_schedule_lr(const dd_config *config, uint64_t step)
{
    uint64_t N = config->horizon, W = config->warmup;
    double peak = config->lr;
    if (step < W)
        return (float)(peak * (double)(step + 1) / (double)W);
    double span = N > W ? (double)(N - W) : 1.0;
    double q = (double)(step - W) / span;
    if (q > 1)
        q = 1;
    double floor = peak * config->min_lr_ratio;
    return (float)(floor + 0.5 * (1 + dd_cospi(q)) * (peak - floor));
}

float dd_clip_factor(double norm, double grad_clip)
{
    if (grad_clip == 0 || norm <= grad_clip)
        return 1.0f;
    return (float)(grad_clip / norm);
}

/* beta^t by square-and-multiply from the lowest bit */
static double power(double beta, uint64_t t)
{
    double result = 1;
    for (double base = beta; t; t /= 2, base *= base)
        if (t % 2)
            result *= base;
    return result;
}

dd_adamw dd_adamw_at(const dd_config *config, uint64_t t, float lr, float clip)
{
    return (dd_adamw){
        .clip = clip,
        .b1 = (float)config->beta1,
        .b2 = (float)config->beta2,
        .a1 = (float)(1 - config->beta1),
        .a2 = (float)(1 - config->beta2),
        .r1 = (float)(1 / (1 - power(config->beta1, t))),
        .r2 = (float)(1 / (1 - power(config->beta2, t))),
        .eps = (float)config->eps,
        .lr = lr,
        .weight_decay = (float)config->weight_decay,
    };
}

void dd_adamw_slice(const dd_kernels *kernels, const dd_layout *layout, const dd_adamw *opt,
                    uint64_t first, uint64_t last, float *weights, float *packed, float *m,
                    float *v, const float *gradient)
{
    for (uint64_t e = first, end; e < last; e = end) {
        end = dd_packed_piece_end(layout, e);
        end = end < last ? end : last;
        dd_adamw tensor_opt = *opt;
        tensor_opt.decayed = dd_tensor_decayed(dd_layout_tensor_of(layout, e));
        kernels->adamw(end - e, weights + e, m + e, v + e, gradient + e, &tensor_opt);
        dd_packed_write(kernels, layout, e, end, weights, packed);
    }
}
