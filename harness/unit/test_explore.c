/* SPDX-License-Identifier: MIT
 * The explorer's own tests, under both memory models: toys whose outcome is known, the protocols of
 * core/, and copies of core/ with planted defects, each of which must be caught; weakened memory
 * orders under C11 alone. Arguments "slow K N": of the slow protocols instead the K-th of N parts,
 * counted from 1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
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

static const char *memory_name(dd_memory memory)
{
    return memory == DD_MEMORY_C11 ? "C11" : "SC";
}

static void show(const char *name, dd_memory memory, const dd_explore_result *r)
{
    printf("  %-24s %-4s %-12s %8llu states %9.1e executions %6.2f s\n", name, memory_name(memory),
           dd_explore_verdict_name(r->verdict), (unsigned long long)r->states, r->executions,
           r->seconds);
    fflush(stdout);
}

static void explore_toy(const dd_toy *toy, dd_memory memory, bool unreduced)
{
    dd_explore_result r;
    dd_toy_outcomes = 0;
    dd_explore(&toy->program, &(dd_explore_limits){.memory = memory, .unreduced = unreduced}, &r);
    show(toy->program.name, memory, &r);
    if (r.verdict != toy->verdict)
        fail_msg("%s: %s", toy->program.name, r.trace ? r.trace : "passed");
    assert_int_equal(r.trace == NULL, r.verdict == DD_EXPLORE_PASS);
    if (r.verdict == DD_EXPLORE_PASS)
        assert_int_equal(dd_toy_outcomes, toy->outcomes);
    if (toy->states && !unreduced && memory == DD_MEMORY_SC)
        assert_int_equal(r.states, toy->states);
    if (toy->executions > 0 && !unreduced && memory == DD_MEMORY_SC)
        assert_true(r.executions == toy->executions);
    dd_explore_release(&r);
}

static void toys_end_as_known(void **state)
{
    (void)state;
    for (const dd_toy *toy = dd_toys; toy->program.name; toy++) {
        explore_toy(toy, DD_MEMORY_SC, false);
        explore_toy(toy, DD_MEMORY_C11, false);
    }
}

/* What the reductions leave out must not matter: without them, the same verdicts and outcomes. */
static void toys_end_as_known_unreduced(void **state)
{
    (void)state;
    for (const dd_toy *toy = dd_toys; toy->program.name; toy++) {
        explore_toy(toy, DD_MEMORY_SC, true);
        explore_toy(toy, DD_MEMORY_C11, true);
    }
}

static void protocols_pass_unreduced(void **state)
{
    static const struct {
        const char *name;
        dd_memory memory;
    } cases[] = {{"eventcount", DD_MEMORY_SC},
                 {"eventcount", DD_MEMORY_C11},
                 {"mailbox-rung", DD_MEMORY_SC},
                 {"points-tree", DD_MEMORY_SC},
                 {"points-round", DD_MEMORY_C11},
                 {"points-pthread", DD_MEMORY_C11},
                 {"leave-wide", DD_MEMORY_SC},
                 {"leave-wide", DD_MEMORY_C11},
                 {"queues", DD_MEMORY_SC},
                 {"queues", DD_MEMORY_C11},
                 {"snapshot-saved", DD_MEMORY_SC},
                 {"snapshot-saved", DD_MEMORY_C11},
                 {"step-pthread-control", DD_MEMORY_SC}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dd_explore_result r;
        dd_explore(find(dd_protocols, cases[i].name),
                   &(dd_explore_limits){.memory = cases[i].memory, .unreduced = true}, &r);
        show(cases[i].name, cases[i].memory, &r);
        if (r.verdict != DD_EXPLORE_PASS)
            fail_msg("%s: %s", cases[i].name, r.trace);
        dd_explore_release(&r);
    }
}

/* Persistent sets reach what all steps together do: the same verdicts and outcomes of toys, and the
 * same ends of protocols, with fewer states. */
static void toys_end_as_known_reduced(void **state)
{
    (void)state;
    for (const dd_toy *toy = dd_toys; toy->program.name; toy++)
        for (dd_memory m = DD_MEMORY_SC; m <= DD_MEMORY_C11; m++) {
            dd_explore_result r;
            dd_toy_outcomes = 0;
            dd_explore(&toy->program, &(dd_explore_limits){.memory = m, .tier = DD_TIER_REDUCED},
                       &r);
            show(toy->program.name, m, &r);
            if (r.verdict != toy->verdict)
                fail_msg("%s: %s", toy->program.name, r.trace ? r.trace : "passed");
            if (r.verdict == DD_EXPLORE_PASS)
                assert_int_equal(dd_toy_outcomes, toy->outcomes);
            dd_explore_release(&r);
        }
}

static void persistent_sets_lose_nothing(void **state)
{
    static const struct {
        const char *name;
        dd_memory memory;
    } cases[] = {
        {"step-pthread-control", DD_MEMORY_SC},
        {"step-pthread-control", DD_MEMORY_C11},
        {"step-pthread-owner", DD_MEMORY_SC},
        {"snapshot", DD_MEMORY_C11},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const dd_program *p = find(dd_protocols, cases[i].name);
        dd_explore_limits limits = {.memory = cases[i].memory};
        dd_explore_result all, some;
        dd_explore(p, &limits, &all);
        limits.tier = DD_TIER_REDUCED;
        dd_explore(p, &limits, &some);
        show(p->name, limits.memory, &some);
        if (some.verdict != DD_EXPLORE_PASS)
            fail_msg("%s: %s", p->name, some.trace);
        assert_int_equal(some.final_states, all.final_states);
        assert_true(some.states < all.states && some.executions < all.executions);
        dd_explore_release(&all);
        dd_explore_release(&some);
    }
}

