/* SPDX-License-Identifier: MIT
 * The cost model: amounts against counts by hand, coefficients and errors against steps whose law
 * is known, and what is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cost_write.h"
#include "folder_fixture.h"

enum { CASES_MAX = 512 };

static void near(double a, double b, double within)
{
    if (!(a - b <= within * b && b - a <= within * b))
        fail_msg("%g is not %g within %g", a, b, within);
}

/* ---- Amounts ---- */

static const dd_shape shape = {.L = 2, .NH = 4, .C = 64, .V = 128, .T_max = 32};

static dd_cost_amounts count(dd_reduce reduce, uint32_t workers, uint32_t depth,
                             uint32_t lane_depth, uint32_t batch)
{
    const dd_cost_case c = {.shape = shape,
                            .batch = batch,
                            .seq = 32,
                            .lane_depth = lane_depth,
                            .depth = depth,
                            .workers = workers,
                            .reduce = reduce};
    dd_cost_amounts a;
    assert_int_equal(dd_cost_count(&c, &a), DD_OK);
    return a;
}

static void test_amounts(void **state)
{
    (void)state;
    const double matrices = 2 * 12 * 64 * 64 + 128 * 64, P = (double)dd_shape_n_parameters(&shape);
    dd_cost_amounts a = count(DD_REDUCE_TREE, 1, 1, 1, 12);
    near(a.of[DD_COST_PRODUCTS], 6 * matrices * 12 * 32, 1e-12);
    near(a.of[DD_COST_ATTENTION], 12 * 2 * 64 * 32 * 33 / 2 * 12, 1e-12);
    near(a.of[DD_COST_WEIGHTS], 12 * 2 * 4 * matrices, 1e-12); /* a lane a run */
    near(a.lane_bound, 1, 1e-12);
    assert_true(a.of[DD_COST_TREE_SIBLINGS] == 0 && a.of[DD_COST_TREE_LEVELS] == 1);
    assert_true(a.of[DD_COST_PTHREAD_LEVELS] == 0 && a.of[DD_COST_WOKEN] == 0);

    a = count(DD_REDUCE_OWNER, 2, 1, 1, 12); /* weight gradients are shared out */
    near(a.of[DD_COST_PRODUCTS], matrices * 12 * 32 * (4.0 / 2 + 2.0 / 2), 1e-12);
    near(a.of[DD_COST_OWNED], 11 * 4 * matrices / 2, 1e-12);
    assert_true(a.of[DD_COST_FOLDS] == 0);
    a = count(DD_REDUCE_OWNER, 5, 1, 1, 12); /* 3 of 12 lanes at most, but slices are even */
    near(a.of[DD_COST_PRODUCTS], matrices * 32 * (4 * 3 + 2 * 12.0 / 5), 1e-12);
    near(a.lane_bound, 4, 1e-12);

    /* Twelve workers, a lane each: (p0 + p1) + p2, then (t0 + t1) + (t2 + t3). */
    a = count(DD_REDUCE_TREE, 12, 1, 1, 12);
    near(a.of[DD_COST_FOLDS], 4 * 12 * P, 1e-12);
    assert_true(a.of[DD_COST_TREE_SIBLINGS] == 11 && a.fewest_siblings == 1);
    near(count(DD_REDUCE_CONTROL, 12, 1, 1, 12).of[DD_COST_FOLDS], 11 * 12 * P, 1e-12);
    near(count(DD_REDUCE_SLICED, 12, 1, 1, 12).of[DD_COST_FOLDS], 13 * 4 * P / 12, 1e-12);
    /* Two levels of that. */
    near(count(DD_REDUCE_TREE, 144, 2, 2, 144).of[DD_COST_FOLDS], 8 * 12 * P, 1e-12);
    a = count(DD_REDUCE_CONTROL, 144, 2, 2, 144);
    near(a.of[DD_COST_FOLDS], 22 * 12 * P, 1e-12);
    near(a.of[DD_COST_SHARED], (143 * 12 + 28) * P + 8 * matrices, 1e-12);
    assert_true(a.of[DD_COST_WOKEN] == 2 && a.of[DD_COST_TREE_SIBLINGS] == 22);
    assert_true(count(DD_REDUCE_OWNER, 144, 2, 2, 144).bytes >
                4 * P); /* activations of the whole batch */
}

