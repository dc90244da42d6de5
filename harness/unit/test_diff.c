/* SPDX-License-Identifier: MIT
 * What `dodeca diff` is made of: records written and read back, files that are none, points at
 * which runs part, distances between floats, places of elements. The whole of it, with runs that
 * part, is in diff_test.sh. */
#include "diff.h"
#include "folder_fixture.h"
#include "random.h"
#include "weights_file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- A record of the oracle's run, which is quick ---- */

enum { STEPS = 6 };
static float *last_weights;

static dd_settings tiny(void)
{
    dd_settings s;
    char message[DD_MESSAGE_MAX];
    dd_settings_default(&s);
    assert_true(dd_settings_set(&s, "model", "L=1,NH=1,C=4,V=64,T=4", message));
    assert_true(dd_settings_set(&s, "steps", "6", message));
    assert_true(dd_settings_set(&s, "subject", "oracle", message));
    assert_true(dd_settings_finish(&s, message));
    return s;
}

static void make_record(const char *name)
{
    const dd_settings s = tiny();
    const dd_subject_api *subject = dd_subject_get(s.subject, DD_PLANT_NONE);
    dd_data *data;
    dd_recorder *r;
    dd_error error = {""};
    void *self;
    uint64_t n;
    assert_int_equal(dd_data_open("builtin", s.config.seed, &data, NULL), DD_OK);
    assert_int_equal(subject->open(&s.config, data, &self, &error), DD_OK);
    if (dd_recorder_open(file_named(name), &s, subject, self, data, "builtin", 0, &r, &error) !=
        DD_OK)
        fail_msg("%s", error.message);
    for (uint64_t i = 0; i < STEPS; i++) {
        dd_step step;
        assert_int_equal(subject->step(self, &step, &error), DD_OK);
        assert_int_equal(dd_recorder_step(r, &step, subject->weights(self, &n), &error), DD_OK);
    }
    assert_int_equal(dd_recorder_end(r, DD_OK, STEPS, &error), DD_OK);
    dd_recorder_close(r);
    free(last_weights);
    last_weights = malloc(n * sizeof *last_weights);
    assert_non_null(last_weights);
    memcpy(last_weights, subject->weights(self, &n), n * sizeof *last_weights);

    dd_recorder *second = NULL; /* none is overwritten */
    assert_int_equal(
        dd_recorder_open(file_named(name), &s, subject, self, data, "builtin", 0, &second, &error),
        DD_ERR_DATA);
    assert_null(second);
    assert_non_null(strstr(error.message, "none is overwritten"));
    subject->close(self);
    dd_data_close(data);
}

static void records_are_read_as_they_were_written(void **state)
{
    (void)state;
    make_record("whole");
    dd_record r;
    dd_record_line line;
    char message[DD_MESSAGE_MAX];
    const dd_settings want = tiny();
    if (!dd_record_open(file_named("whole"), &r, message))
        fail_msg("%s", message);
    assert_memory_equal(&r.head.settings.config.shape, &want.config.shape, sizeof(dd_shape));
    assert_true(r.head.settings.steps == STEPS && r.head.settings.config.warmup == 0);
    assert_int_equal(r.head.settings.subject, DD_SUBJECT_ORACLE);
    assert_int_equal(r.head.workers, 1);
    char self[DD_RECORD_PATH], hash[33];
    assert_true(dd_program_self(self) && dd_program_hash(self, hash));
    assert_string_equal(r.head.program, self);
    assert_string_equal(r.head.program_hash, hash);
    dd_fingerprint before = r.head.start, after;
    for (uint64_t i = 0; i < STEPS; i++) {
        assert_true(dd_record_next(&r, &line, message));
        assert_true(line.kind == DD_RECORD_STEP && line.step == i);
        assert_true(isfinite(line.loss) && isfinite(line.norm) && !line.discarded);
        assert_false(dd_fingerprint_equal(&before, &line.weights));
        before = line.weights;
    }
    dd_fingerprint_make(&r.head.layout, last_weights, &after);
    assert_true(dd_fingerprint_equal(&after, &before));
    assert_true(dd_record_next(&r, &line, message));
    assert_true(line.kind == DD_RECORD_END && line.step == STEPS);
    assert_string_equal(line.end, "DD_OK");
    assert_true(dd_record_next(&r, &line, message));
    assert_true(line.kind == DD_RECORD_NOTHING && !r.cut);
    dd_record_close(&r);
    assert_int_equal(count_files(), 1);
}

