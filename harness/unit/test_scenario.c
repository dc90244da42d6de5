/* SPDX-License-Identifier: MIT
 * Scenario files: order of cells, labels, overrides, and for every fault one line with file, line
 * and what is right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "folder_fixture.h"
#include "scenario.h"

static const char *file(void)
{
    return file_named("a.yaml");
}

static bool open_text(const char *text, size_t bytes, const char *const *sets, size_t n_sets,
                      dd_scenario **out, char *message)
{
    write_file(file(), text, bytes);
    return dd_scenario_open(file(), sets, n_sets, out, message);
}

static void test_cells_in_file_order(void **state)
{
    (void)state;
    static const char text[] = "# a comment\n"
                               "name: some-name_1.2\n"
                               "about: >\n  two\n  lines\n"
                               "steps: 5\n"
                               "sweep:\n"
                               "  workers: [1, 4]\n"
                               "  simd:\n    - off\n    - auto\n"
                               "  barrier: [tree]\n";
    static const char *const labels[] = {
        "workers=1 simd=off barrier=tree", "workers=1 simd=auto barrier=tree",
        "workers=4 simd=off barrier=tree", "workers=4 simd=auto barrier=tree"};
    char message[DD_SCENARIO_MESSAGE_MAX];
    dd_scenario *s = NULL;
    if (!open_text(text, sizeof text - 1, NULL, 0, &s, message))
        fail_msg("%s", message);
    assert_string_equal(s->name, "some-name_1.2");
    assert_string_equal(s->about, "two lines");
    assert_string_equal(s->file, file());
    assert_int_equal(s->n_swept, 3);
    assert_string_equal(s->swept[0]->name, "workers");
    assert_string_equal(s->swept[2]->name, "barrier");
    assert_int_equal(s->n_cells, 4);
    for (size_t c = 0; c < 4; c++) {
        assert_string_equal(s->cells[c].label, labels[c]);
        assert_int_equal(s->cells[c].settings.config.workers, c < 2 ? 1 : 4);
        assert_int_equal(s->cells[c].settings.config.simd, c % 2 ? DD_SIMD_AUTO : DD_SIMD_OFF);
        assert_int_equal(s->cells[c].settings.config.horizon, 5);
        assert_int_equal(s->cells[c].settings.config.seq, 64);
    }
    assert_string_equal(s->cells[2].values[0], "4");
    assert_string_equal(s->cells[2].values[1], "off");
    dd_scenario_close(s);
}

static void test_blocks_follow_one_another(void **state)
{
    (void)state;
    static const char text[] = "batch: 24\n"
                               "workers: 3\n"
                               "sweep:\n"
                               "- workers: [1, 2]\n"
                               "  simd: [off, auto]\n"
                               "- depth: [2]\n"
                               "  lane-depth: [2]\n"
                               "  workers: [13, 24]\n"
                               "- simd: [auto]\n"
                               "  workers: [2, 4]\n" /* the first is there already */
                               "- seq: [64]\n";      /* the base, its default written out */
    static const struct {
        const char *label;
        uint32_t workers, depth;
    } right[] = {
        {"workers=1 simd=off", 1, 1},
        {"workers=1 simd=auto", 1, 1},
        {"workers=2 simd=off", 2, 1},
        {"workers=2 simd=auto", 2, 1},
        {"depth=2 lane-depth=2 workers=13", 13, 2},
        {"depth=2 lane-depth=2 workers=24", 24, 2},
        {"simd=auto workers=4", 4, 1},
        {"seq=64", 3, 1},
    };
    char message[DD_SCENARIO_MESSAGE_MAX];
    dd_scenario *s = NULL;
    if (!open_text(text, sizeof text - 1, NULL, 0, &s, message))
        fail_msg("%s", message);
    assert_int_equal(s->n_swept, 5);
    assert_string_equal(s->swept[0]->name, "workers");
    assert_string_equal(s->swept[4]->name, "seq");
    assert_int_equal(s->n_cells, sizeof right / sizeof right[0]);
    for (size_t c = 0; c < s->n_cells; c++) {
        assert_string_equal(s->cells[c].label, right[c].label);
        assert_int_equal(s->cells[c].settings.config.workers, right[c].workers);
        assert_int_equal(s->cells[c].settings.config.depth, right[c].depth);
        assert_int_equal(s->cells[c].settings.config.batch, 24);
    }
    assert_string_equal(s->cells[7].values[0], "3");
    assert_string_equal(s->cells[0].values[2], "1"); /* the default */
    assert_string_equal(s->cells[5].values[2], "2");
    assert_string_equal(s->cells[5].values[4], "64");
    dd_scenario_close(s);

    static const char *const sets[] = {"workers=2", "depth=2"}; /* takes a key out of all blocks */
    assert_true(open_text(text, sizeof text - 1, sets, 2, &s, message));
    assert_int_equal(s->n_swept, 3);
    assert_int_equal(s->n_cells, 3); /* off, auto; lane-depth 2; the others are known */
    assert_string_equal(s->cells[2].label, "lane-depth=2");
    dd_scenario_close(s);
}