/* ---- Steps made by a law ---- */

typedef struct world {
    dd_cost_row row[CASES_MAX];
    dd_cost_case is[CASES_MAX];
    size_t n;
} world;

static world made;
static double law[DD_COST_TERMS]; /* ns of a unit */

/* -1 to 1, by counting. */
static double noise(uint64_t i)
{
    i = (i + 1) * 0x9e3779b97f4a7c15u;
    i = (i ^ i >> 30) * 0xbf58476d1ce4e5b9u;
    return (double)(i >> 11) * 0x1p-52 - 1;
}

/* Shapes, batches, depths, reductions, 1 and 2 workers: as scenarios/calibrate.yaml has them. */
static void make_world(double spread)
{
    static const dd_shape shapes[] = {{1, 1, 16, 64, 8},    {1, 2, 32, 64, 8},
                                      {2, 4, 64, 64, 16},   {2, 4, 64, 128, 256},
                                      {1, 4, 64, 4096, 32}, {4, 4, 128, 256, 64}};
    static const dd_reduce reductions[] = {DD_REDUCE_OWNER, DD_REDUCE_TREE, DD_REDUCE_SLICED,
                                           DD_REDUCE_CONTROL};
    made.n = 0;
    for (uint32_t s = 0; s < 6; s++)
        for (uint32_t batch = 12; batch <= 36; batch += 24)
            for (uint32_t d = 1; d <= 2; d++)
                for (uint32_t r = 0; r < 4; r++)
                    for (uint32_t w = 1; w <= 2; w++) {
                        const size_t i = made.n++;
                        dd_cost_amounts a;
                        made.is[i] = (dd_cost_case){
                            .shape = shapes[s],
                            .batch = batch,
                            .seq = shapes[s].T_max,
                            .lane_depth = d,
                            .depth = 1 + (d + r) % 2,
                            .workers = w,
                            .reduce = reductions[r],
                            .barrier = (s + r + d) % 3 ? DD_BARRIER_TREE : DD_BARRIER_PTHREAD};
                        assert_int_equal(dd_cost_count(&made.is[i], &a), DD_OK);
                        made.row[i] = (dd_cost_row){.group = s};
                        memcpy(made.row[i].amount, a.of, sizeof a.of);
                        for (int t = 0; t < DD_COST_TERMS; t++)
                            made.row[i].ns += law[t] * a.of[t] * (1 + spread * noise(i));
                    }
}

static int set_law(void **state)
{
    (void)state;
    const double rates[DD_COST_TERMS] = {
        [DD_COST_PRODUCTS] = 1 / 130.0,  [DD_COST_ATTENTION] = 1 / 60.0,
        [DD_COST_ROWS] = 1 / 12.0,       [DD_COST_CALLS] = 70,
        [DD_COST_FOLDS] = 1 / 20.0,      [DD_COST_UPDATE] = 1 / 15.0,
        [DD_COST_SHARED] = 1 / 90.0,     [DD_COST_STEP] = 30e3,
        [DD_COST_TREE_LEVELS] = 4e3,     [DD_COST_TREE_SIBLINGS] = 7e3,
        [DD_COST_PTHREAD_LEVELS] = 20e3, [DD_COST_PTHREAD_SIBLINGS] = 15e3};
    memcpy(law, rates, sizeof law);
    return 0;
}

static void test_fit_is_exact(void **state)
{
    (void)state;
    dd_cost_fit fit;
    make_world(0);
    dd_cost_fit_rows(made.row, made.n, NULL, &fit);
    for (size_t i = 0; i < made.n; i++)
        near(dd_cost_time(&fit, made.row[i].amount), made.row[i].ns, 1e-6);
    near(fit.ns_per[DD_COST_PRODUCTS], law[DD_COST_PRODUCTS], 1e-3);
    near(fit.ns_per[DD_COST_TREE_SIBLINGS], law[DD_COST_TREE_SIBLINGS], 1e-3);
    near(fit.ns_per[DD_COST_PTHREAD_LEVELS], law[DD_COST_PTHREAD_LEVELS], 1e-3);
}