/* ---- Files that are no records ---- */

/* Reads all of it: what is said, or "" where nothing is wrong. */
static void read_all(const char *name, char message[DD_MESSAGE_MAX], bool *cut)
{
    dd_record r;
    dd_record_line line = {.kind = DD_RECORD_STEP};
    bool good = dd_record_open(file_named(name), &r, message);
    while (good && line.kind != DD_RECORD_NOTHING)
        good = dd_record_next(&r, &line, message);
    *cut = r.cut;
    assert_true(good == !message[0]);
    assert_null(strchr(message, '\n'));
    dd_record_close(&r);
}

/* The whole record with its first `from` made into `to` must be refused so. */
static void refuse(const char *from, const char *to, const char *where, const char *why)
{
    char *text = read_file(file_named("whole"), NULL), *changed = calloc(1, 2 << 20),
         message[DD_MESSAGE_MAX];
    bool cut;
    assert_non_null(changed);
    char *at = strstr(text, from);
    if (!at)
        fail_msg("the record holds no %s", from);
    (void)sprintf(changed, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    write_file(file_named("changed"), changed, strlen(changed));
    read_all("changed", message, &cut);
    if (!strstr(message, where) || !strstr(message, why))
        fail_msg("%s for %s: \"%s\" says nothing of \"%s\" at %s", to, from, message, why, where);
    free(changed);
    free(text);
}

static void hostile_records_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *where, *why;
    } bad[] = {
        {"{\"dodeca_record\":1", "{\"dodeca_record\":2", ":1: ", "of version 2"},
        {"{\"dodeca_record\":1", "{\"dodeca_record\":-1", ":1: ", "whole number"},
        {"{\"dodeca_record\":1", "{\"dodeca_record\":99999999999999999999", ":1: ", "not JSON"},
        {"{\"dodeca_record\":1", "{\"dodeca\":1", ":1: ", "no head of a record"},
        {"{\"dodeca_record\":1", "[1", ":1: ", "not JSON"},
        {"{\"dodeca_record\":1", "\xff{\"dodeca_record\":1", ":1: ", "not JSON"},
        {"\"steps\":\"6\"", "\"steps\":6", ":1: ", "\"steps\" must be a text"},
        {"\"steps\":\"6\"", "\"steps\":\"0\"", ":1: ", "whole number from 1"},
        {"\"steps\":\"6\"", "\"steps\":\"6\",\"stepz\":\"6\"", ":1: ", "unknown key \"stepz\""},
        {"\"steps\":\"6\"", "\"steps\":\"6\",\"plant\":\"none\"", ":1: ", "no option of train"},
        {"\"steps\":\"6\"", "\"steps\":\"6\",\"steps\":\"6\"", ":1: ", "not JSON: duplicate"},
        {"\"lr\":\"0.001\"", "\"lr\":\"nan\"", ":1: ", "must be a number"},
        {"C=4,V=64", "C=4,V=999999999999", ":1: ", "whole number"},
        {"\"workers\":\"1\"", "\"workers\":\"99999\"", ":1: ", "1728"},
        {"\"workers\":1,", "\"workers\":1e3,", ":1: ", "whole number from 0 to 1728"},
        {"\"wte\",\"wpe\"", "\"wpe\",\"wte\"", ":1: ", "in their order"},
        {"\"step\":0", "\"step\":1", ":2: ", "one more than"},
        {"\"step\":3", "\"step\":2", ":5: ", "one more than"},
        {"\"step\":0", "\"step\":-7", ":2: ", "whole number"},
        {"\"step\":0,\"loss\":", "\"step\":0,\"loss\":\"\",\"was\":", ":2: ", "\"loss\""},
        {"\"discarded\":false", "\"discarded\":0", ":2: ", "true or false"},
        {"\"step\":5,", "\"step\":5,\"hash\":\"g\",\"hush\":\"g\",", ":7: ", "not JSON"},
        {"\"steps\":6}", "\"steps\":7}", ":8: ", "the number of steps before"},
        {"\"steps\":6}", "\"steps\":6}\n{}", ":9: ", "nothing may follow"},
        {"{\"step\":2", "[]\n{\"step\":2", ":4: ", "not a JSON object"},
        {"{\"step\":2", "{}\n{\"step\":2", ":4: ", "\"step\""},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refuse(bad[i].from, bad[i].to, bad[i].where, bad[i].why);
    char deep[4001], message[DD_MESSAGE_MAX];
    memset(deep, '[', 4000);
    deep[4000] = '\0';
    refuse("\"norm\":", "\"was\":", ":2: ", "\"norm\"");
    refuse("{\"step\":1", deep, ":3: ", "not JSON");
    char *longest = malloc(100001);
    assert_non_null(longest);
    memset(longest, ' ', 100000);
    longest[100000] = '\0';
    refuse("{\"step\":1", longest, ":3: ", "as long as this one");
    free(longest);

    bool cut;
    write_file(file_named("bytes"), "\0\1\2\3\n", 5);
    read_all("bytes", message, &cut);
    assert_non_null(strstr(message, "bytes:1: not JSON"));
    write_file(file_named("empty"), "", 0);
    read_all("empty", message, &cut);
    assert_non_null(strstr(message, "not one whole line"));
    read_all("missing", message, &cut);
    assert_non_null(strstr(message, "No such file"));
    read_all(".", message, &cut);
    assert_true(message[0] != '\0');
}

