/* SPDX-License-Identifier: MIT
 * Timelines of a trainer's threads, from the rings to the file: whole and true in every reduction,
 * with both barriers and stealing, while the hierarchy changes; bounded, and told so; and the bits
 * are those of a run without. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "folder_fixture.h"
#include "trace_check.h"
#include "trace_file.h"
#include "trainer_fixture.h"

enum { LANES = 11 }; /* of a batch of as many sequences */

static int open_all(void **state)
{
    return make_folder(state) || open_data(state);
}

static int close_all(void **state)
{
    return close_data(state) || remove_folder(state);
}

static dd_config small(uint32_t workers)
{
    dd_config config;
    dd_config_default(&config);
    config.shape = (dd_shape){.L = 1, .NH = 2, .C = 16, .V = 64, .T_max = 8};
    config.batch = LANES;
    config.workers = workers;
    config.reduce = DD_REDUCE_TREE;
    config.trace = 4096;
    return config;
}

static dd_trace_file *open_trace(dd_trainer *t)
{
    dd_error error;
    dd_trace_file *f = NULL;
    if (dd_trace_file_open(one_file, "a test", t, &f, &error) != DD_OK)
        fail_msg("%s", error.message);
    return f;
}

static void steps(dd_trainer *t, dd_trace_file *f, uint32_t n)
{
    dd_step step;
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(dd_trainer_step(t, &step, NULL), DD_OK);
        dd_trace_file_take(f, &step);
    }
}

/* Ends the file and reads it; it is gone then. */
static json_t *trace_of(dd_trace_file *f)
{
    dd_error error = {""};
    json_error_t at;
    if (dd_trace_file_close(f, &error) != DD_OK)
        fail_msg("%s", error.message);
    json_t *trace = json_load_file(one_file, JSON_REJECT_DUPLICATES, &at);
    assert_int_equal(unlink(one_file), 0);
    if (!trace)
        fail_msg("line %d: %s", at.line, at.text);
    return trace;
}

static void must_hold(const json_t *trace, uint64_t n_steps, uint32_t n_lanes)
{
    char why[TRACE_WHY];
    if (!trace_holds(trace, n_steps, n_lanes, why))
        fail_msg("%s", why);
}

/* ---- Whole and true ---- */

static void same_bits_untraced(const dd_trainer *traced, dd_config config, uint32_t n_steps)
{
    uint8_t hash[2][16];
    config.trace = 0;
    dd_trainer *t = open_trainer(&config);
    for (uint32_t i = 0; i < n_steps; i++)
        step_ok(t);
    dd_trainer_hash(traced, hash[0]);
    dd_trainer_hash(t, hash[1]);
    assert_memory_equal(hash[0], hash[1], sizeof *hash);
    dd_trainer_close(t);
}

static void trace_steps(const dd_config *config)
{
    enum { STEPS = 3 };
    dd_trainer *t = open_trainer(config);
    dd_trace_file *f = open_trace(t);
    steps(t, f, STEPS);
    json_t *trace = trace_of(f);
    must_hold(trace, STEPS, LANES);
    assert_int_equal(trace_count(trace, "counter", "loss"), STEPS);
    assert_true(trace_count(trace, "wait", "wait A") > 0);
    same_bits_untraced(t, *config, STEPS);
    json_decref(trace);
    dd_trainer_close(t);
}

static void every_kind_of_step(void **state)
{
    (void)state;
    static const uint32_t workers[] = {1, 3, 5};
    for (int reduce = DD_REDUCE_TREE; reduce < DD_REDUCE_AUTO; reduce++)
        for (int kind = 0; kind < 4; kind++)
            for (size_t w = 0; w < sizeof workers / sizeof *workers; w++) {
                dd_config config = small(workers[w]);
                config.reduce = (dd_reduce)reduce;
                config.barrier = kind & 1 ? DD_BARRIER_PTHREAD : DD_BARRIER_TREE;
                config.steal = kind & 2;
                config.depth = w == 1 ? 2 : 1;
                trace_steps(&config);
            }
}