/* The same program, twice: the same states. */
static void exploration_repeats(void **state)
{
    (void)state;
    const dd_explore_limits limits = {.memory = DD_MEMORY_C11};
    dd_explore_result a, b;
    dd_explore(find(dd_protocols, "eventcount"), &limits, &a);
    dd_explore(find(dd_protocols, "eventcount"), &limits, &b);
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
    assert_string_equal(r.trace, "given up after 101 states\n");
    dd_explore_release(&r);
    dd_explore(find(dd_protocols, "pool"), &(dd_explore_limits){.seconds = 1e-9}, &r);
    assert_int_equal(r.verdict, DD_EXPLORE_LIMIT);
    assert_string_equal(r.trace, "the limit of 1e-09 s was reached\n");
    dd_explore_release(&r);
}

/* Of the slow explorations, which part of how many is gone through. */
static uint32_t part = 1, n_parts = 1;

static void explore_protocols(dd_memory memory, bool slow)
{
    uint32_t n = 0;
    for (const dd_program *p = dd_protocols; p->name; p++) {
        const bool c11 = memory == DD_MEMORY_C11;
        if (dd_explore_is_large(p, memory) || (c11 ? p->slow_c11 : p->slow) != slow)
            continue;
        if (slow && n++ % n_parts + 1 != part)
            continue;
        const dd_explore_limits limits = dd_explore_usual(p, memory, false);
        dd_explore_result r;
        dd_explore(p, &limits, &r);
        show(p->name, memory, &r);
        if (r.verdict != DD_EXPLORE_PASS)
            fail_msg("%s: %s", p->name, r.trace);
        assert_true(limits.tier == DD_TIER_BOUNDED || r.executions > 1);
        dd_explore_release(&r);
    }
}

static void protocols_pass(void **state)
{
    (void)state;
    explore_protocols(DD_MEMORY_SC, false);
    explore_protocols(DD_MEMORY_C11, false);
}

static void slow_protocols_pass(void **state)
{
    (void)state;
    explore_protocols(DD_MEMORY_SC, true);
    explore_protocols(DD_MEMORY_C11, true);
}

/* Whether the verdict's first word is in the list. */
static bool is_expected(const char *verdicts, const char *verdict)
{
    char word[32];
    (void)snprintf(word, sizeof word, "%.*s", (int)strcspn(verdict, " "), verdict);
    return strstr(verdicts, word) != NULL;
}

/* returns  whether it was caught, as its file says */
static bool catches(const struct mutant *m, dd_memory memory, bool reduced)
{
    const dd_program *p = find(m->table, m->protocol);
    assert_non_null(p);
    dd_explore_result r;
    dd_explore_limits limits = dd_explore_usual(p, memory, false);
    if (reduced)
        limits.tier = DD_TIER_REDUCED;
    dd_explore(p, &limits, &r);
    show(m->name, memory, &r);
    const bool caught = is_expected(m->verdicts, dd_explore_verdict_name(r.verdict));
    if (!caught && r.verdict != DD_EXPLORE_PASS)
        fail_msg("%s on %s: not caught as %s: %s", m->name, m->protocol, m->verdicts, r.trace);
    assert_int_equal(caught, r.trace != NULL);
    dd_explore_release(&r);
    return caught;
}

/* A weakened memory order makes no difference under sequential consistency; its name says "order-".
 */
static void planted_defects_are_caught(void **state)
{
    (void)state;
    uint32_t n_orders = 0;
    assert_true(sizeof mutants / sizeof mutants[0] >= 30);
    for (size_t i = 0; i < sizeof mutants / sizeof mutants[0]; i++) {
        const struct mutant *m = &mutants[i];
        const bool order = strncmp(m->name, "order-", 6) == 0;
        n_orders += order;
        const bool slow = order && find(m->table, m->protocol)->slow;
        if (!slow && catches(m, DD_MEMORY_SC, false) == order)
            fail_msg("%s on %s: %s", m->name, m->protocol,
                     order ? "caught where orders are ignored" : "passed");
        if (order && !catches(m, DD_MEMORY_C11, false))
            fail_msg("%s on %s: passed", m->name, m->protocol);
        if (!order && !catches(m, DD_MEMORY_SC, true))
            fail_msg("%s on %s: passed where some steps are left out", m->name, m->protocol);
    }
    assert_true(n_orders >= 8);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest quick[] = {
        cmocka_unit_test(toys_end_as_known),
        cmocka_unit_test(toys_end_as_known_unreduced),
        cmocka_unit_test(protocols_pass_unreduced),
        cmocka_unit_test(toys_end_as_known_reduced),
        cmocka_unit_test(persistent_sets_lose_nothing),
        cmocka_unit_test(exploration_repeats),
        cmocka_unit_test(limits_are_no_pass),
        cmocka_unit_test(planted_defects_are_caught),
        cmocka_unit_test(protocols_pass),
    };
    const struct CMUnitTest slow[] = {cmocka_unit_test(slow_protocols_pass)};
    if (argc == 1)
        return cmocka_run_group_tests(quick, NULL, NULL);
    if (argc == 4 && strcmp(argv[1], "slow") == 0) {
        part = (uint32_t)atoi(argv[2]);
        n_parts = (uint32_t)atoi(argv[3]);
        if (part >= 1 && part <= n_parts)
            return cmocka_run_group_tests(slow, NULL, NULL);
    }
    fprintf(stderr, "usage: test_explore [slow K N]\n");
    return 2;
}