/* A run that was killed: every file that its record can be cut to is read up to the last whole
 * line, or refused where that is not even the head. */
static void cut_records_are_read(void **state)
{
    (void)state;
    char *text = read_file(file_named("whole"), NULL), message[DD_MESSAGE_MAX];
    const size_t head = (size_t)(strchr(text, '\n') - text) + 1, all = strlen(text);
    for (size_t n = 0; n <= all; n += n + 40 < all ? 37 : 1) {
        bool cut;
        write_file(file_named("cut"), text, n);
        read_all("cut", message, &cut);
        assert_true(n < head ? message[0] != '\0' : message[0] == '\0');
        if (n >= head)
            assert_true(cut == (text[n - 1] != '\n'));
    }
    free(text);
}

/* Bytes changed at random: something is said or nothing, but nothing else happens. */
static void garbled_records_do_no_harm(void **state)
{
    (void)state;
    char *text = read_file(file_named("whole"), NULL), message[DD_MESSAGE_MAX];
    const size_t n = strlen(text);
    uint32_t refused = 0, f[4];
    for (uint64_t i = 0; i < 2000; i++) {
        char *garbled = malloc(n);
        assert_non_null(garbled);
        memcpy(garbled, text, n);
        for (uint64_t j = 0; j <= i % 3; j++) {
            dd_philox(3, 3 * i + j, 100, f);
            garbled[f[0] % n] = (char)(f[2] % 4 ? (int)(f[1] % 256) : "{}[]\",:\n"[f[1] % 8]);
        }
        bool cut;
        write_file(file_named("garbled"), garbled, n);
        read_all("garbled", message, &cut);
        refused += message[0] != '\0';
        free(garbled);
    }
    print_message("%u of 2000 garbled records were refused\n", refused);
    assert_true(refused >
                500); /* most bytes are hash digits or settings, of which others are good */
    free(text);
}