/* With 3 % of noise the great terms are found, those that the law has not stay small, none is below
 * 0, and cells left out are predicted within the noise. */
static void test_fit_with_noise(void **state)
{
    (void)state;
    static double error[CASES_MAX], other[CASES_MAX];
    dd_cost_fit fit;
    make_world(0.03);
    dd_cost_fit_rows(made.row, made.n, NULL, &fit);
    near(fit.ns_per[DD_COST_PRODUCTS], law[DD_COST_PRODUCTS], 0.1);
    near(fit.ns_per[DD_COST_ATTENTION], law[DD_COST_ATTENTION], 0.2);
    static const dd_cost_term absent[] = {DD_COST_WEIGHTS, DD_COST_GRADIENTS, DD_COST_OWNED,
                                          DD_COST_KEPT, DD_COST_WOKEN};
    for (int t = 0; t < DD_COST_TERMS; t++)
        assert_true(fit.ns_per[t] >= 0);
    for (size_t k = 0; k < sizeof absent / sizeof absent[0]; k++) {
        double share = 0;
        for (size_t i = 0; i < made.n; i++)
            share += fit.ns_per[absent[k]] * made.row[i].amount[absent[k]] / made.row[i].ns /
                     (double)made.n;
        assert_true(share < 0.02);
    }
    assert_true(dd_cost_check(made.row, made.n, error, other));
    for (size_t i = 0; i < made.n; i++)
        assert_true(error[i] < 0.1 && error[i] > -0.1);
}

/* What least squares with coefficients of at least 0 must satisfy (Karush, Kuhn and Tucker): no
 * coefficient in use can be changed, and none at 0 raised, to a smaller error. The law takes time
 * back for some work, which no fit may. */
static void test_fit_is_best(void **state)
{
    (void)state;
    dd_cost_fit fit;
    law[DD_COST_ROWS] = -1 / 60.0;
    law[DD_COST_TREE_LEVELS] = -3e3;
    make_world(0.3);
    dd_cost_fit_rows(made.row, made.n, NULL, &fit);
    size_t used = 0, unused = 0;
    for (int t = 0; t < DD_COST_TERMS; t++) {
        double gradient = 0, length = 0;
        for (size_t i = 0; i < made.n; i++) {
            const dd_cost_row *row = &made.row[i];
            const double a = row->amount[t] / row->ns;
            gradient += a * (1 - dd_cost_time(&fit, row->amount) / row->ns);
            length += a * a;
        }
        gradient /= sqrt(length * (double)made.n);
        assert_true(fit.seen[t] && fit.ns_per[t] >= 0 && gradient < 1e-7);
        if (fit.ns_per[t] > 0)
            assert_true(gradient > -1e-7);
        used += fit.ns_per[t] > 0;
        unused += fit.ns_per[t] == 0;
    }
    assert_true(used >= 5 && unused >= 2);
}

/* The number of a row's case: rows of the same amounts are one. */
static size_t case_of(size_t row)
{
    size_t n = 0;
    for (size_t i = 0; i <= row; i++) {
        size_t k = 0;
        while (k < i && memcmp(made.row[k].amount, made.row[i].amount, sizeof made.row[i].amount))
            k++;
        if (i == row && k < i)
            return case_of(k);
        n += k == i;
    }
    return n - 1;
}

/* An error is one of a fit that has not seen the cell. Cells that took three times what the law
 * says are predicted by the law, where no such cell was among those fitted. */
