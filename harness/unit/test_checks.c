/* SPDX-License-Identifier: MIT
 * Every check on a good record, which must pass, and on planted bad ones, each of which must not.
 */
#include "checks.h"
#include "segment.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define STEPS 20
#define THREADS 3 /* Node Zero's and two workers' */

typedef struct record {
    dd_settings settings;
    dd_run run, oracle;
    dd_step steps[STEPS], oracle_steps[STEPS];
    dd_sphere_info sphere[THREADS];
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
    info->n_spheres = info->n_threads = THREADS;
    info->n_controls = 1;
    info->n_parameters = dd_shape_n_parameters(&r->settings.config.shape);
    info->n_segments = 7;
    info->most_segments = 4;
    info->segments_bytes = 7 * (info->n_parameters * 4 + 1000);
    info->requests = STEPS;
    info->lanes_done = STEPS * 10ull;
    info->node_zero_lane_wall_ns = STEPS * 1000000ull;
    info->node_zero_lane_cpu_ns = STEPS * 5000ull;
    r->run.end.sphere = r->sphere;
    r->sphere[0] = (dd_sphere_info){.sphere = "zero", .control = true};
    r->sphere[1] = (dd_sphere_info){.sphere = "0", .thread = 1, .segments = 4};
    r->sphere[2] = (dd_sphere_info){.sphere = "6", .thread = 2, .segments = 3};
    r->sphere[1].lanes_done = r->sphere[2].lanes_done = STEPS * 5ull;
    r->oracle = r->run;
    r->oracle.steps = r->oracle_steps;
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
    assert_int_equal(dd_checks_judge(&r.settings, &r.run, &r.oracle, NULL, row), DD_PASS);
    (void)dd_checks(&n);
    size_t applied = 0;
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(row[i].verdict, row[i].applies ? DD_PASS : DD_SKIP);
        applied += row[i].applies;
    }
    assert_int_equal(applied, 9); /* all but what only some settings promise */
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

static void test_close(void **state)
{
    (void)state;
    record r;
    make_good(&r);
    r.settings.subject = DD_SUBJECT_LOCKS_GRADIENT;
    r.steps[5].loss *= 1 + 0.9 * DD_CLOSE_LOSS;
    r.steps[6].norm *= 1 - 0.9 * DD_CLOSE_NORM;
    r.run.end.hash[0] = 'f';
    must_judge(&r, "close-to-serial", DD_PASS, "losses within 9.0e-06, norms within 9.0e-05");
    r.steps[5].loss = r.oracle_steps[5].loss * (1 - 1.1 * DD_CLOSE_LOSS);
    must_judge(&r, "close-to-serial", DD_FAIL, "too far first at step 5: loss 3.74");
    make_good(&r);
    r.steps[19].norm *= 1 + 1.1 * DD_CLOSE_NORM;
    must_judge(&r, "close-to-serial", DD_FAIL, "step 19");
    make_good(&r);
    r.steps[3].loss = (double)NAN;
    must_judge(&r, "close-to-serial", DD_FAIL, "step 3");
    make_good(&r);
    r.run.n_steps = STEPS - 1;
    must_judge(&r, "close-to-serial", DD_FAIL, "ended after 19 steps");
    make_good(&r);
    r.oracle.outcome = DD_RUN_HANG;
    must_judge(&r, "close-to-serial", DD_FAIL, "no answer");
    r.oracle.outcome = DD_RUN_NOT_RUN;
    must_judge(&r, "close-to-serial", DD_SKIP, "not run");
}

