/* SPDX-License-Identifier: MIT
 * Planted defects: what the generator makes of a sample, what the readers of defect files refuse,
 * how single trials are judged, and whole hunts in a small tree of its own (mini_tree.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "defect.h"
#include "files.h"
#include "folder_fixture.h"
#include "judge.h"
#include "tool.h"
#include "trial.h"

/* ---- The generator ---- */

static const char sample[] =
    "#define TWICE(x) dd_u32_store(x, 0, DD_RELEASE);\n"
    "/* dd_u32_store(&a, 1, DD_RELEASE); */\n"
    "static const char *text = \"dd_u32_load(&a, DD_ACQUIRE)\";\n"
    "void sample(struct sample *s)\n"
    "{\n"
    "    uint32_t seen = dd_u32_load(&s->word, DD_ACQUIRE);\n"                       /* 6 */
    "    s->root = seen;\n"                                                          /* 7 */
    "    dd_u32_store(&s->word, f(1, 2), DD_RELEASE);\n"                             /* 8 */
    "    if (dd_u64_fetch_add(&s->n, 1, DD_ACQ_REL) + 1 != s->most)\n"               /* 9 */
    "        dd_futex_wake(&s->word, UINT32_MAX);\n"                                 /* 10 */
    "    while (seen != 3) {\n"                                                      /* 11 */
    "        dd_futex_wait(&s->word, seen | 1);\n"                                   /* 12 */
    "        dd_u32_compare_exchange(&s->word, &seen, 2, DD_SEQ_CST, DD_ACQUIRE);\n" /* 13 */
    "    }\n"
    "    s->expected = 4;\n"                              /* 15 */
    "    s->fold(s->user, left, right);\n"                /* 16 */
    "    dd_eventcount_await(&s->count, s->seen++, 0);\n" /* 17 */
    "    dd_u32_load(&s->word, DD_RELAXED);\n"
    "}\n";

/* What must come of it, in this order. */
static const struct {
    const char *rule;
    uint32_t line;
    const char *becomes;
} expected_mutants[] = {
    {"order-acquire-relaxed", 6, "DD_RELAXED"},
    {"swapped", 7, "dd_u32_store(&s->word, f(1, 2), DD_RELEASE); s->root = seen;"},
    {"order-release-relaxed", 8, "DD_RELAXED"},
    {"dropped", 8, "(void)0"},
    {"order-acq_rel-acquire", 9, "DD_ACQUIRE"},
    {"order-acq_rel-release", 9, "DD_RELEASE"},
    {"torn", 9,
     "__extension__({ const uint64_t torn_ = dd_u64_load(&s->n, DD_ACQUIRE); dd_u64_store(&s->n, "
     "torn_ + (1), DD_RELEASE); torn_; })"},
    {"more", 9, "(dd_u64_fetch_add(&s->n, 1, DD_ACQ_REL) + 1)"},
    {"less", 9, "(dd_u64_fetch_add(&s->n, 1, DD_ACQ_REL) - 1)"},
    {"wake-one", 10, "1"},
    {"wake-none", 10, "0"},
    {"once", 11, "for (int once_ = 0; once_ == 0 && (seen != 3); once_++)"},
    {"expect-now", 12, "dd_u32_load(&s->word, DD_RELAXED)"},
    {"expect-other", 12, "(seen | 1) + 2"},
    {"order-seq_cst-acq_rel", 13, "DD_ACQ_REL"},
    {"failure-acquire-relaxed", 13, "DD_RELAXED"},
    {"torn", 13,
     "__extension__({ const uint32_t torn_ = dd_u32_load(&s->word, DD_ACQUIRE); const bool done_ = "
     "torn_ == *(&seen); if (done_) dd_u32_store(&s->word, 2, DD_RELEASE); else *(&seen) = torn_; "
     "done_; })"},
    {"dropped", 13, "(void)0"},
    {"more", 15, "(4) + 1"},
    {"less", 15, "(4) - 1"},
    {"operands", 16, "right, left"},
    {"early", 17, "(s->seen++) - 1"},
};

