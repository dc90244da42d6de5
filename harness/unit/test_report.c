/* SPDX-License-Identifier: MIT
 * Reports: the arithmetic of the speedup table against figures worked out by hand, and files that
 * other programs can read whatever the labels and reasons hold. */
#include "report.h"
#include "stats.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define N_CELLS 4
#define STEPS 5

/* ---- A sweep that was never run ---- */

typedef struct fixture {
    dd_scenario scenario;
    dd_scenario_cell cells[N_CELLS];
    const char *values[N_CELLS][2];
    const dd_key *swept[2];
    dd_sweep *sweep;
} fixture;

static const char *const nasty = "a|b,\"c\" <d>&\xff'\x01`*_\n]]>";

static void end_run(dd_run *run, uint32_t workers, uint64_t step_ns)
{
    run->outcome = DD_RUN_ENDED;
    run->steps = calloc(STEPS, sizeof *run->steps);
    assert_non_null(run->steps);
    run->n_steps = STEPS;
    for (unsigned i = 0; i < STEPS; i++)
        /* step 0 is slow and does not count; the rest are step_ns - 1 … step_ns + 2 */
        run->steps[i] = (dd_step){.step = i,
                                  .loss = 4 - 0.1 * i,
                                  .norm = 1,
                                  .wall_ns = i ? step_ns + i - 2 : 50 * step_ns};
    strcpy(run->end.hash, "0123456789abcdef0123456789abcdef");
    strcpy(run->end.kernels, "avx2");
    strcpy(run->end.data, "builtin");
    run->end.floor_nats = 1.5;
    run->end.info.workers = workers;
    run->end.info.non_empty_lanes = 12;
    run->end.info.requests = STEPS;
    run->end.info.lane_bound = workers;
    run->end.info.lanes_done = STEPS * 12;
    run->end.info.n_spheres = run->end.info.n_threads = workers + 1;
    run->end.info.n_segments = run->end.info.most_segments = 4;
    run->end.info.segments_bytes = 4000;
    run->end.info.n_parameters = 250;
    run->end.sphere = calloc(workers + 1, sizeof *run->end.sphere);
    assert_non_null(run->end.sphere);
    strcpy(run->end.sphere[0].sphere, "zero");
    for (uint32_t w = 1; w <= workers; w++)
        run->end.sphere[w] = (dd_sphere_info){.sphere = "0",
                                              .thread = w,
                                              .segments = w == 1 ? 4 : 0,
                                              .lanes_done = STEPS * 12 / workers};
}

static void judge(fixture *f, size_t i, uint32_t repeat)
{
    dd_sweep_cell *cell = &f->sweep->cells[i];
    dd_sweep_run *run = &cell->repeats[repeat];
    run->verdict = dd_checks_judge(&cell->plan->settings, &run->run,
                                   &f->sweep->oracles[cell->oracle].run, run->check);
    cell->verdict = dd_verdict_join(cell->verdict, run->verdict);
}