/* In a product with the number of workers, the oracle is one cell; locks know no barrier. */
static void test_what_means_nothing_multiplies_nothing(void **state)
{
    (void)state;
    static const char text[] = "sweep:\n"
                               "- subject: [dodeca, locks, oracle]\n"
                               "  barrier: [tree, pthread]\n"
                               "  workers: [1, 2]\n"
                               "- subject: [oracle]\n"
                               "  simd: [off]\n";
    static const char *const labels[] = {"subject=dodeca barrier=tree workers=1",
                                         "subject=dodeca barrier=tree workers=2",
                                         "subject=dodeca barrier=pthread workers=1",
                                         "subject=dodeca barrier=pthread workers=2",
                                         "subject=locks workers=1",
                                         "subject=locks workers=2",
                                         "subject=oracle"};
    char message[DD_SCENARIO_MESSAGE_MAX];
    dd_scenario *s = NULL;
    if (!open_text(text, sizeof text - 1, NULL, 0, &s, message))
        fail_msg("%s", message);
    assert_int_equal(s->n_cells, sizeof labels / sizeof labels[0]);
    for (size_t c = 0; c < s->n_cells; c++)
        assert_string_equal(s->cells[c].label, labels[c]);
    dd_scenario_close(s);
}

static void test_no_sweep_is_one_cell(void **state)
{
    (void)state;
    char message[DD_SCENARIO_MESSAGE_MAX];
    dd_scenario *s = NULL;
    static const char text[] = "{model: nano, batch: 24}";
    assert_true(open_text(text, sizeof text - 1, NULL, 0, &s, message));
    assert_string_equal(s->name, "a"); /* of the file */
    assert_string_equal(s->about, "");
    assert_int_equal(s->n_cells, 1);
    assert_string_equal(s->cells[0].label, "");
    assert_int_equal(s->cells[0].settings.config.batch, 24);
    dd_scenario_close(s);
}

