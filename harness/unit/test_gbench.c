/* SPDX-License-Identifier: MIT
 * gbench.h, from both sides: with the argument "measure" this is a program that measures, with
 * every call there is; without it, it runs itself so and looks at what Google Benchmark wrote. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "folder_fixture.h"
#include "gbench.h"

/* ---- The program that measures ---- */

/* Its own check: the process ends, and the exit code is none of gb_status. */
static void demand(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "does not hold: %s\n", what);
    exit(99);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void spend(double how_long)
{
    const double until = seconds() + how_long;
    while (seconds() < until)
        ;
}

static void copy(gb_state *state, void *user)
{
    static char from[4096], to[4096];
    const size_t bytes = (size_t)gb_arg(state, 0), passes = (size_t)gb_arg(state, 1);
    demand(strcmp(user, "user data") == 0, "user data comes through");
    demand(gb_iterations(state) == 0, "no iteration is done before the loop");
    int64_t n = 0;
    while (gb_next(state)) {
        n++;
        for (size_t i = 0; i < passes; i++) {
            memcpy(to, from, bytes);
            gb_keep(to);
        }
    }
    demand(!gb_next(state), "the end of the loop is final");
    demand(gb_iterations(state) == n && gb_iterations_wanted(state) == n, "iterations are counted");
    gb_bytes_processed(state, n * (int64_t)(bytes * passes));
    gb_items_processed(state, n * (int64_t)passes);
    gb_complexity_n(state, (int64_t)(bytes * passes));
    gb_label(state, "a \"label\"");
}

/* Ten iterations of a millisecond, whatever they took. */
static void manual(gb_state *state, void *user)
{
    (void)user;
    while (gb_next(state))
        gb_iteration_time(state, 1e-3);
    gb_counter(state, "plain", 7, GB_PLAIN);
    gb_counter(state, "rate", 20, GB_RATE);
    gb_counter(state, "total", 3, GB_PER_ITERATION);
    gb_counter(state, "total_rate", 5, GB_PER_ITERATION | GB_RATE);
    gb_counter(state, "average", 40, GB_AVERAGE);
    gb_counter(state, "seconds", 20, GB_RATE | GB_INVERTED);
    gb_counter(state, "binary", 2048, GB_BINARY);
    gb_counter(state, "twice", 1, GB_PLAIN);
    gb_counter(state, "twice", 2, GB_PLAIN);
}

static void batch(gb_state *state, void *user)
{
    (void)user;
    while (gb_next_batch(state, 8))
        gb_iteration_time(state, 8e-3);
}

/* Tells the most that the library can have measured: all from outside the loop, less what lay
 * inside the pauses. Holds whenever the system takes the core away. */
static void paused(gb_state *state, void *user)
{
    (void)user;
    const double begin = seconds();
    double inside = 0;
    while (gb_next(state)) {
        gb_pause(state);
        const double from = seconds();
        spend(5e-3);
        inside += seconds() - from;
        gb_resume(state);
        spend(1e-4);
    }
    gb_counter(state, "most", seconds() - begin - inside, GB_PLAIN);
}

static void skipped_before(gb_state *state, void *user)
{
    (void)user;
    gb_skip(state, "before");
    gb_skip(state, "the first counts");
    while (gb_next(state))
        demand(false, "a skipped run has no iterations");
}

static void skipped_within(gb_state *state, void *user)
{
    int n = 0;
    (void)user;
    while (gb_next(state))
        if (++n == 3) {
            gb_pause(state);
            gb_skip(state, "within");
        }
    demand(n == 3, "skipping ends the loop");
}

static void skipped_after(gb_state *state, void *user)
{
    (void)user;
    while (gb_next(state))
        ;
    gb_skip(state, "after");
}

static void unfinished(gb_state *state, void *user)
{
    (void)user;
    (void)gb_next(state);
}