/* ---- Where records part ---- */

static dd_diff_steps steps_of(const char *a, const char *b)
{
    dd_record r[2];
    dd_diff_steps steps;
    char message[DD_MESSAGE_MAX];
    assert_true(dd_record_open(file_named(a), &r[0], message));
    assert_true(dd_record_open(file_named(b), &r[1], message));
    if (!dd_diff_steps_compare(r, &steps, message))
        fail_msg("%s", message);
    dd_record_close(&r[0]);
    dd_record_close(&r[1]);
    return steps;
}

/* The record with one digit of the hashes of line `line` changed, and of those of n more. */
static void part_at(const char *name, int line, int n)
{
    char *text = read_file(file_named("whole"), NULL), *at = text;
    for (int i = 1; i < line + n; i++, at = strchr(at, '\n') + 1) {
        if (i < line)
            continue;
        char *digit = strstr(at, "\"tensor_hashes\":[\"") + 18;
        *digit = *digit == '0' ? '1' : '0';
    }
    write_file(file_named(name), text, strlen(text));
    free(text);
}

static void first_points_are_found(void **state)
{
    (void)state;
    dd_diff_steps s = steps_of("whole", "whole");
    assert_true(!s.parted && s.steps[0] == STEPS && s.steps[1] == STEPS);
    for (int line = 1; line <= 1 + STEPS; line++)
        for (int n = 1; line + n <= 2 + STEPS; n++) { /* and later ones equal again, or not */
            part_at("parted", line, n);
            s = steps_of("whole", "parted");
            assert_true(s.parted && s.point == (uint64_t)line - 1);
            assert_int_equal(s.parted_points, n);
            assert_int_equal(s.equal_points, 2 + STEPS - line - n);
        }
    char *text = read_file(file_named("whole"), NULL), *third = strstr(text, "{\"step\":2");
    write_file(file_named("short"), text, (size_t)(third - text));
    s = steps_of("short", "whole"); /* cut off: equal as far as it goes */
    assert_true(!s.parted && s.steps[0] == 2 && s.steps[1] == STEPS);
    assert_int_equal(s.end[0].kind, DD_RECORD_NOTHING);
    static const struct {
        const char *end;
        bool parts;
    } ends[] = {{"DD_OK", false}, {"DD_ERR_CANCELLED", false}, {"DD_ERR_NONFINITE", true}};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        (void)snprintf(third, 100, "{\"end\":\"%s\",\"steps\":2}\n", ends[i].end);
        write_file(file_named("ended"), text, strlen(text));
        for (int swap = 0; swap < 2; swap++) {
            s = swap ? steps_of("whole", "ended") : steps_of("ended", "whole");
            assert_true(s.parted == ends[i].parts);
            assert_true(!s.parted || s.point == 3); /* at step 2 */
        }
        s = steps_of("ended", "ended");
        assert_false(s.parted);
    }
    free(text);
}

static void settings_are_told_apart(void **state)
{
    (void)state;
    dd_record r[2];
    char message[DD_MESSAGE_MAX];
    static dd_diff_settings d;
    static const struct {
        const char *key, *value;
        bool must_be_equal;
        size_t n;
    } cases[] = {{"workers", "4", true, 1},        {"simd", "off", true, 1},
                 {"reduce", "sliced", true, 1},    {"lr", "0.5", false, 1},
                 {"seed", "9", false, 1},          {"nan-policy", "skip-step", false, 1},
                 {"subject", "dodeca", true, 1},   {"subject", "locks", false, 1},
                 {"lane-depth", "2", false, 1},    {"data", "bytes:/etc/passwd", true, 0},
                 {"data-else", "builtin", true, 0}};
    for (int i = 0; i < 2; i++)
        assert_true(dd_record_open(file_named("whole"), &r[i], message));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        r[1].head.settings = r[0].head.settings;
        assert_true(dd_settings_set(&r[1].head.settings, cases[i].key, cases[i].value, message));
        dd_diff_settings_compare(&r[0].head, &r[1].head, &d);
        assert_int_equal(d.n, cases[i].n);
        assert_true(d.must_be_equal == cases[i].must_be_equal);
        assert_true(d.must_be_equal == !d.why[0]);
    }
    r[1].head.settings = r[0].head.settings;
    r[1].head.data_hash[0] ^= 1;
    dd_diff_settings_compare(&r[0].head, &r[1].head, &d);
    assert_true(!d.must_be_equal && d.n == 0);
    dd_record_close(&r[0]);
    dd_record_close(&r[1]);
}