/* ---- Changes and commands ---- */

static void command(dd_trainer *t, dd_command what)
{
    assert_int_equal(dd_trainer_command(t, what, NULL), DD_OK);
}

static void changes_and_commands(void **state)
{
    (void)state;
    dd_config config = small(2);
    config.max_workers = 6;
    dd_trainer *t = open_trainer(&config);
    dd_trace_file *f = open_trace(t);
    double loss;
    steps(t, f, 1);
    assert_int_equal(dd_trainer_spawn(t, "0", 3, NULL), DD_OK);
    steps(t, f, 2);
    command(t, DD_COMMAND_PAUSE);
    command(t, DD_COMMAND_CHECKPOINT);
    command(t, DD_COMMAND_RESUME);
    steps(t, f, 1);
    assert_int_equal(dd_trainer_terminate(t, "0", NULL), DD_OK);
    assert_int_equal(dd_trainer_terminate(t, "0", NULL), DD_ERR_REFUSED);
    steps(t, f, 2);
    assert_int_equal(dd_trainer_spawn(t, "6", 2, NULL), DD_OK); /* threads come from the pool */
    steps(t, f, 1);
    assert_int_equal(dd_trainer_validate(t, 1, &loss, NULL), DD_OK);
    dd_trace_file_take(f, NULL);
    json_t *trace = trace_of(f);
    must_hold(trace, 7, LANES);
    assert_int_equal(trace_count(trace, "command", "expand"), 2);
    assert_int_equal(trace_count(trace, "command", "collapse"), 2);
    assert_int_equal(trace_count(trace, "command", "pause"), 1);
    assert_int_equal(trace_count(trace, "command", "checkpoint"), 1);
    assert_int_equal(trace_count(trace, "command", "resume"), 1);
    assert_int_equal(trace_count(trace, "step", "validation"), 1);
    assert_int_equal(trace_count(trace, "membership", "is control 0"), 1);
    assert_int_equal(trace_count(trace, "membership", "is worker 0.4"), 1);
    assert_int_equal(trace_count(trace, "membership", "leaves 0.4"), 1);
    assert_int_equal(trace_count(trace, "membership", "is control 6"), 1);
    assert_int_equal(trace_count(trace, NULL, "workers"), 4);
    same_bits_untraced(t, config, 7);
    json_decref(trace);
    dd_trainer_close(t);
}

static void a_discarded_step_and_its_replay(void **state)
{
    (void)state;
    dd_config config = small(2);
    config.nan_policy = DD_NAN_SKIP_STEP;
    dd_trainer *t = open_trainer(&config);
    dd_trace_file *f = open_trace(t);
    set_one(t, 0, NAN);
    steps(t, f, 1);
    json_t *trace = trace_of(f);
    assert_int_equal(trace_count(trace, "step", "step 0"), 1);
    assert_int_equal(trace_count(trace, "step", "replay"), 1);
    assert_int_equal(trace_count(trace, "counter", "loss"), 0); /* JSON has no NaN */
    json_decref(trace);
    dd_trainer_close(t);
}

/* ---- Phases ---- */

static void phases_inside(void **state)
{
    (void)state;
    dd_config config = small(2);
    config.reduce = DD_REDUCE_OWNER;
    dd_trainer *t = open_trainer(&config);
    dd_trace_file *f = open_trace(t);
    dd_phase_info phase;
    steps(t, f, 1);
    assert_false(dd_trainer_phase_get(t, 0, &phase)); /* a timeline alone is no profile */
    dd_trainer_profile_set(t, true);
    steps(t, f, 1);
    dd_trainer_profile_set(t, false);
    steps(t, f, 1);
    assert_true(dd_trainer_phase_get(t, 0, &phase));
    assert_true(phase.calls > 0);
    const uint64_t calls = phase.calls;
    steps(t, f, 1);
    assert_true(dd_trainer_phase_get(t, 0, &phase) && phase.calls == calls);
    json_t *trace = trace_of(f);
    must_hold(trace, 4, LANES);
    assert_int_equal(trace_count(trace, "phase", "forward products"), calls);
    assert_true(trace_count(trace, "phase", "weight-gradient products") >= 4 * 5);
    json_decref(trace);
    dd_trainer_close(t);
}

