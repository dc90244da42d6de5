/* SPDX-License-Identifier: MIT
 * The speedup table: its arithmetic against figures worked out by hand, and that people and
 * programs can read it whatever the labels and reasons hold. */
#include "report.h"
#include "report_fixture.h"
#include "stats.h"

#include <jansson.h>
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

/* ---- Formats ---- */

static char *text_of(const fixture *f, void (*write)(const dd_speedup *, FILE *))
{
    dd_speedup s;
    char *text = NULL;
    size_t size;
    assert_true(dd_speedup_open(&s, f->sweep, 4, NULL));
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    write(&s, out);
    assert_int_equal(fclose(out), 0);
    dd_speedup_close(&s);
    return text;
}

static void markdown(const dd_speedup *s, FILE *out)
{
    dd_speedup_write(s, true, out);
}

static void plain(const dd_speedup *s, FILE *out)
{
    dd_speedup_write(s, false, out);
}

enum { COLUMNS_MAX = 160 };

/* Fields of one CSV record; moves past it. */
static size_t csv_record(const char **at, char fields[COLUMNS_MAX][512])
{
    size_t n = 0, used = 0;
    bool quoted = false;
    for (const char *p = *at;; p++) {
        assert_true(*p != '\0' && n < COLUMNS_MAX && used < 511);
        if (*p == '"' && quoted && p[1] == '"') {
            fields[n][used++] = *p++;
        } else if (*p == '"') {
            quoted = !quoted;
        } else if ((*p == ',' || *p == '\n') && !quoted) {
            fields[n++][used] = '\0';
            used = 0;
            if (*p == '\n') {
                *at = p + 1;
                return n;
            }
        } else {
            fields[n][used++] = *p;
        }
    }
}

static const char *csv_value(char heading[COLUMNS_MAX][512], char row[COLUMNS_MAX][512], size_t n,
                             const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(heading[i], name) == 0)
            return row[i];
    fail_msg("no column %s", name);
    return "";
}

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

/* ---- JSON ---- */

static json_t *json_of(const dd_sweep *sweep, const char *untimeable)
{
    dd_speedup s;
    const dd_report report = {.machine = {.cpu = "planted", .cores = 4}};
    char *text = NULL;
    size_t size;
    assert_true(dd_speedup_open(&s, sweep, 4, untimeable));
    FILE *out = open_memstream(&text, &size);
    assert_true(out && dd_speedup_json(&report, &s, out) && fclose(out) == 0);
    dd_speedup_close(&s);
    json_t *o = json_loads(text, 0, NULL);
    assert_non_null(o);
    free(text);
    return o;
}

/* By members' names and, where there are no objects, the numbers of elements: "rows 1 ratio". */
static const json_t *at(const json_t *o, const char *path)
{
    char copy[128], *rest = copy;
    snprintf(copy, sizeof copy, "%s", path);
    for (char *part; (part = strtok_r(rest, " ", &rest));) {
        o = json_is_array(o) ? json_array_get(o, strtoul(part, NULL, 10))
                             : json_object_get(o, part);
        if (!o)
            fail_msg("%s: there is no %s", path, part);
    }
    return o;
}

static void must_say(const json_t *o, const char *path, const char *text)
{
    char *json = json_dumps(at(o, path), JSON_ENCODE_ANY | JSON_COMPACT);
    if (!json || strcmp(json, text) != 0)
        fail_msg("%s: %s, not %s", path, json, text);
    free(json);
}

