/* SPDX-License-Identifier: MIT
 * What `dodeca doctor` finds, on this machine and on machines made of files, and what it advises:
 * everything that would spoil a measurement is planted in turn. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu.h"
#include "doctor_advice.h"
#include "doctor_measure.h"
#include "folder_fixture.h"

static void test_workers_of_threads(void **state)
{
    (void)state;
    static const struct {
        uint64_t threads;
        uint32_t workers;
    } rows[] = {
        {0, 0},     {1, 0},       {2, 1},       {13, 12},     {14, 12},
        {25, 12},   {26, 13},     {157, 144},   {158, 144},   {301, 144},
        {302, 145}, {1884, 1727}, {1885, 1728}, {1886, 1728}, {UINT64_MAX, 1728},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(dd_workers_of_threads(rows[i].threads), rows[i].workers);
}

static void test_found(void **state)
{
    (void)state;
    dd_found found;
    dd_found_look(&found);
    assert_int_equal(found.cpus, dd_cpu_available());
    assert_true(found.cpus <= found.topology.n_cpus);
    assert_true(found.memory_gib > 0);
    assert_true(found.most_workers == dd_workers_of_threads(found.threads_left));
    assert_int_equal(found.keys == 0, found.keys_why[0] != '\0');
    json_t *json = dd_found_json(&found);
    assert_non_null(json);
    const json_t *order = json_object_get(json_object_get(json, "topology"), "cpus_in_order");
    assert_int_equal(json_array_size(order), found.topology.n_cpus);
    for (uint32_t i = 0; i < found.topology.n_cpus; i++)
        assert_int_equal(json_integer_value(json_array_get(order, i)), found.topology.cpu[i]);
    assert_int_equal(json_integer_value(json_object_get(json, "protection_keys")), found.keys);
    assert_string_equal(json_string_value(json_object_get(json, "protection_keys_why")),
                        found.keys_why);
    json_decref(json);
    dd_found_close(&found);
    dd_found_close(&found);
}

/* ---- Text ---- */

