/* SPDX-License-Identifier: MIT
 * Plug-ins in cells: what is good passes, and of everything that one can do wrong the cell says so
 * in one line, while the sweep's own process goes on. The wrongs are planted in bad_subject.c. */
#include "cell_body.h"
#include "checks.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define STEPS 8
/* Of runs that are to hang, and of those that are only kept waiting by a busy machine. */
#define STALL_S 0.5
#define PATIENCE_S 20
#define LIBRARY(name) PLUGIN_FOLDER "/libsubject_" name ".so"
#define GOOD LIBRARY("good")

/* ---- Cells ---- */

static dd_settings settings_for(const char *library, const char *does, uint32_t workers,
                                const char *tolerance)
{
    dd_settings s;
    char message[DD_MESSAGE_MAX], text[64], options[64];
    snprintf(text, sizeof text, "%u", workers);
    snprintf(options, sizeof options, "do=%s", does);
    dd_settings_default(&s);
    const char *const given[][2] = {
        {"subject", library},     {"workers", text}, {"subject-options", options},
        {"tolerance", tolerance}, {"repeats", "2"},  {"steps", "8"}};
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        if (!dd_settings_set(&s, given[i][0], given[i][1], message))
            fail_msg("%s", message);
    s.stall_limit_s = PATIENCE_S;
    if (!dd_settings_finish(&s, message))
        fail_msg("%s", message);
    return s;
}

/* A cell with its reference and a repeat before it. */
typedef struct cell {
    dd_settings settings;
    dd_weights_store *store;
    dd_run reference, first, run;
    dd_check_row row[DD_CHECKS_MAX];
    dd_verdict verdict;
    const char *check, *reason; /* the first row with that verdict */
} cell;

static void run_one(const dd_settings *s, dd_weights_store *leave, dd_weights_store *beside,
                    dd_run *out)
{
    dd_cell_run(&(dd_cell_job){.settings = s,
                               .body = dd_cell_body_train,
                               .leave = leave,
                               .beside = beside,
                               .stop_fd = -1},
                out);
}

/* with_others: with the reference and the repeat; else alone. */
static void run_cell(cell *c, const char *library, const char *does, uint32_t workers,
                     const char *tolerance, bool with_others, double stall_limit_s)
{
    *c = (cell){.settings = settings_for(library, does, workers, tolerance),
                .store = dd_weights_store_open()};
    assert_non_null(c->store);
    c->settings.stall_limit_s = stall_limit_s;
    const bool compares = c->settings.tolerance > 0;
    dd_settings alone = c->settings;
    alone.config.workers = 1;
    if (with_others) {
        run_one(&alone, compares ? c->store : NULL, NULL, &c->reference);
        run_one(&c->settings, NULL, NULL, &c->first);
    }
    run_one(&c->settings, NULL, with_others && compares ? c->store : NULL, &c->run);
    c->verdict = dd_checks_judge(&c->settings, &c->run, with_others ? &c->reference : NULL,
                                 c->first.outcome == DD_RUN_ENDED ? &c->first : NULL, c->row);
    size_t n, i = 0;
    const dd_check *checks = dd_checks(&n);
    while (i < n && (!c->row[i].applies || c->row[i].verdict != c->verdict))
        i++;
    c->check = i < n ? checks[i].name : "";
    c->reason = i < n ? c->row[i].reason : "";
}

static void close_cell(cell *c)
{
    dd_run_clear(&c->reference);
    dd_run_clear(&c->first);
    dd_run_clear(&c->run);
    dd_weights_store_close(c->store);
}

static void must_be(const char *library, const char *does, const char *tolerance, bool with_others,
                    dd_verdict verdict, const char *check, const char *reason)
{
    cell c;
    run_cell(&c, library, does, 2, tolerance, with_others,
             verdict == DD_HANG || strcmp(does, "alive") == 0 ? STALL_S : PATIENCE_S);
    if (c.verdict != verdict || (check && strcmp(c.check, check) != 0) ||
        !strstr(c.reason, reason) || strchr(c.reason, '\n'))
        fail_msg("%s, do=%s: %s by %s, \"%s\"; expected %s by %s, \"%s\"\n%s", library, does,
                 dd_verdict_name(c.verdict), c.check, c.reason, dd_verdict_name(verdict),
                 check ? check : "any", reason, c.run.log ? c.run.log : "");
    close_cell(&c);
}

/* ---- Tests ---- */