/* ---- Room ---- */

static uint64_t lost_with(uint32_t room, uint64_t *enough)
{
    dd_config config = small(1);
    config.trace = room;
    dd_trainer *t = open_trainer(&config);
    dd_trainer_info info;
    dd_trainer_info_get(t, &info);
    assert_int_equal(info.trace_bytes, (uint64_t)info.n_threads * room * 40);
    dd_trace_file *f = open_trace(t);
    steps(t, f, 3);
    const uint64_t lost = dd_trace_file_lost(f, enough);
    json_t *trace = trace_of(f);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(trace, "otherData"), "lost_events")),
        lost);
    json_decref(trace);
    same_bits_untraced(t, config, 3);
    dd_trainer_close(t);
    return lost;
}

static void room_is_bounded_and_told(void **state)
{
    (void)state;
    uint64_t enough;
    assert_true(lost_with(3, &enough) > 0);
    assert_true(enough >= LANES && enough <= 512);
    assert_int_equal(lost_with((uint32_t)enough, &enough), 0);
    assert_int_equal(enough, 0);
}

static void without_room_there_is_nothing(void **state)
{
    (void)state;
    dd_config config = small(2);
    dd_trace_event event[4];
    uint64_t lost = 1;
    config.trace = 0;
    dd_trainer *t = open_trainer(&config);
    step_ok(t);
    assert_int_equal(dd_trainer_trace_take(t, 1, event, 4, &lost), 0);
    assert_int_equal(lost, 0);
    dd_trainer_close(t);
    config.trace = 64;
    t = open_trainer(&config);
    step_ok(t);
    assert_int_equal(dd_trainer_trace_take(t, 3, event, 4, &lost), 0); /* there is no thread 3 */
    assert_int_equal(dd_trainer_trace_take(t, 2, event, 4, &lost), 4);
    assert_int_equal(event[0].kind, DD_TRACE_PLACE); /* oldest first, the rest stays */
    assert_true(dd_trainer_trace_take(t, 2, event, 4, &lost) > 0);
    assert_true(event[0].kind == DD_TRACE_ACTIVITY && event[0].at != DD_AT_POOL);
    dd_trainer_close(t);
}

static void files_are_not_overwritten(void **state)
{
    (void)state;
    dd_config config = small(1);
    dd_error error;
    dd_trainer *t = open_trainer(&config);
    put_file("file", "a user's");
    dd_trace_file *f = NULL, *other = NULL;
    assert_int_equal(dd_trace_file_open(one_file, "", t, &other, &error), DD_ERR_DATA);
    assert_non_null(strstr(error.message, "there is such a file"));
    assert_int_equal(unlink(one_file), 0);
    f = open_trace(t);
    assert_int_equal(dd_trace_file_open(one_file, "", t, &other, &error), DD_ERR_DATA);
    assert_non_null(strstr(error.message, "is being written by somebody else"));
    assert_int_equal(dd_trace_file_open("/nowhere/there", "", t, &other, &error), DD_ERR_DATA);
    put_file("file", "a user's"); /* meanwhile */
    assert_int_equal(dd_trace_file_close(f, &error), DD_ERR_DATA);
    assert_non_null(strstr(error.message, "there is such a file by now"));
    char *text = read_file(one_file, NULL);
    assert_string_equal(text, "a user's");
    free(text);
    assert_int_equal(unlink(one_file), 0);
    assert_int_equal(count_files(), 0);
    dd_trainer_close(t);
}