static void test_lanes(void **state)
{
    (void)state;
    record r;
    make_good(&r);
    r.sphere[2].lanes_done--;
    must_judge(&r, "lanes-once", DD_FAIL, "199 lanes done and 0 cancelled, 200 due");
    make_good(&r);
    r.sphere[1].lanes_done++;
    must_judge(&r, "lanes-once", DD_FAIL, "201 lanes done");
    make_good(&r);
    r.run.end.info.lanes_done++; /* the trainer's own sum is another */
    must_judge(&r, "lanes-once", DD_FAIL, "in all 201");
    make_good(&r);
    r.sphere[1].lanes_cancelled = 1;
    must_judge(&r, "lanes-once", DD_FAIL, "1 cancelled");
    make_good(&r);
    r.run.end.info.requests++;
    must_judge(&r, "lanes-once", DD_FAIL, "21 requests, 20 due for 20 steps");
    /* a discarded step is replayed, lane by lane */
    r.steps[2].discarded = true;
    r.sphere[2].lanes_done += 10;
    r.run.end.info.lanes_done += 10;
    must_judge(&r, "lanes-once", DD_PASS, "210 due (21 requests x 10)");
    r.sphere[2].lanes_done -= 1;
    must_judge(&r, "lanes-once", DD_FAIL, "209 lanes done");
    make_good(&r);
    r.run.end.status = DD_ERR_CANCELLED;
    must_judge(&r, "lanes-once", DD_SKIP, "ended early");
}

static void test_node_zero(void **state)
{
    (void)state;
    record r;
    make_good(&r);
    r.sphere[0].lanes_done = 1;
    must_judge(&r, "node-zero-idle", DD_FAIL, "Node Zero ran 1 lanes");
    make_good(&r);
    r.run.end.info.node_zero_lane_cpu_ns = r.run.end.info.node_zero_lane_wall_ns; /* it spun */
    must_judge(&r, "node-zero-idle", DD_FAIL, "1000.0 us CPU of 1000 us");
    make_good(&r);
    r.run.end.info.node_zero_lane_cpu_ns = STEPS * (DD_NODE_ZERO_CPU_NS + 1ull);
    must_judge(&r, "node-zero-idle", DD_FAIL, "no lane");
    r.run.end.info.node_zero_lane_wall_ns *= 100; /* the same is little beside a longer step */
    must_judge(&r, "node-zero-idle", DD_PASS, "no lane");
    make_good(&r); /* the machine stood still once */
    r.run.end.info.node_zero_lane_cpu_ns += 3ull * STEPS * DD_NODE_ZERO_CPU_NS;
    r.run.end.info.node_zero_lane_most_cpu_ns = 3ull * STEPS * DD_NODE_ZERO_CPU_NS;
    must_judge(&r, "node-zero-idle", DD_PASS, "no lane");
    r.run.end.info.node_zero_lane_most_cpu_ns /= 2; /* twice */
    must_judge(&r, "node-zero-idle", DD_FAIL, "no lane");
    r.run.end.info.requests = 1; /* of one request nothing is left out */
    r.run.end.info.node_zero_lane_most_cpu_ns = r.run.end.info.node_zero_lane_cpu_ns;
    must_judge(&r, "node-zero-idle", DD_FAIL, "no lane");
    make_good(&r);
    r.run.end.info.requests = 0;
    must_judge(&r, "node-zero-idle", DD_SKIP, "no step");
}

static void test_controls(void **state)
{
    (void)state;
    record r;
    make_good(&r);
    r.run.end.info.control_lanes = 1;
    must_judge(&r, "controls-idle", DD_FAIL, "controls ran 1 lanes");
    make_good(&r);
    r.sphere[2].lanes_as_control = 3; /* it has been a control, and is a worker again */
    must_judge(&r, "controls-idle", DD_FAIL, "sphere 6 (thread 2) ran 3 lanes");
    /* never a worker, and yet it has run lanes */
    make_good(&r);
    r.sphere[1].control = true;
    must_judge(&r, "controls-idle", DD_FAIL, "sphere 0 (thread 1) ran 100 lanes");
    strcpy(r.settings.timetable, "5 spawn 0 4"); /* until it became one */
    must_judge(&r, "controls-idle", DD_PASS, "0 lanes");
}

