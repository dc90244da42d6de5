/* SPDX-License-Identifier: MIT
 * The explorer's searches over executions. Partial-order reduction against the plain search: on
 * toys, litmus tests and small protocols, under both memory models, the same endings and verdicts
 * with fewer executions. Planted defects found by reduction and at random. What failed, shortened.
 * Replay strings. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dependence.h"
#include "explore.h"
#include "litmus.h"
#include "replay_string.h"
#include "shorten.h"
#include "toys.h"
#include "walks.h"

#define DD_MUTANT(symbol, name, protocol, verdicts) extern const dd_program dd_protocols_##symbol[];
#include "mutants.inc"
#undef DD_MUTANT

static const struct mutant {
    const char *name;
    const dd_program *table;
    const char *protocol;
} mutants[] = {
#define DD_MUTANT(symbol, name, protocol, verdicts) {name, dd_protocols_##symbol, protocol},
#include "mutants.inc"
#undef DD_MUTANT
};

static const dd_program *find(const dd_program *table, const char *name)
{
    for (const dd_program *p = table; p->name; p++)
        if (strcmp(p->name, name) == 0)
            return p;
    fail_msg("no program \"%s\"", name);
    return NULL;
}

static const struct mutant *mutant_named(const char *name)
{
    for (size_t i = 0; i < sizeof mutants / sizeof mutants[0]; i++)
        if (strcmp(mutants[i].name, name) == 0)
            return &mutants[i];
    fail_msg("no planted defect \"%s\"", name);
    return NULL;
}

/* ---- The relation ---------------------------------------------------------------------------- */

static const uint32_t words[2];

static dd_label label(dd_notice notice, uint32_t fibre, uint32_t word, bool flag)
{
    return (dd_label){.fibre = fibre,
                      .n_words = 1,
                      .word = {&words[word]},
                      .notice = notice,
                      .writes = flag && notice == DD_NOTICE_ACCESS,
                      .acts = flag && notice != DD_NOTICE_ACCESS};
}

