/* SPDX-License-Identifier: MIT
 * Soaks: what is drawn, what is kept of rounds, and that planted defects are caught. Two functions
 * of core/ are planted by the linker's --wrap: a fold that is left out now and then, and a collapse
 * that says it was carried out and was not. */
#include "folder_fixture.h"
#include "gradient.h"
#include "soak.h"
#include "soak_report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

/* ---- What is planted ---- */

static bool folds_lost, collapses_lost; /* set before children are forked */

void __real_dd_segment_fold(const dd_kernels *kernels, const dd_layout *layout, dd_segment *into,
                            const dd_segment *from);
void __wrap_dd_segment_fold(const dd_kernels *kernels, const dd_layout *layout, dd_segment *into,
                            const dd_segment *from);
void __wrap_dd_segment_fold(const dd_kernels *kernels, const dd_layout *layout, dd_segment *into,
                            const dd_segment *from)
{
    static atomic_uint calls;
    if (!folds_lost || atomic_fetch_add(&calls, 1) % 64 != 63)
        __real_dd_segment_fold(kernels, layout, into, from);
}

dd_status __real_dd_trainer_terminate(dd_trainer *trainer, const char *sphere, dd_error *error);
dd_status __wrap_dd_trainer_terminate(dd_trainer *trainer, const char *sphere, dd_error *error);
dd_status __wrap_dd_trainer_terminate(dd_trainer *trainer, const char *sphere, dd_error *error)
{
    return collapses_lost ? DD_OK : __real_dd_trainer_terminate(trainer, sphere, error);
}

/* ---- A small soak ---- */

static const char small[] = "name: small\n"
                            "model: L=1,NH=1,C=16,V=64,T=8\n"
                            "batch: 24\n"
                            "lane-depth: 2\n"
                            "steps: 12\n"
                            "lr: 0.01\n"
                            "warmup: 2\n"
                            "draw:\n"
                            "  seed: [1, 2]\n"
                            "  workers: [2..6]\n"
                            "  max-workers: [12]\n"
                            "  barrier: [tree, pthread]\n"
                            "  reduce: [tree, control]\n"
                            "  timetable: [none, random 3..9]\n"
                            "  storm: [none, 10..30]\n"
                            "  perturb: [0, 1..1000]\n";

static dd_scenario *open_text(const char *text)
{
    char message[DD_SCENARIO_MESSAGE_MAX];
    dd_scenario *scenario = NULL;
    put_file("a.yaml", text);
    if (!dd_scenario_open(file_named("a.yaml"), NULL, 0, &scenario, message))
        fail_msg("%s", message);
    return scenario;
}

static void run(const dd_scenario *scenario, uint64_t seed, uint64_t rounds, int stop_fd,
                dd_soak *out)
{
    const dd_soak_options options = {
        .minutes = 1, .rounds = rounds, .seed = seed, .command = "again ", .stop_fd = stop_fd};
    dd_soak_run(scenario, &options, out);
    if (out->message[0])
        fail_msg("%s", out->message);
}

/* ---- Draws ---- */

static void test_draws(void **state)
{
    (void)state;
    dd_scenario *s = open_text(small);
    char message[DD_SCENARIO_MESSAGE_MAX];
    unsigned workers = 0, storms = 0, timetables = 0, seeds = 0, perturbed = 0;
    assert_true(s->draws);
    assert_int_equal(s->n_cells, 0);
    for (uint64_t seed = 0; seed < 200; seed++) {
        static dd_round a, b;
        assert_true(dd_round_draw(s, seed, &a, message));
        assert_true(dd_round_draw(s, seed, &b, message));
        assert_string_equal(a.label, b.label);
        assert_memory_equal(&a.settings, &b.settings, sizeof a.settings);
        assert_in_range(a.settings.config.workers, 2, 6);
        assert_false(a.settings.storm[0] && a.settings.timetable[0]); /* they refuse each other */
        assert_int_equal(a.settings.steps, 12);
        workers |= 1u << a.settings.config.workers;
        seeds |= 1u << a.settings.config.seed;
        storms += a.settings.storm[0] != '\0';
        timetables += a.settings.timetable[0] != '\0';
        perturbed += a.settings.perturb != 0;
        assert_true(a.settings.perturb <= 1000);
        assert_non_null(strstr(a.label, a.shape)); /* the seed is first in the file */
    }
    assert_int_equal(workers, 0x7c); /* every value of the range */
    assert_int_equal(seeds, 6);
    assert_in_range(storms, 40, 90); /* a third: of four combinations one is refused */
    assert_in_range(timetables, 40, 90);
    assert_in_range(perturbed, 70, 130);
    dd_scenario_close(s);
}

static void test_impossible_draws(void **state)
{
    (void)state;
    static dd_round round;
    char message[DD_SCENARIO_MESSAGE_MAX];
    dd_scenario *s = open_text("batch: 4\ndraw:\n  workers: [5..9]\n");
    assert_false(dd_round_draw(s, 1, &round, message));
    assert_non_null(strstr(message, "a.yaml: draw: 1000 draws from its lists were all refused"));
    assert_non_null(strstr(message, "batch 4 fills only 4 lanes"));
    dd_scenario_close(s);
}

/* ---- Rounds ---- */