static void test_good(void **state)
{
    (void)state;
    for (uint32_t workers = 1; workers <= 3; workers += 2) {
        cell c;
        run_cell(&c, GOOD, "good", workers, "0", true, PATIENCE_S);
        if (c.verdict != DD_PASS)
            fail_msg("%s: %s", c.check, c.reason);
        size_t n;
        const dd_check *checks = dd_checks(&n);
        char applied[DD_CHECKS_MAX + 1] = "";
        for (size_t i = 0, k = 0; i < n; i++) {
            assert_int_equal(c.row[i].verdict, c.row[i].applies ? DD_PASS : DD_SKIP);
            if (c.row[i].applies)
                applied[k++] = checks[i].letter;
        }
        assert_string_equal(applied, "hforcd");
        assert_int_equal(c.run.n_steps, STEPS);
        assert_int_equal(c.run.end.info.workers, workers);
        assert_int_equal(c.run.end.own.n, 8);
        assert_string_equal(c.run.end.kernels, "bad, if told so");
        assert_string_equal(c.run.end.hash, c.reference.end.hash);
        close_cell(&c);
    }
    must_be(GOOD, "good", "1e-6", true, DD_PASS, NULL, "");
    must_be(LIBRARY("older"), "good", "0", true, DD_PASS, NULL, "");
}

/* Its own runs, held against one another. */
static void test_own_runs(void **state)
{
    (void)state;
    must_be(GOOD, "near", "0", true, DD_FAIL, "own-equivalence", "all 8 losses agree");
    must_be(GOOD, "near", "1e-5", true, DD_PASS, NULL, "");
    must_be(GOOD, "far", "1e-3", true, DD_FAIL, "own-tolerance", "weight piece 1[1] is 0.08");
    must_be(GOOD, "far", "0.2", true, DD_PASS, NULL, "");
    must_be(GOOD, "loss-far", "0", true, DD_FAIL, "own-equivalence", "differs first at step 2");
    must_be(GOOD, "loss-far", "1e-5", true, DD_FAIL, "own-tolerance", "too far first at step 2");
    must_be(GOOD, "random", "0", true, DD_FAIL, "own-equivalence", "weights ");
    must_be(GOOD, "unlike", "0.1", true, DD_FAIL, "own-tolerance",
            "piece 0 of the weights is w, 7 F32, the reference's first, 4 F32");
    must_be(GOOD, "bytes", "1", true, DD_FAIL, "own-tolerance", "weight bytes[1] is inf apart");
    /* Without anything to compare with, nothing is said to be equal. */
    must_be(GOOD, "good", "0", false, DD_PASS, NULL, "");
    cell c;
    run_cell(&c, GOOD, "random", 1, "0", true, PATIENCE_S);
    for (size_t i = 0; i < DD_CHECKS_MAX; i++)
        if (c.row[i].applies && dd_checks(&(size_t){0})[i].kind == DD_CHECK_BESIDE_FIRST)
            assert_true(c.row[i].verdict == DD_FAIL &&
                        strstr(c.row[i].reason, "the first repeat "));
    close_cell(&c);
    run_cell(&c, GOOD, "far", 2, "0.001", true, PATIENCE_S);
    c.run.end.own = (dd_own_weights){.n = 8, .compared = true, .distance = 1e-9};
    c.run.end.own.compared = false; /* a tolerance that was applied to nothing */
    assert_int_equal(dd_checks_judge(&c.settings, &c.run, &c.reference, NULL, c.row), DD_FAIL);
    close_cell(&c);
}

static void test_not_finite(void **state)
{
    (void)state;
    must_be(GOOD, "nan-loss", "0", false, DD_FAIL, "finite-gradients", "step 3: loss nan");
    must_be(GOOD, "no-loss", "0", false, DD_FAIL, "finite-gradients", "step 0: loss nan");
    must_be(GOOD, "infinite-norm", "0", false, DD_FAIL, "finite-gradients", "norm inf");
    must_be(GOOD, "nan-weight", "0", false, DD_FAIL, "finite-gradients",
            "1 of the 8 final weights are not finite, piece 1[2] the first");
    must_be(GOOD, "nan-weight", "0.5", true, DD_FAIL, "finite-gradients", "piece 1[2]");
    must_be(GOOD, "loss-stays", "0", false, DD_FAIL, "loss-falls", "mean loss");
}

/* cmocka's, which children would inherit. */
static void forget_handlers(void)
{
    signal(SIGSEGV, SIG_DFL);
    signal(SIGABRT, SIG_DFL);
}