static void relation_is_as_stated(void **state)
{
    static const struct {
        dd_notice first, second;
        bool first_flag, second_flag, dependent; /* on one word */
    } cases[] = {
        {DD_NOTICE_ACCESS, DD_NOTICE_ACCESS, false, false, false},
        {DD_NOTICE_ACCESS, DD_NOTICE_ACCESS, true, false, true},
        {DD_NOTICE_ACCESS, DD_NOTICE_ACCESS, false, true, true},
        {DD_NOTICE_ACCESS, DD_NOTICE_ACCESS, true, true, true},
        {DD_NOTICE_ACCESS, DD_NOTICE_SLEEP, false, false, false},
        {DD_NOTICE_ACCESS, DD_NOTICE_SLEEP, true, false, true},
        {DD_NOTICE_SLEEP, DD_NOTICE_ACCESS, false, true, true},
        {DD_NOTICE_SLEEP, DD_NOTICE_SLEEP, false, false, false},
        {DD_NOTICE_SLEEP, DD_NOTICE_WAKE, false, true, true},
        {DD_NOTICE_WAKE, DD_NOTICE_SLEEP, false, false, true},
        {DD_NOTICE_WAKE, DD_NOTICE_WAKE, false, false, false},
        {DD_NOTICE_WAKE, DD_NOTICE_WAKE, true, false, true},
        {DD_NOTICE_WAKE, DD_NOTICE_ACCESS, true, true, false},
        {DD_NOTICE_WAKE, DD_NOTICE_RETURN, true, false, true},
        {DD_NOTICE_RETURN, DD_NOTICE_WAKE, false, false, true},
        {DD_NOTICE_RETURN, DD_NOTICE_ACCESS, false, true, false},
        {DD_NOTICE_ARRIVE, DD_NOTICE_ARRIVE, false, true, false},
        {DD_NOTICE_ARRIVE, DD_NOTICE_ARRIVE, true, false, true},
        {DD_NOTICE_NONE, DD_NOTICE_ACCESS, false, true, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const dd_label first = label(cases[i].first, 1, 0, cases[i].first_flag),
                       second = label(cases[i].second, 2, 0, cases[i].second_flag),
                       elsewhere = label(cases[i].second, 2, 1, cases[i].second_flag);
        if (dd_label_depends(&first, &second) != cases[i].dependent)
            fail_msg("case %zu: dependent is %d", i, !cases[i].dependent);
        assert_false(dd_label_depends(&first, &elsewhere));
    }
}

/* ---- Reduction against the plain search ------------------------------------------------------ */

static dd_explore_result explore(const dd_program *p, dd_tier tier, dd_memory memory)
{
    dd_explore_result r;
    dd_explore(p, &(dd_explore_limits){.tier = tier, .memory = memory, .endings = true}, &r);
    return r;
}

typedef struct totals {
    double plain, reduced;
} totals;

static void compare(const dd_program *p, dd_memory memory, totals *t)
{
    dd_explore_result states = explore(p, DD_TIER_EXHAUSTIVE, memory),
                      plain = explore(p, DD_TIER_DFS, memory),
                      reduced = explore(p, DD_TIER_DPOR, memory);
    printf("  %-24s %-4s %-12s %8.0f executions, reduced %6.0f, endings %4llu\n", p->name,
           memory == DD_MEMORY_C11 ? "C11" : "SC", dd_explore_verdict_name(plain.verdict),
           plain.executions, reduced.executions, (unsigned long long)plain.endings);
    fflush(stdout);
    /* who never ends is a livelock to whoever compares states, and too long to others */
    if (states.verdict == DD_EXPLORE_LIVELOCK)
        states.verdict = DD_EXPLORE_LIMIT;
    assert_int_equal(plain.verdict, states.verdict);
    assert_int_equal(reduced.verdict, plain.verdict);
    if (plain.verdict == DD_EXPLORE_PASS) {
        assert_true(plain.endings > 0 && plain.final_states > 0);
        assert_int_equal(reduced.endings, plain.endings);
        assert_true(reduced.digest == plain.digest);
        assert_int_equal(reduced.final_states, plain.final_states);
        if (memory == DD_MEMORY_SC) /* under C11 they also tell what was freed last */
            assert_int_equal(plain.final_states, states.final_states);
        assert_true(reduced.executions <= plain.executions);
        assert_true(reduced.executions >= (double)reduced.endings);
        t->plain += plain.executions;
        t->reduced += reduced.executions;
    }
    dd_explore_release(&states);
    dd_explore_release(&plain);
    dd_explore_release(&reduced);
}

static void reduction_loses_nothing(void **state)
{
    static const char *const protocols[] = {"queues", "leave-deep", "leave-wide"};
    (void)state;
    totals t = {0};
    for (const dd_toy *toy = dd_toys; toy->program.name; toy++) {
        compare(&toy->program, DD_MEMORY_SC, &t);
        compare(&toy->program, DD_MEMORY_C11, &t);
    }
    for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++) {
        const bool large = strcmp(protocols[i], "queues") == 0; /* 10^6 executions under C11 */
        compare(find(dd_protocols, protocols[i]), DD_MEMORY_SC, &t);
        if (!large)
            compare(find(dd_protocols, protocols[i]), DD_MEMORY_C11, &t);
    }
    printf("  in all %.0f executions, reduced to %.0f\n", t.plain, t.reduced);
    assert_true(t.reduced * 20 < t.plain);
}

static void litmus_reduction_loses_nothing(void **state)
{
    static const dd_tier tiers[] = {DD_TIER_DFS, DD_TIER_DPOR, DD_TIER_REDUCED};
    static bool plain[sizeof dd_litmus_reached];
    (void)state;
    for (const dd_litmus *l = dd_litmus_tests; l->program.name; l++) {
        totals t = {0};
        compare(&l->program, DD_MEMORY_C11, &t);
        if (l->verdict != DD_EXPLORE_PASS)
            continue;
        for (size_t i = 0; i < sizeof tiers / sizeof tiers[0]; i++) {
            memset(dd_litmus_reached, 0, sizeof dd_litmus_reached);
            dd_explore_result r = explore(&l->program, tiers[i], DD_MEMORY_C11);
            assert_int_equal(r.verdict, DD_EXPLORE_PASS);
            dd_explore_release(&r);
            if (tiers[i] == DD_TIER_DFS)
                memcpy(plain, dd_litmus_reached, sizeof plain);
            assert_memory_equal(plain, dd_litmus_reached, sizeof plain);
        }
    }
}