static void test_set_replaces_value_and_list(void **state)
{
    (void)state;
    static const char text[] = "batch: 12\nsweep: {workers: [1, 2], simd: [off, auto]}\n";
    static const char *const sets[] = {"batch=24", "workers=3", "data=bytes:/a=b"};
    char message[DD_SCENARIO_MESSAGE_MAX];
    dd_scenario *s = NULL;
    assert_true(open_text(text, sizeof text - 1, sets, 3, &s, message));
    assert_int_equal(s->n_cells, 2);
    assert_int_equal(s->n_swept, 1);
    assert_string_equal(s->cells[1].label, "simd=auto");
    assert_int_equal(s->cells[1].settings.config.workers, 3);
    assert_int_equal(s->cells[1].settings.config.batch, 24);
    assert_string_equal(s->cells[1].settings.data, "bytes:/a=b");
    dd_scenario_close(s);

    static const char *const bad[][2] = {{"workers", "must be KEY=VALUE"},
                                         {"workrs=1", "did you mean \"workers\""},
                                         {"workers=x", "whole number"},
                                         {"workers=", "whole number"},
                                         {"=3", "unknown key"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(open_text(text, sizeof text - 1, bad[i], 1, &s, message));
        assert_null(s);
        if (!strstr(message, bad[i][1]) || !strstr(message, "--set"))
            fail_msg("%s: \"%s\"", bad[i][0], message);
    }
}

static void test_faults_have_a_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned line; /* 0: none */
        const char *message;
    } bad[] = {
        {"model: nano\nworkrs: 2\n", 2,
         "unknown key \"workrs\", did you mean \"workers\"; allowed here: name about data"},
        {"model: nano\nsweep:\n  workers: [1]\n  smid: [off]\n", 4,
         "did you mean \"simd\"; allowed under sweep:"},
        {"model: nano\n\nbatch: many\n", 3, "batch \"many\": must be a whole number from 1"},
        {"batch: -4\n", 1, "whole number from 1"},
        {"batch: 1.5\n", 1, "whole number from 1"},
        {"batch:\n", 1, "whole number from 1"},
        {"lr: fast\n", 1, "must be a number from"},
        {"model: nano\nsimd: sse2\n", 2, "this build has auto, off, avx2, avx512, neon"},
        {"depth: 4\n", 1, "from 1 to 3 or auto"},
        {"workers: 13\n", 1, "depth 1 holds 12; depth 2 holds 144"},
        {"steps: 9\ntimetable: 9 rebalance\n", 2, "the run's last step is 8"},
        {"timetable: soon\n", 1, "begins with the number of a step"},
        {"model: nano,C=130\n", 1, "C must be a multiple of NH"},
        {"sweep:\n  workers:\n  - 1\n  - 2\n  - x\n", 5,
         "sweep: workers \"x\": must be a whole number"},
        {"batch: \"4\\n5\"\n", 1, "batch \"4?5\": must be"},
        {"\"a\\nb\": 3\n", 1, "unknown key \"a?b\""},
        {"sweep:\n  workers: [1, 13]\n", 2, "depth 1 holds 12"},
        {"sweep:\n  workers: [1, 1729]\n", 2, "from 0 to 1728"},
        {"model: nano\nworkers: [1, 2]\n", 2, "a list goes under sweep:"},
        {"model: {a: b}\n", 1, "must be a single value"},
        {"sweep:\n  workers: 2\n", 2, "sweep.workers: must be a list"},
        {"sweep:\n  workers: [[1], 2]\n", 2, "sweep.workers: must be a list of single values"},
        {"sweep:\n  workers: {a: 1}\n", 2, "sweep.workers: must be a list"},
        {"sweep:\n  workers: []\n", 2, "the list is empty"},
        {"sweep: 3\n", 1, "must hold keys with lists"},
        {"sweep:\n", 1, "must hold keys with lists"},
        {"sweep: [1]\n", 1, "or be a list of blocks"},
        {"sweep: []\n", 1, "or be a list of blocks"},
        {"sweep: [[1]]\n", 1, "or be a list of blocks"},
        {"model: nano\nsweep: {}\n", 2, "sweep: must hold keys with lists"},
        {"sweep: [{}]\n", 1, "or be a list of blocks that do"},
        {"sweep:\n- workers: [1]\n- {}\n", 1, "must hold keys with lists"},
        {"sweep:\n- workers: [1]\n- workers: 2\n", 3, "sweep.workers: must be a list"},
        {"sweep:\n- workers: [1]\n- workers: []\n", 3, "the list is empty"},
        {"sweep:\n- workers: [1]\n- workrs: [2]\n", 3, "did you mean \"workers\""},
        {"sweep:\n- workers: [1]\n- workers: [2, x]\n", 3, "sweep: workers \"x\""},
        {"sweep:\n- workers: [1]\n- seed: [2]\n  workers: [2]\n  seed: [3]\n", 5,
         "key \"seed\" again; line 3"},
        {"sweep:\n- workers: [1]\n- repeats: [2]\n", 3, "cannot be swept"},
        {"batch: 4\nsweep:\n- workers: [1]\n- seed: [1, 2]\n  workers: [5]\n", 5,
         "workers 5: batch 4 fills only 4 lanes; take batch >= 5, workers <= 4 or allow-idle (cell "
         "seed=1 workers=5)"},
        {"workers: 5\nbatch: 5\nsweep:\n- seed: [1]\n- batch: [4]\n", 1, "(cell batch=4)"},
        {"seed: 1\nsweep:\n- seed: [2]\n- seed: [3]\n", 4, "line 1 already gives it one value"},
        {"sweep:\n  workers: [1, 2, 1]\n", 2, "listed twice"},
        {"sweep:\n  repeats: [1, 2]\n", 2, "cannot be swept"},
        {"workers: 2\nsweep:\n  workers: [1, 2]\n", 3, "line 1 already gives it one value"},
        {"batch: 4\nseed: 1\nbatch: 4\n", 3, "key \"batch\" again; line 1"},
        {"sweep:\n  workers: [1]\n  workers: [2]\n", 3, "key \"workers\" again; line 2"},
        {"draw:\n  workers: [1..3, 4]\n  smid: [off]\n", 3, "allowed under draw:"},
        {"draw:\n  workers: [3..1]\n", 2, "draw: workers \"3..1\": a range is two whole numbers"},
        {"draw:\n  workers: [1..1729]\n", 2, "draw: workers \"1729\": must be"},
        {"draw:\n  simd: [auto, 1..3]\n", 2, "draw: simd \"1..3\": this build has"},
        {"draw:\n  storm: [0]\n", 2, "none, or 1 command or more"},
        {"draw:\n  storm: [seed 3]\n", 2, "such as \"40 seed 7\""},
        {"draw:\n  timetable: [random many]\n", 2, "random"},
        {"draw:\n  workers: 3\n", 2, "draw.workers: must be a list"},
        {"draw:\n  workers: []\n", 2, "draw.workers: the list is empty"},
        {"draw: {}\n", 1, "draw: must hold keys with lists"},
        {"draw: 3\n", 1, "draw: must hold keys with lists"},
        {"workers: 2\ndraw:\n  workers: [1, 2]\n", 3, "line 1 already gives it one value"},
        {"sweep:\n  workers: [1]\ndraw:\n  seed: [1]\n", 3, "sweeps its lists or draws from them"},
        {"name: a\nname: b\n", 2, "again"},
        {"name: a/b\n", 1, "letters, digits"},
        {"name: ''\n", 1, "letters, digits"},
        {"name: ..\n", 1, "letters, digits"},
        {"batch: 4\nworkers: 8\n", 2, "take batch >= 8"},
        {"batch: 4\nsweep:\n  workers: [1,\n    8]\n", 3, "(cell workers=8)"},
        {"model: nano\nwarmup: 9\nsteps: 8\n", 2, "at most the 8 steps"},
        {"seq: 100\n", 1, "take seq <= 64"},
        {"repeats: 3\nrepeats-max: 12\n", 2, "asks for, and there is none; add one, such as"},
        {"minutes-max: 5\nsweep:\n  workers: [1, 2]\n", 1, "or leave minutes-max out"},
        {"batch: 4\n\tseed: 2\n", 2, "spaces, never with tabs"},
        {"batch: 4\nsweep:\n\tworkers: [1]\n", 3, "spaces, never with tabs"},
        {"batch: [1\n", 2, "not YAML"},
        {"batch: &x 4\nworkers: *x\n", 2, "an alias"},
        {"batch: 4\n---\nbatch: 5\n", 2, "a second document"},
        {"[1, 2]\n", 1, "a scenario is a mapping"},
        {"hello\n", 1, "a scenario is a mapping"},
        {"? [a]\n: b\n", 1, "plain word"},
        {"sweep: {a: {b: {c: {d: {e: {f: {g: {h: {i: 1}}}}}}}}}\n", 1, "nested deeper"},
        {"", 0, "empty"},
        {"# nothing\n", 0, "empty"},
        {"---\n", 0, "empty"},
        {"a\x01: b\n", 0, "not YAML: control characters are not allowed"},
        {"a\xff: b\n", 0, "not YAML"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char message[DD_SCENARIO_MESSAGE_MAX] = "", where[200];
        dd_scenario *s = NULL;
        if (open_text(bad[i].text, strlen(bad[i].text), NULL, 0, &s, message))
            fail_msg("accepted: %s", bad[i].text);
        assert_null(s);
        (void)snprintf(where, sizeof where, bad[i].line ? "%s:%u: " : "%s: ", file(), bad[i].line);
        if (strncmp(message, where, strlen(where)) != 0 || !strstr(message, bad[i].message) ||
            strchr(message, '\n'))
            fail_msg("%s gives \"%s\", not line %u \"%s\"", bad[i].text, message, bad[i].line,
                     bad[i].message);
    }
}

