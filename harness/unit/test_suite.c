/* SPDX-License-Identifier: MIT
 * `dodeca bench` through Google Benchmark: the JSON it writes, the names in it, and what it does
 * about kernels that are wrong on purpose. With the argument "bench" this is that subcommand; with
 * "broken" its kernels, all but the reference, forget the last element, with "threadless" the third
 * thread of a process cannot be made. */
#include <argp.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "build_info.h"
#include "commands.h"
#include "cpu.h"
#include "folder_fixture.h"
#include "kernels.h"
#include "platform.h"

/* ---- The subcommand ---- */

static bool broken, threadless;
static const dd_kernels *real;

static void forgetful_gelu(size_t n, const float *x, float *y)
{
    real->gelu(n - 1, x, y);
}

static void forgetful_fold(size_t n, float *dst, const float *src)
{
    real->fold(n - 1, dst, src);
}

static void forgetful_add(size_t n, const float *a, const float *b, float *y)
{
    real->add(n - 1, a, b, y);
}

const dd_kernels *__real_dd_kernels_select(dd_simd simd, const char **why);
const dd_kernels *__wrap_dd_kernels_select(dd_simd simd, const char **why);

const dd_kernels *__wrap_dd_kernels_select(dd_simd simd, const char **why)
{
    static dd_kernels forgetful;
    const dd_kernels *set = __real_dd_kernels_select(simd, why);
    if (!broken || simd == DD_SIMD_OFF || !set)
        return set;
    real = set; /* of several sets the last one asked for: each is as good a base */
    forgetful = *set;
    forgetful.gelu = forgetful_gelu;
    forgetful.fold = forgetful_fold;
    forgetful.add = forgetful_add;
    return &forgetful;
}

int __real_dd_thread_create(dd_thread *t, const char *name, size_t stack_bytes, void (*run)(void *),
                            void *arg);
int __wrap_dd_thread_create(dd_thread *t, const char *name, size_t stack_bytes, void (*run)(void *),
                            void *arg);

int __wrap_dd_thread_create(dd_thread *t, const char *name, size_t stack_bytes, void (*run)(void *),
                            void *arg)
{
    static int n = 1;
    if (threadless && ++n >= 3)
        return EAGAIN;
    return __real_dd_thread_create(t, name, stack_bytes, run, arg);
}

static int bench(int argc, char **argv)
{
    static char name[] = "dodeca bench";
    broken = strcmp(argv[0], "broken") == 0;
    threadless = strcmp(argv[0], "threadless") == 0;
    argv[0] = name;
    argp_err_exit_status = DD_EXIT_USAGE; /* as main() has it */
    return dd_cmd_bench(argc, argv);
}

/* ---- Running it ---- */

static const char *self;

static char out[1 << 20], err[1 << 14];

static void slurp(const char *path, char *to, size_t size)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    to[fread(to, 1, size - 1, file)] = 0;
    (void)fclose(file);
}

/* mode: "bench" or "broken". out and err are what it wrote */
static void run(int code, const char *mode, const char *arguments)
{
    char command[2048];
    (void)snprintf(command, sizeof command, "'%s' %s %s >out 2>err </dev/null", self, mode,
                   arguments);
    const int status = system(command);
    slurp("out", out, sizeof out);
    slurp("err", err, sizeof err);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != code)
        fail_msg("%s: status %d, not exit %d: %s", arguments, status, code, err);
}

static json_t *parse(void)
{
    json_error_t error;
    json_t *root = json_loads(out, 0, &error);
    if (!root)
        fail_msg("line %d: %s in %s", error.line, error.text, out);
    return root;
}

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    if (!value)
        fail_msg("no text %s in %s", key, json_dumps(object, 0));
    return value;
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value))
        fail_msg("no number %s in %s", key, json_dumps(object, 0));
    return json_number_value(value);
}

/* ---- Structure and names ---- */

static void expect_context(const json_t *context)
{
    char cores[16];
    (void)snprintf(cores, sizeof cores, "%u", dd_cpu_available());
    assert_string_equal(text(context, "executable"), "dodeca bench");
    assert_string_equal(text(context, "dodeca_version"), dd_build.version);
    assert_string_equal(text(context, "dodeca_commit"), dd_build.commit);
    assert_string_equal(text(context, "dodeca_compiler"), dd_build.compiler);
    assert_string_equal(text(context, "dodeca_flags"), dd_build.flags);
    assert_string_equal(text(context, "dodeca_cores"), cores);
    assert_non_null(strstr(text(context, "dodeca_kernel_sets"), "reference"));
    const char *build = text(context, "dodeca_build");
    assert_int_equal(strncmp(build, dd_build.type, strlen(dd_build.type)), 0);
    const bool timeable = !dd_build.sanitizer[0] && strcmp(dd_build.type, "Debug") != 0;
    assert_true(timeable == !strstr(build, "no measurement"));
    assert_true(timeable == !strstr(err, "no measurement"));
    (void)text(context, "date");
    (void)text(context, "library_build_type");
}