/* ---- Numbers ---- */

static void distances_are_counted_in_floats(void **state)
{
    (void)state;
    assert_int_equal(dd_ulp_distance(1, 1), 0);
    assert_int_equal(dd_ulp_distance(1, nextafterf(1, 2)), 1);
    assert_int_equal(dd_ulp_distance(1, nextafterf(1, 0)), 1);
    assert_int_equal(dd_ulp_distance(1, 2), 1 << 23);
    assert_int_equal(dd_ulp_distance(-1, -2), 1 << 23);
    assert_int_equal(dd_ulp_distance(0.0f, -0.0f), 0);
    assert_int_equal(dd_ulp_distance(0x1p-149f, -0x1p-149f), 2);
    assert_int_equal(dd_ulp_distance(0x1.fffffep127f, INFINITY), 1);
    assert_int_equal(dd_ulp_distance(-INFINITY, INFINITY), 2u * 0x7f800000u);
    assert_true(dd_ulp_distance(NAN, 1) == UINT64_MAX && dd_ulp_distance(1, NAN) == UINT64_MAX);
}

static void elements_are_found(void **state)
{
    (void)state;
    const dd_shape shape = {.L = 2, .NH = 1, .C = 4, .V = 64, .T_max = 4};
    dd_layout layout;
    dd_layout_make(&shape, &layout);
    const uint64_t n = dd_layout_size(&layout);
    float *a = malloc(n * sizeof *a), *b = malloc(n * sizeof *b);
    assert_true(a && b);
    for (uint64_t i = 0; i < n; i++)
        a[i] = b[i] = dd_random_normal(1, 50, i, 1.0f);
    dd_diff_tensor d[DD_N_TENSORS];
    dd_diff_tensors(&layout, a, b, d);
    for (int k = 0; k < DD_N_TENSORS; k++)
        assert_int_equal(d[k].differ, 0);
    for (int k = 0; k < DD_N_TENSORS; k++) {
        const uint64_t first = layout.offset[k] + 1, most = layout.offset[k + 1] - 1;
        b[first] = nextafterf(a[first], 9);
        b[most] = nextafterf(nextafterf(a[most], 9), 9);
        dd_diff_tensors(&layout, a, b, d);
        for (int j = 0; j < DD_N_TENSORS; j++)
            assert_int_equal(d[j].differ, j == k ? 2 : 0);
        assert_true(d[k].first == 1 && d[k].first_ulp == 1);
        assert_true(d[k].most == most - layout.offset[k] && d[k].most_ulp == 2);
        assert_true(d[k].at_first[0] == a[first] && d[k].at_first[1] == b[first]);
        b[most] = NAN; /* farther apart than any number */
        dd_diff_tensors(&layout, a, b, d);
        assert_true(d[k].most_ulp == UINT64_MAX && d[k].most == most - layout.offset[k]);
        b[first] = a[first];
        b[most] = a[most];
    }
    dd_diff_place p = dd_diff_place_of(&layout, DD_QKVW, 48 + 4 * 7 + 3);
    assert_true(p.layer == 1 && p.row == 7 && p.column == 3);
    p = dd_diff_place_of(&layout, DD_WTE, 4 * 9 + 2);
    assert_true(p.layer == UINT32_MAX && p.row == 9 && p.column == 2);
    p = dd_diff_place_of(&layout, DD_WPE, 4 * 3 + 1);
    assert_true(p.layer == UINT32_MAX && p.row == 3 && p.column == 1);
    p = dd_diff_place_of(&layout, DD_FCPROJW, 64 + 16 * 2 + 15);
    assert_true(p.layer == 1 && p.row == 2 && p.column == 15);
    p = dd_diff_place_of(&layout, DD_FCB, 16 + 5);
    assert_true(p.layer == 1 && p.row == UINT32_MAX && p.column == 5);
    p = dd_diff_place_of(&layout, DD_LNFB, 3);
    assert_true(p.layer == UINT32_MAX && p.row == UINT32_MAX && p.column == 3);
    free(a);
    free(b);
}

