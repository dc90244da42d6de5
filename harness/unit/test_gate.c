/* SPDX-License-Identifier: MIT
 * The performance gate: its decision on made-up times, the counters, and what it says of programs
 * that are slower, fail, or are not there. Programs are shell scripts that tell their times. */
#include "gate.h"

#include <linux/perf_event.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "stats.h"

/* ---- Noise ---- */

static uint64_t random_state = 1;

/* source   Vigna, splitmix64 */
static double uniform(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return ((double)((z ^ (z >> 31)) >> 11) + 0.5) * 0x1p-53;
}

/* Normal noise around 0; one in ten is six times as far out, as on a machine that is not idle. */
static double noise(double sigma)
{
    const double x = sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
    return sigma * x * (uniform() < 0.1 ? 6 : 1);
}

static void fill(double *x, size_t n, double ratio, double sigma)
{
    for (size_t i = 0; i < n; i++)
        x[i] = log(ratio) + noise(sigma);
}

/* ---- The decision ---- */

enum { PAIRS = 20, TRIALS = 200 };

static unsigned n_above(double ratio, double sigma, size_t n)
{
    unsigned found = 0;
    for (int i = 0; i < TRIALS; i++) {
        double x[DD_PAIRS_MAX], low, high;
        fill(x, n, ratio, sigma);
        found += dd_gate_decide(x, n, 1.03, &low, &high) == DD_ABOVE;
    }
    return found;
}

static void test_no_alarm(void **state)
{
    (void)state;
    assert_int_equal(n_above(1, 0.01, PAIRS), 0);
    assert_true(n_above(1, 0.05, PAIRS) <= TRIALS / 20);
    assert_true(n_above(1.03, 0.02, PAIRS) <= TRIALS / 20); /* at the limit: half of 5 % */
}

static void test_shift_is_found(void **state)
{
    (void)state;
    assert_int_equal(n_above(1.05, 0.01, PAIRS), TRIALS);
    assert_int_equal(n_above(1.5, 0.05, PAIRS), TRIALS);
    assert_true(n_above(1.05, 0.02, DD_PAIRS_MAX) >= TRIALS * 9 / 10);
}

static void test_below_is_told(void **state)
{
    (void)state;
    double x[PAIRS], low, high;
    fill(x, PAIRS, 0.9, 0.01);
    assert_int_equal(dd_gate_decide(x, PAIRS, 1.03, &low, &high), DD_BELOW);
    unsigned undecided = 0;
    for (int i = 0; i < TRIALS; i++) { /* at the limit: but for one in twenty */
        fill(x, PAIRS, 1.03, 0.05);
        if (dd_gate_decide(x, PAIRS, 1.03, &low, &high) != DD_UNDECIDED)
            continue;
        undecided++;
        assert_true(low < 1.03 && high > 1.03);
    }
    assert_in_range(undecided, TRIALS * 90 / 100, TRIALS * 985 / 1000);
}

/* A bootstrap of few numbers is a little too narrow. */
static void test_coverage(void **state)
{
    (void)state;
    unsigned held = 0;
    for (int i = 0; i < TRIALS; i++) {
        double x[PAIRS], low, high;
        fill(x, PAIRS, 1.02, 0.03);
        (void)dd_gate_decide(x, PAIRS, 1, &low, &high);
        held += low <= 1.02 && 1.02 <= high;
    }
    assert_in_range(held, TRIALS * 90 / 100, TRIALS * 985 / 1000);
}

/* ---- Sides made of shell scripts ---- */

typedef struct fixture {
    dd_gate g;
    char folder[2][DD_GATE_PATH];
    dd_gate_side side[2];
} fixture;

static void script(const fixture *f, int side, const char *name, const char *body)
{
    char path[DD_GATE_PATH + 32];
    (void)snprintf(path, sizeof path, "%s/%s", f->folder[side], name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fprintf(out, "#!/bin/sh\n%s\n", body) > 0);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(path, 0755), 0);
}

static int open_fixture(void **state)
{
    static fixture f;
    char why[DD_GATE_WHY];
    assert_true(dd_gate_open(&f.g, -1, NULL, why));
    for (int i = 0; i < 2; i++) {
        (void)snprintf(f.folder[i], sizeof f.folder[i], "%.400s/side%d", f.g.work, i);
        assert_int_equal(mkdir(f.folder[i], 0755), 0);
        f.side[i] = (dd_gate_side){f.folder[i], i ? "head" : "base"};
    }
    *state = &f;
    return 0;
}

