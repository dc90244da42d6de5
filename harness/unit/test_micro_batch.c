/* SPDX-License-Identifier: MIT
 * Lanes in pieces: however few of a lane's sequences are taken at once, gradient, loss and weights
 * are those of whole lanes, bit for bit, and so the oracle's: for every kernel set, reduction,
 * number of workers and depth, with stealing and guard, where chains are stored inside a product
 * too, and where a lane is not finite. */
#include "counted_alloc.h"
#include "gpt2.h"
#include "packed.h"
#include "random.h"
#include "serial.h"
#include "trainer_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- One lane ---- */

enum { SEQUENCES = 9, N_TOKENS = 3000 };

typedef struct fixture {
    dd_model model;
    float *weights, *packed;
    uint16_t tokens[N_TOKENS];
    uint64_t first[SEQUENCES];
    uint64_t P;
} fixture;

static uint32_t pick(uint32_t n)
{
    static uint64_t next;
    uint32_t f[4];
    dd_philox(5, next++, 100, f);
    return f[0] % n;
}

/* gain: of the last LayerNorm; a great one makes some losses so much smaller than others that their
 * sum in double is rounded. */
static void fixture_open(fixture *f, const dd_shape *shape, uint32_t T, float gain, dd_simd simd)
{
    const char *why;
    dd_model *m = &f->model;
    *m = (dd_model){.kernels = dd_kernels_select(simd, &why), .T = T, .inv_tokens = 0.01f};
    dd_layout_make(shape, &m->layout);
    f->P = dd_layout_size(&m->layout);
    f->weights = dd_alloc(f->P * sizeof *f->weights);
    f->packed = dd_alloc(dd_packed_size(&m->layout) * sizeof *f->packed);
    dd_weights_start(&m->layout, 3, f->weights);
    for (uint64_t e = 0; e < f->P; e++) /* biases that are not zero */
        f->weights[e] += (float)pick(1 << 10) * 0x1p-14f;
    for (uint32_t c = 0; c < shape->C; c++)
        f->weights[m->layout.offset[DD_LNFW] + c] *= gain;
    dd_packed_write(m->kernels, &m->layout, 0, f->P, f->weights, f->packed);
    m->weights = f->weights;
    m->packed = f->packed;
    for (uint32_t i = 0; i < N_TOKENS; i++)
        f->tokens[i] = (uint16_t)pick(shape->V);
    for (uint32_t i = 0; i < SEQUENCES; i++)
        f->first[i] = pick(N_TOKENS - T);
}

static void fixture_close(fixture *f)
{
    dd_free(f->weights);
    dd_free(f->packed);
}

/* A segment that holds something: every element, some rows, a loss. */
static dd_segments filled_segment(const fixture *f)
{
    const dd_shape *s = &f->model.layout.shape;
    dd_segments out;
    assert_int_equal(dd_segments_open(&out, NULL, 1, f->P, s->V, s->C, s->V), DD_OK);
    for (uint64_t e = 0; e < f->P; e++)
        out.at->dense[e] = 0.5f + (float)(e % 7);
    for (uint32_t v = 1; v < s->V; v += 5) {
        bool fresh;
        float *row = dd_rows_at(&out.at->lookup, v, &fresh);
        for (uint32_t c = 0; c < s->C; c++)
            row[c] = 0.25f * (float)(c + 1);
    }
    out.at->loss = 1.5;
    return out;
}

static void assert_same_segment(const fixture *f, const dd_segment *a, const dd_segment *b,
                                const char *what)
{
    for (uint64_t e = 0; e < f->P; e++)
        if (memcmp(&a->dense[e], &b->dense[e], sizeof *a->dense) != 0) {
            const dd_tensor k = dd_layout_tensor_of(&f->model.layout, e);
            fail_msg("%s: %s[%llu] is %a in pieces and %a whole", what, dd_tensor_name(k),
                     (unsigned long long)(e - f->model.layout.offset[k]), (double)a->dense[e],
                     (double)b->dense[e]);
        }
    if (a->lookup.n != b->lookup.n)
        fail_msg("%s: %u lookup rows in pieces, %u whole", what, a->lookup.n, b->lookup.n);
    for (uint32_t i = 0; i < b->lookup.n; i++) {
        const uint32_t slot = a->lookup.slot[b->lookup.token[i]], C = b->lookup.width;
        assert_true(slot != DD_NO_SLOT);
        if (memcmp(a->lookup.row + (size_t)slot * C, b->lookup.row + (size_t)i * C,
                   C * sizeof(float)) != 0)
            fail_msg("%s: the lookup row of token %u differs", what, b->lookup.token[i]);
    }
    if (memcmp(&a->loss, &b->loss, sizeof a->loss) != 0)
        fail_msg("%s: the loss is %a in pieces and %a whole", what, a->loss, b->loss);
}

