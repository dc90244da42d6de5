/* SPDX-License-Identifier: MIT
 * Every check on a good record, which must pass, and on planted bad ones, each of which must not.
 */
#include "checks.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define STEPS 20

typedef struct record {
    dd_settings settings;
    dd_run run, oracle;
    dd_step steps[STEPS], oracle_steps[STEPS];
} record;

/* A run of two workers that did everything right. */
static void make_good(record *r)
{
    memset(r, 0, sizeof *r);
    dd_settings_default(&r->settings);
    r->settings.steps = STEPS;
    for (unsigned i = 0; i < STEPS; i++)
        r->steps[i] = (dd_step){.step = i, .loss = 4 - 0.05 * i, .norm = 1, .wall_ns = 1000000};
    memcpy(r->oracle_steps, r->steps, sizeof r->steps);
    r->run = (dd_run){.outcome = DD_RUN_ENDED, .steps = r->steps, .n_steps = STEPS};
    r->run.end.floor_nats = (double)NAN;
    strcpy(r->run.end.hash, "0123456789abcdef0123456789abcdef");
    dd_trainer_info *info = &r->run.end.info;
    info->workers = 2;
    info->n_lanes = 12;
    info->non_empty_lanes = 10;
    info->requests = STEPS;
    info->node_zero_lane_wall_ns = STEPS * 1000000ull;
    info->node_zero_lane_cpu_ns = STEPS * 5000ull;
    info->worker[0].lanes_done = info->worker[1].lanes_done = STEPS * 5ull;
    r->oracle = r->run;
    r->oracle.steps = r->oracle_steps;
    r->oracle.end.serial = true;
}

static void must_judge(const record *r, const char *name, dd_verdict verdict, const char *reason)
{
    char text[DD_REASON_MAX] = "";
    const dd_check *check = dd_check_named(name);
    assert_non_null(check);
    dd_verdict got = check->judge(&r->settings, &r->run, &r->oracle, text);
    if (got != verdict || !strstr(text, reason))
        fail_msg("%s: %s (\"%s\"), expected %s (\"%s\")", name, dd_verdict_name(got), text,
                 dd_verdict_name(verdict), reason);
}

