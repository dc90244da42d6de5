/* SPDX-License-Identifier: MIT
 * Gradients by their owners: whatever slices the vector is cut into and however lanes are bundled,
 * what is computed from the kept operands has the bits of the lanes' whole gradients folded one
 * into the other; nothing outside a slice is written; and what is not finite in one lane is found
 * where the lane's whole gradient has it. */
#include "gradient.h"
#include "gradient_owner.h"
#include "packed.h"
#include "platform.h"
#include "random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_LANES = 10, MAX_SEQUENCES = 30, N_TOKENS = 2000 };

/* Reproducible choices. */
static uint64_t next_index;

static uint32_t pick(uint32_t n)
{
    uint32_t f[4];
    dd_philox(9, next_index++, 100, f);
    return f[0] % n;
}

/* ---- A batch ---- */

typedef struct fixture {
    dd_model model;
    float *weights, *packed;
    uint16_t tokens[N_TOKENS];
    uint64_t first[MAX_SEQUENCES];
    uint32_t sequences[MAX_LANES], n_sequences, n_lanes;
    dd_fold_pair pair[MAX_LANES];
    uint32_t n_pairs, root;
    dd_segments lane; /* whole gradients, one a lane */
    uint64_t P, n_blocks;

    /* by owners */
    dd_layout vectors;
    dd_segments record;
    dd_acts *acts;
    dd_workspace *workspace;
    dd_owner_scratch *scratch;
    float *gradient;
    double *block_sums;
} fixture;

/* A random tree over `leaves` lanes from `first` on, depth first; returns the lane that holds it.
 */
static uint32_t make_tree(fixture *f, uint32_t first, uint32_t leaves)
{
    if (leaves == 1)
        return first;
    const uint32_t left = 1 + pick(leaves - 1);
    const uint32_t into = make_tree(f, first, left);
    const uint32_t from = make_tree(f, first + left, leaves - left);
    f->pair[f->n_pairs++] = (dd_fold_pair){into, from};
    return into;
}

static dd_lane lane_of(const fixture *f, uint32_t first, uint32_t n)
{
    return (dd_lane){.tokens = f->tokens, .first = f->first + first, .n_sequences = n};
}

static void fixture_open(fixture *f, const dd_shape *shape, uint32_t T, uint32_t n_lanes,
                         const dd_kernels *kernels)
{
    memset(f, 0, sizeof *f);
    f->n_lanes = n_lanes;
    for (uint32_t i = 0; i < n_lanes; i++)
        f->n_sequences += f->sequences[i] = 1 + pick(3);
    for (uint32_t i = 0; i < f->n_sequences; i++)
        f->first[i] = pick(N_TOKENS - T);
    for (uint32_t i = 0; i < N_TOKENS; i++)
        f->tokens[i] = (uint16_t)pick(shape->V);
    f->root = make_tree(f, 0, n_lanes);

    dd_model *m = &f->model;
    *m = (dd_model){.kernels = kernels, .T = T, .inv_tokens = 1.0f / (float)(f->n_sequences * T)};
    dd_layout_make(shape, &m->layout);
    f->P = dd_layout_size(&m->layout);
    f->n_blocks = dd_norm_n_blocks(&m->layout);
    f->weights = dd_alloc(f->P * sizeof *f->weights);
    f->packed = dd_alloc(dd_packed_size(&m->layout) * sizeof *f->packed);
    dd_weights_start(&m->layout, 3, f->weights);
    for (uint64_t e = 0; e < f->P; e++) /* biases that are not zero */
        f->weights[e] += (float)pick(1 << 10) * 0x1p-14f;
    dd_packed_write(kernels, &m->layout, 0, f->P, f->weights, f->packed);
    m->weights = f->weights;
    m->packed = f->packed;

    assert_int_equal(dd_segments_open(&f->lane, NULL, n_lanes, f->P, shape->V, shape->C, shape->V),
                     DD_OK);
    dd_workspace *ws;
    assert_int_equal(dd_workspace_open(m, f->n_sequences, NULL, &ws), DD_OK);
    for (uint32_t i = 0, first = 0; i < n_lanes; first += f->sequences[i++]) {
        const dd_lane lane = lane_of(f, first, f->sequences[i]);
        dd_gpt2_gradient(m, ws, &lane, DD_STORE, &f->lane.at[i]);
    }
    dd_workspace_close(ws);
}

