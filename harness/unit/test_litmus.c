/* SPDX-License-Identifier: MIT
 * The explorer's memory model against the litmus tests: exactly the outcomes that C11 allows, but
 * for those that the table names as beyond it, with the reductions and without; under sequential
 * consistency no others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "explore.h"
#include "litmus.h"

/* Takes the next outcome off a list. returns  its value in base 4, or UINT32_MAX */
static uint32_t next_outcome(const char **list)
{
    uint32_t value = 0;
    if (!*list || !**list)
        return UINT32_MAX;
    for (; **list && **list != ' '; ++*list)
        value = value << 2 | (uint32_t)(**list - '0');
    *list += **list == ' ';
    return value;
}

static void expect_outcomes(const dd_litmus *t, bool all)
{
    bool expected[sizeof dd_litmus_reached] = {0};
    const char *list = t->outcomes;
    for (uint32_t o; (o = next_outcome(&list)) != UINT32_MAX;)
        expected[o] = true;
    if (!*t->outcomes)
        expected[0] = true; /* of no digits */
    for (uint32_t o = 0; o < sizeof expected; o++)
        if (all ? dd_litmus_reached[o] != expected[o] : dd_litmus_reached[o] && !expected[o])
            fail_msg("%s: outcome %u%u%u%u is %s", t->program.name, o >> 6 & 3, o >> 4 & 3,
                     o >> 2 & 3, o & 3, expected[o] ? "missed" : "reached");
}

static void run(const dd_litmus *t, dd_memory memory, bool unreduced)
{
    dd_explore_result r;
    memset(dd_litmus_reached, 0, sizeof dd_litmus_reached);
    dd_explore(&t->program, &(dd_explore_limits){.memory = memory, .unreduced = unreduced}, &r);
    printf("  %-24s %-4s %8llu states  %s\n", t->program.name,
           memory == DD_MEMORY_C11 ? "C11" : "SC", (unsigned long long)r.states,
           dd_explore_verdict_name(r.verdict));
    if (memory == DD_MEMORY_C11 && r.verdict != t->verdict)
        fail_msg("%s: %s", t->program.name, r.trace ? r.trace : "passed");
    if (memory == DD_MEMORY_C11 && t->verdict == DD_EXPLORE_PASS)
        expect_outcomes(t, true);
    if (memory == DD_MEMORY_SC && t->verdict == DD_EXPLORE_PASS) {
        assert_int_equal(r.verdict, DD_EXPLORE_PASS);
        expect_outcomes(t, false);
    }
    dd_explore_release(&r);
}

static void outcomes_are_those_of_c11(void **state)
{
    (void)state;
    for (const dd_litmus *t = dd_litmus_tests; t->program.name; t++)
        run(t, DD_MEMORY_C11, false);
}

static void reductions_change_no_outcome(void **state)
{
    (void)state;
    for (const dd_litmus *t = dd_litmus_tests; t->program.name; t++)
        run(t, DD_MEMORY_C11, true);
}

static void sequential_consistency_has_no_others(void **state)
{
    (void)state;
    for (const dd_litmus *t = dd_litmus_tests; t->program.name; t++)
        run(t, DD_MEMORY_SC, false);
}

/* The outcomes that tell the models apart are each missed by sequential consistency. */
static void sequential_consistency_has_fewer(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t weak;
    } tests[] = {{"MP", 4}, {"SB+rel+acq", 0}, {"IRIW+rel+acq", 0x44}, {"2+2W+rel", 5}};
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        const dd_litmus *t = dd_litmus_tests;
        while (strcmp(t->program.name, tests[i].name) != 0)
            t++;
        run(t, DD_MEMORY_SC, false);
        assert_false(dd_litmus_reached[tests[i].weak]);
        run(t, DD_MEMORY_C11, false);
        assert_true(dd_litmus_reached[tests[i].weak]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outcomes_are_those_of_c11),
        cmocka_unit_test(reductions_change_no_outcome),
        cmocka_unit_test(sequential_consistency_has_no_others),
        cmocka_unit_test(sequential_consistency_has_fewer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
