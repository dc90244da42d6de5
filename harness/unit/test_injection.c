/* SPDX-License-Identifier: MIT
 * Numbers that are not finite, planted in every output of every kernel, in every lane and so in
 * every worker, and in every tensor: the step is discarded, the report names what was planted, the
 * weights and both moments are those before it, and training goes on with the oracle's bits. What
 * must be named follows from each lane run alone, here, or from the oracle. */
#include "injection_rig.h"
#include "queues.h"
#include "tokens.h"
#include "trainer_fixture.h"
#include "workspace.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const float values[] = {NAN, INFINITY, -INFINITY};
enum { N_VALUES = 3 };

/* The other policy from now on: it is looked at after a step, and nowhere else in the trainer. */
static void turn_policy(rig *r)
{
    const bool aborts = r->config.nan_policy == DD_NAN_ABORT;
    r->config.nan_policy = r->t->config.nan_policy = aborts ? DD_NAN_SKIP_STEP : DD_NAN_ABORT;
}

static dd_status status_of(const rig *r, bool discarded)
{
    return discarded && r->config.nan_policy == DD_NAN_ABORT ? DD_ERR_NONFINITE : DD_OK;
}

/* Where what is planted is itself an element of a gradient: which one. */
static bool planted_element(const rig *r, const injection *in, uint64_t *element)
{
    const dd_layout *layout = &r->t->model.layout;
    const uint32_t L = layout->shape.L, C = layout->shape.C, op = in->op;
    static const dd_tensor bias[] = {DD_FCPROJB, DD_FCB, DD_ATTPROJB, DD_QKVB};
    uint32_t l;
    dd_tensor k;
    dd_matrix W;
    switch (in->kind) {
    case IN_WEIGHT_GRADIENT:
        k = injected_matrix(layout, in->kind, op, &l);
        (void)dd_layout_matrix(layout, k, &W);
        *element = dd_layout_layer(layout, k, l) + in->row * W.K + in->column;
        return true;
    case IN_PACKED_ROWS: /* a column of every output's gradient */
        k = injected_matrix(layout, in->kind, op, &l);
        *element = dd_layout_layer(layout, k, l) + in->column;
        return true;
    case IN_NORM_PARAMETERS: /* the last one's first; in a layer ln2, then ln1 */
        l = op ? L - 1 - (op - 1) / 2 : 0;
        k = !op ? DD_LNFW : op % 2 ? DD_LN2W : DD_LN1W;
        *element = dd_layout_layer(layout, k + in->row, l) + in->column;
        return true;
    case IN_BIAS:
        *element = dd_layout_layer(layout, bias[op % 4], L - 1 - op / 4) + in->column;
        return true;
    case IN_POSITION:
        *element = layout->offset[DD_WPE] + in->row * C + in->column;
        return true;
    case IN_LOOKUP: {
        const uint32_t begin = dd_lane_begin_(r->t, rig_lane(r, in->lane));
        const uint64_t token = r->first[begin + in->row / r->config.seq] + in->row % r->config.seq;
        *element = (uint64_t)r->t->tokens[token] * C + in->column;
        return true;
    }
    default:
        return false;
    }
}

/* ---- Planting ---- */

static struct {
    uint32_t planted, absorbed; /* finite in the end, by the maths */
} tally[IN_KINDS][N_VALUES];

static void assert_culprit(const rig *r, const injection *in, const dd_culprit *got,
                           const dd_culprit *want, const char *message)
{
    if (got->lane != want->lane || strcmp(got->tensor, want->tensor) || got->index != want->index ||
        got->worker != want->worker)
        fail_msg("%s %u (%u, %u) of lane %u made %g, reduce %d: named lane %d worker %d %s[%" PRIu64
                 "], not lane %d worker %d %s[%" PRIu64 "]",
                 injected_name(in->kind), in->op, in->row, in->column, in->lane, (double)in->value,
                 (int)r->config.reduce, (int)got->lane, (int)got->worker, got->tensor, got->index,
                 (int)want->lane, (int)want->worker, want->tensor, want->index);
    char named[100];
    if (want->lane == DD_NO_LANE)
        (void)snprintf(named, sizeof named, "run once more every lane is finite");
    else
        (void)snprintf(named, sizeof named, "in lane %u (worker %u): ", want->lane, want->worker);
    assert_non_null(strstr(message, named));
    const bool value = !strcmp(want->tensor, "loss") || !strcmp(want->tensor, "norm");
    (void)snprintf(named, sizeof named, "%s of %s[%" PRIu64 "]", value ? "value" : "gradient",
                   want->tensor, want->index);
    assert_non_null(strstr(message, named));
}