static void test_hangs_and_crashes(void **state)
{
    (void)state;
    forget_handlers();
    must_be(GOOD, "hang", "0", false, DD_HANG, NULL, "no progress for 0.5 s in a step, after 4");
    must_be(LIBRARY("older"), "hang", "0", false, DD_HANG, NULL, "in a step of the plug-in");
    must_be(GOOD, "spin", "0", false, DD_HANG, NULL, "in a step, after 4 steps");
    must_be(GOOD, "alive", "0", false, DD_PASS, NULL, ""); /* slow, but its heart beats */
    must_be(GOOD, "open-hang", "0", false, DD_HANG, NULL, "opening the trainer");
    must_be(GOOD, "close-hang", "0", false, DD_HANG, NULL, "closing the trainer");
    must_be(LIBRARY("destructor_hangs"), "good", "0", false, DD_HANG, NULL, "after closing");
    must_be(GOOD, "crash", "0", false, DD_CRASH, NULL, "SIGSEGV at address 0x0");
    must_be(GOOD, "abort", "0", false, DD_CRASH, NULL, "SIGABRT");
    must_be(GOOD, "exit-0", "0", false, DD_CRASH, NULL, "it left without its final record");
    must_be(GOOD, "exit-3", "0", false, DD_CRASH, NULL, "exit status 3 without");
    must_be(GOOD, "scribble", "0", false, DD_CRASH, NULL, "cannot be believed");
    must_be(GOOD, "close-all", "0", false, DD_CRASH, NULL, "without its final record");
    /* CPU time is progress where there is no heartbeat, but not for ever. */
    cell spinning;
    run_cell(&spinning, LIBRARY("older"), "spin", 2, "0", false, 0.1);
    assert_int_equal(spinning.verdict, DD_HANG);
    assert_true(spinning.run.wall_ns > 1000000000u / 2);
    close_cell(&spinning);
    /* Into a frame that is gone: what comes of it is open, but for its being no PASS. */
    cell c;
    run_cell(&c, GOOD, "longjmp", 2, "0", false, 2);
    assert_true(c.verdict > DD_SKIP && c.reason[0]);
    close_cell(&c);
}

static void test_leaks(void **state)
{
    (void)state;
    must_be(GOOD, "leak-thread", "0", false, DD_FAIL, "clean-shutdown", "1 threads");
    must_be(GOOD, "leak-file", "0", false, DD_FAIL, "clean-shutdown", "-> /dev/null");
    must_be(GOOD, "leak-process", "0", false, DD_FAIL, "clean-shutdown", "1 processes");
    must_be(GOOD, "print", "0", false, DD_PASS, NULL, "");
    must_be(GOOD, "flood", "0", false, DD_PASS, NULL, "");
}

/* What a plug-in says is wrong is told in its words, on one line. */
static void test_refusals(void **state)
{
    (void)state;
    must_be(GOOD, "open-lacks", "0", false, DD_SKIP, NULL, "DD_ERR_MEMORY: open: no?room");
    must_be(GOOD, "open-silent", "0", false, DD_FAIL, NULL, "open: failed and said nothing");
    must_be(GOOD, "open-unterminated", "0", false, DD_FAIL, NULL, "open: xxxxxxxx");
    must_be(GOOD, "open-null", "0", false, DD_FAIL, NULL, "left *self NULL");
    must_be(GOOD, "step-fails", "0", false, DD_FAIL, NULL, "step 4: sample 12 is no sample");
    must_be(GOOD, "no-weights", "0", false, DD_FAIL, NULL, "not one element was handed over");
    must_be(GOOD, "unknown-type", "0", false, DD_FAIL, NULL, "piece 0 is of type 77");
    must_be(GOOD, "null-weights", "0", false, DD_FAIL, NULL, "has 8 elements at NULL");
    dd_settings s = settings_for(GOOD, "good", 1, "0");
    dd_run run;
    strcpy(s.subject_options, "did=good");
    run_one(&s, NULL, NULL, &run);
    assert_int_equal(run.outcome, DD_RUN_REFUSED);
    assert_string_equal(run.reason, "DD_ERR_REFUSED: open: subject-options did: there is only do");
    dd_run_clear(&run);
}