static void test_left_out(void **state)
{
    (void)state;
    static double error[CASES_MAX], other[CASES_MAX];
    make_world(0);
    for (size_t i = 0; i < made.n; i++)
        if (case_of(i) % DD_COST_FOLDS_OF_CHECK == 2)
            made.row[i].ns *= 3;
    assert_true(dd_cost_check(made.row, made.n, error, other));
    size_t left_out = 0;
    for (size_t i = 0; i < made.n; i++)
        if (case_of(i) % DD_COST_FOLDS_OF_CHECK == 2) {
            near(-error[i], 2.0 / 3, 1e-5);
            left_out++;
        }
    assert_true(left_out > made.n / 10 && left_out < made.n / 3);
    make_world(0);
    for (size_t i = 0; i < made.n; i++)
        if (made.row[i].group == 2)
            made.row[i].ns *= 3;
    assert_true(dd_cost_check(made.row, made.n, error, other));
    for (size_t i = 0; i < made.n; i++)
        if (made.row[i].group == 2)
            near(-other[i], 2.0 / 3, 1e-5);
}

/* A cell that was measured twice is not seen by the fit that predicts it, neither time. */
static void test_measured_twice(void **state)
{
    (void)state;
    static double error[CASES_MAX], other[CASES_MAX];
    make_world(0);
    made.n -= made.n % 2;
    made.n = made.n > CASES_MAX / 2 ? CASES_MAX / 2 : made.n;
    memcpy(made.row + made.n, made.row, made.n * sizeof *made.row);
    made.n *= 2;
    made.row[3].ns *= 3;
    made.row[made.n / 2 + 3].ns *= 3;
    assert_true(dd_cost_check(made.row, made.n, error, other));
    near(-error[3], 2.0 / 3, 1e-5);
    near(-error[made.n / 2 + 3], 2.0 / 3, 1e-5);
}

static void test_no_rows(void **state)
{
    (void)state;
    dd_cost_fit fit;
    dd_cost_fit_rows(made.row, 0, NULL, &fit);
    for (int t = 0; t < DD_COST_TERMS; t++)
        assert_true(fit.ns_per[t] == 0 && !fit.seen[t]);
}

/* ---- Folders ---- */

static int set_law_and_folder(void **state)
{
    return set_law(state) || make_folder(state);
}

static json_t *text_of_number(uint32_t n)
{
    return json_sprintf("%u", n);
}

/* A cell as run.json has it: one repeat, whose median step is ns. */
static json_t *cell_json(const dd_cost_case *c, double ns)
{
    const dd_shape *s = &c->shape;
    json_t *requested = json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:s, s:s, s:s}", "subject", "dodeca", "model",
        json_sprintf("L=%u,NH=%u,C=%u,V=%u,T=%u", s->L, s->NH, s->C, s->V, s->T_max), "batch",
        text_of_number(c->batch), "seq", text_of_number(c->seq), "lane-depth",
        text_of_number(c->lane_depth), "barrier",
        c->barrier == DD_BARRIER_TREE ? "tree" : "pthread", "steal", "false", "storm", "");
    json_t *effective =
        json_pack("{s:i, s:i, s:i, s:s, s:s}", "workers", (int)c->workers, "depth", (int)c->depth,
                  "changes", 0, "kernels", "avx2", "reduce", dd_reduce_name(c->reduce));
    const json_int_t step = (json_int_t)ns;
    json_t *repeat = json_pack("{s:o, s:[I,I,I,I]}", "effective", effective, "step_wall_ns",
                               9 * step, step, step, step);
    return json_pack("{s:o, s:s, s:[o]}", "requested", requested, "verdict", "PASS", "repeats",
                     repeat);
}

static json_t *folder_json(size_t first, size_t step)
{
    json_t *cells = json_array();
    for (size_t i = first; i < made.n; i += step)
        (void)json_array_append_new(cells, cell_json(&made.is[i], made.row[i].ns));
    return json_pack("{s:{s:s, s:i}, s:{s:s, s:s, s:s, s:s}, s:o}", "machine", "cpu", "made up",
                     "cores_usable", 2, "build", "commit", "abc", "type", "Release", "flags", "-O2",
                     "sanitizer", "", "cells", cells);
}

static void write_folder(json_t *root)
{
    assert_int_equal(json_dump_file(root, file_named("run.json"), 0), 0);
    json_decref(root);
}

