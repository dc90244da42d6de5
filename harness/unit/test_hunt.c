/* SPDX-License-Identifier: MIT
 * Whole hunts, in a tree of a few lines that stands in for the project: a "trainer" whose weights
 * are what core/sync/word.c computes. Copying, planting, building, judging, restoring and resuming
 * are the runner's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "files.h"
#include "folder_fixture.h"
#include "matrix.h"
#include "mirror.h"

static const char word_c[] = "#define DD_RELAXED 0\n"
                             "#define DD_RELEASE 1\n"
                             "#define dd_u32_store(word, value, order) (*(word) = (value), order)\n"
                             "unsigned dd_word(void);\n"
                             "unsigned dd_word(void)\n"
                             "{\n"
                             "    unsigned word = 0;\n"
                             "    (void)0;\n"
                             "    dd_u32_store(&word, 10, DD_RELEASE);\n"
                             "    return word;\n"
                             "}\n";

static const struct {
    const char *name, *text;
} tree[] = {
    {"CMakeLists.txt",
     "cmake_minimum_required(VERSION 3.22)\nproject(mini C)\n"
     "add_executable(dodeca_program main.c core/sync/word.c)\n"
     "set_target_properties(dodeca_program PROPERTIES OUTPUT_NAME dodeca RUNTIME_OUTPUT_DIRECTORY "
     "${PROJECT_BINARY_DIR})\n"
     "add_executable(test_word harness/unit/test_word.c core/sync/word.c)\n"
     "set_target_properties(test_word PROPERTIES RUNTIME_OUTPUT_DIRECTORY "
     "${PROJECT_BINARY_DIR}/harness/unit)\n"},
    {"main.c",
     "#include <stdio.h>\n#include <string.h>\nunsigned dd_word(void);\n"
     "int main(int argc, char **argv)\n{\n"
     "    const unsigned word = dd_word();\n"
     "    if (argc > 2 && strcmp(argv[1], \"explore\") == 0)\n"
     "        puts(strcmp(argv[2], \"--list\") == 0 ?\n"
     "                 \"toy   a toy\\nslow-toy  one (slow)\\nhalf-toy  one (slow under sc)\"\n"
     "             : word == 10 ? \"[{\\\"verdict\\\": \\\"PASS\\\"}]\"\n"
     "                          : \"[{\\\"verdict\\\": \\\"CHECK\\\"}]\");\n"
     "    else\n        printf(\"weights-hash: %x\\n\", word);\n"
     "    return 0;\n}\n"},
    {"core/CMakeLists.txt", ""},
    {"core/sync/word.c", word_c},
    {"core/memory/snapshot.c", "\n"},
    {"core/trainer/callbacks.c", "\n"},
    {"harness/unit/test_word.c", "int main(void) { return 0; }\n"},
    {"harness/defects/protocol/caught.sed",
     "# Another word.\n# source: sync/word.c\n# caught: serial\n# caught: explore toy CHECK\n"
     "s/10/11/\n"},
    {"harness/defects/protocol/missed.sed",
     "# Another word, and a test that does not look.\n# source: sync/word.c\n# caught: serial\n"
     "# caught: unit test_word\ns/10/11/\n"},
    {"harness/defects/protocol/no-build.sed",
     "# No C any more.\n# source: sync/word.c\n# caught: serial\ns/return word;/return word/\n"},
    {"harness/defects/protocol/nothing.sed",
     "# Changes nothing.\n# source: sync/word.c\n# caught: serial\ns/nowhere/here/\n"},
};

static char source[DD_FILE_PATH], shop[DD_FILE_PATH];

static void put(const char *name, const char *text)
{
    char path[DD_FILE_PATH];
    assert_true(dd_spill(dd_path(path, source, name), text, strlen(text)));
}

static int make_tree(void **state)
{
    static const char *const folders[] = {"",
                                          "core",
                                          "core/sync",
                                          "core/control",
                                          "core/spheres",
                                          "core/memory",
                                          "core/trainer",
                                          "harness",
                                          "harness/unit",
                                          "harness/defects",
                                          "harness/defects/protocol"};
    if (make_folder(state))
        return 1;
    dd_path(source, folder, "tree");
    dd_path(shop, folder, "shop");
    char path[DD_FILE_PATH];
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        (void)mkdir(dd_path(path, source, folders[i]), 0755);
    for (size_t i = 0; i < sizeof tree / sizeof tree[0]; i++)
        put(tree[i].name, tree[i].text);
    size_t n;
    char *plant = dd_slurp(SOURCE_FOLDER "/harness/defects/plant.sh", &n);
    if (!plant || !dd_spill(dd_path(path, source, "harness/defects/plant.sh"), plant, n))
        return 1;
    free(plant);
    return chmod(path, 0755);
}

/* One hunt from opening to closing. */
typedef struct outing {
    dd_workshop workshop[2];
    dd_defects all;
    dd_hunt hunt;
    dd_hunted result;
    size_t n_done_before; /* that were resumed */
    bool chosen[64];
} outing;