/* The worker whose workspace it is. */
static uint32_t worker_of(const rig *r, const dd_workspace *ws)
{
    uint32_t w = 0;
    while (w < r->t->n_workspaces && r->t->workspace[w] != ws)
        w++;
    assert_true(w < r->t->n_workspaces);
    return w;
}

/* A step with the injection: discarded, told, and without a trace.
 * want  what must be named, but for the worker; NULL: what the root holds, in no lane */
static void discarded_step(rig *r, const injection *in, const dd_culprit *want)
{
    turn_policy(r);
    rig_keep(r);
    const uint64_t step = dd_u64_load(&r->t->step, DD_RELAXED), adam_t = r->t->adam_t;
    dd_step report;
    dd_error error = {""};
    injection_begin(in);
    const dd_status st = dd_trainer_step(r->t, &report, &error);
    const dd_workspace *ran_in = injection_workspace();
    assert_true(injection_end() > 0);
    assert_true(report.discarded);
    assert_int_equal(st, status_of(r, true));
    dd_culprit expected = want ? *want : rig_in_root(r);
    expected.worker = expected.lane == DD_NO_LANE ? DD_NO_LANE : worker_of(r, ran_in);
    assert_culprit(r, in, &report.culprit, &expected, error.message);
    r->named |= expected.worker < 32 ? UINT32_C(1) << expected.worker : 0;
    rig_assert_kept(r);
    assert_int_equal(r->t->adam_t, adam_t);
    assert_int_equal(dd_u64_load(&r->t->step, DD_RELAXED), step + 1);
    rig_oracle_discards(r);
}

/* A step with an injection that leads to nothing that is not finite. */
static void absorbed_step(rig *r, const injection *in)
{
    dd_step report;
    assert_int_equal(dd_trainer_command(r->t, DD_COMMAND_CHECKPOINT, NULL), DD_OK);
    injection_begin(in);
    assert_int_equal(dd_trainer_step(r->t, &report, NULL), DD_OK);
    assert_true(injection_end() > 0);
    assert_true(!report.discarded && isfinite(report.loss) && isfinite(report.norm));
    assert_int_equal(dd_trainer_command(r->t, DD_COMMAND_RESTORE, NULL), DD_OK);
}

static void plant(rig *r, injection in, int value)
{
    const uint32_t lane = rig_lane(r, in.lane);
    dd_culprit want = {.tensor = ""};
    rig_find_batch(r);
    in.value = values[value];
    in.n_sequences = r->t->sequences[in.lane];
    in.first_token = r->first[dd_lane_begin_(r->t, lane)];

    uint64_t element;
    bool caught = true;
    const bool direct = planted_element(r, &in, &element);
    if (in.kind == IN_PACKED_ROWS) { /* a lane alone lays nothing by */
        want = rig_culprit(r, lane, element);
    } else {
        injection_begin(&in);
        caught = rig_predict(r, &want);
        assert_int_equal(injection_end(), 1);
        assert_true(!caught || want.lane == lane);
    }
    if (direct) {
        const dd_culprit planted = rig_culprit(r, lane, element);
        assert_true(caught && want.index == planted.index);
        assert_string_equal(want.tensor, planted.tensor);
    }
    tally[in.kind][value].planted++;
    tally[in.kind][value].absorbed += !caught;
    assert_true(caught || !isnan(in.value));
    if (!caught) {
        absorbed_step(r, &in);
        return;
    }
    discarded_step(r, &in, &want);
    if (rig_pick(8) > 0)
        return;
    /* once only: a fault that the replay does not see. The lane is not known then */
    rig_find_batch(r);
    in.first_token = r->first[dd_lane_begin_(r->t, lane)];
    in.once = true;
    r->once++;
    const dd_culprit loss = {.lane = DD_NO_LANE, .tensor = "loss"};
    discarded_step(r, &in, in.kind == IN_LOSS ? &loss : NULL);
}