static void test_segments(void **state)
{
    (void)state;
    record r;
    make_good(&r);
    r.run.end.info.most_segments = 5;
    must_judge(&r, "segments-bound", DD_FAIL, "holds 5 segments, 4 are allowed");
    r.settings.config.lane_depth = 2;
    must_judge(&r, "segments-bound", DD_PASS, "");
    make_good(&r);
    r.sphere[2].segments = 5;
    must_judge(&r, "segments-bound", DD_FAIL, "holds 5 segments");
    make_good(&r);
    r.sphere[2].segments = 4; /* one more than there are */
    must_judge(&r, "segments-bound", DD_FAIL, "all of them hold 8 of 7");
    make_good(&r);
    r.run.end.info.segments_bytes = 7 * r.run.end.info.n_parameters * 4 - 1;
    must_judge(&r, "segments-bound", DD_FAIL, "7 segments take");
    make_good(&r);
    r.run.end.info.segments_bytes += r.run.end.info.n_parameters * 4; /* an eighth, not told */
    must_judge(&r, "segments-bound", DD_FAIL, "7 segments take");
}

/* One gradient, which no worker holds, and a record of vectors for each of the ten lanes. */
static void test_segments_of_owner(void **state)
{
    (void)state;
    record r;
    dd_trainer_info *info = &r.run.end.info;
    make_good(&r);
    r.sphere[1].segments = r.sphere[2].segments = 0;
    info->reduce = DD_REDUCE_OWNER;
    info->n_segments = 1;
    info->most_segments = 0;
    /* a lane of nano: vectors, positions and, for each token that occurs, a row and its number */
    const dd_config *c = &r.settings.config;
    const uint64_t T = c->seq ? c->seq : 64, tokens = (c->batch + 9) / 10 * T;
    const uint64_t rows = tokens < 256 ? tokens : 256;
    info->segments_bytes = 4 * info->n_parameters;
    info->segments_bytes +=
        10 * (sizeof(dd_segment) + 4 * ((13 * 4 + 2 + T) * 128 + rows * 129 + 256));
    const record good = r;
    must_judge(&r, "segments-bound", DD_PASS, "1 segments take");
    r.settings.config.reduce = DD_REDUCE_OWNER; /* asked for, not auto's choice */
    must_judge(&r, "segments-bound", DD_PASS, "1 segments take");
    r.settings.config.reduce = DD_REDUCE_SLICED;
    must_judge(&r, "segments-bound", DD_FAIL, "reduce sliced was asked for, it was owner");
    r = good;
    info->segments_bytes--;
    must_judge(&r, "segments-bound", DD_FAIL, "1 segments take");
    r = good;
    info->segments_bytes++;
    must_judge(&r, "segments-bound", DD_FAIL, "1 segments take");
    r = good;
    info->segments_bytes += 4 * info->n_parameters; /* a second gradient */
    must_judge(&r, "segments-bound", DD_FAIL, "1 segments take");
    r = good;
    info->n_segments = 2;
    must_judge(&r, "segments-bound", DD_FAIL, "of 2, the team owns 1");
    r = good;
    r.sphere[2].segments = 1;
    must_judge(&r, "segments-bound", DD_FAIL, "holds 1 segments, 0 are allowed");
}

/* Twenty steps, of which a storm cut two short: one before its first lane, one after four. */
static void make_stormy(record *r)
{
    make_good(r);
    strcpy(r->settings.storm, "9 seed 1");
    r->run.end.storm = (dd_storm_done){.changes = 3, .stops = 1, .cancels = 1, .cut = 2};
    r->run.end.info.n_changes = 3;
    r->run.end.info.requests = STEPS + 2;
    r->run.end.info.lanes_done += 4;
    r->sphere[1].lanes_done += 4;
    r->sphere[1].lanes_cancelled = 6;
    r->sphere[2].lanes_cancelled = 10;
}