static void test_good_passes_all(void **state)
{
    (void)state;
    record r;
    dd_check_row row[DD_CHECKS_MAX];
    size_t n;
    make_good(&r);
    assert_int_equal(dd_checks_judge(&r.settings, &r.run, &r.oracle, row), DD_PASS);
    (void)dd_checks(&n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(row[i].verdict, DD_PASS);
    assert_null(dd_check_named("no-such-check"));
}

static void test_no_hang(void **state)
{
    (void)state;
    record r;
    make_good(&r);
    r.run.n_steps = STEPS - 1;
    must_judge(&r, "no-hang", DD_FAIL, "19 of 20 steps");
}

static void test_finite(void **state)
{
    (void)state;
    record r;
    make_good(&r);
    r.steps[7].loss = (double)NAN;
    must_judge(&r, "finite-gradients", DD_FAIL, "step 7: loss ");
    make_good(&r);
    r.steps[19].norm = (double)INFINITY;
    must_judge(&r, "finite-gradients", DD_FAIL, "step 19");
    make_good(&r);
    r.steps[3].discarded = true;
    must_judge(&r, "finite-gradients", DD_FAIL, "discarded");
    make_good(&r);
    r.run.end.status = DD_ERR_NONFINITE;
    strcpy(r.run.end.message, "lane 3, worker 1");
    must_judge(&r, "finite-gradients", DD_FAIL, "DD_ERR_NONFINITE: lane 3, worker 1");
}

static void test_serial(void **state)
{
    (void)state;
    record r;
    make_good(&r);
    r.steps[5].loss = nextafter(r.steps[5].loss, 0);
    must_judge(&r, "serial-equivalence", DD_FAIL, "differs first at step 5: loss 3.74");
    make_good(&r);
    r.steps[6].norm = nextafter(1, 2);
    must_judge(&r, "serial-equivalence", DD_FAIL, "step 6");
    make_good(&r);
    r.steps[4].loss = -0.0;
    r.oracle_steps[4].loss = 0.0; /* equal as numbers, not as bits */
    must_judge(&r, "serial-equivalence", DD_FAIL, "step 4");
    make_good(&r);
    r.steps[4].loss = (double)NAN;
    must_judge(&r, "serial-equivalence", DD_FAIL, "step 4");
    make_good(&r);
    r.run.end.hash[0] = 'f';
    must_judge(&r, "serial-equivalence", DD_FAIL, "all 20 losses agree");
    make_good(&r);
    r.run.n_steps = 5;
    must_judge(&r, "serial-equivalence", DD_FAIL, "ended after 5 steps");
    make_good(&r);
    r.oracle.outcome = DD_RUN_CRASH;
    must_judge(&r, "serial-equivalence", DD_FAIL, "no answer to compare with");
    r.oracle.outcome = DD_RUN_NOT_RUN;
    must_judge(&r, "serial-equivalence", DD_SKIP, "not run");
    /* both stopped by the same non-finite step */
    make_good(&r);
    r.run.n_steps = r.oracle.n_steps = 5;
    r.run.end.status = r.oracle.end.status = DD_ERR_NONFINITE;
    must_judge(&r, "serial-equivalence", DD_PASS, "");
}

static void test_lanes(void **state)
{
    (void)state;
    record r;
    make_good(&r);
    r.run.end.info.worker[1].lanes_done--;
    must_judge(&r, "lanes-once", DD_FAIL, "199 lanes done and 0 cancelled, 200 due");
    make_good(&r);
    r.run.end.info.worker[0].lanes_done++;
    must_judge(&r, "lanes-once", DD_FAIL, "201 lanes done");
    make_good(&r);
    r.run.end.info.worker[0].lanes_cancelled = 1;
    must_judge(&r, "lanes-once", DD_FAIL, "1 cancelled");
    make_good(&r);
    r.steps[2].discarded = true;
    must_judge(&r, "lanes-once", DD_SKIP, "step 2 was discarded");
    make_good(&r);
    r.run.end.serial = true;
    must_judge(&r, "lanes-once", DD_SKIP, "oracle");
}

static void test_node_zero(void **state)
{
    (void)state;
    record r;
    make_good(&r);
    r.run.end.info.node_zero_lanes = 1;
    must_judge(&r, "node-zero-idle", DD_FAIL, "Node Zero ran 1 lanes");
    make_good(&r);
    r.run.end.info.node_zero_lane_cpu_ns = r.run.end.info.node_zero_lane_wall_ns; /* it spun */
    must_judge(&r, "node-zero-idle", DD_FAIL, "1000.0 us CPU of 1000 us");
    make_good(&r);
    r.run.end.info.node_zero_lane_cpu_ns = STEPS * (DD_NODE_ZERO_CPU_NS + 1ull);
    must_judge(&r, "node-zero-idle", DD_FAIL, "no lane");
    r.run.end.info.node_zero_lane_wall_ns *= 100; /* the same is little beside a longer step */
    must_judge(&r, "node-zero-idle", DD_PASS, "no lane");
    make_good(&r);
    r.run.end.info.requests = 0;
    must_judge(&r, "node-zero-idle", DD_SKIP, "no step");
}

static void test_shutdown(void **state)
{
    (void)state;
    record r;
    make_good(&r);
    r.run.end.threads_left = 1;
    strcpy(r.run.end.left, "thread \"worker 1\"");
    must_judge(&r, "clean-shutdown", DD_FAIL, "1 threads, 0 descriptors, 0 processes: thread");
    make_good(&r);
    r.run.end.fds_left = 2;
    must_judge(&r, "clean-shutdown", DD_FAIL, "2 descriptors");
    make_good(&r);
    r.run.processes_left = 1;
    must_judge(&r, "clean-shutdown", DD_FAIL, "1 processes");
}

static void test_loss(void **state)
{
    (void)state;
    record r;
    make_good(&r);
    for (unsigned i = 0; i < STEPS; i++)
        r.steps[i].loss = 4;
    must_judge(&r, "loss-falls", DD_FAIL,
               "first 5 steps 4.0000, of the last 5 4.0000; 3.9600 or less would do");
    r.run.end.floor_nats = 3.9; /* there is nowhere to fall to */
    must_judge(&r, "loss-falls", DD_PASS, "");
    make_good(&r);
    r.steps[18].loss = (double)NAN;
    must_judge(&r, "loss-falls", DD_FAIL, "nan");
    make_good(&r);
    r.run.n_steps = 7;
    must_judge(&r, "loss-falls", DD_SKIP, "7 steps, at least 8");
}

static void test_outcomes(void **state)
{
    (void)state;
    static const struct {
        dd_outcome outcome;
        dd_status status;
        dd_verdict verdict;
    } cases[] = {
        {DD_RUN_NOT_RUN, DD_OK, DD_SKIP},         {DD_RUN_HANG, DD_OK, DD_HANG},
        {DD_RUN_CRASH, DD_OK, DD_CRASH},          {DD_RUN_REFUSED, DD_ERR_CPU, DD_SKIP},
        {DD_RUN_REFUSED, DD_ERR_MEMORY, DD_FAIL},
    };
    record r;
    dd_check_row row[DD_CHECKS_MAX];
    size_t n;
    (void)dd_checks(&n);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        make_good(&r);
        r.run.outcome = cases[i].outcome;
        r.run.end.status = cases[i].status;
        strcpy(r.run.reason, "planted");
        assert_int_equal(dd_checks_judge(&r.settings, &r.run, &r.oracle, row), cases[i].verdict);
        for (size_t k = 0; k < n; k++) {
            assert_non_null(strstr(row[k].reason, "planted"));
            assert_int_equal(row[k].verdict, k ? DD_SKIP : cases[i].verdict);
        }
    }
}

static void test_join(void **state)
{
    (void)state;
    assert_int_equal(dd_verdict_join(DD_SKIP, DD_PASS), DD_PASS);
    assert_int_equal(dd_verdict_join(DD_PASS, DD_SKIP), DD_PASS);
    assert_int_equal(dd_verdict_join(DD_SKIP, DD_SKIP), DD_SKIP);
    assert_int_equal(dd_verdict_join(DD_FAIL, DD_PASS), DD_FAIL);
    assert_int_equal(dd_verdict_join(DD_HANG, DD_CRASH), DD_CRASH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_passes_all), cmocka_unit_test(test_no_hang),
        cmocka_unit_test(test_finite),          cmocka_unit_test(test_serial),
        cmocka_unit_test(test_lanes),           cmocka_unit_test(test_node_zero),
        cmocka_unit_test(test_shutdown),        cmocka_unit_test(test_loss),
        cmocka_unit_test(test_outcomes),        cmocka_unit_test(test_join),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