/* A lane of n sequences, at_once at a time. */
static void compare_lane(const fixture *f, uint32_t n, uint32_t at_once, dd_sink sink)
{
    char what[80];
    snprintf(what, sizeof what, "%s, %u sequences of %u, %u at once, %s", f->model.kernels->name, n,
             f->model.T, at_once, sink == DD_FOLD ? "folded" : "stored");
    const dd_lane lane = {.tokens = f->tokens, .first = f->first, .n_sequences = n};
    dd_segments pieces = filled_segment(f), whole = filled_segment(f);
    dd_workspace *few, *all;
    assert_int_equal(dd_workspace_open(&f->model, at_once, NULL, &few), DD_OK);
    assert_int_equal(dd_workspace_open_lane(&f->model, few, n), DD_OK);
    assert_int_equal(dd_workspace_open(&f->model, n, NULL, &all), DD_OK);
    dd_gpt2_gradient(&f->model, all, &lane, sink, whole.at);
    dd_gpt2_gradient(&f->model, few, &lane, sink, pieces.at);
    assert_same_segment(f, pieces.at, whole.at, what);
    const double a = dd_gpt2_loss(&f->model, few, &lane, 0),
                 b = dd_gpt2_loss(&f->model, all, &lane, 0);
    assert_memory_equal(&a, &b, sizeof a);
    dd_workspace_close(few);
    dd_workspace_close(all);
    dd_segments_close(&pieces);
    dd_segments_close(&whole);
}

/* Every cut of 1 to 9 sequences; T below T_max; at 300 tokens a sequence products of whole lanes
 * cut their chains too, elsewhere. */
static void a_lane_in_pieces(void **state)
{
    (void)state;
    static const struct {
        dd_shape shape;
        uint32_t T, most;
        float gain;
    } models[] = {
        {{.L = 2, .NH = 3, .C = 27, .V = 67, .T_max = 9}, 7, SEQUENCES, 1},
        {{.L = 2, .NH = 3, .C = 27, .V = 5, .T_max = 9}, 7, SEQUENCES, 60},
        {{.L = 1, .NH = 1, .C = 1, .V = 2, .T_max = 1}, 1, 3, 1},
        {{.L = 1, .NH = 2, .C = 34, .V = 40, .T_max = 300}, 300, 3, 1},
    };
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        for (size_t s = 0; s < n_simd; s++) {
            fixture f;
            fixture_open(&f, &models[i].shape, models[i].T, models[i].gain, simd_here[s]);
            for (uint32_t n = 1; n <= models[i].most; n++)
                for (uint32_t at_once = 1; at_once <= n; at_once++) {
                    compare_lane(&f, n, at_once, DD_STORE);
                    compare_lane(&f, n, at_once, DD_FOLD);
                }
            fixture_close(&f);
        }
}

/* ---- Training ---- */

enum { STEPS = 4 };

typedef struct trace {
    double loss[STEPS], norm[STEPS], validation;
    uint8_t hash[16];
} trace;

static trace run_oracle(const dd_config *config)
{
    trace t;
    dd_step step;
    dd_serial *oracle;
    assert_int_equal(dd_serial_open(config, data, &oracle, NULL), DD_OK);
    for (int i = 0; i < STEPS; i++) {
        assert_int_equal(dd_serial_step(oracle, &step, NULL), DD_OK);
        t.loss[i] = step.loss;
        t.norm[i] = step.norm;
    }
    assert_int_equal(dd_serial_validate(oracle, 2, &t.validation, NULL), DD_OK);
    dd_serial_hash(oracle, t.hash);
    dd_serial_close(oracle);
    return t;
}

