/* SPDX-License-Identifier: MIT
 * The speedup table for programs, and the marks that all formats have of what is not to be trusted
 * without a look. */
#include "report.h"
#include "speedup_fixture.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- JSON ---- */

static json_t *json_of(const dd_sweep *sweep, const char *untimeable)
{
    dd_speedup s;
    const dd_report report = {.machine = {.cpu = "planted", .cores = 4}};
    char *text = NULL;
    size_t size;
    assert_true(dd_speedup_open(&s, sweep, 4, untimeable));
    FILE *out = open_memstream(&text, &size);
    assert_true(out && dd_speedup_json(&report, &s, out) && fclose(out) == 0);
    dd_speedup_close(&s);
    json_t *o = json_loads(text, 0, NULL);
    assert_non_null(o);
    free(text);
    return o;
}

/* By members' names and, where there are no objects, the numbers of elements: "rows 1 ratio". */
static const json_t *at(const json_t *o, const char *path)
{
    char copy[128], *rest = copy;
    snprintf(copy, sizeof copy, "%s", path);
    for (char *part; (part = strtok_r(rest, " ", &rest));) {
        o = json_is_array(o) ? json_array_get(o, strtoul(part, NULL, 10))
                             : json_object_get(o, part);
        if (!o)
            fail_msg("%s: there is no %s", path, part);
    }
    return o;
}

static void must_say(const json_t *o, const char *path, const char *text)
{
    char *json = json_dumps(at(o, path), JSON_ENCODE_ANY | JSON_COMPACT);
    if (!json || strcmp(json, text) != 0)
        fail_msg("%s: %s, not %s", path, json, text);
    free(json);
}

static void test_json(void **state)
{
    const fixture *f = *state;
    json_t *o = json_of(f->sweep, NULL);
    must_say(o, "schema", "1");
    must_say(o, "scenario", "\"planted\"");
    must_say(o, "machine cpu", "\"planted\"");
    must_say(o, "cores", "4");
    assert_true(json_is_string(at(o, "build compiler")));
    assert_int_equal(json_array_size(at(o, "rows")), N_CELLS);
    must_say(o, "rows 1 index", "1");
    must_say(o, "rows 1 subject", "\"dodeca\"");
    must_say(o, "rows 1 workers", "2");
    must_say(o, "rows 1 settings workers", "\"2\"");
    must_say(o, "rows 1 settings barrier", "\"tree\"");
    must_say(o, "rows 1 settings batch", "\"12\"");
    assert_null(
        json_object_get(at(o, "rows 1 settings"), "reduce")); /* neither varies nor counts */
    must_say(o, "rows 1 oversubscribed", "false");
    must_say(o, "rows 2 oversubscribed", "true");
    must_say(o, "rows 1 verdict", "\"PASS\"");
    must_say(o, "rows 1 checks", "\"hfslzibc-\"");
    must_say(o, "rows 1 not_timed", "null");
    must_say(o, "rows 1 hash", "\"0123456789abcdef0123456789abcdef\"");
    must_say(o, "rows 1 repeats", "[4000.5,5000.5,6000.5]");
    must_say(o, "rows 1 step_ns", "{\"median\":5000.5,\"low\":4000.5,\"high\":6000.5}");
    must_say(o, "rows 1 ratio parallel divided_by", "0");
    must_say(o, "rows 1 ratio parallel of_ns", "9000.5");
    near(json_real_value(at(o, "rows 1 ratio parallel x")), 9000.5 / 5000.5);
    near(json_real_value(at(o, "rows 1 ratio parallel high")), 8000.5 / 4000.5);
    must_say(o, "rows 1 ratio simd", "null");
    must_say(o, "rows 1 ratio lock_free", "null");
    must_say(o, "rows 1 ratio locks", "null");
    must_say(o, "rows 1 ratio total divided_by", "\"oracle\"");
    must_say(o, "rows 1 ratio total row", "null");
    near(json_real_value(at(o, "rows 1 ratio total of_ns")),
         5000.5 * json_real_value(at(o, "rows 1 ratio total x")));
    must_say(o, "rows 1 narrow", "false");
    must_say(o, "rows 1 repeats_ended_by", "\"repeats\"");
    /* of a row that may not be timed there is no number at all */
    must_say(o, "rows 3 verdict", "\"HANG\"");
    must_say(o, "rows 3 not_timed", "\"a check did not hold\"");
    must_say(o, "rows 3 repeats", "[]");
    must_say(o, "rows 3 step_ns", "null");
    must_say(o, "rows 3 tokens_per_s", "null");
    must_say(o, "rows 3 efficiency", "null");
    must_say(o, "rows 3 hash", "null");
    must_say(o, "rows 3 ratio",
             "{\"parallel\":null,\"simd\":null,\"lock_free\":null,\"locks\":null,"
             "\"total\":null}");
    json_decref(o);
    o = json_of(f->sweep, "debug build");
    for (int i = 0; i < N_CELLS; i++) {
        char path[64];
        snprintf(path, sizeof path, "rows %d not_timed", i);
        must_say(o, path, "\"debug build\"");
        snprintf(path, sizeof path, "rows %d repeats", i);
        must_say(o, path, "[]");
        snprintf(path, sizeof path, "rows %d ratio total", i);
        must_say(o, path, "null");
    }
    json_decref(o);
}

/* ---- Marks ---- */

/* Five repeats, one far off; what was asked for was not reached. */
static void test_marks(void **state)
{
    fixture *f = *state;
    static const uint64_t step_ns[] = {8000, 8010, 9500, 7990, 8005};
    dd_settings *settings = &f->cells[0].settings;
    dd_sweep_close(f->sweep);
    for (size_t i = 0; i < N_CELLS; i++) {
        f->cells[i].settings.repeats = 5;
        f->cells[i].settings.repeats_max = 5;
        f->cells[i].settings.interval = 0.001;
    }
    f->sweep = dd_sweep_open(&f->scenario);
    assert_non_null(f->sweep);
    end_run(&f->sweep->oracles[0].run, 1, 16000);
    for (uint32_t r = 0; r < 5; r++) {
        end_run(&f->sweep->cells[0].repeats[r].run, 1, step_ns[r]);
        judge(f, 0, r);
    }
    json_t *o = json_of(f->sweep, NULL);
    must_say(o, "rows 0 outliers", "[2]");
    must_say(o, "rows 0 repeats", "[8000.5,8010.5,9500.5,7990.5,8005.5]"); /* none is left out */
    must_say(o, "rows 0 step_ns", "{\"median\":8005.5,\"low\":7990.5,\"high\":9500.5}");
    must_say(o, "rows 0 repeats_ended_by", "\"repeats-max\"");
    json_decref(o);
    for (int way = 0; way < 2; way++) {
        char *text = text_of(f, way ? markdown : plain);
        assert_non_null(strstr(text, way ? "repeats 5~\\*" : "repeats 5~*"));
        assert_non_null(strstr(text, "~ the interval is wider than that after 5 repeats"));
        assert_non_null(
            strstr(text, way ? "- \\* for each repeat further" : "  * for each repeat further"));
        assert_non_null(strstr(text, "which holds the median"));
        assert_non_null(strstr(text, "93.75 % of the time with 5."));
        free(text);
    }
    settings->interval = 0.2;
    o = json_of(f->sweep, NULL);
    must_say(o, "rows 0 narrow", "true");
    must_say(o, "rows 0 repeats_ended_by", "\"narrow\"");
    json_decref(o);
}

int main(void)
{
#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_json),
        WITH_FIXTURE(test_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