/* Cells: 1, 2 and 6 workers, and one that hung with a nasty label and reason. */
static int set_up(void **state)
{
    static char plain_label[] = "a cell";
    static const uint32_t workers[N_CELLS] = {1, 2, 6, 2};
    static const uint64_t step_ns[N_CELLS] = {8000, 4000, 2000, 0};
    static const char *const values[N_CELLS] = {"1", "2", "6", "2"};
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->swept[0] = dd_key_named("workers");
    f->swept[1] = dd_key_named("barrier");
    for (size_t i = 0; i < N_CELLS; i++) {
        dd_scenario_cell *cell = &f->cells[i];
        dd_settings_default(&cell->settings);
        cell->settings.steps = STEPS;
        cell->settings.repeats = 3;
        cell->settings.config.workers = workers[i];
        cell->settings.config.batch = 12;
        cell->settings.config.seq = 16;
        f->values[i][0] = values[i];
        f->values[i][1] = i == 3 ? nasty : "tree";
        cell->values = f->values[i];
        cell->label = plain_label;
    }
    static char nasty_label[64];
    snprintf(nasty_label, sizeof nasty_label, "%s", nasty);
    f->cells[3].label = nasty_label;
    f->scenario = (dd_scenario){.file = "planted.yaml",
                                .name = "planted",
                                .about = "",
                                .n_swept = 2,
                                .swept = f->swept,
                                .n_cells = N_CELLS,
                                .cells = f->cells};
    f->sweep = dd_sweep_open(&f->scenario);
    assert_non_null(f->sweep);
    assert_int_equal(f->sweep->n_oracles, 1);
    end_run(&f->sweep->oracles[0].run, 1, 16000);
    for (size_t i = 0; i < 3; i++) {
        for (uint32_t r = 0; r < 3; r++) {
            /* repeats are 1000 ns apart: the median is the middle one */
            end_run(&f->sweep->cells[i].repeats[r].run, workers[i], step_ns[i] + 1000ull * r);
            judge(f, i, r);
        }
    }
    dd_run *hung = &f->sweep->cells[3].repeats[0].run;
    hung->outcome = DD_RUN_HANG;
    snprintf(hung->reason, sizeof hung->reason, "%s", nasty);
    hung->log = strdup(nasty);
    judge(f, 3, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    dd_sweep_close(f->sweep);
    free(f);
    return 0;
}

static void near(double a, double b)
{
    if (!(fabs(a - b) <= 1e-9 * fabs(b)))
        fail_msg("%.17g, expected %.17g", a, b);
}

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
    near(s.rows[0].vs_oracle, oracle / one);
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
    assert_true(isfinite(s.rows[1].vs_oracle));
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
        assert_true(isnan(s.rows[i].step_ns) && isnan(s.rows[i].vs_oracle));
    FILE *out = open_memstream(&text, &size);
    dd_speedup_write(&s, false, out);
    fclose(out);
    assert_non_null(strstr(text, "not timed: sanitizer build"));
    free(text);
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

/* Fields of one CSV record; moves past it. */
static size_t csv_record(const char **at, char fields[128][512])
{
    size_t n = 0, used = 0;
    bool quoted = false;
    for (const char *p = *at;; p++) {
        assert_true(*p != '\0' && n < 128 && used < 511);
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

static const char *csv_value(char heading[128][512], char row[128][512], size_t n, const char *name)
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
    static char heading[128][512], row[128][512];
    char *text = text_of(f, dd_speedup_csv);
    const char *at = text;
    size_t n = csv_record(&at, heading);
    for (size_t i = 0; i < N_CELLS; i++) {
        assert_int_equal(csv_record(&at, row), n);
        if (i == 1) {
            near(strtod(csv_value(heading, row, n, "step_ns_median"), NULL), 5000.5);
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

/* Well-formed: tags nest, and no byte stands where XML forbids it. */
static void check_xml(const char *text)
{
    char stack[8][32];
    size_t depth = 0;
    const char *p = strstr(text, "?>");
    assert_non_null(p);
    for (p += 2; *p; p++) {
        assert_true((unsigned char)*p >= ' ' || *p == '\n');
        assert_true((signed char)*p >= 0); /* the fixture holds no valid character beyond ASCII */
        if (*p == '&') {
            size_t n = strspn(p + 1, "abcdefghijklmnopqrstuvwxyz#0123456789");
            assert_true(n > 0 && p[n + 1] == ';');
        }
        if (*p != '<')
            continue;
        bool closing = p[1] == '/', quoted = false;
        const char *name = p + 1 + closing;
        size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz");
        assert_true(n > 0 && n < 32);
        for (p = name + n; *p != '>' || quoted; p++) {
            assert_true(*p != '\0' && *p != '<');
            quoted ^= *p == '"';
        }
        if (closing) {
            assert_true(depth > 0);
            depth--;
            assert_true(strlen(stack[depth]) == n && strncmp(stack[depth], name, n) == 0);
        } else if (p[-1] != '/') {
            assert_true(depth < 8);
            snprintf(stack[depth++], 32, "%.*s", (int)n, name);
        }
    }
    assert_int_equal(depth, 0);
}

static void test_junit(void **state)
{
    const fixture *f = *state;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_true(dd_report_junit(f->sweep, out));
    fclose(out);
    check_xml(text);
    /* 4 cells x 3 repeats x the 9 checks that apply; loss-falls has too few steps */
    assert_non_null(strstr(text, "tests=\"108\" failures=\"0\" errors=\"1\" skipped=\"35\""));
    assert_non_null(strstr(text, "message=\"a|b,&quot;c&quot; &lt;d&gt;&amp;?'?`*_&#10;]]&gt;\""));
    free(text);
}

static void test_json(void **state)
{
    const fixture *f = *state;
    dd_report report = {.machine = {.cpu = "planted \xff", .cores = 4}};
    f->sweep->cells[0].repeats[0].run.steps[2].loss = (double)NAN;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_true(dd_report_json(&report, f->sweep, out));
    fclose(out);
    json_t *o = json_loads(text, 0, NULL);
    assert_non_null(o);
    const json_t *cells = json_object_get(o, "cells");
    assert_int_equal(json_array_size(cells), N_CELLS);
    const json_t *run = json_array_get(json_object_get(json_array_get(cells, 0), "repeats"), 0);
    assert_int_equal(json_array_size(json_object_get(run, "step_wall_ns")), STEPS);
    assert_string_equal(json_string_value(json_array_get(json_object_get(run, "step_loss"), 2)),
                        "nan");
    near(json_real_value(json_array_get(json_object_get(run, "step_loss"), 4)), 3.6);
    const json_t *hung = json_array_get(cells, 3);
    assert_string_equal(json_string_value(json_object_get(hung, "verdict")), "HANG");
    assert_true(json_is_false(json_object_get(o, "complete")));
    json_decref(o);
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
        {"locks-gradient", "2", "auto", "false", 5000},
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
    dd_speedup_close(&s);

    char *text = text_of(&f, markdown);
    assert_non_null(
        strstr(text, "| x 1 worker | x scalar | x locks-gradient | x locks | x oracle |"));
    assert_non_null(strstr(text, "| not bit-equal |"));
    assert_non_null(strstr(text, "- not bit-equal: sums follow the order of arrival"));
    assert_non_null(strstr(text, "serial by construction"));
    free(text);
    text = text_of(&f, dd_speedup_csv);
    static char heading[128][512], row[128][512];
    const char *at = text;
    size_t n = csv_record(&at, heading);
    (void)csv_record(&at, row);
    assert_int_equal(csv_record(&at, row), n);
    assert_string_equal(csv_value(heading, row, n, "row_of_locks_gradient"), "7");
    near(strtod(csv_value(heading, row, n, "speedup_vs_locks_gradient"), NULL), 5000.5 / 4000.5);
    assert_string_equal(csv_value(heading, row, n, "bit_equal"), "true");
    assert_string_equal(csv_value(heading, row, n, "guard-fault"), "");
    free(text);
    dd_sweep_close(f.sweep);
}

/* ---- Files ---- */

static bool exists(const char *dir, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

static void test_folder(void **state)
{
    const fixture *f = *state;
    static const char *const names[] = {"run.json", "speedup.md", "speedup.csv", "junit.xml",
                                        "logs/cell-4-repeat-1.log"};
    char dir[] = "/tmp/dodeca-report-XXXXXX", deep[64], path[512];
    assert_non_null(mkdtemp(dir));
    snprintf(deep, sizeof deep, "%s/a/b", dir);
    dd_report report;
    assert_true(dd_report_open(&report, f->sweep, deep));
    dd_report_write(&report, f->sweep);
    assert_string_equal(report.failure, "");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_true(exists(deep, names[i]));
        char temporary[64];
        snprintf(temporary, sizeof temporary, "%s.tmp", names[i]);
        assert_false(exists(deep, temporary));
        snprintf(path, sizeof path, "%s/%s", deep, names[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/logs", deep);
    rmdir(path);
    /* a file where the folder should be; this holds for root, too */
    snprintf(path, sizeof path, "%s/file", deep);
    fclose(fopen(path, "w"));
    assert_false(dd_report_open(&report, f->sweep, path));
    assert_non_null(strstr(report.failure, path));
    unlink(path);
    rmdir(deep);
    snprintf(path, sizeof path, "%s/a", dir);
    rmdir(path);
    assert_int_equal(rmdir(dir), 0);
}

static void test_log_names(void **state)
{
    (void)state;
    char name[64];
    dd_report_log_name(name, 0, 0);
    assert_string_equal(name, "logs/cell-1-repeat-1.log");
    dd_report_oracle_log_name(name, 2);
    assert_string_equal(name, "logs/oracle-3.log");
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantiles),
        WITH_FIXTURE(test_speedup),
        WITH_FIXTURE(test_failed_baseline),
        WITH_FIXTURE(test_untimeable_build),
        WITH_FIXTURE(test_csv),
        WITH_FIXTURE(test_markdown),
        WITH_FIXTURE(test_plain),
        cmocka_unit_test(test_comparisons),
        WITH_FIXTURE(test_junit),
        WITH_FIXTURE(test_json),
        WITH_FIXTURE(test_folder),
        cmocka_unit_test(test_log_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
