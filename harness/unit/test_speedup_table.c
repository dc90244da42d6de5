/* SPDX-License-Identifier: MIT
 * The speedup table for people and for spreadsheets: it can be read whatever the labels and reasons
 * hold, and whatever varies. */
#include "speedup_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_csv(void **state)
{
    const fixture *f = *state;
    static char heading[COLUMNS_MAX][512], row[COLUMNS_MAX][512];
    char *text = text_of(f, dd_speedup_csv);
    const char *at = text;
    size_t n = csv_record(&at, heading);
    for (size_t i = 0; i < N_CELLS; i++) {
        assert_int_equal(csv_record(&at, row), n);
        if (i == 1) {
            near(strtod(csv_value(heading, row, n, "step_ns_median"), NULL), 5000.5);
            assert_string_equal(csv_value(heading, row, n, "reduce"), "auto");
            assert_string_equal(csv_value(heading, row, n, "reduce_effective"), "tree");
            assert_string_equal(csv_value(heading, row, n, "packed_weights_bytes"), "2100");
            assert_string_equal(csv_value(heading, row, n, "weights_hash"),
                                "0123456789abcdef0123456789abcdef");
            assert_string_equal(csv_value(heading, row, n, "loss-falls"), "SKIP");
        }
        if (i == 3) {
            assert_string_equal(csv_value(heading, row, n, "reason"), nasty);
            assert_string_equal(csv_value(heading, row, n, "verdict"), "HANG");
            assert_string_equal(csv_value(heading, row, n, "step_ns_median"), "");
        }
    }
    assert_string_equal(at, "");
    free(text);
}

/* Auto is told as what it became, row by row; a run that never ended does not say. */
static void test_reduction_is_told(void **state)
{
    fixture *f = *state;
    for (uint32_t r = 0; r < 3; r++)
        f->sweep->cells[1].repeats[r].run.end.info.reduce = DD_REDUCE_OWNER;
    char *text = text_of(f, markdown);
    assert_non_null(strstr(text, "| reduce |"));
    assert_non_null(strstr(text, "| owner |"));
    assert_non_null(strstr(text, "| tree |"));
    assert_null(strstr(text, "auto |"));
    free(text);
    f->cells[1].settings.config.reduce = DD_REDUCE_CONTROL; /* as asked */
    text = text_of(f, markdown);
    assert_non_null(strstr(text, "| control |"));
    assert_null(strstr(text, "| owner |"));
    free(text);
}

/* Every table line has as many unescaped bars as the first. */
static void test_markdown(void **state)
{
    char *text = text_of(*state, markdown);
    size_t bars = 0, lines = 0;
    /* what is the same in all rows stands above the table, and only there */
    assert_non_null(strstr(text, "in all rows that have it: subject dodeca, depth 1, lane-depth 1, "
                                 "reduce tree, steal false, simd auto, kernels avx2, "));
    assert_non_null(strstr(text, ", weights hash 0123456789abcdef\n"));
    assert_null(strstr(text, "| kernels |"));
    for (char *line = strchr(text, '|'); *line == '|'; lines++) {
        size_t n = 0;
        char *p = line;
        for (; *p != '\n'; p++) {
            if (*p == '\\')
                p++;
            else
                n += *p == '|';
        }
        bars = bars ? bars : n;
        assert_int_equal(n, bars);
        line = p + 1;
    }
    assert_int_equal(lines, N_CELLS + 2);
    assert_non_null(strstr(text, "\n| 6+ | tree | 7 |"));
    assert_non_null(strstr(text, "| HANG |"));
    free(text);
}

static void test_plain(void **state)
{
    fixture *f = *state;
    f->values[3][1] = "pthread";
    char *text = text_of(f, plain);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        assert_true(strlen(line) <= 120);
    free(text);
    text = text_of(f, plain);
    assert_non_null(strstr(text, "HANG"));
    assert_non_null(strstr(text, "oversubscribed: more workers than the 4 cores"));
    assert_null(strstr(text, "workers at the start"));
    free(text);
    /* workers that came in the run are told from those asked for */
    f->cells[2].settings.config.workers = 3;
    f->sweep->cells[2].repeats[0].run.end.info.n_changes = 1;
    text = text_of(f, plain);
    assert_non_null(strstr(text, "\n   3>6+  tree"));
    assert_non_null(strstr(text, "workers at the start"));
    free(text);
}

/* ---- Wide tables ---- */

/* Two blocks whose one table would be too wide: a table each, below what they have in common; texts
 * too long for a column are numbered. */
static void test_wide(void **state)
{
    fixture *f = *state;
    static const char *const timetables[N_CELLS] = {"1 spawn 0 2; 3 terminate 0",
                                                    "1 spawn 0 3; 3 terminate 0",
                                                    "1 spawn 0 2; 3 terminate 0", "2 rebalance"};
    static const char *const names[] = {"timetable", "model", "data",  "lr",
                                        "seed",      "steps", "guard", "barrier"};
    enum { N_NAMES = sizeof names / sizeof *names };
    const dd_key *swept[N_NAMES];
    const char *values[N_CELLS][N_NAMES];
    for (size_t k = 0; k < N_NAMES; k++)
        swept[k] = dd_key_named(names[k]);
    for (size_t i = 0; i < N_CELLS; i++) {
        for (size_t k = 0; k < N_NAMES; k++)
            values[i][k] = i < 2 ? "a value of a width" : "a value as wide";
        values[i][0] = timetables[i];
        f->cells[i].values = values[i];
        f->cells[i].block = (unsigned)i / 2;
    }
    f->scenario.swept = swept;
    f->scenario.n_swept = N_NAMES;
    static const char *const common = "in all rows that have it: subject dodeca, depth 1, ";
    for (int way = 0; way < 2; way++) {
        char *text = text_of(f, way ? markdown : plain);
        const char *all = strstr(text, common), *first = strstr(text, "\nin the next 2 rows: ");
        assert_true(all && first && all < first);
        const char *table =
            strstr(first, way ? "\n| workers | timetable |" : "\nworkers  timetable");
        const char *second = strstr(first + 1, "\nin the next 2 rows: ");
        assert_true(table && second && table < second);
        assert_null(strstr(second + 1, "\nin the next "));
        /* the numbers, and what they stand for, below the table that has them */
        const char *one = strstr(table, "timetable #1: 1 spawn 0 2; 3 terminate 0\n");
        const char *two = strstr(table, "timetable #2: 1 spawn 0 3; 3 terminate 0\n");
        assert_true(one && two && one < two && two < second);
        assert_non_null(strstr(second, "timetable #1: 1 spawn 0 2; 3 terminate 0\n"));
        assert_non_null(strstr(second, "timetable #2: 2 rebalance\n"));
        assert_non_null(strstr(table, way ? "\n| 2 | #2 |" : "\n      2  #2 "));
        /* told once */
        assert_null(strstr(strstr(text, "kernels avx2") + 1, "kernels avx2"));
        assert_non_null(strstr(second, "data a value as wide"));
        for (char *line = strtok(text, "\n"); line && !way; line = strtok(NULL, "\n"))
            assert_true(strlen(line) <= 120);
        free(text);
    }
    /* what fits stays in one table */
    f->scenario.n_swept = 1;
    char *text = text_of(f, plain);
    assert_null(strstr(text, "in the next"));
    assert_non_null(strstr(text, "timetable #3: 2 rebalance\n"));
    free(text);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_csv),      WITH_FIXTURE(test_reduction_is_told),
        WITH_FIXTURE(test_markdown), WITH_FIXTURE(test_plain),
        WITH_FIXTURE(test_wide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