static void test_rounds_pass(void **state)
{
    (void)state;
    dd_scenario *s = open_text(small);
    dd_soak soak;
    run(s, 1, 14, -1, &soak);
    for (size_t i = 0; i < soak.n_failures; i++)
        for (size_t c = 0; c < DD_CHECKS_MAX; c++)
            if (soak.failure[i].check[c].verdict > DD_SKIP)
                print_message("round %zu: %s: %s\n", i, soak.failure[i].round.label,
                              soak.failure[i].check[c].reason);
    assert_int_equal(dd_soak_verdict(&soak), DD_PASS);
    assert_int_equal(soak.sums.rounds, 14);
    assert_int_equal(soak.sums.passed, 14);
    assert_int_equal(soak.n_failures, 0);
    assert_int_equal(soak.n_rows, 14);
    assert_int_equal(soak.n_groups, 2); /* two seeds of weights: each has its oracle, once */
    assert_int_equal(soak.oracles, 2);
    assert_int_equal(soak.sums.steps, 14 * 12);
    assert_int_equal(soak.group[0].sums.rounds + soak.group[1].sums.rounds, 14);
    assert_true(soak.sums.changes > 0 && soak.sums.storm.pauses > 0 && soak.sums.storm.stops > 0);
    assert_true(soak.sums.storm.checkpoints > 0 && soak.sums.storm.cancels > 0);
    assert_true(soak.sums.perturbations > 0);
    dd_soak_close(&soak);
    dd_scenario_close(s);
}

static bool caught_by(const dd_soak_failure *f, const char *check)
{
    const size_t i = (size_t)(dd_check_named(check) - dd_checks(&(size_t){0}));
    return f->check[i].verdict == DD_FAIL;
}

static void test_lost_fold_is_caught(void **state)
{
    (void)state;
    dd_scenario *s = open_text(small);
    dd_soak soak;
    folds_lost = true;
    run(s, 1, 3, -1, &soak);
    assert_int_equal(dd_soak_verdict(&soak), DD_FAIL);
    assert_int_equal(soak.n_failures, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(caught_by(&soak.failure[i], "serial-equivalence"));
        assert_int_equal(soak.failure[i].round.seed, 1 + i);
    }
    /* The seed that is told repeats the round by itself. */
    dd_soak again;
    run(s, soak.failure[2].round.seed, 1, -1, &again);
    assert_int_equal(again.n_failures, 1);
    assert_string_equal(again.failure[0].round.label, soak.failure[2].round.label);
    folds_lost = false;
    dd_soak_close(&again);
    dd_soak_close(&soak);
    dd_scenario_close(s);
}

static void test_lost_collapse_is_caught(void **state)
{
    (void)state;
    dd_scenario *s = open_text(small);
    dd_soak soak;
    collapses_lost = true;
    run(s, 1, 6, -1, &soak);
    collapses_lost = false;
    bool caught = false;
    for (size_t i = 0; i < soak.n_failures; i++)
        caught = caught || caught_by(&soak.failure[i], "timetable-kept");
    assert_true(caught);
    dd_soak_close(&soak);
    dd_scenario_close(s);
}

static void test_interrupted(void **state)
{
    (void)state;
    dd_scenario *s = open_text(small);
    dd_soak soak;
    const int fd = eventfd(1, EFD_CLOEXEC);
    run(s, 1, 5, fd, &soak);
    assert_true(soak.interrupted);
    assert_int_equal(soak.sums.rounds, 0);
    assert_int_equal(dd_soak_verdict(&soak), DD_SKIP);
    close(fd);
    dd_soak_close(&soak);
    dd_scenario_close(s);
}

/* ---- The report ---- */

/* What a file of the report holds: whether it is these words. */
static bool says(const char *name, const char *words)
{
    char *text = read_file(file_named(name), NULL);
    const bool found = strstr(text, words);
    free(text);
    return found;
}

static void test_report(void **state)
{
    (void)state;
    dd_scenario *s = open_text(small);
    dd_soak soak;
    dd_report report;
    folds_lost = true;
    run(s, 1, 2, -1, &soak);
    folds_lost = false;
    assert_true(dd_report_open_folder(&report, s->name, file_named("out"), false));
    dd_soak_report_write(&report, &soak);
    assert_string_equal(report.failure, "");

    json_t *json = json_load_file(file_named("out/run.json"), 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "kind")), "soak");
    assert_int_equal(json_array_size(json_object_get(json, "rounds")), 2);
    const json_t *sums = json_object_get(json, "sums");
    assert_int_equal(json_integer_value(json_object_get(sums, "steps")), 24);
    assert_int_equal(json_integer_value(json_object_get(sums, "passed")), 0);
    const json_t *failure = json_array_get(json_object_get(json, "failures"), 1);
    assert_string_equal(json_string_value(json_object_get(failure, "again")), "again 2");
    assert_string_equal(json_string_value(json_object_get(failure, "check")), "serial-equivalence");
    json_decref(json);
    assert_true(says("out/soak.md", "again: `again 2`"));
    assert_true(says("out/soak.md", "2 rounds in "));
    assert_true(says("out/junit.xml", "failures=\"2\" errors=\"0\" skipped=\"0\""));
    static const char *const names[] = {"out/run.json", "out/soak.md", "out/junit.xml"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(unlink(file_named(names[i])), 0);
    assert_int_equal(rmdir(file_named("out")), 0); /* nothing else was left there */
    dd_soak_close(&soak);
    dd_scenario_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draws),
        cmocka_unit_test(test_impossible_draws),
        cmocka_unit_test(test_rounds_pass),
        cmocka_unit_test(test_lost_fold_is_caught),
        cmocka_unit_test(test_lost_collapse_is_caught),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_report),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