static int close_fixture(void **state)
{
    fixture *f = *state;
    static const char *const names[] = {"dodeca", "gate_work", "work"};
    for (int i = 0; i < 2; i++) {
        for (size_t n = 0; n < 3; n++) {
            char path[DD_GATE_PATH + 32];
            (void)snprintf(path, sizeof path, "%s/%s", f->folder[i], names[n]);
            (void)unlink(path);
        }
        assert_int_equal(rmdir(f->folder[i]), 0);
    }
    char work[DD_GATE_PATH];
    memcpy(work, f->g.work, sizeof work);
    dd_gate_close(&f->g);
    assert_int_equal(access(work, F_OK), -1); /* nothing is left */
    return 0;
}

/* Prints times; two as of a cold machine, then three of five that others have spoilt. */
static void times_script(const fixture *f, int side, int ns)
{
    char body[256];
    (void)snprintf(body, sizeof body,
                   "for n in 900000 800000 %d %d %d %d %d; do echo \"{\\\"wall_ns\\\":$n}\"; done",
                   7 * ns, ns, 5 * ns, ns - 1, 6 * ns);
    script(f, side, "work", body);
}

static const dd_gate_row *row_of(const dd_gate_result *r, dd_gate_kind kind, const char *name)
{
    for (size_t i = 0; i < r->n_rows; i++)
        if (r->row[i].kind == kind && strcmp(r->row[i].name, name) == 0)
            return &r->row[i];
    fail_msg("no row %s", name);
    return NULL;
}

static void test_duel(void **state)
{
    fixture *f = *state;
    times_script(f, 0, 1000);
    times_script(f, 1, 1100);
    dd_duel duel = {.side = {&f->side[0], &f->side[1]},
                    .command = {"work", "work"},
                    .cores = 1,
                    .least = 5,
                    .limit = 1.03};
    dd_duel_result r;
    int loser;
    char why[DD_GATE_WHY];
    assert_int_equal(dd_duel_run(&f->g, &duel, &r, &loser, why), DD_GATE_RAN);
    assert_int_equal(r.side, DD_ABOVE);
    assert_int_equal(r.pairs, DD_PAIRS_LOST); /* five are enough to pass only */
    /* without the first two lines the lower quartile */
    assert_true(r.ns[0] == 1000 && r.ns[1] == 1100);
    assert_true(fabs(r.ratio - 1.1) < 1e-12);
    duel.limit = 1.1; /* the interval is a point on it: undecided to the end */
    assert_int_equal(dd_duel_run(&f->g, &duel, &r, &loser, why), DD_GATE_RAN);
    assert_int_equal(r.pairs, DD_PAIRS_MAX);
    assert_int_equal(r.side, DD_UNDECIDED);
}

static void test_duel_order(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        char body[128];
        (void)snprintf(body, sizeof body,
                       "echo %d >>order; for n in 1 1 1; do echo '\"wall_ns\":5'; done", i);
        script(f, i, "work", body);
    }
    const dd_duel duel = {.side = {&f->side[0], &f->side[1]},
                          .command = {"work", "work"},
                          .cores = 1,
                          .least = 3,
                          .limit = 2};
    dd_duel_result r;
    int loser;
    char why[DD_GATE_WHY], path[DD_GATE_PATH + 8], text[32] = "";
    assert_int_equal(dd_duel_run(&f->g, &duel, &r, &loser, why), DD_GATE_RAN);
    (void)snprintf(path, sizeof path, "%s/order", f->g.work);
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    assert_true(fread(text, 1, sizeof text - 1, in) > 0);
    fclose(in);
    unlink(path);
    assert_string_equal(text, "0\n1\n1\n0\n0\n1\n");
}