/* It has its name when it is whole, and not before. */
static void half_a_file_has_no_name(void **state)
{
    (void)state;
    dd_config config = small(2);
    dd_trainer *t = open_trainer(&config);
    dd_trace_file *f = open_trace(t);
    steps(t, f, 2);
    assert_int_not_equal(access(one_file, F_OK), 0);
    json_decref(trace_of(f));
    f = open_trace(t);
    dd_trace_file_abandon(f);
    dd_trace_file_abandon(NULL);
    assert_int_equal(count_files(), 0);
    dd_trainer_close(t);
}

/* ---- The checks themselves: what is wrong must be seen ---- */

static json_t *some_trace(void)
{
    dd_config config = small(3);
    dd_trainer *t = open_trainer(&config);
    dd_trace_file *f = open_trace(t);
    steps(t, f, 2);
    json_t *trace = trace_of(f);
    must_hold(trace, 2, LANES);
    dd_trainer_close(t);
    return trace;
}

static size_t find(const json_t *events, const char *category, const char *name)
{
    size_t i;
    json_t *e;
    json_array_foreach(events, i, e)
    {
        const char *c = json_string_value(json_object_get(e, "cat"));
        const char *n = json_string_value(json_object_get(e, "name"));
        if (c && strcmp(c, category) == 0 && (!name || strcmp(n, name) == 0) &&
            json_is_number(json_object_get(e, "dur")))
            return i;
    }
    fail_msg("no %s", category);
    return 0;
}

static void shift(json_t *event, double by)
{
    (void)json_object_set_new(event, "ts",
                              json_real(json_number_value(json_object_get(event, "ts")) + by));
}

static void flaws_are_seen(void **state)
{
    (void)state;
    enum { NO_LANE, TWICE, NO_FOLD, OVERLAP, GAP, EARLY_UPDATE, OTHER_WORD, NO_NAMES, FLAWS };
    json_t *whole = some_trace();
    for (int flaw = 0; flaw < FLAWS; flaw++) {
        json_t *trace = json_deep_copy(whole), *events = json_object_get(trace, "traceEvents");
        const size_t lane = find(events, "lane", NULL);
        char why[TRACE_WHY];
        switch (flaw) {
        case NO_LANE:
            (void)json_object_del(json_object_get(json_array_get(events, lane), "args"), "step");
            break;
        case TWICE:
            (void)json_array_append(events, json_array_get(events, lane));
            break;
        case NO_FOLD:
            (void)json_array_remove(events, find(events, "fold", NULL));
            break;
        case OVERLAP:
            (void)json_object_set_new(json_array_get(events, find(events, "fold", NULL)), "dur",
                                      json_real(1e6));
            break;
        case GAP:
            (void)json_array_remove(events, find(events, "folds", NULL));
            break;
        case EARLY_UPDATE:
            shift(json_array_get(events, find(events, "update", NULL)), -1);
            break;
        case OTHER_WORD:
            (void)json_object_set_new(json_array_get(events, lane), "name", json_string("line 1"));
            break;
        default:
            while (json_array_size(events) &&
                   json_object_get(json_array_get(events, json_array_size(events) - 1), "args") &&
                   !json_object_get(json_array_get(events, json_array_size(events) - 1), "ts"))
                (void)json_array_remove(events, json_array_size(events) - 1);
            break;
        }
        if (trace_holds(trace, 2, LANES, why))
            fail_msg("flaw %d was not seen", flaw);
        json_decref(trace);
    }
    json_decref(whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_step),
        cmocka_unit_test(changes_and_commands),
        cmocka_unit_test(a_discarded_step_and_its_replay),
        cmocka_unit_test(phases_inside),
        cmocka_unit_test(room_is_bounded_and_told),
        cmocka_unit_test(without_room_there_is_nothing),
        cmocka_unit_test(files_are_not_overwritten),
        cmocka_unit_test(half_a_file_has_no_name),
        cmocka_unit_test(flaws_are_seen),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
