/* SPDX-License-Identifier: MIT
 * The table of settings: every key reads back what it was given, and every bad value is refused
 * with one line that names the key and what would be right. */
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
#include "nearest.h"
#include "settings.h"

static void test_defaults_read_back(void **state)
{
    (void)state;
    size_t n = 0;
    const dd_key *keys = dd_keys(&n);
    dd_settings a, b;
    char value[DD_SPEC_MAX], again[DD_SPEC_MAX], message[DD_MESSAGE_MAX];
    dd_settings_default(&a);
    dd_settings_default(&b);
    assert_true(dd_settings_finish(&a, message));
    for (size_t i = 0; i < n; i++) {
        dd_settings_get(&a, keys[i].name, value);
        if (value[0])
            assert_true(dd_settings_set(&b, keys[i].name, value, message));
        dd_settings_get(&b, keys[i].name, again);
        assert_string_equal(value, again);
    }
    assert_true(dd_settings_finish(&b, message));
    assert_int_equal(a.config.seq, 64);
    assert_int_equal(a.config.horizon, a.steps);
    assert_int_equal(a.config.warmup, 10);
}

static void test_values_read_back(void **state)
{
    (void)state;
    static const char *const given[][2] = {
        {"data", "bytes:/a b/c"},
        {"data-else", "builtin"},
        {"model", "micro,T=64"},
        {"steps", "20"},
        {"warmup", "0"},
        {"batch", "7"},
        {"seq", "16"},
        {"seed", "18446744073709551615"},
        {"lr", "0.0003"},
        {"min-lr-ratio", "0"},
        {"beta1", "0.1"},
        {"beta2", "0.999"},
        {"eps", "1e-08"},
        {"weight-decay", "0.01"},
        {"grad-clip", "0"},
        {"nan-policy", "skip-step"},
        {"lane-depth", "3"},
        {"workers", "1728"},
        {"depth", "auto"},
        {"max-workers", "1728"},
        {"timetable", "5 spawn 0 4; 12 terminate 0"},
        {"storm", "40 seed 7"},
        {"perturb", "5"},
        {"simd", "off"},
        {"barrier", "pthread"},
        {"reduce", "owner"},
        {"micro-batch", "4"},
        {"memory-limit", "512M"},
        {"steal", "true"},
        {"guard", "true"},
        {"pin", "true"},
        {"allow-idle", "true"},
        {"hog", "2"},
        {"subject", "locks-gradient"},
        {"subject-options", "a=1,b=x"},
        {"tolerance", "0.001"},
        {"plant", "stray-write"},
        {"repeats", "3"},
        {"interval", "0.03"},
        {"repeats-max", "9"},
        {"minutes-max", "35.5"},
        {"shuffle", "0"},
        {"stall-limit", "2.5"},
    };
    size_t n = 0;
    (void)dd_keys(&n);
    assert_int_equal(n, sizeof given / sizeof given[0]); /* no key untested */
    dd_settings s;
    char value[DD_SPEC_MAX], message[DD_MESSAGE_MAX];
    dd_settings_default(&s);
    for (size_t i = 0; i < n; i++) {
        assert_true(dd_settings_set(&s, given[i][0], given[i][1], message));
        assert_string_equal(message, "");
        dd_settings_get(&s, given[i][0], value);
        assert_string_equal(value, given[i][1]);
    }
    assert_true(dd_settings_set(&s, "stall-limit", "30", message));
    dd_settings_get(&s, "stall-limit", value);
    assert_string_equal(value, "30"); /* not 3e+01 */
    assert_true(s.config.memory_limit == (uint64_t)512 << 20);
    static const char *const sizes[][2] = {{"1", "1"},         {"1023", "1023"},  {"2048K", "2M"},
                                           {"1536M", "1536M"}, {"1T", "1T"},      {"none", "none"},
                                           {"1025K", "1025K"}, {"3072T", "3072T"}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_true(dd_settings_set(&s, "memory-limit", sizes[i][0], message));
        dd_settings_get(&s, "memory-limit", value);
        assert_string_equal(value, sizes[i][1]);
    }
    assert_true(s.config.memory_limit == (uint64_t)3072 << 40);
    assert_int_equal(s.config.simd, DD_SIMD_OFF);
    assert_int_equal(s.config.barrier, DD_BARRIER_PTHREAD);
    assert_int_equal(s.config.reduce, DD_REDUCE_OWNER);
    for (dd_reduce r = DD_REDUCE_TREE; r <= DD_REDUCE_AUTO; r++) {
        assert_true(dd_settings_set(&s, "reduce", dd_reduce_name(r), message));
        assert_int_equal(s.config.reduce, r);
    }
    assert_int_equal(s.config.depth, DD_DEPTH_AUTO);
    assert_int_equal(s.subject, DD_SUBJECT_LOCKS_GRADIENT);
    assert_int_equal(s.plant, DD_PLANT_STRAY_WRITE);
    assert_true(s.config.steal && s.config.guard && s.config.pin);
    assert_int_equal(s.config.nan_policy, DD_NAN_SKIP_STEP);
    assert_true(s.config.seed == UINT64_MAX);
    assert_true(s.config.beta1 == 0.1); /* read as a double */
}