static void refused(dd_cost_cells *cells, const char *why)
{
    char message[DD_MESSAGE_MAX] = "";
    assert_false(dd_cost_cells_read(cells, folder, message));
    if (!strstr(message, why))
        fail_msg("\"%s\" does not say \"%s\"", message, why);
}

/* From files to predictions: what was put in comes out, and larger machines are extrapolated by the
 * same law. */
static void test_predictions(void **state)
{
    (void)state;
    char message[DD_MESSAGE_MAX] = "";
    dd_cost_cells cells = {0};
    dd_cost_model model;
    make_world(0.01);
    write_folder(folder_json(0, 1));
    assert_true(dd_cost_cells_read(&cells, folder, message));
    assert_int_equal(cells.n, made.n);
    assert_int_equal(cells.n_groups, 6);
    assert_true(dd_cost_model_open(&model, &cells, "avx2", message));
    assert_true(model.left_out.n == made.n && model.left_out.median < 0.02);
    assert_true(model.fitted.median <= model.left_out.worst);

    dd_cost_wanted wanted = {.shape = {4, 4, 128, 256, 64}, .seq = 64};
    dd_cost_forecast f[4], small;
    assert_int_equal(dd_cost_predict(&model, &wanted, 16, 1, DD_REDUCE_OWNER, f), DD_ERR_REFUSED);
    assert_int_equal(dd_cost_predict(&model, &wanted, 144, 2, DD_REDUCE_OWNER, &f[0]), DD_OK);
    assert_int_equal(dd_cost_predict(&model, &wanted, 144, 2, DD_REDUCE_CONTROL, &f[1]), DD_OK);
    assert_int_equal(dd_cost_predict(&model, &wanted, 2, 1, DD_REDUCE_OWNER, &small), DD_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(f[i].is.batch, 4 * 144);
        assert_true(f[i].ns.low <= f[i].ns.high && f[i].ns.low > 0);
        assert_true(f[i].speedup.low <= f[i].speedup.high && f[i].speedup.high <= 144);
        assert_true(f[i].is.lane_depth >= 2); /* twelve lanes are too few */
    }
    assert_true(f[0].ns.high < f[1].ns.high);   /* Node Zero alone folds last */
    assert_true(small.ns.low == small.ns.high); /* as many cores as here: nothing is assumed */
    assert_true(small.speedup.high > 1.5 && small.speedup.high <= 2.1);
    const uint32_t cores[] = {144, 1728};
    const dd_cost_page page = {wanted, f, 2, cores, 2};
    assert_ptr_equal(dd_cost_best(&page, 144), &f[0]);
    assert_null(dd_cost_best(&page, 16));
    wanted.batch = 100; /* fewer sequences than workers */
    assert_int_equal(dd_cost_refuses(&wanted, 144, 2), DD_COST_TOO_FEW);
    assert_int_equal(dd_cost_predict(&model, &wanted, 144, 2, DD_REDUCE_OWNER, f), DD_ERR_REFUSED);
    wanted.batch = 1u << 20; /* too many tokens */
    assert_int_equal(dd_cost_refuses(&wanted, 144, 2), DD_COST_TOO_LARGE);
    assert_int_equal(dd_cost_predict(&model, &wanted, 144, 2, DD_REDUCE_OWNER, f), DD_ERR_REFUSED);

    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    dd_cost_write_page(&model, &page, out);
    const long page_ends = ftell(out);
    dd_cost_write_model(&cells, &model, out);
    dd_cost_write_assumptions(&model, out);
    assert_int_equal(fclose(out), 0);
    assert_true(strncmp(text, "PREDICTED, nothing here is measured", 35) == 0);
    assert_non_null(strstr(text, "--workers 144 --depth 2"));
    /* what has no row says why */
    assert_non_null(strstr(text, "144 cores at depth 1: depths 1, 2 and 3 hold up to 12, 144"));
    assert_non_null(strstr(text, "1728 cores at depth 2: "));
    assert_null(strstr(text, "144 cores at depth 2: "));
    assert_non_null(strstr(text, "is predicted within"));
    assert_non_null(strstr(text + page_ends, ": held"));
    assert_non_null(strstr(text, "3 GB/s"));
    free(text);

    json_t *json = dd_cost_json(&cells, &model, &page, 1);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "kind")), "predicted");
    assert_int_equal(json_array_size(json_object_get(json, "check")), made.n);
    const json_t *written = json_array_get(json_object_get(json, "models"), 0);
    assert_int_equal(json_array_size(json_object_get(written, "not_predicted")), 3);
    json_decref(json);
    dd_cost_model_close(&model);
    dd_cost_cells_close(&cells);
}