/* ---- Weights in files ---- */

static void weights_files_hold_what_they_say(void **state)
{
    (void)state;
    const dd_settings s = tiny();
    const dd_shape *shape = &s.config.shape;
    const size_t bytes = dd_shape_n_parameters(shape) * sizeof(float);
    char message[DD_MESSAGE_MAX];
    float *back;
    const int n_files = count_files();
    const int fd = dd_weights_file_create(file_named("weights"), message);
    assert_true(fd >= 0);
    assert_true(
        dd_weights_file_write(fd, file_named("weights"), shape, STEPS, last_weights, message));
    assert_int_equal(dd_weights_file_create(file_named("weights"), message), -1);
    assert_non_null(strstr(message, "none is overwritten"));
    assert_int_equal(count_files(), n_files + 1);
    assert_true(dd_weights_file_read(file_named("weights"), shape, STEPS, &back, message));
    assert_memory_equal(back, last_weights, bytes);
    free(back);
    assert_false(dd_weights_file_read(file_named("weights"), shape, STEPS - 1, &back, message));
    const dd_shape other = {.L = 1, .NH = 2, .C = 4, .V = 64, .T_max = 4};
    assert_false(dd_weights_file_read(file_named("weights"), &other, STEPS, &back, message));
    static char text[64 + 65536];
    FILE *f = fopen(file_named("weights"), "r");
    assert_non_null(f);
    assert_int_equal(fread(text, 1, sizeof text, f), 64 + bytes);
    (void)fclose(f);
    for (size_t i = 0; i < 64 + bytes; i += i < 64 ? 1 : 501) { /* a bit turned */
        text[i] ^= 16;
        write_file(file_named("turned"), text, 64 + bytes);
        assert_false(dd_weights_file_read(file_named("turned"), shape, STEPS, &back, message));
        text[i] ^= 16;
    }
    for (size_t i = 0; i < 64 + bytes; i += 97) { /* cut off */
        write_file(file_named("turned"), text, i);
        assert_false(dd_weights_file_read(file_named("turned"), shape, STEPS, &back, message));
    }
    write_file(file_named("turned"), text, 64 + bytes + 1);
    assert_false(dd_weights_file_read(file_named("turned"), shape, STEPS, &back, message));
}

static int close_folder(void **state)
{
    free(last_weights);
    return remove_folder(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_read_as_they_were_written),
        cmocka_unit_test(hostile_records_are_refused),
        cmocka_unit_test(cut_records_are_read),
        cmocka_unit_test(garbled_records_do_no_harm),
        cmocka_unit_test(first_points_are_found),
        cmocka_unit_test(settings_are_told_apart),
        cmocka_unit_test(distances_are_counted_in_floats),
        cmocka_unit_test(elements_are_found),
        cmocka_unit_test(weights_files_hold_what_they_say),
    };
    return cmocka_run_group_tests_name("diff", tests, make_folder, close_folder);
}