/* What any reader of such files relies on. */
static void expect_row(const json_t *row)
{
    assert_string_equal(text(row, "run_name"), text(row, "name"));
    assert_string_equal(text(row, "run_type"), "iteration");
    assert_null(json_object_get(row, "error_occurred"));
    assert_true(number(row, "iterations") >= 1);
    assert_true(number(row, "real_time") > 0);
    assert_true(number(row, "cpu_time") >= 0);
    assert_int_equal(number(row, "threads"), 1);
    (void)text(row, "time_unit");
    if (strncmp(text(row, "name"), "kernel/", 7) != 0)
        return;
    assert_true(number(row, "x_reference") > 0);
    assert_true(number(row, strstr(text(row, "name"), "matmul") ? "FLOP/s" : "bytes/s") > 0);
}

static bool has(const json_t *rows, const char *name)
{
    size_t i;
    const json_t *row;
    json_array_foreach(rows, i, row) if (strcmp(text(row, "name"), name) == 0) return true;
    return false;
}

static void json_has_every_part(void **state)
{
    (void)state;
    static const char *const wanted[] = {
        "barrier/dodeca-tree/threads:2/manual_time",
        "barrier/pthread/threads:2/manual_time",
        "reduce/owner/workers:2/real_time",
        "reduce/tree/workers:2/real_time",
        "reduce/sliced/workers:2/real_time",
        "reduce/control/workers:2/real_time",
        "reduce/one-thread/workers:2/real_time",
        "reduce/lock/workers:2/real_time",
        "empty_step/tree/workers:2/real_time",
        "empty_step/pthread/workers:2/real_time",
        "step/nano/owner/tree/workers:2/real_time",
        "decode/nano/reference/real_time",
        "step_traced/nano/owner/tree/workers:2/real_time",
    };
    run(0, "bench",
        "--benchmark_format=json --benchmark_min_time=0.001 "
        "--benchmark_filter='^(barrier/(dodeca-tree|pthread)/threads:2/|(reduce|empty_step)/.*"
        "workers:2/|step(_traced)?/nano/owner/tree/workers:2/|decode/nano/|"
        "kernel/(matmul_forward|adamw_pack|fold|gelu)/.*/micro.*/(attproj|qkvw|4x|128x1024))'");
    json_t *root = parse();
    expect_context(json_object_get(root, "context"));
    const json_t *row, *rows = json_object_get(root, "benchmarks");
    size_t i;
    json_array_foreach(rows, i, row) expect_row(row);
    for (size_t k = 0; k < sizeof wanted / sizeof *wanted; k++)
        if (!has(rows, wanted[k]))
            fail_msg("no %s", wanted[k]);
    static const dd_simd wide[] = {DD_SIMD_AVX2, DD_SIMD_AVX512, DD_SIMD_NEON};
    static const char *const kernels[][2] = {
        {"matmul_forward", "micro-B8xT128/attproj-128x256x256"},
        {"gelu", "micro-B8xT128/128x1024"},
        {"adamw_pack", "micro/qkvw-768x256"}};
    for (size_t s = 0; s < sizeof wide / sizeof *wide; s++)
        for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++) {
            const dd_kernels *set = dd_kernels_select(wide[s], NULL);
            char name[128];
            (void)snprintf(name, sizeof name, "kernel/%s/%s/%s/real_time", kernels[k][0],
                           set ? set->name : "", kernels[k][1]);
            if (set && !has(rows, name))
                fail_msg("no %s", name);
        }
    json_decref(root);
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* compare.py and filters go by names. */
static void names_are_distinct(void **state)
{
    (void)state;
    enum { MOST = 2000 };
    static char *name[MOST];
    size_t n = 0;
    run(0, "bench", "--benchmark_list_tests");
    for (char *line = strtok(out, "\n"); line; line = strtok(NULL, "\n")) {
        assert_true(n < MOST);
        if (strpbrk(line, " ,+()[]*\"'"))
            fail_msg("\"%s\" is no name for a filter", line);
        name[n++] = line;
    }
    assert_true(n > 100);
    qsort(name, n, sizeof *name, compare_lines);
    for (size_t i = 1; i < n; i++)
        if (strcmp(name[i - 1], name[i]) == 0)
            fail_msg("two benchmarks are named %s", name[i]);
}