/* 3.6e10 interleavings of a round of the points, exhausted by few enough executions. */
static void reduction_exhausts_a_round(void **state)
{
    (void)state;
    dd_explore_result r;
    dd_explore(find(dd_protocols, "points-round"), &(dd_explore_limits){.tier = DD_TIER_DPOR}, &r);
    printf("  points-round: %.0f executions, %.0f a second\n", r.executions,
           r.executions / r.seconds);
    assert_int_equal(r.verdict, DD_EXPLORE_PASS);
    assert_true(r.executions > 1000 && r.executions < 1e6);
    dd_explore_release(&r);
}

/* Arrivals at a barrier make no difference, and what it orders need not be tried otherwise. */
static void arrivals_make_no_difference(void **state)
{
    (void)state;
    for (dd_memory m = DD_MEMORY_SC; m <= DD_MEMORY_C11; m++) {
        for (const dd_toy *toy = dd_toys; toy->program.name; toy++) {
            if (strcmp(toy->program.name, "across_barrier") != 0)
                continue;
            dd_explore_result r = explore(&toy->program, DD_TIER_DPOR, m);
            assert_true(r.verdict == DD_EXPLORE_PASS && r.executions == 1 && r.cut == 0);
            dd_explore_release(&r);
        }
        /* three leave the points, in six ways */
        dd_explore_result r = explore(find(dd_protocols, "points-pthread"), DD_TIER_DPOR, m);
        assert_true(r.verdict == DD_EXPLORE_PASS && r.executions == 6 && r.cut == 0);
        dd_explore_release(&r);
    }
}

/* ---- Planted defects ------------------------------------------------------------------------- */

/* The replay of what failed fails alike, in every step. */
static void expect_repeatable(const dd_program *table, const dd_explore_result *r)
{
    dd_explore_result again;
    assert_non_null(r->replay);
    char *wrong = dd_explore_replay(table, r->replay, &again);
    if (wrong)
        fail_msg("%s: %s", r->replay, wrong);
    assert_int_equal(again.verdict, r->verdict);
    assert_string_equal(again.trace, r->trace);
    dd_explore_release(&again);
}

static void defects_are_found(void **state)
{
    static const struct {
        const char *mutant;
        dd_memory memory;
        dd_explore_verdict verdict;
    } cases[] = {
        {"wake-one", DD_MEMORY_SC, DD_EXPLORE_DEADLOCK},
        {"no-recheck", DD_MEMORY_SC, DD_EXPLORE_RACE},
        {"torn-advance", DD_MEMORY_SC, DD_EXPLORE_DEADLOCK},
        {"torn-arrival", DD_MEMORY_SC, DD_EXPLORE_CHECK},
        {"stolen-twice", DD_MEMORY_SC, DD_EXPLORE_CHECK},
        {"freed-too-soon", DD_MEMORY_SC, DD_EXPLORE_MEMORY},
        {"order-advance", DD_MEMORY_C11, DD_EXPLORE_RACE},
        {"order-await", DD_MEMORY_C11, DD_EXPLORE_RACE},
        {"order-now", DD_MEMORY_C11, DD_EXPLORE_DEADLOCK},
        {"order-leave", DD_MEMORY_C11, DD_EXPLORE_MEMORY},
    };
    static const dd_tier tiers[] = {DD_TIER_DPOR, DD_TIER_RANDOM, DD_TIER_PCT};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct mutant *m = mutant_named(cases[i].mutant);
        for (size_t t = 0; t < sizeof tiers / sizeof tiers[0]; t++) {
            dd_explore_result r;
            dd_explore(find(m->table, m->protocol),
                       &(dd_explore_limits){.tier = tiers[t],
                                            .memory = cases[i].memory,
                                            .seed = 1,
                                            .runs = tiers[t] == DD_TIER_DPOR ? 100000 : 5000},
                       &r);
            printf("  %-24s tier %d %-12s after %6.0f executions  %s\n", m->name, (int)tiers[t],
                   dd_explore_verdict_name(r.verdict), r.executions, r.replay ? r.replay : "");
            fflush(stdout);
            assert_int_equal(r.verdict, cases[i].verdict);
            expect_repeatable(m->table, &r);
            dd_explore_release(&r);
        }
    }
}