/* A step allocates nothing, in pieces either. */
static trace run_trainer(const dd_config *config)
{
    trace t;
    dd_step step;
    dd_trainer *trainer = open_trainer(config);
    dd_trainer_info info;
    dd_trainer_info_get(trainer, &info);
    assert_int_equal(info.micro_batch, config->micro_batch);
    for (int i = 0; i < STEPS; i++) {
        const long before = n_allocations;
        assert_int_equal(dd_trainer_step(trainer, &step, NULL), DD_OK);
        assert_int_equal(n_allocations, before);
        t.loss[i] = step.loss;
        t.norm[i] = step.norm;
    }
    assert_int_equal(dd_trainer_validate(trainer, 2, &t.validation, NULL), DD_OK);
    dd_trainer_hash(trainer, t.hash);
    dd_trainer_close(trainer);
    return t;
}

/* The w-th way to carry out a step. */
static void choose_way(dd_config *c, uint32_t w)
{
    static const dd_reduce reduce[] = {DD_REDUCE_TREE, DD_REDUCE_CONTROL, DD_REDUCE_SLICED,
                                       DD_REDUCE_AUTO};
    static const uint32_t workers[] = {1, 2, 3, 5, 12};
    c->workers = workers[w % 5];
    c->reduce = reduce[w % 4];
    c->depth = 1 + w % 2;
    c->steal = w % 3 == 1;
    c->guard = w % 7 == 2;
    c->barrier = w % 11 < 3 ? DD_BARRIER_PTHREAD : DD_BARRIER_TREE;
    c->simd = simd_here[w % n_simd];
}

static void the_oracles_bits(void **state)
{
    (void)state;
    static const struct {
        dd_shape shape;
        uint32_t batch, seq, lane_depth;
        uint32_t micro_batch[8], ways;
    } runs[] = {
        /* lanes of 8 and 9, of 2 and 3, of 1 and 2 sequences; 144 lanes of 2 and 3; long chains */
        {{.L = 1, .NH = 2, .C = 10, .V = 64, .T_max = 6}, 100, 5, 1, {1, 2, 3, 4, 5, 8}, 5},
        {{.L = 2, .NH = 3, .C = 27, .V = 67, .T_max = 9}, 26, 7, 1, {1, 2}, 12},
        {{.L = 1, .NH = 2, .C = 18, .V = 64, .T_max = 4}, 13, 4, 1, {1}, 5},
        {{.L = 1, .NH = 1, .C = 5, .V = 64, .T_max = 3}, 301, 3, 2, {1, 2}, 5},
        {{.L = 1, .NH = 1, .C = 8, .V = 64, .T_max = 300}, 36, 300, 1, {1, 2}, 2},
    };
    uint32_t way = 0;
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        dd_config c;
        dd_config_default(&c);
        c.shape = runs[i].shape;
        c.batch = runs[i].batch;
        c.seq = runs[i].seq;
        c.lane_depth = runs[i].lane_depth;
        c.horizon = STEPS;
        c.warmup = 1;
        const trace want = run_oracle(&c);
        for (const uint32_t *m = runs[i].micro_batch; *m; m++)
            for (uint32_t w = 0; w < runs[i].ways; w++, way++) {
                choose_way(&c, way);
                c.micro_batch = *m;
                const trace got = run_trainer(&c);
                if (memcmp(&got, &want, sizeof got) != 0)
                    fail_msg("batch %u, seq %u, micro-batch %u, %u workers, depth %u, reduce %d, "
                             "steal %d, guard %d, simd %d: loss %a, norm %a, validation %a at the "
                             "end; the oracle has %a, %a, %a",
                             c.batch, c.seq, *m, c.workers, c.depth, (int)c.reduce, c.steal,
                             c.guard, (int)c.simd, got.loss[STEPS - 1], got.norm[STEPS - 1],
                             got.validation, want.loss[STEPS - 1], want.norm[STEPS - 1],
                             want.validation);
            }
    }
}

static dd_config lanes_of_four(void)
{
    dd_config c;
    dd_config_default(&c);
    c.shape = (dd_shape){.L = 1, .NH = 2, .C = 10, .V = 64, .T_max = 6};
    c.batch = 48;
    c.workers = 3;
    c.reduce = DD_REDUCE_TREE;
    return c;
}