/* ---- What is wrong ---- */

static void wrong_results_are_not_timed(void **state)
{
    (void)state;
    run(1, "broken",
        "--benchmark_format=json --benchmark_min_time=0.001 --benchmark_filter='^(kernel/(gelu|"
        "layernorm)/.*/micro|decode/nano/|reduce/(tree|sliced|owner|one-thread|lock)/workers:2)'");
    json_t *root = parse();
    size_t i, wrong = 0, right = 0;
    const json_t *row;
    json_array_foreach(json_object_get(root, "benchmarks"), i, row)
    {
        const char *name = text(row, "name");
        if (strstr(name, "layernorm") || strstr(name, "reference")) { /* is not broken */
            expect_row(row);
            right++;
            continue;
        }
        assert_true(json_is_true(json_object_get(row, "error_occurred")));
        const char *why = strstr(name, "decode/") ? "FAIL: the logits " : "FAIL: element ";
        assert_int_equal(strncmp(text(row, "error_message"), why, strlen(why)), 0);
        assert_true(number(row, "real_time") == 0);
        wrong++;
    }
    const bool vectors =
        dd_kernels_select(DD_SIMD_AUTO, NULL) != dd_kernels_select(DD_SIMD_OFF, NULL);
    assert_true(wrong >= (vectors ? 7 : 5) && right >= 1u + vectors);
    assert_non_null(strstr(err, "dodeca bench: FAIL"));
    json_decref(root);
}

/* Numbers of fewer threads than asked for are no numbers. */
static void missing_threads_are_told(void **state)
{
    (void)state;
    static const char *const arguments[] = {"", " --json"};
    for (size_t i = 0; i < 2; i++) {
        char all[160];
        (void)snprintf(all, sizeof all,
                       "--kernels --filter 'micro T 128 forward attproj' --rounds 2 --threads 4%s",
                       arguments[i]);
        run(3, "threadless", all);
        assert_string_equal(err, "dodeca bench: thread 3 of 4 cannot be made: Resource temporarily "
                                 "unavailable\n");
        assert_null(strstr(out, "times the work of one"));
        assert_null(strstr(out, "to_one_thread"));
    }
}

static void bad_usage_is_told(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"--benchmark_filter=nothing", "--benchmark_list_tests"},
        {"--benchmark_format=xml", "console, json or csv"},
        {"--benchmark_min_time=soon", "--benchmark_min_time=SECONDS"},
        {"--benchmark_filter x", "--benchmark_filter=REGEX"},
        {"--benchmark_fliter=x", "unrecognized option '--benchmark_fliter=x'"},
        {"--filter x", "--filter goes with --kernels or --order"},
        {"--kernels --order", "two runs"},
        {"--kernels --benchmark_filter=x", "do not run through Google Benchmark"},
        {"--order --peers", "go with --kernels"},
        {"--benchmark_filter=empty --benchmark_out=no/such/folder", "cannot be written: No such"},
        {"barrier", "there are only options"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        run(2, "bench", wrong[i][0]);
        if (!strstr(err, wrong[i][1]) || out[0])
            fail_msg("%s: \"%s\" is not in \"%s\"", wrong[i][0], wrong[i][1], err);
    }
    run(0, "bench", "--help");
    assert_non_null(strstr(out, "--benchmark_repetitions"));
}

int main(int argc, char **argv)
{
    if (argc > 1 && (strcmp(argv[1], "bench") == 0 || strcmp(argv[1], "broken") == 0 ||
                     strcmp(argv[1], "threadless") == 0))
        return bench(argc - 1, argv + 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_has_every_part),         cmocka_unit_test(names_are_distinct),
        cmocka_unit_test(wrong_results_are_not_timed), cmocka_unit_test(missing_threads_are_told),
        cmocka_unit_test(bad_usage_is_told),
    };
    self = realpath(argv[0], NULL);
    if (!self || make_folder(NULL) != 0 || chdir(folder) != 0) {
        perror("test_suite");
        return 1;
    }
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return remove_folder(NULL) ? 1 : failed;
}