static void a_sample_gives_exactly_these_mutants(void **state)
{
    (void)state;
    dd_mutants m = {0};
    char message[512];
    assert_true(dd_generate_text(&m, "sync/sample.c", sample, message));
    for (size_t i = 0; i < m.n; i++) {
        char name[80];
        assert_true(i < sizeof expected_mutants / sizeof expected_mutants[0]);
        snprintf(name, sizeof name, "gen:sync/sample.c:sample:%s:", expected_mutants[i].rule);
        assert_memory_equal(m.mutant[i].name, name, strlen(name));
        assert_int_equal(m.mutant[i].line, expected_mutants[i].line);
        assert_string_equal(m.mutant[i].text, expected_mutants[i].becomes);
    }
    assert_int_equal(m.n, sizeof expected_mutants / sizeof expected_mutants[0]);
    char line[256];
    dd_mutant_describe(&m.mutant[0], sample, line, sizeof line);
    assert_string_equal(line, "sync/sample.c:6: uint32_t seen = dd_u32_load(&s->word, "
                              "{-DD_ACQUIRE-}{+DD_RELAXED+});");
    dd_mutants_clear(&m);
}

/* Names are the same where the code has moved, and others where it is another. */
static void names_survive_moves(void **state)
{
    (void)state;
    static const char here[] = "void f(void)\n{\n    dd_u32_store(&a, 1, DD_RELEASE);\n"
                               "    g(0);\n    dd_u32_store(&a, 1, DD_RELEASE);\n}\n";
    static const char moved[] =
        "int x;\n\nvoid f(void)\n{\n        dd_u32_store(&a,  1, DD_RELEASE);\n"
        "    g(0);\n    dd_u32_store(&a, 2, DD_RELEASE);\n}\n";
    dd_mutants a = {0}, b = {0};
    char message[512];
    assert_true(dd_generate_text(&a, "sync/x.c", here, message));
    assert_true(dd_generate_text(&b, "sync/x.c", moved, message));
    assert_int_equal(a.n, b.n);
    assert_string_equal(a.mutant[0].name, b.mutant[0].name);
    const char *last = a.mutant[a.n - 1].name;
    assert_string_equal(last + strlen(last) - 2, ".2"); /* the same line a second time */
    assert_string_not_equal(last, b.mutant[b.n - 1].name);
    dd_mutants_clear(&a);
    dd_mutants_clear(&b);
}

static void brackets_that_do_not_match_are_told(void **state)
{
    (void)state;
    dd_mutants m = {0};
    char message[512];
    assert_false(dd_generate_text(&m, "sync/x.c", "void f(void)\n{\n    g(1];\n}\n", message));
    assert_string_equal(message, "sync/x.c:3: brackets do not match");
    dd_mutants_clear(&m);
}

/* ---- Defect files ---- */

static bool read_defect(const char *text, dd_defect_kind kind, dd_defect *d,
                        char message[DD_DEFECT_MESSAGE])
{
    return dd_defect_read("x/name.sed", text, kind, SOURCE_FOLDER "/core",
                          SOURCE_FOLDER "/harness/unit", d, message);
}

static void a_defect_file_is_read(void **state)
{
    (void)state;
    dd_defect d;
    char message[DD_DEFECT_MESSAGE];
    assert_true(read_defect("# What it breaks, in\n# run: two lines.\n# catalogue: some-id other\n"
                            "# source: sync/points.c\n# caught: explore points-tree RACE,CHECK\n"
                            "# caught: unit test_points\ns/a/b/\n",
                            DD_CATALOGUE, &d, message));
    assert_string_equal(d.name, "name");
    assert_string_equal(d.about, "What it breaks, in run: two lines.");
    assert_string_equal(d.catalogue, "some-id other");
    assert_string_equal(d.source, "sync/points.c");
    assert_int_equal(d.n_expected, 2);
    assert_int_equal(d.expected[0].means, DD_MEANS_EXPLORE);
    assert_string_equal(d.expected[0].arguments, "points-tree RACE,CHECK");
    dd_defect_clear(&d);
}

#define HEAD "# about\n# source: sync/points.c\n"