/* A weight of every tensor is no number: lane, tensor and index are those of whole lanes, and the
 * weights as before. */
static void a_culprit_is_named_alike(void **state)
{
    (void)state;
    dd_config c = lanes_of_four();
    dd_layout layout;
    dd_layout_make(&c.shape, &layout);
    c.nan_policy = DD_NAN_SKIP_STEP;
    dd_trainer *whole = open_trainer(&c);
    c.micro_batch = 1;
    dd_trainer *pieces = open_trainer(&c);
    for (int k = 0; k < DD_N_TENSORS; k++) {
        const uint64_t e = (layout.offset[k] + layout.offset[k + 1]) / 2;
        const float before = dd_trainer_weights(whole, NULL)[e];
        dd_step a, b;
        set_one(whole, e, NAN);
        set_one(pieces, e, NAN);
        assert_int_equal(dd_trainer_step(whole, &a, NULL), DD_OK);
        assert_int_equal(dd_trainer_step(pieces, &b, NULL), DD_OK);
        assert_true(a.discarded && b.discarded);
        assert_int_equal(a.culprit.lane, b.culprit.lane);
        assert_int_equal(a.culprit.worker, b.culprit.worker);
        assert_string_equal(a.culprit.tensor, b.culprit.tensor);
        assert_true(a.culprit.index == b.culprit.index);
        set_one(whole, e, before);
        set_one(pieces, e, before);
        step_ok(whole);
        step_ok(pieces);
        uint8_t h[2][16];
        dd_trainer_hash(whole, h[0]);
        dd_trainer_hash(pieces, h[1]);
        assert_memory_equal(h[0], h[1], sizeof h[0]);
    }
    dd_trainer_close(whole);
    dd_trainer_close(pieces);
}

/* ---- Settings ---- */

static void what_settings_mean(void **state)
{
    (void)state;
    dd_error error;
    dd_trainer *t;
    dd_trainer_info info;
    dd_config c = lanes_of_four();
    c.micro_batch = 2;
    c.reduce = DD_REDUCE_OWNER;
    assert_int_equal(dd_trainer_open(&c, data, &t, &error), DD_ERR_ARGUMENT);
    assert_non_null(strstr(error.message, "micro-batch 2: reduce owner"));

    c.reduce = DD_REDUCE_AUTO;
    t = open_trainer(&c);
    dd_trainer_info_get(t, &info);
    assert_int_equal(info.reduce, DD_REDUCE_TREE);
    assert_int_equal(info.micro_batch, 2);
    assert_true(info.lanes_bytes > 3 * info.weights_bytes); /* a gradient a worker, with rows */
    const uint64_t cut = info.workspaces_bytes;
    dd_trainer_close(t);

    c.micro_batch = 4; /* no lane is longer: none is cut */
    t = open_trainer(&c);
    dd_trainer_info_get(t, &info);
    assert_int_equal(info.micro_batch, 0);
    assert_int_equal(info.lanes_bytes, 0);
    assert_true(info.workspaces_bytes > cut);
    dd_trainer_close(t);

    c.batch = 1; /* one lane: nothing is ever folded */
    c.workers = 1;
    c.micro_batch = 1;
    t = open_trainer(&c);
    dd_trainer_info_get(t, &info);
    assert_int_equal(info.lanes_bytes, 0);
    dd_trainer_close(t);
}

static void failed_allocations_leave_nothing(void **state)
{
    (void)state;
    dd_config c = lanes_of_four();
    c.micro_batch = 1;
    dd_trainer *t = NULL;
    dd_status st = DD_ERR_MEMORY;
    for (long n = 0; st == DD_ERR_MEMORY; n++) {
        const long before = n_live;
        fail_at = n_allocations + n;
        st = dd_trainer_open(&c, data, &t, NULL);
        fail_at = -1;
        if (st)
            assert_int_equal(n_live, before);
    }
    assert_int_equal(st, DD_OK);
    step_ok(t);
    dd_trainer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lane_in_pieces),
        cmocka_unit_test(the_oracles_bits),
        cmocka_unit_test(a_culprit_is_named_alike),
        cmocka_unit_test(what_settings_mean),
        cmocka_unit_test(failed_allocations_leave_nothing),
    };
    return cmocka_run_group_tests(tests, open_data_and_simd, close_data);
}
