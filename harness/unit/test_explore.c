/* SPDX-License-Identifier: MIT
 * The explorer's own tests: toys whose outcome is known, the protocols of core/, and copies of
 * core/ with planted defects, each of which must be caught. Argument "slow": the slow protocols
 * instead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "explore.h"
#include "toys.h"

#define DD_MUTANT(symbol, name, protocol, verdicts) extern const dd_program dd_protocols_##symbol[];
#include "mutants.inc"
#undef DD_MUTANT

static const struct mutant {
    const char *name;
    const dd_program *table;
    const char *protocol;
    const char *verdicts; /* any of these words */
} mutants[] = {
#define DD_MUTANT(symbol, name, protocol, verdicts)                                                \
    {name, dd_protocols_##symbol, protocol, verdicts},
#include "mutants.inc"
#undef DD_MUTANT
};

static const dd_program *find(const dd_program *table, const char *name)
{
    for (const dd_program *p = table; p->name; p++)
        if (strcmp(p->name, name) == 0)
            return p;
    return NULL;
}

static void show(const char *name, const dd_explore_result *r)
{
    printf("  %-24s %-12s %8llu states %9.1e executions %6.2f s\n", name,
           dd_explore_verdict_name(r->verdict), (unsigned long long)r->states, r->executions,
           r->seconds);
}

static void explore_toy(const dd_toy *toy, bool unreduced)
{
    dd_explore_result r;
    dd_toy_outcomes = 0;
    dd_explore(&toy->program, &(dd_explore_limits){.unreduced = unreduced}, &r);
    show(toy->program.name, &r);
    if (r.verdict != toy->verdict)
        fail_msg("%s: %s", toy->program.name, r.trace ? r.trace : "passed");
    assert_int_equal(r.trace == NULL, r.verdict == DD_EXPLORE_PASS);
    if (r.verdict == DD_EXPLORE_PASS)
        assert_int_equal(dd_toy_outcomes, toy->outcomes);
    if (toy->states && !unreduced)
        assert_int_equal(r.states, toy->states);
    if (toy->executions > 0 && !unreduced)
        assert_true(r.executions == toy->executions);
    dd_explore_release(&r);
}

static void toys_end_as_known(void **state)
{
    (void)state;
    for (const dd_toy *toy = dd_toys; toy->program.name; toy++)
        explore_toy(toy, false);
}

/* What the reductions leave out must not matter: without them, the same verdicts and outcomes. */
static void toys_end_as_known_unreduced(void **state)
{
    (void)state;
    for (const dd_toy *toy = dd_toys; toy->program.name; toy++)
        explore_toy(toy, true);
}

static void protocols_pass_unreduced(void **state)
{
    static const char *const names[] = {"eventcount", "mailbox-rung", "points-tree",
                                        "leave-wide", "queues",       "step-pthread-control"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        dd_explore_result r;
        dd_explore(find(dd_protocols, names[i]), &(dd_explore_limits){.unreduced = true}, &r);
        show(names[i], &r);
        if (r.verdict != DD_EXPLORE_PASS)
            fail_msg("%s: %s", names[i], r.trace);
        dd_explore_release(&r);
    }
}

/* The same program, twice: the same states. */
static void exploration_repeats(void **state)
{
    (void)state;
    dd_explore_result a, b;
    dd_explore(find(dd_protocols, "eventcount"), NULL, &a);
    dd_explore(find(dd_protocols, "eventcount"), NULL, &b);
    assert_int_equal(a.states, b.states);
    assert_int_equal(a.transitions, b.transitions);
    assert_true(a.executions == b.executions && a.executions > 1);
    dd_explore_release(&a);
    dd_explore_release(&b);
}

static void limits_are_no_pass(void **state)
{
    (void)state;
    dd_explore_result r;
    dd_explore(find(dd_protocols, "eventcount"), &(dd_explore_limits){.states = 100}, &r);
    assert_int_equal(r.verdict, DD_EXPLORE_LIMIT);
    assert_non_null(r.trace);
    dd_explore_release(&r);
}

static void explore_protocols(bool slow)
{
    for (const dd_program *p = dd_protocols; p->name; p++) {
        if (p->slow != slow)
            continue;
        dd_explore_result r;
        dd_explore(p, NULL, &r);
        show(p->name, &r);
        if (r.verdict != DD_EXPLORE_PASS)
            fail_msg("%s: %s", p->name, r.trace);
        assert_true(r.executions > 1);
        dd_explore_release(&r);
    }
}

static void protocols_pass(void **state)
{
    (void)state;
    explore_protocols(false);
}

static void slow_protocols_pass(void **state)
{
    (void)state;
    explore_protocols(true);
}

/* Whether the verdict's first word is in the list. */
static bool is_expected(const char *verdicts, const char *verdict)
{
    char word[32];
    (void)snprintf(word, sizeof word, "%.*s", (int)strcspn(verdict, " "), verdict);
    return strstr(verdicts, word) != NULL;
}

static void planted_defects_are_caught(void **state)
{
    (void)state;
    assert_true(sizeof mutants / sizeof mutants[0] >= 30);
    for (size_t i = 0; i < sizeof mutants / sizeof mutants[0]; i++) {
        const struct mutant *m = &mutants[i];
        const dd_program *p = find(m->table, m->protocol);
        assert_non_null(p);
        dd_explore_result r;
        dd_explore(p, NULL, &r);
        show(m->name, &r);
        if (!is_expected(m->verdicts, dd_explore_verdict_name(r.verdict)))
            fail_msg("%s on %s: not caught as %s: %s", m->name, m->protocol, m->verdicts,
                     r.trace ? r.trace : "passed");
        assert_non_null(r.trace);
        dd_explore_release(&r);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest quick[] = {
        cmocka_unit_test(toys_end_as_known),        cmocka_unit_test(toys_end_as_known_unreduced),
        cmocka_unit_test(protocols_pass_unreduced), cmocka_unit_test(exploration_repeats),
        cmocka_unit_test(limits_are_no_pass),       cmocka_unit_test(planted_defects_are_caught),
        cmocka_unit_test(protocols_pass),
    };
    const struct CMUnitTest slow[] = {cmocka_unit_test(slow_protocols_pass)};
    if (argc > 1 && strcmp(argv[1], "slow") == 0)
        return cmocka_run_group_tests(slow, NULL, NULL);
    return cmocka_run_group_tests(quick, NULL, NULL);
}