static void test_storm(void **state)
{
    (void)state;
    record r;
    make_stormy(&r);
    must_judge(&r, "lanes-once", DD_PASS, "204 lanes done and 16 cancelled in 22 requests x 10");
    must_judge(&r, "timetable-kept", DD_PASS, "changed 3 times, 3 were due");
    r.run.end.info.n_changes = 2;
    must_judge(&r, "timetable-kept", DD_FAIL, "changed 2 times, 3 were due");
    make_stormy(&r);
    r.sphere[2].lanes_cancelled--; /* a lane that nobody has */
    must_judge(&r, "lanes-once", DD_FAIL, "15 cancelled");
    make_stormy(&r);
    r.run.end.storm.cut = 1; /* a request that nothing explains */
    must_judge(&r, "lanes-once", DD_FAIL, "cut short 1 times");
    make_stormy(&r);
    r.sphere[1].lanes_done -= 5; /* as many as are due, but some of a step that went through */
    r.sphere[1].lanes_cancelled += 5;
    r.run.end.info.lanes_done -= 5;
    must_judge(&r, "lanes-once", DD_FAIL, "199 lanes done");
    make_stormy(&r);
    r.run.end.info.lanes_done++;
    must_judge(&r, "lanes-once", DD_FAIL, "204 lanes done");
}

static void test_timetable(void **state)
{
    (void)state;
    record r;
    make_good(&r);
    r.settings.config.workers = 2;
    r.settings.config.max_workers = 8;
    strcpy(r.settings.timetable, "3 spawn 0 2; 4 checkpoint; 5 terminate 0");
    r.run.end.info.n_changes = 2;
    must_judge(&r, "timetable-kept", DD_PASS, "changed 2 times, 2 were due");
    r.run.end.info.n_changes = 1;
    must_judge(&r, "timetable-kept", DD_FAIL, "changed 1 times, 2 were due");
    r.run.end.info.n_changes = 3;
    must_judge(&r, "timetable-kept", DD_FAIL, "changed 3 times");
    r.run.end.status = DD_ERR_CANCELLED;
    must_judge(&r, "timetable-kept", DD_SKIP, "ended early");
    strcpy(r.settings.timetable, "3 spawn 11 2");
    r.run.end.status = DD_OK;
    must_judge(&r, "timetable-kept", DD_FAIL, "step 3");
}

#define REPORT                                                                                     \
    "dodeca: thread 4183 \"dd-worker-0\" (thread 1, sphere 0) wrote to segment 7 of worker 2 at "  \
    "byte 81920, address 0x7f0011: its protection key forbids it\n"

static void test_guard(void **state)
{
    (void)state;
    static const struct {
        const char *log;
        dd_verdict verdict;
        const char *reason;
    } cases[] = {
        {"noise\n" REPORT "stacks", DD_PASS, "thread 4183"},
        {NULL, DD_FAIL, "no report of the fault: killed by SIGSEGV"},
        {"dodeca: thread 4183 \"x\" wrote to address 0x10: no memory is there\n", DD_FAIL, "4183"},
        /* on a guard page, into its own segment, without a sphere, by page protection */
        {"dodeca: thread 1 \"x\" (thread 1, sphere 0) wrote to guard page at byte 4, address 0x1: "
         "the page forbids it\n",
         DD_FAIL, "guard page"},
        {"dodeca: thread 1 \"x\" (thread 1, sphere 0) wrote to segment 7 of worker 0 at byte 4, "
         "address 0x1: its protection key forbids it\n",
         DD_FAIL, "worker 0"},
        {"dodeca: thread 1 \"x\" wrote to segment 7 of worker 2 at byte 4, address 0x1: its "
         "protection key forbids it\n",
         DD_FAIL, "worker 2"},
        {"dodeca: thread 1 \"x\" (thread 1, sphere 0) wrote to segment 7 of worker 2 at byte 4, "
         "address 0x1: the page forbids it\n",
         DD_FAIL, "page forbids"},
    };
    record r;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char log[512] = "";
        make_good(&r);
        r.settings.plant = DD_PLANT_STRAY_WRITE;
        r.run.outcome = DD_RUN_CRASH;
        strcpy(r.run.reason, "killed by SIGSEGV");
        if (cases[i].log) {
            strcpy(log, cases[i].log);
            r.run.log = log;
        }
        must_judge(&r, "guard-fault", cases[i].verdict, cases[i].reason);
    }
    make_good(&r); /* nobody noticed */
    r.settings.plant = DD_PLANT_STRAY_WRITE;
    must_judge(&r, "guard-fault", DD_FAIL, "went unnoticed: the run ended, all steps done");
    r.run.outcome = DD_RUN_HANG;
    must_judge(&r, "guard-fault", DD_HANG, "no report");
}