static size_t jobs = 1;

/* By explorer and serial on what is generated, or by what files name. */
static void go(outing *o, bool generated, bool resume, int stop_fd)
{
    char message[DD_DEFECT_MESSAGE], second[DD_FILE_PATH];
    memset(o, 0, sizeof *o);
    dd_path(second, shop, "job-2");
    if (!dd_workshop_open(&o->workshop[0], source, shop, C_COMPILER, stop_fd, message) ||
        (jobs == 2 && !dd_workshop_open(&o->workshop[1], o->workshop[0].source, second, C_COMPILER,
                                        stop_fd, message)) ||
        !dd_defects_open(o->workshop[0].source, &o->all, message))
        fail_msg("%s", message);
    assert_true(o->all.n < sizeof o->chosen);
    for (size_t i = 0; i < o->all.n; i++)
        o->chosen[i] = (o->all.defect[i].kind == DD_GENERATED) == generated;
    o->hunt = (dd_hunt){.chosen = o->chosen, .by_means = generated};
    o->hunt.means[DD_MEANS_EXPLORE] = o->hunt.means[DD_MEANS_SERIAL] = generated;
    assert_true(dd_hunt_open(&o->hunt, o->workshop, jobs, &o->all, resume));
    for (size_t i = 0; i < o->all.n; i++)
        o->n_done_before += o->hunt.row[i].done;
    o->result = dd_hunt_run(&o->hunt);
}

static void come_home(outing *o)
{
    dd_hunt_close(&o->hunt);
    dd_defects_close(&o->all);
    for (size_t i = 0; i < jobs; i++)
        dd_workshop_close(&o->workshop[i]);
}

static dd_row_verdict verdict_on(const outing *o, const char *name)
{
    for (size_t i = 0; i < o->all.n; i++)
        if (strstr(o->all.defect[i].name, name))
            return dd_row_judge(&o->all.defect[i], &o->hunt.row[i]);
    fail_msg("there is no defect %s", name);
    return DD_ROW_NOT_RUN;
}

static void assert_restored(void)
{
    static const char *const copies[] = {"source/core/sync/word.c",
                                         "job-2/source/core/sync/word.c"};
    for (size_t i = 0; i < jobs; i++) {
        char path[DD_FILE_PATH];
        char *text = dd_slurp(dd_path(path, shop, copies[i]), NULL);
        assert_non_null(text);
        assert_string_equal(text, word_c);
        free(text);
    }
}

static void files_are_planted_and_judged(void **state)
{
    (void)state;
    outing o;
    go(&o, false, false, -1);
    if (o.result != DD_HUNTED)
        fail_msg("%s", o.hunt.message);
    assert_int_equal(verdict_on(&o, "caught"), DD_ROW_CAUGHT);
    assert_int_equal(verdict_on(&o, "missed"), DD_ROW_MISSED);
    assert_int_equal(verdict_on(&o, "no-build"), DD_ROW_BROKEN);
    assert_int_equal(verdict_on(&o, "nothing"), DD_ROW_BROKEN);
    assert_false(dd_matrix_holds(&o.hunt));
    come_home(&o);
    assert_restored();
}