/* What is seen before a trainer could be opened. */
static void test_probe(void **state)
{
    (void)state;
    forget_handlers();
    static const struct {
        const char *library, *reason;
        dd_outcome outcome;
    } cases[] = {
        {GOOD, "", DD_RUN_REFUSED},
        {LIBRARY("not_there"), "cannot be loaded: cannot open shared object file", DD_RUN_REFUSED},
        {__FILE__, "cannot be loaded: ", DD_RUN_REFUSED}, /* no library */
        {LIBRARY("no_symbol"), "exports no dd_subject_v1", DD_RUN_REFUSED},
        {LIBRARY("no_table"), "gave no table", DD_RUN_REFUSED},
        {LIBRARY("abi"), "is of ABI 7, this program's is 1", DD_RUN_REFUSED},
        {LIBRARY("size"), "has 16 bytes, at least ", DD_RUN_REFUSED},
        {LIBRARY("no_step"), "has no step: open, step,", DD_RUN_REFUSED},
        {LIBRARY("constructor_crashes"), "loading the plug-in", DD_RUN_CRASH},
        {LIBRARY("constructor_hangs"), "loading the plug-in", DD_RUN_HANG},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        dd_settings s = settings_for(cases[i].library, "good", 1, "0");
        dd_run run;
        if (cases[i].outcome == DD_RUN_HANG)
            s.stall_limit_s = STALL_S;
        dd_cell_run(&(dd_cell_job){.settings = &s, .body = dd_cell_body_probe, .stop_fd = -1},
                    &run);
        if (run.outcome != cases[i].outcome || !strstr(run.reason, cases[i].reason) ||
            (run.end.status == DD_OK) != (i == 0 || cases[i].outcome != DD_RUN_REFUSED))
            fail_msg("%s: %s, \"%s\"", cases[i].library, dd_outcome_name(run.outcome), run.reason);
        dd_run_clear(&run);
    }
}

/* Settings that a plug-in is not told of are refused, and so are its own for anybody else. */
static void test_settings(void **state)
{
    (void)state;
    static const char *const wrong[][3] = {
        {"depth", "2", "depth 2: a plug-in is not told of it"},
        {"steal", "true", "steal true: a plug-in"},
        {"model", "micro", "model micro: a plug-in"},
        {"lr", "0.5", "lr 0.5: a plug-in"},
        {"simd", "off", "simd off: a plug-in"},
        {"hog", "1", "hog 1: a plug-in"},
    };
    char message[DD_MESSAGE_MAX];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        dd_settings s = settings_for(GOOD, "good", 2, "0");
        assert_true(dd_settings_set(&s, wrong[i][0], wrong[i][1], message));
        assert_false(dd_settings_finish(&s, message));
        if (!strstr(message, wrong[i][2]))
            fail_msg("\"%s\" instead of \"%s\"", message, wrong[i][2]);
    }
    dd_settings s = settings_for(GOOD, "good", 2, "0");
    assert_true(dd_settings_finish(&s, message)); /* once more, as nothing was filled in */
    assert_true(dd_settings_set(&s, "batch", "16777215", message)); /* samples, not tokens */
    assert_true(dd_settings_finish(&s, message));
    static const char *const only[][2] = {{"subject-options", "a=1"}, {"tolerance", "0.1"}};
    for (size_t i = 0; i < 2; i++) {
        dd_settings_default(&s);
        assert_true(dd_settings_set(&s, only[i][0], only[i][1], message));
        assert_false(dd_settings_finish(&s, message));
        assert_non_null(strstr(message, "only a subject that is a file"));
    }
    char value[DD_SPEC_MAX];
    assert_true(dd_settings_set(&s, "subject", "mine.so", message));
    assert_int_equal(s.subject, DD_SUBJECT_PLUGIN);
    dd_settings_get(&s, "subject", value);
    assert_string_equal(value, "mine.so");
    assert_true(dd_settings_set(&s, "subject", "locks", message));
    assert_string_equal(s.plugin, "");
    assert_false(dd_settings_set(&s, "subject", "mine", message));
    assert_non_null(strstr(message, "and takes a file such as ./libmine.so"));
    static const char *const bad[] = {"a", "=1", "a=1,", "a=1,,b=2", "a=1,a=2", ",a=1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(dd_settings_set(&s, "subject-options", bad[i], message));
    assert_true(dd_settings_set(&s, "subject-options", "a=,b=x=y,c=1", message));
    assert_true(dd_settings_set(&s, "subject-options", "", message));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),     cmocka_unit_test(test_own_runs),
        cmocka_unit_test(test_settings), cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_leaks),    cmocka_unit_test(test_hangs_and_crashes),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_probe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