static void test_duel_loser(void **state)
{
    fixture *f = *state;
    times_script(f, 0, 1000);
    const dd_duel duel = {.side = {&f->side[0], &f->side[1]},
                          .command = {"work", "work"},
                          .cores = 1,
                          .least = 4,
                          .limit = 1.03};
    dd_duel_result r;
    int loser = 0;
    char why[DD_GATE_WHY];
    assert_int_equal(dd_duel_run(&f->g, &duel, &r, &loser, why), DD_GATE_LACKS); /* not there */
    assert_int_equal(loser, 1);
    script(f, 1, "work", "echo no such option >&2; exit 2");
    assert_int_equal(dd_duel_run(&f->g, &duel, &r, &loser, why), DD_GATE_LACKS);
    assert_string_equal(why, "work ended with 2: no such option");
    script(f, 1, "work", "exit 3");
    assert_int_equal(dd_duel_run(&f->g, &duel, &r, &loser, why), DD_GATE_UNABLE);
    script(f, 1, "work", "kill -SEGV $$");
    assert_int_equal(dd_duel_run(&f->g, &duel, &r, &loser, why), DD_GATE_BROKE);
    script(f, 1, "work", "echo nothing to tell");
    assert_int_equal(dd_duel_run(&f->g, &duel, &r, &loser, why), DD_GATE_BROKE);
    assert_string_equal(why, "work: no times");
}

/* A whole comparison, without counts. head's steps are so much slower; its floors are all lost or
 * all kept. */
static void compare(fixture *f, dd_gate_result *r, int step_ns, int other_ns)
{
    char body[512];
    script(f, 0, "gate_work", "for n in 1 2 3; do echo '\"wall_ns\":1000'; done");
    script(f, 0, "dodeca", "for n in 1 2 3; do echo '\"wall_ns\":1000'; done");
    (void)snprintf(body, sizeof body,
                   "case \"$*\" in *locks*|*pthread*|*micro*'workers 1'*) t=%d;; *) t=%d;; esac\n"
                   "for n in 1 2 3; do echo \"\\\"wall_ns\\\":$t\"; done",
                   other_ns, step_ns);
    script(f, 1, "gate_work", body);
    script(f, 1, "dodeca", body);
    dd_gate_compare(&f->g, &f->side[0], &f->side[1], DD_COUNTER_CALLGRIND,
                    DD_GATE_TIMES | DD_GATE_FLOORS, r);
}

static void needs_two_cores(const fixture *f)
{
    if (f->g.cores >= 2)
        return;
    print_message("SKIP: needs two cores\n");
    skip();
}

static void test_compare(void **state)
{
    fixture *f = *state;
    static dd_gate_result r;
    needs_two_cores(f);
    compare(f, &r, 1010, 2020);
    assert_int_equal(dd_gate_exit_code(&r), 0);
    const dd_gate_row *row = row_of(&r, DD_GATE_FLOOR, "micro: 1 worker / 2 workers");
    assert_true(fabs(row->ratio - 2) < 1e-12);
    assert_int_equal(row->pairs, 10);

    compare(f, &r, 1050, 2100); /* 5 % slower, floors kept */
    assert_int_equal(dd_gate_exit_code(&r), 1);
    row = row_of(&r, DD_GATE_TIME, "step, nano, 2 workers");
    assert_int_equal(row->verdict, DD_GATE_FAIL);
    assert_true(row->repeated);
    assert_int_equal(row_of(&r, DD_GATE_FLOOR, "micro: 1 worker / 2 workers")->verdict,
                     DD_GATE_PASS);

    dd_gate_compare(&f->g, &f->side[0], &f->side[1], DD_COUNTER_CALLGRIND,
                    DD_GATE_TIMES | DD_GATE_TO_FIRST, &r);
    assert_int_equal(r.n_rows, 1);
    assert_int_equal(dd_gate_exit_code(&r), 1);

    compare(f, &r, 1000, 1890); /* less than 1.9 x */
    assert_int_equal(dd_gate_exit_code(&r), 1);
    assert_int_equal(row_of(&r, DD_GATE_FLOOR, "micro: 1 worker / 2 workers")->verdict,
                     DD_GATE_FAIL);
    row = row_of(&r, DD_GATE_FLOOR, "micro: 2 workers / 4 on 2 cores");
    assert_int_equal(row->verdict, DD_GATE_PASS);
}