/* The second job's share, too, is in the one state file that is resumed. */
static void two_jobs_come_to_the_same(void **state)
{
    jobs = 2;
    files_are_planted_and_judged(state);
    outing o;
    go(&o, false, true, -1);
    assert_int_equal(o.n_done_before, 4);
    assert_int_equal(verdict_on(&o, "caught"), DD_ROW_CAUGHT);
    come_home(&o);
    jobs = 1;
}

static void what_is_finished_is_resumed(void **state)
{
    (void)state;
    outing o;
    go(&o, false, true, -1);
    assert_int_equal(o.n_done_before, 4);
    assert_int_equal(verdict_on(&o, "missed"), DD_ROW_MISSED);
    come_home(&o);
    put("harness/unit/test_word.c", "int main(void) { return 1 > 2; }\n");
    go(&o, false, true, -1); /* other sources */
    assert_int_equal(o.n_done_before, 0);
    come_home(&o);
}

static void mutants_are_caught_survive_or_are_argued_for(void **state)
{
    (void)state;
    outing o;
    go(&o, true, false, -1);
    if (o.result != DD_HUNTED)
        fail_msg("%s", o.hunt.message);
    assert_int_equal(verdict_on(&o, ":dropped:"), DD_ROW_CAUGHT);
    assert_int_equal(verdict_on(&o, ":order-release-relaxed:"), DD_ROW_SURVIVES);
    assert_int_equal(o.hunt.n_explorations, 6); /* the slow one for a moment, half-toy under C11 */
    assert_string_equal(o.hunt.exploration[3].trial.arguments, "slow-toy --memory c11 --seconds 3");
    assert_string_equal(o.hunt.exploration[4].trial.arguments, "half-toy --memory c11");
    char text[1024] = "";
    for (size_t i = 0; i < o.all.n; i++)
        if (o.all.defect[i].kind == DD_GENERATED)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s\n    One thread.\n",
                     o.all.defect[i].name);
    come_home(&o);
    put("harness/defects/equivalent.txt", text);
    go(&o, true, true, -1); /* arguments change no source */
    assert_true(o.n_done_before > 0);
    assert_int_equal(verdict_on(&o, ":dropped:"), DD_ROW_STALE);
    assert_int_equal(verdict_on(&o, ":order-release-relaxed:"), DD_ROW_EQUIVALENT);
    come_home(&o);
    put("harness/defects/equivalent.txt", "");
    assert_restored();
}

static void an_interrupted_hunt_restores(void **state)
{
    (void)state;
    int stop[2];
    assert_int_equal(pipe(stop), 0);
    assert_int_equal(write(stop[1], "x", 1), 1);
    outing o;
    go(&o, false, false, stop[0]);
    assert_int_equal(o.result, DD_HUNT_STOPPED);
    assert_int_equal(verdict_on(&o, "caught"), DD_ROW_NOT_RUN);
    come_home(&o);
    close(stop[0]);
    close(stop[1]);
    assert_restored();
}

static void a_trial_that_fails_untouched_sources_is_none(void **state)
{
    (void)state;
    put("harness/unit/test_word.c", "int main(void) { return 1; }\n");
    outing o;
    go(&o, false, false, -1);
    assert_int_equal(o.result, DD_HUNT_UNSOUND);
    assert_non_null(strstr(o.hunt.message, "unit test_word"));
    come_home(&o);
    put("harness/unit/test_word.c", "int main(void) { return 0; }\n");
}

/* What ends one ends the other, and the message is the first one's. */
static void what_one_job_meets_ends_all(void **state)
{
    jobs = 2;
    a_trial_that_fails_untouched_sources_is_none(state);
    an_interrupted_hunt_restores(state);
    jobs = 1;
}