static void test_bad_values_are_refused(void **state)
{
    (void)state;
    static const char *const bad[][3] = {
        /* key, value, what the line must hold */
        {"batch", "0", "whole number from 1"},
        {"batch", "-1", "whole number from 1"},
        {"batch", "+4", "whole number"},
        {"batch", " 4", "whole number"},
        {"batch", "4 ", "whole number"},
        {"batch", "4x", "whole number"},
        {"batch", "0x10", "whole number"},
        {"batch", "4.0", "whole number"},
        {"batch", "1e2", "whole number"},
        {"batch", "", "whole number"},
        {"batch", "many", "whole number"},
        {"batch", "4294967296", "whole number"},
        {"batch", "18446744073709551617", "whole number"},
        {"seq", "0", "from 1"},
        {"steps", "0", "from 1"},
        {"repeats", "0", "from 1 to 1000"},
        {"seed", "18446744073709551616", "whole number"},
        {"seed", "-1", "whole number"},
        {"workers", "1729", "from 0 to 1728: depth 3 holds 1728"},
        {"workers", "-2", "0 to 1728"},
        {"workers", "auto", "0 to 1728"},
        {"depth", "0", "from 1 to 3 or auto"},
        {"depth", "4", "from 1 to 3 or auto: 12, 144 and 1728 workers"},
        {"depth", "Auto", "from 1 to 3 or auto"},
        {"lane-depth", "0", "from 1 to 3"},
        {"lane-depth", "4", "from 1 to 3: 12^3 is 1728 lanes"},
        {"lane-depth", "auto", "from 1 to 3"},
        {"max-workers", "0", "from 1 to 1728"},
        {"max-workers", "1729", "from 1 to 1728"},
        {"timetable", "5 spwan 0 4", "one of spawn, terminate, rebalance, checkpoint"},
        {"timetable", "later", "begins with the number of a step"},
        {"timetable", "", "there is no entry"},
        {"storm", "seed 7", "a number of commands, 1 to 100000, and their seed"},
        {"storm", "0 seed 7", "1 to 100000"},
        {"storm", "4 seed 7 8", "such as \"40 seed 7\""},
        {"perturb", "yes", "whole number"},
        {"steal", "neighbours", "true or false"},
        {"hog", "-1", "whole number"},
        {"subject", "llm.c", "this build has dodeca, oracle, locks, locks-gradient"},
        {"plant", "bomb", "this build has none, stray-write"},
        {"lr", "nan", "a number from"},
        {"lr", "inf", "a number from"},
        {"lr", "1e999", "a number from"},
        {"lr", "0", "a number from"},
        {"lr", "-1e-3", "a number from"},
        {"lr", "1e-3x", "a number from"},
        {"lr", "0x1p-3", "a number from"},
        {"lr", "", "a number from"},
        {"beta1", "1", "a number from 0 to"},
        {"min-lr-ratio", "1.5", "a number from 0 to 1"},
        {"stall-limit", "0", "a number from"},
        {"simd", "sse2", "this build has auto, off, avx2, avx512, neon"},
        {"simd", "OFF", "this build has auto, off, avx2, avx512, neon"},
        {"reduce", "owners", "this build has tree, control, sliced, owner, auto"},
        {"barrier", "spin", "this build has tree, pthread"},
        {"nan-policy", "ignore", "this build has abort, skip-step"},
        {"allow-idle", "yes", "true or false"},
        {"micro-batch", "-1", "a whole number from 0 to"},
        {"memory-limit", "0", "none, or a number of bytes such as 512M or 2G"},
        {"memory-limit", "M", "a number of bytes"},
        {"memory-limit", "1.5G", "a number of bytes"},
        {"memory-limit", "2GB", "a number of bytes"},
        {"memory-limit", "2g", "a number of bytes"},
        {"memory-limit", "16777216T", "a number of bytes"},
        {"memory-limit", "18446744073709551616", "a number of bytes"},
        {"serial", "true", "unknown key \"serial\""},
        {"data", "bible.txt", "kjv, builtin, bytes:FILE or tokens:FILE"},
        {"data", "bytes:", "kjv, builtin, bytes:FILE or tokens:FILE"},
        {"data", "", "kjv, builtin, bytes:FILE or tokens:FILE"},
        {"data-else", "kjv", "builtin, bytes:FILE or tokens:FILE"},
        {"model", "huge", "nano, micro, gpt2-124M"},
        {"model", "", "nano, micro, gpt2-124M"},
        {"model", "nano,C=130", "C must be a multiple of NH"},
        {"model", "nano,T=0", "whole number from 1"},
        {"model", "nano,L=-1", "whole number from 1"},
        {"model", "nano,K=4", "L=, NH=, C=, V=, T="},
        {"model", "nano,T=8,T=9", "given twice"},
        {"model", "nano,", "L=, NH=, C=, V=, T="},
        {"model", "L=2,NH=2", "needs all of L, NH, C, V, T"},
        {"model", "T=8,nano", "L=, NH=, C=, V=, T="},
        {"model", "L=16777215,NH=1,C=16777215,V=16777215,T=16777215", "2^43"},
        {"workrs", "4", "did you mean \"workers\""},
        {"lanedepth", "1", "did you mean \"lane-depth\""},
        {"Batch", "1", "did you mean \"batch\""},
        {"xyzzy", "1", "there are data data-else model"},
        {"", "1", "unknown key"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        dd_settings s, before;
        char message[DD_MESSAGE_MAX] = "";
        dd_settings_default(&s);
        memcpy(&before, &s, sizeof s);
        if (dd_settings_set(&s, bad[i][0], bad[i][1], message))
            fail_msg("%s \"%s\" was accepted", bad[i][0], bad[i][1]);
        if (!strstr(message, bad[i][2]) || !strstr(message, bad[i][0]) || strchr(message, '\n'))
            fail_msg("%s \"%s\": the message is \"%s\", not \"%s\"", bad[i][0], bad[i][1], message,
                     bad[i][2]);
        assert_memory_equal(&before, &s, sizeof s); /* a refused value changes nothing */
    }
}

static void test_overlong_text_is_refused(void **state)
{
    (void)state;
    char text[2000], message[DD_MESSAGE_MAX];
    dd_settings s;
    dd_settings_default(&s);
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memcpy(text, "bytes:", 6);
    size_t n = 0;
    const dd_key *keys = dd_keys(&n);
    for (size_t i = 0; i < n; i++)
        assert_false(dd_settings_set(&s, keys[i].name, text, message));
    assert_false(dd_settings_set(&s, text, "1", message));
}

static void test_finish(void **state)
{
    (void)state;
    static const struct {
        const char *set[4][2];
        const char *message; /* NULL: accepted */
    } cases[] = {
        {{{"batch", "4"}, {"workers", "8"}}, "take batch >= 8, workers <= 4 or allow-idle"},
        {{{"batch", "4"}, {"workers", "8"}, {"allow-idle", "true"}}, NULL},
        {{{"batch", "4"}, {"workers", "8"}, {"subject", "oracle"}}, NULL},
        {{{"batch", "13"}, {"workers", "13"}}, "workers 13: depth 1 holds 12; depth 2 holds 144"},
        {{{"workers", "145"}, {"depth", "2"}}, "depth 2 holds 144; depth 3 holds 1728"},
        {{{"workers", "1728"}}, "depth 1 holds 12; depth 3 holds 1728"},
        {{{"batch", "13"}, {"workers", "13"}, {"depth", "2"}},
         "lane-depth 1 has only 12 lanes; take lane-depth 2, workers <= 12 or allow-idle"},
        {{{"batch", "12"}, {"workers", "13"}, {"depth", "2"}},
         "batch 12 fills only 12 lanes; take lane-depth 2 and batch >= 13, workers <= 12 or "
         "allow-idle"},
        {{{"batch", "13"}, {"workers", "13"}, {"depth", "2"}, {"lane-depth", "2"}}, NULL},
        {{{"batch", "13"}, {"workers", "13"}, {"depth", "auto"}, {"lane-depth", "2"}}, NULL},
        {{{"batch", "100"}, {"workers", "120"}, {"depth", "2"}, {"lane-depth", "2"}},
         "batch 100 fills only 100 lanes; take batch >= 120, workers <= 100 or allow-idle"},
        {{{"workers", "12"}, {"depth", "3"}}, NULL},
        {{{"workers", "8"}, {"max-workers", "4"}}, "there are 8 workers from the start"},
        {{{"workers", "8"}, {"max-workers", "13"}},
         "max-workers 13: batch 12 fills only 12 lanes; take lane-depth 2 and batch >= 13"},
        {{{"timetable", "5 spawn 0 4"}}, "timetable: step 5, spawn 0 4: needs `workers`"},
        {{{"timetable", "5 spawn 1 4"}, {"workers", "2"}}, "there is no such sphere then"},
        {{{"timetable", "5 spawn 0 4"}, {"workers", "2"}, {"steps", "5"}}, "last step is 4"},
        {{{"timetable", "5 spawn 0 4"}, {"workers", "2"}, {"depth", "auto"}}, "depth auto"},
        {{{"timetable", "5 spawn 0 4"}, {"workers", "2"}}, NULL},
        {{{"timetable", "5 spawn 0 4"}, {"workers", "2"}, {"subject", "oracle"}}, NULL},
        {{{"timetable", "5 spawn 0 4"}, {"workers", "2"}, {"subject", "locks"}},
         "timetable 5 spawn 0 4: the lock-based subjects have no hierarchy"},
        {{{"storm", "4 seed 7"}, {"subject", "locks"}}, "storm 4 seed 7: the lock-based"},
        {{{"storm", "4 seed 7"}, {"timetable", "5 rebalance"}}, "take one of the two"},
        {{{"storm", "4 seed 7"}, {"perturb", "3"}}, NULL},
        {{{"steal", "true"}, {"subject", "locks-gradient"}}, "steal true: the lock-based"},
        {{{"guard", "true"}, {"subject", "locks"}}, "guard true: the lock-based"},
        {{{"depth", "auto"}, {"subject", "locks"}}, "depth auto: the lock-based"},
        {{{"workers", "4"}, {"subject", "locks"}}, NULL},
        {{{"hog", "1"}}, "hog 1: needs pin"},
        {{{"hog", "1"}, {"pin", "true"}}, NULL},
        {{{"hog", "3"}, {"pin", "true"}, {"workers", "2"}}, "hog 3: there are 2 workers to slow"},
        {{{"hog", "2"}, {"pin", "true"}, {"workers", "2"}}, NULL},
        {{{"plant", "stray-write"}}, "plant stray-write: needs guard"},
        {{{"plant", "stray-write"}, {"guard", "true"}, {"subject", "oracle"}},
         "only subject dodeca"},
        {{{"plant", "stray-write"}, {"guard", "true"}}, NULL},
        {{{"guard", "true"}, {"reduce", "owner"}},
         "guard: protects gradients that one worker holds"},
        {{{"guard", "true"}, {"reduce", "owner"}, {"subject", "oracle"}}, NULL},
        {{{"guard", "true"}, {"reduce", "auto"}}, NULL},
        {{{"micro-batch", "2"}, {"reduce", "owner"}}, "micro-batch 2: reduce owner keeps"},
        {{{"micro-batch", "2"}, {"reduce", "owner"}, {"subject", "oracle"}}, NULL},
        {{{"micro-batch", "2"}, {"memory-limit", "1G"}}, NULL},
        {{{"micro-batch", "2"}, {"subject", "locks"}}, "micro-batch: the lock-based subjects"},
        {{{"memory-limit", "1G"}, {"subject", "locks"}}, "memory-limit: the lock-based subjects"},
        {{{"guard", "true"}, {"reduce", "sliced"}}, NULL},
        {{{"batch", "12"}, {"workers", "12"}}, NULL},
        {{{"batch", "1"}, {"workers", "0"}}, NULL},
        {{{"steps", "5"}, {"warmup", "6"}}, "at most the 5 steps"},
        {{{"steps", "1"}}, NULL},
        {{{"seq", "65"}}, "take seq <= 64 or model nano,T=65"},
        {{{"seq", "65"}, {"model", "nano,T=65"}}, NULL},
        {{{"batch", "262144"}}, "2^24 or more tokens"},
        {{{"batch", "262143"}}, NULL},
        {{{"model", "L=2,NH=2,C=32,V=256,T=16"}}, NULL},
        {{{"interval", "0.03"}}, "interval 0.03: one repeat has none; take repeats >= 2"},
        {{{"interval", "0.03"}, {"repeats", "2"}}, NULL},
        {{{"repeats", "5"}, {"repeats-max", "4"}}, "every cell has 5 repeats at least"},
        {{{"repeats", "5"}, {"repeats-max", "5"}}, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dd_settings s;
        char message[DD_MESSAGE_MAX];
        dd_settings_default(&s);
        for (size_t k = 0; k < 4 && cases[i].set[k][0]; k++)
            assert_true(dd_settings_set(&s, cases[i].set[k][0], cases[i].set[k][1], message));
        bool ok = dd_settings_finish(&s, message);
        if (ok != !cases[i].message || (cases[i].message && !strstr(message, cases[i].message)))
            fail_msg("case %zu: \"%s\"", i, message);
    }
    dd_settings s;
    char message[DD_MESSAGE_MAX];
    dd_settings_default(&s);
    assert_true(dd_settings_set(&s, "model", "micro,T=64,V=300", message));
    assert_true(dd_settings_finish(&s, message));
    assert_int_equal(s.config.shape.T_max, 64);
    assert_int_equal(s.config.shape.V, 300);
    assert_int_equal(s.config.shape.C, 256);
    assert_int_equal(s.config.seq, 64);
}

/* How often at most, where nothing is said. */
static void test_most_repeats(void **state)
{
    (void)state;
    static const struct {
        const char *interval, *repeats;
        uint32_t most;
    } cases[] = {{"0", "3", 3}, {"0.05", "3", 10}, {"0.05", "12", 12}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dd_settings s;
        char message[DD_MESSAGE_MAX];
        dd_settings_default(&s);
        assert_true(dd_settings_set(&s, "interval", cases[i].interval, message));
        assert_true(dd_settings_set(&s, "repeats", cases[i].repeats, message));
        assert_true(dd_settings_finish(&s, message));
        assert_int_equal(s.repeats_max, cases[i].most);
    }
}

static void test_keys_of_subjects(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        bool oracle, locks;
    } cases[] = {{"workers", false, true},   {"simd", false, true},   {"reduce", false, false},
                 {"depth", false, false},    {"steal", false, false}, {"model", true, true},
                 {"lane-depth", true, true}, {"subject", true, true}, {"repeats", true, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const dd_key *key = dd_key_named(cases[i].key);
        assert_true(dd_key_concerns(key, DD_SUBJECT_DODECA));
        assert_int_equal(dd_key_concerns(key, DD_SUBJECT_ORACLE), cases[i].oracle);
        assert_int_equal(dd_key_concerns(key, DD_SUBJECT_LOCKS), cases[i].locks);
        assert_int_equal(dd_key_concerns(key, DD_SUBJECT_LOCKS_GRADIENT), cases[i].locks);
    }
}

static void test_king_james_or_else(void **state)
{
    (void)state;
    char used[DD_SPEC_MAX], note[DD_MESSAGE_MAX], message[DD_MESSAGE_MAX];
    dd_data *data = NULL;
    dd_error error;
    dd_settings s;
    assert_int_equal(setenv("XDG_CACHE_HOME", folder, 1), 0);
    dd_settings_default(&s);
    assert_true(dd_settings_set(&s, "data", "kjv", message));

    assert_int_equal(dd_settings_open_data(&s, &data, used, note, &error), DD_ERR_DATA);
    assert_non_null(strstr(error.message, "scripts/setup.sh"));
    assert_non_null(strstr(error.message, folder));

    assert_true(dd_settings_set(&s, "data-else", "builtin", message));
    assert_int_equal(dd_settings_open_data(&s, &data, used, note, &error), DD_OK);
    assert_string_equal(used, "builtin");
    assert_non_null(strstr(note, "training on builtin instead"));
    dd_data_close(data);

    static char text[50000];
    memset(text, 'a', sizeof text - 1);
    put_file("dodeca/kjv.txt", text);
    assert_int_equal(dd_settings_open_data(&s, &data, used, note, &error), DD_OK);
    assert_non_null(strstr(used, "/dodeca/kjv.txt"));
    assert_string_equal(note, "");
    dd_data_close(data);
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const names[] = {"run", "train", "check", "doctor", "lane-depth"};
    static const char *const cases[][2] = {
        {"trian", "train"},
        {"trai", "train"},
        {"chekc", "check"},
        {"rum", "run"},
        {"", NULL},
        {"zzz", NULL},
        {"lanedepth", "lane-depth"},
        {"docter", "doctor"},
        {"rn", "run"},
        {"lane_deth", "lane-depth"},
        {"x", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *found = dd_nearest(cases[i][0], names, 5);
        if (cases[i][1] ? !found || strcmp(found, cases[i][1]) != 0 : found != NULL)
            fail_msg("\"%s\" gives %s", cases[i][0], found ? found : "nothing");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_read_back),
        cmocka_unit_test(test_values_read_back),
        cmocka_unit_test(test_bad_values_are_refused),
        cmocka_unit_test(test_overlong_text_is_refused),
        cmocka_unit_test(test_finish),
        cmocka_unit_test(test_most_repeats),
        cmocka_unit_test(test_keys_of_subjects),
        cmocka_unit_test_setup_teardown(test_king_james_or_else, make_folder, remove_folder),
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