/* What --set gives or takes away counts as the file's own; 0 says that no interval is wanted. */
static void test_bounds_of_repeats(void **state)
{
    (void)state;
    static const char text[] = "repeats: 3\ninterval: 0.03\nrepeats-max: 12\nminutes-max: 5\n";
    static const char *const none[] = {"interval=0"}, *const late[] = {"minutes-max=5"},
                             *const both[] = {"minutes-max=5", "interval=0.1"};
    char message[DD_SCENARIO_MESSAGE_MAX] = "";
    dd_scenario *s = NULL;
    assert_true(open_text(text, sizeof text - 1, NULL, 0, &s, message));
    dd_scenario_close(s);
    assert_true(open_text(text, sizeof text - 1, none, 1, &s, message));
    assert_int_equal(s->cells[0].settings.repeats, 3);
    dd_scenario_close(s);
    assert_false(open_text("repeats: 3\n", 11, late, 1, &s, message));
    assert_non_null(strstr(message, "a.yaml: minutes-max 5: bounds the repeats that \"interval\""));
    assert_true(open_text("repeats: 3\n", 11, both, 2, &s, message));
    dd_scenario_close(s);
}

static void test_explosion_is_refused(void **state)
{
    (void)state;
    char text[20000] = "sweep:\n", message[DD_SCENARIO_MESSAGE_MAX];
    static const char *const keys[] = {"seed", "steps", "warmup"};
    for (size_t k = 0; k < 3; k++) {
        sprintf(text + strlen(text), "  %s: [1", keys[k]);
        for (int i = 2; i <= 50; i++)
            sprintf(text + strlen(text), ", %d", i);
        strcat(text, "]\n");
    }
    dd_scenario *s = NULL;
    assert_false(open_text(text, strlen(text), NULL, 0, &s, message)); /* 125,000 cells */
    assert_non_null(strstr(message, "a.yaml:1: "));
    assert_non_null(strstr(message, "more than 10000 cells"));

    char *list = malloc(1 << 19);
    assert_non_null(list);
    size_t used = (size_t)sprintf(list, "sweep:\n  seed: [0");
    for (int i = 1; i <= 10000; i++)
        used += (size_t)sprintf(list + used, ", %d", i);
    used += (size_t)sprintf(list + used, "]\n");
    assert_false(open_text(list, used, NULL, 0, &s, message));
    assert_non_null(strstr(message, "more than 10000 values"));
    free(list);
}

static void test_unreadable_files(void **state)
{
    (void)state;
    char message[DD_SCENARIO_MESSAGE_MAX];
    dd_scenario *s = NULL;
    assert_false(dd_scenario_open("/nowhere/x.yaml", NULL, 0, &s, message));
    assert_string_equal(message, "/nowhere/x.yaml: cannot be read: No such file or directory");
    assert_false(dd_scenario_open(folder, NULL, 0, &s, message));
    assert_non_null(strstr(message, "cannot be read: Is a directory"));
    assert_false(dd_scenario_open("/dev/zero", NULL, 0, &s, message));
    assert_non_null(strstr(message, "larger than 1 MiB"));
    dd_scenario_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cells_in_file_order),
        cmocka_unit_test(test_blocks_follow_one_another),
        cmocka_unit_test(test_what_means_nothing_multiplies_nothing),
        cmocka_unit_test(test_no_sweep_is_one_cell),
        cmocka_unit_test(test_set_replaces_value_and_list),
        cmocka_unit_test(test_faults_have_a_line),
        cmocka_unit_test(test_bounds_of_repeats),
        cmocka_unit_test(test_explosion_is_refused),
        cmocka_unit_test(test_unreadable_files),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