/* A planted defect is judged by its own check alone, also where the run did not end. */
static void test_planted(void **state)
{
    (void)state;
    record r;
    dd_check_row row[DD_CHECKS_MAX];
    char log[] = REPORT;
    size_t n;
    make_good(&r);
    r.settings.plant = DD_PLANT_STRAY_WRITE;
    r.run.outcome = DD_RUN_CRASH;
    r.run.log = log;
    assert_int_equal(dd_checks_judge(&r.settings, &r.run, &r.oracle, NULL, row), DD_PASS);
    const dd_check *checks = dd_checks(&n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(row[i].applies, strcmp(checks[i].name, "guard-fault") == 0);
    r.run.log = NULL;
    assert_int_equal(dd_checks_judge(&r.settings, &r.run, &r.oracle, NULL, row), DD_FAIL);
    r.run.outcome = DD_RUN_REFUSED;
    r.run.end.status = DD_ERR_CPU;
    strcpy(r.run.reason, "no keys here");
    assert_int_equal(dd_checks_judge(&r.settings, &r.run, &r.oracle, NULL, row), DD_SKIP);
    assert_string_equal(row[dd_check_named("guard-fault") - checks].reason, "no keys here");
}

/* What a subject does not promise is not asked of it. */
static void test_applies(void **state)
{
    (void)state;
    static const struct {
        dd_subject subject;
        const char *letters;
    } cases[] = {{DD_SUBJECT_DODECA, "hfslzibtcd"},
                 {DD_SUBJECT_ORACLE, "hfscd"},
                 {DD_SUBJECT_LOCKS, "hfelcd"},
                 {DD_SUBJECT_LOCKS_GRADIENT, "hfelcd"}};
    size_t n;
    const dd_check *checks = dd_checks(&n);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        record r;
        char letters[DD_CHECKS_MAX + 1] = "";
        size_t used = 0;
        make_good(&r);
        r.settings.subject = cases[i].subject;
        strcpy(r.settings.timetable, "3 spawn 0 2");
        for (size_t k = 0; k < n; k++)
            if (checks[k].applies(&r.settings))
                letters[used++] = checks[k].letter;
        assert_string_equal(letters, cases[i].letters);
    }
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
        {DD_RUN_NOT_RUN, DD_OK, DD_SKIP},
        {DD_RUN_HANG, DD_OK, DD_HANG},
        {DD_RUN_CRASH, DD_OK, DD_CRASH},
        {DD_RUN_REFUSED, DD_ERR_CPU, DD_SKIP},
        {DD_RUN_REFUSED, DD_ERR_MEMORY, DD_SKIP},
        {DD_RUN_REFUSED, DD_ERR_THREAD, DD_SKIP},
        {DD_RUN_REFUSED, DD_ERR_ARGUMENT, DD_FAIL},
        {DD_RUN_REFUSED, DD_ERR_DATA, DD_FAIL},
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
        assert_int_equal(dd_checks_judge(&r.settings, &r.run, &r.oracle, NULL, row),
                         cases[i].verdict);
        for (size_t k = 0; k < n; k++) {
            if (!row[k].applies)
                continue;
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
        cmocka_unit_test(test_good_passes_all),
        cmocka_unit_test(test_no_hang),
        cmocka_unit_test(test_finite),
        cmocka_unit_test(test_serial),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_lanes),
        cmocka_unit_test(test_node_zero),
        cmocka_unit_test(test_controls),
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_segments_of_owner),
        cmocka_unit_test(test_storm),
        cmocka_unit_test(test_timetable),
        cmocka_unit_test(test_guard),
        cmocka_unit_test(test_planted),
        cmocka_unit_test(test_applies),
        cmocka_unit_test(test_shutdown),
        cmocka_unit_test(test_loss),
        cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_join),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