/* The first measurement alone sees a slower head. */
static void test_confirmation(void **state)
{
    fixture *f = *state;
    static dd_gate_result r;
    needs_two_cores(f);
    script(f, 0, "dodeca", "for n in 1 2 3; do echo '\"wall_ns\":1000'; done");
    script(f, 0, "gate_work", "for n in 1 2 3; do echo '\"wall_ns\":1000'; done");
    script(f, 1, "gate_work", "for n in 1 2 3; do echo '\"wall_ns\":1000'; done");
    script(f, 1, "dodeca",
           "echo >>seen; t=2000; [ $(wc -l <seen) -le 20 ] || t=1000\n"
           "for n in 1 2 3; do echo \"\\\"wall_ns\\\":$t\"; done");
    dd_gate_compare(&f->g, &f->side[0], &f->side[1], DD_COUNTER_CALLGRIND, DD_GATE_TIMES, &r);
    char path[DD_GATE_PATH + 8];
    (void)snprintf(path, sizeof path, "%s/seen", f->g.work);
    unlink(path);
    const dd_gate_row *row = row_of(&r, DD_GATE_TIME, "step, nano, 1 worker");
    assert_int_equal(row->verdict, DD_GATE_PASS);
    assert_true(row->repeated);
    assert_true(row->first_ratio == 2 && row->ratio == 1);
    assert_string_equal(row->why, "first 2.000, not confirmed");
    assert_int_equal(dd_gate_exit_code(&r), 0);
}

static void test_nothing_to_compare_with(void **state)
{
    fixture *f = *state;
    static dd_gate_result r;
    needs_two_cores(f);
    compare(f, &r, 1000, 2000);
    char path[DD_GATE_PATH + 32];
    (void)snprintf(path, sizeof path, "%s/gate_work", f->folder[0]);
    unlink(path);
    dd_gate_compare(&f->g, &f->side[0], &f->side[1], DD_COUNTER_CALLGRIND, DD_GATE_TIMES, &r);
    const dd_gate_row *row = row_of(&r, DD_GATE_TIME, "barrier, 2 threads");
    assert_int_equal(row->verdict, DD_GATE_NEW);
    assert_non_null(strstr(row->why, "not compared: base: gate_work is not there"));
    assert_int_equal(dd_gate_exit_code(&r), 0);
    script(f, 1, "dodeca", "exit 1"); /* head's own failure is one */
    dd_gate_compare(&f->g, &f->side[0], &f->side[1], DD_COUNTER_CALLGRIND, DD_GATE_TIMES, &r);
    assert_int_equal(row_of(&r, DD_GATE_TIME, "step, nano, 1 worker")->verdict, DD_GATE_FAIL);
    assert_int_equal(dd_gate_exit_code(&r), 1);
    script(f, 1, "dodeca", "exit 3"); /* what this machine cannot do is no regression */
    dd_gate_compare(&f->g, &f->side[0], &f->side[1], DD_COUNTER_CALLGRIND, DD_GATE_TIMES, &r);
    assert_int_equal(row_of(&r, DD_GATE_TIME, "step, nano, 1 worker")->verdict, DD_GATE_SKIP);
    assert_int_equal(dd_gate_exit_code(&r), 3);
}

static void test_one_core(void **state)
{
    fixture *f = *state;
    static dd_gate_result r;
    const uint32_t cores = f->g.cores;
    compare(f, &r, 1000, 2000);
    f->g.cores = 1;
    dd_gate_compare(&f->g, &f->side[0], &f->side[1], DD_COUNTER_CALLGRIND,
                    DD_GATE_TIMES | DD_GATE_FLOORS, &r);
    f->g.cores = cores;
    const dd_gate_row *row = row_of(&r, DD_GATE_FLOOR, "micro: 1 worker / 2 workers");
    assert_int_equal(row->verdict, DD_GATE_SKIP);
    assert_string_equal(row->why, "needs 2 cores, 1 is usable here");
    assert_int_equal(dd_gate_exit_code(&r), 3);
}

/* ---- Counting ---- */

static void test_no_counter(void **state)
{
    fixture *f = *state;
    static dd_gate_result r;
    dd_gate_compare(&f->g, &f->side[0], &f->side[1], DD_COUNTER_NONE, DD_GATE_COUNTS, &r);
    assert_true(r.n_rows > 6);
    for (size_t i = 0; i < r.n_rows; i++)
        assert_int_equal(r.row[i].verdict, DD_GATE_SKIP);
    assert_int_equal(dd_gate_exit_code(&r), 3);
}

static const char *gate_work_folder;

/* The real gate_work: twice the same, and what a loop of 1 % more is. */
static void counts_repeat(fixture *f, dd_counter counter)
{
    const dd_gate_side real = {gate_work_folder, "real"};
    char why[DD_GATE_WHY];
    double n[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            dd_count(&f->g, counter, &real, "gate_work kernels off loss", (unsigned)i, &n[i], why),
            DD_GATE_RAN);
    assert_true(n[0] > 4e6 && n[0] < 9e6);
    assert_true(fabs(n[1] / n[0] - 1) < 0.005);
    assert_int_equal(dd_count(&f->g, counter, &real, "gate_work kernels off nonsense", 0, n, why),
                     DD_GATE_LACKS);
}