static void too_few(size_t first, size_t step, const char *why)
{
    char message[DD_MESSAGE_MAX] = "";
    dd_cost_cells cells = {0};
    dd_cost_model model;
    write_folder(folder_json(first, step));
    assert_true(dd_cost_cells_read(&cells, folder, message));
    assert_false(dd_cost_model_open(&model, &cells, "avx2", message));
    if (!strstr(message, why) || !strstr(message, "scenarios/calibrate.yaml"))
        fail_msg("\"%s\" does not say \"%s\" and what would suffice", message, why);
    dd_cost_model_close(&model);
    dd_cost_cells_close(&cells);
}

static void test_too_few(void **state)
{
    (void)state;
    make_world(0);
    too_few(0, 16, "12 cells with avx2 kernels");
    too_few(0, 2, "none with more than 1 worker"); /* every other one has 2 */
    too_few(1, 2, "none with 1 worker");
    made.n = made.n / 6;
    too_few(0, 1, "of 1 model shapes");
}

/* Cells that are there but tell nothing of the model are left out, and counted by reason. */
static void test_left_cells(void **state)
{
    (void)state;
    char message[DD_MESSAGE_MAX] = "";
    dd_cost_cells cells = {0};
    make_world(0);
    json_t *root = folder_json(0, 1), *list = json_object_get(root, "cells");
    json_object_set_new(json_array_get(list, 0), "verdict", json_string("FAIL"));
    json_object_set_new(json_array_get(list, 1), "verdict", json_string("SKIP"));
    json_object_set_new(json_object_get(json_array_get(list, 2), "requested"), "subject",
                        json_string("locks"));
    json_object_set_new(json_object_get(json_array_get(list, 3), "requested"), "steal",
                        json_string("true"));
    json_t *repeat = json_array_get(json_object_get(json_array_get(list, 4), "repeats"), 0);
    json_object_set_new(repeat, "step_wall_ns", json_pack("[i,i]", 1, 2));
    repeat = json_array_get(json_object_get(json_array_get(list, 5), "repeats"), 0);
    json_object_set_new(json_object_get(repeat, "effective"), "workers", json_integer(3));
    write_folder(root);
    assert_true(dd_cost_cells_read(&cells, folder, message));
    static const size_t left[DD_COST_LEFT_REASONS] = {[DD_COST_LEFT_SUBJECT] = 1,
                                                      [DD_COST_LEFT_FAILED] = 2,
                                                      [DD_COST_LEFT_CROWDED] = 1,
                                                      [DD_COST_LEFT_OTHER] = 1,
                                                      [DD_COST_LEFT_SHORT] = 1};
    assert_memory_equal(cells.left, left, sizeof left);
    assert_int_equal(cells.n, made.n - 6);
    assert_int_equal(cells.n_read, made.n);
    assert_true(dd_cost_cells_any(&cells, message));
    cells.n = 0; /* were there no others */
    assert_false(dd_cost_cells_any(&cells, message));
    static const char *const said[] = {
        "can be fitted on; not used, another subject than dodeca: 1;",
        "; not used, a check that did not hold or was not made: 2;",
        "; not used, more workers than cores: 1;",
        "a changing hierarchy: 1;",
        "; not used, fewer than three timed steps in a repeat: 1;",
        "--out DIR` measures enough"};
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++)
        if (!strstr(message, said[i]))
            fail_msg("\"%s\" does not say \"%s\"", message, said[i]);
    dd_cost_cells_close(&cells);
}