/* ---- In lanes ---- */

/* Every op of every kind, in lanes that take turns, under both policies. */
static void plant_all(rig *r, uint32_t *turn)
{
    const dd_layout *layout = &r->t->model.layout;
    const uint32_t T = r->config.seq;
    for (injected kind = IN_EMBEDDING; kind < IN_VALIDATION_LOSS; kind++) {
        if (kind == IN_PACKED_ROWS && r->config.reduce != DD_REDUCE_OWNER)
            continue;
        for (uint32_t op = 0; op < injected_ops(layout, kind); op++)
            for (int value = 0; value < N_VALUES; value++) {
                uint32_t rows, columns;
                injection in = {.kind = kind, .op = op};
                in.lane = (*turn)++ % r->t->non_empty_lanes;
                injected_shape(layout, T, kind, op, &rows, &columns);
                in.row = rig_pick(rows ? rows : r->t->sequences[in.lane] * T);
                in.column = rig_pick(columns);
                if (kind == IN_ATTENTION_WEIGHTS) /* up to its own token */
                    in.column = in.column / T * T + rig_pick(in.row % T + 1);
                plant(r, in, value);
            }
        rig_good_step(r);
        rig_assert_oracles_bits(r);
    }
}

static void every_kernel_in_every_worker(void **state)
{
    (void)state;
    static const struct {
        uint32_t workers, depth, lane_depth;
        bool steal;
    } teams[] = {{1, 1, 1, false}, {3, 2, 2, false}, {12, 1, 1, false}, {5, 1, 2, true}};
    uint32_t turn = 0;
    assert_true(n_simd <= sizeof teams / sizeof *teams); /* each with every reduction */
    for (size_t i = 0; i < sizeof teams / sizeof *teams; i++)
        for (int reduce = 0; reduce <= (int)DD_REDUCE_OWNER; reduce++) {
            rig r;
            dd_config config = rig_config();
            config.workers = teams[i].workers;
            config.depth = teams[i].depth;
            config.lane_depth = teams[i].lane_depth;
            config.steal = teams[i].steal;
            config.reduce = (dd_reduce)reduce;
            config.simd = simd_here[(i + (size_t)reduce) % n_simd];
            rig_open(&r, &config);
            plant_all(&r, &turn);
            if (!config.steal) /* else a worker may lose its lanes every time: every_thief */
                assert_int_equal(r.named, (UINT32_C(1) << config.workers) - 1);
            assert_true(r.once > 10);
            rig_close(&r);
        }
    print_message("%-20s planted, of these finite in the end: NaN, +Inf, -Inf\n", "");
    for (injected kind = IN_EMBEDDING; kind < IN_VALIDATION_LOSS; kind++)
        print_message("%-20s %5u %3u  %5u %3u  %5u %3u\n", injected_name(kind),
                      tally[kind][0].planted, tally[kind][0].absorbed, tally[kind][1].planted,
                      tally[kind][1].absorbed, tally[kind][2].planted, tally[kind][2].absorbed);
}

/* ---- In stolen lanes ---- */

/* While there is a thief, the others take no lane before it has stolen one. */
static struct {
    bool on; /* as thief, changes between steps only */
    uint32_t thief;
    atomic_bool stolen;
    atomic_uint own, lane; /* what it ran first of its own, and stole first */
} theft;

bool __real_dd_queues_take(dd_queues *q, uint32_t worker, uint32_t *lane);
bool __wrap_dd_queues_take(dd_queues *q, uint32_t worker, uint32_t *lane);
uint32_t __real_dd_queues_steal(dd_queues *q, uint32_t worker, const uint32_t **lanes,
                                uint32_t *victim);
uint32_t __wrap_dd_queues_steal(dd_queues *q, uint32_t worker, const uint32_t **lanes,
                                uint32_t *victim);

bool __wrap_dd_queues_take(dd_queues *q, uint32_t worker, uint32_t *lane)
{
    const bool thief = theft.on && worker == theft.thief;
    while (theft.on && !thief && !atomic_load(&theft.stolen))
        sched_yield();
    const bool taken = __real_dd_queues_take(q, worker, lane);
    unsigned none = DD_NO_LANE;
    if (thief && taken)
        (void)atomic_compare_exchange_strong(&theft.own, &none, *lane);
    return taken;
}

