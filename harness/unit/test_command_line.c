/* SPDX-License-Identifier: MIT
 * Commands for pasting: a shell reads every word back as it was, and Markdown shows them whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "command_line.h"
#include "folder_fixture.h"
#include "table.h"

static const char *const words[] = {"plain-1.5_x,y=z:/a@b+c%",
                                    "",
                                    "two words",
                                    "it's",
                                    "''",
                                    "\"quoted\"",
                                    "$HOME",
                                    "$(touch pwned)",
                                    "`touch pwned`",
                                    "back\\slash\\",
                                    "a;b&c|d<e>f(g)h{i}[j]",
                                    "*",
                                    "~",
                                    "#no comment",
                                    "!history",
                                    "-option",
                                    "caf\xc3\xa9",
                                    "a\nb",
                                    "\ttab"};
enum { WORDS = sizeof words / sizeof *words };

static char *quoted(const char *word)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    dd_shell_word(word, out);
    fclose(out);
    return text;
}

static void shells_read_words_back(void **state)
{
    (void)state;
    char script[4096] = "printf '%s\\n.\\n' ", want[4096] = "", read[4096] = "";
    for (size_t i = 0; i < WORDS; i++) {
        char *text = quoted(words[i]);
        strcat(strcat(script, text), " ");
        strcat(strcat(want, words[i]), "\n.\n");
        free(text);
    }
    FILE *shell = popen(script, "r");
    assert_non_null(shell);
    (void)fread(read, 1, sizeof read - 1, shell);
    assert_int_equal(pclose(shell), 0);
    assert_string_equal(read, want);
}

static void quotes_only_where_needed(void **state)
{
    (void)state;
    char *plain = quoted(words[0]), *empty = quoted(""), *quote = quoted("it's");
    assert_string_equal(plain, words[0]);
    assert_string_equal(empty, "''");
    assert_string_equal(quote, "'it'\\''s'");
    free(plain);
    free(empty);
    free(quote);
}

static void commands_are_whole_or_none(void **state)
{
    (void)state;
    char text[64], before[512], below[640];
    const char *const sets[] = {"workers=1,2", "subject-options=a b"};
    assert_true(dd_command_run("a.yaml", sets, 2, text, sizeof text));
    assert_string_equal(text, "dodeca run a.yaml --set workers=1,2 --set 'subject-options=a b'");
    assert_false(dd_command_run("ab.yaml", sets, 2, text, sizeof text - 1));
    assert_string_equal(text, "");
    assert_false(dd_command_run("a\nb.yaml", NULL, 0, text, sizeof text));
    assert_string_equal(text, "");
    assert_true(dd_command_run("-a.yaml", NULL, 0, text, sizeof text)); /* no option */
    assert_string_equal(text, "dodeca run ./-a.yaml");
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(folder), 0);
    snprintf(below, sizeof below, "%s/a.yaml", folder);
    assert_true(dd_command_run(below, NULL, 0, text, sizeof text));
    assert_string_equal(text, "dodeca run a.yaml");
    assert_int_equal(chdir(before), 0);
}

static void code_spans_hold_backticks(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"plain", "`plain`"}, {"a `b` c", "`` a `b` c ``"}, {"``a`", "``` ``a` ```"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        dd_text_code(cases[i][0], out);
        fclose(out);
        assert_string_equal(text, cases[i][1]);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shells_read_words_back),
        cmocka_unit_test(quotes_only_where_needed),
        cmocka_unit_test_setup_teardown(commands_are_whole_or_none, make_folder, remove_folder),
        cmocka_unit_test(code_spans_hold_backticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
