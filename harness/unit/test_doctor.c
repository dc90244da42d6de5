/* SPDX-License-Identifier: MIT
 * What `dodeca doctor` finds without measuring. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cpu.h"
#include "doctor_machine.h"

static void test_workers_of_threads(void **state)
{
    (void)state;
    static const struct {
        uint64_t threads;
        uint32_t workers;
    } rows[] = {
        {0, 0},     {1, 0},       {2, 1},       {13, 12},     {14, 12},
        {25, 12},   {26, 13},     {157, 144},   {158, 144},   {301, 144},
        {302, 145}, {1884, 1727}, {1885, 1728}, {1886, 1728}, {UINT64_MAX, 1728},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(dd_workers_of_threads(rows[i].threads), rows[i].workers);
}

static void test_found(void **state)
{
    (void)state;
    dd_found found;
    dd_found_look(&found);
    assert_int_equal(found.cpus, dd_cpu_available());
    assert_true(found.cpus <= found.topology.n_cpus);
    assert_true(found.memory_gib > 0);
    assert_true(found.most_workers == dd_workers_of_threads(found.threads_left));
    assert_int_equal(found.keys == 0, found.keys_why[0] != '\0');
    json_t *json = dd_found_json(&found);
    assert_non_null(json);
    const json_t *order = json_object_get(json_object_get(json, "topology"), "cpus_in_order");
    assert_int_equal(json_array_size(order), found.topology.n_cpus);
    for (uint32_t i = 0; i < found.topology.n_cpus; i++)
        assert_int_equal(json_integer_value(json_array_get(order, i)), found.topology.cpu[i]);
    assert_int_equal(json_integer_value(json_object_get(json, "protection_keys")), found.keys);
    assert_string_equal(json_string_value(json_object_get(json, "protection_keys_why")),
                        found.keys_why);
    json_decref(json);
    dd_found_close(&found);
    dd_found_close(&found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_workers_of_threads),
        cmocka_unit_test(test_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