static void bad_defect_files_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
        dd_defect_kind kind;
    } bad[] = {
        {HEAD "s/a/b/\n", ":3: lacks \"# caught:", DD_PROTOCOL},
        {HEAD "# caught: unit test_points\n", ":3: no sed command", DD_PROTOCOL},
        {HEAD "# caught: luck\ns/a/b/\n", ":3: \"luck\" catches nothing: there are unit",
         DD_PROTOCOL},
        {HEAD "# cought: guard\ns/a/b/\n", ":3: \"cought\" is no key, did you mean \"caught\"?",
         DD_PROTOCOL},
        {HEAD "# caught: explore points-tree\ns/a/b/\n", ":3: must be \"explore PROTOCOL",
         DD_PROTOCOL},
        {HEAD "# caught: explore points-tree WRONG\ns/a/b/\n", ":3: verdict \"WRONG\"",
         DD_PROTOCOL},
        {HEAD "# caught: unit test_nothing\ns/a/b/\n", ":3: there is no unit test \"test_nothing\"",
         DD_PROTOCOL},
        {HEAD "# caught: tsan workers\ns/a/b/\n", ":3: there is no unit test \"workers\"",
         DD_PROTOCOL},
        {HEAD "# caught: guard\n# caught: guard\ns/a/b/\n", ":4: the same line twice", DD_PROTOCOL},
        {HEAD "# caught: guard\ns/a/b/\n# more\n", ":5: a comment behind the first command",
         DD_PROTOCOL},
        {HEAD "# caught: guard\ns/a/b/\n", ":4: lacks \"# catalogue: ID\"", DD_CATALOGUE},
        {HEAD "# catalogue: x\n", ":3: \"catalogue\" is for files in catalogue/", DD_PROTOCOL},
        {"# about\n# caught: guard\ns/a/b/\n", ":3: lacks \"# source:", DD_PROTOCOL},
        {"# source: sync/points.c\n# caught: guard\ns/a/b/\n", ":3: does not say what it breaks",
         DD_PROTOCOL},
        {"# a\n# source: sync/none.c\n", ":2: source \"sync/none.c\" is no FOLDER/FILE.c",
         DD_PROTOCOL},
        {"# a\n# source: ../core/sync/points.c\n", ":2: source", DD_PROTOCOL},
        {HEAD "# source: sync/fold.c\n", ":3: a second source", DD_PROTOCOL},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        dd_defect d;
        char message[DD_DEFECT_MESSAGE];
        if (read_defect(bad[i].text, bad[i].kind, &d, message))
            fail_msg("taken: %s", bad[i].text);
        assert_memory_equal(message, "x/name.sed", 10);
        if (!strstr(message, bad[i].message))
            fail_msg("\"%s\" lacks \"%s\"", message, bad[i].message);
    }
}

/* Those of this very tree. */
static void all_defects_of_the_tree_can_be_read(void **state)
{
    (void)state;
    dd_defects all;
    char message[DD_DEFECT_MESSAGE];
    if (!dd_defects_open(SOURCE_FOLDER, &all, message))
        fail_msg("%s", message);
    size_t n[DD_GENERATED + 1] = {0};
    for (size_t i = 0; i < all.n; i++)
        n[all.defect[i].kind]++;
    printf("%zu catalogue, %zu protocol, %zu generated\n", n[DD_CATALOGUE], n[DD_PROTOCOL],
           n[DD_GENERATED]);
    assert_true(n[DD_CATALOGUE] >= 25 && n[DD_PROTOCOL] >= 39 && n[DD_GENERATED] >= 100);
    dd_defects_close(&all);
}

/* Whatever can be planted is tried by the explorer where that has the source, and only there. */
static void the_explorer_is_asked_about_what_it_compiles(void **state)
{
    (void)state;
    dd_defects all;
    char message[DD_DEFECT_MESSAGE], name[80];
    uint32_t n_explored = 0;
    char *build = dd_slurp(SOURCE_FOLDER "/harness/explore/CMakeLists.txt", NULL);
    assert_non_null(build);
    char *list = strstr(build, "set(explored_core\n");
    assert_non_null(list);
    size_t end = strcspn(list, ")");
    for (size_t i = 0; i < end; i++)
        list[i] = list[i] == '\n' ? ' ' : list[i];
    memcpy(list + end, " ", 2);
    assert_true(dd_defects_open(SOURCE_FOLDER, &all, message));
    for (size_t i = 0; i < all.n; i++) {
        const char *source = all.defect[i].source;
        snprintf(name, sizeof name, " %s ", source);
        const bool compiled = strstr(list, name) != NULL;
        if (compiled != dd_trial_explores(source))
            fail_msg("%s is %scompiled for the explorer", source, compiled ? "" : "not ");
        n_explored += compiled;
    }
    assert_in_range(n_explored, 1, all.n - 1);
    dd_defects_close(&all);
    free(build);
}