/* Runs the lanes in random bundles, in random order of bundles. */
static void keep_operands(fixture *f)
{
    const dd_shape *s = &f->model.layout.shape;
    dd_layout_make_vectors(s, f->model.T, &f->vectors);
    assert_int_equal(dd_segments_open(&f->record, NULL, f->n_lanes, dd_layout_size(&f->vectors),
                                      s->V, s->C, s->V),
                     DD_OK);
    assert_int_equal(dd_acts_open(&f->model, f->n_sequences, true, &f->acts), DD_OK);
    f->gradient = calloc(f->P, sizeof *f->gradient);
    f->block_sums = calloc(f->n_blocks, sizeof *f->block_sums);
    uint32_t cut[MAX_LANES + 1], begin[MAX_LANES], bundles = 0, sequence = 0;
    for (uint32_t lane = 0; lane < f->n_lanes; bundles++) {
        cut[bundles] = lane;
        begin[bundles] = sequence;
        for (uint32_t n = 1 + pick(f->n_lanes - lane); n > 0; n--)
            sequence += f->sequences[lane++];
    }
    cut[bundles] = f->n_lanes;
    assert_int_equal(dd_workspace_open(&f->model, f->n_sequences, f->acts, &f->workspace), DD_OK);
    assert_int_equal(
        dd_owner_scratch_open(&f->model, f->n_lanes, MAX_LANES, f->workspace, &f->scratch), DD_OK);
    for (uint32_t i = 0, b = pick(bundles); i < bundles; i++, b = (b + 1) % bundles) {
        const uint32_t end = b + 1 < bundles ? begin[b + 1] : f->n_sequences;
        const dd_lane lanes = lane_of(f, begin[b], end - begin[b]);
        dd_gpt2_input_gradients(&f->model, f->workspace, &lanes, begin[b], &f->vectors,
                                &f->sequences[cut[b]], cut[b + 1] - cut[b], &f->record.at[cut[b]]);
    }
}

static dd_batch_gradient batch_of(const fixture *f)
{
    return (dd_batch_gradient){.model = &f->model,
                               .acts = f->acts,
                               .sequences = f->sequences,
                               .n_lanes = f->n_lanes,
                               .vectors = &f->vectors,
                               .lane = f->record.at};
}

static void fixture_close(fixture *f)
{
    free(f->block_sums);
    free(f->gradient);
    dd_owner_scratch_close(f->scratch);
    dd_workspace_close(f->workspace);
    dd_acts_close(f->acts);
    dd_segments_close(&f->record);
    dd_segments_close(&f->lane);
    dd_free(f->packed);
    dd_free(f->weights);
}

/* ---- Tests ---- */

static const struct {
    dd_shape shape;
    uint32_t T;
} cases[] = {
    {{.L = 1, .NH = 1, .C = 6, .V = 64, .T_max = 4}, 4},
    {{.L = 3, .NH = 5, .C = 35, .V = 67, .T_max = 7}, 3}, /* rows across edges of blocks */
    {{.L = 2, .NH = 2, .C = 64, .V = 97, .T_max = 40}, 33},
    {{.L = 0, .NH = 1, .C = 24, .V = 700, .T_max = 9}, 9}, /* no layers */
    {{.L = 1, .NH = 1, .C = 1, .V = 64, .T_max = 2}, 1},
    {{.L = 1, .NH = 3, .C = 48, .V = 65, .T_max = 100}, 5}, /* blocks of wpe that no token has */
};
enum { CASES = sizeof cases / sizeof *cases };

static void check(const dd_kernels *kernels, size_t c, uint32_t n_lanes)
{
    fixture f;
    fixture_open(&f, &cases[c].shape, cases[c].T, n_lanes, kernels);
    keep_operands(&f);
    const dd_layout *layout = &f.model.layout;
    const dd_batch_gradient batch = batch_of(&f);
    for (uint32_t i = 0; i < f.n_pairs; i++)
        dd_segment_fold(kernels, layout, &f.lane.at[f.pair[i].into], &f.lane.at[f.pair[i].from]);
    dd_segment *root = &f.lane.at[f.root];
    const double loss = dd_owner_loss(&batch, f.pair, f.n_pairs, f.root, f.scratch);
    assert_memory_equal(&loss, &root->loss, sizeof loss);
    dd_segment_root(kernels, layout, root);
    double *want = calloc(f.n_blocks, sizeof *want);
    dd_norm_blocks(kernels, layout, root->dense, want);

    /* back to front; what lies before is as it was */
    uint64_t slice[6] = {0};
    for (int i = 1; i < 5; i++)
        slice[i] = slice[i - 1] + pick((uint32_t)(f.n_blocks - slice[i - 1]) + 1);
    slice[5] = f.n_blocks;
    for (int i = 5; i > 0; i--) {
        dd_owner_slice(&batch, f.pair, f.n_pairs, f.root, slice[i - 1], slice[i], f.scratch,
                       f.gradient, f.block_sums);
        const uint64_t begun =
            slice[i - 1] * DD_NORM_BLOCK < f.P ? slice[i - 1] * DD_NORM_BLOCK : f.P;
        for (uint64_t e = 0; e < begun; e++)
            assert_true(f.gradient[e] == 0);
        assert_memory_equal(f.gradient + begun, root->dense + begun,
                            (f.P - begun) * sizeof *f.gradient);
    }
    assert_memory_equal(f.block_sums, want, f.n_blocks * sizeof *want);
    free(want);
    fixture_close(&f);
}

