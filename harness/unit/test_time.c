/* SPDX-License-Identifier: MIT
 * Where time went: measured in some steps of a trainer, switched on and off; from a child to its
 * parent; and in run.json, where the shares make up the whole. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cell_record.h"
#include "profile.h"
#include "time_json.h"

/* Two workers for 1 ms: the first phases 100 us, 200 us, …; folds are the controls'. */
static dd_run_end some_end(void)
{
    dd_run_end end = {.time_steps = 3, .data_hash = ""};
    dd_spent *s = &end.time;
    s->at_ns = 1000000;
    s->workers = 2;
    s->controls_fold = true;
    s->n_phases = DD_PROFILE_PHASES;
    for (uint32_t i = 0; i < s->n_phases; i++)
        s->phase[i].name = dd_profile_name((dd_profile_phase)i, &s->phase[i].flops);
    s->phase[DD_PROFILE_FORWARD].ns = 100000;
    s->phase[DD_PROFILE_INPUT_GRAD].ns = 200000;
    s->phase[DD_PROFILE_FOLD].ns = 400000;
    for (int point = 0; point < 4; point++)
        s->wait_ns[point] = 50000u * (uint32_t)(point + 1);
    strcpy(end.hash, "0123456789abcdef0123456789abcdef");
    return end;
}

/* ---- Sums and differences ---- */

static void differences(void **state)
{
    (void)state;
    dd_spent before = some_end().time, after = before;
    after.at_ns += 500;
    after.phase[0].ns += 7;
    after.phase[0].calls += 2;
    after.wait_ns[3] += 11;
    const dd_spent s = dd_spent_between(&before, &after);
    assert_int_equal(s.at_ns, 500);
    assert_int_equal(s.phase[0].ns, 7);
    assert_int_equal(s.phase[0].calls, 2);
    assert_int_equal(s.wait_ns[3], 11);
    assert_int_equal(s.wait_ns[0], 0);
    assert_true(dd_spent_other_ns(&s) == 2 * 500 - 7 - 11);
}

/* ---- From child to parent ---- */

static void records(void **state)
{
    (void)state;
    const dd_run_end end = some_end();
    dd_run run = {0};
    char why[128];
    char *line = dd_record_end(&end);
    assert_non_null(line);
    if (dd_record_read(line, strlen(line) - 1, &run, why) != DD_RECORD_END)
        fail_msg("%s", why);
    assert_int_equal(run.end.time_steps, 3);
    assert_int_equal(run.end.time.at_ns, end.time.at_ns);
    assert_int_equal(run.end.time.workers, 2);
    assert_true(run.end.time.controls_fold);
    assert_int_equal(run.end.time.n_phases, DD_PROFILE_PHASES);
    for (uint32_t i = 0; i < DD_PROFILE_PHASES; i++) {
        assert_int_equal(run.end.time.phase[i].ns, end.time.phase[i].ns);
        assert_string_equal(run.end.time.phase[i].name, end.time.phase[i].name);
    }
    assert_memory_equal(run.end.time.wait_ns, end.time.wait_ns, sizeof end.time.wait_ns);
    dd_run_clear(&run);

    char *phases = strstr(line, "\"phase_ns\":[") + strlen("\"phase_ns\":[");
    *phases = '-'; /* in the place of a digit */
    assert_int_equal(dd_record_read(line, strlen(line) - 1, &run, why), DD_RECORD_BAD);
    dd_run_clear(&run);
    free(line);
}

static void no_time_is_no_error(void **state)
{
    (void)state;
    dd_run_end end = some_end();
    end.time_steps = 0;
    dd_run run = {0};
    char why[128];
    char *line = dd_record_end(&end);
    assert_int_equal(dd_record_read(line, strlen(line) - 1, &run, why), DD_RECORD_END);
    assert_int_equal(run.end.time_steps, 0);
    dd_run_clear(&run);
    free(line);
}

/* ---- In run.json ---- */

static double share_of(const json_t *phases, const char *name, const char *by)
{
    size_t i;
    json_t *p;
    json_array_foreach(phases, i, p)
    {
        if (strcmp(json_string_value(json_object_get(p, "name")), name) == 0) {
            assert_string_equal(json_string_value(json_object_get(p, "by")), by);
            return json_real_value(json_object_get(p, "share"));
        }
    }
    fail_msg("no phase %s", name);
    return 0;
}