static char *found_text(const dd_found *found)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    dd_found_print(found, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

/* What is not told is null, or no number, whatever stands in its place. */
static void test_found_nothing(void **state)
{
    (void)state;
    const dd_limit none = {.most = DD_NO_LIMIT};
    dd_found found = {.cpus = 2,
                      .keys_why = "none",
                      .limits = {none, none, none, DD_NO_LIMIT, 1 << 30},
                      .threads_left = DD_NO_LIMIT};
    json_t *json = dd_found_json(&found);
    const json_t *threads = json_object_get(json, "threads");
    static const char *const keys[] = {"user",   "user_used", "group",      "group_used",
                                       "system", "maps",      "system_used"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        assert_true(json_is_null(json_object_get(threads, keys[i])));
    assert_true(json_is_null(json_object_get(json, "topology")));
    assert_true(json_is_null(json_object_get(json, "cores")));
    assert_true(json_is_null(json_object_get(json, "cpus_by_affinity")));
    json_decref(json);

    found.limits.user = (dd_limit){.most = 100, .used = 7};
    found.limits.group = (dd_limit){.most = 50};
    json = dd_found_json(&found);
    threads = json_object_get(json, "threads");
    assert_int_equal(json_integer_value(json_object_get(threads, "user_used")), 7);
    assert_int_equal(json_integer_value(json_object_get(threads, "group")), 50);
    assert_true(json_is_null(json_object_get(threads, "group_used")));
    json_decref(json);
    char *text = found_text(&found);
    assert_non_null(
        strstr(text, "user (ulimit -u) 7 of 100 in use; control groups (pids.max) 50;"));
    free(text);
}

static void must_print(const dd_conditions *c, const char *line)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    dd_conditions_print(c, NULL, out);
    assert_int_equal(fclose(out), 0);
    if (!strstr(text, line))
        fail_msg("not \"%s\":\n%s", line, text);
    free(text);
}

static void test_siblings(void **state)
{
    (void)state;
    dd_conditions c = {.smt = DD_TOLD_OFF, .siblings = "0", .quota = 1};
    must_print(&c, "\n  hardware threads one a core; CPU 0 has its core alone\n");
    must_print(&c, "\n  CPU quota        1 CPU\n");
    c.siblings[0] = '\0';
    must_print(&c, "one a core; who shares CPU 0's core is not told here\n");
    c = (dd_conditions){.smt = DD_TOLD_ON, .siblings = "0,4", .quota = 2};
    must_print(&c, "several a core (SMT); CPUs 0,4 share a core\n");
    strcpy(c.siblings, "0-1");
    must_print(&c, "CPUs 0-1 share a core\n");
}

/* A share is that of the two numbers beside it, of one round. */
static void test_product(void **state)
{
    (void)state;
    static const double flops[] = {90e9, 100e9, 80e9, 99e9, 60e9};
    static const double peak[] = {120e9, 110e9, 100e9, 90e9, 80e9}; /* .75 .909 .8 1.1 .75 */
    dd_products products = {.peak_gflops = 120};
    for (int i = 0; i < DD_PRODUCTS; i++)
        products.product[i] = (dd_product){.layer = "layer", .pass = "pass"};
    dd_product *p = &products.product[0];
    dd_product_take(p, flops, peak, 5);
    assert_true(p->share == 0.8 && fabs(p->gflops - 80) < 1e-9);
    assert_true(fabs(p->peak_gflops - 100) < 1e-9);
    dd_product_take(p, flops, peak, 1);
    assert_true(p->share == 0.75 && fabs(p->peak_gflops - 120) < 1e-9);
    dd_product_take(p, flops, peak, 5);
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    dd_products_print(&products, out);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(text, "as shares of the peak measured beside each\n"));
    assert_non_null(strstr(text, "      80.0     100.0   80.0%\n"));
    free(text);
}

/* ---- A machine made of files ---- */

#define CPU "sys/devices/system/cpu/"

/* What a quiet server with one control group tells. */
static void make_quiet(void)
{
    put_file("proc/loadavg", "0.10 0.20 0.30 1/300 1234\n");
    put_file("proc/cpuinfo",
             "model name\t: made up\ncpu MHz\t\t: 2900.125\n\ncpu MHz\t\t: 3100.500\n");
    put_file("proc/stat", "cpu  1000 10 100 8000 50 5 5 20 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n");
    put_file(CPU "cpu0/cpufreq/cpuinfo_min_freq", "800000\n");
    put_file(CPU "cpu0/cpufreq/cpuinfo_max_freq", "3700000\n");
    put_file(CPU "cpu0/cpufreq/scaling_driver", "intel_pstate\n");
    put_file(CPU "cpu0/cpufreq/scaling_governor", "performance\n");
    put_file(CPU "intel_pstate/no_turbo", "1\n");
    put_file(CPU "smt/active", "0\n");
    put_file(CPU "cpu0/topology/thread_siblings_list", "0\n");
    put_file(CPU "cpu0/thermal_throttle/core_throttle_count", "7\n");
    put_file(CPU "cpu0/thermal_throttle/package_throttle_count", "1\n");
    put_file(CPU "cpu1/topology/thread_siblings_list", "1\n"); /* offline: not told of its heat */
    put_file(CPU "cpu20/thermal_throttle/core_throttle_count", "2\n");
    put_file(CPU "cpu20/thermal_throttle/package_throttle_count", "1\n");
    put_file("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n");
    put_file("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    put_file("proc/self/mountinfo",
             "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n");
    put_file("proc/self/cgroup", "0::/job\n");
    put_file("sys/fs/cgroup/job/cpu.stat", "usage_usec 5\nnr_periods 9\nnr_throttled 3\n");
}