static void slices_give_the_bits_of_whole_lanes(void **state)
{
    (void)state;
    for (int simd = DD_SIMD_OFF; simd <= DD_SIMD_NEON; simd++) {
        const dd_kernels *kernels = dd_kernels_select((dd_simd)simd, NULL);
        for (size_t c = 0; kernels && c < CASES; c++)
            for (uint32_t n = 1; n <= MAX_LANES; n += 1 + pick(3))
                check(kernels, c, n);
    }
}

static void what_is_not_finite_is_found_lane_by_lane(void **state)
{
    (void)state;
    const dd_kernels *kernels = dd_kernels_select(DD_SIMD_AUTO, NULL);
    uint32_t found = 0, clean = 0;
    for (uint32_t round = 0; round < 60; round++) {
        fixture f;
        const size_t c = round % CASES;
        fixture_open(&f, &cases[c].shape, cases[c].T, 1 + pick(MAX_LANES), kernels);
        keep_operands(&f);
        const dd_batch_gradient batch = batch_of(&f);
        const uint32_t C = cases[c].shape.C;
        /* in a vector's gradient, a lookup row, nowhere; of one lane, in both forms of it */
        const uint32_t lane = pick(f.n_lanes);
        dd_segment *record = &f.record.at[lane], *whole = &f.lane.at[lane];
        const uint64_t n_vectors = dd_layout_size(&f.vectors);
        if (round % 3 == 0) {
            const uint64_t at = pick((uint32_t)n_vectors);
            const dd_tensor k = dd_layout_tensor_of(&f.vectors, at);
            record->dense[at] = INFINITY;
            whole->dense[f.model.layout.offset[k] + at - f.vectors.offset[k]] = INFINITY;
        } else if (round % 3 == 1) {
            const uint32_t at = pick(record->lookup.n * C);
            record->lookup.row[at] = whole->lookup.row[at] = NAN;
        }
        for (uint32_t i = 0; i < f.n_lanes; i++) {
            uint64_t want, got;
            const bool is = dd_segment_find_nonfinite(&f.model.layout, &f.lane.at[i], &want);
            assert_int_equal(dd_owner_find_nonfinite(&batch, i, f.scratch, &got), is);
            assert_true(is == (i == lane && round % 3 < 2));
            if (is)
                assert_int_equal(got, want);
            found += is;
            clean += !is;
        }
        fixture_close(&f);
    }
    assert_true(found >= 40 && clean > found);
}

/* An infinity in the weights makes lanes differ in what is not finite: nothing, or a great deal. */
static void an_infinite_weight_is_found_as_in_whole_gradients(void **state)
{
    (void)state;
    const dd_kernels *kernels = dd_kernels_select(DD_SIMD_AUTO, NULL);
    uint32_t found = 0;
    for (uint32_t round = 0; round < 24; round++) {
        fixture f;
        const size_t c = round % CASES;
        fixture_open(&f, &cases[c].shape, cases[c].T, 1 + pick(MAX_LANES), kernels);
        f.weights[pick((uint32_t)f.P)] = INFINITY;
        dd_packed_write(kernels, &f.model.layout, 0, f.P, f.weights, f.packed);
        keep_operands(&f);
        const dd_batch_gradient batch = batch_of(&f);
        dd_workspace *ws;
        assert_int_equal(dd_workspace_open(&f.model, f.n_sequences, NULL, &ws), DD_OK);
        for (uint32_t i = 0, first = 0; i < f.n_lanes; first += f.sequences[i++]) {
            const dd_lane lane = lane_of(&f, first, f.sequences[i]);
            uint64_t want, got;
            dd_gpt2_gradient(&f.model, ws, &lane, DD_STORE, &f.lane.at[i]);
            const bool is = dd_segment_find_nonfinite(&f.model.layout, &f.lane.at[i], &want);
            assert_int_equal(dd_owner_find_nonfinite(&batch, i, f.scratch, &got), is);
            if (is)
                assert_int_equal(got, want);
            found += is;
        }
        dd_workspace_close(ws);
        fixture_close(&f);
    }
    assert_true(found > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_give_the_bits_of_whole_lanes),
        cmocka_unit_test(what_is_not_finite_is_found_lane_by_lane),
        cmocka_unit_test(an_infinite_weight_is_found_as_in_whole_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