/* Where no order is too weak for it, the model makes no difference: found under C11 only. */
static void weak_orders_pass_under_sc(void **state)
{
    (void)state;
    const struct mutant *m = mutant_named("order-leave");
    dd_explore_result r = explore(find(m->table, m->protocol), DD_TIER_DPOR, DD_MEMORY_SC);
    assert_int_equal(r.verdict, DD_EXPLORE_PASS);
    dd_explore_release(&r);
}

/* ---- Shortening ------------------------------------------------------------------------------ */

/* Planted defects, and with how few changes of thread they show. */
static const struct shown {
    const char *mutant;
    dd_memory memory;
    dd_explore_verdict verdict;
    uint32_t fewest;
} shown[] = {
    {"wake-one", DD_MEMORY_SC, DD_EXPLORE_DEADLOCK, 1},
    {"no-recheck", DD_MEMORY_SC, DD_EXPLORE_RACE, 1},
    {"torn-advance", DD_MEMORY_SC, DD_EXPLORE_DEADLOCK, 1},
    {"torn-arrival", DD_MEMORY_SC, DD_EXPLORE_CHECK, 1},
    {"stolen-twice", DD_MEMORY_SC, DD_EXPLORE_CHECK, 1},
    {"freed-too-soon", DD_MEMORY_SC, DD_EXPLORE_MEMORY, 0},
    {"order-now", DD_MEMORY_C11, DD_EXPLORE_DEADLOCK, 1},
};
#define N_SHOWN (sizeof shown / sizeof shown[0])

/* What a search finds of one at random. */
static dd_explore_limits at_random(const struct shown *d)
{
    return (dd_explore_limits){
        .tier = DD_TIER_RANDOM, .memory = d->memory, .seed = 1, .runs = 5000};
}

/* Not one execution with fewer changes fails, and one with so many does. */
static void fewest_changes_are_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SHOWN; i++) {
        const struct mutant *m = mutant_named(shown[i].mutant);
        dd_explore_limits limits = {.tier = DD_TIER_BOUNDED, .memory = shown[i].memory};
        dd_explore_verdict verdict = DD_EXPLORE_PASS;
        for (uint32_t n = 0; n <= shown[i].fewest && verdict == DD_EXPLORE_PASS; n++) {
            dd_explore_result r;
            limits.bound = n;
            dd_explore(find(m->table, m->protocol), &limits, &r);
            verdict = r.verdict;
            dd_explore_release(&r);
        }
        printf("  %-24s %s with %" PRIu32 " changes\n", m->name, dd_explore_verdict_name(verdict),
               limits.bound);
        assert_int_equal(verdict, shown[i].verdict);
        assert_int_equal(limits.bound, shown[i].fewest);
    }
}

/* A failure found at random is told with no more changes than it takes. */
static void traces_are_as_short_as_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_SHOWN; i++) {
        const struct mutant *m = mutant_named(shown[i].mutant);
        const dd_explore_limits limits = at_random(&shown[i]);
        dd_explore_result r;
        dd_explore(find(m->table, m->protocol), &limits, &r);
        assert_int_equal(r.verdict, shown[i].verdict);
        dd_stage stage;
        dd_execution e = {0};
        dd_end end = DD_END_BROKEN_OFF;
        char *wrong = dd_replay_read(m->table, r.replay, &stage, &e, &end);
        if (wrong)
            fail_msg("%s: %s", r.replay, wrong);
        assert_int_equal(end, DD_END_FAILED);
        assert_int_equal(dd_world_failure()->verdict, shown[i].verdict);
        printf("  %-24s %llu changes\n", m->name, (unsigned long long)e.changes);
        assert_true(e.changes <= shown[i].fewest);
        dd_execution_release(&e);
        dd_world_stop();
        dd_explore_release(&r);
    }
}