static void test_bad_folders(void **state)
{
    (void)state;
    char message[DD_MESSAGE_MAX] = "";
    dd_cost_cells cells = {0};
    refused(&cells, "run.json");
    make_world(0);
    write_folder(json_pack("{s:i}", "format", 1));
    refused(&cells, "there are no cells in it");
    json_t *root = folder_json(0, 1);
    json_object_set_new(json_object_get(root, "build"), "type", json_string("debug"));
    write_folder(root);
    refused(&cells, "debug build");
    root = folder_json(0, 1);
    json_object_set_new(json_object_get(root, "build"), "flags", json_string("-O2 -g -O0"));
    write_folder(root);
    refused(&cells, "not optimised");
    root = folder_json(0, 1);
    json_t *cell = json_array_get(json_object_get(root, "cells"), 7);
    json_object_set_new(json_object_get(cell, "requested"), "batch", json_string("many"));
    write_folder(root);
    refused(&cells, "cell 8");
    root = folder_json(0, 1);
    json_array_set_new(json_object_get(root, "cells"), 3, json_integer(1));
    write_folder(root);
    refused(&cells, "cell 4: it is no cell");
    dd_cost_cells_close(&cells);

    write_folder(folder_json(0, 1));
    assert_true(dd_cost_cells_read(&cells, folder, message));
    root = folder_json(0, 1);
    json_object_set_new(json_object_get(root, "machine"), "cpu", json_string("another"));
    write_folder(root);
    refused(&cells, "one model is of one machine");
    dd_cost_cells_close(&cells);
}

/* Of a copy, and of the same sweep with a repeat more: cells that are in another folder already. */
static void test_copies(void **state)
{
    (void)state;
    char message[DD_MESSAGE_MAX] = "";
    dd_cost_cells cells = {0};
    make_world(0);
    write_folder(folder_json(0, 2));
    assert_true(dd_cost_cells_read(&cells, folder, message));
    const size_t n = cells.n;
    assert_true(n > 4);
    refused(&cells, "cell 1: the times of its repeat 1 are in cell 1 of ");
    refused(&cells, "a measurement counts once; give one of the two folders");
    dd_cost_cells_close(&cells);

    write_folder(folder_json(0, 2));
    assert_true(dd_cost_cells_read(&cells, folder, message));
    json_t *root = folder_json(1, 2), *list = json_object_get(root, "cells");
    json_t *copy = cell_json(&made.is[4], made.row[4].ns); /* the third of those before */
    json_t *more = json_deep_copy(json_array_get(json_object_get(copy, "repeats"), 0));
    json_object_set_new(more, "step_wall_ns", json_pack("[i,i,i,i]", 90, 11, 12, 13));
    json_array_insert_new(json_object_get(copy, "repeats"), 0, more);
    json_array_append_new(list, copy);
    write_folder(root);
    refused(&cells, "the times of its repeat 2 are in cell 3 of ");
    dd_cost_cells_close(&cells);

    /* others beside them are welcome */
    write_folder(folder_json(0, 2));
    assert_true(dd_cost_cells_read(&cells, folder, message));
    write_folder(folder_json(1, 2));
    assert_true(dd_cost_cells_read(&cells, folder, message));
    assert_true(cells.n > n);
    dd_cost_cells_close(&cells);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_amounts),
        cmocka_unit_test_setup(test_fit_is_exact, set_law),
        cmocka_unit_test_setup(test_fit_with_noise, set_law),
        cmocka_unit_test_setup(test_fit_is_best, set_law),
        cmocka_unit_test_setup(test_left_out, set_law),
        cmocka_unit_test_setup(test_measured_twice, set_law),
        cmocka_unit_test(test_no_rows),
        cmocka_unit_test_setup_teardown(test_predictions, set_law_and_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_too_few, set_law_and_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_left_cells, set_law_and_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_bad_folders, set_law_and_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_copies, set_law_and_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
