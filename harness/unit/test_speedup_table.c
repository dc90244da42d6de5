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

/* ---- The legend ---- */

/* The fixture's sweep with the first n of its cells, which may be others now and all end. */
static void run_anew(fixture *f, size_t n)
{
    dd_sweep_close(f->sweep);
    f->scenario.n_cells = n;
    f->sweep = dd_sweep_open(&f->scenario);
    assert_non_null(f->sweep);
    for (size_t i = 0; i < f->sweep->n_oracles; i++)
        end_run(&f->sweep->oracles[i].run, 1, 16000);
    for (size_t i = 0; i < n; i++) {
        for (uint32_t r = 0; r < 3; r++) {
            end_run(&f->sweep->cells[i].repeats[r].run, f->cells[i].settings.config.workers,
                    8000 + 1000ull * r);
            judge(f, i, r);
        }
        assert_int_equal(f->sweep->cells[i].verdict, DD_PASS);
    }
}

/* What both kinds of table say, and do not say. */
static void must_tell(const fixture *f, const char *terminal, const char *file, const char *never)
{
    for (int way = 0; way < 2; way++) {
        char *text = text_of(f, way ? markdown : plain);
        if (!strstr(text, way ? file : terminal) || (never && strstr(text, never)))
            fail_msg("not \"%s\", or \"%s\":\n%s", way ? file : terminal, never ? never : "", text);
        free(text);
    }
}

/* A row divided by the oracle's row is told from one that had to do with the run that judges. */
static void test_oracle_is_told(void **state)
{
    fixture *f = *state;
    const char *once = "x oracle: step of the oracle, run once, / own.\n";
    f->cells[0].settings.subject = DD_SUBJECT_ORACLE;
    run_anew(f, N_CELLS);
    must_tell(f, "x oracle: step of the oracle's row / own.\n    Where several rows would do",
              "x oracle: step of the oracle's row / own. Where several rows would do", "^");

    f->cells[3].settings.config.batch = 24; /* which no oracle's row has */
    run_anew(f, N_CELLS);
    must_tell(
        f,
        "x oracle: step of the oracle's row that trains the same / own;\n    ^ where none was "
        "timed, of the oracle's run, made once, that judges the row / own.\n",
        "x oracle: step of the oracle's row that trains the same / own; ^ where none was "
        "timed, of the oracle's run, made once, that judges the row / own. Where several",
        "run once");
    must_tell(f, "    1.78^ ", "| 1.78^ (1.60 to 2.00) |", NULL);
    must_tell(f, "     1.00 ", "| 1.00 (1.00 to 1.00) |", NULL);
    char *text = text_of(f, markdown);
    assert_ptr_equal(strchr(strstr(text, "^ (1.60") + 1, '^'), strstr(text, "^ where")); /* one */
    free(text);

    for (uint32_t r = 0; r < 3; r++) { /* the oracle's row may not be timed: it is no row */
        f->sweep->cells[0].repeats[r].run.end.hash[0] = 'f';
        judge(f, 0, r);
    }
    must_tell(f, once, once, "^");
    f->cells[0].settings.subject = DD_SUBJECT_DODECA; /* no such row at all */
    run_anew(f, N_CELLS);
    must_tell(f, "run once, / own.\n    Where several rows", "run once, / own. Where several rows",
              "^");
    run_anew(f, 1);
    must_tell(f, once, once, "several rows"); /* for there is no other row */
}

/* What is left out where a run has one step, and what a sweep of one cell has no order of. */
static void test_only_one(void **state)
{
    fixture *f = *state;
    must_tell(f, "median step, step 0 left out.\n", "median step, step 0 left out.\n", NULL);
    must_tell(f, "the cells' order in each is another", "the cells' order in each is another",
              NULL);
    for (size_t i = 0; i < 3; i++) {
        for (uint32_t r = 0; r < 3; r++)
            f->sweep->cells[i].repeats[r].run.n_steps = 1;
        const char *some = "median step, step 0 left out where there are others.\n";
        const char *all = "median step, step 0 here, the only one.\n";
        must_tell(f, i < 2 ? some : all, i < 2 ? some : all, NULL);
    }
    run_anew(f, 1);
    must_tell(f, "by bootstrap over repeats", "by bootstrap over repeats", "the cells' order");
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
        WITH_FIXTURE(test_wide),     WITH_FIXTURE(test_oracle_is_told),
        WITH_FIXTURE(test_only_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