static void arguments_of_equivalence_are_held_to_the_sources(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message; /* message NULL: taken */
    } cases[] = {
        {"# why\ngen:a\ngen:b\n    As it\n    is.\n", NULL},
        {"gen:gone\n    As it is.\n", "x:1: \"gen:gone\": no such mutant"},
        {"gen:a\n    Yes.\ngen:a\n    Yes.\n", "x:3: \"gen:a\": named twice"},
        {"gen:a\ngen:b\n", "x:2: gen:a has no argument"},
        {"    Yes.\n", "x:1: \"    Yes.\": an argument without a mutant"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dd_defect two[2] = {{.kind = DD_GENERATED, .name = "gen:a"},
                            {.kind = DD_GENERATED, .name = "gen:b"}};
        dd_defects d = {.defect = two, .n = 2};
        char message[DD_DEFECT_MESSAGE] = "";
        const bool taken = dd_equivalents_read("x", cases[i].text, &d, message);
        assert_int_equal(taken, cases[i].message == NULL);
        if (taken) {
            assert_string_equal(two[0].equivalent, "As it is.");
            assert_string_equal(two[1].equivalent, "As it is.");
        } else if (!strstr(message, cases[i].message)) {
            fail_msg("\"%s\" lacks \"%s\"", message, cases[i].message);
        }
        dd_defect_clear(&two[0]);
        dd_defect_clear(&two[1]);
    }
}

/* ---- Single trials ---- */

static const char two_failed[] =
    "[ RUN      ] one\n[  FAILED  ] one\n[ RUN      ] two\n[  FAILED  ] "
    "two\n[  FAILED  ] 2 test(s), listed below:\n";
static const char in_two[] = "[ RUN      ] one\n[       OK ] one\n[ RUN      ] two\n";
static const char row[] = "[{\"protocol\": \"p\", \"verdict\": \"PASS\"}, {\"verdict\": \"RACE\"}]";
static const char limit[] = "[{\"verdict\": \"INCOMPLETE\"}, {\"verdict\": \"none found\"}]";

static void trials_are_judged_by_words_and_exit_codes(void **state)
{
    (void)state;
    static const struct {
        dd_means means;
        const char *want, *said;
        dd_tool_ending ending;
        int status;
        dd_finding_kind found;
    } cases[] = {
        {DD_MEANS_UNIT, "", "", DD_TOOL_ENDED, 0, DD_FOUND_NOTHING},
        {DD_MEANS_UNIT, "", two_failed, DD_TOOL_ENDED, 2, DD_FOUND_IT},
        {DD_MEANS_UNIT, "", two_failed, DD_TOOL_ENDED, 255, DD_FOUND_IT},
        {DD_MEANS_UNIT, "t*", two_failed, DD_TOOL_ENDED, 2, DD_FOUND_IT},
        {DD_MEANS_UNIT, "three", two_failed, DD_TOOL_ENDED, 2, DD_FOUND_NOTHING},
        {DD_MEANS_UNIT, "two", in_two, DD_TOOL_LATE, 137, DD_FOUND_HANG},
        {DD_MEANS_UNIT, "two", in_two, DD_TOOL_ENDED, 139, DD_FOUND_CRASH},
        {DD_MEANS_UNIT, "one", in_two, DD_TOOL_ENDED, 139, DD_FOUND_NOTHING},
        {DD_MEANS_EXPLORE, "RACE", row, DD_TOOL_ENDED, 1, DD_FOUND_IT},
        {DD_MEANS_EXPLORE, "CHECK,RACE", row, DD_TOOL_ENDED, 1, DD_FOUND_IT},
        {DD_MEANS_EXPLORE, "DEADLOCK", row, DD_TOOL_ENDED, 1, DD_FOUND_NOTHING},
        {DD_MEANS_EXPLORE, "", limit, DD_TOOL_ENDED, 1, DD_FOUND_NOTHING},
        {DD_MEANS_EXPLORE, "", "", DD_TOOL_ENDED, 2, DD_FOUND_UNFIT},
        {DD_MEANS_EXPLORE, "", "", DD_TOOL_LATE, 137, DD_FOUND_NOTHING},
        {DD_MEANS_SERIAL, "", "weights-hash: 0a\n", DD_TOOL_ENDED, 0, DD_FOUND_NOTHING},
        {DD_MEANS_SERIAL, "", "weights-hash: 0b\n", DD_TOOL_ENDED, 0, DD_FOUND_IT},
        {DD_MEANS_SERIAL, "", "", DD_TOOL_ENDED, 1, DD_FOUND_IT},
        {DD_MEANS_SERIAL, "", "", DD_TOOL_LATE, 137, DD_FOUND_HANG},
        {DD_MEANS_TSAN, "", "WARNING: ThreadSanitizer: data race", DD_TOOL_LATE, 137, DD_FOUND_IT},
        {DD_MEANS_TSAN, "", "", DD_TOOL_ENDED, 1, DD_FOUND_NOTHING},
        {DD_MEANS_TSAN, "", two_failed, DD_TOOL_ENDED, 255, DD_FOUND_IT},
        {DD_MEANS_MEMCHECK, "", "", DD_TOOL_ENDED, 66, DD_FOUND_IT},
        {DD_MEANS_FINITE, "", "", DD_TOOL_ENDED, 66, DD_FOUND_NOTHING},
        {DD_MEANS_FINITE, "", "step 1: not finite first in", DD_TOOL_ENDED, 1, DD_FOUND_IT},
        {DD_MEANS_WATCHDOG, "", "  2  HANG", DD_TOOL_ENDED, 1, DD_FOUND_IT},
        {DD_MEANS_WATCHDOG, "", "  2  FAIL", DD_TOOL_ENDED, 1, DD_FOUND_NOTHING},
        {DD_MEANS_WATCHDOG, "", "planted holds results", DD_TOOL_ENDED, 2, DD_FOUND_UNFIT},
        {DD_MEANS_GUARD, "", "", DD_TOOL_ENDED, 139, DD_FOUND_CRASH},
        {DD_MEANS_GUARD, "", "", DD_TOOL_ENDED, 255, DD_FOUND_NOTHING},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dd_trial trial = {.means = cases[i].means, .program = "x", .arguments = "p"};
        snprintf(trial.want, sizeof trial.want, "%s", cases[i].want);
        const dd_tool_end end = {.ending = cases[i].ending, .status = cases[i].status};
        dd_finding found = {.kind = DD_FOUND_NOT_RUN};
        dd_judge(&trial, &end, cases[i].said, "0a", &found);
        if (found.kind != cases[i].found)
            fail_msg("case %zu: %d, %s", i, found.kind, found.how);
    }
}