static void test_callgrind(void **state)
{
    char why[DD_GATE_WHY];
    assert_int_equal(dd_counter_choose("callgrind", why), DD_COUNTER_CALLGRIND);
    counts_repeat(*state, DD_COUNTER_CALLGRIND);
}

static void test_perf(void **state)
{
    char why[DD_GATE_WHY], why_not[DD_GATE_WHY];
    if (dd_counter_choose("perf", why_not) == DD_COUNTER_NONE) {
        assert_true(strncmp(why_not, "perf_event_open: ", 17) == 0);
        assert_int_equal(dd_counter_choose("auto", why), DD_COUNTER_CALLGRIND);
        /* the way of counting is tested with another event, below */
        print_message("SKIP (optional): %s\n", why_not);
        skip();
    }
    counts_repeat(*state, DD_COUNTER_PERF);
}

/* What perf counts: a child's, and its children's, and nothing of ours. The kernel's own clock as
 * the event, which every machine has. */
static void test_perf_counts_children(void **state)
{
    fixture *f = *state;
    char why[DD_GATE_WHY];
    double busy = 0, idle = 0;
    script(f, 0, "work", "i=0; while [ $i -lt ${1:-0} ]; do i=$((i + 1)); done");
    script(f, 1, "work", "\"$(dirname \"$(dirname \"$0\")\")/side0/work\" $1; :");
    for (int i = 0; i < 2; i++) {
        double *to = i ? &busy : &idle;
        const int fd = dd_perf_open_(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK);
        if (fd < 0) {
            print_message("SKIP (optional): perf_event_open is forbidden\n");
            skip();
        }
        assert_int_equal(dd_gate_run(&f->g, &f->side[1], "", i ? "work 300000" : "work 1", 0, why),
                         DD_GATE_RAN);
        assert_true(dd_perf_close_(fd, to));
    }
    assert_true(idle > 0);
    assert_true(busy > 5 * idle);
    const int fd = dd_perf_open_(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK);
    double ours = 0;
    for (uint32_t i = 0; i < 2000000; i++)
        ours += uniform();
    assert_true(ours > 0);
    assert_false(dd_perf_close_(fd, &ours)); /* nothing was started: nothing was counted */
    assert_true(ours == 0);
}

/* ---- What comes out ---- */

static void test_output(void **state)
{
    fixture *f = *state;
    static dd_gate_result r;
    needs_two_cores(f);
    compare(f, &r, 1050, 2100);
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    dd_gate_print(&r, &f->side[0], &f->side[1], false, out);
    fclose(out);
    assert_non_null(strstr(text, "time   step, nano, 1 worker"));
    assert_non_null(strstr(text, "FAIL, step, nano, 1 worker: above 1.03, twice (first 1.050)"));
    free(text);

    out = open_memstream(&text, &n);
    assert_true(dd_gate_json(&r, &f->side[0], &f->side[1], out));
    fclose(out);
    json_t *all = json_loads(text, 0, NULL);
    assert_non_null(all);
    assert_int_equal(json_array_size(json_object_get(all, "rows")), r.n_rows);
    assert_int_equal(json_integer_value(json_object_get(all, "exit")), 1);
    const json_t *row = json_array_get(json_object_get(all, "rows"), 0);
    assert_string_equal(json_string_value(json_object_get(row, "verdict")), "FAIL");
    assert_true(fabs(json_real_value(json_object_get(row, "ratio")) - 1.05) < 1e-6);
    json_decref(all);
    free(text);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: test_gate FOLDER   where gate_work is\n", stderr);
        return 2;
    }
    gate_work_folder = argv[1];
#define WITH(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_alarm),
        cmocka_unit_test(test_shift_is_found),
        cmocka_unit_test(test_below_is_told),
        cmocka_unit_test(test_coverage),
        WITH(test_duel),
        WITH(test_duel_order),
        WITH(test_duel_loser),
        WITH(test_compare),
        WITH(test_confirmation),
        WITH(test_nothing_to_compare_with),
        WITH(test_one_core),
        WITH(test_no_counter),
        WITH(test_callgrind),
        WITH(test_perf),
        WITH(test_perf_counts_children),
        WITH(test_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