static void test_json(void **state)
{
    const fixture *f = *state;
    json_t *o = json_of(f->sweep, NULL);
    must_say(o, "schema", "1");
    must_say(o, "scenario", "\"planted\"");
    must_say(o, "machine cpu", "\"planted\"");
    must_say(o, "cores", "4");
    assert_true(json_is_string(at(o, "build compiler")));
    assert_int_equal(json_array_size(at(o, "rows")), N_CELLS);
    must_say(o, "rows 1 index", "1");
    must_say(o, "rows 1 subject", "\"dodeca\"");
    must_say(o, "rows 1 workers", "2");
    must_say(o, "rows 1 settings workers", "\"2\"");
    must_say(o, "rows 1 settings barrier", "\"tree\"");
    must_say(o, "rows 1 settings batch", "\"12\"");
    assert_null(
        json_object_get(at(o, "rows 1 settings"), "reduce")); /* neither varies nor counts */
    must_say(o, "rows 1 oversubscribed", "false");
    must_say(o, "rows 2 oversubscribed", "true");
    must_say(o, "rows 1 verdict", "\"PASS\"");
    must_say(o, "rows 1 checks", "\"hfslzibc-\"");
    must_say(o, "rows 1 not_timed", "null");
    must_say(o, "rows 1 hash", "\"0123456789abcdef0123456789abcdef\"");
    must_say(o, "rows 1 repeats", "[4000.5,5000.5,6000.5]");
    must_say(o, "rows 1 step_ns", "{\"median\":5000.5,\"low\":4000.5,\"high\":6000.5}");
    must_say(o, "rows 1 ratio parallel divided_by", "0");
    must_say(o, "rows 1 ratio parallel of_ns", "9000.5");
    near(json_real_value(at(o, "rows 1 ratio parallel x")), 9000.5 / 5000.5);
    near(json_real_value(at(o, "rows 1 ratio parallel high")), 8000.5 / 4000.5);
    must_say(o, "rows 1 ratio simd", "null");
    must_say(o, "rows 1 ratio lock_free", "null");
    must_say(o, "rows 1 ratio locks", "null");
    must_say(o, "rows 1 ratio total divided_by", "\"oracle\"");
    must_say(o, "rows 1 ratio total row", "null");
    near(json_real_value(at(o, "rows 1 ratio total of_ns")),
         5000.5 * json_real_value(at(o, "rows 1 ratio total x")));
    must_say(o, "rows 1 narrow", "false");
    must_say(o, "rows 1 repeats_ended_by", "\"repeats\"");
    /* of a row that may not be timed there is no number at all */
    must_say(o, "rows 3 verdict", "\"HANG\"");
    must_say(o, "rows 3 not_timed", "\"a check did not hold\"");
    must_say(o, "rows 3 repeats", "[]");
    must_say(o, "rows 3 step_ns", "null");
    must_say(o, "rows 3 tokens_per_s", "null");
    must_say(o, "rows 3 efficiency", "null");
    must_say(o, "rows 3 hash", "null");
    must_say(o, "rows 3 ratio",
             "{\"parallel\":null,\"simd\":null,\"lock_free\":null,\"locks\":null,"
             "\"total\":null}");
    json_decref(o);
    o = json_of(f->sweep, "debug build");
    for (int i = 0; i < N_CELLS; i++) {
        char path[64];
        snprintf(path, sizeof path, "rows %d not_timed", i);
        must_say(o, path, "\"debug build\"");
        snprintf(path, sizeof path, "rows %d repeats", i);
        must_say(o, path, "[]");
        snprintf(path, sizeof path, "rows %d ratio total", i);
        must_say(o, path, "null");
    }
    json_decref(o);
}

/* ---- Marks ---- */

/* Five repeats, one far off; what was asked for was not reached. */
static void test_marks(void **state)
{
    fixture *f = *state;
    static const uint64_t step_ns[] = {8000, 8010, 9500, 7990, 8005};
    dd_settings *settings = &f->cells[0].settings;
    dd_sweep_close(f->sweep);
    for (size_t i = 0; i < N_CELLS; i++) {
        f->cells[i].settings.repeats = 5;
        f->cells[i].settings.repeats_max = 5;
        f->cells[i].settings.interval = 0.001;
    }
    f->sweep = dd_sweep_open(&f->scenario);
    assert_non_null(f->sweep);
    end_run(&f->sweep->oracles[0].run, 1, 16000);
    for (uint32_t r = 0; r < 5; r++) {
        end_run(&f->sweep->cells[0].repeats[r].run, 1, step_ns[r]);
        judge(f, 0, r);
    }
    json_t *o = json_of(f->sweep, NULL);
    must_say(o, "rows 0 outliers", "[2]");
    must_say(o, "rows 0 repeats", "[8000.5,8010.5,9500.5,7990.5,8005.5]"); /* none is left out */
    must_say(o, "rows 0 step_ns", "{\"median\":8005.5,\"low\":7990.5,\"high\":9500.5}");
    must_say(o, "rows 0 repeats_ended_by", "\"repeats-max\"");
    json_decref(o);
    for (int way = 0; way < 2; way++) {
        char *text = text_of(f, way ? markdown : plain);
        assert_non_null(strstr(text, way ? "repeats 5~\\*" : "repeats 5~*"));
        assert_non_null(strstr(text, "~ the interval is wider than that after 5 repeats"));
        assert_non_null(
            strstr(text, way ? "- \\* for each repeat further" : "  * for each repeat further"));
        assert_non_null(strstr(text, "which holds the median"));
        assert_non_null(strstr(text, "93.75 % of the time with 5."));
        free(text);
    }
    settings->interval = 0.2;
    o = json_of(f->sweep, NULL);
    must_say(o, "rows 0 narrow", "true");
    must_say(o, "rows 0 repeats_ended_by", "\"narrow\"");
    json_decref(o);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantiles),
        WITH_FIXTURE(test_speedup),
        WITH_FIXTURE(test_failed_baseline),
        WITH_FIXTURE(test_untimeable_build),
        WITH_FIXTURE(test_intervals),
        WITH_FIXTURE(test_json),
        WITH_FIXTURE(test_marks),
        WITH_FIXTURE(test_csv),
        WITH_FIXTURE(test_reduction_is_told),
        WITH_FIXTURE(test_markdown),
        WITH_FIXTURE(test_plain),
        WITH_FIXTURE(test_wide),
        cmocka_unit_test(test_comparisons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