static void test_nothing_told(void **state)
{
    (void)state;
    dd_conditions c;
    dd_counters before, after;
    dd_conditions_look(folder, &c);
    assert_true(isnan(c.load) && isnan(c.mhz_now) && isnan(c.mhz_least) && isnan(c.mhz_most));
    assert_true(!c.driver[0] && !c.governor[0] && !c.huge_pages[0] && !c.siblings[0]);
    assert_true(c.turbo == DD_TOLD_NOT && c.smt == DD_TOLD_NOT && c.quota == UINT32_MAX);
    dd_counters_look(folder, &before);
    dd_counters_look(folder, &after);
    const dd_meanwhile m = dd_counters_between(&before, &after, 100);
    assert_true(isnan(m.steal) && isnan(m.others));
    assert_true(m.throttled == DD_NOT_TOLD && m.hot == DD_NOT_TOLD);
    json_t *json = dd_conditions_json(&c, &m);
    static const char *const keys[] = {"load",       "mhz",           "governor",    "turbo",
                                       "huge_pages", "smt",           "time_source", "quota_cpus",
                                       "mhz_most",   "scaling_driver"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        assert_true(json_is_null(json_object_get(json, keys[i])));
    const json_t *during = json_object_get(json, "while_measuring");
    assert_true(json_is_null(json_object_get(during, "stolen")));
    assert_true(json_is_null(json_object_get(during, "slowed_by_heat")));
    json_decref(json);
}

static void test_told(void **state)
{
    (void)state;
    dd_conditions c;
    make_quiet();
    dd_conditions_look(folder, &c);
    assert_true(c.load == 0.1 && c.mhz_now == 3100.5 && c.mhz_least == 800 && c.mhz_most == 3700);
    assert_string_equal(c.driver, "intel_pstate");
    assert_string_equal(c.governor, "performance");
    assert_string_equal(c.huge_pages, "madvise");
    assert_string_equal(c.clock_source, "tsc");
    assert_true(c.turbo == DD_TOLD_OFF && c.smt == DD_TOLD_OFF);
    put_file(CPU "intel_pstate/no_turbo", "0\n");
    put_file(CPU "smt/active", "1\n");
    put_file("sys/fs/cgroup/job/cpu.max", "250000 100000\n");
    dd_conditions_look(folder, &c);
    assert_true(c.turbo == DD_TOLD_ON && c.smt == DD_TOLD_ON && c.quota == 2);
    put_file(CPU "intel_pstate/no_turbo",
             "unsupported\n"); /* no number: not told, so boost counts */
    put_file(CPU "cpufreq/boost", "1\n");
    dd_conditions_look(folder, &c);
    assert_true(c.turbo == DD_TOLD_ON);
    put_file(CPU "cpufreq/boost", "0\n");
    put_file("proc/loadavg", "\n");
    dd_conditions_look(folder, &c);
    assert_true(c.turbo == DD_TOLD_OFF && isnan(c.load));
}

/* What happens between two looks. */
static void test_meanwhile(void **state)
{
    (void)state;
    dd_counters before, after;
    make_quiet();
    dd_counters_look(folder, &before);
    assert_true(before.ticks == 9190 && before.idle == 8050 && before.steal == 20);
    assert_true(before.throttled == 3 && before.hot == 11);
    put_file("proc/stat",
             "cpu  1600 10 100 8200 50 5 5 220 0 0\n"); /* 1000 more: 200 idle, 200 stolen */
    put_file("sys/fs/cgroup/job/cpu.stat", "nr_periods 12\nnr_throttled 8\n");
    put_file(CPU "cpu20/thermal_throttle/core_throttle_count", "4\n");
    dd_counters_look(folder, &after);
    before.own_ns = 0;
    after.own_ns = 2000000000; /* 200 of the ticks */
    dd_meanwhile m = dd_counters_between(&before, &after, 100);
    assert_true(m.steal == 0.2 && fabs(m.others - 0.4) < 1e-12);
    assert_true(m.throttled == 5 && m.hot == 2);
    m = dd_counters_between(&after, &before, 100); /* a counter that falls tells nothing */
    assert_true(isnan(m.steal) && m.throttled == DD_NOT_TOLD && m.hot == DD_NOT_TOLD);
    put_file("proc/stat", "cpu  1600 10 100 8200 50 5 5\n"); /* a kernel that tells no steal time */
    dd_counters_look(folder, &after);
    m = dd_counters_between(&before, &after, 100);
    assert_true(isnan(m.steal) && isnan(m.others));
}

/* ---- Advice ---- */

static dd_facts quiet_facts(void)
{
    dd_facts f = {
        .found = {.cpus = 4, .topology = {.n_cpus = 4, .n_cpus_cores = 4}},
        .measured = true,
        .meanwhile = {.throttled = 0, .hot = 0},
        .noise = {.resolution_ns = 20, .loop_ns = 1e6, .spread = 0.01, .worst = 1.1},
        .alone = {1, 3000, 50, 10e9, 12e9},
        .together = {4, 2950, 196, 36e9, 40e9},
        .build_type = "Release",
        .sanitizer = "",
        .unwind_denied = "",
        .has_king_james = true,
    };
    make_quiet();
    dd_conditions_look(folder, &f.conditions);
    return f;
}

static void advised(const dd_facts *f, const char *text)
{
    dd_advice a;
    dd_advice_weigh(f, &a);
    if (a.n == 1 && strstr(a.line[0], text))
        return;
    for (size_t i = 0; i < a.n; i++)
        print_message("%s\n", a.line[i]);
    fail_msg("%zu sentences, expected one with \"%s\"", a.n, text);
}

static void test_advice(void **state)
{
    (void)state;
    dd_advice a;
    const dd_facts quiet = quiet_facts();
    dd_facts f = quiet;
    dd_advice_weigh(&f, &a);
    assert_int_equal(a.n, 0);

    put_file("proc/loadavg", "3.50 2.00 1.00 9/300 1234\n"); /* a loaded machine */
    put_file(CPU "cpu0/cpufreq/scaling_governor", "powersave\n");
    dd_conditions_look(folder, &f.conditions);
    dd_advice_weigh(&f, &a);
    assert_int_equal(a.n, 2);
    assert_non_null(strstr(a.line[0], "load average is 3.5 on 4 CPUs"));
    assert_non_null(strstr(a.line[1], "governor is powersave"));
    assert_non_null(strstr(a.line[1], "cpupower frequency-set -g performance"));

    f = quiet;
    f.conditions.turbo = DD_TOLD_ON;
    advised(&f, "turbo is on");
    f = quiet;
    strcpy(f.conditions.huge_pages, "never");
    advised(&f, "transparent huge pages are off");
    f = quiet;
    f.meanwhile.steal = 0.031;
    advised(&f, "took 3.1 % of the CPUs (steal)");
    f = quiet;
    f.meanwhile.others = 0.38;
    advised(&f, "other programs used 38 %");
    f = quiet;
    f.meanwhile.throttled = 12;
    advised(&f, "quota stopped its threads 12 times");
    f = quiet;
    f.meanwhile.hot = 2;
    advised(&f, "because of heat 2 times");
    f = quiet;
    f.found.cpus = 2;
    f.together = (dd_reached){2, 2950, 98, 18e9, 20e9};
    advised(&f, "quota allows 2 of 4 CPUs");
    f = quiet;
    f.found = (dd_found){.cpus = 1, .topology = {.n_cpus = 1, .n_cpus_cores = 1}};
    f.conditions.load = 3;
    dd_advice_weigh(&f, &a);
    assert_non_null(strstr(a.line[1], "load average is 3.0 on 1 CPU, other programs"));
    f = quiet;
    f.found = (dd_found){.cpus = 2, .topology = {.n_cpus = 2, .n_cpus_cores = 1}};
    f.together = (dd_reached){2, 2950, 98, 18e9, 20e9};
    advised(&f, "2 CPUs are 1 core with hardware threads");
    f = quiet;
    f.found.topology.n_cpus_cores = 2;
    advised(&f, "beyond --workers 2 little is gained");
    f = quiet;
    f.noise.spread = 0.2;
    advised(&f, "varies by 20 %");
    f = quiet;
    f.noise.resolution_ns = 4e6;
    advised(&f, "the clock moves in steps of 4000000 ns (source tsc)");
    f = quiet;
    f.together.mhz = 2400;
    advised(&f, "the clock falls from 3000 to 2400 MHz");
    f = quiet;
    f.together.gflops = 110;
    advised(&f, "4 CPUs multiply 2.20 x as fast as one");
    f = quiet;
    f.together.copy_bytes_per_s = 18e9;
    advised(&f, "copy memory only 1.50 x as fast");
    f = quiet;
    f.build_type = "Debug";
    advised(&f, "build type is Debug");
    f = quiet;
    f.sanitizer = "thread";
    advised(&f, "-fsanitize=thread");
    f = quiet;
    f.unwind_denied = "ptrace: no";
    advised(&f, "stacks cannot be shown (ptrace: no)");
    f = quiet;
    f.has_king_james = false;
    advised(&f, "scripts/setup.sh");
}

/* What is not told, or was not measured, is no reason for advice. */
static void test_no_advice(void **state)
{
    (void)state;
    dd_advice a;
    dd_facts f = quiet_facts();
    f.conditions = (dd_conditions){.load = (double)NAN, .quota = UINT32_MAX};
    f.meanwhile = (dd_meanwhile){(double)NAN, (double)NAN, DD_NOT_TOLD, DD_NOT_TOLD};
    f.alone.mhz = f.together.mhz = (double)NAN;
    dd_advice_weigh(&f, &a);
    assert_int_equal(a.n, 0);
    f.together = (dd_reached){0};
    dd_advice_weigh(&f, &a);
    assert_int_equal(a.n, 0);
    f.measured = false;
    f.noise.spread = 1;
    f.meanwhile.steal = 1;
    dd_advice_weigh(&f, &a);
    assert_int_equal(a.n, 0);
}

/* ---- Threads together ---- */

static void test_team(void **state)
{
    (void)state;
    dd_topology t;
    dd_reached one, all;
    const dd_kernels *set = dd_kernels_select(DD_SIMD_OFF, NULL);
    assert_int_equal(dd_topology_open(&t), DD_OK);
    assert_int_equal(dd_measure_team(&t, 1, set, 8 << 20, &one), 0);
    assert_int_equal(dd_measure_team(&t, UINT32_MAX, set, 8 << 20, &all), 0);
    assert_int_equal(one.threads, 1);
    assert_int_equal(all.threads, t.n_cpus);
    assert_true(one.gflops > 0 && one.read_bytes_per_s > 0 && one.copy_bytes_per_s > 0);
    assert_true(isnan(one.mhz) || (one.mhz > 10 && one.mhz < 20000));
    const dd_topology none = {0};
    assert_int_not_equal(dd_measure_team(&none, 1, set, 8 << 20, &one), 0);
    uint32_t cpu[] = {t.cpu[0],
                      1u << 20}; /* no such CPU as the second: the first is not left waiting */
    const dd_topology odd = {.n_cpus = 2, .cpu = cpu};
    assert_int_not_equal(dd_measure_team(&odd, 2, set, 8 << 20, &all), 0);
    dd_topology_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_workers_of_threads),
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_found_nothing),
        cmocka_unit_test(test_siblings),
        cmocka_unit_test(test_product),
        cmocka_unit_test_setup_teardown(test_nothing_told, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_told, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_meanwhile, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_advice, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_no_advice, make_folder, remove_folder),
        cmocka_unit_test(test_team),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