static void register_all(void)
{
    static char data[] = "user data";
    static const char *const names[] = {"bytes", "passes"};
    gb_benchmark *b = gb_register("copy", GB_REAL_TIME, copy, data);
    gb_arg_names(b, names, 2);
    for (int64_t bytes = 1024; bytes <= 4096; bytes *= 2)
        gb_args(b, (const int64_t[]){bytes, 3}, 2);
    gb_set_min_time(b, 0.001);
    gb_set_complexity(b, GB_O_N);

    b = gb_register("manual", GB_MANUAL_TIME, manual, NULL);
    gb_set_iterations(b, 10);
    gb_set_unit(b, GB_MILLISECOND);
    b = gb_register("batch", GB_MANUAL_TIME, batch, NULL);
    gb_set_iterations(b, 20);
    b = gb_register("paused", GB_REAL_TIME, paused, NULL);
    gb_set_iterations(b, 10);
    gb_set_process_cpu_time(b);
    b = gb_register("repeated", GB_MANUAL_TIME, batch, NULL);
    gb_set_repetitions(b, 3);
    gb_set_warm_up(b, 0.002);

    gb_set_iterations(gb_register("skipped/before", GB_REAL_TIME, skipped_before, NULL), 5);
    gb_set_iterations(gb_register("skipped/within", GB_REAL_TIME, skipped_within, NULL), 5);
    gb_set_iterations(gb_register("skipped/after", GB_REAL_TIME, skipped_after, NULL), 5);
    gb_set_iterations(gb_register("skipped/unfinished", GB_REAL_TIME, unfinished, NULL), 5);
    gb_args(NULL, NULL, 0); /* what a failed gb_register leaves to its caller */
}

static void stop(gb_state *state, void *user)
{
    (void)user;
    while (gb_next(state))
        (void)raise(SIGTERM);
}

/* measure [throw|stop] FLAG… */
static int measure(int argc, char **argv)
{
    gb_status status = gb_init(&argc, argv);
    if (status == GB_HELP)
        gb_print_flags();
    if (status)
        return (int)status;
    const bool throws = argc > 1 && strcmp(argv[1], "throw") == 0;
    const bool stops = argc > 1 && strcmp(argv[1], "stop") == 0;
    if (gb_report_unrecognized(argc - throws - stops, argv + (throws || stops)))
        return 98;
    register_all();
    if (stops)
        (void)gb_register("stop", GB_REAL_TIME, stop, NULL);
    gb_context("made_by", "a \"test\"");
    if (throws)
        gb_context(NULL, "a string of nothing, which C++ throws at");
    gb_totals totals;
    status = gb_run(&totals);
    gb_shutdown();
    fprintf(stderr, "matched %zu skipped %zu\n%s\n", totals.matched, totals.skipped, gb_failure());
    return (int)status;
}

/* ---- What it wrote ---- */

static const char *self;

static char out[1 << 16], err[1 << 14];

static void slurp(const char *path, char *to, size_t size)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    to[fread(to, 1, size - 1, file)] = 0;
    (void)fclose(file);
}

/* Runs the program; out and err are what it wrote.  returns  its exit code */
static int run(const char *arguments)
{
    char command[2048];
    (void)snprintf(command, sizeof command, "'%s' measure %s >out 2>err </dev/null; exit $?", self,
                   arguments);
    const int status = system(command);
    slurp("out", out, sizeof out);
    slurp("err", err, sizeof err);
    if (!WIFEXITED(status) || WEXITSTATUS(status) == 99)
        fail_msg("%s: status %d, %s", arguments, status, err);
    return WEXITSTATUS(status);
}

static json_t *parse(void)
{
    json_error_t error;
    json_t *root = json_loads(out, 0, &error);
    if (!root)
        fail_msg("line %d: %s in %s", error.line, error.text, out);
    return root;
}

static const json_t *row_of(const json_t *root, const char *name)
{
    size_t i;
    const json_t *row, *rows = json_object_get(root, "benchmarks");
    json_array_foreach(rows, i, row) if (strcmp(json_string_value(json_object_get(row, "name")),
                                                name) == 0) return row;
    fail_msg("no %s in %s", name, out);
    return NULL;
}

static double number(const json_t *row, const char *key)
{
    const json_t *value = json_object_get(row, key);
    if (!json_is_number(value))
        fail_msg("no number %s in %s", key, json_dumps(row, 0));
    return json_number_value(value);
}

static void expect_number(const json_t *row, const char *key, double want)
{
    const double got = number(row, key);
    if (!(got > want * (1 - 1e-9) && got < want * (1 + 1e-9)))
        fail_msg("%s is %.17g, not %.17g", key, got, want);
}

static void expect_text(const json_t *row, const char *key, const char *want)
{
    const char *got = json_string_value(json_object_get(row, key));
    if (!got || strcmp(got, want) != 0)
        fail_msg("%s is %s, not %s", key, got ? got : "absent", want);
}