/* Shortening by itself: fails alike, and with less ado. */
static void failures_are_shortened(void **state)
{
    (void)state;
    uint64_t before = 0, after = 0;
    for (size_t i = 0; i < N_SHOWN; i++) {
        const struct mutant *m = mutant_named(shown[i].mutant);
        const dd_stage stage = {.program = find(m->table, m->protocol),
                                .mode = {.memory = shown[i].memory, .stateless = true}};
        const dd_explore_limits limits = at_random(&shown[i]);
        dd_explore_result r = {0};
        dd_schedule failed = {0};
        dd_execution e = {0};
        dd_stage_rehearse(&stage);
        assert_int_equal(dd_walks_search(&stage, &limits, 0, &r, &failed), DD_OUTCOME_FAILED);
        assert_int_equal(dd_execution_repeat(&stage, failed.choice, failed.n, &e), DD_END_FAILED);
        const uint64_t changes = e.changes, n = failed.n;
        dd_shorten(&stage, &failed);
        assert_int_equal(dd_execution_repeat(&stage, failed.choice, failed.n, &e), DD_END_FAILED);
        assert_int_equal(dd_world_failure()->verdict, shown[i].verdict);
        printf("  %-24s %llu changes in %llu steps, shortened to %llu in %llu\n", m->name,
               (unsigned long long)changes, (unsigned long long)n, (unsigned long long)e.changes,
               (unsigned long long)failed.n);
        fflush(stdout);
        assert_true(changes > shown[i].fewest); /* else there is nothing to shorten */
        assert_true(e.changes >= shown[i].fewest && e.changes < changes);
        before += changes;
        after += e.changes;
        dd_execution_release(&e);
        dd_schedule_release(&failed);
        dd_world_stop();
    }
    assert_true(5 * after < before);
}

/* ---- At random ------------------------------------------------------------------------------- */

static void walks_repeat(void **state)
{
    (void)state;
    for (dd_tier t = DD_TIER_RANDOM; t <= DD_TIER_PCT; t++) {
        dd_explore_result r[3];
        for (uint64_t i = 0; i < 3; i++)
            dd_explore(find(dd_protocols, "points-tree"),
                       &(dd_explore_limits){.tier = t, .runs = 50, .seed = i / 2}, &r[i]);
        assert_int_equal(r[0].verdict, DD_EXPLORE_PASS);
        assert_true(r[0].executions == 50 && r[0].steps > 50);
        assert_int_equal(r[0].steps, r[1].steps);
        assert_int_not_equal(r[0].steps, r[2].steps);
        for (int i = 0; i < 3; i++)
            dd_explore_release(&r[i]);
    }
}

static void twelve_workers_fit(void **state)
{
    (void)state;
    uint32_t n = 0;
    for (const dd_program *p = dd_protocols; p->name; p++) {
        if (!p->large)
            continue;
        for (dd_memory m = DD_MEMORY_SC; m <= DD_MEMORY_C11; m++) {
            dd_explore_result r;
            dd_explore(p, &(dd_explore_limits){.tier = DD_TIER_RANDOM, .memory = m, .runs = 3}, &r);
            printf("  %-24s %-4s %s, %" PRIu32 " threads, %llu steps\n", p->name,
                   m == DD_MEMORY_C11 ? "C11" : "SC", dd_explore_verdict_name(r.verdict), r.threads,
                   (unsigned long long)r.longest);
            fflush(stdout);
            if (r.verdict != DD_EXPLORE_PASS)
                fail_msg("%s", r.trace);
            n += r.threads > 12;
            dd_explore_release(&r);
        }
    }
    assert_true(n >= 20);
}

/* Where not all states are gone through, executions at random. */
static void what_is_not_exhausted_is_walked(void **state)
{
    (void)state;
    uint32_t n = 0;
    for (const dd_program *p = dd_protocols; p->name; p++)
        for (dd_memory m = DD_MEMORY_SC; m <= DD_MEMORY_C11; m++)
            for (dd_tier t = DD_TIER_RANDOM; t <= DD_TIER_PCT; t++) {
                if (p->large || (!dd_explore_is_large(p, m) &&
                                 dd_explore_usual(p, m, false).tier != DD_TIER_BOUNDED))
                    continue;
                dd_explore_result r;
                dd_explore(p, &(dd_explore_limits){.tier = t, .memory = m, .runs = 25}, &r);
                if (r.verdict != DD_EXPLORE_PASS)
                    fail_msg("%s", r.trace);
                n++;
                dd_explore_release(&r);
            }
    assert_true(n >= 60);
}