static void tools_run_within_their_limits(void **state)
{
    (void)state;
    const char *const says[] = {"sh", "-c", "echo out; echo err >&2; exit 7", NULL};
    dd_tool_end end =
        dd_tool_run(&(dd_tool){.argv = says, .out = one_file, .limit_s = 60, .stop_fd = -1});
    assert_int_equal(end.ending, DD_TOOL_ENDED);
    assert_int_equal(end.status, 7);
    char *said = dd_slurp(one_file, NULL);
    assert_string_equal(said, "out\nerr\n");
    free(said);

    const char *const sleeps[] = {"sleep", "600", NULL};
    end = dd_tool_run(&(dd_tool){.argv = sleeps, .out = one_file, .limit_s = 0.1, .stop_fd = -1});
    assert_int_equal(end.ending, DD_TOOL_LATE);
    int stop[2];
    assert_int_equal(pipe(stop), 0);
    assert_int_equal(write(stop[1], "x", 1), 1);
    end =
        dd_tool_run(&(dd_tool){.argv = sleeps, .out = one_file, .limit_s = 60, .stop_fd = stop[0]});
    assert_int_equal(end.ending, DD_TOOL_STOPPED);
    close(stop[0]);
    close(stop[1]);

    const char *const missing[] = {"no-such-program", NULL};
    end = dd_tool_run(&(dd_tool){.argv = missing, .out = one_file, .limit_s = 60, .stop_fd = -1});
    assert_int_equal(end.ending, DD_TOOL_NOT_RUN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sample_gives_exactly_these_mutants),
        cmocka_unit_test(names_survive_moves),
        cmocka_unit_test(brackets_that_do_not_match_are_told),
        cmocka_unit_test(a_defect_file_is_read),
        cmocka_unit_test(bad_defect_files_are_refused),
        cmocka_unit_test(all_defects_of_the_tree_can_be_read),
        cmocka_unit_test(the_explorer_is_asked_about_what_it_compiles),
        cmocka_unit_test(arguments_of_equivalence_are_held_to_the_sources),
        cmocka_unit_test(trials_are_judged_by_words_and_exit_codes),
        cmocka_unit_test_setup_teardown(tools_run_within_their_limits, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