static void arguments_labels_and_rates(void **state)
{
    (void)state;
    assert_int_equal(run("--benchmark_filter=^copy --benchmark_format=json"), GB_OK);
    json_t *root = parse();
    for (int bytes = 1024; bytes <= 4096; bytes *= 2) {
        char name[96];
        (void)snprintf(name, sizeof name, "copy/bytes:%d/passes:3/min_time:0.001/real_time", bytes);
        const json_t *row = row_of(root, name);
        expect_text(row, "label", "a \"label\"");
        expect_text(row, "time_unit", "ns");
        const double ns = number(row, "real_time");
        assert_true(ns > 0 && number(row, "iterations") * ns > 0.9e6);
        expect_number(row, "bytes_per_second", 3.0 * bytes / ns * 1e9);
        expect_number(row, "items_per_second", 3 / ns * 1e9);
    }
    const json_t *fit = row_of(root, "copy/min_time:0.001/real_time_BigO");
    expect_text(fit, "big_o", "N");
    assert_true(number(fit, "real_coefficient") > 0);
    expect_text(json_object_get(root, "context"), "made_by", "a \"test\"");
    json_decref(root);
    assert_non_null(strstr(err, "matched 3 skipped 0"));
}

static void manual_time_and_counters(void **state)
{
    (void)state;
    assert_int_equal(run("--benchmark_filter='^(manual|batch)' --benchmark_format=json"), GB_OK);
    json_t *root = parse();
    const json_t *row = row_of(root, "manual/iterations:10/manual_time");
    expect_text(row, "time_unit", "ms");
    const struct {
        const char *key;
        double value;
    } wanted[] = {{"iterations", 10}, {"real_time", 1},     {"plain", 7},   {"rate", 20 / 0.01},
                  {"total", 30},      {"total_rate", 5000}, {"average", 4}, {"seconds", 0.01 / 20},
                  {"binary", 2048},   {"twice", 2}};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        expect_number(row, wanted[i].key, wanted[i].value);
    row = row_of(root, "batch/iterations:20/manual_time");
    expect_number(row, "iterations", 24); /* whole batches of 8 */
    expect_number(row, "real_time", 1e6);
    json_decref(root);

    /* the flag wins over gb_set_unit */
    assert_int_equal(run("--benchmark_filter=^manual --benchmark_format=json "
                         "--benchmark_time_unit=us"),
                     GB_OK);
    root = parse();
    expect_number(row_of(root, "manual/iterations:10/manual_time"), "real_time", 1000);
    json_decref(root);
}

static void pauses_do_not_count(void **state)
{
    (void)state;
    assert_int_equal(run("--benchmark_filter=^paused --benchmark_format=json"), GB_OK);
    json_t *root = parse();
    const json_t *row = row_of(root, "paused/iterations:10/process_time/real_time");
    const double seconds_measured = 1e-9 * number(row, "iterations") * number(row, "real_time");
    assert_true(seconds_measured >= 10 * 1e-4 * (1 - 1e-9));
    assert_true(seconds_measured <= number(row, "most") * (1 + 1e-9));
    json_decref(root);
}

static void repetitions_and_files(void **state)
{
    (void)state;
    assert_int_equal(run("--benchmark_filter=^repeated --benchmark_min_time=0.02 "
                         "--benchmark_out=file.json --benchmark_enable_random_interleaving=true "
                         "--benchmark_report_aggregates_only=true"),
                     GB_OK);
    assert_non_null(strstr(out, "repeated/min_warmup_time:0.002/repeats:3/manual_time_median"));
    slurp("file.json", out, sizeof out);
    json_t *root = parse();
    const json_t *row = row_of(root, "repeated/min_warmup_time:0.002/repeats:3/manual_time_median");
    expect_number(row, "real_time", 1e6);
    expect_text(row, "run_type", "aggregate");
    json_decref(root);
}

/* Every form of the file, and a disk that is full. */
static void files_are_whole_or_told(void **state)
{
    (void)state;
    static const char *const forms[][2] = {
        {"json", "\"benchmarks\": ["}, {"csv", "name,iterations,"}, {"console", "Benchmark "}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char arguments[256];
        (void)snprintf(arguments, sizeof arguments,
                       "--benchmark_filter=^batch --benchmark_out=file.json "
                       "--benchmark_out_format=%s",
                       forms[i][0]);
        assert_int_equal(run(arguments), GB_OK);
        slurp("file.json", out, sizeof out);
        assert_non_null(strstr(out, forms[i][1]));
        assert_non_null(strstr(out, "batch/iterations:20/manual_time"));
        (void)snprintf(arguments, sizeof arguments,
                       "--benchmark_filter=^batch --benchmark_out=/dev/full "
                       "--benchmark_out_format=%s",
                       forms[i][0]);
        assert_int_equal(run(arguments), GB_FILE_FAILED);
    }
}