static void pct_promises(void **state)
{
    (void)state;
    assert_true(dd_pct_bound(4, 100, 1) == 0.25);
    assert_true(dd_pct_bound(4, 100, 3) > 2.4e-5 && dd_pct_bound(4, 100, 3) < 2.6e-5);
}

/* ---- Limits and replays ---------------------------------------------------------------------- */

static bool not_any_more(void *user, const dd_explore_result *so_far)
{
    (void)so_far;
    return ++*(int *)user < 3;
}

static void searches_can_be_given_up(void **state)
{
    (void)state;
    for (dd_tier t = DD_TIER_EXHAUSTIVE; t <= DD_TIER_PCT; t++) {
        int called = 0;
        dd_explore_result r;
        dd_explore(
            find(dd_protocols, "mailbox"),
            &(dd_explore_limits){
                .tier = t, .bound = 3, .watch = not_any_more, .user = &called, .runs = 1000000},
            &r);
        assert_int_equal(r.verdict, DD_EXPLORE_LIMIT);
        assert_true(r.interrupted && called == 3);
        dd_explore_release(&r);
    }
    dd_explore_result r;
    dd_explore(find(dd_protocols, "mailbox"),
               &(dd_explore_limits){.tier = DD_TIER_DPOR, .runs = 100}, &r);
    assert_true(r.verdict == DD_EXPLORE_LIMIT && r.executions == 100);
    assert_string_equal(r.trace, "given up after 100 executions\n");
    dd_explore_release(&r);
}

static void refuse(const char *replay, const char *because)
{
    dd_explore_result r;
    char *wrong = dd_explore_replay(dd_protocols, replay, &r);
    if (!wrong || !strstr(wrong, because))
        fail_msg("\"%s\": %s", replay, wrong ? wrong : "accepted");
    free(wrong);
}

static void replays_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    dd_explore_result r;
    assert_null(dd_explore_replay(dd_protocols, "points-tree:sc:0x3.1:1add", &r));
    assert_int_equal(r.verdict, DD_EXPLORE_PASS);
    assert_non_null(strstr(r.trace, "PASS"));
    dd_explore_release(&r);
    refuse("", "no replay string");
    refuse("points-tree:sc", "no replay string");
    refuse("points-tree:sc:0x3.1:1adc", "damaged");
    refuse("points-tree:sc:0x4.1:1add", "damaged");
    refuse("points-tree:sc:0x3.1:", "damaged");
    refuse("no-such-tree:sc:0x3.1:87b8", "no such protocol");
    refuse("points-tree:xx:0:d0c7", "no memory model");
    refuse("points-tree:sc+zz:0:d168", "no memory model");
    refuse("points-tree:sc:0x3.y:b152", "no list of numbers");
    refuse("points-tree:sc:0x99999:073e", "no list of numbers");
    refuse("points-tree:sc:0x3.9:358c", "in step 4 it takes choice 9");
    refuse("points-pthread:sc:0x500.1:8d0e", "the execution ends after 35");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relation_is_as_stated),
        cmocka_unit_test(reduction_loses_nothing),
        cmocka_unit_test(litmus_reduction_loses_nothing),
        cmocka_unit_test(reduction_exhausts_a_round),
        cmocka_unit_test(arrivals_make_no_difference),
        cmocka_unit_test(defects_are_found),
        cmocka_unit_test(weak_orders_pass_under_sc),
        cmocka_unit_test(fewest_changes_are_known),
        cmocka_unit_test(traces_are_as_short_as_known),
        cmocka_unit_test(failures_are_shortened),
        cmocka_unit_test(walks_repeat),
        cmocka_unit_test(twelve_workers_fit),
        cmocka_unit_test(what_is_not_exhausted_is_walked),
        cmocka_unit_test(pct_promises),
        cmocka_unit_test(searches_can_be_given_up),
        cmocka_unit_test(replays_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
