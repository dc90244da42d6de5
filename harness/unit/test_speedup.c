/* SPDX-License-Identifier: MIT
 * The speedup table: its arithmetic against figures worked out by hand, what it divides by what,
 * and what is not timed. */
#include "report.h"
#include "speedup_fixture.h"
#include "stats.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- Arithmetic ---- */

static void test_quantiles(void **state)
{
    (void)state;
    double x[] = {5, 1, 4, 2, 3}, even[] = {4, 1, 3, 2}, one[] = {7};
    dd_sort(x, 5);
    near(dd_quantile(x, 5, 0.5), 3);
    near(dd_quantile(x, 5, 0), 1);
    near(dd_quantile(x, 5, 1), 5);
    near(dd_quantile(x, 5, 0.1), 1.4);
    near(dd_quantile(x, 5, 0.9), 4.6);
    dd_sort(even, 4);
    near(dd_quantile(even, 4, 0.5), 2.5);
    near(dd_quantile(one, 1, 0.9), 7);
    assert_true(isnan(dd_quantile(one, 0, 0.5)));
}

static void test_speedup(void **state)
{
    const fixture *f = *state;
    dd_speedup s;
    assert_true(dd_speedup_open(&s, f->sweep, 4, NULL));
    /* medians of steps n-1, n, n+1, n+2 are n + 0.5; the middle repeat is 1000 ns above the first
     */
    double one = 9000.5, two = 5000.5, six = 3000.5, oracle = 16000.5;
    near(s.rows[0].step_ns, one);
    near(s.rows[0].one.x, 1);
    near(s.rows[0].oracle.x, oracle / one);
    near(s.rows[1].one.x, one / two);
    near(s.rows[1].efficiency, one / two / 2);
    near(s.rows[1].tokens_per_s, 12 * 16 / (two * 1e-9));
    near(s.rows[2].one.x, one / six);
    near(s.rows[2].efficiency, one / six / 4); /* six workers, four cores */
    near(s.rows[2].loss_last, 3.6);
    /* twelve steps: n + {-1 … 2} + {0, 1000, 2000}, positions 1.1 and 9.9 */
    near(s.rows[0].p10_ns, 8000.1);
    near(s.rows[0].p90_ns, 10000.9);
    assert_int_equal(s.rows[0].n_timed, 3);
    assert_false(s.rows[1].oversubscribed);
    assert_true(s.rows[2].oversubscribed);
    assert_true(s.rows[1].one.to == &s.rows[0]);
    assert_null(s.rows[1].locks.to);
    assert_string_equal(s.rows[0].checks, "hfslzibc-");
    assert_string_equal(s.rows[3].checks, "!--------");
    assert_string_equal(s.rows[3].not_timed, "a check did not hold");
    assert_true(isnan(s.rows[3].step_ns) && isnan(s.rows[3].one.x));
    dd_speedup_close(&s);
}

/* A row whose check failed has no time, and is no baseline for others. */
static void test_failed_baseline(void **state)
{
    fixture *f = *state;
    f->sweep->cells[0].repeats[0].run.end.hash[0] = 'f';
    judge(f, 0, 0);
    dd_speedup s;
    assert_true(dd_speedup_open(&s, f->sweep, 4, NULL));
    assert_string_equal(s.rows[0].checks, "hf!lzibc-");
    assert_true(isnan(s.rows[0].step_ns) && isnan(s.rows[1].one.x));
    assert_true(isfinite(s.rows[1].oracle.x));
    assert_true(strncmp(s.rows[0].reason, "serial-equivalence: weights f", 29) == 0);
    dd_speedup_close(&s);
}

static void test_untimeable_build(void **state)
{
    const fixture *f = *state;
    dd_speedup s;
    char *text = NULL;
    size_t size;
    assert_true(dd_speedup_open(&s, f->sweep, 4, "sanitizer build"));
    for (size_t i = 0; i < s.n_rows; i++)
        assert_true(isnan(s.rows[i].step_ns) && isnan(s.rows[i].oracle.x));
    FILE *out = open_memstream(&text, &size);
    dd_speedup_write(&s, false, out);
    fclose(out);
    assert_non_null(strstr(text, "not timed: sanitizer build"));
    free(text);
    dd_speedup_close(&s);
}

/* ---- Intervals ---- */

static void test_intervals(void **state)
{
    const fixture *f = *state;
    dd_speedup s;
    assert_true(dd_speedup_open(&s, f->sweep, 4, NULL));
    /* three repeats: their range */
    near(s.rows[0].step.low, 8000.5);
    near(s.rows[0].step.high, 10000.5);
    /* pairs: 8000/4000, 9000/5000, 10000/6000, and medians of three draws of them */
    near(s.rows[1].one.interval.low, 10000.5 / 6000.5);
    near(s.rows[1].one.interval.high, 8000.5 / 4000.5);
    near(s.rows[0].one.interval.low, 1);
    /* the oracle ran once: that number over the row's range */
    assert_null(s.rows[0].oracle.to);
    near(s.rows[0].oracle.interval.low, 16000.5 / 10000.5);
    near(s.rows[0].oracle.interval.high, 16000.5 / 8000.5);
    assert_int_equal(s.rows[0].end, DD_CELL_REPEATS);
    assert_int_equal(s.rows[0].n_outliers, 0);
    assert_int_equal(s.rows[3].end, DD_CELL_OPEN); /* two of its repeats were not run */
    dd_speedup_close(&s);
}

/* ---- Comparisons between subjects ---- */