/* What was there before stays until there is something whole to replace it. */
static void files_are_replaced_whole(void **state)
{
    (void)state;
    FILE *old = fopen("file.json", "w");
    assert_non_null(old);
    assert_true(fputs("old", old) >= 0);
    assert_int_equal(fclose(old), 0);
    assert_int_equal(run("--benchmark_filter=nothing --benchmark_out=file.json"), GB_NO_MATCH);
    assert_int_equal(run("throw --benchmark_filter=^batch --benchmark_out=file.json"), GB_FAILED);
    assert_int_equal(run("stop --benchmark_filter=^stop --benchmark_out=file.json"), 128 + SIGTERM);
    slurp("file.json", out, sizeof out);
    assert_string_equal(out, "old");
    assert_int_equal(access("file.json.tmp", F_OK), -1);
    assert_int_equal(symlink("file.json", "link.json"), 0);
    assert_int_equal(run("--benchmark_filter=^batch --benchmark_out=link.json"), GB_OK);
    slurp("file.json", out, sizeof out); /* by way of the link, which stays one */
    assert_non_null(strstr(out, "batch/iterations:20/manual_time"));
    assert_int_equal(unlink("link.json"), 0);
}

static void what_is_skipped_says_why(void **state)
{
    (void)state;
    static const char *const why[][2] = {
        {"before", "before"},
        {"within", "within"},
        {"after", "after"},
        {"unfinished", "the function returned before gb_next did so with false"}};
    assert_int_equal(run("--benchmark_filter=^skipped --benchmark_format=json"), GB_OK);
    json_t *root = parse();
    for (size_t i = 0; i < sizeof why / sizeof *why; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "skipped/%s/iterations:5/real_time", why[i][0]);
        const json_t *row = row_of(root, name);
        assert_true(json_is_true(json_object_get(row, "error_occurred")));
        expect_text(row, "error_message", why[i][1]);
    }
    json_decref(root);
    assert_non_null(strstr(err, "matched 4 skipped 4"));
}

static void flags_are_judged(void **state)
{
    (void)state;
    assert_int_equal(run("--benchmark_list_tests"), GB_OK);
    assert_non_null(strstr(out, "copy/bytes:1024/passes:3/min_time:0.001/real_time\n"));
    assert_non_null(strstr(err, "matched 11 skipped 0"));
    assert_int_equal(run("--help"), GB_HELP);
    assert_non_null(strstr(out, "--benchmark_filter=<regex>"));
    assert_int_equal(run("--benchmark_format=xml"), GB_BAD_VALUE);
    assert_int_equal(run("--benchmark_time_unit=fortnight"), GB_BAD_VALUE);
    assert_int_equal(run("--benchmark_repetitions=0"), GB_BAD_VALUE);
    assert_int_equal(run("--benchmark_repetitions=-3"), GB_BAD_VALUE);
    assert_int_equal(run("--benchmark_min_time=0"), GB_BAD_VALUE);
    assert_int_equal(run("--benchmark_min_time=nan"), GB_BAD_VALUE);
    assert_int_equal(run("--benchmark_min_warmup_time=-1"), GB_BAD_VALUE);
    assert_int_equal(run("--benchmark_fliter=x"), 98);
    assert_non_null(strstr(err, "--benchmark_fliter=x"));
    assert_int_equal(run("--benchmark_filter=nothing"), GB_NO_MATCH);
    assert_int_equal(run("'--benchmark_filter=('"), GB_NO_MATCH);
    assert_int_equal(run("--benchmark_filter=^batch --benchmark_out=no/such/folder"), GB_NO_FILE);
    assert_int_equal(out[0], 0);
}

static void exceptions_stay_inside(void **state)
{
    (void)state;
    assert_int_equal(run("throw --benchmark_filter=^batch"), GB_FAILED);
    assert_int_equal(out[0], 0);
    assert_non_null(
        strstr(err, "matched 0 skipped 0\nbasic_string")); /* the exception's own text */
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "measure") == 0)
        return measure(argc - 1, argv + 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_labels_and_rates), cmocka_unit_test(manual_time_and_counters),
        cmocka_unit_test(pauses_do_not_count),        cmocka_unit_test(repetitions_and_files),
        cmocka_unit_test(what_is_skipped_says_why),   cmocka_unit_test(flags_are_judged),
        cmocka_unit_test(files_are_whole_or_told),    cmocka_unit_test(exceptions_stay_inside),
        cmocka_unit_test(files_are_replaced_whole),
    };
    self = realpath(argv[0], NULL);
    if (!self || make_folder(NULL) != 0 || chdir(folder) != 0) {
        perror("test_gbench");
        return 1;
    }
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return remove_folder(NULL) ? 1 : failed;
}