uint32_t __wrap_dd_queues_steal(dd_queues *q, uint32_t worker, const uint32_t **lanes,
                                uint32_t *victim)
{
    const uint32_t n = __real_dd_queues_steal(q, worker, lanes, victim);
    if (theft.on && worker == theft.thief && n > 0 && !atomic_load(&theft.stolen)) {
        atomic_store(&theft.lane, **lanes);
        atomic_store(&theft.stolen, true);
    }
    return n;
}

static void theft_begin(uint32_t thief)
{
    theft.on = true;
    theft.thief = thief;
    atomic_store(&theft.stolen, false);
    atomic_store(&theft.own, DD_NO_LANE);
}

/* With stealing, too, every worker is named: for a lane of its own, and for one that it stole. */
static void every_thief(void **state)
{
    (void)state;
    for (int reduce = 0; reduce <= (int)DD_REDUCE_OWNER; reduce++) {
        rig r;
        dd_config config = rig_config();
        config.workers = 5;
        config.steal = true;
        config.reduce = (dd_reduce)reduce;
        config.simd = simd_here[(size_t)reduce % n_simd];
        rig_open(&r, &config);
        for (uint32_t w = 0; w < 2 * config.workers; w++) {
            theft_begin(w / 2);
            rig_good_step(&r); /* so that it is known which lanes these are */
            const uint32_t lane = atomic_load(w % 2 ? &theft.lane : &theft.own);
            injection in = {.kind = IN_GELU, .value = NAN, .lane = r.t->lane_number[lane]};
            rig_find_batch(&r);
            in.n_sequences = r.t->sequences[in.lane];
            in.first_token = r.first[dd_lane_begin_(r.t, lane)];
            dd_culprit want;
            injection_begin(&in);
            assert_true(rig_predict(&r, &want));
            assert_int_equal(injection_end(), 1);
            assert_int_equal(want.lane, lane);
            theft_begin(w / 2);
            r.named = 0;
            discarded_step(&r, &in, &want);
            assert_int_equal(r.named, UINT32_C(1) << w / 2);
        }
        theft.on = false;
        rig_good_step(&r);
        rig_assert_oracles_bits(&r);
        rig_close(&r);
    }
}

/* ---- In no lane ---- */

/* What is planted in a fold, in the norm: no lane has it. */
static void folds_and_norm(void **state)
{
    (void)state;
    for (int reduce = 0; reduce <= (int)DD_REDUCE_OWNER; reduce++) {
        rig r;
        dd_config config = rig_config();
        config.shape.C = 14; /* two blocks of the norm */
        config.workers = 4;
        config.reduce = (dd_reduce)reduce;
        config.simd = simd_here[(size_t)reduce % n_simd];
        rig_open(&r, &config);
        uint32_t folds = 0;
        for (injected kind = IN_FOLD; kind <= IN_NORM; kind++)
            for (uint32_t op = 0; op < 3; op++)
                for (int value = 0; value < N_VALUES; value++) {
                    const bool whole =
                        reduce == (int)DD_REDUCE_TREE || reduce == (int)DD_REDUCE_CONTROL;
                    if (kind == IN_FOLD && !whole) /* these fold in pieces alone */
                        continue;
                    const dd_culprit norm = {.lane = DD_NO_LANE, .tensor = "norm"};
                    const injection in = {.kind = kind,
                                          .op = op % (uint32_t)(kind == IN_NORM ? 2 : 3),
                                          .column = rig_pick(1000),
                                          .value = values[value]};
                    discarded_step(&r, &in, kind == IN_NORM ? &norm : NULL);
                    folds += kind != IN_NORM;
                    rig_good_step(&r);
                }
        rig_assert_oracles_bits(&r);
        assert_true(folds >= 9);
        rig_close(&r);
    }
}

/* AdamW's outputs are validated by nobody until they are used. Not finite, a weight spoils the next
 * step, a moment the one after that; but for a mean square of +Inf, which holds its weight still,
 * and weights that are not read. */