/* locks, locks-gradient and dodeca with 1 and 2 workers; dodeca also scalar, and stealing. */
static void test_comparisons(void **state)
{
    (void)state;
    static const struct {
        const char *subject, *workers, *simd, *steal;
        uint64_t step_ns;
    } rows[] = {
        {"dodeca", "1", "auto", "false", 8000},         {"dodeca", "2", "auto", "false", 4000},
        {"dodeca", "2", "off", "false", 40000},         {"dodeca", "2", "auto", "true", 3200},
        {"locks", "1", "auto", "false", 10000},         {"locks", "2", "auto", "false", 12000},
        {"locks-gradient", "2", "auto", "false", 5000}, {"oracle", "1", "off", "false", 20000},
    };
    enum { N = sizeof rows / sizeof *rows };
    const dd_key *swept[] = {dd_key_named("subject"), dd_key_named("workers"), dd_key_named("simd"),
                             dd_key_named("steal")};
    const char *values[N][4];
    dd_scenario_cell cells[N] = {0};
    static char label[] = "a cell";
    char message[DD_MESSAGE_MAX];
    for (size_t i = 0; i < N; i++) {
        dd_settings_default(&cells[i].settings);
        cells[i].settings.steps = STEPS;
        const char *of_row[] = {rows[i].subject, rows[i].workers, rows[i].simd, rows[i].steal};
        for (size_t k = 0; k < 4; k++) {
            values[i][k] = of_row[k];
            assert_true(dd_settings_set(&cells[i].settings, swept[k]->name, of_row[k], message));
        }
        cells[i].values = values[i];
        cells[i].label = label;
    }
    dd_scenario scenario = {.file = "planted.yaml",
                            .name = "planted",
                            .about = "",
                            .n_swept = 4,
                            .swept = swept,
                            .n_cells = N,
                            .cells = cells};
    fixture f = {.sweep = dd_sweep_open(&scenario)};
    assert_non_null(f.sweep);
    assert_int_equal(f.sweep->n_oracles, 1);
    end_run(&f.sweep->oracles[0].run, 1, 16000);
    for (size_t i = 0; i < N; i++) {
        dd_run *run = &f.sweep->cells[i].repeats[0].run;
        end_run(run, (uint32_t)strtoul(rows[i].workers, NULL, 10), rows[i].step_ns);
        judge(&f, i, 0);
        assert_int_equal(f.sweep->cells[i].verdict, DD_PASS);
    }
    dd_speedup s;
    assert_true(dd_speedup_open(&s, f.sweep, 4, NULL));
    const dd_speedup_row *r = s.rows;
    assert_true(r[1].one.to == &r[0] && r[1].scalar.to == &r[2]);
    assert_true(r[1].locks.to == &r[5] && r[1].locks_gradient.to == &r[6]);
    near(r[1].one.x, 8000.5 / 4000.5);
    near(r[1].scalar.x, 40000.5 / 4000.5);
    near(r[1].locks.x, 12000.5 / 4000.5);
    near(r[1].locks_gradient.x, 5000.5 / 4000.5);
    assert_true(r[0].locks.to == &r[4]); /* as many workers */
    assert_null(r[0].locks_gradient.to);
    assert_null(r[0].scalar.to);
    assert_null(r[2].one.to);          /* no scalar row has 1 worker */
    assert_true(r[3].one.to == &r[0]); /* nothing nearer steals with 1 worker */
    assert_true(r[5].one.to == &r[4]); /* its own subject's */
    assert_null(r[6].one.to);
    assert_true(isnan(r[6].one.x) && isnan(r[6].efficiency));
    assert_string_equal(r[6].checks, "hfelc-");
    /* the oracle's row takes the place of the run that judges; it has no workers and no simd */
    assert_true(r[1].oracle.to == &r[7]);
    near(r[1].oracle.x, 20000.5 / 4000.5);
    near(r[7].oracle.x, 1);
    assert_null(r[7].one.to);
    assert_null(r[7].scalar.to);
    assert_null(r[7].locks.to);
    assert_true(isnan(r[7].efficiency));
    dd_speedup_close(&s);

    char *text = text_of(&f, markdown);
    assert_non_null(
        strstr(text, "| x 1 worker | x scalar | x locks-gradient | x locks | x oracle |"));
    assert_non_null(strstr(text, "| not bit-equal |"));
    assert_non_null(strstr(text, "- not bit-equal: sums follow the order of arrival"));
    assert_non_null(strstr(text, "serial by construction"));
    free(text);
    text = text_of(&f, dd_speedup_csv);
    static char heading[COLUMNS_MAX][512], row[COLUMNS_MAX][512];
    const char *at = text;
    size_t n = csv_record(&at, heading);
    (void)csv_record(&at, row);
    assert_int_equal(csv_record(&at, row), n);
    assert_string_equal(csv_value(heading, row, n, "row"), "2");
    assert_string_equal(csv_value(heading, row, n, "row_of_locks_gradient"), "7");
    assert_string_equal(csv_value(heading, row, n, "row_of_oracle"), "8");
    assert_string_equal(csv_value(heading, row, n, "step_ns_of_oracle"), "20000.5");
    assert_string_equal(csv_value(heading, row, n, "repeats_ended_by"), "repeats");
    assert_string_equal(csv_value(heading, row, n, "repeats_ns"), "4000.5");
    assert_string_equal(csv_value(heading, row, n, "step_ns_low"), ""); /* one repeat has none */
    near(strtod(csv_value(heading, row, n, "speedup_vs_locks_gradient"), NULL), 5000.5 / 4000.5);
    assert_string_equal(csv_value(heading, row, n, "bit_equal"), "true");
    assert_string_equal(csv_value(heading, row, n, "guard-fault"), "");
    free(text);
    dd_sweep_close(f.sweep);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantiles),   WITH_FIXTURE(test_speedup),
        WITH_FIXTURE(test_failed_baseline), WITH_FIXTURE(test_untimeable_build),
        WITH_FIXTURE(test_intervals),       cmocka_unit_test(test_comparisons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
