/* SPDX-License-Identifier: MIT
 * Opens the three, keeps them in step, and says what must be named. */
#include "injection_rig.h"

#include "random.h"
#include "tokens.h"
#include "trainer_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

uint32_t rig_pick(uint32_t n)
{
    static uint64_t next_index;
    uint32_t f[4];
    dd_philox(23, next_index++, 100, f);
    return f[0] % n;
}

/* ---- The gradient of a discarded step, before its replay takes the memory ---- */

static float *root; /* (P) */

bool __real_dd_gradient_find_nonfinite(const dd_layout *layout, const float *gradient,
                                       uint64_t *element);
bool __wrap_dd_gradient_find_nonfinite(const dd_layout *layout, const float *gradient,
                                       uint64_t *element);

bool __wrap_dd_gradient_find_nonfinite(const dd_layout *layout, const float *gradient,
                                       uint64_t *element)
{
    memcpy(root, gradient, dd_layout_size(layout) * sizeof *root);
    return __real_dd_gradient_find_nonfinite(layout, gradient, element);
}

/* ---- Opening and closing ---- */

dd_config rig_config(void)
{
    dd_config c;
    dd_config_default(&c);
    c.shape = (dd_shape){.L = 2, .NH = 2, .C = 10, .V = 67, .T_max = 6};
    c.seq = 5;
    c.batch = 14;
    c.horizon = 1000;
    c.nan_policy = DD_NAN_SKIP_STEP;
    return c;
}

void rig_open(rig *r, const dd_config *config)
{
    *r = (rig){.config = *config, .t = open_trainer(config)};
    dd_trainer *t = r->t;
    assert_true(config->batch <= RIG_BATCH_MAX);
    assert_int_equal(dd_serial_open(config, data, &r->oracle, NULL), DD_OK);
    assert_int_equal(dd_workspace_open(&t->model, config->batch, NULL, &r->ws), DD_OK);
    assert_int_equal(dd_segments_open(&r->lane, NULL, 1, t->P, config->batch * config->seq,
                                      config->shape.C, config->shape.V),
                     DD_OK);
    for (int i = 0; i < DD_KEPT_ARRAYS; i++)
        assert_non_null(r->kept[i] = malloc(t->P * sizeof(float)));
    assert_non_null(root = malloc(t->P * sizeof *root));
    injection_begin(&(injection){.kind = IN_NOTHING});
}

void rig_close(rig *r)
{
    free(root);
    for (int i = 0; i < DD_KEPT_ARRAYS; i++)
        free(r->kept[i]);
    dd_segments_close(&r->lane);
    dd_workspace_close(r->ws);
    dd_serial_close(r->oracle);
    dd_trainer_close(r->t);
}

/* ---- Steps ---- */

void rig_find_batch(rig *r)
{
    const uint64_t step = dd_u64_load(&r->t->step, DD_RELAXED);
    dd_batch_train(&r->t->split, r->config.seed, r->config.seq, r->config.batch, step, r->first);
}

uint32_t rig_lane(const rig *r, uint32_t i)
{
    uint32_t l = 0;
    while (!r->t->lane_tokens[l] || r->t->lane_number[l] != i)
        l++;
    return l;
}

void rig_keep(rig *r)
{
    for (int i = 0; i < DD_KEPT_ARRAYS; i++)
        memcpy(r->kept[i], r->t->kept_array[i], r->t->P * sizeof(float));
}

void rig_assert_kept(const rig *r)
{
    for (int i = 0; i < DD_KEPT_ARRAYS; i++)
        assert_memory_equal(r->kept[i], r->t->kept_array[i], r->t->P * sizeof(float));
}

void rig_assert_oracles_bits(const rig *r)
{
    const float *w = dd_serial_weights(r->oracle, NULL);
    assert_memory_equal(w, dd_trainer_weights(r->t, NULL), r->t->P * sizeof *w);
}

void rig_good_step(rig *r)
{
    step_ok(r->t);
    assert_int_equal(dd_serial_step(r->oracle, NULL, NULL), DD_OK);
}

void rig_oracle_discards(rig *r)
{
    dd_step step;
    float *w = dd_serial_weights(r->oracle, NULL), saved = w[0];
    w[0] = NAN;
    (void)dd_serial_step(r->oracle, &step, NULL);
    assert_true(step.discarded);
    w[0] = saved;
}

/* ---- What must be named ---- */

dd_culprit rig_culprit(const rig *r, uint32_t lane, uint64_t element)
{
    const dd_layout *layout = &r->t->model.layout;
    dd_culprit c = {.lane = lane, .worker = DD_NO_LANE};
    for (int k = 0; k < DD_N_TENSORS; k++)
        if (element >= layout->offset[k] && element < layout->offset[k + 1]) {
            c.tensor = dd_tensor_name((dd_tensor)k);
            c.index = element - layout->offset[k];
        }
    assert_non_null(c.tensor);
    return c;
}

/* Element e of a lane's gradient: what is dense of it, and for wte its lookup row. */
static bool is_finite(const dd_layout *layout, const dd_segment *g, uint64_t e)
{
    const uint64_t C = layout->shape.C;
    if (e < layout->offset[DD_WPE] && g->lookup.slot[e / C] != DD_NO_SLOT &&
        !isfinite(g->lookup.row[g->lookup.slot[e / C] * C + e % C]))
        return false;
    return isfinite(g->dense[e]);
}

bool rig_predict(rig *r, dd_culprit *out)
{
    dd_segment *g = &r->lane.at[0];
    for (uint32_t l = 0; l < r->t->n_lanes; l++) {
        const uint32_t begin = dd_lane_begin_(r->t, l), n = dd_lane_begin_(r->t, l + 1) - begin;
        const dd_lane work = {.tokens = r->t->tokens, .first = r->first + begin, .n_sequences = n};
        if (!n)
            continue;
        dd_gpt2_gradient(&r->t->model, r->ws, &work, DD_STORE, g);
        uint64_t e = 0;
        while (e < r->t->P && is_finite(&r->t->model.layout, g, e))
            e++;
        if (e == r->t->P && isfinite(g->loss))
            continue;
        *out = e < r->t->P ? rig_culprit(r, l, e) : (dd_culprit){.lane = l, .tensor = "loss"};
        return true;
    }
    return false;
}

dd_culprit rig_in_root(const rig *r)
{
    uint64_t e = 0;
    while (e < r->t->P && isfinite(root[e]))
        e++;
    if (e < r->t->P)
        return rig_culprit(r, DD_NO_LANE, e);
    const char *whole = isfinite(r->t->result.loss) ? "norm" : "loss";
    return (dd_culprit){.lane = DD_NO_LANE, .tensor = whole};
}