static void update(void **state)
{
    (void)state;
    for (int reduce = 0; reduce <= (int)DD_REDUCE_OWNER; reduce++)
        for (injected kind = IN_WEIGHTS; kind <= IN_SQUARES; kind++)
            for (int value = 0; value < N_VALUES; value++) {
                rig r;
                dd_config config = rig_config();
                config.workers = 3;
                config.reduce = (dd_reduce)reduce;
                config.simd = simd_here[((size_t)reduce + kind) % n_simd];
                config.nan_policy = ((int)kind + value) % 2 ? DD_NAN_ABORT : DD_NAN_SKIP_STEP;
                rig_open(&r, &config);
                rig_good_step(&r);
                assert_int_equal(dd_trainer_command(r.t, DD_COMMAND_CHECKPOINT, NULL), DD_OK);
                const injection in = {.kind = kind, .column = 7, .value = values[value]};
                dd_step report = {.discarded = false};
                injection_begin(&in);
                step_ok(r.t);
                assert_int_equal(injection_end(), 1);
                int steps = 0;
                for (; steps < 3 && !report.discarded; steps++) {
                    dd_culprit want;
                    rig_find_batch(&r);
                    const bool caught = rig_predict(&r, &want);
                    rig_keep(&r);
                    assert_int_equal(dd_trainer_step(r.t, &report, NULL), status_of(&r, caught));
                    assert_int_equal(report.discarded, caught);
                    if (!caught)
                        continue;
                    assert_int_equal(report.culprit.lane, want.lane);
                    assert_string_equal(report.culprit.tensor, want.tensor);
                    assert_int_equal(report.culprit.index, want.index);
                    rig_assert_kept(&r);
                }
                const bool still = kind == IN_SQUARES && value == 1;
                assert_true(still ? !report.discarded : report.discarded);
                assert_true(still || steps == (kind == IN_WEIGHTS ? 1 : 2));
                assert_int_equal(dd_trainer_command(r.t, DD_COMMAND_RESTORE, NULL), DD_OK);
                for (int i = 0; i < 3; i++)
                    rig_good_step(&r);
                rig_assert_oracles_bits(&r);
                rig_close(&r);
            }
}

/* ---- In weights ---- */

/* A weight of every tensor that is not finite before the step, or so large that something
 * overflows: the oracle says what must be named, and what has no consequence. */
static void every_tensor(void **state)
{
    (void)state;
    static const float bad[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f};
    uint32_t caught = 0, finite = 0;
    for (int reduce = 0; reduce <= (int)DD_REDUCE_OWNER; reduce++) {
        rig r;
        dd_config config = rig_config();
        config.workers = 4;
        config.reduce = (dd_reduce)reduce;
        config.steal = reduce % 2;
        config.simd = simd_here[(size_t)reduce % n_simd];
        rig_open(&r, &config);
        const dd_layout *layout = &r.t->model.layout;
        for (int k = 0; k < DD_N_TENSORS; k++)
            for (size_t v = 0; v < sizeof bad / sizeof *bad; v++) {
                const uint64_t size = layout->offset[k + 1] - layout->offset[k];
                const uint64_t e = layout->offset[k] + rig_pick((uint32_t)size);
                float *o = dd_serial_weights(r.oracle, NULL);
                const float saved = o[e];
                dd_step want, got;
                set_one(r.t, e, bad[v]);
                o[e] = bad[v];
                rig_keep(&r);
                assert_int_equal(dd_trainer_command(r.t, DD_COMMAND_CHECKPOINT, NULL), DD_OK);
                const dd_status st = dd_serial_step(r.oracle, &want, NULL);
                assert_int_equal(st, status_of(&r, want.discarded));
                assert_int_equal(dd_trainer_step(r.t, &got, NULL), st);
                assert_int_equal(got.discarded, want.discarded);
                if (!want.discarded) { /* the oracle cannot go back: both go on anew */
                    assert_memory_equal(&got.norm, &want.norm, sizeof got.norm);
                    finite++;
                    rig_close(&r);
                    config.nan_policy =
                        config.nan_policy == DD_NAN_ABORT ? DD_NAN_SKIP_STEP : DD_NAN_ABORT;
                    rig_open(&r, &config);
                    layout = &r.t->model.layout;
                    continue;
                }
                assert_int_equal(got.culprit.lane, want.culprit.lane);
                assert_string_equal(got.culprit.tensor, want.culprit.tensor);
                assert_int_equal(got.culprit.index, want.culprit.index);
                rig_assert_kept(&r);
                set_one(r.t, e, saved);
                o[e] = saved;
                rig_good_step(&r);
                rig_assert_oracles_bits(&r);
                caught++;
            }
        rig_close(&r);
    }
    print_message("weights not finite or huge: %u discarded, %u of no such consequence\n", caught,
                  finite);
    assert_true(caught > 200);
}