static void shares_make_up_the_whole(void **state)
{
    (void)state;
    dd_sphere_info sphere[] = {
        {.sphere = "zero", .control = true},
        {.sphere = "3", .thread = 1, .lanes_done = 5, .wait_ns = {1, 2, 3, 4}},
        {.sphere = "4", .thread = 2, .control = true},
        {.sphere = "4.0", .thread = 3, .parked = true}};
    dd_sweep_run repeats[2] = {{.run.outcome = DD_RUN_CRASH},
                               {.run = {.outcome = DD_RUN_ENDED, .end = some_end()}}};
    repeats[1].run.end.info.n_threads = 4;
    repeats[1].run.end.sphere = sphere;
    const dd_sweep_cell cell = {.repeats = repeats, .n_repeats = 2};
    bool ok = true;
    json_t *time = dd_time_json(&cell, &ok);
    assert_true(ok);
    assert_int_equal(json_integer_value(json_object_get(time, "repeat")), 1);
    const json_t *phases = json_object_get(time, "phases");
    assert_true(fabs(share_of(phases, "forward products", "workers") - 0.05) < 1e-12);
    assert_true(fabs(share_of(phases, "wait U", "workers") - 0.1) < 1e-12);
    assert_true(share_of(phases, "fold", "controls") == 0);
    double all = 0;
    size_t i;
    json_t *p;
    json_array_foreach(phases, i, p)
    {
        all += json_real_value(json_object_get(p, "share"));
    }
    assert_true(fabs(all - 1) < 1e-12);
    static const char *const roles[] = {"node-zero", "worker", "control", "parked"};
    const json_t *spheres = json_object_get(time, "spheres");
    assert_int_equal(json_array_size(spheres), 4);
    json_array_foreach(spheres, i, p)
    {
        assert_string_equal(json_string_value(json_object_get(p, "role")), roles[i]);
        assert_string_equal(json_string_value(json_object_get(p, "path")), sphere[i].sphere);
    }
    p = json_array_get(spheres, 1);
    assert_int_equal(json_integer_value(json_object_get(p, "lanes")), 5);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(p, "wait_ns"), "V")), 3);
    json_decref(time);

    repeats[1].run.end.time_steps = 0;
    assert_null(dd_time_json(&cell, &ok));
    assert_true(ok);
}

/* ---- Measured ---- */

static void a_trainer_is_measured_when_asked(void **state)
{
    (void)state;
    dd_config config;
    dd_data *data;
    dd_trainer *t;
    dd_config_default(&config);
    config.shape = (dd_shape){.L = 1, .NH = 1, .C = 16, .V = 64, .T_max = 8};
    config.workers = 2;
    assert_int_equal(dd_data_open("builtin", 1, &data, NULL), DD_OK);
    assert_int_equal(dd_trainer_open(&config, data, &t, NULL), DD_OK);
    assert_int_equal(dd_trainer_step(t, NULL, NULL), DD_OK);
    assert_int_equal(dd_spent_now(t).n_phases, 0);
    dd_trainer_profile_set(t, true);
    const dd_spent before = dd_spent_now(t);
    assert_int_equal(before.n_phases, DD_PROFILE_PHASES);
    assert_int_equal(before.phase[DD_PROFILE_FORWARD].calls, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(dd_trainer_step(t, NULL, NULL), DD_OK);
    dd_trainer_profile_set(t, false);
    const dd_spent after = dd_spent_now(t);
    assert_int_equal(dd_trainer_step(t, NULL, NULL), DD_OK);
    const dd_spent later = dd_spent_now(t), s = dd_spent_between(&before, &after);
    assert_true(s.phase[DD_PROFILE_FORWARD].calls > 0 && s.phase[DD_PROFILE_UPDATE].ns > 0);
    assert_int_equal(later.phase[DD_PROFILE_FORWARD].calls, after.phase[DD_PROFILE_FORWARD].calls);
    uint64_t phases_ns = 0;
    for (uint32_t i = 0; i < s.n_phases; i++)
        phases_ns += s.phase[i].ns;
    assert_true(phases_ns <= s.at_ns * s.workers);
    dd_trainer_close(t);
    dd_data_close(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences),
        cmocka_unit_test(records),
        cmocka_unit_test(no_time_is_no_error),
        cmocka_unit_test(shares_make_up_the_whole),
        cmocka_unit_test(a_trainer_is_measured_when_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