/* A workshop that cannot build is no defect's doing. */
static void a_job_that_cannot_build_judges_nothing(void **state)
{
    (void)state;
    char usual[DD_FILE_PATH], path[DD_FILE_PATH], name[DD_FILE_PATH];
    strcpy(usual, shop);
    dd_path(shop, folder, "shop-2");
    dd_path(path, shop, "job-2");
    assert_int_equal(mkdir(shop, 0755), 0);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_true(dd_spill(dd_path(name, path, "lock"), "", 0));
    assert_true(dd_spill(dd_path(name, shop, "lock"), "", 0));
    assert_true(dd_spill(dd_path(name, path, "plain"), "", 0)); /* where its build is to be */
    jobs = 2;
    outing o;
    go(&o, false, false, -1);
    assert_int_equal(o.result, DD_HUNT_UNSOUND);
    assert_non_null(strstr(o.hunt.message, "job-2/logs/build.log"));
    assert_int_equal(verdict_on(&o, "caught"), DD_ROW_NOT_RUN);
    come_home(&o);
    jobs = 1;
    strcpy(shop, usual);
}

static void two_cannot_work_in_one_shop(void **state)
{
    (void)state;
    dd_workshop a, b;
    char message[DD_DEFECT_MESSAGE], inside[DD_FILE_PATH];
    assert_true(dd_workshop_open(&a, source, shop, C_COMPILER, -1, message));
    assert_false(dd_workshop_open(&b, source, shop, C_COMPILER, -1, message));
    assert_non_null(strstr(message, "another `dodeca defects` works there"));
    dd_workshop_close(&a);
    assert_false(dd_workshop_open(&b, shop, folder, C_COMPILER, -1, message));
    assert_non_null(strstr(message, "there are no sources in"));
    assert_false(
        dd_workshop_open(&b, source, dd_path(inside, source, "copy"), C_COMPILER, -1, message));
    assert_non_null(strstr(message, "is inside the sources"));
    rmdir(inside);
}

/* The copy drops what the original lacks: never in a folder where somebody keeps something. */
static void a_shop_is_nobody_elses_folder(void **state)
{
    (void)state;
    dd_workshop w;
    char message[DD_DEFECT_MESSAGE], home[DD_FILE_PATH], theirs[DD_FILE_PATH];
    assert_false(dd_workshop_open(&w, source, folder, C_COMPILER, -1, message));
    assert_non_null(strstr(message, "name a new or an empty folder"));
    assert_int_equal(mkdir(dd_path(home, folder, "home"), 0755), 0);
    assert_int_equal(mkdir(dd_path(theirs, home, "source"), 0755), 0);
    assert_false(dd_workshop_open(&w, source, home, C_COMPILER, -1, message));
    assert_int_equal(rmdir(theirs), 0);
    assert_true(dd_workshop_open(&w, source, home, C_COMPILER, -1, message));
    dd_workshop_close(&w);
}

/* What goes from the tree goes from the copy; prose leaves the revision alone. */
static void the_mirror_follows(void **state)
{
    (void)state;
    char copy[DD_FILE_PATH], path[DD_FILE_PATH], message[512];
    uint64_t first, second, third;
    dd_path(copy, folder, "copy");
    put("core/sync/more.c", "int more;\n");
    assert_true(dd_mirror(source, copy, &first, message));
    assert_int_equal(access(dd_path(path, copy, "core/sync/more.c"), R_OK), 0);
    put("harness/defects/protocol/caught.sed", "# other\n");
    assert_true(dd_mirror(source, copy, &second, message));
    assert_true(first == second);
    unlink(dd_path(path, source, "core/sync/more.c"));
    assert_true(dd_mirror(source, copy, &third, message));
    assert_true(second != third);
    assert_int_not_equal(access(dd_path(path, copy, "core/sync/more.c"), R_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_planted_and_judged),
        cmocka_unit_test(two_jobs_come_to_the_same),
        cmocka_unit_test(what_is_finished_is_resumed),
        cmocka_unit_test(mutants_are_caught_survive_or_are_argued_for),
        cmocka_unit_test(an_interrupted_hunt_restores),
        cmocka_unit_test(a_trial_that_fails_untouched_sources_is_none),
        cmocka_unit_test(what_one_job_meets_ends_all),
        cmocka_unit_test(a_job_that_cannot_build_judges_nothing),
        cmocka_unit_test(two_cannot_work_in_one_shop),
        cmocka_unit_test(a_shop_is_nobody_elses_folder),
        cmocka_unit_test(the_mirror_follows),
    };
    return cmocka_run_group_tests(tests, make_tree, remove_folder);
}