/* ---- Validation ---- */

/* A validation loss that is not finite is returned as it is, and touches nothing. */
static void validation_alone(void **state)
{
    (void)state;
    for (int reduce = 0; reduce <= (int)DD_REDUCE_OWNER; reduce++) {
        rig r;
        double want, got;
        dd_config config = rig_config();
        config.workers = 3;
        config.reduce = (dd_reduce)reduce;
        rig_open(&r, &config);
        rig_good_step(&r);
        assert_int_equal(dd_serial_validate(r.oracle, 2, &want, NULL), DD_OK);
        for (injected kind = IN_EMBEDDING; kind <= IN_VALIDATION_LOSS; kind++) {
            const bool ahead = kind == IN_EMBEDDING || kind == IN_LAYERNORM || kind == IN_FORWARD ||
                               kind == IN_ATTENTION || kind == IN_RESIDUAL || kind == IN_GELU ||
                               kind == IN_VALIDATION_LOSS;
            for (uint32_t i = 0; ahead && i < r.t->non_empty_lanes; i++) {
                uint64_t first[RIG_BATCH_MAX];
                dd_batch_validation(&r.t->split, config.seq, config.batch, 1, first);
                const injection in = {.kind = kind,
                                      .lane = i,
                                      .value = NAN,
                                      .n_sequences = r.t->sequences[i],
                                      .first_token = first[dd_lane_begin_(r.t, rig_lane(&r, i))]};
                rig_keep(&r);
                injection_begin(&in);
                assert_int_equal(dd_trainer_validate(r.t, 2, &got, NULL), DD_OK);
                assert_int_equal(injection_end(), 1);
                assert_true(isnan(got));
                rig_assert_kept(&r);
            }
        }
        assert_int_equal(dd_trainer_validate(r.t, 2, &got, NULL), DD_OK);
        assert_memory_equal(&got, &want, sizeof got);
        rig_good_step(&r);
        rig_assert_oracles_bits(&r);
        rig_close(&r);
    }
}

/* ---- The norm ---- */

/* No finite gradient has a norm that is not finite: squares are doubles, and 2^43 of the largest
 * add up to far less than the largest of these. */
static void the_norm_cannot_overflow(void **state)
{
    (void)state;
    static float largest[DD_NORM_BLOCK];
    for (int i = 0; i < DD_NORM_BLOCK; i++)
        largest[i] = i % 2 ? FLT_MAX : -FLT_MAX;
    injection_begin(&(injection){.kind = IN_NOTHING});
    for (size_t i = 0; i < n_simd; i++) {
        const dd_kernels *k = dd_kernels_select(simd_here[i], NULL);
        double sum = k->sum_squares(DD_NORM_BLOCK, largest);
        const double exact = 0x1p12 * ((double)FLT_MAX * (double)FLT_MAX);
        assert_true(fabs(sum - exact) <= 1e-14 * exact);
        for (uint64_t n = DD_NORM_BLOCK; n < UINT64_C(1) << 43; n *= 2)
            sum += sum; /* a binary tree of equal block sums */
        assert_true(isfinite(sqrt(sum)));
        /* and an element that is not finite is not lost, wherever it stands */
        for (size_t at = 0; at < DD_NORM_BLOCK; at += 251)
            for (int v = 0; v < N_VALUES; v++) {
                const float saved = largest[at];
                largest[at] = values[v];
                assert_true(!isfinite(k->sum_squares(DD_NORM_BLOCK, largest)));
                largest[at] = saved;
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kernel_in_every_worker),
        cmocka_unit_test(every_thief),
        cmocka_unit_test(folds_and_norm),
        cmocka_unit_test(update),
        cmocka_unit_test(every_tensor),
        cmocka_unit_test(validation_alone),
        cmocka_unit_test(the_norm_cannot_overflow),
    };
    return cmocka_run_group_tests_name("injection", tests, open_data_and_simd, close_data);
}
